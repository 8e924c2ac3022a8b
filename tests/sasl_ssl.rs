//! The secured door: TLS with a checked certificate, SCRAM with a password from a file, and clear words where either fails.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Kafka, Process, Write, comment, kafka, wait_for};
use std::path::Path;

/// The secured listener, as `scripts/kafka/with-kafka` prints it.
struct Door {
    bootstrap: String,
    user: String,
    password: String,
    authority: String,
}

fn door() -> Option<(Kafka, Door)> {
    let kafka = kafka()?;
    let variable = |name: &str| {
        let value = std::env::var(name);
        if value.is_err() {
            eprintln!("skipped: {name} is not set; this Kafka has no secured listener");
        }
        value.ok()
    };
    let door = Door {
        bootstrap: variable("KAFKA_SASL_BOOTSTRAP")?,
        user: variable("KAFKA_SASL_USER")?,
        password: variable("KAFKA_SASL_PASSWORD")?,
        authority: variable("KAFKA_SASL_CA")?,
    };
    Some((kafka, door))
}

fn settings(door: &Door, password: &str, authority: &str, folder: &Path) -> Vec<String> {
    let file = folder.join("password");
    std::fs::write(&file, format!("{password}\n")).unwrap();
    let properties = "kafka.properties";
    vec![
        format!("{properties}.security.protocol=SASL_SSL"),
        format!("{properties}.sasl.mechanism=SCRAM-SHA-512"),
        format!("{properties}.sasl.username={}", door.user),
        format!("{properties}.sasl.password={{ file = {file:?} }}"),
        format!("{properties}.ssl.ca.location={authority}"),
    ]
}

#[test]
fn comments_are_classified_over_sasl_ssl() {
    let Some((kafka, door)) = door() else { return };
    let topics = kafka.topics("sasl", 1);
    kafka.write(&topics.input, (0..100).map(|id| Write::value(comment(id, "좋아요"))));
    let folder = tempfile::tempdir().unwrap();
    let mut config = kafka.config(&topics);
    config.kafka.brokers = door.bootstrap.clone();
    let settings = settings(&door, &door.password, &door.authority, folder.path());
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let process = Process::start(&config, folder.path(), &settings);
    wait_for("the last record", || kafka.committed(&topics.group, &topics.input, 1) == [100]);
    process.signal("TERM");
    let (status, log) = process.end();
    assert_eq!(status, Some(0), "{log}");
    assert!(!log.contains(&door.password), "the password is in the log");
    assert_eq!(kafka.read(&topics.output).len(), 100);
}

#[test]
fn a_wrong_password_and_an_unknown_authority_are_said_clearly() {
    let Some((kafka, door)) = door() else { return };
    let topics = kafka.topics("sasl-refused", 1);
    let folder = tempfile::tempdir().unwrap();
    let mut config = kafka.config(&topics);
    config.kafka.brokers = door.bootstrap.clone();
    // Any other authority than the broker's own.
    let other =
        std::env::var("SSL_CERT_FILE").unwrap_or_else(|_| "/etc/ssl/certs/ca-certificates.crt".into());
    for (password, authority) in [("wrong", &door.authority), (door.password.as_str(), &other)] {
        if !Path::new(authority).exists() {
            eprintln!("skipped: {authority} does not exist here, nothing to distrust the broker with");
            continue;
        }
        let settings = settings(&door, password, authority, folder.path());
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        let (status, log) = Process::start(&config, folder.path(), &settings).end();
        assert_eq!(status, Some(77), "{log}");
        assert!(log.contains("refuse the credentials"), "{log}");
    }
}
