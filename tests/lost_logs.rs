//! `nunchi run` whose standard error cannot be written: a full disk, a full tmpfs, a reader that went away. It classifies,
//! rebalances and stops as always, and counts the lines that are lost.

#![allow(clippy::unwrap_used)]

mod admin;
mod common;

use admin::try_request;
use common::{Kafka, Topics, Write, comment, kafka, needs, random_model, wait_for};
use std::fs::File;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

/// `nunchi run` that `spawn` starts with a log of its kind, and its admin server's address.
fn start(kafka: &Kafka, topics: &Topics, model: &str, spawn: &dyn Fn(Command) -> Child) -> (Child, String) {
    // Its port cannot be read from its log: one that is free now.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_nunchi"));
    command.args(["run", "--http", &address, "--brokers", &kafka.bootstrap, "--model", model]);
    command.args(["--input", &topics.input, "--output", &topics.output, "--group", &topics.group]);
    command.args(["--dead-letters", &topics.dead_letters, "--set", "log.level=debug"]);
    (spawn(command), format!("http://{address}"))
}

fn terminate(child: &mut Child) -> Option<i32> {
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    let mut status = None;
    wait_for("the end of a process", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    status.unwrap().code()
}

fn metric(url: &str, name: &str) -> f64 {
    let text =
        try_request("GET", &format!("{url}/metrics"), "").map(|answer| answer.text).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(-1.0, |value| value.parse().unwrap())
}

#[test]
fn a_log_that_cannot_be_written_changes_nothing_and_is_counted() {
    let Some(kafka) = kafka() else { return };
    let folder = tempfile::tempdir().unwrap();
    let model = random_model(folder.path(), 7);
    let model = model.to_str().unwrap();
    let log_to = |mut command: Command, log: Stdio| command.stdin(Stdio::null()).stderr(log).spawn().unwrap();
    let full = |command| log_to(command, File::options().write(true).open("/dev/full").unwrap().into());
    let closed = |command| {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        log_to(command, writer.into())
    };
    let small = folder.path().join("small");
    std::fs::create_dir(&small).unwrap();
    let way = needs::own_mounts();
    // `exec`: signals go to the process itself.
    let tmpfs = |command: Command| {
        let line = "exec \"$0\" \"$@\" 2>>$full/err";
        let mut command = needs::on_a_full_tmpfs(way.unwrap(), &small, &command, line);
        command.stdin(Stdio::null()).spawn().unwrap()
    };
    let logs: [(&str, &dyn Fn(Command) -> Child); 3] =
        [("full", &full), ("closed", &closed), ("tmpfs", &tmpfs)];
    for (name, log) in logs {
        if name == "tmpfs" && way.is_none() {
            continue;
        }
        let topics = kafka.topics(&format!("lost-logs-{name}"), 2);
        kafka.write(&topics.input, (0..200).map(|id| Write::value(comment(id, "좋아요"))));
        let (mut first, url) = start(&kafka, &topics, model, log);
        let committed = || kafka.committed(&topics.group, &topics.input, 2).iter().sum::<i64>();
        wait_for("the records", || committed() == 200);
        // Rebalances log from within callbacks of librdkafka.
        let (mut second, other) = start(&kafka, &topics, model, log);
        wait_for("one partition each", || {
            metric(&url, "nunchi_assigned_partitions") == 1.0
                && metric(&other, "nunchi_assigned_partitions") == 1.0
        });
        assert_eq!(terminate(&mut second), Some(0), "{name}");
        wait_for("both partitions", || metric(&url, "nunchi_assigned_partitions") == 2.0);
        kafka.write(&topics.input, (200..300).map(|id| Write::value(comment(id, "좋아요"))));
        wait_for("the records behind the rebalances", || committed() == 300);
        assert!(metric(&url, "nunchi_log_lines_lost_total") > 5.0, "{name}");
        assert_eq!(terminate(&mut first), Some(0), "{name}");
        assert_eq!(kafka.read(&topics.output).len(), 300, "{name}");
    }
}
