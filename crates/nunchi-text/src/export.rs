//! A tokenizer for other people's programs: sentencepiece's `tokenizer.model` and Hugging Face's `tokenizer.json`.
//!
//! Pieces, scores and ids are the same. The normalization is expressed in their terms, as closely as possible:
//! characters one by one in sentencepiece's table of rules (both read it), and runs of equal characters (`ㅋㅋㅋㅋ` to `ㅋㅋㅋ`)
//! up to [`MAX_RULED_RUN`] there, of any length in `tokenizer.json`, which also drops badges. Characters that only
//! normalize together (conjoining jamo, a letter and its combining accent) stay apart.
//!
//! Of what `nunchi-3` takes away, sentencepiece's table has what is a fixed text (`<br>`, `&nbsp;`, `[포토리뷰]`) and
//! `tokenizer.json` what a regular expression finds (tags with attributes, addresses, masked names with a title). Neither has
//! numeric entities, what is escaped several times around something else, or what an emoji says alone.

use super::import::{ModelProto, NormalizerProto, PieceProto, TrainerProto};
use super::tokenizer::{MARK, Tokenizer};
use super::vocabulary::Role;
use super::{Normalizer, characters, normalize, rules, unwritten};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost::Message as _;
use serde_json::{Value, json};
use std::ops::RangeInclusive;

/// The longest run that one rule of sentencepiece shortens: a text must not match more than 32 rules at one place.
const MAX_RULED_RUN: usize = 30;
/// Blocks that hold characters which a normalizer changes; what lies between is ideographs, Hangul syllables, private use and
/// historic scripts (a test looks at all of them).
const CHANGING: [RangeInclusive<u32>; 6] =
    [0x1..=0x33ff, 0xa000..=0xabff, 0xd7a4..=0xd7ff, 0xf900..=0xffff, 0x1d000..=0x1fbff, 0xe0000..=0xe0fff];
/// Characters that people repeat.
const REPEATED: &str = "!?.,~^;:-_=+*#@/()<>♡♥★☆♨♪♬";

impl Tokenizer {
    /// The bytes of a sentencepiece model.
    pub fn to_sentencepiece(&self) -> Vec<u8> {
        let kind = |role: Role| match role {
            Role::Normal => 1,
            Role::Unknown => 2,
            Role::Control => 3,
            Role::User => 4,
            Role::Unused => 5,
            Role::Byte => 6,
        };
        let pieces = self.listed().map(|(text, score, role)| PieceProto {
            text: Some(text.to_owned()),
            score: Some(score),
            kind: Some(kind(role)),
        });
        let trainer = TrainerProto {
            model_type: Some(1),
            vocabulary: Some(i32::try_from(self.vocabulary()).expect("a vocabulary has at most 2^20 pieces")),
            mark_is_suffix: Some(false),
            byte_fallback: Some(self.spells_bytes()),
            unknown: Some(self.unknown() as i32),
            begin: Some(-1),
            end: Some(-1),
            padding: Some(-1),
        };
        let name = match self.normalizer() {
            Normalizer::Plain => "identity",
            other => other.name(),
        };
        let normalizer = NormalizerProto {
            name: Some(name.to_owned()),
            rules: Some(rules::compile(&rules(self.normalizer(), true))),
            add_dummy_prefix: Some(self.marks_first()),
            remove_extra_whitespaces: Some(true),
            escape_whitespaces: Some(true),
        };
        ModelProto { pieces: pieces.collect(), trainer: Some(trainer), normalizer: Some(normalizer) }
            .encode_to_vec()
    }

    /// The bytes of a Hugging Face `tokenizer.json`.
    pub fn to_hugging_face(&self) -> Vec<u8> {
        let vocabulary: Vec<Value> =
            self.listed().map(|(text, score, _)| json!([text, f64::from(score)])).collect();
        let replace = |pattern: &str, content: &str| json!({ "type": "Replace", "pattern": { "Regex": pattern }, "content": content });
        let mut steps = Vec::new();
        if self.normalizer() == Normalizer::Nunchi3 {
            steps.extend(unwritten::patterns().iter().map(|(pattern, content)| replace(pattern, content)));
        }
        let table = rules::compile(&rules(self.normalizer(), false));
        if !table.is_empty() {
            steps.push(json!({ "type": "Precompiled", "precompiled_charsmap": STANDARD.encode(table) }));
        }
        let own = self.normalizer().is_own();
        // `\K`: what stands before it is looked at and stays.
        let shorten = || replace(r"(\D)\1\1\K\1+", "");
        if own {
            steps.push(shorten());
        }
        steps.push(replace(r"\s+", " "));
        steps.push(json!({ "type": "Strip", "strip_left": true, "strip_right": true }));
        if own {
            let badges: Vec<String> = match self.normalizer() {
                Normalizer::Nunchi3 => unwritten::BADGES.map(|badge| format!("{badge} ")).to_vec(),
                _ => normalize::BADGES.map(str::to_owned).to_vec(),
            };
            steps.push(replace(&format!("^({})+", badges.join("|")), ""));
        }
        if self.normalizer().drops_spaces() {
            steps.push(replace(" ", ""));
            steps.push(shorten());
        }
        let scheme = if self.marks_first() { "always" } else { "never" };
        let metaspace =
            json!({ "type": "Metaspace", "replacement": MARK, "prepend_scheme": scheme, "split": true });
        let controls = self.listed().enumerate().filter(|(_, (.., role))| *role == Role::Control);
        let added = controls.map(|(id, (text, ..))| {
            json!({ "id": id, "content": text, "special": true, "single_word": false, "lstrip": false,
                "rstrip": false, "normalized": false })
        });
        let file = json!({
            "version": "1.0",
            "truncation": null,
            "padding": null,
            "added_tokens": added.collect::<Vec<_>>(),
            "normalizer": { "type": "Sequence", "normalizers": steps },
            "pre_tokenizer": metaspace,
            "post_processor": null,
            "decoder": { "type": "Metaspace", "replacement": MARK, "prepend_scheme": scheme, "split": true },
            "model": { "type": "Unigram", "unk_id": self.unknown(), "vocab": vocabulary,
                "byte_fallback": self.spells_bytes() },
        });
        let mut bytes = file.to_string().into_bytes();
        bytes.push(b'\n');
        bytes
    }
}

