//! `nunchi data check`

use super::{CheckArgs, labels};
use crate::cli::exit::ExitStatus;
use crate::cli::printer::{errln, outln};
use nunchi_data::{Kind, Reason, Report};
use serde_json::{Value, json};
use std::path::Path;
use unicode_width::UnicodeWidthStr as _;

/// Columns of the names on the left.
const WIDTH: usize = 12;

/// Runs the command.
pub(super) fn run(args: &CheckArgs) -> anyhow::Result<ExitStatus> {
    let (hints, labels) = (args.columns.hints(), labels(args.labels.as_ref()));
    let mut status = ExitStatus::Done;
    for (at, path) in args.files.iter().enumerate() {
        let report = nunchi_data::check(path, &hints, &labels);
        if !report.as_ref().is_ok_and(|report| report.left_out.count(Reason::Bad) == 0) {
            status = ExitStatus::Failed;
        }
        match (report, args.json) {
            (Ok(report), true) => outln!("{}", to_json(path, &report)),
            (Ok(report), false) => {
                if at > 0 {
                    outln!();
                }
                print(path, &report);
            }
            (Err(error), true) => {
                outln!("{}", json!({ "file": path.display().to_string(), "error": error.to_string() }));
            }
            (Err(error), false) => errln!("nunchi: {error}"),
        }
    }
    Ok(status)
}

/// The character between columns, if there is one.
fn delimiter(report: &Report) -> Option<char> {
    match report.recognized.kind {
        Kind::Delimited(delimiter) => Some(delimiter),
        _ => None,
    }
}

fn to_json(path: &Path, report: &Report) -> Value {
    let recognized = &report.recognized;
    let odd: Vec<Value> =
        report.odd.iter().map(|(line, reason)| json!({ "line": line, "reason": reason })).collect();
    let stars: serde_json::Map<String, Value> =
        report.star_counts.iter().map(|(stars, count)| (stars.to_string(), (*count).into())).collect();
    json!({
        "file": path.display().to_string(),
        "format": recognized.kind.name(),
        "compression": recognized.layers,
        "encoding": recognized.encoding.map(|encoding| encoding.name()),
        "delimiter": delimiter(report),
        "header": recognized.header,
        "sheet": recognized.sheet.map(|(sheet, _)| sheet),
        "columns": report.columns,
        "text": report.text,
        "label": report.label,
        "stars": report.stars,
        "id": report.id,
        "scale": report.scale,
        "rows": report.rows,
        "labels": report.labels,
        "star_counts": stars,
        "between": report.between,
        "blank": report.left_out.count(Reason::Blank),
        "empty": report.left_out.count(Reason::EmptyText),
        "unlabelled": report.left_out.count(Reason::NoLabel),
        "duplicates": report.duplicates,
        "lengths": report.lengths.map(|[least, median, most_of, most]| {
            json!({ "min": least, "median": median, "p95": most_of, "max": most })
        }),
        "bad_rows": report.left_out.count(Reason::Bad),
        "odd": odd,
    })
}

/// A table for people.
fn print(path: &Path, report: &Report) {
    let recognized = &report.recognized;
    let line = |name: &str, value: &str| {
        outln!("  {name}{} {value}", " ".repeat(WIDTH.saturating_sub(name.width())))
    };
    outln!("{}", path.display());
    let mut format = recognized.kind.name().to_owned();
    for layer in recognized.layers.iter().rev() {
        format += &format!(" in {layer}");
    }
    if let Some((sheet, of)) = recognized.sheet.filter(|&(_, of)| of > 1) {
        format += &format!(", sheet {sheet} of {of}");
    }
    line("format", &format);
    if let Some(encoding) = recognized.encoding {
        line("encoding", &format!("read as {encoding}"));
    }
    if let Some(delimiter) = delimiter(report) {
        line("delimiter", &if delimiter == '\t' { "tab".to_owned() } else { delimiter.to_string() });
    }
    if let Some(header) = recognized.header {
        line("header", &format!("line {header}"));
    }
    line(
        "columns",
        &report.columns.iter().filter(|name| !name.is_empty()).cloned().collect::<Vec<_>>().join(", "),
    );
    line("text", &report.text);
    for (name, column) in [("label", &report.label), ("id", &report.id)] {
        if let Some(column) = column {
            line(name, column);
        }
    }
    if let (Some(stars), Some(scale)) = (&report.stars, report.scale) {
        let told = if scale == 5.0 { String::new() } else { format!(": tell it with --stars-scale {scale}") };
        line("stars", &format!("{stars}, of {scale}{told}"));
    }
    line("rows", &report.rows.to_string());
    if !report.labels.is_empty() {
        let mut counts: Vec<String> =
            report.labels.iter().map(|(label, count)| format!("{count} {label}")).collect();
        if report.between > 0 {
            counts.push(format!("{} in between", report.between));
        }
        line("labels", &counts.join(", "));
    }
    if !report.star_counts.is_empty() {
        let counts: Vec<String> =
            report.star_counts.iter().map(|(stars, count)| format!("{stars}: {count}")).collect();
        line("by stars", &counts.join(", "));
    }
    if let Some([least, median, most_of, most]) = report.lengths {
        line("lengths", &format!("{least} to {most} characters, median {median}, 95 % up to {most_of}"));
    }
    line("duplicates", &report.duplicates.to_string());
    line(
        "left out",
        &match report.left_out.to_string() {
            nothing if nothing.is_empty() => "nothing".to_owned(),
            left_out => left_out,
        },
    );
    for (number, reason) in &report.odd {
        outln!("    line {number}: {reason}");
    }
}
