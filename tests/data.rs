//! `nunchi data`: what a file holds, in a table and in JSON, and its clean form.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Output};

fn nunchi(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_nunchi")).args(arguments).output().unwrap()
}

fn write(folder: &Path, name: &str, content: &[u8]) -> String {
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

const EXPORT: &str = "상품 리뷰 목록;;;\r\n;;;\r\n리뷰글번호;구매자평점;리뷰상세내용;상품번호\r\n1;★★★★★;좋아요; 77\r\n2;1점;별로예요;78\r\n\
                      3;3;보통이에요;79\r\n4;5;좋아요;80\r\n5;5;;81\r\n6;많이;글쎄요;82\r\n;;;\r\n";

#[test]
fn a_check_tells_what_was_recognized() {
    let folder = tempfile::tempdir().unwrap();
    let cp949 = encoding_rs::EUC_KR.encode(EXPORT).0;
    let file = write(folder.path(), "리뷰.csv", &cp949);
    let output = nunchi(&["data", "check", "--json", &file]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "a row has unreadable stars: {report}");
    for (name, want) in [
        ("encoding", json!("CP949")),
        ("delimiter", json!(";")),
        ("format", json!("csv")),
        ("header", json!(3)),
        ("columns", json!(["리뷰글번호", "구매자평점", "리뷰상세내용", "상품번호"])),
        ("text", json!("리뷰상세내용")),
        ("stars", json!("구매자평점")),
        ("id", json!("리뷰글번호")),
        ("scale", json!(5.0)),
        ("rows", json!(6)),
        ("labels", json!({"negative": 1, "positive": 2})),
        ("between", json!(1)),
        ("blank", json!(1)),
        ("empty", json!(1)),
        ("duplicates", json!(1)),
        ("bad_rows", json!(1)),
        ("lengths", json!({"min": 3, "median": 3, "p95": 5, "max": 5})),
    ] {
        assert_eq!(report[name], want, "{name}: {report}");
    }
    assert_eq!(
        report["odd"][1],
        json!({"line": 9, "reason": "`구매자평점` is 2 characters, not a number of stars"})
    );

    let table = String::from_utf8(nunchi(&["data", "check", &file]).stdout).unwrap();
    for part in [
        "encoding     read as CP949",
        "delimiter    ;",
        "labels       1 negative, 2 positive, 1 in between",
        "line 9: ",
    ] {
        assert!(table.contains(part), "`{part}` is not in:\n{table}");
    }
    let missing = nunchi(&["data", "check", "--json", "none.csv", &file]);
    let lines: Vec<Value> = String::from_utf8(missing.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(lines[0]["error"].as_str().unwrap().contains("cannot read none.csv") && lines[1]["rows"] == 6);
    assert_eq!(nunchi(&["data", "check"]).status.code(), Some(64));
}

#[test]
fn the_clean_form_holds_the_same_comments() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), "리뷰.csv", EXPORT.as_bytes());
    let to = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let refused = nunchi(&["data", "convert", &file, "--to", &to("a.jsonl")]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(
        said.contains("1 of 6 rows") && said.contains("--skip-bad-rows") && said.contains("line 9"),
        "{said}"
    );
    assert!(!Path::new(&to("a.jsonl")).exists(), "nothing is left behind");

    let done = nunchi(&["data", "convert", &file, "--skip-bad-rows", "--to", &to("a.jsonl")]);
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(0), "{said}");
    assert!(
        said.contains("left out: 1 blank row (line 10), 1 row with an empty text (line 8), 1 unreadable row"),
        "{said}"
    );
    let rows: Vec<Value> = std::fs::read_to_string(to("a.jsonl"))
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(rows.len(), 4);
    assert_eq!(rows[0], json!({"id": "1", "text": "좋아요", "rating": 5, "상품번호": " 77"}));
    assert_eq!(rows[2]["rating"], 3);
    let again = nunchi(&["data", "convert", &file, "--skip-bad-rows", "--to", &to("a.jsonl")]);
    assert!(String::from_utf8_lossy(&again.stderr).contains("exists and is not overwritten"));
    assert_eq!(nunchi(&["data", "convert", &file, "--to", &to("a.xlsx")]).status.code(), Some(64));

    let csv = nunchi(&["data", "convert", &to("a.jsonl"), "--to", &to("b.csv.gz")]);
    assert!(csv.status.success(), "{}", String::from_utf8_lossy(&csv.stderr));
    let report = nunchi(&["data", "check", "--json", &to("b.csv.gz")]);
    let report: Value = serde_json::from_slice(&report.stdout).unwrap();
    assert_eq!(
        (&report["rows"], &report["labels"]),
        (&json!(4), &json!({"negative": 1, "positive": 2})),
        "{report}"
    );
    assert_eq!((&report["compression"], &report["bad_rows"]), (&json!(["gzip"]), &json!(0)));
}
