//! Records that the brokers refused, from batch to batch: which become dead letters, which are suspected, and which halt
//! their partition.
//!
//! Always holds: a batch in which something was refused is aborted and read again, and each time at least one record is
//! marked, or the records that may be guilty are delivered in smaller requests than before. So it ends.

use crate::kafka::batch::Span;
use crate::kafka::refusals::{Refusal, RefusalKind};
use crate::pipeline::halts::HaltReason;
use crate::pipeline::output::BatchError;
use crate::record::{DeadLetter, DeadLetterClass};
use rdkafka::error::RDKafkaErrorCode;
use std::collections::BTreeMap;
use tracing::{info, warn};

/// A record of the input topic: partition and offset.
type Place = (i32, i64);

/// What was sent for a record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) place: Place,
    /// Whether it is a dead letter.
    pub(super) dead: bool,
    /// Whether the input record has a key.
    pub(super) keyed: bool,
    /// Bytes of key and value.
    pub(super) bytes: usize,
}

/// What is known of a record that was refused.
#[derive(Clone, Debug)]
enum Mark {
    /// Its verdict: it becomes this dead letter.
    Verdict(DeadLetter),
    /// Its dead letter with the original value: the value is described instead.
    WholeLetter,
    /// Both.
    Both(DeadLetter),
}

/// What the brokers refused.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    marks: BTreeMap<Place, Mark>,
    /// Records that may be guilty, each with its group. A group is delivered in requests of its own.
    suspects: BTreeMap<Place, u32>,
    groups: u32,
    /// Records that a broker named together. The first one is delivered alone: its code is that of all.
    named: Vec<Sent>,
    /// Most bytes of a request, once one was too large for its topic.
    max_request: Option<usize>,
    /// Group and bytes of the records since the last delivery.
    group: Option<u32>,
    bytes: usize,
}

impl Refusals {
    /// A batch begins.
    pub(super) fn begin(&mut self) {
        (self.group, self.bytes) = (None, 0);
    }

    /// The dead letter that a record becomes, if its verdict was refused.
    pub(super) fn verdict(&self, place: Place) -> Option<&DeadLetter> {
        match self.marks.get(&place)? {
            Mark::Verdict(dead_letter) | Mark::Both(dead_letter) => Some(dead_letter),
            Mark::WholeLetter => None,
        }
    }

    /// Whether the dead letter of a record must not hold its value.
    pub(super) fn is_described(&self, place: Place) -> bool {
        matches!(self.marks.get(&place), Some(Mark::WholeLetter | Mark::Both(_)))
    }

    /// Whether everything that was sent has to be delivered before `bytes` for `place` are sent.
    pub(super) fn must_deliver_before(&mut self, place: Place, bytes: usize) -> bool {
        if self.suspects.is_empty() && self.max_request.is_none() {
            return false;
        }
        let group = self.suspects.get(&place).copied();
        let is_full = self.max_request.is_some_and(|max| self.bytes > 0 && self.bytes + bytes > max);
        let must = group != self.group || is_full;
        self.bytes = if must { bytes } else { self.bytes + bytes };
        self.group = group;
        must
    }

    /// A batch with these offsets was committed: nothing of it has to be remembered.
    pub(super) fn committed(&mut self, spans: &BTreeMap<i32, Span>) {
        if self.marks.is_empty() && self.suspects.is_empty() && self.named.is_empty() {
            return;
        }
        self.named.clear();
        let is_open =
            |&(partition, offset): &Place| spans.get(&partition).is_none_or(|span| offset >= span.next);
        self.marks.retain(|place, _| is_open(place));
        self.suspects.retain(|place, _| is_open(place));
    }

    /// Something of a batch was refused; `sent` is what was sent, by number. Returns the halt that follows, if one does.
    pub(super) fn learn(
        &mut self,
        refused: &[Refusal],
        sent: &[Sent],
        topics: Names<'_>,
    ) -> Option<BatchError> {
        let records = refused.iter().filter_map(|refusal| Some((refusal, sent.get(refusal.record)?)));
        let mut suspects: BTreeMap<Option<u32>, BTreeMap<usize, (&Refusal, &Sent)>> = BTreeMap::new();
        let mut named = BTreeMap::new();
        for (refusal, sent) in records {
            if refusal.kind == RefusalKind::Record {
                named.insert(refusal.record, (refusal, sent));
            } else {
                let group = self.suspects.get(&sent.place).copied();
                suspects.entry(group).or_default().insert(refusal.record, (refusal, sent));
            }
        }
        let named: Vec<_> = named.into_values().collect();
        let mut halt = self.named(&named, topics);
        for group in suspects.into_values() {
            let group: Vec<_> = group.into_values().collect();
            match group.as_slice() {
                [(refusal, sent)] => {
                    let convicted = self.convict(refusal, sent, topics);
                    halt = halt.or(convicted);
                }
                group => self.separate(group, topics),
            }
        }
        if let Some(BatchError::Halt { partition, .. }) = &halt {
            // Whatever is repaired meanwhile: nothing of it is taken for granted when it is tried again.
            self.marks.retain(|place, _| place.0 != *partition);
            self.suspects.retain(|place, _| place.0 != *partition);
        }
        halt
    }

