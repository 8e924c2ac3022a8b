//! Models that say when they are not sure, from the command line: an opinion output and a coverage table beside a finished
//! network, and what the commands make of them.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use nunchi_model::rnn::Cell;
use nunchi_model::{ClassCoverage, Coverage, Extension, Model, WeightFormat, testing};
use serde_json::Value;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Place(TempDir::new().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs `nunchi` with no settings from this environment.
    fn run(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nunchi"));
        let ours = |name: &std::ffi::OsString| name.to_string_lossy().starts_with("NUNCHI__");
        for (name, _) in std::env::vars_os().filter(|(name, _)| ours(name)) {
            command.env_remove(name);
        }
        command.args(arguments).current_dir(self.0.path());
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = pipes.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    /// As [`Place::run`]: what a command that succeeds wrote to standard output and to standard error.
    fn passes(&self, arguments: &[&str], input: &str) -> (String, String) {
        let output = self.run(arguments, input);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {said}");
        (String::from_utf8(output.stdout).unwrap(), said)
    }

    /// As [`Place::run`]: what a command says that refuses its arguments.
    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments, "");
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {said}");
        said
    }
}

/// A random model with a table by which positive is sure from 0.5 on, and negative never is.
fn measured(place: &Place, name: &str) -> Model {
    let class = |label: &str, points: &[(f64, u64, u64)]| ClassCoverage {
        label: label.to_owned(),
        points: points.iter().map(|&point| point.into()).collect(),
    };
    let coverage = Coverage {
        data: vec!["dev.tsv".to_owned()],
        comments: 100,
        no_opinion: 0,
        classes: vec![class("negative", &[(0.5, 26, 13)]), class("positive", &[(0.5, 74, 74)])],
    };
    let mut model = testing::model(Cell::Bag, 1);
    model.extension = Extension { coverage: Some(coverage), ..Extension::default() };
    model.save(&place.path(name), WeightFormat::F32).unwrap();
    Model::load(&place.path(name)).unwrap()
}