/// What a normalizer makes of single characters, and if `runs` of runs of them: what stays as it is is left out.
fn rules(normalizer: Normalizer, runs: bool) -> Vec<(String, String)> {
    if normalizer == Normalizer::Plain {
        return Vec::new();
    }
    let mut rules: Vec<(String, String)> = CHANGING
        .into_iter()
        .flatten()
        .filter_map(char::from_u32)
        .filter_map(|c| match !runs && characters::is_space(c) {
            // `tokenizer.json` needs them, to tell badges; it drops them afterwards.
            true => (c != ' ').then(|| (c.to_string(), " ".to_owned())),
            false => single(normalizer, &c.to_string()),
        })
        .collect();
    if normalizer == Normalizer::Nunchi3 {
        rules.extend(unwritten::literals().iter().filter_map(|text| single(normalizer, text)));
    }
    if runs && normalizer.is_own() {
        // Jamo, open syllables (아아아아), Latin letters and marks.
        let open = ('가'..='힣').step_by(28);
        let letters = ('\u{3131}'..='\u{3163}').chain(open).chain('a'..='z').chain('A'..='Z');
        for c in letters.chain(REPEATED.chars()) {
            for count in 4..=MAX_RULED_RUN {
                rules.push((c.to_string().repeat(count), c.to_lowercase().to_string().repeat(3)));
            }
        }
    }
    rules
}

/// What `normalizer` makes of `what` between two letters, unless it leaves it alone or lets it melt into one of them.
fn single(normalizer: Normalizer, what: &str) -> Option<(String, String)> {
    let mut between = [String::new(), String::new()];
    for (result, letter) in between.iter_mut().zip(['가', '†']) {
        let text = normalizer.normalize(&format!("{letter}{what}{letter}"));
        *result = text.strip_prefix(letter)?.strip_suffix(letter)?.to_owned();
    }
    let [first, second] = between;
    (first == second && first != what).then(|| (what.to_owned(), first))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::import;

    #[test]
    fn what_is_exported_comes_back_with_the_same_pieces() {
        let tokenizer = crate::train(crate::EXAMPLES, 400).unwrap();
        for content in [tokenizer.to_sentencepiece(), tokenizer.to_hugging_face()] {
            let back = import(&content, Some(Normalizer::Nunchi3)).unwrap();
            assert_eq!(back.to_parts(), tokenizer.to_parts());
        }
    }

    #[test]
    fn outside_of_the_listed_blocks_only_historic_letters_change() {
        let listed = |code: &u32| CHANGING.iter().any(|block| block.contains(code));
        let historic = |code: &u32| (0x10000..0x1d000).contains(code) || (0x2f800..0x2fa1e).contains(code);
        let others = (1..=0x10ffff).filter(|code| !listed(code) && !historic(code));
        let changed: Vec<char> = others
            .filter_map(char::from_u32)
            .filter(|c| Normalizer::Nunchi1.normalize(&format!("†{c}†")) != format!("†{c}†"))
            .collect();
        assert!(changed.is_empty(), "{changed:?}");
    }

    #[test]
    fn rules_say_what_the_normalizer_does_to_single_characters() {
        let rules = rules(Normalizer::Nunchi1, true);
        let find = |from: &str| rules.iter().find(|(key, _)| key == from).map(|(_, to)| to.as_str());
        assert_eq!(find("A"), Some("a"));
        assert_eq!(find("Ａ"), Some("a"));
        assert_eq!(find("…"), Some("..."));
        assert_eq!(find("\t"), Some(" "));
        assert_eq!(find("\u{200b}"), Some(""));
        assert_eq!(find("ㅋㅋㅋㅋㅋ"), Some("ㅋㅋㅋ"));
        assert_eq!(find("아아아아"), Some("아아아"));
        assert_eq!(find("OOOO"), Some("ooo"));
        assert_eq!((find("가"), find("ㅋ"), find("1")), (None, None, None));
    }
}
