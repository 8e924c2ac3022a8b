//! A VERSION is for people: where two models share one, whole hashes decide, and neither takes the other's place.

use super::{Folder, bytes, why};
use nunchi::registry::{NewVersion, RegistryError, Version};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::channel;
use std::time::Duration;

/// A whole checksum of another model that has the same VERSION. (Real ones take a minute of search.)
fn other(version: &Version) -> String {
    format!("{version:0<64}")
}

fn edit(path: PathBuf, change: impl FnOnce(&mut serde_json::Value)) {
    let mut json = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    change(&mut json);
    std::fs::write(path, serde_json::to_vec(&json).unwrap()).unwrap();
}

fn publish(it: &Folder) -> RegistryError {
    it.store.publish(bytes(1), NewVersion::default()).unwrap_err()
}

#[test]
fn publishing_does_not_mend_a_version_with_another_model_of_the_same_version() {
    for (name, value) in [("sha256", "f".repeat(64)), ("checksum", other(&Folder::new().publish(1)))] {
        let it = Folder::new();
        let version = it.publish(1);
        // The store's model is another one with this VERSION, and its copy is damaged.
        edit(it.manifest(&version), |manifest| manifest[name] = value.clone().into());
        std::fs::write(it.model(&version), b"half").unwrap();
        let before = std::fs::read(it.manifest(&version)).unwrap();
        let error = publish(&it);
        assert!(matches!(&error, RegistryError::Ambiguous { .. }), "{name}: {error}");
        assert!(error.to_string().contains(&value), "{error}");
        assert_eq!(std::fs::read(it.model(&version)).unwrap(), b"half", "{name}");
        assert_eq!(std::fs::read(it.manifest(&version)).unwrap(), before, "{name}");
    }
}

#[test]
fn without_its_manifest_a_version_is_mended_only_by_the_model_that_was_promoted() {
    let it = Folder::new();
    let version = it.publish(1);
    it.store.promote(&version, why("first"), false).unwrap();
    let break_it = || {
        std::fs::write(it.manifest(&version), b"half").unwrap();
        std::fs::write(it.model(&version), b"half").unwrap();
    };
    break_it();
    it.store.publish(bytes(1), NewVersion::default()).unwrap();
    it.store.load(&version).unwrap();

    let entry = it.path("promotions/00000001.json");
    edit(entry.clone(), |entry| entry["checksum"] = other(&version).into());
    assert!(matches!(publish(&it), RegistryError::Ambiguous { .. }));
    break_it();
    assert!(matches!(publish(&it), RegistryError::Ambiguous { .. }));
    // Removed altogether: the log still knows which model was promoted.
    std::fs::remove_dir_all(it.path(&format!("versions/{version}"))).unwrap();
    assert!(matches!(publish(&it), RegistryError::Ambiguous { .. }));

    // An entry of an older version of nunchi does not say which model it meant, and nothing else does.
    edit(entry, |entry| drop(entry.as_object_mut().unwrap().remove("checksum")));
    std::fs::create_dir_all(it.path(&format!("versions/{version}"))).unwrap();
    break_it();
    let error = publish(&it).to_string();
    assert!(
        error.contains("does not say which model it was") && error.contains("remove versions/"),
        "{error}"
    );
}

#[test]
fn a_version_that_the_log_means_otherwise_is_not_served_promoted_or_named() {
    let it = Folder::new();
    let (a, b) = (it.publish(1), it.publish(2));
    it.store.promote(&a, why("first"), false).unwrap();
    it.store.promote(&b, why("second"), false).unwrap();
    edit(it.path("promotions/00000001.json"), |entry| entry["checksum"] = other(&a).into());
    for error in [
        it.store.load(&a).unwrap_err(),
        it.store.resolve(a.as_str()).unwrap_err(),
        it.store.resolve("v1").unwrap_err(),
        it.store.promote(&a, why("again"), false).unwrap_err(),
        it.store.roll_back(None, why("back")).unwrap_err(),
    ] {
        assert!(matches!(error, RegistryError::Ambiguous { .. }), "{error}");
        assert!(!error.is_unavailable(), "{error}");
    }
    assert!(it.store.verify(&a).unwrap().problem.unwrap().contains("ambiguous"));
    assert_eq!(it.store.log().unwrap().last(), 2);
    it.store.load(&b).unwrap();
    let output = nunchi(&["models", "promote", a.as_str()], it.folder.path());
    assert_eq!(output.0, Some(64), "{}", output.1);
    assert!(output.1.contains("ambiguous"), "{}", output.1);
    // A hash that does not even have the VERSION is damage.
    edit(it.path("promotions/00000001.json"), |entry| entry["checksum"] = "f".repeat(64).into());
    assert!(it.store.log().unwrap_err().to_string().contains("its checksum is none of version"));
}

