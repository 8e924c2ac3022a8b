//! `nunchi explain` shows the prediction after each token; the last one is what `classify` says.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use nunchi_model::rnn::{Cell, HeadKind, Pooling, Shape};
use nunchi_model::{Model, WeightFormat, testing};
use serde_json::Value;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

fn nunchi(command: &str, model: &Path, arguments: &[&str], input: &str) -> String {
    let mut child = Command::new(env!("CARGO_BIN_EXE_nunchi"))
        .args([command, "--model"])
        .arg(model)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

fn shapes() -> [Shape; 5] {
    let gru = testing::shape(Cell::Gru);
    [
        gru,
        Shape { layers: 2, ..testing::shape(Cell::Lstm) },
        Shape { bidirectional: true, ..gru },
        Shape { pooling: Pooling::Mean, ..gru },
        Shape { head: HeadKind::Softmax, outputs: 3, ..gru },
    ]
}

#[test]
fn the_last_score_is_that_of_classify() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    for shape in shapes() {
        Model::random(shape, testing::tokenizer(), 9).unwrap().save(&path, WeightFormat::F32).unwrap();
        let model = Model::load(&path).unwrap();
        for text in ["별로지만 추천해요", "추천하지만 별로예요 ㅠㅠ 뷁", "", &"배송이 빨라요 ".repeat(200)]
        {
            let said: Value = serde_json::from_str(&nunchi("explain", &path, &["--json", text], "")).unwrap();
            let classified: Value =
                serde_json::from_str(&nunchi("classify", &path, &[], &format!("{text}\n"))).unwrap();
            let scores = said["scores"].as_array().unwrap();
            assert_eq!(scores.last().unwrap(), &classified["score"], "{shape:?} {text:?}");
            assert_eq!((&said["label"], &said["model"]), (&classified["label"], &classified["model"]));
            assert_eq!(scores.len(), said["tokens"].as_array().unwrap().len());
            assert_eq!(scores.len(), model.tokens(text).len());
        }
    }
}

#[test]
fn every_score_is_that_of_the_text_so_far() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    for shape in shapes() {
        Model::random(shape, testing::tokenizer(), 4).unwrap().save(&path, WeightFormat::F32).unwrap();
        let model = Model::load(&path).unwrap();
        let text = "별로지만 추천해요";
        let said: Value = serde_json::from_str(&nunchi("explain", &path, &["--json", text], "")).unwrap();
        let logits = model.network.logits_at_every_step(&model.tokens(text));
        let class = match shape.head {
            HeadKind::Sigmoid => 0,
            HeadKind::Softmax => {
                model.labels.iter().position(|label| said["label"] == label.as_str()).unwrap()
            }
        };
        for (row, score) in logits.rows().into_iter().zip(said["scores"].as_array().unwrap()) {
            let want = shape.head.probabilities(row, model.temperature)[class];
            assert!((score.as_f64().unwrap() - f64::from(want)).abs() < 1e-4, "{shape:?}");
        }
    }
}

#[test]
fn the_tokens_are_readable_and_the_bars_are_plain_in_a_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    testing::model(Cell::Gru, 1).save(&path, WeightFormat::F32).unwrap();
    let said: Value =
        serde_json::from_str(&nunchi("explain", &path, &["--json", "정말  좋아요 ㅋㅋㅋㅋㅋㅋ", "GOOD"], ""))
            .unwrap();
    let tokens = said["tokens"].as_array().unwrap().iter().map(|token| token.as_str().unwrap());
    assert_eq!(tokens.collect::<String>(), "정말좋아요ㅋㅋㅋgood");
    let drawn = nunchi("explain", &path, &["정말", "좋아요"], "");
    assert!(drawn.contains('│') && drawn.contains("정말") && !drawn.contains('\u{1b}'), "{drawn}");
    let last = drawn.lines().last().unwrap();
    assert!(last.starts_with("positive 0.") || last.starts_with("negative 0."), "{drawn}");
}
