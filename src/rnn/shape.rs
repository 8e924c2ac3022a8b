//! What a network is made of, without its weights.

use serde::{Deserialize, Serialize};

/// The kind of recurrent cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cell {
    /// No recurrence at all: the feed-forward bag-of-words baseline. The network has no recurrent layer (`layers` = 0);
    /// the pooled embeddings go straight into the head.
    Bag,
    /// Elman's unit, `h' = tanh(W x + b + U h + c)`.
    Simple,
    /// Gated recurrent unit, linear before reset (cuDNN's and PyTorch's).
    Gru,
    /// Long short-term memory.
    Lstm,
}

impl Cell {
    /// How many blocks of `hidden` rows the weight matrices have.
    pub fn gates(self) -> usize {
        match self {
            Cell::Bag => 0,
            Cell::Simple => 1,
            Cell::Gru => 3,
            Cell::Lstm => 4,
        }
    }

    /// The name in files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Cell::Bag => "bag",
            Cell::Simple => "simple",
            Cell::Gru => "gru",
            Cell::Lstm => "lstm",
        }
    }
}

/// How the states of the last layer become the head's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// The last state; of a bidirectional layer the forward state at the last token, then the backward state at the
    /// first (PyTorch's `h_n`).
    Last,
    /// The mean over all time steps.
    Mean,
    /// The maximum over all time steps, unit by unit.
    Max,
}

/// The kind of output layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HeadKind {
    /// One neuron and a sigmoid: the probability of `positive`.
    Sigmoid,
    /// One neuron a class and a softmax.
    Softmax,
}

/// The shape of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Shape {
    /// The recurrent cell.
    pub cell: Cell,
    /// Rows of the embedding table: the number of tokens.
    pub vocabulary: usize,
    /// Columns of the embedding table.
    pub embedding: usize,
    /// Units of a recurrent layer, in one direction.
    pub hidden: usize,
    /// Stacked recurrent layers (0 for [`Cell::Bag`]).
    pub layers: usize,
    /// Whether every layer also reads from the end.
    pub bidirectional: bool,
    /// How states become the head's input.
    pub pooling: Pooling,
    /// The output layer's kind.
    pub head: HeadKind,
    /// Neurons of the output layer: 1 for a sigmoid, the number of classes for a softmax.
    pub outputs: usize,
}

impl Shape {
    /// Directions of a layer: 1 or 2.
    pub fn directions(&self) -> usize {
        if self.bidirectional { 2 } else { 1 }
    }

    /// Inputs of recurrent layer `layer` (counted from 0).
    pub fn inputs(&self, layer: usize) -> usize {
        if layer == 0 { self.embedding } else { self.hidden * self.directions() }
    }

    /// Inputs of the head.
    pub fn features(&self) -> usize {
        self.inputs(self.layers)
    }
}
