//! The progress of a replay: a bar on a terminal, lines every few seconds elsewhere, or JSON.

use crate::cli::printer::{errln, outln};
use crate::replay::Progress;
use crate::telemetry::Metrics;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value, json};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Interval of the lines where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(10);
/// Interval of the JSON objects.
const OBJECT_INTERVAL: Duration = Duration::from_secs(1);
/// Weight of the newest measurement in the rate.
const SMOOTHING: f64 = 0.2;

/// Shows progress.
pub(super) struct Shown {
    id: String,
    labels: Vec<String>,
    model: String,
    metrics: Metrics,
    json: bool,
    bar: ProgressBar,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The first measurement, for the time that is left.
    first: Option<(Instant, i64)>,
    last: Option<(Instant, u64)>,
    rate: f64,
    reported: Option<Instant>,
}

/// Rate and time left.
struct Speed {
    rate: f64,
    seconds_left: Option<f64>,
}

impl Shown {
    pub(super) fn new(id: &str, labels: &[String], model: &str, metrics: &Metrics, json: bool) -> Self {
        let style = ProgressStyle::with_template("{bar:24} {msg}").expect("the template is valid");
        let bar = if json { ProgressBar::hidden() } else { ProgressBar::new(1_000) }.with_style(style);
        let metrics = metrics.clone();
        let (id, model) = (id.to_owned(), model.to_owned());
        Shown { id, labels: labels.to_vec(), model, metrics, json, bar, state: Mutex::default() }
    }

    /// Removes the bar.
    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    /// Verdicts that this process committed, by label.
    pub(super) fn labels(&self) -> Vec<(&str, u64)> {
        let count = |label: &str| self.metrics.records_out.with_label_values(&[label, &self.model]).get();
        self.labels.iter().map(|label| (label.as_str(), count(label))).collect()
    }

    /// Shows `progress`, if it is due.
    pub(super) fn show(&self, progress: &Progress) {
        let speed = self.measure(progress);
        if self.json {
            if self.is_due(OBJECT_INTERVAL) {
                outln!("{}", self.object("progress", progress, Some(&speed)));
            }
            return;
        }
        let line = self.line(progress, &speed);
        if !self.bar.is_hidden() {
            self.bar.set_position((progress.share() * 1_000.0) as u64);
            self.bar.set_message(line);
        } else if self.is_due(LINE_INTERVAL) {
            errln!("{line}");
        }
    }

    fn is_due(&self, every: Duration) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let due = state.reported.is_none_or(|reported| reported.elapsed() >= every);
        if due {
            state.reported = Some(Instant::now());
        }
        due
    }

    fn measure(&self, progress: &Progress) -> Speed {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let (begin, passed) = *state.first.get_or_insert((now, progress.passed));
        if let Some((before, answered)) = state.last {
            let seconds = now.duration_since(before).as_secs_f64().max(1e-3);
            let newest = progress.answered.saturating_sub(answered) as f64 / seconds;
            state.rate =
                if state.rate == 0.0 { newest } else { state.rate + SMOOTHING * (newest - state.rate) };
        }
        state.last = Some((now, progress.answered));
        // All processes together, by offsets: what is left may be answered by others.
        let passed_per_s =
            (progress.passed - passed) as f64 / now.duration_since(begin).as_secs_f64().max(1e-3);
        let left = (progress.offsets - progress.passed) as f64;
        Speed { rate: state.rate, seconds_left: (passed_per_s > 0.0).then_some(left / passed_per_s) }
    }

    fn line(&self, progress: &Progress, speed: &Speed) -> String {
        let left = speed.seconds_left.map_or_else(|| "…".to_owned(), human_time);
        let mut line = format!(
            "{:.1} %  {} records  {:.1} k/s  {left} left",
            progress.share() * 100.0,
            grouped(progress.answered),
            speed.rate / 1_000.0
        );
        for (label, count) in self.labels() {
            line += &format!("  {label} {}", grouped(count));
        }
        if progress.dead_letters > 0 {
            line += &format!("  dead letters {}", grouped(progress.dead_letters));
        }
        if let Some(lag) = progress.waits_for {
            line += &format!("  paused: the live group lags by {} records", grouped(lag.unsigned_abs()));
        }
        line
    }

    fn object(&self, event: &str, progress: &Progress, speed: Option<&Speed>) -> Value {
        let labels: Map<String, Value> =
            self.labels().into_iter().map(|(label, count)| (label.to_owned(), json!(count))).collect();
        let mut object = json!({
            "event": event, "id": self.id, "records": progress.answered, "share": rounded(progress.share(), 1e4),
            "labels": labels, "outside": progress.outside, "left_out": progress.left_out,
            "dead_letters": progress.dead_letters,
        });
        if let Some(speed) = speed {
            object["records_per_s"] = json!(speed.rate.round());
            object["seconds_left"] = json!(speed.seconds_left.map(|seconds| rounded(seconds, 10.0)));
            object["live_lag"] = json!(progress.waits_for);
        }
        object
    }

    /// The last object of `--json`, or the last line without it.
    pub(super) fn end(
        &self,
        event: &str,
        progress: &Progress,
        seconds: f64,
        more: &[(&str, Value)],
    ) -> Value {
        let mut object = self.object(event, progress, None);
        object["seconds"] = json!(rounded(seconds, 1e3));
        object["records_per_s"] = json!((progress.answered as f64 / seconds.max(1e-3)).round());
        for (name, value) in more {
            object[*name] = value.clone();
        }
        object
    }
}

fn rounded(number: f64, factor: f64) -> f64 {
    (number * factor).round() / factor
}

/// A number with commas.
pub fn grouped(number: u64) -> String {
    indicatif::HumanCount(number).to_string()
}

/// A formatted span of time.
pub(super) fn human_time(seconds: f64) -> String {
    let seconds = seconds.clamp(0.0, 1e9).round() as u64;
    match (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, seconds) => format!("{seconds} s"),
        (0, 0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (0, hours, minutes, _) => format!("{hours} h {minutes} min"),
        (days, hours, _, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_for_people() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        let times = [0.2, 61.0, 7_260.0, 90_000.0].map(human_time);
        assert_eq!(times, ["0 s", "1 min 1 s", "2 h 1 min", "1 d 1 h"]);
    }
}
