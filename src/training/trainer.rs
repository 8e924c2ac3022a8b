//! Mini-batch gradient descent on all cores, over data that is streamed from disk.
//!
//! A run is two stages: predicting next tokens ([`super::language`], if asked for), then telling classes apart. It can be stopped
//! and killed at any moment: from its last checkpoint it goes on as if nothing had happened, to the same weights, bit by bit.
//! A loss that is not a number or runs away takes it back to the last good weights, with a smaller rate.

use super::batches::Reading;
use super::checkpoint::{self, Checkpoint, CheckpointError};
use super::corpus::Corpus;
use super::examples::Group;
use super::guard::{Guard, Seen, Verdict};
use super::judge;
use super::language::{self, Frequencies, Predict};
use super::metrics::balanced_accuracy;
use super::optimiser::Optimiser;
use super::schedule::{Shape as RateShape, rate};
use super::step::{Classify, Example, StepSettings, Stepped, Stepper};
use crate::engine::backprop::Backprop;
use crate::rnn::Network;
use crate::text::Tokenizer;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use thiserror::Error;

/// Tokens that stand against the right one when the next token is predicted.
const CANDIDATES: usize = 1_024;
/// After so many steps the weights may be taken as what to go back to. Only then is a checkpoint written too: what a run goes back
/// to must not depend on when it was killed.
const GOOD_EVERY: u64 = 50;

/// How to train.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Settings {
    /// Passes over the data.
    pub epochs: usize,
    /// Passes over all comments, labelled or not, in which next tokens are predicted, before.
    pub pretraining: usize,
    /// Examples that are computed together.
    pub batch: usize,
    /// Batches whose gradients are added for one step.
    pub accumulate: usize,
    /// The highest learning rate.
    pub rate: f64,
    /// How the rate changes.
    pub schedule: RateShape,
    /// The share of all steps in which the rate rises.
    pub warm_up: f64,
    /// AdamW's weight decay.
    pub weight_decay: f64,
    /// The largest norm of a step's gradient.
    pub clip: f64,
    /// The share of the embeddings' values that is dropped.
    pub dropout_inputs: f64,
    /// The share of the values between layers and before the head that is dropped.
    pub dropout_features: f64,
    /// The share of tokens that is left out of a sequence.
    pub word_dropout: f64,
    /// The share of a target's probability that is spread over all classes.
    pub smoothing: f64,
    /// How much a teacher's word counts against the label, in `0..=1`.
    pub teacher_share: f64,
    /// Decay of the moving average of the weights that is kept in the end; 0 keeps the last weights.
    pub average: f64,
    /// Epochs without a better development score after which training ends; 0 never ends early.
    pub patience: usize,
    /// Seed of everything random.
    pub seed: u64,
    /// Threads; the result does not depend on them.
    #[serde(skip)]
    pub threads: usize,
}

/// What came out of one epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Counted from 1.
    pub epoch: usize,
    /// Mean training loss of an example, in nats.
    pub loss: f64,
    /// Balanced accuracy on each development group.
    pub dev: Vec<f64>,
    /// Trained examples a second; in no report, so that the same training gives the same file.
    #[serde(skip)]
    pub examples_per_s: f64,
}

impl Epoch {
    /// What decides which epoch is best: the mean over the development groups.
    pub fn score(&self) -> Option<f64> {
        (!self.dev.is_empty()).then(|| self.dev.iter().sum::<f64>() / self.dev.len() as f64)
    }
}

/// Hears how training goes on.
pub trait Progress {
    /// A stage begins: `name` for people, its epochs, and the examples of all of them together.
    fn stage(&mut self, name: &str, epochs: usize, examples: u64) {
        let _ = (name, epochs, examples);
    }
    /// The stage goes on in this epoch; so many of its examples were trained on before this process.
    fn resumed(&mut self, epoch: usize, examples: u64) {
        let _ = (epoch, examples);
    }
    /// A step over `examples` examples ended; their mean loss and the learning rate.
    fn step(&mut self, examples: usize, loss: f64, rate: f64);
    /// An epoch ended and was measured.
    fn epoch(&mut self, epoch: &Epoch);
    /// Something that a person wants to know.
    fn note(&mut self, text: &str) {
        let _ = text;
    }
}

