//! Records that the brokers refused, from batch to batch: which become dead letters, which are suspected, and which halt
//! their partition.
//!
//! Always holds: a batch in which something was refused is aborted and read again, and each time at least one record is
//! marked, or the records that may be guilty are delivered in smaller requests than before, or a record that was alone is
//! counted. So it ends.

use crate::kafka::batch::Span;
use crate::kafka::refusals::{Refusal, RefusalKind};
use crate::pipeline::halts::HaltReason;
use crate::pipeline::output::BatchError;
use crate::record::{DeadLetter, DeadLetterClass};
use rdkafka::error::RDKafkaErrorCode;
use std::collections::BTreeMap;
use std::mem::take;
use tracing::{info, warn};

/// A record of the input topic, partition and offset, and whether this is its copy for review.
type Place = (i32, i64, bool);
/// How often a record is refused alone with an answer that explains nothing, before its partition is halted. With the pauses of
/// failed batches that takes about ten seconds.
const MAX_UNCLEAR: u32 = 12;

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
    /// Its copy for review: it is left out.
    Review,
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
    /// How often records were refused alone, and nothing is known of the cause.
    unclear: BTreeMap<Place, u32>,
    /// Whether a broker refused a timestamp although it was replaced by the present.
    timestamps: bool,
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
            Mark::WholeLetter | Mark::Review => None,
        }
    }

    /// Whether the copy of a record for review was refused.
    pub(super) fn is_left_out(&self, (partition, offset, _): Place) -> bool {
        self.marks.contains_key(&(partition, offset, true))
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
        self.unclear.clear();
        let is_open =
            |&(partition, offset, _): &Place| spans.get(&partition).is_none_or(|span| offset >= span.next);
        self.marks.retain(|place, _| is_open(place));
        self.suspects.retain(|place, _| is_open(place));
    }

    /// Something of a batch was refused; `sent` is what was sent, by number.
    pub(super) fn learn(&mut self, refused: &[Refusal], sent: &[Sent], topics: Names<'_>) -> Lesson {
        let records = refused.iter().filter_map(|refusal| Some((refusal, sent.get(refusal.record)?)));
        let mut suspects: BTreeMap<Option<u32>, BTreeMap<usize, (&Refusal, &Sent)>> = BTreeMap::new();
        let mut named = BTreeMap::new();
        let mut lesson = Lesson::Nothing;
        for (refusal, sent) in records {
            match refusal.kind {
                RefusalKind::Record => drop(named.insert(refusal.record, (refusal, sent))),
                RefusalKind::Timestamp if self.timestamps => {
                    named.insert(refusal.record, (refusal, sent));
                }
                // More is tolerated from now on.
                RefusalKind::Timestamp => {}
                RefusalKind::Batch | RefusalKind::Unclear | RefusalKind::Size => {
                    let group = self.suspects.get(&sent.place).copied();
                    suspects.entry(group).or_default().insert(refusal.record, (refusal, sent));
                }
            }
        }
        let named: Vec<_> = named.into_values().collect();
        if !named.is_empty() {
            lesson = self.named(&named, topics);
        }
        for group in suspects.into_values() {
            let group: Vec<_> = group.into_values().collect();
            lesson = lesson.and(match group.as_slice() {
                [(refusal, sent)] if self.may_pass(refusal, sent) => Lesson::Nothing,
                [(refusal, sent)] => self.convict(refusal, sent, topics),
                group => self.separate(group, topics),
            });
        }
        if let Lesson::Halt(BatchError::Halt { partition, .. }) = &lesson {
            // Whatever is repaired meanwhile: nothing of it is taken for granted when it is tried again.
            self.marks.retain(|place, _| place.0 != *partition);
            self.suspects.retain(|place, _| place.0 != *partition);
            self.unclear.retain(|place, _| place.0 != *partition);
        }
        lesson
    }

    /// Whether a record that was alone is tried once more, since the cause may pass.
    fn may_pass(&mut self, refusal: &Refusal, sent: &Sent) -> bool {
        if refusal.kind != RefusalKind::Unclear {
            return false;
        }
        if !self.suspects.contains_key(&sent.place) {
            self.groups += 1;
            self.suspects.insert(sent.place, self.groups);
        }
        let count = self.unclear.entry(sent.place).or_default();
        *count += 1;
        *count < MAX_UNCLEAR
    }

    /// What a broker named together were timestamps, and more is tolerated from now on.
    pub(super) fn were_timestamps(&mut self) {
        self.timestamps = false;
        for sent in take(&mut self.named) {
            self.suspects.remove(&sent.place);
        }
    }

    /// A broker refuses a timestamp that was replaced by the present: no other one will do.
    pub(super) fn refuse_timestamps(&mut self) {
        self.timestamps = true;
    }

    /// A broker named these records, in order. Whether they are at fault is known once one of their kind was named alone.
    fn named(&mut self, named: &[(&Refusal, &Sent)], topics: Names<'_>) -> Lesson {
        let kind = |sent: &Sent| (sent.place.2, sent.dead, sent.keyed);
        let like = |one: &Sent, other: &Sent| kind(one) == kind(other);
        let before = take(&mut self.named);
        if let [(refusal, sent)] = named {
            let first = self.convict(refusal, sent, topics);
            return before.iter().filter(|other| like(other, sent) && other.place != sent.place).fold(
                first,
                // Each is marked; a halt of one partition is enough for now.
                |lesson, other| lesson.and(self.convict(refusal, other, topics)),
            );
        }
        self.named = named.iter().map(|(_, sent)| **sent).collect();
        for (number, sent) in self.named.iter().enumerate() {
            if !self.named[..number].iter().any(|earlier| like(earlier, sent)) {
                self.groups += 1;
                self.suspects.insert(sent.place, self.groups);
            }
        }
        Lesson::Changed
    }

    /// Records that were refused together are delivered in smaller requests.
    fn separate(&mut self, group: &[(&Refusal, &Sent)], topics: Names<'_>) -> Lesson {
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
                 records are delivered in smaller requests; restart the process to use larger ones again"
            );
            return Lesson::Changed;
        }
        info!(topic, records = group.len(), code = %refusal.code, "a broker refused a batch; searching the record");
        for half in group.chunks(group.len().div_ceil(2)) {
            self.groups += 1;
            self.suspects.extend(half.iter().map(|(_, sent)| (sent.place, self.groups)));
        }
        Lesson::Changed
    }

    /// This record is refused. The partition is halted if no dead letter is possible, or if the cause may pass after all.
    fn convict(&mut self, refusal: &Refusal, sent: &Sent, topics: Names<'_>) -> Lesson {
        let Sent { place, dead, keyed, .. } = *sent;
        self.suspects.remove(&place);
        let topic = topics.of(sent);
        let (partition, offset, review) = place;
        let cause = cause(refusal, keyed);
        if review {
            // Nothing is lost: the verdict is in its own topic.
            let code = refusal.code;
            warn!(
                topic,
                partition,
                offset,
                "a comment is left out of the review topic, which refuses it ({code:?}): {cause}"
            );
            self.marks.insert(place, Mark::Review);
            return Lesson::Changed;
        }
        if refusal.kind == RefusalKind::Unclear {
            return halt(
                partition,
                format!(
                    "the record at offset {offset} of partition {partition} of `{}` cannot be written to topic `{topic}` \
                     ({:?}): {cause}",
                    topics.input, refusal.code
                ),
            );
        }
        if !dead {
            let message = format!("topic `{topic}` refuses the record ({:?}): {cause}", refusal.code);
            warn!(topic, partition, offset, "a verdict becomes a dead letter of class refused: {message}");
            let dead_letter = DeadLetter::new(DeadLetterClass::Refused, message);
            self.marks.insert(place, Mark::Verdict(dead_letter));
            return Lesson::Changed;
        }
        let whole = match self.marks.get(&place) {
            None => Some(Mark::WholeLetter),
            Some(Mark::Verdict(dead_letter)) => Some(Mark::Both(dead_letter.clone())),
            Some(Mark::WholeLetter | Mark::Both(_) | Mark::Review) => None,
        };
        if let Some(mark) = whole.filter(|_| refusal.kind == RefusalKind::Size) {
            self.marks.insert(place, mark);
            return Lesson::Changed;
        }
        let verdict =
            self.verdict(place).map_or_else(String::new, |verdict| format!("; {}", verdict.message));
        halt(
            partition,
            format!(
                "the record at offset {offset} of partition {partition} of `{}` has to become a dead letter, and the topic \
                 of dead letters, `{topic}`, refuses it ({:?}): {cause}{verdict}; change the settings of the topic, or \
                 what is written to the input topic",
                topics.input, refusal.code
            ),
        )
    }
}

