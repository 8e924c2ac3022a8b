//! Comments from files, as people export them: CSV and its like, JSON, Excel, HTML tables, Parquet; in UTF-8, UTF-16 or CP949;
//! plain or compressed. All of it is recognized by content; a name's ending decides only what the content leaves open. Text is
//! read as a stream, workbooks as a whole up to a limit.
//!
//! - [`Source`]: a file as the command line names it, with how it is to be learned.
//! - [`Table`]: a file with its columns, and its rows as they stand; [`Recognized`]: what its content showed.
//! - [`ColumnHints`], [`Columns`]: which columns hold comments and classes; [`Target`]: from a value to a class.
//! - [`read`], [`try_read`], [`read_comments`]: the comments. Errors are a [`DataError`], which names the file and the line.
//! - [`check`]: what a file holds.
//! - [`LabeledSet`], [`EncodedSet`], [`Examples`]: comments in memory, as text and as token ids.
//! - [`CommentKey`]: which comments are the same.
//!
//! Imports run one way: file → rows → columns → read → check, independent of training and measuring.

#![cfg_attr(not(test), warn(clippy::disallowed_macros))]
#![forbid(unsafe_code)]

mod check;
mod clean;
mod columns;
mod error;
mod examples;
mod file;
mod json;
mod key;
mod mapping;
mod names;
mod read;
mod rows;
mod sets;
mod shown;
mod source;
mod tally;
mod values;

pub use check::{Report, check};
pub use clean::{CleanRow, clean};
pub use columns::{ColumnHints, Columns, TextColumn};
pub use error::DataError;
pub use examples::Examples;
pub use file::Encoding;
pub use json::{json_fault, without_lone_surrogates};
pub use key::{CommentKey, CommentKeys};
pub use mapping::{Stars, Target, two_labels};
pub use read::{Comment, Counts, Example, Texts, read, read_by, read_comments, require_classes, try_read};
pub use rows::{BadRow, Cell, Elements, Fields, Kind, Recognized, Row, Table};
pub use sets::{EncodedSet, LabeledSet};
pub use shown::{is_showable, shown_names, shown_value};
pub use source::Source;
pub use tally::{LeftOut, Reason};
pub use values::{are_negative_and_positive, are_reversed, class_of};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
