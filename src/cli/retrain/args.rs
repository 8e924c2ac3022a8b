//! The flags of `nunchi retrain`, and what they mean together.

use crate::cli::columns::ColumnArgs;
use crate::cli::replay::{Moment, span, tell_zone, time, zone, zone_name};
use crate::config::{Config, Flag};
use crate::retraining::Request;
use crate::retraining::gate::GateThresholds;
use crate::retraining::schedule::Schedule;
use crate::retraining::topics::Window;
use crate::retraining::train::Recipe;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use nunchi_data::Source;
use nunchi_data::{Stars, Target};
use nunchi_train::schedule;
use nunchi_train::trainer::{Keep, Settings};
use std::path::PathBuf;

/// How far back comments are read unless `--since` or `--from` is given: 30 days.
const SINCE_MS: i64 = 30 * 86_400_000;

/// Flags of `nunchi retrain`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nunchi retrain --store URL --golden golden.tsv --since 30d --mix reviews.tsv.gz
  nunchi retrain --store URL --golden golden.tsv --corrections corrections --publish-only --report reports
  nunchi retrain --store URL --golden golden.tsv --schedule '0 3 * * *' --time-zone Asia/Seoul --threads 1

Exit status: 0 promoted, 10 published only, 11 rejected, 12 not enough data, 1 failed, 64 wrong usage or configuration.
With --schedule: 0 stopped")]
pub struct Args {
    /// The configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// The store of versions: a folder, file://, s3://, gs:// or az:// [setting: registry.url]
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// Bootstrap brokers [setting: kafka.brokers]
    #[arg(long, value_name = "HOST:PORT,…")]
    brokers: Option<String>,
    /// Any other setting; may be repeated
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    set: Vec<String>,
    #[command(flatten)]
    collect: CollectArgs,
    #[command(flatten)]
    columns: ColumnArgs,
    #[command(flatten)]
    train: TrainArgs,
    #[command(flatten)]
    gate: GateArgs,
    #[command(flatten)]
    pub(super) run: RunArgs,
}

/// The training data.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Training data")]
struct CollectArgs {
    /// A topic of comments with stars; may be repeated [setting: input.topic]
    #[arg(long, value_name = "TOPIC")]
    topic: Vec<String>,
    /// Read no topic of comments: train on --data alone
    #[arg(long, conflicts_with_all = ["topic", "corrections", "since", "from", "to"], requires = "data")]
    no_topic: bool,
    /// A topic of manual corrections: key = the comment's id, value {"id","label"}; the last one is used, null withdraws,
    /// and they take precedence over stars
    #[arg(long, value_name = "TOPIC")]
    corrections: Option<String>,
    /// Comments of so long ago and later, such as 30d or 12h [default: 30d]
    #[arg(long, value_name = "SPAN", value_parser = span, conflicts_with = "from")]
    since: Option<i64>,
    /// Comments of this time and later
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<Moment>,
    /// Comments before this time [default: now]
    #[arg(long, value_name = "TIME", value_parser = time)]
    to: Option<Moment>,
    /// Stars of a comment that are negative
    #[arg(long, value_name = "RANGE", default_value = "1-2")]
    negative_stars: Stars,
    /// Stars of a comment that are positive; those in between are left out
    #[arg(long, value_name = "RANGE", default_value = "4-5")]
    positive_stars: Stars,
    /// Ignore stars: train on corrections and files alone
    #[arg(long)]
    no_stars: bool,
    /// A file with new labelled comments; `FILE,weight=3` makes them count 3 times; may be repeated
    #[arg(long, value_name = "FILE")]
    data: Vec<Source>,
    /// A file with old labelled comments, mixed in against forgetting; as --data
    #[arg(long, value_name = "FILE")]
    mix: Vec<Source>,
    /// Most old comments, as a multiple of the new ones
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = positive)]
    mix_ratio: f64,
    /// Fewest new labelled comments; with fewer nothing is trained
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    least: usize,
    /// Most comments of topics: the latest
    #[arg(long, value_name = "N", default_value_t = 500_000, value_parser = clap::value_parser!(u64).range(1..))]
    most: u64,
}

