//! Names of versions: user input, validated before it is used in a path.

use super::RegistryError;
use std::fmt;
use std::str::FromStr;

/// Largest number of an alias: so that the next number does not overflow, whatever files are in the folder.
const MAX_ALIAS: u32 = 999_999_999;
/// Hex digits of a VERSION.
const DIGITS: usize = 12;
/// Hex digits of a whole SHA-256.
const CHECKSUM_DIGITS: usize = 64;

/// The VERSION of a model: the first 12 hex digits (lower case) of its content's hash. Always valid, so
/// that it is safe in paths.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(String);

impl Version {
    /// The 12 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Version {
    type Err = RegistryError;

    fn from_str(text: &str) -> Result<Self, RegistryError> {
        if is_hex(text, DIGITS) {
            Ok(Version(text.to_owned()))
        } else {
            Err(RegistryError::InvalidName(shortened(text)))
        }
    }
}

/// Whether `text` is `digits` lower-case hex digits.
fn is_hex(text: &str, digits: usize) -> bool {
    let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.len() == digits && text.bytes().all(digit)
}

/// Whether `checksum` is a whole one, of a model with this VERSION.
pub(super) fn is_checksum_of(checksum: &str, version: &Version) -> bool {
    is_hex(checksum, CHECKSUM_DIGITS) && checksum.starts_with(version.as_str())
}

impl serde::Serialize for Version {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for Version {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The ways to name a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// `0123456789ab`
    Version(Version),
    /// The whole checksum, 64 digits: the VERSION, and the checksum.
    Checksum(Version, String),
    /// `v7`: the seventh version that was published in this store.
    Alias(u32),
    /// `current`: the current version of the promotion log.
    Current,
}

impl FromStr for Name {
    type Err = RegistryError;

    fn from_str(text: &str) -> Result<Self, RegistryError> {
        if text == "current" {
            return Ok(Name::Current);
        }
        let number = text.strip_prefix('v').filter(|digits| {
            !digits.is_empty() && !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit())
        });
        match number.and_then(|digits| digits.parse().ok()).filter(|&number| number <= MAX_ALIAS) {
            Some(number) => Ok(Name::Alias(number)),
            None if is_hex(text, CHECKSUM_DIGITS) => {
                Ok(Name::Checksum(text[..DIGITS].parse()?, text.to_owned()))
            }
            None => Ok(Name::Version(text.parse()?)),
        }
    }
}

/// User input, truncated for a message.
pub(super) fn shortened(text: &str) -> String {
    text.chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_aliases_and_current_are_names_and_nothing_else_is() {
        assert!(matches!("0123456789ab".parse(), Ok(Name::Version(_))));
        let whole = "0123456789abcdef".repeat(4);
        assert!(
            matches!(whole.parse(), Ok(Name::Checksum(version, sum)) if version.as_str() == &whole[..12] && sum == whole)
        );
        assert_eq!("v7".parse::<Name>().unwrap(), Name::Alias(7));
        assert_eq!("current".parse::<Name>().unwrap(), Name::Current);
        let wrong = [
            "",
            "v",
            "v0",
            "v07",
            "v-1",
            "v99999999999",
            "v4294967295",
            "0123456789a",
            "0123456789abc",
            "0123456789AB",
            "../../etc/pa",
            "..",
            "0123456789a/",
            "0123456789a\0",
            "Current",
            "latest",
        ];
        for name in wrong {
            let error = name.parse::<Name>().unwrap_err().to_string();
            assert!(error.contains("neither a VERSION"), "{name}: {error}");
        }
    }
}
