//! What buyers did not write changes no verdict: each kind of noise is put on every sample comment, and the model that ships
//! gives the same label as without it, but for 1 % of them.
//!
//! `NUNCHI_NOISE_DATA=FILE.tsv` (a column `text`) measures other comments and prints the table:
//! `NUNCHI_NOISE_DATA=reviews.tsv cargo test --release --test noise -- --nocapture`.

#![allow(clippy::unwrap_used)] // Outside of `#[test]` too a failure fails the test.

use nunchi::samples;
use nunchi_engine::{Engine, LoadedModel};
use std::sync::Arc;

/// A kind of noise.
struct Noise {
    name: &'static str,
    add: fn(&str) -> String,
}

const fn noise(name: &'static str, add: fn(&str) -> String) -> Noise {
    Noise { name, add }
}

fn every(text: &str, write: impl Fn(char) -> String) -> String {
    text.chars().map(write).collect()
}

const ORIGIN: &str = "(2024-01-02 12:34:56 에 등록된 네이버 페이 구매평)";
const STYLE: &str = "style=\"color: rgb(51, 51, 51); font-size: 14px;\"";

/// What may change at most 1 % of the labels.
const KINDS: [Noise; 50] = [
    noise("<br> at the end", |text| format!("{text}<br>")),
    noise("spaces as <br/>", |text| text.replace(' ', "<br/>")),
    noise("spaces as <BR />", |text| text.replace(' ', " <BR /> ")),
    noise("spaces as &nbsp;", |text| text.replace(' ', "&nbsp;")),
    noise("in <p>", |text| format!("<p>{text}</p>")),
    noise("in <span style>", |text| format!("<span {STYLE}>{text}</span>")),
    noise("in <div><font>", |text| format!("<div class='a'><font color=red>{text}</font></div>")),
    noise("in an escaped <p>", |text| format!("&lt;p&gt;{text}&lt;/p&gt;")),
    noise("in a <p> escaped twice", |text| format!("&amp;lt;p&amp;gt;{text}&amp;lt;/p&amp;gt;")),
    noise("in an escaped <span style>", |text| {
        format!("&lt;span {}&gt;{text}&lt;/span&gt;", STYLE.replace('"', "&quot;"))
    }),
    noise("a tag that is cut off", |text| format!("{text}<span style=\"col")),
    noise("a comment of HTML", |text| format!("<!-- SE3-TEXT -->{text}<!-- end -->")),
    noise("decimal entities", |text| every(text, |c| format!("&#{};", c as u32))),
    noise("hexadecimal entities", |text| every(text, |c| format!("&#x{:X};", c as u32))),
    noise("entities of punctuation", |text| {
        every(
            text,
            |c| if c.is_alphanumeric() || c == ' ' { c.to_string() } else { format!("&#{};", c as u32) },
        )
    }),
    noise("spaces as \\n", |text| text.replace(' ', "\\n")),
    noise("spaces as \\r\\n", |text| text.replace(' ', "\\r\\n")),
    noise("\\r\\n at the end", |text| format!("{text}\\r\\n")),
    noise("JSON escapes", |text| {
        every(text, |c| {
            if c.is_ascii() {
                c.to_string()
            } else {
                c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect()
            }
        })
    }),
    noise("real line ends", |text| text.replace(' ', "\r\n")),
    noise("zero-width spaces", |text| every(text, |c| format!("{c}\u{200b}"))),
    noise("masked name", |text| format!("k***님 {text}")),
    noise("masked name without a title", |text| format!("abcd**** {text}")),
    noise("masked Korean name", |text| format!("김*수님 {text}")),
    noise("[포토리뷰]", |text| format!("[포토리뷰] {text}")),
    noise("[포토 리뷰] at the end", |text| format!("{text} [포토 리뷰]")),
    noise("[한달사용기]", |text| format!("[한달사용기] {text}")),
    noise("[체험단]", |text| format!("[체험단] {text}")),
    noise("재구매", |text| format!("재구매 {text}")),
    noise("【베스트 리뷰】", |text| format!("【베스트 리뷰】{text}")),
    noise("an origin", |text| format!("{ORIGIN} {text}")),
    noise("an origin at the end", |text| format!("{text} {ORIGIN}")),
    noise("📦", |text| format!("{text} 📦")),
    noise("📦 in front", |text| format!("📦{text}")),
    noise("spaces as 📦", |text| text.replace(' ', "📦")),
    noise("🧡", |text| format!("{text} 🧡")),
    noise("🧡 in front", |text| format!("🧡 {text}")),
    noise("a family", |text| format!("{text} 👨\u{200d}👩\u{200d}👧")),
    noise("a flag", |text| format!("{text} 🇰🇷")),
    noise("a flag of tags", |text| {
        format!("{text} 🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}")
    }),
    noise("a keycap", |text| format!("1️⃣ {text}")),
    noise("a keycap at the end", |text| format!("{text} 5\u{fe0f}\u{20e3}")),
    noise("an address", |text| format!("{text} https://smartstore.naver.com/abc/products/123?x=1&y=%20")),
    noise("an address in front", |text| format!("https://naver.me/5xYz {text}")),
    noise("www.", |text| format!("{text} www.example.co.kr/a")),
    noise("<img>", |text| format!("<img src=\"https://a.example/b.jpg\" alt=\"리뷰 사진\"> {text}")),
    noise("[사진]", |text| format!("[사진 2장] {text}")),
    noise("![…](…)", |text| format!("{text} ![사진](https://a.example/b.jpg)")),
    noise("no spaces", |text| text.replace(' ', "")),
    noise("spaces everywhere", |text| every(text, |c| format!("{c} "))),
];

