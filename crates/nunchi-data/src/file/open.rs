//! An open file: unpacked, recognized by its first bytes, decoded.

use super::archive::{Member, directory};
use super::encoding::{Encoding, decoded, detect};
use crate::error::DataError;
use flate2::read::MultiGzDecoder;
use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;
use std::rc::Rc;

/// Files are read in pieces of this many bytes.
const BUFFER: usize = 1 << 18;
/// Bytes that are looked at to recognize an encoding …
const SAMPLE: u64 = 1 << 20;
/// … and of a file that begins with ASCII alone.
const MAX_SAMPLE: usize = 1 << 24;
/// Bytes of decoded text that are looked at to find separator and column names.
const HEAD: u64 = 1 << 18;
/// Compressions within one another that are undone: a gzip of a zip, and so on.
const MAX_LAYERS: usize = 3;
/// Largest file that is read as a whole: a workbook, or Parquet within an archive.
pub(crate) const MAX_WHOLE: u64 = 256 << 20;

/// Bytes of a file that were read so far, and all that it has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress {
    pub(crate) read: Rc<Cell<u64>>,
    pub(crate) bytes: u64,
}

/// A file, open.
pub(crate) struct Opened {
    /// The ending of the name of what was unpacked, in lower case: a hint, no more.
    pub(crate) ending: String,
    /// The names of the compressions, the outermost first.
    pub(crate) layers: Vec<&'static str>,
    pub(crate) content: Content,
}

/// What a file holds.
pub(crate) enum Content {
    /// Text.
    Text(TextInput),
    /// Parquet, in a file of its own.
    ParquetFile(File),
    /// Parquet that was unpacked.
    ParquetBytes(Vec<u8>),
    /// A workbook of Excel since 2007.
    Xlsx(Vec<u8>),
    /// A workbook of older versions.
    Xls(Vec<u8>),
}

/// A text.
pub(crate) struct TextInput {
    pub(crate) encoding: Encoding,
    /// The first part of it.
    pub(crate) head: Vec<u8>,
    /// Whether `head` is all of it.
    pub(crate) whole: bool,
    /// All of it, in UTF-8 but for faults.
    pub(crate) reader: Box<dyn BufRead>,
}

impl Opened {
    /// Opens the file at `path`; its text is in `encoding`, or in what its content shows.
    pub(crate) fn new(
        path: &Path,
        encoding: Option<Encoding>,
        progress: &mut Progress,
    ) -> Result<Self, DataError> {
        if path.is_dir() {
            return Err(DataError::Folder(path.to_owned()));
        }
        let unreadable = |reason| DataError::unreadable(path, reason);
        let file = File::open(path).map_err(unreadable)?;
        progress.bytes = file.metadata().map_or(0, |metadata| metadata.len());
        let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
        let counted =
            Counted { inner: file.try_clone().map_err(unreadable)?, read: Rc::clone(&progress.read) };
        let opening = Opening { path, name, layers: Vec::new(), file: Some(file) };
        opening.unpack(Box::new(counted), encoding)
    }
}

/// Counts what is read.
struct Counted<R> {
    inner: R,
    read: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.read.set(self.read.get() + read as u64);
        Ok(read)
    }
}

struct Opening<'a> {
    path: &'a Path,
    /// In lower case, of the member that is read.
    name: String,
    layers: Vec<&'static str>,
    /// The file itself, as long as nothing was unpacked.
    file: Option<File>,
}

