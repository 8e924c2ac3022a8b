//! Which dead letters were sent: a set of offsets for each partition, stored as ranges.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Offsets that were sent, by partition, as ranges from the first to behind the last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RedriveState {
    /// The id of the topic that the offsets are of; absent in states of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) topic_id: Option<String>,
    pub(super) sent: BTreeMap<i32, Vec<[i64; 2]>>,
}

impl RedriveState {
    /// Whether the state is of an earlier topic of the same name: one with another id, or where ids are not known one that
    /// held more than `ends` (by partition) says.
    pub(super) fn is_of_another(&self, topic_id: Option<&str>, ends: &BTreeMap<i32, i64>) -> bool {
        if let (Some(known), Some(topic_id)) = (self.topic_id.as_deref(), topic_id) {
            return known != topic_id;
        }
        let end = |partition: &i32| ends.get(partition).copied().unwrap_or(0);
        let is_beyond = |(partition, ranges): (&i32, &Vec<[i64; 2]>)| {
            ranges.last().is_some_and(|range| range[1] > end(partition))
        };
        self.sent.iter().any(is_beyond)
    }

    pub(super) fn holds(&self, partition: i32, offset: i64) -> bool {
        let Some(ranges) = self.sent.get(&partition) else { return false };
        let behind = ranges.partition_point(|range| range[0] <= offset);
        behind > 0 && offset < ranges[behind - 1][1]
    }

    pub(super) fn add(&mut self, partition: i32, offset: i64) {
        if self.holds(partition, offset) {
            return;
        }
        let ranges = self.sent.entry(partition).or_default();
        let place = ranges.partition_point(|range| range[0] <= offset);
        let joins_before = place > 0 && ranges[place - 1][1] == offset;
        let joins_after = place < ranges.len() && ranges[place][0] == offset + 1;
        match (joins_before, joins_after) {
            (true, true) => {
                ranges[place - 1][1] = ranges[place][1];
                ranges.remove(place);
            }
            (true, false) => ranges[place - 1][1] = offset + 1,
            (false, true) => ranges[place][0] = offset,
            (false, false) => ranges.insert(place, [offset, offset + 1]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_recreated_topic_is_recognized_by_its_id_and_else_by_its_end() {
        let mut state = RedriveState { topic_id: Some("a".to_owned()), ..RedriveState::default() };
        state.add(0, 4);
        let (longer, shorter) = ([(0, 100)].into(), [(0, 3)].into());
        assert!(state.is_of_another(Some("b"), &longer), "it is longer by now");
        assert!(!state.is_of_another(Some("a"), &shorter));
        state.topic_id = None;
        assert!(state.is_of_another(Some("b"), &shorter) && !state.is_of_another(Some("b"), &longer));
        let old: RedriveState = serde_json::from_str(r#"{"sent":{"0":[[4,5]]}}"#).unwrap();
        assert_eq!(old, state, "what earlier versions wrote");
    }

    proptest! {
        #[test]
        fn the_state_is_a_set(offsets in proptest::collection::vec((0..2i32, 0..60i64), 0..200)) {
            let (mut state, mut set) = (RedriveState::default(), BTreeSet::new());
            for (partition, offset) in offsets {
                state.add(partition, offset);
                set.insert((partition, offset));
            }
            for partition in 0..3 {
                for offset in -1..61 {
                    prop_assert_eq!(state.holds(partition, offset), set.contains(&(partition, offset)));
                }
            }
            // Neighbors are one range.
            for ranges in state.sent.values() {
                prop_assert!(ranges.iter().all(|range| range[0] < range[1]));
                prop_assert!(ranges.windows(2).all(|pair| pair[0][1] < pair[1][0]));
            }
        }
    }
}
