//! Which verdicts are unsure: from settings and flags to the engine's policy.

use crate::config::Config;
use nunchi_engine::DecisionPolicy;

/// The policy that the settings name, if they name one.
pub(super) fn policy(config: &Config) -> Option<DecisionPolicy> {
    let precision = config.decision.precision.map(DecisionPolicy::Precision);
    // Settings that name both are refused.
    precision.or(config.decision.band.map(DecisionPolicy::Band))
}

/// Reads `--precision`.
pub(super) fn precision(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(precision) if (0.5..=0.999).contains(&precision) => Ok(precision),
        _ => Err("it must be a share from 0.5 to 0.999, such as 0.97".to_owned()),
    }
}
