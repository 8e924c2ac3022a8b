//! AdamW (Loshchilov and Hutter 2019) and a moving average of the weights, both in a lazy form for the embedding table: rows
//! that a batch does not touch cost nothing, so that a step's cost does not depend on the vocabulary.
//!
//! Gradients come in shards, which are added in their order; all of it is spread over threads in fixed pieces. The result is
//! the same, bit by bit, whatever the number of threads.

use super::spread::spread;
use crate::engine::backprop::ShardGradients;
use crate::rnn::{Layer, Network};
use pulp::{Arch, NullaryFnOnce, Simd, WithSimd};

const BETA1: f32 = 0.9;
const BETA2: f32 = 0.999;
const EPSILON: f32 = 1e-8;
/// Numbers of a tensor that one thread takes at a time.
const PIECE: usize = 16_384;
/// Rows of the embedding table that one thread takes at a time.
const ROWS: usize = 128;

/// First and second moments of one tensor's gradient.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Moments {
    pub(super) first: Vec<f32>,
    pub(super) second: Vec<f32>,
}

impl Moments {
    fn new(len: usize) -> Self {
        Moments { first: vec![0.0; len], second: vec![0.0; len] }
    }
}

/// The moving average of the weights. A row of the embedding table is brought up to date when a batch touches it, and all of
/// them by [`Optimiser::averaged`].
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Average {
    pub(super) network: Network<f32>,
    pub(super) decay: f64,
    /// The logarithm of the product of all decays so far.
    pub(super) decayed: f64,
    /// That logarithm when each row of the embedding table was last brought up to date.
    pub(super) rows: Vec<f64>,
}

/// The optimiser's memory for one network.
#[derive(Debug, Clone)]
pub struct Optimiser {
    pub(super) embedding: Moments,
    pub(super) dense: Vec<Moments>,
    pub(super) average: Option<Average>,
    pub(super) steps: i32,
    decay: f32,
    clip: f32,
    arch: Arch,
    scratch: Scratch,
}

/// Memory that steps reuse.
#[derive(Debug, Clone, Default)]
struct Scratch {
    /// For every token its place in `tokens`, or none.
    places: Vec<u32>,
    tokens: Vec<u32>,
    /// `[tokens, embedding]`
    rows: Vec<f32>,
}

/// What one step needs beside the gradients.
#[derive(Debug, Clone, Copy)]
struct Step {
    rate: f32,
    correction1: f32,
    correction2: f32,
    /// The gradients are multiplied by this (clipping).
    scale: f32,
    /// Weights are multiplied by this first (decay).
    keep: f32,
}

/// One step on some weights.
struct Apply<'a> {
    step: Step,
    weights: &'a mut [f32],
    gradient: &'a [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
}

impl WithSimd for Apply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let Apply { step, weights, gradient, first, second } = self;
        let (w, w_tail) = S::as_mut_simd_f32s(weights);
        let (g, g_tail) = S::as_simd_f32s(gradient);
        let (m, m_tail) = S::as_mut_simd_f32s(first);
        let (v, v_tail) = S::as_mut_simd_f32s(second);
        for (((w, g), m), v) in w.iter_mut().zip(g).zip(m).zip(v) {
            (*w, *m, *v) = adam(s, step, *w, *g, *m, *v);
        }
        if !w_tail.is_empty() {
            let (w, m, v) = adam(
                s,
                step,
                s.partial_load_f32s(w_tail),
                s.partial_load_f32s(g_tail),
                s.partial_load_f32s(m_tail),
                s.partial_load_f32s(v_tail),
            );
            s.partial_store_f32s(w_tail, w);
            s.partial_store_f32s(m_tail, m);
            s.partial_store_f32s(v_tail, v);
        }
    }
}

/// One vector of weights, gradient, first and second moments; the new weights and moments.
// A closure would not be inlined where the CPU's vectors are switched on.
#[inline(always)]
fn adam<S: Simd>(
    s: S,
    step: Step,
    w: S::f32s,
    g: S::f32s,
    m: S::f32s,
    v: S::f32s,
) -> (S::f32s, S::f32s, S::f32s) {
    let g = s.mul_f32s(g, s.splat_f32s(step.scale));
    let m = s.mul_add_e_f32s(m, s.splat_f32s(BETA1), s.mul_f32s(g, s.splat_f32s(1.0 - BETA1)));
    let v = s.mul_add_e_f32s(v, s.splat_f32s(BETA2), s.mul_f32s(s.mul_f32s(g, g), s.splat_f32s(1.0 - BETA2)));
    let root = s.sqrt_f32s(s.mul_f32s(v, s.splat_f32s(step.correction2)));
    let below = s.add_f32s(root, s.splat_f32s(EPSILON));
    let by = s.div_f32s(s.mul_f32s(m, s.splat_f32s(step.rate * step.correction1)), below);
    (s.sub_f32s(s.mul_f32s(w, s.splat_f32s(step.keep)), by), m, v)
}

