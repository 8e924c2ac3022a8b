//! A topic that cannot be read.

use super::common::damage;
use super::{JANUARY, PARTITIONS, Place, fill, ids, partition};

/// 80 comments; those of partition 1 from offset 10 on cannot be read.
fn damaged(test: &str) -> Option<Place> {
    let place = Place::new(test)?;
    // Two writes, so that there are two batches a partition.
    fill(&place, 40, |id| JANUARY + id as i64);
    fill(&place, 40, |id| JANUARY + id as i64);
    damage(&place.topics.input, 1, 10).then_some(place)
}

#[test]
fn a_replay_of_a_damaged_topic_ends_and_says_why() {
    let Some(place) = damaged("corrupt-replay") else { return };
    let what = format!("partition 1 of `{}` cannot be read at offset 10", place.topics.input);
    let (status, log) = place.replay(&["--id", "to-topic"]).end();
    assert_eq!(status, Some(65), "{log}");
    assert!(log.contains(&what) && log.contains("input.on_corrupt"), "{log}");
    let answered = ids(&place.output());
    assert_eq!(answered.len(), 70, "all but the damaged ones");
    assert_eq!(answered.iter().filter(|&&id| partition(id) == 1).count(), 10);

    let file = place.folder.path().join("out.jsonl");
    let to = ["--topic", &place.topics.input, "--to-file", file.to_str().unwrap(), "--id", "to-file"];
    let (status, log) = place.start(&to).end();
    assert_eq!(status, Some(65), "{log}");
    assert!(log.contains(&what), "{log}");
    assert!(!file.exists(), "a file is complete or absent");
}

#[test]
fn a_replay_passes_over_damage_if_asked() {
    let Some(place) = damaged("corrupt-replay-skip") else { return };
    place.finish(&["--id", "skip", "--set", "input.on_corrupt=skip"]);
    assert_eq!(ids(&place.output()).len(), 10 * (2 * PARTITIONS as usize - 1));
    let letters = place.kafka.read(&place.topics.dead_letters);
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].header("nunchi-offsets"), Some("10-19"));
    assert_eq!(letters[0].header("nunchi-replay"), Some("skip"));
}
