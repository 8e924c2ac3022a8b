//! What a report of two predictions is made of: counts of groups, of ways, of stretches of time, changes of the score, examples.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use nunchi_eval::paired::Paired;
use serde::Serialize;

/// One of the two models.
#[derive(Clone, Debug, Serialize)]
pub struct Side {
    /// As it was named on the command line.
    pub name: String,
    /// Its VERSION.
    pub model: String,
}

/// A group of comments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// Comments.
    pub records: u64,
    /// Those with another label.
    pub flips: u64,
    /// Flips to a later label: of two from negative to positive.
    pub up: u64,
    /// Flips to an earlier label: of two from positive to negative.
    pub down: u64,
}

impl Cell {
    pub(crate) fn add(&mut self, labels: [usize; 2]) {
        self.records += 1;
        self.flips += u64::from(labels[0] != labels[1]);
        self.up += u64::from(labels[1] > labels[0]);
        self.down += u64::from(labels[1] < labels[0]);
    }

    pub(crate) fn merge(&mut self, other: Cell) {
        self.records += other.records;
        self.flips += other.flips;
        self.up += other.up;
        self.down += other.down;
    }

    /// Flips a comment.
    pub fn share(&self) -> f64 {
        self.flips as f64 / self.records.max(1) as f64
    }
}

/// Flips from one label to another.
#[derive(Clone, Debug, Serialize)]
pub struct Way {
    /// What the first model says.
    pub from: String,
    /// What the second model says.
    pub to: String,
    /// How often.
    pub records: u64,
}

/// A named group.
#[derive(Clone, Debug, Serialize)]
pub struct Named {
    /// Its name.
    pub name: String,
    /// Its counts.
    #[serde(flatten)]
    pub cell: Cell,
}

/// How finely time is divided: as finely as the range allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Hours.
    Hour,
    /// Days.
    Day,
    /// Months.
    Month,
    /// Years.
    Year,
}

impl Unit {
    /// The beginning of the stretch that holds a moment (milliseconds of Unix time, not negative).
    pub(crate) fn start(self, ms: i64) -> i64 {
        match self {
            Unit::Hour => ms - ms % 3_600_000,
            Unit::Day => ms - ms % 86_400_000,
            Unit::Month | Unit::Year => {
                let Ok(time) = Timestamp::from_millisecond(ms) else { return 0 };
                let date = time.to_zoned(TimeZone::UTC).date();
                let first = if self == Unit::Month { date.first_of_month() } else { date.first_of_year() };
                first.to_zoned(TimeZone::UTC).map_or(0, |zoned| zoned.timestamp().as_millisecond())
            }
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Unit::Hour => "hour",
            Unit::Day => "day",
            Unit::Month => "month",
            Unit::Year => "year",
        }
    }
}

/// A stretch of time.
#[derive(Clone, Debug, Serialize)]
pub struct TimeBucket {
    /// Its beginning, in UTC.
    pub start: Timestamp,
    /// Its counts.
    #[serde(flatten)]
    pub cell: Cell,
}

/// Changes of the score: with two labels of the probability of the second; with more the share of probability that moved.
#[derive(Clone, Debug, Serialize)]
pub struct Change {
    /// The mean.
    pub mean: f64,
    /// The mean of absolute values.
    pub mean_absolute: f64,
    /// Comments by change, in equal bins from -1 to 1.
    pub histogram: Vec<u64>,
    /// Comments by both scores, row by row: the first model's score in steps of a row, the second's within a row.
    pub map: Vec<u64>,
    #[serde(skip)]
    pub(crate) sum: f64,
    #[serde(skip)]
    pub(crate) sum_absolute: f64,
}

/// A comment with a large change.
#[derive(Clone, Debug, Serialize)]
pub struct Example {
    /// The comment, cut if it is long.
    pub text: String,
    /// Its id's JSON.
    pub id: Option<String>,
    /// The product.
    pub product: Option<String>,
    /// Its stars.
    pub rating: Option<u8>,
    /// When it was written.
    pub timestamp: Option<Timestamp>,
    /// `topic/partition/offset`.
    pub source: String,
    /// What each model says.
    pub labels: [String; 2],
    /// Their scores.
    pub scores: [f64; 2],
    /// The change.
    pub change: f64,
}

/// What the stars say.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Stars {
    /// Comments with stars that say something, by who is right.
    pub paired: Paired,
    /// Comments with three stars of five, which say neither.
    pub undecided: u64,
    /// By stars, one to five.
    pub by_rating: [Paired; 5],
}