/// A piece of one tensor whose shards are to be added.
struct Sum<'a> {
    total: &'a mut [f32],
    terms: Vec<&'a [f32]>,
    square: f64,
}

/// A piece of one tensor to be changed.
struct Change<'a> {
    step: Step,
    weights: &'a mut [f32],
    gradient: &'a [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
    average: Option<&'a mut [f32]>,
}

/// Rows of the embedding table whose gradients are to be added up: `places` are those of `rows`.
struct Gather<'a> {
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

impl Optimiser {
    /// Memory for `network`; `decay` shrinks weight matrices (neither biases nor embeddings), gradients are scaled down to a norm
    /// of at most `clip`, `average` is the decay of the moving average (0: none).
    pub fn new(network: &Network<f32>, decay: f64, clip: f64, average: f64, arch: Arch) -> Self {
        let mut sizes = network.tensors().into_iter().map(|(_, tensor)| tensor.len());
        let embedding = Moments::new(sizes.next().expect("the first tensor is the embedding table"));
        let average = (average > 0.0).then(|| Average {
            network: network.clone(),
            decay: average,
            decayed: 0.0,
            rows: vec![0.0; network.shape.vocabulary],
        });
        Optimiser {
            embedding,
            dense: sizes.map(Moments::new).collect(),
            average,
            steps: 0,
            decay: decay as f32,
            clip: clip as f32,
            arch,
            scratch: Scratch::default(),
        }
    }

    /// The averaged weights, or without an average the weights themselves.
    pub fn averaged(&self, network: &Network<f32>) -> Network<f32> {
        let Some(average) = &self.average else { return network.clone() };
        let mut all = average.network.clone();
        for (token, &since) in average.rows.iter().enumerate() {
            let kept = (average.decayed - since).exp() as f32;
            if kept < 1.0 {
                let mut row = all.embedding.row_mut(token);
                row.zip_mut_with(&network.embedding.row(token), |mean, &weight| {
                    *mean = weight + (*mean - weight) * kept;
                });
            }
        }
        all
    }

    /// One step at learning rate `rate` along the sum of the shards' gradients, which the first shard then holds. Returns the
    /// gradient's norm; if that is not a number, nothing was changed.
    pub fn step(
        &mut self,
        network: &mut Network<f32>,
        shards: &mut [ShardGradients],
        rate: f32,
        threads: usize,
    ) -> f32 {
        let (first, others) = shards.split_first_mut().expect("a batch has at least one shard");
        let square = self.sum_dense(first, others, threads) + self.sum_rows(network, first, others, threads);
        let norm = square.sqrt() as f32;
        if !norm.is_finite() {
            return norm;
        }
        self.steps += 1;
        let step = Step {
            rate,
            correction1: 1.0 / (1.0 - BETA1.powi(self.steps)),
            correction2: 1.0 / (1.0 - BETA2.powi(self.steps)),
            scale: if norm > self.clip { self.clip / norm } else { 1.0 },
            keep: 1.0,
        };
        // Early on a long average would remember the random start.
        let warm = (1.0 + f64::from(self.steps)) / (10.0 + f64::from(self.steps));
        let blend = self.average.as_mut().map_or(0.0, |average| {
            let decay = average.decay.min(warm);
            average.decayed += decay.ln();
            1.0 - decay
        });
        self.change_rows(network, step, blend, threads);
        self.change_dense(network, first, step, blend as f32, threads);
        norm
    }

    /// Adds the shards' dense gradients up in the first; the sum's square.
    fn sum_dense(&self, first: &mut ShardGradients, others: &[ShardGradients], threads: usize) -> f64 {
        let terms: Vec<Vec<&[f32]>> = others.iter().map(dense).collect();
        let mut jobs = Vec::new();
        for (tensor, total) in dense_mut(first).into_iter().enumerate() {
            for (piece, total) in total.chunks_mut(PIECE).enumerate() {
                let range = piece * PIECE..piece * PIECE + total.len();
                let terms = terms.iter().map(|shard| &shard[tensor][range.clone()]).collect();
                jobs.push(Sum { total, terms, square: 0.0 });
            }
        }
        let arch = self.arch;
        spread(threads, &mut jobs, |job| {
            for term in &job.terms {
                add(arch, job.total, term);
            }
            job.square = square(arch, job.total);
        });
        jobs.iter().map(|job| job.square).sum()
    }

