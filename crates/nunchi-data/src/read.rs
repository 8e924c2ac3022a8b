//! Comments out of files, one after another; rows that cannot be understood are counted, and decide in the end.

use super::columns::Columns;
use super::error::DataError;
use super::file::Encoding;
use super::mapping::Target;
use super::rows::{BadRow, Cell, Kind, Table};
use super::shown::{shown_column, shown_value};
use super::tally::{LeftOut, Reason, Tally};
use std::path::Path;

/// One labeled comment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Example<'a> {
    /// The comment.
    pub text: &'a str,
    /// Its class: an index into the labels.
    pub class: usize,
    /// The soft label: a teacher's probability of positive.
    pub soft: Option<f32>,
}

/// One comment that needs no label.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comment<'a> {
    /// The comment.
    pub text: &'a str,
    /// The soft label: a teacher's probability of positive.
    pub soft: Option<f32>,
}

/// What was found in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Labeled rows by class.
    pub classes: Vec<usize>,
    /// Rows whose stars stand for no class.
    pub dropped: usize,
    /// Rows that were left out because they could not be understood.
    pub bad: usize,
    /// All rows that were left out but for stars, and the lines of the first ones.
    pub left_out: LeftOut,
}

impl Counts {
    /// All labeled rows.
    pub fn labeled(&self) -> usize {
        self.classes.iter().sum()
    }
}

