//! Retraining on a real Kafka: stars and corrections teach, the gate decides, and bad weather leaves nothing half done.

#![allow(clippy::unwrap_used)] // Outside of `#[test]` too a failure fails the test.

mod common;

use common::{Kafka, Process, Topics, Write, kafka, wait_for};
use nunchi::registry::{Action, NewVersion, PromotionNote, Store, Version};
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const GOOD: [&str; 6] = ["추천해요", "좋아요", "만족해요", "튼튼해요", "예뻐요", "훌륭해요"];
const BAD: [&str; 6] = ["별로예요", "아까워요", "실망이에요", "약해요", "더러워요", "고장나요"];
/// Slang that the first network has never seen.
const NEW_GOOD: [&str; 4] = ["갓성비", "개이득", "찐템", "꿀템"];
const NEW_BAD: [&str; 4] = ["노답", "폭망", "쓰레기급", "핵비추"];
const THINGS: [&str; 5] = ["배송", "가격", "품질", "색상", "포장"];

/// A comment whose verdict is its last word's, and its class; no two rows are equal. Every `slang`-th one is in new slang; 0: none.
fn sentence(row: usize, slang: usize) -> (String, usize) {
    // A few fixed multiplications mix well enough to visit the combinations.
    let mixed = row.wrapping_mul(2_654_435_761) >> 7;
    let class = row % 2;
    let thing = THINGS[mixed / 36 % 5];
    if slang > 0 && (row / 2).is_multiple_of(slang) {
        let word = if class == 1 { NEW_GOOD[mixed % 4] } else { NEW_BAD[mixed % 4] };
        return (format!("{row}번 {thing} 진짜 {word}"), class);
    }
    let (good, bad) = (GOOD[mixed % 6], BAD[mixed / 6 % 6]);
    let (first, last) = if class == 1 { (bad, good) } else { (good, bad) };
    (format!("{row}번 {thing} {first} 하지만 {last}"), class)
}

fn write_file(path: &Path, rows: std::ops::Range<usize>) {
    let mut content = String::from("label\ttext\n");
    for row in rows {
        let (text, class) = sentence(row, 0);
        writeln!(content, "{class}\t{text}").unwrap();
    }
    std::fs::write(path, content).unwrap();
}

/// Files that all tests share: a first network that knows no slang, old comments, a golden set, pairs.
struct Shared {
    folder: TempDir,
}

fn shared() -> &'static Shared {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    SHARED.get_or_init(|| {
        let folder = TempDir::new().unwrap();
        write_file(&folder.path().join("old.tsv"), 0..1_600);
        write_file(&folder.path().join("golden.tsv"), 50_000..50_300);
        let mut pairs = String::from("a\tb\tlabel_a\tlabel_b\tcategory\n");
        for (good, bad) in GOOD.into_iter().zip(BAD) {
            writeln!(pairs, "배송 {bad} 하지만 {good}\t배송 {good} 하지만 {bad}\t1\t0\torder").unwrap();
        }
        std::fs::write(folder.path().join("pairs.tsv"), pairs).unwrap();
        let shared = Shared { folder };
        let mut command = nunchi(&["train"]);
        command.arg(shared.path("old.tsv")).arg("--out").arg(shared.path("first.safetensors"));
        command.args(["--vocabulary", "400", "--hidden", "16", "--embedding", "12", "--batch", "100"]);
        command.args(["--rate", "0.01", "--average", "0", "--dropout", "0.1", "--epochs", "8"]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        shared
    })
}

impl Shared {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn nunchi(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nunchi"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("NUNCHI__")) {
        command.env_remove(name);
    }
    command.args(arguments);
    command
}

/// A store where the first network serves.
struct Setup {
    folder: TempDir,
    store: Store,
    first: Version,
}

