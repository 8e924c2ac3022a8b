//! The history of a training: the data of a report's learning curves.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Points that are kept of a run at most; half as many at least, once there were so many steps.
const MAX_POINTS: usize = 400;

/// A stretch of steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// The stretch's last step, counted from 1.
    pub step: usize,
    /// Examples that were trained on up to its end.
    pub examples: usize,
    /// Mean training loss of its examples, in nats.
    pub loss: f64,
    /// The learning rate of its last step, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
}

/// A pass over the data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pass {
    /// Counted from 1.
    pub epoch: usize,
    /// Mean training loss of an example, in nats.
    pub loss: f64,
    /// Balanced accuracy on each development group.
    #[serde(default)]
    pub dev: Vec<f64>,
    /// The mean over the development groups that decides which pass is best.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// Trained examples a second, where that was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub examples_per_s: Option<f64>,
}

impl Pass {
    /// The mean over the development groups that decides which pass is best; where a report lacks it, the plain one.
    pub fn score(&self) -> Option<f64> {
        let plain = || self.dev.iter().sum::<f64>() / self.dev.len() as f64;
        self.score.or_else(|| (!self.dev.is_empty()).then(plain))
    }
}

/// A whole training.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// The loss on the way, thinned out to a few hundred points. A model's own report has none.
    #[serde(default)]
    pub points: Vec<Point>,
    /// Every pass.
    pub epochs: Vec<Pass>,
    /// Which of them was kept, counted from 1.
    pub kept_epoch: usize,
    /// The names of the development groups, in the order of [`Pass::dev`].
    #[serde(default)]
    pub groups: Vec<String>,
    /// How long training took, where that was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
}

impl History {
    /// The history in a model's report ([`nunchi_model::Model::report`]); `None` if there is none.
    pub fn of_report(report: &Value) -> Option<Self> {
        let mut history: History = serde_json::from_value(serde_json::json!({
            "epochs": report.get("epochs")?,
            "kept_epoch": report.get("kept_epoch")?,
        }))
        .ok()?;
        let groups = report["development"].as_array().into_iter().flatten();
        history.groups = groups.filter_map(|group| group["file"].as_str().map(str::to_owned)).collect();
        (!history.epochs.is_empty()).then_some(history)
    }
}

/// Records every step as few points, in memory that does not grow: when there are too many, neighbors are joined.
#[derive(Clone, Debug)]
pub struct Recorder {
    points: Vec<Point>,
    /// Steps of a point.
    stretch: usize,
    steps: usize,
    examples: usize,
    /// The stretch that is not complete: its examples, the sum of their losses, the newest rate.
    open: (usize, f64, Option<f64>),
}

impl Default for Recorder {
    fn default() -> Self {
        Recorder { points: Vec::new(), stretch: 1, steps: 0, examples: 0, open: (0, 0.0, None) }
    }
}

impl Recorder {
    /// A step over `examples` examples ended; their mean loss, and the learning rate if it is known.
    pub fn step(&mut self, examples: usize, loss: f64, rate: Option<f64>) {
        self.steps += 1;
        self.examples += examples;
        self.open.0 += examples;
        self.open.1 += loss * examples as f64;
        self.open.2 = rate;
        if self.steps.is_multiple_of(self.stretch) {
            self.close();
        }
    }

    /// The points so far, the last one of an incomplete stretch.
    pub fn points(&self) -> Vec<Point> {
        let mut all = self.clone();
        all.close();
        all.points
    }

    fn close(&mut self) {
        let (examples, loss, rate) = std::mem::replace(&mut self.open, (0, 0.0, None));
        if examples == 0 {
            return;
        }
        let loss = loss / examples as f64;
        self.points.push(Point { step: self.steps, examples: self.examples, loss, rate });
        if self.points.len() == MAX_POINTS {
            self.halve();
        }
    }

    /// Joins every two points; the losses weigh as many examples as they are of.
    fn halve(&mut self) {
        let mut before = 0;
        let mut joined = Vec::with_capacity(MAX_POINTS);
        for pair in self.points.chunks_exact(2) {
            let [first, second] = pair else { continue };
            let counts = [first.examples - before, second.examples - first.examples].map(|n| n as f64);
            let loss = (first.loss * counts[0] + second.loss * counts[1]) / (counts[0] + counts[1]);
            before = second.examples;
            joined.push(Point { loss, ..second.clone() });
        }
        self.points = joined;
        self.stretch *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_points_stand_for_many_steps_and_no_loss_is_lost() {
        let mut recorder = Recorder::default();
        let mut total = 0.0;
        for step in 0..10_003_usize {
            let (examples, loss) = (step % 7 + 1, 1.0 / (step + 1) as f64);
            total += loss * examples as f64;
            recorder.step(examples, loss, Some(step as f64));
        }
        let points = recorder.points();
        assert!((MAX_POINTS / 2..=MAX_POINTS).contains(&points.len()), "{}", points.len());
        let mut before = 0;
        let mut sum = 0.0;
        for point in &points {
            sum += point.loss * (point.examples - before) as f64;
            before = point.examples;
        }
        assert!((sum - total).abs() < 1e-9 * total, "{sum} instead of {total}");
        let last = points.last().unwrap();
        assert_eq!((last.step, last.rate), (10_003, Some(10_002.0)));
        assert!(points.windows(2).all(|pair| pair[0].step < pair[1].step));
    }

    #[test]
    fn short_runs_keep_every_step() {
        let mut recorder = Recorder::default();
        assert_eq!(recorder.points(), []);
        recorder.step(4, 0.5, None);
        recorder.step(2, 0.25, None);
        let points = recorder.points();
        assert_eq!(points.iter().map(|point| point.loss).collect::<Vec<_>>(), [0.5, 0.25]);
        assert_eq!(points[1].examples, 6);
    }

    #[test]
    fn a_models_report_tells_its_epochs() {
        let report = serde_json::json!({
            "epochs": [{ "epoch": 1, "loss": 0.5, "dev": [0.8, 0.9] }],
            "kept_epoch": 1,
            "development": [{ "file": "a.tsv" }, { "file": "b.tsv" }],
        });
        let history = History::of_report(&report).unwrap();
        assert_eq!(history.groups, ["a.tsv", "b.tsv"]);
        assert!((history.epochs[0].score().unwrap() - 0.85).abs() < 1e-12);
        assert_eq!(Pass { score: Some(0.9), ..history.epochs[0].clone() }.score(), Some(0.9));
        for nothing in [serde_json::json!({}), serde_json::json!("?"), Value::Null] {
            assert_eq!(History::of_report(&nothing), None);
        }
    }
}
