//! `nunchi evaluate --pairs`: the pairs that models order correctly, by category.

use crate::cli::exit::ExitStatus;
use crate::cli::printer::{out, outln};
use nunchi_eval::evaluation::ModelUnderTest;
use nunchi_eval::pairs::{self, Pair, PairOrder, PairScores, Tally};
use serde_json::{Map, Value, json};
use std::path::Path;

/// Columns of a model in the table: `22/24  91.7 %`.
const WIDTH: usize = 17;

/// Measures every model on the pairs of `path` and prints a table, or a JSON object a model.
pub fn run(
    models: &mut [ModelUnderTest],
    path: &Path,
    json: bool,
    wrong: bool,
) -> anyhow::Result<ExitStatus> {
    let labels = models.first().map(|model| model.model().labels.clone()).unwrap_or_default();
    let pairs = pairs::read(path, &labels, PairOrder::WorseFirst)?;
    let mut scores = Vec::with_capacity(models.len());
    for model in models.iter_mut() {
        scores.push(pairs::score(model, &pairs)?);
    }
    if json {
        for (model, scores) in models.iter().zip(&scores) {
            outln!("{}", object(&model.model().version, &pairs, scores, wrong));
        }
        return Ok(ExitStatus::Done);
    }
    print_table(models, &pairs, &scores);
    if wrong {
        for (model, scores) in models.iter().zip(&scores) {
            print_wrong(model, &pairs, scores);
        }
    }
    Ok(ExitStatus::Done)
}

fn tally(tally: Tally) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("pairs".to_owned(), tally.pairs.into());
    object.insert("right".to_owned(), tally.right.into());
    object.insert("accuracy".to_owned(), tally.accuracy().into());
    object
}

fn object(version: &str, pairs: &[Pair], scores: &[PairScores], wrong: bool) -> Value {
    let mut object = tally(pairs::total(scores));
    let categories: Map<String, Value> = pairs::by_category(pairs, scores)
        .into_iter()
        .map(|(category, counts)| (category.to_owned(), tally(counts).into()))
        .collect();
    object.insert("categories".to_owned(), categories.into());
    if wrong {
        let all = pairs.iter().zip(scores).filter(|(_, scores)| !scores.right).map(|(pair, scores)| {
            json!({
                "category": pair.category,
                "a": pair.a.text, "score_a": scores.a, "label_a": pair.a.class,
                "b": pair.b.text, "score_b": scores.b, "label_b": pair.b.class,
            })
        });
        object.insert("wrong".to_owned(), all.collect());
    }
    object.insert("model".to_owned(), version.into());
    object.into()
}

/// One row a category, one column a model.
fn print_table(models: &[ModelUnderTest], pairs: &[Pair], scores: &[Vec<PairScores>]) {
    let columns: Vec<Vec<(&str, Tally)>> =
        scores.iter().map(|scores| pairs::by_category(pairs, scores)).collect();
    let Some(categories) = columns.first() else { return };
    let widest = categories.iter().map(|(category, _)| category.chars().count()).max().unwrap_or(0).max(8);
    let line = |name: &str, tallies: &mut dyn Iterator<Item = Tally>| {
        out!("{name:widest$}");
        for tally in tallies {
            let count = format!("{}/{}", tally.right, tally.pairs);
            out!("  {count:>8}{:>7.1} %", tally.accuracy() * 100.0);
        }
        outln!();
    };
    out!("{:widest$}", "category");
    for model in models {
        out!("  {:>WIDTH$}", model.model().version);
    }
    outln!();
    for (row, (category, _)) in categories.iter().enumerate() {
        line(category, &mut columns.iter().map(|column| column[row].1));
    }
    line("all", &mut scores.iter().map(|scores| pairs::total(scores)));
}

/// Pairs that the model orders wrongly, a line each: what must be lower on the left.
fn print_wrong(model: &ModelUnderTest, pairs: &[Pair], scores: &[PairScores]) {
    let mark = |class: Option<usize>| match class {
        Some(0) => "-",
        Some(_) => "+",
        None => " ",
    };
    outln!("\nwrong: {} {}", model.model().name, model.model().version);
    for (pair, scores) in pairs.iter().zip(scores).filter(|(_, scores)| !scores.right) {
        outln!(
            "{}: {:.3}{} {}  <  {:.3}{} {}",
            pair.category,
            scores.a,
            mark(pair.a.class),
            pair.a.text,
            scores.b,
            mark(pair.b.class),
            pair.b.text
        );
    }
}
