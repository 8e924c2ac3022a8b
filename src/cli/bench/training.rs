//! `nunchi bench training`: steps of training alone, on the sequences that the PyTorch peer is measured with.
//!
//! As the peer: the first 4,096 sequences, sorted by length within windows of 2,048; forward, backward, clipping and AdamW.
//! Pin it to its cores (`taskset -c 0`) and alternate with the peer: machines drift.

use super::engine::Sequences;
use crate::cli::exit::{ExitStatus, UsageError};
use crate::cli::printer::outln;
use anyhow::Context;
use nunchi_engine::backprop::{Backprop, on_threads};
use nunchi_model::rnn::{Cell, HeadKind, Network, Pooling, Shape, Target};
use nunchi_train::optimizer::Optimizer;
use nunchi_train::step::{Classify, Example, StepSettings, Stepper};
use std::path::PathBuf;
use std::time::Instant;

/// Sequences that are trained on.
const COUNT: usize = 4_096;
/// Sequences that are sorted by length together.
const WINDOW: usize = 2_048;

/// Flags of `nunchi bench training`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder with `sequences.safetensors`
    dir: PathBuf,
    /// Kind of recurrent cell: simple, gru, lstm
    #[arg(long, default_value = "gru")]
    cell: String,
    /// Units of a layer
    #[arg(long, default_value_t = 256)]
    hidden: usize,
    /// Dimensions of the token embedding
    #[arg(long, default_value_t = 128)]
    embedding: usize,
    /// Stacked layers
    #[arg(long, default_value_t = 1)]
    layers: usize,
    /// Examples a step
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..))]
    batch: u32,
    /// Threads
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// How products are computed, instead of the best way of this CPU: f32, avx2 (f32 without wider vectors), library
    #[arg(long, value_parser = ["f32", "avx2", "library"])]
    products: Option<String>,
    /// Measured rounds, after one to warm up; the median counts
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<ExitStatus> {
    let Some(cell) = Cell::from_name(&args.cell).filter(|&cell| cell != Cell::Bag) else {
        return Err(UsageError::new("--cell is one of simple, gru, lstm").into());
    };
    let sequences = Sequences::read(&args.dir.join("sequences.safetensors"))?.first(COUNT);
    let vocabulary = 1 + sequences.iter().flatten().max().copied().unwrap_or(0) as usize;
    let shape = Shape {
        cell,
        vocabulary: vocabulary.max(16_000),
        embedding: args.embedding,
        hidden: args.hidden,
        layers: args.layers,
        bidirectional: false,
        pooling: Pooling::Last,
        head: HeadKind::Sigmoid,
        outputs: 1,
    };
    let mut network = Network::<f32>::random(shape, 1)?;
    let backprop = match args.products.as_deref() {
        Some("f32") => Backprop::f32(),
        Some("avx2") => Backprop::avx2().context("this CPU has no AVX2")?,
        Some(_) => Backprop::library(),
        None => Backprop::best(),
    };
    let mut optimizer = Optimizer::new(&network, 0.01, 1.0, 0.0, backprop.arch());
    let mut stepper = Stepper::new(backprop);
    let mut order: Vec<usize> = (0..sequences.len()).collect();
    order.chunks_mut(WINDOW).for_each(|window| window.sort_by_key(|&index| sequences[index].len()));
    let batches: Vec<Vec<Example<'_>>> = order
        .chunks(args.batch as usize)
        .map(|batch| {
            batch
                .iter()
                .map(|&index| Example {
                    tokens: &sequences[index],
                    target: Target { class: index % 2, weight: 1.0, soft: None },
                })
                .collect()
        })
        .collect();
    let settings = StepSettings {
        rate: 1e-3,
        dropout_inputs: 0.0,
        dropout_features: 0.0,
        smoothing: 0.0,
        key: 0,
        threads: args.threads,
    };
    let mut rates = Vec::new();
    on_threads(args.threads, || {
        for round in 0..=args.rounds {
            let begin = Instant::now();
            for batch in &batches {
                stepper.step(&mut network, &mut optimizer, &Classify, &[batch], &settings);
            }
            if round > 0 {
                rates.push(sequences.len() as f64 / begin.elapsed().as_secs_f64());
            }
        }
    });
    rates.sort_by(f64::total_cmp);
    outln!(
        "{}",
        serde_json::json!({
            "engine": "nunchi", "cell": args.cell, "hidden": args.hidden, "embedding": args.embedding,
            "layers": args.layers, "batch": args.batch, "threads": args.threads, "precision": backprop.precision(),
            "examples_per_s": rates[rates.len() / 2].round(),
        })
    );
    Ok(ExitStatus::Done)
}
