//! Flags of `nunchi train` for the network and its training. Their defaults are the recipe of the model that ships.

use clap::ValueEnum;
use nunchi_model::rnn::{Cell, HeadKind, Pooling, Shape};
use nunchi_train::schedule;
use nunchi_train::trainer::{Keep, Settings};
use std::path::PathBuf;

/// Longer comments keep their first tokens.
const DEFAULT_MAX_TOKENS: usize = 1_024;

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

/// What to train.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Network")]
pub struct NetworkArgs {
    /// Kind of recurrent cell
    #[arg(long, value_enum, default_value = "gru")]
    cell: CellName,
    /// Units of a layer
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=4096))]
    hidden: u32,
    /// Dimensions of the token embedding
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=4096))]
    embedding: u32,
    /// Stacked layers
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=16))]
    layers: u32,
    /// Read backward too
    #[arg(long)]
    bidirectional: bool,
    /// How states become the head's input; a bag's default is the mean
    #[arg(long, value_enum)]
    pooling: Option<PoolingName>,
    /// Pieces of the tokenizer that is trained
    #[arg(long, default_value_t = 16_000, value_parser = clap::value_parser!(u32).range(300..=1_000_000))]
    pub vocabulary: u32,
    /// Take the tokenizer of this model instead of training one
    #[arg(long, value_name = "MODEL", conflicts_with = "vocabulary")]
    pub tokenizer: Option<PathBuf>,
    /// Longer comments keep their first tokens (default: 1024, or with --from that model's)
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    max_tokens: Option<u32>,
}

/// How to train it.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Training")]
pub struct TrainingArgs {
    /// Passes over the data
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    epochs: u32,
    /// Passes over all comments, unlabelled ones too, in which the network is pretrained to predict the next token
    #[arg(long, value_name = "EPOCHS", default_value_t = 0)]
    pretrain: u32,
    /// Examples that are computed together
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    batch: u32,
    /// Batches whose gradients are accumulated for one step
    #[arg(long, value_name = "BATCHES", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=4096))]
    accumulate: u32,
    /// Highest learning rate
    #[arg(long, default_value_t = 2e-3, value_parser = positive)]
    rate: f64,
    /// How the learning rate changes
    #[arg(long, value_enum, default_value = "cosine")]
    schedule: schedule::Shape,
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
    #[arg(long, default_value_t = 0.2, value_parser = share)]
    dropout: f64,
    /// Share of tokens left out
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    word_dropout: f64,
    /// Distillation weight: the share of --teacher's prediction in the target, the label having the rest
    #[arg(long, value_name = "SHARE", default_value_t = 0.5, value_parser = whole_share)]
    teacher_share: f64,
    /// Label smoothing
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    smoothing: f64,
    /// Decay of the moving average of the weights that is kept (0: the last weights)
    #[arg(long, default_value_t = 0.999, value_parser = share)]
    average: f64,
    /// Which epoch's weights are kept
    #[arg(long, value_enum, default_value = "best")]
    keep: Keep,
    /// Position of the kept weights between those of --from (0) and the trained ones (1): below 1 less is forgotten
    #[arg(long, value_name = "SHARE", default_value_t = 1.0, value_parser = whole_share)]
    blend: f64,
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

fn whole_share(text: &str) -> Result<f64, String> {
    if text.trim() == "1" || text.trim() == "1.0" { Ok(1.0) } else { share(text) }
}

fn positive(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if value.is_finite() && value > 0.0 { Ok(value) } else { Err("must be above 0".to_owned()) }
}

impl NetworkArgs {
    /// After how many tokens comments are cut off; `before` is the value of the model of --from.
    pub fn max_tokens(&self, before: Option<usize>) -> usize {
        self.max_tokens.map_or(before.unwrap_or(DEFAULT_MAX_TOKENS), |tokens| tokens as usize)
    }

    /// Whether a layer has seen the token that it would have to predict: one above a bidirectional layer.
    pub fn sees_next_token(&self) -> bool {
        self.bidirectional && self.layers > 1
    }

    /// The network's shape, for a tokenizer of `vocabulary` pieces and so many classes.
    pub fn shape(&self, vocabulary: usize, classes: usize) -> Shape {
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
    /// The trainer's settings.
    pub fn settings(&self) -> Settings {
        let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Settings {
            epochs: self.epochs as usize,
            pretraining: self.pretrain as usize,
            batch: self.batch as usize,
            accumulate: self.accumulate as usize,
            schedule: self.schedule,
            distillation_weight: self.teacher_share,
            rate: self.rate,
            warm_up: self.warm_up,
            weight_decay: self.weight_decay,
            clip: self.clip,
            dropout_inputs: self.dropout,
            dropout_features: self.dropout,
            word_dropout: self.word_dropout,
            smoothing: self.smoothing,
            average: self.average,
            keep: self.keep,
            blend: self.blend,
            patience: self.patience,
            seed: self.seed,
            threads: self.threads.map_or_else(cores, |threads| threads as usize),
        }
    }
}
