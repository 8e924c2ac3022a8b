//! `nunchi summary` prints what Keras' `model.summary()` prints.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use nunchi_model::rnn::{Cell, HeadKind, Pooling, Shape};
use nunchi_model::summary::rows;
use nunchi_model::{WeightFormat, testing};
use std::process::Command;

/// `(layer, output, parameters)` of every row.
fn table(shape: Shape) -> Vec<(String, String, usize)> {
    rows(&shape).into_iter().map(|row| (row.layer, row.output, row.parameters)).collect()
}

fn owned(rows: &[(&str, &str, usize)]) -> Vec<(String, String, usize)> {
    rows.iter()
        .map(|&(layer, output, parameters)| (layer.to_owned(), output.to_owned(), parameters))
        .collect()
}

#[test]
fn parameters_are_those_of_keras() {
    // Counted by keras.Sequential([Embedding(1000, 16), …]).summary().
    let shape = Shape { vocabulary: 1000, hidden: 32, ..testing::shape(Cell::Gru) };
    let want = owned(&[
        ("embedding (Embedding)", "(None, None, 16)", 16_000),
        ("gru (GRU)", "(None, 32)", 4_800),
        ("head (Dense, sigmoid)", "(None, 1)", 33),
    ]);
    assert_eq!(table(shape), want);
    let shape = Shape {
        cell: Cell::Lstm,
        layers: 2,
        bidirectional: true,
        pooling: Pooling::Max,
        head: HeadKind::Softmax,
        outputs: 5,
        ..shape
    };
    let want = owned(&[
        ("embedding (Embedding)", "(None, None, 16)", 16_000),
        ("bidirectional_lstm (Bidirectional LSTM)", "(None, None, 64)", 12_544),
        ("bidirectional_lstm_1 (Bidirectional LSTM)", "(None, None, 64)", 24_832),
        ("max (GlobalMaxPooling1D)", "(None, 64)", 0),
        ("head (Dense, softmax)", "(None, 5)", 325),
    ]);
    assert_eq!(table(shape), want);
}

#[test]
fn the_text_book_network_has_24_parameters() {
    let shape = Shape { embedding: 4, hidden: 3, ..testing::shape(Cell::Simple) };
    assert_eq!(table(shape)[1], ("simple (SimpleRNN)".to_owned(), "(None, 3)".to_owned(), 24));
}

#[test]
fn the_command_prints_the_table() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let model = testing::model(Cell::Gru, 3);
    let version = model.save(&path, WeightFormat::F16).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_nunchi")).arg("summary").arg(&path).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    for want in [
        &version,
        "Layer (type)",
        "Output Shape",
        "Param #",
        "gru (GRU)",
        "(None, 24)",
        "3024",
        "Total params: ",
    ] {
        assert!(text.contains(want), "{want}: {text}");
    }
    let refused =
        Command::new(env!("CARGO_BIN_EXE_nunchi")).args(["summary", "Cargo.toml"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("not a complete safetensors file"));
}
