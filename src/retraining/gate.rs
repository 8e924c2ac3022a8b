//! The gate: whether the candidate may replace the current model. Every check reports its finding and its threshold.

use nunchi_eval::evaluation::Measured;
use nunchi_eval::metrics::balanced_accuracy;
use nunchi_eval::paired::Paired;
use nunchi_eval::pairs::ComparedTally;
use serde::Serialize;

/// The thresholds of the gate.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GateThresholds {
    /// Confidence of the paired test at which a candidate counts as worse.
    pub confidence: f64,
    /// Largest loss of accuracy on a set, even if it is not significant.
    #[serde(rename = "most_loss")]
    pub max_loss: f64,
    /// How much the calibration error may rise.
    pub ece: f64,
    /// Largest loss of the share of pairs that are classified right.
    pub pairs: f64,
    /// Largest loss of speed, as a share.
    pub speed: f64,
    /// Least accuracy of the current model on the new labels: below, the labels are considered wrong, not the model.
    pub plausible: f64,
}

impl Default for GateThresholds {
    fn default() -> Self {
        GateThresholds {
            confidence: 0.95,
            max_loss: 0.02,
            ece: 0.05,
            pairs: 0.1,
            speed: 0.25,
            plausible: 0.6,
        }
    }
}

/// One check of the gate.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// What was checked.
    pub name: String,
    /// Whether it holds.
    pub passed: bool,
    /// The finding, as a message.
    #[serde(rename = "said")]
    pub finding: String,
}

/// The gate's decision.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct GateDecision {
    /// Whether every check holds.
    pub passed: bool,
    /// The checks.
    pub checks: Vec<Check>,
}

/// A set of comments, classified by both models.
#[derive(Clone, Copy, Debug)]
pub struct Set<'a> {
    /// Its name in the report.
    pub name: &'static str,
    /// The current model.
    pub current: &'a Measured,
    /// The candidate.
    pub candidate: &'a Measured,
}

/// The gate's input.
#[derive(Clone, Debug)]
pub struct GateEvidence<'a> {
    /// The last part in time of the new comments.
    pub fresh: Set<'a>,
    /// The fixed golden set, if there is one.
    pub golden: Option<Set<'a>>,
    /// Pairs.
    pub pairs: &'a [ComparedTally],
    /// Comments a second of the current model and of the candidate.
    pub speed: [f64; 2],
}

impl GateThresholds {
    /// Checks the evidence.
    pub fn decide(&self, evidence: &GateEvidence<'_>) -> GateDecision {
        let mut checks = vec![self.labels(&evidence.fresh)];
        for set in [Some(&evidence.fresh), evidence.golden.as_ref()].into_iter().flatten() {
            checks.push(self.accuracy(set));
            checks.push(self.calibration(set));
        }
        checks.extend(self.order(evidence.pairs));
        checks.push(self.speed(evidence.speed));
        GateDecision { passed: checks.iter().all(|check| check.passed), checks }
    }

    /// If the serving model disagrees with most new labels, the labels are probably wrong: an inverted field, a misaligned
    /// join. A candidate that learned them would score better on the fresh part.
    fn labels(&self, fresh: &Set<'_>) -> Check {
        let accuracy = balanced_accuracy(&fresh.current.outcomes);
        Check {
            name: "new labels are plausible".to_owned(),
            passed: accuracy >= self.plausible,
            finding: format!(
                "balanced accuracy of the current model on the new comments is {}; at least {} is required, \
                 otherwise the labels are probably wrong",
                percent(accuracy),
                percent(self.plausible)
            ),
        }
    }

    fn accuracy(&self, set: &Set<'_>) -> Check {
        let paired = Paired::of(&set.current.outcomes, &set.candidate.outcomes);
        let (p_value, gain) = (paired.p_value_of_loss(), paired.gain());
        let (current, candidate) = (set.current.metrics.accuracy, set.candidate.metrics.accuracy);
        let significant = p_value < 1.0 - self.confidence;
        let mut finding = format!(
            "{} → {} on {} comments; {} only the current model classifies right, {} only the candidate",
            percent(current),
            percent(candidate),
            paired.records(),
            paired.only_first,
            paired.only_second
        );
        if gain < 0.0 {
            finding += &format!(
                "; p-value of the loss {} (sign test), the limit is {}",
                probability(p_value),
                probability(1.0 - self.confidence)
            );
        } else {
            finding +=
                &format!("; p-value of the gain {} (sign test)", probability(paired.p_value_of_gain()));
        }
        if -gain > self.max_loss {
            finding += &format!("; the loss exceeds the limit of {}", points(self.max_loss));
        }
        Check {
            name: format!("accuracy, {}", set.name),
            passed: !significant && -gain <= self.max_loss,
            finding,
        }
    }

