//! Flags for data files and their columns, shared by `train`, `evaluate`, `retrain`, `classify` and `data`.

use crate::cli::printer::errln;
use nunchi_data::{ColumnHints, Columns, DataError, Encoding, LeftOut, Stars, TextColumn};
use std::path::Path;

/// The columns of comments and of their labels.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Data")]
pub struct ColumnArgs {
    /// Column with the comment (default: text, comment, review, document, content, sentence, 리뷰상세내용, 상품평, 후기, 내용 or
    /// another known name, the first that there is)
    #[arg(long, value_name = "NAME")]
    text_column: Option<String>,
    /// Column with the label: a label's name, its number counted from 0, or a word of the same meaning (default: label, if
    /// there is one)
    #[arg(long, value_name = "NAME", conflicts_with_all = ["stars_column", "negative", "positive", "stars_scale"])]
    label_column: Option<String>,
    /// Column with stars, instead of a label (default: stars, rating, 구매자평점, 평점, 별점 or another known name, if there is
    /// no label)
    #[arg(long, value_name = "NAME")]
    stars_column: Option<String>,
    /// Stars that are negative [default: 1-2; with --stars-scale up to two fifths of it]
    #[arg(long, value_name = "RANGE")]
    negative: Option<Stars>,
    /// Stars that are positive; all others are left out [default: 4-5; with --stars-scale from four fifths of it]
    #[arg(long, value_name = "RANGE")]
    positive: Option<Stars>,
    /// The most stars that there are: 10 or 100, for instance. Stars beyond five are refused without it
    #[arg(long, value_name = "N", value_parser = scale)]
    stars_scale: Option<f64>,
    /// Encoding of text files, such as CP949 or UTF-16 (default: recognized by their content)
    #[arg(long, value_name = "NAME")]
    encoding: Option<Encoding>,
    /// Leave out rows that cannot be read instead of failing (unless they are most)
    #[arg(long)]
    skip_bad_rows: bool,
}

fn scale(text: &str) -> Result<f64, String> {
    let scale = text.trim().parse().map_err(|_| "not a number".to_owned())?;
    if (2.0..=1_000.0).contains(&scale) { Ok(scale) } else { Err("must be from 2 to 1000".to_owned()) }
}

impl ColumnArgs {
    /// The columns of `path`, for a network with these labels; says what was recognized.
    ///
    /// # Errors
    /// A file that cannot be read, or lacks the columns.
    pub fn columns(&self, path: &Path, labels: &[String]) -> Result<Columns, DataError> {
        let columns = self.hints().columns(path, labels)?;
        tell(path, columns.remarks.as_deref());
        Ok(columns)
    }

    /// The column of `path` with the comment, where labels do not matter; says what was recognized.
    ///
    /// # Errors
    /// As [`ColumnArgs::columns`].
    pub fn text(&self, path: &Path) -> Result<TextColumn, DataError> {
        let column = self.hints().text(path)?;
        tell(path, column.remarks.as_deref());
        Ok(column)
    }

    /// Whether classes certainly come from stars, which give two classes.
    pub fn stars(&self) -> bool {
        self.stars_column.is_some()
            || self.negative.is_some()
            || self.positive.is_some()
            || self.stars_scale.is_some()
    }

    /// Whether rows that cannot be read are left out.
    pub fn skip_bad_rows(&self) -> bool {
        self.skip_bad_rows
    }

    /// The encoding that was told.
    pub fn encoding(&self) -> Option<Encoding> {
        self.encoding
    }

    /// The flags as hints for the reader.
    pub fn hints(&self) -> ColumnHints {
        ColumnHints {
            text: self.text_column.clone(),
            label: self.label_column.clone(),
            stars: self.stars_column.clone(),
            negative: self.negative.clone(),
            positive: self.positive.clone(),
            scale: self.stars_scale,
            encoding: self.encoding,
            skip_bad_rows: self.skip_bad_rows,
        }
    }
}

/// Says what was recognized in a file, if its name does not tell it.
pub(super) fn tell(path: &Path, remarks: Option<&str>) {
    if let Some(remarks) = remarks {
        errln!("{}: {remarks}", path.display());
    }
}

/// Says what was left out of a file, if anything was.
pub(super) fn tell_left_out(path: &Path, left_out: &LeftOut) {
    if left_out.total() > 0 {
        errln!("{}: left out: {left_out}", path.display());
    }
}

/// Labels that were named on the command line, without outer white space.
pub(super) fn trimmed(labels: &[String]) -> Vec<String> {
    labels.iter().map(|label| label.trim().to_owned()).collect()
}
