//! The flags of `nunchi replay`, and what they mean together.

use super::values::{self, Moment};
use crate::config::Flag;
use crate::kafka::Pace;
use crate::replay::Bound;
use jiff::tz::TimeZone;
use std::path::PathBuf;

/// `--late` unless given: a day.
const LATE_MS: i64 = 86_400_000;

/// Flags of `nunchi replay`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A range is from ≤ timestamp < to; times without an offset are those of --time-zone. The end is fixed when the replay is planned. Several
processes with one --id share the partitions; killed and started again with the same --id it continues where it was.

Examples:
  nunchi replay --from 2026-01-01T00:00 --to 2026-02-01 --to-topic verdicts-again --id january
  nunchi replay --id january                          continue, or join, with the recorded plan
  nunchi replay --from 2026-01-01 --to-file january.jsonl.gz --where-label negative
  nunchi replay --from 2026-01-01 --compare v12,v13 --html report.html

Exit status: 0 finished, 1 failed or stopped before the end, 64 wrong usage or configuration")]
pub struct Args {
    /// Records of this time and later [default: all that are left]
    #[arg(long, value_name = "TIME", value_parser = values::time, conflicts_with = "from_offset")]
    pub(super) from: Option<Moment>,
    /// Records before this time [default: all at the start]
    #[arg(long, value_name = "TIME", value_parser = values::time, conflicts_with = "to_offset")]
    pub(super) to: Option<Moment>,
    /// The time zone of --from and --to where they have no offset
    #[arg(long, value_name = "NAME", default_value = "UTC", value_parser = values::zone)]
    time_zone: TimeZone,
    /// From this offset on; or one for each partition, P:N,P:N
    #[arg(long, value_name = "N", value_parser = values::offsets)]
    pub(super) from_offset: Option<Bound>,
    /// Up to this offset, exclusive
    #[arg(long, value_name = "N", value_parser = values::offsets)]
    pub(super) to_offset: Option<Bound>,
    /// The topic of comments [setting: input.topic]
    #[arg(long, value_name = "TOPIC")]
    pub(super) topic: Option<String>,
    /// Only these partitions: 3, 0,2 or 4-7
    #[arg(long, value_name = "LIST", value_parser = values::partitions)]
    pub(super) partition: Option<std::vec::Vec<i32>>,
    /// Write verdicts to this topic, exactly once
    #[arg(long, value_name = "TOPIC", conflicts_with_all = ["to_file", "compare"])]
    pub(super) to_topic: Option<String>,
    /// Write verdicts to this file, which appears when it is complete: .jsonl, .jsonl.gz or .parquet
    #[arg(long, value_name = "FILE", conflicts_with = "compare")]
    pub(super) to_file: Option<PathBuf>,
    /// Classify with two models and report where they differ; writes no verdicts
    #[arg(long, value_name = "MODEL,MODEL", value_delimiter = ',', num_args = 1)]
    pub(super) compare: Option<Vec<String>>,
    /// The report of --compare as an HTML page
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,
    /// The replay's ID; the same ID continues it [default: generated and printed]
    #[arg(long, value_name = "ID", value_parser = values::id)]
    pub(super) id: Option<String>,
    /// How much later than --to a record of the range may have been written [default: 1d]
    #[arg(long, value_name = "SPAN", value_parser = values::span)]
    pub(super) late: Option<i64>,
    /// At most so many records a second in this process: 20k/s
    #[arg(long, value_name = "RATE", value_parser = values::rate, conflicts_with = "speed")]
    pub(super) rate: Option<Pace>,
    /// A multiple of the speed at which the records were written: 10x
    #[arg(long, value_name = "FACTOR", value_parser = values::speed)]
    pub(super) speed: Option<Pace>,
    /// Write only verdicts with these labels
    #[arg(long, value_name = "LABEL,…", value_delimiter = ',')]
    pub(super) where_label: Option<Vec<String>>,
    /// The model [default: the shipped model]
    #[arg(long, value_name = "MODEL", conflicts_with = "compare")]
    pub(super) model: Option<String>,
    /// The store of model versions
    #[arg(long, value_name = "URL")]
    pub(super) store: Option<String>,
    /// The topic of dead letters, records that cannot be classified [setting: dead_letters.topic]
    #[arg(long, value_name = "TOPIC")]
    pub(super) dead_letters: Option<String>,
    /// Worker threads; 0 is one a core [default: 1]
    #[arg(long, value_name = "N")]
    pub(super) workers: Option<String>,
    /// JSON objects instead of a bar: the plan, progress once a second, the end
    #[arg(long)]
    pub(super) json: bool,
    /// Address of the admin server with the metrics; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub(super) http: String,
    /// Bootstrap brokers [setting: kafka.brokers]
    #[arg(long, value_name = "HOST:PORT,…")]
    pub(super) brokers: Option<String>,
    /// The live group: the replay pauses while it falls behind [setting: kafka.group]
    #[arg(long, value_name = "ID")]
    pub(super) group: Option<String>,
    /// The configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Any other setting; may be repeated
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    pub(super) set: Vec<String>,
}

