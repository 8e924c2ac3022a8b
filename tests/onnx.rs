//! A model that is exported gives the same scores in ONNX Runtime, and its tokenizer the same tokens in sentencepiece and in
//! Hugging Face's tokenizers: checked with the real ones (`scripts/setup test` installs them).

#![allow(clippy::unwrap_used)] // Outside of `#[test]` too a failure fails the test.

mod needs;

use nunchi::samples;
use nunchi_engine::{Engine, KernelKind, LoadedModel};
use nunchi_model::rnn::{Cell, HeadKind, Pooling, Shape};
use nunchi_model::{Model, WeightFormat, onnx};
use nunchi_text::EXAMPLES;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use tempfile::TempDir;

/// A Python that has what is needed, said aloud if there is none.
fn python(modules: &str) -> Option<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/venv/bin/python3");
    let found = [own, "python3".into()];
    let import = format!("import {modules}");
    let usable = |python: &&PathBuf| needs::runs(python.to_str().unwrap(), &["-c", &import]);
    let python = found.iter().find(usable).cloned();
    if python.is_none() {
        needs::lacking("onnxruntime", &format!("no Python with {modules}; scripts/setup test installs them"));
    }
    python
}

fn run(python: &Path, arguments: &[&str]) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/onnx_peer.py");
    let output = Command::new(python).arg(script).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn shapes() -> Vec<(&'static str, Shape)> {
    let of = nunchi_model::testing::shape;
    let two = |cell, bidirectional, pooling| Shape { layers: 2, bidirectional, pooling, ..of(cell) };
    vec![
        ("simple", of(Cell::Simple)),
        ("gru", of(Cell::Gru)),
        ("lstm", of(Cell::Lstm)),
        ("gru_stacked", two(Cell::Gru, false, Pooling::Last)),
        ("lstm_stacked_mean", two(Cell::Lstm, false, Pooling::Mean)),
        ("gru_max", Shape { pooling: Pooling::Max, ..of(Cell::Gru) }),
        ("gru_bidirectional", Shape { bidirectional: true, ..of(Cell::Gru) }),
        ("lstm_bidirectional_stacked", two(Cell::Lstm, true, Pooling::Last)),
        ("simple_bidirectional_max", two(Cell::Simple, true, Pooling::Max)),
        ("gru_bidirectional_mean", two(Cell::Gru, true, Pooling::Mean)),
        ("bag", of(Cell::Bag)),
        ("bag_last", Shape { pooling: Pooling::Last, ..of(Cell::Bag) }),
        ("gru_softmax", Shape { head: HeadKind::Softmax, outputs: 5, ..of(Cell::Gru) }),
    ]
}

/// Writes the graph and what it must answer.
fn write_case(folder: &Path, name: &str, model: Model) {
    onnx::export(&model, &folder.join(name).join("model.onnx")).unwrap();
    let texts: Vec<String> = samples::comments().into_iter().map(|comment| comment.text).take(150).collect();
    let texts = texts.iter().map(String::as_str).chain(EXAMPLES).chain([""]);
    let tokens: Vec<Vec<u32>> = texts.map(|text| model.tokens(text)).collect();
    let lengths: Vec<u32> = tokens.iter().map(|tokens| tokens.len() as u32).collect();
    let opinions = model.extension.opinion.as_ref().map(|opinion| {
        let sequences: Vec<&[u32]> = tokens.iter().map(Vec::as_slice).collect();
        let logits = opinion.logits(model.network.features(&sequences).view());
        logits.iter().map(|logit| 1.0 / (1.0 + (-logit).exp())).collect::<Vec<f32>>()
    });
    let mut scores = Vec::new();
    let outputs = model.network.shape.outputs;
    let mut engine = Engine::new(Arc::new(LoadedModel::new(model, Some(KernelKind::Portable)).unwrap()));
    engine.score_tokens(&tokens.concat(), &lengths, &mut scores).unwrap();
    let want: Vec<&[f32]> = scores.chunks(outputs).collect();
    let case = json!({ "tokens": tokens, "want": want, "opinions": opinions });
    std::fs::write(folder.join(name).join("case.json"), case.to_string()).unwrap();
}

