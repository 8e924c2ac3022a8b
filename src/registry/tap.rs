//! A share of what workers judge, for whoever judges it a second time. Never makes a worker wait: what does not fit is left out.

use nunchi_engine::{LoadedModel, Prediction};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Most comments of one turn: a turn is not the longer for it.
const MOST: usize = 256;
/// Turns whose samples may wait.
const WAITING: usize = 8;

/// Comments of one turn, and what they were judged to be.
#[derive(Debug)]
pub(super) struct Sample {
    /// Who judged.
    pub(super) judge: Arc<LoadedModel>,
    pub(super) comments: Vec<String>,
    pub(super) predictions: Vec<Prediction>,
}

/// Where workers leave samples. Clones are the same tap.
#[derive(Clone, Debug)]
pub struct Tap {
    /// One of so many comments is taken; 0: none.
    stride: Arc<AtomicU32>,
    samples: SyncSender<Sample>,
}

impl Tap {
    /// A closed tap, and where its samples come out.
    pub(super) fn new() -> (Self, Receiver<Sample>) {
        let (samples, receiver) = sync_channel(WAITING);
        (Tap { stride: Arc::default(), samples }, receiver)
    }

    /// Takes this share of the comments from now on; 0 closes the tap.
    pub(super) fn set_share(&self, share: f64) {
        let stride =
            if share > 0.0 { (1.0 / share).round().clamp(1.0, f64::from(u32::MAX)) as u32 } else { 0 };
        self.stride.store(stride, Ordering::Relaxed);
    }

    /// Offers a turn's comments and what `judge` made of them; `at` counts one worker's comments from turn to turn.
    pub(crate) fn offer(
        &self,
        judge: &Arc<LoadedModel>,
        comments: &[&str],
        predictions: &[Prediction],
        at: &mut usize,
    ) {
        let stride = self.stride.load(Ordering::Relaxed) as usize;
        if stride == 0 {
            return;
        }
        // A worker's comments are numbered on and on: the numbers that the stride divides are taken.
        let first = (stride - *at % stride) % stride;
        *at = at.wrapping_add(comments.len());
        let taken = (first..comments.len()).step_by(stride).take(MOST);
        let (comments, predictions): (Vec<String>, Vec<Prediction>) =
            taken.map(|place| (comments[place].to_owned(), predictions[place].clone())).unzip();
        if !comments.is_empty() {
            // Full: the thread has enough to do.
            let _ = self.samples.try_send(Sample { judge: Arc::clone(judge), comments, predictions });
        }
    }
}
