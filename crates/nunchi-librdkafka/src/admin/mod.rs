//! Administrative requests: topics, the cluster, a consumer group. Each sends one request, waits for the response on a
//! queue of its own and copies it into Rust types.

mod cluster;
mod groups;
mod node;
mod operations;
mod request;
mod topic_id;
mod topics;

pub use cluster::{ClusterDescription, describe_cluster};
pub use groups::{GroupDescription, GroupState, describe_consumer_group};
pub use node::Node;
pub use operations::{Operation, Operations};
pub use request::DescribeOptions;
pub use topic_id::TopicId;
pub use topics::{PartitionDescription, TopicDescription, TopicError, describe_topics};
