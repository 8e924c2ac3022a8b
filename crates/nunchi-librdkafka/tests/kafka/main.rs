//! Every wrapper against a real Kafka: `scripts/kafka/with-kafka cargo test -p nunchi-librdkafka`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails here")]

mod common;
mod credentials;
mod describe;
mod headers;
mod leader_epochs;
