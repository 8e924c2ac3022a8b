//! Where a command's model comes from: a file, a version of the store, or the binary.

use super::settings::Settings;
use crate::cli::exit::UsageError;
use crate::registry::{Name, RegistryError, Store, Version};
use nunchi_engine::LoadedModel;
use nunchi_model::{Model, ModelError};
use std::path::{Path, PathBuf};

/// The flags `--store` and `--config`.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct StoreArgs {
    /// The store of versions: a folder, file://, s3://, gs:// or az://
    #[arg(long, env = "NUNCHI__REGISTRY__URL", hide_env_values = true, value_name = "URL")]
    store: Option<String>,
    /// A configuration file (TOML); its `[registry] url` is used without --store
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl StoreArgs {
    /// The store's URL, if one is named: flag, then environment, then file.
    pub(super) fn url(&self) -> anyhow::Result<Option<String>> {
        match (&self.store, &self.config) {
            (Some(url), _) => Ok(Some(url.clone())),
            (None, Some(file)) => Ok(Settings::load(Some(file), &[])?.into_config().registry.url),
            (None, None) => Ok(None),
        }
    }
}

/// The flags `--model` and `--store`.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct ModelArgs {
    /// A model file; with a store a VERSION, an alias such as v7, or current. Without it the store's current version, or
    /// without a store the model that is part of nunchi
    #[arg(long, value_name = "MODEL")]
    pub(super) model: Option<String>,
    #[command(flatten)]
    pub(super) store: StoreArgs,
}

impl ModelArgs {
    /// The model, verified.
    pub(super) fn find(&self) -> anyhow::Result<Model> {
        find_model(self.model.as_deref(), self.store.url()?.as_deref())
    }

    /// Loads the model, verified and packed for `kernel`, or for the best one of this CPU.
    pub(super) fn load(&self, kernel: Option<&str>) -> anyhow::Result<LoadedModel> {
        Ok(LoadedModel::new(self.find()?, kernel.map(str::parse).transpose()?)?)
    }
}

/// The model that `name` names, verified: a file, or in the store at `store` a VERSION, an alias or `current`. Without a
/// name the store's current version, without a store the shipped model.
///
/// With a store, what reads as a name of a version is one; a file of such a name is named with its folder: `./v7`.
pub(super) fn find_model(name: Option<&str>, store: Option<&str>) -> anyhow::Result<Model> {
    let (name, store) = match (name, store) {
        (None, None) => return Ok(crate::registry::shipped()?),
        (None, Some(store)) => ("current", store),
        (Some(name), None) => return from_file(name),
        (Some(name), Some(_)) if name.parse::<Name>().is_err() => return from_file(name),
        (Some(name), Some(store)) => (name, store),
    };
    let store = Store::open(store)?;
    Ok(store.load(&resolve(&store, name)?)?)
}

/// The version of `store` that the command line names.
///
/// # Errors
/// Wrong usage, if there is none of that name; the store cannot be read.
pub(super) fn resolve(store: &Store, name: &str) -> anyhow::Result<Version> {
    store.resolve(name).map_err(|error| match error {
        // Ambiguous: the name has to be another one, such as the whole checksum's other model or the alias of another version.
        error if error.is_usage() || matches!(error, RegistryError::Ambiguous { .. }) => {
            UsageError::new(error.to_string()).into()
        }
        error => error.into(),
    })
}

fn from_file(name: &str) -> anyhow::Result<Model> {
    if name.parse::<Name>().is_ok() && !Path::new(name).exists() {
        let message =
            format!("there is no file {name}; if it names a version, name its store too: --store URL");
        return Err(UsageError::new(message).into());
    }
    Model::load(Path::new(name)).map_err(|error| match error {
        // It names the file itself.
        ModelError::File { .. } => error.into(),
        error => anyhow::Error::new(error).context(format!("the model {name} is refused")),
    })
}
