//! Comments with stars in the historical topics, within a window of time.

use super::RetrainError;
use super::comment::{Comment, deduplicate};
use super::corrections::{Corrections, id};
use crate::config::Config;
use crate::kafka::history::{History, Record};
use crate::record::Reader;
use crate::registry::TopicRange;
use jiff::Timestamp;
use nunchi_data::Target;
use serde::Serialize;

/// How much later than the window's end its records may have been written: a day, as in replays.
const LATE_MS: i64 = 86_400_000;

/// What to read.
#[derive(Clone, Debug)]
pub struct Window {
    /// The topics.
    pub topics: Vec<String>,
    /// Records of this time and later.
    pub from: Option<Timestamp>,
    /// Records before this time.
    pub to: Option<Timestamp>,
    /// Which stars map to which class; `None`: stars are ignored, only corrections count.
    pub stars: Option<Target>,
    /// Most comments that are kept: the latest.
    pub max_comments: usize,
    /// Whether comments with stars beyond the scale are left out (`--skip-bad-rows`), as long as they are not most.
    pub skip_beyond: bool,
}

/// The comments of the window.
#[derive(Clone, Debug, Default)]
pub struct Collected {
    /// Labelled comments in the order of time.
    pub comments: Vec<Comment>,
    /// What was read.
    pub ranges: Vec<TopicRange>,
    /// Outcomes of the records.
    pub counts: Counts,
}

/// Outcomes of the records of a window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Records that were read.
    pub records: usize,
    /// Outside of the window.
    pub outside: usize,
    /// Records without a value.
    pub tombstones: usize,
    /// Records that cannot be classified: dead letters to `run`.
    pub unreadable: usize,
    /// Comments without stars, and without a correction.
    pub unlabelled: usize,
    /// Comments whose stars map to no class, such as 3.
    pub between: usize,
    /// Comments whose label is a person's correction.
    pub corrected: usize,
    /// Comments whose stars are beyond the scale, such as 8 where 4-5 are positive.
    pub beyond: usize,
    /// Earlier records with the id of a later one.
    pub superseded: usize,
    /// Oldest comments that were left out because of the limit.
    pub left_out: usize,
}

/// Reads the window. A correction takes precedence over the stars.
///
/// # Errors
/// Topics that do not exist; brokers that do not answer.
pub fn collect(
    history: &History,
    window: &Window,
    corrections: &Corrections,
    config: &Config,
) -> Result<Collected, RetrainError> {
    let mut config = config.clone();
    config.output.echo = vec![config.input.rating_field.clone()];
    let reader = Reader::new(&config);
    let mut collected = Collected::default();
    for topic in &window.topics {
        let shares = history.range(topic, window.from, window.to, LATE_MS)?;
        history.read(topic, &shares, |record| {
            let comment = label(record, &reader, window, corrections, &mut collected.counts);
            collected.comments.extend(comment);
            if collected.comments.len() >= 2 * window.max_comments {
                keep_latest(&mut collected, window.max_comments);
            }
        })?;
        collected.ranges.extend(shares.iter().map(|share| TopicRange {
            topic: topic.clone(),
            partition: share.partition,
            from: share.start,
            to: share.end,
        }));
    }
    check_scale(window, &collected)?;
    collected.counts.superseded += deduplicate(&mut collected.comments);
    keep_latest(&mut collected, window.max_comments);
    Ok(collected)
}

/// Refuses stars of another scale, as for files: of ten stars, 4 would be praise.
fn check_scale(window: &Window, collected: &Collected) -> Result<(), RetrainError> {
    let Counts { beyond, between, .. } = collected.counts;
    let rated = beyond + between + collected.comments.len() + collected.counts.left_out;
    if beyond == 0 || (window.skip_beyond && 2 * beyond <= rated) {
        return Ok(());
    }
    Err(RetrainError::Scale { topics: window.topics.join("`, `"), beyond, rated })
}

/// Memory is bounded: the oldest comments are dropped.
fn keep_latest(collected: &mut Collected, max_comments: usize) {
    let over = collected.comments.len().saturating_sub(max_comments);
    if over > 0 {
        collected.comments.sort_by_key(|comment| comment.time_ms);
        collected.comments.drain(..over);
        collected.counts.left_out += over;
    }
}

