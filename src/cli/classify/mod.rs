//! `nunchi classify`: lines from standard input, or files of any format. Order is kept, memory is flat for texts, and a pipe that
//! closes early (`| head`) is no error.

mod files;
mod format;
mod parquet;
mod stdin;

pub(super) use format::to_json;

use super::decision::precision;
use super::model::ModelArgs;
use crate::cli::exit::{ExitStatus, UsageError};
use crate::cli::printer::errln;
use clap::ValueEnum;
use nunchi_data::{ColumnHints, Encoding};
use nunchi_engine::{DecisionPolicy, Engine};
use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::sync::Arc;

/// Most comments that are classified at once.
const BATCH: usize = 4096;

/// Flags of `nunchi classify`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    echo '배송도 빠르고 정말 좋아요' | nunchi classify\n  \
    nunchi classify --format text < comments.txt\n  \
    nunchi classify --precision 0.97 < comments.txt\n  \
    nunchi classify --sentences --format text < comments.txt\n  \
    nunchi classify < comments.jsonl | jq 'select(.label == \"negative\")'\n  \
    nunchi classify reviews.xlsx --excel > verdicts.csv\n\n\
Exit status: 0 all classified, 1 some could not be, 64 wrong usage")]
pub struct Args {
    /// Files to classify instead of standard input: CSV, TSV, JSON, Excel, Parquet, compressed or not, in any encoding; the
    /// output has their columns too
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    model: ModelArgs,
    /// The format of a line of standard input
    #[arg(long, value_enum, default_value_t = Input::Auto, conflicts_with = "files")]
    input: Input,
    /// What to print [default: jsonl; with --excel csv]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Make CSV or TSV that Excel opens by itself: UTF-8 with a byte order mark, and no cell is taken for a formula
    #[arg(long)]
    excel: bool,
    /// Column of the files with the comment (default: the first known name)
    #[arg(long, value_name = "NAME", requires = "files")]
    text_column: Option<String>,
    /// Encoding of text files, such as CP949 or UTF-16 (default: recognized by their content)
    #[arg(long, value_name = "NAME", requires = "files")]
    encoding: Option<Encoding>,
    /// Mark verdicts as unsure so that this share of the others is right, for each label (needs the model's coverage table)
    #[arg(long, value_name = "P", value_parser = precision)]
    precision: Option<f64>,
    /// Classify each sentence and clause too: `sentences` of the verdict, with offsets in characters
    #[arg(long)]
    sentences: bool,
    /// Compute with this kernel instead of the best one of this CPU
    #[arg(long, value_name = "NAME")]
    kernel: Option<String>,
}

/// The format of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Input {
    /// JSON if the line begins with `{` or the whole input is a JSON array, else plain text
    Auto,
    /// Plain text: the line is the comment
    Text,
    /// A JSON object with `text` and perhaps `id`, or an array of them
    Json,
}

/// What to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One JSON object a line
    #[value(alias = "json")]
    Jsonl,
    /// Label, score and comment as text
    Text,
    /// Comma-separated values: the input's columns, then label, score, model and error
    Csv,
    /// The same, separated by tabs
    Tsv,
    /// The same as Parquet
    Parquet,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<ExitStatus> {
    let format = args.format.unwrap_or(if args.excel { Format::Csv } else { Format::Jsonl });
    if args.excel && !matches!(format, Format::Csv | Format::Tsv) {
        return Err(
            UsageError::new("--excel is for --format csv and tsv: Excel opens no other format").into()
        );
    }
    if format == Format::Parquet && io::stdout().is_terminal() {
        return Err(UsageError::new(
            "Parquet is not for a terminal: redirect the output, as in `> verdicts.parquet`",
        )
        .into());
    }
    // What is wrong with the files is said before a model is loaded.
    let hints =
        ColumnHints { text: args.text_column.clone(), encoding: args.encoding, ..ColumnHints::default() };
    let inputs = files::Inputs::open(&args.files, &hints)?;
    let loaded = args.model.load(args.kernel.as_deref())?;
    let loaded = loaded.with_decision(args.precision.map(DecisionPolicy::Precision))?;
    let engine = Engine::new(Arc::new(loaded)).with_sentences(args.sentences);
    let counts = match args.files.is_empty() {
        true => stdin::run(engine, args.input, format, args.excel)?,
        false => files::run(engine, &inputs, &hints, format, args.excel)?,
    };
    if counts.broken > 0 {
        errln!("nunchi: {} of {} lines could not be classified", counts.broken, counts.all);
        return Ok(ExitStatus::Failed);
    }
    Ok(ExitStatus::Done)
}

/// How many lines or rows there were.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    all: u64,
    broken: u64,
}
