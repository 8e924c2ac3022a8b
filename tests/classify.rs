//! `nunchi classify` is a Unix filter: one answer a line, in order, whatever the line; it streams and keeps its memory.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use nunchi_model::rnn::{Cell, HeadKind, Shape};
use nunchi_model::{Model, WeightFormat, testing};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;

/// A folder with a small random model, and the model.
static MODEL: LazyLock<(tempfile::TempDir, PathBuf, Model)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("small.safetensors");
    testing::model(Cell::Gru, 2).save(&path, WeightFormat::F32).unwrap();
    let model = Model::load(&path).unwrap();
    (folder, path, model)
});

fn start(arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nunchi"));
    command.arg("classify").args(arguments);
    if !arguments.contains(&"--model") {
        command.arg("--model").arg(&MODEL.1);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn classify(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = start(arguments);
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

/// The objects, one a line; the status says whether one of them is an error.
fn answers(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    let answers: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let broken = answers.iter().any(|answer| answer.get("error").is_some());
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(i32::from(broken)), "{said}");
    answers
}

fn near(answer: &Value, text: &str) -> bool {
    let want = MODEL.2.reference_scores(&[text])[0];
    let score = answer["score"].as_f64().unwrap();
    let label = if score >= 0.5 { "positive" } else { "negative" };
    (score - want).abs() < 1e-4 && answer["label"] == label && answer["model"] == MODEL.2.version.as_str()
}

#[test]
fn a_score_that_is_not_a_number_is_an_error_and_no_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("overflowing.safetensors");
    let (model, overflowing) = testing::overflowing();
    model.save(&path, WeightFormat::F32).unwrap();
    let output =
        classify(&["--model", path.to_str().unwrap()], format!("좋아요\n{overflowing}\n").as_bytes());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("not a number") && errors.contains(&model.version), "{errors}");
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn bare_lines_and_objects_are_classified_in_order() {
    let input = "정말 좋아요\n{\"id\": 7, \"text\": \"별로예요\", \"rating\": 1}\r\n\n{\"id\":\"a-1\",\"text\":\"\"}\n마지막 줄";
    let got = answers(&classify(&[], input.as_bytes()));
    let texts = ["정말 좋아요", "별로예요", "", "", "마지막 줄"];
    assert_eq!(got.len(), texts.len());
    for (answer, text) in got.iter().zip(texts) {
        assert!(near(answer, text), "{answer}");
    }
    assert_eq!(
        got.iter().map(|answer| answer["id"].clone()).collect::<Vec<_>>(),
        [json!(null), json!(7), json!(null), json!("a-1"), json!(null)]
    );
    assert_eq!((&got[0]["text"], got[1].get("text")), (&json!("정말 좋아요"), None));
}

#[test]
fn a_broken_line_is_reported_and_the_rest_goes_on() {
    let input = b"{\"text\": \"\xed\x95\n\xff\xfe\n{\"id\": 1}\n{\"text\": 5}\n{oops\n\xec\xa2\x8b\xec\x95\x84\xec\x9a\x94\n";
    let output = classify(&[], input);
    let got = answers(&output);
    let classes: Vec<&str> = got[..5].iter().map(|answer| answer["class"].as_str().unwrap()).collect();
    assert_eq!(classes, ["invalid_utf8", "invalid_utf8", "missing_text", "text_not_string", "invalid_json"]);
    for (number, answer) in (1..).zip(&got[..5]) {
        assert_eq!(answer["line"], number);
        assert!(answer["error"].as_str().unwrap().len() > 10);
    }
    assert!(near(&got[5], "좋아요"));
    assert!(String::from_utf8_lossy(&output.stderr).contains("5 of 6 lines could not be classified"));
}

#[test]
fn what_a_line_is_can_be_said() {
    let input = "{\"text\":\"좋아요\"}\n좋아요\n".as_bytes();
    let as_text = answers(&classify(&["--input", "text"], input));
    assert_eq!(as_text[0]["text"], "{\"text\":\"좋아요\"}");
    let as_json = answers(&classify(&["--input", "json"], input));
    assert!(near(&as_json[0], "좋아요"));
    assert_eq!(as_json[1]["class"], "invalid_json");
}

#[test]
fn a_long_comment_is_cut_and_says_so() {
    let long = "배송이 빨라요 ".repeat(300);
    let got = answers(&classify(&[], format!("{long}\n짧아요\n").as_bytes()));
    assert_eq!((got[0]["truncated"].as_bool(), got[1].get("truncated")), (Some(true), None));
    assert!(near(&got[0], &long));
    let huge = "좋".repeat(800_000);
    let got = answers(&classify(&[], format!("{huge}\n짧아요\n").as_bytes()));
    assert_eq!(got[0]["class"], "oversize");
    assert!(near(&got[1], "짧아요"));
}

#[test]
fn ten_thousand_lines_come_back_in_order() {
    let lines: String = (0..10_000).map(|n| format!("{{\"id\":{n},\"text\":\"{n}번 좋아요\"}}\n")).collect();
    let got = answers(&classify(&[], lines.as_bytes()));
    assert!(got.iter().enumerate().all(|(n, answer)| answer["id"] == n) && got.len() == 10_000);
}

#[test]
fn an_answer_comes_before_the_next_line_is_written() {
    let mut child = start(&[]);
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    for text in ["하나", "둘", "셋"] {
        writeln!(stdin, "{text}").unwrap();
        let mut answer = String::new();
        stdout.read_line(&mut answer).unwrap();
        assert!(near(&serde_json::from_str(&answer).unwrap(), text));
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_closed_pipe_is_no_error() {
    let mut child = start(&[]);
    let mut stdin = child.stdin.take().unwrap();
    drop(child.stdout.take());
    let line = "좋아요\n".repeat(10_000);
    // Whoever reads no more may also close the input.
    while stdin.write_all(line.as_bytes()).is_ok() {}
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn people_get_lines_without_colors_in_a_pipe() {
    let output = classify(&["--format", "text"], "정말 \u{1b}[31m좋아요\n{\"id\":1}\n".as_bytes());
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].contains("정말  [31m좋아요") && lines[0].contains("tive 0."), "{text}");
    assert!(lines[1].starts_with("line 2: "), "{text}");
    assert!(!text.contains('\u{1b}'));
}

#[test]
fn every_class_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stars.safetensors");
    let shape = Shape { head: HeadKind::Softmax, outputs: 5, ..testing::shape(Cell::Lstm) };
    Model::random(shape, testing::tokenizer(), 1).unwrap().save(&path, WeightFormat::F16).unwrap();
    let got = answers(&classify(&["--model", path.to_str().unwrap()], "좋아요\n".as_bytes()));
    let scores = got[0]["scores"].as_object().unwrap();
    assert_eq!(scores.keys().collect::<Vec<_>>(), ["1", "2", "3", "4", "5"]);
    assert_eq!(scores[got[0]["label"].as_str().unwrap()], got[0]["score"]);
}

#[test]
fn wrong_usage_and_bad_models_have_their_exit_status() {
    for (arguments, code, want) in [
        (&["--format", "xml"][..], 64, "xml"),
        (&["--kernel", "abacus"], 64, "abacus"),
        (&["--model", "/no/such/file"], 64, "/no/such/file"),
        (&["--model", "Cargo.toml"], 1, "not a complete safetensors"),
    ] {
        let output = classify(arguments, b"");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(want), "{said}");
    }
}
