//! The comments to train on, on disk: however many there are, memory holds some bytes for every 256 of them.
//!
//! A corpus is written once, while the data files are streamed, into a temporary file that is gone when the process is,
//! however it ends. After that it is read in windows: random blocks of neighboring rows together, shuffled. A window is
//! to a large data set what a shuffle of everything is to a small one.
//!
//! `blocks` is the file, [`Writer`] fills it, [`Windows`] reads it.

mod blocks;
mod windows;
mod writer;

pub use windows::Windows;
pub use writer::{NewRow, Writer};

use blocks::{BLOCK, Store};
use nunchi_data::DataError;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// Blocks whose comments are scored together.
const SCORED_TOGETHER: usize = 16;

/// Why comments cannot be kept for training.
#[derive(Debug, Error)]
pub enum CorpusError {
    /// A data file cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// No room for the temporary file.
    #[error(
        "the disk of {folder} is full: the comments to train on are kept there until the end, {megabytes} MB so far; \
         make room, or name another folder with TMPDIR (of `nunchi train` also with --temp-dir)"
    )]
    Full {
        /// Where the temporary file is.
        folder: PathBuf,
        /// What it held so far.
        megabytes: u64,
    },
    /// The temporary file cannot be made, written or read.
    #[error(
        "cannot keep the comments to train on in {folder} (TMPDIR names another folder, of `nunchi train` also --temp-dir): {reason}"
    )]
    Folder {
        /// Where the temporary file is.
        folder: PathBuf,
        /// What the system says.
        reason: io::Error,
    },
    /// Too little is left for training once the development data's comments are left out.
    #[error(
        "of {rows} labelled comments {held_out} are held out to develop on, and {duplicates} rows are left out because \
         the development data has the same comments: what is left holds {left}; choose other development data"
    )]
    TooLittle {
        /// Labeled comments in the files to train on.
        rows: u64,
        /// Held out of them.
        held_out: u64,
        /// Left out as duplicates, of unlabeled files too.
        duplicates: u64,
        /// What that leaves.
        left: &'static str,
    },
}

/// How the comments of a source are learned, where not as all others.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RowOptions {
    /// The share of the soft label in the target, the label having the rest, in `0..=1`.
    pub distillation_weight: Option<f32>,
    /// The share of tokens that is left out of a comment, in `0..=1`.
    pub word_dropout: Option<f64>,
    /// The share of the comments that is augmented, anew each time that they are read, in `0..=1`.
    pub augmentation: f64,
}

impl RowOptions {
    /// Whether the soft label of a labeled comment counts nothing.
    fn ignores_soft_labels(&self) -> bool {
        self.distillation_weight == Some(0.0)
    }
}

/// One comment to train on.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The comment.
    pub text: String,
    /// Its class, an index into the labels; `None` for a comment without a label.
    pub class: Option<u32>,
    /// How much it counts; the mean over the labeled comments is 1.
    pub weight: f32,
    /// The soft label: a teacher's probability of positive.
    pub soft: Option<f32>,
    /// How it is to be learned.
    pub options: RowOptions,
    /// The file it comes from, in the order in which they were read.
    pub source: u16,
    /// Its number among all rows, counted from 0 without gaps.
    pub index: u64,
}

/// Comments on disk, labeled or not.
#[derive(Debug)]
pub struct Corpus {
    store: Store,
    /// By source, then by class; the last entry is for comments without a label.
    weights: Vec<Vec<f32>>,
    /// By source.
    options: Vec<RowOptions>,
    /// Rows by source, then by class; the last entry counts comments without a label.
    counts: Vec<Vec<u64>>,
    fingerprint: String,
}

