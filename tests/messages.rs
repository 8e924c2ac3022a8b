//! What people read: the help of every command, and the message of every common mistake, as snapshots.
//!
//! A change of a text shows here as a difference; after a look at it:
//!
//! ```sh
//! INSTA_UPDATE=always cargo test --test messages
//! ```

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use tempfile::TempDir;

/// Runs `nunchi` apart from this environment: no settings, no terminal, 100 columns.
fn nunchi(arguments: &[String]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nunchi"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("NUNCHI")) {
        command.env_remove(name);
    }
    // clap asks any of the three streams for a terminal's width before it looks at COLUMNS.
    command.env("COLUMNS", "100").env("NO_COLOR", "1").env("RUST_BACKTRACE", "0").args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap()
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

fn snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

/// The commands that a help text lists, without `help` itself.
fn subcommands(help: &str) -> Vec<String> {
    let Some((_, list)) = help.split_once("\nCommands:\n") else { return Vec::new() };
    let lines = list.lines().take_while(|line| !line.is_empty());
    // Deeper lines go on with the description above them.
    let names = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

/// Every command with its help, the program itself first.
fn commands() -> Vec<(Vec<String>, String)> {
    let (mut found, mut open) = (Vec::new(), vec![Vec::new()]);
    while let Some(command) = open.pop() {
        let output = nunchi(&[&command[..], &["--help".to_owned()]].concat());
        assert_eq!(output.status.code(), Some(0), "{command:?}");
        let help = String::from_utf8(output.stdout).unwrap();
        for name in subcommands(&help).into_iter().rev() {
            open.push([&command[..], &[name]].concat());
        }
        found.push((command, help));
    }
    found
}

#[test]
fn help_of_every_command() {
    let commands = commands();
    assert!(commands.len() >= 30, "only {} commands were found", commands.len());
    for (command, help) in commands {
        let widest = help.lines().map(|line| line.chars().count()).max().unwrap_or(0);
        // Examples are not wrapped.
        assert!(widest <= 130, "{command:?} has a line of {widest} characters");
        let name = if command.is_empty() { "nunchi".to_owned() } else { command.join("-") };
        snapshot(&format!("help-{name}"), &help);
    }
}

/// Common mistakes by command; `DIR` is a folder with the files of [`files`].
const MISTAKES: &[(&str, &[&str])] = &[
    ("nunchi", &["", "dance", "--dance", "classif"]),
    (
        "run",
        &[
            "--brokers",
            "--workers many",
            "--delivery maybe --http nowhere",
            "--config DIR/missing.toml",
            "--config DIR/wrong.toml",
            "--config DIR/broken.toml",
            "--set worker.worker=2",
            "--set worker.workers",
            "--set kafka.properties.group.id=x",
            "--model DIR/missing.safetensors",
            "--model DIR/damaged.safetensors",
            "--model v9",
            "--kernel abacus",
        ],
    ),
    ("demo", &["--seconds soon", "--rate -1", "--model DIR/missing.safetensors", "--http nowhere"]),
    (
        "classify",
        &[
            "--model DIR/missing.safetensors",
            "--model DIR/damaged.safetensors",
            "--kernel abacus",
            "--dance",
            "DIR/missing.csv",
            "--excel --format jsonl",
            "--encoding klingon DIR/missing.csv",
        ],
    ),
    (
        "data",
        &[
            "",
            "check",
            "check DIR/missing.csv",
            "convert DIR/missing.csv",
            "convert DIR/missing.csv --to DIR/out.xlsx",
        ],
    ),
    ("explain", &["", "text --model DIR/missing.safetensors", "text --model DIR/damaged.safetensors"]),
    (
        "replay",
        &[
            "",
            "--to-topic again --from yesterday",
            "--to-topic again --from 2026-02-01 --to 2026-01-01",
            "--to-topic again --compare a,b",
            "--compare DIR/missing.safetensors",
            "--to-topic again --rate fast",
            "--to-topic again --model DIR/damaged.safetensors",
            "--to-topic again --brokers 127.0.0.1:1",
        ],
    ),
    (
        "dead-letters",
        &[
            "",
            "list --class poison",
            "show 17",
            "show",
            "list --brokers 127.0.0.1:1",
            "list --from 2026-02-01 --to 2026-01-01",
        ],
    ),
    ("generate", &["--topic", "--topic t --rate none", "--topic t --brokers 127.0.0.1:1"]),
    (
        "train",
        &[
            "",
            "DIR/missing.tsv --out DIR/m.safetensors",
            "DIR/empty.tsv --out DIR/m.safetensors",
            "DIR/data.tsv --out DIR/none/m.safetensors",
            "DIR/data.tsv --out DIR/m.safetensors --cell transformer",
            "DIR/data.tsv --out DIR/m.safetensors --epochs few",
            "DIR/data.tsv,weight=none --out DIR/m.safetensors",
            "DIR/data.tsv --out DIR/m.safetensors --tokenizer DIR/damaged.safetensors",
        ],
    ),
    (
        "evaluate",
        &[
            "",
            "DIR/missing.safetensors DIR/data.tsv",
            "DIR/damaged.safetensors DIR/data.tsv",
            "DIR/m.safetensors",
            "DIR/m.safetensors DIR/missing.tsv",
            "DIR/m.safetensors --pairs DIR/missing.tsv",
            "DIR/m.safetensors DIR/data.tsv --spacing some",
        ],
    ),
    (
        "retrain",
        &[
            "",
            "--store DIR/store --golden DIR/data.tsv --schedule sometimes",
            "--store DIR/store --golden DIR/data.tsv --config DIR/wrong.toml",
            "--store DIR/store --golden DIR/missing.tsv --brokers 127.0.0.1:1",
            "--golden DIR/data.tsv",
        ],
    ),
    ("summary", &["DIR/missing.safetensors", "DIR/damaged.safetensors", "DIR/data.tsv"]),
    (
        "models",
        &[
            "",
            "list",
            "list --store DIR/no-store",
            "list --store ftp://x/y",
            "show v9 --store DIR/store",
            "publish DIR/missing.safetensors --store DIR/store",
            "publish DIR/damaged.safetensors --store DIR/store",
            "promote v9 --store DIR/store",
            "rollback --store DIR/store",
            "verify --store DIR/no-store",
            "import DIR/missing.safetensors --tokenizer DIR/missing.model --out DIR/x.safetensors",
            "export DIR/damaged.safetensors --onnx DIR/x.onnx",
        ],
    ),
    (
        "config",
        &[
            "",
            "check --config DIR/missing.toml",
            "check --config DIR/wrong.toml",
            "check --config DIR/broken.toml",
        ],
    ),
    (
        "bench",
        &[
            "",
            "engine",
            "engine DIR/missing",
            "text DIR/m.safetensors DIR/missing.tsv",
            "text DIR/damaged.safetensors DIR/data.tsv",
            "latency DIR/missing.safetensors",
        ],
    ),
    ("completions", &["", "dance"]),
];

/// The files that the mistakes name.
fn files(folder: &Path) {
    let write = |name: &str, content: &str| std::fs::write(folder.join(name), content).unwrap();
    write(
        "wrong.toml",
        "[worker]\nworker = 2\nworkers = \"many\"\nturn_records = 5\n\n[input]\nformat = \"xml\"\n",
    );
    write("broken.toml", "[kafka\nbrokers = 5\n");
    write("damaged.safetensors", "no model at all");
    write("empty.tsv", "");
    write("data.tsv", &("label\ttext\n".to_owned() + &"0\t별로예요\n1\t좋아요\n".repeat(20)));
    let model = nunchi_model::testing::model(nunchi_model::rnn::Cell::Gru, 7);
    model.save(&folder.join("m.safetensors"), nunchi_model::WeightFormat::F32).unwrap();
}

/// What a mistake is answered with, without what differs between machines.
fn said(line: &str, folder: &str) -> String {
    let arguments: Vec<String> = words(line).iter().map(|word| word.replace("DIR", folder)).collect();
    let output = nunchi(&arguments);
    let text = String::from_utf8_lossy(&output.stderr).replace(folder, "DIR");
    let mut shown = String::new();
    for line in text.lines() {
        // A line of the log begins with its time.
        let is_log = line.starts_with("20") && line.contains('T') && line.contains('Z');
        if !is_log {
            shown += &without_reason(&kernels(line));
            shown.push('\n');
        }
    }
    let status = output.status.code().map_or_else(|| "none".to_owned(), |code| code.to_string());
    format!("$ nunchi {line}\n{shown}[status {status}]\n\n")
}

/// `line` without the list of kernels, which is this CPU's.
fn kernels(line: &str) -> String {
    let names: Vec<&str> = nunchi_engine::KernelKind::ALL.map(nunchi_engine::KernelKind::name).to_vec();
    let mut out: Vec<&str> = Vec::new();
    for word in line.split(' ') {
        let is_kernel = names.contains(&word.trim_end_matches([',', ';', '.', ':', ')']));
        if !is_kernel {
            out.push(word);
        } else if out.last() != Some(&"KERNELS") {
            out.push("KERNELS");
        }
    }
    out.join(" ")
}

/// `line` without librdkafka's reason why no broker answers, which depends on what it noticed first.
fn without_reason(line: &str) -> String {
    let reason = |begin: &str, end: &str| -> Option<String> {
        let (before, rest) = line.split_once(begin)?;
        let after = if end.is_empty() { "" } else { rest.split_once(end)?.1 };
        Some(format!("{before}{begin}REASON{end}{after}"))
    };
    if !line.contains("127.0.0.1:1") {
        return line.to_owned();
    }
    reason("127.0.0.1:1 (", ");").or_else(|| reason(" failed: ", "")).unwrap_or_else(|| line.to_owned())
}

#[test]
fn messages_of_common_mistakes() {
    // Some wait for brokers that are not there, so all commands run at once, each in a folder of its own.
    let answers: Vec<(&str, String)> = thread::scope(|scope| {
        let run = |command: &str, mistakes: &[&str]| -> String {
            let folder = TempDir::new().unwrap();
            files(folder.path());
            let path = folder.path().to_str().unwrap();
            let prefix = if command == "nunchi" { "" } else { command };
            mistakes.iter().map(|line| said(format!("{prefix} {line}").trim(), path)).collect()
        };
        let start = |&(command, mistakes)| (command, scope.spawn(move || run(command, mistakes)));
        let running: Vec<_> = MISTAKES.iter().map(start).collect();
        running.into_iter().map(|(command, thread)| (command, thread.join().unwrap())).collect()
    });
    for (command, answer) in answers {
        assert!(!answer.contains("panicked"), "{answer}");
        snapshot(&format!("mistakes-{command}"), &answer);
    }
}

#[test]
fn every_command_has_its_mistakes() {
    let top = subcommands(&String::from_utf8(nunchi(&words("--help")).stdout).unwrap());
    for command in top {
        assert!(MISTAKES.iter().any(|(name, _)| *name == command), "no mistakes of `{command}`");
    }
}
