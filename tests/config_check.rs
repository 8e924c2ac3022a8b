//! `nunchi config check`: the layers, every error at once with its origin, and no secret anywhere.

#![allow(clippy::unwrap_used)] // Also outside of `#[test]` functions a failure fails the test.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

struct Check {
    folder: TempDir,
    variables: Vec<(String, String)>,
    arguments: Vec<String>,
}

impl Check {
    fn new(file: &str) -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("nunchi.toml"), file).unwrap();
        Check { folder, variables: Vec::new(), arguments: Vec::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    fn set(mut self, assignment: &str) -> Self {
        self.arguments.extend(["--set".to_owned(), assignment.to_owned()]);
        self
    }

    fn run(&self) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nunchi"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("NUNCHI__") {
                command.env_remove(name);
            }
        }
        command.args(["config", "check", "--config"]).arg(self.path("nunchi.toml")).args(&self.arguments);
        command.envs(self.variables.iter().cloned()).output().unwrap()
    }

    /// Standard output of a check that passes.
    fn passes(&self) -> String {
        let output = self.run();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The lines of a check that fails, after the headline.
    fn fails(&self) -> Vec<String> {
        let output = self.run();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{errors}");
        assert!(output.stdout.is_empty());
        errors.lines().skip(1).map(|line| line.trim().to_owned()).collect()
    }
}

fn find<'a>(lines: &'a [String], what: &str) -> &'a str {
    let found: Vec<&String> = lines.iter().filter(|line| line.contains(what)).collect();
    assert_eq!(found.len(), 1, "`{what}` in {lines:#?}");
    found[0]
}

/// What the review topic needs, and what it must not be.
#[test]
fn a_review_topic_must_get_something_and_be_another_one() {
    let lines =
        Check::new("[decision]\nreview_topic = \"nunchi.verdicts\"\n[output]\ntopic = \"nunchi.verdicts\"\n")
            .fails();
    find(&lines, "nothing would be written to `decision.review_topic`");
    find(&lines, "`output.topic` and `decision.review_topic` must be different topics");
    let lines = Check::new("[decision]\nreview_share = 0.1\n").fails();
    find(&lines, "`decision.review_share` needs `decision.review_topic`");
    let lines = Check::new("[decision]\nreview_topic = \"a b\"\nreview_share = 1.5\n").fails();
    find(&lines, "`decision.review_topic` must be a topic's name");
    find(&lines, "`decision.review_share` must be a share from 0 to 1");
    Check::new("[decision]\nreview_topic = \"review\"\nreview_share = 1\n").passes();
}

#[test]
fn flags_win_over_the_environment_that_wins_over_the_file() {
    let file = "[input]\ntopic = \"from-file\"\n[output]\ntopic = \"from-file-2\"\n[kafka]\ngroup = \"from-file-3\"\n";
    let text = Check::new(file)
        .env("NUNCHI__OUTPUT__TOPIC", "from-env")
        .env("NUNCHI__KAFKA__GROUP", "from-env")
        .env("NUNCHI__OUTPUT__ECHO", "product_id, rating")
        .env("NUNCHI__HTTP__ADDRESS", "")
        .set("kafka.group=5")
        .set("worker.workers=3")
        .passes();
    let line =
        |start: &str| text.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{text}"));
    assert!(text.contains("topic = \"from-file\""));
    assert!(line("topic = \"from-file\"").ends_with("nunchi.toml:2"), "{text}");
    assert!(line("topic = \"from-env\"").ends_with("# environment NUNCHI__OUTPUT__TOPIC"), "{text}");
    assert!(line("group = \"5\"").ends_with("# flag --set kafka.group"), "{text}");
    assert!(line("workers = 3").ends_with("# flag --set worker.workers"), "{text}");
    assert!(line("echo = [\"product_id\", \"rating\"]").contains("environment"), "{text}");
    assert!(text.contains("address = \"127.0.0.1:9600\"\n"), "an empty variable counts as unset: {text}");
    assert!(text.ends_with("\nok\n"), "{text}");
}

