//! `nunchi models export`

use crate::cli::exit::ExitStatus;
use crate::cli::model::{StoreArgs, find_model};
use crate::cli::printer::errln;
use nunchi_model::onnx;
use std::path::PathBuf;

/// Flags of `nunchi models export`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The graph takes `ids` (int64 [T, B], right padded) and `last` (int64 [B], the index of each row's last state among the T*B
states), and gives `p` (float [B, 1], the probability of positive; [B, classes] with a softmax) and, where the model has that
output, `opinion` (float [B, 1], the probability that the comment holds an opinion). The model's temperature is part of it.
Beside it two forms of the tokenizer are written: tokenizer.model (sentencepiece) and tokenizer.json (Hugging
Face); docs/REGISTRY.md lists where they differ from nunchi's own.")]
pub struct Args {
    /// A model file, or of the store a VERSION, an alias such as v7, or current
    #[arg(value_name = "MODEL")]
    model: String,
    #[command(flatten)]
    store: StoreArgs,
    /// The graph to write; the tokenizer goes into the same folder
    #[arg(long, value_name = "FILE")]
    onnx: PathBuf,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<ExitStatus> {
    let model = find_model(Some(&args.model), args.store.url()?.as_deref())?;
    for path in onnx::export(&model, &args.onnx)? {
        errln!("wrote {}", path.display());
    }
    Ok(ExitStatus::Done)
}
