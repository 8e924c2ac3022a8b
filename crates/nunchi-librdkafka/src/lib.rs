#![cfg_attr(not(test), warn(clippy::disallowed_macros))]
#![doc = include_str!("../README.md")]
//!
//! # Layout
//! - [`headers`](RawHeaders): reading and building headers whose names are any bytes.
//! - [`leader_epoch()`]: of messages and of lists of partitions.
//! - [`commit_metadata()`]: the text beside a committed offset.
//! - `admin`: [`describe_topics`], [`describe_cluster`], [`describe_consumer_group`].
//! - [`set_sasl_credentials`]: new credentials for a client that is running.
//! - [`version()`], [`check_version`]: which librdkafka runs, and whether it will do.
//! - [`Error`], [`ResponseError`].

mod admin;
mod commit_metadata;
mod credentials;
mod error;
mod ffi;
mod headers;
mod leader_epoch;
mod version;

pub use admin::{
    ClusterDescription, DescribeOptions, GroupDescription, GroupState, Node, Operation, Operations,
    PartitionDescription, TopicDescription, TopicError, TopicId, describe_cluster, describe_consumer_group,
    describe_topics,
};
pub use commit_metadata::commit_metadata;
pub use credentials::set_sasl_credentials;
pub use error::{Error, ResponseError};
pub use headers::{HeadersBuilder, RawHeader, RawHeaders, RawHeadersIter};
pub use leader_epoch::{leader_epoch, message_leader_epoch, set_leader_epoch};
pub use version::{IS_SYSTEM, OLDEST_VERSION, Unsuitable, Version, check_version, version};
