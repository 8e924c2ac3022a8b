//! Rights and credentials that are missing, revoked or changed: the message names them, and the process ends with 77 or goes
//! on with the new ones.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Kafka, Process, Topics, Write, comment, kafka, wait_for};
use std::path::Path;
use std::process::Command;

const FIRST: &str = "first-password-7351";
const SECOND: &str = "second-password-8264";

/// Kafka with a user of its own on its secured listener.
struct Secured {
    kafka: Kafka,
    bootstrap: String,
    authority: String,
    user: String,
}

impl Secured {
    /// `None`, said aloud, where this Kafka has no secured listener.
    fn new(test: &str) -> Option<Self> {
        let kafka = kafka()?;
        let variable = |name: &str| {
            let value = std::env::var(name).ok();
            if value.is_none() {
                common::needs::lacking(
                    "sasl",
                    &format!("{name} is not set; run scripts/kafka/with-kafka cargo test"),
                );
            }
            value
        };
        variable("KAFKA_CLASSPATH")?;
        let secured = Secured {
            bootstrap: variable("KAFKA_SASL_BOOTSTRAP")?,
            authority: variable("KAFKA_SASL_CA")?,
            user: format!("{test}-{:08x}", rand::random::<u32>()),
            kafka,
        };
        secured.set_password(FIRST);
        Some(secured)
    }

    fn tool(&self, class: &str, arguments: &[&str]) {
        let mut command = Command::new("java");
        command.args(["-Xmx128m", "-cp", &std::env::var("KAFKA_CLASSPATH").unwrap(), class]);
        command.args(["--bootstrap-server", &self.kafka.bootstrap]).args(arguments);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    }

    fn set_password(&self, password: &str) {
        let scram = format!("SCRAM-SHA-512=[iterations=4096,password={password}]");
        let user = ["--alter", "--entity-type", "users", "--entity-name", &self.user, "--add-config", &scram];
        self.tool("kafka.admin.ConfigCommand", &user);
    }

    /// Gives (`--add`) or takes (`--remove`) rights on a topic.
    fn acl(&self, verb: &str, topic: &str, operations: &[&str]) {
        let principal = format!("User:{}", self.user);
        let mut arguments = vec![verb, "--topic", topic, "--allow-principal", &principal];
        operations.iter().for_each(|operation| arguments.extend(["--operation", operation]));
        if verb == "--remove" {
            arguments.push("--force");
        }
        self.tool("org.apache.kafka.tools.AclCommand", &arguments);
    }

    fn settings(&self, password: &Path) -> Vec<String> {
        let properties = "kafka.properties";
        vec![
            format!("{properties}.security.protocol=SASL_SSL"),
            format!("{properties}.sasl.mechanism=SCRAM-SHA-512"),
            format!("{properties}.sasl.username={}", self.user),
            format!("{properties}.sasl.password={{ file = {password:?} }}"),
            format!("{properties}.ssl.ca.location={}", self.authority),
        ]
    }

    fn start(&self, topics: &Topics, folder: &Path) -> Process {
        let mut config = self.kafka.config(topics);
        config.kafka.brokers = self.bootstrap.clone();
        let password = folder.join("password");
        if !password.exists() {
            std::fs::write(&password, FIRST).unwrap();
        }
        let settings = self.settings(&password);
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        Process::start(&config, folder, &settings)
    }
}

fn committed(secured: &Secured, topics: &Topics) -> i64 {
    secured.kafka.committed(&topics.group, &topics.input, 1)[0]
}

#[test]
fn a_missing_or_revoked_write_names_topic_operation_and_principal() {
    let Some(secured) = Secured::new("rights") else { return };
    let topics = secured.kafka.topics("rights", 1);
    let folder = tempfile::tempdir().unwrap();
    // At start: describing is allowed, writing is not; and the topic's settings are nobody's business.
    secured.acl("--add", &topics.dead_letters, &["Describe"]);
    let (status, log) = secured.start(&topics, folder.path()).end();
    assert_eq!(status, Some(77), "{log}");
    let last = log.lines().last().unwrap();
    let named = format!(
        "Write on topic `{}` (dead_letters.topic) by the principal of sasl.username `{}`",
        topics.dead_letters, secured.user
    );
    assert!(last.contains(&named), "{log}");

    // With Write it runs; that the settings may not be read is a warning.
    secured.acl("--add", &topics.dead_letters, &["Write"]);
    secured.acl("--add", &topics.output, &["Describe", "Write"]);
    secured.kafka.write(&topics.input, (0..10).map(|id| Write::value(comment(id, "좋아요"))));
    let process = secured.start(&topics, folder.path());
    wait_for("the records", || committed(&secured, &topics) == 10);
    assert!(process.log().contains("DescribeConfigs"), "{}", process.log());

    // Revoked while it runs.
    secured.acl("--remove", &topics.output, &["Write"]);
    secured.kafka.write(&topics.input, (10..20).map(|id| Write::value(comment(id, "좋아요"))));
    let (status, log) = process.end();
    assert_eq!(status, Some(77), "{log}");
    let last = log.lines().last().unwrap();
    assert!(
        last.contains(&format!("Write on topic `{}`", topics.output)) && last.contains(&secured.user),
        "{log}"
    );
    assert_eq!(committed(&secured, &topics), 10, "nothing was committed without its verdicts");
}

