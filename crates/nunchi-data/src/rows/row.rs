//! One row, or why it cannot be used.

use std::borrow::Cow;

/// What stands in one column of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell<'a> {
    /// Nothing, or null.
    Missing,
    /// A text; all that CSV and TSV have.
    Text(Cow<'a, str>),
    /// A number, in the digits of the file.
    Number(Cow<'a, str>),
    /// A truth value.
    Bool(bool),
    /// A list or an object, as JSON.
    Json(Cow<'a, str>),
}

impl Cell<'_> {
    /// Its characters, for what reads values by their spelling; nothing if there is nothing.
    pub fn as_str(&self) -> &str {
        match self {
            Cell::Missing => "",
            Cell::Text(text) | Cell::Number(text) | Cell::Json(text) => text,
            Cell::Bool(true) => "true",
            Cell::Bool(false) => "false",
        }
    }

    /// Whether nothing but white space stands here.
    pub fn is_blank(&self) -> bool {
        self.as_str().trim().is_empty()
    }

    /// The same with its own memory.
    pub fn into_owned(self) -> Cell<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        match self {
            Cell::Missing => Cell::Missing,
            Cell::Text(text) => Cell::Text(owned(text)),
            Cell::Number(number) => Cell::Number(owned(number)),
            Cell::Bool(value) => Cell::Bool(value),
            Cell::Json(json) => Cell::Json(owned(json)),
        }
    }
}

/// Why a row cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRow {
    /// In words, without a part of a comment.
    pub reason: String,
    /// Whether its bytes are not of the file's encoding.
    pub encoding: bool,
}

impl From<String> for BadRow {
    fn from(reason: String) -> Self {
        BadRow { reason, encoding: false }
    }
}

/// A row of a file.
#[derive(Clone, Debug)]
pub enum Row<'a> {
    /// The cells of the columns that were asked for, in their order.
    Cells(&'a [Cell<'a>]),
    /// Nothing in any column.
    Blank,
    /// It cannot be used.
    Bad(BadRow),
}
