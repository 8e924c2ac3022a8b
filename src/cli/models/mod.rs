//! `nunchi models`: versions of the model in a store, and conversion from and to the formats of other programs. One file a command.

mod average;
mod export;
mod import;
mod list;
mod promote;
mod prune;
mod publish;
mod revise;
mod show;
mod verify;

use super::model::StoreArgs;
use crate::cli::exit::ExitStatus;
use crate::registry::{RegistryError, Store};
use clap::Subcommand;

/// Flags of `nunchi models`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The store is named by --store URL, NUNCHI__REGISTRY__URL, or [registry] url of --config FILE.

Examples:
  nunchi models publish model.safetensors --store /var/lib/nunchi/models --promote
  nunchi models list --store s3://bucket/models
  nunchi models rollback --store s3://bucket/models --why 'too many complaints are classified positive'
  nunchi models revise model.safetensors --normaliser nunchi-3 --max-tokens 1024 --out longer.safetensors
  nunchi models revise model.safetensors --dev reviews-dev.tsv --out measured.safetensors
  nunchi models export v3 --store s3://bucket/models --onnx model.onnx")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the versions of the store, oldest first
    List(list::Args),
    /// Print a version's manifest and log entries
    Show(show::Args),
    /// Publish a model file to the store as a version
    Publish(publish::Args),
    /// Make a version current: running processes load it
    Promote(promote::PromoteArgs),
    /// Roll back to the previous version, or to the one named
    Rollback(promote::RollbackArgs),
    /// Verify versions as when they are loaded, and the promotion log
    Verify(verify::Args),
    /// Remove old versions that nothing refers to
    Prune(prune::Args),
    /// Convert a PyTorch state dict (saved as safetensors) and its tokenizer to a model file
    Import(Box<import::Args>),
    /// Write a model file with the same weights and another normalizer, maximum length or name; or with an output for texts
    /// without an opinion and a coverage table beside them
    Revise(Box<revise::Args>),
    /// Write a model file with the mean of the weights of models that were trained from the same one
    Average(average::Args),
    /// Export a model for ONNX Runtime, with its tokenizer
    Export(export::Args),
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<ExitStatus> {
    match args.command {
        Command::List(args) => list::run(args),
        Command::Show(args) => show::run(args),
        Command::Publish(args) => publish::run(args),
        Command::Promote(args) => promote::promote(args),
        Command::Rollback(args) => promote::roll_back(args),
        Command::Verify(args) => verify::run(args),
        Command::Prune(args) => prune::run(args),
        Command::Import(args) => import::run(*args),
        Command::Revise(args) => revise::run(*args),
        Command::Average(args) => average::run(args),
        Command::Export(args) => export::run(args),
    }
}

/// The store that the command was given; a command of this group needs one.
fn url(args: &StoreArgs) -> anyhow::Result<String> {
    Ok(args.url()?.ok_or(RegistryError::NoStore)?)
}

/// Opens the store that the command was given.
fn open(args: &StoreArgs) -> anyhow::Result<Store> {
    Ok(Store::open(&url(args)?)?)
}

/// A number of bytes with its unit.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

/// A formatted time, in UTC.
fn time(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// A text from the store, fit for a terminal and for a column of `most` characters.
fn harmless(text: &str, most: usize) -> String {
    let mut clean = String::new();
    super::color::push_harmless(text, &mut clean);
    if clean.chars().count() > most {
        clean = clean.chars().take(most.saturating_sub(1)).chain(['…']).collect();
    }
    clean
}
