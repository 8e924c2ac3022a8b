//! What holds the workers of a measurement back until everything is in place, and the judge that does nothing.

use crate::pipeline::SlotClassifier;
use nunchi_engine::{Classifier, EngineError, Prediction, Times};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Holds the workers' first turns until all records are there.
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

/// A judge behind a gate: nobody judges before it opens.
pub(super) struct Gated {
    pub(super) gate: Arc<Gate>,
    pub(super) inner: Inner,
}

/// Who judges.
pub(super) enum Inner {
    /// The engine.
    Network(Box<SlotClassifier>),
    /// Says 0 to everything; holds the labels.
    Nothing(Vec<String>),
}

impl Classifier for Gated {
    fn refresh(&mut self) {
        if let Inner::Network(judge) = &mut self.inner {
            judge.refresh();
        }
    }

    fn classify(&mut self, comments: &[&str], predictions: &mut Vec<Prediction>) -> Result<(), EngineError> {
        self.gate.pass();
        match &mut self.inner {
            Inner::Network(judge) => judge.classify(comments, predictions),
            Inner::Nothing(_) => {
                predictions.clear();
                predictions.resize(comments.len(), Prediction::default());
                Ok(())
            }
        }
    }

    fn version(&self) -> &str {
        match &self.inner {
            Inner::Network(judge) => judge.version(),
            Inner::Nothing(_) => "000000000000",
        }
    }

    fn labels(&self) -> &[String] {
        match &self.inner {
            Inner::Network(judge) => judge.labels(),
            Inner::Nothing(labels) => labels,
        }
    }

    fn last_times(&self) -> Times {
        match &self.inner {
            Inner::Network(judge) => judge.last_times(),
            Inner::Nothing(_) => Times::default(),
        }
    }
}