fn objects(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn classify_marks_what_is_not_sure() {
    let place = Place::new();
    measured(&place, "m.safetensors");
    let input = "좋아요\n별로지만 추천해요\n정말 최악이에요\nGreat product, would buy again\n배송이 빨라요\n";
    let (plain, _) = place.passes(&["classify", "--model", "m.safetensors"], input);
    let (marked, _) = place.passes(&["classify", "--model", "m.safetensors", "--precision", "0.97"], input);
    let (plain, marked) = (objects(&plain), objects(&marked));
    assert_eq!((plain.len(), marked.len()), (5, 5));
    let mut labels = std::collections::BTreeSet::new();
    for (number, (plain, marked)) in plain.iter().zip(&marked).enumerate() {
        assert!(plain.get("unsure").is_none() && plain.get("language").is_none(), "off by default: {plain}");
        assert_eq!((&plain["label"], &plain["score"]), (&marked["label"], &marked["score"]));
        let foreign = number == 3;
        let unsure = foreign || marked["label"] == "negative";
        assert_eq!(marked.get("unsure"), unsure.then_some(&Value::Bool(true)), "{marked}");
        assert_eq!(marked.get("language").is_some(), foreign, "{marked}");
        labels.insert(marked["label"].to_string());
    }
    assert_eq!(labels.len(), 2, "the random model gives both labels: {marked:?}");
    let text = ["classify", "--model", "m.safetensors", "--precision", "0.97", "--format", "text"];
    let (shown, _) = place.passes(&text, input);
    assert!(shown.lines().nth(3).unwrap().ends_with("(unsure: another language)"), "{shown}");
    for wrong in ["0.4", "1", "NaN", "x"] {
        let said = place.refused(&["classify", "--model", "m.safetensors", "--precision", wrong]);
        assert!(said.contains("0.5 to 0.999"), "{said}");
    }
}

#[test]
fn what_holds_no_opinion_is_unsure_whatever_its_score() {
    let place = Place::new();
    let mut model = measured(&place, "m.safetensors");
    // Of this model nothing holds an opinion.
    model.extension.opinion = testing::with_opinion(model.clone()).extension.opinion;
    let opinion = model.extension.opinion.as_mut().unwrap();
    opinion.weight.fill(0.0);
    opinion.bias.fill(-1.0);
    model.save(&place.path("none.safetensors"), WeightFormat::F32).unwrap();
    let text = ["classify", "--model", "none.safetensors", "--precision", "0.97", "--format", "text"];
    let (shown, _) = place.passes(&text, "좋아요\nGreat product\n");
    let ends: Vec<bool> = ["(unsure: no opinion)", "(unsure: another language)"]
        .iter()
        .zip(shown.lines())
        .map(|(end, line)| line.ends_with(end))
        .collect();
    assert_eq!(ends, [true, true], "{shown}");
    let (out, _) = place.passes(&["classify", "--model", "none.safetensors"], "좋아요\n");
    assert_eq!(objects(&out)[0].get("unsure"), None, "only where it is asked for: {out}");
}

#[test]
fn a_model_without_a_table_is_refused_with_what_to_do() {
    let place = Place::new();
    testing::model(Cell::Bag, 1).save(&place.path("plain.safetensors"), WeightFormat::F32).unwrap();
    for arguments in [
        &["classify", "--model", "plain.safetensors", "--precision", "0.97"][..],
        // Before it looks for any broker.
        &["run", "--model", "plain.safetensors", "--set", "decision.precision=0.97"],
        &["config", "check", "--set", "model.path=plain.safetensors", "--set", "decision.precision=0.97"],
    ] {
        let said = place.refused(arguments);
        assert!(said.contains("has no coverage table") && said.contains("nunchi models revise"), "{said}");
    }
    // A band needs no table.
    let check =
        ["config", "check", "--set", "model.path=plain.safetensors", "--set", "decision.band=[0.2, 0.8]"];
    let (said, _) = place.passes(&check, "");
    assert!(said.contains("# decision: scores from 0.2 to 0.8 are unsure"), "{said}");
}

#[test]
fn config_check_says_what_to_expect() {
    let place = Place::new();
    measured(&place, "m.safetensors");
    let with = |more: &[&'static str]| {
        [&["config", "check", "--set", "model.path=m.safetensors"][..], more].concat()
    };
    let (said, _) = place.passes(&with(&["--set", "decision.precision=0.97"]), "");
    assert!(said.contains("precision = 0.97") && said.contains("about 26 % unsure"), "{said}");
    let (said, _) = place.passes(&with(&[]), "");
    assert!(!said.contains("# decision:") && said.contains("# precision is not set"), "{said}");
    // A list needs no brackets.
    let (said, _) = place.passes(&with(&["--set", "decision.band=0.2, 0.8"]), "");
    assert!(said.contains("band = [0.2, 0.8]"), "{said}");
    let both = with(&["--set", "decision.precision=0.97", "--set", "decision.band=[0.2, 0.8]"]);
    assert!(place.refused(&both).contains("exclude each other"));
    for wrong in
        ["precision=0.3", "precision=1", "band=[0.8, 0.2]", "band=[0.2]", "band=[0.2, 1.5]", "band=0.5"]
    {
        let set = format!("decision.{wrong}");
        let said = place.refused(&["config", "check", "--set", &set]);
        assert!(said.contains("`decision.") && said.contains("must be"), "{wrong}: {said}");
    }
}

#[test]
fn evaluate_says_what_a_precision_leaves() {
    let place = Place::new();
    let model = measured(&place, "m.safetensors");
    let rows: Vec<(usize, String)> = (0..60)
        .map(|row| (row % 2, format!("{row}번째 상품 정말 {} 배송", ["별로", "좋아요"][row % 2])))
        .collect();
    let lines = rows
        .iter()
        .map(|(class, text)| format!("{}\t{class}\t{text}\n", ["a", "b"][usize::from(*class > 0)]));
    std::fs::write(place.path("dev.tsv"), "domain\tlabel\ttext\n".to_owned() + &lines.collect::<String>())
        .unwrap();
    let evaluate = ["evaluate", "m.safetensors", "dev.tsv", "--precision", "0.97", "--by", "domain"];
    let (json, _) = place.passes(&[&evaluate[..], &["--json"]].concat(), "");
    let found = &objects(&json)[0]["precision"];
    let texts: Vec<&str> = rows.iter().map(|(_, text)| text.as_str()).collect();
    let positive: Vec<bool> = model.reference_scores(&texts).iter().map(|score| *score >= 0.5).collect();
    let answered = positive.iter().filter(|&&positive| positive).count();
    let right = rows.iter().zip(&positive).filter(|((class, _), positive)| **positive && *class == 1).count();
    assert_eq!(found["target"], 0.97);
    assert_eq!(found["answered"], answered as f64 / 60.0);
    assert_eq!(found["right"].as_f64(), (answered > 0).then(|| right as f64 / answered as f64));
    assert_eq!(found["unsure"]["band"], 60 - answered);
    assert_eq!(found["labels"][0]["answered"].as_f64().unwrap_or(0.0), 0.0, "negative is never sure");
    assert_eq!(found["groups"].as_array().unwrap().len(), 2);
    let (table, _) = place.passes(&evaluate, "");
    assert!(
        table.contains("answered, for precision 0.97") && table.contains("right, of the answered"),
        "{table}"
    );
}
