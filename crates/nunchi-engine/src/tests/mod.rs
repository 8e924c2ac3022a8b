//! Every kernel that this CPU has against the plain mathematics, on random shapes, lengths and batches.

mod oracle;

use super::kernel::{self, Kernel, Matrix, PackedMatrix, ProductScratch, Products};
use super::*;
use nunchi_model::rnn::{Cell, Dense, HeadKind, Network, Pooling, Shape};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A network of random weights, scaled as PyTorch scales them.
fn network(shape: Shape, seed: u64) -> Network<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut network = Network::<f32>::zeros(shape).expect("the shape is possible");
    let bound = 1.0 / (shape.hidden.max(1) as f32).sqrt();
    for (name, mut tensor) in network.tensors_mut() {
        let bound = if name.starts_with("rnn.") { bound } else { 0.7 };
        tensor.mapv_inplace(|_| random.random_range(-bound..bound));
    }
    network
}

/// Random tokens of sequences with the lengths given.
fn tokens(shape: &Shape, lengths: &[u32], seed: u64) -> Vec<u32> {
    let mut random = ChaCha8Rng::seed_from_u64(seed ^ 0x5eed);
    (0..lengths.iter().sum()).map(|_| random.random_range(0..shape.vocabulary as u32)).collect()
}

fn logits(packed: &Packed, tokens: &[u32], lengths: &[u32]) -> Vec<f32> {
    let mut out = Vec::new();
    packed.logits(tokens, lengths, &mut Scratch::default(), &mut out);
    out
}

/// Logits, and those of the opinion output.
fn both(packed: &Packed, tokens: &[u32], lengths: &[u32]) -> (Vec<f32>, Vec<f32>) {
    let (mut out, mut opinions) = (Vec::new(), Vec::new());
    packed.logits_and_opinions(tokens, lengths, &mut Scratch::default(), &mut out, &mut opinions);
    (out, opinions)
}

/// An opinion output of random weights for `network`, and the network with it in place of its head.
fn opinion(network: &Network<f32>, seed: u64) -> (Dense<f32>, Network<f32>) {
    let shape = Shape { head: HeadKind::Sigmoid, outputs: 1, ..network.shape };
    let head = super::tests::network(shape, seed ^ 0x0b1).head;
    (head.clone(), Network { shape, head, ..network.clone() })
}

/// How far a logit may be off: four times the bound of a probability, whose slope is at most a quarter. With 8 or 16 bits the
/// random heads here, larger than trained ones, add up errors of many features.
fn tolerance(kernel: &dyn Kernel, shape: &Shape) -> f32 {
    let bound = kernel.precision().bound() as f32;
    match kernel.precision() {
        Precision::F32 => 4.0 * bound,
        _ => bound * (2.0 + (shape.features() as f32).sqrt()),
    }
}

fn shapes() -> impl Strategy<Value = Shape> {
    let cell = prop_oneof![Just(Cell::Simple), Just(Cell::Gru), Just(Cell::Lstm), Just(Cell::Bag)];
    let pooling = prop_oneof![Just(Pooling::Last), Just(Pooling::Mean), Just(Pooling::Max)];
    (cell, 1..40usize, 1..24usize, 1..70usize, 1..4usize, any::<bool>(), pooling, 1..4usize).prop_map(
        |(cell, vocabulary, embedding, hidden, layers, bidirectional, pooling, outputs)| {
            let bag = cell == Cell::Bag;
            let head = if outputs == 1 { HeadKind::Sigmoid } else { HeadKind::Softmax };
            Shape {
                cell,
                vocabulary,
                embedding,
                hidden: if bag { 0 } else { hidden },
                layers: if bag { 0 } else { layers },
                bidirectional: bidirectional && !bag,
                pooling: if bag { Pooling::Mean } else { pooling },
                head,
                outputs,
            }
        },
    )
}