#[test]
fn onnx_runtime_gives_the_same_scores_for_every_shape() {
    let Some(python) = python("numpy, onnxruntime") else { return };
    let folder = TempDir::new().unwrap();
    let mut names = vec!["shipped".to_owned()];
    for (number, (name, shape)) in (1..).zip(shapes()) {
        std::fs::create_dir(folder.path().join(name)).unwrap();
        let mut model = Model::random(shape, nunchi_model::testing::tokenizer(), number).unwrap();
        model.temperature = 1.7;
        let model = Model::from_bytes(&model.to_bytes(WeightFormat::F32).unwrap().0).unwrap();
        write_case(folder.path(), name, model.clone());
        names.push(name.to_owned());
        let name = format!("{name}_opinion");
        std::fs::create_dir(folder.path().join(&name)).unwrap();
        write_case(folder.path(), &name, nunchi_model::testing::with_opinion(model));
        names.push(name);
    }
    std::fs::create_dir(folder.path().join("shipped")).unwrap();
    write_case(folder.path(), "shipped", nunchi::registry::shipped().unwrap());
    let errors = run(&python, &["scores", folder.path().to_str().unwrap()]);
    let errors = errors.as_object().unwrap();
    assert_eq!(errors.len(), names.len());
    for name in names {
        let error = errors[&name].as_f64().unwrap();
        assert!(error <= 1e-4, "{name}: {error}");
    }
}

#[test]
fn the_tokenizers_beside_it_cut_as_ours_does() {
    let Some(python) = python("sentencepiece, tokenizers") else { return };
    let folder = TempDir::new().unwrap();
    let model = nunchi::registry::shipped().unwrap();
    onnx::export(&model, &folder.path().join("model.onnx")).unwrap();
    let odd = [
        "ㅋㅋㅋㅋㅋㅋㅋㅋ 좋아요!!!!!!",
        "ㅠㅠㅠㅠㅠ  ＧＯＯＤ Good\t…",
        "👍🏻 재구매할게요 ❤️",
        "10000000원 ㄱㅅ ㅋㅏ",
        "가격 대비 훌륭합니다.^^;;;;;;",
        "옷이 (생각보다) 얇아요~~~~~ 환불",
        "㈜ ½ ™ 한\u{200b}글",
        "배송<br>빨라요<br/>좋아요</p>",
        "좋아요&nbsp;추천 &lt;3 &lt;br&gt;",
        "배송\\r\\n빨라요\\n좋아요",
        "[포토리뷰] 좋아요 [사진]",
        "좋아요 📦🧡 😂🥰 👍🏽",
        "1️⃣ 좋아요 🇰🇷",
    ];
    // What only a regular expression finds.
    let patterns = [
        "<span style=\"color: red\">좋아요</span>",
        "(2024-01-02 12:34:56 에 등록된 네이버 페이 구매평) 좋아요",
        "k***님 좋아요",
        "좋아요 https://smartstore.naver.com/a?b=c. 추천",
        "좋아요 👨\u{200d}👩\u{200d}👧",
        "재구매 포토리뷰 좋아요",
        "&amp;lt;p&amp;gt;좋아요",
    ];
    let texts: Vec<String> = samples::comments().into_iter().map(|comment| comment.text).collect();
    let texts: Vec<&str> =
        texts.iter().map(String::as_str).chain(EXAMPLES).chain(odd).chain(patterns).collect();
    let tokens: Vec<Vec<u32>> = texts.iter().map(|text| model.tokens(text)).collect();
    let case = json!({ "texts": texts, "tokens": tokens, "max_tokens": model.max_tokens });
    std::fs::write(folder.path().join("case.json"), case.to_string()).unwrap();
    let differing = run(&python, &["tokens", folder.path().to_str().unwrap()]);
    assert_eq!(differing["tokenizers"], json!([]), "texts cut differently");
    let found = differing["sentencepiece"].as_array().unwrap();
    let others: Vec<&Value> =
        found.iter().filter(|case| !patterns.contains(&case["text"].as_str().unwrap())).collect();
    assert!(others.is_empty(), "texts cut differently: {others:?}");
}
