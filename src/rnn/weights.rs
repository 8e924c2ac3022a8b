//! The weights of a network, under PyTorch's names and in its layout.

use super::{Real, Shape};
use ndarray::{Array1, Array2};

/// One direction of one recurrent layer (PyTorch's `weight_ih_l0` and so on).
#[derive(Clone, Debug, PartialEq)]
pub struct Direction<F: Real> {
    /// Input weights, `[gates * hidden, inputs]`.
    pub weight_ih: Array2<F>,
    /// Recurrent weights, `[gates * hidden, hidden]`.
    pub weight_hh: Array2<F>,
    /// Input bias, `[gates * hidden]`.
    pub bias_ih: Array1<F>,
    /// Recurrent bias, `[gates * hidden]`.
    pub bias_hh: Array1<F>,
}

/// One recurrent layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer<F: Real> {
    /// Reads from the first token to the last.
    pub forward: Direction<F>,
    /// Reads from the last token to the first, in bidirectional networks.
    pub backward: Option<Direction<F>>,
}

/// A fully connected layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Dense<F: Real> {
    /// Weights, `[outputs, inputs]`.
    pub weight: Array2<F>,
    /// Bias, `[outputs]`.
    pub bias: Array1<F>,
}

/// A whole network: embedding table, recurrent layers, head.
#[derive(Clone, Debug, PartialEq)]
pub struct Network<F: Real> {
    /// What it is made of; every array below agrees with it.
    pub shape: Shape,
    /// One row a token, `[vocabulary, embedding]`.
    pub embedding: Array2<F>,
    /// Recurrent layers, first to last.
    pub layers: Vec<Layer<F>>,
    /// The output layer.
    pub head: Dense<F>,
}
