//! `nunchi bench text`: comments a second from text to label, of the tokenizer alone and of the engine alone, one thread.

use crate::cli::exit::ExitStatus;
use crate::cli::printer::{errln, outln};
use anyhow::{Context, ensure};
use flate2::read::MultiGzDecoder;
use nunchi_engine::{Engine, EngineError, LoadedModel, Precision, Prediction, Scratch};
use nunchi_model::Model;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// Flags of `nunchi bench text`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The model
    model: PathBuf,
    /// Comments: one a line, or the column `text` of a .tsv; gzip by name
    file: PathBuf,
    /// Kernel to use instead of the best one for this CPU
    #[arg(long)]
    kernel: Option<String>,
    /// Also compare the predictions with those of this kernel
    #[arg(long, value_name = "KERNEL")]
    compare: Option<String>,
    /// Write the model here, with the precision of the measured kernel allowed by default, if at most 0.1 % (int8: 0.5 %) of
    /// the labels differ
    #[arg(long, value_name = "MODEL", requires_all = ["kernel", "compare"])]
    allow: Option<PathBuf>,
    /// Comments of a batch
    #[arg(long, alias = "turn", value_name = "COMMENTS", default_value_t = 8_192, value_parser = clap::value_parser!(u32).range(1..))]
    batch: u32,
    /// Measured rounds over the file, after one to warm up; medians count
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<ExitStatus> {
    let comments = read(&args.file)?;
    ensure!(!comments.is_empty(), "{} holds no comments", args.file.display());
    let comments: Vec<&str> = comments.iter().map(String::as_str).collect();
    let model = Model::load(&args.model)?;
    let loaded =
        Arc::new(LoadedModel::new(model.clone(), args.kernel.as_deref().map(str::parse).transpose()?)?);
    let rates = measure(&loaded, &comments, &args)?;
    let difference = match &args.compare {
        Some(kernel) => Some(difference(
            &loaded,
            &Arc::new(LoadedModel::new(model, Some(kernel.parse()?))?),
            &comments,
            args.batch as usize,
        )?),
        None => None,
    };
    print(&args, &loaded, &comments, &rates, difference.as_ref());
    if let (Some(out), Some(difference)) = (&args.allow, &difference) {
        allow(&loaded, difference, &args, comments.len(), out)?;
    }
    Ok(ExitStatus::Done)
}

/// Comments a second.
struct Rates {
    together: f64,
    tokenizer: f64,
    engine: f64,
    tokens_per_comment: f64,
}

impl Rates {
    /// The rate of tokenizer and engine one after the other.
    fn allowed(&self) -> f64 {
        1.0 / (1.0 / self.tokenizer + 1.0 / self.engine)
    }
}

fn measure(loaded: &Arc<LoadedModel>, comments: &[&str], args: &Args) -> Result<Rates, EngineError> {
    let batches: Vec<&[&str]> = comments.chunks(args.batch as usize).collect();
    let mut engine = Engine::new(loaded.clone());
    let mut predictions = Vec::new();
    let together = rate(comments.len(), args.rounds, || {
        for batch in &batches {
            engine.classify_into(batch, &mut predictions)?;
        }
        Ok(())
    })?;
    let (model, mut scratch, mut tokens) = (loaded.model(), nunchi_text::Scratch::default(), Vec::new());
    let tokenizer = rate(comments.len(), args.rounds, || {
        for batch in &batches {
            tokens.clear();
            for comment in *batch {
                model.tokenizer.encode(comment, model.max_tokens, &mut scratch, &mut tokens);
            }
        }
        Ok(())
    })?;
    let sequences: Vec<(Vec<u32>, Vec<u32>)> = batches.iter().map(|batch| encode(model, batch)).collect();
    let total: usize = sequences.iter().map(|(tokens, _)| tokens.len()).sum();
    let (mut scratch, mut logits) = (Scratch::default(), Vec::new());
    let engine = rate(comments.len(), args.rounds, || {
        for (tokens, lengths) in &sequences {
            loaded.packed().logits(tokens, lengths, &mut scratch, &mut logits);
        }
        Ok(())
    })?;
    Ok(Rates { together, tokenizer, engine, tokens_per_comment: total as f64 / comments.len() as f64 })
}

/// All tokens of a batch, and how many each comment has.
fn encode(model: &Model, batch: &[&str]) -> (Vec<u32>, Vec<u32>) {
    let (mut scratch, mut tokens) = (nunchi_text::Scratch::default(), Vec::new());
    let lengths = batch.iter().map(|comment| {
        let encoded = model.tokenizer.encode(comment, model.max_tokens, &mut scratch, &mut tokens);
        u32::try_from(encoded.tokens).expect("a comment has at most max_tokens tokens")
    });
    let lengths = lengths.collect();
    (tokens, lengths)
}

