//! Detects when training diverges: a loss or a gradient that is not a number, or a loss that rises again.
//!
//! What counts is a moving mean of the loss. It is compared with the *baseline loss*, that of an untrained network (the
//! logarithm of the number of classes): the mean begins there, so that a rate that is absurd from the first step on is found within
//! some steps, and how much of the way down from there is lost again says whether training diverges. A network that has learned
//! something else before (labels that a bug swapped, say) may lose more than the baseline to begin with: then its first loss is
//! the baseline.

use serde::{Deserialize, Serialize};

/// Examples, but at least [`MIN_WINDOW_STEPS`], of the moving mean: the fewer examples a step has, the noisier its loss is.
const WINDOW_EXAMPLES: f64 = 12_800.0;
/// Fewest steps of the moving mean; and how many pass after a rollback before weights may be taken as good.
const MIN_WINDOW_STEPS: u32 = 100;
/// The mean may rise by this share of the way that it came down from the baseline …
const MAX_LOST_SHARE: f64 = 0.5;
/// … and by this share of the baseline, if that is more.
const MIN_RISE: f64 = 0.25;
/// After so many steps the mean must not be above the baseline by more than this share: noise learns nothing.
const MAX_STEPS_WITHOUT_LEARNING: u32 = 300;
const NO_LEARNING_MARGIN: f64 = 0.05;
/// Weights may be taken as good while the mean is no further above its lowest than this share of the baseline.
const STABLE_MARGIN: f64 = 0.1;
/// Examples whose loss may be the baseline.
const MIN_FIRST_EXAMPLES: usize = 16;
/// Times that training is rolled back before it gives up: to less than a thousandth of the rate.
const MAX_ROLLBACKS: usize = 5;
/// What is left of the rate each time.
const ROLLBACK_RATE_FACTOR: f64 = 0.25;

/// What to do after a step.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Decision {
    Continue,
    /// Roll back to the last good weights, with the reason.
    RollBack(String),
    /// Give up after so many rollbacks.
    GiveUp(usize),
}

/// What a step came to.
#[derive(Clone, Copy, Debug)]
pub(super) struct StepStats {
    /// The mean loss of an example that weighs 1, in nats.
    pub loss: f64,
    /// The gradient's norm.
    pub norm: f32,
    pub examples: usize,
    /// The loss of an untrained network.
    pub baseline: f64,
}

/// Detects divergence in a stage's losses; part of a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct DivergenceDetector {
    /// The moving mean of the loss and the lowest that it was; nothing before the first step.
    mean: Option<f64>,
    lowest: Option<f64>,
    /// The baseline, or the first step's loss if that was more.
    level: Option<f64>,
    /// Since the beginning, or since training went back.
    steps: u32,
    rollbacks: usize,
}

impl DivergenceDetector {
    /// Takes a step in.
    pub fn observe(&mut self, step: StepStats) -> Decision {
        let StepStats { loss, norm, examples, baseline } = step;
        if !loss.is_finite() || !norm.is_finite() {
            return self.roll_back("the loss is not a number".to_owned());
        }
        self.steps = self.steps.saturating_add(1);
        // Before the first step nothing can have run away; the loss of a few examples is noise.
        let first = if examples >= MIN_FIRST_EXAMPLES { loss.max(baseline) } else { baseline };
        let level = *self.level.get_or_insert(first);
        let before = self.mean.unwrap_or(level);
        let newest = (examples as f64 / WINDOW_EXAMPLES).min(1.0 / f64::from(MIN_WINDOW_STEPS));
        let mean = before + newest * (loss - before);
        let lowest = self.lowest.unwrap_or(level).min(mean);
        (self.mean, self.lowest) = (Some(mean), Some(lowest));
        if mean > lowest + (MAX_LOST_SHARE * (level - lowest)).max(MIN_RISE * level) {
            return self.roll_back(format!("the mean loss rose from {lowest:.3} to {mean:.3}"));
        }
        let learned_nothing =
            mean > baseline * (1.0 + NO_LEARNING_MARGIN) && mean > level * (1.0 - NO_LEARNING_MARGIN);
        if self.steps >= MAX_STEPS_WITHOUT_LEARNING && learned_nothing {
            let why = "no better than at the start: the baseline loss is";
            return self.roll_back(format!("the mean loss is {mean:.3}, {why} {baseline:.3}"));
        }
        Decision::Continue
    }

    fn roll_back(&mut self, why: String) -> Decision {
        self.rollbacks += 1;
        (self.steps, self.mean, self.lowest) = (0, None, None);
        if self.rollbacks > MAX_ROLLBACKS {
            Decision::GiveUp(self.rollbacks)
        } else {
            Decision::RollBack(why)
        }
    }

    /// What is left of the rate.
    pub fn rate_scale(&self) -> f64 {
        ROLLBACK_RATE_FACTOR.powi(self.rollbacks as i32)
    }

