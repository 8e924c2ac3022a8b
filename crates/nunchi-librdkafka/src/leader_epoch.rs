//! Leader epochs (KIP-320): which leader of a partition wrote a record. An offset that is committed with its epoch lets the
//! next consumer see that the log was truncated behind it.

use crate::Error;
use crate::ffi;
use rdkafka::TopicPartitionList;
use rdkafka::bindings::{
    rd_kafka_message_leader_epoch, rd_kafka_topic_partition_get_leader_epoch,
    rd_kafka_topic_partition_list_find, rd_kafka_topic_partition_set_leader_epoch,
    rd_kafka_topic_partition_t,
};
use rdkafka::message::BorrowedMessage;
use std::ptr::NonNull;

/// librdkafka's "not known".
const UNKNOWN: i32 = -1;

/// The leader epoch of a consumed message, at least 0. `None` where the broker did not send it, and for messages of a
/// producer's delivery reports.
///
/// Wraps `rd_kafka_message_leader_epoch`.
pub fn message_leader_epoch(message: &BorrowedMessage<'_>) -> Option<i32> {
    // SAFETY: the message lives as long as it is borrowed, and is only read.
    known(unsafe { rd_kafka_message_leader_epoch(message.ptr()) })
}

/// The leader epoch that stands beside the offset of a partition in `list`; `None` where there is none.
///
/// Wraps `rd_kafka_topic_partition_get_leader_epoch`.
///
/// # Errors
/// The list does not contain the partition.
pub fn leader_epoch(list: &TopicPartitionList, topic: &str, partition: i32) -> Result<Option<i32>, Error> {
    let element = find(list, topic, partition)?;
    // SAFETY: the element is the list's, which is borrowed here.
    Ok(known(unsafe { rd_kafka_topic_partition_get_leader_epoch(element.as_ptr()) }))
}

/// Puts a leader epoch beside the offset of a partition in `list`, so that `Consumer::commit`, `store_offsets` and
/// `Producer::send_offsets_to_transaction` write it too. `None` (or a negative epoch) takes it away.
///
/// Wraps `rd_kafka_topic_partition_set_leader_epoch`.
///
/// # Errors
/// The list does not contain the partition.
pub fn set_leader_epoch(
    list: &mut TopicPartitionList,
    topic: &str,
    partition: i32,
    epoch: Option<i32>,
) -> Result<(), Error> {
    let element = find(list, topic, partition)?;
    let epoch = epoch.and_then(known).unwrap_or(UNKNOWN);
    // SAFETY: the element is the list's, which nobody else can see while it is borrowed mutably.
    unsafe { rd_kafka_topic_partition_set_leader_epoch(element.as_ptr(), epoch) };
    Ok(())
}

fn known(epoch: i32) -> Option<i32> {
    (epoch >= 0).then_some(epoch)
}

/// The first element of `list` for this partition.
pub(crate) fn find(
    list: &TopicPartitionList,
    topic: &str,
    partition: i32,
) -> Result<NonNull<rd_kafka_topic_partition_t>, Error> {
    // Not `TopicPartitionList::find_partition`: its element hides the pointer, and it panics at a NUL.
    let name = ffi::c_string(topic, "topic name")?;
    // SAFETY: the list lives as long as it is borrowed, and is only searched.
    let element = unsafe { rd_kafka_topic_partition_list_find(list.ptr(), name.as_ptr(), partition) };
    NonNull::new(element).ok_or_else(|| Error::NotListed { topic: topic.to_owned(), partition })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::Offset;

    fn list() -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for partition in 0..3 {
            list.add_partition_offset("comments", partition, Offset::Offset(10)).unwrap();
        }
        list
    }

    #[test]
    fn an_epoch_is_kept_by_its_partition_and_by_copies_of_the_list() {
        let mut list = list();
        assert_eq!(leader_epoch(&list, "comments", 1), Ok(None));
        set_leader_epoch(&mut list, "comments", 1, Some(7)).unwrap();
        let copy = list.clone();
        for list in [&list, &copy] {
            assert_eq!(leader_epoch(list, "comments", 0), Ok(None));
            assert_eq!(leader_epoch(list, "comments", 1), Ok(Some(7)));
        }
        set_leader_epoch(&mut list, "comments", 1, None).unwrap();
        assert_eq!(leader_epoch(&list, "comments", 1), Ok(None));
        set_leader_epoch(&mut list, "comments", 2, Some(-5)).unwrap();
        assert_eq!(leader_epoch(&list, "comments", 2), Ok(None));
    }

    #[test]
    fn a_partition_that_is_not_listed_is_an_error() {
        let missing = Error::NotListed { topic: "comments".to_owned(), partition: 3 };
        assert_eq!(leader_epoch(&list(), "comments", 3), Err(missing.clone()));
        assert_eq!(set_leader_epoch(&mut list(), "comments", 3, Some(1)), Err(missing));
        assert_eq!(leader_epoch(&list(), "com\0ments", 0), Err(Error::Nul { what: "topic name" }));
    }
}
