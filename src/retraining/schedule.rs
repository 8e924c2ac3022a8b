//! The schedule of a long-running retrainer.

use croner::Cron;
use croner::parser::{CronParser, Seconds};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A cron pattern (minute, hour, day of month, month, day of week; seconds may precede) in a time zone.
#[derive(Clone, Debug)]
pub struct Schedule {
    cron: Cron,
    zone: TimeZone,
}

impl Schedule {
    /// Reads a pattern such as `0 3 * * *`; the zone is a name such as `Asia/Seoul` or `UTC`.
    ///
    /// # Errors
    /// A message about the invalid part.
    pub fn new(pattern: &str, zone: &str) -> Result<Self, String> {
        let cron = CronParser::builder()
            .seconds(Seconds::Optional)
            .build()
            .parse(pattern)
            .map_err(|error| format!("`{pattern}` is not a cron pattern such as `0 3 * * *`: {error}"))?;
        let zone = TimeZone::get(zone)
            .map_err(|error| format!("`{zone}` is not a time zone such as Asia/Seoul or UTC: {error}"))?;
        Ok(Schedule { cron, zone })
    }

    /// The first time after `now`; `None` if there is none any more.
    pub fn next(&self, now: Timestamp) -> Option<Timestamp> {
        let now = now.to_zoned(self.zone.clone());
        self.cron.find_next_occurrence(&now, false).ok().map(|next| next.timestamp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(pattern: &str, zone: &str, now: &str) -> String {
        Schedule::new(pattern, zone).unwrap().next(now.parse().unwrap()).unwrap().to_string()
    }

    #[test]
    fn three_at_night_where_the_shop_is() {
        assert_eq!(next("0 3 * * *", "UTC", "2026-11-24T22:00:00Z"), "2026-11-25T03:00:00Z");
        assert_eq!(next("0 3 * * *", "Asia/Seoul", "2026-11-24T22:00:00Z"), "2026-11-25T18:00:00Z");
        assert_eq!(next("0 3 * * *", "UTC", "2026-11-25T03:00:00Z"), "2026-11-26T03:00:00Z");
        assert_eq!(next("*/10 * * * * *", "UTC", "2026-11-25T03:00:01Z"), "2026-11-25T03:00:10Z");
    }

    #[test]
    fn what_is_no_pattern_is_refused_with_one_that_is() {
        assert!(Schedule::new("at night", "UTC").unwrap_err().contains("0 3 * * *"));
        assert!(Schedule::new("0 3 * * *", "Seoul").unwrap_err().contains("Asia/Seoul"));
    }
}