    /// Adds up the gradients of rows that belong to the same token; the sum's square.
    fn sum_rows(
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
        let mut jobs: Vec<Gather<'_>> = rows
            .chunks_mut(ROWS * columns)
            .enumerate()
            .map(|(piece, rows)| {
                let count = rows.len() / columns;
                Gather { sources: &sources, ends: &ends[piece * ROWS..][..=count], rows, square: 0.0 }
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

    fn change_rows(&mut self, network: &mut Network<f32>, step: Step, blend: f64, threads: usize) {
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

    fn change_dense(
        &mut self,
        network: &mut Network<f32>,
        gradients: &ShardGradients,
        step: Step,
        blend: f32,
        threads: usize,
    ) {
        let decayed = Step { keep: 1.0 - step.rate * self.decay, ..step };
        let mut averages = self
            .average
            .as_mut()
            .map(|average| average.network.tensors_mut().into_iter().skip(1).collect::<Vec<_>>());
        let mut jobs = Vec::new();
        let tensors = network.tensors_mut().into_iter().skip(1).zip(dense(gradients)).zip(&mut self.dense);
        let mut averages = averages.as_mut().map(|averages| averages.iter_mut());
        for (((_, tensor), gradient), moments) in tensors {
            let step = if tensor.ndim() == 2 { decayed } else { step };
            let weights = tensor.into_slice().expect("weights are in standard layout");
            let average = averages.as_mut().and_then(Iterator::next);
            let mut averages = average
                .map(|(_, tensor)| tensor.as_slice_mut().expect("weights are in standard layout"))
                .map(|average| average.chunks_mut(PIECE));
            let pieces = weights
                .chunks_mut(PIECE)
                .zip(gradient.chunks(PIECE))
                .zip(moments.first.chunks_mut(PIECE))
                .zip(moments.second.chunks_mut(PIECE));
            for (((weights, gradient), first), second) in pieces {
                let average = averages.as_mut().and_then(Iterator::next);
                jobs.push(Change { step, weights, gradient, first, second, average });
            }
        }
        let arch = self.arch;
        spread(threads, &mut jobs, |job| job.apply(arch, blend));
    }
}

impl Change<'_> {
    fn apply(&mut self, arch: Arch, blend: f32) {
        let Change { step, weights, gradient, first, second, average } = self;
        arch.dispatch(Apply { step: *step, weights, gradient, first, second });
        if let Some(average) = average {
            let weights = &**weights;
            arch.dispatch(Towards(average, weights, blend));
        }
    }
}

fn add(arch: Arch, sum: &mut [f32], term: &[f32]) {
    arch.dispatch(AddTo(sum, term));
}

/// `sum += term`.
struct AddTo<'a>(&'a mut [f32], &'a [f32]);

impl NullaryFnOnce for AddTo<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (sum, &term) in self.0.iter_mut().zip(self.1) {
            *sum += term;
        }
    }
}

struct Square<'a>(&'a [f32]);

impl NullaryFnOnce for Square<'_> {
    type Output = f64;

    #[inline(always)]
    fn call(self) -> f64 {
        square_of(self.0)
    }
}

/// `mean += share (weight - mean)`.
struct Towards<'a>(&'a mut [f32], &'a [f32], f32);

impl NullaryFnOnce for Towards<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (mean, &weight) in self.0.iter_mut().zip(self.1) {
            *mean += self.2 * (weight - *mean);
        }
    }
}

/// The sum of squares, in a fixed order.
fn square(arch: Arch, values: &[f32]) -> f64 {
    arch.dispatch(Square(values))
}

