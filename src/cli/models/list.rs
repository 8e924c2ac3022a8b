//! `nunchi models list`

use super::{harmless, size, time};
use crate::cli::color::{Paint, Tone};
use crate::cli::exit::ExitStatus;
use crate::cli::model::StoreArgs;
use crate::cli::printer::{errln, out, outln};
use crate::registry::{Log, Manifest, RegistryError};

/// Flags of `nunchi models list`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    store: StoreArgs,
    /// Print a JSON object a version
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<ExitStatus> {
    let store = super::open(&args.store)?;
    let log = store.log()?;
    let (mut manifests, mut damaged) = (Vec::new(), Vec::new());
    for manifest in store.manifests()? {
        match manifest {
            Ok(manifest) => manifests.push(manifest),
            Err(error) => damaged.push(error),
        }
    }
    if args.json {
        for manifest in &manifests {
            outln!("{}", json(manifest, &log));
        }
    } else {
        out!("{}", table(&manifests, &log, Paint::for_stdout()));
    }
    report(store.url(), manifests.is_empty(), &damaged);
    Ok(if damaged.is_empty() { ExitStatus::Done } else { ExitStatus::Failed })
}

/// What does not fit into the table goes to standard error.
fn report(url: &str, empty: bool, damaged: &[RegistryError]) {
    if empty && damaged.is_empty() {
        errln!("the store {url} holds no version yet; `nunchi models publish FILE` publishes one");
    }
    for error in damaged {
        errln!("nunchi: {error}");
    }
}

/// The state of a version by the log.
pub(super) fn state(manifest: &Manifest, log: &Log) -> &'static str {
    let version = &manifest.version;
    if log.blocked(version).is_some() {
        "blocked"
    } else if log.current() == Some(version) {
        "current"
    } else if log.previous() == Some(version) {
        "previous"
    } else if manifest.is_rejected() {
        "rejected"
    } else {
        ""
    }
}

/// One version as an object.
pub(super) fn json(manifest: &Manifest, log: &Log) -> serde_json::Value {
    serde_json::json!({
        "version": manifest.version,
        "alias": manifest.alias,
        "name": manifest.name,
        "state": state(manifest, log),
        "created_at": manifest.created_at,
        "created_by": manifest.created_by,
        "bytes": manifest.bytes,
        "parent": manifest.parent,
        "note": manifest.note,
        "blocked": log.blocked(&manifest.version).map(|block| &block.why),
    })
}

fn table(manifests: &[Manifest], log: &Log, paint: Paint) -> String {
    let names: Vec<String> = manifests.iter().map(|manifest| harmless(&manifest.name, 30)).collect();
    let creators: Vec<String> = manifests.iter().map(|manifest| harmless(&manifest.created_by, 24)).collect();
    let width = |texts: &[String], title: &str| {
        texts.iter().map(|text| text.chars().count()).max().unwrap_or(0).max(title.len())
    };
    let (name_width, by_width) = (width(&names, "name"), width(&creators, "by"));
    let mut out = String::new();
    if manifests.is_empty() {
        return out;
    }
    out += &format!(
        "{:<6}  {:12}  {:19}  {:>9}  {:name_width$}  {:by_width$}  state\n",
        "alias", "version", "published (UTC)", "size", "name", "by"
    );
    for ((manifest, name), by) in manifests.iter().zip(names).zip(creators) {
        let (at, size) = (time(manifest.created_at), size(manifest.bytes));
        out += &format!(
            "{:<6}  {}  {at}  {size:>9}  {name:name_width$}  {by:by_width$}  ",
            harmless(&manifest.alias, 6),
            manifest.version
        );
        let state = state(manifest, log);
        let tone = match state {
            "current" => Tone::Good,
            "blocked" | "rejected" => Tone::Bad,
            _ => Tone::Faint,
        };
        paint.paint(tone, state, &mut out);
        if let Some(block) = log.blocked(&manifest.version) {
            out += &format!(": {}", harmless(&block.why, 80));
        } else if let Some(note) = &manifest.note {
            out += &format!("{}{}", if state.is_empty() { "" } else { ": " }, harmless(note, 60));
        }
        let end = out.trim_end().len();
        out.truncate(end);
        out.push('\n');
    }
    out
}
