//! `nunchi run` around the workers: start, probes, signals, exit status. No Kafka answers here; `sasl_ssl.rs` looks for secrets
//! in the logs of one that authenticates.

#![allow(clippy::unwrap_used)] // Outside of `#[test]` functions too a failure fails the test.

mod admin;
mod binary;

use admin::request;
use binary::{Run, ends, model_file, nunchi};
use std::io::Read;
use std::net::TcpListener;
use std::time::{Duration, Instant};
use tempfile::TempDir;

#[test]
fn without_brokers_it_lives_is_not_ready_and_stops_cleanly() {
    let folder = TempDir::new().unwrap();
    let model = model_file(folder.path());
    for delivery in ["exactly_once", "at_least_once"] {
        // Nobody listens on a port that was just given back.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let brokers = format!("127.0.0.1:{port}");
        let run = Run::start(nunchi(&["--brokers", &brokers, "--model", &model, "--delivery", delivery]));
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(3) {
            assert_eq!(request("GET", &format!("{}/livez", run.url), "").status, 200);
            let ready = request("GET", &format!("{}/readyz", run.url), "");
            assert_eq!(ready.status, 503);
            assert_eq!(ready.json()["reasons"][0], "worker 0 does not reach the brokers", "{ready:?}");
            std::thread::sleep(Duration::from_millis(200));
        }
        let verdict = request("POST", &format!("{}/v1/classify", run.url), r#"{"text": "좋아요"}"#);
        assert_eq!(verdict.status, 200, "the network answers without Kafka: {verdict:?}");
        run.signal("TERM");
        let (status, log) = run.end();
        assert_eq!(status, Some(0), "{delivery}: {log}");
        assert!(log.contains("stopped cleanly"), "{log}");
    }
}

#[test]
fn an_interrupt_stops_it_too() {
    let folder = TempDir::new().unwrap();
    let run = Run::start(nunchi(&["--brokers", "127.0.0.1:1", "--model", &model_file(folder.path())]));
    run.signal("INT");
    let (status, log) = run.end();
    assert_eq!(status, Some(0), "{log}");
}

#[test]
fn a_second_signal_aborts() {
    let folder = TempDir::new().unwrap();
    let model = model_file(folder.path());
    // A server that accepts connections and never answers: a request ends with its time-out.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let brokers = silent.local_addr().unwrap().to_string();
    // A stop that is done before the second signal comes is no failure, so there are a few tries.
    let aborted = (0..5).any(|_| {
        let mut run = Run::start(nunchi(&["--brokers", &brokers, "--model", &model]));
        run.signal("TERM");
        run.wait_for("stopping");
        // Signals within a second count as one: supervisors send two.
        std::thread::sleep(Duration::from_millis(1_200));
        run.signal("INT");
        let (status, log) = run.end();
        assert!(matches!(status, Some(0 | 1)), "{log}");
        status == Some(1) && log.contains("aborted; what was not committed is processed again")
    });
    assert!(aborted, "the second signal was never noticed");
}

#[test]
fn the_first_line_of_metrics_is_there_at_once() {
    let folder = TempDir::new().unwrap();
    let run = Run::start(nunchi(&[
        "--brokers",
        "127.0.0.1:1",
        "--model",
        &model_file(folder.path()),
        "--workers",
        "2",
    ]));
    let metrics = request("GET", &format!("{}/metrics", run.url), "").text;
    let version =
        request("GET", &format!("{}/v1/model", run.url), "").json()["version"].as_str().unwrap().to_owned();
    assert!(
        metrics.contains(&format!("nunchi_model_info{{model=\"{version}\",precision=\"f32\"}} 1")),
        "{metrics}"
    );
    assert!(metrics.contains("nunchi_build_info{kernel=\""), "{metrics}");
    assert!(metrics.contains("\nnunchi_workers 2\n") && metrics.contains("\nnunchi_ready 0\n"), "{metrics}");
    assert!(metrics.contains("nunchi_transactions_total{result=\"committed\"} 0"), "{metrics}");
}

#[test]
fn an_address_in_use_ends_it_with_a_message() {
    let folder = TempDir::new().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (status, said) = ends(&["--model", &model_file(folder.path()), "--http", &address]);
    assert_eq!(status, Some(1));
    assert!(
        said.contains(&format!("cannot serve on http.address {address}: the address is in use")),
        "{said}"
    );
}

#[test]
fn wrong_flags_are_told_all_at_once() {
    let (status, said) = ends(&[
        "--workers",
        "many",
        "--delivery",
        "maybe",
        "--http",
        "nowhere",
        "--set",
        "worker.x=1",
        "--brokers",
        "",
    ]);
    assert_eq!(status, Some(64), "{said}");
    for flag in [
        "flag --workers: ",
        "flag --delivery: ",
        "flag --http: ",
        "flag --set worker.x: ",
        "flag --brokers: ",
    ] {
        assert_eq!(said.matches(flag).count(), 1, "{flag} in {said}");
    }
    let (status, said) = ends(&["--worker", "2"]);
    assert_eq!(status, Some(64), "{said}");
}

#[test]
fn a_model_that_is_not_there_or_no_model_is_said() {
    let (status, said) = ends(&["--model", "0123456789ab"]);
    assert_eq!(status, Some(64), "{said}");
    assert!(said.contains("flag --model: `model.path` must be a model file that exists"), "{said}");
    let (status, said) = ends(&["--store", "ftp://models"]);
    assert_eq!(status, Some(64), "{said}");
    assert!(said.contains("flag --store: `registry.url` must be a folder"), "{said}");

    let folder = TempDir::new().unwrap();
    let path = folder.path().join("broken.safetensors");
    let mut bytes = Vec::new();
    std::fs::File::open(model_file(folder.path())).unwrap().read_to_end(&mut bytes).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let (status, said) = ends(&["--model", path.to_str().unwrap()]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("checksum"), "{said}");
}

#[test]
fn a_kernel_that_is_not_there_is_said() {
    let folder = TempDir::new().unwrap();
    let (status, said) = ends(&["--model", &model_file(folder.path()), "--kernel", "abacus"]);
    assert_eq!(status, Some(64), "{said}");
    assert!(said.contains("`abacus`") && said.contains("portable"), "{said}");
}
