//! The hash that identifies a model: SHA-256 over its metadata and tensors, in a fixed order.

use crate::hex;
use sha2::{Digest as _, Sha256};

/// A tensor as it stands in the file.
pub(super) struct Stored<'a> {
    pub name: &'a str,
    /// `F32`, `F16` or `BF16`.
    pub dtype: &'a str,
    pub shape: &'a [usize],
    /// Little-endian values in row-major order.
    pub bytes: &'a [u8],
}

/// The hex digits of the checksum over `entries` (without the checksum itself) and `tensors`, whatever their order.
///
/// Each string and each tensor's bytes are preceded by their length, each shape by its length in bytes (`u64`,
/// little-endian), so that nothing can move from one field to the next unnoticed.
pub(super) fn checksum(entries: &mut [(&str, &str)], tensors: &mut [Stored<'_>]) -> String {
    let mut hash = Sha256::new();
    let mut field = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    entries.sort_unstable();
    for (key, value) in entries {
        field(key.as_bytes());
        field(value.as_bytes());
    }
    tensors.sort_unstable_by(|a, b| a.name.cmp(b.name));
    for tensor in tensors {
        field(tensor.name.as_bytes());
        field(tensor.dtype.as_bytes());
        let shape: Vec<u8> = tensor.shape.iter().flat_map(|&size| (size as u64).to_le_bytes()).collect();
        field(&shape);
        field(tensor.bytes);
    }
    hex(&hash.finalize())
}

/// The VERSION of a model with this checksum.
pub(super) fn version(checksum: &str) -> String {
    checksum.chars().take(12).collect()
}
