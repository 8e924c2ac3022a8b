//! `nunchi-3`: a comment as `nunchi-2` reads it, without what the buyer did not write.
//!
//! A text is read once from left to right. Nearly all characters are copied; a few (`<`, `&`, `[`, an emoji, …) begin something
//! that is looked at as a whole. What was taken away may have held apart what is something now (`&lt;br&gt;`), so the result is
//! read again until nothing changes, up to [`MAX_PASSES`] times: deeper than that nobody nests by accident, and the time
//! stays a multiple of the text's length. Within these passes normalizing twice changes nothing.
//!
//! Reading stops where the result is as long as wanted: what lies behind costs nothing.

mod emoji;
mod labels;
mod markup;
mod patterns;
mod tags;
mod writer;

pub(super) use emoji::is_emoji;
pub(super) use labels::BADGES;
pub(super) use patterns::{literals, patterns};
pub use writer::Origins;
use writer::Spans;

use super::characters::{compose, is_dropped, is_inert, is_space};
use emoji::Emoji;
use markup::Decoded;
use std::ops::Range;
use writer::Writer;

/// How often a text is read at most.
const MAX_PASSES: usize = 4;
/// Characters that are composed at once at most, if no place is better to end at.
const MAX_BLOCK: usize = 4_096;
/// Characters after which a block ends where a letter begins.
const LONG_BLOCK: usize = 256;

/// What is done with the spaces of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spaces {
    /// None is left.
    Dropped,
    /// Single ones stay, for finding words.
    Kept,
}

/// Puts the beginning of the normalized `text` into `out`: all of it, or at least `most` bytes. `spare` is memory.
pub(super) fn normalize(text: &str, most: usize, spaces: Spaces, out: &mut String, spare: &mut String) {
    run(text, most, spaces, out, spare, &mut (), &mut ());
}

/// The normalized `text` and where each of its bytes comes from.
pub(super) fn normalize_aligned(text: &str, most: usize) -> (String, Origins) {
    let (mut out, mut origins) = (String::new(), Origins::default());
    run(text, most, Spaces::Dropped, &mut out, &mut String::new(), &mut origins, &mut Origins::default());
    (out, origins)
}

fn run<S: Spans>(
    text: &str,
    most: usize,
    spaces: Spaces,
    out: &mut String,
    spare: &mut String,
    spans: &mut S,
    spare_spans: &mut S,
) {
    out.clear();
    spans.clear();
    let (mut at, mut silent) = (0, None);
    loop {
        let wanted = most.saturating_add(out.len());
        let mut pass = Pass::new(text, at, spaces, Writer::new(out, spans));
        pass.read(wanted);
        at = pass.at;
        silent = silent.or(pass.silent);
        let mut again = pass.again;
        for _ in 1..MAX_PASSES {
            if !again {
                break;
            }
            spare.clear();
            spare_spans.clear();
            let mut pass = Pass::new(out, 0, spaces, Writer::new(spare, spare_spans));
            pass.read(usize::MAX);
            // An emoji that was spelled as an entity: there is no telling any more where it stood.
            silent = silent.or(pass.silent.map(|(c, _)| (c, 0..text.len())));
            again = pass.again && spare != out;
            spare_spans.follow(spans);
            std::mem::swap(out, spare);
            std::mem::swap(spans, spare_spans);
        }
        if at == text.len() || out.len() >= most {
            break;
        }
    }
    if let (true, Some((c, from))) = (out.is_empty(), silent) {
        Writer::new(out, spans).write(c, from);
    }
}

/// How ASCII characters are read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Copied, in lower case.
    Plain,
    /// A digit or `#`: copied, unless a keycap follows.
    Key,
    Space,
    Dropped,
    /// May begin or end something.
    Mark,
}

const KINDS: [Kind; 128] = {
    let mut kinds = [Kind::Plain; 128];
    let mut at = 0;
    while at < 128 {
        kinds[at] = match at as u8 {
            b' ' | b'\t'..=b'\r' => Kind::Space,
            0..=0x1f | 0x7f => Kind::Dropped,
            b'0'..=b'9' | b'#' => Kind::Key,
            b'<' | b'&' | b'\\' | b'[' | b'(' | b'*' | b':' | b'.' => Kind::Mark,
            _ => Kind::Plain,
        };
        at += 1;
    }
    kinds
};

/// One reading of a text.
struct Pass<'a, 'w, S> {
    text: &'a str,
    at: usize,
    spaces: Spaces,
    writer: Writer<'w, S>,
    /// Whether the result may hold what a further reading finds.
    again: bool,
    /// What the first emoji that says nothing beside words says alone, and where it stood.
    silent: Option<(char, Range<usize>)>,
    space: bool,
}

impl<'a, 'w, S: Spans> Pass<'a, 'w, S> {
    fn new(text: &'a str, at: usize, spaces: Spaces, writer: Writer<'w, S>) -> Self {
        Pass { text, at, spaces, writer, again: false, silent: None, space: false }
    }

