//! `nunchi evaluate --pairs`: what models understood, category by category.

use nunchi_eval::evaluation::ModelUnderTest;
use nunchi_eval::pairs::{self, Answer, Pair, Tally};
use serde_json::{Map, Value, json};
use std::path::Path;
use std::process::ExitCode;

/// Columns of a model in the table: `22/24  91.7 %`.
const WIDTH: usize = 17;

/// Measures every judge on the pairs of `path` and prints a table, or a JSON object a model.
pub fn run(judges: &mut [ModelUnderTest], path: &Path, json: bool, wrong: bool) -> anyhow::Result<ExitCode> {
    let pairs = pairs::read(path)?;
    let mut answers = Vec::with_capacity(judges.len());
    for judge in judges.iter_mut() {
        answers.push(pairs::answers(judge, &pairs)?);
    }
    if json {
        for (judge, answers) in judges.iter().zip(&answers) {
            println!("{}", object(&judge.model().version, &pairs, answers, wrong));
        }
        return Ok(ExitCode::SUCCESS);
    }
    print_table(judges, &pairs, &answers);
    if wrong {
        for (judge, answers) in judges.iter().zip(&answers) {
            print_wrong(judge, &pairs, answers);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn tally(tally: Tally) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("pairs".to_owned(), tally.pairs.into());
    object.insert("right".to_owned(), tally.right.into());
    object.insert("accuracy".to_owned(), tally.accuracy().into());
    object
}

fn object(version: &str, pairs: &[Pair], answers: &[Answer], wrong: bool) -> Value {
    let mut object = tally(pairs::total(answers));
    let categories: Map<String, Value> = pairs::by_category(pairs, answers)
        .into_iter()
        .map(|(category, counts)| (category.to_owned(), tally(counts).into()))
        .collect();
    object.insert("categories".to_owned(), categories.into());
    if wrong {
        let all = pairs.iter().zip(answers).filter(|(_, answer)| !answer.right).map(|(pair, answer)| {
            json!({
                "category": pair.category,
                "a": pair.a.text, "score_a": answer.a, "label_a": pair.a.label.map(u8::from),
                "b": pair.b.text, "score_b": answer.b, "label_b": pair.b.label.map(u8::from),
            })
        });
        object.insert("wrong".to_owned(), all.collect());
    }
    object.insert("model".to_owned(), version.into());
    object.into()
}

/// One row a category, one column a model.
fn print_table(judges: &[ModelUnderTest], pairs: &[Pair], answers: &[Vec<Answer>]) {
    let columns: Vec<Vec<(&str, Tally)>> =
        answers.iter().map(|answers| pairs::by_category(pairs, answers)).collect();
    let Some(categories) = columns.first() else { return };
    let widest = categories.iter().map(|(category, _)| category.chars().count()).max().unwrap_or(0).max(8);
    let line = |name: &str, tallies: &mut dyn Iterator<Item = Tally>| {
        print!("{name:widest$}");
        for tally in tallies {
            let count = format!("{}/{}", tally.right, tally.pairs);
            print!("  {count:>8}{:>7.1} %", tally.accuracy() * 100.0);
        }
        println!();
    };
    print!("{:widest$}", "category");
    for judge in judges {
        print!("  {:>WIDTH$}", judge.model().version);
    }
    println!();
    for (row, (category, _)) in categories.iter().enumerate() {
        line(category, &mut columns.iter().map(|column| column[row].1));
    }
    line("all", &mut answers.iter().map(|answers| pairs::total(answers)));
}

/// UsageError pairs, a line each: what must be lower on the left.
fn print_wrong(judge: &ModelUnderTest, pairs: &[Pair], answers: &[Answer]) {
    let mark = |label: Option<bool>| match label {
        Some(true) => "+",
        Some(false) => "-",
        None => " ",
    };
    println!("\nwrong: {} {}", judge.model().name, judge.model().version);
    for (pair, answer) in pairs.iter().zip(answers).filter(|(_, answer)| !answer.right) {
        println!(
            "{}: {:.3}{} {}  <  {:.3}{} {}",
            pair.category,
            answer.a,
            mark(pair.a.label),
            pair.a.text,
            answer.b,
            mark(pair.b.label),
            pair.b.text
        );
    }
}
