//! Clients that hold connections and bodies: the memory of the process stays, and the probes are answered.

use super::binary::{Run, model_file, nunchi};
use super::{COMMENT, HOST, JSON, PATIENCE, request};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::Write as _;
use std::net::TcpStream;
use std::process::Command;
use std::time::Instant;
use tempfile::TempDir;

/// Half-open requests, and requests whose body never ends.
const HALF_OPEN: usize = 2000;
const SLOW_BODIES: usize = 600;
/// What the attack may add to the process's memory. 256 connections with their buffers and 16 bodies of 1 MiB are less.
const MAX_GROWTH_KIB: u64 = 40 << 10;

/// The process, with at most `descriptors`.
fn start(folder: &TempDir, descriptors: u64) -> Run {
    let model = model_file(folder.path());
    let inner = nunchi(&["--brokers", "127.0.0.1:1", "--model", &model]);
    let mut command = Command::new("bash");
    command.args(["-c", &format!("ulimit -n {descriptors}; exec \"$@\""), "bash"]);
    command.arg(inner.get_program()).args(inner.get_args());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    Run::start(command)
}

/// Resident memory in KiB.
fn resident(run: &Run) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", run.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// This test holds more connections than a process usually may.
fn allow_many_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
}

fn attack(descriptors: u64) {
    allow_many_descriptors();
    let folder = TempDir::new().unwrap();
    let run = start(&folder, descriptors);
    let address = run.url.trim_start_matches("http://").to_owned();
    let classify = || request(&address, "POST /v1/classify", &[HOST, JSON], COMMENT).0;
    let alive = || {
        let begin = Instant::now();
        let (status, answer) = request(&address, "GET /livez", &[HOST], "");
        assert_eq!(status, 200, "{answer}");
        assert!(begin.elapsed() < PATIENCE, "{:?}", begin.elapsed());
    };
    assert_eq!(classify(), 200);
    alive();
    let before = resident(&run);

    let mut held = Vec::new();
    for count in 0..HALF_OPEN {
        let mut stream = TcpStream::connect(&address).unwrap();
        // Closed by the server once others have come; that is the point.
        let _ = stream.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\nx: ");
        held.push(stream);
        if count % 250 == 0 {
            alive();
        }
    }
    alive();
    assert_eq!(classify(), 200, "half-open requests take no place of the engine");
    assert!(resident(&run) < before + MAX_GROWTH_KIB, "{} KiB, before {before}", resident(&run));
    drop(held);

    let body = vec![b' '; (1 << 20) - 1];
    let mut held = Vec::new();
    for count in 0..SLOW_BODIES {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.set_write_timeout(Some(std::time::Duration::from_millis(50))).unwrap();
        let head = format!(
            "POST /v1/classify HTTP/1.1\r\nhost: localhost\r\n{JSON}\r\ncontent-length: {}\r\n\r\n",
            1 << 20
        );
        // All but the last byte; refused ones are closed meanwhile.
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        held.push(stream);
        if count % 100 == 0 {
            alive();
        }
    }
    alive();
    let during = resident(&run);
    assert!(during < before + MAX_GROWTH_KIB, "{during} KiB, before {before}");
    // Places are free again, though the clients still hold their connections.
    let begin = Instant::now();
    while classify() != 200 {
        assert!(begin.elapsed() < PATIENCE, "no place becomes free");
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    drop(held);
    run.signal("TERM");
    let (status, log) = run.end();
    assert_eq!(status, Some(0), "{log}");
}

#[test]
fn half_open_requests_and_slow_bodies_change_nothing() {
    attack(4096);
}

#[test]
fn nor_do_they_where_the_process_has_few_descriptors() {
    attack(256);
}
