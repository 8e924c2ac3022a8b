//! The cluster: its ID, its brokers, and the authorized operations.

use super::request::{DescribeOptions, Request};
use super::{Node, Operations};
use crate::{Error, ffi};
use rdkafka::bindings::{
    rd_kafka_DescribeCluster, rd_kafka_DescribeCluster_result_authorized_operations,
    rd_kafka_DescribeCluster_result_cluster_id, rd_kafka_DescribeCluster_result_controller,
    rd_kafka_DescribeCluster_result_nodes, rd_kafka_admin_op_t, rd_kafka_event_DescribeCluster_result,
};
use rdkafka::client::{Client, ClientContext};

const DESCRIBE_CLUSTER: Request =
    Request { call: "DescribeCluster", operation: rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECLUSTER };

/// The description of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterDescription {
    /// Its ID.
    pub id: Option<String>,
    /// The broker that takes administrative requests.
    pub controller: Option<Node>,
    /// Its brokers.
    pub nodes: Vec<Node>,
    /// The operations that the client's principal may perform on it (KIP-430), if requested and reported.
    pub authorized_operations: Option<Operations>,
}

/// Describes the cluster.
///
/// Wraps `rd_kafka_DescribeCluster` (KIP-700; KIP-430 for the authorized operations).
///
/// # Errors
/// No answer in time.
pub fn describe_cluster<C: ClientContext>(
    client: &Client<C>,
    options: &DescribeOptions,
) -> Result<ClusterDescription, Error> {
    let event = DESCRIBE_CLUSTER.send(client, options, |client, options, queue| {
        // SAFETY: all three live until the answer is here; librdkafka copies the options.
        unsafe { rd_kafka_DescribeCluster(client, options, queue) };
    })?;
    // SAFETY: everything is the event's, which lives longer than this function; null where it is of another kind.
    unsafe {
        let result = rd_kafka_event_DescribeCluster_result(event.as_ptr());
        if result.is_null() {
            return Err(DESCRIBE_CLUSTER.incomplete());
        }
        let mut count = 0;
        let operations = rd_kafka_DescribeCluster_result_authorized_operations(result, &raw mut count);
        let authorized_operations = Operations::copy(operations, count);
        let nodes = rd_kafka_DescribeCluster_result_nodes(result, &raw mut count);
        Ok(ClusterDescription {
            id: ffi::string(rd_kafka_DescribeCluster_result_cluster_id(result)),
            controller: Node::copy(rd_kafka_DescribeCluster_result_controller(result)),
            nodes: Node::copies(nodes, count),
            authorized_operations,
        })
    }
}
