//! Where reading of a partition goes on: nunchi decides it, not `auto.offset.reset`, which knows only one answer for every
//! situation. `docs/GUARANTEES.md` has the table of situations.

use crate::config::BeyondEnd;
use nunchi_librdkafka::TopicId;

/// An offset, and the leader epoch of the record before it (KIP-320).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) offset: i64,
    pub(crate) epoch: Option<i32>,
}

/// What a partition holds: from its first offset to its last stable offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogRange {
    pub(crate) first: i64,
    pub(crate) end: i64,
}

/// What this process saw last of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) next: i64,
    pub(crate) end: i64,
    pub(crate) topic_id: Option<TopicId>,
}

/// librdkafka refused to go on at `position`: out of range, or the log was truncated below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reset {
    pub(crate) position: Position,
    /// Up to where the log is the one that was read, if that is known.
    pub(crate) common_end: Option<i64>,
}

/// What is known of a partition when its reading begins.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Known {
    /// The committed position.
    pub(crate) position: Option<Position>,
    /// Whether that was committed for an earlier topic of the same name.
    pub(crate) of_earlier_topic: bool,
    /// The topic's ID now.
    pub(crate) topic_id: Option<TopicId>,
    pub(crate) reset: Option<Reset>,
    pub(crate) seen: Option<Seen>,
    /// Where the partition begins if the group is new and that could not be committed.
    pub(crate) start: Option<i64>,
}

/// Why records are not read. The names are those of the metric's label `reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LossReason {
    /// Retention, or somebody else, deleted them.
    Deleted,
    /// The log ends before the committed offset, or other records stand there now.
    Truncated,
    /// They were in a topic that was deleted.
    Recreated,
}

impl LossReason {
    /// All of them.
    pub(crate) const ALL: [LossReason; 3] =
        [LossReason::Deleted, LossReason::Truncated, LossReason::Recreated];

    /// The name in metrics and logs.
    pub(crate) fn name(self) -> &'static str {
        match self {
            LossReason::Deleted => "deleted",
            LossReason::Truncated => "truncated",
            LossReason::Recreated => "recreated",
        }
    }
}

/// Where reading of a partition goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Resume {
    /// Where it is.
    At(Position),
    /// At the beginning of a partition without a committed offset.
    Begin { offset: i64 },
    /// At another offset: `records` are not read.
    Moved { offset: i64, reason: LossReason, records: u64 },
    /// Nowhere: the position is beyond the end, or in a part of the log that was truncated.
    BeyondEnd { position: Position },
}

/// Decides where a partition with `log` goes on.
pub(crate) fn decide(known: &Known, log: LogRange, beyond_end: BeyondEnd) -> Resume {
    let old = known.seen.filter(|seen| {
        seen.topic_id.is_some() && known.topic_id.is_some() && seen.topic_id != known.topic_id
    });
    if known.of_earlier_topic || known.position.is_none() && old.is_some() {
        let read = known.position.map_or(i64::MIN, |position| position.offset);
        let unread = old.map_or(0, |seen| seen.end.saturating_sub(seen.next.max(read)));
        return moved(log.first, LossReason::Recreated, unread.max(0));
    }
    let Some(position) = known.position else {
        let start = known.start.unwrap_or(log.first);
        return Resume::Begin { offset: start.clamp(log.first, log.end.max(log.first)) };
    };
    if position.offset < log.first {
        return moved(log.first, LossReason::Deleted, log.first - position.offset);
    }
    let refused = known.reset.filter(|reset| reset.position == position);
    if position.offset <= log.end && refused.is_none() {
        return Resume::At(position);
    }
    match beyond_end {
        BeyondEnd::Fail => Resume::BeyondEnd { position },
        BeyondEnd::End => {
            let common = refused.and_then(|reset| reset.common_end).unwrap_or(log.end);
            let offset = common.clamp(log.first, log.end.max(log.first));
            moved(offset, LossReason::Truncated, (position.offset - offset).max(1))
        }
    }
}

fn moved(offset: i64, reason: LossReason, records: i64) -> Resume {
    Resume::Moved { offset, reason, records: records.unsigned_abs() }
}

/// The metadata of a committed offset: the topic's ID, so that a restart notices a topic that was made again.
pub(super) fn metadata(id: TopicId) -> String {
    format!("{TOPIC_ID}{id}")
}

