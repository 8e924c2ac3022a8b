//! Records that cannot be classified become dead letters with their reason, and never affect their neighbors.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Fake, Running, Write, comment, kafka, wait_for};
use nunchi::pipeline::PipelineError;
use sha2::{Digest, Sha256};

#[test]
fn every_class_is_put_aside_with_its_reason_and_the_rest_goes_on() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("dead", 1);
    let poison: [(&str, Vec<u8>); 5] = [
        ("invalid_utf8", vec![b'{', 0xff]),
        ("invalid_json", b"{\"text\":".to_vec()),
        ("missing_text", b"{\"id\":3}".to_vec()),
        ("text_not_string", b"{\"text\":4}".to_vec()),
        ("oversize", vec![b' '; 900_001]),
    ];
    let mut writes = Vec::new();
    for (number, (class, value)) in poison.iter().enumerate() {
        writes.push(Write::value(comment(number, "괜찮아요")));
        let headers = vec![("class".to_owned(), Some(class.as_bytes().to_vec()))];
        let (key, timestamp) = (Some(class.as_bytes().to_vec()), Some(1_700_000_000_000));
        writes.push(Write { key, timestamp, headers, ..Write::value(value.clone()) });
    }
    kafka.write(&topics.input, writes);
    let running = Running::start(&kafka.config(&topics), Fake::default());
    wait_for("the last record", || running.answered() == 10);
    for (class, _) in &poison {
        assert_eq!(running.metrics.dead_letters.with_label_values(&[class]).get(), 1, "{class}");
    }
    running.stop().unwrap();

    let verdicts = kafka.read(&topics.output);
    assert_eq!(verdicts.len(), 5);
    let dead_letters = kafka.read(&topics.dead_letters);
    assert_eq!(dead_letters.len(), 5);
    for (number, (dead_letter, (class, value))) in dead_letters.iter().zip(&poison).enumerate() {
        assert_eq!(dead_letter.value.as_deref(), Some(&value[..]), "{class}: the original bytes");
        assert_eq!(dead_letter.key.as_deref(), Some(class.as_bytes()));
        assert_eq!(dead_letter.timestamp, Some(1_700_000_000_000));
        assert_eq!(dead_letter.header("class"), Some(*class));
        assert_eq!(dead_letter.header("nunchi-error-class"), Some(*class));
        assert!(dead_letter.header("nunchi-error").unwrap().contains(' '), "a message");
        assert_eq!(dead_letter.source(), (0, 2 * number as i64 + 1));
        assert_eq!(dead_letter.header("nunchi-model"), None);
    }
}

#[test]
fn what_does_not_fit_the_dead_letter_topic_is_described() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics_with("oversize", 1, 1, &[("max.message.bytes", "20000")]);
    let value = vec![b'x'; 50_000];
    let headers = vec![("large".to_owned(), Some(vec![b'h'; 30_000]))];
    let key = Some(b"key".to_vec());
    kafka.write(
        &topics.input,
        [
            Write { key: key.clone(), ..Write::value(value.clone()) },
            // Headers that fit nowhere: even the verdict becomes a dead letter, without them.
            Write { key: key.clone(), headers: headers.clone(), ..Write::value(comment(1, "좋아요")) },
            Write { key: Some(vec![b'k'; 30_000]), ..Write::value(comment(2, "좋아요")) },
            Write::value(comment(3, "좋아요")),
        ],
    );
    let running = Running::start(&kafka.config(&topics), Fake::default());
    wait_for("the last record", || running.answered() == 4);
    running.stop().unwrap();
    let verdicts = kafka.read(&topics.output);
    assert_eq!(verdicts.len(), 1);
    assert_eq!(verdicts[0].json()["id"], 3);
    let dead_letters = kafka.read(&topics.dead_letters);
    assert_eq!(dead_letters.len(), 3);
    assert_eq!(dead_letters[0].value.as_deref(), Some(&b""[..]));
    assert_eq!(dead_letters[0].header("nunchi-error-class"), Some("invalid_json"));
    assert_eq!(dead_letters[0].header("nunchi-size"), Some("50000"));
    let sha256: String = Sha256::digest(&value).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(dead_letters[0].header("nunchi-sha256"), Some(&sha256[..]));
    assert_eq!(dead_letters[1].header("nunchi-error-class"), Some("oversize"));
    assert_eq!((dead_letters[1].key.as_ref(), dead_letters[1].header("large")), (key.as_ref(), None));
    assert_eq!(dead_letters[2].header("nunchi-error-class"), Some("oversize"));
    assert_eq!(dead_letters[2].key, None);
    assert_eq!(dead_letters[2].source(), (0, 2));
}

#[test]
fn a_stream_of_poison_trips_the_breaker_and_offsets_stay() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("breaker", 1);
    let poison = |count: usize| (0..count).map(|_| Write::value(*b"poison"));
    // Half is tolerated; the first thousand is seen before the breaker may open.
    kafka.write(&topics.input, (0..500).map(|id| Write::value(comment(id, "좋아요"))).chain(poison(500)));
    let mut config = kafka.config(&topics);
    config.worker.batch_records = 100;
    let running = Running::start(&config, Fake::default());
    wait_for("a thousand answers", || running.answered() == 1_000);
    // Good records leave the window, poison takes their place.
    kafka.write(&topics.input, poison(100));
    let error = running.end().expect_err("the breaker opens");
    // The only partition is halted: nothing is left to do.
    assert!(matches!(error, PipelineError::AllHalted { .. }), "{error}");
    let message = error.to_string();
    assert!(message.contains("501 of the last 1000 records of partition 0"), "{message}");
    assert!(message.contains("not a JSON object"), "the last error is named: {message}");
    assert_eq!(kafka.committed(&topics.group, &topics.input, 1), [1_000]);
    assert_eq!(kafka.read(&topics.dead_letters).len(), 500);
}
