//! Settings of the topics that change while the process runs.

use crate::common::{Process, kafka, wait_for};
use crate::{COMPACT, keyed, keyless, refused};
use tempfile::TempDir;

#[test]
fn a_policy_that_changes_while_running_is_said_and_respected() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("refused-policy", 1);
    let folder = TempDir::new().unwrap();
    let process = Process::start(&kafka.config(&topics), folder.path(), &[]);
    kafka.write(&topics.input, [keyless(0, 0)]);
    wait_for("a verdict before", || kafka.read(&topics.output).len() == 1);

    // Nothing is refused meanwhile: it is looked at.
    kafka.configure(&topics.output, COMPACT);
    process.wait_for_line("the topic of verdicts is compacted: brokers refuse records without a key there");
    kafka.write(&topics.input, [keyless(0, 1), keyed(0, 2)]);
    wait_for("the verdict", || kafka.read(&topics.output).len() == 2);
    let dead_letters = refused(&kafka, &topics);
    let message = format!("the record has no key, and topic `{}` is compacted", topics.output);
    assert!(dead_letters.len() == 1 && dead_letters[0].1.contains(&message), "{dead_letters:?}");
    assert!(!process.log().contains("batch aborted"), "it was not tried");

    kafka.configure(&topics.output, &[("cleanup.policy", "delete")]);
    process.wait_for_line("the topic is not compacted any more");
    kafka.write(&topics.input, [keyless(0, 3)]);
    wait_for("the verdict", || kafka.read(&topics.output).len() == 3);
    assert_eq!(kafka.read(&topics.dead_letters).len(), 1);

    kafka.configure(&topics.dead_letters, &[("cleanup.policy", "compact,delete")]);
    process
        .wait_for_line("the topic of dead letters is compacted: brokers refuse records without a key there");
    process.signal("TERM");
    let (status, log) = process.end();
    assert_eq!(status, Some(0), "{log}");
    assert_eq!(log.matches("is compacted: ").count(), 2, "each once:\n{log}");
}

#[test]
fn a_limit_that_is_lowered_and_raised_again_is_followed() {
    let Some(kafka) = kafka() else { return };
    let topics = kafka.topics("refused-limit", 1);
    let folder = TempDir::new().unwrap();
    let process = Process::start(&kafka.config(&topics), folder.path(), &["output.echo=[\"text\"]"]);
    process.wait_for_line("partitions assigned");
    let long = |id| crate::common::Write {
        value: Some(crate::common::comment(id, &"좋아요 ".repeat(500))),
        ..keyed(0, id)
    };
    let echoed = || {
        let verdicts = kafka.read(&topics.output);
        verdicts.iter().map(|verdict| !verdict.json()["fields"].is_null()).collect::<Vec<_>>()
    };
    kafka.configure(&topics.output, &[("max.message.bytes", "3000")]);
    process.wait_for_line("max_message_bytes=3000");
    kafka.write(&topics.input, [long(0), keyed(0, 1)]);
    wait_for("the verdicts", || kafka.read(&topics.output).len() == 2);
    assert_eq!(echoed(), [false, true], "without what does not fit");
    assert!(!process.log().contains("batch aborted"), "it was not tried");
    kafka.configure(&topics.output, &[]);
    process.wait_for_line("max_message_bytes=1048588");
    kafka.write(&topics.input, [long(2)]);
    wait_for("the verdict", || kafka.read(&topics.output).len() == 3);
    assert_eq!(echoed(), [false, true, true]);
    assert_eq!(kafka.read(&topics.dead_letters), []);
}
