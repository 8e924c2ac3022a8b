//! Lines as an editor counts them: `\n`, `\r\n`, or in files of old Macs `\r`. None is read without end.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read};

/// Longer rows are no comments: a quotation mark that is not closed, or no text file.
pub(crate) const MAX_ROW: usize = 1 << 24;

/// Reads lines.
pub(crate) struct Lines {
    reader: Box<dyn BufRead>,
    end: u8,
    /// The number of the last line that was handed out, counted from 1.
    pub(crate) number: u64,
    /// Lines that were read and given back.
    waiting: VecDeque<Vec<u8>>,
}

impl Lines {
    /// Lines of `reader`, whose text begins with `head`.
    pub(crate) fn new(reader: Box<dyn BufRead>, head: &[u8]) -> Self {
        let end = if head.contains(&b'\r') && !head.contains(&b'\n') { b'\r' } else { b'\n' };
        Lines { reader, end, number: 0, waiting: VecDeque::new() }
    }

    /// Puts the next line, without its end, into `line`; returns whether there was one.
    pub(crate) fn next(&mut self, line: &mut Vec<u8>) -> io::Result<bool> {
        line.clear();
        if let Some(waiting) = self.waiting.pop_front() {
            *line = waiting;
            self.number += 1;
            return Ok(true);
        }
        let mut limited = (&mut self.reader).take(MAX_ROW as u64 + 1);
        if limited.read_until(self.end, line)? == 0 {
            return Ok(false);
        }
        self.number += 1;
        if line.len() > MAX_ROW {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        if line.last() == Some(&self.end) {
            line.pop();
        }
        if self.end == b'\n' && line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(true)
    }

    /// Gives the last lines back, the latest first.
    pub(crate) fn give_back(&mut self, lines: impl DoubleEndedIterator<Item = Vec<u8>>) {
        for line in lines.rev() {
            self.number -= 1;
            self.waiting.push_front(line);
        }
    }
}
