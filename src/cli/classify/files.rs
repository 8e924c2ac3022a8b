//! Files to classify: their rows in order, their own columns beside the verdicts, a bar on a terminal.

use super::format::{Item, Printer, to_json};
use super::{BATCH, Counts, Format};
use crate::cli::columns::{tell, tell_left_out};
use crate::record::{DeadLetter, DeadLetterClass};
use indicatif::{ProgressBar, ProgressStyle};
use nunchi_data::{BadRow, Cell, ColumnHints, DataError, Kind, LeftOut, Reason, Row, TextColumn, Texts};
use nunchi_engine::{Engine, EngineError, Prediction};
use std::path::{Path, PathBuf};

/// Bytes of comments that are kept at once.
const MAX_BATCH_BYTES: usize = 16 << 20;

/// The files, each with what was found in it.
pub(super) struct Inputs {
    files: Vec<Input>,
    /// The columns of all files, each once.
    columns: Vec<String>,
}

struct Input {
    path: PathBuf,
    text: TextColumn,
    kind: Kind,
}

impl Inputs {
    /// Looks at all files, and says what was recognized.
    pub(super) fn open(paths: &[PathBuf], hints: &ColumnHints) -> Result<Self, DataError> {
        let (mut files, mut columns): (_, Vec<String>) = (Vec::new(), Vec::new());
        for path in paths {
            let table = hints.open(path)?;
            let text = hints.text_of(path, &table)?;
            tell(path, text.remarks.as_deref());
            for column in table.columns() {
                if !columns.contains(column) {
                    columns.push(column.clone());
                }
            }
            files.push(Input { path: path.clone(), text, kind: table.recognized().kind });
        }
        Ok(Inputs { files, columns })
    }
}

/// Why no more is read.
enum Stop {
    Data(DataError),
    Other(anyhow::Error),
    /// Nobody reads the output.
    Closed,
}

impl From<DataError> for Stop {
    fn from(error: DataError) -> Self {
        Stop::Data(error)
    }
}

impl From<anyhow::Error> for Stop {
    fn from(error: anyhow::Error) -> Self {
        Stop::Other(error)
    }
}

impl From<EngineError> for Stop {
    fn from(error: EngineError) -> Self {
        Stop::Other(error.into())
    }
}

/// Classifies the comments of all files.
pub(super) fn run(
    engine: Engine,
    inputs: &Inputs,
    hints: &ColumnHints,
    format: Format,
    excel: bool,
) -> anyhow::Result<Counts> {
    let several = inputs.files.len() > 1;
    // JSON has the text of bare lines under its own name, as for standard input.
    let printer = Printer::new(format, excel, inputs.columns.clone(), several, &engine)?;
    let bar = bar(inputs);
    let mut batch = Batch {
        engine,
        printer,
        rows: Vec::new(),
        bytes: 0,
        predictions: Vec::new(),
        counts: Counts::default(),
    };
    for input in &inputs.files {
        match of_file(input, inputs, hints, format, several, &mut batch, &bar) {
            Ok(()) => {}
            Err(Stop::Closed) => return Ok(Counts::default()),
            Err(Stop::Data(error)) => return Err(error.into()),
            Err(Stop::Other(error)) => return Err(error),
        }
    }
    bar.finish_and_clear();
    batch.printer.finish()?;
    Ok(batch.counts)
}

fn bar(inputs: &Inputs) -> ProgressBar {
    let style = ProgressStyle::with_template(
        "{bar:32.cyan/dim} {percent:>3} %  {msg}  {elapsed} elapsed, {eta} left",
    )
    .expect("the template is valid")
    .progress_chars("━╸─");
    let bytes =
        inputs.files.iter().map(|input| std::fs::metadata(&input.path).map_or(0, |data| data.len())).sum();
    ProgressBar::new(bytes).with_style(style)
}

