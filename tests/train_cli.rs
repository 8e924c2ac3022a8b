//! `nunchi train` and `nunchi evaluate`, the real binary, on data that can be learned in seconds.

#![allow(clippy::unwrap_used)]

use nunchi_model::Model;
use serde_json::Value;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

const GOOD: [&str; 6] = ["추천해요", "좋아요", "만족해요", "튼튼해요", "예뻐요", "훌륭해요"];
const BAD: [&str; 6] = ["별로예요", "아까워요", "실망이에요", "약해요", "더러워요", "고장나요"];
const THINGS: [&str; 5] = ["배송", "가격", "품질", "색상", "포장"];

/// Comments whose verdict is their last word's: one word of each kind in both orders, so that only the order tells. Pairs
/// of words that are for development are in no training file.
fn write_comments(path: &Path, rows: usize, for_development: bool) {
    let mut content = String::from("label\ttext\n");
    let mut written = 0;
    for row in 0_usize.. {
        // A few fixed multiplications mix well enough to visit the combinations.
        let mixed = row.wrapping_mul(2_654_435_761) >> 7;
        let (good, bad, thing) = (mixed % 6, mixed / 6 % 6, mixed / 36 % 5);
        if ((good + bad) % 6 == 0) != for_development {
            continue;
        }
        let (good, bad, thing) = (GOOD[good], BAD[bad], THINGS[thing]);
        let (label, first, last) = if written % 2 == 0 { (1, bad, good) } else { (0, good, bad) };
        writeln!(content, "{label}\t{thing} {first} 하지만 {last}").unwrap();
        written += 1;
        if written == rows {
            break;
        }
    }
    std::fs::write(path, content).unwrap();
}

struct Data {
    folder: TempDir,
    train: PathBuf,
    dev: PathBuf,
}

fn data() -> Data {
    let folder = TempDir::new().unwrap();
    let (train, dev) = (folder.path().join("train.tsv"), folder.path().join("dev.tsv"));
    write_comments(&train, 1_600, false);
    write_comments(&dev, 200, true);
    Data { folder, train, dev }
}

fn nunchi(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_nunchi")).args(arguments).output().unwrap()
}

