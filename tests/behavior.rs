//! The pairs of comments in `samples/pairs.tsv` are what their README promises, and `nunchi evaluate --pairs` measures on
//! them.

#![allow(clippy::unwrap_used)]

use nunchi_eval::pairs::{self, PairOrder};
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::process::{Command, Output};

const PAIRS: &str = "samples/pairs.tsv";

fn pairs() -> Vec<pairs::Pair> {
    let labels = nunchi_model::SIGMOID_LABELS.map(str::to_owned);
    pairs::read(Path::new(PAIRS), &labels, PairOrder::WorseFirst).unwrap()
}

/// Runs `nunchi evaluate` on the one model of `models/`.
fn evaluate(arguments: &[&str]) -> Output {
    let mut files = std::fs::read_dir("models").unwrap().map(|entry| entry.unwrap().path());
    let model = files.find(|path| path.extension().is_some_and(|end| end == "safetensors"));
    Command::new(env!("CARGO_BIN_EXE_nunchi"))
        .arg("evaluate")
        .arg(model.expect("a clone has the model that ships"))
        .args(arguments)
        .output()
        .unwrap()
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn there_are_hundreds_of_different_pairs_of_many_kinds() {
    let pairs = pairs();
    assert!(pairs.len() >= 260, "{} pairs", pairs.len());
    let mut categories: BTreeMap<&str, usize> = BTreeMap::new();
    let mut texts = HashSet::new();
    for pair in &pairs {
        *categories.entry(&pair.category).or_default() += 1;
        for text in [&pair.a.text, &pair.b.text] {
            assert!(texts.insert(text.as_str()), "{text:?} occurs twice");
            assert_eq!(text.trim(), text, "{text:?}");
            assert!(text.chars().count() <= 60, "{text:?} is long");
        }
    }
    assert!(categories.len() >= 16, "{categories:?}");
    assert!(categories.values().all(|count| *count >= 20), "{categories:?}");
    assert!(categories["order"] >= 30, "{categories:?}");
}

#[test]
fn pairs_of_order_turn_the_same_stems_around() {
    // The first syllables of the words, sorted: endings change as clauses change their places.
    let syllables = |text: &str| -> HashSet<char> {
        text.split_whitespace().filter_map(|word| word.chars().next()).collect()
    };
    for pair in pairs().iter().filter(|pair| pair.category == "order") {
        let (a, b) = (syllables(&pair.a.text), syllables(&pair.b.text));
        let shared = a.intersection(&b).count();
        assert!(shared * 3 >= a.len().max(b.len()) * 2, "{pair:?}");
    }
}

#[test]
fn the_file_is_tab_separated_and_every_row_has_all_six_columns() {
    let content = std::fs::read_to_string(PAIRS).unwrap();
    let mut lines = content.lines();
    assert_eq!(lines.next(), Some("category\ta\tlabel_a\tb\tlabel_b\tnote"));
    for line in lines {
        assert_eq!(line.split('\t').count(), 6, "{line}");
    }
}

#[test]
fn the_shipped_model_is_measured_on_them() {
    let output = evaluate(&["--pairs", PAIRS, "--json", "--wrong"]);
    let measured = json(&output);
    let count = |value: &Value, key: &str| usize::try_from(value[key].as_u64().unwrap()).unwrap();
    let (all, right) = (count(&measured, "pairs"), count(&measured, "right"));
    assert_eq!(all, pairs().len());
    assert!((measured["accuracy"].as_f64().unwrap() - right as f64 / all as f64).abs() < 1e-9);
    let categories = measured["categories"].as_object().unwrap();
    assert_eq!(categories.values().map(|tally| count(tally, "pairs")).sum::<usize>(), all);
    assert_eq!(categories.values().map(|tally| count(tally, "right")).sum::<usize>(), right);
    let wrong = measured["wrong"].as_array().unwrap();
    assert_eq!(wrong.len(), all - right);
    for pair in wrong {
        let ordered = pair["score_a"].as_f64().unwrap() < pair["score_b"].as_f64().unwrap();
        let holds = |label: &str, score: &str| {
            pair[label].as_u64().is_none_or(|label| (label == 1) == (pair[score].as_f64().unwrap() >= 0.5))
        };
        assert!(!ordered || !holds("label_a", "score_a") || !holds("label_b", "score_b"), "{pair}");
    }
    assert!(
        wrong.iter().all(|pair| pair["b"] != "별로지만 추천해요"),
        "the pair that every model must get right: {wrong:?}"
    );
}

/// Triples, two pairs each: a complaint after praise, praise after a conceded complaint, and the same praise alone.
#[test]
fn a_conceded_complaint_is_heard_and_does_not_decide() {
    const FILE: &str = "samples/concessions.tsv";
    let labels = nunchi_model::SIGMOID_LABELS.map(str::to_owned);
    let pairs = pairs::read(Path::new(FILE), &labels, PairOrder::WorseFirst).unwrap();
    assert_eq!(pairs.len(), 400);
    let mut texts = HashSet::new();
    for triple in pairs.chunks(2) {
        let [order, concession] = triple else { unreachable!("an even number") };
        let categories = [order.category.as_str(), concession.category.as_str()];
        assert_eq!(categories, ["complaint last", "concession"], "{triple:?}");
        assert_eq!(order.b, concession.a, "{triple:?}");
        for side in [&order.a, &order.b, &concession.b] {
            assert!(texts.insert(side.text.as_str()), "{} occurs twice", side.text);
        }
        assert!(concession.a.text.ends_with(concession.b.text.split_whitespace().last().unwrap()));
    }
    let measured = json(&evaluate(&["--pairs", FILE, "--json", "--wrong"]));
    // The order of the scores is what is tested here.
    let wrong = measured["wrong"].as_array().unwrap();
    let unordered = |pair: &&Value| pair["score_a"].as_f64().unwrap() >= pair["score_b"].as_f64().unwrap();
    let unordered: HashSet<&str> =
        wrong.iter().filter(unordered).map(|pair| pair["b"].as_str().unwrap()).collect();
    let right =
        pairs.chunks(2).filter(|triple| triple.iter().all(|pair| !unordered.contains(pair.b.text.as_str())));
    let right = right.count();
    // The goal is 190: on the model that ships 151 are right, on the one before it 40 were.
    assert!(right >= 145, "{right} of 200 triples: {unordered:?}");
}

#[test]
fn several_models_stand_side_by_side() {
    let models = tempfile::tempdir().unwrap();
    let other = models.path().join("other.safetensors");
    nunchi_model::testing::model(nunchi_model::rnn::Cell::Gru, 1)
        .save(&other, nunchi_model::WeightFormat::F32)
        .unwrap();
    let output = evaluate(&[other.to_str().unwrap(), "--pairs", PAIRS]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let table = String::from_utf8(output.stdout).unwrap();
    let rows: Vec<&str> = table.lines().collect();
    assert!(rows[0].starts_with("category"), "{table}");
    assert!(rows[1..].iter().all(|row| row.matches('%').count() == 2), "{table}");
    assert!(rows.last().unwrap().starts_with("all"), "{table}");
}

#[test]
fn comments_are_measured_with_other_spaces() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("comments.tsv");
    let write = |rows: &str| std::fs::write(&data, format!("label\ttext\n{rows}")).unwrap();
    let measure = |more: &[&str]| {
        let mut arguments = vec![data.to_str().unwrap(), "--json"];
        arguments.extend(more);
        json(&evaluate(&arguments))
    };
    // The log loss shows which texts were classified.
    let loss = |measured: &Value| measured["log_loss"].as_f64().unwrap();
    write("1\t배송이 정말 빨라요\n0\t하루 쓰고 버렸어요\n");
    let (plain, none, every) =
        (measure(&[]), measure(&["--spacing", "none"]), measure(&["--spacing", "every"]));
    assert!(plain["spacing"].is_null());
    assert_eq!((&none["spacing"], &every["spacing"]), (&"none".into(), &"every".into()));
    write("1\t배송이정말빨라요\n0\t하루쓰고버렸어요\n");
    assert!((loss(&none) - loss(&measure(&[]))).abs() < 1e-12);
    write("1\t배 송 이 정 말 빨 라 요\n0\t하 루 쓰 고 버 렸 어 요\n");
    assert!((loss(&every) - loss(&measure(&[]))).abs() < 1e-12);
    // Spaces are no part of what the model that ships reads, but a shop's badge is told by its space.
    assert_eq!(loss(&plain), loss(&none));
    write("1\t재구매 하루 쓰고 버렸어요\n0\t배송이 정말 빨라요\n");
    let (badge, joined) = (measure(&[]), measure(&["--spacing", "none"]));
    assert!(loss(&badge) != loss(&joined));
}

#[test]
fn figures_are_broken_down() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("comments.tsv");
    let rows = "shop\tlabel\ttext\nb\t1\t배송이 정말 빨라요\na\t0\t하루 쓰고 버렸어요\nb\t0\t정말 좋아요 추천합니다\n";
    std::fs::write(&data, rows).unwrap();
    let data = data.to_str().unwrap();
    let output = evaluate(&[data, "--json", "--by", "shop"]);
    let measured = json(&output);
    assert_eq!((&measured["records"], &measured["by"]), (&3.into(), &"shop".into()));
    let recall =
        |at: usize| (measured["recall"][at]["records"].as_u64(), measured["recall"][at]["recall"].as_f64());
    assert_eq!((recall(0), recall(1)), ((Some(2), Some(0.5)), (Some(1), Some(1.0))));
    let groups: Vec<(&str, u64, f64)> = measured["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|group| {
            (
                group["name"].as_str().unwrap(),
                group["records"].as_u64().unwrap(),
                group["accuracy"].as_f64().unwrap(),
            )
        })
        .collect();
    assert_eq!(groups, [("a", 1, 1.0), ("b", 2, 0.5)]);
    assert_eq!((&measured["lengths"][0]["from"], &measured["lengths"][0]["records"]), (&6.into(), &2.into()));
    assert_eq!(measured["coverage"][0]["coverage"], 1.0);
    let table = String::from_utf8(evaluate(&[data, "--by", "shop"]).stdout).unwrap();
    for title in ["recall, by class", "accuracy, by length", "risk, by coverage", "accuracy, by shop"] {
        assert!(table.contains(title), "{table}");
    }
    assert!(!json(&evaluate(&[data, "--json"])).as_object().unwrap().contains_key("groups"));
    let missing = evaluate(&[data, "--by", "domain"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("domain"));
}