#[inline(always)]
fn square_of(values: &[f32]) -> f64 {
    let mut total = 0.0;
    for part in values.chunks(4_096) {
        let mut lanes = [0.0_f32; 16];
        let (whole, rest) = part.as_chunks::<16>();
        for values in whole {
            for (lane, value) in lanes.iter_mut().zip(values) {
                *lane += value * value;
            }
        }
        let mut sum = 0.0;
        for value in lanes {
            sum += f64::from(value);
        }
        for &value in rest {
            sum += f64::from(value) * f64::from(value);
        }
        total += sum;
    }
    total
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

/// The gradients of everything but the embedding table, flat, in the order of [`Network::tensors`].
fn dense(gradients: &ShardGradients) -> Vec<&[f32]> {
    let mut all = Vec::new();
    for direction in gradients.layers.iter().flat_map(Layer::directions) {
        all.push(direction.weight_ih.as_slice());
        all.push(direction.weight_hh.as_slice());
        all.push(direction.bias_ih.as_slice());
        all.push(direction.bias_hh.as_slice());
    }
    all.push(gradients.head.weight.as_slice());
    all.push(gradients.head.bias.as_slice());
    all.into_iter().map(|slice| slice.expect("gradients are in standard layout")).collect()
}

/// As [`dense`], to be changed.
fn dense_mut(gradients: &mut ShardGradients) -> Vec<&mut [f32]> {
    let mut all = Vec::new();
    for direction in gradients.layers.iter_mut().flat_map(Layer::directions_mut) {
        all.push(direction.weight_ih.as_slice_mut());
        all.push(direction.weight_hh.as_slice_mut());
        all.push(direction.bias_ih.as_slice_mut());
        all.push(direction.bias_hh.as_slice_mut());
    }
    all.push(gradients.head.weight.as_slice_mut());
    all.push(gradients.head.bias.as_slice_mut());
    all.into_iter().map(|slice| slice.expect("gradients are in standard layout")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rnn::{Cell, HeadKind, Pooling, Shape};

    fn bag() -> Network<f32> {
        Network::zeros(Shape {
            cell: Cell::Bag,
            vocabulary: 3,
            embedding: 2,
            hidden: 0,
            layers: 0,
            bidirectional: false,
            pooling: Pooling::Mean,
            head: HeadKind::Sigmoid,
            outputs: 1,
        })
        .unwrap()
    }

    fn gradients(network: &Network<f32>) -> ShardGradients {
        let mut gradients = ShardGradients::new(network);
        gradients.tokens = vec![1, 1];
        gradients.embedding = vec![1.0, 0.0, 2.0, 0.0];
        gradients.head.bias[0] = -4.0;
        gradients
    }

    #[test]
    fn a_first_step_goes_one_rate_against_the_gradient() {
        let mut network = bag();
        let mut shards = [gradients(&network)];
        let norm =
            Optimiser::new(&network, 0.0, 1.0, 0.0, Arch::new()).step(&mut network, &mut shards, 0.1, 1);
        assert!((norm - 5.0).abs() < 1e-6);
        assert!((network.embedding[[1, 0]] + 0.1).abs() < 1e-6);
        assert!((network.head.bias[0] - 0.1).abs() < 1e-6);
        assert_eq!(
            network.embedding.row(0).sum() + network.embedding.row(2).sum(),
            0.0,
            "untouched rows stay"
        );
    }

    #[test]
    fn decay_shrinks_matrices_alone() {
        let mut network = bag();
        network.head.weight.fill(1.0);
        network.embedding.fill(1.0);
        let mut none = gradients(&network);
        none.head.bias.fill(0.0);
        none.embedding.fill(0.0);
        Optimiser::new(&network, 0.5, 1.0, 0.0, Arch::new()).step(&mut network, &mut [none], 0.1, 1);
        assert!((network.head.weight[[0, 0]] - 0.95).abs() < 1e-6);
        assert_eq!(network.embedding[[1, 0]], 1.0);
    }

    #[test]
    fn what_is_not_a_number_changes_nothing() {
        let mut network = bag();
        let mut broken = gradients(&network);
        broken.head.bias[0] = f32::NAN;
        let norm =
            Optimiser::new(&network, 0.5, 1.0, 0.9, Arch::new()).step(&mut network, &mut [broken], 0.1, 1);
        assert!(norm.is_nan());
        assert_eq!(network, bag());
    }

    /// The lazy average is what a plain one would be, and threads and shards change no bit.
    #[test]
    fn the_lazy_average_is_the_plain_one_whatever_the_threads() {
        let run = |threads: usize| {
            let mut network = bag();
            let mut optimiser = Optimiser::new(&network, 0.01, 1.0, 0.95, Arch::new());
            let mut plain = network.clone();
            for step in 0..40_u32 {
                let mut one = gradients(&network);
                one.tokens = vec![step % 3, (step / 5) % 3];
                one.embedding = vec![0.3, -0.1, (step as f32).sin(), 0.2];
                let other = gradients(&network);
                optimiser.step(&mut network, &mut [one, other], 0.05, threads);
                let warm = (1.0 + f64::from(step + 1)) / (10.0 + f64::from(step + 1));
                let share = 1.0 - 0.95_f64.min(warm) as f32;
                for ((_, mut mean), (_, weights)) in plain.tensors_mut().into_iter().zip(network.tensors()) {
                    mean.zip_mut_with(&weights, |mean, &weight| *mean += share * (weight - *mean));
                }
            }
            let lazy = optimiser.averaged(&network);
            for ((name, lazy), (_, plain)) in lazy.tensors().into_iter().zip(plain.tensors()) {
                for (lazy, plain) in lazy.iter().zip(plain.iter()) {
                    assert!((lazy - plain).abs() < 1e-5, "{name}: {lazy} {plain}");
                }
            }
            (network, lazy)
        };
        assert_eq!(run(1), run(3));
    }
}
