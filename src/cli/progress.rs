//! What a person sees while a network trains: a bar on a terminal, a line an epoch elsewhere; on standard error.

use crate::training::trainer::{Epoch, Progress};
use indicatif::{ProgressBar, ProgressStyle};

/// Weight of the newest step in the loss that is shown.
const NEWEST: f64 = 0.02;
/// Lines for a whole run where there is no terminal.
const LINES: u64 = 20;

/// A progress bar over all epochs, with rate, time left, loss and the last development score.
pub struct TrainingBar {
    bar: ProgressBar,
    epochs: usize,
    epoch: usize,
    loss: Option<f64>,
    score: Option<f64>,
}

impl TrainingBar {
    /// For `epochs` passes over the data.
    pub fn new(epochs: usize) -> Self {
        let style = ProgressStyle::with_template(
            "{msg}  {bar:30} {percent:>3} %  {per_sec}  {elapsed} gone, {eta} left",
        )
        .expect("the template is valid");
        let bar = ProgressBar::new(0).with_style(style);
        TrainingBar { bar, epochs, epoch: 1, loss: None, score: None }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Progress for TrainingBar {
    fn stage(&mut self, name: &str, examples: u64) {
        self.note(name);
        self.bar.reset();
        self.bar.set_length(examples);
        (self.epoch, self.loss, self.score) = (1, None, None);
    }

    fn resumed(&mut self, examples: u64) {
        self.bar.set_position(examples);
        self.bar.reset_eta();
    }

    fn note(&mut self, text: &str) {
        if self.bar.is_hidden() {
            eprintln!("{text}");
        } else {
            self.bar.println(text);
        }
    }

    fn step(&mut self, examples: usize, loss: f64, _rate: f64) {
        let smooth = self.loss.map_or(loss, |before| before + NEWEST * (loss - before));
        self.loss = Some(smooth);
        let score = self.score.map_or_else(String::new, |score| format!(" dev {:.2} %", score * 100.0));
        let message = format!("epoch {}/{} loss {smooth:.4}{score}", self.epoch, self.epochs);
        let share = |done: u64| done * LINES / self.bar.length().unwrap_or(1).max(1);
        let before = self.bar.position();
        self.bar.inc(examples as u64);
        if self.bar.is_hidden() && share(before) != share(self.bar.position()) {
            let percent = 100 * share(self.bar.position()) / LINES;
            let (rate, left) = (self.bar.per_sec(), self.bar.eta().as_secs());
            eprintln!("{message}: {percent} %, {rate:.0} comments/s, {left} s left");
        }
        self.bar.set_message(message);
    }

    fn epoch(&mut self, epoch: &Epoch) {
        self.score = epoch.score();
        self.epoch = (epoch.epoch + 1).min(self.epochs);
        let dev: Vec<String> = epoch.dev.iter().map(|share| format!("{:.2} %", share * 100.0)).collect();
        let dev = if dev.is_empty() {
            String::new()
        } else {
            format!(", balanced accuracy on development data {}", dev.join(", "))
        };
        let line = format!(
            "epoch {}: loss {:.4}{dev}, {:.0} comments/s",
            epoch.epoch, epoch.loss, epoch.examples_per_s
        );
        self.note(&line);
    }
}