fn of_file(
    input: &Input,
    inputs: &Inputs,
    hints: &ColumnHints,
    format: Format,
    several: bool,
    batch: &mut Batch,
    bar: &ProgressBar,
) -> Result<(), Stop> {
    let table = hints.open(&input.path)?;
    let texts = Texts::of(&table, &input.text.text);
    let text = table.place(&input.text.text).unwrap_or(0);
    let id = input.text.id.as_deref().and_then(|id| table.place(id));
    // The cells in the order of all files' columns, then the text and the id again.
    let own: Vec<Option<usize>> =
        inputs.columns.iter().map(|column| table.columns().iter().position(|own| own == column)).collect();
    let places: Vec<usize> = own.iter().flatten().copied().chain([text]).chain(id).collect();
    let count = own.iter().flatten().count();
    let bare = input.kind == Kind::Text && format == Format::Jsonl;
    let json = matches!(input.kind, Kind::JsonLines | Kind::JsonArray);
    let file = several.then(|| input.path.display().to_string());
    let (position, begin) = (table.position(), bar.position());
    let mut left_out = LeftOut::default();
    let read = table.read::<Stop>(&places, |line, row| {
        let row = match row {
            Row::Blank => {
                left_out.add(Reason::Blank, line);
                return Ok(());
            }
            Row::Bad(bad) => {
                Pending { line, text: Err(bad), id: None, own: Vec::new(), bare, json, file: file.clone() }
            }
            Row::Cells(cells) => {
                let mut given = cells.iter();
                let own =
                    own.iter().map(|place| place.and_then(|_| given.next()).map_or(Cell::Missing, owned));
                let own: Vec<Cell<'static>> = own.collect();
                Pending {
                    line,
                    text: texts.text(&cells[count]).map(str::to_owned),
                    id: id.and_then(|_| cells.get(count + 1)).and_then(to_json),
                    own: if bare { Vec::new() } else { own },
                    bare,
                    json,
                    file: file.clone(),
                }
            }
        };
        if batch.push(row) {
            batch.flush()?;
            bar.set_position(begin + position.get());
            bar.set_message(format!("{} comments", batch.counts.all));
        }
        Ok(())
    });
    // What was read before an error is answered.
    batch.flush()?;
    read?;
    bar.set_position(begin + std::fs::metadata(&input.path).map_or(0, |data| data.len()));
    bar.suspend(|| tell_left_out(Path::new(&input.path), &left_out));
    Ok(())
}

fn owned(cell: &Cell<'_>) -> Cell<'static> {
    cell.clone().into_owned()
}

/// A row that waits for its batch.
struct Pending {
    line: u64,
    text: Result<String, BadRow>,
    id: Option<String>,
    own: Vec<Cell<'static>>,
    bare: bool,
    json: bool,
    file: Option<String>,
}

/// The class that a record with the same fault has in a topic.
fn class(bad: &BadRow, json: bool) -> DeadLetterClass {
    match bad {
        BadRow { encoding: true, .. } => DeadLetterClass::InvalidUtf8,
        BadRow { reason, .. } if reason.ends_with("is not a string") => DeadLetterClass::TextNotString,
        _ if json => DeadLetterClass::InvalidJson,
        _ => DeadLetterClass::MissingText,
    }
}

/// Rows that are classified together.
struct Batch {
    engine: Engine,
    printer: Printer,
    rows: Vec<Pending>,
    bytes: usize,
    predictions: Vec<Prediction>,
    counts: Counts,
}

impl Batch {
    /// Adds a row; whether the batch is full.
    fn push(&mut self, row: Pending) -> bool {
        self.bytes += row.own.iter().map(|cell| cell.as_str().len() + 32).sum::<usize>();
        self.bytes += row.text.as_ref().map_or(0, String::len);
        self.rows.push(row);
        self.rows.len() >= BATCH || self.bytes >= MAX_BATCH_BYTES
    }

    fn flush(&mut self) -> Result<(), Stop> {
        let rows = std::mem::take(&mut self.rows);
        self.bytes = 0;
        let texts: Vec<&str> = rows.iter().filter_map(|row| row.text.as_deref().ok()).collect();
        self.engine.classify_into(&texts, &mut self.predictions)?;
        let mut predictions = self.predictions.iter();
        let model = self.engine.loaded().model();
        for row in &rows {
            let item = Item {
                line: row.line,
                file: row.file.as_deref(),
                id: row.id.as_deref(),
                text: row.text.as_deref().unwrap_or_default(),
                bare: row.bare,
                own: &row.own,
            };
            self.counts.all += 1;
            match &row.text {
                Ok(_) => {
                    let prediction = predictions.next().expect("one prediction a comment");
                    self.printer.verdict(&item, prediction, model)?;
                }
                Err(bad) => {
                    self.counts.broken += 1;
                    let class = class(bad, row.json);
                    self.printer.broken(&item, &DeadLetter { class, message: bad.reason.clone() })?;
                }
            }
        }
        if self.printer.flush()? { Ok(()) } else { Err(Stop::Closed) }
    }
}
