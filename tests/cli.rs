//! The command line itself: help, completions, exit status of wrong usage.

#![allow(clippy::unwrap_used)] // Outside of `#[test]` functions too a failure fails the test.

use nunchi_model::rnn::Cell;
use nunchi_model::{WeightFormat, testing};
use std::process::{Command, Output};

const COMMANDS: [&str; 12] = [
    "demo",
    "classify",
    "explain",
    "run",
    "generate",
    "train",
    "evaluate",
    "summary",
    "models",
    "config",
    "bench",
    "completions",
];

fn nunchi(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nunchi"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("NUNCHI__")) {
        command.env_remove(name);
    }
    command.args(arguments).output().unwrap()
}

fn printed(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn help_tells_a_newcomer_where_to_start() {
    let output = nunchi(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    let help = printed(&output);
    for command in COMMANDS {
        assert!(help.lines().any(|line| line.trim_start().starts_with(command)), "{command} in {help}");
    }
    assert!(help.contains("Start here:\n  nunchi demo"), "{help}");
    assert!(help.contains("64 wrong usage or configuration"), "{help}");
    let run = printed(&nunchi(&["run", "--help"]));
    for flag in [
        "--config",
        "--brokers",
        "--input",
        "--output",
        "--dead-letters",
        "--group",
        "--delivery",
        "--workers",
        "--model",
        "--http",
        "--set",
        "--kernel",
    ] {
        assert!(run.contains(flag), "{flag} in {run}");
    }
}

#[test]
fn every_command_has_help() {
    for command in COMMANDS {
        let output = nunchi(&[command, "--help"]);
        assert_eq!(output.status.code(), Some(0), "{command}");
        assert!(printed(&output).contains("Usage: nunchi"), "{command}");
    }
}

#[test]
fn wrong_usage_ends_with_64() {
    for arguments in [&["dance"][..], &[], &["run", "--dance"], &["completions", "dance"], &["config"]] {
        let output = nunchi(arguments);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}");
    }
    assert_eq!(nunchi(&["--version"]).status.code(), Some(0));
}

#[test]
fn the_version_names_the_library_that_speaks_to_kafka() {
    let first = concat!("nunchi ", env!("CARGO_PKG_VERSION"));
    assert_eq!(printed(&nunchi(&["-V"])), format!("{first}\n"));
    let kind = if nunchi_librdkafka::IS_SYSTEM { "system" } else { "bundled" };
    let second = format!("librdkafka {} ({kind})", nunchi_librdkafka::version());
    assert_eq!(printed(&nunchi(&["--version"])), format!("{first}\n{second}\n"));
}

#[test]
fn completions_know_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = nunchi(&["completions", shell]);
        assert_eq!(output.status.code(), Some(0), "{shell}");
        let script = printed(&output);
        for command in COMMANDS {
            assert!(script.contains(command), "{command} for {shell}");
        }
    }
    let checked =
        Command::new("bash").args(["-n", "-c", &printed(&nunchi(&["completions", "bash"]))]).status();
    assert!(checked.is_ok_and(|status| status.success()), "bash does not understand its script");
}

/// Every command that takes a model, with `MODEL` where it is named, and whether it may come from a store.
const WITH_MODEL: &[(&[&str], bool)] = &[
    (&["classify", "--model", "MODEL"], true),
    (&["explain", "좋아요", "--model", "MODEL"], true),
    (&["demo", "--seconds", "1", "--http", "127.0.0.1:0", "--model", "MODEL"], true),
    (&["run", "--brokers", "127.0.0.1:1", "--http", "127.0.0.1:0", "--model", "MODEL"], true),
    (&["replay", "--brokers", "127.0.0.1:1", "--to-topic", "again", "--model", "MODEL"], true),
    (&["replay", "--brokers", "127.0.0.1:1", "--compare", "MODEL,MODEL"], true),
    (&["evaluate", "MODEL", "samples/pairs.tsv"], true),
    (&["summary", "MODEL"], true),
    (&["models", "export", "MODEL", "--onnx", "no.onnx"], true),
    (&["bench", "pipeline", "--brokers", "127.0.0.1:1", "--model", "MODEL"], true),
    (&["bench", "swap", "--brokers", "127.0.0.1:1", "--model", "MODEL"], true),
    (&["bench", "text", "MODEL", "samples/comments.jsonl"], false),
    (&["bench", "latency", "MODEL"], false),
    (&["train", "DATA", "--out", "OUT", "--from", "MODEL"], false),
    (&["train", "DATA", "--out", "OUT", "--teacher", "MODEL"], false),
    (&["train", "DATA", "--out", "OUT", "--tokenizer", "MODEL"], false),
];

#[test]
fn the_same_wrong_model_has_the_same_status_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (model, store, data, out) =
        (path("m.safetensors"), path("store"), path("d.tsv"), path("out.safetensors"));
    testing::model(Cell::Gru, 1).save(model.as_ref(), WeightFormat::F16).unwrap();
    std::fs::write(&data, "label\ttext\n".to_owned() + &"0\t별로예요\n1\t좋아요\n".repeat(50)).unwrap();
    assert_eq!(nunchi(&["models", "publish", &model, "--store", &store]).status.code(), Some(0));
    let damaged = path("damaged.safetensors");
    std::fs::write(&damaged, b"no model at all").unwrap();
    // The name, whether the store is named, and the status.
    let mistakes = [
        ("/no/such/model.safetensors", false, 64),
        (folder.path().to_str().unwrap(), false, 64),
        ("0123456789ab", false, 64),
        ("v9", false, 64),
        ("0123456789ab", true, 64),
        ("v9", true, 64),
        (damaged.as_str(), false, 1),
    ];
    for (command, may_have_store) in WITH_MODEL {
        for (name, with_store, status) in mistakes {
            if with_store && !may_have_store {
                continue;
            }
            let place = |word: &&str| word.replace("MODEL", name).replace("DATA", &data).replace("OUT", &out);
            let mut arguments: Vec<String> = command.iter().map(place).collect();
            if with_store {
                arguments.extend(["--store".to_owned(), store.clone()]);
            }
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let output = nunchi(&arguments);
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(status), "{arguments:?}: {said}");
            assert!(said.starts_with("nunchi: ") || said.contains("\nnunchi: "), "{arguments:?}: {said}");
        }
    }
}
