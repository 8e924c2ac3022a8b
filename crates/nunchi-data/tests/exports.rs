//! Variants of what shops and programs write: encodings, separators, compressions, workbooks, tables, spellings.

#![allow(clippy::unwrap_used)]

use nunchi_data::{ColumnHints, Counts, DataError, check, clean, read, two_labels};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const CSV: &str =
    "리뷰글번호,구매자평점,리뷰상세내용\r\n1,5점,\"배송이 빠르고, 좋아요\"\r\n2,1점,\"두 줄\n별로\"\r\n";

fn want() -> Vec<(String, usize)> {
    vec![("배송이 빠르고, 좋아요".to_owned(), 1), ("두 줄\n별로".to_owned(), 0)]
}

fn write(folder: &TempDir, name: &str, content: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    path
}

fn labeled(path: &Path, hints: &ColumnHints) -> Result<(Vec<(String, usize)>, Counts), DataError> {
    let columns = hints.columns(path, &two_labels())?;
    let mut rows = Vec::new();
    let counts = read(path, &columns, |example| rows.push((example.text.to_owned(), example.class)))?;
    Ok((rows, counts))
}

fn rows_of(name: &str, content: &[u8]) -> Vec<(String, usize)> {
    let folder = TempDir::new().unwrap();
    labeled(&write(&folder, name, content), &ColumnHints::default()).unwrap().0
}

fn said(name: &str, content: &[u8]) -> String {
    let folder = TempDir::new().unwrap();
    labeled(&write(&folder, name, content), &ColumnHints::default()).unwrap_err().to_string()
}

fn utf_16(text: &str, mark: &[u8], little: bool) -> Vec<u8> {
    let units = text.encode_utf16();
    let bytes = units.flat_map(|unit| if little { unit.to_le_bytes() } else { unit.to_be_bytes() });
    mark.iter().copied().chain(bytes).collect()
}

#[test]
fn encodings_and_separators_make_no_difference() {
    let cp949 = encoding_rs::EUC_KR.encode(CSV).0.into_owned();
    for content in [
        CSV.as_bytes().to_vec(),
        format!("\u{feff}{CSV}").into_bytes(),
        cp949.clone(),
        utf_16(CSV, &[0xff, 0xfe], true),
        utf_16(CSV, &[0xfe, 0xff], false),
        utf_16(CSV, &[], true),
        utf_16(CSV, &[], false),
        CSV.replace("호,구매자평점,", "호;구매자평점;")
            .replace("1,5점,", "1;5점;")
            .replace("2,1점,", "2;1점;")
            .into_bytes(),
        CSV.replace("호,구매자평점,", "호\t구매자평점\t")
            .replace("1,5점,", "1\t5점\t")
            .replace("2,1점,", "2\t1점\t")
            .into_bytes(),
        CSV.replace("호,구매자평점,", "호|구매자평점|")
            .replace("1,5점,", "1|5점|")
            .replace("2,1점,", "2|1점|")
            .into_bytes(),
        format!("sep=,\r\n{CSV}").into_bytes(),
        format!("상품 리뷰 목록\r\n\r\n{CSV}").into_bytes(),
        format!("{CSV},,\r\n,,\r\n").into_bytes(),
    ] {
        for name in ["a.csv", "a.txt", "a"] {
            assert_eq!(rows_of(name, &content), want(), "{name}: {}", String::from_utf8_lossy(&content));
        }
    }
    let folder = TempDir::new().unwrap();
    let forced = ColumnHints { encoding: Some("EUC-KR".parse().unwrap()), ..ColumnHints::default() };
    assert_eq!(labeled(&write(&folder, "a.csv", &cp949), &forced).unwrap().0, want());
}

