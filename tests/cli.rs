//! The command line itself: help, completions, exit status of wrong usage.

#![allow(clippy::unwrap_used)] // Outside of `#[test]` functions too a failure fails the test.

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
    Command::new(env!("CARGO_BIN_EXE_nunchi")).args(arguments).output().unwrap()
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
