//! `nunchi train`

mod args;
mod files;
mod report;
mod teachers;

use super::columns::{ColumnArgs, trimmed};
use super::exit::UsageError;
use super::progress::TrainingBar;
use super::signals::{flag_on_signals, interrupted};
use crate::cli::exit::ExitStatus;
use crate::cli::printer::errln;
use anyhow::Context;
use args::{NetworkArgs, TrainingArgs};
use nunchi_data::two_labels;
use nunchi_data::{EncodedSet, LabeledSet, Source};
use nunchi_eval::calibration;
use nunchi_eval::metrics::Metrics;
use nunchi_model::rnn::Network;
use nunchi_model::{Extension, Golden, Model, WeightFormat};
use nunchi_text::Tokenizer;
use nunchi_train::corpus::Corpus;
use nunchi_train::dataset::Dataset;
use nunchi_train::golden::COMMENTS;
use nunchi_train::trainer::{self, Outcome, Settings, Task, Trained};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use teachers::Teachers;

/// Most comments that a tokenizer is trained on: more of them change hardly any piece.
const TOKENIZER_COMMENTS: u64 = 1_000_000;

/// Flags of `nunchi train`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Data to train on: CSV, TSV, JSON, Excel or Parquet, compressed or not, in any encoding (`nunchi data check FILE`
    /// shows what is recognized); `FILE,weight=3` makes its examples count 3 times,
    /// `FILE,soft=COLUMN` names a column with a teacher's probability of positive, `FILE,teacher=0` sets the distillation
    /// weight of its rows, `FILE,vary=0.5` augments that share of its comments in each epoch, `FILE,word-dropout=0` drops
    /// none of its tokens, `FILE,hold-out=0` holds none of its rows out
    #[arg(value_name = "FILE", required_unless_present = "data")]
    files: Vec<Source>,
    /// As FILE; can be given several times
    #[arg(long, value_name = "FILE")]
    data: Vec<Source>,
    /// Comments without labels, for the tokenizer and for teachers; can be given several times
    #[arg(long, value_name = "FILE")]
    unlabelled: Vec<Source>,
    /// Data to choose the best epoch and the temperature on; can be given several times. Comments that occur here are
    /// left out of training
    #[arg(long, value_name = "FILE")]
    dev: Vec<Source>,
    /// Hold every N-th row of each FILE out of training and choose on those too (0: none; default without --dev: every
    /// 20th, at most 20,000)
    #[arg(long, value_name = "N")]
    hold_out: Option<u64>,
    /// Where to write the model (default: the first FILE's name in this folder, with .safetensors)
    #[arg(long, value_name = "MODEL")]
    out: Option<PathBuf>,
    /// Where to keep the comments while training (default: the system's folder for temporary files)
    #[arg(long, value_name = "FOLDER", help_heading = "Data")]
    temp_dir: Option<PathBuf>,
    /// The model's name
    #[arg(long)]
    name: Option<String>,
    /// Models to distill: their predictions are soft labels of labelled and unlabelled comments; of several the mean
    #[arg(long, value_name = "MODEL", help_heading = "Training")]
    teacher: Vec<PathBuf>,
    /// Start with the weights (and the shape, and the tokenizer) of this model
    #[arg(long, value_name = "MODEL", help_heading = "Training", conflicts_with_all = ["pretrain", "tokenizer",
        "vocabulary", "cell", "hidden", "embedding", "layers", "bidirectional", "pooling"])]
    from: Option<PathBuf>,
    /// How often a checkpoint is written: after so many seconds, and after every epoch (0: every 50 steps)
    #[arg(long, value_name = "SECONDS", default_value_t = 60, help_heading = "Training")]
    checkpoint_every: u64,
    /// Start anew even if a checkpoint of an earlier run lies beside the model
    #[arg(long, help_heading = "Training")]
    restart: bool,
    /// Write no report (MODEL.report.html and .json: learning curves, ROC, calibration, the largest errors with texts)
    #[arg(long)]
    no_report: bool,
    #[command(flatten)]
    columns: ColumnArgs,
    /// Names of the classes, in order [default: negative,positive]; of two the score is the probability of the second, more
    /// give a softmax
    #[arg(long, value_name = "A,B,…", value_delimiter = ',', help_heading = "Data")]
    labels: Option<Vec<String>>,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    training: TrainingArgs,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<ExitStatus> {
    let labels = labels(&args)?;
    let out = files::out(&args)?;
    let plan = files::plan(&args, &labels)?;
    files::check_stars(&plan, &labels)?;
    let settings = args.training.settings();
    if settings.pretraining > 0 && args.network.sees_next_token() {
        return Err(UsageError::new(
            "--pretrain with --bidirectional needs --layers 1: a second layer has seen the token to predict",
        )
        .into());
    }
    if settings.blend < 1.0 && args.from.is_none() {
        return Err(
            UsageError::new("--blend needs --from, whose weights are blended with the trained ones").into()
        );
    }
    let began = args.from.as_deref().map(Model::load).transpose()?;
    if let Some(other) = began.as_ref().filter(|model| model.labels != labels) {
        let (theirs, ours) = (other.labels.join(", "), labels.join(", "));
        return Err(UsageError::new(format!(
            "the labels of the model of --from are {theirs}, not {ours}; pass them with --labels, in that order"
        ))
        .into());
    }
    let given = args.network.tokenizer.as_deref().map(tokenizer_of).transpose()?;
    let teachers = Teachers::load(&args.teacher)?;
    let mut dataset = Dataset::read(&plan)?;
    files::print_counts(&plan, &dataset);
    let tokenizer = match (&began, given) {
        (Some(model), _) => model.tokenizer.clone(),
        (None, Some(tokenizer)) => tokenizer,
        (None, None) => {
            errln!("training a tokenizer of {} pieces…", args.network.vocabulary);
            train_tokenizer(&dataset.corpus, args.network.vocabulary as usize, settings.seed)?
        }
    };
    let teachers = teachers.label(&mut dataset.corpus)?;
    let max_tokens = args.network.max_tokens(began.as_ref().map(|model| model.max_tokens));
    let encode = |set: &LabeledSet| set.encode(&tokenizer, max_tokens);
    let dev: Vec<EncodedSet> = dataset.dev.iter().map(encode).collect();
    let shape = args.network.shape(tokenizer.vocabulary(), labels.len());
    let network = match began {
        Some(model) => model.network,
        None => Network::random(shape, settings.seed)?,
    };
    errln!("{} parameters, {} threads", network.shape.parameters(), settings.threads);
    let checkpoint = files::checkpoint(&out, args.restart)?;
    let task = Task {
        corpus: &dataset.corpus,
        tokenizer: &tokenizer,
        max_tokens,
        dev: &dev,
        settings: &settings,
        teachers: &teachers.join(" "),
        checkpoint: Some((&checkpoint, std::time::Duration::from_secs(args.checkpoint_every))),
        stop: flag_on_signals()?,
    };
    let mut bar = TrainingBar::new(settings.epochs);
    let trained = trainer::train(network, &task, &mut bar);
    bar.finish();
    let trained = match trained? {
        Outcome::Finished(trained) => *trained,
        // No model is written: an interrupted training would be taken for a finished one.
        Outcome::Interrupted(why) => {
            errln!("{why}");
            return Ok(interrupted());
        }
    };

    // From here on the stored weights are calibrated, measured and reported.
    let network = rounded(&trained.network);
    let temperature = calibration::calibrate(&network, &dev, settings.threads).unwrap_or(1.0);
    let made = Made {
        sources: &plan.sources(),
        dataset: &dataset,
        dev: &dev,
        settings: &settings,
        teachers: &teachers,
        trained: &trained,
    };
    let report = made.report(&network, temperature);
    // Saving fills in their scores, with the weights that it stores.
    let golden = COMMENTS.iter().map(|&text| Golden { text: text.to_owned(), score: 0.0 }).collect();
    let name = args.name.clone().unwrap_or_else(|| default_name(&out));
    let model = Model {
        name,
        network,
        tokenizer,
        labels,
        max_tokens,
        temperature,
        golden,
        report,
        extension: Extension::default(),
        version: String::new(),
        checksum: String::new(),
    };
    let version = model.save(&out, WeightFormat::F16)?;
    // Loaded as a worker loads it, so that a failed write is found now.
    Model::load(&out).with_context(|| format!("reading {} again", out.display()))?;
    if trained.diverged.is_none() {
        // The model replaces it.
        files::remove(&checkpoint)?;
    }
    let minutes = trained.took.as_secs_f64() / 60.0;
    errln!("wrote {} (version {version}) after {minutes:.1} minutes of training", out.display());
    if !args.no_report {
        let groups = dev.iter().map(|group| group.name.clone()).collect();
        let history = bar.history(groups, trained.best, trained.took);
        // The model is written: a missing report is no failure.
        match report::write(&out, &dataset.dev, history) {
            Ok(page) => errln!("wrote {}", page.display()),
            Err(error) => errln!("nunchi: the report cannot be written: {error:#}"),
        }
    }
    match trained.diverged {
        Some(diverged) => {
            errln!(
                "nunchi: {diverged}; {} holds epoch {}, the best before that",
                out.display(),
                trained.best
            );
            Ok(ExitStatus::Failed)
        }
        None => Ok(ExitStatus::Done),
    }
}

