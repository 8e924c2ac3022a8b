//! The targets of `fuzz/` on the stable compiler: every file of their corpora, and some thousands of mutations of these,
//! the same ones in every run.
//!
//! A failure writes the input to `target/tmp/` and says where. Once the bug is fixed, the file belongs into the corpus.

#![allow(clippy::unwrap_used)]

#[path = "../fuzz/src/dead_letter_headers.rs"]
mod dead_letter_headers;
#[path = "fuzz_corpus/dictionary.rs"]
mod dictionary;
#[path = "../fuzz/src/message.rs"]
mod message;
#[path = "../fuzz/src/model_file.rs"]
mod model_file;
#[path = "fuzz_corpus/mutate.rs"]
mod mutate;
#[path = "../fuzz/src/record_reader.rs"]
mod record_reader;
#[path = "../fuzz/src/settings.rs"]
mod settings;
#[path = "../fuzz/src/tokenizer.rs"]
mod tokenizer;

use mutate::Mutator;
use nunchi_model::rnn::{Cell, HeadKind, Pooling, Shape};
use nunchi_model::{ClassCoverage, Coverage, Histogram, Model, Reference, WeightFormat};
use nunchi_text::Tokenizer;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// A target's name, its function, and how many mutations are tried: each target takes a few seconds.
const TARGETS: [Target; 5] = [
    ("record_reader", record_reader::run, 20_000),
    ("model_file", model_file::run, 20_000),
    ("tokenizer", tokenizer::run, 20_000),
    ("settings", settings::run, 5_000),
    ("dead_letter_headers", dead_letter_headers::run, 50_000),
];

