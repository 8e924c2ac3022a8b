//! Labeled comments from files, and what is said about files that are wrong.

#![allow(clippy::unwrap_used)]

use flate2::Compression;
use flate2::write::GzEncoder;
use nunchi_data::{ColumnHints, Columns, Counts, DataError, read, read_comments, require_classes, try_read};
use nunchi_data::{Target, two_labels};
use std::io::Write;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn by_label() -> Columns {
    Columns {
        text: "text".to_owned(),
        target: Target::Label { column: "label".to_owned(), labels: two_labels() },
        skip_bad_rows: false,
        encoding: None,
        remarks: None,
    }
}

fn by_stars() -> Columns {
    let target = Target::Stars {
        column: "stars".to_owned(),
        negative: "1-2".parse().unwrap(),
        positive: "4-5".parse().unwrap(),
        scale: None,
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
    assert_eq!((counts.dropped, counts.labeled()), (1, 3));
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

/// What is said about a file that holds `content`.
fn said(name: &str, content: &[u8]) -> String {
    let folder = TempDir::new().unwrap();
    collect(&write(&folder, name, content), &by_label()).unwrap_err().to_string()
}

fn contains(said: &str, parts: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "`{part}` is not in: {said}");
    }
}

#[test]
fn an_unknown_column_names_those_that_there_are_and_the_one_that_is_meant() {
    for (name, content) in
        [("a.tsv", "id\tTexts\tlabel\n1\t2\t3\n"), ("a.jsonl", "{\"id\":1,\"Texts\":\"x\",\"label\":1}\n")]
    {
        contains(
            &said(name, content.as_bytes()),
            &["has no column `text`", "it has: id, Texts, label", "is `Texts` meant?"],
        );
    }
    let far = said("a.tsv", b"id\tbody\tlabel\n1\t2\t3\n");
    assert!(!far.contains("meant"), "{far}");
}

#[test]
fn columns_are_found_by_their_names() {
    let folder = TempDir::new().unwrap();
    let find = |wanted: &ColumnHints, header: &str| {
        let path = write(&folder, "a.tsv", format!("{header}\n").as_bytes());
        wanted.columns(&path, &two_labels()).map(|columns| (columns.text, columns.target.column().to_owned()))
    };
    let found = |text: &str, target: &str| (text.to_owned(), target.to_owned());
    let nothing = ColumnHints::default();
    assert_eq!(find(&nothing, "stars\tlabel\ttext").unwrap(), found("text", "label"));
    assert_eq!(find(&nothing, "id\tdocument\tlabel").unwrap(), found("document", "label"));
    assert_eq!(find(&nothing, "rating\tcomment").unwrap(), found("comment", "rating"));
    let stars = ColumnHints { negative: Some("1-4".parse().unwrap()), ..ColumnHints::default() };
    assert_eq!(find(&stars, "rating\tlabel\ttext").unwrap(), found("text", "rating"));
    let named =
        ColumnHints { text: Some("x".to_owned()), label: Some("y".to_owned()), ..ColumnHints::default() };
    assert_eq!(find(&named, "x\ty\tlabel\ttext").unwrap(), found("x", "y"));

    let said = |wanted: &ColumnHints, header: &str| find(wanted, header).unwrap_err().to_string();
    contains(
        &said(&nothing, "a\ttext"),
        &["no column `label`, `stars` or `rating`", "has: a, text", "--label-column"],
    );
    contains(&said(&nothing, "labels\ttext"), &["is `labels` meant?"]);
    contains(&said(&nothing, "a\tlabel"), &["no column `text`, `comment`", "--text-column"]);
    contains(&said(&named, "x\tlabel"), &["no column `y`"]);
    let three = ["a".to_owned(), "b".to_owned(), "c".to_owned()];
    let path = write(&folder, "b.tsv", b"stars\ttext\n");
    contains(&nothing.columns(&path, &three).unwrap_err().to_string(), &["has no column `label`;"]);
    let path = write(&folder, "c.jsonl", b"\n{\"rating\":5,\"review\":\"x\"}\n");
    assert_eq!(nothing.columns(&path, &two_labels()).unwrap().text, "review");
    assert_eq!(nothing.text(&path).unwrap().text, "review");
}

