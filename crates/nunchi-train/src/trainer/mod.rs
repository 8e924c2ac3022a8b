//! Mini-batch gradient descent on all cores, over data that is streamed from disk.
//!
//! A run is two stages: predicting next tokens (`language`, with `pretraining`), then learning classes. It can be interrupted
//! and killed at any moment: it resumes from its last checkpoint, to the same weights, bit by bit.
//! A loss that is not a number or diverges rolls it back to the last good weights, with a smaller rate.
//!
//! Imports run one way: `stages` → `run` → `checkpoint` → `cursor` → `divergence`, `progress`.

mod checkpoint;
mod cursor;
mod divergence;
mod heads;
mod outcome;
mod progress;
mod run;
mod settings;
mod stages;
mod task;

pub use checkpoint::CheckpointError;
pub use outcome::{Diverged, Interrupted, Outcome, TrainError, Trained};
pub use progress::{Epoch, Progress};
pub use settings::{Keep, Settings};
pub use task::Task;

use nunchi_engine::backprop::on_threads;
use nunchi_model::rnn::Network;
use run::Run;
use std::time::Instant;

/// Trains `network`.
///
/// # Errors
/// See [`TrainError`]. An interruption is none.
pub fn train(
    network: Network<f32>,
    task: &Task<'_>,
    progress: &mut dyn Progress,
) -> Result<Outcome, TrainError> {
    let begin = Instant::now();
    let fingerprint = task.fingerprint(&network);
    on_threads(task.settings.threads, || {
        let mut run = Run::new(network, task, fingerprint)?;
        run.pretrain(progress)?;
        if !run.interrupted {
            run.classify(progress)?;
        }
        run.finish(begin)
    })
}
