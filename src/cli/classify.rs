//! `nunchi classify`: a Unix filter. Order is kept, memory is flat, and a pipe that closes early (`| head`) is no error.

use super::color;
use super::color::{Paint, Tone};
use super::lines::{Line, Lines, MAX_LINE};
use super::model::ModelArgs;
use crate::cli::exit::ExitStatus;
use crate::cli::printer::{errln, write_bytes};
use crate::config::{Config, InputFormat};
use crate::record::{Comment, DeadLetter, DeadLetterClass, Reader, Verdict};
use anyhow::Context as _;
use clap::ValueEnum;
use nunchi_engine::score::WrittenScore;
use nunchi_engine::{Engine, EngineError, Prediction};
use std::borrow::Cow;
use std::fmt::Write as _;
use std::io;
use std::sync::Arc;

/// Most lines that are classified at once.
const BATCH: usize = 4096;
/// Cells of a score's bar.
const BAR: usize = 10;

/// Flags of `nunchi classify`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    echo '배송도 빠르고 정말 좋아요' | nunchi classify\n  \
    nunchi classify --format text < comments.txt\n  \
    nunchi classify < comments.jsonl | jq 'select(.label == \"negative\")'")]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// The format of a line
    #[arg(long, value_enum, default_value_t = Input::Auto)]
    input: Input,
    /// What to print
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
    /// Compute with this kernel instead of the best one of this CPU
    #[arg(long, value_name = "NAME")]
    kernel: Option<String>,
}

/// The format of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Input {
    /// JSON if the line begins with `{`, else plain text
    Auto,
    /// Plain text: the line is the comment
    Text,
    /// A JSON object with `text` and perhaps `id`
    Json,
}

/// What to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One JSON object a line
    Json,
    /// Label, score and comment as text
    Text,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<ExitStatus> {
    let loaded = args.model.load(args.kernel.as_deref())?;
    let mut filter = Filter::new(Engine::new(Arc::new(loaded)), args.input, args.format);
    let mut lines = Lines::new(io::stdin().lock());
    loop {
        let block = lines.next_block().context("cannot read standard input")?;
        let Some(block) = block else { break };
        let mut block = block.peekable();
        while block.peek().is_some() {
            if !write_bytes(filter.classify(block.by_ref().take(BATCH))?) {
                return Ok(ExitStatus::Done);
            }
        }
    }
    if filter.broken > 0 {
        errln!("nunchi: {} of {} lines could not be classified", filter.broken, filter.lines);
        return Ok(ExitStatus::Failed);
    }
    Ok(ExitStatus::Done)
}

/// The state that is reused from batch to batch.
struct Filter {
    engine: Engine,
    input: Input,
    format: Format,
    reader: Reader,
    paint: Paint,
    lines: u64,
    broken: u64,
    predictions: Vec<Prediction>,
    out: Vec<u8>,
}

/// One line, read.
struct Entry<'a> {
    number: u64,
    bare: bool,
    comment: Result<Comment<'a>, DeadLetter>,
}

impl Filter {
    fn new(engine: Engine, input: Input, format: Format) -> Self {
        let mut config = Config::default();
        config.input.format = InputFormat::Json;
        config.input.max_bytes = MAX_LINE;
        let (paint, reader) = (Paint::for_stdout(), Reader::new(&config));
        let (predictions, out) = (Vec::new(), Vec::new());
        Filter { engine, input, format, reader, paint, lines: 0, broken: 0, predictions, out }
    }

    /// The answers to `lines`, in their order.
    fn classify<'a>(&mut self, lines: impl Iterator<Item = Line<'a>>) -> Result<&[u8], EngineError> {
        let entries: Vec<Entry<'a>> = lines
            .map(|line| {
                self.lines += 1;
                self.read(line)
            })
            .collect();
        let texts: Vec<&str> = entries
            .iter()
            .filter_map(|entry| entry.comment.as_ref().ok().map(|comment| comment.text.as_ref()))
            .collect();
        let mut predictions = std::mem::take(&mut self.predictions);
        self.engine.classify_into(&texts, &mut predictions)?;
        self.out.clear();
        let mut next = predictions.iter();
        for entry in &entries {
            match &entry.comment {
                Ok(comment) => {
                    let prediction = next.next().expect("one prediction a comment");
                    match self.format {
                        Format::Json => self.write_json(entry.bare, comment, prediction),
                        Format::Text => self.write_text(comment, prediction),
                    }
                }
                Err(error) => {
                    self.broken += 1;
                    self.write_broken(entry.number, error);
                }
            }
        }
        self.predictions = predictions;
        Ok(&self.out)
    }

    fn read<'a>(&self, line: Line<'a>) -> Entry<'a> {
        let number = self.lines;
        let Line::Whole(mut line) = line else {
            let message = format!("the line has more than {MAX_LINE} bytes");
            let comment = Err(DeadLetter { class: DeadLetterClass::Oversize, message });
            return Entry { number, bare: true, comment };
        };
        if number == 1 {
            // The byte order mark, which some editors write.
            line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
        }
        let bare = match self.input {
            Input::Auto => !line.trim_ascii_start().starts_with(b"{"),
            Input::Text => true,
            Input::Json => false,
        };
        let comment = if bare {
            match std::str::from_utf8(line) {
                Ok(text) => Ok(Comment { text: Cow::Borrowed(text), ..Comment::default() }),
                Err(error) => {
                    let message = format!("the line is not UTF-8: {error}");
                    Err(DeadLetter { class: DeadLetterClass::InvalidUtf8, message })
                }
            }
        } else {
            self.reader.read(line)
        };
        Entry { number, bare, comment }
    }

    fn write_json(&mut self, bare: bool, comment: &Comment<'_>, prediction: &Prediction) {
        let model = self.engine.loaded().model();
        let verdict = Verdict { id: comment.id, prediction, labels: &model.labels, model: &model.version };
        verdict.write(&[], &[], &mut self.out);
        if bare {
            self.out.pop();
            self.out.extend_from_slice(b",\"text\":");
            serde_json::to_writer(&mut self.out, comment.text.as_ref())
                .expect("writing a string to memory does not fail");
            self.out.push(b'}');
        }
        self.out.push(b'\n');
    }

    fn write_text(&mut self, comment: &Comment<'_>, prediction: &Prediction) {
        let model = self.engine.loaded().model();
        let width = model.labels.iter().map(|label| label.chars().count()).max().unwrap_or(0);
        let label = &model.labels[prediction.label];
        let score = WrittenScore::new(prediction.score).value();
        let full = (score * BAR as f64).round() as usize;
        let bar = "█".repeat(full) + &"░".repeat(BAR - full);
        let mut line = String::new();
        self.paint.paint(color::tone(score), &format!("{label:<width$} {score:.3} {bar}"), &mut line);
        line.push(' ');
        color::push_harmless(&comment.text, &mut line);
        if prediction.truncated {
            self.paint.paint(Tone::Faint, " (cut)", &mut line);
        }
        line.push('\n');
        self.out.extend_from_slice(line.as_bytes());
    }

    fn write_broken(&mut self, number: u64, error: &DeadLetter) {
        if self.format == Format::Json {
            let object = serde_json::json!({
                "error": error.message, "class": error.class.name(), "line": number,
            });
            self.out.extend_from_slice(object.to_string().as_bytes());
        } else {
            let mut message = format!("line {number}: ");
            let _ = write!(message, "{}", error.message);
            let mut line = String::new();
            self.paint.paint(Tone::Warning, &message, &mut line);
            self.out.extend_from_slice(line.as_bytes());
        }
        self.out.push(b'\n');
    }
}
