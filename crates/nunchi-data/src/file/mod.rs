//! From a file's bytes to its content: what it is compressed with, and what it holds, decided by the bytes and not by the name.

mod archive;
mod encoding;
mod lines;
mod open;

pub(crate) use archive::{Member, directory};
pub use encoding::Encoding;
pub(crate) use lines::{Lines, MAX_ROW};
pub(crate) use open::{Content, Opened, Progress, TextInput, read_error};