/// What to train on, and how.
#[derive(Clone, Copy, Debug)]
pub struct Task<'a> {
    /// The comments.
    pub corpus: &'a Corpus,
    /// What cuts them into tokens.
    pub tokenizer: &'a Tokenizer,
    /// Longer comments keep their first tokens.
    pub max_tokens: usize,
    /// What epochs are compared on.
    pub dev: &'a [Group],
    /// How.
    pub settings: &'a Settings,
    /// What else a checkpoint must agree with: who the teachers are.
    pub teachers: &'a str,
    /// Where checkpoints are kept, if they are, and how often one is written; for the caller to remove when training is done.
    pub checkpoint: Option<(&'a Path, Duration)>,
    /// Set to end early, with the best weights so far.
    pub stop: &'a AtomicBool,
}

/// A trained network.
#[derive(Clone, Debug)]
pub struct Trained {
    /// The weights of the best epoch (of the last without development data).
    pub network: Network<f32>,
    /// Every epoch that was trained.
    pub epochs: Vec<Epoch>,
    /// Which of them was kept, counted from 1; 0 if training was stopped within the first.
    pub best: usize,
    /// Whether it was stopped before its end.
    pub stopped: bool,
    /// How long it took, in this process.
    pub took: Duration,
}

/// Why training ended without a network.
#[derive(Debug, Error)]
pub enum TrainError {
    /// The comments cannot be read again.
    #[error("cannot read the comments to train on again: {0}")]
    Corpus(#[from] std::io::Error),
    /// A checkpoint cannot be written or read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// It was stopped before there was anything that judges.
    #[error("stopped while next tokens were learned: there is no model yet")]
    Stopped,
    /// It diverged again and again.
    #[error(
        "training diverges: the loss ran away or was not a number {0} times, the last time at a rate of {1:.1e}; \
         try a smaller --rate with --restart, or look for comments whose labels contradict each other"
    )]
    Diverged(usize, f64),
}

/// The place in a run, as it stands in a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Place {
    /// 0: predicting tokens; 1: telling classes apart.
    pub stage: usize,
    /// The epoch, counted from 1; 0 before the first.
    pub epoch: usize,
    pub window: usize,
    /// The next batch of the window.
    pub batch: usize,
    /// Steps of the stage so far.
    pub step: u64,
    /// Examples of the stage so far.
    pub examples: u64,
    /// Of the epoch so far: the sum of losses, and over how many examples.
    pub loss: f64,
    pub loss_examples: u64,
    pub guard: Guard,
    pub epochs: Vec<Epoch>,
    /// The best epoch's score and number.
    pub best: Option<(f64, usize)>,
}

/// Trains `network`.
///
/// # Errors
/// See [`TrainError`].
pub fn train(
    network: Network<f32>,
    task: &Task<'_>,
    progress: &mut dyn Progress,
) -> Result<Trained, TrainError> {
    let begin = Instant::now();
    let fingerprint = task.fingerprint(&network);
    let mut run = Run::new(network, task, fingerprint)?;
    if run.place.stage == 0 {
        run.pretrain(progress)?;
    }
    if run.place.stage == 0 {
        return Err(TrainError::Stopped);
    }
    run.classify(progress)?;
    Ok(run.finish(begin))
}

impl Task<'_> {
    /// What a checkpoint must agree with to go on from.
    fn fingerprint(&self, network: &Network<f32>) -> String {
        use sha2::{Digest, Sha256};
        let settings = serde_json::to_string(self.settings).expect("settings are plain data");
        let mut hash = Sha256::new();
        for part in [
            settings.as_bytes(),
            self.corpus.fingerprint().as_bytes(),
            self.teachers.as_bytes(),
            &self.tokenizer.to_parts().1,
            format!("{:?} {}", network.shape, self.max_tokens).as_bytes(),
            Backprop::best().precision().as_bytes(),
        ] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        // Weights to begin with: a few of them tell.
        for value in network.embedding.iter().take(4_096).chain(&network.head.weight) {
            hash.update(value.to_le_bytes());
        }
        hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// The state of one run.
struct Run<'a> {
    task: &'a Task<'a>,
    fingerprint: String,
    /// What is trained in this stage.
    network: Network<f32>,
    optimiser: Optimiser,
    stepper: Stepper,
    backprop: Backprop,
    place: Place,
    best: Option<Network<f32>>,
    /// What to go back to.
    good: (Network<f32>, Optimiser),
    saved: Instant,
}

