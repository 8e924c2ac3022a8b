//! Any bytes as settings: lines that begin with `NUNCHI__` are variables of the environment, lines that begin with
//! `--set ` are flags, the others are the configuration file.
//!
//! - What is refused has messages that are not long.
//! - The value of a password stands in no message and in nothing that is shown.
//! - What loads can be written as a file that loads as the same settings.

use crate::message;
use nunchi::config::{ConfigErrors, Flag, Loaded, load};
use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;

/// The password of the corpus.
pub const PASSWORD: &str = "hunter2-open-sesame";

/// Loads `data` as settings.
pub fn run(data: &[u8]) {
    let (mut file, mut environment, mut flags) = (Vec::new(), Vec::new(), Vec::new());
    for line in data.split_inclusive(|&byte| byte == b'\n') {
        let whole = line.strip_suffix(b"\n").unwrap_or(line);
        if line.starts_with(b"NUNCHI__") && !whole.contains(&0) {
            let equals = whole.iter().position(|&byte| byte == b'=').unwrap_or(whole.len());
            let value = whole.get(equals + 1..).unwrap_or_default();
            environment.push((os(&whole[..equals]), os(value)));
        } else if let Some(assignment) = whole.strip_prefix(b"--set ") {
            flags.push(Flag::set(&String::from_utf8_lossy(assignment)));
        } else {
            file.extend_from_slice(line);
        }
    }
    match loaded(&file, environment, &flags) {
        Ok(loaded) => {
            let mut shown = format!("{:?}", loaded.config);
            for line in loaded.effective() {
                shown += &format!("{line:?}\n");
            }
            hides_the_password(data, &shown);
            let written = toml::to_string(&loaded.config).expect("settings are TOML");
            let again = self::loaded(written.as_bytes(), Vec::new(), &[]);
            let again = again.expect("settings that load can be written and load again");
            assert_eq!(again.config, loaded.config);
        }
        Err(errors) => {
            assert!(!errors.0.is_empty(), "an error says what is wrong");
            for error in &errors.0 {
                message::check(&error.message);
            }
            hides_the_password(data, &errors.to_string());
        }
    }
}

fn os(bytes: &[u8]) -> OsString {
    OsStr::from_bytes(bytes).to_owned()
}

fn loaded(
    file: &[u8],
    environment: Vec<(OsString, OsString)>,
    flags: &[Flag],
) -> Result<Loaded, ConfigErrors> {
    let mut written = tempfile::NamedTempFile::new().expect("a temporary file can be made");
    written.write_all(file).expect("it can be written");
    load(Some(written.path()), environment, flags)
}

/// Panics if the password is `shown`, where `data` holds it only as the value of a password.
fn hides_the_password(data: &[u8], shown: &str) {
    let text = String::from_utf8_lossy(data);
    let is_password = |line: &str| {
        let names = ["sasl.password = \"", "\"sasl.password\" = \"", "--set kafka.properties.sasl.password="];
        line.split_once(PASSWORD)
            .is_some_and(|(before, after)| names.contains(&before) && !after.contains(PASSWORD))
    };
    // Over several lines, anything may be a value.
    let multiline = text.contains("\"\"\"") || text.contains("'''");
    if !multiline && text.lines().all(|line| !line.contains(PASSWORD) || is_password(line)) {
        assert!(!shown.contains(PASSWORD), "the password is shown: {shown}");
    }
}
