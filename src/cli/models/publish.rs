//! `nunchi models publish`

use crate::cli::exit::ExitStatus;
use crate::cli::model::{StoreArgs, resolve};
use crate::cli::printer::{errln, outln};
use crate::registry::{Data, DataFile, NewVersion, PromotionNote, Store, hash_file};
use anyhow::Context as _;
use nunchi_model::read_file;
use std::path::PathBuf;

/// Flags of `nunchi models publish`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The model file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    store: StoreArgs,
    /// Make it current, too
    #[arg(long)]
    promote: bool,
    /// A remark for the manifest
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// The version that it was trained from: a VERSION, an alias or current
    #[arg(long, value_name = "VERSION")]
    parent: Option<String>,
    /// A file that it was trained on: its path, size and SHA-256 go into the manifest; may be repeated
    #[arg(long, value_name = "FILE")]
    data: Vec<PathBuf>,
    /// Who publishes [default: user@host]
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    by: String,
    /// With --promote: why, for the promotion log
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true, requires = "promote")]
    why: String,
    /// Print one JSON object: `version`, `alias`, `new`, and with --promote the log's `entry`
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<ExitStatus> {
    let content = read_file(&args.file)?;
    let store = Store::open_or_make(&super::url(&args.store)?)?;
    let parent = args.parent.as_deref().map(|name| resolve(&store, name)).transpose()?;
    let files = args.data.iter().map(|path| {
        let (bytes, sha256) =
            hash_file(path).with_context(|| format!("cannot read the data {}", path.display()))?;
        Ok(DataFile { path: path.display().to_string(), bytes, sha256 })
    });
    let data = Data { files: files.collect::<anyhow::Result<_>>()?, ..Data::default() };
    let new =
        NewVersion { created_by: args.by.clone(), parent, data, note: args.note, ..NewVersion::default() };
    let published = store.publish(content, new)?;
    let manifest = &published.manifest;
    let verb = if published.new { "published" } else { "already published" };
    errln!("{verb} as {} ({}) in {}", manifest.version, manifest.alias, store.url());
    let mut entry = None;
    if args.promote {
        let promoted =
            store.promote(&manifest.version, PromotionNote { actor: args.by, reason: args.why }, false)?;
        errln!("{} is current now (entry {} of the log)", manifest.version, promoted.number);
        entry = Some(promoted);
    }
    if args.json {
        let (version, alias, new) = (&manifest.version, &manifest.alias, published.new);
        outln!("{}", serde_json::json!({ "version": version, "alias": alias, "new": new, "entry": entry }));
    } else {
        outln!("{}", manifest.version);
    }
    Ok(ExitStatus::Done)
}
