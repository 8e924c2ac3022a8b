//! How good predictions are.

use nunchi_engine::score::WrittenScore;
use nunchi_engine::{Prediction, Unsure};

/// Equal bins of confidence for the calibration error, as Guo et al. (2017) use them.
const BINS: usize = 15;
/// Probabilities are kept this far from 0 when their logarithm is taken, so that one certain mistake stays finite.
pub(crate) const MIN_PROBABILITY: f64 = 1e-15;

/// One classified example.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The class that it has.
    pub class: usize,
    /// The probability of each class.
    pub probabilities: Vec<f64>,
    /// Why the verdict is unsure, if a decision says so.
    pub unsure: Option<Unsure>,
}

impl Outcome {
    /// The outcome of a sigmoid of value `positive`.
    pub fn of_two(class: usize, positive: f64) -> Self {
        Outcome { class, probabilities: vec![1.0 - positive, positive], unsure: None }
    }

    /// The outcome of the engine's prediction for an example of `class`.
    pub fn of_prediction(prediction: &Prediction, class: usize) -> Self {
        let unsure = prediction.unsure;
        if prediction.scores.is_empty() {
            return Outcome { unsure, ..Outcome::of_two(class, f64::from(prediction.score)) };
        }
        let probabilities = prediction.scores.iter().map(|&score| f64::from(score)).collect();
        Outcome { class, probabilities, unsure }
    }

    /// The class that was chosen. Of two, the label of the *written* score, which has six decimals: a verdict of 0.500000
    /// is positive, even where the probability before rounding was 0.4999997. What is measured must be what users see;
    /// with the unrounded probability a report would count verdicts that were never written. Of more classes the most
    /// probable one, the first of equals.
    pub fn chosen(&self) -> usize {
        if self.probabilities.len() == 2 {
            return WrittenScore::new(self.probabilities[1] as f32).label();
        }
        let mut best = 0;
        for (class, &probability) in self.probabilities.iter().enumerate() {
            if probability > self.probabilities[best] {
                best = class;
            }
        }
        best
    }

    /// Whether the chosen class is the one that it has.
    pub fn is_right(&self) -> bool {
        self.chosen() == self.class
    }
}

/// Figures over a data set; all but `records` and `log_loss` are fractions of 1.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Metrics {
    /// Classified examples.
    pub records: usize,
    /// The share of right verdicts.
    pub accuracy: f64,
    /// F1 of `positive`; with more classes the mean over all (macro).
    pub f1: f64,
    /// Area under the ROC curve of `positive`; with more classes the mean of each against the rest.
    pub auc: f64,
    /// Mean negative logarithm of the right class's probability, in nats.
    pub log_loss: f64,
    /// Expected calibration error over 15 equal bins of confidence.
    pub ece: f64,
}

impl Metrics {
    /// Measures `outcomes`. Over nothing every figure is 0.
    pub fn of(outcomes: &[Outcome]) -> Self {
        let records = outcomes.len();
        let Some(first) = outcomes.first() else {
            return Metrics { records, accuracy: 0.0, f1: 0.0, auc: 0.0, log_loss: 0.0, ece: 0.0 };
        };
        let classes = first.probabilities.len();
        let right = outcomes.iter().filter(|outcome| outcome.is_right()).count();
        let measured: Vec<usize> = if classes == 2 { vec![1] } else { (0..classes).collect() };
        let mean = |of: &dyn Fn(usize) -> f64| {
            measured.iter().map(|&class| of(class)).sum::<f64>() / measured.len() as f64
        };
        let log_loss: f64 = outcomes
            .iter()
            .map(|outcome| -outcome.probabilities[outcome.class].max(MIN_PROBABILITY).ln())
            .sum();
        Metrics {
            records,
            accuracy: right as f64 / records as f64,
            f1: mean(&|class| f1(outcomes, class)),
            auc: mean(&|class| auc(outcomes, class)),
            log_loss: log_loss / records as f64,
            ece: calibration_error(outcomes),
        }
    }
}

