//! The progress of a training: two live lines on a terminal, plain lines elsewhere; on standard error. The history is
//! kept for the report.

use crate::cli::printer::errln;
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use nunchi_eval::history::{History, Pass, Recorder};
use nunchi_train::trainer::{Epoch, Progress};
use std::fmt::Write;
use std::time::{Duration, Instant};

/// Weight of the newest step in the loss that is shown.
const SMOOTHING: f64 = 0.02;
/// Lines for a whole run where there is no terminal.
const LINES: u64 = 20;
/// Columns of the loss's curve.
const CURVE: usize = 24;
/// How often the second line changes, at most.
const REDRAW: Duration = Duration::from_millis(150);

/// A live view over all epochs: bar, rate, time left; loss and its curve, the last and the best development score.
pub struct TrainingBar {
    bar: ProgressBar,
    begin: Instant,
    /// Examples of this stage that an earlier process trained on.
    resumed: u64,
    epochs: usize,
    epoch: usize,
    loss: Option<f64>,
    last_drawn: Option<Instant>,
    recorder: Recorder,
    passes: Vec<Pass>,
}

impl TrainingBar {
    /// For `epochs` passes over the data, after the pretraining.
    pub fn new(epochs: usize) -> Self {
        let style = ProgressStyle::with_template(
            "{prefix}  {bar:32.cyan/dim} {percent:>3} %  {rate}  {elapsed} elapsed, {eta} left\n{msg}",
        )
        .expect("the template is valid")
        .progress_chars("━╸─")
        .with_key("rate", |state: &ProgressState, out: &mut dyn Write| {
            let _ = write!(out, "{:.0} examples/s", state.per_sec());
        });
        let bar = ProgressBar::new(0).with_style(style);
        bar.set_prefix(format!("epoch 1/{epochs}"));
        // Time goes on while an epoch is measured.
        bar.enable_steady_tick(Duration::from_millis(250));
        TrainingBar {
            bar,
            begin: Instant::now(),
            resumed: 0,
            epochs,
            epoch: 1,
            loss: None,
            last_drawn: None,
            recorder: Recorder::default(),
            passes: Vec::new(),
        }
    }

    /// Removes the bar.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// The history so far; `groups` names the development groups, `kept_epoch` is counted from 1.
    pub fn history(&self, groups: Vec<String>, kept_epoch: usize, took: Duration) -> History {
        History {
            points: self.recorder.points(),
            epochs: self.passes.clone(),
            kept_epoch,
            groups,
            seconds: Some(took.as_secs_f64()),
        }
    }

    /// The best epoch so far and its development score.
    fn best(&self) -> Option<(usize, f64)> {
        let scored = self.passes.iter().filter_map(|pass| Some((pass.epoch, pass.score()?)));
        // Of equal ones the first, as the trainer keeps it.
        scored.reduce(|best, next| if next.1 > best.1 { next } else { best })
    }

    /// Loss and development scores so far.
    fn figures(&self) -> String {
        let loss = self.loss.map_or_else(String::new, |loss| format!("loss {loss:.4}"));
        match (self.passes.last().and_then(Pass::score), self.best()) {
            (Some(score), Some((epoch, best))) => {
                format!("{loss}, dev {:.2} % (best {:.2} %, epoch {epoch})", score * 100.0, best * 100.0)
            }
            _ => loss,
        }
    }

    /// A line for a log, every twentieth of the run.
    fn log_step(&self, before: u64) {
        let whole = self.bar.length().unwrap_or(1).max(1);
        let share = |done: u64| done * LINES / whole;
        let done = self.bar.position();
        if share(before) == share(done) || done == 0 {
            return;
        }
        let rate = (done - self.resumed.min(done)) as f64 / self.begin.elapsed().as_secs_f64().max(1e-9);
        let left = whole.saturating_sub(done) as f64 / rate;
        errln!(
            "epoch {}/{}: {} %, {rate:.0} examples/s, {left:.0} s left, {}",
            self.epoch,
            self.epochs,
            100 * share(done) / LINES,
            self.figures()
        );
    }
}

impl Progress for TrainingBar {
    fn stage(&mut self, name: &str, epochs: usize, examples: u64) {
        self.note(name);
        // What a report shows is the last stage.
        self.recorder = Recorder::default();
        self.passes.clear();
        (self.epochs, self.epoch, self.loss) = (epochs, 1, None);
        self.bar.reset();
        self.bar.set_length(examples);
        self.begin = Instant::now();
        self.resumed = 0;
        self.bar.set_prefix(format!("epoch 1/{epochs}"));
    }

