//! The members of a zip archive (APPNOTE.TXT): archives of data files, and the workbooks of Excel, which are archives too.
//! Nothing is unpacked beyond a limit that the reader states, whatever the archive claims.

use flate2::read::DeflateDecoder;
use std::io::{self, Read, Seek, SeekFrom};

/// The largest comment behind the directory.
const MAX_COMMENT: u64 = 0xffff;
const END: &[u8] = b"PK\x05\x06";
const ENTRY: [u8; 4] = *b"PK\x01\x02";
const LOCAL: [u8; 4] = *b"PK\x03\x04";
/// Bytes of a directory that are read at most: a hundred thousand members.
const MAX_DIRECTORY: u64 = 16 << 20;

/// A file in an archive.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    /// Its name, with folders.
    pub(crate) name: String,
    /// Whether a password is needed.
    pub(crate) encrypted: bool,
    method: u16,
    compressed: u64,
    offset: u64,
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).map_or(0, |two| u16::from_le_bytes([two[0], two[1]]))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |four| u32::from_le_bytes([four[0], four[1], four[2], four[3]]))
}

/// The members, in the order of the directory.
pub(crate) fn directory(archive: &mut (impl Read + Seek)) -> io::Result<Vec<Member>> {
    let length = archive.seek(SeekFrom::End(0))?;
    let tail = length.min(MAX_COMMENT + 22);
    archive.seek(SeekFrom::Start(length - tail))?;
    let mut end = Vec::new();
    archive.by_ref().take(tail).read_to_end(&mut end)?;
    let at = end.windows(4).rposition(|four| four == END).ok_or_else(|| invalid("the archive breaks off"))?;
    let (size, start) = (u64::from(u32_at(&end, at + 12)), u64::from(u32_at(&end, at + 16)));
    if start == u64::from(u32::MAX) || size > MAX_DIRECTORY {
        return Err(invalid("the archive is larger than 4 GiB"));
    }
    archive.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    archive.by_ref().take(size).read_to_end(&mut bytes)?;
    let mut members = Vec::new();
    let mut rest = &bytes[..];
    while rest.starts_with(&ENTRY) && rest.len() >= 46 {
        let (name, extra, comment) = (u16_at(rest, 28), u16_at(rest, 30), u16_at(rest, 32));
        let entry = 46 + usize::from(name) + usize::from(extra) + usize::from(comment);
        let name = rest.get(46..46 + usize::from(name)).ok_or_else(|| invalid("its directory is damaged"))?;
        members.push(Member {
            name: String::from_utf8_lossy(name).into_owned(),
            encrypted: u16_at(rest, 8) & 1 == 1,
            method: u16_at(rest, 10),
            compressed: u64::from(u32_at(rest, 20)),
            offset: u64::from(u32_at(rest, 42)),
        });
        rest = rest.get(entry..).unwrap_or_default();
    }
    Ok(members)
}

impl Member {
    /// A reader of its content.
    pub(crate) fn open<R: Read + Seek + 'static>(&self, mut archive: R) -> io::Result<Box<dyn Read>> {
        let mut header = [0; 30];
        archive.seek(SeekFrom::Start(self.offset))?;
        archive.read_exact(&mut header)?;
        if !header.starts_with(&LOCAL) {
            return Err(invalid("its directory is damaged"));
        }
        // Lengths of name and extra data may differ from those of the directory.
        let skipped = i64::from(u16_at(&header, 26)) + i64::from(u16_at(&header, 28));
        archive.seek(SeekFrom::Current(skipped))?;
        let content = archive.take(self.compressed);
        match self.method {
            0 => Ok(Box::new(content)),
            8 => Ok(Box::new(DeflateDecoder::new(io::BufReader::with_capacity(1 << 16, content)))),
            _ => Err(invalid(
                "it is compressed by a method other than deflate: unpack it, or compress it with gzip",
            )),
        }
    }

    /// Whether it is a data file, and not a folder or what macOS adds.
    pub(crate) fn is_file(&self) -> bool {
        let hidden = |part: &str| part.starts_with('.') || part == "__MACOSX";
        !self.name.ends_with('/') && !self.name.split('/').any(hidden)
    }
}
