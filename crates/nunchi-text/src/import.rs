//! Takes tokenizers over that others trained: unigram models of sentencepiece (`.model`) and of Hugging Face
//! (`tokenizer.json`).
//!
//! Pieces, scores and ids stay; what these libraries do to a text before it is cut is replaced by the nearest of our
//! [`Normalizer`]s. What would be cut differently is refused.

use super::tokenizer::Tokenizer;
use super::vocabulary::{Piece, Role, Vocabulary};
use super::{NAME, Normalizer, REASON, TextError, excerpt};
use prost::Message;
use serde::Deserialize;

/// Reads a tokenizer of either kind; `normalizer` replaces the one that the file specifies.
///
/// # Errors
/// Something else than a unigram tokenizer, or one that needs a normalizer we do not have.
pub fn import(content: &[u8], normalizer: Option<Normalizer>) -> Result<Tokenizer, TextError> {
    let (vocabulary, specified) = if content.trim_ascii_start().starts_with(b"{") {
        hugging_face(content)?
    } else {
        sentencepiece(content)?
    };
    let normalizer = match (normalizer, specified) {
        (Some(ours), _) | (None, Ok(ours)) => ours,
        (None, Err(theirs)) => {
            return refuse(format!(
                "it normalizes by {theirs}; name the nearest of ours ({}) with --normaliser",
                Normalizer::NAMES
            ));
        }
    };
    Tokenizer::new(vocabulary, normalizer)
}

/// Pieces, and our normalizer or the name of theirs that we do not have.
type Found = (Vocabulary, Result<Normalizer, String>);

fn refuse<T>(why: impl Into<String>) -> Result<T, TextError> {
    Err(TextError::Import(why.into()))
}

// The parts of sentencepiece_model.proto that matter here, with its field numbers and defaults.

