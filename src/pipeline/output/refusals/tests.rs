//! What is learned from refusals, without brokers.

use super::*;
use std::collections::BTreeSet;

const TOPICS: Names<'static> =
    Names { input: "comments", output: "verdicts", dead_letters: "dead", review: "review" };

fn sent(count: usize) -> Vec<Sent> {
    let sent = |offset| Sent { place: (0, offset, false), dead: false, keyed: true, bytes: 100 };
    (0..count as i64).map(sent).collect()
}

fn refused(records: impl IntoIterator<Item = usize>, code: RDKafkaErrorCode) -> Vec<Refusal> {
    let kind = match code {
        RDKafkaErrorCode::InvalidRecord => RefusalKind::Record,
        RDKafkaErrorCode::InvalidTimestamp => RefusalKind::Timestamp,
        RDKafkaErrorCode::PolicyViolation => RefusalKind::Batch,
        RDKafkaErrorCode::Unknown => RefusalKind::Unclear,
        _ => RefusalKind::Size,
    };
    records.into_iter().map(|record| Refusal { record, kind, code }).collect()
}

/// Sends until nothing is refused: a broker refuses each request that contains one of `guilty`, or more than `max`
/// bytes. Returns how often the batch was sent.
fn send_until_accepted(refusals: &mut Refusals, guilty: &BTreeSet<i64>, max: usize, count: usize) -> usize {
    for attempt in 1..100 {
        refusals.begin();
        let (mut requests, mut all): (Vec<Vec<usize>>, _) = (vec![vec![]], sent(count));
        for (record, sent) in all.iter_mut().enumerate() {
            if refusals.must_deliver_before(sent.place, sent.bytes) {
                requests.push(vec![]);
            }
            // Dead letters go to another topic.
            if refusals.verdict(sent.place).is_none() {
                requests.last_mut().unwrap().push(record);
            }
        }
        let bad = requests.into_iter().find_map(|request| {
            let forbidden = request.iter().any(|&record| guilty.contains(&(record as i64)));
            if forbidden {
                return Some(refused(request, RDKafkaErrorCode::PolicyViolation));
            }
            (request.len() * 100 > max).then(|| refused(request, RDKafkaErrorCode::MessageSizeTooLarge))
        });
        match bad {
            Some(bad) => assert!(matches!(refusals.learn(&bad, &all, TOPICS), Lesson::Changed)),
            None => return attempt,
        }
    }
    panic!("it never ends");
}

#[test]
fn the_guilty_ones_of_a_batch_are_found_by_halves() {
    let mut refusals = Refusals::default();
    let guilty = BTreeSet::from([17, 700]);
    let attempts = send_until_accepted(&mut refusals, &guilty, usize::MAX, 1_000);
    assert!(attempts <= 24, "{attempts}");
    assert_eq!(refusals.marks.keys().map(|place| place.1).collect::<BTreeSet<_>>(), guilty);
    refusals.committed(&[(0, Span { first: 0, next: 1_000, epoch: None })].into());
    assert!(refusals.marks.is_empty() && refusals.suspects.is_empty());
}

#[test]
fn records_that_were_named_together_are_judged_by_the_first_alone() {
    let mut refusals = Refusals::default();
    let mut all = sent(6);
    all[2].keyed = false;
    all[4].keyed = false;
    let together = refused([2, 4, 5], RDKafkaErrorCode::InvalidRecord);
    assert!(matches!(refusals.learn(&together, &all, TOPICS), Lesson::Changed));
    assert!(refusals.marks.is_empty(), "the cause may be a timestamp");
    assert_eq!(
        refusals.suspects.keys().collect::<Vec<_>>(),
        [&(0, 2, false), &(0, 5, false)],
        "one of each kind"
    );

    refusals.were_timestamps();
    assert!(refusals.named.is_empty() && refusals.suspects.is_empty());
    assert!(matches!(refusals.learn(&together, &all, TOPICS), Lesson::Changed));
    assert!(matches!(refusals.learn(&[], &all, TOPICS), Lesson::Nothing), "an abort for another reason");
    let alone = refused([2], RDKafkaErrorCode::InvalidRecord);
    assert!(matches!(refusals.learn(&alone, &all, TOPICS), Lesson::Changed));
    assert_eq!(
        refusals.marks.keys().collect::<Vec<_>>(),
        [&(0, 2, false), &(0, 4, false)],
        "and not the one with a key"
    );
}

#[test]
fn requests_become_smaller_until_the_topic_takes_them() {
    let mut refusals = Refusals::default();
    assert!(send_until_accepted(&mut refusals, &BTreeSet::new(), 10_000, 1_000) <= 5);
    assert!(refusals.marks.is_empty(), "nobody is guilty");
    assert_eq!(send_until_accepted(&mut refusals, &BTreeSet::new(), 10_000, 1_000), 1, "it is remembered");
}

