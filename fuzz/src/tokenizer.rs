//! Any bytes as a tokenizer: the `tokenizer.data` of a model file, a sentencepiece model, a Hugging Face `tokenizer.json`.
//!
//! - What is refused has a message that is not long.
//! - What is read is written as the same bytes, also after an export to sentencepiece or Hugging Face, as far as these
//!   can express it.
//! - Every text becomes at least one token and at most as many as are wanted, all of them known; the pieces are the
//!   normalized text; a shorter limit gives the head of a longer one.

use crate::message;
use nunchi_text::{Normalizer, Scratch, Tokenizer, import};

const NORMALIZERS: [&str; 4] = ["nunchi-2", "nunchi-1", "nfkc", "none"];

/// Reads `data` as a tokenizer of every kind.
pub fn run(data: &[u8]) {
    for normalizer in NORMALIZERS {
        match Tokenizer::from_parts("unigram", data, normalizer) {
            Ok(tokenizer) => {
                let written = ("unigram".to_owned(), data.to_vec(), normalizer.to_owned());
                assert_eq!(tokenizer.to_parts(), written, "what was read is written");
                check(&tokenizer, data);
            }
            Err(error) => message::check(&error.to_string()),
        }
    }
    // Names of a file are data as well.
    let name = String::from_utf8_lossy(data);
    for refused in
        [Tokenizer::from_parts(&name, data, "none"), Tokenizer::from_parts("unigram", SMALL, &name)]
    {
        if let Err(error) = refused {
            message::check(&error.to_string());
        }
    }
    match import::import(data, None) {
        Ok(tokenizer) => {
            let (kind, parts, normalizer) = tokenizer.to_parts();
            let again = Tokenizer::from_parts(&kind, &parts, &normalizer).expect("what was imported is read");
            assert_eq!(again.to_parts().1, parts);
            check(&tokenizer, data);
        }
        Err(error) => message::check(&error.to_string()),
    }
}

/// One unknown piece and the piece `a`.
const SMALL: &[u8] = &[1, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, b'?', 0, 0, 0, 0, 0, 1, 0, b'a'];

fn check(tokenizer: &Tokenizer, data: &[u8]) {
    let own = String::from_utf8_lossy(&data[..data.len().min(200)]);
    for text in ["", "좋아요", "별로지만 추천해요 ㅠㅠ 뷁 👍", "a\u{0}b  c", &own] {
        encodes(tokenizer, text);
    }
    // The others' table of rules costs milliseconds, and does not depend on the pieces: only `none` has no rules.
    let plain = tokenizer.with_normalizer(Normalizer::Plain);
    let back = import::import(&plain.to_sentencepiece(), None).expect("our sentencepiece model is read");
    assert_eq!(back.to_parts(), plain.to_parts(), "sentencepiece expresses every vocabulary");
    if let Err(error) = import::import(&plain.to_hugging_face(), Some(Normalizer::Plain)) {
        message::check(&error.to_string());
    }
}

fn encodes(tokenizer: &Tokenizer, text: &str) {
    let encode = |most: usize| {
        let mut tokens = Vec::new();
        let encoded = tokenizer.encode(text, most, &mut Scratch::default(), &mut tokens);
        assert_eq!(encoded.tokens, tokens.len());
        assert!((1..=most).contains(&tokens.len()), "{} tokens of at most {most}", tokens.len());
        assert!(tokens.iter().all(|&token| (token as usize) < tokenizer.vocabulary()));
        (tokens, encoded.truncated)
    };
    let (all, truncated) = encode(10_000);
    assert!(!truncated, "a short text is not cut");
    for most in [1, 2, 5] {
        let (head, truncated) = encode(most);
        assert_eq!(head, all[..most.min(all.len())]);
        assert_eq!(truncated, most < all.len());
    }
    let pieces = tokenizer.pieces(text, 10_000);
    let read: Vec<u32> = pieces.iter().map(|(token, _)| *token).collect();
    assert_eq!(read, all);
    let joined: String = pieces.iter().map(|(_, piece)| piece.as_str()).collect();
    assert_eq!(joined, tokenizer.normalizer().normalize(text), "the pieces are the text");
}
