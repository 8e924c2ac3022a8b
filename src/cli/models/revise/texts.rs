//! The texts of the files that an output is learned from and a table is measured on.

use crate::cli::columns::ColumnArgs;
use nunchi_data::{CommentKey, CommentKeys, DataError, read, read_comments, require_classes};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Labeled comments.
#[derive(Debug, Default)]
pub(super) struct Labeled {
    /// Names of the files.
    pub(super) names: Vec<String>,
    pub(super) texts: Vec<String>,
    /// By comment: an index into the labels.
    pub(super) classes: Vec<usize>,
}

impl Labeled {
    /// Reads `files`, whose labels are among `labels`.
    pub(super) fn read(
        files: &[PathBuf],
        columns: &ColumnArgs,
        labels: &[String],
    ) -> Result<Self, DataError> {
        let mut all = Labeled { names: names(files), ..Labeled::default() };
        for path in files {
            let columns = columns.columns(path, labels)?;
            let counts = read(path, &columns, |example| {
                all.texts.push(example.text.to_owned());
                all.classes.push(example.class);
            })?;
            require_classes(path, &columns.target, &counts)?;
        }
        Ok(all)
    }
}

/// The texts of `files`, of each at most `most`, spread evenly over it. What is in `seen`, however it is typed, is left out;
/// what is taken is added.
pub(super) fn read_texts(
    files: &[PathBuf],
    columns: &ColumnArgs,
    most: usize,
    seen: &mut HashSet<CommentKey>,
) -> Result<Vec<String>, DataError> {
    let (mut all, mut keys) = (Vec::new(), CommentKeys::default());
    for path in files {
        let mut texts = Vec::new();
        let column = columns.text(path)?;
        let how = (columns.encoding(), columns.skip_bad_rows());
        read_comments::<DataError>(path, &column.text, None, how, |comment| {
            texts.push(comment.text.to_owned());
            Ok(())
        })?;
        let step = texts.len().div_ceil(most).max(1);
        all.extend(texts.into_iter().step_by(step).filter(|text| seen.insert(keys.key(text))));
    }
    Ok(all)
}

/// Which comments `texts` are.
pub(super) fn keys(texts: &[String]) -> HashSet<CommentKey> {
    let mut keys = CommentKeys::default();
    texts.iter().map(|text| keys.key(text)).collect()
}

/// What the files are called: no folder of this machine belongs into a model.
pub(super) fn names(files: &[PathBuf]) -> Vec<String> {
    let name = |path: &PathBuf| {
        path.file_name().unwrap_or(Path::new("-").as_os_str()).to_string_lossy().into_owned()
    };
    files.iter().map(name).collect()
}
