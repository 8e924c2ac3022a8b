//! `nunchi train`

use super::columns::ColumnArgs;
use super::progress::TrainingBar;
use crate::model::{Golden, Model, Precision};
use crate::rnn::{Cell, HeadKind, Network, Pooling, Shape};
use crate::text::Tokenizer;
use crate::training::data::{self, Columns};
use crate::training::examples::{self, Group, Loaded, Reader, Source};
use crate::training::golden::COMMENTS;
use crate::training::judge;
use crate::training::mapping::two_labels;
use crate::training::metrics::Metrics;
use crate::training::trainer::{self, Settings, Trained};
use anyhow::{Context, bail};
use clap::ValueEnum;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc;

/// Texts handed over together to the tokenizer's training.
const TEXTS_PER_PARCEL: usize = 1_000;

/// Flags of `nunchi train`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Data to train on: TSV, CSV or JSONL (.gz too), with a header; `FILE,weight=3` makes its examples count 3 times
    #[arg(value_name = "FILE", required_unless_present = "data")]
    files: Vec<Source>,
    /// As FILE; can be given several times
    #[arg(long, value_name = "FILE")]
    data: Vec<Source>,
    /// Data to choose the best epoch and the temperature on; can be given several times
    #[arg(long, value_name = "FILE")]
    dev: Vec<Source>,
    /// Hold every N-th row out of training and choose on those too (0: none)
    #[arg(long, value_name = "N", default_value_t = 0)]
    hold_out: usize,
    /// Where to write the model
    #[arg(long, value_name = "MODEL")]
    out: PathBuf,
    /// The model's name
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    columns: ColumnArgs,
    /// Names of the classes, in order; more than two give a softmax
    #[arg(long, value_name = "A,B,…", value_delimiter = ',', help_heading = "Data")]
    labels: Option<Vec<String>>,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    training: TrainingArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum CellName {
    /// A bag of words: no recurrence, the baseline
    Bag,
    /// Elman's simple unit
    Simple,
    /// Gated recurrent unit
    Gru,
    /// Long short-term memory
    Lstm,
}

impl From<CellName> for Cell {
    fn from(name: CellName) -> Self {
        match name {
            CellName::Bag => Cell::Bag,
            CellName::Simple => Cell::Simple,
            CellName::Gru => Cell::Gru,
            CellName::Lstm => Cell::Lstm,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PoolingName {
    Last,
    Mean,
    Max,
}

impl From<PoolingName> for Pooling {
    fn from(name: PoolingName) -> Self {
        match name {
            PoolingName::Last => Pooling::Last,
            PoolingName::Mean => Pooling::Mean,
            PoolingName::Max => Pooling::Max,
        }
    }
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Network")]
struct NetworkArgs {
    /// Kind of recurrent cell
    #[arg(long, value_enum, default_value = "gru")]
    cell: CellName,
    /// Units of a layer
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=4096))]
    hidden: u32,
    /// Numbers that stand for a token
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=4096))]
    embedding: u32,
    /// Stacked layers
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=16))]
    layers: u32,
    /// Read from the end too
    #[arg(long)]
    bidirectional: bool,
    /// How states become the head's input; a bag's default is the mean
    #[arg(long, value_enum)]
    pooling: Option<PoolingName>,
    /// Pieces of the tokenizer that is trained
    #[arg(long, default_value_t = 16_000, value_parser = clap::value_parser!(u32).range(300..=1_000_000))]
    vocabulary: u32,
    /// Take the tokenizer of this model instead of training one
    #[arg(long, value_name = "MODEL", conflicts_with = "vocabulary")]
    tokenizer: Option<PathBuf>,
    /// Longer comments keep their first tokens
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    max_tokens: u32,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Training")]
struct TrainingArgs {
    /// Passes over the data
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    epochs: u32,
    /// Examples a step
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    batch: u32,
    /// Highest learning rate; it rises first and falls along a cosine
    #[arg(long, default_value_t = 2e-3, value_parser = positive)]
    rate: f64,
    /// Share of the steps in which the rate rises
    #[arg(long, default_value_t = 0.05, value_parser = share)]
    warm_up: f64,
    /// Weight decay of AdamW
    #[arg(long, default_value_t = 0.01, value_parser = share)]
    weight_decay: f64,
    /// Largest norm of a step's gradient
    #[arg(long, default_value_t = 1.0, value_parser = positive)]
    clip: f64,
    /// Share of values dropped from embeddings, between layers and before the head
    #[arg(long, default_value_t = 0.3, value_parser = share)]
    dropout: f64,
    /// Share of tokens left out
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    word_dropout: f64,
    /// Label smoothing
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    smoothing: f64,
    /// Decay of the moving average of the weights that is kept (0: the last weights)
    #[arg(long, default_value_t = 0.999, value_parser = share)]
    average: f64,
    /// Stop after so many epochs without progress on the development data (0: never)
    #[arg(long, default_value_t = 2)]
    patience: usize,
    /// Seed of everything random
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Threads (default: all cores); the result does not depend on them
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1024))]
    threads: Option<u32>,
}

