//! Where models are good and where they are not, below the table of key figures and in its JSON.

use super::decided::{self, Row};
use crate::cli::printer::outln;
use nunchi_eval::breakdown;
use nunchi_eval::evaluation::Observations;
use nunchi_eval::metrics::Outcome;
use unicode_width::UnicodeWidthStr as _;

/// Cells of a model's column.
const CELL: usize = 9;

/// Adds to a model's key figures what is measured by class, length, confidence and group.
pub(super) fn add_json(
    object: &mut serde_json::Value,
    outcomes: &[Outcome],
    labels: &[String],
    seen: &Observations,
) -> serde_json::Result<()> {
    object["recall"] = serde_json::to_value(breakdown::recall(outcomes, labels))?;
    object["lengths"] = serde_json::to_value(breakdown::by_length(outcomes, &seen.lengths))?;
    object["coverage"] = serde_json::to_value(breakdown::risk_coverage(outcomes))?;
    if let Some(groups) = &seen.groups {
        object["by"] = groups.column.as_str().into();
        object["groups"] = serde_json::to_value(breakdown::by_group(outcomes, groups))?;
    }
    Ok(())
}

/// One table: a row a class, a length, a group, a coverage; a column a model. With a `precision` also what it leaves.
pub(super) fn print(models: &[&str], labels: &[String], seen: &Observations, precision: Option<f64>) {
    let all = |of: &dyn Fn(&[Outcome]) -> Vec<Row>| -> Vec<Vec<Row>> {
        seen.outcomes.iter().map(|outcomes| of(outcomes)).collect()
    };
    let mut parts = vec![
        (
            "recall, by class".to_owned(),
            all(&|outcomes| {
                let classes = breakdown::recall(outcomes, labels);
                classes.into_iter().map(|one| (one.label, one.records, one.recall)).collect()
            }),
        ),
        (
            "accuracy, by length".to_owned(),
            all(&|outcomes| {
                let bins = breakdown::by_length(outcomes, &seen.lengths);
                bins.into_iter().map(|bin| (bin.name(), bin.records, Some(bin.accuracy))).collect()
            }),
        ),
        (
            "risk, by coverage".to_owned(),
            all(&|outcomes| {
                let risks = breakdown::risk_coverage(outcomes);
                risks
                    .into_iter()
                    .map(|one| (format!("{:.0} %", one.coverage * 100.0), one.records, Some(one.risk)))
                    .collect()
            }),
        ),
    ];
    if let Some(groups) = &seen.groups {
        parts.push((
            format!("accuracy, by {}", groups.column),
            all(&|outcomes| {
                let found = breakdown::by_group(outcomes, groups);
                found.into_iter().map(|one| (one.name, one.records, Some(one.accuracy))).collect()
            }),
        ));
    }
    if let Some(precision) = precision {
        let title = format!("answered, for precision {precision}");
        parts.push((title, all(&|outcomes| decided::answered(outcomes, labels, seen))));
        parts.push((
            "right, of the answered".to_owned(),
            all(&|outcomes| decided::right(outcomes, labels, seen)),
        ));
    }
    let names = parts.iter().flat_map(|(title, rows)| {
        rows.first().into_iter().flatten().map(|(name, ..)| name.width()).chain([title.width()])
    });
    let widest = names.max().unwrap_or(0);
    let widths: Vec<usize> = models.iter().map(|name| name.width().max(CELL)).collect();
    for (title, columns) in &parts {
        let padded = |text: &str| format!("{text}{}", " ".repeat(widest - text.width()));
        let names = models.iter().zip(&widths);
        let names = names.map(|(name, width)| format!("  {}{name}", " ".repeat(width - name.width())));
        outln!("\n{}  comments{}", padded(title), names.collect::<String>());
        for (at, (name, records, _)) in columns.first().into_iter().flatten().enumerate() {
            let cell = |(column, width): (&Vec<Row>, &usize)| match column.get(at) {
                Some((.., Some(share))) => format!("  {:>width$.2} %", share * 100.0, width = width - 2),
                _ => format!("  {:>width$}", "–"),
            };
            let cells: String = columns.iter().zip(&widths).map(cell).collect();
            outln!("{}  {records:>8}{cells}", padded(name));
        }
    }
}
