//! An open file: plain or gzip, checked for what no text file begins with, and never read for ever on one row.

use crate::error::DataError;
use flate2::read::MultiGzDecoder;
use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Files are read in pieces of this many bytes.
pub(super) const BUFFER: usize = 1 << 18;
/// Longer rows are no comments: a quotation mark that is not closed, or no text file.
const MAX_ROW: usize = 1 << 24;

/// How rows are written.
#[derive(Clone, Copy)]
pub(super) enum Format {
    Tsv,
    Csv,
    Jsonl,
}

/// An open file.
pub(super) struct Input {
    pub(super) path: PathBuf,
    pub(super) format: Format,
    gzip: bool,
    pub(super) reader: Box<dyn BufRead>,
    /// Bytes that may still be read for the row that is read now.
    left: Rc<Cell<usize>>,
}

impl Input {
    /// Opens a file; its name decides the format.
    pub(super) fn open(path: &Path) -> Result<Self, DataError> {
        if path.is_dir() {
            return Err(DataError::Folder(path.to_owned()));
        }
        let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
        let bare = name.strip_suffix(".gz").unwrap_or(&name);
        let format = match bare.rsplit_once('.').map(|(_, extension)| extension) {
            Some("tsv") => Format::Tsv,
            Some("csv") => Format::Csv,
            Some("jsonl" | "ndjson") => Format::Jsonl,
            _ => return Err(DataError::Format(path.to_owned())),
        };
        let file = File::open(path).map_err(|reason| DataError::unreadable(path, reason))?;
        let gzip = name.ends_with(".gz");
        let bytes: Box<dyn Read> = if gzip {
            Box::new(MultiGzDecoder::new(BufReader::with_capacity(BUFFER, file)))
        } else {
            Box::new(file)
        };
        let left = Rc::new(Cell::new(MAX_ROW));
        let limited = Limited { inner: bytes, left: Rc::clone(&left) };
        let reader: Box<dyn BufRead> = Box::new(BufReader::with_capacity(BUFFER, limited));
        let mut input = Input { path: path.to_owned(), format, gzip, reader, left };
        input.check_start()?;
        Ok(input)
    }

    /// Looks at the first bytes for what no text file begins with; passes over a UTF-8 byte order mark.
    fn check_start(&mut self) -> Result<(), DataError> {
        let start = match self.reader.fill_buf() {
            Ok(start) => start,
            Err(error) if self.gzip && error.kind() == io::ErrorKind::InvalidInput => {
                return Err(self.content("is no gzip data, though its name ends in .gz"));
            }
            Err(error) => return Err(self.error(error, 0)),
        };
        let what = match start {
            [] => return Err(DataError::Empty(self.path.clone())),
            [0x1f, 0x8b, ..] => "is gzip data: its name must end in .gz",
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
                "is UTF-16 text: make it UTF-8, for instance with iconv -f UTF-16 -t UTF-8"
            }
            [b'P', b'K', 3, 4, ..] => "is a zip archive or a spreadsheet: save it as UTF-8 text",
            [0xef, 0xbb, 0xbf, ..] => {
                self.reader.consume(3);
                return Ok(());
            }
            _ => return Ok(()),
        };
        Err(self.content(what))
    }

    fn content(&self, what: &'static str) -> DataError {
        DataError::Content { path: self.path.clone(), what }
    }

    /// What went wrong while the row behind line `line` was read.
    pub(super) fn error(&self, reason: io::Error, line: u64) -> DataError {
        let path = self.path.clone();
        match reason.kind() {
            io::ErrorKind::FileTooLarge => DataError::Endless {
                path,
                line: line + 1,
                what: "is longer than 16 MiB: a quotation mark that is not closed, or no text file",
            },
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
                if self.gzip =>
            {
                DataError::Gzip { path, line, reason }
            }
            _ => DataError::Unreadable { path, reason },
        }
    }

    /// Puts the next line that is not blank into `bytes`, and its number into `line`; returns whether there was one.
    pub(super) fn next_line(&mut self, bytes: &mut Vec<u8>, line: &mut u64) -> Result<bool, DataError> {
        loop {
            bytes.clear();
            self.begin_row();
            let read = self.reader.read_until(b'\n', bytes).map_err(|error| self.error(error, *line))?;
            if read == 0 {
                return Ok(false);
            }
            *line += 1;
            if !bytes.iter().all(u8::is_ascii_whitespace) {
                return Ok(true);
            }
        }
    }

    /// From now on bytes count for the next row.
    pub(super) fn begin_row(&self) {
        self.left.set(MAX_ROW);
    }
}

/// Refuses to read for ever on one row.
struct Limited<R> {
    inner: R,
    left: Rc<Cell<usize>>,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let left = self.left.get().checked_sub(read).ok_or(io::ErrorKind::FileTooLarge)?;
        self.left.set(left);
        Ok(read)
    }
}
