//! `nunchi completions`

use super::printer::write_bytes;
use crate::cli::exit::ExitStatus;
use clap::CommandFactory;

/// Flags of `nunchi completions`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  nunchi completions bash > ~/.local/share/bash-completion/completions/nunchi
  nunchi completions zsh  > ~/.zfunc/_nunchi
  nunchi completions fish > ~/.config/fish/completions/nunchi.fish")]
pub struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<ExitStatus> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::Cli::command(), "nunchi", &mut script);
    write_bytes(&script);
    Ok(ExitStatus::Done)
}
