//! The sample comments that `nunchi demo` and `nunchi generate` publish: Korean product comments of an imaginary shop,
//! written by hand for this project, and a few records that cannot be classified.
//!
//! For demonstrations and tests; a model is never trained or evaluated on them.

use jiff::Timestamp;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// `samples/comments.jsonl`: one [`Comment`] a line.
const COMMENTS: &str = include_str!("../samples/comments.jsonl");
/// `samples/broken.jsonl`: one broken record a line, some of them not UTF-8.
const BROKEN: &[u8] = include_bytes!("../samples/broken.jsonl");

/// A comment as a shop would publish it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comment {
    /// Unique among the samples.
    pub id: String,
    /// What the customer wrote.
    pub text: String,
    /// Stars, 1 to 5.
    pub rating: u8,
    /// When it was written.
    pub created_at: Timestamp,
    /// The product, and the record's key: a product's comments keep their order.
    pub product_id: String,
}

/// All sample comments, in the order of their time.
pub fn comments() -> Vec<Comment> {
    COMMENTS
        .lines()
        .map(|line| {
            serde_json::from_str(line).expect("every embedded sample is valid (a test reads them all)")
        })
        .collect()
}

/// All broken records: three of each class `invalid_utf8`, `invalid_json`, `missing_text` and `text_not_string`.
pub fn broken() -> Vec<&'static [u8]> {
    BROKEN.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect()
}

/// A record to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The product's id; a broken record has none.
    pub key: Option<String>,
    /// A JSON object, or something broken.
    pub value: Vec<u8>,
}

/// An endless stream of records: the samples again and again, each round in another order, under new ids and with
/// the current time.
#[derive(Debug)]
pub struct Stream {
    comments: Vec<Comment>,
    broken: Vec<&'static [u8]>,
    broken_share: f64,
    rng: ChaCha8Rng,
    prefix: String,
    /// Comments published so far.
    published: u64,
}

impl Stream {
    /// A stream whose order depends on `seed` alone. `broken_share` of the records (0 to 1) are broken ones. Ids are
    /// `PREFIX-1`, `PREFIX-2`, …
    pub fn new(seed: u64, prefix: &str, broken_share: f64) -> Self {
        Stream {
            comments: comments(),
            broken: broken(),
            broken_share: broken_share.clamp(0.0, 1.0),
            rng: ChaCha8Rng::seed_from_u64(seed),
            prefix: prefix.to_owned(),
            published: 0,
        }
    }

    /// The next record, with the time `now`.
    pub fn next(&mut self, now: Timestamp) -> Record {
        if self.rng.random_bool(self.broken_share) {
            let value = self.broken[self.rng.random_range(0..self.broken.len())];
            return Record { key: None, value: value.to_vec() };
        }
        let index = (self.published % self.comments.len() as u64) as usize;
        if index == 0 {
            self.comments.shuffle(&mut self.rng);
        }
        self.published += 1;
        let comment = Comment {
            id: format!("{}-{}", self.prefix, self.published),
            created_at: now,
            ..self.comments[index].clone()
        };
        let value = serde_json::to_vec(&comment).expect("a comment of strings and numbers is valid JSON");
        Record { key: Some(comment.product_id), value }
    }
}