fn train(data: &Data, out: &str, more: &[&str]) -> PathBuf {
    let out = data.folder.path().join(out);
    let (train, dev, target) =
        (data.train.to_str().unwrap(), data.dev.to_str().unwrap(), out.to_str().unwrap());
    let mut arguments = vec!["train", train, "--dev", dev, "--out", target];
    arguments.extend(["--vocabulary", "400", "--hidden", "16", "--embedding", "12", "--batch", "100"]);
    arguments.extend(["--rate", "0.02", "--average", "0", "--dropout", "0.1", "--epochs", "6"]);
    arguments.extend(more);
    let output = nunchi(&arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    out
}

fn evaluate(model: &Path, data: &Path, more: &[&str]) -> Value {
    let mut arguments = vec!["evaluate", model.to_str().unwrap(), data.to_str().unwrap(), "--json"];
    arguments.extend(more);
    let output = nunchi(&arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_recurrent_network_learns_the_order_of_words_and_a_bag_cannot() {
    let data = data();
    let gru = train(&data, "gru.safetensors", &[]);
    let measured = evaluate(&gru, &data.dev, &[]);
    assert_eq!(measured["records"], 200);
    assert!(measured["accuracy"].as_f64().unwrap() > 0.97, "{measured}");
    for figure in ["f1", "auc", "log_loss", "ece"] {
        assert!(measured[figure].is_f64(), "{figure} in {measured}");
    }
    let reference = evaluate(&gru, &data.dev, &["--reference"]);
    assert!((reference["log_loss"].as_f64().unwrap() - measured["log_loss"].as_f64().unwrap()).abs() < 1e-3);

    let bag = train(&data, "bag.safetensors", &["--cell", "bag"]);
    let measured = evaluate(&bag, &data.dev, &[]);
    assert!(measured["accuracy"].as_f64().unwrap() < 0.7, "a bag of words has no order: {measured}");

    let both =
        nunchi(&["evaluate", gru.to_str().unwrap(), bag.to_str().unwrap(), data.dev.to_str().unwrap()]);
    let table = String::from_utf8(both.stdout).unwrap();
    assert!(table.contains("gru") && table.contains("bag") && table.contains('%'), "{table}");
}

#[test]
fn the_same_seed_gives_the_same_file_whatever_the_number_of_threads() {
    let data = data();
    let bytes = |name: &str, more: &[&str]| {
        let mut arguments = vec!["--epochs", "1", "--name", "same"];
        arguments.extend(more);
        let out = data.folder.path().join(name);
        let (train, dev, target) =
            (data.train.to_str().unwrap(), data.dev.to_str().unwrap(), out.to_str().unwrap());
        let mut all = vec!["train", train, "--dev", dev, "--out", target];
        all.extend(["--vocabulary", "400", "--hidden", "8", "--embedding", "8", "--word-dropout", "0.1"]);
        all.extend(arguments);
        let output = nunchi(&all);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::read(out).unwrap()
    };
    let one = bytes("one.safetensors", &["--threads", "1"]);
    let three = bytes("three.safetensors", &["--threads", "3"]);
    assert!(one == three, "threads must not change the result");
    let other = bytes("other.safetensors", &["--threads", "1", "--seed", "2"]);
    assert!(one != other, "another seed is another network");
}

#[test]
fn two_batches_for_one_step_are_as_one_of_twice_the_size() {
    let data = data();
    // As many comments as a step has: both read the same ones in every step.
    write_comments(&data.train, 64, false);
    let run = |name: &str, more: &[&str]| {
        let out = data.folder.path().join(name);
        let mut arguments = vec!["train", data.train.to_str().unwrap(), "--out", out.to_str().unwrap()];
        arguments.extend(["--vocabulary", "300", "--hidden", "16", "--embedding", "12", "--hold-out", "0"]);
        arguments.extend(["--dropout", "0", "--average", "0"]);
        arguments.extend(more);
        let output = nunchi(&arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Model::load(&out).unwrap()
    };
    let begin = run("begin.safetensors", &["--batch", "64", "--epochs", "1", "--rate", "1e-9"]);
    let whole = run("whole.safetensors", &["--batch", "64", "--epochs", "8", "--rate", "0.01"]);
    let halved = ["--batch", "32", "--accumulate", "2", "--epochs", "8", "--rate", "0.01"];
    let halves = run("halves.safetensors", &halved);
    // One step an epoch: after more steps the losses would differ.
    let losses = |model: &Model| -> Vec<f64> {
        model.report["epochs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|epoch| epoch["loss"].as_f64().unwrap())
            .collect()
    };
    let (ours, theirs) = (losses(&halves), losses(&whole));
    assert_eq!(ours.len(), 8);
    assert!(ours.iter().zip(&theirs).all(|(a, b)| (a - b).abs() < 0.01), "{ours:?} {theirs:?}");
    let apart = |one: &Model, other: &Model| -> f32 {
        let both = one.network.embedding.iter().zip(&other.network.embedding);
        both.map(|(a, b)| (a - b).abs()).sum()
    };
    // Steps are of one size whatever the gradient's: where it is nearly nothing, rounding decides which way.
    let (moved, differ) = (apart(&whole, &begin), apart(&whole, &halves));
    assert!(differ < 0.1 * moved, "{differ} of {moved}");
}

#[test]
fn a_student_learns_what_its_teacher_says_against_the_labels() {
    let data = data();
    let teacher = train(&data, "teacher.safetensors", &[]);
    // Labels that say the opposite, and many comments without one.
    let right = std::fs::read_to_string(&data.train).unwrap();
    let wrong: String = right
        .lines()
        .take(201)
        .map(|line| match line.split_at_checked(1) {
            Some(("1", rest)) => format!("0{rest}\n"),
            Some(("0", rest)) => format!("1{rest}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    std::fs::write(&data.train, wrong).unwrap();
    let unlabelled = data.folder.path().join("unlabelled.tsv");
    std::fs::write(&unlabelled, right).unwrap();
    let (teacher, unlabelled) = (teacher.to_str().unwrap(), unlabelled.to_str().unwrap());
    let more =
        ["--teacher", teacher, "--teacher-share", "1", "--unlabelled", unlabelled, "--tokenizer", teacher];
    let out = data.folder.path().join("student.safetensors");
    let mut arguments = vec!["train", data.train.to_str().unwrap(), "--out", out.to_str().unwrap()];
    arguments.extend([
        "--hidden",
        "16",
        "--embedding",
        "12",
        "--batch",
        "100",
        "--rate",
        "0.02",
        "--epochs",
        "6",
    ]);
    arguments.extend(["--average", "0", "--dropout", "0.1", "--hold-out", "0"]);
    arguments.extend(more);
    let output = nunchi(&arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("with 1 teacher…"), "{said}");
    let measured = evaluate(&out, &data.dev, &[]);
    assert!(measured["accuracy"].as_f64().unwrap() > 0.95, "{measured}");
    let versions = &Model::load(&out).unwrap().report["teachers"];
    assert_eq!(*versions, serde_json::json!([Model::load(Path::new(teacher)).unwrap().version]));
}

#[test]
fn training_goes_on_from_a_model_and_wrong_models_are_refused() {
    let data = data();
    let first = train(&data, "first.safetensors", &["--max-tokens", "20"]);
    let first = first.to_str().unwrap();
    let three = train(&data, "three.safetensors", &["--labels", "나쁨,좋음,보통"]);
    let (three, file) = (three.to_str().unwrap(), data.train.to_str().unwrap());
    let out = data.folder.path().join("next.safetensors");
    let base = ["train", file, "--out", out.to_str().unwrap(), "--epochs", "1"];
    let run = |more: &[&str]| {
        let output = nunchi(&[&base, more].concat());
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for (more, status, says) in [
        (
            ["--from", three],
            64,
            "the labels of the model of --from are 나쁨, 좋음, 보통, not negative, positive",
        ),
        (["--teacher", three], 1, "a teacher must have two labels, this one has 3"),
        (["--teacher", file], 1, "this is not a complete safetensors file"),
    ] {
        let (code, said) = run(&more);
        assert_eq!(code, Some(status), "{said}");
        assert!(said.contains(says), "`{says}` is not in: {said}");
        assert!(!said.contains("labelled comments"), "refused before data is read: {said}");
    }
    assert_eq!(run(&["--from", first, "--hidden", "8"]).0, Some(64));
    assert!(!out.exists());

    let (code, said) = run(&["--from", first, "--rate", "1e-7"]);
    assert_eq!(code, Some(0), "{said}");
    let (before, after) = (Model::load(Path::new(first)).unwrap(), Model::load(&out).unwrap());
    assert_eq!((after.network.shape, after.max_tokens), (before.network.shape, 20));
    let measured = evaluate(&out, &data.dev, &[]);
    assert!(measured["accuracy"].as_f64().unwrap() > 0.97, "it keeps what that one had learned: {measured}");

    // Of two epochs the last is kept, and of what it learned as much as is asked for: nothing, half, all.
    let learned = |blend: &str| {
        let (code, said) = run(&["--from", first, "--rate", "1e-2", "--keep", "last", "--blend", blend]);
        assert_eq!(code, Some(0), "{said}");
        Model::load(&out).unwrap().network.head.weight
    };
    let (none, half, all) = (learned("0"), learned("0.5"), learned("1"));
    assert_eq!(none, before.network.head.weight);
    assert_ne!(all, none);
    let middle = (&none + &all) / 2.0;
    let apart = (&half - &middle).mapv(f32::abs).fold(0.0, |most: f32, &apart| most.max(apart));
    assert!(apart < 1e-3, "half of the way, but for rounding to 16 bits: {half} {middle}");
    let (code, said) = run(&["--blend", "0.5"]);
    assert_eq!(code, Some(64), "{said}");
    assert!(said.contains("--blend needs --from"), "{said}");
}

#[test]
fn an_absurd_rate_is_noticed_and_never_panics() {
    let data = data();
    for rate in ["1000", "1e30"] {
        let out = data.folder.path().join(format!("{rate}.safetensors"));
        let mut arguments = vec!["train", data.train.to_str().unwrap(), "--out", out.to_str().unwrap()];
        arguments.extend(["--vocabulary", "400", "--hidden", "16", "--embedding", "12", "--batch", "16"]);
        arguments.extend(["--rate", rate, "--epochs", "2"]);
        let output = nunchi(&arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("back to the last good weights, with a highest rate of 2.5e"), "{said}");
        assert!(!said.contains("panicked"), "{said}");
        if !output.status.success() {
            assert_eq!(output.status.code(), Some(1), "{said}");
            assert!(said.contains("training diverges"), "{said}");
            assert_eq!(out.exists(), said.contains("the best before that"), "no model of nonsense: {said}");
        }
    }
}

#[test]
fn every_cell_can_be_trained_and_loaded() {
    let data = data();
    for (cell, more) in [
        ("simple", vec!["--layers", "2"]),
        ("lstm", vec!["--bidirectional", "--pooling", "mean"]),
        ("gru", vec!["--labels", "나쁨,좋음,보통"]),
    ] {
        let out = data.folder.path().join("cell.safetensors");
        let mut arguments = vec!["train", data.train.to_str().unwrap(), "--out", out.to_str().unwrap()];
        arguments.extend(["--vocabulary", "400", "--hidden", "8", "--embedding", "8", "--epochs", "1"]);
        arguments.extend(["--cell", cell, "--hold-out", "200"]);
        arguments.extend(&more);
        let output = nunchi(&arguments);
        assert!(output.status.success(), "{cell}: {}", String::from_utf8_lossy(&output.stderr));
        let measured = evaluate(&out, &data.dev, &[]);
        assert_eq!(measured["records"], 200, "{cell}");
    }
}

#[test]
fn mistakes_are_told_before_anything_is_trained() {
    let data = data();
    let train = data.train.to_str().unwrap();
    let fails = |arguments: &[&str], status: i32, says: &str| {
        let output = nunchi(arguments);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(status), "{error}");
        assert!(error.contains(says), "`{says}` is not in: {error}");
    };
    let out = data.folder.path().join("m.safetensors");
    let out = out.to_str().unwrap();
    fails(&["train", train, "--out", "no/such/folder/m.safetensors"], 1, "no folder");
    fails(&["train", train, "--out", out, "--text-column", "body"], 1, "it has: label, text");
    fails(&["train", "missing.tsv", "--out", out], 1, "cannot read missing.tsv");
    fails(&["train", train, "--out", train], 1, "is no model and is not overwritten");
    fails(&["train", train, "--out", out, "--temp-dir", "no/such/folder"], 1, "--temp-dir");
    fails(&["train", train, "--out", out, "--dev", train], 1, "what is left holds no labelled comment");
    fails(&["train", train, "--out", out, "--unlabelled", "missing.csv"], 1, "cannot read missing.csv");
    fails(
        &["train", train, "--out", out, "--label-column", "label", "--negative", "1"],
        64,
        "cannot be used with",
    );
    fails(&["train", train, "--out", out, "--dropout", "1.5"], 64, "below 1");
    fails(&["train", train, "--out", out, "--labels", "one"], 64, "two names");
    fails(&["train", "--out", out], 64, "FILE");
    fails(&["evaluate", train], 64, "DATA");
    fails(&["evaluate", train, train], 1, "is refused");
    assert!(!Path::new(out).exists(), "nothing is left behind");
}

#[test]
fn a_data_file_is_all_that_training_needs() {
    let folder = TempDir::new().unwrap();
    let mut content = String::from("rating,comment\n");
    for row in 0..400 {
        let (stars, word) = if row % 2 == 0 { (5, GOOD[row % 5]) } else { (1, BAD[row % 5]) };
        writeln!(content, "{stars},\"{} {row}, {word}\"", THINGS[row % 5]).unwrap();
    }
    // Held out is every 20th row; this one occurs before too, and must not be learned there.
    let content = content.replacen("배송 0, 추천해요", "포장 19, 더러워요", 1);
    std::fs::write(folder.path().join("reviews.2024.csv"), &content).unwrap();
    let unlabelled = "text\n배송 빨라요\n가격 좋네요\n";
    std::fs::write(folder.path().join("more.tsv"), unlabelled).unwrap();
    let run = |more: &[&str]| {
        let small = ["--vocabulary", "300", "--hidden", "4", "--embedding", "4", "--epochs", "1"];
        let mut command = Command::new(env!("CARGO_BIN_EXE_nunchi"));
        let output =
            command.current_dir(folder.path()).args(["train", "reviews.2024.csv"]).args(small).args(more);
        let output = output.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        said
    };
    let said = run(&["--unlabelled", "more.tsv"]);
    for part in [
        "the model will be written to reviews.2024.safetensors",
        "in `comment`, by class in `rating` [",
        "20 held out",
        "more.tsv: 2 comments in `text` without labels",
        "development: reviews.2024.csv (held out): 20 comments",
        "left out of training: 1 rows",
        "training on 379 labelled comments, 2 without labels",
    ] {
        assert!(said.contains(part), "`{part}` is not in: {said}");
    }
    assert!(folder.path().join("reviews.2024.safetensors").is_file());
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    // The data, more of it, the model and its report.
    assert_eq!(left.len(), 5, "nothing else is left: {left:?}");
    // A model may be replaced by a model.
    run(&["--hold-out", "0"]);
}