/// Items a second: the median of some rounds, after one to warm up.
fn rate(
    items: usize,
    rounds: u32,
    mut round: impl FnMut() -> Result<(), EngineError>,
) -> Result<f64, EngineError> {
    round()?;
    let mut seconds = Vec::new();
    for _ in 0..rounds {
        let begin = Instant::now();
        round()?;
        seconds.push(begin.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    Ok(items as f64 / seconds[seconds.len() / 2])
}

/// Records that a precision was measured on the model, if it holds.
fn allow(
    loaded: &LoadedModel,
    difference: &Difference,
    args: &Args,
    comments: usize,
    out: &Path,
) -> anyhow::Result<()> {
    let precision = loaded.precision();
    let most = if precision == Precision::Int8 { 0.005 } else { 0.001 };
    let share = difference.labels as f64 / comments as f64;
    ensure!(
        share <= most,
        "{precision} is not allowed for this model: {:.2} % of the labels differ, more than {:.1} %",
        100.0 * share,
        100.0 * most
    );
    let bound = precision.bound();
    ensure!(
        difference.largest <= bound,
        "{precision} is not allowed for this model: scores differ by {:.1e}, more than {bound:.0e}",
        difference.largest
    );
    let measured = serde_json::json!({
        "kernel": loaded.kernel().name(), "compared_with": args.compare, "comments": comments,
        "file": args.file.file_name().map(|name| name.to_string_lossy()),
        "labels_differ": difference.labels, "largest_difference": difference.largest,
    });
    let mut model = loaded.model().clone();
    model.allow(precision, measured);
    // As the weights are stored already: none may change.
    let version = model.save(out, model.stored_as())?;
    errln!("wrote {} (version {version}): {precision} may be chosen by default", out.display());
    Ok(())
}

/// How two kernels' predictions differ.
struct Difference {
    labels: usize,
    largest: f64,
}

fn difference(
    one: &Arc<LoadedModel>,
    other: &Arc<LoadedModel>,
    comments: &[&str],
    batch_comments: usize,
) -> Result<Difference, EngineError> {
    let classify = |loaded: &Arc<LoadedModel>| -> Result<Vec<Prediction>, EngineError> {
        let (mut engine, mut all, mut some) =
            (Engine::new(loaded.clone()), Vec::<Prediction>::new(), Vec::new());
        for batch in comments.chunks(batch_comments) {
            engine.classify_into(batch, &mut some)?;
            all.append(&mut some);
        }
        Ok(all)
    };
    let mut difference = Difference { labels: 0, largest: 0.0 };
    for (one, other) in classify(one)?.iter().zip(classify(other)?) {
        difference.labels += usize::from(one.label != other.label);
        difference.largest = difference.largest.max(f64::from((one.score - other.score).abs()));
    }
    Ok(difference)
}

fn print(
    args: &Args,
    loaded: &LoadedModel,
    comments: &[&str],
    rates: &Rates,
    difference: Option<&Difference>,
) {
    if args.json {
        let mut line = serde_json::json!({
            "engine": "nunchi", "model": loaded.model().version, "kernel": loaded.kernel().name(), "precision": loaded.precision(),
            "comments": comments.len(), "tokens_per_comment": (rates.tokens_per_comment * 10.0).round() / 10.0,
            "comments_per_s": rates.together.round(), "tokenizer_per_s": rates.tokenizer.round(),
            "engine_per_s": rates.engine.round(), "of_allowed": (rates.together / rates.allowed() * 1e3).round() / 1e3,
        });
        if let (Some(difference), Some(compare)) = (difference, &args.compare) {
            line["compared_with"] = compare.as_str().into();
            line["labels_differ"] = difference.labels.into();
            line["largest_difference"] = difference.largest.into();
        }
        outln!("{line}");
        return;
    }
    outln!(
        "{} comments of {:.1} tokens, model {}, kernel {} ({})",
        comments.len(),
        rates.tokens_per_comment,
        loaded.model().version,
        loaded.kernel(),
        loaded.precision()
    );
    outln!("text to label  {:>9.0} comments/s", rates.together);
    outln!("tokenizer      {:>9.0}", rates.tokenizer);
    outln!("engine         {:>9.0}", rates.engine);
    outln!(
        "one after the other {:.0}: {:.0} % of it reached",
        rates.allowed(),
        100.0 * rates.together / rates.allowed()
    );
    if let (Some(difference), Some(compare)) = (difference, &args.compare) {
        outln!(
            "{} labels ({:.3} %) differ from those of {compare}, scores by at most {:.1e}",
            difference.labels,
            100.0 * difference.labels as f64 / comments.len() as f64,
            difference.largest
        );
    }
}

/// The comments of a file.
pub(super) fn read(path: &Path) -> anyhow::Result<Vec<String>> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let name = path.to_string_lossy();
    let (name, content) = match name.strip_suffix(".gz") {
        Some(name) => {
            let mut content = String::new();
            MultiGzDecoder::new(&bytes[..])
                .read_to_string(&mut content)
                .with_context(|| format!("cannot unpack {}", path.display()))?;
            (name, content)
        }
        None => {
            (&*name, String::from_utf8(bytes).with_context(|| format!("{} is not UTF-8", path.display()))?)
        }
    };
    let mut lines = content.lines();
    if !name.ends_with(".tsv") {
        return Ok(lines.map(str::to_owned).collect());
    }
    let header = lines.next().unwrap_or_default();
    let column = header.split('\t').position(|column| column == "text");
    let column = column.with_context(|| format!("{} has no column `text`", path.display()))?;
    Ok(lines.filter_map(|line| line.split('\t').nth(column)).map(str::to_owned).collect())
}
