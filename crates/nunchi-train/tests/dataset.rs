//! From files to a corpus and development sets: what is held out, and that nothing is in both.

#![allow(clippy::unwrap_used)]

use nunchi_data::ColumnHints;
use nunchi_data::Source;
use nunchi_data::two_labels;
use nunchi_train::corpus::{CorpusError, Row};
use nunchi_train::dataset::{Dataset, HoldOut, LabeledFile, Plan, UnlabeledFile};
use std::path::PathBuf;
use tempfile::TempDir;

struct Files {
    folder: TempDir,
    plan: Plan,
}

impl Files {
    fn new() -> Self {
        let plan = Plan { classes: 2, ..Plan::default() };
        Files { folder: TempDir::new().unwrap(), plan }
    }

    fn write(&self, name: &str, content: &str) -> Source {
        let path: PathBuf = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().parse().unwrap()
    }

    /// A labeled file of these comments, classes in turn.
    fn labeled(&self, name: &str, texts: &[&str]) -> LabeledFile {
        let rows: String =
            texts.iter().enumerate().map(|(row, text)| format!("{}\t{text}\n", row % 2)).collect();
        let source = self.write(name, &format!("label\ttext\n{rows}"));
        let columns = ColumnHints::default().columns(&source.path, &two_labels()).unwrap();
        LabeledFile { source, columns }
    }

    fn read(&self) -> Dataset {
        Dataset::read(&self.plan).unwrap()
    }
}

fn texts(dataset: &Dataset) -> Vec<String> {
    dataset.corpus.rows().map(|row| row.unwrap().text).collect()
}

#[test]
fn comments_of_the_development_data_are_left_out_however_they_are_typed() {
    let mut files = Files::new();
    files.plan.dev = vec![files.labeled("dev.tsv", &["좋아요!!!!!", "별로"])];
    files.plan.labeled = vec![
        files.labeled("a.tsv", &["좋아요", "좋아요!!!", "별로 ", "아니요", "아니요"]),
        files.labeled("b.tsv", &["재구매 별로", "글쎄요"]),
    ];
    let source = files.write("c.tsv", "text\n별로\n음\n");
    files.plan.unlabeled =
        vec![UnlabeledFile { source, text: "text".to_owned(), encoding: None, skip_bad_rows: false }];
    let dataset = files.read();
    assert_eq!(texts(&dataset), ["좋아요", "아니요", "아니요", "글쎄요", "음"], "duplicates within stay");
    assert_eq!(dataset.files.iter().map(|file| file.duplicates).collect::<Vec<_>>(), [2, 1, 1]);
    assert_eq!(dataset.dev.len(), 1);
    assert_eq!(dataset.dev[0].texts, ["좋아요!!!!!", "별로"]);
    assert_eq!(dataset.dev[0].classes, [0, 1]);
    let sources: Vec<_> = dataset.corpus.rows().map(|row| row.unwrap().source).collect();
    assert_eq!(sources, [0, 0, 0, 1, 2]);
    assert_eq!(dataset.corpus.labeled(), 4);
}

#[test]
fn what_is_held_out_is_in_training_neither_before_nor_after() {
    let mut files = Files::new();
    let comments: Vec<String> = (1..=100)
        .map(|row| if row % 30 == 1 { "그냥 그래요 20".to_owned() } else { format!("그냥 그래요 {row}") })
        .collect();
    let comments: Vec<&str> = comments.iter().map(String::as_str).collect();
    files.plan.labeled = vec![files.labeled("a.tsv", &comments), files.labeled("b.tsv", &comments[2..5])];
    files.plan.hold_out = HoldOut { every: 20, at_most: 0 };
    let dataset = files.read();
    assert_eq!(dataset.dev.len(), 1, "of three rows none is held out");
    let held = &dataset.dev[0];
    assert_eq!(held.name, "a.tsv (held out)");
    assert_eq!(
        held.texts,
        ["그냥 그래요 20", "그냥 그래요 40", "그냥 그래요 60", "그냥 그래요 80", "그냥 그래요 100"]
    );
    // Rows 1, 31, 61 and 91 say the same as row 20.
    assert_eq!((dataset.files[0].held_out, dataset.files[0].duplicates), (5, 4));
    assert_eq!(dataset.corpus.len(), 100 - 5 - 4 + 3);
    assert!(texts(&dataset).iter().all(|text| !held.texts.contains(text)));
    let rows: Vec<Row> = dataset.corpus.rows().map(Result::unwrap).collect();
    assert!(rows.iter().map(|row| row.index).eq(0..94), "numbers have no gaps");
}

#[test]
fn of_a_large_file_no_more_is_held_out_and_all_parts_are() {
    let mut files = Files::new();
    let comments: Vec<String> = (1..=10_000).map(|row| row.to_string()).collect();
    let comments: Vec<&str> = comments.iter().map(String::as_str).collect();
    files.plan.labeled = vec![files.labeled("a.tsv", &comments)];
    files.plan.hold_out = HoldOut { every: 20, at_most: 100 };
    let dataset = files.read();
    let held: Vec<usize> = dataset.dev[0].texts.iter().map(|text| text.parse().unwrap()).collect();
    assert_eq!(
        held,
        (1..=62).map(|number| number * 160).collect::<Vec<_>>(),
        "every 160th instead of every 20th"
    );
    assert_eq!(dataset.corpus.len(), 10_000 - 62);
    let mut all: Vec<usize> = texts(&dataset).iter().map(|text| text.parse().unwrap()).chain(held).collect();
    all.sort_unstable();
    assert!(all.into_iter().eq(1..=10_000), "what is not held out any more is trained on");
}

#[test]
fn nothing_left_to_learn_from_is_told() {
    let mut files = Files::new();
    files.plan.labeled = vec![files.labeled("a.tsv", &["좋아요", "별로", "좋네요"])];
    files.plan.dev = vec![files.labeled("b.tsv", &["별로", "아까워요"])];
    let error = Dataset::read(&files.plan).unwrap_err();
    assert!(matches!(error, CorpusError::TooLittle { .. }));
    let said = error.to_string();
    for part in ["of 3 labelled comments 0 are held out", "1 rows are left out", "holds one class alone"] {
        assert!(said.contains(part), "`{part}` is not in: {said}");
    }
}

#[test]
fn a_soft_column_reaches_the_rows() {
    let mut files = Files::new();
    let mut source = files.write("a.tsv", "text\tteacher\n좋아요\t0.875\n음\t\n");
    source.soft = Some("teacher".to_owned());
    files.plan.unlabeled =
        vec![UnlabeledFile { source, text: "text".to_owned(), encoding: None, skip_bad_rows: false }];
    files.plan.labeled = vec![files.labeled("b.tsv", &["좋네요", "별로"])];
    let soft: Vec<_> = files.read().corpus.rows().map(|row| row.unwrap().soft).collect();
    assert_eq!(soft, [None, None, Some(0.875), None]);
}
