//! A new version takes over between batches: nothing is lost, doubled or classified by a model that it does not name; what is
//! refused or away changes nothing.

#![allow(clippy::unwrap_used)] // Outside of `#[test]` too a failure fails the test.

mod canary;
#[path = "../common/mod.rs"]
mod common;
mod following;

use arc_swap::ArcSwap;
use common::{Kafka, Read, Topics, Write, assert_answered_once, comment, kafka, wait_for};
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
        .promote(
            version,
            PromotionNote { actor: "test".to_owned(), reason: "next version".to_owned() },
            false,
        )
        .unwrap();
}

/// A store in a folder with two versions, the first one current, and a follower that refreshes on request.
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
            decision: None,
            metrics: metrics.clone(),
            thresholds,
            shadow: None,
            actor,
        };
        let (loaded, log) = load_current(&follow).unwrap();
        let slot: ModelSlot = Arc::new(ArcSwap::from_pointee(loaded));
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
        let note = PromotionNote { actor: "test".to_owned(), reason: "next version".to_owned() };
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

/// Each verdict's score is that of the version in its header.
fn assert_classified_by_the_named_model(answers: &[Read], texts: &[String], swapper: &Swapper) {
    let (store, versions) = (&swapper.store, &swapper.versions);
    let mut expected: BTreeMap<&str, Vec<f32>> = BTreeMap::new();
    let borrowed: Vec<&str> = texts.iter().map(String::as_str).collect();
    let bound = swapper.slot.load().precision().bound();
    for version in versions {
        let loaded = LoadedModel::new(store.load(version).unwrap(), None).unwrap();
        let predictions = Engine::new(Arc::new(loaded)).classify(&borrowed).unwrap();
        expected.insert(version.as_str(), predictions.iter().map(|prediction| prediction.score).collect());
    }
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for answer in answers {
        let (json, version) = (answer.json(), answer.header("nunchi-model").unwrap());
        assert_eq!(json["model"], version);
        let (version, scores) = expected.get_key_value(version).expect("a version that was promoted");
        let want = f64::from(scores[json["id"].as_u64().unwrap() as usize % texts.len()]);
        let got = json["score"].as_f64().unwrap();
        assert!((got - want).abs() <= bound, "{version} gives {want} for {json}");
        *counts.entry(version).or_default() += 1;
    }
    assert_eq!(counts.len(), versions.len(), "{counts:?}");
    assert!(counts.values().all(|&count| count > answers.len() / 10), "{counts:?}");
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
    assert_classified_by_the_named_model(&answers, &texts, &swapper);
    assert_eq!(swapper.metrics.model_swaps.with_label_values(&["succeeded"]).get(), swaps as u64);
}

/// Swaps without a load of records, but with somebody who classifies all the time.
fn many_swaps(swaps: usize) {
    let swapper = Swapper::new();
    let reload = swapper.follower.reload();
    let stop = Stop::new();
    let classifying = std::thread::spawn({
        let (slot, stop) = (Arc::clone(&swapper.slot), stop.clone());
        move || {
            let mut classifier = SlotClassifier::new(slot);
            let (mut batches, mut out) = (0u64, Vec::new());
            while !stop.requested() {
                classifier.refresh();
                classifier.classify(&["배송이 빨라요", "별로예요"], &mut out).unwrap();
                batches += 1;
            }
            batches
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
    assert!(classifying.join().unwrap() > 0);
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
#[ignore = "minutes; docs/REGISTRY.md has its results, and a shorter one runs above"]
fn ten_thousand_swaps() {
    let swaps = std::env::var("NUNCHI_TEST_SWAPS").ok().and_then(|swaps| swaps.parse().ok());
    many_swaps(swaps.unwrap_or(10_000));
}
