//! The shape of a network, without its weights.

use super::RnnError;
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

    /// The cell of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Cell::Bag, Cell::Simple, Cell::Gru, Cell::Lstm].into_iter().find(|cell| cell.name() == name)
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

impl Pooling {
    /// The name in files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Pooling::Last => "last",
            Pooling::Mean => "mean",
            Pooling::Max => "max",
        }
    }

    /// The pooling of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Pooling::Last, Pooling::Mean, Pooling::Max].into_iter().find(|pooling| pooling.name() == name)
    }
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

impl HeadKind {
    /// The name in files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            HeadKind::Sigmoid => "sigmoid",
            HeadKind::Softmax => "softmax",
        }
    }

    /// The head of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [HeadKind::Sigmoid, HeadKind::Softmax].into_iter().find(|head| head.name() == name)
    }
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

    /// Refuses shapes that describe no network.
    ///
    /// # Errors
    /// An error that names the dimensions that do not fit together.
    pub fn check(&self) -> Result<(), RnnError> {
        let wrong = |reason: String| Err(RnnError::Shape(reason));
        if self.vocabulary == 0 || self.embedding == 0 || self.outputs == 0 {
            return wrong("vocabulary, embedding and outputs must be at least 1".to_owned());
        }
        match self.cell {
            Cell::Bag if self.layers > 0 || self.bidirectional => {
                return wrong("a bag of words has no recurrent layer and no direction".to_owned());
            }
            Cell::Simple | Cell::Gru | Cell::Lstm if self.layers == 0 || self.hidden == 0 => {
                return wrong(format!(
                    "a {} network needs at least one layer and one hidden unit",
                    self.cell.name()
                ));
            }
            _ => {}
        }
        match self.head {
            HeadKind::Sigmoid if self.outputs != 1 => {
                wrong(format!("a sigmoid head has 1 output, not {}", self.outputs))
            }
            HeadKind::Softmax if self.outputs < 2 => {
                wrong(format!("a softmax head needs at least 2 outputs, not {}", self.outputs))
            }
            _ => Ok(()),
        }
    }

    /// The number of classes: two for a sigmoid.
    pub fn classes(&self) -> usize {
        match self.head {
            HeadKind::Sigmoid => 2,
            HeadKind::Softmax => self.outputs,
        }
    }

    /// Every tensor's name and dimensions, in the order of [`super::Network::tensors`]: PyTorch's names.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let mut all = vec![("embedding.weight".to_owned(), vec![self.vocabulary, self.embedding])];
        let rows = self.cell.gates() * self.hidden;
        for layer in 0..self.layers {
            for suffix in &["", "_reverse"][..self.directions()] {
                all.push((format!("rnn.weight_ih_l{layer}{suffix}"), vec![rows, self.inputs(layer)]));
                all.push((format!("rnn.weight_hh_l{layer}{suffix}"), vec![rows, self.hidden]));
                all.push((format!("rnn.bias_ih_l{layer}{suffix}"), vec![rows]));
                all.push((format!("rnn.bias_hh_l{layer}{suffix}"), vec![rows]));
            }
        }
        all.push(("head.weight".to_owned(), vec![self.outputs, self.features()]));
        all.push(("head.bias".to_owned(), vec![self.outputs]));
        all
    }

    /// Parameters of the embedding table.
    pub fn embedding_parameters(&self) -> usize {
        self.vocabulary * self.embedding
    }

    /// Parameters of recurrent layer `layer` as Keras counts them: one bias a unit and gate for simple and LSTM cells
    /// (PyTorch's two are added), two for a GRU (`reset_after`: the recurrent bias of `n` is inside the reset).
    pub fn layer_parameters(&self, layer: usize) -> usize {
        let biases = if self.cell == Cell::Gru { 2 } else { 1 };
        let gate = (self.inputs(layer) + self.hidden + biases) * self.hidden;
        self.directions() * self.cell.gates() * gate
    }

    /// Parameters of the output layer.
    pub fn head_parameters(&self) -> usize {
        (self.features() + 1) * self.outputs
    }

    /// All parameters, as Keras counts them.
    pub fn parameters(&self) -> usize {
        let recurrent: usize = (0..self.layers).map(|layer| self.layer_parameters(layer)).sum();
        self.embedding_parameters() + recurrent + self.head_parameters()
    }
}
