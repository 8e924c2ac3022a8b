//! Fills a corpus, row by row and source by source.

use super::blocks::{BLOCK, Header, Store};
use super::{Corpus, CorpusError, RowOptions};
use nunchi_data::CommentKey;
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

/// A comment on its way into a corpus.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NewRow<'a> {
    /// The comment.
    pub text: &'a str,
    /// Its class, if it has a label.
    pub class: Option<u32>,
    /// The soft label: a teacher's probability of positive.
    pub soft: Option<f32>,
    /// The comment's key.
    pub key: CommentKey,
}

/// Writes a corpus.
#[derive(Debug)]
pub struct Writer {
    store: Store,
    folder: PathBuf,
    classes: usize,
    /// Each source's weight.
    sources: Vec<f64>,
    /// How each source's rows are learned.
    options: Vec<RowOptions>,
    counts: Vec<Vec<u64>>,
    headers: Vec<Header>,
    texts: Vec<u8>,
    digest: Sha256,
}

impl Writer {
    /// An empty corpus for comments of so many classes, in a temporary file in `folder` (the system's folder for such
    /// files without). The file has no name, and so is gone when the process is.
    ///
    /// # Errors
    /// A folder in which no file can be made.
    pub fn new(folder: Option<&Path>, classes: usize) -> Result<Self, CorpusError> {
        let folder = folder.map_or_else(std::env::temp_dir, Path::to_owned);
        let file = tempfile::tempfile_in(&folder)
            .map_err(|reason| CorpusError::Folder { folder: folder.clone(), reason })?;
        Ok(Writer {
            store: Store::new(file),
            folder,
            classes,
            sources: Vec::new(),
            options: Vec::new(),
            counts: Vec::new(),
            headers: Vec::with_capacity(BLOCK),
            texts: Vec::new(),
            digest: Sha256::new(),
        })
    }

    /// Begins a source; each of its comments counts `weight` on average. Rows that are pushed from now on belong to it.
    pub fn begin_source(&mut self, weight: f64) {
        self.sources.push(weight);
        self.options.push(RowOptions::default());
        self.counts.push(vec![0; self.classes + 1]);
    }

    /// How the rows of the source that was begun last are to be learned, if not as all others.
    pub fn set_options(&mut self, options: RowOptions) {
        if let Some(last) = self.options.last_mut() {
            *last = options;
        }
    }

    /// Adds a row to the source that was begun last.
    ///
    /// # Errors
    /// A disk that is full, or cannot be written.
    pub fn push(&mut self, row: NewRow<'_>) -> Result<(), CorpusError> {
        let source = self.sources.len().checked_sub(1).and_then(|source| u16::try_from(source).ok());
        let source = source.expect("between one and 65,536 sources were begun");
        self.counts[usize::from(source)][row.class.map_or(self.classes, |class| class as usize)] += 1;
        let length = u32::try_from(row.text.len()).expect("readers refuse rows of gigabytes");
        let header = Header {
            length,
            class: row.class,
            soft: row.soft.filter(|soft| !soft.is_nan()),
            source,
            dropped: false,
            key: row.key,
        };
        self.headers.push(header);
        self.texts.extend_from_slice(row.text.as_bytes());
        if self.headers.len() == BLOCK { self.flush() } else { Ok(()) }
    }

    /// Writes the block that is full.
    fn flush(&mut self) -> Result<(), CorpusError> {
        for header in &self.headers {
            self.digest.update(header.length.to_le_bytes());
            self.digest.update(header.class.unwrap_or(u32::MAX).to_le_bytes());
            self.digest.update(header.soft.unwrap_or(f32::NAN).to_le_bytes());
            self.digest.update(header.source.to_le_bytes());
        }
        self.digest.update(&self.texts);
        let written = self.store.append(&self.headers, &self.texts);
        written.map_err(|error| self.error(error))?;
        self.headers.clear();
        self.texts.clear();
        Ok(())
    }