#[test]
fn a_record_that_no_topic_takes_halts_its_partition() {
    let mut refusals = Refusals::default();
    let mut all = sent(2);
    all[1].keyed = false;
    let bad = refused([1], RDKafkaErrorCode::InvalidRecord);
    assert!(matches!(refusals.learn(&bad, &all, TOPICS), Lesson::Changed));
    assert!(refusals.verdict((0, 1, false)).unwrap().message.contains("`verdicts`"));
    assert!(refusals.verdict((0, 0, false)).is_none());
    all[1].dead = true;
    let Lesson::Halt(BatchError::Halt { partition: 0, reason: HaltReason::Refused, message }) =
        refusals.learn(&bad, &all, TOPICS)
    else {
        panic!("no halt")
    };
    for part in ["offset 1 of partition 0 of `comments`", "`dead`", "cleanup.policy=compact", "`verdicts`"] {
        assert!(message.contains(part), "{part} in {message}");
    }
    assert!(refusals.verdict((0, 1, false)).is_none(), "tried again from the beginning");
}

#[test]
fn a_dead_letter_that_is_too_large_loses_its_value_first() {
    let mut refusals = Refusals::default();
    let mut all = sent(1);
    all[0].dead = true;
    let bad = refused([0], RDKafkaErrorCode::MessageSizeTooLarge);
    assert!(matches!(refusals.learn(&bad, &all, TOPICS), Lesson::Changed));
    assert!(refusals.is_described((0, 0, false)) && refusals.verdict((0, 0, false)).is_none());
    assert!(matches!(refusals.learn(&bad, &all, TOPICS), Lesson::Halt(_)));
}

#[test]
fn an_answer_that_explains_nothing_halts_a_partition_after_some_tries() {
    let mut refusals = Refusals::default();
    let all = sent(4);
    let bad = refused(0..4, RDKafkaErrorCode::Unknown);
    assert!(matches!(refusals.learn(&bad, &all, TOPICS), Lesson::Changed), "in halves first");
    let alone = refused([2], RDKafkaErrorCode::Unknown);
    for _ in 1..MAX_UNCLEAR {
        assert!(matches!(refusals.learn(&alone, &all, TOPICS), Lesson::Nothing), "it may pass");
    }
    let Lesson::Halt(BatchError::Halt { partition: 0, message, .. }) = refusals.learn(&alone, &all, TOPICS)
    else {
        panic!("no halt")
    };
    assert!(message.contains("offset 2") && message.contains("`verdicts`"), "{message}");
    assert!(refusals.marks.is_empty(), "it is no dead letter: the cause is not known");
    assert!(matches!(refusals.learn(&alone, &all, TOPICS), Lesson::Nothing), "counted anew after the halt");
}

#[test]
fn a_timestamp_is_refused_only_when_the_present_is_refused_too() {
    let mut refusals = Refusals::default();
    let mut all = sent(2);
    let bad = refused([1], RDKafkaErrorCode::InvalidTimestamp);
    assert!(matches!(refusals.learn(&bad, &all, TOPICS), Lesson::Nothing), "it is replaced");
    refusals.refuse_timestamps();
    assert!(matches!(refusals.learn(&bad, &all, TOPICS), Lesson::Changed));
    let dead_letter = refusals.verdict((0, 1, false)).unwrap();
    assert!(dead_letter.message.contains("message.timestamp.before.max.ms"), "{}", dead_letter.message);
    all[1].dead = true;
    assert!(matches!(refusals.learn(&bad, &all, TOPICS), Lesson::Halt(_)));
}

/// The verdict is in its own topic: nobody loses a comment, and nothing is halted, whatever the answer is.
#[test]
fn a_copy_for_review_that_is_refused_is_left_out() {
    for code in [
        RDKafkaErrorCode::InvalidRecord,
        RDKafkaErrorCode::PolicyViolation,
        RDKafkaErrorCode::MessageSizeTooLarge,
        RDKafkaErrorCode::Unknown,
    ] {
        let mut refusals = Refusals::default();
        let verdict = Sent { place: (0, 7, false), dead: false, keyed: true, bytes: 100 };
        let copy = Sent { place: (0, 7, true), ..verdict };
        let mut attempts = 0;
        while !refusals.is_left_out((0, 7, false)) {
            attempts += 1;
            assert!(attempts <= MAX_UNCLEAR, "{code}");
            let lesson = refusals.learn(&refused([1], code), &[verdict, copy], TOPICS);
            assert!(!matches!(lesson, Lesson::Halt(_)), "{code}");
        }
        assert!(refusals.verdict(verdict.place).is_none() && !refusals.is_described(verdict.place), "{code}");
        let span = Span { first: 7, next: 8, epoch: None };
        refusals.committed(&BTreeMap::from([(0, span)]));
        assert!(!refusals.is_left_out((0, 7, false)), "{code}: forgotten once it is committed");
    }
}
