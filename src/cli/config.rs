//! `nunchi config`

mod warnings;

use super::decision::policy;
use super::model::find_model;
use super::settings::Settings;
use crate::cli::exit::ExitStatus;
use crate::cli::printer::{errln, out, outln};
use crate::config::{Config, Flag, LogFormat, Origin};
use crate::telemetry::set_message_format;
use nunchi_engine::{Decision, DecisionPolicy};
use std::fmt::Write as _;
use std::path::PathBuf;

/// Flags of `nunchi config`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Print the settings in effect and the origin of each, or all errors in them
    Check(Check),
}

/// Flags of `nunchi config check`.
#[derive(Debug, clap::Args)]
struct Check {
    /// The configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A setting on top of the file and the environment; may be repeated
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    set: Vec<String>,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<ExitStatus> {
    let Command::Check(check) = args.command;
    let flags: Vec<Flag> = check.set.iter().map(|assignment| Flag::set(assignment)).collect();
    let settings = Settings::load(check.config.as_deref(), &flags);
    // Who checks reads it here, whatever form the log of `run` is to have.
    set_message_format(LogFormat::Text);
    let settings = settings?;
    for warning in settings.clients.warnings().into_iter().chain(warnings::warnings(&settings)) {
        errln!("nunchi: warning: {warning}");
    }
    out!("{}", listing(&settings));
    if let Some(policy) = policy(settings.config()) {
        outln!("# {}\n", expectation(settings.config(), policy)?);
    }
    outln!("ok");
    Ok(ExitStatus::Done)
}

/// What `policy` makes of the verdicts of the model that would serve now.
///
/// # Errors
/// A model that lacks what the policy needs.
fn expectation(config: &Config, policy: DecisionPolicy) -> anyhow::Result<String> {
    let name = config.model.path.as_deref().map(|path| path.to_string_lossy());
    match find_model(name.as_deref(), config.registry.url.as_deref()) {
        Ok(model) => Ok(format!("decision: {}", Decision::new(&model, policy)?)),
        // Settings are often checked where the store cannot be reached.
        Err(error) => {
            Ok(format!("decision: the model cannot be read here, so nothing is known of it: {error:#}"))
        }
    }
}

/// The settings as TOML, with the origin of those that are no defaults in comments.
fn listing(settings: &Settings) -> String {
    let mut text = String::new();
    let mut section = "";
    let lines = settings.effective();
    for line in &lines {
        if line.section != section {
            let gap = if section.is_empty() { "" } else { "\n" };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{gap}[{}]", line.section);
            section = &line.section;
        }
        let setting = match &line.value {
            Some(value) => format!("{} = {value}", line.name),
            None => format!("# {} is not set", line.name),
        };
        let _ = match &line.origin {
            Origin::Default => writeln!(text, "{setting}"),
            origin => writeln!(text, "{setting:<40}  # {origin}"),
        };
    }
    text.push('\n');
    text
}
