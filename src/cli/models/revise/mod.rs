//! `nunchi models revise`: the same network, read otherwise or with more beside it.

mod learn;
mod texts;

use self::learn::Files;
use crate::cli::columns::ColumnArgs;
use crate::cli::exit::{ExitStatus, UsageError};
use crate::cli::printer::errln;
use nunchi_model::{Model, Revision};
use nunchi_text::Normalizer;
use std::path::PathBuf;

/// Flags of `nunchi models revise`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The network stays as it is, and so do its scores. The golden comments are scored anew and the file has another VERSION. With
another normalizer or longest comment the lower precisions must be measured again (`nunchi bench text --allow`), and the
coverage table (--dev): a network reads best what it was trained with.

With --no-opinion and --opinions the model gets a second output: whether a comment holds an opinion at all. With --dev it gets a
table of how often it is right at which confidence, which `decision.precision` needs, and a reference to measure drift by. A file
with any of these has format 2, which older builds refuse (docs/MODEL.md).

Examples:
  nunchi models revise model.safetensors --normaliser nunchi-3 --max-tokens 1024 --out longer.safetensors
  nunchi models revise model.safetensors --dev reviews-dev.tsv --out measured.safetensors
  nunchi models revise model.safetensors --no-opinion questions.tsv --opinions reviews.tsv --dev reviews-dev.tsv \\
      --out model.safetensors")]
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
    /// Texts without an opinion (questions, sellers' answers): the opinion output is learned from them, but for every fifth,
    /// which it is measured on; may be repeated
    #[arg(long, value_name = "FILE", requires = "opinions", help_heading = "Beside the network")]
    no_opinion: Vec<PathBuf>,
    /// Comments that hold an opinion, of which at most 5,000 a file are taken; may be repeated
    #[arg(long, value_name = "FILE", requires = "no_opinion", help_heading = "Beside the network")]
    opinions: Vec<PathBuf>,
    /// The share of the comments of --dev that may be taken for texts without an opinion
    #[arg(long, value_name = "SHARE", default_value_t = 0.04, value_parser = learn::share,
        help_heading = "Beside the network")]
    opinion_cost: f64,
    /// Labeled comments that nothing was learned from, like those to come: measures the coverage table on them; may be
    /// repeated
    #[arg(long, value_name = "FILE", help_heading = "Beside the network")]
    dev: Vec<PathBuf>,
    /// Comments as they are expected, for the reference that drift is measured by; may be repeated [default: those of --dev]
    #[arg(long, value_name = "FILE", requires = "dev", help_heading = "Beside the network")]
    reference: Vec<PathBuf>,
    #[command(flatten)]
    columns: ColumnArgs,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<ExitStatus> {
    let learns = !args.no_opinion.is_empty() || !args.dev.is_empty();
    let otherwise = args.name.is_some() || args.max_tokens.is_some() || args.normalizer.is_some();
    if !learns && !otherwise {
        return Err(UsageError::new(
            "say what to change: --normaliser, --max-tokens or --name; or what to add: --no-opinion with --opinions, --dev",
        )
        .into());
    }
    let model = Model::load(&args.model)?;
    let format = model.stored_as();
    let revision = Revision {
        name: args.name,
        max_tokens: args.max_tokens,
        normalizer: args.normalizer,
        extension: None,
    };
    let mut model = model.revised(&revision);
    if learns {
        let files = Files {
            no_opinion: &args.no_opinion,
            opinions: &args.opinions,
            opinion_cost: args.opinion_cost,
            dev: &args.dev,
            reference: &args.reference,
            columns: &args.columns,
        };
        learn::extend(&mut model, format, &files)?;
    }
    let version = model.save(&args.out, format)?;
    errln!("wrote {} (version {version})", args.out.display());
    Ok(ExitStatus::Done)
}
