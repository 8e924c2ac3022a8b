//! A new version takes over between turns: nothing is lost, doubled or judged by a model that it does not name; what is
//! refused or away changes nothing.

#![allow(clippy::unwrap_used)] // Outside of `#[test]` too a failure fails the test.

mod common;

use arc_swap::ArcSwap;
use common::{Kafka, PATIENCE, Process, Read, Topics, Write, assert_answered_once, comment, kafka, wait_for};
use nunchi::config::Config;
use nunchi::pipeline::{ModelSlot, Pipeline, PipelineError, SlotClassifier, Summary};
use nunchi::registry::{
    CanaryThresholds, FollowSettings, Follower, Log, NewVersion, PromotionNote, RefreshOutcome, Reload,
    Store, Version, load_current,
};
use nunchi::samples;
use nunchi::stop::Stop;
use nunchi::telemetry::Metrics;
use nunchi_engine::{Classifier as _, Engine, LoadedModel};
use nunchi_model::rnn::Cell;
use nunchi_model::{Model, WeightFormat};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use tempfile::TempDir;

fn model(seed: u64) -> Model {
    nunchi_model::testing::model(Cell::Gru, seed)
}

fn publish(store: &Store, seed: u64) -> Version {
    let content = model(seed).to_bytes(WeightFormat::F32).unwrap().0;
    store.publish(content, NewVersion::default()).unwrap().manifest.version
}

fn promote(store: &Store, version: &Version) {
    store
        .promote(version, PromotionNote { actor: "test".to_owned(), reason: "its turn".to_owned() }, false)
        .unwrap();
}

/// A store in a folder with two versions, the first one current, and somebody who follows it when asked.
struct Swapper {
    _folder: TempDir,
    store: Store,
    versions: [Version; 2],
    /// As far as it was read.
    log: Mutex<Log>,
    slot: ModelSlot,
    metrics: Metrics,
    follower: Follower,
}

impl Swapper {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let url = folder.path().to_str().unwrap().to_owned();
        let store = Store::open(&url).unwrap();
        let versions = [publish(&store, 1), publish(&store, 2)];
        promote(&store, &versions[0]);
        let metrics = Metrics::new();
        let interval = Duration::from_secs(3600);
        let thresholds = CanaryThresholds {
            duration: Duration::ZERO,
            ..CanaryThresholds::from(&Config::default().registry)
        };
        let actor = "test".to_owned();
        let follow = FollowSettings {
            url,
            interval,
            kernel: None,
            metrics: metrics.clone(),
            thresholds,
            shadow: None,
            actor,
        };
        let (warm, log) = load_current(&follow).unwrap();
        let slot: ModelSlot = Arc::new(ArcSwap::from_pointee(warm));
        let follower = Follower::start(follow, Arc::clone(&slot), log.clone()).unwrap();
        Swapper { _folder: folder, store, versions, log: Mutex::new(log), slot, metrics, follower }
    }

    /// Promotes the version that does not serve, and waits until it does.
    fn swap(&self, reload: &Reload) {
        let serving = self.slot.load().model().version.clone();
        let other = self.versions.iter().find(|version| version.as_str() != serving).unwrap();
        // Not read from its beginning each time: there may be thousands of entries.
        let mut log = self.log.lock().unwrap();
        self.store.read_on(&mut log).unwrap();
        let note = PromotionNote { actor: "test".to_owned(), reason: "its turn".to_owned() };
        self.store.promote_after(&log, other, note, false).unwrap();
        match reload.now_blocking().unwrap() {
            RefreshOutcome::Swapped { model, previous, .. } => {
                assert_eq!((model.as_str(), previous), (other.as_str(), serving));
            }
            looked => panic!("{looked:?}"),
        }
    }
}

