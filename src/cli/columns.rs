//! Flags that say how labelled data files are read, shared by `train` and `evaluate`.

use crate::training::data::Columns;
use crate::training::mapping::{Stars, Target};

/// Which columns hold the comments and what is known about them.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Data")]
pub struct ColumnArgs {
    /// Column with the comment
    #[arg(long, value_name = "NAME", default_value = "text")]
    text_column: String,
    /// Column with the label: a label's name, or its number counted from 0
    #[arg(long, value_name = "NAME", default_value = "label", conflicts_with = "stars_column")]
    label_column: String,
    /// Column with stars, instead of a label
    #[arg(long, value_name = "NAME")]
    stars_column: Option<String>,
    /// Stars that are negative
    #[arg(long, value_name = "RANGE", default_value = "1-2", requires = "stars_column")]
    negative: Stars,
    /// Stars that are positive; all others are left out
    #[arg(long, value_name = "RANGE", default_value = "4-5", requires = "stars_column")]
    positive: Stars,
    /// Leave out rows that cannot be read instead of failing
    #[arg(long)]
    skip_bad_rows: bool,
}

impl ColumnArgs {
    /// What to read, for a network with these labels.
    pub fn columns(&self, labels: &[String]) -> Columns {
        let target = match &self.stars_column {
            Some(column) => Target::Stars {
                column: column.clone(),
                negative: self.negative.clone(),
                positive: self.positive.clone(),
            },
            None => Target::Label { column: self.label_column.clone(), labels: labels.to_vec() },
        };
        Columns { text: self.text_column.clone(), target, skip_bad_rows: self.skip_bad_rows }
    }

    /// Whether classes come from stars, of which there are two kinds.
    pub fn stars(&self) -> bool {
        self.stars_column.is_some()
    }
}