fn halt(partition: i32, message: String) -> Lesson {
    Lesson::Halt(BatchError::Halt { partition, reason: HaltReason::Refused, message })
}

/// What follows from refusals.
#[derive(Debug)]
pub(super) enum Lesson {
    /// Nothing: the batch is tried again as it is.
    Nothing,
    /// The batch is written differently.
    Changed,
    /// A partition is halted.
    Halt(BatchError),
}

impl Lesson {
    /// Both of two lessons. A halt of one partition is enough for now.
    fn and(self, other: Lesson) -> Lesson {
        match (self, other) {
            (halt @ Lesson::Halt(_), _) | (_, halt @ Lesson::Halt(_)) => halt,
            (Lesson::Nothing, Lesson::Nothing) => Lesson::Nothing,
            _ => Lesson::Changed,
        }
    }
}

/// The names of the topics.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names<'t> {
    pub(super) input: &'t str,
    pub(super) output: &'t str,
    pub(super) dead_letters: &'t str,
    /// Empty where none is written to.
    pub(super) review: &'t str,
}

impl<'t> Names<'t> {
    /// The topic of what was sent.
    fn of(self, sent: &Sent) -> &'t str {
        match sent {
            Sent { place: (_, _, true), .. } => self.review,
            Sent { dead: true, .. } => self.dead_letters,
            Sent { dead: false, .. } => self.output,
        }
    }
}

/// The likely cause, and what helps.
fn cause(refusal: &Refusal, keyed: bool) -> &'static str {
    match (refusal.kind, refusal.code) {
        (RefusalKind::Timestamp, _) => {
            "its timestamp is out of range, and so is the present (message.timestamp.before.max.ms, after.max.ms)"
        }
        (RefusalKind::Unclear, _) => "the broker does not say why; its log may",
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
    let message = format!("the record has no key, and topic `{topic}` is compacted (cleanup.policy=compact)");
    DeadLetter::new(DeadLetterClass::Refused, message)
}

#[cfg(test)]
mod tests;