#[test]
fn compressions_are_told_by_content() {
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let zstd = |bytes: &[u8]| zstd::stream::encode_all(bytes, 1).unwrap();
    let csv = CSV.as_bytes();
    for (what, content) in [
        ("gzip", gzip(csv)),
        ("zstd", zstd(csv)),
        ("zip, stored", zip(&[("리뷰.csv", csv)])),
        (
            "zip with macOS's files",
            zip(&[("__MACOSX/._a.csv", b"x"), ("folder/", b""), ("folder/a.csv", csv)]),
        ),
        ("gzip in zip", zip(&[("a.csv.gz", &gzip(csv))])),
        ("zstd in gzip", gzip(&zstd(csv))),
        ("zip in gzip", gzip(&zip(&[("a.csv", csv)]))),
    ] {
        for name in ["a.csv", "a.gz", "a.dat"] {
            assert_eq!(rows_of(name, &content), want(), "{what}, {name}");
        }
    }
    assert!(said("a.zip", &zip(&[("a.csv", csv), ("b.csv", csv)])).contains("zip archive of 2 files"));
    assert!(said("a.zip", &zip(&[])).contains("zip archive without a file"));
    let half = gzip(CSV.repeat(1_000).as_bytes());
    assert!(said("a.gz", &half[..half.len() / 2]).contains("gzip data breaks off"));
    let deep = (0..5).fold(csv.to_vec(), |bytes, _| gzip(&bytes));
    assert!(said("a.gz", &deep).contains("compressed more than three times"));
}

/// An archive of members that are stored.
fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in members {
        let offset = out.len() as u32;
        let mut common = vec![20, 0, 0, 8, 0, 0, 0, 0, 0, 0];
        common.extend([0; 4]);
        common.extend((content.len() as u32).to_le_bytes());
        common.extend((content.len() as u32).to_le_bytes());
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0, 0]);
        out.extend(b"PK\x03\x04");
        out.extend(&common);
        out.extend(name.as_bytes());
        out.extend(*content);
        directory.extend(b"PK\x01\x02\x14\0");
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (start, size, count) = (out.len() as u32, directory.len() as u32, members.len() as u16);
    out.extend(directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend([count.to_le_bytes(), count.to_le_bytes()].concat());
    out.extend([size.to_le_bytes(), start.to_le_bytes()].concat());
    out.extend([0, 0]);
    out
}

fn workbook(sheet: &str) -> Vec<u8> {
    zip(&[
        ("[Content_Types].xml", b"<Types/>"),
        (
            "xl/workbook.xml",
            "<workbook><sheets><sheet name=\"숨김\" state=\"hidden\" r:id=\"rId1\"/><sheet name=\"리뷰\" sheetId=\"2\" \
             r:id=\"rId2\"/></sheets></workbook>"
                .as_bytes(),
        ),
        (
            "xl/_rels/workbook.xml.rels",
            b"<Relationships><Relationship Id=\"rId1\" Target=\"worksheets/none.xml\"/><Relationship Id=\"rId2\" \
              Target=\"/xl/worksheets/sheet2.xml\"/></Relationships>",
        ),
        (
            "xl/sharedStrings.xml",
            "<sst><si><t>리뷰상세내용</t></si><si><r><t>배송이 빠르고, </t></r><r><t>좋아요</t></r><rPh><t>no</t></rPh></si>\
             <si><t>두 줄\n별로</t></si></sst>"
                .as_bytes(),
        ),
        ("xl/styles.xml", b"<styleSheet><cellXfs><xf numFmtId=\"0\"/><xf numFmtId=\"14\"/></cellXfs></styleSheet>"),
        ("xl/worksheets/sheet2.xml", sheet.as_bytes()),
    ])
}

