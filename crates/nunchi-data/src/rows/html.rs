//! Tables in HTML, as back offices give them out under the name of `.xls`: Excel opens them, and so do we. Also the XML
//! spreadsheets of Excel 2003, which are tables of other tags.

use super::row::Cell;
use super::workbook::{Sheet, SheetRow};
use crate::error::DataError;
use crate::file::{TextInput, read_error};
use std::borrow::Cow;
use std::io::Read as _;
use std::path::Path;

/// Largest page that is read.
const MAX_BYTES: u64 = 256 << 20;
/// Columns that a cell may span.
const MAX_SPAN: usize = 64;

/// Whether a text that begins with `head` is HTML, or XML.
pub(super) fn is_markup(head: &[u8]) -> bool {
    let start = head.trim_ascii_start();
    let start = String::from_utf8_lossy(&start[..start.len().min(256)]).to_lowercase();
    [
        "<html",
        "<!doctype",
        "<table",
        "<meta",
        "<head",
        "<?xml",
        "<style",
        "<body",
        "<div",
        "<!--",
        "<tr",
        "<workbook",
    ]
    .iter()
    .any(|tag| start.trim_start_matches('\u{feff}').starts_with(tag))
}

/// The tables of a page.
pub(super) fn tables(path: &Path, layers: &[&'static str], text: TextInput) -> Result<Vec<Sheet>, DataError> {
    let mut bytes = Vec::new();
    let read = text.reader.take(MAX_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| read_error(path, layers, error, 0))?;
    let page = String::from_utf8_lossy(&bytes);
    let content = |what: &str| DataError::Content { path: path.to_owned(), what: what.to_owned() };
    if bytes.len() as u64 > MAX_BYTES {
        return Err(content(
            "is a web page larger than 256 MiB: open it in Excel and save it as .xlsx or CSV",
        ));
    }
    let sheets = read_tables(&page);
    if sheets.iter().all(|sheet| sheet.rows.is_empty()) {
        return Err(content(
            "is a web page (HTML) without a table: open it in Excel and save the table as .xlsx or CSV",
        ));
    }
    Ok(sheets)
}

/// What a tag means for a table.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tag {
    Table,
    Row,
    Cell,
    Break,
    Hidden,
    Other,
}

fn meaning(name: &str) -> Tag {
    match name.rsplit(':').next().unwrap_or(name) {
        "table" => Tag::Table,
        "tr" | "row" => Tag::Row,
        "td" | "th" | "cell" => Tag::Cell,
        "br" | "p" | "div" | "li" => Tag::Break,
        "style" | "script" | "title" => Tag::Hidden,
        _ => Tag::Other,
    }
}

/// The rows of all tables; a row's number is the line of its tag.
fn read_tables(page: &str) -> Vec<Sheet> {
    let mut sheets: Vec<Sheet> = Vec::new();
    let (mut row, mut cell): (Option<SheetRow>, Option<(String, usize)>) = (None, None);
    let (mut rest, mut line) = (page, 1_u64);
    while let Some(open) = rest.find('<') {
        let (text, tag) = rest.split_at(open);
        line += text.bytes().filter(|&byte| byte == b'\n').count() as u64;
        if let Some((content, _)) = &mut cell {
            push_text(text, content);
        }
        if let Some(comment) = tag.strip_prefix("<!--") {
            let end = comment.find("-->").map_or(comment.len(), |end| end + 3);
            line += comment[..end].bytes().filter(|&byte| byte == b'\n').count() as u64;
            rest = &comment[end..];
            continue;
        }
        let end = tag.find('>').map_or(tag.len(), |end| end + 1);
        let (inside, behind) = (&tag[1..end], &tag[end..]);
        line += inside.bytes().filter(|&byte| byte == b'\n').count() as u64;
        rest = behind;
        let closes = inside.starts_with('/');
        let name: String = inside
            .trim_start_matches('/')
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == ':')
            .map(|c| c.to_ascii_lowercase())
            .collect();
        match (meaning(&name), closes) {
            (Tag::Hidden, false) => {
                // What stands in it is no markup.
                let end = behind.to_ascii_lowercase().find(&format!("</{name}")).unwrap_or(behind.len());
                line += behind[..end].bytes().filter(|&byte| byte == b'\n').count() as u64;
                rest = &behind[end..];
            }
            (Tag::Table, false) => sheets.push(Sheet { rows: Vec::new() }),
            (Tag::Table, true) | (Tag::Row, true) => end_row(&mut row, &mut cell, &mut sheets),
            (Tag::Row, false) => {
                end_row(&mut row, &mut cell, &mut sheets);
                row = Some((line, Vec::new()));
            }
            (Tag::Cell, false) => {
                end_cell(&mut row, &mut cell);
                skip_to_index(inside, &mut row);
                let spans = attribute(inside, "colspan").unwrap_or(1).clamp(1, MAX_SPAN);
                cell = Some((String::new(), spans));
                if inside.trim_end_matches('>').ends_with('/') {
                    end_cell(&mut row, &mut cell);
                }
            }
            (Tag::Cell, true) => end_cell(&mut row, &mut cell),
            (Tag::Break, _) => {
                if let Some((content, _)) = &mut cell
                    && !content.is_empty()
                {
                    content.push('\n');
                }
            }
            (Tag::Hidden, true) | (Tag::Other, _) => {}
        }
    }
    if let Some((content, _)) = &mut cell {
        push_text(rest, content);
    }
    end_row(&mut row, &mut cell, &mut sheets);
    sheets
}

