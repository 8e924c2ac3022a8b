//! The request for a run.

use super::gate::GateThresholds;
use super::topics::Window;
use super::train::Recipe;
use crate::config::Config;
use nunchi_data::ColumnHints;
use nunchi_data::Source;
use std::path::PathBuf;

/// The parameters of a run: the flags of `nunchi retrain`.
#[derive(Clone, Debug)]
pub struct Request {
    /// The settings: names of fields, brokers.
    pub config: Config,
    /// The kernel to compare with; the best one of this CPU unless named.
    pub kernel: Option<String>,
    /// The historical topics, and the window of time.
    pub window: Window,
    /// The topic of corrections.
    pub corrections: Option<String>,
    /// Files with new comments.
    pub data: Vec<Source>,
    /// Files with old comments, to be mixed in.
    pub mix: Vec<Source>,
    /// Most old comments, as a multiple of the new ones.
    pub mix_ratio: f64,
    /// Files with the golden set.
    pub golden: Vec<Source>,
    /// A file of pairs; the built-in ones unless named.
    pub pairs: Option<PathBuf>,
    /// How files are read.
    pub columns: ColumnHints,
    /// Fewest new labelled comments.
    pub min_comments: usize,
    /// Share of the new comments, the last in time, that is kept as the test set.
    pub test_share: f64,
    /// How to train.
    pub recipe: Recipe,
    /// The gate.
    pub thresholds: GateThresholds,
    /// Whether to publish without promoting.
    pub publish_only: bool,
    /// The actor in manifest and log; empty: user@host.
    pub actor: String,
}
