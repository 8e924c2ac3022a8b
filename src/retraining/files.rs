//! Labelled comments in files: new ones, old ones to mix in, and the golden set.

use super::RetrainError;
use super::comment::Comment;
use crate::registry::{DataFile, hash_file};
use nunchi_data::{Columns, LeftOut, Source};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The content of a file.
#[derive(Clone, Debug)]
pub struct Read {
    /// How much each of its comments counts.
    pub weight: f64,
    /// The comments, in the file's order.
    pub comments: Vec<Comment>,
    /// Rows that were left out.
    pub left_out: LeftOut,
    /// For the manifest.
    pub file: DataFile,
}

/// Reads a file; of more than `max_comments` a random part, the same for the same seed.
///
/// # Errors
/// A file that cannot be read or parsed.
pub fn read(
    source: &Source,
    columns: &Columns,
    max_comments: usize,
    seed: u64,
) -> Result<Read, RetrainError> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let (mut comments, mut seen) = (Vec::<Comment>::new(), 0_usize);
    let counts = nunchi_data::read(&source.path, columns, |example| {
        seen += 1;
        // Reservoir sampling (Vitter 1985): each row stays with the same probability, in one pass.
        let place = if comments.len() < max_comments { comments.len() } else { random.random_range(0..seen) };
        if place >= max_comments {
            return;
        }
        let comment = Comment {
            text: example.text.to_owned(),
            class: example.class,
            id: None,
            time_ms: 0,
            stars: None,
        };
        if place < comments.len() { comments[place] = comment } else { comments.push(comment) }
    })?;
    let (bytes, sha256) = hash_file(&source.path).map_err(|error| RetrainError::file(&source.path, error))?;
    let file = DataFile { path: source.path.display().to_string(), bytes, sha256 };
    Ok(Read { weight: source.weight, comments, left_out: counts.left_out, file })
}