impl<'a> Run<'a> {
    /// Begins, or goes on from a checkpoint.
    fn new(network: Network<f32>, task: &'a Task<'a>, fingerprint: String) -> Result<Self, TrainError> {
        let backprop = Backprop::best();
        let found = match task.checkpoint {
            Some((path, _)) => checkpoint::load(path, &fingerprint, &network)?,
            None => None,
        };
        let first_stage = usize::from(task.settings.pretraining == 0);
        let (network, optimiser, place, best) = match found {
            Some(Checkpoint { network, optimiser, place, best }) => {
                let mut own = new_optimiser(task.settings, &network, backprop);
                own.restore(optimiser);
                (network, own, place, best)
            }
            None => {
                let network =
                    if first_stage == 0 { for_tokens(&network, task.settings.seed) } else { network };
                let optimiser = new_optimiser(task.settings, &network, backprop);
                (network, optimiser, Place { stage: first_stage, ..Place::default() }, None)
            }
        };
        let good = (network.clone(), optimiser.clone());
        let stepper = Stepper::new(backprop);
        let saved = Instant::now();
        Ok(Run { task, fingerprint, network, optimiser, stepper, backprop, place, best, good, saved })
    }

    /// The first stage; afterwards the second one's network and optimiser are there.
    fn pretrain(&mut self, progress: &mut dyn Progress) -> Result<(), TrainError> {
        let reading = self.reading(true);
        let mut counts = vec![0_u64; self.network.shape.vocabulary];
        for window in reading.windows(0, 0).take(4) {
            window?.1.tokens().iter().for_each(|&token| counts[token as usize] += 1);
        }
        let frequencies = Frequencies::new(&counts);
        let epochs = self.task.settings.pretraining;
        let examples = self.task.corpus.len() * epochs as u64;
        progress.stage("predicting next tokens", epochs, examples);
        if self.place.examples > 0 {
            progress.resumed(self.place.epoch, self.place.examples);
        }
        for number in self.place.epoch.max(1)..=epochs {
            let loss = self.epoch(number, reading, examples, Some(&frequencies), progress)?;
            if self.task.stopped() {
                break;
            }
            progress.epoch(&loss);
        }
        if !self.task.stopped() {
            let averaged = self.optimiser.averaged(&self.network);
            self.network = for_classes(averaged, &self.head_wanted()?);
            self.optimiser = new_optimiser(self.task.settings, &self.network, self.backprop);
            self.stepper = Stepper::new(self.backprop);
            self.place = Place { stage: 1, ..Place::default() };
            self.remember()?;
        }
        Ok(())
    }

    fn head_wanted(&self) -> Result<Network<f32>, TrainError> {
        let classes = self.task.corpus.classes().len().max(2);
        let shape = checkpoint::for_classes(self.network.shape, classes);
        Ok(Network::random(crate::rnn::Shape { vocabulary: 1, ..shape }, self.task.settings.seed ^ 1)
            .expect("the shape of a network with another head"))
    }

    /// The second stage.
    fn classify(&mut self, progress: &mut dyn Progress) -> Result<(), TrainError> {
        let settings = self.task.settings;
        let reading = self.reading(false);
        let usable = reading.usable()?;
        let examples = usable * settings.epochs as u64;
        progress.stage("telling classes apart", settings.epochs, examples);
        self.place.epochs.iter().for_each(|epoch| progress.epoch(epoch));
        if self.place.examples > 0 {
            progress.resumed(self.place.epoch, self.place.examples);
        }
        for number in self.place.epoch.max(1)..=settings.epochs {
            if self.patience_is_over() {
                break;
            }
            let mut epoch = self.epoch(number, reading, examples, None, progress)?;
            if self.task.stopped() {
                break;
            }
            let candidate = self.optimiser.averaged(&self.network);
            epoch.dev = self.measure(&candidate);
            progress.epoch(&epoch);
            // Without development data later is better.
            let score = epoch.score().unwrap_or(number as f64);
            self.place.epochs.push(epoch);
            if self.place.best.is_none_or(|(highest, _)| score > highest) {
                self.place.best = Some((score, number));
                self.best = Some(candidate);
            }
            self.begin_epoch(number + 1);
            self.remember()?;
        }
        Ok(())
    }

