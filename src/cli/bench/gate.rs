//! A gate that blocks the workers of a measurement until all records are there, and a classifier without a network.

use crate::pipeline::SlotClassifier;
use nunchi_engine::{Classifier, EngineError, Prediction, Times};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Blocks the workers' first batches until all records are there.
#[derive(Default)]
pub(super) struct Gate {
    is_open: AtomicBool,
    lock: Mutex<()>,
    opened: Condvar,
}

impl Gate {
    pub(super) fn open(&self) {
        let _guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_open.store(true, Ordering::Release);
        self.opened.notify_all();
    }

    fn pass(&self) {
        if !self.is_open.load(Ordering::Acquire) {
            let guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
            drop(self.opened.wait_while(guard, |()| !self.is_open.load(Ordering::Acquire)));
        }
    }
}

/// A classifier that blocks until its gate is open.
pub(super) struct Gated {
    pub(super) gate: Arc<Gate>,
    pub(super) inner: Inner,
}

/// The classifier behind the gate.
pub(super) enum Inner {
    /// The engine.
    Network(Box<SlotClassifier>),
    /// Gives every comment the score 0; holds the labels.
    Nothing(Vec<String>),
}

impl Classifier for Gated {
    fn refresh(&mut self) {
        if let Inner::Network(classifier) = &mut self.inner {
            classifier.refresh();
        }
    }

    fn classify(&mut self, comments: &[&str], predictions: &mut Vec<Prediction>) -> Result<(), EngineError> {
        self.gate.pass();
        match &mut self.inner {
            Inner::Network(classifier) => classifier.classify(comments, predictions),
            Inner::Nothing(_) => {
                predictions.clear();
                predictions.resize(comments.len(), Prediction::default());
                Ok(())
            }
        }
    }

    fn version(&self) -> &str {
        match &self.inner {
            Inner::Network(classifier) => classifier.version(),
            Inner::Nothing(_) => "000000000000",
        }
    }

    fn labels(&self) -> &[String] {
        match &self.inner {
            Inner::Network(classifier) => classifier.labels(),
            Inner::Nothing(labels) => labels,
        }
    }

    fn last_times(&self) -> Times {
        match &self.inner {
            Inner::Network(classifier) => classifier.last_times(),
            Inner::Nothing(_) => Times::default(),
        }
    }
}
