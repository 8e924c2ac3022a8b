//! Values of flags: times, spans, rates, partitions, offsets.

use crate::cli::printer::errln;
use crate::kafka::Pace;
use crate::replay::Bound;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Span, SpanRelativeTo, Timestamp, Unit};
use std::collections::BTreeMap;

/// A time as it was written: with an offset, or without one, so that a time zone has to say when it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// With an offset.
    Instant(Timestamp),
    /// Without one.
    Local(DateTime),
}

impl Moment {
    /// When it is, if local times are those of `zone`. A time that a clock skips or repeats there is taken as RFC 5545
    /// says: with the offset before the change.
    pub fn at(self, zone: &TimeZone) -> Timestamp {
        match self {
            Moment::Instant(time) => time,
            Moment::Local(local) => {
                local.to_zoned(zone.clone()).map_or(Timestamp::MAX, |zoned| zoned.timestamp())
            }
        }
    }
}

/// Reads the name of a time zone: `UTC`, `Asia/Seoul`.
pub fn zone(text: &str) -> Result<TimeZone, String> {
    TimeZone::get(text).map_err(|_| "the name of a time zone, such as UTC or Asia/Seoul".to_owned())
}

/// The name of a zone that [`zone`] read.
pub fn zone_name(zone: &TimeZone) -> &str {
    zone.iana_name().unwrap_or("UTC")
}

/// Says which zone was taken for times without an offset, if there are any.
pub fn tell_zone(moments: [Option<Moment>; 2], zone: &TimeZone) {
    if moments.iter().flatten().any(|moment| matches!(moment, Moment::Local(_))) {
        errln!("times without an offset are those of {} (--time-zone)", zone_name(zone));
    }
}

/// Reads a time: RFC 3339, or a date with or without a time.
pub fn time(text: &str) -> Result<Moment, String> {
    let text = text.trim();
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(Moment::Instant(time));
    }
    let civil = if text.contains([':', 'T']) {
        text.parse::<DateTime>()
    } else {
        text.parse::<Date>().map(|date| date.to_datetime(jiff::civil::Time::midnight()))
    };
    let wrong = || "a time such as 2026-01-01, 2026-01-01T09:30 or 2026-01-01T09:30:00+09:00".to_owned();
    // Years that no timestamp can have are wrong in every zone.
    civil.ok().filter(|civil| civil.to_zoned(TimeZone::UTC).is_ok()).map(Moment::Local).ok_or_else(wrong)
}

/// Reads a span of time, in milliseconds: `1d`, `36h`, `1d 12h`, `0s`.
pub fn span(text: &str) -> Result<i64, String> {
    let wrong = || "a span of time such as 1d, 36h or 90m".to_owned();
    let span: Span = text.parse().map_err(|_| wrong())?;
    let relative = SpanRelativeTo::days_are_24_hours();
    let milliseconds = span.total((Unit::Millisecond, relative)).map_err(|_| wrong())?;
    // Ten thousand years are more than timestamps hold.
    if (0.0..3e14).contains(&milliseconds) { Ok(milliseconds as i64) } else { Err(wrong()) }
}

/// Reads a rate, in records a second: `20k/s`, `500`, `1.5M/min`.
pub fn rate(text: &str) -> Result<Pace, String> {
    let wrong = || "a rate such as 20k/s, 500/s or 1M/min, at least 1/min".to_owned();
    let (number, unit) = text.split_once('/').unwrap_or((text, "s"));
    let (number, factor) = match number.trim() {
        number if number.ends_with(['k', 'K']) => (&number[..number.len() - 1], 1e3),
        number if number.ends_with(['m', 'M']) => (&number[..number.len() - 1], 1e6),
        number => (number, 1.0),
    };
    let seconds = match unit.trim() {
        "s" | "sec" | "second" => 1.0,
        "m" | "min" | "minute" => 60.0,
        "h" | "hour" => 3_600.0,
        _ => return Err(wrong()),
    };
    let rate = number.trim().parse::<f64>().map_err(|_| wrong())? * factor / seconds;
    if (1.0 / 60.0..=1e9).contains(&rate) { Ok(Pace::Rate(rate)) } else { Err(wrong()) }
}

/// Reads a speed, times the records' own: `10x`, `0.5`.
pub fn speed(text: &str) -> Result<Pace, String> {
    let number = text.trim().trim_end_matches(['x', 'X']);
    match number.parse::<f64>() {
        Ok(speed) if speed > 0.0 && speed <= 1e9 => Ok(Pace::Speed(speed)),
        _ => Err("a multiple of the records' own speed, such as 10x".to_owned()),
    }
}

