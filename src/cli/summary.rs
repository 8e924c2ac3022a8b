//! `nunchi summary`

use crate::model::summary::summary;
use std::path::PathBuf;
use std::process::ExitCode;

/// Flags of `nunchi summary`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Model file; without it the model that is part of nunchi
    #[arg(value_name = "MODEL")]
    model: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    print!("{}", summary(&super::find_model(args.model.as_deref())?));
    Ok(ExitCode::SUCCESS)
}
