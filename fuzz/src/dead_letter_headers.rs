//! Any headers on a record of the dead-letter topic, into which anybody may write.
//!
//! The bytes are a list of headers: the length of the name, the name, the length of the value (255: there is none), the
//! value.
//!
//! - Class, message and source are read without a panic; a source is one that Kafka could have: a legal topic, no
//!   negative number, and it is written as it was read.
//! - A redrive passes every header on in its order, but for those of ours, and adds its own.
//! - librdkafka's list of headers is the list that was put in, and without ours it is the list without ours.

use nunchi::dead_letters::{DeadLetterRecord, Position};
use nunchi_librdkafka::{HeadersBuilder, RawHeaders};

type Headers = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// Reads `data` as a dead letter's headers.
pub fn run(data: &[u8]) {
    let headers = headers(data);
    let at = Position { topic: "comments-dead-letters".to_owned(), partition: 3, offset: 17 };
    let letter = DeadLetterRecord {
        at: at.clone(),
        timestamp_ms: Some(0),
        key: None,
        value: Vec::new(),
        headers: headers.clone(),
        sent: false,
    };
    assert!(letter.class() == "unknown" || letter.header("nunchi-error-class") == Some(letter.class()));
    assert!(letter.error().is_empty() || letter.header("nunchi-error") == Some(letter.error()));
    assert_eq!(letter.is_described(), letter.header("nunchi-size").is_some());
    if let Some(source) = letter.source() {
        assert_eq!(letter.header("nunchi-source"), Some(source.to_string().as_str()));
        assert!(source.partition >= 0 && source.offset >= 0, "{source:?}");
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        assert!((1..=249).contains(&source.topic.len()) && source.topic.bytes().all(legal), "{source:?}");
    }

    let is_ours = |name: &[u8]| name.starts_with(b"nunchi-");
    let rest: Headers = seen(&headers).into_iter().filter(|(name, _)| !is_ours(name)).collect();
    let mut redriven = rest.clone();
    redriven.push((b"nunchi-resent".to_vec(), Some(b"comments-dead-letters/3/17".to_vec())));
    assert_eq!(list(letter.redriven_headers(&at).read()), redriven);

    let mut builder = HeadersBuilder::with_capacity(0);
    for (name, value) in &headers {
        builder.add(name, value.as_deref());
    }
    let built = builder.build();
    let raw = RawHeaders::of_owned(&built);
    assert_eq!(list(raw), seen(&headers));
    assert_eq!(list(raw.without(is_ours, 0).read()), rest);
}

/// Headers as librdkafka returns them: a name ends at its first NUL.
fn seen(headers: &Headers) -> Headers {
    let name = |name: &[u8]| name.split(|&byte| byte == 0).next().unwrap_or_default().to_vec();
    headers.iter().map(|(key, value)| (name(key), value.clone())).collect()
}

fn list(headers: RawHeaders<'_>) -> Headers {
    headers.iter().map(|header| (header.name.to_vec(), header.value.map(<[u8]>::to_vec))).collect()
}

fn headers(mut data: &[u8]) -> Headers {
    let mut headers = Headers::new();
    while let Some((&length, rest)) = data.split_first() {
        let (name, rest) = rest.split_at(rest.len().min(usize::from(length)));
        let (value, rest) = match rest.split_first() {
            None | Some((255, _)) => (None, rest.get(1..).unwrap_or_default()),
            Some((&length, rest)) => {
                let (value, rest) = rest.split_at(rest.len().min(usize::from(length)));
                (Some(value.to_vec()), rest)
            }
        };
        headers.push((name.to_vec(), value));
        data = rest;
    }
    headers
}
