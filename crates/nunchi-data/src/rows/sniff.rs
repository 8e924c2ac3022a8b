//! Which character separates columns, and which row names them.

use super::record::{Record, Records};
use crate::file::Lines;
use crate::names::{self, Names};
use std::io::Cursor;

/// Rows that are looked at to find the separator.
const ROWS: usize = 100;
/// Rows among which the one with the columns' names is.
const HEADER_ROWS: usize = 20;
/// Separators, the likeliest first.
const DELIMITERS: [u8; 4] = [b',', b'\t', b';', b'|'];

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sniffed {
    pub(super) delimiter: u8,
    /// The line of the row with the columns' names; `None` where each line is a comment by itself.
    pub(super) header: Option<u64>,
}

/// The names that a row may hold to be that of the columns: known ones and those that were asked for.
fn matches(cells: &[String], wanted: &Names) -> usize {
    let known = |cell: &&String| names::is_known(cell) || wanted.contains(cell);
    cells.iter().filter(known).count()
}

/// The row with the columns' names: the one with the most known names, or the first that looks like it.
pub(super) fn header(rows: &[(u64, Vec<String>)], wanted: &Names) -> Option<usize> {
    let first = &rows[..rows.len().min(HEADER_ROWS)];
    let known = |row: &(u64, Vec<String>)| matches(&row.1, wanted);
    let best = first.iter().map(known).max().unwrap_or(0);
    if best > 0 {
        return first.iter().position(|row| known(row) == best);
    }
    let filled = |row: &(u64, Vec<String>)| row.1.iter().filter(|cell| !cell.trim().is_empty()).count();
    let usual = median(rows.iter().map(|row| row.1.len()));
    // A title stands alone in its row.
    first
        .iter()
        .position(|row| filled(row) > 1 || (usual <= 1 && filled(row) > 0))
        .or_else(|| first.iter().position(|row| filled(row) > 0))
}

fn median(counts: impl Iterator<Item = usize>) -> usize {
    let mut counts: Vec<usize> = counts.collect();
    counts.sort_unstable();
    counts.get(counts.len() / 2).copied().unwrap_or(0)
}

/// Looks at the beginning of a text; `whole` if it is all. The file's ending decides only what its content leaves open.
pub(super) fn sniff(head: &[u8], whole: bool, ending: &str, wanted: &Names) -> Sniffed {
    let usual = match ending {
        "tsv" | "tab" => b'\t',
        _ => b',',
    };
    if let Some(delimiter) = separator_line(head) {
        let rows = rows(head, whole, delimiter, 1);
        let header = header(&rows, wanted).map_or(2, |row| rows[row].0);
        return Sniffed { delimiter, header: Some(header) };
    }
    // The best so far: its score, what was found, whether it is a table for certain, whether rows are split at all.
    let mut best: Option<(f64, Sniffed, bool, bool)> = None;
    for delimiter in DELIMITERS {
        let rows = rows(head, whole, delimiter, 0);
        let Some(header) = header(&rows, wanted) else { continue };
        let width = rows[header].1.len();
        let known = matches(&rows[header].1, wanted);
        let usual_width = median(rows.iter().map(|row| row.1.len()));
        let same = rows.iter().filter(|row| row.1.len() == usual_width).count() as f64 / rows.len() as f64;
        let splits = width > 1 && usual_width > 1;
        // Known names decide; else how regular the rows are. Of two that are alike the usual one is taken.
        let score = known as f64 * 10.0
            + if splits { same + width.min(50) as f64 / 1_000.0 } else { 0.0 }
            + if delimiter == usual { 0.05 } else { 0.0 };
        if best.as_ref().is_none_or(|(before, ..)| score > *before) {
            let is_table = known > 0 || (splits && same > 0.9 && delimiter == b'\t');
            best = Some((
                score,
                Sniffed { delimiter, header: Some(rows[header].0) },
                is_table,
                splits || known > 0,
            ));
        }
    }
    let named_table = matches!(ending, "csv" | "tsv" | "tab" | "xls" | "xlsx");
    match best {
        // A file of comments may have commas in them: only known names make a table of it.
        Some((_, sniffed, is_table, splits)) if is_table || (named_table && splits) => sniffed,
        Some((_, sniffed, ..)) if named_table => Sniffed { delimiter: usual, ..sniffed },
        None if named_table => Sniffed { delimiter: usual, header: Some(1) },
        _ => Sniffed { delimiter: usual, header: None },
    }
}

