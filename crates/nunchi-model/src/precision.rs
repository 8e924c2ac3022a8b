//! The arithmetic precision of products.

use serde::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// The precision of the products that an engine computes. (How weights are stored is another question:
/// [`crate::WeightFormat`].)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Precision {
    /// 32-bit floating point.
    F32,
    /// Inputs and weights of 16 bits, sums in 32.
    Bf16,
    /// Inputs and weights of 8 bits, exact sums.
    Int8,
}

impl Precision {
    /// All, the most exact first.
    pub const ALL: [Precision; 3] = [Precision::F32, Precision::Bf16, Precision::Int8];

    /// Its name in metrics, reports and manifests.
    pub fn name(self) -> &'static str {
        match self {
            Precision::F32 => "f32",
            Precision::Bf16 => "bf16",
            Precision::Int8 => "int8",
        }
    }

    /// How far a probability may be off.
    pub fn bound(self) -> f64 {
        match self {
            Precision::F32 => crate::GOLDEN_BOUND,
            Precision::Bf16 => 5e-3,
            Precision::Int8 => 2e-2,
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Precision::ALL.into_iter().find(|precision| precision.name() == name);
        found.ok_or_else(|| format!("there is no precision `{name}`; there are f32, bf16 and int8"))
    }
}

impl Serialize for Precision {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for precision in Precision::ALL {
            assert_eq!(precision.name().parse(), Ok(precision));
        }
        assert!("f64".parse::<Precision>().is_err());
    }
}
