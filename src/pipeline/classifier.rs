//! What a worker needs of a network: predictions for a turn's comments, and a name for who judged.

use crate::registry::{ModelSlot, Tap};
use nunchi_engine::{Engine, Prediction, Times};
use std::sync::Arc;

/// Judges the comments of a turn. One per worker; the pipeline knows no more about networks than this.
pub trait Classifier: Send {
    /// Called at the top of every turn: from here on, until the next call, one and the same model judges.
    fn refresh(&mut self);

    /// Judges `comments`; `out` is cleared and gets one prediction for each, in order.
    fn judge(&mut self, comments: &[&str], out: &mut Vec<Prediction>);

    /// The model's VERSION, as verdicts carry it.
    fn version(&self) -> &str;

    /// Class names. Two: `negative` and `positive`, and a score is the probability of the second.
    fn labels(&self) -> &[String];

    /// Times of the last call of [`Classifier::judge`].
    fn times(&self) -> Times;
}

/// The judge of `run`: an engine on the slot's model.
#[derive(Debug)]
pub struct SlotClassifier {
    slot: ModelSlot,
    engine: Engine,
    tap: Option<Tap>,
    /// Comments that the tap has seen.
    offered: usize,
}

impl SlotClassifier {
    /// An engine of its own, on whatever model `slot` holds at the top of each turn.
    pub fn new(slot: ModelSlot) -> Self {
        let engine = Engine::new(slot.load_full());
        SlotClassifier { slot, engine, tap: None, offered: 0 }
    }

    /// As this one, and a share of what it judges goes to `tap`.
    pub fn with_tap(self, tap: Option<Tap>) -> Self {
        SlotClassifier { tap, ..self }
    }
}

impl Classifier for SlotClassifier {
    fn refresh(&mut self) {
        let current = self.slot.load();
        if !Arc::ptr_eq(self.engine.warm(), &current) {
            self.engine.adopt(Arc::clone(&current));
        }
    }

    fn judge(&mut self, comments: &[&str], out: &mut Vec<Prediction>) {
        self.engine.classify(comments, out);
        if let Some(tap) = &self.tap {
            tap.offer(self.engine.warm(), comments, out, &mut self.offered);
        }
    }

    fn version(&self) -> &str {
        &self.engine.warm().model().version
    }

    fn labels(&self) -> &[String] {
        &self.engine.warm().model().labels
    }

    fn times(&self) -> Times {
        self.engine.last_times()
    }
}

/// Several engines on one model: a turn's comments are shared out among threads. For readers that are one, and have more
/// than one core to judge with.
#[derive(Debug)]
pub struct ParallelClassifier {
    members: Vec<(SlotClassifier, Vec<Prediction>)>,
}

impl ParallelClassifier {
    /// `members` engines, at least one, on whatever model `slot` holds at the top of each turn.
    pub fn new(slot: &ModelSlot, members: usize) -> Self {
        let member = |_| (SlotClassifier::new(Arc::clone(slot)), Vec::new());
        ParallelClassifier { members: (0..members.max(1)).map(member).collect() }
    }

    fn first(&self) -> &SlotClassifier {
        &self.members[0].0
    }
}

impl Classifier for ParallelClassifier {
    fn refresh(&mut self) {
        self.members.iter_mut().for_each(|(judge, _)| judge.refresh());
    }

    fn judge(&mut self, comments: &[&str], out: &mut Vec<Prediction>) {
        out.clear();
        let share = comments.len().div_ceil(self.members.len()).max(1);
        std::thread::scope(|threads| {
            let mut shares = comments.chunks(share).zip(&mut self.members);
            let mine = shares.next();
            for (comments, (judge, predictions)) in shares {
                threads.spawn(move || judge.judge(comments, predictions));
            }
            if let Some((comments, (judge, predictions))) = mine {
                judge.judge(comments, predictions);
            }
        });
        let used = comments.len().div_ceil(share);
        for (_, predictions) in self.members.iter_mut().take(used) {
            out.append(predictions);
        }
    }

    fn version(&self) -> &str {
        self.first().version()
    }

    fn labels(&self) -> &[String] {
        self.first().labels()
    }

    fn times(&self) -> Times {
        self.first().times()
    }
}
