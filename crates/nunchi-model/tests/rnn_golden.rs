//! The mathematics against independent implementations: PyTorch's cells (small networks, committed; see
//! `golden/make_vectors.py`) and four larger networks in plain NumPy (`NUNCHI_PEERS`: the folder that
//! `rnn_peers.py make` wrote).

#![allow(clippy::unwrap_used)]

use ndarray::{ArrayD, IxDyn};
use nunchi_model::rnn::{Cell, HeadKind, Network, Pooling, Real, RnnError, Shape};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use std::path::{Path, PathBuf};

/// PyTorch's answers must be met this closely.
const TOLERANCE: f64 = 1e-5;

fn elements(view: &TensorView<'_>) -> Vec<f64> {
    let bytes = view.data();
    match view.dtype() {
        Dtype::F32 => bytes.chunks(4).map(|b| f64::from(f32::from_le_bytes(b.try_into().unwrap()))).collect(),
        Dtype::F64 => bytes.chunks(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect(),
        Dtype::I32 => bytes.chunks(4).map(|b| f64::from(i32::from_le_bytes(b.try_into().unwrap()))).collect(),
        other => panic!("no test writes {other:?}"),
    }
}

fn read_network<F: Real>(shape: Shape, file: &SafeTensors<'_>) -> Network<F> {
    Network::from_tensors(shape, |name, _| {
        let view = file.tensor(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        let values = elements(&view).into_iter().map(F::from_f64).collect();
        Ok::<_, RnnError>(ArrayD::from_shape_vec(IxDyn(view.shape()), values).unwrap())
    })
    .unwrap()
}

fn read_sequences(file: &SafeTensors<'_>) -> Vec<Vec<u32>> {
    let tokens = elements(&file.tensor("tokens").unwrap());
    let mut rest = tokens.iter().map(|&token| token as u32);
    let lengths = elements(&file.tensor("lengths").unwrap());
    lengths.iter().map(|&length| rest.by_ref().take(length as usize).collect()).collect()
}

fn golden_files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "safetensors"))
        .collect();
    files.sort();
    files
}

fn worst_error<F: Real>(path: &Path) -> f64 {
    let bytes = std::fs::read(path).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let shape: Shape = serde_json::from_str(&header.metadata().as_ref().unwrap()["shape"]).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let network = read_network::<F>(shape, &file);
    let sequences = read_sequences(&file);
    let slices: Vec<&[u32]> = sequences.iter().map(Vec::as_slice).collect();
    let want = elements(&file.tensor("logits").unwrap());
    let got = network.logits(&slices);
    assert_eq!(got.len(), want.len());
    let mut worst = 0.0_f64;
    for (got, want) in got.iter().zip(&want) {
        worst = worst.max((got.as_f64() - want).abs());
    }
    // Alone, and step by step: the same answers.
    for (row, sequence) in slices.iter().enumerate() {
        let steps = network.logits_at_every_step(sequence);
        assert_eq!(steps.nrows(), sequence.len());
        for (got, want) in steps.row(sequence.len() - 1).iter().zip(got.row(row)) {
            worst = worst.max((got.as_f64() - want.as_f64()).abs());
        }
    }
    worst
}

#[test]
fn every_cell_agrees_with_pytorch() {
    let files = golden_files();
    assert!(files.len() >= 13, "the golden vectors are committed");
    for path in files {
        let (single, double) = (worst_error::<f32>(&path), worst_error::<f64>(&path));
        assert!(single < TOLERANCE, "{}: off by {single:e} in f32", path.display());
        assert!(double < 1e-12, "{}: off by {double:e} in f64", path.display());
    }
}

#[test]
fn large_networks_agree_with_numpy() {
    let Some(folder) = std::env::var_os("NUNCHI_PEERS").map(PathBuf::from) else {
        eprintln!("skipped: NUNCHI_PEERS does not name a folder written by `rnn_peers.py make`");
        return;
    };
    let sequence_bytes = std::fs::read(folder.join("sequences.safetensors")).unwrap();
    let sequences = read_sequences(&SafeTensors::deserialize(&sequence_bytes).unwrap());
    // A part of the 20,000: enough to meet every length, quick enough for a test.
    let slices: Vec<&[u32]> = sequences.iter().take(2_000).map(Vec::as_slice).collect();
    for (name, cell, embedding, hidden, layers) in [
        ("M1", Cell::Simple, 100, 64, 1),
        ("M2", Cell::Gru, 128, 128, 1),
        ("M3", Cell::Lstm, 128, 256, 1),
        ("M4", Cell::Gru, 128, 256, 2),
    ] {
        let shape = Shape {
            cell,
            vocabulary: 16_000,
            embedding,
            hidden,
            layers,
            bidirectional: false,
            pooling: Pooling::Last,
            head: HeadKind::Sigmoid,
            outputs: 1,
        };
        let bytes = std::fs::read(folder.join(format!("{name}.safetensors"))).unwrap();
        let network = read_network::<f32>(shape, &SafeTensors::deserialize(&bytes).unwrap());
        let expected = std::fs::read(folder.join(format!("{name}.expected"))).unwrap();
        let expected = SafeTensors::deserialize(&expected).unwrap();
        let want = elements(&expected.tensor("probability").unwrap());
        let mut worst = 0.0_f64;
        for (chunk, want) in slices.chunks(200).zip(want.chunks(200)) {
            let logits = network.logits(chunk);
            for (logit, want) in logits.rows().into_iter().zip(want) {
                let got = f64::from(HeadKind::Sigmoid.probabilities(logit, 1.0)[0]);
                worst = worst.max((got - want).abs());
            }
        }
        eprintln!("{name}: off by at most {worst:e}");
        assert!(worst < 1e-5, "{name}: off by {worst:e}");
    }
}
