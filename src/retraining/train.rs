//! The candidate: the current network trained on, or a new one of its shape. The only place that calls the trainer.

use super::RetrainError;
use super::comment::{Comment, classes};
use super::split::{Lesson, Parts};
use crate::model::{Golden, Model, Precision};
use crate::pipeline::Stop;
use crate::rnn::{Network, Shape};
use crate::text::{Scratch, Tokenizer};
use crate::training::examples::{Examples, Group};
use crate::training::judge;
use crate::training::trainer::{self, Progress, Settings, Trained};
use serde::Serialize;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

/// How often a stop is looked for while a network trains.
const LOOK: Duration = Duration::from_millis(100);

/// How to train.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recipe {
    /// Whether to begin with random weights and a new tokenizer instead of the current ones.
    pub from_scratch: bool,
    /// The trainer's settings.
    #[serde(flatten)]
    pub settings: Settings,
}

/// A trained candidate.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The model as it will be read back from its file.
    pub model: Model,
    /// The content of that file.
    pub content: Vec<u8>,
    /// How long training took.
    pub took: Duration,
}

/// Trains a candidate for `current` on `parts`. `run` names this run: it is part of the model, so that two runs never make
/// the same version.
///
/// # Errors
/// A stop; a network or a tokenizer that cannot be made.
pub fn train(
    current: &Model,
    parts: &Parts,
    recipe: &Recipe,
    run: &str,
    stop: &Stop,
    progress: Box<dyn Progress + Send>,
) -> Result<Candidate, RetrainError> {
    let labels = current.labels.len();
    let (tokenizer, network) = if recipe.from_scratch {
        let texts = parts.lessons.iter().flat_map(|lesson| lesson.comments.iter());
        let vocabulary = current.tokenizer.vocabulary();
        let tokenizer = crate::text::train(texts.map(|comment| comment.text.as_str()), vocabulary)?;
        let shape = Shape { vocabulary: tokenizer.vocabulary(), ..current.network.shape };
        (tokenizer, Network::random(shape, recipe.settings.seed)?)
    } else {
        (current.tokenizer.clone(), current.network.clone())
    };
    let cutter = Cutter { tokenizer: &tokenizer, max_tokens: current.max_tokens, labels };
    let examples = cutter.examples(&parts.lessons);
    let dev: Vec<Group> = parts.dev.iter().map(|lesson| cutter.group(lesson)).collect();
    let trained = on_a_thread(network, examples, dev.clone(), recipe.settings.clone(), progress, stop)?;

    // What is judged, calibrated and recorded from here on is what will be stored.
    let mut network = trained.network;
    for (_, mut tensor) in network.tensors_mut() {
        tensor.mapv_inplace(|value| Precision::F16.round(value));
    }
    let temperature = dev.first().map_or(current.temperature, |group| {
        judge::calibrate(&network, &group.examples, recipe.settings.threads)
    });
    let sources: Vec<_> = parts
        .lessons
        .iter()
        .map(|lesson| {
            serde_json::json!({
                "source": lesson.name,
                "weight": lesson.weight,
                "classes": classes(&lesson.comments, labels),
            })
        })
        .collect();
    let report = serde_json::json!({
        "made_by": concat!("nunchi ", env!("CARGO_PKG_VERSION")),
        "run": run,
        "parent": current.version,
        "data": sources,
        "settings": recipe,
        "epochs": trained.epochs,
        "kept_epoch": trained.best,
    });
    let model = Model {
        name: current.name.clone(),
        network,
        tokenizer,
        labels: current.labels.clone(),
        max_tokens: current.max_tokens,
        temperature,
        // Saving scores them, with the weights that it stores.
        golden: current
            .golden
            .iter()
            .map(|golden| Golden { text: golden.text.clone(), score: 0.0 })
            .collect(),
        report,
        version: String::new(),
    };
    let (content, _) = model.to_bytes(Precision::F16)?;
    Ok(Candidate { model: Model::from_bytes(&content)?, content, took: trained.took })
}

