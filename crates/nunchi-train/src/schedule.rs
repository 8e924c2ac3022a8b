//! How the learning rate changes while training goes on.

use serde::{Deserialize, Serialize};

/// The course of the rate, as a share of the highest one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// Up in a straight line, then down to zero along half a cosine (Loshchilov and Hutter 2017)
    #[default]
    Cosine,
    /// From a 25th up along a cosine for 30 % of the steps, then down to nearly nothing (Smith 2018)
    OneCycle,
    /// Up in a straight line, then down in one
    Linear,
    /// Up in a straight line, then level
    Constant,
}

/// The rate's share of the highest one when the share `done` of all steps is behind; it rises for the share `warm_up`.
pub(crate) fn rate(shape: Shape, warm_up: f64, done: f64) -> f64 {
    let done = done.clamp(0.0, 1.0);
    let cosine =
        |from: f64, to: f64, at: f64| to + (from - to) * 0.5 * (1.0 + (std::f64::consts::PI * at).cos());
    if shape == Shape::OneCycle {
        const RISE: f64 = 0.3;
        return match done < RISE {
            true => cosine(0.04, 1.0, done / RISE),
            false => cosine(1.0, 1e-4, (done - RISE) / (1.0 - RISE)),
        };
    }
    if done < warm_up {
        // Never nothing: the first step counts too.
        return (done / warm_up).max(0.01);
    }
    let since = (done - warm_up) / (1.0 - warm_up).max(f64::MIN_POSITIVE);
    match shape {
        Shape::Cosine => cosine(1.0, 0.0, since),
        Shape::Linear => 1.0 - since,
        Shape::Constant | Shape::OneCycle => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_rise_and_fall() {
        for (shape, done, want) in [
            (Shape::Cosine, 0.05, 0.5),
            (Shape::Cosine, 0.1, 1.0),
            (Shape::Cosine, 0.55, 0.5),
            (Shape::Cosine, 1.0, 0.0),
            (Shape::Linear, 0.55, 0.5),
            (Shape::Linear, 1.0, 0.0),
            (Shape::Constant, 0.05, 0.5),
            (Shape::Constant, 0.9, 1.0),
            (Shape::OneCycle, 0.0, 0.04),
            (Shape::OneCycle, 0.3, 1.0),
            (Shape::OneCycle, 1.0, 1e-4),
        ] {
            assert!((rate(shape, 0.1, done) - want).abs() < 1e-9, "{shape:?} at {done}");
        }
        assert!(rate(Shape::Cosine, 0.1, 0.0) > 0.0);
        assert_eq!(rate(Shape::Cosine, 0.0, 0.0), 1.0);
    }
}
