//! Every gradient against central finite differences, in double precision, for every parameter of every cell.

#![allow(clippy::unwrap_used)]

use ndarray::Array2;
use nunchi_model::rnn::{Cell, Dropout, Gradients, HeadKind, Network, Pooling, Shape, Target};

const SEQUENCES: [&[u32]; 5] = [&[1, 2, 3, 1], &[4], &[0, 5, 2, 2, 6, 1], &[3, 3], &[6, 5, 4, 3]];

fn shape(cell: Cell) -> Shape {
    let bag = cell == Cell::Bag;
    Shape {
        cell,
        vocabulary: 8,
        embedding: 3,
        hidden: if bag { 0 } else { 4 },
        layers: if bag { 0 } else { 1 },
        bidirectional: false,
        pooling: if bag { Pooling::Mean } else { Pooling::Last },
        head: HeadKind::Sigmoid,
        outputs: 1,
    }
}

fn targets(shape: &Shape) -> Vec<Target<f64>> {
    let classes = shape.classes();
    let weights = [1.0, 0.5, 2.0, 1.5, 0.25];
    weights
        .iter()
        .enumerate()
        .map(|(row, &weight)| Target { class: (row * 2 + 1) % classes, weight, soft: None })
        .collect()
}

/// A fresh generator each time, so that every evaluation drops the same values.
fn dropout(rate: f64) -> Option<Dropout> {
    (rate > 0.0).then(|| Dropout::new(rate, rate, 5, 6))
}

fn loss(network: &Network<f64>, rate: f64) -> (f64, Array2<f64>, nunchi_model::rnn::Tape<f64>) {
    let tape = network.forward(&SEQUENCES, dropout(rate).as_mut());
    let (loss, gradient) = network.shape.head.loss(&tape.logits, &targets(&network.shape), 0.1);
    (loss, gradient, tape)
}

/// The gradients as the network's tensors: dense, in their order.
fn spread(network: &Network<f64>, gradients: &Gradients<f64>) -> Vec<Vec<f64>> {
    let mut embedding = Array2::<f64>::zeros(network.embedding.raw_dim());
    for (&token, row) in gradients.embedding.tokens.iter().zip(gradients.embedding.rows.rows()) {
        embedding.row_mut(token as usize).assign(&row);
    }
    let mut all = vec![embedding.iter().copied().collect()];
    all.extend(gradients.dense().into_iter().map(<[f64]>::to_vec));
    all
}

fn check(shape: Shape, rate: f64) {
    const STEP: f64 = 1e-5;
    let mut network = Network::<f64>::random(shape, 42).unwrap();
    let (_, of_logits, tape) = loss(&network, rate);
    let gradients = spread(&network, &network.backward(tape, of_logits.view()));
    let names: Vec<String> = network.tensors().into_iter().map(|(name, _)| name).collect();
    assert_eq!(gradients.len(), names.len());
    let mut checked = 0;
    for (tensor, name) in names.iter().enumerate() {
        for (index, &got) in gradients[tensor].iter().enumerate() {
            let mut shifted = |by: f64| {
                *network.tensors_mut()[tensor].1.iter_mut().nth(index).unwrap() += by;
                loss(&network, rate).0
            };
            let above = shifted(STEP);
            let below = shifted(-2.0 * STEP);
            shifted(STEP);
            let want = (above - below) / (2.0 * STEP);
            let scale = 1.0 + want.abs();
            assert!(
                (want - got).abs() / scale < 1e-7,
                "{shape:?}\n{name}[{index}]: backward says {got}, differences say {want}"
            );
            checked += 1;
        }
    }
    assert!(checked > 20);
}

#[test]
fn every_cell() {
    for cell in [Cell::Simple, Cell::Gru, Cell::Lstm, Cell::Bag] {
        check(shape(cell), 0.0);
    }
}

#[test]
fn stacked() {
    for cell in [Cell::Simple, Cell::Gru, Cell::Lstm] {
        check(Shape { layers: 3, ..shape(cell) }, 0.0);
    }
}

#[test]
fn bidirectional_and_stacked() {
    for cell in [Cell::Simple, Cell::Gru, Cell::Lstm] {
        check(Shape { bidirectional: true, ..shape(cell) }, 0.0);
        check(Shape { bidirectional: true, layers: 2, ..shape(cell) }, 0.0);
    }
}

#[test]
fn pooling() {
    for pooling in [Pooling::Mean, Pooling::Max] {
        for cell in [Cell::Simple, Cell::Gru, Cell::Lstm, Cell::Bag] {
            check(Shape { pooling, ..shape(cell) }, 0.0);
        }
        check(Shape { pooling, bidirectional: true, layers: 2, ..shape(Cell::Lstm) }, 0.0);
    }
}

#[test]
fn softmax_head() {
    for cell in [Cell::Simple, Cell::Gru, Cell::Lstm, Cell::Bag] {
        check(Shape { head: HeadKind::Softmax, outputs: 3, ..shape(cell) }, 0.0);
    }
}

#[test]
fn through_dropout() {
    for cell in [Cell::Simple, Cell::Gru, Cell::Lstm, Cell::Bag] {
        let layers = if cell == Cell::Bag { 0 } else { 2 };
        check(Shape { layers, ..shape(cell) }, 0.3);
    }
}

#[test]
fn gradients_of_parts_add_up_to_those_of_the_whole() {
    let network = Network::<f64>::random(shape(Cell::Gru), 7).unwrap();
    let all = targets(&network.shape);
    let of = |range: std::ops::Range<usize>| {
        let tape = network.forward(&SEQUENCES[range.clone()], None);
        let (_, slope) = network.shape.head.loss(&tape.logits, &all[range], 0.0);
        network.backward(tape, slope.view())
    };
    let mut sum = of(0..2);
    sum.add(&of(2..5));
    let whole = of(0..5);
    assert_eq!(sum.embedding.tokens, whole.embedding.tokens);
    for (sum, whole) in spread(&network, &sum).iter().flatten().zip(spread(&network, &whole).iter().flatten())
    {
        assert!((sum - whole).abs() < 1e-12);
    }
}
