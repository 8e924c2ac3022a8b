//! A run, epoch by epoch and step by step; its stages are in `stages`.

use super::checkpoint::{self, Checkpoint};
use super::cursor::TrainingCursor;
use super::divergence::{Decision, StepStats};
use super::heads;
use super::outcome::{Diverged, Interrupted, Outcome, TrainError, Trained};
use super::progress::{Epoch, Progress};
use super::settings::Settings;
use super::task::Task;
use crate::batches::Reading;
use crate::language::{Frequencies, Predict};
use crate::optimizer::Optimizer;
use crate::schedule::rate;
use crate::step::{Classify, Example, StepResult, StepSettings, Stepper};
use nunchi_engine::backprop::Backprop;
use nunchi_model::rnn::Network;
use std::time::Instant;

/// Tokens that stand against the right one when the next token is predicted.
const CANDIDATES: usize = 1_024;
/// After so many steps the weights may be taken as what to roll back to. Only then is a checkpoint written too: what a run is rolled
/// back to must not depend on when it was killed.
const SNAPSHOT_STEPS: u64 = 50;

/// The state of one run.
pub(super) struct Run<'a> {
    pub(super) task: &'a Task<'a>,
    fingerprint: String,
    /// What is trained in this stage.
    pub(super) network: Network<f32>,
    pub(super) optimizer: Optimizer,
    pub(super) stepper: Stepper,
    pub(super) backprop: Backprop,
    pub(super) cursor: TrainingCursor,
    pub(super) best: Option<Network<f32>>,
    /// What it began with, where something of that is kept.
    pub(super) start: Option<Network<f32>>,
    /// What to roll back to.
    pub(super) last_good: (Network<f32>, Optimizer),
    saved: Instant,
    /// Whether it was interrupted: it ends as soon as it can.
    pub(super) interrupted: bool,
    /// Why it ended before its time.
    pub(super) diverged: Option<Diverged>,
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
        let (network, optimizer, cursor, best) = match found {
            Some(Checkpoint { network, optimizer, cursor, best }) => {
                let mut own = new_optimizer(task.settings, &network, backprop);
                own.restore(optimizer);
                (network, own, cursor, best)
            }
            None => {
                let network =
                    if first_stage == 0 { heads::for_tokens(&network, task.settings.seed) } else { network };
                let optimizer = new_optimizer(task.settings, &network, backprop);
                (network, optimizer, TrainingCursor { stage: first_stage, ..TrainingCursor::default() }, None)
            }
        };
        let last_good = (network.clone(), optimizer.clone());
        let stepper = Stepper::new(backprop);
        let saved = Instant::now();
        Ok(Run {
            task,
            fingerprint,
            network,
            optimizer,
            stepper,
            backprop,
            cursor,
            best,
            start,
            last_good,
            saved,
            interrupted: false,
            diverged: None,
        })
    }

    pub(super) fn begin_epoch(&mut self, number: usize) {
        self.cursor = TrainingCursor {
            epoch: number,
            window: 0,
            batch: 0,
            loss: 0.0,
            loss_examples: 0,
            ..std::mem::take(&mut self.cursor)
        };
    }

    /// The rest of an epoch, or what is trained of it until somebody interrupts.
    pub(super) fn epoch(
        &mut self,
        number: usize,
        reading: Reading<'_>,
        total: u64,
        frequencies: Option<&Frequencies>,
        progress: &mut dyn Progress,
    ) -> Result<Epoch, TrainError> {
        if self.cursor.epoch != number {
            self.begin_epoch(number);
        }
        let (begin, before) = (Instant::now(), self.cursor.examples);
        for window in reading.windows(number as u64, self.cursor.window) {
            let (at, window) = window?;
            if at != self.cursor.window {
                (self.cursor.window, self.cursor.batch) = (at, 0);
            }
            while self.cursor.batch < window.len() {
                let together = self.task.settings.accumulate.max(1).min(window.len() - self.cursor.batch);
                let parts: Vec<Vec<Example<'_>>> = (self.cursor.batch..self.cursor.batch + together)
                    .map(|index| window.batch(index))
                    .collect();
                let stepped = self.step(&parts, total, frequencies, progress);
                self.cursor.batch += together;
                self.check_divergence(&stepped, &parts, progress)?;
                if self.task.stopped() {
                    self.interrupted = true;
                    return Ok(self.epoch_so_far(begin, before));
                }
                if self.cursor.step.is_multiple_of(SNAPSHOT_STEPS)
                    && self.cursor.detector.is_stable(self.baseline_loss())
                {
                    self.snapshot();
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
            epoch: self.cursor.epoch,
            loss: self.cursor.loss / self.cursor.loss_examples.max(1) as f64,
            dev: Vec::new(),
            score: None,
            examples_per_s: (self.cursor.examples - before) as f64 / begin.elapsed().as_secs_f64().max(1e-9),
        }
    }

    fn step(
        &mut self,
        parts: &[Vec<Example<'_>>],
        total: u64,
        frequencies: Option<&Frequencies>,
        progress: &mut dyn Progress,
    ) -> StepResult {
        let settings = self.task.settings;
        let done = self.cursor.examples as f64 / total.max(1) as f64;
        let rate = rate(settings.schedule, settings.warm_up, done)
            * settings.rate
            * self.cursor.detector.rate_scale();
        let step = StepSettings {
            rate: rate as f32,
            dropout_inputs: settings.dropout_inputs as f32,
            dropout_features: settings.dropout_features as f32,
            smoothing: settings.smoothing,
            key: step_key(settings.seed, self.cursor.stage, self.cursor.step),
            threads: settings.threads,
        };
        let parts: Vec<&[Example<'_>]> = parts.iter().map(Vec::as_slice).collect();
        let (network, optimizer) = (&mut self.network, &mut self.optimizer);
        let stepped = match frequencies {
            None => self.stepper.step(network, optimizer, &Classify, &parts, &step),
            Some(frequencies) => {
                let place = (settings.seed, self.cursor.step);
                let predict = Predict::new(&self.backprop, network, frequencies, CANDIDATES, place);
                self.stepper.step(network, optimizer, &predict, &parts, &step)
            }
        };
        let examples: usize = parts.iter().map(|part| part.len()).sum();
        self.cursor.step += 1;
        self.cursor.examples += examples as u64;
        progress.step(examples, stepped.loss, rate);
        stepped
    }

    /// Looks at a step's loss, and rolls back if it diverges.
    fn check_divergence(
        &mut self,
        stepped: &StepResult,
        parts: &[Vec<Example<'_>>],
        progress: &mut dyn Progress,
    ) -> Result<(), TrainError> {
        let examples: usize = parts.iter().map(Vec::len).sum();
        let weight = match self.cursor.stage {
            0 => 1.0,
            _ => {
                parts.iter().flatten().map(|example| f64::from(example.target.weight)).sum::<f64>()
                    / examples as f64
            }
        };
        let loss = if weight > 0.0 { stepped.loss / weight } else { stepped.loss };
        let rate_before = self.cursor.detector.rate_scale();
        match self.cursor.detector.observe(StepStats {
            loss,
            norm: stepped.norm,
            examples,
            baseline: self.baseline_loss(),
        }) {
            Decision::Continue => {
                self.cursor.loss += stepped.loss * examples as f64;
                self.cursor.loss_examples += examples as u64;
                Ok(())
            }
            Decision::RollBack(why) => {
                let scale = self.cursor.detector.rate_scale();
                progress.note(&format!(
                    "{why} at step {}: rolled back to the last good weights, with a highest rate of {:.1e} instead of {:.1e}",
                    self.cursor.step,
                    self.task.settings.rate * scale,
                    self.task.settings.rate * rate_before
                ));
                (self.network, self.optimizer) = self.last_good.clone();
                Ok(())
            }
            Decision::GiveUp(times) => {
                Err(TrainError::Diverged(Diverged { times, rate: self.task.settings.rate * rate_before }))
            }
        }
    }

    /// The loss of an untrained network.
    fn baseline_loss(&self) -> f64 {
        let choices = match self.cursor.stage {
            0 => self.network.shape.vocabulary,
            _ => self.network.shape.outputs.max(2),
        };
        (choices as f64).ln()
    }

    /// Takes the weights of now as good, and writes a checkpoint.
    pub(super) fn save_good(&mut self) -> Result<(), TrainError> {
        self.snapshot();
        self.save()
    }

    fn snapshot(&mut self) {
        self.last_good = (self.network.clone(), self.optimizer.clone());
    }

    fn save(&mut self) -> Result<(), TrainError> {
        self.saved = Instant::now();
        if let Some((path, _)) = self.task.checkpoint {
            checkpoint::save(
                path,
                &self.fingerprint,
                &self.network,
                &self.optimizer,
                self.best.as_ref(),
                &self.cursor,
            )?;
        }
        Ok(())
    }

    /// The outcome of the run; of one that was interrupted a checkpoint is written.
    pub(super) fn finish(mut self, begin: Instant) -> Result<Outcome, TrainError> {
        if self.interrupted {
            self.save()?;
            let checkpoint = self.task.checkpoint.map(|(path, _)| path.to_owned());
            return Ok(Outcome::Interrupted(Interrupted { epochs: self.cursor.epochs.len(), checkpoint }));
        }
        let (best, network) = match (self.cursor.best, &self.best) {
            (Some((_, number)), Some(network)) => (number, network.clone()),
            // No epoch was requested.
            _ => (0, self.candidate()),
        };
        let (diverged, took) = (self.diverged, begin.elapsed());
        let trained = Trained { network, epochs: self.cursor.epochs, best, diverged, took };
        Ok(Outcome::Finished(Box::new(trained)))
    }

    /// The weights of now as they would be kept.
    pub(super) fn candidate(&self) -> Network<f32> {
        let mut network = self.optimizer.averaged(&self.network);
        if let Some(start) = &self.start {
            let share = self.task.settings.blend as f32;
            for ((_, mut to), (_, from)) in network.tensors_mut().into_iter().zip(start.tensors()) {
                to.zip_mut_with(&from, |to, &from| *to = from + share * (*to - from));
            }
        }
        network
    }
}

/// The key of a step's dropout masks.
///
/// The low 24 bits of the seed, the stage and 39 bits of the step have places of their own, so that no two of them meet. The
/// seed's other bits are mixed over all bits (they used to be shifted out). Why not mix everything? Seeds below 2^24 give the
/// keys that they always gave, so that models that were trained with one, as those that ship, can be made again bit by bit.
fn step_key(seed: u64, stage: usize, step: u64) -> u64 {
    (seed << 40) ^ mix(seed >> 24) ^ ((stage as u64) << 39) ^ step
}

/// A bijection whose bits all depend on all bits, and which leaves 0 alone (the finalizer of SplitMix64, Steele et al. 2014).
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

pub(super) fn new_optimizer(settings: &Settings, network: &Network<f32>, backprop: Backprop) -> Optimizer {
    Optimizer::new(network, settings.weight_decay, settings.clip, settings.average, backprop.arch())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    /// `seed << 40` lost every bit of the seed but the lowest 24.
    #[test]
    fn every_bit_of_the_seed_counts() {
        let keys =
            |seed: u64| (0..2).flat_map(move |stage| (0..1_000).map(move |step| step_key(seed, stage, step)));
        let seeds = (0..64).map(|bit| 1 << bit).chain([0, u64::MAX, 3 << 40, 0x5eed << 24]);
        let all: Vec<u64> = seeds.flat_map(keys).collect();
        let different: HashSet<&u64> = all.iter().collect();
        assert_eq!(different.len(), all.len(), "no two steps of any of these seeds have the same masks");
    }

    #[test]
    fn usual_seeds_give_the_keys_that_they_always_gave() {
        for (seed, stage, step) in [(0, 0, 0), (1, 1, 7), (0xff_ffff, 1, 1 << 30)] {
            assert_eq!(step_key(seed, stage, step), (seed << 40) ^ ((stage as u64) << 39) ^ step);
        }
    }

    proptest! {
        #[test]
        fn seeds_that_differ_give_different_keys(one: u64, other: u64, step in 0..1_u64 << 38, later in 0..1_000_u64) {
            prop_assume!(one != other);
            prop_assert_ne!(step_key(one, 1, step), step_key(other, 1, step));
            prop_assert_ne!(step_key(one, 1, step), step_key(other, 1, step + later));
        }
    }
}
