//! `nunchi bench text`

use std::process::ExitCode;

/// Flags of `nunchi bench text`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the command.
pub fn run(_args: Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not built yet")
}
