//! What stands in the answers: keys, headers, timestamps, partitions, tombstones.

#![allow(clippy::unwrap_used)]

mod common;

use common::{FAKE_VERSION, Fake, Kafka, Running, Write, comment, fake_score, kafka, wait_for};
use nunchi_librdkafka::{HeadersBuilder, RawHeaders};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

#[test]
fn verdicts_carry_what_their_records_carried() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("records", 3);
    let mut write = Write::value(comment(7, "배송이 빨라요"));
    write.partition = Some(2);
    write.key = Some(b"key".to_vec());
    write.timestamp = Some(1_700_000_000_123);
    write.headers = vec![
        ("a".into(), Some(b"1".to_vec())),
        ("nunchi-model".into(), Some(b"old".to_vec())),
        ("a".into(), None),
        ("b".into(), Some(vec![0xff, 0])),
    ];
    kafka.write(&topics.input, [write]);
    let running = Running::start(&kafka.config(&topics), Fake::default());
    wait_for("the answer", || running.answered() == 1);
    assert_eq!(running.stop().unwrap().records, 1);

    let answers = kafka.read(&topics.output);
    assert_eq!(answers.len(), 1);
    let answer = &answers[0];
    assert_eq!((answer.partition, answer.key.as_deref()), (2, Some(&b"key"[..])));
    assert_eq!(answer.timestamp, Some(1_700_000_000_123));
    let source = format!("{}/2/0", topics.input);
    let headers: Vec<_> =
        answer.headers.iter().map(|(key, value)| (key.as_str(), value.as_deref())).collect();
    assert_eq!(
        headers,
        [
            ("a", Some(&b"1"[..])),
            ("a", None),
            ("b", Some(&[0xff, 0][..])),
            ("nunchi-source", Some(source.as_bytes())),
            ("nunchi-model", Some(FAKE_VERSION.as_bytes())),
        ]
    );
    let score = f64::from(fake_score("배송이 빨라요"));
    let verdict = answer.json();
    assert_eq!(verdict["id"], 7);
    assert!((verdict["score"].as_f64().unwrap() - score).abs() < 1e-6);
    assert_eq!(verdict["label"], if score >= 0.5 { "positive" } else { "negative" });
    assert_eq!(verdict["model"], FAKE_VERSION);
    assert_eq!(verdict.as_object().unwrap().len(), 4);
}

/// Names and values of a record's headers; a name is any bytes.
type AnyHeaders = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// As [`Kafka::write`], partition 0.
fn write_any(kafka: &Kafka, topic: &str, value: &[u8], headers: &AnyHeaders) {
    let producer: BaseProducer = kafka.client().create().unwrap();
    let mut built = HeadersBuilder::with_capacity(headers.len());
    for (name, value) in headers {
        built.add(name, value.as_deref());
    }
    let record = BaseRecord::<[u8], [u8]>::to(topic).payload(value).partition(0).headers(built.build());
    producer.send(record).map_err(|(error, _)| error).unwrap();
    producer.flush(common::PATIENCE).unwrap();
}

/// The headers of the first record in partition 0.
fn first_headers(kafka: &Kafka, topic: &str) -> AnyHeaders {
    let consumer: BaseConsumer =
        kafka.client().set("group.id", "raw").set("isolation.level", "read_committed").create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Beginning).unwrap();
    consumer.assign(&list).unwrap();
    let message = consumer.poll(common::PATIENCE).expect("a record").unwrap();
    let headers = RawHeaders::of_message(&message).unwrap();
    headers.iter().map(|header| (header.name.to_vec(), header.value.map(<[u8]>::to_vec))).collect()
}