    /// Ends writing. Rows whose key is in `dropped` are left out; returns how many were, by source.
    ///
    /// # Errors
    /// As [`Writer::push`].
    pub fn finish(mut self, dropped: &HashSet<CommentKey>) -> Result<(Corpus, Vec<u64>), CorpusError> {
        if !self.headers.is_empty() {
            self.flush()?;
        }
        let mut duplicates = vec![0; self.sources.len()];
        if !dropped.is_empty() {
            let (counts, classes, digest) = (&mut self.counts, self.classes, &mut self.digest);
            let retained = self.store.retain(|header| {
                let drop = dropped.contains(&header.key);
                if drop {
                    digest.update(header.key.to_bits().to_le_bytes());
                    let source = usize::from(header.source);
                    duplicates[source] += 1;
                    counts[source][header.class.map_or(classes, |class| class as usize)] -= 1;
                }
                drop
            });
            retained.map_err(|error| self.error(error))?;
        }
        let weights = weights(&self.sources, &self.counts);
        for weight in weights.iter().flatten() {
            self.digest.update(weight.to_le_bytes());
        }
        for (source, options) in self.options.iter().enumerate() {
            if *options != RowOptions::default() {
                self.digest.update((source as u64).to_le_bytes());
                self.digest.update(options.distillation_weight.unwrap_or(f32::NAN).to_le_bytes());
                self.digest.update(options.word_dropout.unwrap_or(f64::NAN).to_le_bytes());
                self.digest.update(options.augmentation.to_le_bytes());
            }
        }
        let fingerprint = nunchi_model::hex(&self.digest.finalize()[..16]);
        let Writer { store, counts, options, .. } = self;
        let corpus = Corpus { store, weights, options, counts, fingerprint };
        Ok((corpus, duplicates))
    }

    fn error(&self, reason: io::Error) -> CorpusError {
        let folder = self.folder.clone();
        match reason.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                CorpusError::Full { folder, megabytes: self.store.bytes() / 1_000_000 }
            }
            _ => CorpusError::Folder { folder, reason },
        }
    }
}

/// How much a row counts, by source and class: within a source every class that occurs counts the same, a row of it the
/// source's weight on average; the mean over all labeled rows is 1, so that the learning rate means the same for every
/// mixture of files. The last entry is for rows without a label.
fn weights(sources: &[f64], counts: &[Vec<u64>]) -> Vec<Vec<f32>> {
    let labeled = |of: &[u64]| of[..of.len() - 1].iter().sum::<u64>() as f64;
    let total: f64 = counts.iter().map(|of| labeled(of)).sum();
    let weighted: f64 = sources.iter().zip(counts).map(|(weight, of)| weight * labeled(of)).sum();
    let scale = if weighted > 0.0 { total / weighted } else { 1.0 };
    let of_source = |(weight, of): (&f64, &Vec<u64>)| {
        let classes = &of[..of.len() - 1];
        let present = classes.iter().filter(|&&count| count > 0).count() as f64;
        let balanced =
            classes.iter().map(|&count| weight * scale * labeled(of) / (present * count as f64).max(1.0));
        balanced.chain([weight * scale]).map(|weight| weight as f32).collect()
    };
    sources.iter().zip(counts).map(of_source).collect()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn a_full_disk_is_told_with_what_to_do() {
        let mut writer = Writer::new(None, 2).unwrap();
        writer.store = Store::new(File::options().write(true).open("/dev/full").unwrap());
        writer.begin_source(1.0);
        let row = NewRow { text: "좋아요", class: Some(1), soft: None, key: CommentKey::from_bits(1) };
        let error = (0..1_000).find_map(|_| writer.push(row).err()).unwrap();
        assert!(matches!(error, CorpusError::Full { .. }), "{error:?}");
        let said = error.to_string();
        assert!(said.contains("is full") && said.contains("--temp-dir"), "{said}");
    }
}
