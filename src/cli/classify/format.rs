//! What is printed of a comment: a verdict, or why there is none.

use super::Format;
use super::parquet::Parquet;
use crate::cli::color::{self, Paint, Tone};
use crate::cli::printer::{Output, write_bytes};
use crate::record::{DeadLetter, Verdict, write_sentences};
use nunchi_data::Cell;
use nunchi_engine::score::WrittenScore;
use nunchi_engine::{Engine, Prediction, Unsure};
use nunchi_model::Model;
use std::collections::HashSet;
use std::io::{self, Write as _};

/// Cells of a score's bar.
const BAR: usize = 10;
/// Columns that are added to those of the input.
pub(super) const ADDED: [&str; 7] = ["label", "score", "scores", "unsure", "sentences", "model", "error"];

/// One comment.
pub(super) struct Item<'a> {
    /// Its line, counted from 1.
    pub(super) line: u64,
    /// Its file, if there are several.
    pub(super) file: Option<&'a str>,
    /// The id's JSON.
    pub(super) id: Option<&'a str>,
    /// The comment.
    pub(super) text: &'a str,
    /// Whether it was a line by itself: then the text is given back.
    pub(super) bare: bool,
    /// The cells of the input's own columns.
    pub(super) own: &'a [Cell<'a>],
}

/// Prints verdicts.
pub(super) struct Printer {
    format: Format,
    paint: Paint,
    excel: bool,
    /// The input's own columns.
    own: Vec<String>,
    /// Whether a column names the file.
    with_file: bool,
    /// Whether verdicts have scores of several classes.
    with_scores: bool,
    /// Whether verdicts may be unsure.
    with_unsure: bool,
    /// Whether verdicts have sentences.
    with_sentences: bool,
    out: Vec<u8>,
    parquet: Option<Parquet>,
    begun: bool,
}

impl Printer {
    /// For verdicts of `engine` about an input with the columns `own`.
    pub(super) fn new(
        format: Format,
        excel: bool,
        own: Vec<String>,
        with_file: bool,
        engine: &Engine,
    ) -> anyhow::Result<Self> {
        let with_scores = engine.loaded().model().labels.len() > 2;
        let mut printer = Printer {
            format,
            paint: Paint::for_stdout(),
            excel,
            own,
            with_file,
            with_scores,
            with_unsure: engine.loaded().decision().is_some(),
            with_sentences: engine.has_sentences(),
            out: Vec::new(),
            parquet: None,
            begun: false,
        };
        if format == Format::Parquet {
            printer.parquet = Some(Parquet::new(Output, &printer.columns())?);
        }
        Ok(printer)
    }

    /// Whether a table is printed, which has columns of the input.
    pub(super) fn is_table(&self) -> bool {
        matches!(self.format, Format::Csv | Format::Tsv | Format::Parquet)
    }

    /// The names of all columns of a table. What is added does not take a name that the input has: `label` becomes
    /// `nunchi_label`.
    fn columns(&self) -> Vec<String> {
        let mut names: HashSet<String> = self.own.iter().map(|name| name.trim().to_lowercase()).collect();
        let mut free = |name: &str| {
            let mut name = name.to_owned();
            while !names.insert(name.clone()) {
                name = format!("nunchi_{name}");
            }
            name
        };
        let file = self.with_file.then(|| free("file"));
        let added: Vec<String> = ADDED
            .iter()
            .filter(|name| match **name {
                "scores" => self.with_scores,
                "unsure" => self.with_unsure,
                "sentences" => self.with_sentences,
                _ => true,
            })
            .map(|name| free(name))
            .collect();
        file.into_iter().chain(self.own.iter().cloned()).chain(added).collect()
    }

    /// Adds a verdict.
    pub(super) fn verdict(
        &mut self,
        item: &Item<'_>,
        prediction: &Prediction,
        model: &Model,
    ) -> anyhow::Result<()> {
        match self.format {
            Format::Jsonl => self.json(item, prediction, model),
            Format::Text => self.text(item, prediction, model),
            Format::Csv | Format::Tsv | Format::Parquet => {
                let score = WrittenScore::new(prediction.score).value();
                let scores = self.with_scores.then(|| scores(prediction, model));
                let label = model.labels.get(prediction.label).map_or("", String::as_str);
                let sentences = self.with_sentences.then(|| sentences(prediction, model));
                let added = Added {
                    label: Some(label),
                    scores: scores.as_deref(),
                    unsure: prediction.unsure.map(|_| "true"),
                    sentences: sentences.as_deref(),
                    model: Some(&model.version),
                    error: None,
                };
                self.row(item, added, Some(score))?;
            }
        }
        Ok(())
    }

