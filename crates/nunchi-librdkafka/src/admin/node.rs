//! A broker, as answers name it.

use crate::ffi;
use rdkafka::bindings::{
    rd_kafka_Node_host, rd_kafka_Node_id, rd_kafka_Node_port, rd_kafka_Node_rack, rd_kafka_Node_t,
};

/// A broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its ID.
    pub id: i32,
    /// Its host; empty where the answer named the ID alone.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Its rack, where it has one.
    pub rack: Option<String>,
}

impl Node {
    /// A copy of `node`; `None` for null and for the ID -1, "no broker".
    ///
    /// # Safety
    /// `node` is null or a living node.
    pub(super) unsafe fn copy(node: *const rd_kafka_Node_t) -> Option<Node> {
        if node.is_null() {
            return None;
        }
        // SAFETY: not null, living as the caller promises, and its strings are copied.
        unsafe {
            let id = rd_kafka_Node_id(node);
            (id >= 0).then(|| Node {
                id,
                host: ffi::string(rd_kafka_Node_host(node)).unwrap_or_default(),
                port: rd_kafka_Node_port(node),
                rack: ffi::string(rd_kafka_Node_rack(node)),
            })
        }
    }

    /// Copies of the `count` nodes of an array.
    ///
    /// # Safety
    /// `nodes` is null, or `count` pointers to living nodes stand there.
    pub(super) unsafe fn copies(nodes: *const *const rd_kafka_Node_t, count: usize) -> Vec<Node> {
        // SAFETY: as the caller promises.
        unsafe { ffi::pointers(nodes, count).into_iter().filter_map(|node| Node::copy(node)).collect() }
    }
}
