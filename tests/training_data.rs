//! Labelled comments from files, and what is said about files that are wrong.

#![allow(clippy::unwrap_used)]

use flate2::Compression;
use flate2::write::GzEncoder;
use nunchi::training::data::{Columns, Counts, DataError, read, require_classes};
use nunchi::training::mapping::{Target, two_labels};
use std::io::Write;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn by_label() -> Columns {
    Columns {
        text: "text".to_owned(),
        target: Target::Label { column: "label".to_owned(), labels: two_labels() },
        skip_bad_rows: false,
    }
}

fn by_stars() -> Columns {
    let target = Target::Stars {
        column: "stars".to_owned(),
        negative: "1-2".parse().unwrap(),
        positive: "4-5".parse().unwrap(),
    };
    Columns { target, ..by_label() }
}

fn write(folder: &TempDir, name: &str, content: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    if name.ends_with(".gz") {
        let mut encoder = GzEncoder::new(std::fs::File::create(&path).unwrap(), Compression::fast());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap();
    } else {
        std::fs::write(&path, content).unwrap();
    }
    path
}

fn collect(path: &Path, columns: &Columns) -> Result<(Vec<(String, usize)>, Counts), DataError> {
    let mut rows = Vec::new();
    let counts = read(path, columns, |example| rows.push((example.text.to_owned(), example.class)))?;
    Ok((rows, counts))
}

#[test]
fn the_same_comments_come_out_of_every_format() {
    let folder = TempDir::new().unwrap();
    let tsv = "id\tlabel\ttext\n1\t1\t좋아요, \"정말\"\n2\t0\t별로예요\n";
    let csv = "label,text\n1,\"좋아요, \"\"정말\"\"\"\n0,별로예요\n";
    let jsonl =
        "{\"text\":\"좋아요, \\\"정말\\\"\",\"label\":1}\n\n{\"label\":\"negative\",\"text\":\"별로예요\"}\n";
    let want = vec![("좋아요, \"정말\"".to_owned(), 1), ("별로예요".to_owned(), 0)];
    for (name, content) in [
        ("a.tsv", tsv),
        ("a.tsv.gz", tsv),
        ("a.csv", csv),
        ("a.CSV.gz", csv),
        ("a.jsonl", jsonl),
        ("a.ndjson.gz", jsonl),
    ] {
        let (rows, counts) = collect(&write(&folder, name, content.as_bytes()), &by_label()).unwrap();
        assert_eq!(rows, want, "{name}");
        assert_eq!(counts.classes, [1, 1], "{name}");
    }
}

#[test]
fn stars_become_classes_and_the_middle_is_dropped() {
    let folder = TempDir::new().unwrap();
    let path = write(&folder, "a.tsv", "stars\ttext\n1\ta\n3\tb\n5\tc\n4\td\n".as_bytes());
    let (rows, counts) = collect(&path, &by_stars()).unwrap();
    assert_eq!(rows.iter().map(|(_, class)| *class).collect::<Vec<_>>(), [0, 1, 1]);
    assert_eq!((counts.dropped, counts.labelled()), (1, 3));
}

#[test]
fn several_gzip_members_are_one_file() {
    let folder = TempDir::new().unwrap();
    let first = std::fs::read(write(&folder, "a.tsv.gz", b"label\ttext\n1\ta\n")).unwrap();
    let second = std::fs::read(write(&folder, "b.tsv.gz", b"0\tb\n")).unwrap();
    let path = folder.path().join("both.tsv.gz");
    std::fs::write(&path, [first, second].concat()).unwrap();
    assert_eq!(collect(&path, &by_label()).unwrap().0.len(), 2);
}

#[test]
fn an_unknown_column_names_those_that_there_are() {
    let folder = TempDir::new().unwrap();
    for (name, content) in
        [("a.tsv", "id\tbody\tlabel\n"), ("a.jsonl", "{\"id\":1,\"body\":\"x\",\"label\":1}\n")]
    {
        let error = collect(&write(&folder, name, content.as_bytes()), &by_label()).unwrap_err().to_string();
        assert!(error.contains("no column `text`") && error.contains("id, body, label"), "{error}");
    }
}

#[test]
fn bad_rows_are_counted_and_shown_with_their_lines() {
    let folder = TempDir::new().unwrap();
    let mut content = b"label\ttext\n1\tgood\n7\tbad label\n\xff\tbad bytes\n0\n".to_vec();
    content.extend_from_slice("x\t좋아요\n0\tfine\n".as_bytes());
    let path = write(&folder, "a.tsv", &content);
    let error = collect(&path, &by_label()).unwrap_err().to_string();
    for part in
        ["4 of 6 rows", "line 3", "`label` is `7`", "line 4", "not UTF-8", "line 5", "--skip-bad-rows"]
    {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
    let (rows, counts) = collect(&path, &Columns { skip_bad_rows: true, ..by_label() }).unwrap();
    assert_eq!((rows.len(), counts.bad), (2, 4));
}

#[test]
fn bad_json_is_told_by_line() {
    let folder = TempDir::new().unwrap();
    let path = write(
        &folder,
        "a.jsonl",
        b"{\"text\":\"a\",\"label\":1}\n{\"text\":5,\"label\":1}\nnonsense\n{\"text\":\"b\",\"label\":true}\n",
    );
    let error = collect(&path, &by_label()).unwrap_err().to_string();
    for part in ["3 of 4 rows", "line 2: `text` is not a string", "line 3: is not a JSON object", "line 4"] {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
}

#[test]
fn files_without_a_use_are_refused() {
    let folder = TempDir::new().unwrap();
    let of = |name: &str, content: &[u8]| collect(&write(&folder, name, content), &by_label());
    assert!(matches!(of("a.tsv", b"label\ttext\n"), Err(DataError::Empty(_))));
    assert!(matches!(of("b.tsv", b""), Err(DataError::Column { .. })));
    assert!(matches!(of("c.xlsx", b"x"), Err(DataError::Format(_))));
    assert!(matches!(collect(Path::new("none.tsv"), &by_label()), Err(DataError::Unreadable { .. })));
    let broken = folder.path().join("d.tsv.gz");
    std::fs::write(&broken, b"not gzip at all").unwrap();
    assert!(matches!(collect(&broken, &by_label()), Err(DataError::Unreadable { .. })));
    let (_, counts) = of("e.tsv", b"label\ttext\n1\ta\n1\tb\n").unwrap();
    let error = require_classes(Path::new("e.tsv"), &by_label().target, &counts).unwrap_err().to_string();
    assert!(error.contains("all 2 labelled rows") && error.contains("positive"), "{error}");
}