impl Args {
    /// The settings that were given as flags.
    pub(super) fn flags(&self) -> Vec<Flag> {
        let given = [
            ("--brokers", "kafka.brokers", &self.brokers),
            ("--group", "kafka.group", &self.group),
            ("--topic", "input.topic", &self.topic),
            ("--to-topic", "output.topic", &self.to_topic),
            ("--dead-letters", "dead_letters.topic", &self.dead_letters),
            ("--workers", "worker.workers", &self.workers),
            ("--store", "registry.url", &self.store),
        ];
        let given =
            given.into_iter().filter_map(|(flag, key, value)| Some(Flag::new(flag, key, value.clone()?)));
        let http = Flag::new("--http", "http.address", &self.http);
        let model = self.model.iter().map(|model| Flag::new("--model", "model.path", model));
        self.set
            .iter()
            .map(|assignment| Flag::set(assignment))
            .chain(given)
            .chain([http])
            .chain(model)
            .collect()
    }

    /// Whether nothing but an id was given: the recorded plan has the rest.
    pub(super) fn is_as_planned(&self) -> bool {
        self.id.is_some()
            && self.from.is_none()
            && self.to.is_none()
            && self.from_offset.is_none()
            && self.to_offset.is_none()
            && self.topic.is_none()
            && self.partition.is_none()
            && self.to_topic.is_none()
            && self.to_file.is_none()
            && self.compare.is_none()
            && self.late.is_none()
            && self.where_label.is_none()
    }

    /// Says in which zone times are that have no offset.
    pub(super) fn tell_zone(&self) {
        values::tell_zone([self.from, self.to], &self.time_zone);
    }

    /// Where the range begins.
    pub(super) fn begin(&self) -> Option<Bound> {
        self.from.map(|from| Bound::Time(from.at(&self.time_zone))).or_else(|| self.from_offset.clone())
    }

    /// Where it ends.
    pub(super) fn end(&self) -> Option<Bound> {
        self.to.map(|to| Bound::Time(to.at(&self.time_zone))).or_else(|| self.to_offset.clone())
    }

    /// How much later records may have been written.
    pub(super) fn late_ms(&self) -> i64 {
        self.late.unwrap_or(LATE_MS)
    }

    /// How fast.
    pub(super) fn pace(&self) -> Pace {
        self.rate.or(self.speed).unwrap_or_default()
    }

    /// Errors of the combination of flags.
    pub(super) fn errors(&self) -> Vec<String> {
        let mut errors = Vec::new();
        if !self.is_as_planned()
            && self.to_topic.is_none()
            && self.to_file.is_none()
            && self.compare.is_none()
        {
            errors.push(
                "a replay needs a target: --to-topic TOPIC or --to-file FILE (or --compare MODEL,MODEL, which writes no \
                 verdicts)"
                    .to_owned(),
            );
        }
        let [from, to] = [self.from, self.to].map(|moment| moment.map(|moment| moment.at(&self.time_zone)));
        if let (Some(from), Some(to)) = (from, to)
            && from >= to
        {
            errors.push(format!("--from {from} must be before --to {to}"));
        }
        errors.extend(self.offset_errors());
        if self.late.is_some() && self.to.is_none() && !self.is_as_planned() {
            errors.push("--late needs --to: it is how late records before that time may come".to_owned());
        }
        if self.compare.as_ref().is_some_and(|models| models.len() != 2) {
            errors.push("--compare takes two models with a comma between: --compare v12,v13".to_owned());
        }
        if self.html.is_some() && self.compare.is_none() {
            errors.push("--html needs --compare MODEL,MODEL, whose report it writes".to_owned());
        }
        if self.compare.is_some() && self.where_label.is_some() {
            errors.push(
                "--where-label selects verdicts, and --compare writes none; remove one of them".to_owned(),
            );
        }
        errors
    }

    fn offset_errors(&self) -> Vec<String> {
        let (Some(from), Some(to)) = (&self.from_offset, &self.to_offset) else { return Vec::new() };
        if let (Bound::Offset(from), Bound::Offset(to)) = (from, to) {
            let wrong = from >= to;
            return wrong
                .then(|| format!("--from-offset {from} must be before --to-offset {to}"))
                .into_iter()
                .collect();
        }
        let partitions: std::collections::BTreeSet<i32> = [from, to]
            .into_iter()
            .flat_map(|bound| match bound {
                Bound::Offsets(offsets) => offsets.keys().copied().collect(),
                _ => Vec::new(),
            })
            .collect();
        let wrong = partitions.into_iter().filter_map(|partition| {
            let (from, to) = (from.offset(partition)?, to.offset(partition)?);
            (from >= to).then(|| {
                format!("partition {partition}: --from-offset {from} must be before --to-offset {to}")
            })
        });
        wrong.collect()
    }
}