/// A number of this process, from a line of /proc/self/status.
fn status(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Workers of this process on the slot's model.
fn start(
    kafka: &Kafka,
    topics: &Topics,
    swapper: &Swapper,
    stop: &Stop,
) -> JoinHandle<Result<Summary, PipelineError>> {
    let mut config: Config = kafka.config(topics);
    config.worker.workers = 2;
    config.worker.batch_records = 500;
    let (slot, metrics, stop) = (Arc::clone(&swapper.slot), swapper.metrics.clone(), stop.clone());
    let pipeline = Pipeline { metrics, stop, ..Pipeline::resolve(config).unwrap() };
    std::thread::spawn(move || pipeline.run(|| SlotClassifier::new(Arc::clone(&slot))))
}

/// Each verdict's score is what the version in its header says of the comment.
fn assert_judged_by_whom_they_name(answers: &[Read], texts: &[String], swapper: &Swapper) {
    let (store, versions) = (&swapper.store, &swapper.versions);
    let mut expected: BTreeMap<&str, Vec<f32>> = BTreeMap::new();
    let borrowed: Vec<&str> = texts.iter().map(String::as_str).collect();
    let bound = swapper.slot.load().precision().bound();
    for version in versions {
        let loaded = LoadedModel::new(store.load(version).unwrap(), None).unwrap();
        let predictions = Engine::new(Arc::new(loaded)).classify(&borrowed).unwrap();
        expected.insert(version.as_str(), predictions.iter().map(|prediction| prediction.score).collect());
    }
    let mut judged: BTreeMap<&str, usize> = BTreeMap::new();
    for answer in answers {
        let (json, version) = (answer.json(), answer.header("nunchi-model").unwrap());
        assert_eq!(json["model"], version);
        let (version, scores) = expected.get_key_value(version).expect("a version that was promoted");
        let want = f64::from(scores[json["id"].as_u64().unwrap() as usize % texts.len()]);
        let got = json["score"].as_f64().unwrap();
        assert!((got - want).abs() <= bound, "{version} says {want} of {json}");
        *judged.entry(version).or_default() += 1;
    }
    assert_eq!(judged.len(), versions.len(), "{judged:?}");
    assert!(judged.values().all(|&count| count > answers.len() / 10), "{judged:?}");
}

#[test]
fn swaps_under_load_lose_and_double_nothing_and_every_verdict_is_its_models() {
    const CHUNKS: usize = 30;
    const RECORDS: usize = 2_000;
    const SWAPS: usize = 200;
    let Some(kafka) = kafka() else { return };
    let (swapper, stop) = (Swapper::new(), Stop::new());
    let topics = kafka.topics("swap", 4);
    let running = start(&kafka, &topics, &swapper, &stop);
    let texts: Vec<String> = samples::comments().into_iter().map(|comment| comment.text).collect();
    let mut written: BTreeMap<i32, Vec<usize>> = BTreeMap::new();
    let mut swaps = 0;
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for chunk in 0..CHUNKS {
                let records = (chunk * RECORDS..(chunk + 1) * RECORDS).map(|id| {
                    let partition = (id % 4) as i32;
                    written.entry(partition).or_default().push(id);
                    Write {
                        partition: Some(partition),
                        ..Write::value(comment(id, &texts[id % texts.len()]))
                    }
                });
                kafka.write(&topics.input, records);
            }
        });
        let reload = swapper.follower.reload();
        while swaps < SWAPS || !writer.is_finished() {
            swapper.swap(&reload);
            swaps += 1;
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let total = (CHUNKS * RECORDS) as u64;
    let answered = || -> u64 {
        let families = swapper.metrics.registry.gather();
        let family = families.iter().find(|family| family.name() == "nunchi_records_out_total");
        family.map_or(0.0, |family| family.get_metric().iter().map(|one| one.get_counter().get_value()).sum())
            as u64
    };
    wait_for("the last answer", || answered() >= total);
    stop.request();
    assert_eq!(running.join().unwrap().unwrap().records, total);
    let answers = kafka.read(&topics.output);
    assert_eq!(answers.len() as u64, total);
    assert_answered_once(&written, &answers);
    assert_judged_by_whom_they_name(&answers, &texts, &swapper);
    assert_eq!(swapper.metrics.model_swaps.with_label_values(&["succeeded"]).get(), swaps as u64);
}

