//! `log.level`: which lines are logged.

use super::Log;
use tracing_subscriber::filter::{LevelFilter, Targets};

/// What `log.level` may be.
pub const LOG_LEVELS: &str =
    "off, error, warn, info, debug or trace, or TARGET=LEVEL, several with commas between";

impl Log {
    /// The filter of `log.level`, such as `info` or `nunchi=debug,warn`; `None` if it cannot be read. A bare word must
    /// be a level: a misspelt one would otherwise be taken for a target. `Targets` and not `EnvFilter`, which also takes spans
    /// and fields, of which there are none here, and needs a library of regular expressions for them.
    pub fn filter(&self) -> Option<Targets> {
        for part in self.level.split(',').map(str::trim) {
            let level = part.rsplit_once('=').map_or(part, |(_, level)| level);
            // The parser takes an empty word as the level `error`; here it is refused.
            level.parse::<LevelFilter>().ok().filter(|_| !level.is_empty())?;
        }
        self.level.replace(char::is_whitespace, "").parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_a_level_or_a_target_with_one() {
        let filter = |level: &str| Log { level: level.to_owned(), ..Log::default() }.filter();
        for good in ["info", "WARN", "nunchi=debug,warn", "off", "rdkafka=error, info"] {
            assert!(filter(good).is_some(), "{good}");
        }
        for bad in ["", "inof", "nunchi=", "nunchi=loud", "info,,warn"] {
            assert!(filter(bad).is_none(), "{bad}");
        }
    }
}