/// The delimiter in Excel's line `sep=;` at the top.
fn separator_line(head: &[u8]) -> Option<u8> {
    let line = head.split(|&byte| byte == b'\n' || byte == b'\r').next()?;
    let line = line.trim_ascii_end();
    let line = line.strip_prefix(b"\"").and_then(|line| line.strip_suffix(b"\"")).unwrap_or(line);
    match line {
        [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', delimiter] => Some(*delimiter),
        // A tab at the end was taken for white space; Excel pads the line with the separator of its rows.
        [b's' | b'S', b'e' | b'E', b'p' | b'P', b'='] => Some(b'\t'),
        [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', delimiter, rest @ ..]
            if rest.iter().all(|byte| byte == delimiter) =>
        {
            Some(*delimiter)
        }
        _ => None,
    }
}

/// The first rows that are not blank, behind `skipped` lines.
fn rows(head: &[u8], whole: bool, delimiter: u8, skipped: u64) -> Vec<(u64, Vec<String>)> {
    let cut = if whole {
        head.len()
    } else {
        head.iter().rposition(|&byte| byte == b'\n').map_or(head.len(), |at| at + 1)
    };
    let mut records = Records::new(Lines::new(Box::new(Cursor::new(head[..cut].to_vec())), head), delimiter);
    let (mut record, mut rows) = (Record::default(), Vec::new());
    while rows.len() < ROWS && matches!(records.next(&mut record), Ok(Ok(true))) {
        if record.line <= skipped || record.is_blank() || record.overfull {
            continue;
        }
        let cells = record.fields().map(|cell| String::from_utf8_lossy(cell).into_owned());
        rows.push((record.line, cells.collect()));
        records.width.get_or_insert(record.len());
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, ending: &str) -> (char, Option<u64>) {
        let sniffed = sniff(text.as_bytes(), true, ending, &Names::default());
        (char::from(sniffed.delimiter), sniffed.header)
    }

    #[test]
    fn separators_and_headers_are_found_by_content() {
        assert_eq!(found("text,label\n좋아요,1\n", "csv"), (',', Some(1)));
        assert_eq!(found("text\tlabel\n좋아요, 정말\t1\n", "csv"), ('\t', Some(1)));
        assert_eq!(found("내용;평점\n\"좋아요; 정말, 네\";5\n", "csv"), (';', Some(1)));
        assert_eq!(found("리뷰|별점\n좋아요|5\n", "txt"), ('|', Some(1)));
        assert_eq!(found("\n상품 리뷰,,\n,,\n번호,내용,평점\n1,좋아요,5\n", "csv"), (',', Some(4)));
        assert_eq!(found("리뷰 목록\n\n번호,내용,평점\n1,좋아요,5\n", "csv"), (',', Some(3)));
        assert_eq!(found("sep=;\n내용;평점\n좋아요;5\n", "csv"), (';', Some(2)));
        assert_eq!(found("SEP=|\r\n\r\n내용|평점\r\n좋아요|5\r\n", "csv"), ('|', Some(3)));
        assert_eq!(found("a,b,c\n1,2,3\n", "csv"), (',', Some(1)));
        assert_eq!(found("a;b;c\n1;2;3\n", "csv"), (';', Some(1)));
        assert_eq!(found("text\n좋아요, 정말\n별로, 그냥\n", "csv"), (',', Some(1)));
    }

    #[test]
    fn comments_alone_are_no_table() {
        assert_eq!(found("좋아요, 정말\n별로, 그냥\n", "txt").1, None);
        assert_eq!(found("😡\n👍\n", "txt").1, None);
        assert_eq!(found("좋아요\n", "").1, None);
        assert_eq!(found("id\tdocument\tlabel\n1\t좋아요\t1\n", "txt"), ('\t', Some(1)));
    }
}
