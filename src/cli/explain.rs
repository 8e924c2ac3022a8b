//! `nunchi explain`: the score after each word of a comment, and the score of each of its sentences and clauses.
//!
//! Each value is the engine's prediction of the comment up to and with that token, so the last one is the
//! score that `classify` gives the whole. (For a unidirectional network these are its intermediate states: many to many.)

mod words;

use self::words::{Word, words};
use super::color;
use super::color::{Paint, Tone};
use super::model::ModelArgs;
use super::printer::outln;
use crate::cli::exit::ExitStatus;
use nunchi_engine::score::WrittenScore;
use nunchi_engine::{Engine, EngineError, Prediction, Sentence};
use nunchi_model::rnn::HeadKind;
use std::sync::Arc;
use unicode_width::UnicodeWidthStr as _;

/// Tokens of prefixes that are classified at once.
const BATCH: usize = 1 << 16;
/// Cells of a bar, half of them on each side of "undecided".
const BAR: usize = 24;

/// Flags of `nunchi explain`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  nunchi explain \"별로지만 추천해요\"")]
pub struct Args {
    /// The comment; several words need no quotation marks
    #[arg(required = true, value_name = "TEXT")]
    text: Vec<String>,
    #[command(flatten)]
    model: ModelArgs,
    /// Compute with this kernel instead of the best one of this CPU
    #[arg(long, value_name = "NAME")]
    kernel: Option<String>,
    /// Print one JSON object: `tokens`, and `scores` after each token; `words` and `sentences` with their scores
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<ExitStatus> {
    let text = args.text.join(" ");
    let loaded = args.model.load(args.kernel.as_deref())?;
    let mut engine = Engine::new(Arc::new(loaded)).with_sentences(true);
    let prediction = engine.classify(&[&text])?.pop().expect("one prediction a comment");
    let scores = scores_by_token(&mut engine, &text, &prediction)?;
    let model = engine.loaded().model();
    let pieces: Vec<String> =
        model.tokenizer.pieces(&text, model.max_tokens).into_iter().map(|(_, piece)| piece).collect();
    let words = words(model, &text);
    let label = &model.labels[prediction.label];
    let out = if args.json {
        let last = scores.last();
        serde_json::json!({
            "tokens": pieces, "scores": scores, "label": label, "score": last, "model": model.version,
            "truncated": prediction.truncated,
            "words": words.iter().map(|word| serde_json::json!({ "text": word.text, "score": scores[word.end - 1] })).collect::<Vec<_>>(),
            "sentences": parts(&text, &prediction).map(|(part, text)| serde_json::json!({
                "start": part.start, "end": part.end, "text": text, "label": model.labels[part.label],
                "score": WrittenScore::new(part.score).value(),
            })).collect::<Vec<_>>(),
        })
        .to_string()
    } else {
        drawing(&words, &scores, label, prediction.truncated)
            + &drawn_parts(&text, &prediction, &model.labels)
    };
    outln!("{out}");
    Ok(ExitStatus::Done)
}

/// The score of each prefix as it would be written in a verdict: of positive, or of the class that wins in the end.
fn scores_by_token(engine: &mut Engine, text: &str, whole: &Prediction) -> Result<Vec<f64>, EngineError> {
    let loaded = Arc::clone(engine.loaded());
    let tokens = loaded.model().tokens(text);
    let shape = loaded.model().network.shape;
    let class = if shape.head == HeadKind::Sigmoid { 0 } else { whole.label };
    let mut scores = Vec::with_capacity(tokens.len());
    let (mut sequences, mut lengths, mut probabilities) = (Vec::new(), Vec::new(), Vec::new());
    for end in 1..=tokens.len() {
        sequences.extend_from_slice(&tokens[..end]);
        lengths.push(u32::try_from(end).expect("a comment has at most max_tokens tokens"));
        if sequences.len() >= BATCH || end == tokens.len() {
            engine.score_tokens(&sequences, &lengths, &mut probabilities)?;
            let written =
                probabilities.chunks_exact(shape.outputs).map(|row| WrittenScore::new(row[class]).value());
            scores.extend(written);
            sequences.clear();
            lengths.clear();
        }
    }
    Ok(scores)
}

/// The sentences and clauses of `text`, each with what was typed.
fn parts<'a>(text: &'a str, prediction: &'a Prediction) -> impl Iterator<Item = (&'a Sentence, String)> {
    let sentences = prediction.sentences.as_ref().map_or(&[][..], |sentences| &sentences.parts);
    sentences.iter().map(|part| (part, text.chars().skip(part.start).take(part.end - part.start).collect()))
}

/// One line for each part of a comment of several: its label and score by itself.
fn drawn_parts(text: &str, prediction: &Prediction, labels: &[String]) -> String {
    let mut out = String::new();
    let paint = Paint::for_stdout();
    let parts: Vec<_> = parts(text, prediction).collect();
    if parts.len() < 2 {
        return out;
    }
    out.push_str("\n\nby itself:");
    for (part, text) in parts {
        let score = WrittenScore::new(part.score).value();
        out.push_str("\n  ");
        paint.paint(color::tone(score), &format!("{} {score:.3}", labels[part.label]), &mut out);
        out.push_str("  ");
        color::push_harmless(&text, &mut out);
    }
    out
}

/// One line a word: the word, the score after it, a bar to the left (negative) or to the right (positive) of the middle.
fn drawing(words: &[Word], scores: &[f64], label: &str, truncated: bool) -> String {
    let paint = Paint::for_stdout();
    let width = words.iter().map(|word| word.text.width()).max().unwrap_or(0).max(5);
    let mut out = String::new();
    for word in words {
        let score = scores[word.end - 1];
        color::push_harmless(&word.text, &mut out);
        out.extend(std::iter::repeat_n(' ', width.saturating_sub(word.text.width()) + 2));
        paint.paint(color::tone(score), &format!("{score:.3} {}", bar(score)), &mut out);
        out.push('\n');
    }
    let last = scores.last().copied().unwrap_or_default();
    paint.paint(color::tone(last), label, &mut out);
    out.push_str(&format!(" {last:.3}"));
    if truncated {
        paint.paint(Tone::Faint, " (the end of the comment was cut off)", &mut out);
    }
    out
}

/// A bar from the middle: `░░░░███│░░░░░░░`.
fn bar(score: f64) -> String {
    let half = BAR / 2;
    let full = ((score - 0.5).abs() * 2.0 * half as f64).round() as usize;
    let (blocks, shade) = ("█".repeat(full), "░".repeat(half - full));
    let empty = "░".repeat(half);
    if score >= 0.5 { format!("{empty}│{blocks}{shade}") } else { format!("{shade}{blocks}│{empty}") }
}
