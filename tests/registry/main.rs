//! A store keeps what was published as it was, decides every race for exactly one, and serves nothing that is damaged.

#![allow(clippy::unwrap_used)] // Outside of `#[test]` too a failure fails the test.

mod commands;
mod damage;
mod identity;
#[path = "../needs/mod.rs"]
mod needs;
mod promotion;
mod s3;

use nunchi::registry::{NewVersion, PromotionNote, RegistryError, Store, Version};
use nunchi_model::rnn::Cell;
use nunchi_model::{Model, ModelError, WeightFormat};
use std::path::PathBuf;
use std::sync::Barrier;
use tempfile::TempDir;

fn bytes(seed: u64) -> Vec<u8> {
    nunchi_model::testing::model(Cell::Gru, seed).to_bytes(WeightFormat::F32).unwrap().0
}

fn why(why: &str) -> PromotionNote {
    PromotionNote { actor: "test".to_owned(), reason: why.to_owned() }
}

struct Folder {
    folder: TempDir,
    store: Store,
}

impl Folder {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let store = Store::open(folder.path().to_str().unwrap()).unwrap();
        Folder { folder, store }
    }

    fn publish(&self, seed: u64) -> Version {
        self.store.publish(bytes(seed), NewVersion::default()).unwrap().manifest.version
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn model(&self, version: &Version) -> PathBuf {
        self.path(&format!("versions/{version}/model.safetensors"))
    }

    fn manifest(&self, version: &Version) -> PathBuf {
        self.path(&format!("versions/{version}/manifest.json"))
    }
}

#[test]
fn a_version_comes_back_as_it_was_published_by_each_of_its_names() {
    let it = Folder::new();
    let content = bytes(1);
    let new = NewVersion { note: Some("the first".to_owned()), ..NewVersion::default() };
    let published = it.store.publish(content.clone(), new).unwrap();
    assert!(published.new);
    let manifest = published.manifest;
    assert_eq!((manifest.alias.as_str(), manifest.note.as_deref()), ("v1", Some("the first")));
    assert!(manifest.created_by.contains('@'), "{}", manifest.created_by);
    assert_eq!(std::fs::read(it.model(&manifest.version)).unwrap(), content);
    assert_eq!(it.store.manifest(&manifest.version).unwrap(), manifest);

    let loaded = it.store.load(&manifest.version).unwrap();
    assert_eq!(loaded.version, manifest.version.as_str());
    assert_eq!(it.store.resolve("v1").unwrap(), manifest.version);
    assert_eq!(it.store.resolve(manifest.version.as_str()).unwrap(), manifest.version);
    let error = it.store.resolve("current").unwrap_err();
    assert!(matches!(error, RegistryError::NothingPromoted(_)), "{error}");
    it.store.promote(&manifest.version, why("test"), false).unwrap();
    assert_eq!(it.store.resolve("current").unwrap(), manifest.version);

    let portable = manifest.precisions.iter().find(|precision| precision.kernel == "portable").unwrap();
    assert!(portable.golden && portable.agreement == Some(1.0) && portable.max_error == Some(0.0));
}

#[test]
fn the_same_model_twice_is_one_version() {
    let it = Folder::new();
    let first = it.store.publish(bytes(1), NewVersion::default()).unwrap();
    let again = it.store.publish(bytes(1), NewVersion::default()).unwrap();
    assert!(first.new && !again.new);
    assert_eq!(again.manifest, first.manifest);
    let other = it.store.publish(bytes(2), NewVersion::default()).unwrap();
    assert_eq!(other.manifest.alias, "v2");
    let aliases = |manifest: nunchi::registry::Manifest| manifest.alias;
    let all: Vec<String> =
        it.store.manifests().unwrap().into_iter().map(|manifest| aliases(manifest.unwrap())).collect();
    assert_eq!(all, ["v1", "v2"]);
}

