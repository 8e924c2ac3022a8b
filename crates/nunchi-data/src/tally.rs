//! What became of a file's rows: how many cannot be used, how many were left out, why, and where the first of them are.

use crate::error::DataError;
use crate::rows::{BadRow, Cell, Row};
use crate::shown::is_plain_value;
use std::fmt;
use std::path::Path;

/// Bad rows that an error shows; it counts the others.
const MAX_SHOWN: u64 = 3;
/// Different values of a label or of stars that an error shows.
const MAX_VALUES: usize = 12;

/// Why a row was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Nothing stands in it.
    Blank,
    /// It has no comment, or one of white space.
    EmptyText,
    /// It has neither a label nor stars.
    NoLabel,
    /// It cannot be understood, and was to be skipped.
    Bad,
}

impl Reason {
    const ALL: [Reason; 4] = [Reason::Blank, Reason::EmptyText, Reason::NoLabel, Reason::Bad];

    fn name(self, one: bool) -> &'static str {
        match (self, one) {
            (Reason::Blank, true) => "blank row",
            (Reason::Blank, false) => "blank rows",
            (Reason::EmptyText, true) => "row with an empty text",
            (Reason::EmptyText, false) => "rows with an empty text",
            (Reason::NoLabel, true) => "row without a label",
            (Reason::NoLabel, false) => "rows without a label",
            (Reason::Bad, true) => "unreadable row",
            (Reason::Bad, false) => "unreadable rows",
        }
    }
}

/// Rows that were left out, by reason, and the lines of the first ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftOut([(u64, Vec<u64>); 4]);

impl LeftOut {
    /// Adds a row.
    pub fn add(&mut self, reason: Reason, line: u64) {
        let (count, lines) = &mut self.0[reason as usize];
        *count += 1;
        if *count <= MAX_SHOWN {
            lines.push(line);
        }
    }

    /// How many were left out for a reason.
    pub fn count(&self, reason: Reason) -> u64 {
        self.0[reason as usize].0
    }

    /// How many were.
    pub fn total(&self) -> u64 {
        self.0.iter().map(|(count, _)| count).sum()
    }

    /// Adds those of another file; their lines are not kept.
    pub fn merge(&mut self, other: &LeftOut) {
        let alone = self.total() == 0;
        for ((count, lines), (more, other)) in self.0.iter_mut().zip(&other.0) {
            *count += more;
            if alone { lines.clone_from(other) } else { lines.clear() }
        }
    }
}

/// `3 rows with an empty text (lines 2, 4, 6), 1 blank row (line 9)`; empty if there are none.
impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for reason in Reason::ALL {
            let (count, lines) = &self.0[reason as usize];
            if *count == 0 {
                continue;
            }
            write!(f, "{separator}{count} {}", reason.name(*count == 1))?;
            if !lines.is_empty() {
                write!(f, " ({})", shown_lines(lines, *count))?;
            }
            separator = ", ";
        }
        Ok(())
    }
}

/// `line 2`, `lines 2, 4` or `lines 2, 4, 6, …`.
fn shown_lines(lines: &[u64], count: u64) -> String {
    let numbers: Vec<String> = lines.iter().map(u64::to_string).collect();
    let more = if count > lines.len() as u64 { ", …" } else { "" };
    format!("line{} {}{more}", if count > 1 { "s" } else { "" }, numbers.join(", "))
}

/// Counts rows, and keeps the first that cannot be used.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) rows: u64,
    pub(crate) left_out: LeftOut,
    wrong_bytes: u64,
    /// The first bad rows: their lines, by reason.
    shown: Vec<(String, Vec<u64>)>,
    /// Values of the label's or stars' column that may be shown.
    values: Vec<String>,
    wrong_values: bool,
}

impl Tally {
    /// The cells of a row, or why it has none; nothing if it is blank, which is counted.
    pub(crate) fn cells<'a>(&mut self, line: u64, row: Row<'a>) -> Option<Result<&'a [Cell<'a>], BadRow>> {
        match row {
            Row::Cells(cells) => Some(Ok(cells)),
            Row::Bad(bad) => Some(Err(bad)),
            Row::Blank => {
                self.left_out.add(Reason::Blank, line);
                None
            }
        }
    }

    /// Counts a row; what it holds, if it can be used.
    pub(crate) fn count<T>(&mut self, line: u64, row: Result<T, BadRow>) -> Option<T> {
        self.rows += 1;
        row.map_err(|bad| {
            self.left_out.add(Reason::Bad, line);
            self.wrong_bytes += u64::from(bad.encoding);
            if self.left_out.count(Reason::Bad) <= MAX_SHOWN {
                match self.shown.iter_mut().find(|(reason, _)| *reason == bad.reason) {
                    Some((_, lines)) => lines.push(line),
                    None => self.shown.push((bad.reason, vec![line])),
                }
            }
        })
        .ok()
    }

    /// Notes a value of the label's or stars' column; `wrong` if it is none.
    pub(crate) fn value(&mut self, value: &str, wrong: bool) {
        self.wrong_values |= wrong;
        let value = value.trim();
        if self.values.len() < MAX_VALUES
            && is_plain_value(value)
            && !self.values.iter().any(|seen| seen == value)
        {
            self.values.push(value.to_owned());
        }
    }

    /// The first bad rows in words.
    fn shown(&self) -> String {
        let of_reason = |(reason, lines): &(String, Vec<u64>)| {
            format!("{}: {reason}", shown_lines(lines, lines.len() as u64))
        };
        let shown: Vec<String> = self.shown.iter().map(of_reason).collect();
        let mut shown =
            shown.join("; ") + if self.left_out.count(Reason::Bad) > MAX_SHOWN { "; …" } else { "" };
        if self.wrong_values && self.values.len() > 1 {
            let mut values = self.values.clone();
            let number =
                |value: &String| crate::values::stars(value).map_or(f64::INFINITY, |written| written.stars);
            values.sort_by(|a, b| number(a).total_cmp(&number(b)).then_with(|| a.cmp(b)));
            let more = if values.len() == MAX_VALUES { ", …" } else { "" };
            shown += &format!(" (values seen: {}{more})", values.join(", "));
        }
        shown
    }

    /// How many rows were bad, if one may go on so.
    pub(crate) fn end(&self, path: &Path, skip_bad_rows: bool) -> Result<u64, DataError> {
        let (path, count, rows) = (path.to_owned(), self.left_out.count(Reason::Bad), self.rows);
        let shown = self.shown();
        if rows == 0 {
            Err(DataError::NoRows(path))
        } else if 2 * count > rows {
            let hint = if 2 * self.wrong_bytes > count {
                "is it in another encoding? --encoding tells it, for instance --encoding CP949"
            } else {
                "are these the right file, columns and labels?"
            };
            Err(DataError::MostRows { path, count, rows, hint, shown })
        } else if count > 0 && !skip_bad_rows {
            Err(DataError::Rows { path, count, rows, shown })
        } else {
            Ok(count)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_out_is_one_line() {
        let mut left_out = LeftOut::default();
        assert_eq!(left_out.to_string(), "");
        for line in 2..7 {
            left_out.add(Reason::Blank, line);
        }
        left_out.add(Reason::EmptyText, 9);
        assert_eq!(
            left_out.to_string(),
            "5 blank rows (lines 2, 3, 4, …), 1 row with an empty text (line 9)"
        );
        let mut both = LeftOut::default();
        both.merge(&left_out);
        assert_eq!(both, left_out);
        both.merge(&left_out);
        assert_eq!(both.to_string(), "10 blank rows, 2 rows with an empty text");
    }
}
