//! The secured door: TLS with a checked certificate, SCRAM with a password from a file, and clear words where either fails.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Kafka, Process, Write, comment, kafka, needs, wait_for};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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
            needs::lacking("sasl", &format!("{name} is not set; this Kafka has no secured listener"));
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

/// A certificate authority that signed nothing.
fn another_authority(folder: &Path) -> Option<PathBuf> {
    if !needs::runs("openssl", &["version"]) {
        needs::lacking("openssl", "openssl is not installed (scripts/setup test does it)");
        return None;
    }
    let (key, certificate) = (folder.join("other.key"), folder.join("other.pem"));
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=another authority",
        ])
        .arg("-keyout")
        .arg(key)
        .arg("-out")
        .arg(&certificate)
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(made.success());
    Some(certificate)
}

/// Everything that librdkafka and this program can say is said, of a client that authenticates: with the right password and
/// with a wrong one.
#[test]
fn a_password_is_in_no_log_at_any_level() {
    let Some((kafka, door)) = door() else { return };
    let topics = kafka.topics("sasl-secret", 1);
    kafka.write(&topics.input, [Write::value(comment(0, "좋아요"))]);
    let folder = tempfile::tempdir().unwrap();
    let mut config = kafka.config(&topics);
    config.kafka.brokers = door.bootstrap.clone();
    let wrong = "wrong-open-sesame";
    for password in [door.password.as_str(), wrong] {
        let mut settings = settings(&door, password, &door.authority, folder.path());
        settings.extend(["log.level=trace", "kafka.properties.debug=all"].map(str::to_owned));
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        let process = Process::start(&config, folder.path(), &settings);
        if password == wrong {
            let (status, log) = process.end();
            assert_eq!(status, Some(77), "{log:.2000}");
            assert!(!log.contains(wrong), "the wrong password is in the log");
            continue;
        }
        wait_for("the record", || kafka.committed(&topics.group, &topics.input, 1) == [1]);
        process.signal("TERM");
        let (status, log) = process.end();
        assert_eq!(status, Some(0), "{log:.2000}");
        // The exchange is in the log, or the test would prove nothing.
        assert!(
            log.contains("SCRAM") && log.contains("SaslAuthenticate"),
            "librdkafka says little: {log:.2000}"
        );
        assert!(!log.contains(password), "the password is in the log");
        // SCRAM-SHA-512 sends no password; PLAIN and a careless dump would send it in base64.
        let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, password);
        assert!(!log.contains(encoded.trim_end_matches('=')), "the password is in the log, in base64");
    }
}

#[test]
fn a_wrong_password_and_an_unknown_authority_are_said_clearly() {
    let Some((kafka, door)) = door() else { return };
    let topics = kafka.topics("sasl-refused", 1);
    let folder = tempfile::tempdir().unwrap();
    let mut config = kafka.config(&topics);
    config.kafka.brokers = door.bootstrap.clone();
    let Some(other) = another_authority(folder.path()) else { return };
    let other = other.to_str().unwrap().to_owned();
    let cases = [
        ("wrong", &door.authority, "refuse the credentials"),
        (door.password.as_str(), &other, "was issued by an authority that is not trusted here"),
    ];
    for (password, authority, message) in cases {
        let settings = settings(&door, password, authority, folder.path());
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        let (status, log) = Process::start(&config, folder.path(), &settings).end();
        assert_eq!(status, Some(77), "{log}");
        assert!(log.contains(message), "{log}");
    }
}