#[test]
fn bad_rows_are_counted_and_shown_with_their_lines() {
    let folder = TempDir::new().unwrap();
    let mut content = b"label\ttext\n1\tgood\n7\tbad label\n\xff\tbad bytes\n0\n".to_vec();
    content.extend_from_slice("x\t좋아요\n0\tfine\n1\tfine\n0\tfine\n".as_bytes());
    let path = write(&folder, "a.tsv", &content);
    let error = collect(&path, &by_label()).unwrap_err().to_string();
    contains(
        &error,
        &[
            "4 of 8 rows",
            "line 3",
            "`label` is `7`",
            "line 4",
            "not UTF-8",
            "line 5",
            "; …",
            "--skip-bad-rows",
        ],
    );
    let (rows, counts) = collect(&path, &Columns { skip_bad_rows: true, ..by_label() }).unwrap();
    assert_eq!((rows.len(), counts.bad), (4, 4));
}

#[test]
fn a_file_that_is_mostly_bad_is_refused_whatever_is_skipped() {
    let folder = TempDir::new().unwrap();
    let skip = |columns: Columns| Columns { skip_bad_rows: true, ..columns };
    let path = write(&folder, "a.tsv", "stars\ttext\nfive\ta\none\tb\n5\tc\n".as_bytes());
    let error = collect(&path, &skip(by_stars())).unwrap_err().to_string();
    contains(
        &error,
        &["2 of 3 rows", "more than half", "right file, columns and labels", "line 2: `stars` is `five`"],
    );
    // "좋아요" in CP949.
    let path = write(&folder, "same.tsv", b"label\ttext\n5\ta\n1\tb\n5\tc\n5\td\n5\te\n");
    contains(
        &collect(&path, &by_label()).unwrap_err().to_string(),
        &["4 of 5 rows", "(lines 2, 4, 5: `label` is `5`", "; … (values seen: 1, 5))"],
    );
    let path = write(&folder, "b.tsv", b"label\ttext\n1\t\xc1\xc1\xbe\xc6\xbf\xe4\n0\t\xbe\xc6\n");
    assert_eq!(collect(&path, &skip(by_label())).unwrap().0[0], ("좋아요".to_owned(), 1));
    let utf_8 = Columns { encoding: Some("UTF-8".parse().unwrap()), ..skip(by_label()) };
    contains(&collect(&path, &utf_8).unwrap_err().to_string(), &["another encoding", "--encoding CP949"]);
}

#[test]
fn stars_on_another_scale_are_not_guessed() {
    let folder = TempDir::new().unwrap();
    let path = write(&folder, "a.tsv", b"stars\ttext\n1\ta\n10\tb\n5\tc\n5\td\n");
    let error = collect(&path, &by_stars()).unwrap_err().to_string();
    contains(&error, &["1 of 4 rows", "line 3", "`stars` is `10`", "--positive"]);
    let target = Target::Stars {
        column: "stars".to_owned(),
        negative: "1-4".parse().unwrap(),
        positive: "9-10".parse().unwrap(),
        scale: None,
    };
    let (_, counts) = collect(&path, &Columns { target, ..by_label() }).unwrap();
    assert_eq!((counts.classes, counts.dropped), (vec![1, 1], 2));
}

