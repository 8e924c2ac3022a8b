//! The network once more, as plainly as can be and in double precision, so that a mistake would have to be made twice.

use nunchi_model::rnn::{Cell, Direction, HeadKind, Network, Pooling, Shape};

/// A small network with every part.
pub(super) fn example(cell: Cell) -> Shape {
    Shape {
        cell,
        vocabulary: 50,
        embedding: 12,
        hidden: 24,
        layers: 1,
        bidirectional: false,
        pooling: Pooling::Last,
        head: HeadKind::Sigmoid,
        outputs: 1,
    }
}

/// The head's outputs of each sequence.
pub(super) fn logits(network: &Network<f32>, tokens: &[u32], lengths: &[u32]) -> Vec<f64> {
    let mut start = 0;
    let mut out = Vec::new();
    for &length in lengths {
        out.extend(sequence(network, &tokens[start..start + length as usize]));
        start += length as usize;
    }
    out
}

fn sequence(network: &Network<f32>, tokens: &[u32]) -> Vec<f64> {
    let shape = network.shape;
    let row = |token: &u32| network.embedding.row(*token as usize).iter().map(|&x| f64::from(x)).collect();
    let mut steps: Vec<Vec<f64>> = tokens.iter().map(row).collect();
    let mut ends = steps.last().cloned().expect("the tests give sequences with tokens");
    for layer in &network.layers {
        let forward = run(shape.cell, &layer.forward, &steps);
        ends = forward.last().cloned().expect("there is a step");
        steps = match &layer.backward {
            None => forward,
            Some(weights) => {
                let reversed: Vec<_> = steps.iter().rev().cloned().collect();
                let mut backward = run(shape.cell, weights, &reversed);
                ends.extend(backward.last().expect("there is a step"));
                backward.reverse();
                forward.into_iter().zip(backward).map(|(f, b)| [f, b].concat()).collect()
            }
        };
    }
    let column = |unit: usize| steps.iter().map(move |step| step[unit]);
    let features: Vec<f64> = match shape.pooling {
        Pooling::Last => ends,
        Pooling::Mean => (0..ends.len()).map(|i| column(i).sum::<f64>() / steps.len() as f64).collect(),
        Pooling::Max => (0..ends.len()).map(|i| column(i).fold(f64::NEG_INFINITY, f64::max)).collect(),
    };
    let head = |output| {
        let weights = network.head.weight.row(output);
        let sum: f64 = weights.iter().zip(&features).map(|(&w, x)| f64::from(w) * x).sum();
        sum + f64::from(network.head.bias[output])
    };
    (0..shape.outputs).map(head).collect()
}

fn run(cell: Cell, weights: &Direction<f32>, steps: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let hidden = weights.weight_hh.ncols();
    let (mut h, mut c) = (vec![0.0f64; hidden], vec![0.0f64; hidden]);
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let mut out = Vec::new();
    for x in steps {
        let product = |matrix: &ndarray::Array2<f32>, bias: &ndarray::Array1<f32>, v: &[f64], row: usize| {
            let sum: f64 = matrix.row(row).iter().zip(v).map(|(&w, x)| f64::from(w) * x).sum();
            sum + f64::from(bias[row])
        };
        let before = h.clone();
        let from_x = |row: usize| product(&weights.weight_ih, &weights.bias_ih, x, row);
        let from_h = |row: usize| product(&weights.weight_hh, &weights.bias_hh, &before, row);
        let both = |row: usize| from_x(row) + from_h(row);
        for u in 0..hidden {
            match cell {
                Cell::Simple => h[u] = both(u).tanh(),
                Cell::Gru => {
                    let (r, z) = (sigmoid(both(u)), sigmoid(both(hidden + u)));
                    let n = (from_x(2 * hidden + u) + r * from_h(2 * hidden + u)).tanh();
                    h[u] = (1.0 - z) * n + z * before[u];
                }
                Cell::Lstm => {
                    let (i, f) = (sigmoid(both(u)), sigmoid(both(hidden + u)));
                    let (g, o) = (both(2 * hidden + u).tanh(), sigmoid(both(3 * hidden + u)));
                    c[u] = f * c[u] + i * g;
                    h[u] = o * c[u].tanh();
                }
                Cell::Bag => unreachable!("a bag has no recurrent layer"),
            }
        }
        out.push(h.clone());
    }
    out
}
