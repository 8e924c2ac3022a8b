//! Every row once, in an order that a seed decides, some thousand at a time.

use super::{Corpus, Row};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use std::io;

/// Windows of shuffled rows: random blocks together. See [`Corpus::windows`].
#[derive(Debug)]
pub struct Windows<'a> {
    corpus: &'a Corpus,
    /// Blocks in the order in which they are read.
    order: Vec<u32>,
    /// How many windows the order is cut into.
    count: usize,
    /// The window that comes next.
    next: usize,
    /// Seed of the orders within windows.
    seed: u64,
}

impl<'a> Windows<'a> {
    pub(super) fn new(corpus: &'a Corpus, seed: u64, epoch: u64, rows: usize) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(epoch);
        let blocks = u32::try_from(corpus.store.blocks()).expect("a corpus has at most 2^40 rows");
        let mut order: Vec<u32> =
            (0..blocks).filter(|&block| corpus.store.rows_of(block as usize) > 0).collect();
        order.shuffle(&mut random);
        let wanted = corpus.len().div_ceil(rows.max(1) as u64);
        let count = order.len().min(usize::try_from(wanted).unwrap_or(usize::MAX));
        Windows { corpus, order, count, next: 0, seed: rand::Rng::random(&mut random) }
    }

    /// Leaves out the next `windows` windows without reading them.
    pub fn skip_windows(&mut self, windows: usize) {
        self.next = self.next.saturating_add(windows).min(self.count);
    }

    /// How many rows each window has that is still to come, known without reading.
    pub fn lengths(&self) -> impl Iterator<Item = usize> + '_ {
        let rows_of = |&block: &u32| self.corpus.store.rows_of(block as usize) as usize;
        (self.next..self.count).map(move |window| self.blocks(window).iter().map(rows_of).sum())
    }

    /// The blocks of a window; windows are as alike in size as blocks allow.
    fn blocks(&self, window: usize) -> &[u32] {
        let cut = |window: usize| self.order.len() * window / self.count;
        &self.order[cut(window)..cut(window + 1)]
    }

    fn read(&self, window: usize) -> io::Result<Vec<Row>> {
        // In the order of the file, which a disk likes; they are shuffled next.
        let mut blocks = self.blocks(window).to_vec();
        blocks.sort_unstable();
        let mut rows = Vec::new();
        for block in blocks {
            self.corpus.read(block as usize, &mut rows)?;
        }
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(window as u64);
        rows.shuffle(&mut random);
        Ok(rows)
    }
}

impl Iterator for Windows<'_> {
    type Item = io::Result<Vec<Row>>;

    fn next(&mut self) -> Option<Self::Item> {
        let window = self.next;
        (window < self.count).then(|| {
            self.next += 1;
            self.read(window)
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.count - self.next, Some(self.count - self.next))
    }
}

impl ExactSizeIterator for Windows<'_> {}
