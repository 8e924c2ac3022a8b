//! Measurements of a retraining: its own comments, and the speed of two models on this machine.

use super::comment::Comment;
use nunchi_engine::{Engine, EngineError};
use nunchi_eval::evaluation::Measured;
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// Rounds of a measurement of speed; the fastest counts.
const ROUNDS: usize = 7;
/// Comments of a round: enough that a round takes milliseconds.
const ROUND: usize = 4_096;

/// Measures a model on `comments`.
pub fn measure(engine: &mut Engine, comments: &[Comment]) -> Result<Measured, EngineError> {
    let (texts, classes) = texts_and_classes(comments);
    Measured::new(engine, &texts, &classes)
}

/// Comments in the form that evaluation takes.
pub(super) fn texts_and_classes(comments: &[Comment]) -> (Vec<&str>, Vec<usize>) {
    comments.iter().map(|comment| (comment.text.as_str(), comment.class)).unzip()
}

/// Comments a second of two engines on the same comments, alternating, so that measurement noise affects both. Measures
/// the CPU time of this thread: retraining runs at a low priority, and waiting time is not the model's.
pub fn speed(engines: [&mut Engine; 2], comments: &[Comment]) -> Result<[f64; 2], EngineError> {
    let texts: Vec<&str> = comments.iter().cycle().take(ROUND).map(|comment| comment.text.as_str()).collect();
    if texts.is_empty() {
        return Ok([0.0; 2]);
    }
    let mut best = [Duration::MAX; 2];
    let mut predictions = Vec::new();
    let [first, second] = engines;
    for _ in 0..ROUNDS {
        for (engine, best) in [&mut *first, &mut *second].into_iter().zip(&mut best) {
            let begin = thread_time();
            engine.classify_into(&texts, &mut predictions)?;
            *best = thread_time().saturating_sub(begin).min(*best);
        }
    }
    Ok(best.map(|time| texts.len() as f64 / time.as_secs_f64().max(1e-9)))
}

/// How long this thread has been running on a core.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}
