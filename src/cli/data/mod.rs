//! `nunchi data`: what files of comments hold, and their clean form.

mod check;
mod convert;

use super::columns::{ColumnArgs, trimmed};
use crate::cli::exit::ExitStatus;
use clap::Subcommand;
use nunchi_data::two_labels;
use std::path::PathBuf;

/// Flags of `nunchi data`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show what is recognized in files: encoding, columns, labels, duplicates, odd rows
    Check(CheckArgs),
    /// Write a file's comments in the clean form: UTF-8, with the columns id, text, label and rating
    Convert(ConvertArgs),
}

/// Flags of `nunchi data check`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit status: 0 every row can be used or is blank, 1 some cannot, or a file cannot be read, 64 wrong usage"
)]
struct CheckArgs {
    /// Files of comments: CSV, TSV, JSON, Excel, HTML tables, Parquet; compressed or not
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    columns: ColumnArgs,
    /// Names of the classes, in order [default: negative,positive]
    #[arg(long, value_name = "A,B,…", value_delimiter = ',', help_heading = "Data")]
    labels: Option<Vec<String>>,
    /// Print a JSON object a file
    #[arg(long)]
    json: bool,
}

/// Flags of `nunchi data convert`.
#[derive(Debug, clap::Args)]
struct ConvertArgs {
    /// The file to read
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The file to write, which must not exist: .jsonl, .csv or .tsv, or one of these and .gz
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    #[command(flatten)]
    columns: ColumnArgs,
    /// Names of the classes, in order [default: negative,positive]
    #[arg(long, value_name = "A,B,…", value_delimiter = ',', help_heading = "Data")]
    labels: Option<Vec<String>>,
}

fn labels(named: Option<&Vec<String>>) -> Vec<String> {
    named.map_or_else(two_labels, |labels| trimmed(labels))
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<ExitStatus> {
    match args.command {
        Command::Check(args) => check::run(&args),
        Command::Convert(args) => convert::run(&args),
    }
}
