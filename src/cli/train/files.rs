//! The files that are read and written, and the messages about them.

use super::Args;
use crate::cli::columns::tell_left_out;
use crate::cli::exit::UsageError;
use crate::cli::printer::errln;
use anyhow::{Context, bail};
use nunchi_data::{Target, are_reversed};
use nunchi_train::dataset::{Dataset, HoldOut, LabeledFile, Plan, UnlabeledFile};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Without development data: one row in so many is held out …
const HOLD_OUT: u64 = 20;
/// … but no more of a file than resolve a difference of half a per cent with certainty.
const MAX_HELD_OUT: usize = 20_000;

/// The path of the model; checked before an hour of training, not after it.
pub fn out(args: &Args) -> anyhow::Result<PathBuf> {
    let out = match &args.out {
        Some(out) => out.clone(),
        None => {
            let first = args.files.iter().chain(&args.data).next();
            let out = default_out(&first.expect("the command line requires a file").path);
            errln!("the model will be written to {} (change it with --out)", out.display());
            out
        }
    };
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        bail!("cannot write {}: there is no folder {}", out.display(), folder.display());
    }
    if out.is_dir() {
        bail!("cannot write {}: it is a folder", out.display());
    }
    if out.exists() && !may_be_replaced(&out) {
        bail!("{} is no model and is not overwritten: name another file with --out", out.display());
    }
    Ok(out)
}

/// The path of the checkpoint of the training of `out`; with `restart` it is removed.
pub fn checkpoint(out: &Path, restart: bool) -> anyhow::Result<PathBuf> {
    let mut path = out.as_os_str().to_owned();
    path.push(".checkpoint");
    let path = PathBuf::from(path);
    if restart {
        remove(&path)?;
    } else if path.exists() {
        errln!("continuing from {} (--restart starts anew)", path.display());
    }
    Ok(path)
}

/// Removes a file that may not be there.
pub fn remove(path: &Path) -> anyhow::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// The data file's name, in the current folder, as a model's.
fn default_out(data: &Path) -> PathBuf {
    let name = data.file_name().map_or_else(|| "nunchi".into(), |name| name.to_string_lossy());
    let bare = [".gz", ".zst", ".zip"].iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(&name);
    let stem = bare.rsplit_once('.').map_or(bare, |(stem, _)| stem);
    PathBuf::from(format!("{}.safetensors", if stem.is_empty() { "nunchi" } else { stem }))
}

/// Whether a file is empty or looks like safetensors: the length of a JSON object, and the object.
fn may_be_replaced(path: &Path) -> bool {
    let mut start = [0; 9];
    let (Ok(length), Ok(mut file)) = (path.metadata().map(|metadata| metadata.len()), File::open(path))
    else {
        return false;
    };
    length == 0 || (file.read_exact(&mut start).is_ok() && start[8] == b'{' && start[7] == 0)
}

/// The files to read, with their columns.
pub fn plan(args: &Args, labels: &[String]) -> anyhow::Result<Plan> {
    let mut plan = Plan { folder: args.temp_dir.clone(), classes: labels.len(), ..Plan::default() };
    for source in args.files.iter().chain(&args.data) {
        let columns = args.columns.columns(&source.path, labels)?;
        plan.labeled.push(LabeledFile { source: source.clone(), columns });
    }
    for source in &args.unlabelled {
        let text = args.columns.text(&source.path)?.text;
        let (encoding, skip_bad_rows) = (args.columns.encoding(), args.columns.skip_bad_rows());
        plan.unlabeled.push(UnlabeledFile { source: source.clone(), text, encoding, skip_bad_rows });
    }
    for source in &args.dev {
        let columns = args.columns.columns(&source.path, labels)?;
        plan.dev.push(LabeledFile { source: source.clone(), columns });
    }
    plan.hold_out = match args.hold_out {
        Some(every) => HoldOut { every, at_most: 0 },
        None if plan.dev.is_empty() => HoldOut { every: HOLD_OUT, at_most: MAX_HELD_OUT },
        None => HoldOut::default(),
    };
    Ok(plan)
}

/// Refuses labels in the other order than stars: few stars are of the first one.
pub fn check_stars(plan: &Plan, labels: &[String]) -> Result<(), UsageError> {
    let by_stars = |file: &LabeledFile| matches!(file.columns.target, Target::Stars { .. });
    let files = plan.labeled.iter().chain(&plan.dev);
    match files.into_iter().find(|file| by_stars(file)) {
        Some(file) if are_reversed(labels) => Err(UsageError::new(format!(
            "{} has stars, and few stars are of the first label, which is the positive one: name the labels with --labels \
             {},{}",
            file.source.path.display(),
            labels[1],
            labels[0]
        ))),
        _ => Ok(()),
    }
}

/// A line a file, and one about duplicates.
pub fn print_counts(plan: &Plan, dataset: &Dataset) {
    for (file, report) in plan.labeled.iter().zip(&dataset.files) {
        let (counts, columns) = (&report.counts, &file.columns);
        errln!(
            "{}: {} comments in `{}`, by class in `{}` {:?}, weight {}; {} dropped, {} unreadable, {} held out",
            file.source.path.display(),
            counts.labeled(),
            columns.text,
            columns.target.column(),
            counts.classes,
            file.source.weight,
            counts.dropped,
            counts.bad,
            report.held_out
        );
        tell_left_out(&file.source.path, &counts.left_out);
    }
    for (file, report) in plan.unlabeled.iter().zip(&dataset.files[plan.labeled.len()..]) {
        errln!(
            "{}: {} comments in `{}` without labels, weight {}; {} unreadable",
            file.source.path.display(),
            report.unlabeled,
            file.text,
            file.source.weight,
            report.counts.bad
        );
        tell_left_out(&file.source.path, &report.counts.left_out);
    }
    for set in &dataset.dev {
        errln!("development: {}: {} comments", set.name, set.texts.len());
    }
    let duplicates: u64 = dataset.files.iter().map(|file| file.duplicates).sum();
    if duplicates > 0 {
        errln!("left out of training: {duplicates} rows whose comment is in the development data too");
    }
    let corpus = &dataset.corpus;
    let unlabelled = corpus.len() - corpus.labeled();
    let unlabelled = if unlabelled > 0 { format!(", {unlabelled} without labels") } else { String::new() };
    errln!("training on {} labelled comments{unlabelled}", corpus.labeled());
}
