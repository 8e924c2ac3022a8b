//! Flips by product, by time and by length, in memory that does not grow with the comments.

use super::counts::Flips;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// Products that are counted apart.
const MAX_PRODUCTS: usize = 50_000;
/// Products that are reported.
const MAX_REPORTED: usize = 20;
/// The name of all products that are not counted apart.
const OTHERS: &str = "(other products)";
/// Upper bounds of lengths, in characters.
const LENGTHS: [usize; 6] = [10, 20, 40, 80, 160, 320];

/// A named group of comments.
#[derive(Clone, Debug, Serialize)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its counts.
    #[serde(flatten)]
    pub flips: Flips,
}

/// How finely time is divided: as finely as the range allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeUnit {
    /// Hours.
    #[default]
    Hour,
    /// Days.
    Day,
    /// Months.
    Month,
    /// Years.
    Year,
}

impl TimeUnit {
    /// The beginning of the bucket that holds a moment (milliseconds of Unix time, not negative).
    fn start(self, ms: i64) -> i64 {
        match self {
            TimeUnit::Hour => ms - ms % 3_600_000,
            TimeUnit::Day => ms - ms % 86_400_000,
            TimeUnit::Month | TimeUnit::Year => {
                let Ok(time) = Timestamp::from_millisecond(ms) else { return 0 };
                let date = time.to_zoned(TimeZone::UTC).date();
                let first =
                    if self == TimeUnit::Month { date.first_of_month() } else { date.first_of_year() };
                first.to_zoned(TimeZone::UTC).map_or(0, |zoned| zoned.timestamp().as_millisecond())
            }
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            TimeUnit::Hour => "hour",
            TimeUnit::Day => "day",
            TimeUnit::Month => "month",
            TimeUnit::Year => "year",
        }
    }

    /// A bucket's name, in UTC.
    pub fn bucket_name(self, start: Timestamp) -> String {
        let form = match self {
            TimeUnit::Hour => "%Y-%m-%d %H:00",
            TimeUnit::Day => "%Y-%m-%d",
            TimeUnit::Month => "%Y-%m",
            TimeUnit::Year => "%Y",
        };
        start.to_zoned(TimeZone::UTC).strftime(form).to_string()
    }
}

/// Comments of an hour, a day, a month or a year.
#[derive(Clone, Debug, Serialize)]
pub struct TimeBucket {
    /// Its beginning, in UTC.
    pub start: Timestamp,
    /// Its counts.
    #[serde(flatten)]
    pub flips: Flips,
}

/// Flips by product.
#[derive(Clone, Debug, Default)]
pub(super) struct Products {
    flips: HashMap<String, Flips>,
    /// Products that are counted apart.
    pub(super) count: u64,
}

impl Products {
    pub(super) fn add(&mut self, product: &str, labels: [usize; 2]) {
        if let Some(flips) = self.flips.get_mut(product) {
            return flips.add(labels);
        }
        // What comes when the table is full is counted together.
        let is_apart = self.flips.len() < MAX_PRODUCTS;
        self.count += u64::from(is_apart);
        let name = if is_apart { product } else { OTHERS };
        self.flips.entry(name.to_owned()).or_default().add(labels);
    }

    /// Those with most flips.
    pub(super) fn groups(&self) -> Vec<Group> {
        let mut groups: Vec<Group> =
            self.flips.iter().map(|(name, &flips)| Group { name: name.clone(), flips }).collect();
        groups.sort_by(|one, other| (other.flips.flips, &one.name).cmp(&(one.flips.flips, &other.name)));
        groups.truncate(MAX_REPORTED);
        groups
    }
}

/// Flips by time.
#[derive(Clone, Debug, Default)]
pub(super) struct Times {
    pub(super) unit: TimeUnit,
    flips: BTreeMap<i64, Flips>,
}

impl Times {
    pub(super) fn add(&mut self, ms: i64, labels: [usize; 2]) {
        self.flips.entry(self.unit.start(ms)).or_default().add(labels);
        self.coarsen();
    }

    /// Coarser buckets where the time from the first to the last is long: charts stay readable, memory bounded.
    fn coarsen(&mut self) {
        const DAY: i64 = 86_400_000;
        let span = match (self.flips.first_key_value(), self.flips.last_key_value()) {
            (Some((first, _)), Some((last, _))) => last - first,
            _ => return,
        };
        let (longest, coarser) = match self.unit {
            TimeUnit::Hour => (7 * DAY, TimeUnit::Day),
            TimeUnit::Day => (184 * DAY, TimeUnit::Month),
            TimeUnit::Month => (20 * 366 * DAY, TimeUnit::Year),
            TimeUnit::Year => return,
        };
        if span > longest {
            self.unit = coarser;
            for (start, flips) in std::mem::take(&mut self.flips) {
                self.flips.entry(coarser.start(start)).or_default().merge(flips);
            }
            self.coarsen();
        }
    }

    /// In order of time.
    pub(super) fn buckets(&self) -> Vec<TimeBucket> {
        let bucket = |(&ms, &flips): (&i64, &Flips)| {
            Some(TimeBucket { start: Timestamp::from_millisecond(ms).ok()?, flips })
        };
        self.flips.iter().filter_map(bucket).collect()
    }
}

/// Flips by number of characters.
#[derive(Clone, Debug, Default)]
pub(super) struct Lengths([Flips; LENGTHS.len() + 1]);

impl Lengths {
    pub(super) fn add(&mut self, text: &str, labels: [usize; 2]) {
        let length = text.chars().count();
        let bin = LENGTHS.iter().position(|&longest| length <= longest).unwrap_or(LENGTHS.len());
        self.0[bin].add(labels);
    }

    /// From the shortest to the longest.
    pub(super) fn groups(&self) -> Vec<Group> {
        let mut shortest = 0;
        let group = |(bin, &flips): (usize, &Flips)| {
            let name = match LENGTHS.get(bin) {
                Some(longest) => format!("{shortest}-{longest}"),
                None => format!("{shortest} and more"),
            };
            shortest = LENGTHS.get(bin).map_or(0, |longest| longest + 1);
            Group { name, flips }
        };
        self.0.iter().enumerate().map(group).collect()
    }
}
