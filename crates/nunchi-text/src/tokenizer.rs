//! Cuts a normalized text into the most probable sequence of pieces (Viterbi search over a unigram language model:
//! Kudo 2018, "Subword Regularization", as in sentencepiece).
//!
//! A word is written with a mark in front (`▁좋아요`), and no piece of ours holds a mark elsewhere, so the best cut of a
//! text is the best cut of each word. Long texts therefore cost no more than the words that are kept.

use super::normalize::Normalizer;
use super::trie::{NONE, Symbol, Trie};
use super::vocabulary::{Role, Vocabulary};
use super::{Encoded, NAME, TextError, excerpt};
use std::ops::Range;
use std::sync::Arc;

/// The mark in front of a word (U+2581), as sentencepiece writes it.
pub(super) const MARK: char = '▁';
/// The only `tokenizer.kind` so far.
const KIND: &str = "unigram";
/// How much less probable than the rarest piece an unknown character is (sentencepiece's `kUnkPenalty`).
const UNKNOWN_PENALTY: f32 = 10.0;
/// Bytes for each token still wanted that are looked at of one word (a text without spaces is one): more than a token covers.
const MAX_WORD: usize = 64;
/// Stands for "no piece" on a path.
const NO_PIECE: u32 = u32::MAX;

/// Memory that one thread reuses from text to text.
#[derive(Debug, Default)]
pub struct Scratch {
    normal: String,
    spare: String,
    symbols: Vec<Symbol>,
    best: Vec<Step>,
    path: Vec<Step>,
}

/// The last piece of the best cut that ends at a place, and the score of that cut.
#[derive(Clone, Copy, Debug)]
struct Step {
    score: f32,
    begin: u32,
    piece: u32,
}

/// Cuts normalized text into the pieces of a trained vocabulary. Cheap to clone, shared between threads.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    normalizer: Normalizer,
    vocabulary: Vocabulary,
    trie: Trie,
    /// Score by id, with the bonus of user-defined pieces.
    scores: Vec<f32>,
    unknown_score: f32,
    mark: Symbol,
    /// Whether a piece holds a mark behind its first character: then texts are cut as one.
    across_words: bool,
}

impl Tokenizer {
    /// Reads a tokenizer as it stands in a model file: `tokenizer.kind`, the decoded `tokenizer.data`, and `normaliser`.
    ///
    /// # Errors
    /// Unknown names and damaged data.
    pub fn from_parts(kind: &str, data: &[u8], normalizer: &str) -> Result<Self, TextError> {
        if kind != KIND {
            return Err(TextError::Unknown {
                what: "tokenizer.kind",
                name: excerpt(kind, NAME),
                known: KIND,
            });
        }
        Tokenizer::new(Vocabulary::from_bytes(data)?, Normalizer::from_name(normalizer)?)
    }

    pub(super) fn new(vocabulary: Vocabulary, normalizer: Normalizer) -> Result<Self, TextError> {
        let normal = |role| move |piece: &&super::vocabulary::Piece| piece.role == role;
        let scores = || vocabulary.pieces.iter().filter(normal(Role::Normal)).map(|piece| piece.score);
        let (lowest, highest) = (scores().fold(0.0, f32::min), scores().fold(f32::NEG_INFINITY, f32::max));
        let records = (0..).zip(&vocabulary.pieces).filter(|(_, piece)| piece.role.matches_text());
        let trie = Trie::new(records.clone().map(|(id, piece)| (piece.text.as_str(), id)))?;
        let across_words = records.clone().any(|(_, piece)| piece.text.chars().skip(1).any(|c| c == MARK));
        let scores = vocabulary
            .pieces
            .iter()
            .map(|piece| match piece.role {
                // As sentencepiece does it: longer than any sum of scores over the same letters.
                Role::User => piece.text.len() as f32 * highest.max(-1e6) - 0.1,
                _ => piece.score,
            })
            .collect();
        let inner = Inner {
            normalizer,
            mark: trie.symbol(MARK),
            trie,
            scores,
            unknown_score: lowest - UNKNOWN_PENALTY,
            across_words,
            vocabulary,
        };
        Ok(Tokenizer { inner: Arc::new(inner) })
    }

    /// `tokenizer.kind`, `tokenizer.data` and `normaliser` for a model file: the inverse of [`Tokenizer::from_parts`].
    pub fn to_parts(&self) -> (String, Vec<u8>, String) {
        (KIND.to_owned(), self.inner.vocabulary.to_bytes(), self.inner.normalizer.name().to_owned())
    }