/// Reads every labeled comment of `path` in order and hands it to `visit`.
///
/// # Errors
/// See [`DataError`]; bad rows are counted to the end, so that one run shows how many there are. One class alone is
/// no error here: see [`require_classes`].
pub fn read(path: &Path, columns: &Columns, mut visit: impl FnMut(Example<'_>)) -> Result<Counts, DataError> {
    try_read(path, columns, None, |example| {
        visit(example);
        Ok(())
    })
}

/// As [`read`], with the value of column `by` of each row.
///
/// # Errors
/// As [`read`].
pub fn read_by(
    path: &Path,
    columns: &Columns,
    by: &str,
    mut visit: impl FnMut(Example<'_>, &str),
) -> Result<Counts, DataError> {
    read_rows(path, columns, None, Some(by), |example, value| {
        visit(example, value);
        Ok(())
    })
}

/// As [`read`], until `visit` fails; with the soft labels in column `soft`, if one is named.
///
/// # Errors
/// As [`read`], and those of `visit`.
pub fn try_read<E: From<DataError>>(
    path: &Path,
    columns: &Columns,
    soft: Option<&str>,
    mut visit: impl FnMut(Example<'_>) -> Result<(), E>,
) -> Result<Counts, E> {
    read_rows(path, columns, soft, None, |example, _| visit(example))
}

/// Reads every labeled comment with its soft label in `soft` and its value in `by`, where these columns are named.
fn read_rows<E: From<DataError>>(
    path: &Path,
    columns: &Columns,
    soft: Option<&str>,
    by: Option<&str>,
    mut visit: impl FnMut(Example<'_>, &str) -> Result<(), E>,
) -> Result<Counts, E> {
    let mut counts = Counts { classes: vec![0; columns.target.classes()], ..Counts::default() };
    let mut tally = Tally::default();
    let names: Vec<&str> =
        [columns.text.as_str(), columns.target.column()].into_iter().chain(by).chain(soft).collect();
    let (table, places) = open(path, columns.encoding, &names)?;
    let texts = Texts::of(&table, &columns.text);
    table.read(&places, |line, row| {
        let Some(cells) = tally.cells(line, row) else { return Ok(()) };
        let example = cells.and_then(|cells| {
            let text = texts.text(&cells[0])?;
            if text.trim().is_empty() {
                return Ok(Usable::No(Reason::EmptyText));
            }
            if cells[1].is_blank() {
                return Ok(Usable::No(Reason::NoLabel));
            }
            let class = class(&columns.target, &cells[1], &mut tally)?;
            let value = if by.is_some() { cells[2].as_str() } else { "" };
            let soft = probability(soft, cells.get(2 + usize::from(by.is_some())))?;
            Ok(Usable::Yes(text, class, soft, value))
        });
        match tally.count(line, example) {
            Some(Usable::Yes(text, Some(class), soft, value)) => {
                counts.classes[class] += 1;
                visit(Example { text, class, soft }, value)
            }
            Some(Usable::Yes(_, None, ..)) => {
                counts.dropped += 1;
                Ok(())
            }
            Some(Usable::No(reason)) => {
                tally.left_out.add(reason, line);
                Ok(())
            }
            None => Ok(()),
        }
    })?;
    counts.bad = tally.end(path, columns.skip_bad_rows)? as usize;
    counts.left_out = tally.left_out;
    if counts.labeled() == 0 {
        let why = match counts.left_out.to_string() {
            left_out if left_out.is_empty() => "the stars of all are in the middle".to_owned(),
            left_out if counts.dropped == 0 => left_out,
            left_out => format!("{} with stars in the middle, {left_out}", counts.dropped),
        };
        return Err(DataError::NoClass { path: path.to_owned(), rows: tally.rows, why }.into());
    }
    Ok(counts)
}

/// What a row holds.
enum Usable<'a> {
    Yes(&'a str, Option<usize>, Option<f32>, &'a str),
    No(Reason),
}

/// Opens a file, and finds the columns `names`.
fn open(path: &Path, encoding: Option<Encoding>, names: &[&str]) -> Result<(Table, Vec<usize>), DataError> {
    let table = Table::open(path, encoding, names.iter().copied())?;
    let place = |name: &&str| table.place(name).ok_or_else(|| DataError::column(path, name, table.columns()));
    let places = names.iter().map(place).collect::<Result<_, _>>()?;
    Ok((table, places))
}

/// The cells with comments: in a workbook a comment may be a number; where values have types it is a fault.
#[derive(Clone, Debug)]
pub struct Texts {
    numbers: bool,
    name: String,
}

impl Texts {
    /// Of column `name` of `table`.
    pub fn of(table: &Table, name: &str) -> Self {
        let numbers = matches!(table.recognized().kind, Kind::Xlsx | Kind::Xls);
        let place = table.place(name).unwrap_or(usize::MAX);
        Texts { numbers, name: shown_column(table.columns(), place) }
    }

    /// The comment in a cell; empty if there is none.
    ///
    /// # Errors
    /// A cell that is no text.
    pub fn text<'a>(&self, cell: &'a Cell<'_>) -> Result<&'a str, BadRow> {
        match cell {
            Cell::Text(_) | Cell::Missing => Ok(cell.as_str()),
            Cell::Number(_) | Cell::Bool(_) if self.numbers => Ok(cell.as_str()),
            _ => Err(BadRow::from(format!("{} is not a string", self.name))),
        }
    }
}

/// The class in a cell; nothing for stars in the middle.
fn class(target: &Target, cell: &Cell<'_>, tally: &mut Tally) -> Result<Option<usize>, BadRow> {
    if let Cell::Json(_) = cell {
        return Err(BadRow::from(format!("`{}` is neither a number nor a string", target.column())));
    }
    let class = target.class(cell.as_str());
    tally.value(cell.as_str(), class.is_err());
    class.map_err(BadRow::from)
}

/// Reads every comment in column `text` of `path` in order, labeled or not, until `visit` fails; with the soft
/// labels in column `soft`, if one is named. Returns the rows that were left out.
///
/// # Errors
/// As [`read`], and those of `visit`.
pub fn read_comments<E: From<DataError>>(
    path: &Path,
    text: &str,
    soft: Option<&str>,
    (encoding, skip_bad_rows): (Option<Encoding>, bool),
    mut visit: impl FnMut(Comment<'_>) -> Result<(), E>,
) -> Result<LeftOut, E> {
    let mut tally = Tally::default();
    let names: Vec<&str> = [text].into_iter().chain(soft).collect();
    let (table, places) = open(path, encoding, &names)?;
    let texts = Texts::of(&table, text);
    table.read(&places, |line, row| {
        let Some(cells) = tally.cells(line, row) else { return Ok(()) };
        let comment = cells.and_then(|cells| {
            Ok(Comment { text: texts.text(&cells[0])?, soft: probability(soft, cells.get(1))? })
        });
        match tally.count(line, comment) {
            Some(comment) if comment.text.trim().is_empty() => {
                tally.left_out.add(Reason::EmptyText, line);
                Ok(())
            }
            Some(comment) => visit(comment),
            None => Ok(()),
        }
    })?;
    tally.end(path, skip_bad_rows)?;
    Ok(tally.left_out)
}

/// A probability as it stands in `column`; nothing where nothing stands.
fn probability(column: Option<&str>, cell: Option<&Cell<'_>>) -> Result<Option<f32>, BadRow> {
    let value = cell.map(|cell| cell.as_str().trim()).filter(|value| !value.is_empty());
    let (Some(column), Some(value)) = (column, value) else {
        return Ok(None);
    };
    match value.parse::<f32>() {
        Ok(probability) if (0.0..=1.0).contains(&probability) => Ok(Some(probability)),
        _ => Err(BadRow::from(format!("`{column}` is {}, not a probability", shown_value(value)))),
    }
}

/// Refuses data of one class alone: nothing can be learned or measured on it.
///
/// # Errors
/// [`DataError::OneClass`], naming `path`.
pub fn require_classes(path: &Path, target: &Target, counts: &Counts) -> Result<(), DataError> {
    let mut present = (0..counts.classes.len()).filter(|&class| counts.classes[class] > 0);
    match (present.next(), present.next()) {
        (Some(only), None) => Err(DataError::OneClass {
            path: path.to_owned(),
            rows: counts.labeled(),
            label: target.label(only).to_owned(),
            left_out: match counts.left_out.to_string() {
                left_out if left_out.is_empty() => left_out,
                left_out => format!(" (left out: {left_out})"),
            },
        }),
        _ => Ok(()),
    }
}