#[test]
fn bad_json_is_told_by_line() {
    let folder = TempDir::new().unwrap();
    let path = write(
        &folder,
        "a.jsonl",
        b"{\"text\":\"a\",\"label\":1}\n{\"text\":5,\"label\":1}\nnonsense\n{\"text\":\"b\",\"label\":true}\n\
          {\"text\":\"a\",\"label\":1}\n{\"text\":\"a\",\"label\":1}\n",
    );
    let error = collect(&path, &by_label()).unwrap_err().to_string();
    for part in ["2 of 6 rows", "line 2: `text` is not a string", "line 3: is not a JSON object"] {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
}

#[test]
fn files_without_a_use_are_refused() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    contains(&said("a.tsv", b"label\ttext\n"), &["a.tsv has column names and no rows"]);
    contains(&said("a.csv", b"label,text\n"), &["a.csv has column names and no rows"]);
    for name in ["b.tsv", "b.csv", "b.jsonl", "b.tsv.gz", "b.csv.gz"] {
        contains(&said(name, b""), &[name, " is empty"]);
    }
    contains(&said("b.csv", b"\n\n"), &["b.csv is empty"]);
    contains(&said("b.jsonl", b"\n\n"), &["b.jsonl is empty"]);
    contains(&said("c.xlsx", b"x"), &["has no column `text`"]);
    contains(&said("d.tsv", b"PK\x03\x04xxxx"), &["zip data breaks off"]);
    contains(&said("d.tsv", b"%PDF-1.7\n"), &["is a PDF", ".xlsx or CSV"]);
    contains(&said("d.tsv", b"\x89PNG\r\n\x1a\n"), &["is a picture"]);
    contains(&said("d.tsv", b"a\0\0\0b\0\0\0"), &["is no text"]);
    contains(&said("d.tsv", b"\x1f\x8b\x08\0"), &["gzip data breaks off"]);
    contains(&said("e.tsv", "label\ttext\n\n".as_bytes()), &["no rows"]);
    let missing = collect(Path::new("none.tsv"), &by_label()).unwrap_err();
    assert!(matches!(missing, DataError::Unreadable { .. }));
    contains(&missing.to_string(), &["cannot read none.tsv", "No such file"]);
    std::fs::create_dir(path("folder.tsv")).unwrap();
    contains(
        &collect(&path("folder.tsv"), &by_label()).unwrap_err().to_string(),
        &["folder.tsv is a folder"],
    );
    contains(&collect(folder.path(), &by_label()).unwrap_err().to_string(), &["is a folder"]);

    let middle = write(&folder, "f.tsv", b"stars\ttext\n3\ta\n3\tb\n");
    contains(
        &collect(&middle, &by_stars()).unwrap_err().to_string(),
        &["none of the 2 rows", "in the middle"],
    );
    let (_, counts) = collect(&write(&folder, "e.tsv", b"label\ttext\n1\ta\n1\tb\n"), &by_label()).unwrap();
    let error = require_classes(Path::new("e.tsv"), &by_label().target, &counts).unwrap_err().to_string();
    contains(&error, &["all 2 labelled rows", "positive"]);
}

#[cfg(unix)]
#[test]
fn a_file_that_may_not_be_read_is_told() {
    use std::os::unix::fs::PermissionsExt;
    let folder = TempDir::new().unwrap();
    // Nobody can read a folder as a file, root neither.
    let path = folder.path().join("folder.tsv");
    std::fs::create_dir(&path).unwrap();
    contains(
        &collect(&path, &by_label()).unwrap_err().to_string(),
        &["folder.tsv is a folder", "name the data file"],
    );
    let path = write(&folder, "a.tsv", b"label\ttext\n1\ta\n");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).unwrap();
    if std::fs::read(&path).is_ok() {
        eprintln!("not tested: a file without the right to read it, since this user may read every file");
        return;
    }
    contains(&collect(&path, &by_label()).unwrap_err().to_string(), &["cannot read", "Permission denied"]);
}

#[test]
fn gzip_that_is_none_breaks_off_or_is_damaged_is_told_with_the_last_line() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.tsv.gz");
    let of = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        collect(&path, &by_label()).unwrap_err().to_string()
    };
    // Far longer than a buffer, and hard to compress.
    let mut content = String::from("label\ttext\n");
    let mut noise = 1_u64;
    for row in 0..100_000 {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        content += &format!("{}\t{noise:x}\n", row % 2);
    }
    let whole = std::fs::read(write(&folder, "b.tsv.gz", content.as_bytes())).unwrap();
    let line = |error: &str| -> u64 {
        let behind = error.split("behind line ").nth(1).unwrap();
        behind.split(';').next().unwrap().parse().unwrap()
    };
    let half = of(&whole[..whole.len() / 2]);
    contains(&half, &["gzip data breaks off or is damaged behind line"]);
    assert!((20_000..60_000).contains(&line(&half)), "{half}");
    let mut damaged = whole.clone();
    for byte in &mut damaged[whole.len() / 2..whole.len() / 2 + 2_000] {
        *byte ^= 0x55;
    }
    let damaged = of(&damaged);
    contains(&damaged, &["gzip data breaks off or is damaged behind line"]);
    assert!(line(&damaged) > 20_000, "{damaged}");
}