impl Setup {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let store = Store::open_or_make(folder.path().join("store").to_str().unwrap()).unwrap();
        let content = std::fs::read(shared().path("first.safetensors")).unwrap();
        let first = store.publish(content, NewVersion::default()).unwrap().manifest.version;
        let note = PromotionNote { actor: "test".to_owned(), reason: "the first".to_owned() };
        store.promote(&first, note, false).unwrap();
        Setup { folder, store, first }
    }

    /// The flags of a run on `topic` that learns quickly.
    fn arguments(&self, kafka: &str, topic: &str, more: &[&str]) -> Vec<String> {
        let file = |name: &str| shared().path(name).to_str().unwrap().to_owned();
        let mut arguments: Vec<String> =
            ["retrain", "--json", "--brokers", kafka, "--topic", topic, "--store", self.store.url()]
                .map(str::to_owned)
                .to_vec();
        arguments.extend(["--mix".to_owned(), file("old.tsv"), "--golden".to_owned(), file("golden.tsv")]);
        arguments.extend(["--pairs".to_owned(), file("pairs.tsv")]);
        // Other tests run meanwhile: speed is not what is tested.
        let quick = [
            ["--least", "200"],
            ["--rate", "0.005"],
            ["--epochs", "12"],
            ["--batch", "64"],
            ["--average", "0"],
            ["--speed-band", "0.95"],
        ];
        let quick = quick.iter().filter(|[flag, _]| !more.contains(flag));
        arguments.extend(quick.flatten().map(|argument| (*argument).to_owned()));
        arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
        arguments
    }

    fn start(&self, kafka: &str, topic: &str, more: &[&str]) -> Process {
        let arguments = self.arguments(kafka, topic, more);
        Process::nunchi(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Runs to the end: exit status, the object on standard output, everything said.
    fn retrain(&self, kafka: &str, topic: &str, more: &[&str]) -> (Option<i32>, Value, String) {
        let (status, mut objects, log) = self.start(kafka, topic, more).end_with_objects();
        assert!(objects.len() <= 1, "{objects:?}");
        (status, objects.pop().unwrap_or_default(), log)
    }

    fn versions(&self) -> usize {
        self.store.manifests().unwrap().len()
    }

    fn current(&self) -> Version {
        self.store.log().unwrap().current().unwrap().clone()
    }

    /// Nothing happened here: one version, one entry, and all of it whole.
    fn assert_untouched(&self) {
        assert_eq!((self.versions(), self.current()), (1, self.first.clone()));
        assert_eq!(self.store.log().unwrap().last(), 1);
        let findings = self.store.verify_log().unwrap();
        assert!(findings.iter().all(|finding| finding.problem.is_none()), "{findings:?}");
        assert_eq!(self.store.verify(&self.first).unwrap().problem, None);
    }
}

/// Comments with stars, half of them in slang; `flip` turns the stars round.
fn write_comments(kafka: &Kafka, topic: &str, rows: std::ops::Range<usize>, flip: bool) {
    kafka.write(topic, rows.map(|row| Write::value(rated(row, flip))));
}

fn rated(row: usize, flip: bool) -> Vec<u8> {
    let (text, class) = sentence(row, 2);
    let rating = if (class == 1) == flip { 1 } else { 5 };
    json!({ "id": format!("c{row}"), "text": text, "rating": rating }).to_string().into_bytes()
}

fn topics(kafka: &Kafka, test: &str) -> Topics {
    kafka.topics(test, 2)
}

#[test]
fn what_was_learned_tonight_takes_over_in_every_running_process() {
    let Some(kafka) = kafka() else { return };
    let (setup, topics) = (Setup::new(), topics(&kafka, "learn"));
    write_comments(&kafka, &topics.input, 0..1_200, false);
    let running = Process::start_with(
        &kafka.config(&topics),
        &["--store", setup.store.url()],
        &["registry.interval=0.1"],
    );
    running.wait_for_line("the admin server listens");
    let reports = setup.folder.path().join("reports");
    let more = ["--report", reports.to_str().unwrap(), "--by", "the night"];
    let (status, object, log) = setup.retrain(&kafka.bootstrap, &topics.input, &more);
    assert_eq!((status, object["result"].as_str()), (Some(0), Some("promoted")), "{log}");

    let current = setup.current();
    assert_eq!(object["version"], current.as_str());
    let fresh = &object["accuracy"]["fresh"];
    let (before, after) = (fresh["current"].as_f64().unwrap(), fresh["candidate"].as_f64().unwrap());
    assert!(before < 0.85 && after > 0.9, "{before} -> {after}");
    running.wait_for_line("another model takes over");

    // The manifest says from what: every offset, every file, from which version, by whom.
    let manifest = setup.store.manifest(&current).unwrap();
    assert_eq!(manifest.parent.as_ref(), Some(&setup.first));
    assert_eq!(manifest.created_by, "the night");
    let read: i64 = manifest.data.topics.iter().map(|range| range.to - range.from).sum();
    assert_eq!((manifest.data.topics.len(), read), (2, 1_200));
    let files: Vec<&str> = manifest.data.files.iter().map(|file| file.path.as_str()).collect();
    assert!(files.iter().any(|file| file.ends_with("old.tsv")), "{files:?}");
    let gate = manifest.gate.as_ref().unwrap();
    assert!(gate.passed && gate.report["records"]["records"] == 1_200, "{}", gate.report["records"]);
    let entry = setup.store.log().unwrap().entries().last().unwrap().clone();
    assert_eq!((entry.action, entry.who.as_str()), (Action::Promote, "the night"));
    assert!(entry.why.contains("passed the gate"), "{}", entry.why);

    // The report for people holds the new words.
    let page = std::fs::read_to_string(object["page"].as_str().unwrap()).unwrap();
    assert!(page.contains("Promoted") && page.contains("갓성비") && !page.contains("<script"), "{page}");
    let report: Value =
        serde_json::from_slice(&std::fs::read(object["report"].as_str().unwrap()).unwrap()).unwrap();
    assert_eq!(report["ending"], "promoted");
    assert!(report["words"].as_array().unwrap().len() > 5);
}

#[test]
fn people_outrank_stars_and_can_take_their_word_back() {
    let Some(kafka) = kafka() else { return };
    let (setup, topics) = (Setup::new(), topics(&kafka, "correct"));
    // Every star is wrong; people have corrected all of it, and then withdrawn one and repeated another.
    write_comments(&kafka, &topics.input, 0..600, true);
    let corrections = format!("{}-corrections", topics.group);
    kafka.create(&corrections, 2, &[("cleanup.policy", "compact")]);
    let correction = |row: usize, label: Option<&str>| Write {
        key: Some(format!("c{row}").into_bytes()),
        value: label.map(|label| json!({ "id": format!("c{row}"), "label": label }).to_string().into_bytes()),
        ..Write::default()
    };
    let label = |row: usize| ["negative", "positive"][sentence(row, 2).1];
    kafka.write(&corrections, (0..600).map(|row| correction(row, Some(label(row)))));
    kafka.write(&corrections, [correction(7, None), correction(8, Some("nonsense"))]);
    let more = ["--corrections", &corrections, "--publish-only"];
    let (status, object, log) = setup.retrain(&kafka.bootstrap, &topics.input, &more);
    assert_eq!((status, object["result"].as_str()), (Some(10), Some("published")), "{log}");
    assert_eq!(setup.current(), setup.first, "promoting is left to somebody else");
    let version: Version = object["version"].as_str().unwrap().parse().unwrap();
    let gate = setup.store.manifest(&version).unwrap().gate.unwrap().report;
    assert_eq!(gate["records"]["corrected"], 599);
    assert_eq!(gate["corrections"]["standing"], 599);
    assert_eq!(
        (&gate["corrections"]["withdrawn"], &gate["corrections"]["unreadable"]),
        (&json!(1), &json!(1))
    );
    assert!(object["accuracy"]["fresh"]["candidate"].as_f64().unwrap() > 0.85, "{object}");
    // What passed may be promoted by hand, without force.
    let note = PromotionNote { actor: "test".to_owned(), reason: "by hand".to_owned() };
    setup.store.promote(&version, note, false).unwrap();
}

#[test]
fn labels_that_a_bug_turned_round_are_refused_and_what_serves_stays() {
    let Some(kafka) = kafka() else { return };
    let (setup, topics) = (Setup::new(), topics(&kafka, "flipped"));
    write_comments(&kafka, &topics.input, 0..1_000, true);
    let (status, object, log) = setup.retrain(&kafka.bootstrap, &topics.input, &[]);
    assert_eq!((status, object["result"].as_str()), (Some(11), Some("rejected")), "{log}");
    assert!(object["why"].as_str().unwrap().contains("new labels are plausible"), "{object}");
    assert_eq!(setup.current(), setup.first);
    // It is kept with its report, and nobody promotes it by mistake.
    let version: Version = object["version"].as_str().unwrap().parse().unwrap();
    assert!(setup.store.manifest(&version).unwrap().is_rejected());
    let refused = setup.store.promote(&version, PromotionNote::default(), false).unwrap_err().to_string();
    assert!(refused.contains("rejected"), "{refused}");

    // Even who believes the labels is held back by the golden set: what is learned from them breaks what was known.
    let more = ["--plausible", "0", "--mix-ratio", "0.000001", "--ece-band", "0.99"];
    let (status, object, log) = setup.retrain(&kafka.bootstrap, &topics.input, &more);
    assert_eq!(status, Some(11), "{log}");
    assert!(object["why"].as_str().unwrap().contains("accuracy, golden"), "{object}");
    let fresh = &object["accuracy"]["fresh"];
    assert!(
        fresh["candidate"].as_f64() > fresh["current"].as_f64(),
        "on its own kind it looks better: {object}"
    );
}

#[test]
fn too_little_and_one_class_alone_train_nothing() {
    let Some(kafka) = kafka() else { return };
    let (setup, topics) = (Setup::new(), topics(&kafka, "little"));
    let few = setup.retrain(&kafka.bootstrap, &topics.input, &[]);
    assert_eq!((few.0, few.1["result"].as_str()), (Some(12), Some("not_enough_data")), "{}", few.2);
    // Twice the same comments are not twice as many.
    write_comments(&kafka, &topics.input, 0..150, false);
    write_comments(&kafka, &topics.input, 0..150, false);
    let (status, object, log) = setup.retrain(&kafka.bootstrap, &topics.input, &[]);
    assert_eq!(status, Some(12), "{log}");
    assert!(object["why"].as_str().unwrap().contains("150 new labelled comments are too few"), "{object}");
    let positive = (0..600).filter(|row| row % 2 == 1);
    kafka.write(&topics.input, positive.map(|row| Write::value(rated(row, false))));
    // All of the last part in time is positive.
    let (status, object, log) = setup.retrain(&kafka.bootstrap, &topics.input, &[]);
    assert_eq!(status, Some(12), "{log}");
    assert!(object["why"].as_str().unwrap().contains("with one class alone"), "{object}");
    setup.assert_untouched();
}

#[test]
fn only_the_window_counts_and_only_what_was_committed() {
    let Some(kafka) = kafka() else { return };
    let (setup, topics) = (Setup::new(), topics(&kafka, "window"));
    let day = 86_400_000_i64;
    let at = |row: usize, days: i64, flip: bool| Write {
        timestamp: Some(1_700_000_000_000 + days * day + row as i64),
        partition: Some((row % 2) as i32),
        ..Write::value(rated(row, flip))
    };
    // Before and behind the window everything is wrong.
    kafka.write(&topics.input, (0..300).map(|row| at(row, 0, true)));
    kafka.write(&topics.input, (300..1_100).map(|row| at(row, 10, false)));
    kafka.write(&topics.input, (1_100..1_400).map(|row| at(row, 20, true)));
    let producer: ThreadedProducer<rdkafka::producer::DefaultProducerContext> =
        kafka.client().set("transactional.id", &topics.group).create().unwrap();
    producer.init_transactions(common::PATIENCE).unwrap();
    producer.begin_transaction().unwrap();
    for row in 2_000..2_200 {
        let value = rated(row, true);
        let record: BaseRecord<'_, str, [u8]> =
            BaseRecord::to(&topics.input).payload(value.as_slice()).timestamp(1_700_000_000_000 + 10 * day);
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(common::PATIENCE).unwrap();
    producer.abort_transaction(common::PATIENCE).unwrap();

    // 1_700_000_000 is 2023-11-14T22:13:20Z.
    let more = ["--from", "2023-11-20", "--to", "2023-11-30"];
    let (status, object, log) = setup.retrain(&kafka.bootstrap, &topics.input, &more);
    assert_eq!(status, Some(0), "{log}");
    let gate = setup.store.manifest(&setup.current()).unwrap().gate.unwrap().report;
    let learned: u64 =
        gate["learned"][0]["classes"].as_array().unwrap().iter().filter_map(Value::as_u64).sum();
    let (test, dev) =
        (gate["sets"][0]["current"]["records"].as_u64().unwrap(), gate["dev"].as_u64().unwrap());
    assert!(
        learned + test <= 800 && learned + test + dev > 700,
        "{learned} {test} {dev} {}",
        gate["records"]
    );
    assert_eq!(gate["records"]["corrected"], 0);
    assert!(object["accuracy"]["fresh"]["candidate"].as_f64().unwrap() > 0.85, "{object}");
}

#[test]
fn a_topic_or_brokers_that_are_away_change_nothing() {
    let Some(kafka) = kafka() else { return };
    let setup = Setup::new();
    let (status, _, log) = setup.retrain(&kafka.bootstrap, "no-such-topic", &[]);
    assert_eq!(status, Some(1), "{log}");
    assert!(log.contains("`no-such-topic` does not exist"), "{log}");
    let (status, _, log) = setup.retrain("127.0.0.1:1", "comments", &[]);
    assert_eq!(status, Some(1), "{log}");
    assert!(log.contains("127.0.0.1:1") && log.contains("Nothing was published"), "{log}");
    setup.assert_untouched();
}

#[test]
fn a_full_disk_publishes_nothing_and_the_next_run_succeeds() {
    let Some(kafka) = kafka() else { return };
    let (setup, topics) = (Setup::new(), topics(&kafka, "full"));
    write_comments(&kafka, &topics.input, 0..800, false);
    // No file may become larger than 4 blocks: the model does not fit, as on a full disk. The signal that would end the
    // process is ignored, so that it sees the error.
    let arguments = setup.arguments(&kafka.bootstrap, &topics.input, &[]);
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 4; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_nunchi")])
        .args(&arguments)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    // The comments to train on, or else the model, are too much.
    let full = ["cannot keep the comments to train on", "writing versions/"];
    assert!(full.iter().any(|full| said.contains(full)), "{said}");
    setup.assert_untouched();
    assert_eq!(setup.retrain(&kafka.bootstrap, &topics.input, &[]).0, Some(0));
}

#[test]
fn killed_or_stopped_in_the_middle_it_leaves_nothing_and_starts_anew() {
    let Some(kafka) = kafka() else { return };
    let (setup, topics) = (Setup::new(), topics(&kafka, "killed"));
    write_comments(&kafka, &topics.input, 0..800, false);
    let long = ["--epochs", "100000"];
    let process = setup.start(&kafka.bootstrap, &topics.input, &long);
    process.wait_for_line("training the current network");
    process.kill();
    setup.assert_untouched();
    let process = setup.start(&kafka.bootstrap, &topics.input, &long);
    process.wait_for_line("training the current network");
    process.signal("TERM");
    let begin = Instant::now();
    let (status, log) = process.end();
    assert_eq!(status, Some(143), "{log}");
    assert!(log.contains("nothing was published") && begin.elapsed() < Duration::from_secs(20), "{log}");
    setup.assert_untouched();
    assert_eq!(setup.retrain(&kafka.bootstrap, &topics.input, &[]).0, Some(0));
}

#[test]
fn of_two_retrainers_one_wins_and_the_other_says_who() {
    let Some(kafka) = kafka() else { return };
    let (setup, topics) = (Setup::new(), topics(&kafka, "two"));
    write_comments(&kafka, &topics.input, 0..800, false);
    let slow = setup.start(&kafka.bootstrap, &topics.input, &["--by", "the slow one", "--epochs", "20"]);
    slow.wait_for_line("training the current network");
    slow.signal("STOP");
    let (status, object, log) = setup.retrain(&kafka.bootstrap, &topics.input, &["--by", "the fast one"]);
    assert_eq!(status, Some(0), "{log}");
    slow.signal("CONT");
    let (status, log) = slow.end();
    assert_eq!(status, Some(1), "{log}");
    let winner = object["version"].as_str().unwrap();
    assert!(log.contains("another writer was first") && log.contains("the fast one"), "{log}");
    assert!(log.contains(winner), "{log}");
    assert_eq!((setup.current().as_str(), setup.versions()), (winner, 2), "nothing of the loser's stays");
    assert_eq!(setup.store.log().unwrap().last(), 2);
}

#[test]
fn a_new_network_from_scratch_has_to_pass_as_well() {
    let Some(kafka) = kafka() else { return };
    let (setup, topics) = (Setup::new(), topics(&kafka, "scratch"));
    write_comments(&kafka, &topics.input, 0..1_600, false);
    let more = ["--from-scratch", "--epochs", "12", "--rate", "0.01"];
    let (status, object, log) = setup.retrain(&kafka.bootstrap, &topics.input, &more);
    assert_eq!(status, Some(0), "{log}");
    let (old, new) = (setup.store.load(&setup.first).unwrap(), setup.store.load(&setup.current()).unwrap());
    assert_eq!(old.network.shape.hidden, new.network.shape.hidden);
    assert_ne!(
        old.tokens("진짜 갓성비 개이득").len(),
        new.tokens("진짜 갓성비 개이득").len(),
        "its tokenizer knows the slang"
    );
    // Trained for one step only, it is worse, and the gate says so.
    let more = ["--from-scratch", "--epochs", "1", "--batch", "100000", "--rate", "0.00001"];
    let (status, worse, log) = setup.retrain(&kafka.bootstrap, &topics.input, &more);
    assert_eq!(status, Some(11), "{log}");
    assert_eq!(worse["parent"], object["version"]);
}

#[test]
fn files_alone_teach_too_and_no_broker_is_asked() {
    let setup = Setup::new();
    let data = setup.folder.path().join("new.tsv");
    let mut content = String::from("label\ttext\n");
    for row in 0..800 {
        let (text, class) = sentence(row, 2);
        writeln!(content, "{class}\t{text}").unwrap();
    }
    std::fs::write(&data, content).unwrap();
    let arguments = setup.arguments("127.0.0.1:1", "", &["--data", data.to_str().unwrap(), "--no-topic"]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    // `--topic ''` is part of the flags of every other test.
    let place = arguments.iter().position(|argument| *argument == "--topic").unwrap();
    let arguments = [&arguments[..place], &arguments[place + 2..]].concat();
    let (status, objects, log) = Process::nunchi(&arguments).end_with_objects();
    assert_eq!(status, Some(0), "{log}");
    assert!(objects[0]["accuracy"]["fresh"]["candidate"].as_f64().unwrap() > 0.85, "{objects:?}");
    assert!(setup.store.manifest(&setup.current()).unwrap().data.topics.is_empty());
}

#[test]
fn a_schedule_goes_on_through_bad_nights_and_ends_when_told() {
    let Some(kafka) = kafka() else { return };
    let (setup, topics) = (Setup::new(), topics(&kafka, "schedule"));
    let missing = format!("{}-later", topics.group);
    let process = setup.start(&kafka.bootstrap, &missing, &["--schedule", "* * * * * *"]);
    process.wait_for_line("the next run is at");
    wait_for("a failed run", || process.objects().iter().any(|object| object["result"] == "failed"));
    kafka.create(&missing, 1, &[]);
    let results = |process: &Process, result: &str| {
        process.objects().iter().filter(|object| object["result"] == result).count()
    };
    wait_for("a run without data", || results(&process, "not_enough_data") > 0);
    write_comments(&kafka, &missing, 0..800, false);
    wait_for("a run that promotes", || results(&process, "promoted") > 0);
    process.signal("TERM");
    let (status, log) = process.end();
    assert_eq!(status, Some(0), "{log}");
    assert_ne!(setup.current(), setup.first);
}

#[test]
fn mistakes_are_told_before_anything_is_read() {
    let setup = Setup::new();
    let fails = |more: &[&str], status: i32, says: &str| {
        let arguments = setup.arguments("127.0.0.1:1", "comments", more);
        let output = nunchi(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(status), "{error}");
        assert!(error.contains(says), "`{says}` is not in: {error}");
    };
    fails(&["--schedule", "at night"], 64, "0 3 * * *");
    fails(&["--schedule", "0 3 * * *", "--time-zone", "Seoul"], 64, "Asia/Seoul");
    fails(&["--from", "2026-02-01", "--to", "2026-01-01"], 64, "must be before");
    fails(&["--since", "yesterday"], 64, "a span of time");
    fails(&["--no-stars"], 64, "no training data");
    fails(&["--no-golden"], 64, "cannot be used with");
    fails(&["--confidence", "95"], 64, "below 1");
    fails(&["--data", "missing.tsv"], 1, "cannot read missing.tsv");
    fails(&["--report", "/dev/null/reports"], 1, "cannot make the folder");
    let output = nunchi(&["retrain", "--no-golden"]).output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--store"));
    let output = nunchi(&["retrain", "--store", setup.store.url()]).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("--golden"), "a golden set is asked for");
    setup.assert_untouched();
}

#[test]
fn the_cron_job_names_flags_that_exist() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/kubernetes/retrain-cronjob.yaml");
    let content = std::fs::read_to_string(file).unwrap();
    let arguments: Vec<&str> = content
        .lines()
        .map(str::trim)
        .skip_while(|line| *line != "args:")
        .skip(1)
        .map_while(|line| line.strip_prefix("- "))
        .collect();
    assert!(arguments.len() > 5 && arguments[0] == "retrain", "{arguments:?}");
    let output = nunchi(&arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // The flags are understood; the file with the settings is not on this machine.
    assert!(!said.contains("argument") && said.contains("/etc/nunchi/nunchi.toml"), "{said}");
}
