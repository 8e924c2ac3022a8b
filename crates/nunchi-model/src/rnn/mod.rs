//! The mathematics of the network, plainly, on `ndarray`: cells, stack, head, loss, gradients.
//!
//! This is the readable truth: every kernel of `nunchi-engine` is tested against it, and it is tested against an
//! independent implementation (golden vectors). Names and gate order follow PyTorch: GRU `r, z, n` with the reset gate
//! applied after the product (*linear before reset*), LSTM `i, f, g, o`. The hidden state starts at zero.

mod activation;
mod backward;
mod batch;
mod cell;
mod dropout;
mod error;
mod forward;
mod influence;
mod init;
mod loss;
mod pooling;
mod product;
mod shape;
mod slice;
mod weights;

pub use activation::{Activate, exp};
pub use backward::{Gradients, SparseRows};
pub use batch::Batch;
pub use dropout::Dropout;
pub use error::RnnError;
pub use forward::Tape;
pub use influence::Distances;
pub use loss::Target;
pub use pooling::{pool, unpool};
pub use shape::{Cell, HeadKind, Pooling, Shape};
pub use weights::{Dense, Direction, Layer, Network};

/// The floating-point numbers the mathematics is written for: `f32` for work, `f64` for checking gradients.
pub trait Real: ndarray::NdFloat + num_like::FromF64 + Activate + std::iter::Sum {}
impl Real for f32 {}
impl Real for f64 {}

/// Conversion from literals.
pub mod num_like {
    /// A number that a literal can be turned into.
    pub trait FromF64: Copy {
        /// The nearest value of this type.
        fn from_f64(value: f64) -> Self;
        /// The value in double precision.
        fn as_f64(self) -> f64;
    }
    impl FromF64 for f32 {
        fn from_f64(value: f64) -> Self {
            value as f32
        }
        fn as_f64(self) -> f64 {
            f64::from(self)
        }
    }
    impl FromF64 for f64 {
        fn from_f64(value: f64) -> Self {
            value
        }
        fn as_f64(self) -> f64 {
            self
        }
    }
}
