//! Lines of a stream: each block holds the lines of one read, so a slow writer gets its answers at once and a fast one
//! large batches. Memory is bounded for any input.

use std::io::{self, Read};

/// Longest line in bytes.
pub const MAX_LINE: usize = 1 << 20;
/// Bytes of one read.
const READ: usize = 256 << 10;

/// Cuts a source of bytes into lines.
#[derive(Debug)]
pub struct Lines<R> {
    source: R,
    buffer: Vec<u8>,
    /// `consumed..filled` of the buffer was read, but belongs to a line that is not complete.
    consumed: usize,
    filled: usize,
    /// The line at hand is longer than [`MAX_LINE`]; its beginning is thrown away.
    overlong: bool,
    ended: bool,
}

/// One line, without its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// Its bytes.
    Whole(&'a [u8]),
    /// It had more than [`MAX_LINE`] bytes.
    TooLong,
}

impl<R: Read> Lines<R> {
    /// Lines of `source`.
    pub fn new(source: R) -> Self {
        let buffer = vec![0; MAX_LINE + READ];
        Lines { source, buffer, consumed: 0, filled: 0, overlong: false, ended: false }
    }

    /// The lines that are complete by now, at least one; waits for it. `None` at the end.
    ///
    /// # Errors
    /// Errors of the source.
    pub fn next_block(&mut self) -> io::Result<Option<impl Iterator<Item = Line<'_>>>> {
        self.buffer.copy_within(self.consumed..self.filled, 0);
        self.filled -= self.consumed;
        self.consumed = 0;
        let mut searched = 0;
        loop {
            if let Some(at) = memchr::memrchr(b'\n', &self.buffer[searched..self.filled]) {
                self.consumed = searched + at + 1;
                break;
            }
            searched = self.filled;
            if self.filled > MAX_LINE {
                self.overlong = true;
                (self.filled, searched) = (0, 0);
            }
            if self.ended {
                if self.filled == 0 && !self.overlong {
                    return Ok(None);
                }
                self.consumed = self.filled;
                break;
            }
            let room = self.filled..(self.filled + READ).min(self.buffer.len());
            match self.source.read(&mut self.buffer[room]) {
                Ok(0) => self.ended = true,
                Ok(count) => self.filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let block = &self.buffer[..self.consumed];
        let mut first_is_overlong = std::mem::take(&mut self.overlong);
        let block = block.strip_suffix(b"\n").unwrap_or(block);
        Ok(Some(block.split(|&byte| byte == b'\n').map(move |line| {
            if std::mem::take(&mut first_is_overlong) || line.len() > MAX_LINE {
                return Line::TooLong;
            }
            Line::Whole(line.strip_suffix(b"\r").unwrap_or(line))
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Gives its bytes in pieces.
    struct Slowly<'a>(&'a [u8], usize);

    impl Read for Slowly<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(out.len());
            out[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    fn all(bytes: &[u8], step: usize) -> Vec<Option<Vec<u8>>> {
        let mut lines = Lines::new(Slowly(bytes, step));
        let mut out = Vec::new();
        while let Some(block) = lines.next_block().unwrap() {
            out.extend(block.map(|line| match line {
                Line::Whole(line) => Some(line.to_vec()),
                Line::TooLong => None,
            }));
        }
        out
    }

    #[test]
    fn an_overlong_line_is_reported_and_the_rest_goes_on() {
        let long = vec![b'x'; MAX_LINE * 2 + 5];
        let bytes = [b"a\n", &long[..], b"\nb\n", &long[..MAX_LINE], b"\n", &long[..MAX_LINE + 1]].concat();
        for step in [1 << 12, READ, usize::MAX] {
            let want =
                [Some(b"a".to_vec()), None, Some(b"b".to_vec()), Some(long[..MAX_LINE].to_vec()), None];
            assert_eq!(all(&bytes, step), want, "{step}");
        }
    }

    proptest! {
        #[test]
        fn lines_are_those_of_the_text(text in "[ab\n]{0,40}(\n|b)?", step in 1usize..50) {
            let want: Vec<_> = text.lines().map(|line| Some(line.as_bytes().to_vec())).collect();
            prop_assert_eq!(all(text.as_bytes(), step), want);
        }
    }
}
