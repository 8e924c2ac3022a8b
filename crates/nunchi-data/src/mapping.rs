//! From a value in a data file to a class.

use super::shown::shown_value;
use super::values;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// The scale of stars where no other is told.
const FIVE: f64 = 5.0;

/// The column with a comment's class, and how to read it.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// A label's name, or its number counted from 0.
    Label {
        /// The column.
        column: String,
        /// The labels' names, in the order of the classes.
        labels: Vec<String>,
    },
    /// Stars: some are negative (class 0), some positive (class 1), the others are dropped.
    Stars {
        /// The column.
        column: String,
        /// Negative stars.
        negative: Stars,
        /// Positive stars.
        positive: Stars,
        /// The most stars that there are, if that was told; both ranges are on this scale. Without it they are on one of five,
        /// and other scales are refused.
        scale: Option<f64>,
    },
}

/// A range of stars, both ends included, written `1-2`.
#[derive(Clone, Debug, PartialEq)]
pub struct Stars(RangeInclusive<f64>);

impl FromStr for Stars {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a range of stars such as 1-2");
        let (low, high) = text.split_once('-').unwrap_or((text, text));
        let number = |part: &str| part.trim().parse::<f64>().ok().filter(|value| value.is_finite());
        let (low, high) = (number(low).ok_or_else(wrong)?, number(high).ok_or_else(wrong)?);
        if low > high { Err(wrong()) } else { Ok(Stars(low..=high)) }
    }
}

impl Stars {
    /// Of five stars, those that are negative.
    pub fn default_negative() -> Self {
        Stars(1.0..=2.0)
    }

    /// Of five stars, those that are positive.
    pub fn default_positive() -> Self {
        Stars(4.0..=5.0)
    }

    /// Of so many stars, those that are as negative as one and two of five.
    pub fn negative_of(scale: f64) -> Self {
        Stars(0.0..=scale * 0.4)
    }

    /// Of so many stars, those that are as positive as four and five of five.
    pub fn positive_of(scale: f64) -> Self {
        Stars(scale * 0.8..=scale)
    }
}

impl fmt::Display for Stars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0.start(), self.0.end())
    }
}

/// The labels of a network with one sigmoid.
pub fn two_labels() -> Vec<String> {
    vec!["negative".to_owned(), "positive".to_owned()]
}

impl Target {
    /// The column to read.
    pub fn column(&self) -> &str {
        match self {
            Target::Label { column, .. } | Target::Stars { column, .. } => column,
        }
    }

    /// How many classes there can be.
    pub fn classes(&self) -> usize {
        match self {
            Target::Label { labels, .. } => labels.len(),
            Target::Stars { .. } => 2,
        }
    }

    /// The name of a class.
    pub fn label(&self, class: usize) -> &str {
        match self {
            Target::Label { labels, .. } => &labels[class],
            Target::Stars { .. } => ["negative", "positive"][class],
        }
    }

    /// The class that a value stands for; `None` for stars that stand for no class.
    ///
    /// # Errors
    /// The message about a value that is neither.
    pub fn class(&self, value: &str) -> Result<Option<usize>, String> {
        let value = value.trim();
        match self {
            Target::Label { column, labels } => {
                let class = values::class_of(value, labels);
                class.map(Some).ok_or_else(|| {
                    format!(
                        "`{column}` is {}, not one of {} (--labels names them)",
                        shown_value(value),
                        known(labels)
                    )
                })
            }
            Target::Stars { column, negative, positive, .. } => {
                let Some(stars) = self.stars(value) else {
                    return Err(format!("`{column}` is {}, not a number of stars", shown_value(value)));
                };
                let (low, high) = scale(negative, positive);
                if negative.0.contains(&stars) {
                    Ok(Some(0))
                } else if positive.0.contains(&stars) {
                    Ok(Some(1))
                } else if stars < low || stars > high {
                    // Ten stars read as five would make nothing of praise and middling into praise.
                    Err(format!(
                        "`{column}` is `{stars}`, beyond the stars {negative} (negative) and {positive} (positive): \
                         --stars-scale tells another scale, such as 10 or 100, --negative and --positive set the ranges"
                    ))
                } else {
                    Ok(None)
                }
            }
        }
    }

