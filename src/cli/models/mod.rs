//! `nunchi models`: versions of the model in a store, and models in and out of other programs' forms. One file a command.

mod export;
mod import;
mod list;
mod promote;
mod prune;
mod publish;
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
  nunchi models rollback --store s3://bucket/models --why 'too many complaints are called positive'
  nunchi models export v3 --store s3://bucket/models --onnx model.onnx")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the versions of the store, oldest first
    List(list::Args),
    /// Print what the store knows of a version
    Show(show::Args),
    /// Put a model file into the store as a version
    Publish(publish::Args),
    /// Make a version current: running processes take it over
    Promote(promote::PromoteArgs),
    /// Go back to the version before, or to the one named
    Rollback(promote::RollbackArgs),
    /// Read versions as if they were to serve, and the promotion log
    Verify(verify::Args),
    /// Remove old versions that nothing needs
    Prune(prune::Args),
    /// Make a model file of a PyTorch state dict (saved as safetensors) and its tokenizer
    Import(Box<import::Args>),
    /// Write a model for ONNX Runtime, and its tokenizer beside it
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

/// Bytes for people.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

/// A time for people, in UTC.
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
