//! What can be wrong with a network.

use thiserror::Error;

/// What can be wrong with a network.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RnnError {
    /// The shape's dimensions do not fit together.
    #[error("this shape describes no network: {0}")]
    Shape(String),
    /// A tensor has other dimensions than the shape requires.
    #[error("the tensor `{name}` is {got:?} where this network needs {want:?}")]
    Dimensions {
        /// The tensor's name.
        name: String,
        /// The dimensions that the shape requires.
        want: Vec<usize>,
        /// What was found.
        got: Vec<usize>,
    },
}
