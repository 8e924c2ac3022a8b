//! Habits that nobody would notice the loss of: no test is skipped but through the one list of needs, CI has all of them and
//! runs the checks by the names that developers use, and every crate has the lints.

#![allow(clippy::unwrap_used)]

mod needs;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every file of Rust below `folder`.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // Measurements are no tests.
        if path.is_dir() && !path.ends_with("benches") {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn scripts_test_promises_everything_that_a_test_may_lack() {
    let script = read("scripts/test");
    let (_, list) = script.split_once("needs=(\n").expect("scripts/test has a list of needs");
    let (list, _) = list.split_once("\n)").unwrap();
    let words = list.lines().flat_map(|line| line.split('#').next().unwrap().split_whitespace());
    assert_eq!(words.collect::<Vec<_>>(), needs::NEEDS);
}

#[test]
fn a_test_is_skipped_only_for_a_need_of_the_list() {
    let mut files = Vec::new();
    for folder in ["tests", "crates", "src"] {
        sources(&root().join(folder), &mut files);
    }
    let mut used = Vec::new();
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        for (number, line) in text.lines().enumerate() {
            // Hardware and rights that a machine really lacks are "not tested", see `scripts/test`.
            let own = path.ends_with("tests/habits.rs") || path.ends_with("needs/mod.rs");
            let says = line.contains("print") && line.to_lowercase().contains("\"skipped");
            assert!(own || !says, "{}:{}: {line}", path.display(), number + 1);
        }
        let calls = text.split("lacking(").skip(1);
        used.extend(
            calls
                .filter_map(|call| call.trim_start().strip_prefix('"')?.split('"').next().map(str::to_owned)),
        );
    }
    for need in needs::NEEDS {
        assert!(used.iter().any(|used| used == need), "no test needs `{need}`: take it off the list");
    }
}

/// The targets that `text` runs by `make`.
fn targets(text: &str) -> BTreeSet<String> {
    let named = text.split("make ").skip(1).filter_map(|rest| rest.split([' ', '\n', '"', '`']).next());
    named
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'))
        .map(str::to_owned)
        .collect()
}

#[test]
fn ci_runs_targets_of_the_makefile_and_nothing_else() {
    let script = read(".ci/run");
    let (_, list) = script.split_once("for check in ").unwrap();
    let checks: BTreeSet<String> =
        list.split(';').next().unwrap().split_whitespace().map(str::to_owned).collect();
    let makefile = read("Makefile");
    for check in &checks {
        assert!(makefile.contains(&format!("\n{check}: ")), "`make {check}` of .ci/run is no target");
    }
    let workflow = read(".github/workflows/ci.yml");
    let runs: String = workflow
        .lines()
        .filter(|line| line.trim_start().starts_with("- run: make "))
        .collect::<Vec<_>>()
        .join("\n");
    let mut elsewhere = targets(&runs);
    elsewhere.insert("setup".to_owned());
    assert_eq!(elsewhere, checks, "the workflow and .ci/run differ");
    assert!(!script.contains("cargo "), ".ci/run runs make targets only");
}

#[test]
fn every_crate_has_the_lints_and_the_oldest_compiler_of_the_workspace() {
    let crates = std::fs::read_dir(root().join("crates")).unwrap();
    let mut manifests: Vec<PathBuf> = crates.map(|entry| entry.unwrap().path().join("Cargo.toml")).collect();
    manifests.push(root().join("Cargo.toml"));
    for path in manifests {
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("rust-version.workspace = true"), "{}", path.display());
        assert!(text.contains("[lints]\nworkspace = true"), "{}", path.display());
    }
    // APIs that are newer than `rust-version` are errors.
    assert!(read("Makefile").contains("-D clippy::incompatible_msrv"));
}

/// Whether a message of `#[error(…)]` contains the source of its variant.
fn repeats_its_source(message: &str, variant: &str) -> bool {
    let named = message.contains("{source}") && variant.contains(" source: ");
    let unnamed = variant.contains("(#[from]") || variant.contains("(#[source]");
    named || unnamed && message.contains("{0}")
}

