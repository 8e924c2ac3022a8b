//! Workbooks of Excel: `.xlsx` (ECMA-376, read here, so that no archive is unpacked beyond a limit) and the older `.xls`.

use super::row::Cell;
use crate::error::DataError;
use crate::file::{Member, directory};
use calamine::{Data, DataType as _, Reader as _, Xls};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::io::{BufReader, Cursor, Read};
use std::path::Path;
use std::sync::Arc;

/// Bytes that the parts of a workbook may have, unpacked: an archive of some kilobytes can hold any number of them.
const MAX_UNPACKED: u64 = 1 << 30;
/// Cells of a sheet that are kept.
const MAX_CELLS: usize = 16 << 20;
/// Columns that Excel has.
const MAX_COLUMNS: usize = 16_384;
/// The longest text of a cell, and more: Excel has 32,767 characters.
const MAX_TEXT: usize = 1 << 20;

/// A row of a sheet: its number, counted from 1, and its cells.
pub(super) type SheetRow = (u64, Vec<Cell<'static>>);

/// A sheet that is not hidden.
pub(super) struct Sheet {
    pub(super) rows: Vec<SheetRow>,
}

/// Why a workbook cannot be read.
struct Fault(String);

impl<E: std::error::Error> From<E> for Fault {
    fn from(_: E) -> Self {
        // What a reader says may hold a part of a cell.
        Fault(
            "is a workbook that is damaged: open it in Excel and save it again, or save it as CSV".to_owned(),
        )
    }
}

const LARGE: &str =
    "is a workbook larger than what is read as a whole (16 million cells, 1 GiB unpacked): save it as CSV";

const PASSWORD: &str = "is a workbook with a password: open it in Excel and save it without one";

fn content(path: &Path, Fault(what): Fault) -> DataError {
    DataError::Content { path: path.to_owned(), what }
}

/// The sheets of an `.xlsx`, in the workbook's order.
pub(super) fn xlsx(path: &Path, bytes: Vec<u8>) -> Result<Vec<Sheet>, DataError> {
    Archive::new(bytes).and_then(|archive| archive.sheets()).map_err(|fault| content(path, fault))
}

struct Archive {
    bytes: Arc<[u8]>,
    members: HashMap<String, Member>,
    /// Bytes that may still be unpacked.
    left: std::cell::Cell<u64>,
}

impl Archive {
    fn new(bytes: Vec<u8>) -> Result<Self, Fault> {
        let bytes: Arc<[u8]> = bytes.into();
        let members = directory(&mut Cursor::new(&bytes))?;
        let members = members.into_iter().map(|member| (member.name.to_lowercase(), member)).collect();
        Ok(Archive { bytes, members, left: std::cell::Cell::new(MAX_UNPACKED) })
    }

    /// A part of the workbook, if there is one of this name.
    fn part(&self, name: &str) -> Result<Option<Xml<'_>>, Fault> {
        let Some(member) = self.members.get(&name.trim_start_matches('/').to_lowercase()) else {
            return Ok(None);
        };
        let limited =
            Unpacking { inner: member.open(Cursor::new(Arc::clone(&self.bytes)))?, left: &self.left };
        let mut reader = Reader::from_reader(BufReader::with_capacity(1 << 16, limited));
        reader.config_mut().check_end_names = false;
        Ok(Some(Xml { reader, buffer: Vec::new() }))
    }

    fn sheets(&self) -> Result<Vec<Sheet>, Fault> {
        let strings = self.strings()?;
        let dates = self.date_styles()?;
        let (names, from_1904) = self.sheet_parts()?;
        let mut sheets = Vec::new();
        for name in names {
            let Some(xml) = self.part(&name)? else { continue };
            sheets.push(SheetReader { strings: &strings, dates: &dates, from_1904 }.read(xml)?);
        }
        Ok(sheets)
    }

    /// The parts with the sheets that are not hidden, and whether days are counted from 1904.
    fn sheet_parts(&self) -> Result<(Vec<String>, bool), Fault> {
        let mut targets = HashMap::new();
        if let Some(mut xml) = self.part("xl/_rels/workbook.xml.rels")? {
            while let Some(event) = xml.next()? {
                if let Event::Start(tag) | Event::Empty(tag) = &event
                    && tag.local_name().as_ref() == b"Relationship"
                    && let (Some(id), Some(target)) = (attribute(tag, b"Id"), attribute(tag, b"Target"))
                {
                    let target = match target.strip_prefix('/') {
                        Some(absolute) => absolute.to_owned(),
                        None => format!("xl/{target}"),
                    };
                    targets.insert(id, target);
                }
            }
        }
        let (mut parts, mut from_1904) = (Vec::new(), false);
        let Some(mut xml) = self.part("xl/workbook.xml")? else { return Ok((parts, false)) };
        while let Some(event) = xml.next()? {
            let (Event::Start(tag) | Event::Empty(tag)) = &event else { continue };
            match tag.local_name().as_ref() {
                b"sheet" if attribute(tag, b"state").is_none_or(|state| state == "visible") => {
                    let target = attribute(tag, b"id").and_then(|id| targets.get(&id).cloned());
                    parts.push(
                        target.unwrap_or_else(|| format!("xl/worksheets/sheet{}.xml", parts.len() + 1)),
                    );
                }
                b"workbookPr" => {
                    from_1904 = attribute(tag, b"date1904").is_some_and(|is| is == "1" || is == "true")
                }
                _ => {}
            }
        }
        Ok((parts, from_1904))
    }

    /// The texts that cells share.
    fn strings(&self) -> Result<Vec<String>, Fault> {
        let (mut strings, mut text) = (Vec::new(), Texts::default());
        let Some(mut xml) = self.part("xl/sharedStrings.xml")? else { return Ok(strings) };
        while let Some(event) = xml.next()? {
            match &event {
                Event::Start(tag) if tag.local_name().as_ref() == b"si" => text = Texts::default(),
                Event::Empty(tag) if tag.local_name().as_ref() == b"si" => strings.push(String::new()),
                Event::End(tag) if tag.local_name().as_ref() == b"si" => {
                    strings.push(std::mem::take(&mut text.text))
                }
                event => text.take(event)?,
            }
        }
        Ok(strings)
    }

    /// The styles of cells that show a number as a date.
    fn date_styles(&self) -> Result<HashSet<usize>, Fault> {
        let (mut dates, mut formats) = (HashSet::new(), HashSet::new());
        let Some(mut xml) = self.part("xl/styles.xml")? else { return Ok(dates) };
        let (mut in_cells, mut style) = (false, 0);
        while let Some(event) = xml.next()? {
            match &event {
                Event::Start(tag) | Event::Empty(tag) => match tag.local_name().as_ref() {
                    b"numFmt" => {
                        let id = attribute(tag, b"numFmtId").and_then(|id| id.parse::<usize>().ok());
                        let is_date = attribute(tag, b"formatCode").is_some_and(|code| is_date_format(&code));
                        formats.extend(id.filter(|_| is_date));
                    }
                    b"cellXfs" => in_cells = true,
                    b"xf" if in_cells => {
                        let id =
                            attribute(tag, b"numFmtId").and_then(|id| id.parse::<usize>().ok()).unwrap_or(0);
                        if formats.contains(&id) || matches!(id, 14..=22 | 27..=36 | 45..=47 | 50..=58) {
                            dates.insert(style);
                        }
                        style += 1;
                    }
                    _ => {}
                },
                Event::End(tag) if tag.local_name().as_ref() == b"cellXfs" => in_cells = false,
                _ => {}
            }
        }
        Ok(dates)
    }
}

