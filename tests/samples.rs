//! The sample comments of the demo are many, different, well-formed; the broken ones are broken.

#![allow(clippy::unwrap_used)]

use nunchi::samples::{Comment, Stream, broken, comments};
use std::collections::{HashMap, HashSet};

#[test]
fn there_are_hundreds_of_different_comments_with_all_fields() {
    let comments = comments();
    assert!(comments.len() >= 320, "{} comments", comments.len());
    let ids: HashSet<_> = comments.iter().map(|comment| &comment.id).collect();
    let texts: HashSet<_> = comments.iter().map(|comment| comment.text.trim()).collect();
    let products: HashSet<_> = comments.iter().map(|comment| &comment.product_id).collect();
    assert_eq!(ids.len(), comments.len());
    assert_eq!(texts.len(), comments.len());
    assert!(products.len() >= 50, "{} products", products.len());
    let mut stars: HashMap<u8, usize> = HashMap::new();
    for comment in &comments {
        assert!(!comment.text.trim().is_empty(), "{}", comment.id);
        assert!((1..=5).contains(&comment.rating), "{}", comment.id);
        assert!(!comment.product_id.is_empty(), "{}", comment.id);
        *stars.entry(comment.rating).or_default() += 1;
    }
    assert!((1..=5).all(|rating| stars.get(&rating).is_some_and(|count| *count >= 25)), "{stars:?}");
}

#[test]
fn they_are_as_people_write() {
    let comments = comments();
    let with = |wanted: &str| comments.iter().filter(|comment| comment.text.contains(wanted)).count();
    for wanted in ["ㅋㅋ", "ㅠㅠ", "지만", "안 ", "👍", "추천", "배송", "\n"] {
        assert!(with(wanted) >= 2, "{wanted:?} occurs {} times", with(wanted));
    }
    assert!(comments.iter().any(|comment| comment.text.chars().count() <= 3));
    assert!(comments.iter().any(|comment| comment.text.chars().count() >= 300));
    assert!(comments.iter().any(|comment| comment.text.contains("perfect")), "mixed English");
}

#[test]
fn broken_records_have_three_of_each_class() {
    let mut classes: HashMap<&str, usize> = HashMap::new();
    for record in broken() {
        let class = match std::str::from_utf8(record).map(serde_json::from_str::<serde_json::Value>) {
            Err(_) => "invalid_utf8",
            Ok(Err(_)) => "invalid_json",
            Ok(Ok(value)) => match value.get("text") {
                None => "missing_text",
                Some(text) if !text.is_string() => "text_not_string",
                Some(_) => "not broken",
            },
        };
        *classes.entry(class).or_default() += 1;
    }
    let wanted = ["invalid_utf8", "invalid_json", "missing_text", "text_not_string"].map(|class| (class, 3));
    assert_eq!(classes, HashMap::from(wanted));
}

#[test]
fn a_stream_repeats_the_texts_under_new_ids_and_the_time_of_now() {
    let now = "2026-03-01T12:00:00Z".parse().unwrap();
    let mut stream = Stream::new(7, "t", 0.0);
    let count = comments().len() * 2 + 10;
    let records: Vec<Comment> = (0..count)
        .map(|_| stream.next(now))
        .map(|record| {
            let comment: Comment = serde_json::from_slice(&record.value).unwrap();
            assert_eq!(record.key.as_deref(), Some(comment.product_id.as_str()));
            comment
        })
        .collect();
    let ids: HashSet<_> = records.iter().map(|comment| &comment.id).collect();
    assert_eq!(ids.len(), count);
    assert!(records.iter().all(|comment| comment.created_at == now));
    let first_round: HashSet<_> = records[..comments().len()].iter().map(|comment| &comment.text).collect();
    assert_eq!(first_round.len(), comments().len(), "a round publishes every sample once");
}

#[test]
fn a_stream_mixes_in_the_share_of_broken_records_that_was_asked_for() {
    let now = "2026-03-01T12:00:00Z".parse().unwrap();
    let mut stream = Stream::new(7, "t", 0.1);
    let records: Vec<_> = (0..10_000).map(|_| stream.next(now)).collect();
    let broken: HashSet<_> = broken().into_iter().collect();
    let count = records.iter().filter(|record| broken.contains(record.value.as_slice())).count();
    assert!((800..1_200).contains(&count), "{count} of 10,000");
    assert_eq!(records, {
        let mut again = Stream::new(7, "t", 0.1);
        (0..10_000).map(|_| again.next(now)).collect::<Vec<_>>()
    });
}
