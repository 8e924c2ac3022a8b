//! A consumer group: its state, and the authorized operations.

use super::request::{DescribeOptions, Request};
use super::{Node, Operations};
use crate::{Error, ResponseError, ffi};
use rdkafka::bindings::{
    rd_kafka_ConsumerGroupDescription_authorized_operations, rd_kafka_ConsumerGroupDescription_coordinator,
    rd_kafka_ConsumerGroupDescription_error, rd_kafka_ConsumerGroupDescription_member_count,
    rd_kafka_ConsumerGroupDescription_partition_assignor, rd_kafka_DescribeConsumerGroups,
    rd_kafka_DescribeConsumerGroups_result_groups, rd_kafka_admin_op_t, rd_kafka_consumer_group_state_t,
    rd_kafka_event_DescribeConsumerGroups_result,
};
use rdkafka::client::{Client, ClientContext};

const DESCRIBE_CONSUMER_GROUPS: Request = Request {
    call: "DescribeConsumerGroups",
    operation: rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS,
};

/// The description of a consumer group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupDescription {
    /// Its state.
    pub state: GroupState,
    /// How many members it has.
    pub members: usize,
    /// How partitions are given out, `cooperative-sticky` for instance.
    pub assignor: Option<String>,
    /// The broker that coordinates it.
    pub coordinator: Option<Node>,
    /// The operations that the client's principal may perform on it (KIP-430), if requested and reported.
    pub authorized_operations: Option<Operations>,
}

/// The state of a consumer group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GroupState {
    /// One that librdkafka does not support.
    Unknown,
    /// Members are requested to rejoin.
    PreparingRebalance,
    /// Partitions are being given out.
    CompletingRebalance,
    /// Every member has its partitions.
    Stable,
    /// It does not exist, or not any more.
    Dead,
    /// It has no members, but offsets.
    Empty,
}

impl GroupState {
    fn from_native(state: i32) -> Self {
        use rd_kafka_consumer_group_state_t as Native;
        [
            (Native::RD_KAFKA_CONSUMER_GROUP_STATE_PREPARING_REBALANCE, GroupState::PreparingRebalance),
            (Native::RD_KAFKA_CONSUMER_GROUP_STATE_COMPLETING_REBALANCE, GroupState::CompletingRebalance),
            (Native::RD_KAFKA_CONSUMER_GROUP_STATE_STABLE, GroupState::Stable),
            (Native::RD_KAFKA_CONSUMER_GROUP_STATE_DEAD, GroupState::Dead),
            (Native::RD_KAFKA_CONSUMER_GROUP_STATE_EMPTY, GroupState::Empty),
        ]
        .into_iter()
        .find_map(|(native, known)| (native as i32 == state).then_some(known))
        .unwrap_or(GroupState::Unknown)
    }
}

/// Describes `group`, by its coordinator.
///
/// Wraps `rd_kafka_DescribeConsumerGroups` (KIP-222; KIP-430 for the authorized operations).
///
/// # Errors
/// A name with a NUL, no response in time, or a refusal. A group that does not exist is no error but [`GroupState::Dead`]
/// (Kafka 4.2 with librdkafka 2.12), and the response has the authorized operations all the same.
pub fn describe_consumer_group<C: ClientContext>(
    client: &Client<C>,
    group: &str,
    options: &DescribeOptions,
) -> Result<GroupDescription, Error> {
    let group = ffi::c_string(group, "group name")?;
    let event = DESCRIBE_CONSUMER_GROUPS.send(client, options, |client, options, queue| {
        let mut groups = [group.as_ptr()];
        // SAFETY: client, options and queue live until the answer is here; one name, which librdkafka copies as it does
        // the options.
        unsafe { rd_kafka_DescribeConsumerGroups(client, groups.as_mut_ptr(), 1, options, queue) };
    })?;
    // SAFETY: everything is the event's, which lives longer than this function; null where it is of another kind.
    unsafe {
        let result = rd_kafka_event_DescribeConsumerGroups_result(event.as_ptr());
        if result.is_null() {
            return Err(DESCRIBE_CONSUMER_GROUPS.incomplete());
        }
        let mut count = 0;
        let groups = rd_kafka_DescribeConsumerGroups_result_groups(result, &raw mut count);
        let Some(&group) = ffi::pointers(groups, count).first() else {
            return Err(DESCRIBE_CONSUMER_GROUPS.incomplete());
        };
        if let Some(error) = ResponseError::copy(rd_kafka_ConsumerGroupDescription_error(group)) {
            return Err(DESCRIBE_CONSUMER_GROUPS.refused(error));
        }
        let operations = rd_kafka_ConsumerGroupDescription_authorized_operations(group, &raw mut count);
        let assignor = ffi::string(rd_kafka_ConsumerGroupDescription_partition_assignor(group));
        Ok(GroupDescription {
            state: GroupState::from_native(ffi::rd_kafka_ConsumerGroupDescription_state(group)),
            members: rd_kafka_ConsumerGroupDescription_member_count(group),
            assignor: assignor.filter(|name| !name.is_empty()),
            coordinator: Node::copy(rd_kafka_ConsumerGroupDescription_coordinator(group)),
            authorized_operations: Operations::copy(operations, count),
        })
    }
}
