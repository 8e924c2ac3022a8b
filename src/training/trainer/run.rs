//! A run: its two stages, epoch by epoch and step by step, and the place in it that a checkpoint holds.

use super::{Diverged, Epoch, Keep, Progress, Settings, Task, TrainError, Trained};
use crate::engine::backprop::Backprop;
use crate::rnn::Network;
use crate::training::batches::Reading;
use crate::training::checkpoint::{self, Checkpoint};
use crate::training::guard::{Guard, Seen, Verdict};
use crate::training::judge;
use crate::training::language::{self, Frequencies, Predict};
use crate::training::metrics::balanced_accuracy;
use crate::training::optimiser::Optimiser;
use crate::training::schedule::rate;
use crate::training::step::{Classify, Example, StepSettings, Stepped, Stepper};
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// Tokens that stand against the right one when the next token is predicted.
const CANDIDATES: usize = 1_024;
/// After so many steps the weights may be taken as what to go back to. Only then is a checkpoint written too: what a run goes back
/// to must not depend on when it was killed.
const GOOD_EVERY: u64 = 50;

/// The place in a run, as it stands in a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(in crate::training) struct Place {
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

/// The state of one run.
pub(super) struct Run<'a> {
    task: &'a Task<'a>,
    fingerprint: String,
    /// What is trained in this stage.
    network: Network<f32>,
    optimiser: Optimiser,
    stepper: Stepper,
    backprop: Backprop,
    place: Place,
    best: Option<Network<f32>>,
    /// What it began with, where something of that is kept.
    start: Option<Network<f32>>,
    /// What to go back to.
    good: (Network<f32>, Optimiser),
    saved: Instant,
    /// Why it ended before its time.
    diverged: Option<Diverged>,
}

impl<'a> Run<'a> {
    /// Begins, or goes on from a checkpoint.
    pub(super) fn new(
        network: Network<f32>,
        task: &'a Task<'a>,
        fingerprint: String,
    ) -> Result<Self, TrainError> {
        let backprop = Backprop::best();
        let found = match task.checkpoint {
            Some((path, _)) => checkpoint::load(path, &fingerprint, &network)?,
            None => None,
        };
        let start = (task.settings.blend < 1.0 && task.settings.pretraining == 0).then(|| network.clone());
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
        Ok(Run {
            task,
            fingerprint,
            network,
            optimiser,
            stepper,
            backprop,
            place,
            best,
            start,
            good,
            saved,
            diverged: None,
        })
    }