impl Corpus {
    /// How many comments.
    pub fn len(&self) -> u64 {
        self.store.rows()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many of them have a label.
    pub fn labeled(&self) -> u64 {
        self.counts.iter().map(|of| of[..of.len() - 1].iter().sum::<u64>()).sum()
    }

    /// Labeled comments by class, over all sources.
    pub fn classes(&self) -> Vec<u64> {
        let classes = self.counts.first().map_or(0, |of| of.len() - 1);
        (0..classes).map(|class| self.counts.iter().map(|of| of[class]).sum()).collect()
    }

    /// Says which data this is (sources' weights included): a run that goes on later must find the same. Soft labels of
    /// [`Corpus::rescore`] are not part of it.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// All rows, in windows of about `rows` rows (at least a block of 256). The order depends on `seed` and `epoch`
    /// alone; every row comes exactly once. Memory while reading is one window's.
    ///
    /// Rows of a block are neighbors in a data file, which may be sorted: windows of some ten thousand rows mix well.
    pub fn windows(&self, seed: u64, epoch: u64, rows: usize) -> Windows<'_> {
        Windows::new(self, seed, epoch, rows)
    }

    /// All rows in the order in which they were read.
    pub fn rows(&self) -> impl Iterator<Item = io::Result<Row>> + '_ {
        (0..self.store.blocks()).flat_map(|block| {
            let mut rows = Vec::with_capacity(BLOCK);
            match self.read(block, &mut rows) {
                Ok(()) => rows.into_iter().map(Ok).collect::<Vec<_>>(),
                Err(error) => vec![Err(error)],
            }
        })
    }

    /// `count` of the comments, or all if there are fewer, chosen by `seed`, each equally likely, in the order in which
    /// they were read (Knuth, "The Art of Computer Programming" 3.4.2, algorithm S).
    pub fn sample(&self, count: u64, seed: u64) -> impl Iterator<Item = io::Result<String>> + '_ {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let (mut left, mut wanted) = (self.len(), count);
        self.rows().filter_map(move |row| {
            let take = row.is_err() || random.random_range(0..left.max(1)) < wanted;
            left = left.saturating_sub(1);
            wanted -= u64::from(take && row.is_ok());
            take.then(|| row.map(|row| row.text))
        })
    }

    /// How many comments [`Corpus::rescore`] gives soft labels.
    pub fn to_rescore(&self) -> u64 {
        let rows = self.counts.iter().zip(&self.options);
        rows.map(|(of, options)| {
            let unlabeled = of[of.len() - 1];
            if options.ignores_soft_labels() { unlabeled } else { of.iter().sum() }
        })
        .sum()
    }

    /// Gives every comment a soft label, but labeled ones of sources that ignore them: `f` gets some thousand comments at a time
    /// and answers the probabilities of positive in the same order.
    ///
    /// # Errors
    /// A temporary file that cannot be read or written; fewer or more answers than comments.
    pub fn rescore(&mut self, mut f: impl FnMut(&[&str]) -> Vec<f32>) -> io::Result<()> {
        let blocks: Vec<usize> = (0..self.store.blocks()).collect();
        for part in blocks.chunks(SCORED_TOGETHER) {
            let mut rows = Vec::with_capacity(part.len() * BLOCK);
            for &block in part {
                self.read(block, &mut rows)?;
            }
            let is_scored = |source: u16, class: Option<u32>| {
                class.is_none() || !self.options[usize::from(source)].ignores_soft_labels()
            };
            let scored = rows.iter().filter(|row| is_scored(row.source, row.class));
            let texts: Vec<&str> = scored.map(|row| row.text.as_str()).collect();
            let soft = f(&texts);
            if soft.len() != texts.len() {
                let what = format!("{} comments got {} scores", texts.len(), soft.len());
                return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
            }
            let mut soft = soft.into_iter();
            for &block in part {
                self.store.change(block, |header| {
                    if !header.dropped && is_scored(header.source, header.class) {
                        header.soft = soft.next();
                    }
                })?;
            }
        }
        Ok(())
    }

    /// Appends the rows of a block to `out`.
    fn read(&self, block: usize, out: &mut Vec<Row>) -> io::Result<()> {
        let mut index = self.store.first_row(block);
        self.store.read(block, |header, text| {
            let of_source = &self.weights[usize::from(header.source)];
            let place = header.class.map_or(of_source.len() - 1, |class| class as usize);
            out.push(Row {
                text: text.to_owned(),
                class: header.class,
                weight: of_source[place],
                soft: header.soft,
                options: self.options[usize::from(header.source)],
                source: header.source,
                index,
            });
            index += 1;
        })
    }
}