fn lengths() -> impl Strategy<Value = Vec<u32>> {
    prop_oneof![
        prop::collection::vec(1..20u32, 1..40),
        prop::collection::vec(1..4u32, 1..300),
        prop::collection::vec(1..60u32, 1..3),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 3 } else { 96 }, ..ProptestConfig::default() })]

    #[test]
    fn every_kernel_computes_what_the_mathematics_says(
        shape in shapes(), lengths in lengths(), seed in any::<u64>(),
    ) {
        let network = network(shape, seed);
        let tokens = tokens(&shape, &lengths, seed);
        let want = oracle::logits(&network, &tokens, &lengths);
        let mut rest = &tokens[..];
        let sequences: Vec<&[u32]> = lengths.iter().map(|&length| {
            let (sequence, later) = rest.split_at(length as usize);
            rest = later;
            sequence
        }).collect();
        for (plain, want) in network.logits(&sequences).iter().zip(&want) {
            prop_assert!((f64::from(*plain) - want).abs() <= 1e-4, "rnn: {plain} instead of {want}");
        }
        for kernel in kernel::runnable() {
            let got = logits(&Packed::with(&network, kernel), &tokens, &lengths);
            prop_assert_eq!(got.len(), want.len());
            for (got, want) in got.iter().zip(&want) {
                let off = (f64::from(*got) - want).abs() as f32;
                prop_assert!(off <= tolerance(kernel, &shape), "{}: {got} instead of {want}", kernel.kind());
            }
        }
    }

    #[test]
    fn every_kernel_computes_the_opinion_beside_the_same_score(
        shape in shapes(), lengths in lengths(), seed in any::<u64>(),
    ) {
        let network = network(shape, seed);
        let tokens = tokens(&shape, &lengths, seed);
        let (opinion, in_its_place) = opinion(&network, seed);
        let want = oracle::logits(&in_its_place, &tokens, &lengths);
        let mut rest = &tokens[..];
        let sequences: Vec<&[u32]> = lengths.iter().map(|&length| {
            let (sequence, later) = rest.split_at(length as usize);
            rest = later;
            sequence
        }).collect();
        for (plain, want) in opinion.logits(network.features(&sequences).view()).iter().zip(&want) {
            prop_assert!((f64::from(*plain) - want).abs() <= 1e-4, "rnn: {plain} instead of {want}");
        }
        for kernel in kernel::runnable() {
            let scores = logits(&Packed::with(&network, kernel), &tokens, &lengths);
            let (got, none) = both(&Packed::with(&network, kernel), &tokens, &lengths);
            prop_assert!(none.is_empty() && got.len() == scores.len());
            let packed = Packed::with(&network, kernel).with_opinion(Some(opinion.clone()));
            let (again, opinions) = both(&packed, &tokens, &lengths);
            // A library's product may add in another order from call to call.
            let exact = kernel.kind() != KernelKind::Portable;
            let same = |a: &f32, b: &f32| a.to_bits() == b.to_bits() || (!exact && (a - b).abs() <= 4e-6);
            prop_assert!(scores.iter().zip(&again).all(|(a, b)| same(a, b)), "{}", kernel.kind());
            prop_assert_eq!(opinions.len(), want.len());
            for (got, want) in opinions.iter().zip(&want) {
                let off = (f64::from(*got) - want).abs() as f32;
                prop_assert!(off <= tolerance(kernel, &shape), "{}: {got} instead of {want}", kernel.kind());
            }
            let mut features = Vec::new();
            packed.features(&tokens, &lengths, &mut Scratch::default(), &mut features);
            prop_assert_eq!(features.len(), lengths.len() * shape.features());
        }
    }

    #[test]
    fn neighbors_in_the_batch_change_nothing(shape in shapes(), lengths in lengths(), seed in any::<u64>()) {
        let network = network(shape, seed);
        let tokens = tokens(&shape, &lengths, seed);
        for kernel in kernel::runnable() {
            let packed = Packed::with(&network, kernel);
            let together = logits(&packed, &tokens, &lengths);
            let mut start = 0;
            for (row, &length) in lengths.iter().enumerate().take(12) {
                let alone = logits(&packed, &tokens[start..start + length as usize], &[length]);
                start += length as usize;
                for (alone, together) in alone.iter().zip(&together[row * shape.outputs..]) {
                    if kernel.kind() == KernelKind::Portable {
                        prop_assert!((alone - together).abs() <= 4e-6, "{alone} alone, {together} together");
                    } else {
                        prop_assert_eq!(alone.to_bits(), together.to_bits(), "{}", kernel.kind());
                    }
                }
            }
        }
    }
}

proptest! {
    // Plain arrays are slow: fused multiply-adds without the instruction.
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 1 } else { 10 }, ..ProptestConfig::default() })]

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn vectors_of_plain_arrays_give_the_same_bits(shape in shapes(), lengths in lengths(), seed in any::<u64>()) {
        let network = network(shape, seed);
        let tokens = tokens(&shape, &lengths, seed);
        let want = oracle::logits(&network, &tokens, &lengths);
        for (plain, real) in kernel::plain() {
            let got = logits(&Packed::with(&network, plain), &tokens, &lengths);
            for (got, want) in got.iter().zip(&want) {
                let off = (f64::from(*got) - want).abs() as f32;
                prop_assert!(off <= tolerance(plain, &shape), "{}: {got} instead of {want}", plain.kind());
            }
            if let Some(real) = real {
                prop_assert_eq!(&got, &logits(&Packed::with(&network, real), &tokens, &lengths), "{}", real.kind());
            }
        }
    }
}

