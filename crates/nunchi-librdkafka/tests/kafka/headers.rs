//! Headers whose names are any bytes go through Kafka and come back.

use crate::common::{TIMEOUT, kafka, next, unique};
use nunchi_librdkafka::{HeadersBuilder, RawHeader, RawHeaders};
use rdkafka::message::{Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

fn send(producer: &BaseProducer, topic: &str, headers: Option<OwnedHeaders>) {
    let mut record = BaseRecord::<str, str>::to(topic).payload("{}").partition(0);
    record.headers = headers;
    producer.send(record).map_err(|(error, _)| error).unwrap();
    producer.flush(TIMEOUT).unwrap();
}

#[test]
fn names_of_any_bytes_come_back_and_are_passed_on() {
    let Some(kafka) = kafka() else { return };
    let topic = unique("headers");
    kafka.create(&topic);
    let producer: BaseProducer = kafka.client().create().unwrap();
    let mut headers = HeadersBuilder::with_capacity(0);
    let expected = [
        RawHeader { name: &[0xff, 0xfe], value: Some(&[0, 0xff]) },
        RawHeader { name: b"nunchi-model", value: Some(b"forged") },
        RawHeader { name: b"", value: None },
        RawHeader { name: "후기".as_bytes(), value: Some(b"") },
        RawHeader { name: &[0xff, 0xfe], value: None },
    ];
    for header in expected {
        headers.add(header.name, header.value);
    }
    send(&producer, &topic, Some(headers.build()));
    send(&producer, &topic, None);

    let consumer = kafka.consumer("headers", &topic);
    let message = next(&consumer);
    let read = RawHeaders::of_message(&message).unwrap();
    assert_eq!(read.iter().collect::<Vec<_>>(), expected);
    assert_eq!((read.len(), read.bytes()), (5, 2 + 2 + 12 + 6 + 6 + 2));
    // Two messages share no headers, and what is passed on outlives its message.
    let passed = read.without(|name| name.starts_with(b"nunchi-"), 1);
    drop(message);
    send(&producer, &topic, Some(passed.build()));
    let bare = next(&consumer);
    assert!(RawHeaders::of_message(&bare).unwrap().is_empty());
    let message = next(&consumer);
    assert_eq!(message.offset(), 2);
    let read = RawHeaders::of_message(&message).unwrap();
    let kept: Vec<_> = expected.into_iter().filter(|header| header.name != b"nunchi-model").collect();
    assert_eq!(read.iter().collect::<Vec<_>>(), kept);
}