/// The mean over the classes that occur of the share classified rightly: accuracy as if classes were equally frequent.
pub fn balanced_accuracy(outcomes: &[Outcome]) -> f64 {
    let classes = outcomes.first().map_or(0, |outcome| outcome.probabilities.len());
    let mut shares = Vec::new();
    for class in 0..classes {
        let of_class = outcomes.iter().filter(|outcome| outcome.class == class);
        let (mut count, mut right) = (0, 0);
        for outcome in of_class {
            count += 1;
            right += usize::from(outcome.chosen() == class);
        }
        if count > 0 {
            shares.push(f64::from(right as u32) / f64::from(count));
        }
    }
    if shares.is_empty() { 0.0 } else { shares.iter().sum::<f64>() / shares.len() as f64 }
}

/// Harmonic mean of precision and recall of `class`; 0 where it is neither there nor chosen.
fn f1(outcomes: &[Outcome], class: usize) -> f64 {
    let count = |test: &dyn Fn(&Outcome) -> bool| outcomes.iter().filter(|outcome| test(outcome)).count();
    let hits = count(&|outcome| outcome.class == class && outcome.chosen() == class);
    let there = count(&|outcome| outcome.class == class);
    let chosen = count(&|outcome| outcome.chosen() == class);
    if there + chosen == 0 { 0.0 } else { 2.0 * hits as f64 / (there + chosen) as f64 }
}

/// The probability that an example of `class` gets a higher score for it than one of another class, ties counting
/// half (the Mann-Whitney statistic). 0.5 where there is nothing to compare.
fn auc(outcomes: &[Outcome], class: usize) -> f64 {
    let mut ranked: Vec<(f64, bool)> =
        outcomes.iter().map(|outcome| (outcome.probabilities[class], outcome.class == class)).collect();
    ranked.sort_by(|a, b| a.0.total_cmp(&b.0));
    let positives = ranked.iter().filter(|(_, positive)| *positive).count() as f64;
    let negatives = ranked.len() as f64 - positives;
    if positives == 0.0 || negatives == 0.0 {
        return 0.5;
    }
    let mut rank_sum = 0.0;
    let mut start = 0;
    while start < ranked.len() {
        let ties = ranked[start..].iter().take_while(|(score, _)| *score == ranked[start].0).count();
        // Ranks count from 1; equal scores share the mean of theirs.
        let rank = start as f64 + (ties as f64 + 1.0) / 2.0;
        rank_sum +=
            rank * ranked[start..start + ties].iter().filter(|(_, positive)| *positive).count() as f64;
        start += ties;
    }
    (rank_sum - positives * (positives + 1.0) / 2.0) / (positives * negatives)
}

/// Examples whose chosen classes are about equally probable.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct ConfidenceBin {
    /// How many.
    pub records: usize,
    /// The sum of the chosen classes' probabilities.
    pub confidence: f64,
    /// How many verdicts are right.
    pub right: usize,
}

/// Counts examples by the probability of the chosen class: bin `k` reaches from `k / 15` to `(k + 1) / 15`.
pub(crate) fn confidence_bins(outcomes: &[Outcome]) -> [ConfidenceBin; BINS] {
    let mut bins = [ConfidenceBin::default(); BINS];
    for outcome in outcomes {
        let chosen = outcome.chosen();
        let confidence = outcome.probabilities[chosen];
        let bin = &mut bins[((confidence * BINS as f64) as usize).min(BINS - 1)];
        bin.records += 1;
        bin.confidence += confidence;
        bin.right += usize::from(outcome.is_right());
    }
    bins
}

/// How far confidence and accuracy are apart, averaged over bins by the number of examples in them.
fn calibration_error(outcomes: &[Outcome]) -> f64 {
    let bins = confidence_bins(outcomes);
    bins.iter().map(|bin| (bin.confidence - bin.right as f64).abs()).sum::<f64>() / outcomes.len() as f64
}

/// The confusion matrix: `[class][chosen]` is a number of examples.
pub(crate) fn confusion(outcomes: &[Outcome]) -> Vec<Vec<usize>> {
    let classes = outcomes.first().map_or(0, |outcome| outcome.probabilities.len());
    let mut counts = vec![vec![0; classes]; classes];
    for outcome in outcomes {
        counts[outcome.class][outcome.chosen()] += 1;
    }
    counts
}

