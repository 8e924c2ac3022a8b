//! Examples that text books count out by hand.

#![allow(clippy::unwrap_used)]

use ndarray::Array2;
use nunchi_model::rnn::{Cell, HeadKind, Network, Pooling, Real, Shape};

fn shape(cell: Cell, inputs: usize, hidden: usize) -> Shape {
    Shape {
        cell,
        vocabulary: 1,
        embedding: inputs,
        hidden,
        layers: 1,
        bidirectional: false,
        pooling: Pooling::Last,
        head: HeadKind::Sigmoid,
        outputs: 1,
    }
}

#[test]
fn four_inputs_into_three_simple_units_have_24_parameters() {
    assert_eq!(shape(Cell::Simple, 4, 3).layer_parameters(0), 4 * 3 + 3 * 3 + 3);
}

#[test]
fn parameters_are_counted_as_keras_counts() {
    // keras.layers.LSTM(3) on 4 inputs: 4 (4·3 + 3·3 + 3); GRU(3, reset_after=True): 3 (4·3 + 3·3 + 2·3).
    assert_eq!(shape(Cell::Lstm, 4, 3).layer_parameters(0), 96);
    assert_eq!(shape(Cell::Gru, 4, 3).layer_parameters(0), 81);
    let both_ways = Shape { bidirectional: true, ..shape(Cell::Lstm, 4, 3) };
    assert_eq!(both_ways.layer_parameters(0), 192);
    assert_eq!(both_ways.head_parameters(), 7);
    let bag = Shape { layers: 0, vocabulary: 10, ..shape(Cell::Bag, 4, 0) };
    assert_eq!(bag.parameters(), 10 * 4 + 4 + 1);
}

#[test]
fn twenty_steps_of_100_features_into_10_units_and_a_softmax_of_3() {
    let shape = Shape { head: HeadKind::Softmax, outputs: 3, ..shape(Cell::Simple, 100, 10) };
    let network = Network::<f64>::random(shape, 1).unwrap();
    let input = Array2::from_shape_fn((20, 100), |(step, feature)| ((step * 7 + feature) % 5) as f64 / 5.0);
    assert_eq!(input.shape(), [20, 100]);
    let state = network.layers[0].last_state(shape.cell, input.view());
    assert_eq!(state.shape(), [10]);
    let logits = network.head.logits(state.view().insert_axis(ndarray::Axis(0)));
    let probabilities = shape.head.probabilities(logits.row(0), 1.0);
    assert_eq!(probabilities.shape(), [3]);
    assert!((probabilities.sum() - 1.0).abs() < 1e-12);
}

#[test]
fn a_layer_below_another_hands_on_all_its_steps_the_last_only_its_last() {
    for cell in [Cell::Simple, Cell::Gru, Cell::Lstm] {
        let shape = Shape { layers: 2, ..shape(cell, 100, 6) };
        let network = Network::<f32>::random(shape, 1).unwrap();
        let input = Array2::<f32>::ones((20, 100));
        let handed_on = network.layers[0].states(cell, input.view());
        assert_eq!(handed_on.shape(), [20, 6]);
        assert_eq!(network.layers[1].last_state(cell, handed_on.view()).shape(), [6]);
    }
}

#[test]
fn the_hidden_state_starts_at_zero() {
    fn first_state<F: Real>(network: &Network<F>, input: &Array2<F>) -> F {
        network.layers[0].states(Cell::Simple, input.view())[[0, 0]]
    }
    let mut network = Network::<f64>::zeros(shape(Cell::Simple, 1, 1)).unwrap();
    network.layers[0].forward.weight_ih[[0, 0]] = 0.5;
    network.layers[0].forward.weight_hh[[0, 0]] = 100.0;
    let input = Array2::from_elem((1, 1), 2.0);
    assert!((first_state(&network, &input) - 1.0_f64.tanh()).abs() < 1e-12);
}

#[test]
fn a_comment_is_classified_alone_whatever_its_neighbors() {
    let shape = Shape { vocabulary: 50, bidirectional: true, layers: 2, ..shape(Cell::Gru, 8, 8) };
    let network = Network::<f32>::random(shape, 3).unwrap();
    let comments: Vec<Vec<u32>> =
        (1..30_u32).map(|length| (0..length).map(|i| (i * 7 + length) % 50).collect()).collect();
    let slices: Vec<&[u32]> = comments.iter().map(Vec::as_slice).collect();
    let together = network.logits(&slices);
    for (row, comment) in slices.iter().enumerate() {
        let alone = network.logits(&[comment]);
        assert!((alone[[0, 0]] - together[[row, 0]]).abs() < 1e-6);
    }
}

#[test]
fn shapes_that_describe_no_network_are_refused_with_a_sentence() {
    for (wrong, says) in [
        (Shape { layers: 0, ..shape(Cell::Gru, 4, 3) }, "at least one layer"),
        (Shape { layers: 1, ..shape(Cell::Bag, 4, 0) }, "no recurrent layer"),
        (Shape { outputs: 2, ..shape(Cell::Lstm, 4, 3) }, "1 output"),
        (Shape { head: HeadKind::Softmax, ..shape(Cell::Lstm, 4, 3) }, "at least 2"),
        (Shape { vocabulary: 0, ..shape(Cell::Lstm, 4, 3) }, "at least 1"),
    ] {
        let error = Network::<f32>::zeros(wrong).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}