/// Swaps without a load of records, but with somebody who judges all the time.
fn many_swaps(swaps: usize) {
    let swapper = Swapper::new();
    let reload = swapper.follower.reload();
    let stop = Stop::new();
    let judging = std::thread::spawn({
        let (slot, stop) = (Arc::clone(&swapper.slot), stop.clone());
        move || {
            let mut judge = SlotClassifier::new(slot);
            let (mut turns, mut out) = (0u64, Vec::new());
            while !stop.requested() {
                judge.refresh();
                judge.classify(&["배송이 빨라요", "별로예요"], &mut out).unwrap();
                turns += 1;
            }
            turns
        }
    });
    let warm_up = swaps / 5;
    let mut before = (0, 0, 0);
    for swap in 0..swaps {
        if swap == warm_up {
            before = (status("VmRSS:"), status("Threads:"), descriptors());
        }
        swapper.swap(&reload);
    }
    let after = (status("VmRSS:"), status("Threads:"), descriptors());
    stop.request();
    assert!(judging.join().unwrap() > 0);
    eprintln!("{swaps} swaps: memory (kB), threads, descriptors {before:?} -> {after:?}");
    assert!(after.0 < before.0 + 16_000, "memory grew from {} kB to {} kB", before.0, after.0);
    // The store's own threads come and go.
    assert!(after.1 <= before.1 + 2 && after.2 <= before.2 + 2, "{before:?} -> {after:?}");
}

#[test]
fn many_swaps_leave_memory_threads_and_descriptors_as_they_were() {
    // A process of its own: what other tests use must not count.
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "ten_thousand_swaps", "--nocapture"])
        .env("NUNCHI_TEST_SWAPS", "500")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout).into_owned() + &String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success() && said.contains("500 swaps"), "{said}");
}

/// `cargo test --release --test swap -- --ignored --exact ten_thousand_swaps --nocapture`
#[test]
#[ignore = "minutes; docs/REGISTRY.md tells what it measured, and a shorter one runs above"]
fn ten_thousand_swaps() {
    let swaps = std::env::var("NUNCHI_TEST_SWAPS").ok().and_then(|swaps| swaps.parse().ok());
    many_swaps(swaps.unwrap_or(10_000));
}

/// What a running process says of a metric.
fn metric(url: &str, name: &str) -> f64 {
    find_metric(url, name).unwrap_or_else(|| panic!("no {name}"))
}

fn find_metric(url: &str, name: &str) -> Option<f64> {
    let text = ureq::get(format!("{url}/metrics")).call().unwrap().body_mut().read_to_string().unwrap();
    let line = text.lines().find(|line| line.split(' ').next() == Some(name))?;
    Some(line.rsplit(' ').next().unwrap().parse().unwrap())
}

fn reload(url: &str) -> (u16, serde_json::Value) {
    let config =
        ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).build();
    let mut answer =
        ureq::Agent::new_with_config(config).post(format!("{url}/v1/model/reload")).send_empty().unwrap();
    let text = answer.body_mut().read_to_string().unwrap();
    (answer.status().as_u16(), serde_json::from_str(&text).unwrap())
}

/// The address in the line `the admin server listens address=…`.
fn address(process: &Process) -> String {
    process.wait_for_line("the admin server listens");
    let log = process.log();
    let line = log.lines().find(|line| line.contains("the admin server listens")).unwrap();
    let address = line.split("address=").nth(1).unwrap().split_whitespace().next().unwrap();
    format!("http://{}", address.replace("\u{1b}[0m", ""))
}