/// The ROC curve as points (false positive rate, true positive rate) from (0, 0) to (1, 1): of `positive`; with more
/// classes the mean of each against the rest, at a hundred false positive rates. Empty where there is nothing to
/// compare.
pub(crate) fn roc(outcomes: &[Outcome]) -> Vec<[f64; 2]> {
    let classes = outcomes.first().map_or(0, |outcome| outcome.probabilities.len());
    if classes == 2 {
        return thinned(&roc_of(outcomes, 1));
    }
    let curves: Vec<_> =
        (0..classes).map(|class| roc_of(outcomes, class)).filter(|curve| !curve.is_empty()).collect();
    if curves.is_empty() {
        return Vec::new();
    }
    let mean = |rate: f64| curves.iter().map(|curve| height(curve, rate)).sum::<f64>() / curves.len() as f64;
    let grid = (0..=100).map(|at| f64::from(at) / 100.0).map(|rate| [rate, mean(rate)]);
    std::iter::once([0.0, 0.0]).chain(grid).collect()
}

/// Every corner of the curve of `class` against the rest.
fn roc_of(outcomes: &[Outcome], class: usize) -> Vec<[f64; 2]> {
    let mut ranked: Vec<(f64, bool)> =
        outcomes.iter().map(|outcome| (outcome.probabilities[class], outcome.class == class)).collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    let positives = ranked.iter().filter(|(_, positive)| *positive).count() as f64;
    let negatives = ranked.len() as f64 - positives;
    if positives == 0.0 || negatives == 0.0 {
        return Vec::new();
    }
    let mut points = vec![[0.0, 0.0]];
    let (mut hits, mut alarms) = (0.0, 0.0);
    for (at, &(score, positive)) in ranked.iter().enumerate() {
        if positive {
            hits += 1.0;
        } else {
            alarms += 1.0;
        }
        // Equal scores have no order: they are one step.
        if ranked.get(at + 1).is_none_or(|(next, _)| *next != score) {
            points.push([alarms / negatives, hits / positives]);
        }
    }
    points
}

/// The highest point of a curve at a false positive rate.
fn height(curve: &[[f64; 2]], rate: f64) -> f64 {
    let after = curve.partition_point(|point| point[0] <= rate);
    let before = curve[after.saturating_sub(1)];
    match curve.get(after) {
        Some(next) => before[1] + (next[1] - before[1]) * (rate - before[0]) / (next[0] - before[0]),
        None => before[1],
    }
}

/// Without corners that are closer than a four-hundredth to the one before, which no picture shows.
fn thinned(curve: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let mut kept: Vec<[f64; 2]> = Vec::new();
    for (at, &point) in curve.iter().enumerate() {
        let far = kept.last().is_none_or(|last| point[0] - last[0] + point[1] - last[1] >= 1.0 / 400.0);
        if far || at + 1 == curve.len() {
            kept.push(point);
        }
    }
    kept
}

