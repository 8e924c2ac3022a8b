//! The clean form of a file: comments, labels and stars under the names that every reader knows.

use super::columns::ColumnHints;
use super::error::DataError;
use super::mapping::Target;
use super::names::{self, IDS, LABELS, STARS};
use super::read::Texts;
use super::rows::{BadRow, Cell};
use super::tally::{LeftOut, Reason, Tally};
use std::path::Path;

/// A row in the clean form.
#[derive(Clone, Debug, PartialEq)]
pub struct CleanRow<'a> {
    /// The comment's id.
    pub id: Option<&'a Cell<'a>>,
    /// The comment.
    pub text: &'a str,
    /// Its label.
    pub label: Option<&'a str>,
    /// Its stars, of five.
    pub rating: Option<f64>,
    /// The other columns.
    pub others: &'a [Cell<'a>],
}

/// Reads all rows of `path` in the clean form: `begin` gets the names of the columns that the file has of that form, and those of
/// the others, `visit` the rows. What has no
/// comment is left out.
///
/// # Errors
/// As [`super::read`]; those of `begin` and `visit`.
pub fn clean<E: From<DataError>>(
    path: &Path,
    hints: &ColumnHints,
    labels: &[String],
    begin: impl FnOnce(&[&'static str], &[String]) -> Result<(), E>,
    mut visit: impl FnMut(CleanRow<'_>) -> Result<(), E>,
) -> Result<LeftOut, E> {
    let table = hints.open(path)?;
    let columns = table.columns().to_vec();
    let text = hints.text_of(path, &table)?.text;
    let named = |name: &Option<String>, known: &[&str]| match name {
        Some(name) => table.place(name).map(Some).ok_or_else(|| DataError::column(path, name, &columns)),
        None => Ok(names::find_known(&columns, known)),
    };
    let label = named(&hints.label, &LABELS)?;
    let stars = named(&hints.stars, &STARS)?.filter(|&stars| Some(stars) != label);
    let text_place = table.place(&text).unwrap_or(0);
    let id = names::find_known(&columns, &IDS).filter(|&id| id != text_place);
    let own = [Some(text_place), label, stars, id];
    let others: Vec<usize> = (0..columns.len())
        .filter(|place| !own.contains(&Some(*place)) && !columns[*place].trim().is_empty())
        .collect();
    let names = [("id", id), ("text", Some(text_place)), ("label", label), ("rating", stars)];
    let names: Vec<&str> = names.into_iter().filter_map(|(name, place)| place.map(|_| name)).collect();
    begin(&names, &others.iter().map(|&place| free_name(&columns[place])).collect::<Vec<_>>())?;

    let target = label.map(|place| Target::Label { column: columns[place].clone(), labels: labels.to_vec() });
    let star_target = stars.map(|place| hints.star_target(columns[place].clone()));
    let places: Vec<usize> = own.into_iter().flatten().chain(others.iter().copied()).collect();
    let (mut tally, texts) = (Tally::default(), Texts::of(&table, &text));
    table.read(&places, |line, row| {
        let Some(cells) = tally.cells(line, row) else { return Ok(()) };
        let clean = cells.and_then(|cells| {
            let (text, mut rest) = (texts.text(&cells[0])?, cells[1..].iter());
            let (label_cell, stars_cell) = (label.and_then(|_| rest.next()), stars.and_then(|_| rest.next()));
            let id = id.and_then(|_| rest.next()).filter(|id| !id.is_blank());
            let mut label = None;
            if let (Some(cell), Some(target)) = (label_cell.filter(|cell| !cell.is_blank()), &target) {
                let class = target.class(cell.as_str());
                tally.value(cell.as_str(), class.is_err());
                label = class.map_err(BadRow::from)?.and_then(|class| labels.get(class)).map(String::as_str);
            }
            let mut rating = None;
            if let (Some(cell), Some(target)) = (stars_cell.filter(|cell| !cell.is_blank()), &star_target) {
                let class = target.class(cell.as_str());
                tally.value(cell.as_str(), class.is_err());
                class.map_err(BadRow::from)?;
                rating = target.stars(cell.as_str()).map(|stars| of_five(stars, hints.scale));
            }
            Ok(CleanRow { id, text, label, rating, others: rest.as_slice() })
        });
        match tally.count(line, clean) {
            Some(clean) if clean.text.trim().is_empty() => {
                tally.left_out.add(Reason::EmptyText, line);
                Ok(())
            }
            Some(clean) => visit(clean),
            None => Ok(()),
        }
    })?;
    tally.end(path, hints.skip_bad_rows)?;
    Ok(tally.left_out)
}

/// Stars as of five, to the hundredth.
fn of_five(stars: f64, scale: Option<f64>) -> f64 {
    let stars = scale.map_or(stars, |scale| (stars * 5.0 / scale).max(1.0));
    (stars * 100.0).round() / 100.0
}

/// A name that is none of the clean form's.
fn free_name(name: &str) -> String {
    match names::key(name).as_str() {
        "id" | "text" | "label" | "rating" => format!("{}_original", name.trim()),
        _ => name.trim().to_owned(),
    }
}
