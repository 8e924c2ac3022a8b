//! Comments from files: TSV, CSV or JSONL, and gzip of them, by the file's name. Read as a stream.
//!
//! A TSV is read as it stands, without quoting (a quotation mark is a character like any other); a CSV by RFC 4180. The
//! first line of both names the columns; in JSONL the fields of each object are the columns.
//!
//! - [`Source`]: a file as the command line names it, with how it is to be learned.
//! - [`ColumnHints`], [`Columns`]: which columns hold comments and classes; [`Target`]: from a value to a class.
//! - [`read`], [`try_read`], [`read_comments`]: the rows. Errors are a [`DataError`], which names the file and the line.
//! - [`LabeledSet`], [`EncodedSet`], [`Examples`]: comments in memory, as text and as token ids.
//! - [`CommentKey`]: which comments are the same.
//!
//! Imports run one way: rows → columns → read, independent of training and measuring.

#![cfg_attr(not(test), warn(clippy::disallowed_macros))]
#![forbid(unsafe_code)]

mod columns;
mod error;
mod examples;
mod json;
mod key;
mod mapping;
mod read;
mod rows;
mod sets;
mod shown;
mod source;

pub use columns::{ColumnHints, Columns};
pub use error::DataError;
pub use examples::Examples;
pub use json::{json_fault, without_lone_surrogates};
pub use key::{CommentKey, CommentKeys};
pub use mapping::{Stars, Target, two_labels};
pub use read::{Comment, Counts, Example, read, read_by, read_comments, require_classes, try_read};
pub use sets::{EncodedSet, LabeledSet};
pub use shown::{is_showable, shown_names, shown_value};
pub use source::Source;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
