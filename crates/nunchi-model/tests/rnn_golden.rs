//! The mathematics against independent implementations: PyTorch's cells (small networks, committed; see
//! `golden/make_vectors.py`) and four larger networks in plain NumPy (weights by a formula, only the answers are committed;
//! see `golden/make_large.py`).

#![allow(clippy::unwrap_used)]

use ndarray::{ArrayD, IxDyn};
use nunchi_model::rnn::{Cell, HeadKind, Network, Pooling, Real, RnnError, Shape};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use std::collections::BTreeMap;
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

/// The `count` 64-bit numbers of `name`: SplitMix64 from the name's FNV-1a hash, as in `golden/make_large.py`.
fn random(name: &str, count: usize) -> impl Iterator<Item = u64> + use<> {
    let hash = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    let seed = name.bytes().fold(0xcbf2_9ce4_8422_2325, hash);
    (1..=count as u64).map(move |index| {
        let z = seed.wrapping_add(index.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    })
}

/// The network `name` of `golden/make_large.py`.
fn large_network<F: Real>(name: &str, shape: Shape) -> Network<F> {
    Network::from_tensors(shape, |tensor, dimensions| {
        let bound = match tensor.split('.').next() {
            Some("embedding") => 1.0,
            Some("rnn") => (1.5 / (shape.hidden as f64).sqrt()) as f32,
            _ => 0.7,
        };
        let numbers = random(&format!("{name}/{tensor}"), dimensions.iter().product());
        let unit = |number: u64| (number >> 40) as f32 / (1 << 23) as f32 - 1.0;
        let values = numbers.map(|number| F::from_f64(f64::from(unit(number) * bound))).collect();
        Ok::<_, RnnError>(ArrayD::from_shape_vec(IxDyn(dimensions), values).unwrap())
    })
    .unwrap()
}

fn worst_large_error<F: Real>(name: &str, shape: Shape, want: &[f64]) -> f64 {
    let sequences: Vec<Vec<u32>> = (0..want.len())
        .map(|row| {
            let length = 1 + (7 * row * row + 3 * row) % 60;
            random(&format!("tokens/{row}"), length).map(|n| (n % shape.vocabulary as u64) as u32).collect()
        })
        .collect();
    let slices: Vec<&[u32]> = sequences.iter().map(Vec::as_slice).collect();
    let got = large_network::<F>(name, shape).logits(&slices);
    assert_eq!(got.dim(), (want.len(), 1));
    got.iter().zip(want).map(|(got, want)| (got.as_f64() - want).abs()).fold(0.0, f64::max)
}

#[test]
fn large_networks_agree_with_numpy() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/large.json");
    let answers: BTreeMap<String, Vec<f64>> =
        serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let networks = [
        ("simple", Cell::Simple, 100, 64, 1),
        ("gru", Cell::Gru, 128, 128, 1),
        ("lstm", Cell::Lstm, 128, 256, 1),
        ("gru_stacked", Cell::Gru, 128, 256, 2),
    ];
    assert_eq!(answers.len(), networks.len());
    for (name, cell, embedding, hidden, layers) in networks {
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
        let want = &answers[name];
        // Answers that are all alike would say little.
        let spread = want.iter().fold(0.0_f64, |most, logit| most.max((logit - want[0]).abs()));
        assert!(want.len() == 48 && spread > 0.5, "{name}: {} answers within {spread}", want.len());
        let (single, double) =
            (worst_large_error::<f32>(name, shape, want), worst_large_error::<f64>(name, shape, want));
        assert!(single < TOLERANCE, "{name}: off by {single:e} in f32");
        assert!(double < 1e-12, "{name}: off by {double:e} in f64");
    }
}
