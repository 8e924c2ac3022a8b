//! What is fuzzed: each module has one function `run`, which takes any bytes and panics if a property does not hold.
//!
//! `fuzz_targets/` hands these functions to libFuzzer; `tests/fuzz_corpus.rs` of the product compiles the same files and
//! runs them on the corpora and on mutations of these, with the stable compiler.

pub mod dead_letter_headers;
pub mod message;
pub mod model_file;
pub mod record_reader;
pub mod settings;
pub mod tokenizer;
