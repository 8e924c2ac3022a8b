//! The two stages of a run: predicting next tokens, then learning classes.

use super::cursor::TrainingCursor;
use super::heads;
use super::outcome::TrainError;
use super::progress::Progress;
use super::run::{Run, new_optimizer};
use super::settings::Keep;
use crate::batches::Reading;
use crate::language::Frequencies;
use crate::step::Stepper;
use nunchi_data::EncodedSet;
use nunchi_eval::calibration;
use nunchi_eval::metrics::balanced_accuracy;
use nunchi_model::rnn::Network;

impl<'a> Run<'a> {
    /// The first stage, if it is not behind; afterwards the second one's network and optimizer are there.
    pub(super) fn pretrain(&mut self, progress: &mut dyn Progress) -> Result<(), TrainError> {
        if self.cursor.stage > 0 {
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
        if self.cursor.examples > 0 {
            progress.resumed(self.cursor.epoch, self.cursor.examples);
        }
        for number in self.cursor.epoch.max(1)..=epochs {
            let loss = self.epoch(number, reading, examples, Some(&frequencies), progress)?;
            if self.interrupted {
                return Ok(());
            }
            progress.epoch(&loss);
        }
        let averaged = self.optimizer.averaged(&self.network);
        self.network = heads::replace(averaged, &self.new_head());
        self.optimizer = new_optimizer(self.task.settings, &self.network, self.backprop);
        self.stepper = Stepper::new(self.backprop);
        self.cursor = TrainingCursor { stage: 1, ..TrainingCursor::default() };
        self.save_good()
    }

    fn new_head(&self) -> Network<f32> {
        let classes = self.task.corpus.classes().len().max(2);
        let shape = heads::shape_for_classes(self.network.shape, classes);
        Network::random(nunchi_model::rnn::Shape { vocabulary: 1, ..shape }, self.task.settings.seed ^ 1)
            .expect("the shape of a network with another head")
    }

    /// The second stage.
    pub(super) fn classify(&mut self, progress: &mut dyn Progress) -> Result<(), TrainError> {
        let settings = self.task.settings;
        let reading = self.reading(false);
        let usable = reading.usable()?;
        let examples = usable * settings.epochs as u64;
        progress.stage("learning classes", settings.epochs, examples);
        self.cursor.epochs.iter().for_each(|epoch| progress.epoch(epoch));
        if self.cursor.examples > 0 {
            progress.resumed(self.cursor.epoch, self.cursor.examples);
        }
        for number in self.cursor.epoch.max(1)..=settings.epochs {
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
            if self.interrupted {
                break;
            }
            let candidate = self.candidate();
            epoch.dev = self.measure(&candidate);
            epoch.score = mean_by_size(self.task.dev, &epoch.dev);
            progress.epoch(&epoch);
            // Without development data later is better.
            let score = epoch.score.unwrap_or(number as f64);
            self.cursor.epochs.push(epoch);
            let last = settings.keep == Keep::Last;
            if last || self.cursor.best.is_none_or(|(highest, _)| score > highest) {
                self.cursor.best = Some((score, number));
                self.best = Some(candidate);
            }
            self.begin_epoch(number + 1);
            self.save_good()?;
        }
        Ok(())
    }

    fn patience_is_over(&self) -> bool {
        let patience = self.task.settings.patience;
        let best = self.cursor.best.map_or(0, |(_, at)| at);
        patience > 0 && self.cursor.epochs.len() >= best + patience
    }

    fn measure(&self, network: &Network<f32>) -> Vec<f64> {
        let threads = self.task.settings.threads;
        let sets = self.task.dev.iter();
        sets.map(|set| balanced_accuracy(&calibration::classify(network, &set.examples, 1.0, threads)))
            .collect()
    }

    /// How rows become batches: of `unlabeled` comments too, while next tokens are predicted.
    fn reading(&self, unlabeled: bool) -> Reading<'a> {
        let settings = self.task.settings;
        Reading {
            corpus: self.task.corpus,
            tokenizer: self.task.tokenizer,
            max_tokens: self.task.max_tokens,
            batch: settings.batch,
            word_dropout: settings.word_dropout,
            distillation_weight: settings.distillation_weight,
            unlabeled,
            every_token: unlabeled,
            seed: settings.seed.wrapping_add(if unlabeled { 0x7777 } else { 0 }),
        }
    }
}

