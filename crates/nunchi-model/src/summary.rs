//! Layers, output shapes and parameter counts as a table, as Keras' `model.summary()` prints them.

use super::Model;
use crate::rnn::{Cell, HeadKind, Pooling, Shape};

/// Width of the table.
const WIDTH: usize = 66;

/// One line of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The layer's name and Keras' name of its type.
    pub layer: String,
    /// Its output's dimensions; `None` stands for the batch and for the time steps.
    pub output: String,
    /// Its parameters, counted as Keras counts them.
    pub parameters: usize,
}

/// The layers of a network, from the tokens to the head.
pub fn rows(shape: &Shape) -> Vec<Row> {
    let row = |layer: String, output: String, parameters| Row { layer, output, parameters };
    let mut rows = vec![row(
        "embedding (Embedding)".to_owned(),
        format!("(None, None, {})", shape.embedding),
        shape.embedding_parameters(),
    )];
    let kind = match shape.cell {
        Cell::Bag => "",
        Cell::Simple => "SimpleRNN",
        Cell::Gru => "GRU",
        Cell::Lstm => "LSTM",
    };
    for layer in 0..shape.layers {
        let name =
            if layer == 0 { shape.cell.name().to_owned() } else { format!("{}_{layer}", shape.cell.name()) };
        let name = match shape.bidirectional {
            true => format!("bidirectional_{name} (Bidirectional {kind})"),
            false => format!("{name} ({kind})"),
        };
        let units = shape.hidden * shape.directions();
        let hands_on = layer + 1 < shape.layers || shape.pooling != Pooling::Last;
        let output = if hands_on { format!("(None, None, {units})") } else { format!("(None, {units})") };
        rows.push(row(name, output, shape.layer_parameters(layer)));
    }
    let pooling = match shape.pooling {
        Pooling::Last if shape.cell == Cell::Bag => Some("last (Last token)"),
        Pooling::Last => None,
        Pooling::Mean => Some("mean (GlobalAveragePooling1D)"),
        Pooling::Max => Some("max (GlobalMaxPooling1D)"),
    };
    if let Some(name) = pooling {
        rows.push(row(name.to_owned(), format!("(None, {})", shape.features()), 0));
    }
    let head = match shape.head {
        HeadKind::Sigmoid => "head (Dense, sigmoid)",
        HeadKind::Softmax => "head (Dense, softmax)",
    };
    rows.push(row(head.to_owned(), format!("(None, {})", shape.outputs), shape.head_parameters()));
    rows
}

/// The table of layers, and the other properties of `model`.
pub fn summary(model: &Model) -> String {
    let shape = &model.network.shape;
    let mut out = format!("Model: \"{}\" (version {})\n{}\n", model.name, model.version, "_".repeat(WIDTH));
    let mut line = |layer: &str, output: &str, parameters: &str| {
        out.push_str(&format!(" {layer:<36}{output:<20}{parameters:>9}\n"));
    };
    line("Layer (type)", "Output Shape", "Param #");
    line(&"=".repeat(36), &"=".repeat(20), &"=".repeat(9));
    for row in rows(shape) {
        line(&row.layer, &row.output, &row.parameters.to_string());
    }
    let opinion = model.extension.opinion.as_ref().map_or(0, |_| shape.features() + 1);
    if opinion > 0 {
        line("opinion (Dense, sigmoid)", "(None, 1)", &opinion.to_string());
    }
    let parameters = shape.parameters() + opinion;
    let (_, _, normalizer) = model.tokenizer.to_parts();
    out.push_str(&format!(
        "{}\nTotal params: {} ({:.2} MB in f32)\n",
        "=".repeat(WIDTH),
        grouped(parameters),
        parameters as f64 * 4.0 / 1e6,
    ));
    out.push_str(&format!(
        "Tokens: {} (normaliser {normalizer}), at most {} a comment\nLabels: {}\n",
        grouped(model.tokenizer.vocabulary()),
        model.max_tokens,
        model.labels.join(", "),
    ));
    if let Some(coverage) = &model.extension.coverage {
        let (comments, data) = (grouped(coverage.comments as usize), coverage.data.join(", "));
        out.push_str(&format!("Coverage table: {comments} comments ({data})\n"));
    }
    out
}

/// A number with commas between thousands.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(["0", "999", "1,000", "2,346,497"], [0, 999, 1_000, 2_346_497].map(grouped)[..]);
    }
}
