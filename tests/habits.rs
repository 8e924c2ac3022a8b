//! Habits that nobody would notice the loss of: no test is skipped but through the one list of needs, and CI has all of them.

#![allow(clippy::unwrap_used)]

mod needs;

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
