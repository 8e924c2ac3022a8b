//! Small random models, for tests and benchmarks: real in every part, but nobody trained them.

use super::{Extension, Golden, Model, ModelError, SIGMOID_LABELS};
use crate::rnn::{Cell, HeadKind, Network, Pooling, Shape};
use nunchi_text::{EXAMPLES, Tokenizer};
use std::sync::LazyLock;

/// A tokenizer of about 400 pieces, trained on [`EXAMPLES`].
pub fn tokenizer() -> Tokenizer {
    static SMALL: LazyLock<Tokenizer> =
        LazyLock::new(|| nunchi_text::train(EXAMPLES, 400).expect("the comments suffice for 400 pieces"));
    SMALL.clone()
}

/// One layer of `cell` with embeddings of 16 and 24 units, one way, last state, sigmoid. The vocabulary is filled in by
/// [`Model::random`].
pub fn shape(cell: Cell) -> Shape {
    Shape {
        cell,
        vocabulary: 1,
        embedding: 16,
        hidden: 24,
        layers: usize::from(cell != Cell::Bag),
        bidirectional: false,
        pooling: if cell == Cell::Bag { Pooling::Mean } else { Pooling::Last },
        head: HeadKind::Sigmoid,
        outputs: 1,
    }
}

/// A small random model of `cell`; equal seeds give equal models. Its version is that of its file in `f32`.
///
/// # Panics
/// Never: the shape above describes a network.
pub fn model(cell: Cell, seed: u64) -> Model {
    Model::random(shape(cell), tokenizer(), seed).expect("the shape describes a network")
}

/// `model` with an opinion output of random weights, as it is read back from its file in `f32`.
///
/// # Panics
/// Never: the weights are finite and have the head's dimensions.
pub fn with_opinion(model: Model) -> Model {
    let shape = Shape { head: HeadKind::Sigmoid, outputs: 1, ..model.network.shape };
    let head = Network::random(shape, 0x0b1).expect("the shape describes a network").head;
    let extension = Extension { opinion: Some(head), ..model.extension.clone() };
    let model = Model { extension, ..model };
    let (bytes, _) = model.to_bytes(super::WeightFormat::F32).expect("all weights are finite");
    Model::from_bytes(&bytes).expect("it was just written")
}

/// A model that passes every check of a model file, its weights are all finite, but that overflows on the comment beside
/// it: the score is not a number.
///
/// # Panics
/// Never: the golden comment shares no token with the other.
pub fn overflowing() -> (Model, &'static str) {
    let (fine, bad) = ("좋아요", "배송배송배송");
    let mut model = model(Cell::Bag, 7);
    let (fine_tokens, bad_tokens) = (model.tokens(fine), model.tokens(bad));
    assert!(bad_tokens.len() > 1 && fine_tokens.iter().all(|token| !bad_tokens.contains(token)));
    for token in bad_tokens {
        // Two of them add up to infinity, and the head subtracts infinities.
        model.network.embedding.row_mut(token as usize).fill(f32::MAX);
    }
    model.golden = vec![Golden { text: fine.to_owned(), score: 0.0 }];
    let (bytes, _) = model.to_bytes(super::WeightFormat::F32).expect("all weights are finite");
    (Model::from_bytes(&bytes).expect("the golden comment does not overflow"), bad)
}

impl Model {
    /// A model with random weights, read back from what its file in `f32` would hold: for tests and benchmarks. The shape's
    /// vocabulary is replaced by the tokenizer's.
    ///
    /// # Errors
    /// A shape that describes no network.
    pub fn random(shape: Shape, tokenizer: Tokenizer, seed: u64) -> Result<Self, ModelError> {
        let shape = Shape { vocabulary: tokenizer.vocabulary(), ..shape };
        let labels = match shape.head {
            HeadKind::Sigmoid => SIGMOID_LABELS.map(str::to_owned).to_vec(),
            HeadKind::Softmax => (1..=shape.outputs).map(|class| class.to_string()).collect(),
        };
        let model = Model {
            name: format!("random {} {}", shape.cell.name(), shape.hidden),
            network: Network::random(shape, seed)?,
            tokenizer,
            labels,
            max_tokens: 128,
            temperature: 1.0,
            golden: Model::example_golden(),
            report: serde_json::Value::Null,
            extension: Extension::default(),
            version: String::new(),
            checksum: String::new(),
        };
        Model::from_bytes(&model.to_bytes(super::WeightFormat::F32)?.0)
    }
}
