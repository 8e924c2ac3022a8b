//! `nunchi bench`: measurements of speed. One file a benchmark; results go to standard output, `--json` one object a line.

use crate::cli::exit::ExitStatus;
use clap::Subcommand;

mod engine;
mod gate;
mod latency;
mod pipeline;
mod state_dict;
mod swap;
mod text;
mod training;

/// Flags of `nunchi bench`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    bench: Bench,
}

/// What can be measured.
#[derive(Debug, Subcommand)]
enum Bench {
    /// Sequences a second of the engine on the networks of the peers' comparison
    Engine(engine::Args),
    /// Comments a second from text to label, of the tokenizer alone and of the engine alone
    Text(text::Args),
    /// Time of a single comment's prediction
    Latency(latency::Args),
    /// Records a second through a real Kafka, and what they cost
    Pipeline(pipeline::Args),
    /// Examples a second of training, on the sequences of the PyTorch peer
    Training(training::Args),
    /// Batch times while the model is swapped, and while it is not
    Swap(swap::Args),
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<ExitStatus> {
    match args.bench {
        Bench::Engine(args) => engine::run(args),
        Bench::Text(args) => text::run(args),
        Bench::Latency(args) => latency::run(args),
        Bench::Pipeline(args) => pipeline::run(args),
        Bench::Training(args) => training::run(args),
        Bench::Swap(args) => swap::run(args),
    }
}