#[test]
fn publishers_at_the_same_time_get_different_aliases_and_one_manifest_a_model() {
    let it = Folder::new();
    let (models, start) = ([bytes(1), bytes(2), bytes(3), bytes(3)], Barrier::new(4));
    let published: Vec<_> = std::thread::scope(|scope| {
        let publish = |content: &Vec<u8>| {
            let (content, url) = (content.clone(), it.folder.path().to_str().unwrap());
            let start = &start;
            scope.spawn(move || {
                let store = Store::open(url).unwrap();
                start.wait();
                store.publish(content, NewVersion::default()).unwrap()
            })
        };
        let threads: Vec<_> = models.iter().map(publish).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let manifests: Vec<_> = it.store.manifests().unwrap().into_iter().map(Result::unwrap).collect();
    assert_eq!(manifests.len(), 3);
    let mut aliases: Vec<_> = manifests.iter().map(|manifest| manifest.alias.clone()).collect();
    aliases.sort();
    aliases.dedup();
    assert_eq!(aliases.len(), 3, "{aliases:?}");
    assert_eq!(published[2].manifest, published[3].manifest);
    for manifest in manifests {
        assert_eq!(it.store.resolve(&manifest.alias).unwrap(), manifest.version);
    }
}

#[test]
fn without_its_manifest_a_version_is_not_there_and_can_be_published_anew() {
    let it = Folder::new();
    let version = it.publish(1);
    std::fs::remove_file(it.manifest(&version)).unwrap();
    let error = it.store.resolve(version.as_str()).unwrap_err();
    assert!(matches!(error, RegistryError::UnknownVersion(_)) && error.is_usage(), "{error}");
    let error = it.store.resolve("v1").unwrap_err();
    assert!(matches!(error, RegistryError::UnknownAlias(1)) && error.is_usage(), "{error}");
    assert!(matches!(it.store.load(&version), Err(RegistryError::NoVersion(_))));
    assert!(it.store.manifests().unwrap().is_empty());
    // Nobody named the current version: that it is missing is no wrong usage.
    let entry = serde_json::json!({ "number": 1, "action": "promote", "version": version, "previous": null,
        "who": "a careless hand", "why": "", "at": "2026-01-01T00:00:00Z" });
    std::fs::create_dir(it.path("promotions")).unwrap();
    std::fs::write(it.path("promotions/00000001.json"), entry.to_string()).unwrap();
    let error = it.store.resolve("current").unwrap_err();
    assert!(matches!(error, RegistryError::NoVersion(_)) && !error.is_usage(), "{error}");
    // Half a file of a publisher that died is no obstacle.
    let half = bytes(1)[..1000].to_vec();
    std::fs::write(it.model(&version), half).unwrap();
    assert!(it.store.publish(bytes(1), NewVersion::default()).unwrap().new);
    assert_eq!(it.store.load(&version).unwrap().version, version.as_str());
}

#[test]
fn pruning_keeps_what_may_be_needed() {
    let it = Folder::new();
    let versions: Vec<Version> = (1..=7).map(|seed| it.publish(seed)).collect();
    for version in &versions[..5] {
        it.store.promote(version, why("in order"), false).unwrap();
    }
    // Current is the fifth, previous the fourth; the log's last entry names both; the two newest stay too.
    let would = it.store.prune(2, 1, true).unwrap();
    let names: Vec<_> = would.iter().map(|pruned| pruned.version.clone()).collect();
    assert_eq!(names, versions[..3]);
    assert_eq!(it.store.manifests().unwrap().len(), 7, "a dry run removes nothing");
    assert_eq!(it.store.prune(2, 1, false).unwrap(), would);
    for version in &versions[..3] {
        assert!(matches!(it.store.load(version), Err(RegistryError::NoVersion(_))));
    }
    for version in &versions[3..] {
        it.store.load(version).unwrap();
    }
    assert_eq!(it.store.prune(0, 0, true).unwrap().len(), 2, "never the current one nor the way back");
    let again = it.store.publish(bytes(1), NewVersion::default()).unwrap();
    assert_eq!(again.manifest.alias, "v8", "aliases are never given again");
}

#[test]
fn a_file_that_is_no_model_is_not_published() {
    let it = Folder::new();
    let error = it.store.publish(b"no model".to_vec(), NewVersion::default()).unwrap_err();
    assert!(matches!(error, RegistryError::Refused(ModelError::Damaged(_))), "{error}");
    assert_eq!(it.store.list_versions().unwrap().len(), 0);
    // A model whose golden scores are wrong: the checksum is right, and yet it is refused.
    let mut model: Model = nunchi_model::testing::model(Cell::Gru, 1);
    model.temperature = f32::NAN;
    assert!(model.to_bytes(WeightFormat::F32).is_err());
}
