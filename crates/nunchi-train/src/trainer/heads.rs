//! One network, another head: the stages of a run predict different things.

use crate::language;
use nunchi_model::rnn::{HeadKind, Network, Shape};

/// The shape of a network of `classes` classes, from one that predicts tokens.
pub(super) fn shape_for_classes(shape: Shape, classes: usize) -> Shape {
    match classes {
        0..=2 => Shape { head: HeadKind::Sigmoid, outputs: 1, ..shape },
        _ => Shape { head: HeadKind::Softmax, outputs: classes, ..shape },
    }
}

/// The same network with a head that predicts tokens.
pub(super) fn for_tokens(network: &Network<f32>, seed: u64) -> Network<f32> {
    let shape = language::shape(network.shape);
    let fresh = Network::random(Shape { vocabulary: 1, ..shape }, seed ^ 2)
        .expect("the shape of a network with another head");
    let mut embedding = network.embedding.clone();
    // Logits are products of embeddings: small ones begin with even odds.
    embedding.mapv_inplace(|value| value * 0.25);
    Network { shape, embedding, layers: network.layers.clone(), head: fresh.head }
}

/// The same network with the head of `like`.
pub(super) fn replace(network: Network<f32>, like: &Network<f32>) -> Network<f32> {
    let shape = Shape { vocabulary: network.shape.vocabulary, ..like.shape };
    Network { shape, head: like.head.clone(), ..network }
}
