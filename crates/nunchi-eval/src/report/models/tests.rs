use super::*;
use crate::breakdown::Groups;
use crate::report::well_formed::{HOSTILE, read_markup};
use nunchi_model::rnn::Cell;

/// A model whose every text is hostile.
fn hostile_model(seed: u64) -> Model {
    Model {
        name: HOSTILE.to_owned(),
        version: HOSTILE.to_owned(),
        labels: ["-", "+"].map(|sign| format!("{HOSTILE}{sign}")).to_vec(),
        report: serde_json::json!({
            "made_by": HOSTILE,
            "data": [{ "file": HOSTILE, "classes": [1, 2] }],
            "settings": { HOSTILE: HOSTILE },
            "epochs": [{ "epoch": 1, "loss": 0.5, "dev": [0.8, 0.9] }, { "epoch": 2, "loss": 0.4, "dev": [0.9, 0.8] }],
            "kept_epoch": 1,
            "development": [{ "file": HOSTILE }, { "file": HOSTILE }],
        }),
        ..nunchi_model::testing::model(Cell::Gru, seed)
    }
}

/// A report on `count` models over two files.
fn hostile_report(count: usize) -> Report {
    let models: Vec<Model> = (0..count as u64).map(hostile_model).collect();
    let outcomes = |model: usize| -> Vec<Outcome> {
        (0..8).map(|row| Outcome::of_two(row % 2, [0.1, 0.9, 0.7, 0.4][(row + model) % 4])).collect()
    };
    let all: Vec<Vec<Outcome>> = (0..count).map(outcomes).collect();
    let case = |row: usize| Case {
        text: HOSTILE.to_owned(),
        class: row % 2,
        outcomes: all.iter().map(|outcomes| outcomes[row].clone()).collect(),
    };
    let mut unreadable = nunchi_data::LeftOut::default();
    unreadable.add(nunchi_data::Reason::Bad, 9);
    let observations = Observations {
        parts: vec![(HOSTILE.to_owned(), 4), (HOSTILE.to_owned(), 4)],
        dropped: 1,
        left_out: unreadable,
        lengths: vec![3, 8, 15, 25, 35, 50, 70, 300],
        groups: Some(Groups {
            column: HOSTILE.to_owned(),
            names: vec![HOSTILE.to_owned(), format!("{HOSTILE}2")],
            of: vec![0, 1, 0, 1, 0, 1, 0, 1],
        }),
        mistakes: vec![vec![case(2), case(3)]; count],
        disagreements: if count > 1 { vec![case(0), case(1)] } else { Vec::new() },
        outcomes: all.clone(),
    };
    let subject = |model| Subject { model, history: None };
    let mut report = Report::new(&models.iter().map(subject).collect::<Vec<_>>(), &observations);
    HOSTILE.clone_into(&mut report.made_by);
    report
}

#[test]
fn no_text_of_a_report_becomes_markup() {
    for count in [1, 2] {
        let page = hostile_report(count).html();
        let (elements, text) = read_markup(&page);
        for forbidden in ["script", "img", "link", "iframe", "object", "a"] {
            assert!(!elements.iter().any(|element| element == forbidden), "a <{forbidden}>");
        }
        // Names, versions, labels, files, settings, comments, epochs, and what charts say when pointed at.
        let shown = text.matches(HOSTILE).count();
        assert!(shown > 40 * count, "{shown} of {count} models");
        assert!(!text.contains("&lt;") && !text.contains("&amp;"), "nothing is escaped twice");
    }
}

#[test]
fn the_json_has_the_names_that_others_read() {
    let json = serde_json::to_value(hostile_report(2)).unwrap();
    let names = |value: &serde_json::Value| -> String {
        value.as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(&json), "made_by data models disagreements");
    assert_eq!(names(&json["data"]), "files records labels classes by dropped unreadable");
    assert_eq!(
        names(&json["models"][0]),
        "name version network parameters max_tokens temperature metrics accuracy_95 files confusion roc reliability lengths \
         recall groups coverage scores mistakes history training"
    );
    assert_eq!(names(&json["disagreements"][0]), "text label verdicts");
    assert_eq!(names(&json["disagreements"][0]["verdicts"][0]), "label score");
}
