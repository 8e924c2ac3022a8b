//! Reports: `nunchi train` leaves one beside the model, `nunchi evaluate --report` makes one for any file; the real
//! binary, on data that can be learned in seconds.

#![allow(clippy::unwrap_used)]

#[path = "../crates/nunchi-eval/src/report/well_formed.rs"]
#[allow(dead_code)]
mod well_formed;

use serde_json::Value;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;
use well_formed::read_markup;

const GOOD: [&str; 4] = ["추천해요", "좋아요", "만족해요", "튼튼해요"];
const BAD: [&str; 4] = ["별로예요", "아까워요", "실망이에요", "약해요"];
/// What somebody writes who hopes that a page runs it; longer than [`well_formed::HOSTILE`], and for a cell of a table.
const HOSTILE: &str = "<script>alert('눈치')</script> & </td></table>\"><img src=x onerror=alert(1)>";

/// Comments of one word that decides; every tenth is labelled wrongly, so that there are mistakes to show.
fn write_comments(path: &Path, rows: usize, hostile: bool) {
    let mut content = String::from("label\ttext\n");
    for row in 0..rows {
        let good = row % 2 == 0;
        let word = if good { GOOD[row / 2 % 4] } else { BAD[row / 2 % 4] };
        let label = usize::from(good != (row % 10 == 3));
        let more = if hostile && row % 10 == 3 { HOSTILE } else { "배송" };
        // Each comment is another: what is in the development data too is not trained on.
        writeln!(content, "{label}\t{more} {word} {}{row}", u8::from(hostile)).unwrap();
    }
    std::fs::write(path, content).unwrap();
}

fn nunchi(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_nunchi")).args(arguments).output().unwrap()
}

fn succeeds(arguments: &[&str]) -> (String, String) {
    let output = nunchi(arguments);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{errors}");
    (String::from_utf8(output.stdout).unwrap(), errors)
}

struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Place { folder: TempDir::new().unwrap() };
        write_comments(&place.path("train.tsv"), 400, false);
        write_comments(&place.path("dev.tsv"), 100, true);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// Trains `NAME.safetensors`; what it says.
    fn train(&self, name: &str, more: &[&str]) -> String {
        let (data, out) = (self.text("train.tsv"), self.text(&format!("{name}.safetensors")));
        let mut arguments = vec!["train", &data, "--out", &out, "--vocabulary", "400", "--hidden", "8"];
        arguments.extend(["--embedding", "8", "--batch", "20", "--rate", "0.02", "--average", "0"]);
        arguments.extend(more);
        succeeds(&arguments).1
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.path(name)).unwrap()).unwrap()
    }
}

/// The page's elements and its text.
fn read_page(path: &Path) -> (Vec<String>, String) {
    read_markup(&std::fs::read_to_string(path).unwrap())
}

/// A page as it must be: nothing that runs, nothing that is fetched.
fn is_harmless(path: &Path, elements: &[String]) {
    for forbidden in ["script", "img", "link", "iframe", "object", "a"] {
        assert!(!elements.iter().any(|element| element == forbidden), "a <{forbidden}>");
    }
    let page = std::fs::read_to_string(path).unwrap();
    let addresses = page.matches("http").count();
    let allowed =
        page.matches("http-equiv").count() + page.matches("xmlns=\"http://www.w3.org/2000/svg\"").count();
    assert_eq!(addresses, allowed, "nothing is loaded from anywhere");
}