/// How to train.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Training")]
struct TrainArgs {
    /// Start with random weights and a new tokenizer instead of the current ones
    #[arg(long)]
    from_scratch: bool,
    /// Passes over the data [default: 3; from scratch 4]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    epochs: Option<u32>,
    /// Highest learning rate [default: 0.001; from scratch 0.002]
    #[arg(long, value_name = "RATE", value_parser = positive)]
    rate: Option<f64>,
    /// Examples a step
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    batch: u32,
    /// Share of values dropped from embeddings, between layers and before the head
    #[arg(long, value_name = "SHARE", default_value_t = 0.2, value_parser = share)]
    dropout: f64,
    /// Decay of the moving average of the weights that is kept (0: the last weights)
    #[arg(long, value_name = "SHARE", default_value_t = 0.99, value_parser = share)]
    average: f64,
    /// Seed of everything random
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Threads that train [default: half of the cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    threads: Option<u32>,
}

/// The conditions for a promotion.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "The gate")]
struct GateArgs {
    /// A file with the fixed golden set, which is never trained on; may be repeated
    #[arg(long, value_name = "FILE", required_unless_present = "no_golden")]
    golden: Vec<Source>,
    /// Use no golden set: only the new comments then show forgetting
    #[arg(long, conflicts_with = "golden")]
    no_golden: bool,
    /// A TSV of pairs of sentences (a, b, label_a, label_b, category) [default: 24 built-in ones]
    #[arg(long, value_name = "FILE")]
    pairs: Option<PathBuf>,
    /// Share of the new comments, the last in time, that is kept as test
    #[arg(long, value_name = "SHARE", default_value_t = 0.2, value_parser = test_share)]
    test_share: f64,
    /// Confidence of the paired test at which the candidate counts as worse
    #[arg(long, value_name = "SHARE", default_value_t = GateThresholds::default().confidence, value_parser = share)]
    confidence: f64,
    /// Largest loss of accuracy on a set, even if it is not significant
    #[arg(long, value_name = "SHARE", default_value_t = GateThresholds::default().max_loss, value_parser = share)]
    most_loss: f64,
    /// How much the calibration error may rise
    #[arg(long, value_name = "SHARE", default_value_t = GateThresholds::default().ece, value_parser = share)]
    ece_band: f64,
    /// Largest loss of correctly ordered pairs, as a share of all
    #[arg(long, value_name = "SHARE", default_value_t = GateThresholds::default().pairs, value_parser = share)]
    pairs_band: f64,
    /// Largest loss of speed, as a share
    #[arg(long, value_name = "SHARE", default_value_t = GateThresholds::default().speed, value_parser = share)]
    speed_band: f64,
    /// Lowest plausible accuracy of the current model on the new labels; below it the run is rejected
    #[arg(long, value_name = "SHARE", default_value_t = GateThresholds::default().plausible, value_parser = share)]
    plausible: f64,
}

/// How to run, and what to do with the result.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Running")]
pub(super) struct RunArgs {
    /// Publish a candidate that passes, and do not promote it
    #[arg(long)]
    pub(super) publish_only: bool,
    /// Write each run's report into this folder, as RUN.json and RUN.html
    #[arg(long, value_name = "FOLDER")]
    pub(super) report: Option<PathBuf>,
    /// Run repeatedly, by a cron pattern: minute, hour, day of month, month, day of week
    #[arg(long, value_name = "PATTERN")]
    pub(super) schedule: Option<String>,
    /// Time zone of --schedule, and of --from and --to where they have no offset
    #[arg(long, value_name = "NAME", default_value = "UTC", value_parser = zone)]
    time_zone: TimeZone,
    /// Niceness added to this process
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(i32).range(0..=19))]
    pub(super) nice: i32,
    /// The actor recorded in the store [default: user@host]
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    by: String,
    /// Print one JSON object a run
    #[arg(long)]
    pub(super) json: bool,
}

fn share(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.0..1.0).contains(&value) { Ok(value) } else { Err("must be at least 0 and below 1".to_owned()) }
}

fn test_share(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.01..=0.9).contains(&value) { Ok(value) } else { Err("must be from 0.01 to 0.9".to_owned()) }
}

fn positive(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if value.is_finite() && value > 0.0 { Ok(value) } else { Err("must be above 0".to_owned()) }
}

impl Args {
    /// The settings that were given as flags.
    pub(super) fn flags(&self) -> Vec<Flag> {
        let dedicated =
            [("--brokers", "kafka.brokers", &self.brokers), ("--store", "registry.url", &self.store)];
        let given =
            dedicated.into_iter().filter_map(|(flag, key, value)| Some(Flag::new(flag, key, value.clone()?)));
        self.set.iter().map(|assignment| Flag::set(assignment)).chain(given).collect()
    }

