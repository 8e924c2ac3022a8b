//! Records of delimited text (RFC 4180, and what others write): from lines to fields.

use crate::file::Lines;
use memchr::memchr;
use std::io;

/// Most columns of a table: as many as Excel has.
pub(crate) const MAX_COLUMNS: usize = 16_384;
/// Lines within which a quotation mark of a TSV must be closed to be one.
const MAX_LINES: usize = 200;
/// Bytes within which it must.
const MAX_QUOTED: usize = 1 << 20;

/// How quotation marks are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quoting {
    /// A field that begins with one ends with one.
    Always,
    /// As in a TSV: some programs quote as in a CSV, for others it is a character like any other. A field is quoted if it
    /// ends as a quoted one must and the row then has as many columns as the first.
    IfConsistent,
}

/// The fields of a record. Memory is reused from one to the next.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// The line that it begins at.
    pub(super) line: u64,
    /// Lines that it runs over.
    pub(super) lines: u64,
    /// Whether there are more fields than a table may have.
    pub(super) overfull: bool,
}

impl Record {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn get(&self, field: usize) -> Option<&[u8]> {
        let end = *self.ends.get(field)?;
        let start = field.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(&self.bytes[start..end])
    }

    pub(super) fn fields(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).filter_map(|field| self.get(field))
    }

    /// Whether nothing but white space stands in it.
    pub(super) fn is_blank(&self) -> bool {
        self.bytes.iter().all(u8::is_ascii_whitespace)
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.overfull = false;
    }

    fn end_field(&mut self) {
        if self.ends.len() > MAX_COLUMNS {
            self.overfull = true;
        } else {
            self.ends.push(self.bytes.len());
        }
    }

    /// Splits a line at every delimiter.
    fn split(&mut self, line: &[u8], delimiter: u8) {
        self.clear();
        let mut rest = line;
        while let Some(at) = memchr(delimiter, rest) {
            self.bytes.extend_from_slice(&rest[..at]);
            self.end_field();
            rest = &rest[at + 1..];
        }
        self.bytes.extend_from_slice(rest);
        self.end_field();
    }

    /// Adds a line to the record: its beginning, or more of a quoted field that is `open`. Returns whether a field is open
    /// at its end, and whether a quoted field had something behind its end or an odd mark within.
    fn add(&mut self, line: &[u8], delimiter: u8, open: bool) -> (bool, bool) {
        let (mut at, mut quoted, mut odd) = (0, open, false);
        let mut starts = !open;
        loop {
            if starts && !quoted && line.get(at) == Some(&b'"') {
                (quoted, starts) = (true, false);
                at += 1;
            }
            if quoted {
                let Some(mark) = memchr(b'"', &line[at..]) else {
                    self.bytes.extend_from_slice(&line[at..]);
                    return (true, odd);
                };
                self.bytes.extend_from_slice(&line[at..at + mark]);
                at += mark + 1;
                match line.get(at) {
                    Some(b'"') => {
                        self.bytes.push(b'"');
                        at += 1;
                    }
                    next => {
                        quoted = false;
                        odd |= next.is_some_and(|&next| next != delimiter);
                    }
                }
                continue;
            }
            match memchr(delimiter, &line[at..]) {
                Some(found) => {
                    self.bytes.extend_from_slice(&line[at..at + found]);
                    self.end_field();
                    at += found + 1;
                    starts = true;
                }
                None => {
                    self.bytes.extend_from_slice(&line[at..]);
                    self.end_field();
                    return (false, odd);
                }
            }
        }
    }
}

/// Reads records.
pub(super) struct Records {
    pub(super) lines: Lines,
    pub(super) delimiter: u8,
    quoting: Quoting,
    /// Columns of the first row, once it is known.
    pub(super) width: Option<usize>,
    line: Vec<u8>,
}

/// The end of the text within a quoted field.
#[derive(Debug)]
pub(super) struct Unclosed(pub(super) u64);

impl Records {
    pub(super) fn new(lines: Lines, delimiter: u8) -> Self {
        let quoting = if delimiter == b'\t' { Quoting::IfConsistent } else { Quoting::Always };
        Records { lines, delimiter, quoting, width: None, line: Vec::new() }
    }

    /// Puts the next record into `record`; whether there was one.
    ///
    /// # Errors
    /// Of the file; a quotation mark that is never closed.
    pub(super) fn next(&mut self, record: &mut Record) -> io::Result<Result<bool, Unclosed>> {
        if !self.lines.next(&mut self.line)? {
            return Ok(Ok(false));
        }
        (record.line, record.lines) = (self.lines.number, 1);
        if memchr(b'"', &self.line).is_none() {
            record.split(&self.line, self.delimiter);
            return Ok(Ok(true));
        }
        match self.quoting {
            Quoting::Always => self.quoted(record),
            Quoting::IfConsistent => self.if_consistent(record).map(|()| Ok(true)),
        }
    }

    fn quoted(&mut self, record: &mut Record) -> io::Result<Result<bool, Unclosed>> {
        record.clear();
        let (mut open, _) = record.add(&self.line, self.delimiter, false);
        while open {
            if record.bytes.len() > crate::file::MAX_ROW {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            if !self.lines.next(&mut self.line)? {
                return Ok(Err(Unclosed(record.line)));
            }
            record.bytes.push(b'\n');
            record.lines += 1;
            (open, _) = record.add(&self.line, self.delimiter, true);
        }
        Ok(Ok(true))
    }

    fn if_consistent(&mut self, record: &mut Record) -> io::Result<()> {
        let first = std::mem::take(&mut self.line);
        let columns = |line: &[u8]| 1 + line.iter().filter(|&&byte| byte == self.delimiter).count();
        let raw = columns(&first);
        record.clear();
        let (open, odd) = record.add(&first, self.delimiter, false);
        let consistent = match self.width {
            Some(width) => record.len() == width || raw != width,
            None => true,
        };
        if !open && !odd && consistent {
            self.line = first;
            return Ok(());
        }
        let mut more = Vec::new();
        if open && !odd && self.width.is_some() {
            let closed = self.close(record, &first, &mut more)?;
            if closed {
                record.lines += more.len() as u64;
                self.line = first;
                return Ok(());
            }
        }
        self.lines.give_back(more.into_iter());
        record.split(&first, self.delimiter);
        record.line = self.lines.number;
        record.lines = 1;
        self.line = first;
        Ok(())
    }

    /// Reads on until the quoted field of `record` is closed; whether it is, and the lines in between are no rows themselves.
    fn close(&mut self, record: &mut Record, first: &[u8], more: &mut Vec<Vec<u8>>) -> io::Result<bool> {
        let width = self.width.unwrap_or(0);
        let columns = |line: &[u8]| 1 + line.iter().filter(|&&byte| byte == self.delimiter).count();
        let mut bytes = 0;
        while more.len() < MAX_LINES && bytes < MAX_QUOTED {
            let mut line = Vec::new();
            if !self.lines.next(&mut line)? {
                return Ok(false);
            }
            bytes += line.len();
            record.bytes.push(b'\n');
            let (open, odd) = record.add(&line, self.delimiter, true);
            let of_line = columns(&line);
            more.push(line);
            if odd || (open && width > 1 && of_line == width) {
                return Ok(false);
            }
            if !open {
                // A row that is whole before the quoted field ends is no beginning of one, unless its end adds nothing.
                return Ok(record.len() == width && (columns(first) < width || of_line == 1));
            }
        }
        Ok(false)
    }
}
