//! Files as shops export them: each is read with the right comments and classes, or refused with what to do. The samples lie
//! beside the project (`../shared/field`); where they do not, this is said and nothing is tested.

#![allow(clippy::unwrap_used)]

use nunchi_data::{ColumnHints, Counts, DataError, Reason, check, read, read_comments, two_labels};
use std::path::{Path, PathBuf};

const SIX: [&str; 6] = [
    "배송이 빠르고 좋아요",
    "금방 부러졌어요",
    "색이 예쁘고 튼튼해요",
    "냄새가 심해서 반품했어요",
    "가격 대비 훌륭해요",
    "다시는 안 살래요",
];
const CLASSES: [usize; 6] = [1, 0, 1, 0, 1, 0];

fn sample(name: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/field");
    if !folder.is_dir() {
        eprintln!("not tested: {name}: there is no folder ../shared/field");
        return None;
    }
    Some(folder.join(name))
}

type Rows = Vec<(String, usize)>;

fn labeled(path: &Path, hints: &ColumnHints) -> Result<(Rows, Counts, Option<String>), DataError> {
    let columns = hints.columns(path, &two_labels())?;
    let mut rows = Vec::new();
    let counts = read(path, &columns, |example| rows.push((example.text.to_owned(), example.class)))?;
    Ok((rows, counts, columns.remarks))
}

fn six() -> Rows {
    SIX.into_iter().map(str::to_owned).zip(CLASSES).collect()
}

#[test]
fn six_comments_come_out_of_every_export() {
    for (name, remarks) in [
        ("array-pretty.json", None),
        ("bom-each-line.jsonl", None),
        ("label-bool.csv", None),
        ("label-float.jsonl", None),
        ("quoted-everything.tsv", None),
        ("shop-5jeom.csv", Some("comments in `리뷰상세내용`, stars in `구매자평점`")),
        ("shop-blank-tail.csv", Some("comments in `리뷰상세내용`, stars in `구매자평점`")),
        ("shop-cp949.csv", Some("read as CP949, comments in `리뷰상세내용`, stars in `구매자평점`")),
        (
            "shop-sep-line.csv",
            Some("the columns' names in line 2, comments in `리뷰상세내용`, stars in `구매자평점`"),
        ),
        ("shop-stars.csv", Some("comments in `리뷰상세내용`, stars in `구매자평점`")),
        (
            "shop-title-rows.csv",
            Some("the columns' names in line 3, comments in `리뷰상세내용`, stars in `구매자평점`"),
        ),
    ] {
        let Some(path) = sample(name) else { return };
        let (rows, counts, said) = labeled(&path, &ColumnHints::default()).unwrap();
        assert_eq!(rows, six(), "{name}");
        assert_eq!(counts.classes, [3, 3], "{name}");
        assert_eq!(said.as_deref(), remarks, "{name}");
        let report = check(&path, &ColumnHints::default(), &two_labels()).unwrap();
        assert_eq!((report.rows, report.left_out.count(Reason::Bad), report.duplicates), (6, 0, 0), "{name}");
        assert_eq!(report.labels.values().copied().collect::<Vec<_>>(), [3, 3], "{name}");
    }
    let Some(path) = sample("shop-blank-tail.csv") else { return };
    let (_, counts, _) = labeled(&path, &ColumnHints::default()).unwrap();
    assert_eq!(counts.left_out.to_string(), "20 blank rows (lines 8, 9, 10, …)");
}

