//! One row, or why it cannot be used.

/// Most columns that are read: a text, its class, its soft label.
pub(super) const MAX_COLUMNS: usize = 3;

/// Why a row cannot be used.
#[derive(Clone, Debug)]
pub(crate) struct BadRow {
    /// In words.
    pub(crate) reason: String,
    /// Whether its bytes are not UTF-8.
    pub(crate) encoding: bool,
}

impl From<String> for BadRow {
    fn from(reason: String) -> Self {
        BadRow { reason, encoding: false }
    }
}

/// A row's values in the order of the requested names, or why there are none.
pub(crate) type Row<'a> = Result<&'a [&'a str], BadRow>;