    /// What a broker named together were timestamps.
    pub(super) fn were_timestamps(&mut self) {
        for sent in std::mem::take(&mut self.named) {
            self.suspects.remove(&sent.place);
        }
    }

    /// A broker named these records, in order. Whether they are at fault is known once one of their kind was named alone.
    fn named(&mut self, named: &[(&Refusal, &Sent)], topics: Names<'_>) -> Option<BatchError> {
        let like = |one: &Sent, other: &Sent| (one.dead, one.keyed) == (other.dead, other.keyed);
        if named.is_empty() {
            return None;
        }
        let before = std::mem::take(&mut self.named);
        if let [(refusal, sent)] = named {
            let first = self.convict(refusal, sent, topics);
            return before.iter().filter(|other| like(other, sent) && other.place != sent.place).fold(
                first,
                // Each is marked; a halt of one partition is enough for now.
                |halt, other| {
                    let more = self.convict(refusal, other, topics);
                    halt.or(more)
                },
            );
        }
        self.named = named.iter().map(|(_, sent)| **sent).collect();
        for (number, sent) in self.named.iter().enumerate() {
            if !self.named[..number].iter().any(|earlier| like(earlier, sent)) {
                self.groups += 1;
                self.suspects.insert(sent.place, self.groups);
            }
        }
        None
    }

    /// Records that were refused together are delivered in smaller requests.
    fn separate(&mut self, group: &[(&Refusal, &Sent)], topics: Names<'_>) {
        let bytes: usize = group.iter().map(|(_, sent)| sent.bytes).sum();
        let (refusal, sent) = group[0];
        let topic = topics.of(sent);
        if refusal.kind == RefusalKind::Size {
            let max = (bytes / 2).min(self.max_request.unwrap_or(usize::MAX)).max(1);
            self.max_request = Some(max);
            warn!(
                topic,
                request_bytes = max,
                "the topic accepts smaller batches than when this process started (max.message.bytes, segment.bytes): \
                 records are delivered in smaller requests; restart the process to read the topic's limits again"
            );
            return;
        }
        info!(topic, records = group.len(), code = %refusal.code, "a broker refused a batch; searching the record");
        for half in group.chunks(group.len().div_ceil(2)) {
            self.groups += 1;
            self.suspects.extend(half.iter().map(|(_, sent)| (sent.place, self.groups)));
        }
    }

    /// This record is refused. Returns the halt that follows if no dead letter is possible.
    fn convict(&mut self, refusal: &Refusal, sent: &Sent, topics: Names<'_>) -> Option<BatchError> {
        let Sent { place, dead, keyed, .. } = *sent;
        self.suspects.remove(&place);
        let topic = topics.of(sent);
        let (partition, offset) = place;
        let cause = cause(refusal, keyed);
        if !dead {
            let message = format!("topic `{topic}` refuses the record ({:?}): {cause}", refusal.code);
            warn!(topic, partition, offset, "a verdict becomes a dead letter of class refused: {message}");
            let dead_letter = DeadLetter { class: DeadLetterClass::Refused, message };
            self.marks.insert(place, Mark::Verdict(dead_letter));
            return None;
        }
        let whole = match self.marks.get(&place) {
            None => Some(Mark::WholeLetter),
            Some(Mark::Verdict(dead_letter)) => Some(Mark::Both(dead_letter.clone())),
            Some(Mark::WholeLetter | Mark::Both(_)) => None,
        };
        if let Some(mark) = whole.filter(|_| refusal.kind == RefusalKind::Size) {
            self.marks.insert(place, mark);
            return None;
        }
        let verdict =
            self.verdict(place).map_or_else(String::new, |verdict| format!("; {}", verdict.message));
        Some(BatchError::Halt {
            partition,
            reason: HaltReason::Refused,
            message: format!(
                "the record at offset {offset} of partition {partition} of `{}` has to become a dead letter, and the topic \
                 of dead letters, `{topic}`, refuses it ({:?}): {cause}{verdict}; change the settings of the topic, or \
                 what is written to the input topic",
                topics.input, refusal.code
            ),
        })
    }
}

/// The names of the topics.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names<'t> {
    pub(super) input: &'t str,
    pub(super) output: &'t str,
    pub(super) dead_letters: &'t str,
}

impl<'t> Names<'t> {
    /// The topic of what was sent.
    fn of(self, sent: &Sent) -> &'t str {
        if sent.dead { self.dead_letters } else { self.output }
    }
}

