use super::super::gate::{Check, GateDecision, GateThresholds};
use super::super::report::Learned;
use super::super::train::Recipe;
use super::super::{corrections, topics};
use super::*;
use crate::registry::Data;
use crate::well_formed::{HOSTILE, read_markup};
use nunchi_eval::comparison::LabelChange;
use nunchi_eval::comparison::words::NewWord;
use nunchi_eval::metrics::Outcome;
use nunchi_eval::paired::Paired;
use nunchi_eval::pairs::ComparedTally;
use nunchi_train::schedule;
use nunchi_train::trainer::{Keep, Settings};

fn recipe() -> Recipe {
    Recipe {
        from_scratch: false,
        settings: Settings {
            epochs: 1,
            pretraining: 0,
            batch: 1,
            accumulate: 1,
            rate: 1e-3,
            schedule: schedule::Shape::Constant,
            warm_up: 0.0,
            weight_decay: 0.0,
            clip: 1.0,
            dropout_inputs: 0.0,
            dropout_features: 0.0,
            word_dropout: 0.0,
            smoothing: 0.0,
            distillation_weight: 0.0,
            average: 0.0,
            keep: Keep::Best,
            blend: 1.0,
            patience: 0,
            seed: 1,
            threads: 1,
        },
    }
}

/// A report whose every text is hostile.
fn hostile_report(ending: Ending) -> Report {
    let text = || HOSTILE.to_owned();
    let metrics = |score| Metrics::of(&[Outcome::of_two(1, score), Outcome::of_two(0, 0.2)]);
    let set = Measured {
        name: text(),
        current: metrics(0.4),
        candidate: metrics(0.6),
        paired: Paired::default(),
        flips: 1,
    };
    let check = |passed| Check { name: text(), passed, finding: text() };
    let part = Part {
        name: text(),
        comments: 12,
        looked_at: 12,
        characters: 10.0,
        tokens: 4.0,
        unknown: 0.01,
        classes: vec![0.25, 0.75],
        stars: [1, 2, 0, 4, 5],
        accuracy: 0.9,
    };
    Report {
        run: text(),
        started_at: Timestamp::UNIX_EPOCH,
        seconds: 3.0,
        training_seconds: 2.0,
        ending,
        why: text(),
        parent: text(),
        candidate: Some(text()),
        labels: vec![text(), text()],
        window: [None, None],
        data: Data::default(),
        records: topics::Counts::default(),
        corrections: corrections::Counts { active: 1, ..corrections::Counts::default() },
        learned: vec![Learned { name: text(), weight: 1.0, classes: vec![3, 4] }],
        dev: 1,
        left_out: 2,
        recipe: recipe(),
        thresholds: GateThresholds::default(),
        sets: vec![set],
        pairs: vec![ComparedTally {
            category: text(),
            labelled: 2,
            right: [1, 2],
            unlabelled: 1,
            told_apart: [0, 1],
        }],
        speed: [1.0, 1.0],
        verdict: GateDecision { passed: false, checks: vec![check(true), check(false)] },
        flips: vec![LabelChange {
            set: text(),
            text: text(),
            label: text(),
            given: [text(), text()],
            scores: [0.25, 0.75],
        }],
        words: vec![MovedWord { word: text(), comments: 5, scores: [0.25, 0.75] }],
        new_words: vec![NewWord { word: text(), comments: 5 }],
        drift: vec![part],
    }
}

#[test]
fn no_text_of_the_page_becomes_markup() {
    for ending in [Ending::Promoted, Ending::Published, Ending::Rejected, Ending::NotEnoughData] {
        let page = page(&hostile_report(ending));
        let (elements, text) = read_markup(&page);
        for forbidden in ["script", "img", "link", "iframe", "object", "a"] {
            assert!(!elements.iter().any(|element| element == forbidden), "a <{forbidden}>");
        }
        // Run, versions, why, set (tile and three columns), checks, labels, sources, pairs, words, parts, changes.
        assert_eq!(text.matches(HOSTILE).count(), 28, "{text}");
        assert!(!text.contains("&lt;") && !text.contains("&amp;"), "nothing is escaped twice");
    }
}

#[test]
fn the_json_has_the_names_that_others_read() {
    let json = hostile_report(Ending::Promoted).to_value();
    let names = |value: &serde_json::Value| -> String {
        value.as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(&json["sets"][0]), "name current candidate paired flips");
    assert_eq!(names(&json["sets"][0]["paired"]), "both current_only candidate_only neither");
    assert_eq!(names(&json["pairs"][0]), "category labelled right unlabelled told_apart");
    assert_eq!(names(&json["flips"][0]), "set text label said scores");
    assert_eq!(names(&json["words"][0]), "word comments scores");
    assert_eq!(names(&json["new_words"][0]), "word comments");
    assert_eq!(
        names(&json["drift"][0]),
        "name comments looked_at characters tokens unknown classes stars accuracy"
    );
}