/// The 95 % interval of a share of `right` among `records` (Wilson 1927); everything, where there are none.
pub(crate) fn interval_95(right: usize, records: usize) -> [f64; 2] {
    if records == 0 {
        return [0.0, 1.0];
    }
    let (z, n) = (1.959_963_985, records as f64);
    let share = right as f64 / n;
    let center = (share + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let half = z / (1.0 + z * z / n) * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
    [(center - half).max(0.0), (center + half).min(1.0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(got: f64, want: f64) {
        assert!((got - want).abs() < 1e-12, "{got} instead of {want}");
    }

    #[test]
    fn figures_counted_by_hand() {
        // Scores and classes: of the four pairs (positive, negative) 0.9>0.6, 0.9>0.2, 0.4<0.6, 0.4>0.2: AUC 3/4.
        let outcomes: Vec<Outcome> = [(1, 0.9), (0, 0.6), (1, 0.4), (0, 0.2)]
            .into_iter()
            .map(|(class, positive)| Outcome::of_two(class, positive))
            .collect();
        let metrics = Metrics::of(&outcomes);
        assert_eq!(metrics.records, 4);
        close(metrics.accuracy, 0.5);
        close(metrics.f1, 0.5);
        close(metrics.auc, 0.75);
        close(metrics.log_loss, -(0.9_f64.ln() + 0.4_f64.ln() + 0.4_f64.ln() + 0.8_f64.ln()) / 4.0);
        // Bins: 0.9 right (0.1 off), 0.6 and 0.6 wrong (together 1.2 off), 0.8 right (0.2 off).
        close(metrics.ece, (0.1 + 1.2 + 0.2) / 4.0);
        close(balanced_accuracy(&outcomes), 0.5);
    }

    #[test]
    fn equal_scores_count_half() {
        let same: Vec<Outcome> = (0..10).map(|index| Outcome::of_two(index % 2, 0.7)).collect();
        close(Metrics::of(&same).auc, 0.5);
    }

    #[test]
    fn the_written_score_decides_between_two_classes() {
        assert_eq!(Outcome::of_two(1, 0.5).chosen(), 1);
        // Written as 0.500000 and as 0.499999.
        assert_eq!(Outcome::of_two(1, 0.499_999_7).chosen(), 1);
        assert_eq!(Outcome::of_two(1, 0.499_999_3).chosen(), 0);
    }

    #[test]
    fn more_classes_are_averaged() {
        let outcomes = vec![
            Outcome { class: 0, probabilities: vec![0.8, 0.1, 0.1], unsure: None },
            Outcome { class: 1, probabilities: vec![0.2, 0.7, 0.1], unsure: None },
            Outcome { class: 2, probabilities: vec![0.5, 0.3, 0.2], unsure: None },
        ];
        let metrics = Metrics::of(&outcomes);
        close(metrics.accuracy, 2.0 / 3.0);
        close(metrics.f1, (2.0 / 3.0 + 1.0 + 0.0) / 3.0);
        close(metrics.auc, 1.0);
        close(balanced_accuracy(&outcomes), 2.0 / 3.0);
    }

    #[test]
    fn the_area_under_the_curve_is_the_auc() {
        let outcomes: Vec<Outcome> = (0..500_usize)
            .map(|index| Outcome::of_two(index % 3 % 2, (index * 7_919 % 101) as f64 / 101.0))
            .collect();
        let curve = roc(&outcomes);
        assert_eq!((curve.first(), curve.last()), (Some(&[0.0, 0.0]), Some(&[1.0, 1.0])));
        let area: f64 =
            curve.windows(2).map(|pair| (pair[1][0] - pair[0][0]) * (pair[0][1] + pair[1][1]) / 2.0).sum();
        assert!((area - Metrics::of(&outcomes).auc).abs() < 2e-3, "{area}");
        assert!(roc(&[Outcome::of_two(1, 0.3)]).is_empty(), "one class has no curve");
        assert!(roc(&[]).is_empty());
    }

    #[test]
    fn curves_of_more_classes_are_averaged() {
        let outcomes: Vec<Outcome> = (0..3)
            .map(|class| {
                let mut probabilities = vec![0.1; 3];
                probabilities[class] = 0.8;
                Outcome { class, probabilities, unsure: None }
            })
            .collect();
        let curve = roc(&outcomes);
        assert_eq!(curve[..2], [[0.0, 0.0], [0.0, 1.0]], "the classes are separated");
        assert_eq!(curve.last(), Some(&[1.0, 1.0]));
    }

    #[test]
    fn confusion_counts_rows_by_class_and_columns_by_verdict() {
        let outcomes = [(0, 0.2), (0, 0.9), (1, 0.9), (1, 0.8), (1, 0.1)]
            .map(|(class, positive)| Outcome::of_two(class, positive));
        assert_eq!(confusion(&outcomes), [[1, 1], [1, 2]]);
        assert!(confusion(&[]).is_empty());
    }

    #[test]
    fn an_interval_as_the_text_book_has_it() {
        // Wilson's interval for 8 of 10: 0.4902 to 0.9433.
        let [low, high] = interval_95(8, 10);
        assert!((low - 0.4902).abs() < 1e-4 && (high - 0.9433).abs() < 1e-4, "{low} to {high}");
        assert_eq!(interval_95(0, 0), [0.0, 1.0]);
    }

    #[test]
    fn nothing_and_sure_mistakes_stay_finite() {
        assert_eq!(Metrics::of(&[]).records, 0);
        assert!(Metrics::of(&[Outcome::of_two(1, 0.0)]).log_loss.is_finite());
    }
}