/// The number in attribute `name` of a tag.
fn attribute(tag: &str, name: &str) -> Option<usize> {
    let lower = tag.to_ascii_lowercase();
    let value = lower.split(name).nth(1)?.trim_start().strip_prefix('=')?.trim_start();
    let digits = value.trim_start_matches(['"', '\'']);
    digits.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// In the XML of Excel 2003 a cell may name its column, and those before it are empty.
fn skip_to_index(tag: &str, row: &mut Option<SheetRow>) {
    if let (Some(index), Some((_, cells))) = (attribute(tag, "ss:index"), row.as_mut())
        && index > cells.len()
        && index <= 16_384
    {
        cells.resize(index - 1, Cell::Missing);
    }
}

fn end_cell(row: &mut Option<SheetRow>, cell: &mut Option<(String, usize)>) {
    let (Some((_, cells)), Some((content, spans))) = (row.as_mut(), cell.take()) else { return };
    let content = content.trim();
    cells.push(if content.is_empty() { Cell::Missing } else { Cell::Text(Cow::Owned(content.to_owned())) });
    cells.extend(std::iter::repeat_n(Cell::Missing, spans - 1));
}

fn end_row(row: &mut Option<SheetRow>, cell: &mut Option<(String, usize)>, sheets: &mut Vec<Sheet>) {
    end_cell(row, cell);
    let Some(row) = row.take().filter(|(_, cells)| !cells.is_empty()) else { return };
    match sheets.last_mut() {
        Some(sheet) => sheet.rows.push(row),
        None => sheets.push(Sheet { rows: vec![row] }),
    }
}

/// Adds text as a browser shows it: white space is one space, references are characters.
fn push_text(text: &str, out: &mut String) {
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        if character == '&'
            && let Some(end) = rest.bytes().take(12).position(|byte| byte == b';')
            && let Some(found) = reference(&rest[1..end])
        {
            out.push(found);
            rest = &rest[end + 1..];
            continue;
        }
        rest = &rest[character.len_utf8()..];
        if character.is_whitespace() && character != '\u{a0}' {
            if !out.is_empty() && !out.ends_with([' ', '\n']) {
                out.push(' ');
            }
        } else {
            out.push(character);
        }
    }
}

fn reference(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "nbsp" => Some(' '),
        "hearts" => Some('♥'),
        "middot" => Some('·'),
        "hellip" => Some('…'),
        _ => {
            let digits = name.strip_prefix('#')?;
            let number = match digits.strip_prefix(['x', 'X']) {
                Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16),
                None => digits.parse(),
            };
            char::from_u32(number.ok()?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(page: &str) -> Vec<(u64, Vec<String>)> {
        let sheets = read_tables(page);
        let rows = sheets.into_iter().flat_map(|sheet| sheet.rows);
        rows.map(|(line, cells)| (line, cells.iter().map(|cell| cell.as_str().to_owned()).collect()))
            .collect()
    }

    #[test]
    fn tables_are_read_as_a_browser_shows_them() {
        let page = "<html><head><meta charset=\"utf-8\"><style>td { a < b }</style></head>\n<table><tr><th>리뷰</th>\
                    <TH colspan=2>평점</TH></tr>\n<!-- <tr><td>no</td></tr> -->\n<tr><td>좋아요 &amp;\n 빨라요<br>두 줄</td>\
                    <td>5<td></tr></table>";
        let want = vec![
            (2, vec!["리뷰".to_owned(), "평점".to_owned(), String::new()]),
            (4, vec!["좋아요 & 빨라요\n두 줄".to_owned(), "5".to_owned(), String::new()]),
        ];
        assert_eq!(rows(page), want);
    }

    #[test]
    fn spreadsheets_in_xml_are_tables_too() {
        let page = "<?xml version=\"1.0\"?>\n<ss:Workbook><ss:Table><ss:Row><ss:Cell><ss:Data>내용</ss:Data></ss:Cell>\
                    <ss:Cell ss:Index=\"3\"><ss:Data ss:Type=\"Number\">5</ss:Data></ss:Cell></ss:Row></ss:Table></ss:Workbook>";
        assert_eq!(rows(page), [(2, vec!["내용".to_owned(), String::new(), "5".to_owned()])]);
    }

    #[test]
    fn what_breaks_off_or_is_wrong_is_read_as_far_as_it_goes() {
        for page in
            ["<", "<table", "<table><tr><td>a", "<td>a</td>", "&#x110000; &; <tr><td>&#x110000;", "<!-- "]
        {
            rows(page);
        }
        assert_eq!(rows("<table><tr><td>a"), [(1, vec!["a".to_owned()])]);
    }
}
