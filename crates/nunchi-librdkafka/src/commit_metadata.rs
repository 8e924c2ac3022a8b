//! The text that stands beside a committed offset.

use crate::Error;
use crate::leader_epoch::find;
use rdkafka::TopicPartitionList;

/// The metadata of the committed offset of a partition in `list`, as `Consumer::committed_offsets` returns it; `None` where
/// there is none. Any client of the group may have written it, so that bytes which are no UTF-8 are replaced; rdkafka's
/// `TopicPartitionListElem::metadata` panics there.
///
/// # Errors
/// The list does not contain the partition.
pub fn commit_metadata(
    list: &TopicPartitionList,
    topic: &str,
    partition: i32,
) -> Result<Option<String>, Error> {
    let element = find(list, topic, partition)?;
    // SAFETY: the element is the list's, which is borrowed here; its metadata is null, or as many bytes as it says.
    let bytes = unsafe {
        let element = element.as_ref();
        if element.metadata.is_null() {
            return Ok(None);
        }
        std::slice::from_raw_parts(element.metadata.cast::<u8>(), element.metadata_size)
    };
    Ok((!bytes.is_empty()).then(|| String::from_utf8_lossy(bytes).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_read_back_and_none_is_none() {
        let mut list = TopicPartitionList::new();
        list.add_partition("comments", 0);
        list.add_partition("comments", 1).set_metadata("topic-id=abc");
        assert_eq!(commit_metadata(&list, "comments", 0), Ok(None));
        assert_eq!(commit_metadata(&list, "comments", 1).unwrap().as_deref(), Some("topic-id=abc"));
        assert!(commit_metadata(&list, "comments", 2).is_err());
    }
}