/// The mean of what was measured on sets, by their numbers of comments; nothing without comments.
fn mean_by_size(sets: &[EncodedSet], measured: &[f64]) -> Option<f64> {
    let sizes = sets.iter().map(|set| set.examples.len() as f64);
    let (sum, all) = sizes
        .zip(measured)
        .filter(|(size, _)| *size > 0.0)
        .fold((0.0, 0.0), |(sum, all), (size, measured)| (sum + size * measured, all + size));
    (all > 0.0).then(|| sum / all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::{NewRow, Writer};
    use crate::schedule;
    use crate::trainer::outcome::Outcome;
    use crate::trainer::{Epoch, Settings, Task};
    use nunchi_data::CommentKey;
    use nunchi_data::Examples;
    use nunchi_model::rnn::{Cell, HeadKind, Pooling, Shape};
    use std::sync::atomic::AtomicBool;
    use std::time::Instant;

    struct Silent;

    impl Progress for Silent {
        fn step(&mut self, _: usize, _: f64, _: f64) {}
        fn epoch(&mut self, _: &Epoch) {}
    }

    #[test]
    fn a_large_set_says_more_about_an_epoch_than_a_small_one() {
        let group = |size| {
            let mut examples = Examples::default();
            (0..size).for_each(|_| examples.push(&[3], 0, 1.0));
            EncodedSet { name: String::new(), examples }
        };
        let groups = [group(300), group(0), group(100)];
        assert_eq!(mean_by_size(&groups, &[0.5, f64::NAN, 0.9]), Some(0.6));
        assert_eq!(mean_by_size(&groups[1..2], &[f64::NAN]), None);
        assert_eq!(mean_by_size(&[], &[]), None);
    }

    /// Weights that are no numbers, as after a fault of the machine, in the middle of a run: nothing helps, and the weights of the first
    /// epoch are kept.
    #[test]
    fn what_was_learned_before_it_diverged_is_kept() {
        let texts: Vec<String> = (0..200)
            .map(|row| format!("{} {row}", if row % 2 == 0 { "배송이 느려요" } else { "아주 좋아요" }))
            .collect();
        let tokenizer = nunchi_text::train(texts.iter().map(String::as_str).map(str::to_owned), 300).unwrap();
        let mut writer = Writer::new(None, 2).unwrap();
        writer.begin_source(1.0);
        for (row, text) in texts.iter().enumerate() {
            let new = NewRow { text, class: Some(row as u32 % 2), soft: None, key: CommentKey::of(text) };
            writer.push(new).unwrap();
        }
        let (corpus, _) = writer.finish(&Default::default()).unwrap();
        let mut examples = Examples::default();
        examples.push(&[3, 4, 5], 0, 1.0);
        examples.push(&[6, 7], 1, 1.0);
        let dev = [EncodedSet { name: "dev".to_owned(), examples }];
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
            distillation_weight: 0.0,
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
        run.cursor.stage = 1;
        run.classify(&mut Silent).unwrap();
        let learned = run.best.clone().unwrap();

        run.network.head.bias.fill(f32::NAN);
        run.last_good = (run.network.clone(), run.optimizer.clone());
        run.task = &both;
        run.classify(&mut Silent).unwrap();
        let Outcome::Finished(trained) = run.finish(Instant::now()).unwrap() else {
            panic!("nobody interrupted it")
        };
        assert_eq!(trained.diverged.map(|why| why.times), Some(6));
        assert_eq!((trained.best, trained.epochs.len()), (1, 1));
        assert_eq!(trained.network, learned);
    }
}
