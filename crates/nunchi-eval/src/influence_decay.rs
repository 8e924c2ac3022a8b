//! Influence decay: what is left of a comment's first token in the state, and in the head's output, by the number of
//! tokens read since.

use crate::report::chart::{Axis, Chart, Unit, color};
use nunchi_data::{Columns, DataError};
use nunchi_model::Model;
use nunchi_model::rnn::RnnError;
use nunchi_text::Scratch;
use std::path::Path;
use thiserror::Error;

/// Tokens that are followed.
pub const TOKENS: usize = 40;
/// Most comments that are measured on.
const MAX_COMMENTS: usize = 400;
/// Fewest comments that give a mean worth drawing.
const MIN_COMMENTS: usize = 20;
/// Comments that go through the network together.
const BATCH: usize = 100;

/// Why influence decay cannot be measured.
#[derive(Debug, Error)]
pub enum DecayError {
    /// The file cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A network that it is not defined for.
    #[error("{0}: {1}")]
    Network(String, RnnError),
    /// Nearly all comments are shorter.
    #[error("{file} has {found} comments of at least {TOKENS} tokens for {model}; {MIN_COMMENTS} are needed")]
    Short {
        /// The file.
        file: String,
        /// The model.
        model: String,
        /// How many there are.
        found: usize,
    },
}

/// What is left of the first token's influence.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct InfluenceDecay {
    /// The model's name.
    pub model: String,
    /// Comments that were measured on.
    pub comments: usize,
    /// Its influence on the state after 0, 1, 2 … further tokens, relative to that after 0.
    pub left: Vec<f64>,
    /// The same for its influence on the head's output there (the logit).
    pub left_in_verdict: Vec<f64>,
}

/// Measures `models` on comments of the file: the first token is replaced by that of another comment, and the states of
/// both readings are compared ([`nunchi_model::rnn::Network::influence_decay`]).
///
/// # Errors
/// A file that cannot be used or holds too few long comments, and networks that keep no state.
pub fn measure(models: &[&Model], path: &Path, columns: &Columns) -> Result<Vec<InfluenceDecay>, DecayError> {
    let mut sequences: Vec<Vec<Vec<u32>>> = vec![Vec::new(); models.len()];
    let (mut scratch, mut tokens) = (Scratch::default(), Vec::new());
    nunchi_data::read(path, columns, |example| {
        for (model, sequences) in
            models.iter().zip(&mut sequences).filter(|(_, found)| found.len() < MAX_COMMENTS)
        {
            tokens.clear();
            model.tokenizer.encode(example.text, TOKENS, &mut scratch, &mut tokens);
            if tokens.len() == TOKENS {
                sequences.push(tokens.clone());
            }
        }
    })?;
    let measured = models.iter().zip(&sequences);
    measured
        .map(|(model, sequences)| {
            if sequences.len() < MIN_COMMENTS {
                let file = path.display().to_string();
                return Err(DecayError::Short { file, model: model.name.clone(), found: sequences.len() });
            }
            of_model(model, sequences)
        })
        .collect()
}

fn of_model(model: &Model, sequences: &[Vec<u32>]) -> Result<InfluenceDecay, DecayError> {
    let mut sums = [vec![0.0; TOKENS], vec![0.0; TOKENS]];
    let views: Vec<&[u32]> = sequences.iter().map(Vec::as_slice).collect();
    // The next comment's first token that is another one takes the first one's place.
    let others: Vec<u32> = (0..views.len())
        .map(|at| {
            let following = (1..views.len()).map(|step| views[(at + step) % views.len()][0]);
            following.into_iter().find(|&token| token != views[at][0]).unwrap_or(0)
        })
        .collect();
    for (part, others) in views.chunks(BATCH).zip(others.chunks(BATCH)) {
        let distances = model.network.influence_decay(part, others);
        let distances = distances.map_err(|error| DecayError::Network(model.name.clone(), error))?;
        for (sums, means) in sums.iter_mut().zip([distances.states, distances.logits]) {
            for (sum, mean) in sums.iter_mut().zip(means) {
                *sum += f64::from(mean) * part.len() as f64;
            }
        }
    }
    let [left, left_in_verdict] = sums.map(|sums| {
        let first = sums[0].max(f64::MIN_POSITIVE);
        sums.into_iter().map(|sum| sum / first).collect()
    });
    Ok(InfluenceDecay { model: model.name.clone(), comments: sequences.len(), left, left_in_verdict })
}

/// The chart: an SVG file of its own, for light and dark ground. Solid lines are states, dashed ones logits.
pub fn chart(measured: &[InfluenceDecay]) -> String {
    let values = || measured.iter().flat_map(|one| one.left.iter().chain(&one.left_in_verdict)).copied();
    let lowest = values().filter(|left| *left > 0.0).fold(0.5_f64, f64::min).max(1e-6);
    let (floor, highest) = (lowest * 0.9, values().fold(1.0_f64, f64::max) * 1.05);
    let title = "left of the first token's influence on the state (solid) and on the logit (dashed)";
    // The names stand to the right of the lines' ends.
    let last = (TOKENS - 1) as f64;
    let (x, y) = (
        Axis::new("tokens read since", Unit::Number, 0.0, last + 6.0),
        Axis::new(title, Unit::Log, floor, highest),
    );
    let label = "the influence of the first token by distance";
    let mut chart = Chart::new(label, [760.0, 400.0], x, y);
    let mut ends: Vec<(usize, f64)> = Vec::new();
    for (at, one) in measured.iter().enumerate() {
        let points = |left: &[f64]| -> Vec<[f64; 2]> {
            left.iter().enumerate().map(|(distance, &left)| [distance as f64, left.max(floor)]).collect()
        };
        let (class, states) = (color(at), points(&one.left));
        chart.line(&format!("{class} dashed"), points(&one.left_in_verdict));
        chart.line(class, states.iter().copied());
        for point in &states {
            chart.dot(class, *point, 2.2, &format!("{}, {} tokens: {:.3}", one.model, point[0], point[1]));
        }
        ends.push((at, states.last().map_or(1.0, |point| point[1])));
    }
    // Names that would stand on one another move apart, on the logarithmic axis by a factor.
    ends.sort_by(|a, b| b.1.total_cmp(&a.1));
    let apart = (highest / floor).powf(0.05);
    let mut above = f64::INFINITY;
    for (at, end) in ends {
        above = end.min(above / apart);
        chart.named([last + 1.0, above], color(at), &measured[at].model);
    }
    chart.into_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chart_stands_alone_and_names_every_model() {
        let decay = |model: &str, factor: f64| InfluenceDecay {
            model: model.to_owned(),
            comments: 20,
            left: (0..TOKENS).map(|at| factor.powi(at as i32)).collect(),
            left_in_verdict: vec![1.0; TOKENS],
        };
        let (fast, slow) = (decay("simple <x>", 0.5), decay("gru", 0.9));
        let drawn = chart(&[fast, slow]);
        assert!(drawn.starts_with("<svg xmlns=") && drawn.ends_with("</svg>"));
        assert!(
            drawn.contains("simple &lt;x&gt;") && drawn.contains(">gru</text>") && drawn.contains("<style>")
        );
    }
}