    fn patience_is_over(&self) -> bool {
        let patience = self.task.settings.patience;
        let best = self.place.best.map_or(0, |(_, at)| at);
        patience > 0 && self.place.epochs.len() >= best + patience
    }

    fn begin_epoch(&mut self, number: usize) {
        self.place = Place {
            epoch: number,
            window: 0,
            batch: 0,
            loss: 0.0,
            loss_examples: 0,
            ..std::mem::take(&mut self.place)
        };
    }

    /// The rest of an epoch.
    fn epoch(
        &mut self,
        number: usize,
        reading: Reading<'_>,
        total: u64,
        frequencies: Option<&Frequencies>,
        progress: &mut dyn Progress,
    ) -> Result<Epoch, TrainError> {
        if self.place.epoch != number {
            self.begin_epoch(number);
        }
        let (begin, before) = (Instant::now(), self.place.examples);
        for window in reading.windows(number as u64, self.place.window) {
            let (at, window) = window?;
            if at != self.place.window {
                (self.place.window, self.place.batch) = (at, 0);
            }
            while self.place.batch < window.len() {
                let together = self.task.settings.accumulate.max(1).min(window.len() - self.place.batch);
                let parts: Vec<Vec<Example<'_>>> = (self.place.batch..self.place.batch + together)
                    .map(|index| window.batch(index))
                    .collect();
                let stepped = self.step(&parts, total, frequencies, progress);
                self.place.batch += together;
                self.judge(&stepped, &parts, progress)?;
                if self.task.stopped() {
                    self.save()?;
                    return Ok(self.epoch_so_far(begin, before));
                }
                if self.place.step.is_multiple_of(GOOD_EVERY) && self.place.guard.calm(self.chance()) {
                    self.take_as_good();
                    if self.task.checkpoint.is_some_and(|(_, every)| self.saved.elapsed() >= every) {
                        self.save()?;
                    }
                }
            }
        }
        Ok(self.epoch_so_far(begin, before))
    }

    fn epoch_so_far(&self, begin: Instant, before: u64) -> Epoch {
        Epoch {
            epoch: self.place.epoch,
            loss: self.place.loss / self.place.loss_examples.max(1) as f64,
            dev: Vec::new(),
            examples_per_s: (self.place.examples - before) as f64 / begin.elapsed().as_secs_f64().max(1e-9),
        }
    }

