//! A process follows its store; what is damaged or away changes nothing.

use super::common::{Kafka, PATIENCE, Process, Topics, Write, comment, kafka, wait_for};
use super::{promote, publish};
use nunchi::registry::Store;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// A metric of a running process.
pub(super) fn metric(url: &str, name: &str) -> f64 {
    find_metric(url, name).unwrap_or_else(|| panic!("no {name}"))
}

pub(super) fn find_metric(url: &str, name: &str) -> Option<f64> {
    let text = ureq::get(format!("{url}/metrics")).call().unwrap().body_mut().read_to_string().unwrap();
    let line = text.lines().find(|line| line.split(' ').next() == Some(name))?;
    Some(line.rsplit(' ').next().unwrap().parse().unwrap())
}

fn reload(url: &str) -> (u16, serde_json::Value) {
    let config =
        ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).build();
    let agent = ureq::Agent::new_with_config(config);
    let request = agent.post(format!("{url}/v1/model/reload")).header("content-type", "application/json");
    let mut answer = request.send_empty().unwrap();
    let text = answer.body_mut().read_to_string().unwrap();
    (answer.status().as_u16(), serde_json::from_str(&text).unwrap())
}

/// The address in the line `the admin server listens address=…`.
pub(super) fn address(process: &Process) -> String {
    process.wait_for_line("the admin server listens");
    let log = process.log();
    let line = log.lines().find(|line| line.contains("the admin server listens")).unwrap();
    let address = line.split("address=").nth(1).unwrap().split_whitespace().next().unwrap();
    format!("http://{}", address.replace("\u{1b}[0m", ""))
}

/// Writes a comment; the version that classified it.
fn classified_by(kafka: &Kafka, topics: &Topics, count: &mut usize) -> String {
    kafka.write(&topics.input, [Write::value(comment(*count, "배송이 빨라요"))]);
    *count += 1;
    let mut answers = Vec::new();
    wait_for("an answer", || {
        answers = kafka.read(&topics.output);
        answers.len() == *count
    });
    let newest = answers.iter().max_by_key(|answer| answer.json()["id"].as_u64()).unwrap();
    newest.header("nunchi-model").unwrap().to_owned()
}

#[test]
fn a_process_follows_its_store_and_what_is_damaged_or_away_changes_nothing() {
    let Some(kafka) = kafka() else { return };
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("store");
    let url = path.to_str().unwrap();
    let store = Store::open_or_make(url).unwrap();
    let [a, b, c] = [publish(&store, 1), publish(&store, 2), publish(&store, 3)];
    promote(&store, &a);
    let topics = kafka.topics("follow", 1);
    let config = kafka.config(&topics);
    let process = Process::start_with(&config, &["--store", url], &["registry.interval=0.1"]);
    let admin = address(&process);
    let mut count = 0;
    assert_eq!(classified_by(&kafka, &topics, &mut count), a.as_str());

    promote(&store, &b);
    process.wait_for_line("another model takes over");
    assert_eq!(classified_by(&kafka, &topics, &mut count), b.as_str());
    assert_eq!(reload(&admin), (200, serde_json::json!({ "result": "unchanged", "model": b })));
    assert_eq!(metric(&admin, "nunchi_model_swaps_total{result=\"succeeded\"}"), 1.0);
    assert_eq!(metric(&admin, "nunchi_registry_stale"), 0.0);

    // Unavailable: logged once, and the serving model stays.
    let away = folder.path().join("away");
    std::fs::rename(&path, &away).unwrap();
    process.wait_for_line("cannot be read; the serving model stays");
    let (code, answer) = reload(&admin);
    assert_eq!(
        (code, answer["result"].as_str(), answer["model"].as_str()),
        (503, Some("away"), Some(b.as_str()))
    );
    assert_eq!(metric(&admin, "nunchi_registry_stale"), 1.0);
    assert_eq!(classified_by(&kafka, &topics, &mut count), b.as_str());
    std::fs::rename(&away, &path).unwrap();
    process.wait_for_line("is available again");
    assert_eq!(metric(&admin, "nunchi_registry_stale"), 0.0);
    assert_eq!(process.log().matches("cannot be read; the serving model stays").count(), 1);

    // Promoted, and damaged afterwards: refused once, not tried again until the log changes.
    let file = path.join(format!("versions/{c}/model.safetensors"));
    let content = std::fs::read(&file).unwrap();
    let log = store.log().unwrap();
    let damage = || {
        let mut damaged = content.clone();
        let last = damaged.len() - 1;
        damaged[last] ^= 1;
        std::fs::write(&file, damaged).unwrap();
    };
    // An entry that nobody verified.
    damage();
    let entry = serde_json::json!({ "number": log.last() + 1, "action": "promote", "version": c, "previous": b,
        "who": "a careless hand", "why": "", "at": "2026-01-01T00:00:00Z" });
    std::fs::write(path.join("promotions/00000003.json"), entry.to_string()).unwrap();
    process.wait_for_line("is refused; the serving model stays");
    assert_eq!(classified_by(&kafka, &topics, &mut count), b.as_str());
    assert_eq!(metric(&admin, "nunchi_model_swaps_total{result=\"refused\"}"), 1.0);
    let (code, answer) = reload(&admin);
    assert_eq!(
        (code, answer["result"].as_str(), answer["refused"].as_str()),
        (409, Some("refused"), Some(c.as_str()))
    );
    assert!(answer["reason"].as_str().unwrap().contains("SHA-256"), "{answer}");
    assert_eq!(metric(&admin, "nunchi_model_swaps_total{result=\"refused\"}"), 2.0, "on request");
    // Repaired: loaded on request.
    std::fs::write(&file, &content).unwrap();
    let (code, answer) = reload(&admin);
    assert_eq!(
        (code, answer["result"].as_str(), answer["model"].as_str()),
        (200, Some("swapped"), Some(c.as_str()))
    );

    let rolled_back = Command::new(env!("CARGO_BIN_EXE_nunchi"))
        .args(["models", "rollback", "--store", url, "--why", "a test"])
        .output()
        .unwrap();
    assert!(rolled_back.status.success(), "{rolled_back:?}");
    wait_for("the rollback", || classified_by(&kafka, &topics, &mut count) == b.as_str());
    process.signal("TERM");
    let (status, log) = process.end();
    assert_eq!(status, Some(0), "{log}");
}

