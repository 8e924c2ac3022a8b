//! What a worker needs of a network: judgements for a turn's comments, and a name for who judged.

use crate::registry::{ModelSlot, Tap};
use nunchi_engine::{Engine, Judgement, Times};
use std::sync::Arc;

/// Judges the comments of a turn. One per worker; the pipeline knows no more about networks than this.
pub trait Judge: Send {
    /// Called at the top of every turn: from here on, until the next call, one and the same model judges.
    fn refresh(&mut self);

    /// Judges `comments`; `out` is cleared and gets one judgement for each, in order.
    fn judge(&mut self, comments: &[&str], out: &mut Vec<Judgement>);

    /// The model's VERSION, as verdicts carry it.
    fn version(&self) -> &str;

    /// Class names. Two: `negative` and `positive`, and a score is the probability of the second.
    fn labels(&self) -> &[String];

    /// Times of the last call of [`Judge::judge`].
    fn times(&self) -> Times;
}

/// The judge of `run`: an engine on the slot's model.
#[derive(Debug)]
pub struct EngineJudge {
    slot: ModelSlot,
    engine: Engine,
    tap: Option<Tap>,
    /// Comments that the tap has seen.
    offered: usize,
}

impl EngineJudge {
    /// An engine of its own, on whatever model `slot` holds at the top of each turn.
    pub fn new(slot: ModelSlot) -> Self {
        let engine = Engine::new(slot.load_full());
        EngineJudge { slot, engine, tap: None, offered: 0 }
    }

    /// As this one, and a share of what it judges goes to `tap`.
    pub fn with_tap(self, tap: Option<Tap>) -> Self {
        EngineJudge { tap, ..self }
    }
}

impl Judge for EngineJudge {
    fn refresh(&mut self) {
        let current = self.slot.load();
        if !Arc::ptr_eq(self.engine.warm(), &current) {
            self.engine.adopt(Arc::clone(&current));
        }
    }

    fn judge(&mut self, comments: &[&str], out: &mut Vec<Judgement>) {
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
pub struct TeamJudge {
    members: Vec<(EngineJudge, Vec<Judgement>)>,
}

impl TeamJudge {
    /// `members` engines, at least one, on whatever model `slot` holds at the top of each turn.
    pub fn new(slot: &ModelSlot, members: usize) -> Self {
        let member = |_| (EngineJudge::new(Arc::clone(slot)), Vec::new());
        TeamJudge { members: (0..members.max(1)).map(member).collect() }
    }

    fn first(&self) -> &EngineJudge {
        &self.members[0].0
    }
}

impl Judge for TeamJudge {
    fn refresh(&mut self) {
        self.members.iter_mut().for_each(|(judge, _)| judge.refresh());
    }

    fn judge(&mut self, comments: &[&str], out: &mut Vec<Judgement>) {
        out.clear();
        let share = comments.len().div_ceil(self.members.len()).max(1);
        std::thread::scope(|threads| {
            let mut shares = comments.chunks(share).zip(&mut self.members);
            let mine = shares.next();
            for (comments, (judge, judgements)) in shares {
                threads.spawn(move || judge.judge(comments, judgements));
            }
            if let Some((comments, (judge, judgements))) = mine {
                judge.judge(comments, judgements);
            }
        });
        let used = comments.len().div_ceil(share);
        for (_, judgements) in self.members.iter_mut().take(used) {
            out.append(judgements);
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
