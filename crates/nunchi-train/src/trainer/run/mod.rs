//! A run, epoch by epoch and step by step, and the place in it that a checkpoint holds; its two [`stages`].

mod stages;

use super::{Diverged, Epoch, Progress, Settings, Task, TrainError, Trained};
use crate::batches::Reading;
use crate::checkpoint::{self, Checkpoint};
use crate::guard::{Guard, Seen, Verdict};
use crate::language::{Frequencies, Predict};
use crate::optimiser::Optimiser;
use crate::schedule::rate;
use crate::step::{Classify, Example, StepSettings, Stepped, Stepper};
use nunchi_engine::backprop::Backprop;
use nunchi_model::rnn::Network;
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// Tokens that stand against the right one when the next token is predicted.
const CANDIDATES: usize = 1_024;
/// After so many steps the weights may be taken as what to go back to. Only then is a checkpoint written too: what a run goes back
/// to must not depend on when it was killed.
const GOOD_EVERY: u64 = 50;

/// The place in a run, as it stands in a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct TrainingCursor {
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
    place: TrainingCursor,
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
                    if first_stage == 0 { stages::for_tokens(&network, task.settings.seed) } else { network };
                let optimiser = new_optimiser(task.settings, &network, backprop);
                (network, optimiser, TrainingCursor { stage: first_stage, ..TrainingCursor::default() }, None)
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

    fn begin_epoch(&mut self, number: usize) {
        self.place = TrainingCursor {
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
            score: None,
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
            key: step_key(settings.seed, self.place.stage, self.place.step),
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

/// Chooses what a step drops.
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

fn new_optimiser(settings: &Settings, network: &Network<f32>, backprop: Backprop) -> Optimiser {
    Optimiser::new(network, settings.weight_decay, settings.clip, settings.average, backprop.arch())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    /// `seed << 40` forgot every bit of the seed but the lowest 24.
    #[test]
    fn every_bit_of_the_seed_counts() {
        let keys =
            |seed: u64| (0..2).flat_map(move |stage| (0..1_000).map(move |step| step_key(seed, stage, step)));
        let seeds = (0..64).map(|bit| 1 << bit).chain([0, u64::MAX, 3 << 40, 0x5eed << 24]);
        let all: Vec<u64> = seeds.flat_map(keys).collect();
        let different: HashSet<&u64> = all.iter().collect();
        assert_eq!(different.len(), all.len(), "no two steps of any of these seeds drop the same");
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
