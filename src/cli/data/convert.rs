//! `nunchi data convert`

use super::{ConvertArgs, labels};
use crate::cli::classify::to_json;
use crate::cli::columns::{tell, tell_left_out};
use crate::cli::exit::{ExitStatus, UsageError};
use crate::cli::printer::errln;
use anyhow::{Context as _, bail};
use flate2::Compression;
use flate2::write::GzEncoder;
use nunchi_data::{CleanRow, DataError, clean};
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// How the clean form is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Jsonl,
    Delimited(u8),
}

/// Runs the command.
pub(super) fn run(args: &ConvertArgs) -> anyhow::Result<ExitStatus> {
    let to = &args.to;
    let (form, gzip) = form(to)?;
    if to.exists() {
        bail!("{} exists and is not overwritten: name another file with --to", to.display());
    }
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (hints, labels) = (args.columns.hints(), labels(args.labels.as_ref()));
    tell(&args.file, hints.text(&args.file)?.remarks.as_deref());
    // Under its own name only when it is complete.
    let file =
        tempfile::NamedTempFile::new_in(folder).with_context(|| format!("cannot write {}", to.display()))?;
    let plain: Box<dyn Write> = Box::new(file.reopen()?);
    let out: Box<dyn Write> =
        if gzip { Box::new(GzEncoder::new(plain, Compression::default())) } else { plain };
    let writer = std::cell::RefCell::new(Writer {
        out: BufWriter::new(out),
        form,
        own: Vec::new(),
        others: Vec::new(),
        rows: 0,
    });
    let begin =
        |own: &[&'static str], others: &[String]| writer.borrow_mut().begin(own, others).map_err(Stop::Write);
    let read =
        clean(&args.file, &hints, &labels, begin, |row| writer.borrow_mut().write(&row).map_err(Stop::Write));
    let left_out = match read {
        Ok(left_out) => left_out,
        Err(Stop::Data(error)) => return Err(error.into()),
        Err(Stop::Write(error)) => {
            return Err(error).with_context(|| format!("cannot write {}", to.display()));
        }
    };
    let mut writer = writer.into_inner();
    writer.out.flush().with_context(|| format!("cannot write {}", to.display()))?;
    // The end of gzip is written when its encoder is dropped.
    drop(writer.out);
    file.as_file().sync_all()?;
    file.persist_noclobber(to).with_context(|| format!("cannot write {}", to.display()))?;
    tell_left_out(&args.file, &left_out);
    let plural = if writer.rows == 1 { "" } else { "s" };
    errln!("wrote {}: {} comment{plural}", to.display(), writer.rows);
    Ok(ExitStatus::Done)
}

enum Stop {
    Data(DataError),
    Write(io::Error),
}

impl From<DataError> for Stop {
    fn from(error: DataError) -> Self {
        Stop::Data(error)
    }
}

fn form(path: &Path) -> Result<(Form, bool), UsageError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let bare = name.strip_suffix(".gz").unwrap_or(&name);
    let form = match bare.rsplit_once('.').map(|(_, ending)| ending) {
        Some("jsonl" | "ndjson") => Form::Jsonl,
        Some("csv") => Form::Delimited(b','),
        Some("tsv") => Form::Delimited(b'\t'),
        _ => {
            return Err(UsageError::new(format!(
                "the name of {} (--to) must end in .jsonl, .csv or .tsv, or in one of these and .gz",
                path.display()
            )));
        }
    };
    Ok((form, bare.len() < name.len()))
}

struct Writer {
    out: BufWriter<Box<dyn Write>>,
    form: Form,
    /// The columns of the clean form that the file has.
    own: Vec<&'static str>,
    /// The names of the other columns.
    others: Vec<String>,
    rows: u64,
}

impl Writer {
    fn begin(&mut self, own: &[&'static str], others: &[String]) -> io::Result<()> {
        (self.own, self.others) = (own.to_vec(), others.to_vec());
        let Form::Delimited(delimiter) = self.form else { return Ok(()) };
        let names = own.iter().copied().chain(others.iter().map(String::as_str));
        delimited(&mut self.out, delimiter, names)
    }

    fn write(&mut self, row: &CleanRow<'_>) -> io::Result<()> {
        self.rows += 1;
        let rating = row.rating.map(|rating| rating.to_string());
        if let Form::Delimited(delimiter) = self.form {
            let own = self.own.iter().map(|&name| match name {
                "id" => row.id.map_or("", |id| id.as_str()),
                "text" => row.text,
                "label" => row.label.unwrap_or_default(),
                _ => rating.as_deref().unwrap_or_default(),
            });
            let cells = own.chain(row.others.iter().map(|cell| cell.as_str()));
            return delimited(&mut self.out, delimiter, cells);
        }
        let string = |text: &str| serde_json::Value::from(text).to_string();
        let own = [
            ("id", row.id.and_then(to_json)),
            ("text", Some(string(row.text))),
            ("label", row.label.map(string)),
            ("rating", rating),
        ];
        let others = self.others.iter().map(String::as_str).zip(row.others.iter().map(to_json));
        let fields = own.into_iter().chain(others).filter_map(|(name, json)| Some((name, json?)));
        for (at, (name, json)) in fields.enumerate() {
            write!(self.out, "{}{}:{json}", if at == 0 { "{" } else { "," }, string(name))?;
        }
        self.out.write_all(b"}\n")
    }
}

fn delimited<'a>(
    out: &mut impl Write,
    delimiter: u8,
    cells: impl Iterator<Item = &'a str>,
) -> io::Result<()> {
    for (at, cell) in cells.enumerate() {
        if at > 0 {
            out.write_all(&[delimiter])?;
        }
        if cell.bytes().any(|byte| matches!(byte, b'"' | b'\n' | b'\r') || byte == delimiter) {
            write!(out, "\"{}\"", cell.replace('"', "\"\""))?;
        } else {
            out.write_all(cell.as_bytes())?;
        }
    }
    out.write_all(b"\n")
}