    fn calibration(&self, set: &Set<'_>) -> Check {
        let (current, candidate) = (set.current.metrics.ece, set.candidate.metrics.ece);
        Check {
            name: format!("calibration, {}", set.name),
            passed: candidate <= current + self.ece,
            finding: format!(
                "calibration error {} → {}; a rise of {} is allowed",
                points(current),
                points(candidate),
                points(self.ece)
            ),
        }
    }

    fn order(&self, tallies: &[ComparedTally]) -> Option<Check> {
        let labelled: usize = tallies.iter().map(|tally| tally.labelled).sum();
        if labelled == 0 {
            return None;
        }
        let right = [0, 1].map(|model: usize| tallies.iter().map(|tally| tally.right[model]).sum::<usize>());
        let loss = (right[0] as f64 - right[1] as f64) / labelled as f64;
        Some(Check {
            name: "pairs that differ in order".to_owned(),
            passed: loss <= self.pairs,
            finding: format!(
                "{} → {} of {labelled} pairs classified right on both sides; a loss of {} is allowed",
                right[0],
                right[1],
                percent(self.pairs)
            ),
        })
    }

    fn speed(&self, [current, candidate]: [f64; 2]) -> Check {
        Check {
            name: "speed".to_owned(),
            passed: candidate >= current * (1.0 - self.speed),
            finding: format!(
                "{current:.0} → {candidate:.0} comments a second on one core; a loss of {} is allowed",
                percent(self.speed)
            ),
        }
    }
}

impl GateDecision {
    /// The checks that do not hold, in one line.
    pub fn reasons(&self) -> String {
        let failed = self.checks.iter().filter(|check| !check.passed);
        failed.map(|check| format!("{}: {}", check.name, check.finding)).collect::<Vec<_>>().join("; ")
    }
}

fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

fn points(share: f64) -> String {
    format!("{:.2} points", share * 100.0)
}

fn probability(value: f64) -> String {
    if value < 1e-4 { "less than 0.0001".to_owned() } else { format!("{value:.4}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nunchi_eval::metrics::{Metrics, Outcome};

    /// `right` of `count` comments are classified right with a probability that is right as often.
    fn classified(count: usize, right: usize) -> Measured {
        let sure = right as f64 / count as f64;
        let outcomes: Vec<Outcome> = (0..count)
            .map(|index| {
                let class = index % 2;
                let positive = (index / 2 * 2 < right) == (class == 1);
                Outcome::of_two(class, if positive { sure.max(0.51) } else { 1.0 - sure.max(0.51) })
            })
            .collect();
        let metrics = Metrics::of(&outcomes);
        Measured { outcomes, predictions: Vec::new(), metrics }
    }

    fn decide(current: &Measured, candidate: &Measured) -> GateDecision {
        let fresh = Set { name: "fresh", current, candidate };
        GateThresholds::default().decide(&GateEvidence {
            fresh,
            golden: None,
            pairs: &[],
            speed: [100.0, 90.0],
        })
    }

    #[test]
    fn a_better_one_and_an_equal_one_pass() {
        assert!(decide(&classified(1_000, 800), &classified(1_000, 860)).passed);
        assert!(decide(&classified(1_000, 800), &classified(1_000, 800)).passed);
        // One comment less in a thousand is not significant.
        assert!(decide(&classified(1_000, 800), &classified(1_000, 798)).passed);
    }

    #[test]
    fn a_worse_one_is_refused_and_the_reason_has_figures() {
        let decision = decide(&classified(1_000, 860), &classified(1_000, 800));
        assert!(!decision.passed);
        let reasons = decision.reasons();
        assert!(reasons.contains("86.00 % → 80.00 %") && reasons.contains("less than 0.0001"), "{reasons}");
    }

    #[test]
    fn labels_that_contradict_the_current_model_are_refused_however_good_the_candidate_is() {
        let decision = decide(&classified(1_000, 120), &classified(1_000, 880));
        let failed: Vec<&str> =
            decision.checks.iter().filter(|check| !check.passed).map(|check| check.name.as_str()).collect();
        assert!(failed.contains(&"new labels are plausible"), "{failed:?}");
    }

    #[test]
    fn a_slow_one_and_one_that_forgot_the_order_are_refused() {
        let good = classified(1_000, 800);
        let fresh = Set { name: "fresh", current: &good, candidate: &good };
        let tally = ComparedTally { labelled: 20, right: [15, 10], ..ComparedTally::default() };
        let evidence = GateEvidence { fresh, golden: None, pairs: &[tally], speed: [100.0, 60.0] };
        let decision = GateThresholds::default().decide(&evidence);
        let failed: Vec<&str> =
            decision.checks.iter().filter(|check| !check.passed).map(|check| check.name.as_str()).collect();
        assert_eq!(failed, ["pairs that differ in order", "speed"]);
    }
}
