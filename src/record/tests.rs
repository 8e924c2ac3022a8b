use super::*;
use crate::config::{Config, InputFormat};
use nunchi_engine::Prediction;
use nunchi_engine::score::WrittenScore;
use proptest::prelude::*;
use serde_json::Value;
use std::borrow::Cow;

fn text_field(names: &[&str]) -> crate::config::TextFields {
    crate::config::TextFields(names.iter().map(|name| (*name).to_owned()).collect())
}

/// A reader of texts at these paths, ids at `after.id` and echoed `meta.tags.1`.
fn paths(names: &[&str]) -> Reader {
    let mut config = Config::default();
    config.input.text_field = text_field(names);
    config.input.id_field = "payload.after.id".into();
    config.output.echo = vec!["meta.tags.1".to_owned()];
    Reader::new(&config)
}

fn reader() -> Reader {
    Reader::new(&Config::default())
}

fn class(value: &[u8]) -> DeadLetterClass {
    reader().read(value).expect_err("a dead letter").class
}

fn prediction(score: f32) -> Prediction {
    Prediction { tokens: 1, ..Prediction::of_two(score) }
}

fn labels() -> Vec<String> {
    vec!["negative".into(), "positive".into()]
}

fn written(id: Option<&str>, prediction: &Prediction) -> Value {
    let mut out = Vec::new();
    Verdict { id, prediction, labels: &labels(), model: "0123456789ab" }.write(&[], &[], &mut out);
    serde_json::from_slice(&out).unwrap()
}

#[test]
fn a_comment_is_borrowed_from_the_record() {
    let value = r#"{"id": "리뷰-1", "text": "배송이 빨라요", "rating": 5}"#;
    let comment = reader().read(value.as_bytes()).unwrap();
    assert!(matches!(comment.text, Cow::Borrowed("배송이 빨라요")));
    assert_eq!(comment.id, Some("\"리뷰-1\""));
}