impl Opening<'_> {
    fn content(&self, what: impl Into<String>) -> DataError {
        DataError::Content { path: self.path.to_owned(), what: what.into() }
    }

    fn error(&self, reason: io::Error) -> DataError {
        read_error(self.path, &self.layers, reason, 0)
    }

    fn unpack(mut self, mut reader: Box<dyn Read>, encoding: Option<Encoding>) -> Result<Opened, DataError> {
        let mut start = Vec::new();
        (&mut reader).take(8).read_to_end(&mut start).map_err(|error| self.error(error))?;
        let whole = || -> Box<dyn Read> { Box::new(Cursor::new(start.clone())) };
        if self.layers.len() > MAX_LAYERS {
            return Err(self.content("is compressed more than three times: unpack it"));
        }
        match start[..] {
            [] => Err(DataError::Empty(self.path.to_owned())),
            [0x1f, 0x8b, ..] => {
                let source = BufReader::with_capacity(BUFFER, whole().chain(reader));
                self.unpacked("gzip", &[".gz", ".gzip"]);
                self.unpack(Box::new(MultiGzDecoder::new(source)), encoding)
            }
            [0x28, 0xb5, 0x2f, 0xfd, ..] => {
                let decoder = zstd::stream::read::Decoder::new(whole().chain(reader));
                self.unpacked("zstd", &[".zst", ".zstd"]);
                let decoder = decoder.map_err(|error| self.error(error))?;
                self.unpack(Box::new(decoder), encoding)
            }
            [b'P', b'K', 3 | 5, 4 | 6, ..] => self.unzip(whole().chain(reader), encoding),
            [b'P', b'A', b'R', b'1', ..] => {
                let content = match self.file.take() {
                    Some(file) => Content::ParquetFile(file),
                    None => Content::ParquetBytes(self.whole(whole().chain(reader))?),
                };
                Ok(self.opened(content))
            }
            [0xd0, 0xcf, 0x11, 0xe0, ..] => {
                let bytes = self.whole(whole().chain(reader))?;
                Ok(self.opened(Content::Xls(bytes)))
            }
            _ => {
                if let Some(what) = other_kind(&start) {
                    return Err(self.content(what));
                }
                let text = self.text(whole().chain(reader), encoding)?;
                Ok(self.opened(Content::Text(text)))
            }
        }
    }

    /// Notes that a compression is undone.
    fn unpacked(&mut self, layer: &'static str, endings: &[&str]) {
        self.layers.push(layer);
        self.file = None;
        if let Some(name) = endings.iter().find_map(|ending| self.name.strip_suffix(ending)) {
            self.name = name.to_owned();
        }
    }

    fn opened(self, content: Content) -> Opened {
        let ending = self.name.rsplit_once('.').map(|(_, ending)| ending.to_owned()).unwrap_or_default();
        Opened { ending, layers: self.layers, content }
    }

    /// All of `reader`, if that is not too much.
    fn whole(&self, reader: impl Read) -> Result<Vec<u8>, DataError> {
        let mut bytes = Vec::new();
        reader.take(MAX_WHOLE + 1).read_to_end(&mut bytes).map_err(|error| self.error(error))?;
        if bytes.len() as u64 > MAX_WHOLE {
            return Err(
                self.content("is larger than 256 MiB, the most that is read of its kind: save it as CSV")
            );
        }
        Ok(bytes)
    }

    /// A workbook, or the one data file in an archive.
    fn unzip(mut self, reader: impl Read, encoding: Option<Encoding>) -> Result<Opened, DataError> {
        let damaged = |error: io::Error| match error.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                DataError::Damaged { path: self.path.to_owned(), kind: "zip", line: 0, reason: error }
            }
            _ => DataError::unreadable(self.path, error),
        };
        let (members, bytes) = match &mut self.file {
            Some(file) => (directory(file).map_err(damaged)?, None),
            None => {
                let bytes = self.whole(reader)?;
                (directory(&mut Cursor::new(&bytes)).map_err(damaged)?, Some(bytes))
            }
        };
        if members.iter().any(|member| member.name == "[Content_Types].xml") {
            if members.iter().any(|member| member.name == "xl/workbook.xml") {
                let bytes = match bytes {
                    Some(bytes) => bytes,
                    None => {
                        let file =
                            File::open(self.path).map_err(|error| DataError::unreadable(self.path, error))?;
                        self.whole(file)?
                    }
                };
                return Ok(self.opened(Content::Xlsx(bytes)));
            }
            return Err(
                self.content("is a document of Office, but no workbook: save the table as .xlsx or CSV")
            );
        }
        if members.iter().any(|member| member.name == "mimetype" || member.name.starts_with("META-INF/")) {
            return Err(self.content(
                "is a document of another program (OpenDocument, for instance): save it as .xlsx or CSV",
            ));
        }
        let files: Vec<&Member> = members.iter().filter(|member| member.is_file()).collect();
        let member = match files[..] {
            [one] => one.clone(),
            [] => return Err(self.content("is a zip archive without a file in it")),
            _ => {
                let count = files.len();
                return Err(self.content(format!(
                    "is a zip archive of {count} files: unpack it and name the data file"
                )));
            }
        };
        if member.encrypted {
            return Err(self.content("is a zip archive with a password: unpack it and name the data file"));
        }
        let opened = match (&self.file, bytes) {
            (Some(file), _) => file.try_clone().and_then(|file| member.open(file)),
            (None, Some(bytes)) => member.open(Cursor::new(bytes)),
            (None, None) => Err(io::ErrorKind::UnexpectedEof.into()),
        };
        let reader = opened.map_err(damaged)?;
        self.unpacked("zip", &[]);
        self.name = member.name.to_lowercase();
        self.unpack(reader, encoding)
    }

    fn text(
        &self,
        mut reader: impl Read + 'static,
        forced: Option<Encoding>,
    ) -> Result<TextInput, DataError> {
        let mut sample = Vec::new();
        let mut failed = Failed(None);
        let ended = loop {
            let before = sample.len();
            match (&mut reader).take(SAMPLE).read_to_end(&mut sample) {
                Ok(_) => {}
                Err(error) if sample.is_empty() => return Err(self.error(error)),
                Err(error) => {
                    failed = Failed(Some(error));
                    break false;
                }
            }
            if ((sample.len() - before) as u64) < SAMPLE {
                break true;
            }
            // Text that begins with ASCII alone may hold anything further on.
            if sample.len() >= MAX_SAMPLE || !sample.is_ascii() {
                break false;
            }
        };
        let encoding = match forced {
            Some(encoding) => encoding.agreeing_with(&sample),
            None => detect(&sample, ended).map_err(|what| self.content(what))?,
        };
        let source = Cursor::new(sample).chain(failed).chain(reader);
        let mut text = decoded(encoding, source).map_err(|error| self.error(error))?;
        let mut head = Vec::new();
        let failed = Failed((&mut text).take(HEAD).read_to_end(&mut head).err());
        let whole = (head.len() as u64) < HEAD && failed.0.is_none();
        let source = Cursor::new(head.clone()).chain(failed).chain(text);
        let reader = BufReader::with_capacity(BUFFER, source);
        Ok(TextInput { encoding, head, whole, reader: Box::new(reader) })
    }
}

