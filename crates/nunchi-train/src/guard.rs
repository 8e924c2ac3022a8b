//! Notices when training runs away: a loss or a gradient that is not a number, or a loss that rises again.
//!
//! What counts is a moving mean of the loss. Its yardstick is what a network that knows nothing would lose (*chance*: the logarithm
//! of the number of classes): the mean begins there, so that a rate that is absurd from the first step on is found within some steps,
//! and how much of the way down from there is lost again says whether it runs away. A network that has learned something else before
//! (labels that a bug turned round, say) may lose more than chance to begin with: then its first loss is the yardstick.

use serde::{Deserialize, Serialize};

/// Examples, but at least [`STEPS`], over which the mean forgets: the fewer examples a step has, the noisier its loss is.
const EXAMPLES: f64 = 12_800.0;
/// Steps over which the mean forgets, at least; and how many pass after going back before weights may be taken as good.
const STEPS: u32 = 100;
/// The mean may rise by this share of the way that it came down from chance …
const LOST: f64 = 0.5;
/// … and by this share of chance, if that is more.
const RISE: f64 = 0.25;
/// After so many steps the mean must not be above chance by more than this share: noise learns nothing.
const LEARNED_BY: u32 = 300;
const NOTHING_LEARNED: f64 = 0.05;
/// Weights may be taken as good while the mean is no further above its lowest than this share of chance.
const CALM: f64 = 0.1;
/// Examples whose loss may be the yardstick.
const FIRST: usize = 16;
/// Times that training goes back before it gives up: to less than a thousandth of the rate.
const TRIES: usize = 5;
/// What is left of the rate each time.
const SLOWER: f64 = 0.25;

/// What to do after a step.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Verdict {
    Fine,
    /// Back to the last good weights; says why.
    GoBack(String),
    /// It was tried so many times.
    GiveUp(usize),
}

/// What a step tells.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// The mean loss of an example that weighs 1, in nats.
    pub loss: f64,
    /// The gradient's norm.
    pub norm: f32,
    pub examples: usize,
    /// The loss of a network that knows nothing.
    pub chance: f64,
}

/// What it remembers; part of a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Guard {
    /// The moving mean of the loss and the lowest that it was; nothing before the first step.
    mean: Option<f64>,
    lowest: Option<f64>,
    /// Chance, or the first step's loss if that was more.
    level: Option<f64>,
    /// Since the beginning, or since training went back.
    steps: u32,
    tries: usize,
}

impl Guard {
    /// Looks at a step.
    pub fn look(&mut self, seen: Seen) -> Verdict {
        let Seen { loss, norm, examples, chance } = seen;
        if !loss.is_finite() || !norm.is_finite() {
            return self.go_back("the loss is not a number".to_owned());
        }
        self.steps = self.steps.saturating_add(1);
        // Before the first step nothing can have run away; of a few examples the loss says little.
        let first = if examples >= FIRST { loss.max(chance) } else { chance };
        let level = *self.level.get_or_insert(first);
        let before = self.mean.unwrap_or(level);
        let newest = (examples as f64 / EXAMPLES).min(1.0 / f64::from(STEPS));
        let mean = before + newest * (loss - before);
        let lowest = self.lowest.unwrap_or(level).min(mean);
        (self.mean, self.lowest) = (Some(mean), Some(lowest));
        if mean > lowest + (LOST * (level - lowest)).max(RISE * level) {
            return self.go_back(format!("the mean loss rose from {lowest:.3} to {mean:.3}"));
        }
        let nothing = mean > chance * (1.0 + NOTHING_LEARNED) && mean > level * (1.0 - NOTHING_LEARNED);
        if self.steps >= LEARNED_BY && nothing {
            let than = format!("{chance:.3} is that of knowing nothing,");
            return self.go_back(format!("the mean loss is {mean:.3}, as at the beginning, and {than}"));
        }
        Verdict::Fine
    }

    fn go_back(&mut self, why: String) -> Verdict {
        self.tries += 1;
        (self.steps, self.mean, self.lowest) = (0, None, None);
        if self.tries > TRIES { Verdict::GiveUp(self.tries) } else { Verdict::GoBack(why) }
    }

    /// What is left of the rate.
    pub fn scale(&self) -> f64 {
        SLOWER.powi(self.tries as i32)
    }