fn share(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.0..1.0).contains(&value) { Ok(value) } else { Err("must be at least 0 and below 1".to_owned()) }
}

fn positive(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if value.is_finite() && value > 0.0 { Ok(value) } else { Err("must be above 0".to_owned()) }
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let labels = args.labels.clone().unwrap_or_else(two_labels);
    if labels.len() < 2 || (args.columns.stars() && labels.len() != 2) {
        eprintln!("nunchi: --labels needs at least two names, and exactly two with --stars-column");
        return Ok(ExitCode::from(super::EXIT_USAGE));
    }
    check_writable(&args.out)?;
    let columns = args.columns.columns(&labels);
    let sources: Vec<Source> = args.files.iter().chain(&args.data).cloned().collect();
    let settings = args.training.settings();
    let tokenizer = match &args.network.tokenizer {
        Some(path) => Model::load(path).with_context(|| format!("reading {}", path.display()))?.tokenizer,
        None => {
            eprintln!("training a tokenizer of {} pieces…", args.network.vocabulary);
            train_tokenizer(&sources, &columns, args.network.vocabulary as usize)?
        }
    };
    let max_tokens = args.network.max_tokens as usize;
    let reader = Reader { tokenizer: &tokenizer, max_tokens, columns: &columns, hold_out: args.hold_out };
    let loaded = reader.load(&sources)?;
    let mut dev = args.dev.iter().map(|source| reader.group(source)).collect::<Result<Vec<_>, _>>()?;
    let calibration_groups = if dev.is_empty() { loaded.held_out.len() } else { dev.len() };
    dev.extend(loaded.held_out.iter().cloned());
    say_what_was_read(&sources, &loaded, &dev);

    let shape = args.network.shape(tokenizer.vocabulary(), labels.len());
    let network = Network::random(shape, settings.seed)?;
    eprintln!("{} parameters, {} threads", shape.parameters(), settings.threads);
    let mut bar = TrainingBar::new(loaded.examples.len(), settings.epochs);
    let trained = trainer::train(network, &loaded.examples, &dev, &settings, &mut bar);
    bar.finish();

    // What is judged, calibrated and recorded from here on is what will be stored.
    let network = rounded(&trained.network);
    let temperature = dev[..calibration_groups]
        .first()
        .map_or(1.0, |group| judge::calibrate(&network, &group.examples, settings.threads));
    let report = report(&sources, &loaded, &dev, &settings, &trained, &network, temperature);
    // Saving scores them, with the weights that it stores.
    let golden = COMMENTS.iter().map(|&text| Golden { text: text.to_owned(), score: 0.0 }).collect();
    let name = args.name.unwrap_or_else(|| default_name(&args.out));
    let model = Model {
        name,
        network,
        tokenizer,
        labels,
        max_tokens,
        temperature,
        golden,
        report,
        version: String::new(),
    };
    let version = model.save(&args.out, Precision::F16)?;
    let minutes = trained.took.as_secs_f64() / 60.0;
    eprintln!("wrote {} (version {version}) after {minutes:.1} minutes of training", args.out.display());
    Ok(ExitCode::SUCCESS)
}

impl NetworkArgs {
    fn shape(&self, vocabulary: usize, classes: usize) -> Shape {
        let cell = Cell::from(self.cell);
        let bag = cell == Cell::Bag;
        let default_pooling = if bag { Pooling::Mean } else { Pooling::Last };
        Shape {
            cell,
            vocabulary,
            embedding: self.embedding as usize,
            hidden: if bag { 0 } else { self.hidden as usize },
            layers: if bag { 0 } else { self.layers as usize },
            bidirectional: self.bidirectional,
            pooling: self.pooling.map_or(default_pooling, Pooling::from),
            head: if classes == 2 { HeadKind::Sigmoid } else { HeadKind::Softmax },
            outputs: if classes == 2 { 1 } else { classes },
        }
    }
}