/// Whether `metadata` is that of an offset in the topic `id`; `None` if it names no topic.
pub(super) fn names(metadata: &str, id: TopicId) -> Option<bool> {
    metadata.strip_prefix(TOPIC_ID).map(|name| name == id.to_string())
}

const TOPIC_ID: &str = "topic-id=";

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: LogRange = LogRange { first: 60, end: 100 };

    fn id(number: i64) -> Option<TopicId> {
        TopicId::from_halves(7, number)
    }

    fn at(offset: i64) -> Known {
        Known { position: Some(Position { offset, epoch: Some(3) }), topic_id: id(1), ..Known::default() }
    }

    #[test]
    fn a_position_within_the_log_stays() {
        for offset in [60, 80, 100] {
            let position = Position { offset, epoch: Some(3) };
            assert_eq!(decide(&at(offset), LOG, BeyondEnd::Fail), Resume::At(position));
        }
    }

    #[test]
    fn deleted_records_are_counted() {
        let moved = Resume::Moved { offset: 60, reason: LossReason::Deleted, records: 50 };
        assert_eq!(decide(&at(10), LOG, BeyondEnd::Fail), moved);
        assert_eq!(decide(&at(10), LOG, BeyondEnd::End), moved);
    }

    #[test]
    fn beyond_the_end_the_setting_decides() {
        let position = Position { offset: 150, epoch: Some(3) };
        assert_eq!(decide(&at(150), LOG, BeyondEnd::Fail), Resume::BeyondEnd { position });
        assert_eq!(
            decide(&at(150), LOG, BeyondEnd::End),
            Resume::Moved { offset: 100, reason: LossReason::Truncated, records: 50 }
        );
    }

    #[test]
    fn a_truncated_log_is_read_from_where_it_differs() {
        let position = Position { offset: 80, epoch: Some(3) };
        let truncated =
            |common_end| Known { reset: Some(Reset { position, common_end }), ..at(position.offset) };
        assert_eq!(decide(&truncated(Some(70)), LOG, BeyondEnd::Fail), Resume::BeyondEnd { position });
        let moved = |offset, records| Resume::Moved { offset, reason: LossReason::Truncated, records };
        assert_eq!(decide(&truncated(Some(70)), LOG, BeyondEnd::End), moved(70, 10));
        assert_eq!(decide(&truncated(Some(7)), LOG, BeyondEnd::End), moved(60, 20));
        assert_eq!(decide(&truncated(None), LOG, BeyondEnd::End), moved(100, 1));
        let elsewhere = Known { reset: truncated(None).reset, ..at(81) };
        assert!(
            matches!(decide(&elsewhere, LOG, BeyondEnd::Fail), Resume::At(_)),
            "that was another position"
        );
    }

    #[test]
    fn a_topic_that_was_made_again_is_read_from_its_beginning() {
        let log = LogRange { first: 0, end: 25 };
        let moved = |records| Resume::Moved { offset: 0, reason: LossReason::Recreated, records };
        let restarted = Known { topic_id: id(2), of_earlier_topic: true, ..at(10) };
        assert_eq!(decide(&restarted, log, BeyondEnd::Fail), moved(0));
        let seen = Some(Seen { next: 8, end: 14, topic_id: id(1) });
        assert_eq!(decide(&Known { seen, ..restarted }, log, BeyondEnd::Fail), moved(4));
        let forgotten = Known { topic_id: id(2), seen, ..Known::default() };
        assert_eq!(decide(&forgotten, log, BeyondEnd::Fail), moved(6), "the coordinator deletes the offsets");
        let unknown = Known { topic_id: id(2), ..at(10) };
        assert!(
            matches!(decide(&unknown, log, BeyondEnd::Fail), Resume::At(_)),
            "an offset of another client"
        );
    }

    #[test]
    fn a_partition_without_an_offset_begins_at_its_beginning() {
        assert_eq!(decide(&Known::default(), LOG, BeyondEnd::Fail), Resume::Begin { offset: 60 });
        let new_group = Known { start: Some(90), ..Known::default() };
        assert_eq!(decide(&new_group, LOG, BeyondEnd::Fail), Resume::Begin { offset: 90 });
    }

    #[test]
    fn the_metadata_of_an_offset_names_its_topic() {
        let (one, two) = (id(1).unwrap(), id(2).unwrap());
        assert_eq!(names(&metadata(one), one), Some(true));
        assert_eq!(names(&metadata(one), two), Some(false));
        assert_eq!(names("whatever another client wrote", one), None);
    }
}
