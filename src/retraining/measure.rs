//! Judging with the engine, as a running process would.

use super::comment::Comment;
use nunchi_engine::{Engine, Prediction};
use nunchi_eval::metrics::{Metrics, Outcome};
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// Comments judged together.
const CHUNK: usize = 4_096;
/// Rounds of a measurement of speed; the fastest counts.
const ROUNDS: usize = 7;
/// Comments of a round: enough that a round takes milliseconds.
const ROUND: usize = 4_096;

/// A set of comments, judged by one model.
#[derive(Clone, Debug)]
pub struct Measured {
    /// By comment.
    pub outcomes: Vec<Outcome>,
    /// By comment.
    pub predictions: Vec<Prediction>,
    /// Over all.
    pub metrics: Metrics,
}

/// Judges `comments`.
pub fn judge(engine: &mut Engine, comments: &[Comment]) -> Measured {
    let (mut all, mut part) = (Vec::with_capacity(comments.len()), Vec::new());
    for chunk in comments.chunks(CHUNK) {
        let texts: Vec<&str> = chunk.iter().map(|comment| comment.text.as_str()).collect();
        engine.classify(&texts, &mut part);
        all.append(&mut part);
    }
    let outcomes: Vec<Outcome> =
        all.iter().zip(comments).map(|(prediction, comment)| outcome(prediction, comment.class)).collect();
    let metrics = Metrics::of(&outcomes);
    Measured { outcomes, predictions: all, metrics }
}

fn outcome(prediction: &Prediction, class: usize) -> Outcome {
    if prediction.scores.is_empty() {
        Outcome::of_two(class, f64::from(prediction.score))
    } else {
        Outcome { class, probabilities: prediction.scores.iter().map(|&score| f64::from(score)).collect() }
    }
}

/// Comments a second of two engines on the same comments, by turns, so that a machine's mood touches both. What counts is
/// the time that this thread was given: retraining lets others go first, and being left out says nothing of a model.
pub fn speed(engines: [&mut Engine; 2], comments: &[Comment]) -> [f64; 2] {
    let texts: Vec<&str> = comments.iter().cycle().take(ROUND).map(|comment| comment.text.as_str()).collect();
    if texts.is_empty() {
        return [0.0; 2];
    }
    let mut best = [Duration::MAX; 2];
    let mut predictions = Vec::new();
    let [first, second] = engines;
    for _ in 0..ROUNDS {
        for (engine, best) in [&mut *first, &mut *second].into_iter().zip(&mut best) {
            let begin = thread_time();
            engine.classify(&texts, &mut predictions);
            *best = thread_time().saturating_sub(begin).min(*best);
        }
    }
    best.map(|time| texts.len() as f64 / time.as_secs_f64().max(1e-9))
}

/// How long this thread has been running on a core.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}