#[test]
fn every_error_is_reported_at_once_with_its_origin() {
    let file = r#"
brokers = "a:1"
[worker]
wrokers = 2
batch_records = "many"
batch_bytes = 1
[kafka]
delivery = "at_most_once"
brokers = "a:b"
[kafka.properties]
group.id = "x"
"socket.timeout.mss" = 1
security.protocol = "TELEPATHY"
sasl.password = { env = "NUNCHI_TEST_IS_NOT_SET" }
ssl.key.password = { file = "/nowhere/at-all" }
[kafka.consumer]
enable.auto.commit = true
isolation.level = "read_uncommitted"
[kafka.producer]
acks = 1
request.required.acks = 0
max.in.flight = 6
transactional.id = "mine"
enable.idempotence = false
[output]
topic = "comments"
[log]
level = "inof"
[http]
address = "here"
"#;
    let lines = Check::new(file)
        .env("NUNCHI__WORKER__POLL_MS", "soon")
        .env("NUNCHI__WORKER__POLL", "1")
        .set("dead_letters.topic=a/b")
        .set("input.topics=x")
        .set("input.format")
        .fails();
    assert!(find(&lines, "no setting `brokers`").contains("nunchi.toml:2: "));
    assert!(find(&lines, "`worker.wrokers`").contains("nunchi.toml:4: "));
    assert!(find(&lines, "`worker.wrokers`").contains("did you mean `worker.workers`?"));
    assert!(find(&lines, "`worker.batch_records`").ends_with("must be a whole number from 1 to 1,000,000"));
    assert!(find(&lines, "`worker.batch_bytes`").contains("nunchi.toml:6: "));
    assert!(find(&lines, "`kafka.delivery`").ends_with("must be \"exactly_once\" or \"at_least_once\""));
    find(&lines, "`kafka.brokers` must be");
    find(&lines, "`kafka.properties.group.id`: refused: the group is the setting `kafka.group`");
    find(&lines, "`kafka.properties.socket.timeout.mss`: No such configuration property");
    find(&lines, "`kafka.properties.security.protocol`: Invalid value \"TELEPATHY\"");
    find(
        &lines,
        "`kafka.properties.sasl.password`: the environment variable NUNCHI_TEST_IS_NOT_SET is not set",
    );
    find(&lines, "`kafka.properties.ssl.key.password`: cannot read the file /nowhere/at-all");
    for ours in
        ["consumer.enable.auto.commit", "consumer.isolation.level", "producer.acks", "producer.max.in.flight"]
    {
        find(&lines, &format!("`kafka.{ours}`: refused: "));
    }
    for ours in ["request.required.acks", "transactional.id", "enable.idempotence"] {
        find(&lines, &format!("`kafka.producer.{ours}`: refused: "));
    }
    find(&lines, "`input.topic` and `output.topic` must be different topics");
    assert!(find(&lines, "`log.level`").contains("must be off, error, warn, info, debug or trace"));
    find(&lines, "`http.address` must be HOST:PORT");
    assert!(find(&lines, "`worker.poll_ms` must").starts_with("environment NUNCHI__WORKER__POLL_MS: "));
    assert!(find(&lines, "no setting `worker.poll`").starts_with("environment NUNCHI__WORKER__POLL: "));
    assert!(find(&lines, "`dead_letters.topic`").starts_with("flag --set dead_letters.topic: "));
    assert!(find(&lines, "`input.topics`").starts_with("flag --set input.topics: "));
    find(&lines, "`input.format` has no value");
    assert_eq!(lines.len(), 26, "{lines:#?}");
}

#[test]
fn a_file_that_is_not_toml_or_missing_is_reported() {
    let lines = Check::new("[kafka]\nbrokers = \ngroup = \"g\"\n[input\n").fails();
    assert!(find(&lines, "nunchi.toml:2: not TOML").len() > 20, "{lines:?}");
    let check = Check::new("");
    std::fs::remove_file(check.path("nunchi.toml")).unwrap();
    find(&check.fails(), "cannot read the configuration file");
}

#[test]
fn properties_that_do_not_go_together_are_found_too() {
    let lines =
        Check::new("[kafka.consumer]\nsession.timeout.ms = 9000\nmax.poll.interval.ms = 8000\n").fails();
    let line = find(&lines, "max.poll.interval.ms");
    assert!(line.starts_with("[kafka.properties] with [kafka.consumer]: "), "{line}");
}

#[test]
fn the_new_group_protocol_is_discouraged_where_librdkafka_speaks_it_badly() {
    let fixed = nunchi_librdkafka::version() >= nunchi_librdkafka::Version::new(2, 15, 0);
    for (protocol, discouraged) in [("consumer", !fixed), ("CONSUMER", !fixed), ("classic", false)] {
        let output = Check::new(&format!("[kafka.consumer]\ngroup.protocol = \"{protocol}\"\n")).run();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{errors}");
        assert!(output.stdout.ends_with(b"\nok\n"));
        let line = "nunchi: warning: group.protocol = \"consumer\" is not reliable with librdkafka";
        assert_eq!(errors.starts_with(line), discouraged, "{protocol}: {errors}");
    }
}

#[test]
fn no_secret_is_ever_shown() {
    const SECRET: &str = "hunter2-열려라참깨";
    let file = r#"
[kafka.properties]
security.protocol = "SASL_PLAINTEXT"
sasl.mechanism = "PLAIN"
sasl.username = { env = "THE_USER" }
sasl.password = { file = "FILE" }
[kafka.consumer]
ssl.key.password = "hunter2-열려라참깨"
"#;
    let secret_file = TempDir::new().unwrap();
    let path = secret_file.path().join("password");
    std::fs::write(&path, format!("{SECRET}\n")).unwrap();
    let good = Check::new(&file.replace("FILE", path.to_str().unwrap())).env("THE_USER", SECRET);
    let text = good.passes();
    assert!(text.contains("\"sasl.username\" = { env = \"THE_USER\" }"), "{text}");
    assert!(text.contains("\"ssl.key.password\" = \"***\""), "{text}");
    assert!(!text.contains("hunter2"), "{text}");

    // Values that librdkafka refuses and quotes, from the environment; and a line that is no TOML.
    let refused = Check::new("[kafka.properties]\nsecurity.protocol = { env = \"THE_USER\" }\n")
        .env("THE_USER", SECRET)
        .env("NUNCHI__KAFKA__CONSUMER__FETCH_MIN_BYTES", SECRET)
        .set(&format!("kafka.producer.ssl.key.pem={SECRET}"));
    let broken = Check::new(&format!("[kafka.properties]\nsasl.password = {SECRET}\n"));
    for lines in [refused.fails(), broken.fails()] {
        assert!(!lines.join("\n").contains("hunter2"), "{lines:#?}");
    }

    let library = nunchi::config::load(Some(Path::new(&good.path("nunchi.toml"))), [], &[]);
    assert!(!format!("{library:?}").contains("hunter2"), "{library:?}");
}