    /// Whether the weights of now may be taken as good.
    pub fn is_stable(&self, baseline: f64) -> bool {
        let (Some(mean), Some(lowest)) = (self.mean, self.lowest) else { return self.rollbacks == 0 };
        mean < lowest + STABLE_MARGIN * baseline && (self.rollbacks == 0 || self.steps >= MIN_WINDOW_STEPS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASELINE: f64 = std::f64::consts::LN_2;

    fn stats(loss: f64) -> StepStats {
        StepStats { loss, norm: 1.0, examples: 128, baseline: BASELINE }
    }

    /// Steps of a loss until one is not fine, and what is said then.
    fn until_noticed(
        detector: &mut DivergenceDetector,
        losses: impl Iterator<Item = f64>,
    ) -> Option<(usize, Decision)> {
        losses
            .map(|loss| detector.observe(stats(loss)))
            .enumerate()
            .find(|(_, verdict)| *verdict != Decision::Continue)
    }

    #[test]
    fn no_number_goes_back_with_a_smaller_rate_until_it_gives_up() {
        let mut detector = DivergenceDetector::default();
        assert_eq!(detector.observe(stats(0.6)), Decision::Continue);
        for rollbacks in 1..=MAX_ROLLBACKS {
            assert!(matches!(detector.observe(stats(f64::NAN)), Decision::RollBack(_)));
            assert_eq!(detector.rate_scale(), 0.25_f64.powi(rollbacks as i32));
        }
        let last = detector.observe(StepStats { norm: f32::INFINITY, ..stats(0.5) });
        assert_eq!(last, Decision::GiveUp(MAX_ROLLBACKS + 1));
    }

    #[test]
    fn unlearning_is_no_running_away() {
        let mut detector = DivergenceDetector::default();
        let falling = (0..2_000).map(|step| 0.3 + 2.0 * (-f64::from(step) / 300.0).exp());
        assert_eq!(until_noticed(&mut detector, falling), None);
        let again = (0..2_000).map(|_| 4.0);
        assert!(matches!(until_noticed(&mut detector, again), Some((_, Decision::RollBack(_)))));
    }

    #[test]
    fn noise_is_not_noticed_in_batches_of_any_size() {
        for (examples, noise) in [(1, 1.5), (16, 0.5), (128, 0.3), (4_096, 0.1)] {
            let mut detector = DivergenceDetector::default();
            for step in 0..20_000_u32 {
                let wave = f64::from(step.wrapping_mul(2_654_435_761) >> 16) / 65_536.0 - 0.5;
                let loss = 0.2 + 0.5 * (-f64::from(step) / 2_000.0).exp() + noise * wave;
                let verdict = detector.observe(StepStats { examples, ..stats(loss) });
                assert_eq!(verdict, Decision::Continue, "batches of {examples}, step {step}");
            }
            assert!(detector.is_stable(BASELINE));
        }
    }

    #[test]
    fn a_loss_that_is_absurd_from_the_beginning_is_noticed_within_steps() {
        let mut detector = DivergenceDetector::default();
        let (steps, verdict) = until_noticed(&mut detector, [0.69, 40.0, 40.0].into_iter()).unwrap();
        assert_eq!(steps, 1);
        assert!(matches!(verdict, Decision::RollBack(why) if why.contains("rose from")));
    }

    #[test]
    fn a_loss_that_stays_above_the_baseline_is_noticed() {
        let mut detector = DivergenceDetector::default();
        let (steps, verdict) = until_noticed(&mut detector, std::iter::repeat_n(0.80, 1_000)).unwrap();
        assert_eq!(steps + 1, MAX_STEPS_WITHOUT_LEARNING as usize);
        assert!(matches!(verdict, Decision::RollBack(why) if why.contains("baseline loss")));
        let mut detector = DivergenceDetector::default();
        assert_eq!(until_noticed(&mut detector, std::iter::repeat_n(0.70, 5_000)), None);
    }

    #[test]
    fn what_was_learned_and_is_lost_again_is_noticed() {
        for learned in [0.45, 0.3, 0.05] {
            let mut detector = DivergenceDetector::default();
            assert_eq!(until_noticed(&mut detector, std::iter::repeat_n(learned, 1_000)), None);
            // Back to the baseline loss.
            let (steps, _) = until_noticed(&mut detector, std::iter::repeat_n(0.70, 1_000)).unwrap();
            assert!((20..150).contains(&steps), "from {learned}: {steps}");
        }
    }

    #[test]
    fn nothing_is_good_while_the_loss_rises_or_just_after_going_back() {
        let mut detector = DivergenceDetector::default();
        assert!(detector.is_stable(BASELINE));
        assert_eq!(until_noticed(&mut detector, std::iter::repeat_n(0.3, 1_000)), None);
        assert!(detector.is_stable(BASELINE));
        assert_eq!(until_noticed(&mut detector, std::iter::repeat_n(0.6, 40)), None);
        assert!(!detector.is_stable(BASELINE), "on its way up");
        detector.observe(stats(f64::INFINITY));
        assert!(!detector.is_stable(BASELINE));
        assert_eq!(until_noticed(&mut detector, std::iter::repeat_n(0.3, 50)), None);
        assert!(!detector.is_stable(BASELINE), "too early to say");
        assert_eq!(until_noticed(&mut detector, std::iter::repeat_n(0.3, 100)), None);
        assert!(detector.is_stable(BASELINE));
    }
}
