//! `nunchi models show`

use super::list::{json, state};
use super::{harmless, size, time};
use crate::cli::exit::ExitStatus;
use crate::cli::model::{StoreArgs, resolve};
use crate::cli::printer::{out, outln};
use crate::registry::{Entry, Log, Manifest};
use std::fmt::Write as _;

/// Flags of `nunchi models show`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A VERSION, an alias such as v7, or current
    #[arg(value_name = "VERSION", default_value = "current")]
    name: String,
    #[command(flatten)]
    store: StoreArgs,
    /// Print one JSON object: the manifest, with `state` and the entries of the log that name the version
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<ExitStatus> {
    let store = super::open(&args.store)?;
    let version = resolve(&store, &args.name)?;
    let (manifest, log) = (store.manifest(&version)?, store.log()?);
    let named: Vec<&Entry> = log.entries().iter().filter(|entry| entry.version == version).collect();
    if args.json {
        let mut object = serde_json::to_value(&manifest)?;
        object["state"] = json(&manifest, &log)["state"].take();
        object["log"] = serde_json::to_value(named)?;
        outln!("{object}");
    } else {
        out!("{}", page(&manifest, &log, &named));
    }
    Ok(ExitStatus::Done)
}

/// The properties as text.
fn page(manifest: &Manifest, log: &Log, named: &[&Entry]) -> String {
    let mut out = String::new();
    let mut line = |title: &str, value: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{title:<11}{}", harmless(value, 400));
    };
    line("version", &format!("{} ({})", manifest.version, manifest.alias));
    line("name", &manifest.name);
    line("state", state(manifest, log));
    if let Some(block) = log.blocked(&manifest.version) {
        line("blocked", &format!("{} (entry {} of the log)", block.why, block.number));
    }
    line("published", &format!("{} UTC by {}", time(manifest.created_at), manifest.created_by));
    line("nunchi", &manifest.nunchi);
    line("size", &format!("{}, SHA-256 {}", size(manifest.bytes), manifest.sha256));
    if let Some(parent) = &manifest.parent {
        line("parent", parent.as_str());
    }
    if let Some(note) = &manifest.note {
        line("note", note);
    }
    if let Some(gate) = &manifest.gate {
        line("gate", if gate.passed { "passed" } else { "not passed" });
    }
    for topic in &manifest.data.topics {
        line("data", &format!("{}/{} offsets {} to {}", topic.topic, topic.partition, topic.from, topic.to));
    }
    for file in &manifest.data.files {
        line("data", &format!("{} ({}, SHA-256 {})", file.path, size(file.bytes), file.sha256));
    }
    for (title, value) in [("parameters", &manifest.parameters), ("report", &manifest.report)] {
        if !value.is_null() {
            line(title, &value.to_string());
        }
    }
    for precision in &manifest.precisions {
        let verdict = match (precision.agreement, precision.max_error) {
            (Some(agreement), Some(error)) => format!(
                "golden scores hold; {:.2} % of {} labels agree with the portable kernel, largest difference {error:.5}",
                agreement * 100.0,
                precision.comments
            ),
            _ => "golden scores do not hold: not usable for this model".to_owned(),
        };
        line("kernel", &format!("{:<12} {:<5} {verdict}", precision.kernel, precision.precision));
    }
    for entry in named {
        let why = if entry.why.is_empty() { String::new() } else { format!(": {}", entry.why) };
        let (at, action) = (time(entry.at), entry.action);
        line("log", &format!("{:>4}  {at}  {action:<8}  by {}{why}", entry.number, entry.who));
    }
    out
}
