//! What a principal may do (KIP-430).

use rdkafka::bindings::rd_kafka_AclOperation_t;
use std::fmt;

use rd_kafka_AclOperation_t as Native;

/// Something that a principal may be allowed to do with a topic, a group or the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Read records; for a group: join, and commit offsets.
    Read,
    /// Write records.
    Write,
    /// Create topics.
    Create,
    /// Delete the resource.
    Delete,
    /// Change it, its number of partitions for instance.
    Alter,
    /// See that it exists.
    Describe,
    /// What brokers do among themselves.
    ClusterAction,
    /// Read its settings.
    DescribeConfigs,
    /// Change its settings.
    AlterConfigs,
    /// Write without duplicates (before Kafka 2.8, when this needed a permission of its own).
    IdempotentWrite,
}

impl Operation {
    const ALL: [(Operation, Native); 10] = [
        (Operation::Read, Native::RD_KAFKA_ACL_OPERATION_READ),
        (Operation::Write, Native::RD_KAFKA_ACL_OPERATION_WRITE),
        (Operation::Create, Native::RD_KAFKA_ACL_OPERATION_CREATE),
        (Operation::Delete, Native::RD_KAFKA_ACL_OPERATION_DELETE),
        (Operation::Alter, Native::RD_KAFKA_ACL_OPERATION_ALTER),
        (Operation::Describe, Native::RD_KAFKA_ACL_OPERATION_DESCRIBE),
        (Operation::ClusterAction, Native::RD_KAFKA_ACL_OPERATION_CLUSTER_ACTION),
        (Operation::DescribeConfigs, Native::RD_KAFKA_ACL_OPERATION_DESCRIBE_CONFIGS),
        (Operation::AlterConfigs, Native::RD_KAFKA_ACL_OPERATION_ALTER_CONFIGS),
        (Operation::IdempotentWrite, Native::RD_KAFKA_ACL_OPERATION_IDEMPOTENT_WRITE),
    ];

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

impl fmt::Display for Operation {
    /// As Kafka's documentation and `kafka-acls` spell it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// A set of [`Operation`]s. A broker without an authorizer allows all operations of a kind of resource.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Operations(u32);

impl Operations {
    /// Whether `operation` is allowed.
    pub fn contains(self, operation: Operation) -> bool {
        self.0 & operation.bit() != 0
    }

    /// Those of `wanted` that are not allowed, in `wanted`'s order.
    pub fn lacking(self, wanted: &[Operation]) -> Vec<Operation> {
        wanted.iter().copied().filter(|operation| !self.contains(*operation)).collect()
    }

    /// All that are allowed.
    pub fn iter(self) -> impl Iterator<Item = Operation> {
        Operation::ALL
            .iter()
            .map(|(operation, _)| *operation)
            .filter(move |operation| self.contains(*operation))
    }

    /// A copy of librdkafka's array; `None` for null, "not requested, or not reported". Operations that this crate does not know are
    /// left out.
    ///
    /// # Safety
    /// `operations` is null, or `count` operations stand there.
    pub(super) unsafe fn copy(operations: *const Native, count: usize) -> Option<Self> {
        if operations.is_null() {
            return None;
        }
        // As integers: a newer librdkafka may write some that rdkafka-sys's enum lacks. For none it points to one byte.
        // SAFETY: not null, `count` operations as the caller promises, each a C enum of 32 bits; unaligned only when empty.
        let codes =
            (count > 0).then(|| unsafe { std::slice::from_raw_parts(operations.cast::<u32>(), count) });
        let known = |code: &u32| Operation::ALL.iter().find(|(_, native)| *native as u32 == *code);
        Some(codes.unwrap_or_default().iter().filter_map(known).map(|(operation, _)| *operation).collect())
    }
}

impl FromIterator<Operation> for Operations {
    fn from_iter<I: IntoIterator<Item = Operation>>(operations: I) -> Self {
        Operations(operations.into_iter().fold(0, |bits, operation| bits | operation.bit()))
    }
}

impl fmt::Debug for Operations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl fmt::Display for Operations {
    /// `Read, Write`; `none` for the empty set.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("none");
        }
        for (index, operation) in self.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{operation}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in() {
        let set: Operations =
            [Operation::DescribeConfigs, Operation::Read, Operation::Read].into_iter().collect();
        assert!(set.contains(Operation::Read) && !set.contains(Operation::Write));
        assert_eq!(set.to_string(), "Read, DescribeConfigs");
        assert_eq!(format!("{set:?}"), "{Read, DescribeConfigs}");
        assert_eq!(set.lacking(&[Operation::Write, Operation::Read]), [Operation::Write]);
        assert_eq!(Operations::default().to_string(), "none");
        let every: Operations = Operation::ALL.iter().map(|(operation, _)| *operation).collect();
        assert_eq!(every.iter().count(), Operation::ALL.len());
    }

    #[test]
    fn librdkafkas_codes_are_understood_and_new_ones_left_out() {
        let codes = [3_u32, 4, 10, 77];
        // SAFETY: four codes stand there; null is allowed; nothing is read of an empty array.
        let (some, absent, none) = unsafe {
            let codes = codes.as_ptr().cast::<Native>();
            (
                Operations::copy(codes, 4),
                Operations::copy(std::ptr::null(), usize::MAX),
                Operations::copy(codes, 0),
            )
        };
        let expected = [Operation::Read, Operation::Write, Operation::DescribeConfigs];
        assert_eq!(some, Some(expected.into_iter().collect()));
        assert_eq!((absent, none), (None, Some(Operations::default())));
    }
}
