//! Where a command's model comes from: a file, a version of the store, or the binary.

use crate::engine::Warm;
use crate::model::{self, Model};
use crate::registry::{Name, Store};
use anyhow::{Context as _, bail};
use std::path::Path;

/// The flag `--store`.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct StoreArgs {
    /// The store of versions: a folder, file://, s3://, gs:// or az://
    #[arg(long, env = "NUNCHI__REGISTRY__URL", value_name = "URL")]
    pub(super) store: Option<String>,
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
        find_model(self.model.as_deref(), self.store.store.as_deref())
    }

    /// The model, verified and packed for `kernel`, or for the best one of this CPU.
    pub(super) fn warm(&self, kernel: Option<&str>) -> anyhow::Result<Warm> {
        Ok(Warm::new(self.find()?, kernel)?)
    }
}

/// The model that `name` names, verified: a file, or in the store at `store` a VERSION, an alias or `current`. Without a
/// name the store's current version, without a store the shipped model.
///
/// With a store, what reads as a name of a version is one; a file of such a name is named with its folder: `./v7`.
pub(super) fn find_model(name: Option<&str>, store: Option<&str>) -> anyhow::Result<Model> {
    let (name, store) = match (name, store) {
        (None, None) => return Ok(model::shipped()?),
        (None, Some(store)) => ("current", store),
        (Some(name), None) => return from_file(name),
        (Some(name), Some(_)) if name.parse::<Name>().is_err() => return from_file(name),
        (Some(name), Some(store)) => (name, store),
    };
    let store = Store::open(store)?;
    Ok(store.load(&store.resolve(name)?)?)
}

fn from_file(name: &str) -> anyhow::Result<Model> {
    if name.parse::<Name>().is_ok() && !Path::new(name).exists() {
        bail!("there is no file {name}; if it names a version, name its store too: --store URL");
    }
    Model::load(Path::new(name)).with_context(|| format!("the model {name} is refused"))
}