    /// Adds what could not be classified, and why.
    pub(super) fn broken(&mut self, item: &Item<'_>, error: &DeadLetter) -> anyhow::Result<()> {
        match self.format {
            Format::Jsonl => {
                let mut object = serde_json::json!({
                    "error": error.message, "class": error.class.name(), "line": item.line,
                });
                if let Some(file) = item.file {
                    object["file"] = file.into();
                }
                self.out.extend_from_slice(object.to_string().as_bytes());
                self.out.push(b'\n');
            }
            Format::Text => {
                let mut line = String::new();
                let file = item.file.map_or_else(String::new, |file| format!("{file}, "));
                self.paint.paint(
                    Tone::Warning,
                    &format!("{file}line {}: {}", item.line, error.message),
                    &mut line,
                );
                self.out.extend_from_slice(line.as_bytes());
                self.out.push(b'\n');
            }
            Format::Csv | Format::Tsv | Format::Parquet => {
                let message = format!("line {}: {}", item.line, error.message);
                self.row(item, Added { error: Some(&message), ..Added::default() }, None)?;
            }
        }
        Ok(())
    }

    /// Prints what was added; whether more can be printed.
    pub(super) fn flush(&mut self) -> anyhow::Result<bool> {
        if let Some(parquet) = &mut self.parquet {
            return parquet.flush();
        }
        self.begin()?;
        let open = write_bytes(&self.out);
        self.out.clear();
        Ok(open)
    }

    /// Prints what stands at the end.
    pub(super) fn finish(mut self) -> anyhow::Result<()> {
        match self.parquet.take() {
            Some(parquet) => parquet.finish(),
            None => self.flush().map(drop),
        }
    }

    fn json(&mut self, item: &Item<'_>, prediction: &Prediction, model: &Model) {
        let verdict = Verdict { id: item.id, prediction, labels: &model.labels, model: &model.version };
        let cells: Vec<Option<String>> = item.own.iter().map(to_json).collect();
        let cells: Vec<Option<&str>> = cells.iter().map(Option::as_deref).collect();
        let own = if item.own.is_empty() { &[] } else { &self.own[..] };
        verdict.write(own, &cells, &mut self.out);
        let mut add = |name: &str, text: &str| {
            self.out.pop();
            self.out.extend_from_slice(format!(",\"{name}\":").as_bytes());
            serde_json::to_writer(&mut self.out, text).expect("writing a string to memory does not fail");
            self.out.push(b'}');
        };
        if item.bare {
            add("text", item.text);
        }
        if let Some(file) = item.file {
            add("file", file);
        }
        self.out.push(b'\n');
    }

    fn text(&mut self, item: &Item<'_>, prediction: &Prediction, model: &Model) {
        let width = model.labels.iter().map(|label| label.chars().count()).max().unwrap_or(0);
        let label = &model.labels[prediction.label];
        let score = WrittenScore::new(prediction.score).value();
        let full = (score * BAR as f64).round() as usize;
        let bar = "█".repeat(full) + &"░".repeat(BAR - full);
        let mut line = String::new();
        self.paint.paint(color::tone(score), &format!("{label:<width$} {score:.3} {bar}"), &mut line);
        line.push(' ');
        color::push_harmless(item.text, &mut line);
        if prediction.truncated {
            self.paint.paint(Tone::Faint, " (cut)", &mut line);
        }
        if let Some(reason) = prediction.unsure {
            let why = match reason {
                Unsure::Band => " (unsure)",
                Unsure::NoOpinion => " (unsure: no opinion)",
                Unsure::Language => " (unsure: another language)",
            };
            self.paint.paint(Tone::Faint, why, &mut line);
        }
        line.push('\n');
        let parts = prediction.sentences.as_ref().map_or(&[][..], |sentences| &sentences.parts);
        for part in parts.iter().filter(|_| parts.len() > 1) {
            let score = WrittenScore::new(part.score).value();
            line.push_str("    ");
            self.paint.paint(
                color::tone(score),
                &format!("{:<width$} {score:.3}", model.labels[part.label]),
                &mut line,
            );
            line.push(' ');
            let text: String = item.text.chars().skip(part.start).take(part.end - part.start).collect();
            color::push_harmless(&text, &mut line);
            line.push('\n');
        }
        self.out.extend_from_slice(line.as_bytes());
    }