    fn resumed(&mut self, epoch: usize, examples: u64) {
        self.epoch = epoch.max(1);
        self.resumed = examples;
        self.bar.set_position(examples);
        self.bar.reset_eta();
        self.bar.set_prefix(format!("epoch {}/{}", self.epoch, self.epochs));
    }

    fn note(&mut self, text: &str) {
        if self.bar.is_hidden() {
            errln!("{text}");
        } else {
            self.bar.println(text);
        }
    }

    fn step(&mut self, examples: usize, loss: f64, rate: f64) {
        self.loss = Some(self.loss.map_or(loss, |before| before + SMOOTHING * (loss - before)));
        self.recorder.step(examples, loss, Some(rate));
        let before = self.bar.position();
        self.bar.inc(examples as u64);
        if self.bar.is_hidden() {
            self.log_step(before);
        } else if self.last_drawn.is_none_or(|at| at.elapsed() >= REDRAW) {
            self.last_drawn = Some(Instant::now());
            let losses: Vec<f64> = self.recorder.points().iter().map(|point| point.loss).collect();
            self.bar.set_message(format!("{}  {}", curve(&losses), self.figures()));
        }
    }

    fn epoch(&mut self, epoch: &Epoch) {
        let rate = Some(epoch.examples_per_s);
        let pass = Pass {
            epoch: epoch.epoch,
            loss: epoch.loss,
            dev: epoch.dev.clone(),
            score: epoch.score,
            examples_per_s: rate,
        };
        self.passes.push(pass);
        self.epoch = (epoch.epoch + 1).min(self.epochs);
        self.bar.set_prefix(format!("epoch {}/{}", self.epoch, self.epochs));
        let dev: Vec<String> = epoch.dev.iter().map(|share| format!("{:.2} %", share * 100.0)).collect();
        let dev = match &dev[..] {
            [] => String::new(),
            dev => format!(", balanced accuracy on development data {}", dev.join(", ")),
        };
        let best = self.best().is_some_and(|(best, _)| best == epoch.epoch && self.passes.len() > 1);
        let line = format!(
            "epoch {}: loss {:.4}{dev}, {:.0} examples/s{}",
            epoch.epoch,
            epoch.loss,
            epoch.examples_per_s,
            if best { ", the best so far" } else { "" }
        );
        self.note(&line);
    }
}

/// A curve of one line: the highest and the lowest value that is seen, and what lies between.
fn curve(values: &[f64]) -> String {
    const STEPS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let columns = values.len().min(CURVE);
    let means: Vec<f64> = (0..columns)
        .map(|at| {
            let part = &values[at * values.len() / columns..(at + 1) * values.len() / columns];
            part.iter().sum::<f64>() / part.len() as f64
        })
        .filter(|mean| mean.is_finite())
        .collect();
    let low = means.iter().copied().fold(f64::INFINITY, f64::min);
    let high = means.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let place = |value: f64| ((value - low) / (high - low).max(1e-9) * 7.0).round() as usize;
    means.iter().map(|&mean| STEPS[place(mean).min(7)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_falls_as_its_values_do() {
        assert_eq!(curve(&[0.8, 0.4, 0.1]), "█▄▁");
        assert_eq!(curve(&[]), "");
        assert_eq!(curve(&[0.5]), "▁");
        let many: Vec<f64> = (0..1_000).map(|at| f64::from(1_000 - at)).collect();
        let drawn: Vec<char> = curve(&many).chars().collect();
        assert_eq!((drawn.len(), drawn[0], drawn[CURVE - 1]), (CURVE, '█', '▁'));
        assert!(drawn.windows(2).all(|pair| pair[0] >= pair[1]));
    }

    #[test]
    fn the_first_of_equal_epochs_is_best_and_the_history_is_complete() {
        let mut view = TrainingBar::new(3);
        view.stage("", 3, 10);
        for (epoch, dev) in [(1, 0.8), (2, 0.9), (3, 0.9)] {
            view.step(10, 0.5, 1e-3);
            view.epoch(&Epoch { epoch, loss: 0.5, dev: vec![dev], score: Some(dev), examples_per_s: 1.0 });
        }
        assert_eq!(view.best(), Some((2, 0.9)));
        assert!(view.figures().contains("dev 90.00 % (best 90.00 %, epoch 2)"), "{}", view.figures());
        let history = view.history(vec!["dev.tsv".to_owned()], 2, Duration::from_secs(3));
        assert_eq!((history.points.len(), history.epochs.len(), history.kept_epoch), (3, 3, 2));
    }
}