#[test]
fn ids_come_back_exactly_as_they_came() {
    for id in [
        "\"a\\u0062\\n\"",
        "1",
        "-7",
        "1.50",
        "1e400",
        "123456789012345678901234567890",
        "\"\"",
        "\"\\ud83d\\ude00\"",
    ] {
        let value = format!(r#"{{"text":"x","id":{id}}}"#);
        let comment = reader().read(value.as_bytes()).unwrap();
        assert_eq!(comment.id, Some(id));
        let mut out = Vec::new();
        Verdict { id: comment.id, prediction: &prediction(0.9), labels: &labels(), model: "m" }.write(
            &[],
            &[],
            &mut out,
        );
        assert!(String::from_utf8(out).unwrap().starts_with(&format!("{{\"id\":{id},")));
    }
}

#[test]
fn an_id_of_another_type_is_null_and_no_poison() {
    for id in ["null", "true", "[1]", "{\"a\":1}"] {
        let value = format!(r#"{{"id":{id},"text":"x"}}"#);
        assert_eq!(reader().read(value.as_bytes()).unwrap().id, None, "{id}");
    }
    assert_eq!(written(None, &prediction(0.1))["id"], Value::Null);
}

#[test]
fn optional_fields_of_wrong_types_do_not_poison() {
    let value = r#"{"text":"좋아요","rating":"five","created_at":[],"product_id":{"x":null}}"#;
    assert_eq!(reader().read(value.as_bytes()).unwrap().text, "좋아요");
}

#[test]
fn every_class_of_dead_letter() {
    assert_eq!(class(b"\xff{"), DeadLetterClass::InvalidUtf8);
    for broken in ["", "{", "[]", "\"text\"", "1", "null", "{\"text\":\"x\"} x", "{\"text\":\"x\",}"] {
        assert_eq!(class(broken.as_bytes()), DeadLetterClass::InvalidJson, "{broken}");
    }
    assert_eq!(class(br#"{"id":1}"#), DeadLetterClass::MissingText);
    for other in ["null", "1", "-1", "1.5", "true", "[\"x\"]", "{\"text\":\"x\"}"] {
        let value = format!(r#"{{"text":{other}}}"#);
        assert_eq!(class(value.as_bytes()), DeadLetterClass::TextNotString, "{other}");
    }
    assert_eq!(class(&vec![b' '; 900_001]), DeadLetterClass::Oversize);
}

#[test]
fn messages_name_the_field_and_the_error() {
    let message = |value: &[u8]| reader().read(value).unwrap_err().message;
    assert_eq!(message(br#"{"id":1}"#), "the object has no field `text`; there are id");
    assert_eq!(message(br#"{"text":[]}"#), "the field `text` is an array, not a string");
    assert_eq!(message(b"[1]"), "the value is not a JSON object: it is an array");
    let twice = message(br#""{\"text\":\"a secret\"}""#);
    assert_eq!(twice, "the value is not a JSON object: it is a string (was JSON encoded twice?)");
    let not_a_number = message(b"{\"text\":\"x\",\n \"rating\": NaN}");
    assert_eq!(not_a_number, "the value is not a JSON object: NaN is no JSON value, at line 2, column 12");
    for framed in [&b"\0\0\0\0\x07{\"text\":\"x\"}"[..], b"\0\xff\xff\xff\xff {}"] {
        assert!(message(framed).contains("magic byte"), "{}", message(framed));
    }
    let mut config = Config::default();
    config.input.text_field = text_field(&["본문".repeat(200).as_str()]);
    let long = Reader::new(&config).read(b"{}").unwrap_err();
    assert_eq!((long.class, long.message.chars().count()), (DeadLetterClass::MissingText, 200));
}

#[test]
fn half_an_emoji_is_a_replacement_character_wherever_it_stands() {
    let mut config = Config::default();
    config.output.echo = vec!["note".to_owned()];
    let reader = Reader::new(&config);
    let value = r#"{"id":"\ud83d","a\ude00":1,"note":["\uD83D\ude00\ud83d"],"text":"좋\n\ud83d!"}"#;
    let comment = reader.read(value.as_bytes()).unwrap();
    assert_eq!(comment.text, "좋\n\u{fffd}!");
    let mut out = Vec::new();
    Verdict { id: comment.id, prediction: &prediction(0.75), labels: &labels(), model: "m" }.write(
        reader.echo(),
        &comment.fields,
        &mut out,
    );
    let verdict: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!((&verdict["id"], &verdict["fields"]["note"][0]), (&"\u{fffd}".into(), &"😀\u{fffd}".into()));
}

#[test]
fn a_byte_order_mark_before_json_is_passed_over() {
    let value = "\u{feff}{\"text\":\"좋아요\"}";
    assert_eq!(reader().read(value.as_bytes()).unwrap().text, "좋아요");
}

#[test]
fn field_names_are_settings_and_may_be_escaped() {
    let mut config = Config::default();
    config.input.text_field = text_field(&["본문"]);
    config.input.id_field = "no".into();
    let reader = Reader::new(&config);
    let comment = reader.read(r#"{"text":1,"\ubcf8문":"좋\u0020다","n\u006f":3}"#.as_bytes()).unwrap();
    assert_eq!((comment.text.as_ref(), comment.id), ("좋 다", Some("3")));
}

#[test]
fn the_whole_value_is_the_comment_in_text_format() {
    let mut config = Config::default();
    config.input.format = InputFormat::Text;
    let reader = Reader::new(&config);
    assert_eq!(reader.read("{\"text\":".as_bytes()).unwrap().text, "{\"text\":");
    assert_eq!(reader.read(b"").unwrap().text, "");
    assert_eq!(reader.read(b"\xc3").unwrap_err().class, DeadLetterClass::InvalidUtf8);
}

#[test]
fn echoed_fields_come_back_under_fields() {
    let mut config = Config::default();
    config.output.echo = ["rating", "absent", "text", "id"].map(String::from).to_vec();
    let reader = Reader::new(&config);
    let comment = reader.read(br#"{"id":"a","rating": [1, 2.0],"text":"b\n"}"#).unwrap();
    assert_eq!((comment.text.as_ref(), comment.id), ("b\n", Some("\"a\"")));
    let mut out = Vec::new();
    Verdict { id: comment.id, prediction: &prediction(0.75), labels: &labels(), model: "m" }.write(
        reader.echo(),
        &comment.fields,
        &mut out,
    );
    assert_eq!(
        String::from_utf8(out).unwrap(),
        r#"{"id":"a","label":"positive","score":0.750000,"model":"m","fields":{"rating":[1, 2.0],"text":"b\n","id":"a"}}"#
    );
}

#[test]
fn the_label_follows_from_the_written_score() {
    assert_eq!(written(None, &prediction(0.499_999_6))["label"], "positive");
    assert_eq!(written(None, &prediction(0.499_999_4))["label"], "negative");
    assert_eq!(written(None, &prediction(0.0))["score"], 0.0);
    assert_eq!(written(None, &prediction(1.0))["score"], 1.0);
}

#[test]
fn several_classes_are_all_written() {
    let labels: Vec<String> = ["나쁨", "보통", "좋음"].map(String::from).to_vec();
    let prediction = Prediction {
        label: 1,
        score: 0.5,
        scores: vec![0.25, 0.5, 0.25],
        truncated: true,
        ..Prediction::default()
    };
    let mut out = Vec::new();
    Verdict { id: None, prediction: &prediction, labels: &labels, model: "m" }.write(&[], &[], &mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        r#"{"id":null,"label":"보통","score":0.500000,"scores":{"나쁨":0.250000,"보통":0.500000,"좋음":0.250000},"model":"m","truncated":true}"#
    );
}

#[test]
fn fields_are_found_by_path() {
    let reader = paths(&["payload.after.text"]);
    let value = r#"{"schema":{"type":"struct"},"payload":{"before":null,"after":{"id":7,"text":"좋\u0020다"},"op":"c"},
        "meta":{"tags":["a",{"b":[1]}]}}"#;
    let comment = reader.read(value.as_bytes()).unwrap();
    assert_eq!((comment.text.as_ref(), comment.id), ("좋 다", Some("7")));
    assert_eq!(comment.fields, [Some(r#"{"b":[1]}"#)]);
    // A field of exactly that name wins, and of two of one name the last.
    let value = r#"{"payload":{"after":{"text":"a"}},"payload.after.text":"b"}"#;
    assert_eq!(reader.read(value.as_bytes()).unwrap().text, "b");
    let value = r#"{"payload":{"after":{"text":"a","te\u0078t":"c"}}}"#;
    assert_eq!(reader.read(value.as_bytes()).unwrap().text, "c");
    // By the number of an element, also in the middle.
    let reader = paths(&["items.1.text"]);
    let value = r#"{"items":[{"text":"first"},{"text":"second"}]}"#;
    assert_eq!(reader.read(value.as_bytes()).unwrap().text, "second");
    assert_eq!(reader.read(br#"{"items":[]}"#).unwrap_err().class, DeadLetterClass::MissingText);
}

#[test]
fn several_texts_are_joined_and_one_may_be_absent() {
    let reader = paths(&["title", "body.text"]);
    let read = |value: &str| reader.read(value.as_bytes()).map(|comment| comment.text.into_owned());
    assert_eq!(
        read(r#"{"title":"좋아요","body":{"text":"배송도 빨라요"}}"#).unwrap(),
        "좋아요\n배송도 빨라요"
    );
    for value in [
        r#"{"title":"좋아요"}"#,
        r#"{"title":"좋아요","body":null}"#,
        r#"{"body":{"text":null},"title":"좋아요"}"#,
    ] {
        assert_eq!(read(value).unwrap(), "좋아요");
    }
    let none = read(r#"{"name":"a","body":{"html":"<p>"}}"#).unwrap_err();
    assert_eq!(none.class, DeadLetterClass::MissingText);
    let number = read(r#"{"title":"a","body":{"text":5}}"#).unwrap_err();
    assert_eq!(
        (number.class, number.message.as_str()),
        (DeadLetterClass::TextNotString, "the field `body.text` is a number, not a string")
    );
}

#[test]
fn a_wrong_path_is_told_with_what_is_there() {
    let message = |name: &str, value: &str| paths(&[name]).read(value.as_bytes()).unwrap_err().message;
    assert_eq!(
        message("payload.after.text", r#"{"payload":{"before":null,"after":{"body":"a"}}}"#),
        "no payload.after.text; there are payload.before, payload.after.body"
    );
    // Names that can be comments are not told, and at most five of the others.
    let value =
        r#"{"a":{"배송이 느려요":1,"very slow delivery":1,"b1":1,"b2":1,"b3":1,"b4":1,"b5":1,"b6":1},"c":1}"#;
    assert_eq!(message("a.text", value), "no a.text; there are a.b1, a.b2, a.b3, a.b4, a.b5");
    assert_eq!(message("a.text", r#"{"a":"text","c":2}"#), "no a.text; there are c");
    assert_eq!(message("a.text", "{}"), "no a.text");
    let long = format!("{{\"{}\":1}}", "x".repeat(33));
    assert_eq!(message("a.text", &long), "no a.text");
    let plain = reader().read(br#"{"body":"a","id":1,"x y":2}"#).unwrap_err().message;
    assert_eq!(plain, "the object has no field `text`; there are body, id");
}

/// <https://debezium.io/documentation/reference/stable/connectors/postgresql.html#postgresql-delete-events>
#[test]
fn a_deletion_of_debezium_is_a_tombstone() {
    for (name, value) in [
        (
            "payload.after.text",
            r#"{"schema":{},"payload":{"before":{"id":1},"after":null,"op":"d","ts_ms":1}}"#,
        ),
        ("after.text", r#"{"before":{"id":1},"after":null,"op":"d"}"#),
        ("after.text", r#"{"before":{"id":1},"op":"d"}"#),
    ] {
        let reader = paths(&[name]);
        assert_eq!(reader.read_change(value.as_bytes()).unwrap(), None, "{value}");
    }
    // A snapshot and an update are comments; a null that is no deletion has no text.
    let reader = paths(&["after.text"]);
    for op in ["r", "u", "c"] {
        let value = format!(r#"{{"before":null,"after":{{"text":"좋아요"}},"op":"{op}"}}"#);
        assert_eq!(reader.read_change(value.as_bytes()).unwrap().unwrap().text, "좋아요");
        let value = format!(r#"{{"after":null,"op":"{op}"}}"#);
        assert_eq!(reader.read_change(value.as_bytes()).unwrap_err().class, DeadLetterClass::MissingText);
    }
}

#[test]
fn five_bytes_before_json_are_passed_over_where_that_is_set() {
    let mut config = Config::default();
    config.input.format = InputFormat::RawJson;
    let reader = Reader::new(&config);
    for value in
        [&b"\0\0\0\0\x07{\"text\":\"a\"}"[..], b"{\"text\":\"a\"}", b"\0\xff\xff\xff\xff \xef\xbb\xbf{}"]
    {
        match reader.read(value) {
            Ok(comment) => assert_eq!(comment.text, "a"),
            Err(error) => assert_eq!(error.class, DeadLetterClass::InvalidJson),
        }
    }
    assert_eq!(reader.read(b"\0\0\0\0").unwrap_err().class, DeadLetterClass::InvalidJson);
    assert_eq!(reader.read(b"\0\0\0\0\x07{\"text\":\"a\"}").unwrap().text, "a");
}

proptest! {
    /// Twelve characters of a value in the message of its dead letter would be a part of a comment.
    #[test]
    fn no_message_contains_a_part_of_the_value(
        secret in "[가-힣a-z]{12,40}",
        before in r#"[\[\]{}:,"\\0-9. tex]{0,12}"#,
        after in r#"[\[\]{}:,"\\0-9. tex]{0,12}"#,
    ) {
        let value = format!("{before}{secret}{after}");
        if let Err(letter) = reader().read(value.as_bytes()) {
            let characters: Vec<char> = secret.chars().collect();
            for part in characters.windows(12).map(|part| part.iter().collect::<String>()) {
                prop_assert!(!letter.message.contains(&part), "{} of {}", letter.message, value);
            }
        }
    }

    #[test]
    fn any_bytes_are_a_comment_or_a_dead_letter(value in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = reader().read(&value);
    }

    #[test]
    fn any_bytes_are_read_by_path_too(value in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = paths(&["a.b", "a.0"]).read_change(&value);
    }

    /// What serde_json finds at a path is the text, and nothing else is.
    #[test]
    fn agrees_with_serde_json_on_paths(value in r#"\{"a":[\[\]{}:,"ab01\\ ntx]{0,24}\}"#) {
        let ours = paths(&["a.b"]).read(value.as_bytes()).ok().map(|comment| comment.text.into_owned());
        let theirs = serde_json::from_str::<Value>(&value).ok()
            .and_then(|value| value.get("a")?.get("b")?.as_str().map(str::to_owned));
        prop_assert_eq!(ours, theirs);
    }

    #[test]
    fn any_text_comes_through(text in ".*", id in ".*") {
        let value = serde_json::json!({ "id": id, "text": text, "other": { "text": 1 } }).to_string();
        let comment = reader().read(value.as_bytes()).unwrap();
        prop_assert_eq!(comment.text.as_ref(), text.as_str());
        let verdict = written(comment.id, &prediction(0.3));
        prop_assert_eq!(verdict["id"].as_str(), Some(id.as_str()));
    }

    #[test]
    fn what_is_written_reads_back_and_agrees_with_its_label(score in 0f32..=1.0) {
        let verdict = written(Some("1"), &prediction(score));
        let read = verdict["score"].as_f64().unwrap();
        prop_assert!((read - f64::from(score)).abs() <= 0.5e-6 + 1e-12);
        prop_assert_eq!(verdict["label"] == "positive", read >= 0.5);
        prop_assert_eq!(WrittenScore::new(score).value(), read);
    }

    /// What serde_json calls an object with a string under `text` is a comment, and nothing else is.
    #[test]
    fn agrees_with_serde_json_on_what_is_a_comment(value in r#"[\[\]{}:,"a-c\\0-9. tex]{0,24}"#) {
        let ours = reader().read(value.as_bytes()).ok().map(|comment| comment.text.into_owned());
        let theirs = serde_json::from_str::<Value>(&value).ok()
            .and_then(|value| value.get("text")?.as_str().map(str::to_owned));
        prop_assert_eq!(ours, theirs);
    }
}