    /// The same pieces behind another normalizer.
    pub fn with_normalizer(&self, normalizer: Normalizer) -> Self {
        let parts = Tokenizer::new(self.inner.vocabulary.clone(), normalizer);
        parts.expect("the pieces were checked when this tokenizer was made")
    }

    /// What is done to a text before it is cut.
    pub fn normalizer(&self) -> Normalizer {
        self.inner.normalizer
    }

    /// How many different tokens there are; ids are below this.
    pub fn vocabulary(&self) -> usize {
        self.inner.vocabulary.pieces.len()
    }

    /// The id that stands for what nothing else matches.
    pub fn unknown(&self) -> u32 {
        self.inner.vocabulary.unknown
    }

    /// Every piece in the order of ids: text, score, role.
    pub(super) fn listed(&self) -> impl Iterator<Item = (&str, f32, Role)> {
        self.inner.vocabulary.pieces.iter().map(|piece| (piece.text.as_str(), piece.score, piece.role))
    }

    /// Whether what no piece matches is spelled in bytes.
    pub(super) fn spells_bytes(&self) -> bool {
        self.inner.vocabulary.bytes.is_some()
    }

    /// Whether the first word gets a mark like the others.
    pub(super) fn marks_first(&self) -> bool {
        self.inner.vocabulary.mark_first
    }

    /// The piece with this id as it stands in the vocabulary (`▁좋아`, `<0xEC>`).
    pub fn piece(&self, id: u32) -> Option<&str> {
        self.inner.vocabulary.pieces.get(id as usize).map(|piece| piece.text.as_str())
    }

    /// Whether this id spells one byte of a character that no piece matches.
    pub fn is_byte(&self, id: u32) -> bool {
        self.inner.vocabulary.pieces.get(id as usize).is_some_and(|piece| piece.role == Role::Byte)
    }

    /// Appends the tokens of `text` to `out`: at least one, at most `max_tokens` (the head is kept). Allocates nothing
    /// once `scratch` and `out` have grown.
    pub fn encode(
        &self,
        text: &str,
        max_tokens: usize,
        scratch: &mut Scratch,
        out: &mut Vec<u32>,
    ) -> Encoded {
        let begin = out.len();
        let truncated = self.inner.cut(text, max_tokens, scratch, |id, _| out.push(id));
        let tokens = &out[begin..];
        let unknown = tokens.iter().filter(|&&id| id == self.unknown()).count();
        Encoded { tokens: tokens.len(), unknown, truncated }
    }

    /// The text of each token of `text`, for people (`explain`), in step with [`Tokenizer::encode`]'s ids. The first piece of
    /// a word begins with a space. Put together the pieces are the normalized text (its head, if it was cut); of a
    /// character that is spelled in bytes the first piece is the character and the others are empty.
    pub fn pieces(&self, text: &str, max_tokens: usize) -> Vec<(u32, String)> {
        let mut spans: Vec<(u32, Range<usize>)> = Vec::new();
        let mut scratch = Scratch::default();
        let truncated = self.inner.cut(text, max_tokens, &mut scratch, |id, span| spans.push((id, span)));
        // Unknown characters in a row are one token, whose span is only the first one's so far.
        for next in 1..spans.len() {
            spans[next - 1].1.end = spans[next].1.start;
        }
        if let (Some((_, span)), false) = (spans.last_mut(), truncated) {
            span.end = scratch.normal.len();
        }
        spans.into_iter().map(|(id, span)| (id, scratch.normal[span].to_owned())).collect()
    }
}