fn label(
    record: &Record<'_>,
    reader: &Reader,
    window: &Window,
    corrections: &Corrections,
    counts: &mut Counts,
) -> Option<Comment> {
    counts.records += 1;
    let time_ms = record.timestamp_ms.unwrap_or(0);
    let early = window.from.is_some_and(|from| time_ms < from.as_millisecond());
    if early || window.to.is_some_and(|to| time_ms >= to.as_millisecond()) {
        counts.outside += 1;
        return None;
    }
    let Some(value) = record.value else {
        counts.tombstones += 1;
        return None;
    };
    let Ok(comment) = reader.read(value) else {
        counts.unreadable += 1;
        return None;
    };
    let id = comment.id.map(id);
    let stars = comment.fields.first().copied().flatten().map(self::id);
    let corrected = id.as_ref().and_then(|id| corrections.class(id));
    let class = match (corrected, &stars, &window.stars) {
        (Some(class), _, _) => {
            counts.corrected += 1;
            class
        }
        (None, Some(stars), Some(target)) => match target.class(stars) {
            Ok(Some(class)) => class,
            Ok(None) => {
                counts.between += 1;
                return None;
            }
            Err(_) if target.is_beyond_scale(stars) => {
                counts.beyond += 1;
                return None;
            }
            Err(_) => {
                counts.unlabelled += 1;
                return None;
            }
        },
        _ => {
            counts.unlabelled += 1;
            return None;
        }
    };
    let stars = stars.and_then(|stars| stars.parse().ok());
    Some(Comment { text: comment.text.into_owned(), class, id, time_ms, stars })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[Option<&str>]) -> (Vec<Comment>, Counts) {
        let mut config = Config::default();
        config.output.echo = vec!["rating".to_owned()];
        let window = Window {
            topics: Vec::new(),
            from: Some(Timestamp::from_millisecond(10).unwrap()),
            to: Some(Timestamp::from_millisecond(20).unwrap()),
            stars: Some(Target::Stars {
                column: "rating".to_owned(),
                negative: "1-2".parse().unwrap(),
                positive: "4-5".parse().unwrap(),
                scale: None,
            }),
            max_comments: 100,
            skip_beyond: false,
        };
        let (reader, mut counts) = (Reader::new(&config), Counts::default());
        let comments = values.iter().zip(9..).filter_map(|(value, time_ms)| {
            let record = Record {
                partition: 0,
                offset: 0,
                timestamp_ms: Some(time_ms),
                key: None,
                value: value.map(str::as_bytes),
            };
            label(&record, &reader, &window, &Corrections::default(), &mut counts)
        });
        (comments.collect(), counts)
    }

    #[test]
    fn stars_become_classes_and_what_has_none_is_counted() {
        let (comments, counts) = read(&[
            Some(r#"{"id":1,"text":"too early","rating":5}"#),
            Some(r#"{"id":"a","text":"좋아요","rating":5}"#),
            Some(r#"{"id":2,"text":"별로","rating":"1"}"#),
            Some(r#"{"text":"그럭저럭","rating":3}"#),
            Some(r#"{"text":"모름"}"#),
            Some(r#"{"text":"모름","rating":null}"#),
            None,
            Some("broken"),
        ]);
        let found: Vec<(&str, usize, Option<&str>)> = comments
            .iter()
            .map(|comment| (comment.text.as_str(), comment.class, comment.id.as_deref()))
            .collect();
        assert_eq!(found, [("좋아요", 1, Some("a")), ("별로", 0, Some("2"))]);
        let expected = Counts {
            records: 8,
            outside: 1,
            tombstones: 1,
            unreadable: 1,
            unlabelled: 2,
            between: 1,
            ..Counts::default()
        };
        assert_eq!(counts, expected);
    }

    #[test]
    fn stars_of_another_scale_are_refused() {
        let (comments, counts) = read(&[
            Some("too early"),
            Some(r#"{"text":"좋아요","rating":8}"#),
            Some(r#"{"text":"좋아요","rating":"4"}"#),
            Some(r#"{"text":"별로","rating":3}"#),
            Some(r#"{"text":"별로","rating":"many"}"#),
        ]);
        assert_eq!((counts.beyond, counts.between, counts.unlabelled, comments.len()), (1, 1, 1, 1));
        let collected = Collected { comments, counts, ..Collected::default() };
        let window = |skip_beyond| Window {
            topics: vec!["comments".to_owned()],
            from: None,
            to: None,
            stars: None,
            max_comments: 9,
            skip_beyond,
        };
        let said = check_scale(&window(false), &collected).unwrap_err().to_string();
        assert!(
            said.contains("1 of 3 comments with stars in `comments`") && said.contains("--positive-stars"),
            "{said}"
        );
        check_scale(&window(true), &collected).unwrap();
        let most = Collected { counts: Counts { beyond: 3, ..collected.counts.clone() }, ..collected };
        check_scale(&window(true), &most).unwrap_err();
    }
}
