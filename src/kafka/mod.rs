//! Everything that names librdkafka: client settings, consumer, transactional producer, topic checks, lag.

pub(crate) mod admin;
pub(crate) mod batch;
mod client_properties;
pub(crate) mod consumer;
pub(crate) mod deliveries;
pub(crate) mod error;
pub(crate) mod events;
pub(crate) mod history;
pub(crate) mod lag;
pub(crate) mod output;
pub(crate) mod producer;
pub(crate) mod properties;
pub(crate) mod topics;

pub use client_properties::ClientProperties;