#[test]
fn header_names_that_are_not_utf8_pass_and_forged_ones_beside_them_do_not() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("header-names", 1);
    let panics = Arc::new(Mutex::new(Vec::new()));
    let (seen, print) = (Arc::clone(&panics), std::panic::take_hook());
    std::panic::set_hook(Box::new(move |panic| {
        seen.lock().unwrap().push(panic.to_string());
        print(panic);
    }));
    let header = |name: &[u8], value: &[u8]| (name.to_vec(), Some(value.to_vec()));
    let strange = header(&[0xff, 0xfe], &[0xff, 0]);
    let headers = vec![
        header(b"nunchi-model", b"forged"),
        strange.clone(),
        header(b"nunchi-error-class", b"forged"),
        ("후기".as_bytes().to_vec(), None),
    ];
    write_any(&kafka, &topics.input, &comment(1, "배송이 빨라요"), &headers);
    write_any(&kafka, &topics.input, b"broken", &headers);
    let running = Running::start(&kafka.config(&topics), Fake::default());
    wait_for("both answers", || running.answered() == 2);
    running.stop().unwrap();
    let verdict = first_headers(&kafka, &topics.output);
    let dead_letter = first_headers(&kafka, &topics.dead_letters);
    // Another test of this file may panic meanwhile, which is its own matter.
    let panics = panics.lock().unwrap().clone();
    assert!(!panics.iter().any(|panic| panic.contains("Utf8Error")), "{panics:?}");

    let passed = [strange, ("후기".as_bytes().to_vec(), None)];
    assert_eq!(verdict[..2], passed);
    let source = |offset| header(b"nunchi-source", format!("{}/0/{offset}", topics.input).as_bytes());
    assert_eq!(verdict[2..], [source(0), header(b"nunchi-model", FAKE_VERSION.as_bytes())]);
    assert_eq!(dead_letter[..2], passed);
    let class = header(b"nunchi-error-class", b"invalid_json");
    assert_eq!(dead_letter[2..4], [source(1), class]);
    assert_eq!((dead_letter.len(), &dead_letter[4].0[..]), (5, &b"nunchi-error"[..]));
}

#[test]
fn tombstones_pass_and_cut_comments_are_marked() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("tombstones", 1);
    let tombstone = Write { key: Some(b"gone".to_vec()), ..Write::default() };
    let empty_key = Write { key: Some(Vec::new()), ..Write::value(comment(1, "long…")) };
    kafka.write(&topics.input, [tombstone, empty_key]);
    let running = Running::start(&kafka.config(&topics), Fake::default());
    wait_for("the last record", || running.answered() == 2);
    running.stop().unwrap();
    let answers = kafka.read(&topics.output);
    assert_eq!((answers[0].key.as_deref(), answers[0].value.as_deref()), (Some(&b"gone"[..]), None));
    assert_eq!(answers[0].source(), (0, 0));
    assert_eq!(answers[0].header("nunchi-model"), None, "it was not classified");
    assert_eq!(answers[1].key.as_deref(), Some(&b""[..]), "an empty key is a key");
    assert_eq!(answers[1].json()["truncated"], true);
    assert_eq!(answers[1].header("nunchi-truncated"), Some("true"));
}

#[test]
fn unsure_verdicts_say_so_in_value_header_and_metric() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("unsure", 1);
    let texts = ["sure", "unsure", "unsure: foreign", "unsure too"];
    kafka.write(&topics.input, texts.iter().enumerate().map(|(id, text)| Write::value(comment(id, text))));
    let running = Running::start(&kafka.config(&topics), Fake::default());
    wait_for("the answers", || running.answered() == 4);
    let unsure = |reason: &str| running.metrics.unsure.with_label_values(&[reason]).get();
    assert_eq!(["band", "no_opinion", "language"].map(unsure), [2, 0, 1]);
    running.stop().unwrap();
    let answers = kafka.read(&topics.output);
    let found: Vec<_> = answers
        .iter()
        .map(|answer| (answer.json()["unsure"].as_bool(), answer.header("nunchi-unsure").map(str::to_owned)))
        .collect();
    let marked = (Some(true), Some("true".to_owned()));
    assert_eq!(found, [(None, None), marked.clone(), marked.clone(), marked]);
    let languages: Vec<_> = answers.iter().map(|answer| answer.json().get("language").cloned()).collect();
    assert_eq!(languages, [None, None, Some("other".into()), None]);
}

