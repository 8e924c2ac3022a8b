//! Classifiers on the slot that holds the current model.

use crate::registry::{ModelSlot, TrafficMirror};
use nunchi_engine::{Classifier, Engine, EngineError, Prediction, Times};
use std::sync::Arc;

/// The classifier of `run`: an engine on the slot's model.
#[derive(Debug)]
pub struct SlotClassifier {
    slot: ModelSlot,
    engine: Engine,
    mirror: Option<TrafficMirror>,
    /// Comments that were offered to the mirror.
    offered: usize,
}

impl SlotClassifier {
    /// An engine of its own, on whatever model `slot` holds at the top of each batch.
    pub fn new(slot: ModelSlot) -> Self {
        let engine = Engine::new(slot.load_full());
        SlotClassifier { slot, engine, mirror: None, offered: 0 }
    }

    /// Whether the sentences of each comment are classified too. Off at first.
    pub fn with_sentences(self, on: bool) -> Self {
        SlotClassifier { engine: self.engine.with_sentences(on), ..self }
    }

    /// Adds a mirror, which gets a share of the classified comments.
    pub fn with_mirror(self, mirror: Option<TrafficMirror>) -> Self {
        SlotClassifier { mirror, ..self }
    }
}

impl Classifier for SlotClassifier {
    fn refresh(&mut self) {
        let current = self.slot.load();
        if !Arc::ptr_eq(self.engine.loaded(), &current) {
            self.engine.adopt(Arc::clone(&current));
        }
    }

    fn classify(&mut self, comments: &[&str], predictions: &mut Vec<Prediction>) -> Result<(), EngineError> {
        self.engine.classify_into(comments, predictions)?;
        if let Some(mirror) = &self.mirror {
            mirror.offer(self.engine.loaded(), comments, predictions, &mut self.offered);
        }
        Ok(())
    }

    fn version(&self) -> &str {
        &self.engine.loaded().model().version
    }

    fn labels(&self) -> &[String] {
        &self.engine.loaded().model().labels
    }

    fn last_times(&self) -> Times {
        self.engine.last_times()
    }
}

/// Several engines on one model: a batch's comments are divided among threads. For pipelines with one reader and several
/// cores.
#[derive(Debug)]
pub struct ParallelClassifier {
    members: Vec<(SlotClassifier, Vec<Prediction>)>,
}

impl ParallelClassifier {
    /// `members` engines, at least one, on whatever model `slot` holds at the top of each batch.
    pub fn new(slot: &ModelSlot, members: usize) -> Self {
        let member = |_| (SlotClassifier::new(Arc::clone(slot)), Vec::new());
        ParallelClassifier { members: (0..members.max(1)).map(member).collect() }
    }

    /// Whether the sentences of each comment are classified too. Off at first.
    pub fn with_sentences(self, on: bool) -> Self {
        let members = self.members.into_iter();
        let members = members.map(|(classifier, part)| (classifier.with_sentences(on), part)).collect();
        ParallelClassifier { members }
    }

    fn first(&self) -> &SlotClassifier {
        &self.members[0].0
    }
}

impl Classifier for ParallelClassifier {
    fn refresh(&mut self) {
        self.members.iter_mut().for_each(|(classifier, _)| classifier.refresh());
    }

    fn classify(&mut self, comments: &[&str], predictions: &mut Vec<Prediction>) -> Result<(), EngineError> {
        predictions.clear();
        let share = comments.len().div_ceil(self.members.len()).max(1);
        let used = comments.len().div_ceil(share);
        std::thread::scope(|threads| {
            let mut shares = comments.chunks(share).zip(&mut self.members);
            let own = shares.next();
            let others: Vec<_> = shares
                .map(|(comments, (classifier, part))| {
                    threads.spawn(move || classifier.classify(comments, part))
                })
                .collect();
            let own =
                own.map_or(Ok(()), |(comments, (classifier, part))| classifier.classify(comments, part));
            others.into_iter().fold(own, |result, thread| {
                // A panic of a member is resumed in the thread that joins it.
                let other = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                result.and(other)
            })
        })?;
        for (_, part) in self.members.iter_mut().take(used) {
            predictions.append(part);
        }
        Ok(())
    }

    fn version(&self) -> &str {
        self.first().version()
    }

    fn labels(&self) -> &[String] {
        self.first().labels()
    }

    fn last_times(&self) -> Times {
        self.first().last_times()
    }
}