    /// Adds a row of a table; the score stands behind the label.
    fn row(&mut self, item: &Item<'_>, added: Added<'_>, score: Option<f64>) -> anyhow::Result<()> {
        let Added { label, scores, unsure, sentences, model, error } = added;
        let file = self.with_file.then(|| item.file.unwrap_or_default());
        let own = |at: usize| item.own.get(at).filter(|cell| **cell != Cell::Missing).map(Cell::as_str);
        let mut cells: Vec<Option<&str>> = file.map(Some).into_iter().collect();
        cells.extend((0..self.own.len()).map(own));
        let before = cells.len() + 1;
        cells.push(label);
        cells.extend(self.with_scores.then_some(scores));
        cells.extend(self.with_unsure.then_some(unsure));
        cells.extend(self.with_sentences.then_some(sentences));
        cells.extend([model, error]);
        if let Some(parquet) = &mut self.parquet {
            parquet.push(&cells, before, score);
            return Ok(());
        }
        self.begin()?;
        let score = score.map(|score| score.to_string());
        cells.insert(before, score.as_deref());
        self.write_cells(cells.into_iter().map(Option::unwrap_or_default), false)?;
        Ok(())
    }

    /// Writes the row with the columns' names, once.
    fn begin(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.begun, true) || !matches!(self.format, Format::Csv | Format::Tsv) {
            return Ok(());
        }
        if self.excel {
            self.out.extend_from_slice("\u{feff}".as_bytes());
        }
        let columns = self.columns();
        self.write_cells(columns.iter().map(String::as_str), true)
    }

    fn write_cells<'a>(&mut self, cells: impl Iterator<Item = &'a str>, names: bool) -> io::Result<()> {
        let delimiter = if self.format == Format::Tsv { '\t' } else { ',' };
        for (at, cell) in cells.enumerate() {
            if at > 0 {
                write!(self.out, "{delimiter}")?;
            }
            // Excel would compute what begins so; a quotation mark shows it as text.
            let formula = self.excel
                && !names
                && cell.starts_with(['=', '+', '-', '@', '\t', '\r'])
                && cell.parse::<f64>().is_err();
            let quoted =
                cell.contains(['"', '\n', '\r', delimiter]) || cell.starts_with(' ') || cell.ends_with(' ');
            match (quoted, formula) {
                (false, false) => write!(self.out, "{cell}")?,
                (false, true) => write!(self.out, "'{cell}")?,
                (true, _) => {
                    let mark = if formula { "'" } else { "" };
                    write!(self.out, "\"{mark}{}\"", cell.replace('"', "\"\""))?;
                }
            }
        }
        self.out.extend_from_slice(if self.excel { b"\r\n" } else { b"\n" });
        Ok(())
    }
}

/// The columns of a table that are added to those of the input, but the score.
#[derive(Default)]
struct Added<'a> {
    label: Option<&'a str>,
    scores: Option<&'a str>,
    unsure: Option<&'a str>,
    sentences: Option<&'a str>,
    model: Option<&'a str>,
    error: Option<&'a str>,
}

/// The sentences as a verdict has them; nothing for a comment of none.
fn sentences(prediction: &Prediction, model: &Model) -> String {
    let mut out = Vec::new();
    if let Some(sentences) = &prediction.sentences {
        write_sentences(sentences, &model.labels, &mut out);
    }
    String::from_utf8(out).expect("JSON is UTF-8")
}

/// The scores of all classes as JSON.
fn scores(prediction: &Prediction, model: &Model) -> String {
    let scores = model.labels.iter().zip(&prediction.scores);
    let scores: serde_json::Map<String, serde_json::Value> =
        scores.map(|(label, &score)| (label.clone(), WrittenScore::new(score).value().into())).collect();
    serde_json::Value::Object(scores).to_string()
}

/// A cell as JSON; nothing where nothing stands.
pub(in crate::cli) fn to_json(cell: &Cell<'_>) -> Option<String> {
    let string = |text: &str| serde_json::Value::from(text).to_string();
    Some(match cell {
        Cell::Missing => return None,
        Cell::Text(text) => string(text),
        Cell::Bool(value) => value.to_string(),
        Cell::Json(json) => json.clone().into_owned(),
        Cell::Number(digits) => match serde_json::from_str::<&serde_json::value::RawValue>(digits) {
            Ok(_) => digits.clone().into_owned(),
            Err(_) => string(digits),
        },
    })
}
