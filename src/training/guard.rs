//! Notices when training runs away: a loss or a gradient that is not a number, or a loss far above what it was.

use serde::{Deserialize, Serialize};

/// How fast the loss's mean forgets: over some hundred steps.
const FORGET: f64 = 0.01;
/// Steps before the mean means anything.
const WARM: u32 = 200;
/// Times the lowest mean that the mean may rise to.
const RUN_AWAY: f64 = 2.0;
/// Times that training goes back before it gives up.
const TRIES: usize = 5;

/// What to do after a step.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Verdict {
    Fine,
    /// Back to the last good weights; says why.
    GoBack(String),
    /// It was tried so many times.
    GiveUp(usize),
}

/// What it remembers; part of a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Guard {
    mean: f64,
    lowest: Option<f64>,
    steps: u32,
    tries: usize,
}

impl Guard {
    /// Looks at a step's loss and the norm of its gradient.
    pub fn look(&mut self, loss: f64, norm: f32) -> Verdict {
        if !loss.is_finite() || !norm.is_finite() {
            return self.go_back("the loss is not a number".to_owned());
        }
        self.steps += 1;
        self.mean = if self.steps == 1 { loss } else { self.mean + FORGET * (loss - self.mean) };
        if self.steps < WARM {
            return Verdict::Fine;
        }
        let lowest = self.lowest.map_or(self.mean, |lowest| lowest.min(self.mean));
        self.lowest = Some(lowest);
        // Well below its beginning a loss may double without harm; near it, it may not.
        if self.mean > RUN_AWAY * lowest && self.mean > 0.5 {
            return self.go_back(format!("the loss rose from {lowest:.3} to {:.3}", self.mean));
        }
        Verdict::Fine
    }

    fn go_back(&mut self, why: String) -> Verdict {
        self.tries += 1;
        (self.steps, self.lowest) = (0, None);
        if self.tries > TRIES { Verdict::GiveUp(self.tries) } else { Verdict::GoBack(why) }
    }

    /// What is left of the rate.
    pub fn scale(&self) -> f64 {
        0.5_f64.powi(self.tries as i32)
    }

    /// Whether the weights of now may be taken as good: the mean is near its lowest.
    pub fn calm(&self) -> bool {
        self.tries == 0 || self.lowest.is_some_and(|lowest| self.mean < 1.3 * lowest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_goes_back_with_half_the_rate_until_it_gives_up() {
        let mut guard = Guard::default();
        assert_eq!(guard.look(0.6, 1.0), Verdict::Fine);
        for tries in 1..=TRIES {
            assert!(matches!(guard.look(f64::NAN, 1.0), Verdict::GoBack(_)));
            assert_eq!(guard.scale(), 0.5_f64.powi(tries as i32));
        }
        assert_eq!(guard.look(0.5, f32::INFINITY), Verdict::GiveUp(TRIES + 1));
    }

    #[test]
    fn a_loss_that_runs_away_is_noticed_and_noise_is_not() {
        let mut guard = Guard::default();
        for step in 0..2_000 {
            let noise = if step % 7 == 0 { 0.3 } else { -0.05 };
            assert_eq!(guard.look(0.5 + noise, 1.0), Verdict::Fine, "{step}");
        }
        let away = (0..2_000).map(|_| guard.look(4.0, 1.0)).find(|verdict| *verdict != Verdict::Fine);
        assert!(matches!(away, Some(Verdict::GoBack(why)) if why.contains("rose from")));
    }
}