    /// The number of stars in a value, on the scale of the ranges; nothing if it is none.
    pub fn stars(&self, value: &str) -> Option<f64> {
        let Target::Stars { scale, .. } = self else { return None };
        let written = values::stars(value)?;
        let scale = scale.unwrap_or(FIVE);
        match written.of {
            // None of five is as bad as one; the scale has no zero.
            Some(of) if of != scale && written.stars <= of => {
                Some((written.stars * scale / of).max(scale / FIVE))
            }
            Some(of) if of == scale && written.stars <= of => Some(written.stars.max(scale / FIVE)),
            Some(_) => None,
            None => Some(written.stars),
        }
    }

    /// Whether a value is a number of stars beyond all that mean something: stars of another scale.
    pub fn is_beyond_scale(&self, value: &str) -> bool {
        let Target::Stars { negative, positive, .. } = self else { return false };
        let (low, high) = scale(negative, positive);
        self.stars(value).is_some_and(|stars| !(low..=high).contains(&stars))
    }
}

/// The least and the most stars that mean something.
fn scale(negative: &Stars, positive: &Stars) -> (f64, f64) {
    (negative.0.start().min(*positive.0.start()), negative.0.end().max(*positive.0.end()))
}

fn known(labels: &[String]) -> String {
    let names: Vec<String> =
        labels.iter().enumerate().map(|(class, label)| format!("{class} ({label})")).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stars() -> Target {
        Target::Stars {
            column: "stars".to_owned(),
            negative: "1-2".parse().unwrap(),
            positive: "4-5".parse().unwrap(),
            scale: None,
        }
    }

    #[test]
    fn stars_in_the_middle_are_dropped() {
        let classes: Vec<_> =
            ["1", "2.0", "3", " 4 ", "5"].iter().map(|value| stars().class(value)).collect();
        assert_eq!(classes, [Ok(Some(0)), Ok(Some(0)), Ok(None), Ok(Some(1)), Ok(Some(1))]);
        assert!(stars().class("five").unwrap_err().contains("not a number of stars"));
        assert!(stars().class("NaN").is_err());
        let beyond = stars().class("10").unwrap_err();
        let beyond_scale =
            ["10", " 0.5", "-1", "5", "3", "NaN", "five"].map(|value| stars().is_beyond_scale(value));
        assert_eq!(beyond_scale, [true, true, true, false, false, false, false]);
        assert!(beyond.contains("`stars` is `10`, beyond the stars 1-2 (negative) and 4-5"), "{beyond}");
    }

    #[test]
    fn scales_are_told_or_written() {
        let ten = Target::Stars {
            column: "stars".to_owned(),
            negative: Stars::negative_of(10.0),
            positive: Stars::positive_of(10.0),
            scale: Some(10.0),
        };
        let classes = |target: &Target, values: &[&str]| -> Vec<_> {
            values.iter().map(|value| target.class(value).map_err(drop)).collect()
        };
        let told = classes(&ten, &["1", "4", "5", "7", "8", "10점", "11", "4/5", "0", "2/5"]);
        let (low, high, middle) = (Ok(Some(0)), Ok(Some(1)), Ok(None));
        assert_eq!(told, [low, low, middle, middle, high, high, Err(()), high, low, low]);
        let written =
            classes(&stars(), &["4/5", "8/10", "1/10", "50/100", "★★★★☆", "☆☆☆☆☆", "6/5", "5점", "８"]);
        assert_eq!(written, [high, high, low, middle, high, low, Err(()), high, Err(())]);
        assert_eq!(stars().stars("4/3"), None);
    }

    #[test]
    fn labels_go_by_name_or_number() {
        let target = Target::Label { column: "label".to_owned(), labels: two_labels() };
        assert_eq!(target.class("positive"), Ok(Some(1)));
        assert_eq!(target.class("0"), Ok(Some(0)));
        assert_eq!(
            target.class("2").unwrap_err(),
            "`label` is `2`, not one of 0 (negative), 1 (positive) (--labels names them)"
        );
    }

    #[test]
    fn ranges_that_make_no_sense_are_refused() {
        for wrong in ["2-1", "a-b", "", "1-"] {
            assert!(wrong.parse::<Stars>().is_err(), "{wrong}");
        }
        assert!("3".parse::<Stars>().unwrap().0.contains(&3.0));
    }
}