#[test]
fn wrong_usage_is_said() {
    let says = |arguments: &[&str], status: i32, words: &str| {
        let output = evaluate(arguments);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(status), "{error}");
        assert!(error.contains(words), "`{words}` is not in: {error}");
    };
    says(&[], 64, "--pairs FILE");
    says(&["--wrong", "data.tsv"], 64, "--pairs");
    says(&["--spacing", "some", "data.tsv"], 64, "none, every");
    says(&["--pairs", "missing.tsv"], 1, "cannot read the pairs in missing.tsv");
}

/// Of comments with praise and complaint (`samples/sentences.tsv`) nearly all parts that are split as their author did have his
/// label; and where a part begins and ends is counted in characters.
#[test]
fn parts_of_mixed_comments_have_their_own_labels() {
    let samples = std::fs::read_to_string("samples/sentences.tsv").unwrap();
    let rows: Vec<(&str, &str)> =
        samples.lines().skip(1).map(|line| line.split_once('\t').unwrap()).collect();
    assert_eq!(rows.len(), 150);
    let input: String = rows.iter().map(|(_, parts)| parts.replace('|', "") + "\n").collect();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("comments.txt");
    std::fs::write(&file, input).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_nunchi"))
        .args(["classify", "--sentences", "--input", "text"])
        .stdin(std::fs::File::open(&file).unwrap())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let verdicts: Vec<Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let (mut compared, mut right, mut mixed) = (0, 0, 0);
    for ((labels, marked), verdict) in rows.iter().zip(&verdicts) {
        let text: Vec<char> = marked.chars().filter(|&c| c != '|').collect();
        let sentences = verdict["sentences"].as_array().unwrap();
        let typed: Vec<String> = sentences
            .iter()
            .map(|part| {
                let at = |name: &str| part[name].as_u64().unwrap() as usize;
                text[at("start")..at("end")].iter().collect()
            })
            .collect();
        let want: Vec<&str> = marked.split('|').map(str::trim).collect();
        mixed += usize::from(verdict.get("mixed").is_some());
        if typed != want {
            continue;
        }
        for (label, part) in labels.chars().zip(sentences) {
            compared += 1;
            right += usize::from(part["label"] == if label == '+' { "positive" } else { "negative" });
        }
    }
    assert!(compared >= 290, "{compared} parts are split as their author did");
    assert!(right * 100 >= compared * 90, "{right} of {compared} parts have their label");
    assert!(mixed >= 60, "{mixed} of 150 have praise and complaint for certain");
}

/// The small model is one to be used like any other, and nearly as good.
#[test]
fn the_small_model_is_right_on_the_pairs_too() {
    let output = Command::new(env!("CARGO_BIN_EXE_nunchi"))
        .args(["evaluate", "models/small/nunchi-ko-small.safetensors", "--pairs", PAIRS, "--json"])
        .output()
        .unwrap();
    let right = json(&output)["right"].as_u64().unwrap();
    assert!(right >= 340, "{right} of 384 pairs");
    let model = nunchi_model::Model::load(Path::new("models/small/nunchi-ko-small.safetensors")).unwrap();
    assert_eq!((model.network.shape.hidden, model.name.as_str()), (256, "nunchi-ko-small"));
    assert!(model.extension.opinion.is_some() && model.extension.coverage.is_some());
}