    /// The first stage, if it is not behind; afterwards the second one's network and optimiser are there.
    pub(super) fn pretrain(&mut self, progress: &mut dyn Progress) -> Result<(), TrainError> {
        if self.place.stage > 0 {
            return Ok(());
        }
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
                return Err(TrainError::Stopped);
            }
            progress.epoch(&loss);
        }
        let averaged = self.optimiser.averaged(&self.network);
        self.network = for_classes(averaged, &self.head_wanted());
        self.optimiser = new_optimiser(self.task.settings, &self.network, self.backprop);
        self.stepper = Stepper::new(self.backprop);
        self.place = Place { stage: 1, ..Place::default() };
        self.remember()
    }

    fn head_wanted(&self) -> Network<f32> {
        let classes = self.task.corpus.classes().len().max(2);
        let shape = checkpoint::for_classes(self.network.shape, classes);
        Network::random(crate::rnn::Shape { vocabulary: 1, ..shape }, self.task.settings.seed ^ 1)
            .expect("the shape of a network with another head")
    }

    /// The second stage.
    pub(super) fn classify(&mut self, progress: &mut dyn Progress) -> Result<(), TrainError> {
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
            let mut epoch = match self.epoch(number, reading, examples, None, progress) {
                Err(TrainError::Diverged(why)) if self.best.is_some() => {
                    self.diverged = Some(why);
                    break;
                }
                epoch => epoch?,
            };
            if self.task.stopped() {
                break;
            }
            let candidate = self.candidate();
            epoch.dev = self.measure(&candidate);
            progress.epoch(&epoch);
            // Without development data later is better.
            let score = epoch.score().unwrap_or(number as f64);
            self.place.epochs.push(epoch);
            let last = settings.keep == Keep::Last;
            if last || self.place.best.is_none_or(|(highest, _)| score > highest) {
                self.place.best = Some((score, number));
                self.best = Some(candidate);
            }
            self.begin_epoch(number + 1);
            self.remember()?;
        }
        Ok(())
    }

    /// The weights of now as they would be kept.
    fn candidate(&self) -> Network<f32> {
        let mut network = self.optimiser.averaged(&self.network);
        if let Some(start) = &self.start {
            let share = self.task.settings.blend as f32;
            for ((_, mut to), (_, from)) in network.tensors_mut().into_iter().zip(start.tensors()) {
                to.zip_mut_with(&from, |to, &from| *to = from + share * (*to - from));
            }
        }
        network
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
            Verdict::GiveUp(times) => {
                Err(TrainError::Diverged(Diverged { times, rate: self.task.settings.rate * rate_before }))
            }
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

    /// How rows become batches: of `unlabelled` comments too, while next tokens are predicted.
    fn reading(&self, unlabelled: bool) -> Reading<'a> {
        let settings = self.task.settings;
        Reading {
            corpus: self.task.corpus,
            tokenizer: self.task.tokenizer,
            max_tokens: self.task.max_tokens,
            batch: settings.batch,
            word_dropout: settings.word_dropout,
            teacher_share: settings.teacher_share,
            unlabelled,
            every_token: unlabelled,
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

    pub(super) fn finish(self, begin: Instant) -> Trained {
        let stopped = self.task.stopped();
        let (best, network) = match (self.place.best, &self.best) {
            (Some((_, number)), Some(network)) => (number, network.clone()),
            // Stopped before the first epoch's end.
            _ => (0, self.candidate()),
        };
        let (diverged, took) = (self.diverged, begin.elapsed());
        Trained { network, epochs: self.place.epochs, best, stopped, diverged, took }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rnn::{Cell, HeadKind, Pooling, Shape};
    use crate::training::corpus::{NewRow, Writer};
    use crate::training::examples::{Examples, Group};
    use crate::training::schedule;
    use std::sync::atomic::AtomicBool;

    struct Silent;

    impl Progress for Silent {
        fn step(&mut self, _: usize, _: f64, _: f64) {}
        fn epoch(&mut self, _: &Epoch) {}
    }

    /// Weights that are no numbers, as after a fault of the machine, in the middle of a run: nothing helps, and what the first epoch
    /// taught is kept.
    #[test]
    fn what_was_learned_before_it_diverged_is_kept() {
        let texts: Vec<String> = (0..200)
            .map(|row| format!("{} {row}", if row % 2 == 0 { "배송이 느려요" } else { "아주 좋아요" }))
            .collect();
        let tokenizer = crate::text::train(texts.iter().map(String::as_str).map(str::to_owned), 300).unwrap();
        let mut writer = Writer::new(None, 2).unwrap();
        writer.begin_source(1.0);
        for (row, text) in texts.iter().enumerate() {
            let new = NewRow { text, class: Some(row as u32 % 2), soft: None, hash: row as u64 };
            writer.push(new).unwrap();
        }
        let (corpus, _) = writer.finish(&Default::default()).unwrap();
        let mut examples = Examples::default();
        examples.push(&[3, 4, 5], 0, 1.0);
        examples.push(&[6, 7], 1, 1.0);
        let dev = [Group { name: "dev".to_owned(), examples }];
        let settings = Settings {
            epochs: 2,
            pretraining: 0,
            batch: 16,
            accumulate: 1,
            rate: 1e-3,
            schedule: schedule::Shape::Constant,
            warm_up: 0.0,
            weight_decay: 0.0,
            clip: 1.0,
            dropout_inputs: 0.0,
            dropout_features: 0.0,
            word_dropout: 0.0,
            smoothing: 0.0,
            teacher_share: 0.0,
            average: 0.0,
            keep: Keep::Best,
            blend: 1.0,
            patience: 0,
            seed: 1,
            threads: 1,
        };
        let shape = Shape {
            cell: Cell::Gru,
            vocabulary: tokenizer.vocabulary(),
            embedding: 8,
            hidden: 8,
            layers: 1,
            bidirectional: false,
            pooling: Pooling::Last,
            head: HeadKind::Sigmoid,
            outputs: 1,
        };
        let network = Network::random(shape, 1).unwrap();
        let stop = AtomicBool::new(false);
        let once = Settings { epochs: 1, ..settings.clone() };
        let task = |settings| Task {
            corpus: &corpus,
            tokenizer: &tokenizer,
            max_tokens: 20,
            dev: &dev,
            settings,
            teachers: "",
            checkpoint: None,
            stop: &stop,
        };
        let (first, both) = (task(&once), task(&settings));
        let mut run = Run::new(network, &first, String::new()).unwrap();
        run.pretrain(&mut Silent).unwrap();
        run.place.stage = 1;
        run.classify(&mut Silent).unwrap();
        let learned = run.best.clone().unwrap();

        run.network.head.bias.fill(f32::NAN);
        run.good = (run.network.clone(), run.optimiser.clone());
        run.task = &both;
        run.classify(&mut Silent).unwrap();
        let trained = run.finish(Instant::now());
        assert_eq!(trained.diverged.map(|why| why.times), Some(6));
        assert_eq!((trained.best, trained.epochs.len()), (1, 1));
        assert_eq!(trained.network, learned);
    }
}