impl Inner {
    /// Hands every token of `text` to `emit`, with the bytes of `scratch.normal` that it covers (the space before a word
    /// belongs to its first piece). Returns whether there were more than `max_tokens`.
    #[inline]
    fn cut(
        &self,
        text: &str,
        max_tokens: usize,
        scratch: &mut Scratch,
        mut emit: impl FnMut(u32, Range<usize>),
    ) -> bool {
        let Scratch { normal, spare, symbols, best, path } = scratch;
        // What no token can reach is not even normalized.
        let most = MAX_WORD.saturating_mul(max_tokens.max(1).saturating_add(1));
        self.normalizer.normalize_head(text, most, normal, spare);
        let mut tokens = Tokens { left: max_tokens.max(1), last_unknown: usize::MAX, emit: &mut emit };
        if normal.is_empty() {
            tokens.push(self.vocabulary.unknown, 0..0);
            return false;
        }
        let mut end = 0;
        while end < normal.len() {
            // The bytes `begin..end` are a word with the space before it, if it has one.
            let begin = end;
            let rest = &normal.as_bytes()[begin + 1..];
            let space = if self.across_words { None } else { memchr::memchr(b' ', rest) };
            end = space.map_or(normal.len(), |at| begin + 1 + at);
            let most = MAX_WORD.saturating_mul(tokens.left.saturating_add(1));
            if end - begin > most {
                // More than the tokens that are left can cover: what lies beyond is not looked at.
                end = floor_char_boundary(normal, begin + most);
            }
            let word = &normal[begin..end];
            symbols.clear();
            // A mark for the first word covers no byte; the other marks are the spaces.
            let virtual_mark = begin == 0 && self.vocabulary.mark_first;
            if virtual_mark {
                symbols.push(self.mark);
            }
            symbols.extend(word.chars().map(|c| if c == ' ' { self.mark } else { self.trie.symbol(c) }));
            self.search(symbols, best);
            trace_back(best, path);
            let mut at = begin;
            for (number, step) in path.iter().enumerate() {
                let last_step = path.get(number + 1).map_or(symbols.len(), |next| next.begin as usize);
                let mut count = last_step - step.begin as usize;
                if virtual_mark && step.begin == 0 {
                    count -= 1;
                }
                let from = at;
                at += normal[at..].chars().take(count).map(char::len_utf8).sum::<usize>();
                if !self.give(step.piece, from..at, normal, &mut tokens) {
                    return true;
                }
            }
        }
        false
    }

    /// Hands over one step of a path. Returns whether it still fitted.
    #[inline]
    fn give<E: FnMut(u32, Range<usize>)>(
        &self,
        piece: u32,
        span: Range<usize>,
        normal: &str,
        tokens: &mut Tokens<'_, E>,
    ) -> bool {
        if piece != NO_PIECE {
            return tokens.push(piece, span);
        }
        match &self.vocabulary.bytes {
            Some(ids) => {
                // A word mark without a piece of its own may cover no byte: it is left out.
                let mut covers = span.clone();
                for &byte in &normal.as_bytes()[span.clone()] {
                    if !tokens.push(ids[usize::from(byte)], covers) {
                        return false;
                    }
                    covers = span.end..span.end;
                }
                true
            }
            None => tokens.push_unknown(self.vocabulary.unknown, span),
        }
    }

    /// Fills `best`: for every place in `symbols` the best cut that ends there.
    #[inline]
    fn search(&self, symbols: &[Symbol], best: &mut Vec<Step>) {
        best.clear();
        best.resize(symbols.len() + 1, Step { score: f32::NEG_INFINITY, begin: 0, piece: NO_PIECE });
        best[0].score = 0.0;
        for begin in 0..symbols.len() {
            let score = best[begin].score;
            let mut single = false;
            if symbols[begin] != NONE {
                for (piece, length) in self.trie.prefixes(&symbols[begin..]) {
                    let step =
                        Step { score: score + self.scores[piece as usize], begin: begin as u32, piece };
                    let there = &mut best[begin + length];
                    if step.score > there.score {
                        *there = step;
                    }
                    single |= length == 1;
                }
            }
            let next = &mut best[begin + 1];
            if !single && score + self.unknown_score > next.score {
                *next = Step { score: score + self.unknown_score, begin: begin as u32, piece: NO_PIECE };
            }
        }
    }
}

/// The last place up to `at` where a character begins.
fn floor_char_boundary(text: &str, at: usize) -> usize {
    (0..=at).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

/// Puts the steps of the best cut into `path`, first to last.
#[inline]
fn trace_back(best: &[Step], path: &mut Vec<Step>) {
    path.clear();
    let mut end = best.len() - 1;
    while end > 0 {
        path.push(best[end]);
        end = best[end].begin as usize;
    }
    path.reverse();
}

/// Where tokens go, and how many may still come.
struct Tokens<'a, E> {
    left: usize,
    /// Where the last token ended, if it was the unknown one.
    last_unknown: usize,
    emit: &'a mut E,
}

impl<E: FnMut(u32, Range<usize>)> Tokens<'_, E> {
    /// Hands over a token. Returns whether it still fitted.
    #[inline]
    fn push(&mut self, id: u32, span: Range<usize>) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        self.last_unknown = usize::MAX;
        (self.emit)(id, span);
        true
    }

    /// Hands over the unknown token; unknown characters in a row are one (as in sentencepiece).
    fn push_unknown(&mut self, id: u32, span: Range<usize>) -> bool {
        let end = span.end;
        let fitted = self.last_unknown == span.start || self.push(id, span);
        self.last_unknown = end;
        fitted
    }
}