#[test]
fn what_gives_secrets_away_is_warned_of() {
    const PASSWORD: &str = "hunter2";
    let warnings = |file: &str, set: &[&str]| -> String {
        let check = set
            .iter()
            .fold(Check::new(file).env("OFF", "False").env("PLAIN", "PLAIN"), |check, set| check.set(set));
        let output = check.run();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert!(
            said.lines().all(|line| line.starts_with("nunchi: warning: ")) && !said.contains(PASSWORD),
            "{said}"
        );
        said
    };
    let secure = r#"
[kafka.properties]
security.protocol = "SASL_SSL"
sasl.mechanism = "PLAIN"
sasl.username = "nunchi"
sasl.password = { env = "PLAIN" }
"#;
    assert_eq!(warnings(secure, &[]), "");
    for setting in [
        "kafka.properties.enable.ssl.certificate.verification=false",
        "kafka.consumer.enable.ssl.certificate.verification=0",
        "kafka.producer.enable.ssl.certificate.verification={ env = \"OFF\" }",
    ] {
        let said = warnings(secure, &[setting]);
        assert_eq!(said.matches("enable.ssl.certificate.verification").count(), 1, "{setting}: {said}");
        assert!(said.contains("ssl.ca.location"), "{said}");
    }
    let said = warnings(secure, &["kafka.properties.ssl.endpoint.identification.algorithm=none"]);
    assert!(said.contains("ssl.endpoint.identification.algorithm"), "{said}");
    for setting in [
        "kafka.properties.security.protocol=sasl_plaintext",
        "kafka.consumer.security.protocol=SASL_PLAINTEXT",
    ] {
        let said = warnings(secure, &[setting]);
        assert!(
            said.contains("the password travels unencrypted") && said.contains("SASL_SSL"),
            "{setting}: {said}"
        );
    }
    let scram = [
        "kafka.properties.security.protocol=SASL_PLAINTEXT",
        "kafka.properties.sasl.mechanism=SCRAM-SHA-512",
    ];
    assert_eq!(warnings(secure, &scram), "");
    for section in ["properties", "consumer", "producer"] {
        let said = warnings(secure, &[&format!("kafka.{section}.ssl.key.password={PASSWORD}")]);
        assert!(
            said.contains(&format!("`kafka.{section}.ssl.key.password` holds the secret itself")),
            "{said}"
        );
    }

    let open = "http.address=0.0.0.0:9600";
    assert!(warnings("", &[open, "http.insecure=true"]).contains("whoever reaches 0.0.0.0:9600"));
    let token = "http.tokens=[{ name = \"a\", role = \"read\", token = { file = \"FILE\" } }]";
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "0123456789abcdef").unwrap();
    let token = token.replace("FILE", file.to_str().unwrap());
    assert!(warnings("", &[open, &token]).contains("tokens travel unencrypted to 0.0.0.0:9600"));
    let tls = ["http.tls_certificate=a.pem", "http.tls_key=a.key"];
    assert_eq!(warnings("", &[open, &token, tls[0], tls[1]]), "");
    assert_eq!(warnings("", &[&token]), "", "on this machine only");
}

#[test]
fn a_retired_setting_is_refused_with_what_to_do_instead() {
    let lines = Check::new("[worker]\nturn_records = 500\n[input]\ncreated_at_field = \"at\"\n")
        .env("NUNCHI__WORKER__TURN_BYTES", "4096")
        .set("worker.turn_records=600")
        .fails();
    let renamed = "`worker.turn_records` is now `worker.batch_records`";
    assert!(lines.iter().any(|line| line.ends_with(&format!("nunchi.toml:2: {renamed}"))), "{lines:#?}");
    assert!(lines.contains(&format!("flag --set worker.turn_records: {renamed}")), "{lines:#?}");
    assert!(
        find(&lines, "`worker.turn_bytes` is now `worker.batch_bytes`")
            .starts_with("environment NUNCHI__WORKER__TURN_BYTES: "),
        "{lines:#?}"
    );
    find(&lines, "`input.created_at_field` was removed: nothing read it");
    assert_eq!(lines.len(), 4, "{lines:#?}");
}
