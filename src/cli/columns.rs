//! Flags for the columns of labelled data files, shared by `train` and `evaluate`.

use nunchi_data::Stars;
use nunchi_data::{ColumnHints, Columns, DataError};
use std::path::Path;

/// The columns of comments and of their labels.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Data")]
pub struct ColumnArgs {
    /// Column with the comment (default: text, comment, review, document, content or sentence, the first that there is)
    #[arg(long, value_name = "NAME")]
    text_column: Option<String>,
    /// Column with the label: a label's name, or its number counted from 0 (default: label, if there is one)
    #[arg(long, value_name = "NAME", conflicts_with_all = ["stars_column", "negative", "positive"])]
    label_column: Option<String>,
    /// Column with stars, instead of a label (default: stars or rating, if there is no label)
    #[arg(long, value_name = "NAME")]
    stars_column: Option<String>,
    /// Stars that are negative [default: 1-2]
    #[arg(long, value_name = "RANGE")]
    negative: Option<Stars>,
    /// Stars that are positive; all others are left out [default: 4-5]
    #[arg(long, value_name = "RANGE")]
    positive: Option<Stars>,
    /// Leave out rows that cannot be read instead of failing (unless they are most)
    #[arg(long)]
    skip_bad_rows: bool,
}

impl ColumnArgs {
    /// The columns of `path`, for a network with these labels.
    ///
    /// # Errors
    /// A file that cannot be read, or lacks the columns.
    pub fn columns(&self, path: &Path, labels: &[String]) -> Result<Columns, DataError> {
        self.hints().columns(path, labels)
    }

    /// The column of `path` with the comment, where labels do not matter.
    ///
    /// # Errors
    /// As [`ColumnArgs::columns`].
    pub fn text(&self, path: &Path) -> Result<String, DataError> {
        self.hints().text(path)
    }

    /// Whether classes certainly come from stars, which give two classes.
    pub fn stars(&self) -> bool {
        self.stars_column.is_some() || self.negative.is_some() || self.positive.is_some()
    }

    /// Whether rows that cannot be read are left out.
    pub fn skip_bad_rows(&self) -> bool {
        self.skip_bad_rows
    }

    /// The flags as hints for the reader.
    pub fn hints(&self) -> ColumnHints {
        ColumnHints {
            text: self.text_column.clone(),
            label: self.label_column.clone(),
            stars: self.stars_column.clone(),
            negative: self.negative.clone(),
            positive: self.positive.clone(),
            skip_bad_rows: self.skip_bad_rows,
        }
    }
}