/// Where no rule can find the end: measured, and not held to a bound.
const MEASURED: [Noise; 2] = [
    noise("an option in front", |text| format!("옵션: 블랙/L {text}")),
    noise("an option and a size", |text| format!("색상: 아이보리 / 사이즈: 105(XL) {text}")),
];

fn engine() -> Engine {
    Engine::new(Arc::new(LoadedModel::new(nunchi::registry::shipped().unwrap(), None).unwrap()))
}

fn labels(engine: &mut Engine, texts: &[String]) -> Vec<usize> {
    let views: Vec<&str> = texts.iter().map(String::as_str).collect();
    engine.classify(&views).unwrap().iter().map(|prediction| prediction.label).collect()
}

fn comments() -> Vec<String> {
    match std::env::var_os("NUNCHI_NOISE_DATA") {
        Some(file) => {
            let content = std::fs::read_to_string(file).unwrap();
            let mut lines = content.lines();
            let column = lines.next().unwrap().split('\t').position(|name| name == "text").unwrap();
            lines.map(|line| line.split('\t').nth(column).unwrap().to_owned()).collect()
        }
        None => samples::comments().into_iter().map(|comment| comment.text).collect(),
    }
}

#[test]
fn what_buyers_did_not_write_changes_no_verdict() {
    let (mut engine, comments) = (engine(), comments());
    let before = labels(&mut engine, &comments);
    let mut share = |noise: &Noise| {
        let noisy: Vec<String> = comments.iter().map(|text| (noise.add)(text)).collect();
        let after = labels(&mut engine, &noisy);
        let changed = before.iter().zip(&after).filter(|(before, after)| before != after).count();
        let share = changed as f64 / comments.len() as f64;
        println!("{:5.1} %  {}", 100.0 * share, noise.name);
        share
    };
    let bad: Vec<&str> = KINDS.iter().filter(|noise| share(noise) > 0.01).map(|noise| noise.name).collect();
    MEASURED.iter().for_each(|noise| {
        share(noise);
    });
    assert!(bad.is_empty(), "more than 1 % of the labels change by: {bad:?}");
}

#[test]
fn an_emoji_says_what_its_class_says() {
    let (mut engine, comments) = (engine(), comments());
    for (emoji, class) in
        [("👍🏽", "👍"), ("💖", "♥"), ("🤬", "😡"), ("🙌", "👍"), ("😭", "ㅠㅠ"), ("🥰", "😊"), ("❤️", "❤")]
    {
        let with = |sign: &str| comments.iter().map(|text| format!("{text} {sign}")).collect::<Vec<_>>();
        assert_eq!(labels(&mut engine, &with(emoji)), labels(&mut engine, &with(class)), "{emoji}");
    }
    // Alone: a heart is positive, a box says nothing, and nothing at all is still one token.
    let alone = engine.classify(&["🧡", "📦", "https://example.com", "", "🇰🇷"]).unwrap();
    assert!(alone[0].score > 0.9, "{}", alone[0].score);
    assert!((alone[1].score - 0.5).abs() < 0.1 && alone[4].score == alone[1].score);
    assert!(alone.iter().all(|prediction| prediction.tokens >= 1));
}

/// A verdict at the end of a long comment is read.
#[test]
fn long_comments_are_read_to_the_end() {
    let mut engine = engine();
    let story = "주문은 지난주 화요일에 했고 상자는 금요일 저녁에 도착했습니다. ".repeat(30);
    let texts =
        [format!("{story}정말 최고예요. 강력 추천합니다!"), format!("{story}최악입니다. 절대 사지 마세요.")];
    let verdicts = engine.classify(&[&texts[0], &texts[1]]).unwrap();
    assert!(verdicts.iter().all(|verdict| !verdict.truncated && verdict.tokens > 300));
    assert!(
        verdicts[0].score > 0.5 && verdicts[1].score < 0.5,
        "{} {}",
        verdicts[0].score,
        verdicts[1].score
    );
}
