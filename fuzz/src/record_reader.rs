//! Any bytes as the value of a record.
//!
//! - The reader agrees with `serde_json`: the same values are comments, with the same text, id and fields.
//! - What is refused has the right class, and a message from a finite list: it cannot quote the value, since comments
//!   must not get into headers and logs.
//! - The verdict of a comment is JSON, and returns its id and fields.

use crate::message;
use nunchi::config::{Config, InputFormat, TextFields};
use nunchi::record::{Comment, DeadLetter, DeadLetterClass, Reader, Verdict};
use nunchi_engine::Prediction;
use serde_json::Value;

/// `input.max_bytes` here: small, so that the fuzzer also tries larger values.
const MAX_BYTES: usize = 4_096;

/// What a message may say, but for its numbers and places.
const MESSAGES: [&str; 10] = [
    "the value has N bytes, more than the N of input.max_bytes",
    "the value is not UTF-N: invalid utf-N sequence of N bytes from index N",
    "the value is not UTF-N: incomplete utf-N byte sequence from index N",
    "the value begins with a zero byte, the magic byte of a schema registry's format, and four bytes of a schema id; \
     input.format = \"json\" reads plain JSON",
    "the object has no field `text`",
    "the field `text` is null, not a string",
    "the field `text` is a boolean, not a string",
    "the field `text` is a number, not a string",
    "the field `text` is an array, not a string",
    "the field `text` is an object, not a string",
];

/// What the end of a message about JSON may say, but for the place.
const JSON_FAULTS: [&str; 30] = [
    "-Infinity is no JSON value,",
    "False is no JSON value,",
    "Infinity is no JSON value,",
    "NaN is no JSON value,",
    "None is no JSON value,",
    "True is no JSON value,",
    "control character (\\uN-\\uNF) found while parsing a string",
    "expected `,` or `]`",
    "expected `,` or `}`",
    "expected `:`",
    "expected ident",
    "expected value",
    "invalid escape",
    "invalid number",
    "invalid syntax",
    "invalid unicode code point",
    "it breaks off",
    "it is a boolean",
    "it is a number",
    "it is a string (was JSON encoded twice?)",
    "it is an array",
    "it is an object that cannot be read",
    "it is null",
    "key must be a string",
    "number out of range",
    "recursion limit exceeded",
    "there is nothing",
    "trailing characters",
    "trailing comma",
    "undefined is no JSON value,",
];

/// Reads `data` as a record's value, in every format.
pub fn run(data: &[u8]) {
    let mut config = Config::default();
    config.input.max_bytes = MAX_BYTES;
    check(&config, data);
    config.output.echo = ["rating", "text", "id", "no such field"].map(str::to_owned).to_vec();
    check(&config, data);
    config.input.format = InputFormat::Text;
    check(&config, data);
    config.input.format = InputFormat::RawJson;
    for names in [&["payload.after.text"][..], &["text", "items.0.text"]] {
        config.input.text_field = TextFields(names.iter().map(|name| (*name).to_owned()).collect());
        if let Err(dead_letter) = Reader::new(&config).read_change(data) {
            message::check(&dead_letter.message);
            without_names(&dead_letter.message, data);
        }
    }
}

/// `message` without the names of fields that are there; each is one of `data` and cannot be a part of a comment.
fn without_names<'m>(message: &'m str, data: &[u8]) -> &'m str {
    let Some((before, names)) = message.split_once("; there are ") else { return message };
    let names: Vec<&str> = names.split(", ").collect();
    assert!(names.len() <= 5, "too many names: {message}");
    for name in names {
        for segment in name.split('.') {
            assert!(segment.len() <= 32, "a long name: {message}");
            assert!(
                segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'),
                "a strange name: {message}"
            );
        }
        // A name may be written with escapes.
        let last = name.rsplit('.').next().unwrap_or(name).as_bytes();
        let is_there = data.windows(last.len().max(1)).any(|window| window == last);
        assert!(
            is_there || data.contains(&b'\\') || last.iter().all(u8::is_ascii_digit),
            "no such name: {message}"
        );
    }
    before
}