#[test]
fn the_whole_checksum_is_a_name_and_recorded_everywhere() {
    let it = Folder::new();
    let version = it.publish(1);
    let manifest = it.store.manifest(&version).unwrap();
    let checksum = manifest.checksum.clone().unwrap();
    assert_eq!((checksum.len(), &checksum[..12]), (64, version.as_str()));
    let entry = it.store.promote(&version, why("first"), false).unwrap();
    assert_eq!(entry.checksum.as_deref(), Some(checksum.as_str()));
    assert_eq!(it.store.load(&version).unwrap().checksum, checksum);
    assert_eq!(it.store.resolve(&checksum).unwrap(), version);
    let error = it.store.resolve(&other(&version)).unwrap_err();
    assert!(matches!(error, RegistryError::Ambiguous { .. }), "{error}");
    // What an older version of nunchi wrote has no checksum, and works as before.
    edit(it.manifest(&version), |manifest| drop(manifest.as_object_mut().unwrap().remove("checksum")));
    edit(it.path("promotions/00000001.json"), |entry| {
        drop(entry.as_object_mut().unwrap().remove("checksum"))
    });
    assert_eq!(it.store.resolve("current").unwrap(), version);
    it.store.load(&version).unwrap();
}

/// Exit status and messages of the program, which must end by itself.
fn nunchi(arguments: &[&str], store: &Path) -> (Option<i32>, String) {
    let mut command = Command::new("timeout");
    command.args(["--signal=KILL", "60", env!("CARGO_BIN_EXE_nunchi")]).args(arguments);
    let output =
        command.env("NUNCHI__REGISTRY__URL", store).stdin(std::process::Stdio::null()).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// The result of `work`, which must not wait for what never comes.
fn in_time<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, result) = channel();
    std::thread::spawn(move || sender.send(work()));
    result.recv_timeout(Duration::from_secs(60)).expect("it must not wait")
}

type Trap = (&'static str, fn(&Path));

const TRAPS: [Trap; 5] = [
    ("a FIFO", |path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success())),
    ("a device", |path| symlink("/dev/zero", path).unwrap()),
    ("symbolic links", |path| symlink(path, path).unwrap()),
    ("a folder", |path| std::fs::create_dir(path).unwrap()),
    ("a socket", |path| drop(std::os::unix::net::UnixListener::bind(path).unwrap())),
];

#[test]
fn what_is_no_file_in_a_store_is_damage_and_is_not_waited_for() {
    for (what, make) in TRAPS {
        for place in ["model.safetensors", "manifest.json", "promotions/00000002.json"] {
            let it = Folder::new();
            let version = it.publish(1);
            it.store.promote(&version, why("first"), false).unwrap();
            let path = match place {
                "promotions/00000002.json" => it.path(place),
                file => it.path(&format!("versions/{version}/{file}")),
            };
            // A name that is taken, if the file is there.
            let _ = std::fs::remove_file(&path);
            make(&path);
            let (error, rest) = in_time(move || {
                let mut log = it.store.log().unwrap();
                let read_on = it.store.read_on(&mut log);
                let loaded = it.store.load(&version);
                let listed = (it.store.list_versions().is_ok(), it.store.manifests().is_ok());
                (loaded.err().or(read_on.err()), listed)
            });
            let error = error.unwrap_or_else(|| panic!("{what} as {place} is not noticed"));
            assert!(error.to_string().contains(what), "{what} as {place}: {error}");
            assert!(!error.is_unavailable(), "{what} as {place}: {error}");
            assert_eq!(rest, (true, true), "{what} as {place}");
        }
    }
}

#[test]
fn what_is_no_file_is_no_model_on_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    for (place, (what, make)) in TRAPS.into_iter().enumerate() {
        let path = folder.path().join(format!("{place}.safetensors"));
        make(&path);
        let path = path.to_str().unwrap();
        for arguments in
            [&["classify", "--model", path][..], &["models", "publish", path], &["summary", path]]
        {
            let (status, said) = nunchi(arguments, &store);
            assert_eq!(status, Some(64), "{arguments:?}: {said}");
            assert!(said.contains(what) && said.contains(path), "{arguments:?}: {said}");
        }
    }
}

#[test]
fn precisions_that_a_file_claims_do_not_count_where_they_were_measured_to_fail() {
    let it = Folder::new();
    let mut model = nunchi_model::testing::model(nunchi_model::rnn::Cell::Gru, 1);
    model.report =
        serde_json::json!({ "precisions": { "bf16": { "agreement": 1.0 }, "int8": { "agreement": 1.0 } } });
    let content = model.to_bytes(nunchi_model::WeightFormat::F32).unwrap().0;
    let version = it.store.publish(content, NewVersion::default()).unwrap().manifest.version;
    let failed = |precision: &str| {
        serde_json::json!({ "kernel": "any", "precision": precision, "golden": false, "comments": 0, "agreement": null,
            "max_error": null })
    };
    edit(it.manifest(&version), |manifest| {
        manifest["precisions"] = serde_json::json!([failed("int8"), failed("bf16"), failed("unknown")]);
    });
    let loaded = it.store.load(&version).unwrap();
    for precision in [nunchi_model::Precision::Bf16, nunchi_model::Precision::Int8] {
        assert!(!loaded.allows(precision), "{precision}");
    }
    assert!(loaded.allows(nunchi_model::Precision::F32));
}
