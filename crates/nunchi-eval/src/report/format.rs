//! Formatted numbers.

/// What can be counted, in whatever type the count has.
pub trait Count: Copy {
    /// The number.
    fn number(self) -> u64;
}

impl Count for u64 {
    fn number(self) -> u64 {
        self
    }
}

impl Count for usize {
    fn number(self) -> u64 {
        self as u64
    }
}

/// A number with commas: `1,234,567`.
pub fn grouped(count: impl Count) -> String {
    indicatif::HumanCount(count.number()).to_string()
}

/// `3 models`, `1 model`.
pub fn counted(count: impl Count, what: &str) -> String {
    format!("{} {what}{}", grouped(count), if count.number() == 1 { "" } else { "s" })
}

/// A share of 1 as a percentage: `91.23 %`.
pub fn percent(share: f64) -> String {
    percent_to(share, 2)
}

/// A share of 1 as a percentage with this many decimals.
pub fn percent_to(share: f64, decimals: usize) -> String {
    format!("{:.decimals$} %", share * 100.0)
}

/// A span of time: `2 h 1 min`.
pub(crate) fn span(seconds: f64) -> String {
    match seconds.clamp(0.0, 1e9).round() as u64 {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        seconds => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_for_people() {
        assert_eq!([0_usize, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([1_u64, 2_000].map(|count| counted(count, "comment")), ["1 comment", "2,000 comments"]);
        assert_eq!([0.4, 61.0, 7_260.0].map(span), ["0 s", "1 min 1 s", "2 h 1 min"]);
        assert_eq!((percent(0.91234), percent_to(0.91234, 1)), ("91.23 %".to_owned(), "91.2 %".to_owned()));
    }
}
