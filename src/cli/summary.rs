//! `nunchi summary`

use super::model::{StoreArgs, find_model};
use crate::cli::exit::ExitStatus;
use crate::cli::printer::out;
use nunchi_model::summary::summary;

/// Flags of `nunchi summary`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A model file; with a store a VERSION, an alias such as v7, or current. Without it the store's current version, or
    /// without a store the model that is part of nunchi
    #[arg(value_name = "MODEL")]
    model: Option<String>,
    #[command(flatten)]
    store: StoreArgs,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<ExitStatus> {
    out!("{}", summary(&find_model(args.model.as_deref(), args.store.url()?.as_deref())?));
    Ok(ExitStatus::Done)
}