    /// When to run again, if at all.
    pub(super) fn schedule(&self) -> Result<Option<Schedule>, String> {
        let pattern = self.run.schedule.as_deref();
        pattern.map(|pattern| Schedule::new(pattern, zone_name(&self.run.time_zone))).transpose()
    }

    /// `--from` and `--to`.
    fn bounds(&self) -> [Option<Timestamp>; 2] {
        let at = |moment: Moment| moment.at(&self.run.time_zone);
        [self.collect.from, self.collect.to].map(|moment| moment.map(at))
    }

    /// Says in which zone times are that have no offset.
    pub(super) fn tell_zone(&self) {
        tell_zone([self.collect.from, self.collect.to], &self.run.time_zone);
    }

    /// The error of the combination of flags.
    pub(super) fn error(&self) -> Option<String> {
        let collect = &self.collect;
        match self.bounds().into() {
            (Some(from), Some(to)) if from >= to => Some(format!("--from {from} must be before --to {to}")),
            (_, Some(to)) if self.run.schedule.is_some() => {
                Some(format!("--to {to} and --schedule: every run would read the same comments"))
            }
            _ if collect.no_stars && collect.corrections.is_none() && collect.data.is_empty() => {
                Some("--no-stars leaves no training data; give --corrections or --data".to_owned())
            }
            _ => None,
        }
    }

    /// The request of a run that begins now.
    pub(super) fn request(&self, config: &Config, now: Timestamp) -> Request {
        let (collect, gate) = (&self.collect, &self.gate);
        let topics = match (collect.no_topic, collect.topic.as_slice()) {
            (true, _) => Vec::new(),
            (false, []) => vec![config.input.topic.clone()],
            (false, topics) => topics.to_vec(),
        };
        let since = SignedDuration::from_millis(collect.since.unwrap_or(SINCE_MS));
        let [from, to] = self.bounds();
        let ago = || to.unwrap_or(now).checked_sub(since).unwrap_or(Timestamp::UNIX_EPOCH);
        let from = Some(from.unwrap_or_else(ago));
        let stars = Target::Stars {
            column: config.input.rating_field.clone(),
            negative: collect.negative_stars.clone(),
            positive: collect.positive_stars.clone(),
            scale: None,
        };
        let mut config = config.clone();
        config.kafka.group = "nunchi-retrain".to_owned();
        Request {
            kernel: config.engine.kernel.clone(),
            config,
            window: Window {
                topics,
                from,
                to,
                stars: (!collect.no_stars).then_some(stars),
                max_comments: collect.most as usize,
                skip_beyond: self.columns.skip_bad_rows(),
            },
            corrections: collect.corrections.clone(),
            data: collect.data.clone(),
            mix: collect.mix.clone(),
            mix_ratio: collect.mix_ratio,
            golden: gate.golden.clone(),
            pairs: gate.pairs.clone(),
            columns: self.columns.hints(),
            min_comments: collect.least,
            test_share: gate.test_share,
            recipe: self.train.recipe(),
            thresholds: GateThresholds {
                confidence: gate.confidence,
                max_loss: gate.most_loss,
                ece: gate.ece_band,
                pairs: gate.pairs_band,
                speed: gate.speed_band,
                plausible: gate.plausible,
            },
            publish_only: self.run.publish_only,
            actor: self.run.by.clone(),
        }
    }
}

impl TrainArgs {
    fn recipe(&self) -> Recipe {
        let (epochs, rate) = if self.from_scratch { (4, 2e-3) } else { (3, 1e-3) };
        let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Recipe {
            from_scratch: self.from_scratch,
            settings: Settings {
                epochs: self.epochs.map_or(epochs, |epochs| epochs as usize),
                batch: self.batch as usize,
                rate: self.rate.unwrap_or(rate),
                warm_up: 0.1,
                weight_decay: 0.01,
                clip: 1.0,
                dropout_inputs: self.dropout,
                dropout_features: self.dropout,
                word_dropout: 0.0,
                smoothing: 0.0,
                pretraining: 0,
                accumulate: 1,
                schedule: schedule::Shape::Cosine,
                distillation_weight: 0.0,
                average: self.average,
                keep: Keep::Best,
                blend: 1.0,
                patience: 0,
                seed: self.seed,
                threads: self.threads.map_or_else(|| (cores() / 2).max(1), |threads| threads as usize),
            },
        }
    }
}
