//! JSON that others write: what is wrong with it, in words that never hold a part of it, and half characters.

use serde_json::error::Category;
use std::borrow::Cow;

/// Words that writers take for JSON values and that are none (RFC 8259 has neither not-a-number nor infinities).
const NO_VALUES: [&str; 7] = ["NaN", "-Infinity", "Infinity", "undefined", "None", "True", "False"];

/// What is wrong with `text`, in which `serde_json` found `error` while it looked for an object: a kind with line and
/// column, counted from 1 in bytes. Never a part of the text: serde's own message holds the whole value where it is of
/// another type ("invalid type: string …").
pub fn json_fault(text: &str, error: &serde_json::Error) -> String {
    let (line, column) = (error.line(), error.column());
    let at = |what: &str| format!("{what} at line {line}, column {column}");
    match error.classify() {
        Category::Data => of_another_type(text),
        Category::Eof if text.trim().is_empty() => "there is nothing".to_owned(),
        Category::Eof => at("it breaks off"),
        Category::Syntax | Category::Io => match no_value(text, line, column) {
            Some(word) => at(&format!("{word} is no JSON value,")),
            None => at(syntax(&error.to_string())),
        },
    }
}

/// The kind of a value that is no object.
fn of_another_type(text: &str) -> String {
    let kind = match text.trim_start().as_bytes().first() {
        Some(b'"') => "a string (was JSON encoded twice?)",
        Some(b'[') => "an array",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        Some(b'{') => "an object that cannot be read",
        _ => "a number",
    };
    format!("it is {kind}")
}

/// The word at a place that stands where a value should, if it is one of those that writers mistake for one.
fn no_value(text: &str, line: usize, column: usize) -> Option<&'static str> {
    let start = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum::<usize>();
    // The column is that of the first byte that does not fit, or of the one before it.
    let from = start + column.saturating_sub(3);
    let near = text.as_bytes().get(from..(from + 4).min(text.len()))?;
    (0..near.len()).find_map(|skipped| {
        let rest = text.as_bytes().get(from + skipped..)?;
        NO_VALUES.into_iter().find(|word| rest.starts_with(word.as_bytes()))
    })
}

/// One of serde's messages about syntax, without its position. They are constants today; what is not known here is not
/// passed on, so that no later version can put a part of the text there.
fn syntax(message: &str) -> &'static str {
    const KNOWN: [&str; 14] = [
        "expected value",
        "expected ident",
        "expected `:`",
        "expected `,` or `}`",
        "expected `,` or `]`",
        "invalid escape",
        "invalid number",
        "invalid unicode code point",
        "control character (\\u0000-\\u001F) found while parsing a string",
        "key must be a string",
        "trailing comma",
        "trailing characters",
        "recursion limit exceeded",
        "number out of range",
    ];
    KNOWN.into_iter().find(|known| message.starts_with(known)).unwrap_or("invalid syntax")
}

/// `json` with U+FFFD for each half of a surrogate pair whose other half is missing (`"\ud83d"`: half an emoji, as programs
/// write that cut UTF-16). Rust's strings cannot hold it, RFC 8259 allows it, and strict readers refuse it. Borrowed where
/// there is none.
pub fn without_lone_surrogates(json: &str) -> Cow<'_, str> {
    let mut fixed = String::new();
    let (mut kept, mut at) = (0, 0);
    while let Some(found) = json[at..].find('\\') {
        let escape = at + found;
        let unit = |from: usize| {
            let digits = json.get(from..from + 6)?.strip_prefix("\\u")?;
            u16::from_str_radix(digits, 16)
                .ok()
                .filter(|_| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
        };
        at = match unit(escape) {
            Some(0xd800..=0xdbff) if matches!(unit(escape + 6), Some(0xdc00..=0xdfff)) => escape + 12,
            Some(0xd800..=0xdfff) => {
                fixed.push_str(&json[kept..escape]);
                fixed.push_str("\\ufffd");
                kept = escape + 6;
                kept
            }
            Some(_) => escape + 6,
            // Two bytes, unless the text ends here or goes on with a character of several.
            None => (escape + 2..=json.len()).find(|&end| json.is_char_boundary(end)).unwrap_or(json.len()),
        };
    }
    if kept == 0 {
        return Cow::Borrowed(json);
    }
    fixed.push_str(&json[kept..]);
    Cow::Owned(fixed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Map, Value};

    fn fault(text: &str) -> String {
        json_fault(text, &serde_json::from_str::<Map<String, Value>>(text).unwrap_err())
    }

    #[test]
    fn faults_are_told_by_kind_line_and_column() {
        assert_eq!(fault(r#""a whole comment as a string""#), "it is a string (was JSON encoded twice?)");
        assert_eq!(fault("[1]"), "it is an array");
        assert_eq!(fault(" null"), "it is null");
        assert_eq!(fault("-7"), "it is a number");
        assert_eq!(fault(""), "there is nothing");
        assert_eq!(fault("{\"text\":\n \"좋아"), "it breaks off at line 2, column 8");
        assert_eq!(fault("{\"a\": 1,}"), "trailing comma at line 1, column 9");
        assert_eq!(fault(r#"{"a": "\q"}"#), "invalid escape at line 1, column 9");
        assert_eq!(fault("comment"), "expected value at line 1, column 1");
    }

    #[test]
    fn words_that_are_no_values_are_named() {
        for (word, column) in [("NaN", 13), ("Infinity", 13), ("-Infinity", 14), ("None", 13), ("True", 13)] {
            let text = format!("{{\n \"rating\": {word}, \"text\": \"x\"}}");
            let told = fault(&text);
            assert!(told.starts_with(&format!("{word} is no JSON value, at line 2, column 1")), "{told}");
            let one_line = fault(&format!("{{\"rating\":{word}}}"));
            assert!(one_line.starts_with(&format!("{word} is no JSON value")), "{column} {one_line}");
        }
    }

    #[test]
    fn half_characters_are_replaced_and_whole_ones_stay() {
        for (json, fixed) in [
            (r#""\ud83d""#, r#""\ufffd""#),
            (r#""\ude00 \ud83d\ud83d\ude00""#, r#""\ufffd \ufffd\ud83d\ude00""#),
            (r#""\\ud83d""#, r#""\\ud83d""#),
            (r#""\ud83dA""#, r#""\ufffdA""#),
            (r#"{"a":["\uD800",1]}"#, r#"{"a":["\ufffd",1]}"#),
            (r#""\ud83d\n좋""#, r#""\ufffd\n좋""#),
            (r#""\u+123 \ud8""#, r#""\u+123 \ud8""#),
            ("\\좋", "\\좋"),
            ("\\", "\\"),
            ("plain", "plain"),
        ] {
            assert_eq!(without_lone_surrogates(json), fixed, "{json}");
        }
        assert!(matches!(without_lone_surrogates(r#""\ud83d\ude00""#), Cow::Borrowed(_)));
    }
}
