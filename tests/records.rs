//! What stands in the answers: keys, headers, timestamps, partitions, tombstones.

mod common;

use common::{FAKE_VERSION, Fake, Running, Write, comment, fake_score, kafka, wait_for};

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
