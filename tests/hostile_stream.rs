//! A hostile stream: whatever its values, keys and headers are, no log line, header or answer of ours holds a part of a
//! comment, and every record is answered.

#![allow(clippy::unwrap_used)]

mod admin;
mod common;

use common::{Kafka, PATIENCE, Process, kafka, wait_for};
use nunchi_librdkafka::{HeadersBuilder, RawHeaders};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};

/// What nobody but readers of the topics may see, in two scripts and without a space.
const TEXTS: [&str; 3] = [
    "비밀스러운고객의불만사항입니다 절대로 새어 나가면 안 됩니다",
    "my card number is four-one-one-one and the PIN is secret",
    "Confidential_complaint_without_any_space_0123456789",
];

/// Any twelve characters in a row of a text that `said` contains.
fn leak(said: &str) -> Option<String> {
    TEXTS.iter().find_map(|text| {
        let characters: Vec<char> = text.chars().collect();
        let mut windows = characters.windows(12).map(|window| window.iter().collect::<String>());
        windows.find(|part| said.contains(part))
    })
}

/// A value, and the class of the dead letter that it becomes; `None` for a verdict.
fn values(text: &str) -> Vec<(Vec<u8>, Option<&'static str>)> {
    let quoted = serde_json::to_string(text).unwrap();
    let object = format!("{{\"text\":{quoted}}}");
    let twice = serde_json::to_string(&object).unwrap();
    let framed = |id: u8| [&[0, 0, 0, 0, id], object.as_bytes()].concat();
    let json = |value: String, class| (value.into_bytes(), class);
    let broken = Some("invalid_json");
    vec![
        json(quoted.clone(), broken),
        json(twice, broken),
        json(quoted.repeat(2_000), broken),
        json(format!("{{{}: 1}}", serde_json::to_string(&text.repeat(500)).unwrap()), Some("missing_text")),
        json(format!("{{{quoted}: {quoted}}}"), Some("missing_text")),
        json(format!("{{\"text\": \"{text}\\q\"}}"), broken),
        json(format!("{{\"text\": \"{text}\n\"}}"), broken),
        json(format!("{{\"text\": \"{text}"), broken),
        json(format!("{{{text}: 1}}"), broken),
        json(text.to_owned(), broken),
        json(format!("[{object}]"), broken),
        json(format!("{object} {text}"), broken),
        json(format!("{{\"text\": 5, \"note\": {quoted}}}"), Some("text_not_string")),
        json(format!("{{\"text\": {{\"text\": {quoted}}}}}"), Some("text_not_string")),
        json(format!("{{\"text\": [{quoted}]}}"), Some("text_not_string")),
        json(format!("{{\"rating\": NaN, \"text\": {quoted}}}"), broken),
        json(format!("{{\"text\": {quoted}, \"rating\": -Infinity}}"), broken),
        json(format!("{}{quoted}{}", "[".repeat(5_000), "]".repeat(5_000)), broken),
        (framed(7), broken),
        (framed(0xff), broken),
        ([b"\xff\xfe", object.as_bytes()].concat(), Some("invalid_utf8")),
        ([object.as_bytes(), b"\x80"].concat(), Some("invalid_utf8")),
        json(text.repeat(900_000 / text.len() + 1), Some("oversize")),
        json(object.clone(), None),
        json(format!("\u{feff}{object}"), None),
        json(format!("{{\"text\": \"\\ud83d {text}\"}}"), None),
        json(format!("{{\"id\": \"\\ude00\", \"text\": {quoted}}}"), None),
        json(format!("{{\"a\\ud800\": 1, \"text\": {quoted}}}"), None),
    ]
}

