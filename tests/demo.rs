//! `nunchi demo` shows the real workers at work without a Kafka, ends by itself, and leaves the terminal as it was.

#![allow(clippy::unwrap_used)]

mod needs;

use nunchi_model::rnn::Cell;
use nunchi_model::{WeightFormat, testing};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A model that nobody trained: what the demo shows does not depend on it.
fn model() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("random.safetensors");
    testing::model(Cell::Gru, 7).save(&path, WeightFormat::F32).unwrap();
    (folder, path)
}

fn demo(arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_nunchi"))
        .arg("demo")
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The address of `/metrics`, as the demo says it.
fn metrics_url(stderr: &mut BufReader<ChildStderr>) -> String {
    let mut said = String::new();
    while stderr.read_line(&mut said).unwrap() > 0 {
        if let Some(url) = said.split_whitespace().find(|word| word.ends_with("/metrics")) {
            return url.to_owned();
        }
    }
    panic!("no address in: {said}");
}

fn get(url: &str) -> String {
    ureq::get(url).call().unwrap().body_mut().read_to_string().unwrap()
}

/// Verdicts that the metrics count.
fn records_out(metrics: &str) -> f64 {
    let lines = metrics.lines().filter(|line| line.starts_with("nunchi_records_out_total{"));
    lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
}

#[test]
fn prints_verdicts_and_dead_letters_serves_metrics_and_ends_by_itself() {
    let (_folder, model) = model();
    let model = model.to_str().unwrap();
    let mut child = demo(&["--seconds", "5", "--rate", "200", "--http", "127.0.0.1:0", "--model", model]);
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let url = metrics_url(&mut stderr);
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut printed = String::new();
    stdout.read_line(&mut printed).unwrap();
    // The demo's broker has no transactions: verdicts are read before their batch is committed, and metrics count what is
    // committed.
    let deadline = Instant::now() + Duration::from_secs(4);
    let mut metrics = get(&url);
    while records_out(&metrics) < 1.0 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(50));
        metrics = get(&url);
    }
    assert!(records_out(&metrics) >= 1.0, "{metrics}");

    stdout.read_to_string(&mut printed).unwrap();
    let mut said = String::new();
    stderr.read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{said}\n{printed}");

    let count = |start: &str| printed.lines().filter(|line| line.starts_with(start)).count();
    let verdicts = count("positive  ") + count("negative  ");
    let dead_letters = count("dead letter  ");
    assert!(verdicts >= 100, "{verdicts}\n{printed}");
    let known = nunchi::samples::comments();
    let classified_sample = known.iter().find(|comment| !comment.text.contains('\n')).unwrap();
    assert!(
        printed.contains(&classified_sample.text) || verdicts < known.len(),
        "{}",
        classified_sample.text
    );
    let summary = printed.lines().find(|line| line.contains("records published")).unwrap_or_default();
    let answered = verdicts + dead_letters;
    assert!(summary.starts_with(&format!("{} records published, ", grouped(answered))), "{summary}");
    assert!(summary.contains(&format!(" {} answered ", grouped(answered))), "{summary}");
    assert!(summary.ends_with(&format!("{} dead letters", grouped(dead_letters))), "{summary}");
    assert!(printed.contains("p99 "), "{printed}");
}

fn grouped(number: usize) -> String {
    if number < 1_000 { number.to_string() } else { format!("{},{:03}", number / 1_000, number % 1_000) }
}

#[test]
fn an_interrupt_ends_it_well() {
    let (_folder, model) = model();
    let mut child = demo(&["--seconds", "600", "--http", "127.0.0.1:0", "--model", model.to_str().unwrap()]);
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut printed = String::new();
    stdout.read_line(&mut printed).unwrap();
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    stdout.read_to_string(&mut printed).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{printed}");
    assert!(printed.contains("records published"), "{printed}");
}

#[test]
fn ends_when_nobody_reads_any_more() {
    let (_folder, model) = model();
    let mut child = demo(&["--seconds", "600", "--http", "127.0.0.1:0", "--model", model.to_str().unwrap()]);
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    // The reader has closed the pipe.
    let deadline = Instant::now() + Duration::from_secs(60);
    while child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline, "it goes on for nobody");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_taken_address_is_told() {
    let (_folder, model) = model();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = demo(&["--seconds", "5", "--http", &address, "--model", model.to_str().unwrap()])
        .wait_with_output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("the address is in use"), "{said}");
}

#[test]
fn in_a_terminal_it_draws_and_q_gives_the_terminal_back() {
    if !needs::runs("script", &["--version"]) {
        return needs::lacking("script", "`script` of util-linux, which makes terminals, is not installed");
    }
    let (_folder, model) = model();
    let command = format!(
        "stty rows 30 cols 100; {} demo --http 127.0.0.1:0 --model {}",
        env!("CARGO_BIN_EXE_nunchi"),
        model.display()
    );
    let mut child = Command::new("script")
        .args(["-qec", &command, "/dev/null"])
        .env("TERM", "xterm-256color")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut drawn = Vec::new();
    let mut part = [0; 4_096];
    // A verdict's stars on the screen: everything works.
    while !String::from_utf8_lossy(&drawn).contains("★★") {
        let count = stdout.read(&mut part).unwrap();
        assert!(count > 0, "it ended early:\n{}", String::from_utf8_lossy(&drawn));
        drawn.extend_from_slice(&part[..count]);
    }
    stdin.write_all(b"q").unwrap();
    stdout.read_to_end(&mut drawn).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let drawn = String::from_utf8_lossy(&drawn);
    let (_, after) = drawn.rsplit_once("\x1b[?1049l").expect("the alternate screen is left");
    assert!(drawn.contains("\x1b[?1049h"), "the alternate screen is entered");
    assert!(after.contains("records published"), "the summary stands on the usual screen: {after}");
}