    /// Reads until the result has `wanted` bytes or the text ends.
    fn read(&mut self, wanted: usize) {
        let text = self.text;
        let mut rest = text[self.at..].chars();
        while self.writer.len() < wanted {
            let here = text.len() - rest.as_str().len();
            let Some(c) = rest.next() else { break };
            if ('가'..='힣').contains(&c) {
                if self.writer.is_empty()
                    && let Some(bytes) = labels::badge(&text[here..])
                {
                    self.space = true;
                    rest = text[here + bytes..].chars();
                    continue;
                }
                self.copy(c, here..here + c.len_utf8());
                continue;
            }
            let end = here + c.len_utf8();
            if c.is_ascii() {
                match KINDS[c as usize] {
                    Kind::Plain => self.copy(c.to_ascii_lowercase(), here..end),
                    Kind::Space => self.space = true,
                    Kind::Dropped => self.again = true,
                    Kind::Key => match emoji::keycap(rest.as_str()) {
                        Some(bytes) => {
                            self.silence('.', here..end + bytes);
                            rest = text[end + bytes..].chars();
                        }
                        None => self.copy(c, here..end),
                    },
                    Kind::Mark => {
                        let next = self.mark(c, here);
                        rest = text[next..].chars();
                    }
                }
            } else if ('\u{3131}'..='\u{3163}').contains(&c) {
                self.copy(c, here..end);
            } else {
                let next = self.other(c, here);
                rest = text[next..].chars();
            }
        }
        self.at = text.len() - rest.as_str().len();
    }

    /// Copies a character, with the space before it where spaces are kept.
    #[inline(always)]
    fn copy(&mut self, c: char, from: Range<usize>) {
        if self.space {
            self.space = false;
            if self.spaces == Spaces::Kept && !self.writer.is_empty() {
                self.writer.write_space(from.start);
            }
        }
        self.writer.write(c, from);
    }

    /// Leaves out an emoji that says nothing beside words.
    fn silence(&mut self, alone: char, from: Range<usize>) {
        self.again = true;
        self.silent.get_or_insert((alone, from));
    }

    /// Reads what begins (or ends) with the ASCII mark `c` at `here`; where to go on.
    #[inline]
    fn mark(&mut self, c: char, here: usize) -> usize {
        let rest = &self.text[here..];
        let found = match c {
            '.' | ':' => return self.address(c, here),
            '(' | '[' => self.picture(rest).or_else(|| labels::label(rest)),
            '<' => tags::tag(rest).or_else(|| labels::label(rest)),
            '*' => return self.asterisk(here),
            _ => {
                self.again = true;
                let decoded = if c == '&' { markup::entity(rest) } else { markup::escape(rest) };
                if let Some((decoded, bytes)) = decoded {
                    self.decoded(decoded, here..here + bytes);
                    return here + bytes;
                }
                None
            }
        };
        // Where the spaces of `< br>` are dropped, a tag remains.
        self.again |= c == '<' || found.is_some() || self.begins_date(rest);
        match found {
            Some(bytes) => {
                self.space = true;
                here + bytes
            }
            None => {
                self.copy(c, here..here + 1);
                here + 1
            }
        }
    }

    /// A bracket before a digit: whether what follows is a date may change with what is left out of it.
    fn begins_date(&self, rest: &str) -> bool {
        rest[1..].trim_start().starts_with(|c: char| c.is_ascii_digit())
    }

    /// `![…](https://…)`, whose `!` has been written.
    fn picture(&mut self, rest: &str) -> Option<usize> {
        if self.writer.last() != Some('!') || !rest.starts_with('[') {
            return None;
        }
        let middle = rest.bytes().take(200).position(|byte| byte == b']')? + 1;
        let target = rest[middle..].strip_prefix('(')?;
        let end = target.bytes().take(2_000).position(|byte| byte == b')' || byte == b'<')?;
        (target.starts_with("http") && target.as_bytes()[end] == b')').then(|| {
            self.writer.pop();
            middle + 1 + end + 1
        })
    }

    /// A character that was written as something else.
    fn decoded(&mut self, decoded: Decoded, from: Range<usize>) {
        match decoded {
            Decoded::Char(c) if is_space(c) => self.space = true,
            Decoded::Char(c) if !is_dropped(c) => self.copy(c.to_ascii_lowercase(), from),
            _ => {}
        }
    }

    /// An address, if this is the `.` of `www.` or the `:` of `https://`; what has been written of it goes too.
    #[inline]
    fn address(&mut self, c: char, here: usize) -> usize {
        let begin = match (c, self.writer.last()) {
            ('.', Some('w')) => ["www", "", ""],
            (':', Some('p' | 's')) => ["https", "http", "ftp"],
            _ => ["", "", ""],
        };
        let written = begin.into_iter().find(|begin| !begin.is_empty() && self.writer.ends_with(begin));
        if let Some(written) = written {
            self.again = true;
            let rest = &self.text[here + 1..];
            let marked = if c == ':' {
                rest.starts_with("//")
            } else {
                rest.starts_with(|c: char| c.is_ascii_alphanumeric())
            };
            if marked {
                written.chars().for_each(|_| self.writer.pop());
                self.space = true;
                return here + 1 + markup::address(rest);
            }
        }
        self.copy(c, here..here + 1);
        here + 1
    }