/// The names of the classes, checked: a model with wrong ones could not be saved after hours of training.
fn labels(args: &Args) -> Result<Vec<String>, UsageError> {
    let labels = args.labels.as_deref().map_or_else(two_labels, trimmed);
    let different: HashSet<&str> = labels.iter().map(String::as_str).collect();
    if labels.len() < 2 || (args.columns.stars() && labels.len() != 2) {
        return Err(UsageError::new(
            "--labels needs at least two names, and exactly two with --stars-column",
        ));
    }
    if different.len() < labels.len() || different.contains("") {
        return Err(UsageError::new("--labels needs names that are not empty and all different"));
    }
    Ok(labels)
}

/// The tokenizer of another model.
fn tokenizer_of(path: &Path) -> anyhow::Result<Tokenizer> {
    Ok(Model::load(path).with_context(|| format!("reading {}", path.display()))?.tokenizer)
}

/// Trains a tokenizer on the comments to train on, labelled or not, or on a sample where there are very many.
fn train_tokenizer(corpus: &Corpus, vocabulary: usize, seed: u64) -> anyhow::Result<Tokenizer> {
    let mut failure = None;
    let texts = corpus.sample(TOKENIZER_COMMENTS, seed);
    let texts = texts.map_while(|text| text.map_err(|error| failure = Some(error)).ok());
    let tokenizer = nunchi_text::train(texts, vocabulary);
    match failure {
        Some(error) => Err(error).context("cannot read the comments to train on again"),
        None => Ok(tokenizer?),
    }
}

