//! Which librdkafka runs: its version, and what it was compiled with.

use rdkafka::ClientConfig;
use rdkafka::bindings::rd_kafka_version;
use std::fmt;

/// The oldest librdkafka that is accepted: the one whose declarations rdkafka-sys 4.10 has, which it bundles, and which the
/// tests run against. The newest function called here, `rd_kafka_DescribeTopics`, came with 2.3.0; but where librdkafka's
/// behavior changed after that (when it reports that no broker answers, in 2.11.1; errors that stay at a partition after a
/// commit, up to 2.12.0), what is built on it was tried with the newer one only.
pub const OLDEST_VERSION: Version = Version::new(2, 12, 1);

/// Codecs of batches. A consumer without one of them reports the records of such a batch as unreadable, although they are
/// not damaged. librdkafka's names, in `builtin.features`; gzip is zlib's.
const CODECS: [&str; 4] = ["gzip", "snappy", "lz4", "zstd"];

/// A version of librdkafka. Ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    major: u8,
    minor: u8,
    revision: u8,
}

impl Version {
    /// The version `major.minor.revision`.
    pub const fn new(major: u8, minor: u8, revision: u8) -> Self {
        Version { major, minor, revision }
    }

    /// From librdkafka's number, `0xMMmmrrpp`; the last byte counts pre-releases and is ignored.
    const fn from_number(number: u32) -> Self {
        let [major, minor, revision, _] = number.to_be_bytes();
        Version { major, minor, revision }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.revision)
    }
}

/// The version of the librdkafka in this process, which need not be the one that was there at the build: the feature
/// `dynamic-librdkafka` links what the system has. Wraps `rd_kafka_version`.
pub fn version() -> Version {
    // SAFETY: returns a constant.
    Version::from_number(unsafe { rd_kafka_version() }.cast_unsigned())
}

/// Whether librdkafka is a shared library of the system; otherwise rdkafka-sys's is compiled in.
pub const IS_SYSTEM: bool = cfg!(feature = "dynamic-librdkafka");

/// Why a librdkafka of the system cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unsuitable {
    /// Older than [`OLDEST_VERSION`].
    #[error("version {found} is too old: {OLDEST_VERSION} or newer is needed")]
    TooOld {
        /// What there is.
        found: Version,
    },
    /// Compiled without a codec, so that it cannot read every topic.
    #[error(
        "version {found} was compiled without {}, so that it cannot read every topic: \
         use one with gzip (zlib), snappy, lz4 and zstd",
        missing.join(", ")
    )]
    WithoutCodecs {
        /// What there is.
        found: Version,
        /// What it lacks.
        missing: Vec<&'static str>,
    },
}

/// Checks the librdkafka in this process: its version and its codecs. What else it may lack (`ssl`, `sasl_scram`) is refused by
/// librdkafka itself where it is configured. The one that is compiled in passes.
///
/// # Errors
/// It is too old, or lacks a codec.
pub fn check_version() -> Result<(), Unsuitable> {
    // Without the list, which every version has, nothing is known to be missing.
    let features =
        ClientConfig::new().create_native_config().and_then(|config| config.get("builtin.features"));
    check(version(), features.ok().as_deref())
}

fn check(found: Version, features: Option<&str>) -> Result<(), Unsuitable> {
    if found < OLDEST_VERSION {
        return Err(Unsuitable::TooOld { found });
    }
    let Some(features) = features else { return Ok(()) };
    let has = |codec: &&str| features.split(',').any(|feature| feature.trim() == *codec);
    let missing: Vec<&str> = CODECS.into_iter().filter(|codec| !has(codec)).collect();
    if missing.is_empty() { Ok(()) } else { Err(Unsuitable::WithoutCodecs { found, missing }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &str = "gzip,snappy,ssl,sasl,regex,lz4,sasl_plain,sasl_scram,plugins,zstd,sasl_oauthbearer";

    #[test]
    fn numbers_are_versions_and_versions_have_an_order() {
        let number = Version::from_number;
        assert_eq!(number(0x020c_01ff), OLDEST_VERSION);
        assert_eq!(number(0x020f_0001).to_string(), "2.15.0");
        let ordered = [0x0109_02ff, 0x0208_00ff, 0x020c_00ff, 0x020c_01ff, 0x020f_01ff, 0x0300_00ff];
        assert!(ordered.map(number).is_sorted());
    }

    #[test]
    fn this_one_is_suitable() {
        assert_eq!(check_version(), Ok(()));
        assert!(IS_SYSTEM || version() == OLDEST_VERSION, "rdkafka-sys bundles {}", version());
    }

    #[test]
    fn an_older_one_is_refused_with_both_versions() {
        let error = check(Version::new(2, 8, 0), Some(ALL)).unwrap_err();
        assert_eq!(error.to_string(), "version 2.8.0 is too old: 2.12.1 or newer is needed");
        assert_eq!(check(Version::new(2, 15, 1), Some(ALL)), Ok(()));
    }

    #[test]
    fn one_that_cannot_read_every_codec_is_refused() {
        let found = Version::new(2, 15, 1);
        let features = ALL.replace("gzip,", "").replace(",zstd", "");
        let error = check(found, Some(&features)).unwrap_err();
        assert_eq!(error, Unsuitable::WithoutCodecs { found, missing: vec!["gzip", "zstd"] });
        assert!(
            error.to_string().starts_with("version 2.15.1 was compiled without gzip, zstd, so that"),
            "{error}"
        );
        assert_eq!(check(found, Some("gzip, snappy, lz4, zstd")), Ok(()));
    }
}
