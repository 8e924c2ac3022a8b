//! `config/nunchi.toml` lists every setting with its default, and the examples load.

#![allow(clippy::unwrap_used)] // Outside of `#[test]` functions too a failure fails the test.

use nunchi::config::{Config, load};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config/nunchi.toml")
}

#[test]
fn the_shipped_file_holds_the_defaults() {
    let loaded = load(Some(&shipped()), [], &[]).unwrap();
    assert_eq!(loaded.config, Config::default());
}

#[test]
fn the_shipped_file_lists_every_setting() {
    let text = std::fs::read_to_string(shipped()).unwrap();
    let loaded = load(None, [], &[]).unwrap();
    for setting in loaded.effective() {
        let section = text.split_once(&format!("\n[{}]\n", setting.section)).map(|(_, after)| after);
        let section = section.unwrap_or_else(|| panic!("[{}] is missing", setting.section));
        let section = section.split("\n[").next().unwrap_or(section);
        // What is unset by default stands there as a comment.
        let mark = if setting.value.is_some() { "" } else { "# " };
        let line = format!("\n{mark}{} = ", setting.name);
        assert!(format!("\n{section}").contains(&line), "[{}] lacks `{}`", setting.section, line.trim());
    }
}

/// `nunchi config check`, without settings of this environment.
fn check(file: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nunchi"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("NUNCHI__")) {
        command.env_remove(name);
    }
    command.args(["config", "check", "--config"]).arg(file).output().unwrap()
}

#[test]
fn every_example_is_sound() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/examples");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        seen += 1;
        let output = check(&path);
        // The secrets of an example are not here; nothing else may be wrong.
        let said = String::from_utf8(output.stderr).unwrap();
        for error in said.lines().skip(1) {
            let missing = ["is not set", "cannot read the file"];
            assert!(missing.iter().any(|what| error.contains(what)), "{error}");
        }
        assert!(matches!(output.status.code(), Some(0 | 64)), "{said}");
    }
    assert!(seen >= 3);
}