/// Whether a format shows a date: it has one of the letters of dates outside of quotes and brackets.
fn is_date_format(code: &str) -> bool {
    let (mut quoted, mut bracket) = (false, false);
    code.chars().any(|c| {
        match c {
            '"' => quoted = !quoted,
            '[' => bracket = true,
            ']' => bracket = false,
            _ => return !quoted && !bracket && matches!(c.to_ascii_lowercase(), 'y' | 'd' | 'h'),
        }
        false
    })
}

/// Refuses to unpack without end.
struct Unpacking<'a> {
    inner: Box<dyn Read>,
    left: &'a std::cell::Cell<u64>,
}

impl Read for Unpacking<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        match self.left.get().checked_sub(read as u64) {
            Some(left) => self.left.set(left),
            None => return Err(std::io::ErrorKind::FileTooLarge.into()),
        }
        Ok(read)
    }
}

/// Events of a part.
struct Xml<'a> {
    reader: Reader<BufReader<Unpacking<'a>>>,
    buffer: Vec<u8>,
}

impl Xml<'_> {
    fn next(&mut self) -> Result<Option<Event<'static>>, Fault> {
        self.buffer.clear();
        match self.reader.read_event_into(&mut self.buffer) {
            Ok(Event::Eof) => Ok(None),
            Ok(event) => Ok(Some(event.into_owned())),
            Err(quick_xml::Error::Io(error)) if error.kind() == std::io::ErrorKind::FileTooLarge => {
                Err(Fault(LARGE.to_owned()))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// The value of an attribute, whatever its name space.
fn attribute(tag: &BytesStart<'_>, name: &[u8]) -> Option<String> {
    let mut attributes = tag.attributes();
    attributes.with_checks(false);
    let value =
        attributes.flatten().filter(|attribute| attribute.key.local_name().as_ref() == name).last()?;
    Some(String::from_utf8_lossy(&value.value).replace("&quot;", "\"").replace("&amp;", "&"))
}

/// Collects the text of `<t>`, but not that of how a word is pronounced (`<rPh>`).
#[derive(Default)]
struct Texts {
    text: String,
    in_text: bool,
    in_sound: bool,
}

impl Texts {
    fn take(&mut self, event: &Event<'_>) -> Result<(), Fault> {
        match event {
            Event::Start(tag) => match tag.local_name().as_ref() {
                b"t" => self.in_text = true,
                b"rPh" => self.in_sound = true,
                _ => {}
            },
            Event::End(tag) => match tag.local_name().as_ref() {
                b"t" => self.in_text = false,
                b"rPh" => self.in_sound = false,
                _ => {}
            },
            event if self.in_text && !self.in_sound => push_text(event, &mut self.text)?,
            _ => {}
        }
        Ok(())
    }
}

/// Adds what stands between tags.
fn push_text(event: &Event<'_>, out: &mut String) -> Result<(), Fault> {
    match event {
        Event::Text(text) => out.push_str(&String::from_utf8_lossy(text)),
        Event::CData(text) => out.push_str(&String::from_utf8_lossy(text)),
        Event::GeneralRef(name) => out.push_str(&reference(&String::from_utf8_lossy(name))),
        _ => {}
    }
    if out.len() > MAX_TEXT {
        return Err(Fault("is a workbook with a cell of more than 1 MiB of text: save it as CSV".to_owned()));
    }
    Ok(())
}

/// The character that stands behind `&` and before `;`.
fn reference(name: &str) -> String {
    let number = |digits: &str, radix| u32::from_str_radix(digits, radix).ok().and_then(char::from_u32);
    let character = match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => match name.strip_prefix('#') {
            Some(digits) => match digits.strip_prefix(['x', 'X']) {
                Some(hexadecimal) => number(hexadecimal, 16),
                None => number(digits, 10),
            },
            None => None,
        },
    };
    character.map_or_else(String::new, String::from)
}

/// Reads a sheet's cells.
struct SheetReader<'a> {
    strings: &'a [String],
    dates: &'a HashSet<usize>,
    from_1904: bool,
}

