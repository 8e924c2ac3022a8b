//! `nunchi generate`: publishes the sample comments to a topic, repeatedly, at a steady rate; or writes synthetic
//! sentences to train on.

use crate::cli::exit::ExitStatus;
use crate::cli::printer::{Output, errln};
use crate::cli::publish::{Limit, Publisher};
use crate::cli::settings::Settings;
use crate::cli::signals::stop_on_signals;
use crate::config::Flag;
use crate::samples::Stream;
use crate::stop::Stop;
use anyhow::Context as _;
use nunchi_train::contrast;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Flags of `nunchi generate`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The topic to publish to [setting: input.topic, by default `comments`]
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,
    /// Comments a second
    #[arg(long, value_name = "N", default_value_t = 10.0, value_parser = rate)]
    rate: f64,
    /// End after so many records [default: with Ctrl-C]
    #[arg(long, visible_alias = "count", value_name = "N")]
    records: Option<u64>,
    /// End after so many seconds [default: with Ctrl-C]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    seconds: Option<u64>,
    /// Share of broken records among them, 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    broken: f64,
    /// Bootstrap brokers [setting: kafka.brokers]
    #[arg(long, value_name = "HOST:PORT,…")]
    brokers: Option<String>,
    /// The configuration file (TOML), as for `nunchi run`
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Any other setting, for instance kafka.properties.security.protocol=SSL
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    settings: Vec<String>,
    /// Instead of publishing, write so many synthetic labelled sentences to train on, as TSV: contrast, negation,
    /// expectation, built from word lists
    #[arg(
        long,
        value_name = "N",
        conflicts_with_all = ["topic", "rate", "records", "seconds", "broken", "brokers", "config", "settings"]
    )]
    contrast: Option<usize>,
    /// With --contrast: the file to write, instead of standard output
    #[arg(long, value_name = "FILE", requires = "contrast")]
    out: Option<PathBuf>,
    /// With --contrast: the same seed gives the same sentences
    #[arg(long, value_name = "N", default_value_t = 1, requires = "contrast")]
    seed: u64,
}

/// Reads `--rate`: records a second.
pub(super) fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate <= 1e6 => Ok(rate),
        _ => Err("a number above 0, at most 1000000".to_owned()),
    }
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("a number from 0 to 1".to_owned()),
    }
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<ExitStatus> {
    if let Some(count) = args.contrast {
        return write_contrast(args.seed, count, args.out.as_deref());
    }
    let mut flags: Vec<Flag> = args.settings.iter().map(|setting| Flag::set(setting)).collect();
    flags.extend(args.brokers.iter().map(|brokers| Flag::new("--brokers", "kafka.brokers", brokers)));
    flags.extend(args.topic.iter().map(|topic| Flag::new("--topic", "input.topic", topic)));
    let settings = Settings::load(args.config.as_deref(), &flags)?;
    let stop = Stop::new();
    stop_on_signals(&stop)?;
    let topic = &settings.config().input.topic;
    let publisher = Publisher::connect(&settings.clients.plain(), topic)?;
    let brokers = &settings.config().kafka.brokers;
    errln!("publishing {} comments/s to `{topic}` on {brokers}; Ctrl-C ends", args.rate);

    // The process's id and the second of its start keep ids apart from run to run.
    let prefix = format!("g{:x}-{}", jiff::Timestamp::now().as_second(), std::process::id());
    let mut stream = Stream::new(rand::random(), &prefix, args.broken);
    let limit = Limit { records: args.records, time: args.seconds.map(Duration::from_secs) };
    let start = Instant::now();
    let published = publisher.publish(&mut stream, args.rate, limit, &stop, |_| u64::MAX)?;
    errln!("{published} records published in {:.1} s", start.elapsed().as_secs_f64());
    Ok(ExitStatus::Done)
}

/// Writes synthetic sentences as a file that `nunchi train` reads.
fn write_contrast(seed: u64, count: usize, out: Option<&Path>) -> anyhow::Result<ExitStatus> {
    let Some(path) = out else {
        // The printer keeps the error.
        let _ = write_sentences(Output, seed, count);
        return Ok(ExitStatus::Done);
    };
    File::create(path)
        .and_then(|file| write_sentences(file, seed, count))
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(ExitStatus::Done)
}

fn write_sentences(out: impl Write, seed: u64, count: usize) -> io::Result<()> {
    let mut out = BufWriter::new(out);
    writeln!(out, "label\ttext")?;
    for (text, good) in contrast::sentences(seed, count) {
        writeln!(out, "{}\t{text}", u8::from(good))?;
    }
    out.flush()
}
