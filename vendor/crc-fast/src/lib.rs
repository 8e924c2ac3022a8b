//! CRC-64/NVME under the names of the crate `crc-fast`, of which `object_store` uses this one algorithm.
//!
//! The tables of all 37 algorithms of that crate are 0.7 MB of the binary, and the linker cannot see that one is enough: the
//! algorithm is chosen by a value. nunchi never asks S3 for this checksum, so the speed of it does not matter here; should
//! somebody set it, the result is the right one.
//!
//! Parameters: width 64, polynomial `0xad93d23594c93659`, initial value and final XOR all ones, reflected in and out
//! (<https://reveng.sourceforge.io/crc-catalogue/all.htm>, CRC-64/NVME).

/// The polynomial with its bits reversed.
const POLYNOMIAL: u64 = 0x9a6c_9329_ac4b_c9b5;

/// Checksums by name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CrcAlgorithm {
    /// CRC-64/NVME, S3's `x-amz-checksum-crc64nvme`.
    Crc64Nvme,
}

/// A checksum in the making.
#[derive(Clone, Copy, Debug)]
pub struct Digest(u64);

impl Digest {
    /// The checksum of no bytes, to be updated.
    #[must_use]
    pub const fn new(algorithm: CrcAlgorithm) -> Self {
        match algorithm {
            CrcAlgorithm::Crc64Nvme => Self(u64::MAX),
        }
    }

    /// Takes in the next bytes.
    pub fn update(&mut self, data: &[u8]) {
        for &byte in data {
            self.0 ^= u64::from(byte);
            for _ in 0..8 {
                self.0 = (self.0 >> 1) ^ (POLYNOMIAL & (self.0 & 1).wrapping_neg());
            }
        }
    }

    /// The checksum of all bytes taken in.
    #[must_use]
    pub const fn finalize(&self) -> u64 {
        !self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check value of the catalogue.
    #[test]
    fn the_catalogue_s_check_value() {
        let mut digest = Digest::new(CrcAlgorithm::Crc64Nvme);
        digest.update(b"12345");
        digest.update(b"6789");
        assert_eq!(digest.finalize(), 0xae8b_1486_0a79_9888);
    }
}