fn check(config: &Config, data: &[u8]) {
    match Reader::new(config).read(data) {
        Ok(comment) => accepted(config, data, &comment),
        Err(dead_letter) => refused(config, data, &dead_letter),
    }
}

fn accepted(config: &Config, data: &[u8], comment: &Comment<'_>) {
    assert!(data.len() <= MAX_BYTES);
    let echo = &config.output.echo;
    assert_eq!(comment.fields.len(), echo.len());
    if config.input.format == InputFormat::Text {
        assert_eq!((comment.text.as_bytes(), comment.id), (data, None));
        return;
    }
    // `serde_json` refuses some of what the reader only passes on: numbers out of range, deep nesting, half surrogates.
    let Some(value) = parsed(data) else { return };
    assert_eq!(value["text"].as_str(), Some(comment.text.as_ref()));
    let id = value.get("id").filter(|id| id.is_string() || id.is_number());
    assert_eq!(comment.id.map(json), id.cloned(), "the id is the one that came");

    let labels = ["negative", "positive"].map(str::to_owned);
    let prediction = Prediction::of_two(0.75);
    let verdict = Verdict { id: comment.id, prediction: &prediction, labels: &labels, model: "0123456789ab" };
    let mut written = Vec::new();
    verdict.write(echo, &comment.fields, &mut written);
    let written: Value = serde_json::from_slice(&written).expect("a verdict is JSON");
    assert_eq!(written["id"], id.cloned().unwrap_or(Value::Null));
    assert_eq!((&written["label"], &written["score"]), (&"positive".into(), &0.75.into()));
    for name in echo {
        assert_eq!(written["fields"].get(name), value.get(name), "`{name}` is repeated as it came");
    }
}

fn refused(config: &Config, data: &[u8], dead_letter: &DeadLetter) {
    message::check(&dead_letter.message);
    let message = without_numbers(without_names(&dead_letter.message, data));
    match message.strip_prefix("the value is not a JSON object: ") {
        Some(why) => {
            let fault = why.strip_suffix(" at line N, column N").unwrap_or(why);
            assert!(JSON_FAULTS.contains(&fault), "a new message: {:?}", dead_letter.message);
        }
        None => assert!(MESSAGES.contains(&message.as_str()), "a new message: {:?}", dead_letter.message),
    }

    let right = match parsed(data) {
        _ if data.len() > MAX_BYTES => Some(DeadLetterClass::Oversize),
        _ if dead_letter.message.contains("magic byte") => {
            assert!(data.len() > 5 && data[0] == 0, "only what begins with a magic byte and an id");
            Some(DeadLetterClass::InvalidJson)
        }
        _ if std::str::from_utf8(data).is_err() => Some(DeadLetterClass::InvalidUtf8),
        _ if config.input.format == InputFormat::Text => panic!("every text is a comment"),
        Some(value) if !value.is_object() => Some(DeadLetterClass::InvalidJson),
        Some(value) => match value.get("text") {
            None => Some(DeadLetterClass::MissingText),
            Some(text) if text.is_string() => panic!("a comment was refused: {}", dead_letter.message),
            Some(_) => Some(DeadLetterClass::TextNotString),
        },
        // Not JSON, or JSON that only `serde_json` refuses, see above.
        None => None,
    };
    assert!(
        right.is_none_or(|right| dead_letter.class == right),
        "{:?}: {}",
        dead_letter.class,
        dead_letter.message
    );
}

/// The JSON value, if `serde_json` takes it.
fn parsed(data: &[u8]) -> Option<Value> {
    // `Value` reads an object with the key `$serde_json::private::RawValue` in a way of its own; a key may hold escapes.
    let special = |what: &[u8]| data.windows(what.len()).any(|window| window == what);
    if special(b"$serde_json") || special(b"\\u0024") {
        return None;
    }
    serde_json::from_slice(data).ok()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("an id is JSON")
}

/// `text` with `N` for each run of digits.
fn without_numbers(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if !c.is_ascii_digit() {
            out.push(c);
        } else if !out.ends_with('N') {
            out.push('N');
        }
    }
    out
}