/// Java's murmur2 of some keys, as Kafka's own tests have them (`UtilsTest.testMurmur2`).
const MURMUR2: [(&str, i32); 5] = [
    ("21", -973_932_308),
    ("foobar", -790_332_482),
    ("a-little-bit-long-string", -985_981_536),
    ("a-little-bit-longer-string", -1_486_304_829),
    ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
];

#[test]
fn keys_choose_the_partition_as_in_java_where_the_numbers_differ() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics_with("keys", 1, 7, &[]);
    kafka.write(
        &topics.input,
        MURMUR2.iter().map(|(key, _)| Write {
            key: Some(key.as_bytes().to_vec()),
            ..Write::value(comment(0, "좋아요"))
        }),
    );
    let running = Running::start(&kafka.config(&topics), Fake::default());
    wait_for("the last record", || running.answered() == 5);
    running.stop().unwrap();
    let answers = kafka.read(&topics.output);
    for (key, hash) in MURMUR2 {
        let answer = answers.iter().find(|answer| answer.key.as_deref() == Some(key.as_bytes())).unwrap();
        assert_eq!(answer.partition, (hash & i32::MAX) % 7, "{key}");
    }
}

#[test]
fn timestamps_that_the_broker_would_refuse_are_replaced_and_told() {
    let Some(kafka) = kafka() else { return };
    let settings = [("message.timestamp.before.max.ms", "86400000")];
    let topics = kafka.topics_with("timestamps", 1, 1, &settings);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
    let (hour, day) = (3_600_000, 86_400_000);
    let stamps = [now - 2 * day, now + 2 * hour, now - hour, 1];
    kafka.write(
        &topics.input,
        stamps.iter().enumerate().map(|(id, stamp)| Write {
            timestamp: Some(*stamp),
            ..Write::value(if id == 3 { b"broken".to_vec() } else { comment(id, "좋아요") })
        }),
    );
    let running = Running::start(&kafka.config(&topics), Fake::default());
    wait_for("the last record", || running.answered() == 4);
    running.stop().unwrap();
    let answers = kafka.read(&topics.output);
    for (answer, stamp) in answers[..2].iter().zip(stamps) {
        assert_eq!(answer.header("nunchi-timestamp"), Some(&stamp.to_string()[..]));
        assert!((answer.timestamp.unwrap() - now).abs() < hour, "now instead");
    }
    assert_eq!((answers[2].timestamp, answers[2].header("nunchi-timestamp")), (Some(now - hour), None));
    let letters = kafka.read(&topics.dead_letters);
    assert_eq!(letters[0].header("nunchi-timestamp"), Some("1"));
}

#[test]
fn echoed_fields_go_where_the_verdict_would_be_too_large() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics_with("echo", 1, 1, &[("max.message.bytes", "2000")]);
    let value = |id: usize, text: &str| {
        serde_json::json!({ "id": id, "rating": 5, "text": text }).to_string().into_bytes()
    };
    kafka.write(
        &topics.input,
        [Write::value(value(1, "짧아요")), Write::value(value(2, &"길어요 ".repeat(300)))],
    );
    let mut config = kafka.config(&topics);
    config.output.echo = ["rating", "text", "absent"].map(String::from).to_vec();
    let running = Running::start(&config, Fake::default());
    wait_for("the last record", || running.answered() == 2);
    running.stop().unwrap();
    let answers = kafka.read(&topics.output);
    assert_eq!(answers[0].json()["fields"], serde_json::json!({ "rating": 5, "text": "짧아요" }));
    assert_eq!(answers[1].json().get("fields"), None);
    assert_eq!(answers[1].json()["id"], 2);
}

#[test]
fn lag_is_zero_at_the_end_and_gone_with_the_partition() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("lag", 2);
    kafka.write(
        &topics.input,
        (0..100).map(|id| Write { partition: Some(id as i32 % 2), ..Write::value(comment(id, "좋아요")) }),
    );
    let running = Running::start(&kafka.config(&topics), Fake::default());
    let lag = |partition: &str| {
        let text = running.metrics.encode().unwrap();
        let name = format!("nunchi_lag_records{{partition=\"{partition}\",topic=\"{}\"}} ", topics.input);
        text.lines().find_map(|line| line.strip_prefix(&name)?.parse::<i64>().ok())
    };
    wait_for("lag 0 although transactions leave control records", || {
        running.answered() == 100 && lag("0") == Some(0) && lag("1") == Some(0)
    });
    let metrics = running.metrics.clone();
    running.stop().unwrap();
    assert!(!metrics.encode().unwrap().contains("nunchi_lag_records{"), "nothing is owned any more");
}