    /// Whether the weights of now may be taken as good.
    pub fn calm(&self, chance: f64) -> bool {
        let (Some(mean), Some(lowest)) = (self.mean, self.lowest) else { return self.tries == 0 };
        mean < lowest + CALM * chance && (self.tries == 0 || self.steps >= STEPS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANCE: f64 = std::f64::consts::LN_2;

    fn seen(loss: f64) -> Seen {
        Seen { loss, norm: 1.0, examples: 128, chance: CHANCE }
    }

    /// Steps of a loss until one is not fine, and what is said then.
    fn until_noticed(guard: &mut Guard, losses: impl Iterator<Item = f64>) -> Option<(usize, Verdict)> {
        losses.map(|loss| guard.look(seen(loss))).enumerate().find(|(_, verdict)| *verdict != Verdict::Fine)
    }

    #[test]
    fn no_number_goes_back_with_a_smaller_rate_until_it_gives_up() {
        let mut guard = Guard::default();
        assert_eq!(guard.look(seen(0.6)), Verdict::Fine);
        for tries in 1..=TRIES {
            assert!(matches!(guard.look(seen(f64::NAN)), Verdict::GoBack(_)));
            assert_eq!(guard.scale(), 0.25_f64.powi(tries as i32));
        }
        let last = guard.look(Seen { norm: f32::INFINITY, ..seen(0.5) });
        assert_eq!(last, Verdict::GiveUp(TRIES + 1));
    }

    #[test]
    fn unlearning_is_no_running_away() {
        let mut guard = Guard::default();
        let falling = (0..2_000).map(|step| 0.3 + 2.0 * (-f64::from(step) / 300.0).exp());
        assert_eq!(until_noticed(&mut guard, falling), None);
        let again = (0..2_000).map(|_| 4.0);
        assert!(matches!(until_noticed(&mut guard, again), Some((_, Verdict::GoBack(_)))));
    }

    #[test]
    fn noise_is_not_noticed_in_batches_of_any_size() {
        for (examples, noise) in [(1, 1.5), (16, 0.5), (128, 0.3), (4_096, 0.1)] {
            let mut guard = Guard::default();
            for step in 0..20_000_u32 {
                let wave = f64::from(step.wrapping_mul(2_654_435_761) >> 16) / 65_536.0 - 0.5;
                let loss = 0.2 + 0.5 * (-f64::from(step) / 2_000.0).exp() + noise * wave;
                let verdict = guard.look(Seen { examples, ..seen(loss) });
                assert_eq!(verdict, Verdict::Fine, "batches of {examples}, step {step}");
            }
            assert!(guard.calm(CHANCE));
        }
    }

    #[test]
    fn a_loss_that_is_absurd_from_the_beginning_is_noticed_within_steps() {
        let mut guard = Guard::default();
        let (steps, verdict) = until_noticed(&mut guard, [0.69, 40.0, 40.0].into_iter()).unwrap();
        assert_eq!(steps, 1);
        assert!(matches!(verdict, Verdict::GoBack(why) if why.contains("rose from")));
    }

    #[test]
    fn a_loss_that_stays_above_chance_is_noticed() {
        let mut guard = Guard::default();
        let (steps, verdict) = until_noticed(&mut guard, std::iter::repeat_n(0.80, 1_000)).unwrap();
        assert_eq!(steps + 1, LEARNED_BY as usize);
        assert!(matches!(verdict, Verdict::GoBack(why) if why.contains("knowing nothing")));
        let mut guard = Guard::default();
        assert_eq!(until_noticed(&mut guard, std::iter::repeat_n(0.70, 5_000)), None);
    }

    #[test]
    fn what_was_learned_and_is_lost_again_is_noticed() {
        for learned in [0.45, 0.3, 0.05] {
            let mut guard = Guard::default();
            assert_eq!(until_noticed(&mut guard, std::iter::repeat_n(learned, 1_000)), None);
            // Back to knowing nothing.
            let (steps, _) = until_noticed(&mut guard, std::iter::repeat_n(0.70, 1_000)).unwrap();
            assert!((20..150).contains(&steps), "from {learned}: {steps}");
        }
    }

    #[test]
    fn nothing_is_good_while_the_loss_rises_or_just_after_going_back() {
        let mut guard = Guard::default();
        assert!(guard.calm(CHANCE));
        assert_eq!(until_noticed(&mut guard, std::iter::repeat_n(0.3, 1_000)), None);
        assert!(guard.calm(CHANCE));
        assert_eq!(until_noticed(&mut guard, std::iter::repeat_n(0.6, 40)), None);
        assert!(!guard.calm(CHANCE), "on its way up");
        guard.look(seen(f64::INFINITY));
        assert!(!guard.calm(CHANCE));
        assert_eq!(until_noticed(&mut guard, std::iter::repeat_n(0.3, 50)), None);
        assert!(!guard.calm(CHANCE), "too early to tell");
        assert_eq!(until_noticed(&mut guard, std::iter::repeat_n(0.3, 100)), None);
        assert!(guard.calm(CHANCE));
    }
}
