//! The canary phase after a promotion, and a candidate in the shadow of the current version.

use super::common::{Kafka, Process, Topics, Write, comment, kafka, wait_for};
use super::following::{address, find_metric, metric, serves};
use super::{model, promote, publish};
use nunchi::registry::{NewVersion, PromotionNote, Store, Version};
use nunchi::samples;
use nunchi_model::{Model, WeightFormat};
use tempfile::TempDir;

/// A model that says the opposite of `model(1)`.
fn contrary() -> Vec<u8> {
    let mut model = model(1);
    model.network.head.weight.mapv_inplace(|weight| -weight);
    model.network.head.bias.mapv_inplace(|bias| -bias);
    model.to_bytes(WeightFormat::F32).unwrap().0
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
    let (topics, process, admin) = start("out-of-bounds");
    // Another process of the fleet, without any traffic: it follows the log.
    let (_, _other, other_admin) = start("follows");

    promote(&store, &bad);
    wait_for("both to serve the new version", || {
        [&admin, &other_admin].iter().all(|url| serves(url) == bad.as_str())
    });
    std::fs::rename(&path, &away).unwrap();
    write_until(&kafka, &topics, || process.log().contains("rolled back"));
    assert_eq!(serves(&admin), good.as_str(), "rolled back at once, without the store");
    assert_eq!(metric(&admin, "nunchi_model_swaps_total{result=\"rolled_back\"}"), 1.0);
    std::fs::rename(&away, &path).unwrap();
    wait_for("the other one to follow", || serves(&other_admin) == good.as_str());
    assert_eq!(serves(&admin), good.as_str());
    let log = store.log().unwrap();
    let actions: Vec<String> = log.entries().iter().map(|entry| entry.action.to_string()).collect();
    assert_eq!(actions, ["promote", "promote", "block", "rollback"]);
    assert_eq!((log.current(), log.entries()[3].previous.as_ref()), (Some(&good), Some(&bad)));
    let why = &log.blocked(&bad).unwrap().why;
    assert!(why.contains("agrees with the previous model on"), "{why}");

    // A forced promotion has no canary phase.
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
fn a_promoted_version_that_behaves_stays_and_a_shadow_candidate_is_unseen() {
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
    process.wait_for_line("a shadow candidate classifies beside");
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
