//! `nunchi models promote` and `nunchi models rollback`

use crate::cli::exit::ExitStatus;
use crate::cli::model::{StoreArgs, resolve};
use crate::cli::printer::{errln, outln};
use crate::registry::{Entry, PromotionNote};

/// Flags of `nunchi models promote`.
#[derive(Debug, clap::Args)]
pub struct PromoteArgs {
    /// A VERSION or an alias such as v7
    #[arg(value_name = "VERSION")]
    name: String,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    entry: EntryArgs,
    /// Promote it even if it is blocked or was published as rejected
    #[arg(long)]
    force: bool,
}

/// Flags of `nunchi models rollback`.
#[derive(Debug, clap::Args)]
pub struct RollbackArgs {
    /// A VERSION or an alias [default: the version that served before the current one]
    #[arg(value_name = "VERSION")]
    name: Option<String>,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    entry: EntryArgs,
    /// Block the version that served until now: it never serves again unless it is promoted with --force
    #[arg(long)]
    block: bool,
}

/// The entry of the log, and how it is printed.
#[derive(Debug, clap::Args)]
struct EntryArgs {
    /// Why, for the promotion log
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    why: String,
    /// Who decides [default: user@host]
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    by: String,
    /// Print the log's entry as one JSON object
    #[arg(long)]
    json: bool,
}

impl EntryArgs {
    fn note(&self) -> PromotionNote {
        PromotionNote { actor: self.by.clone(), reason: self.why.clone() }
    }

    fn print(&self, entry: &Entry) {
        let before =
            entry.previous.as_ref().map_or_else(String::new, |before| format!(" instead of {before}"));
        errln!("{} is current now{before} (entry {} of the log)", entry.version, entry.number);
        if self.json {
            outln!("{}", serde_json::to_value(entry).expect("an entry has a JSON form"));
        }
    }
}

/// Runs `promote`.
pub fn promote(args: PromoteArgs) -> anyhow::Result<ExitStatus> {
    let store = super::open(&args.store)?;
    let version = resolve(&store, &args.name)?;
    let entry = store.promote(&version, args.entry.note(), args.force)?;
    args.entry.print(&entry);
    Ok(ExitStatus::Done)
}

/// Runs `rollback`.
pub fn roll_back(args: RollbackArgs) -> anyhow::Result<ExitStatus> {
    let store = super::open(&args.store)?;
    let to = args.name.as_deref().map(|name| resolve(&store, name)).transpose()?;
    let mut log = store.log()?;
    if args.block {
        let (entry, _) = store.block_and_roll_back(&mut log, to.as_ref(), args.entry.note())?;
        args.entry.print(&entry);
    } else {
        args.entry.print(&store.roll_back_after(&log, to.as_ref(), args.entry.note())?);
    }
    Ok(ExitStatus::Done)
}