type Target = (&'static str, fn(&[u8]), usize);

/// Fewer files are no corpus.
const MIN_FILES: usize = 12;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files of a target's corpus, in the order of their names.
fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = root().join("fuzz/corpus").join(target);
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(paths.len() >= MIN_FILES, "{} files in {}", paths.len(), folder.display());
    paths.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

/// Runs `run` on `input`; where a property does not hold, says which file shows it.
fn attack(target: &str, run: fn(&[u8]), input: &[u8], origin: &str) {
    if catch_unwind(AssertUnwindSafe(|| run(input))).is_err() {
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{target}.input"));
        std::fs::write(&file, input).unwrap();
        panic!("{target} fails on {origin}, see above; the input is {}", file.display());
    }
}

fn replay(target: &str) {
    let (_, run, _) = TARGETS.into_iter().find(|(name, ..)| *name == target).unwrap();
    for (path, input) in corpus(target) {
        attack(target, run, &input, &path.display().to_string());
    }
}

fn mutate(target: &str) {
    let (_, run, count) = TARGETS.into_iter().find(|(name, ..)| *name == target).unwrap();
    let seeds: Vec<Vec<u8>> = corpus(target).into_iter().map(|(_, input)| input).collect();
    let mut mutator = Mutator::new(&seeds, dictionary::of(target));
    for number in 0..count {
        let input = mutator.next();
        attack(target, run, &input, &format!("mutation {number}"));
    }
}

macro_rules! targets {
    ($($target:ident)*) => {
        $(mod $target {
            #[test]
            fn holds_on_its_corpus() {
                super::super::replay(stringify!($target));
            }

            #[test]
            fn holds_on_mutations_of_its_corpus() {
                super::super::mutate(stringify!($target));
            }
        })*

        /// The targets that have tests here.
        pub const NAMES: &[&str] = &[$(stringify!($target)),*];
    };
}

mod target {
    targets!(record_reader model_file tokenizer settings dead_letter_headers);
}

#[test]
fn every_target_is_tested_and_every_corpus_has_a_target() {
    let names = |folder: &str| -> BTreeSet<String> {
        let entries = std::fs::read_dir(root().join(folder)).unwrap();
        entries.map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect()
    };
    let tested: BTreeSet<String> = target::NAMES.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(names("fuzz/fuzz_targets"), tested);
    assert_eq!(names("fuzz/corpus"), tested);
    assert_eq!(TARGETS.map(|(name, ..)| name.to_owned()).into_iter().collect::<BTreeSet<_>>(), tested);
}

/// What is wrong with an input is found: a target that accepts everything would hold on every corpus.
#[test]
fn a_broken_property_is_noticed() {
    let noticed = |broken: &str| catch_unwind(|| message::check(broken)).is_err();
    assert!(noticed("") && noticed("\u{1b}[2J") && noticed(&"x".repeat(message::MAX_MESSAGE + 1)));
    let model = &corpus("model_file").into_iter().find(|(path, _)| path.ends_with("gru")).unwrap().1;
    let mut changed = model.clone();
    // The lowest byte of the last weight: small enough for the golden scores.
    let lowest = changed.len() - 4;
    changed[lowest] ^= 1;
    assert!(Model::from_bytes(&changed).is_err(), "the checksum notices a changed weight");
    let error = Model::from_bytes(&model_file::sealed(&changed).unwrap());
    assert!(error.is_ok(), "with a checksum that holds the weight counts: {:?}", error.err());
}

/// Mutations get behind the checksum: some load, and the others are refused for many reasons.
#[test]
fn mutated_models_reach_every_check() {
    let seeds: Vec<Vec<u8>> = corpus("model_file").into_iter().map(|(_, input)| input).collect();
    let mut mutator = Mutator::new(&seeds, dictionary::of("model_file"));
    let (mut loaded, mut reasons) = (0, BTreeSet::new());
    for _ in 0..3_000 {
        match Model::from_bytes(&model_file::sealed(&mutator.next()).unwrap_or_default()) {
            Ok(_) => loaded += 1,
            // The beginning of a message tells which check it is.
            Err(error) => drop(reasons.insert(error.to_string().chars().take(24).collect::<String>())),
        }
    }
    assert!(
        loaded >= 5 && reasons.len() >= 20,
        "{loaded} of 3,000 load; {} reasons: {reasons:#?}",
        reasons.len()
    );
}

/// The smallest tokenizer that knows some Korean; see `nunchi_text` for the format.
fn small_tokenizer() -> Tokenizer {
    let pieces = [
        ("<unk>", 1, 0.0),
        ("▁", 0, -4.0),
        ("좋", 0, -2.0),
        ("아요", 0, -2.5),
        ("▁좋아요", 0, -1.5),
        ("a", 4, -3.0),
    ];
    let mut data = vec![1, 2];
    data.extend((pieces.len() as u32).to_le_bytes());
    for (text, role, score) in pieces {
        data.push(role);
        data.extend(f32::to_le_bytes(score));
        data.extend((text.len() as u16).to_le_bytes());
        data.extend(text.as_bytes());
    }
    Tokenizer::from_parts("unigram", &data, "nunchi-1").unwrap()
}

/// Writes the models of the corpus, after a change of the format: `cargo test --test fuzz_corpus -- --ignored`. What is
/// wrong with the other files of that corpus was made by hand.
#[test]
#[ignore = "writes into the source tree"]
fn write_the_models_of_the_corpus() {
    let small = |cell| Shape { embedding: 2, hidden: 2, ..nunchi_model::testing::shape(cell) };
    let shapes = [
        ("bag", Shape { hidden: 0, ..small(Cell::Bag) }, WeightFormat::F32),
        ("simple", small(Cell::Simple), WeightFormat::F32),
        ("gru", small(Cell::Gru), WeightFormat::F32),
        ("lstm-f16", small(Cell::Lstm), WeightFormat::F16),
        ("gru-bidirectional-bf16", Shape { bidirectional: true, ..small(Cell::Gru) }, WeightFormat::Bf16),
        (
            "lstm-stacked-mean",
            Shape { layers: 2, pooling: Pooling::Mean, ..small(Cell::Lstm) },
            WeightFormat::F16,
        ),
        (
            "simple-softmax-max",
            Shape { head: HeadKind::Softmax, outputs: 3, pooling: Pooling::Max, ..small(Cell::Simple) },
            WeightFormat::F16,
        ),
    ];
    for (name, shape, format) in shapes {
        let mut model = Model::random(shape, small_tokenizer(), 7).unwrap();
        model.golden.truncate(2);
        model.max_tokens = 8;
        let write = |name: &str, model: &Model| {
            let (bytes, _) = model.to_bytes(format).unwrap();
            std::fs::write(root().join("fuzz/corpus/model_file").join(name), bytes).unwrap();
        };
        write(name, &model);
        if name == "gru" {
            let mut model = nunchi_model::testing::with_opinion(model);
            write("gru-opinion", &model);
            model.extension.coverage = Some(coverage());
            model.extension.reference = Some(reference());
            write("gru-format-2", &model);
            model.extension.opinion = None;
            write("gru-tables", &model);
        }
    }
}

fn coverage() -> Coverage {
    let class = |label: &str, points: &[(f64, u64, u64)]| ClassCoverage {
        label: label.to_owned(),
        points: points.iter().map(|&point| point.into()).collect(),
    };
    let classes = vec![
        class("negative", &[(0.99, 8, 8), (0.7, 15, 14)]),
        class("positive", &[(0.999_999, 12, 11), (0.5, 20, 18)]),
    ];
    Coverage { data: vec!["dev.tsv".to_owned()], comments: 40, no_opinion: 2, classes }
}

fn reference() -> Reference {
    let histogram =
        |edges: &[f64], counts: &[u64]| Histogram { edges: edges.to_vec(), counts: counts.to_vec() };
    Reference {
        data: Vec::new(),
        comments: 3,
        score: histogram(&[0.5], &[1, 2]),
        length: histogram(&[10.0, 80.0], &[1, 1, 1]),
        byte_pieces: histogram(&[0.0], &[3, 0]),
        labels: vec![1, 2],
    }
}