#[test]
fn workbooks_are_read() {
    let sheet = "<worksheet><sheetData><row r=\"1\"><c r=\"A1\" t=\"inlineStr\"><is><t>상품 리뷰</t></is></c></row><row r=\"3\">\
                 <c r=\"A3\" t=\"str\"><v>구매자평점</v></c><c r=\"C3\" t=\"s\"><v>0</v></c><c r=\"D3\" t=\"inlineStr\"><is>\
                 <t>등록일</t></is></c></row><row r=\"4\"><c r=\"A4\"><v>5</v></c><c r=\"C4\" t=\"s\"><v>1</v></c><c r=\"D4\" s=\"1\">\
                 <v>45292</v></c></row><row r=\"5\"><c r=\"A5\" t=\"str\"><v>1점</v></c><c r=\"C5\" t=\"s\"><v>2</v></c></row>\
                 <row r=\"6\"><c r=\"A6\"/></row></sheetData></worksheet>";
    for name in ["a.xlsx", "a.csv", "a.xls"] {
        assert_eq!(rows_of(name, &workbook(sheet)), want(), "{name}");
    }
    let folder = TempDir::new().unwrap();
    let path = write(&folder, "a.xlsx", &workbook(sheet));
    let report = check(&path, &ColumnHints::default(), &two_labels()).unwrap();
    assert_eq!((report.recognized.header, report.rows), (Some(3), 2));
    let mut clean_rows = Vec::new();
    clean::<DataError>(
        &path,
        &ColumnHints::default(),
        &two_labels(),
        |own, others| {
            assert_eq!((own, others), (&["text", "rating"][..], &["등록일".to_owned()][..]));
            Ok(())
        },
        |row| {
            clean_rows.push((row.text.to_owned(), row.rating, row.others[0].as_str().to_owned()));
            Ok(())
        },
    )
    .unwrap();
    assert_eq!(clean_rows[0], ("배송이 빠르고, 좋아요".to_owned(), Some(5.0), "2024-01-01".to_owned()));
    // What is damaged, encrypted or no workbook is told.
    assert!(
        said("a.xlsx", &workbook("<worksheet><sheetData><row><c t=\"s\"><v>0</v></c>")).contains("no column")
    );
    assert!(
        said("a.docx", &zip(&[("[Content_Types].xml", b"x"), ("word/document.xml", b"x")]))
            .contains("no workbook")
    );
    let mut encrypted = vec![0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1];
    encrypted.extend("EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes));
    assert!(said("a.xlsx", &encrypted).contains("with a password"));
    assert!(
        said("a.xls", &[0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1, 0, 0])
            .contains("another program than Excel")
    );
}

/// Made by openpyxl and xlwt: a title, an empty row, numbers, dates, a comment that is a number.
#[test]
fn workbooks_of_other_programs_are_read() {
    for name in ["reviews.xlsx", "reviews.xls"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files").join(name);
        let (rows, counts) = labeled(&path, &ColumnHints::default()).unwrap();
        let last = [("12345".to_owned(), 1)];
        assert_eq!((rows, counts.left_out.total()), ([&want()[..], &last].concat(), 0), "{name}");
        let columns = ColumnHints::default().columns(&path, &two_labels()).unwrap();
        assert_eq!(
            columns.remarks.as_deref(),
            Some("the columns' names in line 3, comments in `리뷰상세내용`, stars in `구매자평점`"),
            "{name}"
        );
        let mut dates = Vec::new();
        let table = nunchi_data::Table::open(&path, None, []).unwrap();
        let place = table.place("리뷰등록일").unwrap();
        table
            .read::<DataError>(&[place], |_, row| {
                if let nunchi_data::Row::Cells(cells) = row {
                    dates.push(cells[0].as_str().to_owned());
                }
                Ok(())
            })
            .unwrap();
        assert_eq!(dates, ["2024-01-01", "2024-01-02", ""], "{name}");
    }
}

#[test]
fn json_is_read_in_every_layout() {
    let objects = [
        "{\"Text\": \"배송이 빠르고, 좋아요\", \"rating\": \"5점\"}",
        "{\"text\": \"두 줄\\n별로\", \"rating\": 1, \"deep\": [[{}]], \"x\": 1e999}",
    ];
    let pretty = objects.join("\n").replace('{', "{\n  ").replace(", \"", ",\n  \"").replace('}', "\n}");
    for (what, content) in [
        ("lines", objects.join("\n")),
        ("lines with blank ones", objects.join("\r\n\r\n")),
        ("array", format!("[{}]", objects.join(","))),
        ("pretty array", format!("\u{feff}[\n{}\n]\n", objects.join(",\n"))),
        ("pretty objects", pretty),
        ("marks", format!("\u{feff}{}\n\u{feff}{}", objects[0], objects[1])),
    ] {
        for name in ["a.json", "a.jsonl", "a.txt"] {
            assert_eq!(rows_of(name, content.as_bytes()), want(), "{what}, {name}: {content}");
        }
    }
    let broken = format!("[{},\n{{\"text\": oops}},\n{}", objects[0], objects[1]);
    assert!(
        said("a.json", broken.as_bytes()).contains("no whole JSON array"),
        "{}",
        said("a.json", broken.as_bytes())
    );
    let odd = format!("[{},\n{{\"text\": oops}},\n{}]", objects[0], objects[1]);
    assert!(said("a.json", odd.as_bytes()).contains("line 2: is not a JSON object"));
}

#[test]
fn a_name_twice_is_refused_with_both_places() {
    for (name, content) in [
        ("a.csv", "id,text,label,Text \n1,a,1,b\n"),
        ("a.tsv", "id\tlabel\ttext\t\tlabel\n1\t1\ta\t\t0\n"),
        ("a.html", "<table><tr><th>내용<th>평점<th>내용<tr><td>a<td>5<td>b</table>"),
    ] {
        let said = said(name, content.as_bytes());
        assert!(
            said.contains("two columns of the same name") && said.contains("is column 2 and column 4")
                || said.contains("is column 2 and column 5")
                || said.contains("`내용` is column 1 and column 3"),
            "{said}"
        );
    }
}

#[test]
fn scales_are_told_or_refused_with_what_was_seen() {
    let folder = TempDir::new().unwrap();
    let path = write(&folder, "a.csv", "내용,평점\na,10\nb,2\nc,8점\nd,5\ne,1\n".as_bytes());
    let error = labeled(&path, &ColumnHints::default()).unwrap_err().to_string();
    for part in ["2 of 5 rows", "line 2", "line 4", "--stars-scale", "values seen: 1, 2, 5, 8점, 10"] {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
    let ten = ColumnHints { scale: Some(10.0), ..ColumnHints::default() };
    let (rows, counts) = labeled(&path, &ten).unwrap();
    let rows: Vec<(&str, usize)> = rows.iter().map(|(text, class)| (text.as_str(), *class)).collect();
    assert_eq!((rows, counts.dropped), (vec![("a", 1), ("b", 0), ("c", 1), ("e", 0)], 1));
    let report = check(&path, &ColumnHints::default(), &two_labels()).unwrap();
    assert_eq!((report.scale, report.labels["positive"], report.labels["negative"]), (Some(10.0), 2, 2));
}

#[test]
fn hostile_files_end_with_a_message() {
    let gzip = |content: &mut dyn std::io::Read| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::copy(content, &mut encoder).unwrap();
        encoder.finish().unwrap()
    };
    use std::io::Read as _;
    let zeros = gzip(&mut std::io::repeat(0).take(1 << 30));
    assert!(said("a.csv.gz", &zeros).contains("is no text"));
    let one_line = gzip(&mut std::io::repeat(b'x').take(1 << 28));
    assert!(said("a.csv.gz", &one_line).contains("longer than 16 MiB"));
    let columns = format!("text,label{}\na,1\n", ",c".repeat(1_000_000));
    assert!(
        said("a.csv", columns.as_bytes()).contains("more than 16384 columns"),
        "{}",
        said("a.csv", columns.as_bytes())
    );
    let fields: Vec<String> = (0..100_000).map(|n| format!("\"f{n}\":1")).collect();
    assert!(said("a.jsonl", format!("{{{}}}\n", fields.join(",")).as_bytes()).contains("different fields"));
    let deep = format!("[{}", "[".repeat(1 << 20));
    assert!(said("a.json", deep.as_bytes()).contains("no whole JSON array"));
    let far = "<worksheet><row r=\"1048576\"><c r=\"XFD1048576\"><v>1</v></c><c r=\"ZZZZ1\"><v>1</v></c></row></worksheet>";
    assert!(said("a.xlsx", &workbook(far)).contains("larger than what is read"));
}