/// An error that came while the beginning was looked at: it is told where it is reached, behind the rows before it.
struct Failed(Option<io::Error>);

impl Read for Failed {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

/// What a file is that is no data, and what to do.
fn other_kind(start: &[u8]) -> Option<&'static str> {
    Some(match start {
        [b'%', b'P', b'D', b'F', ..] => "is a PDF: save the table as .xlsx or CSV",
        [0x89, b'P', b'N', b'G', ..] | [0xff, 0xd8, 0xff, ..] | [b'G', b'I', b'F', b'8', ..] => {
            "is a picture: save the table as .xlsx or CSV"
        }
        [b'R', b'a', b'r', b'!', ..] | [b'7', b'z', 0xbc, 0xaf, ..] => {
            "is an archive: unpack it and name the data file"
        }
        [b'B', b'Z', b'h', ..] => "is compressed with bzip2: unpack it, or use gzip, zstd or zip",
        [0xfd, b'7', b'z', b'X', b'Z', ..] => "is compressed with xz: unpack it, or use gzip, zstd or zip",
        [b'{', b'\\', b'r', b't', b'f', ..] => "is a document in RTF: save the table as .xlsx or CSV",
        [b'S', b'Q', b'L', b'i', b't', b'e', ..] => "is a database of SQLite: export the table as CSV",
        [b'O', b'b', b'j', 1, ..] => "is an Avro file: export it as JSON lines or Parquet",
        _ => return None,
    })
}

/// What went wrong while the row behind line `line` was read.
pub(crate) fn read_error(path: &Path, layers: &[&'static str], reason: io::Error, line: u64) -> DataError {
    let path = path.to_owned();
    let broken = matches!(
        reason.kind(),
        io::ErrorKind::InvalidInput
            | io::ErrorKind::InvalidData
            | io::ErrorKind::UnexpectedEof
            | io::ErrorKind::Other
    );
    match (reason.kind(), layers.last()) {
        (io::ErrorKind::FileTooLarge, _) => DataError::Endless {
            path,
            line: line + 1,
            what: "is longer than 16 MiB: a quotation mark that is not closed, or no text file",
        },
        (_, Some(kind)) if broken => DataError::Damaged { path, kind, line, reason },
        _ => DataError::Unreadable { path, reason },
    }
}