/// Trains on a thread of its own, so that a stop need not wait for the end: that thread ends with the process.
fn on_a_thread(
    network: Network<f32>,
    examples: Examples,
    dev: Vec<Group>,
    settings: Settings,
    mut progress: Box<dyn Progress + Send>,
    stop: &Stop,
) -> Result<Trained, RetrainError> {
    let (sender, receiver) = sync_channel(1);
    let thread = std::thread::Builder::new().name("nunchi-train".to_owned()).spawn(move || {
        let trained = trainer::train(network, &examples, &dev, &settings, progress.as_mut());
        // Whoever stopped does not wait for it any more.
        let _ = sender.send(trained);
    });
    let thread = thread.map_err(|error| RetrainError::Usage(format!("no thread can be started: {error}")))?;
    loop {
        match receiver.recv_timeout(LOOK) {
            Ok(trained) => return Ok(trained),
            Err(RecvTimeoutError::Timeout) if stop.requested() => return Err(RetrainError::Stopped),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => match thread.join() {
                Err(panic) => std::panic::resume_unwind(panic),
                Ok(()) => unreachable!("it sends before it ends"),
            },
        }
    }
}

/// Makes examples of comments.
struct Cutter<'a> {
    tokenizer: &'a Tokenizer,
    max_tokens: usize,
    labels: usize,
}

impl Cutter<'_> {
    /// All lessons: within each the classes count the same, and over all an example counts 1 on average.
    fn examples(&self, lessons: &[Lesson]) -> Examples {
        let weights: Vec<Vec<f64>> = lessons.iter().map(|lesson| self.weights(lesson)).collect();
        let count = lessons.iter().map(|lesson| lesson.comments.len()).sum::<usize>();
        let total: f64 = lessons
            .iter()
            .zip(&weights)
            .flat_map(|(lesson, weights)| lesson.comments.iter().map(|comment| weights[comment.class]))
            .sum();
        let scale = count as f64 / total.max(f64::MIN_POSITIVE);
        let mut examples = Examples::default();
        for (lesson, weights) in lessons.iter().zip(&weights) {
            self.push(&mut examples, &lesson.comments, |class| (weights[class] * scale) as f32);
        }
        examples
    }

    /// What an example of each class counts, before scaling.
    fn weights(&self, lesson: &Lesson) -> Vec<f64> {
        let counts = classes(&lesson.comments, self.labels);
        let present = counts.iter().filter(|&&count| count > 0).count();
        let total = lesson.comments.len() as f64;
        counts.iter().map(|&count| lesson.weight * total / (present * count.max(1)) as f64).collect()
    }

    fn group(&self, lesson: &Lesson) -> Group {
        let mut examples = Examples::default();
        self.push(&mut examples, &lesson.comments, |_| 1.0);
        Group { name: lesson.name.clone(), examples }
    }

    fn push(&self, examples: &mut Examples, comments: &[Comment], weight: impl Fn(usize) -> f32) {
        let (mut scratch, mut tokens) = (Scratch::default(), Vec::new());
        for comment in comments {
            tokens.clear();
            self.tokenizer.encode(&comment.text, self.max_tokens, &mut scratch, &mut tokens);
            examples.push(&tokens, comment.class, weight(comment.class));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_balance_within_a_lesson_and_the_mean_weight_is_one() {
        let comment =
            |class| Comment { text: "좋아요".to_owned(), class, id: None, time_ms: 0, stars: None };
        let lesson = |weight, classes: &[usize]| Lesson {
            weight,
            comments: classes.iter().map(|&class| comment(class)).collect(),
            ..Lesson::default()
        };
        let tokenizer = crate::model::testing::tokenizer();
        let cutter = Cutter { tokenizer: &tokenizer, max_tokens: 8, labels: 2 };
        let examples = cutter.examples(&[lesson(1.0, &[1, 1, 1, 0]), lesson(3.0, &[1, 0])]);
        let weight = |index: usize| examples.weight(index);
        assert!((3.0 * weight(0) - weight(3)).abs() < 1e-6, "classes count the same");
        assert!((weight(4) + weight(5) - 1.5 * (0..4).map(weight).sum::<f32>()).abs() < 1e-5);
        assert!(((0..6).map(weight).sum::<f32>() - 6.0).abs() < 1e-5);
    }
}