#[test]
fn others_are_read_with_what_is_special_about_them() {
    let Some(path) = sample("label-korean.csv") else { return };
    let (rows, counts, _) = labeled(&path, &ColumnHints::default()).unwrap();
    assert_eq!((rows.len(), counts.classes), (100, vec![50, 50]));
    assert_eq!(rows[1], ("금방 부러졌어요 0".to_owned(), 0));

    let path = sample("pandas-newline.tsv").unwrap();
    let mut want = six();
    want[0].0 = "배송이 빠르고\n둘째 줄".to_owned();
    assert_eq!(labeled(&path, &ColumnHints::default()).unwrap().0.len(), 6);
    assert!(labeled(&path, &ColumnHints::default()).unwrap().0[0].0.contains('\n'));
    assert_eq!(labeled(&path, &ColumnHints::default()).unwrap().0[1..], want[1..]);

    let path = sample("sparse-first-row.jsonl").unwrap();
    let (rows, counts, _) = labeled(&path, &ColumnHints::default()).unwrap();
    assert_eq!(rows, six());
    assert_eq!(counts.left_out.to_string(), "1 row without a label (line 1)");

    let path = sample("lone-surrogate.jsonl").unwrap();
    let mut want = six();
    want[0].0.push('\u{fffd}');
    assert_eq!(labeled(&path, &ColumnHints::default()).unwrap().0, want);

    let path = sample("unused-fields.jsonl").unwrap();
    let (rows, counts, _) = labeled(&path, &ColumnHints::default()).unwrap();
    assert_eq!((rows.len(), counts.classes, counts.bad), (7, vec![4, 3], 0));

    let path = sample("html-table-renamed.csv").unwrap();
    let said = labeled(&path, &ColumnHints::default()).unwrap();
    assert_eq!(said.0, [("좋아요".to_owned(), 1)]);
    assert_eq!(
        said.2.as_deref(),
        Some("a table in HTML, the columns' names in line 2, comments in `리뷰`, stars in `평점`")
    );
}

#[test]
fn comments_without_labels_are_read() {
    for (name, count, first) in
        [("emoji.txt", 6, "🧡"), ("markup.jsonl", 3, "바느질이 튼튼하지 않아요. 두 번 입고 터졌어요")]
    {
        let Some(path) = sample(name) else { return };
        let text = ColumnHints::default().text(&path).unwrap().text;
        let mut texts = Vec::new();
        read_comments::<DataError>(&path, &text, None, (None, false), |comment| {
            texts.push(comment.text.to_owned());
            Ok(())
        })
        .unwrap();
        assert_eq!((texts.len(), texts[0].as_str()), (count, first), "{name}");
        let error = labeled(&path, &ColumnHints::default()).unwrap_err().to_string();
        assert!(error.contains("no column `label`") && error.contains("--label-column"), "{error}");
    }
}

#[test]
fn what_is_refused_says_where_and_what_to_do() {
    for (name, parts) in [
        (
            "crlf-line-number.csv",
            &["1 of 3 rows", "--skip-bad-rows", "line 3: `label` is `7`", "values seen: 0, 1, 7"][..],
        ),
        (
            "same-column-twice.csv",
            &["two columns", "`text` is column 1 and column 3 of line 1", "rename or remove"],
        ),
        (
            "empty-texts.csv",
            &["all 3 labelled rows", "`negative`", "3 rows with an empty text (lines 2, 4, 6)"],
        ),
    ] {
        let Some(path) = sample(name) else { return };
        let said = match labeled(&path, &ColumnHints::default()) {
            Err(error) => error.to_string(),
            Ok((_, counts, _)) => {
                let target = ColumnHints::default().columns(&path, &two_labels()).unwrap().target;
                nunchi_data::require_classes(&path, &target, &counts).unwrap_err().to_string()
            }
        };
        for part in parts {
            assert!(said.contains(part), "`{part}` is not in: {said}");
        }
    }
    let Some(path) = sample("crlf-line-number.csv") else { return };
    let skipping = ColumnHints { skip_bad_rows: true, ..ColumnHints::default() };
    assert_eq!(labeled(&path, &skipping).unwrap().1.left_out.to_string(), "1 unreadable row (line 3)");
    let report = check(&sample("empty-texts.csv").unwrap(), &ColumnHints::default(), &two_labels()).unwrap();
    assert_eq!((report.rows, report.left_out.count(Reason::EmptyText)), (6, 3));
}