#[test]
fn a_batch_is_bounded_by_the_bytes_of_headers_too() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("header-bytes", 1);
    let headers = vec![("trace".to_owned(), Some(vec![b'x'; 100_000]))];
    kafka.write(
        &topics.input,
        (0..200).map(|id| Write { headers: headers.clone(), ..Write::value(comment(id, "좋아요")) }),
    );
    let mut config = kafka.config(&topics);
    config.worker.batch_bytes = 1_000_000;
    let largest = Arc::new(AtomicUsize::new(0));
    let before = {
        let largest = Arc::clone(&largest);
        Arc::new(move |comments| {
            largest.fetch_max(comments, Ordering::Relaxed);
        })
    };
    let running = Running::start(&config, Fake { before, ..Fake::default() });
    wait_for("the last record", || running.answered() == 200);
    running.stop().unwrap();
    let largest = largest.load(Ordering::Relaxed);
    assert!(largest <= 10, "{largest} records of 100 kB are more than worker.batch_bytes");
    let answers = kafka.read(&topics.output);
    assert_eq!(answers.len(), 200);
    assert!(answers.iter().all(|answer| answer.header("trace").is_some_and(|trace| trace.len() == 100_000)));
}

/// What Debezium writes about a table: a row that comes, changes and goes, and the tombstone behind it.
#[test]
fn changes_of_a_table_are_answered_one_by_one() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("changes", 1);
    let envelope = |before: &str, after: &str, op: &str| {
        let value = format!(
            r#"{{"schema":{{"type":"struct"}},"payload":{{"before":{before},"after":{after},"source":{{"db":"shop"}},"op":"{op}"}}}}"#
        );
        Write { key: Some(b"1".to_vec()), ..Write::value(value) }
    };
    let row = |title: &str, body: &str| format!(r#"{{"id":1,"title":{title},"body":"{body}"}}"#);
    kafka.write(
        &topics.input,
        [
            envelope("null", &row(r#""좋아요""#, "배송도 빨라요"), "c"),
            envelope("null", &row("null", "생각보다 별로예요"), "u"),
            envelope(&row("null", "생각보다 별로예요"), "null", "d"),
            Write { key: Some(b"1".to_vec()), ..Write::default() },
            envelope("null", r#"{"id":1,"content":"다른 이름"}"#, "c"),
        ],
    );
    let mut config = kafka.config(&topics);
    let fields = ["payload.after.title", "payload.after.body"].map(str::to_owned);
    config.input.text_field = nunchi::config::TextFields(fields.to_vec());
    config.input.id_field = "payload.after.id".to_owned();
    let running = Running::start(&config, Fake::default());
    wait_for("the last record", || kafka.committed(&topics.group, &topics.input, 1) == [5]);
    running.stop().unwrap();

    let answers = kafka.read(&topics.output);
    assert_eq!(answers.len(), 4);
    for (answer, text) in answers.iter().zip(["좋아요\n배송도 빨라요", "생각보다 별로예요"])
    {
        let verdict = answer.json();
        assert_eq!(verdict["id"], 1);
        assert!((verdict["score"].as_f64().unwrap() - f64::from(fake_score(text))).abs() < 1e-6, "{verdict}");
    }
    assert!(answers[2..].iter().all(|answer| answer.value.is_none()), "a deletion is a tombstone");
    let dead = kafka.read(&topics.dead_letters);
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].header("nunchi-error-class"), Some("missing_text"));
    let message = dead[0].header("nunchi-error").unwrap();
    assert!(
        message.starts_with("no payload.after.title; there are ")
            && message.contains("payload.after.content"),
        "{message}"
    );
    assert!(!message.contains("다른"), "{message}");
}
