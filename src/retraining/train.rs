//! The candidate: the current network trained on, or a new one of its shape. The only place that calls the trainer.

use super::RetrainError;
#[cfg(test)]
use super::comment::Comment;
use super::comment::classes;
use super::extension;
use super::split::{LabeledSource, Split};
use crate::stop::Stop;
use nunchi_data::CommentKeys;
use nunchi_data::{EncodedSet, Examples};
use nunchi_eval::calibration;
use nunchi_model::rnn::{Network, Shape};
use nunchi_model::{Extension, Golden, Model, WeightFormat};
use nunchi_text::{Scratch, Tokenizer};
use nunchi_train::corpus::{Corpus, NewRow, Writer};
use nunchi_train::trainer::{self, Outcome, Progress, Settings, Task, TrainError, Trained};
use serde::Serialize;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

/// How often a stop is checked for while a network trains.
const STOP_INTERVAL: Duration = Duration::from_millis(100);

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

/// Trains a candidate for `current` on `split`. `run` is the name of this run: it is part of the model, so that two runs never
/// produce the same version.
///
/// # Errors
/// A stop; a network or a tokenizer that cannot be created.
pub fn train(
    current: &Model,
    split: &Split,
    recipe: &Recipe,
    run: &str,
    stop: &Stop,
    progress: Box<dyn Progress + Send>,
) -> Result<Candidate, RetrainError> {
    let labels = current.labels.len();
    let (tokenizer, network) = if recipe.from_scratch {
        let texts = split.train.iter().flat_map(|source| source.comments.iter());
        let vocabulary = current.tokenizer.vocabulary();
        let tokenizer = nunchi_text::train(texts.map(|comment| comment.text.as_str()), vocabulary)?;
        let shape = Shape { vocabulary: tokenizer.vocabulary(), ..current.network.shape };
        (tokenizer, Network::random(shape, recipe.settings.seed)?)
    } else {
        (current.tokenizer.clone(), current.network.clone())
    };
    let input =
        TrainerInput { corpus: corpus(&split.train, labels)?, tokenizer, max_tokens: current.max_tokens };
    let dev: Vec<EncodedSet> = split.dev.iter().map(|source| input.encode(source)).collect();
    let tokenizer = input.tokenizer.clone();
    let trained = on_a_thread(network, input, dev.clone(), recipe.settings.clone(), progress, stop)?;

    // What is evaluated, calibrated and recorded from here on is what will be stored.
    let mut network = trained.network;
    for (_, mut tensor) in network.tensors_mut() {
        tensor.mapv_inplace(|value| WeightFormat::F16.round(value));
    }
    let temperature =
        calibration::calibrate(&network, &dev, recipe.settings.threads).unwrap_or(current.temperature);
    let sources: Vec<_> = split
        .train
        .iter()
        .map(|source| {
            serde_json::json!({
                "source": source.name,
                "weight": source.weight,
                "classes": classes(&source.comments, labels),
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
        // Scored when the model is saved, with the stored weights.
        golden: current
            .golden
            .iter()
            .map(|golden| Golden { text: golden.text.clone(), score: 0.0 })
            .collect(),
        report,
        extension: Extension::default(),
        version: String::new(),
        checksum: String::new(),
    };
    let model = extension::carried_over(current, model, split, recipe.from_scratch)?;
    let (content, _) = model.to_bytes(WeightFormat::F16)?;
    Ok(Candidate { model: Model::from_bytes(&content)?, content, took: trained.took })
}

/// Trains on a separate thread, so that a stop need not wait for the end of the step.
fn on_a_thread(
    network: Network<f32>,
    input: TrainerInput,
    dev: Vec<EncodedSet>,
    settings: Settings,
    mut progress: Box<dyn Progress + Send>,
    stop: &Stop,
) -> Result<Trained, RetrainError> {
    let (sender, receiver) = sync_channel(1);
    let flag = Arc::new(AtomicBool::new(false));
    let flagged = Arc::clone(&flag);
    let thread = std::thread::Builder::new().name("nunchi-train".to_owned()).spawn(move || {
        let task = Task {
            corpus: &input.corpus,
            tokenizer: &input.tokenizer,
            max_tokens: input.max_tokens,
            dev: &dev,
            settings: &settings,
            checkpoint: None,
            teachers: "",
            stop: &flagged,
        };
        let trained = trainer::train(network, &task, progress.as_mut());
        // The receiver is dropped after a stop.
        let _ = sender.send(trained);
    });
    let thread = thread.map_err(|error| RetrainError::Usage(format!("no thread can be started: {error}")))?;
    loop {
        match receiver.recv_timeout(STOP_INTERVAL) {
            Ok(trained) => {
                let Outcome::Finished(trained) = trained? else { return Err(RetrainError::Stopped) };
                let trained = *trained;
                // The data made training diverge: the weights from before are not a candidate.
                return trained.diverged.map_or(Ok(trained), |why| Err(TrainError::from(why).into()));
            }
            Err(RecvTimeoutError::Timeout) if stop.requested() => {
                flag.store(true, Ordering::Relaxed);
                return Err(RetrainError::Stopped);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => match thread.join() {
                Err(panic) => std::panic::resume_unwind(panic),
                Ok(()) => unreachable!("it sends before it ends"),
            },
        }
    }
}

/// The training data, and how it is tokenized.
struct TrainerInput {
    corpus: Corpus,
    tokenizer: Tokenizer,
    max_tokens: usize,
}

/// All sources: within each the classes count the same, and over all a comment counts 1 on average.
fn corpus(sources: &[LabeledSource], labels: usize) -> Result<Corpus, RetrainError> {
    let mut writer = Writer::new(None, labels)?;
    let mut keys = CommentKeys::default();
    for source in sources {
        writer.begin_source(source.weight);
        for comment in &source.comments {
            let key = keys.key(&comment.text);
            let class = Some(comment.class as u32);
            writer.push(NewRow { text: &comment.text, class, soft: None, key })?;
        }
    }
    let (corpus, _) = writer.finish(&HashSet::new())?;
    Ok(corpus)
}

impl TrainerInput {
    fn encode(&self, source: &LabeledSource) -> EncodedSet {
        let (mut scratch, mut tokens, mut examples) = (Scratch::default(), Vec::new(), Examples::default());
        for comment in &source.comments {
            tokens.clear();
            self.tokenizer.encode(&comment.text, self.max_tokens, &mut scratch, &mut tokens);
            examples.push(&tokens, comment.class, 1.0);
        }
        EncodedSet { name: source.name.clone(), examples }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_balance_within_a_source_and_the_mean_weight_is_one() {
        let comment =
            |class| Comment { text: "좋아요".to_owned(), class, id: None, time_ms: 0, stars: None };
        let source = |weight, classes: &[usize]| LabeledSource {
            weight,
            comments: classes.iter().map(|&class| comment(class)).collect(),
            ..LabeledSource::default()
        };
        let corpus = corpus(&[source(1.0, &[1, 1, 1, 0]), source(3.0, &[1, 0])], 2).unwrap();
        let weights: Vec<f32> = corpus.rows().map(|row| row.unwrap().weight).collect();
        assert!((3.0 * weights[0] - weights[3]).abs() < 1e-6, "classes count the same");
        assert!((weights[4] + weights[5] - 1.5 * weights[..4].iter().sum::<f32>()).abs() < 1e-5);
        assert!((weights.iter().sum::<f32>() - 6.0).abs() < 1e-5);
    }
}