    /// A masked name, a keycap, or an asterisk.
    fn asterisk(&mut self, here: usize) -> usize {
        self.again = true;
        if let Some(bytes) = emoji::keycap(&self.text[here + 1..]) {
            self.silence('.', here..here + 1 + bytes);
            return here + 1 + bytes;
        }
        if let Some((before, bytes)) = labels::masked(self.text, here) {
            // Of a run less was written than was read.
            for c in self.text[here - before..here].chars().rev() {
                if self.writer.last() == Some(c.to_ascii_lowercase()) {
                    self.writer.pop();
                }
            }
            self.space = true;
            return here + bytes;
        }
        self.copy('*', here..here + 1);
        here + 1
    }

    /// Reads what is neither ASCII nor Hangul; where to go on.
    fn other(&mut self, c: char, here: usize) -> usize {
        let end = here + c.len_utf8();
        let rest = &self.text[here..];
        if let Some((meaning, bytes)) = emoji::unit(rest) {
            let from = here..here + bytes;
            match meaning {
                Emoji::Kept(c) => self.copy(c, from),
                Emoji::Class(piece) => piece.chars().for_each(|c| self.copy(c, from.clone())),
                Emoji::Silent(alone) => self.silence(alone, from),
            }
            return here + bytes;
        }
        if is_space(c) {
            self.space = true;
        } else if is_left_out(c) {
            self.again = true;
        } else if matches!(c, '【' | '〔' | '《') {
            self.again = true;
            if let Some(bytes) = labels::label(rest) {
                return here + bytes;
            }
            self.compose(here..end);
        } else if is_inert(c) {
            self.copy(c, here..end);
        } else {
            return self.block(here);
        }
        end
    }

    /// Composes the characters from `here` on that may belong together, with the one written last; where to go on.
    fn block(&mut self, here: usize) -> usize {
        let mut end = here;
        for (count, c) in self.text[here..].chars().enumerate() {
            let plain = is_inert(c) || emoji::is_emoji(c) || matches!(c, '【' | '〔' | '《');
            let ends = is_space(c) || (plain && !is_left_out(c));
            if ends || (begins(c) && count >= LONG_BLOCK) || count == MAX_BLOCK {
                break;
            }
            end += c.len_utf8();
        }
        self.again = true;
        self.compose(here..end);
        end
    }

    fn compose(&mut self, from: Range<usize>) {
        let kept = |range: Range<usize>| self.text[range].chars().filter(|&c| !is_left_out(c));
        // A space before a letter's inner part: that part stands alone.
        let alone = self.spaces == Spaces::Kept
            || self.text[from.start..].starts_with(|c| ('\u{1100}'..='\u{11ff}').contains(&c));
        let base = if self.space && alone { None } else { self.writer.last() };
        let composed = compose(&base.into_iter().chain(kept(from.clone())).collect::<String>());
        let rest = match base {
            // What was written stays, unless something melts into it.
            Some(base) => match composed.strip_prefix(base) {
                Some(rest) => rest,
                None => {
                    let origin = self.writer.pop_with_origin();
                    let from = origin.start.min(from.start)..from.end;
                    composed.chars().for_each(|c| self.composed(c, from.clone()));
                    return;
                }
            },
            None => &composed,
        };
        if S::KEPT {
            // Letter by letter, where that gives the same.
            let places: Vec<usize> = self.text[from.clone()]
                .char_indices()
                .filter(|&(_, c)| begins(c))
                .map(|(at, _)| from.start + at)
                .collect();
            let letters: Vec<Range<usize>> = places
                .iter()
                .zip(places.iter().skip(1).chain([&from.end]))
                .map(|(&begin, &end)| begin..end)
                .collect();
            let parts: Vec<String> =
                letters.iter().map(|range| compose(&kept(range.clone()).collect::<String>())).collect();
            if places.first() == Some(&from.start) && parts.concat() == rest {
                for (part, from) in parts.iter().zip(letters) {
                    part.chars().for_each(|c| self.composed(c, from.clone()));
                }
                return;
            }
        }
        rest.chars().for_each(|c| self.composed(c, from.clone()));
    }

    fn composed(&mut self, c: char, from: Range<usize>) {
        if is_space(c) {
            self.space = true;
        } else if !is_left_out(c) {
            self.copy(c.to_ascii_lowercase(), from);
        }
    }
}

/// Whether nothing that stands before `c` can melt with it: combining marks and the inner letters of a syllable stay with what
/// they follow.
fn begins(c: char) -> bool {
    !matches!(c, '\u{1160}'..='\u{11ff}') && unicode_normalization::char::canonical_combining_class(c) == 0
}

/// Characters that say nothing, and the frame of a keycap.
fn is_left_out(c: char) -> bool {
    is_dropped(c) || c == '\u{20e3}'
}

#[cfg(test)]
mod tests;
