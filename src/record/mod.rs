//! What comes in (a comment) and what goes out (a verdict). The exact forms are in `docs/RECORDS.md`.
//!
//! Always holds: whatever the bytes, reading yields a comment or the class and message of a dead letter, never a panic;
//! a verdict's label follows from the score as it is written.

mod dead_letter;
mod input;
mod paths;
mod verdict;

pub use dead_letter::{DeadLetter, DeadLetterClass};
pub use input::{Comment, Reader};
pub use verdict::{Verdict, write_sentences};

#[cfg(test)]
mod tests;