/// Judges a comment, and says who judged it.
fn judged_by(kafka: &Kafka, topics: &Topics, count: &mut usize) -> String {
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
    assert_eq!(judged_by(&kafka, &topics, &mut count), a.as_str());

    promote(&store, &b);
    process.wait_for_line("another model takes over");
    assert_eq!(judged_by(&kafka, &topics, &mut count), b.as_str());
    assert_eq!(reload(&admin), (200, serde_json::json!({ "result": "unchanged", "model": b })));
    assert_eq!(metric(&admin, "nunchi_model_swaps_total{result=\"succeeded\"}"), 1.0);
    assert_eq!(metric(&admin, "nunchi_registry_stale"), 0.0);

    // Away: said once, and what serves stays.
    let away = folder.path().join("away");
    std::fs::rename(&path, &away).unwrap();
    process.wait_for_line("cannot be read; what serves stays");
    let (code, answer) = reload(&admin);
    assert_eq!(
        (code, answer["result"].as_str(), answer["model"].as_str()),
        (503, Some("away"), Some(b.as_str()))
    );
    assert_eq!(metric(&admin, "nunchi_registry_stale"), 1.0);
    assert_eq!(judged_by(&kafka, &topics, &mut count), b.as_str());
    std::fs::rename(&away, &path).unwrap();
    process.wait_for_line("answers again");
    assert_eq!(metric(&admin, "nunchi_registry_stale"), 0.0);
    assert_eq!(process.log().matches("cannot be read; what serves stays").count(), 1);

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
    process.wait_for_line("is refused; what serves stays");
    assert_eq!(judged_by(&kafka, &topics, &mut count), b.as_str());
    assert_eq!(metric(&admin, "nunchi_model_swaps_total{result=\"refused\"}"), 1.0);
    let (code, answer) = reload(&admin);
    assert_eq!(
        (code, answer["result"].as_str(), answer["refused"].as_str()),
        (409, Some("refused"), Some(c.as_str()))
    );
    assert!(answer["reason"].as_str().unwrap().contains("SHA-256"), "{answer}");
    assert_eq!(metric(&admin, "nunchi_model_swaps_total{result=\"refused\"}"), 2.0, "asked for");
    // Mended: taken when somebody asks.
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
    wait_for("the rollback", || judged_by(&kafka, &topics, &mut count) == b.as_str());
    process.signal("TERM");
    let (status, log) = process.end();
    assert_eq!(status, Some(0), "{log}");
}

/// A model that says the opposite of `model(1)`.
fn contrary() -> Vec<u8> {
    let mut model = model(1);
    model.network.head.weight.mapv_inplace(|weight| -weight);
    model.network.head.bias.mapv_inplace(|bias| -bias);
    model.to_bytes(WeightFormat::F32).unwrap().0
}

/// Which version the process at `url` serves.
fn serves(url: &str) -> String {
    let text = ureq::get(format!("{url}/v1/model")).call().unwrap().body_mut().read_to_string().unwrap();
    serde_json::from_str::<serde_json::Value>(&text).unwrap()["version"].as_str().unwrap().to_owned()
}

/// Writes comments until `done`.
fn write_until(kafka: &Kafka, topics: &Topics, done: impl Fn() -> bool) {
    let texts: Vec<String> = samples::comments().into_iter().map(|comment| comment.text).collect();
    wait_for("the process to have seen enough", || {
        kafka.write(&topics.input, texts.iter().map(|text| Write::value(comment(0, text))));
        done()
    });
}

#[test]
fn a_canary_out_of_bounds_is_rolled_back_and_blocked_also_while_the_store_is_away() {
    let Some(kafka) = kafka() else { return };
    let folder = TempDir::new().unwrap();
    let (path, away) = (folder.path().join("store"), folder.path().join("away"));
    let url = path.to_str().unwrap();
    let store = Store::open_or_make(url).unwrap();
    let good = publish(&store, 1);
    let bad = store.publish(contrary(), NewVersion::default()).unwrap().manifest.version;
    promote(&store, &good);
    let settings = ["registry.interval=0.2", "registry.watch_share=1", "registry.watch_comments=300"];
    let start = |name: &str| {
        let topics = kafka.topics(name, 1);
        let process = Process::start_with(&kafka.config(&topics), &["--store", url], &settings);
        let admin = address(&process);
        (topics, process, admin)
    };
    let (topics, process, admin) = start("strays");
    // Another process of the fleet, without any traffic: it follows the log.
    let (_, _other, other_admin) = start("follows");

    promote(&store, &bad);
    wait_for("both to serve the new version", || {
        [&admin, &other_admin].iter().all(|url| serves(url) == bad.as_str())
    });
    std::fs::rename(&path, &away).unwrap();
    write_until(&kafka, &topics, || process.log().contains("rolled back"));
    assert_eq!(serves(&admin), good.as_str(), "back at once, whatever the store says");
    assert_eq!(metric(&admin, "nunchi_model_swaps_total{result=\"rolled_back\"}"), 1.0);
    std::fs::rename(&away, &path).unwrap();
    wait_for("the other one to follow", || serves(&other_admin) == good.as_str());
    assert_eq!(serves(&admin), good.as_str());
    let log = store.log().unwrap();
    let actions: Vec<String> = log.entries().iter().map(|entry| entry.action.to_string()).collect();
    assert_eq!(actions, ["promote", "promote", "block", "rollback"]);
    assert_eq!((log.current(), log.entries()[3].previous.as_ref()), (Some(&good), Some(&bad)));
    let why = &log.blocked(&bad).unwrap().why;
    assert!(why.contains("agrees with the model before on"), "{why}");

    // By force it serves: whoever does that knows what he does.
    store
        .promote(&bad, PromotionNote { actor: "test".to_owned(), reason: "I insist".to_owned() }, true)
        .unwrap();
    wait_for("the forced version", || serves(&admin) == bad.as_str());
    let compared = format!("nunchi_compared_comments_total{{model=\"{good}\",role=\"previous\"}}");
    let before = metric(&admin, &compared);
    assert!(before >= 300.0, "{before}");
    let end = kafka.read(&topics.output).len() + 2_000;
    write_until(&kafka, &topics, || kafka.read(&topics.output).len() >= end);
    assert_eq!((serves(&admin), metric(&admin, &compared)), (bad.to_string(), before));
    process.signal("TERM");
    assert_eq!(process.end().0, Some(0));
}

