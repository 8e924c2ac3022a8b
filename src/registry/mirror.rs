//! Mirrored traffic: a share of the comments that workers classify, with their predictions, for a second model. Never blocks
//! a worker: batches that do not fit into the queue are dropped.

use nunchi_engine::{LoadedModel, Prediction};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Most comments of one batch: so that the cost of copying is negligible.
const MAX_COMMENTS: usize = 256;
/// Mirrored batches in the queue.
const MAX_QUEUED: usize = 8;

/// Comments of one batch, and the serving model's predictions.
#[derive(Debug)]
pub(super) struct MirroredBatch {
    /// The model that classified them.
    pub(super) model: Arc<LoadedModel>,
    pub(super) comments: Vec<String>,
    pub(super) predictions: Vec<Prediction>,
}

/// Takes copies of comments that workers classify. Clones feed the same queue.
#[derive(Clone, Debug)]
pub struct TrafficMirror {
    /// One of this many comments is copied; 0: none.
    stride: Arc<AtomicU32>,
    batches: SyncSender<MirroredBatch>,
}

impl TrafficMirror {
    /// A mirror that copies nothing yet, and the receiver of its batches.
    pub(super) fn new() -> (Self, Receiver<MirroredBatch>) {
        let (batches, receiver) = sync_channel(MAX_QUEUED);
        (TrafficMirror { stride: Arc::default(), batches }, receiver)
    }

    /// Copies this share of the comments from now on; 0: none.
    pub(super) fn set_share(&self, share: f64) {
        let stride =
            if share > 0.0 { (1.0 / share).round().clamp(1.0, f64::from(u32::MAX)) as u32 } else { 0 };
        self.stride.store(stride, Ordering::Relaxed);
    }

    /// Offers a batch's comments and the predictions of `model`; `offered` counts one worker's comments from batch to batch.
    pub(crate) fn offer(
        &self,
        model: &Arc<LoadedModel>,
        comments: &[&str],
        predictions: &[Prediction],
        offered: &mut usize,
    ) {
        let stride = self.stride.load(Ordering::Relaxed) as usize;
        if stride == 0 {
            return;
        }
        // A worker's comments are counted across batches: those whose index the stride divides are copied.
        let first = (stride - *offered % stride) % stride;
        *offered = offered.wrapping_add(comments.len());
        let copied = (first..comments.len()).step_by(stride).take(MAX_COMMENTS);
        let (comments, predictions): (Vec<String>, Vec<Prediction>) =
            copied.map(|index| (comments[index].to_owned(), predictions[index].clone())).unzip();
        if !comments.is_empty() {
            // The queue is full if the second model is slower; the batch is dropped, since a sample need not be complete.
            let _ = self.batches.try_send(MirroredBatch { model: Arc::clone(model), comments, predictions });
        }
    }
}
