//! What `nunchi models revise` adds to a finished model: an output for texts without an opinion, a coverage table, a reference.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use nunchi_model::rnn::Cell;
use nunchi_model::{Model, WeightFormat, testing};
use std::path::PathBuf;
use std::process::{Command, Output};
use tempfile::TempDir;

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Place(TempDir::new().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_nunchi"))
            .args(arguments)
            .current_dir(self.0.path())
            .output()
            .unwrap()
    }

    /// What a command that succeeds says.
    fn passes(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {said}");
        said
    }

    /// What a command says that refuses its arguments.
    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {said}");
        said
    }
}

/// Questions and comments that no word connects.
fn write_lessons(place: &Place) {
    let questions: Vec<String> = (0..60).map(|row| format!("언제 배송되나요 {row}번 문의")).collect();
    let comments: Vec<(usize, String)> = (0..300)
        .map(|row| (row % 2, format!("정말 {} 제품이에요 {row}", ["최악", "최고"][row % 2])))
        .collect();
    std::fs::write(place.path("questions.tsv"), "text\n".to_owned() + &questions.join("\n") + "\n").unwrap();
    let labeled = |rows: &[(usize, String)]| -> String {
        rows.iter().map(|(class, text)| format!("{class}\t{text}\n")).collect()
    };
    std::fs::write(place.path("reviews.tsv"), "label\ttext\n".to_owned() + &labeled(&comments[..150]))
        .unwrap();
    std::fs::write(place.path("dev.tsv"), "label\ttext\n".to_owned() + &labeled(&comments[150..])).unwrap();
}

#[test]
fn an_opinion_output_is_learned_beside_a_network_that_stays_as_it_is() {
    let place = Place::new();
    write_lessons(&place);
    for cell in [Cell::Gru, Cell::Bag] {
        let name = format!("{}.safetensors", cell.name());
        testing::model(cell, 3).save(&place.path(&name), WeightFormat::F16).unwrap();
        let before = Model::load(&place.path(&name)).unwrap();
        let revise = [
            "models",
            "revise",
            &name,
            "--no-opinion",
            "questions.tsv",
            "--opinions",
            "reviews.tsv",
            "--dev",
            "dev.tsv",
            "--out",
        ];
        let said = place.passes(&[&revise[..], &["new.safetensors"]].concat());
        assert!(said.contains("learned from 48 texts without and 120 with one"), "{said}");
        assert!(
            said.contains("coverage on dev.tsv: 150 comments") && said.contains("precision 0.97: "),
            "{said}"
        );
        let after = Model::load(&place.path("new.safetensors")).unwrap();
        assert_eq!(after.network, before.network);
        assert_eq!(after.golden, before.golden, "scores are the same bit by bit");
        assert_eq!(after.stored_as(), before.stored_as());
        let extension = &after.extension;
        let coverage = extension.coverage.as_ref().unwrap();
        assert_eq!((coverage.comments, coverage.data.as_slice()), (150, &["dev.tsv".to_owned()][..]));
        assert_eq!(extension.reference.as_ref().unwrap().comments, 150);
        // Texts that it has not seen.
        let opinions =
            after.reference_opinions(&["언제 배송되나요 77번 문의", "정말 최고 제품이에요 251"]).unwrap();
        assert!(opinions[0] < 0.5 && opinions[1] > 0.5, "{}: {opinions:?}", cell.name());
        assert_eq!(after.report["opinion"]["no_opinion"]["held_out"], 12);
        // The same command gives the same file.
        place.passes(&[&revise[..], &["again.safetensors"]].concat());
        let read = |name: &str| std::fs::read(place.path(name)).unwrap();
        assert_eq!(read("new.safetensors"), read("again.safetensors"));
        // Read otherwise, the output stays and what was measured goes.
        place.passes(&[
            "models",
            "revise",
            "new.safetensors",
            "--max-tokens",
            "64",
            "--out",
            "cut.safetensors",
        ]);
        let cut = Model::load(&place.path("cut.safetensors")).unwrap().extension;
        assert_eq!((&cut.opinion, cut.coverage, cut.reference), (&extension.opinion, None, None));
    }
}

#[test]
fn what_cannot_be_learned_or_measured_is_refused() {
    let place = Place::new();
    write_lessons(&place);
    testing::model(Cell::Bag, 3).save(&place.path("m.safetensors"), WeightFormat::F16).unwrap();
    let few: String = (0..40).map(|row| format!("{}\t{row}번\n", row % 2)).collect();
    std::fs::write(place.path("few.tsv"), format!("label\ttext\n{few}")).unwrap();
    std::fs::write(place.path("two.tsv"), "text\n언제 와요\n재고 있나요\n").unwrap();
    for (flags, want) in [
        (&["--no-opinion", "questions.tsv"][..], "--opinions"),
        (&["--opinions", "reviews.tsv"], "--no-opinion"),
        (&["--reference", "reviews.tsv"], "--dev"),
        (&["--dev", "few.tsv"], "40 labeled comments; a coverage table needs 100"),
        (&["--no-opinion", "two.tsv", "--opinions", "reviews.tsv"], "2 texts without"),
        // Nothing is left of texts that are measured on.
        (
            &["--no-opinion", "questions.tsv", "--opinions", "dev.tsv", "--dev", "dev.tsv"],
            "0 with an opinion",
        ),
        (&["--dev", "dev.tsv", "--opinion-cost", "0.9"], "0 to 0.5"),
        (&[], "say what to change"),
    ] {
        let revise = ["models", "revise", "m.safetensors", "--out", "new.safetensors"];
        let said = place.refused(&[&revise[..], flags].concat());
        assert!(said.contains(want), "{flags:?}: {said}");
    }
    assert!(!place.path("new.safetensors").exists());
}
