//! The kernels by name.

use crate::EngineError;
use std::fmt;
use std::str::FromStr;

/// A way to compute recurrent steps on some CPUs. Its name stands in settings, metrics and manifests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KernelKind {
    /// Tiles of 16-bit floats: x86-64 with AMX on Linux.
    Amx,
    /// 8-bit products on AVX-512 with VNNI.
    Avx512Vnni,
    /// `f32` on AVX-512.
    Avx512,
    /// 8-bit products on AVX2.
    Avx2Int8,
    /// `f32` on AVX2.
    Avx2,
    /// `f32` on every CPU.
    Portable,
    /// Plain arrays in the place of instructions, for tests.
    #[cfg(any(test, feature = "plain"))]
    #[doc(hidden)]
    Plain,
}

impl KernelKind {
    /// All that can be named, the best first.
    pub const ALL: [KernelKind; 6] = [
        KernelKind::Amx,
        KernelKind::Avx512Vnni,
        KernelKind::Avx512,
        KernelKind::Avx2Int8,
        KernelKind::Avx2,
        KernelKind::Portable,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            KernelKind::Amx => "amx",
            KernelKind::Avx512Vnni => "avx512-vnni",
            KernelKind::Avx512 => "avx512",
            KernelKind::Avx2Int8 => "avx2-int8",
            KernelKind::Avx2 => "avx2",
            KernelKind::Portable => "portable",
            #[cfg(any(test, feature = "plain"))]
            KernelKind::Plain => "plain",
        }
    }
}

impl fmt::Display for KernelKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

impl FromStr for KernelKind {
    type Err = EngineError;

    /// The kernel named, whether this CPU can run it or not.
    fn from_str(name: &str) -> Result<Self, EngineError> {
        let found = KernelKind::ALL.into_iter().find(|kind| kind.name() == name);
        found.ok_or_else(|| EngineError::KernelUnknown(name.to_owned(), super::names()))
    }
}