#[derive(Clone, PartialEq, Message)]
pub(super) struct ModelProto {
    #[prost(message, repeated, tag = "1")]
    pub(super) pieces: Vec<PieceProto>,
    #[prost(message, optional, tag = "2")]
    pub(super) trainer: Option<TrainerProto>,
    #[prost(message, optional, tag = "3")]
    pub(super) normalizer: Option<NormalizerProto>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct PieceProto {
    #[prost(string, optional, tag = "1")]
    pub(super) text: Option<String>,
    #[prost(float, optional, tag = "2")]
    pub(super) score: Option<f32>,
    #[prost(int32, optional, tag = "3")]
    pub(super) kind: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct TrainerProto {
    #[prost(int32, optional, tag = "3")]
    pub(super) model_type: Option<i32>,
    #[prost(int32, optional, tag = "4")]
    pub(super) vocabulary: Option<i32>,
    #[prost(bool, optional, tag = "24")]
    pub(super) mark_is_suffix: Option<bool>,
    #[prost(bool, optional, tag = "35")]
    pub(super) byte_fallback: Option<bool>,
    /// Ids of the unknown piece, and of marks that we have not (-1).
    #[prost(int32, optional, tag = "40")]
    pub(super) unknown: Option<i32>,
    #[prost(int32, optional, tag = "41")]
    pub(super) begin: Option<i32>,
    #[prost(int32, optional, tag = "42")]
    pub(super) end: Option<i32>,
    #[prost(int32, optional, tag = "43")]
    pub(super) padding: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct NormalizerProto {
    #[prost(string, optional, tag = "1")]
    pub(super) name: Option<String>,
    /// `precompiled_charsmap`, see [`super::rules`].
    #[prost(bytes = "vec", optional, tag = "2")]
    pub(super) rules: Option<Vec<u8>>,
    #[prost(bool, optional, tag = "3")]
    pub(super) add_dummy_prefix: Option<bool>,
    #[prost(bool, optional, tag = "4")]
    pub(super) remove_extra_whitespaces: Option<bool>,
    #[prost(bool, optional, tag = "5")]
    pub(super) escape_whitespaces: Option<bool>,
}

fn sentencepiece(content: &[u8]) -> Result<Found, TextError> {
    let model = ModelProto::decode(content).map_err(|error| {
        let error = excerpt(&error.to_string(), REASON);
        TextError::Import(format!("it is neither JSON nor a sentencepiece model ({error})"))
    })?;
    let trainer = model.trainer.unwrap_or_default();
    let rules = model.normalizer.unwrap_or_default();
    match trainer.model_type.unwrap_or(1) {
        1 => {}
        kind => {
            let name = ["BPE", "word", "character"].get((kind - 2).max(0) as usize).unwrap_or(&"unknown");
            return refuse(format!("it is a {name} model; only unigram models can be taken over"));
        }
    }
    if trainer.mark_is_suffix == Some(true)
        || rules.remove_extra_whitespaces == Some(false)
        || rules.escape_whitespaces == Some(false)
    {
        return refuse("it treats white space in a way of its own");
    }
    let pieces = model
        .pieces
        .into_iter()
        .map(|piece| {
            let role = match piece.kind.unwrap_or(1) {
                1 => Role::Normal,
                2 => Role::Unknown,
                3 => Role::Control,
                4 => Role::User,
                5 => Role::Unused,
                6 => Role::Byte,
                other => return refuse(format!("it holds a piece of the unknown type {other}")),
            };
            let text = piece.text.unwrap_or_default();
            Ok(Piece { text, score: piece.score.unwrap_or_default(), role })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let normalizer = match rules.name.as_deref().unwrap_or_default() {
        "nmt_nfkc" | "nfkc" => Ok(Normalizer::Nfkc),
        "identity" => Ok(Normalizer::Plain),
        "nunchi-1" => Ok(Normalizer::Nunchi1),
        "nunchi-2" => Ok(Normalizer::Nunchi2),
        "nunchi-3" => Ok(Normalizer::Nunchi3),
        "" => Err("rules without a name".to_owned()),
        other => Err(format!("`{}`", excerpt(other, NAME))),
    };
    Ok((Vocabulary::new(pieces, rules.add_dummy_prefix.unwrap_or(true))?, normalizer))
}

// The parts of tokenizer.json that matter here.

#[derive(Deserialize)]
struct TokenizerJson {
    model: ModelJson,
    #[serde(default)]
    normalizer: Option<KindJson>,
    #[serde(default)]
    pre_tokenizer: Option<KindJson>,
    #[serde(default)]
    added_tokens: Vec<AddedJson>,
}

#[derive(Deserialize)]
struct ModelJson {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    vocab: serde_json::Value,
    unk_id: Option<usize>,
    #[serde(default)]
    byte_fallback: bool,
}

#[derive(Deserialize)]
struct KindJson {
    #[serde(rename = "type")]
    kind: String,
    add_prefix_space: Option<bool>,
    prepend_scheme: Option<String>,
}

#[derive(Deserialize)]
struct AddedJson {
    id: usize,
    content: String,
    #[serde(default)]
    special: bool,
}

fn hugging_face(content: &[u8]) -> Result<Found, TextError> {
    let file: TokenizerJson = serde_json::from_slice(content)
        // The error quotes what it does not understand, at any length.
        .map_err(|error| excerpt(&error.to_string(), REASON))
        .map_err(|error| TextError::Import(format!("it is no tokenizer.json ({error})")))?;
    let kind = file.model.kind.as_deref().unwrap_or("unnamed");
    if kind != "Unigram" {
        let kind = excerpt(kind, NAME);
        return refuse(format!("it is a {kind} model; only Unigram models can be taken over"));
    }
    let mark_first = match &file.pre_tokenizer {
        Some(KindJson { kind, add_prefix_space, prepend_scheme }) if kind == "Metaspace" => {
            prepend_scheme.as_deref() != Some("never") && add_prefix_space != &Some(false)
        }
        _ => return refuse("it does not mark words by `Metaspace`"),
    };
    let vocabulary: Vec<(String, f64)> = serde_json::from_value(file.model.vocab).map_err(|error| {
        let error = excerpt(&error.to_string(), REASON);
        TextError::Import(format!("its vocabulary is no list of pieces with scores ({error})"))
    })?;
    let role = |id: usize, text: &str| {
        if Some(id) == file.model.unk_id {
            Role::Unknown
        } else if file.model.byte_fallback && text.starts_with("<0x") && text.len() == 6 {
            Role::Byte
        } else if file
            .added_tokens
            .iter()
            .any(|added| added.special && added.id == id && added.content == text)
        {
            Role::Control
        } else {
            Role::Normal
        }
    };
    let pieces = vocabulary
        .into_iter()
        .enumerate()
        .map(|(id, (text, score))| Piece { role: role(id, &text), text, score: score as f32 })
        .collect();
    let normalizer = match file.normalizer.map(|normalizer| normalizer.kind).as_deref() {
        None => Ok(Normalizer::Plain),
        // The compiled rules of sentencepiece are nmt_nfkc nearly everywhere.
        Some("NFKC" | "Precompiled") => Ok(Normalizer::Nfkc),
        Some(other) => Err(format!("`{}`", excerpt(other, NAME))),
    };
    Ok((Vocabulary::new(pieces, mark_first)?, normalizer))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(model_type: i32, name: &str) -> Vec<u8> {
        let pieces =
            [("<unk>", 0.0, 2), ("<s>", 0.0, 3), ("▁정말", -1.0, 1), ("▁", -3.0, 1), ("좋아요", -2.0, 1)];
        let pieces = pieces.map(|(text, score, kind)| PieceProto {
            text: Some(text.to_owned()),
            score: Some(score),
            kind: Some(kind),
        });
        let trainer = TrainerProto { model_type: Some(model_type), ..TrainerProto::default() };
        let normalizer = NormalizerProto { name: Some(name.to_owned()), ..NormalizerProto::default() };
        ModelProto { pieces: pieces.to_vec(), trainer: Some(trainer), normalizer: Some(normalizer) }
            .encode_to_vec()
    }

    fn pieces(tokenizer: &Tokenizer, text: &str) -> Vec<(u32, String)> {
        tokenizer.pieces(text, 128)
    }

    fn refusal(content: &[u8]) -> String {
        import(content, None).map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn a_sentencepiece_model_keeps_its_ids() {
        let tokenizer = import(&model(1, "nmt_nfkc"), None).unwrap();
        assert_eq!((tokenizer.vocabulary(), tokenizer.normalizer()), (5, Normalizer::Nfkc));
        let want = [(2, "정말".to_owned()), (3, " ".to_owned()), (4, "좋아요".to_owned())];
        assert_eq!(pieces(&tokenizer, "정말 좋아요"), want);
        let ours = import(&model(1, "nfkc_cf"), Some(Normalizer::Nunchi1)).unwrap();
        assert_eq!(ours.normalizer(), Normalizer::Nunchi1);
    }

    #[test]
    fn a_tokenizer_json_keeps_its_ids() {
        let json = serde_json::json!({
            "added_tokens": [{ "id": 1, "content": "<s>", "special": true }],
            "normalizer": null,
            "pre_tokenizer": { "type": "Metaspace", "replacement": "▁", "prepend_scheme": "always" },
            "model": { "type": "Unigram", "unk_id": 0,
                "vocab": [["<unk>", 0.0], ["<s>", 0.0], ["▁정말", -1.0], ["▁", -3.0], ["좋아요", -2.0]] },
        });
        let tokenizer = import(json.to_string().as_bytes(), None).unwrap();
        assert_eq!(tokenizer.to_parts().1, import(&model(1, "nmt_nfkc"), None).unwrap().to_parts().1);
    }

    #[test]
    fn what_would_be_cut_differently_is_refused() {
        assert!(refusal(&model(2, "nmt_nfkc")).contains("BPE"));
        assert!(refusal(&model(1, "nfkc_cf")).contains("--normaliser"));
        assert!(refusal(b"\xff\xff\xff").contains("neither JSON nor"));
        assert!(refusal(b"").contains("0 pieces"));
        assert!(refusal(br#"{"model":{"type":"BPE","vocab":{},"merges":[]}}"#).contains("BPE"));
        assert!(refusal(br#"{"model":{"type":"Unigram","vocab":[]}}"#).contains("Metaspace"));
        assert!(refusal(b"{").contains("no tokenizer.json"));
    }
}
