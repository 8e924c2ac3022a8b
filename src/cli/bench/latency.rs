//! `nunchi bench latency`: how long a single comment takes, from tokens to its probability.

use super::state_dict::read_network;
use crate::cli::exit::ExitStatus;
use crate::cli::printer::outln;
use nunchi_engine::{Packed, Scratch};
use nunchi_model::Model;
use std::path::PathBuf;
use std::time::Instant;

/// Flags of `nunchi bench latency`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A model, or a network as PyTorch saves it (safetensors)
    file: PathBuf,
    /// Tokens of the comment
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    tokens: u32,
    /// Kernel to use instead of the best one for this CPU
    #[arg(long)]
    kernel: Option<String>,
    /// Comments classified, after a tenth as many to warm up
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<ExitStatus> {
    let network = match Model::load(&args.file) {
        Ok(model) => model.network,
        Err(not_a_model) => read_network(&args.file).map_err(|_| not_a_model)?,
    };
    let packed = Packed::new(&network, args.kernel.as_deref().map(str::parse).transpose()?)?;
    let (mut scratch, mut out, mut micros) = (Scratch::default(), Vec::new(), Vec::new());
    let vocabulary = u32::try_from(network.shape.vocabulary)?;
    let mut tokens = vec![0u32; args.tokens as usize];
    for round in 0..args.rounds + args.rounds / 10 {
        // Other tokens each time, as comments have: their table rows are not all in the nearest cache.
        for (index, token) in (0u32..).zip(&mut tokens) {
            *token = (round.wrapping_mul(2_654_435_761).wrapping_add(index * 40_503) >> 7) % vocabulary;
        }
        let begin = Instant::now();
        packed.logits(&tokens, &[args.tokens], &mut scratch, &mut out);
        if round >= args.rounds / 10 {
            micros.push(begin.elapsed().as_secs_f64() * 1e6);
        }
    }
    micros.sort_by(f64::total_cmp);
    let quantile = |share: f64| micros[((micros.len() - 1) as f64 * share).round() as usize];
    let (p50, p99) = (quantile(0.5), quantile(0.99));
    if args.json {
        outln!(
            "{}",
            serde_json::json!({
                "engine": "nunchi", "file": args.file.file_name().map(|name| name.to_string_lossy()),
                "kernel": packed.kernel().name(), "precision": packed.precision(), "tokens": args.tokens,
                "p50_us": (p50 * 10.0).round() / 10.0, "p99_us": (p99 * 10.0).round() / 10.0,
            })
        );
    } else {
        outln!(
            "{} tokens: p50 {p50:.1} µs, p99 {p99:.1} µs ({}, {})",
            args.tokens,
            packed.kernel(),
            packed.precision()
        );
    }
    Ok(ExitStatus::Done)
}
