//! Pairs of comments that differ in their meaning: whether a model orders them as a reader would.
//!
//! Accuracy on a test set is how often a model is right; pairs show which phenomena it handles (Ribeiro et al. 2020, *Beyond
//! Accuracy: Behavioral Testing of NLP Models with CheckList*). No model may be trained on them.
//!
//! - [`read`]: the only reader of files of pairs.
//! - [`score`], [`by_category`], [`total`]: one model, by order and hard labels (`nunchi evaluate --pairs`).
//! - [`compare`]: two models, by labels (the gate of `nunchi retrain`).
//! - [`built_in`]: pairs that are part of the program.

mod built_in;
mod read;
mod scoring;

pub use built_in::built_in;
pub use read::{PairOrder, PairsError, read};
pub use scoring::{ComparedTally, PairScores, Tally, by_category, compare, score, total};

/// One comment of a pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Side {
    /// The comment.
    pub text: String,
    /// The class that it must get, an index into the labels; `None` where only the order counts.
    pub class: Option<usize>,
}

/// Two comments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// What the difference is made of: `negation`, `order`, …; may be empty where order does not count.
    pub category: String,
    /// With [`PairOrder::WorseFirst`] the more negative comment.
    pub a: Side,
    /// The other one.
    pub b: Side,
}