/// The likely cause, and what helps.
fn cause(refusal: &Refusal, keyed: bool) -> &'static str {
    match (refusal.kind, refusal.code) {
        (RefusalKind::Size, _) => "it is larger than the topic's max.message.bytes or segment.bytes",
        (_, RDKafkaErrorCode::InvalidRecord) if !keyed => {
            "it has no key, and the topic is probably compacted (cleanup.policy=compact)"
        }
        (_, RDKafkaErrorCode::InvalidRecord) => "it fails a check of the broker, such as a schema",
        _ => "a policy of the cluster forbids it",
    }
}

/// The dead letter for a record without a key whose verdict would go to a compacted topic.
pub(super) fn keyless(topic: &str) -> DeadLetter {
    DeadLetter {
        class: DeadLetterClass::Refused,
        message: format!("the record has no key, and topic `{topic}` is compacted (cleanup.policy=compact)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const TOPICS: Names<'static> = Names { input: "comments", output: "verdicts", dead_letters: "dead" };

    fn sent(count: usize) -> Vec<Sent> {
        let sent = |offset| Sent { place: (0, offset), dead: false, keyed: true, bytes: 100 };
        (0..count as i64).map(sent).collect()
    }

    fn refused(records: impl IntoIterator<Item = usize>, code: RDKafkaErrorCode) -> Vec<Refusal> {
        let kind = match code {
            RDKafkaErrorCode::InvalidRecord => RefusalKind::Record,
            RDKafkaErrorCode::PolicyViolation => RefusalKind::Batch,
            _ => RefusalKind::Size,
        };
        records.into_iter().map(|record| Refusal { record, kind, code }).collect()
    }

    /// Sends until nothing is refused: a broker refuses each request that contains one of `guilty`, or more than `max`
    /// bytes. Returns how often the batch was sent.
    fn send_until_accepted(
        refusals: &mut Refusals,
        guilty: &BTreeSet<i64>,
        max: usize,
        count: usize,
    ) -> usize {
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
                Some(bad) => assert!(refusals.learn(&bad, &all, TOPICS).is_none()),
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
        assert!(refusals.learn(&together, &all, TOPICS).is_none());
        assert!(refusals.marks.is_empty(), "the cause may be a timestamp");
        assert_eq!(refusals.suspects.keys().collect::<Vec<_>>(), [&(0, 2), &(0, 5)], "one of each kind");

        refusals.were_timestamps();
        assert!(refusals.named.is_empty() && refusals.suspects.is_empty());
        assert!(refusals.learn(&together, &all, TOPICS).is_none());
        assert!(refusals.learn(&[], &all, TOPICS).is_none(), "an abort for another reason");
        let alone = refused([2], RDKafkaErrorCode::InvalidRecord);
        assert!(refusals.learn(&alone, &all, TOPICS).is_none());
        assert_eq!(
            refusals.marks.keys().collect::<Vec<_>>(),
            [&(0, 2), &(0, 4)],
            "and not the one with a key"
        );
    }

    #[test]
    fn requests_become_smaller_until_the_topic_takes_them() {
        let mut refusals = Refusals::default();
        assert!(send_until_accepted(&mut refusals, &BTreeSet::new(), 10_000, 1_000) <= 5);
        assert!(refusals.marks.is_empty(), "nobody is guilty");
        assert_eq!(
            send_until_accepted(&mut refusals, &BTreeSet::new(), 10_000, 1_000),
            1,
            "it is remembered"
        );
    }

    #[test]
    fn a_record_that_no_topic_takes_halts_its_partition() {
        let mut refusals = Refusals::default();
        let mut all = sent(2);
        all[1].keyed = false;
        let bad = refused([1], RDKafkaErrorCode::InvalidRecord);
        assert!(refusals.learn(&bad, &all, TOPICS).is_none());
        assert!(refusals.verdict((0, 1)).unwrap().message.contains("`verdicts`"));
        assert!(refusals.verdict((0, 0)).is_none());
        all[1].dead = true;
        let Some(BatchError::Halt { partition: 0, reason: HaltReason::Refused, message }) =
            refusals.learn(&bad, &all, TOPICS)
        else {
            panic!("no halt")
        };
        for part in
            ["offset 1 of partition 0 of `comments`", "`dead`", "cleanup.policy=compact", "`verdicts`"]
        {
            assert!(message.contains(part), "{part} in {message}");
        }
        assert!(refusals.verdict((0, 1)).is_none(), "tried again from the beginning");
    }

    #[test]
    fn a_dead_letter_that_is_too_large_loses_its_value_first() {
        let mut refusals = Refusals::default();
        let mut all = sent(1);
        all[0].dead = true;
        let bad = refused([0], RDKafkaErrorCode::MessageSizeTooLarge);
        assert!(refusals.learn(&bad, &all, TOPICS).is_none());
        assert!(refusals.is_described((0, 0)) && refusals.verdict((0, 0)).is_none());
        assert!(matches!(refusals.learn(&bad, &all, TOPICS), Some(BatchError::Halt { .. })));
    }
}
