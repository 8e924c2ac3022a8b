//! What is refused, with a sentence and status 64, before anything is written.

use super::Place;
use super::common::Process;

#[test]
fn what_cannot_be_is_refused_with_a_sentence() {
    let Some(place) = Place::new("refused") else { return };
    let (input, output) = (place.topics.input.as_str(), place.topics.output.as_str());
    let to = ["--topic", input, "--to-topic", output];
    let cases: &[(&[&str], &[&str])] = &[
        (&["--from", "yesterday"], &["--from", "2026-01-01"]),
        (&["--to", "2026-02-30"], &["--to"]),
        (&["--from", "2026-02-01", "--to", "2026-01-01"], &["must be before"]),
        (&["--from-offset", "5", "--to-offset", "5"], &["must be before"]),
        (&["--late", "tomorrow"], &["--late", "1d"]),
        (&["--rate", "fast"], &["--rate", "20k/s"]),
        (&["--speed", "0x"], &["--speed", "10x"]),
        (&["--rate", "1/s", "--speed", "1x"], &["--speed"]),
        (&["--id", "a b"], &["--id"]),
        (&["--partition", "9"], &["no partition 9", "--partition"]),
        (&["--where-label", "angry"], &["angry", "positive"]),
        (&["--from", "2026-01-01", "--from-offset", "1"], &["--from-offset"]),
    ];
    for (arguments, words) in cases {
        let (status, log) = place.start(&[&to, *arguments].concat()).end();
        assert_eq!(status, Some(64), "{arguments:?}: {log}");
        assert!(words.iter().all(|word| log.contains(word)), "{arguments:?}: {log}");
    }
    let whole: &[(&[&str], &[&str])] = &[
        (&["--topic", input, "--from", "2026-01-01"], &["target", "--to-topic"]),
        (&["--topic", input, "--to-topic", input], &["different topics"]),
        (
            &["--topic", "nowhere-to-be-found", "--to-topic", output],
            &["nowhere-to-be-found", "does not exist"],
        ),
        (&["--topic", input, "--to-topic", "nowhere-to-be-found"], &["nowhere-to-be-found", "--to-topic"]),
        (&["--topic", input, "--to-topic", output, "--model", "no-such-model"], &["model"]),
        (&["--id", "never-planned"], &["never-planned", "--from"]),
    ];
    for (arguments, words) in whole {
        let model = place.model();
        let mut all =
            vec!["replay", "--brokers", &place.kafka.bootstrap, "--dead-letters", &place.topics.dead_letters];
        if !arguments.contains(&"--model") {
            all.extend(["--model", &model]);
        }
        all.extend(*arguments);
        let (status, log) = Process::nunchi(&all).end();
        assert_eq!(status, Some(64), "{arguments:?}: {log}");
        assert!(words.iter().all(|word| log.contains(word)), "{arguments:?}: {log}");
    }
    assert_eq!(place.output(), []);
}