impl SheetReader<'_> {
    fn read(&self, mut xml: Xml<'_>) -> Result<Sheet, Fault> {
        let (mut rows, mut cells): (Vec<SheetRow>, _) = (Vec::new(), 0);
        let (mut row, mut number) = (Vec::new(), 0_u64);
        let (mut column, mut kind, mut style) = (0, String::new(), 0);
        let (mut value, mut in_value, mut inline) = (String::new(), false, Texts::default());
        while let Some(event) = xml.next()? {
            match &event {
                Event::Start(tag) | Event::Empty(tag) if tag.local_name().as_ref() == b"row" => {
                    number = attribute(tag, b"r").and_then(|r| r.parse().ok()).unwrap_or(number + 1);
                    (row, column) = (Vec::new(), 0);
                }
                Event::Start(tag) | Event::Empty(tag) if tag.local_name().as_ref() == b"c" => {
                    column = attribute(tag, b"r").and_then(|name| column_of(&name)).unwrap_or(column);
                    kind = attribute(tag, b"t").unwrap_or_default();
                    style = attribute(tag, b"s").and_then(|style| style.parse().ok()).unwrap_or(0);
                    value.clear();
                    inline = Texts::default();
                    if matches!(event, Event::Empty(_)) {
                        column += 1;
                    }
                }
                Event::Start(tag) if tag.local_name().as_ref() == b"v" => in_value = true,
                Event::End(tag) => match tag.local_name().as_ref() {
                    b"v" => in_value = false,
                    b"c" => {
                        if column >= MAX_COLUMNS {
                            return Err(Fault(LARGE.to_owned()));
                        }
                        let cell = self.cell(&kind, style, &value, std::mem::take(&mut inline.text));
                        if cell != Cell::Missing {
                            cells += 1 + column.saturating_sub(row.len());
                            if row.len() <= column {
                                row.resize(column + 1, Cell::Missing);
                            }
                            row[column] = cell;
                        }
                        column += 1;
                    }
                    b"row" if !row.is_empty() => rows.push((number, std::mem::take(&mut row))),
                    _ => inline.take(&event)?,
                },
                event if in_value => push_text(event, &mut value)?,
                event => inline.take(event)?,
            }
            if cells > MAX_CELLS {
                return Err(Fault(LARGE.to_owned()));
            }
        }
        if !row.is_empty() {
            rows.push((number, row));
        }
        Ok(Sheet { rows })
    }

    fn cell(&self, kind: &str, style: usize, value: &str, inline: String) -> Cell<'static> {
        let text = |text: String| {
            if text.is_empty() { Cell::Missing } else { Cell::Text(Cow::Owned(escaped(text))) }
        };
        match kind {
            "s" => value
                .trim()
                .parse::<usize>()
                .ok()
                .and_then(|at| self.strings.get(at))
                .map_or(Cell::Missing, |found| text(found.clone())),
            "inlineStr" => text(inline),
            "str" | "d" => text(value.to_owned()),
            "b" => Cell::Bool(value.trim() == "1"),
            // #N/A and its like hold nothing.
            "e" => Cell::Missing,
            _ => match value.trim().parse::<f64>() {
                Ok(days) if self.dates.contains(&style) => text(
                    date(if self.from_1904 { days + 1_462.0 } else { days })
                        .unwrap_or_else(|| shown_number(days)),
                ),
                Ok(number) => Cell::Number(Cow::Owned(shown_number(number))),
                Err(_) => Cell::Missing,
            },
        }
    }
}

