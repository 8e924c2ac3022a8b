//! `nunchi train`

mod args;
mod report;

use super::columns::ColumnArgs;
use super::progress::TrainingBar;
use crate::model::{Golden, Model, Precision};
use crate::rnn::Network;
use crate::text::Tokenizer;
use crate::training::data::{self, Columns};
use crate::training::examples::{self, Group, Loaded, Reader, Source};
use crate::training::golden::COMMENTS;
use crate::training::judge;
use crate::training::mapping::two_labels;
use crate::training::metrics::Metrics;
use crate::training::trainer::{self, Settings, Trained};
use anyhow::{Context, bail};
use args::{NetworkArgs, TrainingArgs};
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
    /// Leave no report (MODEL.report.html and .json: learning curves, ROC, calibration, the worst mistakes with texts)
    #[arg(long)]
    no_report: bool,
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
    let tokenizer = tokenizer(&args, &sources, &columns)?;
    let max_tokens = args.network.max_tokens as usize;
    let reader = Reader { tokenizer: &tokenizer, max_tokens, columns: &columns, hold_out: args.hold_out };
    let loaded = reader.load(&sources)?;
    let mut dev = args.dev.iter().map(|source| reader.group(source)).collect::<Result<Vec<_>, _>>()?;
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
    // The first development file, or else what was held out of the first data file, says how warm scores should be.
    let temperature =
        dev.first().map_or(1.0, |group| judge::calibrate(&network, &group.examples, settings.threads));
    let made = Made { sources: &sources, loaded: &loaded, dev: &dev, settings: &settings, trained: &trained };
    let report = made.report(&network, temperature);
    // Saving scores them, with the weights that it stores.
    let golden = COMMENTS.iter().map(|&text| Golden { text: text.to_owned(), score: 0.0 }).collect();
    let name = args.name.clone().unwrap_or_else(|| default_name(&args.out));
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
    if !args.no_report {
        let groups = dev.iter().map(|group| group.name.clone()).collect();
        let history = bar.history(groups, trained.best, trained.took);
        // The model is there, which is what counts.
        match report::leave(&args.out, &report::parts(&args.dev, &sources, args.hold_out), &columns, history)
        {
            Ok(page) => eprintln!("wrote {}", page.display()),
            Err(error) => eprintln!("nunchi: the model has no report: {error:#}"),
        }
    }
    Ok(ExitCode::SUCCESS)
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

/// The tokenizer of another model, or a new one.
fn tokenizer(args: &Args, sources: &[Source], columns: &Columns) -> anyhow::Result<Tokenizer> {
    match &args.network.tokenizer {
        Some(path) => Ok(Model::load(path).with_context(|| format!("reading {}", path.display()))?.tokenizer),
        None => {
            eprintln!("training a tokenizer of {} pieces…", args.network.vocabulary);
            train_tokenizer(sources, columns, args.network.vocabulary as usize)
        }
    }
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

/// What a report tells of.
struct Made<'a> {
    sources: &'a [Source],
    loaded: &'a Loaded,
    dev: &'a [Group],
    settings: &'a Settings,
    trained: &'a Trained,
}

impl Made<'_> {
    /// The report that goes into the model; `network` holds the stored weights.
    fn report(&self, network: &Network<f32>, temperature: f32) -> serde_json::Value {
        let data: Vec<_> = self
            .sources
            .iter()
            .zip(&self.loaded.counts)
            .map(|(source, counts)| {
                serde_json::json!({
                    "file": examples::file_name(source),
                    "weight": source.weight,
                    "classes": counts.classes,
                    "dropped": counts.dropped,
                })
            })
            .collect();
        let development: Vec<_> = self
            .dev
            .iter()
            .map(|group| {
                let outcomes = judge::judge(network, &group.examples, temperature, self.settings.threads);
                let metrics = Metrics::of(&outcomes);
                eprintln!("{}: accuracy {:.2} %", group.name, metrics.accuracy * 100.0);
                serde_json::json!({ "file": group.name, "metrics": metrics })
            })
            .collect();
        serde_json::json!({
            "made_by": concat!("nunchi ", env!("CARGO_PKG_VERSION")),
            "data": data,
            "examples": self.loaded.examples.len(),
            "tokens": self.loaded.examples.tokens(),
            "settings": self.settings,
            "epochs": self.trained.epochs,
            "kept_epoch": self.trained.best,
            "development": development,
        })
    }
}

fn default_name(out: &Path) -> String {
    out.file_stem().map_or_else(|| "nunchi".to_owned(), |stem| stem.to_string_lossy().into_owned())
}