    fn step(
        &mut self,
        parts: &[Vec<Example<'_>>],
        total: u64,
        frequencies: Option<&Frequencies>,
        progress: &mut dyn Progress,
    ) -> Stepped {
        let settings = self.task.settings;
        let done = self.place.examples as f64 / total.max(1) as f64;
        let rate = rate(settings.schedule, settings.warm_up, done) * settings.rate * self.place.guard.scale();
        let step = StepSettings {
            rate: rate as f32,
            dropout_inputs: settings.dropout_inputs as f32,
            dropout_features: settings.dropout_features as f32,
            smoothing: settings.smoothing,
            key: (settings.seed << 40) ^ ((self.place.stage as u64) << 39) ^ self.place.step,
            threads: settings.threads,
        };
        let parts: Vec<&[Example<'_>]> = parts.iter().map(Vec::as_slice).collect();
        let (network, optimiser) = (&mut self.network, &mut self.optimiser);
        let stepped = match frequencies {
            None => self.stepper.step(network, optimiser, &Classify, &parts, &step),
            Some(frequencies) => {
                let place = (settings.seed, self.place.step);
                let predict = Predict::new(&self.backprop, network, frequencies, CANDIDATES, place);
                self.stepper.step(network, optimiser, &predict, &parts, &step)
            }
        };
        let examples: usize = parts.iter().map(|part| part.len()).sum();
        self.place.step += 1;
        self.place.examples += examples as u64;
        progress.step(examples, stepped.loss, rate);
        stepped
    }

    /// Looks at a step's loss, and goes back if it ran away.
    fn judge(
        &mut self,
        stepped: &Stepped,
        parts: &[Vec<Example<'_>>],
        progress: &mut dyn Progress,
    ) -> Result<(), TrainError> {
        let examples: usize = parts.iter().map(Vec::len).sum();
        let weight = match self.place.stage {
            0 => 1.0,
            _ => {
                parts.iter().flatten().map(|example| f64::from(example.target.weight)).sum::<f64>()
                    / examples as f64
            }
        };
        let loss = if weight > 0.0 { stepped.loss / weight } else { stepped.loss };
        let rate_before = self.place.guard.scale();
        match self.place.guard.look(Seen { loss, norm: stepped.norm, examples, chance: self.chance() }) {
            Verdict::Fine => {
                self.place.loss += stepped.loss * examples as f64;
                self.place.loss_examples += examples as u64;
                Ok(())
            }
            Verdict::GoBack(why) => {
                let scale = self.place.guard.scale();
                progress.note(&format!(
                    "{why} at step {}: back to the last good weights, with a highest rate of {:.1e} instead of {:.1e}",
                    self.place.step,
                    self.task.settings.rate * scale,
                    self.task.settings.rate * rate_before
                ));
                (self.network, self.optimiser) = self.good.clone();
                Ok(())
            }
            Verdict::GiveUp(times) => Err(TrainError::Diverged(times, self.task.settings.rate * rate_before)),
        }
    }

    /// The loss of a network that knows nothing.
    fn chance(&self) -> f64 {
        let choices = match self.place.stage {
            0 => self.network.shape.vocabulary,
            _ => self.network.shape.outputs.max(2),
        };
        (choices as f64).ln()
    }

    fn measure(&self, network: &Network<f32>) -> Vec<f64> {
        let threads = self.task.settings.threads;
        let groups = self.task.dev.iter();
        groups.map(|group| balanced_accuracy(&judge::judge(network, &group.examples, 1.0, threads))).collect()
    }

    fn reading(&self, unlabelled: bool) -> Reading<'a> {
        let settings = self.task.settings;
        Reading {
            corpus: self.task.corpus,
            tokenizer: self.task.tokenizer,
            max_tokens: self.task.max_tokens,
            batch: settings.batch,
            word_dropout: if unlabelled { 0.0 } else { settings.word_dropout },
            teacher_share: settings.teacher_share,
            unlabelled,
            seed: settings.seed.wrapping_add(if unlabelled { 0x7777 } else { 0 }),
        }
    }

    /// Takes the weights of now as good, and writes a checkpoint.
    fn remember(&mut self) -> Result<(), TrainError> {
        self.take_as_good();
        self.save()
    }

    fn take_as_good(&mut self) {
        self.good = (self.network.clone(), self.optimiser.clone());
    }

    fn save(&mut self) -> Result<(), TrainError> {
        self.saved = Instant::now();
        if let Some((path, _)) = self.task.checkpoint {
            checkpoint::save(
                path,
                &self.fingerprint,
                &self.network,
                &self.optimiser,
                self.best.as_ref(),
                &self.place,
            )?;
        }
        Ok(())
    }

    fn finish(self, begin: Instant) -> Trained {
        let stopped = self.task.stopped();
        let averaged = || self.optimiser.averaged(&self.network);
        let (best, network) = match (self.place.best, self.best) {
            (Some((_, number)), Some(network)) => (number, network),
            // Stopped before the first epoch's end.
            _ => (0, averaged()),
        };
        Trained { network, epochs: self.place.epochs, best, stopped, took: begin.elapsed() }
    }
}

fn new_optimiser(settings: &Settings, network: &Network<f32>, backprop: Backprop) -> Optimiser {
    Optimiser::new(network, settings.weight_decay, settings.clip, settings.average, backprop.arch())
}

/// The same network with a head that predicts tokens.
fn for_tokens(network: &Network<f32>, seed: u64) -> Network<f32> {
    let shape = language::shape(network.shape);
    let fresh = Network::random(crate::rnn::Shape { vocabulary: 1, ..shape }, seed ^ 2)
        .expect("the shape of a network with another head");
    let mut embedding = network.embedding.clone();
    // Logits are products of embeddings: small ones begin with even odds.
    embedding.mapv_inplace(|value| value * 0.25);
    Network { shape, embedding, layers: network.layers.clone(), head: fresh.head }
}

/// The same network with the head of `like`.
fn for_classes(network: Network<f32>, like: &Network<f32>) -> Network<f32> {
    let shape = crate::rnn::Shape { vocabulary: network.shape.vocabulary, ..like.shape };
    Network { shape, head: like.head.clone(), ..network }
}
