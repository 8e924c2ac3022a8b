//! Sets to choose a model on and to measure it with.

use super::examples::Examples;
use nunchi_text::{Scratch, Tokenizer};

/// Labeled comments of one file, or a part of it, in memory: small enough to be measured on again and again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LabeledSet {
    /// The file's name; held-out parts say so.
    pub name: String,
    /// The comments.
    pub texts: Vec<String>,
    /// Their classes.
    pub classes: Vec<usize>,
}

impl LabeledSet {
    /// The comments as tokens, at most `max_tokens` of each.
    pub fn encode(&self, tokenizer: &Tokenizer, max_tokens: usize) -> EncodedSet {
        let (mut scratch, mut tokens, mut examples) = (Scratch::default(), Vec::new(), Examples::default());
        for (text, &class) in self.texts.iter().zip(&self.classes) {
            tokens.clear();
            tokenizer.encode(text, max_tokens, &mut scratch, &mut tokens);
            examples.push(&tokens, class, 1.0);
        }
        EncodedSet { name: self.name.clone(), examples }
    }
}

/// A labeled set as token ids.
#[derive(Clone, Debug)]
pub struct EncodedSet {
    /// The file's name; held-out parts say so.
    pub name: String,
    /// The examples, each weighing 1.
    pub examples: Examples,
}