fn write(kafka: &Kafka, topic: &str, values: &[Vec<u8>]) {
    let producer: ThreadedProducer<rdkafka::producer::DefaultProducerContext> =
        kafka.client().set("message.max.bytes", "10000000").create().unwrap();
    for value in values {
        let mut headers = HeadersBuilder::with_capacity(6);
        headers.add(b"\xff\xfename", Some(b"\xff"));
        headers.add(b"nunchi-\xff", Some(TEXTS[0].as_bytes()));
        for name in ["nunchi-error", "nunchi-error-class", "nunchi-source", "nunchi-model"] {
            headers.add(name, Some(TEXTS[1].as_bytes()));
        }
        let record: BaseRecord<'_, [u8], [u8]> =
            BaseRecord::to(topic).payload(value.as_slice()).key(TEXTS[2].as_bytes()).headers(headers.build());
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
}

/// A record that was written: its value, and the headers as bytes.
struct Written {
    value: Vec<u8>,
    headers: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Written {
    fn ours(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers
            .iter()
            .filter(|(name, _)| name.starts_with(b"nunchi-"))
            .map(|(name, value)| (std::str::from_utf8(name).unwrap(), std::str::from_utf8(value).unwrap()))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.ours().find(|(known, _)| *known == name).map(|(_, value)| value)
    }
}

/// Everything in partition 0 of `topic`. Not by `Kafka::read`, which reads headers as UTF-8.
fn read(kafka: &Kafka, topic: &str) -> Vec<Written> {
    let mut client = kafka.client();
    client.set("group.id", "reader").set("enable.partition.eof", "true");
    let consumer: BaseConsumer = client.set("isolation.level", "read_committed").create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Beginning).unwrap();
    consumer.assign(&list).unwrap();
    let mut found = Vec::new();
    loop {
        match consumer.poll(PATIENCE).expect("an answer") {
            Ok(message) => found.push(Written {
                value: message.payload().unwrap_or_default().to_vec(),
                headers: RawHeaders::of_message(&message)
                    .unwrap()
                    .iter()
                    .map(|header| (header.name.to_vec(), header.value.unwrap_or_default().to_vec()))
                    .collect(),
            }),
            Err(KafkaError::PartitionEOF(_)) => return found,
            Err(error) => eprintln!("reading {topic}: {error}"),
        }
    }
}

#[test]
fn no_log_line_header_or_answer_holds_a_part_of_a_comment() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("hostile", 1);
    let expected: Vec<_> = TEXTS.iter().flat_map(|text| values(text)).collect();
    let all: Vec<Vec<u8>> = expected.iter().map(|(value, _)| value.clone()).collect();
    write(&kafka, &topics.input, &all);

    let folder = tempfile::tempdir().unwrap();
    let settings =
        ["dead_letters.breaker_share=1", "log.level=debug", "log.format=json", "output.echo=note,id"];
    let process = Process::start(&kafka.config(&topics), folder.path(), &settings);
    wait_for("the last record", || kafka.committed(&topics.group, &topics.input, 1) == [all.len() as i64]);
    // HTTP: each value alone, and as an item of an array.
    let line =
        process.log().lines().find(|line| line.contains("the admin server listens")).unwrap().to_owned();
    let url = format!(
        "http://{}",
        serde_json::from_str::<serde_json::Value>(&line).unwrap()["address"].as_str().unwrap()
    );
    for (value, class) in &expected {
        let Ok(body) = std::str::from_utf8(value) else { continue };
        for (body, is_item) in [(body.to_owned(), false), (format!("[{body}]"), true)] {
            let answer = admin::request("POST", &format!("{url}/v1/classify"), &body);
            assert_eq!(leak(&answer.text), None, "{}", answer.text);
            let is_right =
                if class.is_some() { answer.status == 400 || is_item } else { answer.status == 200 };
            // A byte order mark belongs before the whole.
            assert!(is_right || body.starts_with('['), "{body}: {answer:?}");
            if answer.status == 400 {
                let error = answer.json()["error"].as_str().unwrap().to_owned();
                assert!(error.chars().count() <= 300, "{error}");
            }
        }
    }
    let path = admin::request("GET", &format!("{url}/{}", TEXTS[2]), "");
    assert_eq!((path.status, leak(&path.text)), (404, None));
    for path in ["/metrics", "/readyz", "/livez", "/v1/model"] {
        assert_eq!(leak(&admin::request("GET", &format!("{url}{path}"), "").text), None, "{path}");
    }
    process.signal("TERM");
    let (status, log) = process.end();
    assert_eq!(status, Some(0), "{log}");
    assert_eq!(leak(&log), None);
    assert!(!log.contains("panicked"), "{log}");

    let (mut verdicts, mut letters) =
        (read(&kafka, &topics.output).into_iter(), read(&kafka, &topics.dead_letters).into_iter());
    for (value, class) in &expected {
        let shown = String::from_utf8_lossy(&value[..value.len().min(80)]).into_owned();
        let written = if class.is_some() { letters.next() } else { verdicts.next() };
        let written = written.unwrap_or_else(|| panic!("an answer for {shown}"));
        for (name, value) in written.ours() {
            assert_eq!(leak(value), None, "{name} of {shown}");
        }
        assert_eq!(written.headers[0], (b"\xff\xfename".to_vec(), b"\xff".to_vec()), "{shown}");
        let Some(class) = class else {
            // A verdict is JSON for strict readers too.
            let verdict: serde_json::Value = serde_json::from_slice(&written.value).unwrap();
            assert!(verdict["score"].is_number(), "{shown}");
            assert_eq!(leak(&String::from_utf8_lossy(&written.value)), None, "{shown}");
            assert_eq!(written.header("nunchi-error"), None);
            continue;
        };
        assert_eq!(written.header("nunchi-error-class"), Some(*class), "{shown}");
        assert_eq!(&written.value, value, "{shown}");
        let error = written.header("nunchi-error").unwrap();
        assert!(error.chars().count() <= 200, "{error}");
        let named = ["NaN", "-Infinity"].into_iter().find(|word| shown.contains(&format!(": {word}")));
        assert!(named.is_none_or(|word| error.contains(word)), "{error}");
        assert!(value[0] != 0 || error.contains("magic byte"), "{error}");
    }
    assert!(verdicts.next().is_none() && letters.next().is_none(), "nothing else was written");
}

#[test]
fn the_breaker_names_no_comment() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("hostile-breaker", 1);
    let all: Vec<Vec<u8>> =
        TEXTS.iter().cycle().take(60).map(|text| serde_json::to_vec(text).unwrap()).collect();
    write(&kafka, &topics.input, &all);
    let folder = tempfile::tempdir().unwrap();
    let settings = ["dead_letters.breaker_window=20", "log.level=debug"];
    let process = Process::start(&kafka.config(&topics), folder.path(), &settings);
    let (status, log) = process.end();
    assert!(status.is_some_and(|status| status != 0), "{log}");
    assert_eq!(leak(&log), None, "{log}");
    assert!(log.contains("it is a string"), "{log}");
}
