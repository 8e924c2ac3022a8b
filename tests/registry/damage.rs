//! What is damaged or was tampered with is refused, and says what is wrong with it.

use super::{Folder, bytes, why};
use nunchi::registry::{NewVersion, Version};
use std::path::PathBuf;

/// Damages a published version and says what promoting and loading it then answer.
fn refusal(damage: impl FnOnce(&Folder, &Version)) -> String {
    let it = Folder::new();
    let version = it.publish(1);
    damage(&it, &version);
    let loaded = it.store.load(&version).unwrap_err();
    let promoted = it.store.promote(&version, why("damaged"), false).unwrap_err();
    assert_eq!(loaded.to_string(), promoted.to_string());
    assert_eq!(it.store.log().unwrap().last(), 0, "nothing was promoted");
    assert!(!promoted.is_unavailable(), "{promoted}");
    let found = it.store.verify(&version).unwrap();
    assert_eq!(found.problem, Some(promoted.to_string()));
    promoted.to_string()
}

#[test]
fn publishing_the_same_model_again_mends_a_damaged_version() {
    let it = Folder::new();
    let version = it.publish(1);
    let manifest = it.store.manifest(&version).unwrap();
    std::fs::write(it.model(&version), b"half").unwrap();
    let mended = it.store.publish(bytes(1), NewVersion::default()).unwrap();
    assert_eq!((mended.new, &mended.manifest), (false, &manifest));
    it.store.load(&version).unwrap();
    std::fs::write(it.manifest(&version), b"half").unwrap();
    assert!(it.store.resolve("v1").is_err());
    assert!(!it.store.publish(bytes(1), NewVersion::default()).unwrap().new);
    assert_eq!(it.store.resolve("v1").unwrap(), version);
    it.store.load(&version).unwrap();
}

fn edit(path: PathBuf, change: impl FnOnce(&mut serde_json::Value)) {
    let mut json = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    change(&mut json);
    std::fs::write(path, serde_json::to_vec(&json).unwrap()).unwrap();
}

#[test]
fn whatever_was_tampered_with_is_refused() {
    let said = refusal(|it, version| {
        let mut content = bytes(1);
        let middle = content.len() / 2;
        content[middle] ^= 1;
        std::fs::write(it.model(version), content).unwrap();
    });
    assert!(said.contains("SHA-256"), "{said}");
    let said = refusal(|it, version| std::fs::write(it.model(version), &bytes(1)[..5000]).unwrap());
    assert!(said.contains("5000 bytes instead of"), "{said}");
    let said = refusal(|it, version| std::fs::remove_file(it.model(version)).unwrap());
    assert!(said.contains("missing"), "{said}");
    let said = refusal(|it, version| {
        let file = std::fs::OpenOptions::new().append(true).open(it.model(version)).unwrap();
        file.set_len(1 << 40).unwrap();
    });
    assert!(said.contains("1099511627776 bytes"), "{said}");
    let said = refusal(|it, version| {
        edit(it.manifest(version), |manifest| manifest["bytes"] = serde_json::json!(u64::MAX));
    });
    assert!(said.contains("more than the limit of a model"), "{said}");
    let said = refusal(|it, version| std::fs::write(it.manifest(version), b"{\"format\": 1").unwrap());
    assert!(said.contains("cannot be read"), "{said}");
    let said = refusal(|it, version| {
        edit(it.manifest(version), |manifest| manifest["version"] = "../../../etc".into());
    });
    assert!(said.contains("neither a VERSION"), "{said}");
    let said = refusal(|it, version| edit(it.manifest(version), |manifest| manifest["format"] = 2.into()));
    assert!(said.contains("format 2"), "{said}");
}

#[test]
fn another_models_file_under_a_versions_name_is_refused() {
    let it = Folder::new();
    let (version, other) = (it.publish(1), it.publish(2));
    std::fs::copy(it.model(&other), it.model(&version)).unwrap();
    // The hostile part: the manifest agrees.
    let manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(it.manifest(&other)).unwrap()).unwrap();
    edit(it.manifest(&version), |json| {
        json["sha256"] = manifest["sha256"].clone();
        json["bytes"] = manifest["bytes"].clone();
    });
    let error = it.store.load(&version).unwrap_err().to_string();
    assert!(error.contains(&format!("its content is that of version {other}")), "{error}");
}

#[test]
fn a_log_that_was_tampered_with_is_an_error_and_not_another_current() {
    let it = Folder::new();
    let (a, b) = (it.publish(1), it.publish(2));
    it.store.promote(&a, why("first"), false).unwrap();
    it.store.promote(&b, why("second"), false).unwrap();
    // Strangers beside the entries do not matter.
    for name in ["promotions/README", "promotions/00000009.json.part", "promotions/9.json"] {
        std::fs::write(it.path(name), b"hello").unwrap();
    }
    assert_eq!(it.store.resolve("current").unwrap(), b);
    edit(it.path("promotions/00000002.json"), |entry| entry["number"] = 7.into());
    let error = it.store.resolve("current").unwrap_err().to_string();
    assert!(error.contains("its number field is 7"), "{error}");
    std::fs::write(it.path("promotions/00000002.json"), b"").unwrap();
    let error = it.store.promote(&a, why("blind"), false).unwrap_err().to_string();
    assert!(error.contains("entry 2 of the log"), "{error}");
    assert_eq!(it.store.verify_log().unwrap().iter().filter(|found| found.problem.is_some()).count(), 1);
}