/// Reads partitions, in order and each once: `0,2,5-7`.
pub fn partitions(text: &str) -> Result<Vec<i32>, String> {
    let wrong = || "partitions such as 3, 0,2 or 4-7".to_owned();
    let mut all = Vec::new();
    for item in text.split(',') {
        let (first, last) = item.split_once('-').unwrap_or((item, item));
        let first: i32 = first.trim().parse().map_err(|_| wrong())?;
        let last: i32 = last.trim().parse().map_err(|_| wrong())?;
        if first < 0 || last < first || last - first > 100_000 {
            return Err(wrong());
        }
        all.extend(first..=last);
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

/// Reads an offset for all partitions, or one for each: `1200`, `0:1200,1:900`.
pub fn offsets(text: &str) -> Result<Bound, String> {
    let wrong = || "an offset, or one for each partition: 1200, or 0:1200,1:900".to_owned();
    let offset = |text: &str| text.trim().parse::<i64>().ok().filter(|&offset| offset >= 0).ok_or_else(wrong);
    if !text.contains(':') {
        return Ok(Bound::Offset(offset(text)?));
    }
    let mut all = BTreeMap::new();
    for pair in text.split(',') {
        let (partition, at) = pair.split_once(':').ok_or_else(wrong)?;
        let partition: i32 = partition.trim().parse().map_err(|_| wrong())?;
        if all.insert(partition, offset(at)?).is_some() {
            return Err(wrong());
        }
    }
    Ok(Bound::Offsets(all))
}

/// Reads a replay's id: it becomes part of names that brokers take.
pub fn id(text: &str) -> Result<String, String> {
    let fits = (1..=100).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    if fits {
        Ok(text.to_owned())
    } else {
        Err("1 to 100 of the characters a-z, A-Z, 0-9, `.`, `_` and `-`".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_without_an_offset_are_those_of_the_zone() {
        let at = |text: &str| time(text).unwrap().at(&TimeZone::UTC).to_string();
        let seoul = zone("Asia/Seoul").unwrap();
        let there = |text: &str| time(text).unwrap().at(&seoul).to_string();
        assert_eq!(there("2026-02-01T09:30"), "2026-02-01T00:30:00Z");
        assert_eq!(there("2026-02-01"), "2026-01-31T15:00:00Z");
        assert_eq!(there("2026-02-01T09:30:00Z"), "2026-02-01T09:30:00Z");
        assert!(zone("Korea").is_err() && zone("").is_err());
        assert_eq!(at("2026-01-01T00:00"), "2026-01-01T00:00:00Z");
        assert_eq!(at("2026-02-01"), "2026-02-01T00:00:00Z");
        assert_eq!(at("2026-02-01 09:30:15.5"), "2026-02-01T09:30:15.5Z");
        assert_eq!(at("2026-02-01T09:30+09:00"), "2026-02-01T00:30:00Z");
        assert_eq!(at("2026-02-01T09:30:00Z"), "2026-02-01T09:30:00Z");
        for wrong in ["", "yesterday", "2026-02-30", "2026-13-01", "12:30", "2026-02-01T25:00", "1767225600"]
        {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn spans_have_units() {
        assert_eq!(span("1d"), Ok(86_400_000));
        assert_eq!(span("36h"), Ok(129_600_000));
        assert_eq!(span("1d 12h"), Ok(129_600_000));
        assert_eq!(span("0s"), Ok(0));
        for wrong in ["", "1", "-1d", "1 month", "day", "1y"] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn rates_and_speeds() {
        assert_eq!(rate("20k/s"), Ok(Pace::Rate(20_000.0)));
        assert_eq!(rate("500"), Ok(Pace::Rate(500.0)));
        assert_eq!(rate("1.2M/min"), Ok(Pace::Rate(20_000.0)));
        assert_eq!(speed("10x"), Ok(Pace::Speed(10.0)));
        assert_eq!(speed("0.5"), Ok(Pace::Speed(0.5)));
        for wrong in ["", "k", "0/s", "-1/s", "1/week", "NaN", "inf"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "x", "0x", "-1x", "NaN", "fast"] {
            assert!(speed(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn partitions_and_offsets() {
        assert_eq!(partitions("3,0,5-7,6"), Ok(vec![0, 3, 5, 6, 7]));
        assert_eq!(offsets("12"), Ok(Bound::Offset(12)));
        assert_eq!(offsets("0:12,3:4"), Ok(Bound::Offsets([(0, 12), (3, 4)].into())));
        for wrong in ["", "a", "-1", "3-1", "1,,2"] {
            assert!(partitions(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "-1", "0:1,0:2", "0:", "a:1", "1:-1"] {
            assert!(offsets(wrong).is_err(), "{wrong}");
        }
        assert!(id("month-2026.01_b").is_ok());
        assert!(id("a b").is_err() && id("").is_err() && id(&"x".repeat(101)).is_err());
    }
}
