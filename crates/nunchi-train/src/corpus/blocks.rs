//! The file behind a corpus: blocks of rows, each a table of headers of fixed size and then the texts.
//!
//! Headers can be changed in place. The bytes are little-endian; no other process reads them.

use nunchi_data::CommentKey;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::{Mutex, PoisonError};

/// Rows of a block; only the last block may have fewer.
pub(super) const BLOCK: usize = 256;
/// Bytes of a header.
const HEADER: usize = 24;
/// Stands for "no class".
const NO_CLASS: u32 = u32::MAX;

/// What is known of a row beside its text.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Header {
    /// Bytes of the text.
    pub length: u32,
    pub class: Option<u32>,
    pub soft: Option<f32>,
    pub source: u16,
    /// Whether the row is out of the corpus.
    pub dropped: bool,
    pub key: CommentKey,
}

impl Header {
    fn to_bytes(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[0..4].copy_from_slice(&self.length.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.class.unwrap_or(NO_CLASS).to_le_bytes());
        bytes[8..12].copy_from_slice(&self.soft.unwrap_or(f32::NAN).to_le_bytes());
        bytes[12..14].copy_from_slice(&self.source.to_le_bytes());
        bytes[14] = u8::from(self.dropped);
        bytes[16..24].copy_from_slice(&self.key.to_bits().to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8; HEADER]) -> Self {
        let four = |at: usize| [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
        let (low, high) = (u32::from_le_bytes(four(16)), u32::from_le_bytes(four(20)));
        Header {
            length: u32::from_le_bytes(four(0)),
            class: Some(u32::from_le_bytes(four(4))).filter(|&class| class != NO_CLASS),
            soft: Some(f32::from_le_bytes(four(8))).filter(|soft| !soft.is_nan()),
            source: u16::from_le_bytes([bytes[12], bytes[13]]),
            dropped: bytes[14] != 0,
            key: CommentKey::from_bits(u64::from(low) | u64::from(high) << 32),
        }
    }
}

/// Where a block is: all that memory holds of it.
#[derive(Debug)]
struct BlockIndex {
    /// Where it begins in the file.
    offset: u64,
    /// Rows before it that are not dropped.
    first_row: u64,
}

/// Blocks in a file.
#[derive(Debug)]
pub(super) struct Store {
    file: Mutex<File>,
    places: Vec<BlockIndex>,
    /// Rows of the last block, dropped ones included.
    last: usize,
    /// Bytes of the file.
    bytes: u64,
    /// Rows that are not dropped.
    rows: u64,
}

impl Store {
    /// No blocks yet, in an empty file.
    pub fn new(file: File) -> Self {
        Store { file: Mutex::new(file), places: Vec::new(), last: 0, bytes: 0, rows: 0 }
    }

    /// How many blocks.
    pub fn blocks(&self) -> usize {
        self.places.len()
    }

    /// Rows that are not dropped.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The number of a block's first row.
    pub fn first_row(&self, block: usize) -> u64 {
        self.places[block].first_row
    }

    /// How many rows of a block are not dropped.
    pub fn rows_of(&self, block: usize) -> u64 {
        let end = self.places.get(block + 1).map_or(self.rows, |next| next.first_row);
        end - self.places[block].first_row
    }

    /// Appends a block; only the last may have fewer than [`BLOCK`] rows, none of them dropped so far.
    pub fn append(&mut self, headers: &[Header], texts: &[u8]) -> io::Result<()> {
        debug_assert!(self.places.is_empty() || self.last == BLOCK, "only the last block is short");
        let mut bytes = Vec::with_capacity(headers.len() * HEADER + texts.len());
        headers.iter().for_each(|header| bytes.extend_from_slice(&header.to_bytes()));
        bytes.extend_from_slice(texts);
        let file = self.file.get_mut().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(self.bytes))?;
        file.write_all(&bytes)?;
        self.places.push(BlockIndex { offset: self.bytes, first_row: self.rows });
        self.last = headers.len();
        self.bytes += bytes.len() as u64;
        self.rows += headers.len() as u64;
        Ok(())
    }

    /// Hands every row of a block that is not dropped to `visit`.
    pub fn read(&self, block: usize, mut visit: impl FnMut(&Header, &str)) -> io::Result<()> {
        let end = self.places.get(block + 1).map_or(self.bytes, |next| next.offset);
        let bytes = self.bytes_at(self.places[block].offset, (end - self.places[block].offset) as usize)?;
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "the temporary file was changed");
        let (headers, mut texts) = bytes.split_at_checked(self.headers(block)).ok_or_else(damaged)?;
        for header in headers.as_chunks().0.iter().map(Header::from_bytes) {
            let (text, rest) = texts.split_at_checked(header.length as usize).ok_or_else(damaged)?;
            texts = rest;
            if !header.dropped {
                visit(&header, std::str::from_utf8(text).map_err(|_| damaged())?);
            }
        }
        Ok(())
    }

    /// Lets `visit` change every header of a block, but for lengths and what is dropped.
    pub fn change(&mut self, block: usize, mut visit: impl FnMut(&mut Header)) -> io::Result<()> {
        let offset = self.places[block].offset;
        let mut bytes = self.bytes_at(offset, self.headers(block))?;
        for place in bytes.as_chunks_mut().0 {
            let mut header = Header::from_bytes(place);
            visit(&mut header);
            *place = header.to_bytes();
        }
        let file = self.file.get_mut().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(offset))?;
        file.write_all(&bytes)
    }

    /// Drops the rows of which `drop` says so; numbers the others anew.
    pub fn retain(&mut self, mut drop: impl FnMut(&Header) -> bool) -> io::Result<()> {
        let mut rows = 0;
        for block in 0..self.blocks() {
            let first_row = rows;
            self.change(block, |header| {
                header.dropped |= drop(header);
                rows += u64::from(!header.dropped);
            })?;
            self.places[block].first_row = first_row;
        }
        self.rows = rows;
        Ok(())
    }

    /// Bytes of a block's headers.
    fn headers(&self, block: usize) -> usize {
        HEADER * if block + 1 == self.places.len() { self.last } else { BLOCK }
    }

    fn bytes_at(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}
