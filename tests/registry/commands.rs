//! `nunchi models`, and the commands that take a version's name.

use super::bytes;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// `nunchi` with `arguments`: exit status, standard output, standard error. No settings from this environment.
fn nunchi(arguments: &[&str]) -> (Option<i32>, String, String) {
    nunchi_with(arguments, &[])
}

pub(super) fn nunchi_with(
    arguments: &[&str],
    environment: &[(String, String)],
) -> (Option<i32>, String, String) {
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

    assert_eq!(done(&["models", "verify", "--store", &url]).matches("valid").count(), 7);
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
