//! `nunchi bench engine`

use std::process::ExitCode;

/// Flags of `nunchi bench engine`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the command.
pub fn run(_args: Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not built yet")
}
