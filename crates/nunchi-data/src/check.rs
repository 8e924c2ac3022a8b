//! What a file holds, for people who want to know before they train on it.

use super::columns::ColumnHints;
use super::error::DataError;
use super::key::{CommentKey, CommentKeys};
use super::mapping::Target;
use super::names::{self, LABELS, STARS};
use super::read::Texts;
use super::rows::{Cell, Recognized, Row};
use super::tally::{LeftOut, Reason};
use super::values;
use std::collections::{BTreeMap, HashSet};
use std::path::Path;

/// Odd rows that are listed.
const MAX_ODD: usize = 20;
/// Different comments that are remembered to find those that occur twice: 16 bytes each.
const MAX_KEYS: usize = 8_000_000;
/// Longer comments count as this long.
const MAX_LENGTH: usize = 65_536;
/// Different values of stars that are listed.
const MAX_STARS: usize = 200;

/// What was found in a file.
#[derive(Clone, Debug)]
pub struct Report {
    /// Encoding, format and the like.
    pub recognized: Recognized,
    /// The names of all columns.
    pub columns: Vec<String>,
    /// The column with the comment.
    pub text: String,
    /// The column with the label.
    pub label: Option<String>,
    /// The column with stars.
    pub stars: Option<String>,
    /// The column with ids.
    pub id: Option<String>,
    /// The scale of the stars: 5, 10 or 100, as told or as the values show.
    pub scale: Option<f64>,
    /// Rows that hold anything.
    pub rows: u64,
    /// Labeled rows by the label's name.
    pub labels: BTreeMap<String, u64>,
    /// How often stars occur, by their number, in its order.
    pub star_counts: Vec<(f64, u64)>,
    /// Rows whose stars stand for no class.
    pub between: u64,
    /// Rows that are left out by `train`, by reason.
    pub left_out: LeftOut,
    /// Rows whose comment occurred before.
    pub duplicates: u64,
    /// Lengths of comments in characters: the least, the median, the 95th percentile, the most.
    pub lengths: Option<[usize; 4]>,
    /// The first rows that cannot be used as they are: their lines, and why.
    pub odd: Vec<(u64, String)>,
}

/// Reads all of the file at `path`.
///
/// # Errors
/// A file that cannot be read, or has no column with comments. Rows that cannot be read are no error here.
pub fn check(path: &Path, hints: &ColumnHints, labels: &[String]) -> Result<Report, DataError> {
    let table = hints.open(path)?;
    let text = hints.text_of(path, &table)?;
    let columns = table.columns().to_vec();
    let known = |named: &Option<String>, candidates: &[&str]| match named {
        Some(name) => table.place(name).map(Some).ok_or_else(|| DataError::column(path, name, &columns)),
        None => Ok(names::find_known(&columns, candidates)),
    };
    let (label, stars) = (known(&hints.label, &LABELS)?, known(&hints.stars, &STARS)?);
    let place = table.place(&text.text).unwrap_or(0);
    let name = |place: Option<usize>| place.map(|place| columns[place].clone());
    let mut checker = Checker::new(hints, labels, name(label), name(stars))?;
    let places: Vec<usize> = [Some(place), label, stars].into_iter().flatten().collect();
    let stars_cell = 1 + usize::from(label.is_some());
    let texts = Texts::of(&table, &text.text);
    let recognized = table.recognized().clone();
    table.read::<DataError>(&places, |line, row| {
        match row {
            Row::Blank => checker.left_out.add(Reason::Blank, line),
            Row::Bad(bad) => checker.bad(line, bad.reason),
            Row::Cells(cells) => {
                let label = label.and_then(|_| cells.get(1));
                checker.row(
                    line,
                    texts.text(&cells[0]).map_err(|bad| bad.reason),
                    label,
                    cells.get(stars_cell),
                );
            }
        }
        Ok(())
    })?;
    Ok(checker.report(recognized, columns, text.text, text.id))
}

struct Checker<'a> {
    hints: &'a ColumnHints,
    labels: &'a [String],
    label: Option<Target>,
    stars: Option<Target>,
    rows: u64,
    classes: Vec<u64>,
    /// Rows by stars, before it is known what they mean.
    star_counts: BTreeMap<u64, (f64, Option<f64>, u64)>,
    left_out: LeftOut,
    keys: CommentKeys,
    seen: HashSet<CommentKey>,
    duplicates: u64,
    lengths: Vec<u32>,
    odd: Vec<(u64, String)>,
}

impl<'a> Checker<'a> {
    fn new(
        hints: &'a ColumnHints,
        labels: &'a [String],
        label: Option<String>,
        stars: Option<String>,
    ) -> Result<Self, DataError> {
        Ok(Checker {
            hints,
            labels,
            label: label.map(|column| Target::Label { column, labels: labels.to_vec() }),
            stars: stars.map(|column| hints.star_target(column)),
            rows: 0,
            classes: vec![0; labels.len()],
            star_counts: BTreeMap::new(),
            left_out: LeftOut::default(),
            keys: CommentKeys::default(),
            seen: HashSet::new(),
            duplicates: 0,
            lengths: Vec::new(),
            odd: Vec::new(),
        })
    }

    fn bad(&mut self, line: u64, reason: String) {
        self.rows += 1;
        self.refuse(line, reason);
    }

    fn refuse(&mut self, line: u64, reason: String) {
        self.left_out.add(Reason::Bad, line);
        self.note(line, reason);
    }