#[test]
fn settings_that_may_not_be_read_any_more_are_one_warning() {
    let Some(secured) = Secured::new("settings") else { return };
    let topics = secured.kafka.topics("settings", 1);
    let folder = tempfile::tempdir().unwrap();
    secured.acl("--add", &topics.output, &["Describe", "Write", "DescribeConfigs"]);
    secured.kafka.write(&topics.input, (0..10).map(|id| Write::value(comment(id, "좋아요"))));
    let process = secured.start(&topics, folder.path());
    wait_for("the records", || committed(&secured, &topics) == 10);
    assert!(!process.log().contains("DescribeConfigs"), "{}", process.log());
    secured.acl("--remove", &topics.output, &["DescribeConfigs"]);
    let warning = "cannot be read any more, which takes DescribeConfigs on them";
    process.wait_for_line(warning);
    // Those of the other topic are still looked at, later than that.
    secured.kafka.configure(&topics.dead_letters, &[("cleanup.policy", "compact")]);
    process.wait_for_line("the topic of dead letters is compacted");
    secured.kafka.write(&topics.input, (10..20).map(|id| Write::value(comment(id, "좋아요"))));
    wait_for("the records", || committed(&secured, &topics) == 20);
    process.signal("TERM");
    let (status, log) = process.end();
    assert_eq!(status, Some(0), "{log}");
    assert_eq!(log.matches(warning).count(), 1, "{log}");
    assert!(log.contains(&format!("topics=[\"{}\"]", topics.output)), "{log}");
}

#[test]
fn rotated_credentials_are_read_again_from_their_file() {
    let Some(secured) = Secured::new("rotated") else { return };
    let topics = secured.kafka.topics("rotated", 1);
    let folder = tempfile::tempdir().unwrap();
    secured.kafka.write(&topics.input, (0..10).map(|id| Write::value(comment(id, "좋아요"))));
    let process = secured.start(&topics, folder.path());
    wait_for("the records", || committed(&secured, &topics) == 10);

    // The brokers first; the file comes later.
    secured.set_password(SECOND);
    process.wait_for_line("the brokers refuse the credentials");
    std::fs::write(folder.path().join("password"), SECOND).unwrap();
    secured.kafka.write(&topics.input, (10..20).map(|id| Write::value(comment(id, "좋아요"))));
    wait_for("the records after the change", || committed(&secured, &topics) == 20);
    process.signal("TERM");
    let (status, log) = process.end();
    assert_eq!(status, Some(0), "{log}");
    assert!(!log.contains(FIRST) && !log.contains(SECOND), "a password is in the log: {log}");
    assert_eq!(secured.kafka.read(&topics.output).len(), 20);
}

#[test]
fn credentials_that_stay_refused_end_the_process_with_77() {
    let Some(secured) = Secured::new("refused") else { return };
    let topics = secured.kafka.topics("refused", 1);
    let folder = tempfile::tempdir().unwrap();
    secured.kafka.write(&topics.input, (0..10).map(|id| Write::value(comment(id, "좋아요"))));
    let process = secured.start(&topics, folder.path());
    wait_for("the records", || committed(&secured, &topics) == 10);
    secured.set_password(SECOND);
    let (status, log) = process.end();
    assert_eq!(status, Some(77), "{log}");
    let last = log.lines().last().unwrap();
    assert!(
        last.contains("refuse the credentials (for 6") && last.contains("s while this process was running"),
        "{log}"
    );
}

#[test]
fn bounded_commands_end_with_77_too() {
    let Some(secured) = Secured::new("denied") else { return };
    let topics = secured.kafka.topics("denied", 1);
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, "wrong\n").unwrap();
    let settings = secured.settings(&password);
    let model = common::random_model(folder.path(), 7);
    let model = model.to_str().unwrap();
    let commands: [&[&str]; 3] = [
        &["dead-letters", "list", "--topic", &topics.dead_letters],
        &["replay", "--topic", &topics.input, "--to-topic", &topics.output, "--model", model],
        &["retrain", "--topic", &topics.input, "--store", folder.path().to_str().unwrap()],
    ];
    for words in commands {
        let mut arguments: Vec<&str> = words.to_vec();
        arguments.extend(["--brokers", &secured.bootstrap]);
        settings.iter().for_each(|setting| arguments.extend(["--set", setting]));
        let (status, log) = Process::nunchi(&arguments).end();
        // A retraining looks at the store first.
        if words[0] == "retrain" && status == Some(64) {
            continue;
        }
        assert_eq!(status, Some(77), "{words:?}: {log}");
        assert!(log.contains("refuse the credentials"), "{words:?}: {log}");
    }
}
