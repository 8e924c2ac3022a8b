//! The librdkafka of this process: which one it is, and what its version means for the settings.

use crate::config::{ConfigErrors, Origin};
use nunchi_librdkafka::{IS_SYSTEM, Version, check_version, version};

/// The first version whose consumers do not stop in groups of the new protocol: until 2.14.2 a member that exceeded
/// `max.poll.interval.ms` was refused with a fatal error, and refusals of the coordinator were repeated without end (#5541).
const NEW_PROTOCOL: Version = Version::new(2, 15, 0);

/// Its version, and whether it is compiled in: "2.12.1 (bundled)", "2.15.1 (system)".
pub fn library() -> String {
    format!("{} ({})", version(), if IS_SYSTEM { "system" } else { "bundled" })
}

/// Adds an error if it cannot be used.
pub(super) fn check(errors: &mut ConfigErrors) {
    if let Err(why) = check_version() {
        errors.add(Origin::Library("librdkafka"), why.to_string());
    }
}

/// Whether `group.protocol` is the one of KIP-848. librdkafka takes names of either case.
pub(super) fn is_new_protocol(protocol: &str) -> bool {
    protocol.eq_ignore_ascii_case("consumer")
}

/// A warning where `protocol`, the consumers' `group.protocol`, is one that this version does not speak reliably.
pub(super) fn protocol_warning(protocol: Option<&str>) -> Option<String> {
    warning_of(protocol, version())
}

fn warning_of(protocol: Option<&str>, found: Version) -> Option<String> {
    (protocol.is_some_and(is_new_protocol) && found < NEW_PROTOCOL).then(|| {
        format!(
            "group.protocol = \"consumer\" is not reliable with librdkafka {found}: its consumers may stop reading until a restart \
             (fixed in {NEW_PROTOCOL}). Leave it at \"classic\", or build with the feature dynamic-librdkafka and a newer librdkafka"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_new_protocol_is_discouraged_until_librdkafka_speaks_it_well() {
        let old = Version::new(2, 14, 2);
        assert!(warning_of(Some("consumer"), old).unwrap().contains("librdkafka 2.14.2"));
        assert!(warning_of(Some("CONSUMER"), old).is_some());
        for (protocol, version) in [(None, old), (Some("classic"), old), (Some("consumer"), NEW_PROTOCOL)] {
            assert_eq!(warning_of(protocol, version), None);
        }
    }
}
