//! `config/nunchi.toml` lists every setting with its default, and the examples load.

use nunchi::config::{Config, load};
use std::path::{Path, PathBuf};

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

#[test]
fn every_example_is_sound() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/examples");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        seen += 1;
        match load(Some(&path), [], &[]) {
            Ok(_) => {}
            // The secrets of an example are not here; nothing else may be wrong.
            Err(mistakes) => {
                for mistake in mistakes.0 {
                    let missing = ["is not set", "cannot read the file"];
                    assert!(missing.iter().any(|what| mistake.message.contains(what)), "{mistake}");
                }
            }
        }
    }
    assert!(seen >= 3);
}