/// The text without Excel's escapes of control characters, `_x000D_`.
fn escaped(text: String) -> String {
    if !text.contains("_x") {
        return text;
    }
    text.replace("_x000D_\n", "\n").replace("_x000D_", "\n").replace("_x000A_", "\n").replace("_x0009_", "\t")
}

/// The column of a cell such as `AB12`, counted from 0.
fn column_of(name: &str) -> Option<usize> {
    let letters = name.bytes().take_while(u8::is_ascii_alphabetic);
    let number = letters
        .take(4)
        .fold(0, |number, letter| number * 26 + usize::from(letter.to_ascii_uppercase() - b'A') + 1);
    number.checked_sub(1)
}

/// A number as Excel shows it: whole ones without a point.
fn shown_number(number: f64) -> String {
    if number.fract() == 0.0 && number.abs() < 1e15 { format!("{number:.0}") } else { number.to_string() }
}

/// A date, and the time if it has one, of a number of days since the end of 1899.
pub(super) fn date(days: f64) -> Option<String> {
    if !(0.0..2_958_466.0).contains(&days) {
        return None;
    }
    let seconds = (days.fract() * 86_400.0).round() as i64;
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let time = format!("{hour:02}:{minute:02}:{second:02}");
    if days < 1.0 {
        return Some(time);
    }
    // Excel has a 29th of February 1900, which did not exist.
    let day = days as i64 + if days < 60.0 { 1 } else { 0 };
    // Howard Hinnant's `civil_from_days`; 693,899 days lie between 0000-03-01 and 1899-12-30.
    let day = day + 693_899;
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let (of_month, month) =
        (of_year - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = year + era * 400 + i64::from(month <= 2);
    let date = format!("{year:04}-{month:02}-{of_month:02}");
    Some(if seconds == 0 { date } else { format!("{date} {time}") })
}

/// The sheets of an `.xls`.
pub(super) fn xls(path: &Path, bytes: Vec<u8>) -> Result<Vec<Sheet>, DataError> {
    // Names of streams; the first one is that of an `.xlsx` with a password.
    let holds = |name: &str| {
        let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        memchr::memmem::find(&bytes, &name).is_some()
    };
    if holds("EncryptedPackage") {
        return Err(content(path, Fault(PASSWORD.to_owned())));
    }
    if !holds("Workbook") && !holds("Book") {
        let what = "is a document of another program than Excel: save the table as .xlsx or CSV";
        return Err(content(path, Fault(what.to_owned())));
    }
    let read = || -> Result<Vec<Sheet>, Fault> {
        let mut book = Xls::new(Cursor::new(&bytes)).map_err(|error| match error {
            calamine::XlsError::Password => Fault(PASSWORD.to_owned()),
            error => error.into(),
        })?;
        let visible: Vec<String> = book
            .sheets_metadata()
            .iter()
            .filter(|sheet| sheet.visible == calamine::SheetVisible::Visible)
            .map(|sheet| sheet.name.clone())
            .collect();
        let mut sheets = Vec::new();
        for name in visible {
            let range = book.worksheet_range(&name)?;
            let first = range.start().map_or(0, |(row, _)| u64::from(row));
            let before = range.start().map_or(0, |(_, column)| column as usize);
            let rows = range.rows().zip(first + 1..).filter_map(|(row, number)| {
                let filled = row.iter().rposition(|cell| !cell.is_empty())? + 1;
                let mut cells = vec![Cell::Missing; before];
                cells.extend(row[..filled].iter().map(of_xls));
                Some((number, cells))
            });
            sheets.push(Sheet { rows: rows.collect() });
        }
        Ok(sheets)
    };
    read().map_err(|fault| content(path, fault))
}

fn of_xls(data: &Data) -> Cell<'static> {
    match data {
        Data::Int(number) => Cell::Number(Cow::Owned(number.to_string())),
        Data::Float(number) => Cell::Number(Cow::Owned(shown_number(*number))),
        Data::String(text) | Data::DateTimeIso(text) | Data::DurationIso(text) if !text.is_empty() => {
            Cell::Text(Cow::Owned(text.clone()))
        }
        Data::Bool(value) => Cell::Bool(*value),
        Data::DateTime(time) => {
            let days = time.as_f64();
            Cell::Text(Cow::Owned(date(days).unwrap_or_else(|| shown_number(days))))
        }
        _ => Cell::Missing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_dates_as_excel_shows_them() {
        for (days, want) in [
            (1.0, "1900-01-01"),
            (59.0, "1900-02-28"),
            (61.0, "1900-03-01"),
            (45_292.0, "2024-01-01"),
            (45_351.5, "2024-02-29 12:00:00"),
            (0.25, "06:00:00"),
        ] {
            assert_eq!(date(days).as_deref(), Some(want), "{days}");
        }
        assert_eq!(
            (column_of("A1"), column_of("AB12"), column_of("XFD1")),
            (Some(0), Some(27), Some(16_383))
        );
        assert!(
            is_date_format("yyyy\\.mm\\.dd") && !is_date_format("0.00\"day\"") && !is_date_format("[Red]0")
        );
    }
}