#[test]
fn a_promoted_version_that_behaves_stays_and_a_candidate_judges_beside_it_unseen() {
    let Some(kafka) = kafka() else { return };
    let folder = TempDir::new().unwrap();
    let url = folder.path().to_str().unwrap();
    let store = Store::open(url).unwrap();
    let first = publish(&store, 1);
    // Nearly the same: another temperature.
    let cooler = Model { temperature: 1.1, ..model(1) }.to_bytes(WeightFormat::F32).unwrap().0;
    let second = store.publish(cooler, NewVersion::default()).unwrap().manifest.version;
    let candidate = store.publish(contrary(), NewVersion::default()).unwrap().manifest.version;
    promote(&store, &first);
    let topics = kafka.topics("behaves", 1);
    let settings = [
        "registry.interval=0.2",
        "registry.watch_share=1",
        "registry.watch_seconds=15",
        "registry.watch_comments=100",
        "registry.shadow=v3",
        "registry.shadow_share=1",
    ];
    let process = Process::start_with(&kafka.config(&topics), &["--store", url], &settings);
    let admin = address(&process);
    process.wait_for_line("a candidate judges beside");
    promote(&store, &second);
    let compared = |role: &str, model: &Version, what: &str| {
        let name = format!("nunchi_compared_{what}{{model=\"{model}\",role=\"{role}\"}}");
        find_metric(&admin, &name).unwrap_or(0.0)
    };
    wait_for("the promoted version", || serves(&admin) == second.as_str());
    write_until(&kafka, &topics, || compared("previous", &first, "comments_total") >= 100.0);
    process.wait_for_line("the version stays");
    assert_eq!(serves(&admin), second.as_str());
    assert_eq!(compared("previous", &first, "agreed_total"), compared("previous", &first, "comments_total"));
    assert!(compared("candidate", &candidate, "comments_total") >= 100.0);
    assert_eq!(compared("candidate", &candidate, "agreed_total"), 0.0);
    assert!(compared("candidate", &candidate, "seconds_total") > 0.0);
    assert_eq!(metric(&admin, "nunchi_model_swaps_total{result=\"rolled_back\"}"), 0.0);
    let answers = kafka.read(&topics.output);
    assert!(answers.iter().all(|answer| answer.header("nunchi-model") != Some(candidate.as_str())));
    let log = store.log().unwrap();
    assert_eq!(log.last(), 2, "nothing was written by the process");
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
    assert_eq!(judged_by(&kafka, &topics, &mut 0), a.as_str());
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
    process.wait_for_line("starting with what served before");
    assert_eq!(serves(&admin), a.as_str());
    assert!(metric(&admin, "nunchi_model_swaps_total{result=\"refused\"}") >= 1.0);
    std::fs::write(&file, &content).unwrap();
    assert_eq!(reload(&admin).1["result"], "swapped");
    assert_eq!(judged_by(&kafka, &topics, &mut 0), b.as_str());
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