    fn note(&mut self, line: u64, reason: String) {
        if self.odd.len() < MAX_ODD {
            self.odd.push((line, reason));
        }
    }

    fn row(
        &mut self,
        line: u64,
        text: Result<&str, String>,
        label: Option<&Cell<'_>>,
        stars: Option<&Cell<'_>>,
    ) {
        self.rows += 1;
        let text = match text {
            Ok(text) => text,
            Err(reason) => return self.refuse(line, reason),
        };
        if text.trim().is_empty() {
            self.left_out.add(Reason::EmptyText, line);
            return self.note(line, "the text is empty".to_owned());
        }
        let length = text.chars().count().min(MAX_LENGTH);
        if self.lengths.len() <= length {
            self.lengths.resize(length + 1, 0);
        }
        self.lengths[length] += 1;
        let key = self.keys.key(text);
        if self.seen.contains(&key) {
            self.duplicates += 1;
        } else if self.seen.len() < MAX_KEYS {
            self.seen.insert(key);
        }
        if let Some(cell) = stars {
            self.stars(line, cell, label.is_none());
        }
        if let (Some(cell), Some(target)) = (label, &self.label) {
            if cell.is_blank() {
                self.left_out.add(Reason::NoLabel, line);
                return self.note(line, "has no label".to_owned());
            }
            match target.class(cell.as_str()) {
                Ok(Some(class)) => self.classes[class] += 1,
                Ok(None) => {}
                Err(reason) => self.refuse(line, reason),
            }
        }
    }

    /// Notes stars; `decides` if there is no label beside them.
    fn stars(&mut self, line: u64, cell: &Cell<'_>, decides: bool) {
        if cell.is_blank() {
            if decides {
                self.left_out.add(Reason::NoLabel, line);
                self.note(line, "has no stars".to_owned());
            }
            return;
        }
        let written = values::stars(cell.as_str());
        match (written, &self.stars) {
            (Some(written), _) => {
                let key = written.stars.to_bits() ^ written.of.map_or(0, f64::to_bits).rotate_left(17);
                if self.star_counts.len() < MAX_STARS || self.star_counts.contains_key(&key) {
                    self.star_counts.entry(key).or_insert((written.stars, written.of, 0)).2 += 1;
                }
            }
            (None, Some(target)) if decides => {
                let reason = target.class(cell.as_str()).err().unwrap_or_default();
                self.refuse(line, reason);
            }
            _ => {}
        }
    }

    fn report(
        mut self,
        recognized: Recognized,
        columns: Vec<String>,
        text: String,
        id: Option<String>,
    ) -> Report {
        let most = self.star_counts.values().filter(|(_, of, _)| of.is_none()).map(|(stars, ..)| *stars);
        let most = most.fold(0.0, f64::max);
        let scale = self.stars.is_some().then(|| {
            self.hints.scale.unwrap_or(match most {
                ..=5.0 => 5.0,
                ..=10.0 => 10.0,
                _ => 100.0,
            })
        });
        let mut between = 0;
        let mut star_counts: Vec<(f64, u64)> = Vec::new();
        if let (Some(scale), Some(Target::Stars { column, .. })) = (scale, &self.stars) {
            let hints =
                ColumnHints { scale: Some(scale).filter(|&scale| scale != 5.0), ..self.hints.clone() };
            let target = hints.star_target(column.clone());
            for (stars, of, count) in self.star_counts.values() {
                let written = match of {
                    Some(of) => format!("{stars}/{of}"),
                    None => stars.to_string(),
                };
                if let Some(stars) = target.stars(&written) {
                    match star_counts.iter_mut().find(|(known, _)| *known == stars) {
                        Some((_, known)) => *known += count,
                        None => star_counts.push((stars, *count)),
                    }
                }
                if self.label.is_some() {
                    continue;
                }
                match target.class(&written) {
                    Ok(Some(class)) if self.classes.len() == 2 => self.classes[class] += count,
                    Ok(_) => between += count,
                    Err(_) => {}
                }
            }
        }
        star_counts.sort_by(|a, b| a.0.total_cmp(&b.0));
        let labeled = self.label.is_some() || self.stars.is_some();
        let labels = self.labels.iter().zip(&self.classes).filter(|_| labeled);
        Report {
            lengths: percentiles(&self.lengths),
            recognized,
            columns,
            text,
            label: self.label.as_ref().map(|target| target.column().to_owned()),
            stars: self.stars.as_ref().map(|target| target.column().to_owned()),
            id,
            scale,
            rows: self.rows,
            labels: labels.map(|(label, count)| (label.clone(), *count)).collect(),
            star_counts,
            between,
            left_out: self.left_out,
            duplicates: self.duplicates,
            odd: self.odd,
        }
    }
}

/// The least, the median, the 95th percentile and the most of lengths, of which each place counts one.
fn percentiles(counts: &[u32]) -> Option<[usize; 4]> {
    let total: u64 = counts.iter().map(|&count| u64::from(count)).sum();
    let at = |share: f64| {
        let rank = ((total as f64 * share).ceil() as u64).max(1);
        let mut sum = 0;
        counts.iter().position(|&count| {
            sum += u64::from(count);
            sum >= rank
        })
    };
    if total == 0 {
        return None;
    }
    Some([at(0.0)?, at(0.5)?, at(0.95)?, at(1.0)?])
}