/// Which version the process at `url` serves.
pub(super) fn serves(url: &str) -> String {
    let text = ureq::get(format!("{url}/v1/model")).call().unwrap().body_mut().read_to_string().unwrap();
    serde_json::from_str::<serde_json::Value>(&text).unwrap()["version"].as_str().unwrap().to_owned()
}

#[test]
fn a_version_that_is_named_stays_whatever_is_promoted() {
    let Some(kafka) = kafka() else { return };
    let folder = TempDir::new().unwrap();
    let url = folder.path().to_str().unwrap();
    let store = Store::open(url).unwrap();
    let [a, b] = [publish(&store, 1), publish(&store, 2)];
    promote(&store, &a);
    let topics = kafka.topics("pinned", 1);
    let config = kafka.config(&topics);
    let process =
        Process::start_with(&config, &["--store", url, "--model", "v1"], &["registry.interval=0.05"]);
    let admin = address(&process);
    promote(&store, &b);
    let (code, answer) = reload(&admin);
    assert_eq!(code, 409);
    assert!(answer["error"].as_str().unwrap().contains("follows no store"), "{answer}");
    assert_eq!(classified_by(&kafka, &topics, &mut 0), a.as_str());
}

#[test]
fn a_process_that_starts_on_a_damaged_version_takes_what_served_before_and_then_the_mended_one() {
    let Some(kafka) = kafka() else { return };
    let folder = TempDir::new().unwrap();
    let url = folder.path().to_str().unwrap();
    let store = Store::open(url).unwrap();
    let [a, b] = [publish(&store, 1), publish(&store, 2)];
    promote(&store, &a);
    promote(&store, &b);
    let file = folder.path().join(format!("versions/{b}/model.safetensors"));
    let content = std::fs::read(&file).unwrap();
    std::fs::write(&file, &content[..content.len() - 1]).unwrap();
    let topics = kafka.topics("damaged", 1);
    let process = Process::start_with(&kafka.config(&topics), &["--store", url], &["registry.interval=0.2"]);
    let admin = address(&process);
    process.wait_for_line("starting with the version that served before");
    assert_eq!(serves(&admin), a.as_str());
    assert!(metric(&admin, "nunchi_model_swaps_total{result=\"refused\"}") >= 1.0);
    std::fs::write(&file, &content).unwrap();
    assert_eq!(reload(&admin).1["result"], "swapped");
    assert_eq!(classified_by(&kafka, &topics, &mut 0), b.as_str());
}

#[test]
fn a_store_without_a_current_version_is_said_at_start() {
    let folder = TempDir::new().unwrap();
    let run = |store: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nunchi"));
        command
            .env_remove("NUNCHI__REGISTRY__URL")
            .args(["run", "--http", "127.0.0.1:0", "--store"])
            .arg(store);
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (status, said) = run(folder.path());
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("no current version") && said.contains("nunchi models promote"), "{said}");
    let (status, said) = run(&folder.path().join("nowhere"));
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("there is no folder"), "{said}");
}