/// The weights as they are stored: in 16 bits.
fn rounded(network: &Network<f32>) -> Network<f32> {
    let mut network = network.clone();
    for (_, mut tensor) in network.tensors_mut() {
        tensor.mapv_inplace(|value| WeightFormat::F16.round(value));
    }
    network
}

/// The contents of the report.
struct Made<'a> {
    sources: &'a [&'a Source],
    dataset: &'a Dataset,
    dev: &'a [EncodedSet],
    settings: &'a Settings,
    /// Versions of the teachers.
    teachers: &'a [String],
    trained: &'a Trained,
}

impl Made<'_> {
    /// The report that goes into the model; `network` holds the stored weights.
    fn report(&self, network: &Network<f32>, temperature: f32) -> serde_json::Value {
        let files = self.sources.iter().zip(&self.dataset.files);
        let data: Vec<_> = files
            .map(|(source, file)| {
                serde_json::json!({
                    "file": file.name,
                    "weight": source.weight,
                    "teacher_share": source.distillation_weight,
                    "word_dropout": source.word_dropout,
                    "vary": source.augmentation,
                    "classes": file.counts.classes,
                    "dropped": file.counts.dropped,
                    "unlabelled": file.unlabeled,
                    "held_out": file.held_out,
                    "duplicates": file.duplicates,
                })
            })
            .collect();
        let development: Vec<_> = self
            .dev
            .iter()
            .map(|group| {
                let outcomes =
                    calibration::classify(network, &group.examples, temperature, self.settings.threads);
                let metrics = Metrics::of(&outcomes);
                errln!("{}: accuracy {:.2} %", group.name, metrics.accuracy * 100.0);
                serde_json::json!({ "file": group.name, "metrics": metrics })
            })
            .collect();
        serde_json::json!({
            "made_by": concat!("nunchi ", env!("CARGO_PKG_VERSION")),
            "data": data,
            "examples": self.dataset.corpus.labeled(),
            "fingerprint": self.dataset.corpus.fingerprint(),
            "settings": self.settings,
            "teachers": self.teachers,
            "epochs": self.trained.epochs,
            "kept_epoch": self.trained.best,
            "development": development,
        })
    }
}

fn default_name(out: &Path) -> String {
    out.file_stem().map_or_else(|| "nunchi".to_owned(), |stem| stem.to_string_lossy().into_owned())
}
