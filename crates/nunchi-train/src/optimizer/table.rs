//! The embedding table's part of a step: gradients of the rows that a batch touched are added up by token, and those rows alone are
//! changed.

use super::arithmetic::{Change, Step, Towards, add, square};
use super::{Optimizer, Scratch};
use nunchi_engine::backprop::{ShardGradients, spread};
use nunchi_model::rnn::Network;

/// Rows of the embedding table that one thread takes at a time.
const ROWS: usize = 128;

/// Rows of the embedding table whose gradients are to be added up: `places` are those of `rows`.
struct RowSums<'a> {
    /// Which shard, and which row of its gradients; in order.
    sources: &'a [(u32, u32)],
    /// For each of `rows`: where its sources end, and for the first where they begin.
    ends: &'a [usize],
    rows: &'a mut [f32],
    square: f64,
}

/// Rows of the embedding table to be changed, with their gradients and what the average of each was decayed by since it was last
/// looked at.
struct Rows<'a> {
    rows: Vec<(Change<'a>, f32)>,
}

impl Optimizer {
    /// Adds up the gradients of rows that belong to the same token; the sum's square.
    pub(super) fn sum_rows(
        &mut self,
        network: &Network<f32>,
        first: &ShardGradients,
        others: &[ShardGradients],
        threads: usize,
    ) -> f64 {
        let columns = network.shape.embedding;
        let Scratch { places, tokens, rows } = &mut self.scratch;
        places.resize(network.shape.vocabulary, u32::MAX);
        tokens.clear();
        let shards: Vec<&ShardGradients> = std::iter::once(first).chain(others).collect();
        for &token in shards.iter().flat_map(|shard| &shard.tokens) {
            if places[token as usize] == u32::MAX {
                places[token as usize] = 0;
                tokens.push(token);
            }
        }
        tokens.sort_unstable();
        for (place, &token) in tokens.iter().enumerate() {
            places[token as usize] = place as u32;
        }
        // A counting sort by token keeps the order of the shards and of their rows.
        let mut ends = vec![0_usize; tokens.len() + 1];
        for &token in shards.iter().flat_map(|shard| &shard.tokens) {
            ends[places[token as usize] as usize + 1] += 1;
        }
        for place in 1..ends.len() {
            ends[place] += ends[place - 1];
        }
        let mut next = ends.clone();
        let mut sources = vec![(0_u32, 0_u32); ends[tokens.len()]];
        for (shard, gradients) in shards.iter().enumerate() {
            for (row, &token) in gradients.tokens.iter().enumerate() {
                let at = &mut next[places[token as usize] as usize];
                sources[*at] = (shard as u32, row as u32);
                *at += 1;
            }
        }
        for &token in &*tokens {
            places[token as usize] = u32::MAX;
        }
        rows.clear();
        rows.resize(tokens.len() * columns, 0.0);
        let mut jobs: Vec<RowSums<'_>> = rows
            .chunks_mut(ROWS * columns)
            .enumerate()
            .map(|(piece, rows)| {
                let count = rows.len() / columns;
                RowSums { sources: &sources, ends: &ends[piece * ROWS..][..=count], rows, square: 0.0 }
            })
            .collect();
        let arch = self.arch;
        spread(threads, &mut jobs, |job| {
            for (row, ends) in job.rows.chunks_exact_mut(columns).zip(job.ends.windows(2)) {
                for &(shard, source) in &job.sources[ends[0]..ends[1]] {
                    let embedding = &shards[shard as usize].embedding;
                    add(arch, row, &embedding[source as usize * columns..][..columns]);
                }
            }
            job.square = square(arch, job.rows);
        });
        jobs.iter().map(|job| job.square).sum()
    }

    pub(super) fn change_rows(&mut self, network: &mut Network<f32>, step: Step, blend: f64, threads: usize) {
        let columns = network.shape.embedding;
        let Scratch { tokens, rows, .. } = &self.scratch;
        let table = network.embedding.as_slice_mut().expect("weights are in standard layout");
        let mut weights = rows_of(table, columns, tokens);
        let mut first = rows_of(&mut self.embedding.first, columns, tokens);
        let mut second = rows_of(&mut self.embedding.second, columns, tokens);
        let mut kept = vec![1.0_f32; tokens.len()];
        let mut averages = None;
        if let Some(average) = &mut self.average {
            // The decay of this step is applied to the changed weights, below.
            let before = average.decayed - (1.0 - blend).ln();
            for (kept, &token) in kept.iter_mut().zip(tokens) {
                let since = &mut average.rows[token as usize];
                *kept = (before - *since).exp() as f32;
                *since = average.decayed;
            }
            let table = average.network.embedding.as_slice_mut().expect("weights are in standard layout");
            averages = Some(rows_of(table, columns, tokens));
        }
        let mut jobs: Vec<Rows<'_>> = Vec::new();
        for (place, gradient) in rows.chunks_exact(columns).enumerate() {
            let change = Change {
                step,
                weights: std::mem::take(&mut weights[place]),
                gradient,
                first: std::mem::take(&mut first[place]),
                second: std::mem::take(&mut second[place]),
                average: averages.as_mut().map(|averages| std::mem::take(&mut averages[place])),
            };
            if place % ROWS == 0 {
                jobs.push(Rows { rows: Vec::with_capacity(ROWS) });
            }
            jobs.last_mut().expect("just pushed").rows.push((change, kept[place]));
        }
        let (arch, blend) = (self.arch, blend as f32);
        spread(threads, &mut jobs, |job| {
            for (change, kept) in &mut job.rows {
                if let Some(average) = &mut change.average {
                    // avg = w + (avg - w) kept: what the steps since the last touch would have done.
                    let (kept, weights) = (1.0 - *kept, &*change.weights);
                    arch.dispatch(Towards(average, weights, kept));
                }
                change.apply(arch, blend);
            }
        });
    }
}

/// The rows of `tokens` (ascending, each once) in a table.
fn rows_of<'a>(table: &'a mut [f32], columns: usize, tokens: &[u32]) -> Vec<&'a mut [f32]> {
    let (mut rest, mut passed) = (table, 0);
    let mut rows = Vec::with_capacity(tokens.len());
    for &token in tokens {
        let start = token as usize * columns - passed;
        let (row, later) = rest[start..].split_at_mut(columns);
        passed += start + columns;
        rest = later;
        rows.push(row);
    }
    rows
}
