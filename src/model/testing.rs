//! Small random models, for tests and benchmarks: real in every part, but nobody trained them.

use super::{Golden, Model, ModelError, SIGMOID_LABELS};
use crate::rnn::{Cell, HeadKind, Network, Pooling, Shape};
use crate::text::{self, Tokenizer};
use std::sync::LazyLock;

/// Comments such as a shop has them; what [`tokenizer`] is trained on.
pub const COMMENTS: [&str; 12] = [
    "배송이 빨라요 정말 좋아요 ㅋㅋㅋㅋ",
    "별로지만 추천해요",
    "추천하지만 별로예요",
    "가격 대비 품질이 좋아요!!",
    "배송이 너무 느려요 ㅠㅠ",
    "포장이 꼼꼼하고 배송도 빨라요",
    "품질이 별로예요 다시는 안 사요",
    "good 👍 정말 좋아요 ♡",
    "생각보다 작아요 3개 샀는데 1개는 불량",
    "한 달 써 봤는데 또 살게요",
    "아이가 정말 좋아해요 ㅎㅎ",
    "사이즈가 작아요 교환했어요",
];

/// A tokenizer of about 400 pieces.
pub fn tokenizer() -> Tokenizer {
    static SMALL: LazyLock<Tokenizer> =
        LazyLock::new(|| text::train(COMMENTS, 400).expect("the comments suffice for 400 pieces"));
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
            golden: COMMENTS.iter().map(|text| Golden { text: (*text).to_owned(), score: 0.0 }).collect(),
            report: serde_json::Value::Null,
            version: String::new(),
        };
        Model::from_bytes(&model.to_bytes(super::Precision::F32)?.0)
    }
}
