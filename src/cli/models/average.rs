//! `nunchi models average`: the mean of the weights of models that were trained from the same one.

use crate::cli::exit::{ExitStatus, UsageError};
use crate::cli::printer::errln;
use anyhow::Context as _;
use nunchi_model::{Model, WeightFormat};
use std::path::PathBuf;

/// Flags of `nunchi models average`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The models must have been trained with `nunchi train --from` the same model, each with another --seed, --rate or mix of data: the
mean of networks that were trained from scratch is worth nothing. Name, labels, tokenizer and report are those of the first one.
The result costs what one of them costs. Measure it (`nunchi evaluate A B MEAN DATA`) before you use it; lower precisions must
be measured again (`nunchi bench text --allow`).")]
pub struct Args {
    /// The model files, at least two
    #[arg(value_name = "MODEL", required = true)]
    models: Vec<PathBuf>,
    /// The model file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// A name for people
    #[arg(long)]
    name: Option<String>,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<ExitStatus> {
    if args.models.len() < 2 {
        return Err(UsageError::new("an average needs at least two models").into());
    }
    let load = |path: &PathBuf| Model::load(path).with_context(|| format!("reading {}", path.display()));
    let models = args.models.iter().map(load).collect::<anyhow::Result<Vec<Model>>>()?;
    let mut mean = Model::average(&models)?;
    if let Some(name) = args.name {
        mean.name = name;
    }
    // The mean of 16-bit numbers is none: it is rounded as training rounds its result.
    let format = match models[0].stored_as() {
        WeightFormat::F32 => WeightFormat::F32,
        WeightFormat::F16 | WeightFormat::Bf16 => WeightFormat::F16,
    };
    let version = mean.save(&args.out, format)?;
    errln!("wrote {} (version {version}), the mean of {} models", args.out.display(), models.len());
    Ok(ExitStatus::Done)
}