#[test]
fn training_leaves_a_report_of_the_stored_weights_beside_the_model() {
    let place = Place::new();
    let dev = place.text("dev.tsv");
    let said = place.train("gru", &["--dev", &dev, "--hold-out", "10", "--epochs", "3"]);
    assert!(said.contains("gru.report.html"), "{said}");
    assert!(said.contains("best"), "plain lines where there is no terminal: {said}");

    let report = place.json("gru.report.json");
    let model = &report["models"][0];
    let names: Vec<&str> = (0..2).map(|at| report["data"]["files"][at]["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["dev.tsv", "train.tsv (held out)"]);
    assert_eq!(report["data"]["records"], 140);
    let history = &model["history"];
    assert_eq!(history["epochs"].as_array().unwrap().len(), 3);
    assert_eq!(history["points"].as_array().unwrap().len(), 3 * 18, "360 comments, 20 a step");
    let loss = |at: usize| history["points"][at]["loss"].as_f64().unwrap();
    assert!(loss(0) > loss(53), "it learned: {} to {}", loss(0), loss(53));

    // The report has the figures of the written file.
    let evaluated: Value =
        serde_json::from_str(&succeeds(&["evaluate", &place.text("gru.safetensors"), &dev, "--json"]).0)
            .unwrap();
    for figure in ["records", "accuracy", "f1", "auc", "log_loss", "ece"] {
        assert_eq!(evaluated[figure], model["files"][0][figure], "{figure}");
    }
    let confusion: u64 = model["confusion"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|row| row.as_array().unwrap())
        .map(|count| count.as_u64().unwrap())
        .sum();
    assert_eq!(confusion, 140);
    for (part, field) in [("reliability", "records"), ("lengths", "records")] {
        let sum: u64 = model[part].as_array().unwrap().iter().map(|bin| bin[field].as_u64().unwrap()).sum();
        assert_eq!(sum, 140, "{part}");
    }

    let page = place.path("gru.report.html");
    let (elements, text) = read_page(&page);
    is_harmless(&page, &elements);
    for section in [
        "Learning: loss",
        "Learning: development",
        "Confusion",
        "ROC",
        "Calibration",
        "Length against",
        "Distribution of the scores",
        "Largest errors",
        "Network and training",
    ] {
        assert!(text.contains(section), "no `{section}`");
    }
    assert!(elements.iter().filter(|element| *element == "svg").count() >= 6);
    assert!(text.contains(HOSTILE), "the worst mistakes are shown as they were written");
}

#[test]
fn several_models_stand_side_by_side() {
    let place = Place::new();
    let dev = place.text("dev.tsv");
    place.train("one", &["--dev", &dev, "--epochs", "2", "--no-report"]);
    assert!(!place.path("one.report.html").exists() && !place.path("one.report.json").exists());
    place.train(
        "other",
        &["--dev", &dev, "--epochs", "1", "--cell", "bag", "--no-report", "--dropout", "0.95"],
    );
    let (page, models) =
        (place.text("both.html"), ["one", "other"].map(|name| place.text(&format!("{name}.safetensors"))));
    let (table, said) = succeeds(&["evaluate", &models[0], &models[1], &dev, "--report", &page]);
    assert!(table.contains("one") && table.contains("other"), "the table is there all the same: {table}");
    assert!(said.contains("both.html") && said.contains("both.json"), "{said}");

    let report = place.json("both.json");
    assert_eq!(report["models"].as_array().unwrap().len(), 2);
    let accuracy = |at: usize| report["models"][at]["metrics"]["accuracy"].as_f64().unwrap();
    assert!(accuracy(0) > 0.85, "{}", accuracy(0));
    assert!(accuracy(1) < accuracy(0));
    assert_eq!(
        report["models"][0]["history"]["epochs"].as_array().unwrap().len(),
        2,
        "from the model itself"
    );
    let differ = report["disagreements"].as_array().unwrap();
    assert!(!differ.is_empty());
    for case in differ {
        let verdicts = case["verdicts"].as_array().unwrap();
        assert_eq!(verdicts.len(), 2);
        assert_ne!(verdicts[0]["label"], verdicts[1]["label"]);
    }
    for mistake in report["models"][0]["mistakes"].as_array().unwrap() {
        assert_ne!(mistake["label"], mistake["verdicts"][0]["label"]);
    }
    let (elements, text) = read_page(&place.path("both.html"));
    is_harmless(&place.path("both.html"), &elements);
    assert!(text.contains("2 models compared") && text.contains("Disagreements"));
}

#[test]
fn more_than_two_classes_have_a_report_too() {
    let place = Place::new();
    let mut content = String::from("label\ttext\n");
    for row in 0..120 {
        writeln!(content, "{}\t배송 {} {row}", row % 3, ["별로예요", "그냥 그래요", "좋아요"][row % 3])
            .unwrap();
    }
    std::fs::write(place.path("train.tsv"), content).unwrap();
    place.train("three", &["--labels", "나쁨,보통,<좋음>", "--hold-out", "5", "--epochs", "2"]);
    let report = place.json("three.report.json");
    assert_eq!(report["data"]["classes"].as_array().unwrap().len(), 3);
    assert_eq!(report["models"][0]["scores"]["of"], "chosen");
    let (_, text) = read_page(&place.path("three.report.html"));
    assert!(text.contains("classified <좋음>"));
}

#[test]
fn what_cannot_be_measured_is_said() {
    let place = Place::new();
    // Nothing to develop on: curves, and no figures that would be nought.
    place.train("alone", &["--epochs", "1", "--hold-out", "0"]);
    let (_, text) = read_page(&place.path("alone.report.html"));
    assert!(text.contains("Learning: loss") && !text.contains("Confusion"), "{text}");

    // Held out is one class alone: a report without what needs two.
    let mut content = String::from("label\ttext\n");
    for row in 0..100 {
        let good = row % 2 == 1;
        writeln!(content, "{}\t배송 {} {row}", u8::from(good), if good { GOOD[0] } else { BAD[0] }).unwrap();
    }
    std::fs::write(place.path("train.tsv"), content).unwrap();
    place.train("half", &["--epochs", "1", "--hold-out", "10"]);
    assert_eq!(place.json("half.report.json")["data"]["classes"], serde_json::json!([0, 10]));
    let (_, text) = read_page(&place.path("half.report.html"));
    assert!(text.contains("one class alone"), "{text}");

    let model = place.text("half.safetensors");
    let fails = |data: &str, report: &str, status: i32, says: &str| {
        let output = nunchi(&["evaluate", &model, data, "--report", report]);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(status), "{error}");
        assert!(error.contains(says), "`{says}` is not in: {error}");
    };
    let page = place.text("page.html");
    std::fs::write(place.path("empty.tsv"), "label\ttext\n").unwrap();
    std::fs::write(place.path("one.tsv"), "label\ttext\n1\t좋아요\n1\t추천해요\n").unwrap();
    fails(&place.text("empty.tsv"), &page, 1, "has column names and no rows");
    fails(&place.text("one.tsv"), &page, 1, "at least two classes");
    fails(&place.text("dev.tsv"), &place.text("page.pdf"), 64, "must be named *.html");
    fails(&place.text("dev.tsv"), &place.text("nowhere/page.html"), 1, "cannot write the report");
    assert!(!place.path("page.html").exists() && !place.path("page.json").exists());
}

#[test]
fn how_information_fades_is_drawn_for_networks_that_read_one_way() {
    let place = Place::new();
    let names = ["simple", "gru", "lstm"];
    for cell in names.into_iter().chain(["bag"]) {
        place.train(cell, &["--cell", cell, "--epochs", "1", "--no-report"]);
    }
    let mut content = String::from("label\ttext\n");
    for row in 0..60 {
        let words: Vec<&str> =
            (0..50).map(|at| if (row * 7 + at * 3) % 5 < 2 { GOOD[at % 4] } else { BAD[row % 4] }).collect();
        writeln!(content, "{}\t{}", row % 2, words.join(" ")).unwrap();
    }
    std::fs::write(place.path("long.tsv"), content).unwrap();
    let (long, picture) = (place.text("long.tsv"), place.text("fading.svg"));
    let models = names.map(|name| place.text(&format!("{name}.safetensors")));
    let (_, said) = succeeds(&["evaluate", &models[0], &models[1], &models[2], &long, "--fading", &picture]);
    for name in names {
        assert!(said.contains(&format!("{name}: of a first token's influence")), "{said}");
    }
    let (elements, text) = read_page(&place.path("fading.svg"));
    assert_eq!(elements[0], "svg");
    // A solid and a dashed line a model.
    assert_eq!(elements.iter().filter(|element| *element == "path").count(), 6);
    assert!(names.iter().all(|name| text.contains(name)));

    let fails = |model: &str, data: &str, says: &str| {
        let output = nunchi(&["evaluate", model, data, "--fading", &place.text("no.svg")]);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains(says), "`{says}` is not in: {error}");
        assert!(!place.path("no.svg").exists());
    };
    fails(&place.text("bag.safetensors"), &long, "bag: ");
    fails(&models[1], &place.text("dev.tsv"), "at least 40 tokens");
}
