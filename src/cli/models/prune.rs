//! `nunchi models prune`

use crate::cli::exit::ExitStatus;
use crate::cli::model::StoreArgs;
use crate::cli::printer::{errln, outln};

/// Flags of `nunchi models prune`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The current version and the one before it always stay, and so does whatever the last entries of the promotion log name.")]
pub struct Args {
    #[command(flatten)]
    store: StoreArgs,
    /// Keep this many of the newest versions
    #[arg(long, value_name = "N", default_value_t = 10)]
    keep: usize,
    /// Keep every version that this many of the log's last entries name
    #[arg(long, value_name = "N", default_value_t = 10)]
    entries: usize,
    /// Print what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,
    /// Print a JSON object for each version that is removed
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<ExitStatus> {
    let store = super::open(&args.store)?;
    let pruned = store.prune(args.keep, args.entries, args.dry_run)?;
    for one in &pruned {
        if args.json {
            outln!(
                "{}",
                serde_json::json!({ "version": one.version, "alias": one.alias, "removed": !args.dry_run })
            );
        } else {
            outln!("{}  {}", one.version, one.alias.as_deref().unwrap_or("(never finished)"));
        }
    }
    let verb = if args.dry_run { "would be removed" } else { "removed" };
    errln!("{} versions {verb}", pruned.len());
    Ok(ExitStatus::Done)
}
