//! The command line: one file a command.
//!
//! `exit` has the exit statuses. Results go to standard output, progress and logs to standard error.

use crate::cli::printer::errln;
use crate::config::LogFormat;
use crate::kafka::library;
use crate::telemetry::{lost_log_lines, messages_are_json, report_panics, set_message_format};
use clap::{Parser, Subcommand};
use exit::{ExitStatus, InternalError};
use printer::finish;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::LazyLock;

mod bench;
mod classify;
mod color;
mod columns;
mod completions;
mod config;
mod data;
mod dead_letters;
mod decision;
mod demo;
mod evaluate;
mod exit;
mod explain;
mod generate;
mod lines;
mod model;
mod models;
mod printer;
mod progress;
mod publish;
mod replay;
mod retrain;
mod run;
mod settings;
mod signals;
mod summary;
mod train;
mod whole_file;

/// First commands to try, and the exit statuses.
fn after_help() -> String {
    format!(
        "\
Start here:
  nunchi demo                               an embedded broker and live verdicts; no Kafka needed
  echo '배송이 빨라서 좋아요' | nunchi classify classify a line
  nunchi explain '별로지만 추천해요'            show the score after each token
  nunchi generate --topic comments          publish sample comments to Kafka …
  nunchi run --brokers localhost:9092       … and classify them: `comments` in, `verdicts` out
  nunchi config check --config nunchi.toml  show the effective settings, or every error in them

`nunchi COMMAND --help` has the flags of a command.

{}",
        ExitStatus::help()
    )
}

/// What `--version` prints; `-V` prints the first line alone.
static VERSION: LazyLock<String> =
    LazyLock::new(|| format!("{}\nlibrdkafka {}", env!("CARGO_PKG_VERSION"), library()));

/// nunchi (눈치): classifies streams of product comments with a recurrent neural network.
#[derive(Debug, Parser)]
#[command(name = "nunchi", version, long_version = VERSION.as_str(), about, max_term_width = 100, after_help = after_help())]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// Commands, in the order of a first use.
#[derive(Debug, Subcommand)]
enum Command {
    /// Run a demo without Kafka: an embedded broker, sample comments, live verdicts
    Demo(demo::Args),
    /// Classify lines or JSON from standard input, or files of comments
    Classify(classify::Args),
    /// Show the score after each token
    Explain(explain::Args),
    /// Classify a Kafka topic: comments in, verdicts out
    Run(Box<run::Args>),
    /// Classify a range of history again: into a topic or a file, or by two models for a report
    Replay(Box<replay::Args>),
    /// List, show and redrive dead letters
    DeadLetters(dead_letters::Args),
    /// Publish the sample comments to a topic
    Generate(generate::Args),
    /// Train a network on labelled comments
    Train(Box<train::Args>),
    /// Check files of comments, and convert them to a clean form
    Data(data::Args),
    /// Measure a model on labelled comments
    Evaluate(evaluate::Args),
    /// Train on stars and corrections, and promote the model if it passes the gate
    Retrain(Box<retrain::Args>),
    /// Print a model's layers, shapes and parameters
    Summary(summary::Args),
    /// Versions of the model in a store: publish, promote, roll back, import, export
    Models(models::Args),
    /// Check settings without running
    Config(config::Args),
    /// Measure speed
    Bench(bench::Args),
    /// Print a completion script for a shell
    Completions(completions::Args),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    report_panics();
    // The one setting that is known before the command line is: errors in it are lines of the log too.
    if std::env::var_os("NUNCHI__LOG__FORMAT").is_some_and(|format| format == "json") {
        set_message_format(LogFormat::Json);
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // `--help` and `--version` are errors to clap too, with exit code 0.
            let status = if error.exit_code() == 0 { ExitStatus::Done } else { ExitStatus::Usage };
            if status == ExitStatus::Usage && messages_are_json() {
                errln!("nunchi: {}", error.render().to_string().trim());
                return status.into();
            }
            return match error.print() {
                Err(error) if status == ExitStatus::Done && error.kind() != ErrorKind::BrokenPipe => {
                    errln!("nunchi: cannot write to standard output: {error}");
                    ExitStatus::Failed.into()
                }
                _ => status.into(),
            };
        }
    };
    // The panic message is on standard error already; the status is that of a worker that died.
    let result = catch_unwind(AssertUnwindSafe(|| cli.command.run()))
        .unwrap_or_else(|_| Err(InternalError("the command panicked").into()));
    let status = result.unwrap_or_else(|error| {
        errln!("nunchi: {error:#}");
        ExitStatus::of(&error)
    });
    let status = finish(status);
    match lost_log_lines() {
        0 => {}
        lost => errln!("nunchi: {lost} log lines could not be written"),
    }
    status.into()
}

impl Command {
    fn run(self) -> anyhow::Result<ExitStatus> {
        match self {
            Command::Demo(args) => demo::run(args),
            Command::Classify(args) => classify::run(args),
            Command::Explain(args) => explain::run(args),
            Command::Run(args) => run::run(*args),
            Command::Replay(args) => replay::run(*args),
            Command::DeadLetters(args) => dead_letters::run(args),
            Command::Generate(args) => generate::run(args),
            Command::Train(args) => train::run(*args),
            Command::Data(args) => data::run(args),
            Command::Evaluate(args) => evaluate::run(args),
            Command::Retrain(args) => retrain::run(*args),
            Command::Summary(args) => summary::run(args),
            Command::Models(args) => models::run(args),
            Command::Config(args) => config::run(args),
            Command::Bench(args) => bench::run(args),
            Command::Completions(args) => completions::run(args),
        }
    }
}
