//! `nunchi models import`: converts a network that PyTorch trained to a model file.

use crate::cli::exit::ExitStatus;
use crate::cli::printer::{errln, out};
use anyhow::Context as _;
use nunchi_model::import::{Options, import};
use nunchi_model::rnn::Pooling;
use nunchi_model::{Model, WeightFormat};
use nunchi_text::{Normalizer, Tokenizer};
use std::path::{Path, PathBuf};

/// Flags of `nunchi models import`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The state dict: `safetensors.torch.save_file(model.state_dict(), …)`
    #[arg(value_name = "STATE_DICT")]
    state_dict: PathBuf,
    /// Its tokenizer: a sentencepiece unigram .model, a tokenizer.json (Unigram), or a nunchi model
    #[arg(long, value_name = "FILE")]
    tokenizer: PathBuf,
    /// The model file to write
    #[arg(long, value_name = "MODEL")]
    out: PathBuf,
    /// The model's name [default: the state dict's file name]
    #[arg(long)]
    name: Option<String>,
    /// Class names in the order of the outputs
    #[arg(long, value_delimiter = ',', value_name = "A,B,…")]
    labels: Option<Vec<String>>,
    /// Longer comments keep their first tokens
    #[arg(long, default_value_t = 128, value_name = "N")]
    max_tokens: usize,
    /// How texts are normalized: nunchi-3, nunchi-2, nunchi-1, nfkc or none; without it as the tokenizer file specifies
    #[arg(long = "normaliser", value_parser = |name: &str| Normalizer::from_name(name), value_name = "NAME")]
    normalizer: Option<Normalizer>,
    /// How states become the head's input: last, mean or max; without it last, and mean for a bag of words
    #[arg(long, value_parser = pooling, value_name = "HOW")]
    pooling: Option<Pooling>,
    /// Logits are divided by this
    #[arg(long, default_value_t = 1.0, value_name = "T")]
    temperature: f32,
    /// How weights are stored
    #[arg(long, value_enum, default_value_t = WeightFormat::F32)]
    precision: WeightFormat,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<ExitStatus> {
    let state_dict = std::fs::read(&args.state_dict)
        .with_context(|| format!("cannot read the state dict {}", args.state_dict.display()))?;
    let tokenizer = tokenizer(&args.tokenizer, args.normalizer)?;
    let stem = args.state_dict.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let has_layers = memchr::memmem::find(&state_dict, b"weight_ih_l0").is_some();
    let options = Options {
        name: args.name.unwrap_or(stem),
        labels: args.labels,
        max_tokens: args.max_tokens,
        pooling: args.pooling.unwrap_or(if has_layers { Pooling::Last } else { Pooling::Mean }),
        temperature: args.temperature,
    };
    let model = import(&state_dict, tokenizer, options)?;
    let version = model.save(&args.out, args.precision)?;
    errln!("wrote {} (version {version})", args.out.display());
    out!("{}", nunchi_model::summary::summary(&Model { version, ..model }));
    Ok(ExitStatus::Done)
}

/// The tokenizer in `path`, whatever kind of file that is.
fn tokenizer(path: &Path, normalizer: Option<Normalizer>) -> anyhow::Result<Tokenizer> {
    let refused = || format!("the tokenizer {} is refused", path.display());
    if path.extension().is_some_and(|extension| extension == "safetensors") {
        let tokenizer = Model::load(path).with_context(refused)?.tokenizer;
        return Ok(match normalizer {
            Some(normalizer) => tokenizer.with_normalizer(normalizer),
            None => tokenizer,
        });
    }
    let content = std::fs::read(path).with_context(refused)?;
    nunchi_text::import::import(&content, normalizer).with_context(refused)
}

fn pooling(name: &str) -> Result<Pooling, String> {
    Pooling::from_name(name).ok_or_else(|| "it must be last, mean or max".to_owned())
}
