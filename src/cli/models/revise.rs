//! `nunchi models revise`: the same weights, read otherwise.

use crate::cli::exit::{ExitStatus, UsageError};
use crate::cli::printer::errln;
use nunchi_model::{Model, Revision};
use nunchi_text::Normalizer;
use std::path::PathBuf;

/// Flags of `nunchi models revise`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The weights stay as they are. The golden comments are scored anew, the file has another VERSION, and lower precisions must be
measured again (`nunchi bench text --allow`). Measure the result (`nunchi evaluate OLD NEW DATA`) before you use it: a network
reads best what it was trained with.")]
pub struct Args {
    /// The model file
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// The model file to write; may be the same
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// How texts are normalized: nunchi-3, nunchi-2, nunchi-1, nfkc or none
    #[arg(long = "normaliser", value_parser = |name: &str| Normalizer::from_name(name), value_name = "NAME")]
    normalizer: Option<Normalizer>,
    /// Longer comments keep their first N tokens
    #[arg(long, value_name = "N")]
    max_tokens: Option<usize>,
    /// A name for people
    #[arg(long)]
    name: Option<String>,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<ExitStatus> {
    let Args { model, out, normalizer, max_tokens, name } = args;
    let revision = Revision { name, max_tokens, normalizer, extension: None };
    if revision.name.is_none() && revision.max_tokens.is_none() && revision.normalizer.is_none() {
        return Err(UsageError::new("say what to change: --normaliser, --max-tokens or --name").into());
    }
    let model = Model::load(&model)?;
    let version = model.revised(&revision).save(&out, model.stored_as())?;
    errln!("wrote {} (version {version})", out.display());
    Ok(ExitStatus::Done)
}