#[test]
fn no_error_repeats_its_source() {
    // Commands print an error and its sources (`{error:#}`): a message that contains its source would show it twice.
    assert!(repeats_its_source("\"cannot read: {source}\"", "Read {\n        source: io::Error,"));
    assert!(repeats_its_source("\"cannot read: {0}\"", "Read(#[from] io::Error),"));
    assert!(!repeats_its_source("transparent", "Read(#[from] io::Error),"));
    assert!(!repeats_its_source("\"cannot read: {reason}\"", "Read {\n        reason: io::Error,"));
    let mut files = Vec::new();
    for folder in ["crates", "src"] {
        sources(&root().join(folder), &mut files);
    }
    let mut checked = 0;
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        for (message, rest) in text.split("#[error(").skip(1).filter_map(|rest| rest.split_once(")]")) {
            // A variant ends where the documentation of the next one begins.
            let variant = rest.split("\n    /// ").next().unwrap();
            assert!(!repeats_its_source(message, variant), "{}: name it `reason`: {message}", path.display());
            checked += 1;
        }
    }
    assert!(checked > 100, "{checked} messages found");
}

/// The packages that the section `name` of a manifest names; with `optional` also those that a feature adds.
fn packages(manifest: &toml::Table, name: &str, optional: bool) -> BTreeSet<String> {
    let Some(section) = manifest.get(name).and_then(toml::Value::as_table) else { return BTreeSet::new() };
    let wanted = |value: &toml::Value| optional || value.get("optional").is_none();
    let name = |(key, value): (&String, &toml::Value)| {
        value.get("package").and_then(toml::Value::as_str).unwrap_or(key).to_owned()
    };
    section.iter().filter(|(_, value)| wanted(value)).map(name).collect()
}

#[test]
fn the_lock_file_of_fuzz_has_the_dependencies_of_the_crates() {
    // `fuzz/` is a workspace of its own, so that nothing else notices a lock file that is out of date.
    let lock: toml::Table = toml::from_str(&read("fuzz/Cargo.lock")).unwrap();
    let crates = std::fs::read_dir(root().join("crates")).unwrap();
    let mut manifests: Vec<PathBuf> = crates.map(|entry| entry.unwrap().path().join("Cargo.toml")).collect();
    manifests.push(root().join("Cargo.toml"));
    for path in manifests {
        let manifest: toml::Table = toml::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let name = manifest["package"]["name"].as_str().unwrap();
        let mut locked = lock["package"].as_array().unwrap().iter();
        let package = locked.find(|package| package["name"].as_str() == Some(name)).unwrap();
        let locked: BTreeSet<String> = package["dependencies"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| line.as_str().unwrap().split(' ').next().unwrap().to_owned())
            .collect();
        let advice = format!("{name}: run `cargo check` in fuzz/ and commit Cargo.lock");
        assert!(packages(&manifest, "dependencies", false).is_subset(&locked), "{advice}");
        let mut allowed = packages(&manifest, "dependencies", true);
        allowed.extend(packages(&manifest, "build-dependencies", true));
        for target in manifest.get("target").and_then(toml::Value::as_table).into_iter().flatten() {
            allowed.extend(packages(target.1.as_table().unwrap(), "dependencies", true));
        }
        assert!(locked.is_subset(&allowed), "{advice}");
    }
}

#[test]
fn a_path_of_the_builder_in_a_binary_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let check = |content: &[u8]| {
        let binary = folder.path().join("binary");
        std::fs::write(&binary, content).unwrap();
        let mut command = std::process::Command::new(root().join("scripts/builder-paths"));
        command.env("HOME", "/home/some body").env("CARGO_HOME", "/opt/cargo").arg(&binary).output().unwrap()
    };
    assert!(
        check(b"\0\xff/crates/csv-1.4.0/src/reader.rs\0/nunchi/src/main.rs/rustc/59807616/library")
            .status
            .success()
    );
    // Strings of a Rust binary follow one another without a byte between them.
    let own = format!("reader.rs{}/crates/nunchi-text/src/lib.rs", root().display());
    for path in
        [own.as_str(), "lib.rs/opt/cargo/registry/src/index/csv/src/reader.rs", "\0/home/some body/x.c\0"]
    {
        let output = check(path.as_bytes());
        assert_eq!(output.status.code(), Some(1), "{path}");
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.contains("contains 1 paths of the machine that built it"), "{message}");
    }
}
