//! Settings as every command loads them: the file, the environment of this process, flags, and what librdkafka says of the
//! properties among them.

use crate::config::{Config, ConfigErrors, Effective, Flag, Loaded, read};
use crate::kafka::ClientProperties;
use std::ffi::OsString;
use std::path::Path;

/// Settings that passed every check.
#[derive(Debug)]
pub(super) struct Settings {
    loaded: Loaded,
    /// What they mean to librdkafka, secrets resolved.
    pub(super) clients: ClientProperties,
}

impl Settings {
    /// Loads `file`, the environment and `flags`.
    ///
    /// # Errors
    /// All errors at once: those of the settings, then those of librdkafka.
    pub(super) fn load(file: Option<&Path>, flags: &[Flag]) -> Result<Self, ConfigErrors> {
        Self::load_from(file, std::env::vars_os(), flags)
    }

    fn load_from(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        flags: &[Flag],
    ) -> Result<Self, ConfigErrors> {
        let (loaded, mut errors) = read(file, environment, flags);
        let (clients, refused) = ClientProperties::resolve_with(&loaded.config, &loaded.origins);
        errors.extend(refused);
        errors.none_or(Settings { loaded, clients })
    }

    /// All settings.
    pub(super) fn config(&self) -> &Config {
        &self.loaded.config
    }

    /// All settings, to be changed.
    pub(super) fn into_config(self) -> Config {
        self.loaded.config
    }

    /// Every setting as it is in effect; secrets masked.
    pub(super) fn effective(&self) -> Vec<Effective> {
        self.loaded.effective()
    }
}
