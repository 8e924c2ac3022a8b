//! Where a normalized text goes, and where its characters come from.

use super::super::characters::MAX_RUN;
use std::ops::Range;

/// Keeps where characters come from, or does not.
pub(in super::super) trait Spans {
    /// Whether it keeps them.
    const KEPT: bool;
    /// Forgets all.
    fn clear(&mut self);
    /// `bytes` more bytes come from `from`.
    fn push(&mut self, bytes: usize, from: Range<usize>);
    /// The last `bytes` bytes are gone; where they came from.
    fn pop(&mut self, bytes: usize) -> Range<usize>;
    /// What comes from a text comes from where that text came from.
    fn follow(&mut self, before: &Self);
}

/// Nobody asks.
impl Spans for () {
    const KEPT: bool = false;
    fn clear(&mut self) {}
    #[inline(always)]
    fn push(&mut self, _: usize, _: Range<usize>) {}
    #[inline(always)]
    fn pop(&mut self, _: usize) -> Range<usize> {
        0..0
    }
    fn follow(&mut self, (): &Self) {}
}

/// For every byte of a normalized text the bytes of the original that it comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins(Vec<(usize, usize)>);

impl Spans for Origins {
    const KEPT: bool = true;

    fn clear(&mut self) {
        self.0.clear();
    }

    fn push(&mut self, bytes: usize, from: Range<usize>) {
        self.0.extend(std::iter::repeat_n((from.start, from.end), bytes));
    }

    fn pop(&mut self, bytes: usize) -> Range<usize> {
        let at = self.0.len() - bytes;
        let (start, end) = self.0[at];
        self.0.truncate(at);
        start..end
    }

    fn follow(&mut self, before: &Self) {
        for (start, end) in &mut self.0 {
            (*start, *end) = (before.0[*start].0, before.0[(*end).max(*start + 1) - 1].1);
        }
    }
}

impl Origins {
    /// The bytes of the original that `range`, bytes of the normalized text, comes from; an empty range comes from an empty
    /// one.
    pub fn source(&self, range: Range<usize>) -> Range<usize> {
        let spans = self.0.get(range.clone()).unwrap_or_default();
        match (spans.iter().map(|span| span.0).min(), spans.iter().map(|span| span.1).max()) {
            (Some(start), Some(end)) => start..end,
            _ => {
                let at = self.0.get(range.start).map(|span| span.0);
                let at = at.or_else(|| self.0.last().map(|span| span.1)).unwrap_or(0);
                at..at
            }
        }
    }
}

/// Writes a text without spaces in which no character but a digit stands more than [`MAX_RUN`] times in a row.
pub(super) struct Writer<'w, S> {
    out: &'w mut String,
    spans: &'w mut S,
    last: char,
    run: usize,
}

impl<'w, S: Spans> Writer<'w, S> {
    /// Goes on behind what `out` holds.
    pub fn new(out: &'w mut String, spans: &'w mut S) -> Self {
        let mut writer = Writer { out, spans, last: '\0', run: 0 };
        writer.recount();
        writer
    }

    #[inline(always)]
    pub fn len(&self) -> usize {
        self.out.len()
    }

    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// The character written last.
    #[inline(always)]
    pub fn last(&self) -> Option<char> {
        if self.run == 0 { None } else { Some(self.last) }
    }

    pub fn ends_with(&self, end: &str) -> bool {
        self.out.ends_with(end)
    }

    #[inline(always)]
    pub fn write(&mut self, c: char, from: Range<usize>) {
        self.run = if c == self.last { self.run + 1 } else { 1 };
        self.last = c;
        if self.run <= MAX_RUN || c.is_ascii_digit() {
            self.out.push(c);
            self.spans.push(c.len_utf8(), from);
        }
    }

    /// A space, before the character at `at`.
    pub fn write_space(&mut self, at: usize) {
        self.out.push(' ');
        self.spans.push(1, at..at);
        (self.last, self.run) = (' ', 1);
    }

    /// Takes back the character written last.
    pub fn pop(&mut self) {
        self.pop_with_origin();
    }

    /// Takes back the character written last; where it came from.
    pub fn pop_with_origin(&mut self) -> Range<usize> {
        let Some(c) = self.out.pop() else { return 0..0 };
        let from = self.spans.pop(c.len_utf8());
        self.recount();
        from
    }

    fn recount(&mut self) {
        let mut back = self.out.chars().rev();
        let Some(last) = back.next() else {
            (self.last, self.run) = ('\0', 0);
            return;
        };
        (self.last, self.run) = (last, 1 + back.take(MAX_RUN).take_while(|&c| c == last).count());
    }
}