/// The kernel that is chosen by its name computes what the mathematics says, in its own precision: a name that led to another
/// kernel would pass for that one.
#[test]
fn a_kernel_chosen_by_name_computes_and_one_that_this_cpu_lacks_is_named() {
    for kind in KernelKind::ALL {
        assert_eq!(kind.name().parse::<KernelKind>().expect("a name reads back"), kind);
        let kernel = match kernel::choose(Some(kind)) {
            Ok(kernel) => kernel,
            Err(error) => {
                // Its layout and its arithmetic are tested on plain arrays.
                eprintln!("not tested: the instructions of {kind}, which this CPU does not have");
                let said = error.to_string();
                assert!(said.contains(kind.name()) && said.contains("portable"), "{said}");
                assert!(!kernel::kinds().contains(&kind));
                continue;
            }
        };
        assert_eq!(kernel.kind(), kind);
        for cell in [Cell::Simple, Cell::Gru, Cell::Lstm, Cell::Bag] {
            let bag = Shape { hidden: 0, layers: 0, pooling: Pooling::Mean, ..oracle::example(Cell::Bag) };
            let shape = if cell == Cell::Bag { bag } else { oracle::example(cell) };
            let network = network(shape, 11);
            // Every number of rows that go on, from 40 down to one: the routines for all of them run.
            let lengths: Vec<u32> = (1..=40).collect();
            let tokens = tokens(&shape, &lengths, 11);
            let want = oracle::logits(&network, &tokens, &lengths);
            let got = logits(&Packed::with(&network, kernel), &tokens, &lengths);
            assert_eq!(got.len(), want.len());
            let off = got.iter().zip(&want).map(|(got, want)| (f64::from(*got) - want).abs() as f32);
            let off = off.fold(0.0, f32::max);
            assert!(off <= tolerance(kernel, &shape), "{kind} is off by {off} on {cell:?}");
            // Rounded weights leave a trace, and exact ones do not.
            let exact = kernel.precision() == Precision::F32;
            assert!(cell == Cell::Bag || exact == (off < 3e-5), "{kind} is off by {off} on {cell:?}");
        }
    }
}

#[test]
fn an_empty_batch_and_an_empty_sequence_are_classified() {
    let shape = oracle::example(Cell::Gru);
    for kernel in kernel::runnable() {
        let network = network(shape, 3);
        let packed = Packed::with(&network, kernel);
        assert!(logits(&packed, &[], &[]).is_empty());
        let got = logits(&packed, &[1, 2], &[0, 2, 0]);
        assert!(
            (got[0] - network.head.bias[0]).abs() < 1e-6,
            "no token leaves the state at zero: {}",
            got[0]
        );
        assert_eq!(got[0].to_bits(), got[2].to_bits());
    }
}

#[test]
fn memory_is_reused_from_batch_to_batch_without_traces() {
    for cell in [Cell::Simple, Cell::Gru, Cell::Lstm] {
        let shape = Shape { layers: 2, bidirectional: true, ..oracle::example(cell) };
        for kernel in kernel::runnable() {
            let packed = Packed::with(&network(shape, 5), kernel);
            let (mut scratch, mut out) = (Scratch::default(), Vec::new());
            for batch in 0..6u32 {
                let lengths: Vec<u32> =
                    (0..(batch * 37) % 150).map(|row| 1 + (row * 7 + batch) % 30).collect();
                let tokens = tokens(&shape, &lengths, u64::from(batch));
                packed.logits(&tokens, &lengths, &mut scratch, &mut out);
                assert_eq!(out, logits(&packed, &tokens, &lengths), "{}", kernel.kind());
            }
        }
    }
}

#[test]
fn a_kernel_that_is_unknown_or_missing_is_refused_with_those_that_exist() {
    let error = "abacus".parse::<KernelKind>().expect_err("there is no such kernel").to_string();
    assert!(error.contains("`abacus`") && error.contains("portable"), "{error}");
    let best = kernel::choose(None).expect("one runs everywhere");
    assert!(best.available() && best.precision() == Precision::F32);
}

#[test]
fn an_inner_session_does_not_end_the_outer_one() {
    let (a, b) = ([1.0, 2.0, 3.0, 4.0], [1.0, 0.5, 0.25, 2.0]);
    for products in [Products::best(), Products::f32(), Products::library()] {
        let (mut packed, mut scratch) = (PackedMatrix::default(), ProductScratch::default());
        products.pack(Matrix::new(&b, 2), &mut packed);
        let session = products.enter();
        drop(products.enter());
        let mut out = [0.0; 4];
        products.times(&session, Matrix::new(&a, 2), &packed, Some(&[0.0; 2]), &mut out, &mut scratch);
        assert_eq!(out, [1.5, 4.5, 4.0, 9.5], "{products:?}");
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
#[should_panic(expected = "need a session that has them")]
fn products_on_tiles_refuse_a_session_without_tiles() {
    let (a, products) = ([1.0, 2.0, 3.0, 4.0], Products::plain_tiles());
    let mut packed = PackedMatrix::default();
    products.pack(Matrix::new(&a, 2), &mut packed);
    let session = Products::library().enter();
    products.times(
        &session,
        Matrix::new(&a, 2),
        &packed,
        None,
        &mut [0.0; 4],
        &mut ProductScratch::default(),
    );
}
