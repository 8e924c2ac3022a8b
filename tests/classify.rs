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
fn an_array_is_read_as_one_and_a_mark_makes_no_text_of_json() {
    let pretty =
        "\u{feff}[\n  {\n    \"text\": \"정말 좋아요\",\n    \"rating\": 5\n  },\n  \"별로예요\",\n  7\n]\n";
    let got = answers(&classify(&[], pretty.as_bytes()));
    assert_eq!(got.len(), 3, "{got:?}");
    assert!(near(&got[0], "정말 좋아요") && near(&got[1], "별로예요"));
    assert_eq!((got[0].get("text"), &got[1]["text"]), (None, &json!("별로예요")));
    assert_eq!((&got[2]["class"], &got[2]["line"]), (&json!("invalid_json"), &json!(7)));
    let marked = "\u{feff}{\"text\": \"좋아요\"}\n\u{feff}{\"text\": \"별로예요\"}\n";
    let got = answers(&classify(&[], marked.as_bytes()));
    assert!(near(&got[0], "좋아요") && near(&got[1], "별로예요") && got[1].get("text").is_none(), "{got:?}");
    let got = answers(&classify(&[], "[재구매] 좋아요\n[\"강추\"] 별로예요\n".as_bytes()));
    assert_eq!((got.len(), &got[0]["text"]), (2, &json!("[재구매] 좋아요")));
    assert!(answers(&classify(&[], b"[]\n")).is_empty());
    let got = answers(&classify(&[], "[{\"text\": \"좋아요\"},\n{\"text\": \"별".as_bytes()));
    assert!(near(&got[0], "좋아요"));
    assert_eq!((&got[1]["class"], &got[1]["line"], got.len()), (&json!("invalid_json"), &json!(2), 2));
}

/// Runs `classify` on files.
fn classify_files(arguments: &[&str], files: &[(&str, &[u8])]) -> (tempfile::TempDir, Output) {
    let folder = tempfile::tempdir().unwrap();
    let paths: Vec<String> = files
        .iter()
        .map(|(name, content)| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            path.to_str().unwrap().to_owned()
        })
        .collect();
    let arguments: Vec<&str> = arguments.iter().copied().chain(paths.iter().map(String::as_str)).collect();
    let output = classify(&arguments, b"");
    (folder, output)
}

const EXPORT: &str =
    "리뷰글번호,구매자평점,리뷰상세내용\r\n1,5,\"배송이 빠르고, 좋아요\"\r\n2,1,=별로예요\r\n3,3,\r\n,,\r\n";

#[test]
fn files_keep_their_columns_beside_the_verdicts() {
    let (_folder, output) = classify_files(&["--format", "csv"], &[("리뷰.csv", EXPORT.as_bytes())]);
    let (text, said) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr).into_owned());
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_eq!(lines[0], "리뷰글번호,구매자평점,리뷰상세내용,label,score,model,error");
    assert!(lines[1].starts_with("1,5,\"배송이 빠르고, 좋아요\",") && lines.len() == 4, "{text}");
    assert!(lines[1].contains("tive,0.") && lines[1].ends_with(&format!(",{},", MODEL.2.version)), "{text}");
    assert!(
        said.contains("comments in `리뷰상세내용`") && said.contains("left out: 1 blank row (line 5)"),
        "{said}"
    );

    let (_folder, output) = classify_files(&["--excel"], &[("리뷰.csv", EXPORT.as_bytes())]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("\u{feff}리뷰글번호,") && text.contains("\r\n2,1,'=별로예요,"), "{text}");

    let (_folder, output) = classify_files(&[], &[("리뷰.csv", EXPORT.as_bytes())]);
    let got = answers(&output);
    assert!(near(&got[0], "배송이 빠르고, 좋아요") && near(&got[2], ""));
    assert_eq!((&got[1]["id"], &got[1]["fields"]["구매자평점"]), (&json!("2"), &json!("1")));
    assert_eq!(answers(&classify_files(&["--format", "json"], &[("리뷰.csv", EXPORT.as_bytes())]).1), got);
}

#[test]
fn several_files_of_several_formats_are_one_table() {
    let json = "[{\"text\": \"좋아요\", \"label\": 1, \"deep\": [1]}, {\"text\": 5}]";
    let files =
        [("a.csv", EXPORT.as_bytes()), ("b.json", json.as_bytes()), ("c.txt", "별로, 예요\n".as_bytes())];
    let (_folder, output) = classify_files(&["--format", "tsv"], &files);
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[0],
        "file\t리뷰글번호\t구매자평점\t리뷰상세내용\ttext\tlabel\tdeep\tnunchi_label\tscore\tmodel\terror"
    );
    assert_eq!(lines.len(), 7, "{text}");
    assert!(lines[4].contains("b.json\t\t\t\t좋아요\t1\t[1]\t"), "{text}");
    assert!(
        lines[5].contains("line 1: `text` is not a string") && lines[6].contains("\t별로, 예요\t"),
        "{text}"
    );
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("1 of 6 lines could not be classified"));
}

#[test]
fn parquet_goes_out_and_comes_in() {
    let (folder, output) = classify_files(&["--format", "parquet"], &[("a.csv", EXPORT.as_bytes())]);
    assert!(output.status.success() && output.stdout.starts_with(b"PAR1"), "{output:?}");
    let path = folder.path().join("verdicts.parquet");
    std::fs::write(&path, &output.stdout).unwrap();
    let again = answers(&classify(&[path.to_str().unwrap()], b""));
    assert_eq!(again.len(), 3);
    assert!(near(&again[0], "배송이 빠르고, 좋아요"));
    assert_eq!(again[1]["fields"]["score"], again[1]["score"]);
    assert_eq!(again[1]["fields"]["model"], MODEL.2.version.as_str());
}

#[test]
fn what_cannot_be_read_or_does_not_fit_is_refused() {
    let csv: &[(&str, &[u8])] = &[("a.csv", b"a,b\n1,2\n")];
    for (arguments, files, code, want) in [
        (&[][..], csv, 1, "has no column `text`"),
        (&[], &[("a.csv", &b"text,Text\na,b\n"[..])][..], 1, "two columns of the same name"),
        (&["--excel", "--format", "jsonl"], csv, 64, "--excel is for"),
        (&["--input", "text"], csv, 64, "cannot be used with"),
        (&["--encoding", "klingon"], csv, 64, "no encoding `klingon`"),
    ] {
        let (_folder, output) = classify_files(arguments, files);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(want), "`{want}` is not in: {said}");
    }
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
