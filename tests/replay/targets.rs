//! Topics that refuse, vanish or change while a replay runs.

use super::common::{comment, wait_for};
use super::{JANUARY, Place, Write, fill, ids};

#[test]
fn what_a_compacted_target_refuses_becomes_dead_letters() {
    let Some(place) = Place::new("targets-compact") else { return };
    place.kafka.configure(&place.topics.output, &[("cleanup.policy", "compact")]);
    // Without keys, but for the last ones.
    fill(&place, 40, |id| JANUARY + id as i64);
    let keyed = (40..60).map(|id| Write {
        key: Some(id.to_string().into_bytes()),
        partition: Some((id % 4) as i32),
        timestamp: Some(JANUARY),
        ..Write::value(comment(id, "좋아요"))
    });
    place.kafka.write(&place.topics.input, keyed);
    place.finish(&["--id", "compact"]);
    let mut answered = ids(&place.output());
    answered.sort_unstable();
    assert_eq!(answered, (40..60).collect::<Vec<_>>());
    let dead_letters = place.kafka.read(&place.topics.dead_letters);
    assert_eq!(dead_letters.len(), 40);
    assert!(dead_letters.iter().all(|letter| letter.header("nunchi-error-class") == Some("refused")));
}

#[test]
fn a_target_that_is_deleted_for_good_ends_the_replay() {
    let Some(place) = Place::new("targets-gone") else { return };
    fill(&place, 4_000, |id| JANUARY + id as i64);
    let replay = place.replay(&["--id", "gone", "--rate", "200/s"]);
    wait_for("the first verdicts", || place.output().len() > 50);
    place.kafka.delete(&place.topics.output);
    let (status, log) = replay.end();
    assert_eq!(status, Some(1), "{log}");
    let last = log.lines().last().unwrap();
    assert!(last.contains(&format!("`{}`", place.topics.output)) && last.contains("does not exist"), "{log}");
}

#[test]
fn nothing_is_replayed_from_a_topic_that_was_created_again() {
    let Some(place) = Place::new("targets-again") else { return };
    fill(&place, 4_000, |id| JANUARY + id as i64);
    let replay = place.replay(&["--id", "again", "--rate", "200/s"]);
    wait_for("the first verdicts", || place.output().len() > 50);
    place.kafka.delete(&place.topics.input);
    place.kafka.create(&place.topics.input, 4, &[]);
    place.kafka.write(
        &place.topics.input,
        (0..8_000).map(|id| Write {
            partition: Some((id % 4) as i32),
            timestamp: Some(JANUARY),
            ..Write::value(comment(100_000 + id, "별로예요"))
        }),
    );
    let (status, log) = replay.end();
    assert_eq!(status, Some(1), "{log}");
    assert!(ids(&place.output()).iter().all(|&id| id < 100_000), "{log}");
}
