//! A store keeps what was published as it was, decides every race for exactly one, and serves nothing that is damaged.

#![allow(clippy::unwrap_used)] // Outside of `#[test]` too a failure fails the test.

mod needs;

use nunchi::registry::{Action, Gate, NewVersion, PromotionNote, RegistryError, Store, Version};
use nunchi_model::rnn::Cell;
use nunchi_model::{Model, ModelError, WeightFormat};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Barrier;
use std::time::{Duration, Instant};
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
fn of_many_promoters_exactly_one_wins_and_the_others_learn_who() {
    let it = Folder::new();
    let versions: Vec<Version> = (1..=4).map(|seed| it.publish(seed)).collect();
    let start = Barrier::new(versions.len());
    let log = it.store.log().unwrap();
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = versions
            .iter()
            .map(|version| {
                let (start, log, url) = (&start, &log, it.folder.path().to_str().unwrap());
                scope.spawn(move || {
                    let store = Store::open(url).unwrap();
                    start.wait();
                    let note =
                        PromotionNote { actor: format!("who wants {version}"), reason: "a race".to_owned() };
                    store.promote_after(log, version, note, false)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let winners: Vec<_> = results.iter().filter_map(|result| result.as_ref().ok()).collect();
    assert_eq!(winners.len(), 1, "{results:?}");
    assert_eq!(it.store.resolve("current").unwrap(), winners[0].version);
    for loser in results.iter().filter_map(|result| result.as_ref().err()) {
        assert!(loser.to_string().contains(&winners[0].who), "{loser}");
    }
    let log = it.store.log().unwrap();
    assert_eq!(log.entries(), [winners[0].clone()]);
    assert!(it.path("promotions/00000001.json").is_file());
}

#[test]
fn a_rollback_goes_to_what_served_before_and_a_block_stays() {
    let it = Folder::new();
    let (a, b) = (it.publish(1), it.publish(2));
    let error = it.store.roll_back(None, why("too early")).unwrap_err();
    assert!(matches!(error, RegistryError::NothingPromoted(_)), "{error}");
    it.store.promote(&a, why("first"), false).unwrap();
    let error = it.store.roll_back(None, why("nothing before")).unwrap_err();
    assert!(matches!(error, RegistryError::NothingBefore(_)), "{error}");
    let error = it.store.promote(&a, why("again"), false).unwrap_err();
    assert!(matches!(error, RegistryError::AlreadyCurrent(_)), "{error}");

    it.store.promote(&b, why("second"), false).unwrap();
    it.store.block(&b, why("it judges by the moon")).unwrap();
    assert_eq!(it.store.resolve("current").unwrap(), a, "a block takes back what serves");
    let error = it.store.promote(&b, why("anyway"), false).unwrap_err();
    assert!(error.to_string().contains("it judges by the moon"), "{error}");
    let entry = it.store.promote(&b, why("anyway"), true).unwrap();
    assert_eq!((entry.number, entry.action, entry.previous), (4, Action::Promote, Some(a.clone())));
    let entry = it.store.roll_back(None, why("as it was")).unwrap();
    assert_eq!((entry.action, &entry.version, entry.previous), (Action::Rollback, &a, Some(b)));
    assert_eq!(it.store.resolve("current").unwrap(), a);
    assert!(it.store.verify_log().unwrap().iter().all(|result| result.problem.is_none()));
}

#[test]
fn a_version_that_its_gate_refused_is_promoted_only_by_force() {
    let it = Folder::new();
    let gate = Gate { passed: false, report: serde_json::json!({ "accuracy": 0.5 }) };
    let new = NewVersion { gate: Some(gate), ..NewVersion::default() };
    let version = it.store.publish(bytes(1), new).unwrap().manifest.version;
    let error = it.store.promote(&version, why("hope"), false).unwrap_err();
    assert!(matches!(error, RegistryError::Rejected(_)), "{error}");
    it.store.promote(&version, why("I know better"), true).unwrap();
    assert_eq!(it.store.resolve("current").unwrap(), version);
}

#[test]
fn without_its_manifest_a_version_is_not_there_and_can_be_published_anew() {
    let it = Folder::new();
    let version = it.publish(1);
    std::fs::remove_file(it.manifest(&version)).unwrap();
    let error = it.store.resolve(version.as_str()).unwrap_err();
    assert!(matches!(error, RegistryError::UnknownVersion(_)) && error.is_usage(), "{error}");
    assert!(matches!(it.store.load(&version), Err(RegistryError::NoVersion(_))));
    assert!(it.store.manifests().unwrap().is_empty());
    // Half a file of a publisher that died is no obstacle.
    let half = bytes(1)[..1000].to_vec();
    std::fs::write(it.model(&version), half).unwrap();
    assert!(it.store.publish(bytes(1), NewVersion::default()).unwrap().new);
    assert_eq!(it.store.load(&version).unwrap().version, version.as_str());
}

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
    assert!(said.contains("more than any model"), "{said}");
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
    assert!(error.contains("it calls itself 7"), "{error}");
    std::fs::write(it.path("promotions/00000002.json"), b"").unwrap();
    let error = it.store.promote(&a, why("blind"), false).unwrap_err().to_string();
    assert!(error.contains("entry 2 of the log"), "{error}");
    assert_eq!(it.store.verify_log().unwrap().iter().filter(|found| found.problem.is_some()).count(), 1);
}

#[test]
fn a_log_is_read_on_and_anew_where_another_store_took_its_place() {
    let (one, other) = (Folder::new(), Folder::new());
    let (a, b) = (one.publish(1), one.publish(2));
    one.store.promote(&a, why("first"), false).unwrap();
    let mut log = one.store.log().unwrap();
    assert!(!one.store.read_on(&mut log).unwrap());
    one.store.promote(&b, why("second"), false).unwrap();
    one.store.promote(&a, why("third"), false).unwrap();
    assert!(one.store.read_on(&mut log).unwrap());
    assert_eq!((log.last(), log.current()), (3, Some(&a)));

    let c = other.publish(3);
    other.store.promote(&c, why("elsewhere"), false).unwrap();
    std::fs::remove_dir_all(one.path("promotions")).unwrap();
    std::fs::rename(other.path("promotions"), one.path("promotions")).unwrap();
    assert!(one.store.read_on(&mut log).unwrap());
    assert_eq!((log.last(), log.current()), (1, Some(&c)));
}

#[test]
fn pruning_keeps_what_may_be_needed() {
    let it = Folder::new();
    let versions: Vec<Version> = (1..=7).map(|seed| it.publish(seed)).collect();
    for version in &versions[..5] {
        it.store.promote(version, why("in turn"), false).unwrap();
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

/// `nunchi` with `arguments`: exit status, standard output, standard error. No settings from this environment.
fn nunchi(arguments: &[&str]) -> (Option<i32>, String, String) {
    nunchi_with(arguments, &[])
}

fn nunchi_with(arguments: &[&str], environment: &[(String, String)]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nunchi"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("NUNCHI__")) {
        command.env_remove(name);
    }
    command.envs(environment.iter().cloned()).args(arguments).stdin(Stdio::null());
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// Standard output of a command that must succeed.
fn done(arguments: &[&str]) -> String {
    let (status, out, said) = nunchi(arguments);
    assert_eq!(status, Some(0), "{arguments:?}: {said}");
    out
}

#[test]
fn the_commands_tell_a_versions_life() {
    let folder = TempDir::new().unwrap();
    let url = folder.path().join("store").display().to_string();
    let file = |seed: u64| {
        let path = folder.path().join(format!("{seed}.safetensors"));
        std::fs::write(&path, bytes(seed)).unwrap();
        path.display().to_string()
    };
    let (one, two) = (file(1), file(2));
    let (status, _, said) = nunchi(&["models", "list", "--store", &url]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("there is no folder"), "{said}");
    let (status, _, said) = nunchi(&["models", "list"]);
    assert_eq!(status, Some(64), "{said}");

    let first = done(&["models", "publish", &one, "--store", &url, "--promote", "--note", "the first"]);
    let first = first.trim();
    let json =
        done(&["models", "publish", &two, "--store", &url, "--parent", "v1", "--data", &one, "--json"]);
    let second: serde_json::Value = serde_json::from_str(&json).unwrap();
    let second = second["version"].as_str().unwrap();
    let table = done(&["models", "list", "--store", &url]);
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[1].contains(first) && lines[1].ends_with("current: the first"), "{table}");
    assert!(lines[2].contains(second) && lines[2].starts_with("v2"), "{table}");

    done(&["models", "promote", "v2", "--store", &url, "--why", "newer"]);
    let shown: serde_json::Value =
        serde_json::from_str(&done(&["models", "show", "--json", "--store", &url])).unwrap();
    assert_eq!((shown["version"].as_str(), shown["parent"].as_str()), (Some(second), Some(first)));
    assert_eq!(shown["log"][0]["why"], "newer");
    assert_eq!(shown["data"]["files"][0]["bytes"], bytes(1).len());
    assert!(done(&["models", "show", "v2", "--store", &url]).contains("state      current"));

    let why = "too many complaints are called positive";
    done(&["models", "rollback", "--store", &url, "--why", why, "--block"]);
    let (status, _, said) = nunchi(&["models", "promote", "v2", "--store", &url]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains(why) && said.contains("--force"), "{said}");
    let list = done(&["models", "list", "--json", "--store", &url]);
    let states: Vec<String> = list
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["state"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(states, ["current", "blocked"]);
    let entry = std::fs::read(folder.path().join("store/promotions/00000004.json")).unwrap();
    let entry: serde_json::Value = serde_json::from_slice(&entry).unwrap();
    assert_eq!(entry["action"], "rollback");
    assert_eq!((entry["version"].as_str(), entry["previous"].as_str()), (Some(first), Some(second)));

    assert_eq!(done(&["models", "verify", "--store", &url]).matches("sound").count(), 7);
    assert_eq!(
        done(&["models", "prune", "--keep", "0", "--entries", "0", "--dry-run", "--store", &url]),
        format!("{second}  v2\n")
    );
    // Every command that takes a model takes these names too.
    for name in ["v1", first, "current"] {
        assert!(done(&["summary", name, "--store", &url]).contains(first));
    }
    assert!(done(&["explain", "좋아요", "--json", "--store", &url]).contains(first));
    assert!(done(&["explain", "좋아요", "--json", "--model", "v2", "--store", &url]).contains(second));
    let (status, _, said) = nunchi(&["summary", "v3", "--store", &url]);
    assert_eq!(status, Some(64), "{said}");
    let (status, _, said) = nunchi(&["explain", "좋아요", "--model", "v2"]);
    assert_eq!(status, Some(64), "{said}");
    assert!(said.contains("--store"), "{said}");

    let middle = folder.path().join(format!("store/versions/{first}/model.safetensors"));
    std::fs::write(&middle, b"half").unwrap();
    let (status, out, _) = nunchi(&["models", "verify", "--store", &url]);
    assert_eq!(status, Some(1), "{out}");
    assert!(out.contains("4 bytes instead of"), "{out}");
}

/// A real S3 server (moto's), ended with its value.
struct S3 {
    server: Child,
    endpoint: String,
}

impl S3 {
    /// `None`, said aloud, where it is not installed.
    fn start() -> Option<Self> {
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/venv/bin/moto_server");
        let program = if own.is_file() { own } else { "moto_server".into() };
        if !needs::runs(program.to_str().unwrap(), &["--help"]) {
            needs::lacking("s3", "there is no moto_server; scripts/setup test installs it");
            return None;
        }
        // Free now; whoever takes it in between makes the server end, and the test fails loudly.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new(program);
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        let server =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut s3 = S3 { server, endpoint: format!("http://127.0.0.1:{port}") };
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert_eq!(s3.server.try_wait().unwrap(), None, "the S3 server ended");
            assert!(start.elapsed() < Duration::from_secs(60), "the S3 server does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        s3.put("nunchi-models", b"");
        Some(s3)
    }

    /// Writes past the store: a bucket, or an object as a hostile hand would.
    fn put(&self, path: &str, content: &[u8]) {
        put(&self.endpoint, path, content);
    }

    fn environment(&self) -> Vec<(String, String)> {
        let pairs = [
            ("AWS_ENDPOINT", self.endpoint.as_str()),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_ACCESS_KEY_ID", "nunchi"),
            ("AWS_SECRET_ACCESS_KEY", "a secret"),
            ("AWS_REGION", "us-east-1"),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn put(endpoint: &str, path: &str, content: &[u8]) {
    // The server asks who it is, and believes it.
    let signed = "AWS4-HMAC-SHA256 Credential=nunchi/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
    let request = ureq::put(format!("{endpoint}/{path}")).header("authorization", signed);
    let answer = request.send(content).unwrap();
    assert!(answer.status().is_success());
}

const S3_STORE: &str = "s3://nunchi-models/shop/models";

#[test]
fn an_s3_store_does_what_a_folder_does() {
    let Some(mut s3) = S3::start() else { return };
    // Credentials come from the environment of a process: a process of their own for the calls of the library.
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "inside_s3"])
        .envs(s3.environment())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout).into_owned() + &String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success() && said.contains("1 passed"), "{said}");

    let (status, out, said) = nunchi_with(&["models", "list", "--store", S3_STORE], &s3.environment());
    assert_eq!(status, Some(0), "{said}");
    assert!(out.contains("current"), "{out}");
    let arguments = ["explain", "좋아요", "--model", "v4", "--store", S3_STORE];
    let (status, _, said) = nunchi_with(&arguments, &s3.environment());
    assert_eq!(status, Some(0), "{said}");

    s3.server.kill().unwrap();
    s3.server.wait().unwrap();
    let (status, _, said) = nunchi_with(&["models", "list", "--store", S3_STORE], &s3.environment());
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("cannot be asked") && !said.contains("a secret"), "{said}");
}

#[test]
#[ignore = "a part of an_s3_store_does_what_a_folder_does, which runs it"]
fn inside_s3() {
    let store = Store::open(S3_STORE).unwrap();
    assert!(matches!(store.resolve("current"), Err(RegistryError::NothingPromoted(_))));
    let published: Vec<Version> = (1..=3)
        .map(|seed| store.publish(bytes(seed), NewVersion::default()).unwrap().manifest.version)
        .collect();
    let [a, b, c] = published.as_slice() else { panic!("{published:?}") };
    assert!(!store.publish(bytes(2), NewVersion::default()).unwrap().new);
    assert_eq!(store.resolve("v2").unwrap(), *b);
    assert_eq!(store.load(b).unwrap().version, b.as_str());

    store.promote(a, why("first"), false).unwrap();
    let log = store.log().unwrap();
    store.promote(b, why("second"), false).unwrap();
    // Whoever decided by an older log loses, and learns who won.
    let error = store.promote_after(&log, c, why("too late"), false).unwrap_err();
    assert!(matches!(error, RegistryError::LostRace(_)) && error.to_string().contains("second"), "{error}");
    assert_eq!(store.resolve("current").unwrap(), *b);
    let mut log = log;
    assert!(store.read_on(&mut log).unwrap());
    assert!(!store.read_on(&mut log).unwrap());
    assert_eq!(log.current(), Some(b));
    store.block_and_roll_back(&mut log, None, why("worse")).unwrap();
    assert_eq!(store.resolve("current").unwrap(), *a);
    assert!(store.verify_log().unwrap().iter().all(|result| result.problem.is_none()));

    let endpoint = std::env::var("AWS_ENDPOINT").unwrap();
    put(&endpoint, &format!("nunchi-models/shop/models/versions/{c}/model.safetensors"), b"half a mod");
    let wrong = store.verify(c).unwrap().problem.unwrap();
    assert!(wrong.contains("10 bytes instead of"), "{wrong}");
    assert_eq!(store.prune(0, 0, false).unwrap().len(), 2);
    assert!(matches!(store.load(c), Err(RegistryError::NoVersion(_))));
    // For the commands that follow.
    store.publish(bytes(2), NewVersion::default()).unwrap();
}