impl TrainingArgs {
    fn settings(&self) -> Settings {
        let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Settings {
            epochs: self.epochs as usize,
            batch: self.batch as usize,
            rate: self.rate,
            warm_up: self.warm_up,
            weight_decay: self.weight_decay,
            clip: self.clip,
            dropout_inputs: self.dropout,
            dropout_features: self.dropout,
            word_dropout: self.word_dropout,
            smoothing: self.smoothing,
            average: self.average,
            patience: self.patience,
            seed: self.seed,
            threads: self.threads.map_or_else(cores, |threads| threads as usize),
        }
    }
}

/// Fails before an hour of training rather than after it.
fn check_writable(out: &Path) -> anyhow::Result<()> {
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        bail!("cannot write {}: there is no folder {}", out.display(), folder.display());
    }
    if out.is_dir() {
        bail!("cannot write {}: it is a folder", out.display());
    }
    Ok(())
}

/// Trains a tokenizer on all labelled comments, which are read as a stream.
fn train_tokenizer(sources: &[Source], columns: &Columns, vocabulary: usize) -> anyhow::Result<Tokenizer> {
    // The reader hands comments out and the training asks for them: a short queue between two threads joins them.
    let (sender, receiver) = mpsc::sync_channel::<Vec<String>>(8);
    std::thread::scope(|scope| {
        let reading = scope.spawn(move || -> Result<(), data::DataError> {
            for source in sources {
                let mut parcel = Vec::with_capacity(TEXTS_PER_PARCEL);
                data::read(&source.path, columns, |example| {
                    parcel.push(example.text.to_owned());
                    if parcel.len() == TEXTS_PER_PARCEL {
                        // Nobody listens any more only when training failed, which is reported there.
                        let _ = sender.send(std::mem::take(&mut parcel));
                    }
                })?;
                let _ = sender.send(parcel);
            }
            Ok(())
        });
        let tokenizer = crate::text::train(receiver.into_iter().flatten(), vocabulary);
        // A file that cannot be read is the better explanation of a tokenizer that cannot be trained.
        reading.join().expect("reading does not panic")?;
        Ok(tokenizer?)
    })
}

fn say_what_was_read(sources: &[Source], loaded: &Loaded, dev: &[Group]) {
    for (source, counts) in sources.iter().zip(&loaded.counts) {
        eprintln!(
            "{}: {} comments by class {:?}, weight {}; {} dropped, {} unreadable",
            source.path.display(),
            counts.labelled(),
            counts.classes,
            source.weight,
            counts.dropped,
            counts.bad
        );
    }
    for group in dev {
        eprintln!("development: {}: {} comments", group.name, group.examples.len());
    }
    let (count, tokens) = (loaded.examples.len(), loaded.examples.tokens());
    eprintln!("training on {count} comments of {:.1} tokens", tokens as f64 / count.max(1) as f64);
}

/// The weights as they are stored: in 16 bits.
fn rounded(network: &Network<f32>) -> Network<f32> {
    let mut network = network.clone();
    for (_, mut tensor) in network.tensors_mut() {
        tensor.mapv_inplace(|value| Precision::F16.round(value));
    }
    network
}

fn report(
    sources: &[Source],
    loaded: &Loaded,
    dev: &[Group],
    settings: &Settings,
    trained: &Trained,
    network: &Network<f32>,
    temperature: f32,
) -> serde_json::Value {
    let data: Vec<_> = sources
        .iter()
        .zip(&loaded.counts)
        .map(|(source, counts)| {
            serde_json::json!({
                "file": examples::file_name(source),
                "weight": source.weight,
                "classes": counts.classes,
                "dropped": counts.dropped,
            })
        })
        .collect();
    let development: Vec<_> = dev
        .iter()
        .map(|group| {
            let outcomes = judge::judge(network, &group.examples, temperature, settings.threads);
            let metrics = Metrics::of(&outcomes);
            eprintln!("{}: accuracy {:.2} %", group.name, metrics.accuracy * 100.0);
            serde_json::json!({ "file": group.name, "metrics": metrics })
        })
        .collect();
    serde_json::json!({
        "made_by": concat!("nunchi ", env!("CARGO_PKG_VERSION")),
        "data": data,
        "examples": loaded.examples.len(),
        "tokens": loaded.examples.tokens(),
        "settings": settings,
        "epochs": trained.epochs,
        "kept_epoch": trained.best,
        "development": development,
    })
}

fn default_name(out: &Path) -> String {
    out.file_stem().map_or_else(|| "nunchi".to_owned(), |stem| stem.to_string_lossy().into_owned())
}