#[test]
fn a_quotation_mark_that_is_not_closed_swallows_nothing() {
    let rows = "1,좋아요\n0,별로\n".repeat(1_000);
    let open = format!("label,text\n{rows}1,\"좋아요\n{rows}");
    contains(
        &said("a.csv", open.as_bytes()),
        &["the row at line 2002", "quotation mark that is never closed"],
    );
    contains(&said("a.csv", b"label,\"text\n1,a\n"), &["the row at line 1", "never closed"]);
    // Closed by the next one, a thousand lines on.
    let closed = format!("label,text\n{rows}1,\"좋아요\n{rows}1,좋아요\"\n");
    contains(&said("a.csv", closed.as_bytes()), &["1 of 2001 rows", "line 2002: runs over 2002 lines"]);
    contains(
        &said("a.csv", format!("label,text\n{rows}1,좋아요, 정말\n").as_bytes()),
        &["line 2002: has 3 columns instead of 2", "must be quoted"],
    );
    contains(
        &said("a.tsv", format!("label\ttext\n{}1\ta\tb\n", rows.replace(',', "\t")).as_bytes()),
        &["has 3 columns instead of 2"],
    );
}

#[test]
fn quoted_and_odd_rows_that_are_right_are_read() {
    let folder = TempDir::new().unwrap();
    let content = "\u{feff}\"label\",\"text\"\r\n1,\"두\n줄, \"\"정말\"\"\"\r\n0,별로,,\r\n";
    for (name, content) in [
        ("a.csv", content.to_owned()),
        ("b.csv", content.trim_end().to_owned()),
        (
            "c.jsonl",
            "\u{feff}{\"label\":1,\"text\":\"두\\n줄, \\\"정말\\\"\"}\n{\"label\":0,\"text\":\"별로\"}"
                .to_owned(),
        ),
    ] {
        let (rows, _) = collect(&write(&folder, name, content.as_bytes()), &by_label()).unwrap();
        assert_eq!(rows, [("두\n줄, \"정말\"".to_owned(), 1), ("별로".to_owned(), 0)], "{name}");
    }
}

#[test]
fn a_row_without_end_is_refused_before_it_fills_memory() {
    let folder = TempDir::new().unwrap();
    let long = "x".repeat(20 << 20);
    for (name, begin) in [
        ("a.tsv", "label\ttext\n1\t"),
        ("a.csv", "label,text\n1,\""),
        ("a.jsonl", "{\"label\":1,\"text\":\""),
    ] {
        let error =
            collect(&write(&folder, name, (begin.to_owned() + &long).as_bytes()), &by_label()).unwrap_err();
        let line = if name == "a.jsonl" { "line 1" } else { "line 2" };
        contains(&error.to_string(), &[name, line, "longer than 16 MiB"]);
    }
}

#[test]
fn a_teacher_may_stand_beside_the_label_or_without_one() {
    let folder = TempDir::new().unwrap();
    let path = write(&folder, "a.tsv", b"teacher\tlabel\ttext\n0.75\t1\ta\n\t0\tb\n0\t0\tc\n");
    let mut soft = Vec::new();
    try_read::<DataError>(&path, &by_label(), Some("teacher"), |example| {
        soft.push((example.class, example.soft));
        Ok(())
    })
    .unwrap();
    assert_eq!(soft, [(1, Some(0.75)), (0, None), (0, Some(0.0))]);
    let mut soft = Vec::new();
    let bad = read_comments::<DataError>(&path, "text", Some("teacher"), (None, false), |comment| {
        soft.push((comment.text.to_owned(), comment.soft));
        Ok(())
    });
    assert_eq!(bad.unwrap().total(), 0);
    assert_eq!(soft[0], ("a".to_owned(), Some(0.75)));
    let path = write(&folder, "b.tsv", b"teacher\ttext\n2\ta\n0.5\tb\n");
    let error =
        read_comments::<DataError>(&path, "text", Some("teacher"), (None, false), |_| Ok(())).unwrap_err();
    contains(&error.to_string(), &["1 of 2 rows", "line 2: `teacher` is `2`, not a probability"]);
}
