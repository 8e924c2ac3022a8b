use super::super::canary::CanaryThresholds;
use super::super::{Action, NewVersion, PromotionNote, load_current};
use super::*;
use crate::config::Registry;
use crate::telemetry::Metrics;
use arc_swap::ArcSwap;
use nunchi_engine::Engine;
use nunchi_model::rnn::Cell;
use nunchi_model::{Model, WeightFormat};
use std::path::PathBuf;
use tempfile::TempDir;

/// A process that has followed its store to a version whose predictions are the opposite of the previous one's.
struct Fleet {
    _folder: TempDir,
    path: PathBuf,
    store: Store,
    good: Version,
    bad: Version,
    process: Refresher,
    metrics: Metrics,
}

fn publish(store: &Store, model: &Model) -> Version {
    let content = model.to_bytes(WeightFormat::F32).unwrap().0;
    store.publish(content, NewVersion::default()).unwrap().manifest.version
}

impl Fleet {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("store");
        let url = path.to_str().unwrap().to_owned();
        let store = Store::open_or_make(&url).unwrap();
        let model = nunchi_model::testing::model(Cell::Gru, 1);
        let mut contrary = model.clone();
        contrary.network.head.weight.mapv_inplace(|weight| -weight);
        contrary.network.head.bias.mapv_inplace(|bias| -bias);
        let (good, bad) = (publish(&store, &model), publish(&store, &contrary));
        store.promote(&good, PromotionNote::default(), false).unwrap();
        let metrics = Metrics::new();
        let thresholds = CanaryThresholds {
            duration: Duration::from_secs(600),
            share: 1.0,
            min_comments: 10,
            ..CanaryThresholds::from(&Registry::default())
        };
        let settings = FollowSettings {
            url,
            interval: Duration::from_secs(600),
            kernel: None,
            decision: None,
            metrics: metrics.clone(),
            thresholds,
            shadow: None,
            actor: "this process".to_owned(),
        };
        let (loaded, log) = load_current(&settings).unwrap();
        let mut process =
            Refresher::new(settings, Arc::new(ArcSwap::from_pointee(loaded)), log, TrafficMirror::new());
        store.promote(&bad, PromotionNote::default(), false).unwrap();
        assert!(matches!(process.refresh(), RefreshOutcome::Swapped { .. }));
        Fleet { _folder: folder, path, store, good, bad, process, metrics }
    }

    /// The comments of one batch: enough to decide.
    fn classify(&mut self) {
        let serving = self.process.slot.load_full();
        let comments = ["배송이 빨라요"; 20];
        let predictions = Engine::new(Arc::clone(&serving)).classify(&comments).unwrap();
        self.process.mirror.offer(&serving, &comments, &predictions, &mut 0);
        self.process.compare();
    }

    fn log(&self) -> Vec<(Action, Version)> {
        let log = self.store.log().unwrap();
        log.entries().iter().map(|entry| (entry.action, entry.version.clone())).collect()
    }
}

#[test]
fn a_version_that_was_rolled_back_here_does_not_serve_again_after_a_lost_race_about_another_one() {
    let mut it = Fleet::new();
    let other = publish(&it.store, &nunchi_model::testing::model(Cell::Gru, 3));
    // The rollback cannot be written yet.
    let away = it.path.with_extension("away");
    std::fs::rename(&it.path, &away).unwrap();
    it.classify();
    assert_eq!(it.process.serving(), it.good.as_str());
    std::fs::rename(&away, &it.path).unwrap();

    // Another writer adds an entry between this process's read of the log and its own entry.
    it.store.block(&other, PromotionNote::default()).unwrap();
    assert_eq!(it.process.follow_log().unwrap(), None, "the log's current version is the one rolled back");
    assert_eq!(it.process.refresh(), RefreshOutcome::Unchanged { model: it.good.to_string() });
    let expected = [
        (Action::Promote, it.good.clone()),
        (Action::Promote, it.bad.clone()),
        (Action::Block, other),
        (Action::Block, it.bad.clone()),
        (Action::Rollback, it.good.clone()),
    ];
    assert_eq!(it.log(), expected);
}

#[test]
fn a_version_that_is_promoted_again_serves_also_after_a_lost_race() {
    let mut it = Fleet::new();
    let away = it.path.with_extension("away");
    std::fs::rename(&it.path, &away).unwrap();
    it.classify();
    std::fs::rename(&away, &it.path).unwrap();
    it.store.promote(&it.good, PromotionNote::default(), false).unwrap();
    it.store.promote(&it.bad, PromotionNote::default(), false).unwrap();
    assert_eq!(it.process.follow_log().unwrap().as_ref(), Some(&it.bad));
}

#[test]
fn a_damaged_version_to_roll_back_to_is_not_an_unavailable_store() {
    let mut it = Fleet::new();
    let damaged = it.path.join(format!("versions/{}/model.safetensors", it.good));
    std::fs::write(damaged, b"half").unwrap();
    it.classify();
    assert_eq!(it.process.serving(), it.good.as_str(), "from memory");
    assert_eq!(it.metrics.registry_stale.get(), 0);
    assert_eq!(it.process.refresh(), RefreshOutcome::Unchanged { model: it.good.to_string() });
    assert_eq!(it.log()[2..], [(Action::Block, it.bad.clone())]);
    assert_eq!(it.store.log().unwrap().current(), Some(&it.good));
}

#[test]
fn another_model_with_the_version_of_the_serving_one_is_refused() {
    let mut it = Fleet::new();
    let entry = it.path.join("promotions/00000002.json");
    let mut json: serde_json::Value = serde_json::from_slice(&std::fs::read(&entry).unwrap()).unwrap();
    let other = format!("{:0<64}", it.bad);
    json["checksum"] = other.clone().into();
    std::fs::write(&entry, json.to_string()).unwrap();
    let serving = it.process.slot.load_full();
    let RefreshOutcome::Refused { model, refused, reason } = it.process.refresh() else {
        panic!("the log means another model");
    };
    assert_eq!((model, refused), (it.bad.to_string(), it.bad.to_string()));
    assert!(reason.contains("ambiguous") && reason.contains(&other), "{reason}");
    assert!(Arc::ptr_eq(&serving, &it.process.slot.load()));
}

#[test]
fn a_store_that_holds_another_model_under_the_serving_version_does_not_change_it() {
    let it = Fleet::new();
    // A store without checksums, as older versions of nunchi wrote it, in which a colliding model took the serving one's place.
    let mut model = nunchi_model::testing::model(Cell::Gru, 5);
    (model.version, model.checksum) = (it.bad.to_string(), format!("{:0<64}", it.bad));
    let confused = LoadedModel::new(model, None).unwrap();
    let error = it.process.not_confused(confused).map(|_| ()).unwrap_err();
    assert!(matches!(error, RegistryError::Ambiguous { .. }), "{error}");
}
