//! Errors about files never contain a comment's text: they end in logs that other people read.

#![allow(clippy::unwrap_used)]

use nunchi_data::{ColumnHints, DataError, read, two_labels};
use std::path::Path;

/// Long enough to be recognized, in both scripts.
const TEXTS: [&str; 3] = [
    "이 제품은 정말 실망스러웠습니다 환불해 주세요",
    "a confidential complaint by a customer",
    "4111-1111-1111-1111",
];

fn said(folder: &Path, name: &str, content: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    let columns = ColumnHints::default().columns(&path, &two_labels());
    let result: Result<_, DataError> = columns.and_then(|columns| read(&path, &columns, |_| {}));
    result.unwrap_err().to_string()
}

/// Any twelve characters in a row of `text` that `said` contains.
fn leak(said: &str, text: &str) -> Option<String> {
    let characters: Vec<char> = text.chars().collect();
    characters.windows(12).map(|window| window.iter().collect::<String>()).find(|part| said.contains(part))
}

#[test]
fn no_error_about_a_file_contains_a_comment() {
    let folder = tempfile::tempdir().unwrap();
    for text in TEXTS {
        let quoted = serde_json::to_string(text).unwrap();
        let files = [
            // No column names: the first line is a comment.
            ("headless.tsv", format!("{text}\t1\n{text}\t0\n")),
            ("headless.csv", format!("{text},1\n{text},0\n")),
            ("one.tsv", format!("{text}\n{text}\n")),
            // Columns in another order than their names.
            ("turned.tsv", format!("text\tlabel\n1\t{text}\n0\t{text}\n")),
            ("turned.csv", format!("text,stars\n1,{text}\n0,{text}\n")),
            // Every line a JSON string, a key, an escape that is none, a value of another type.
            ("strings.jsonl", format!("{{\"text\":\"x\",\"label\":1}}\n{quoted}\n{quoted}\n{quoted}\n")),
            ("only-strings.jsonl", format!("{quoted}\n{quoted}\n")),
            ("keys.jsonl", format!("{{{quoted}: 1}}\n{{{quoted}: 1}}\n")),
            (
                "escape.jsonl",
                format!("{{\"text\":\"x\",\"label\":1}}\n{{\"text\":\"{text}\\q\"}}\n{{\"{text}\n{{{text}\n"),
            ),
            ("labels.jsonl", format!("{{\"text\":\"x\",\"label\":{quoted}}}\n")),
            ("stars.jsonl", format!("{{\"text\":\"x\",\"rating\":{quoted}}}\n")),
        ];
        for (name, content) in files {
            let said = said(folder.path(), name, &content);
            assert_eq!(leak(&said, text), None, "{name}: {said}");
        }
    }
}
