//! A network packed for a kernel, and the pass of sequences through it: layer by layer, direction by direction, step by
//! step.

use super::batch::{Batch, Order, Sequences};
use super::kernel::{
    self, Aligned, CellWeights, Input, Kernel, ROW_BLOCK, Recurrence, Session, Source, Step,
};
use super::pool::{Pool, bag};
use super::{EngineError, KernelKind};
use ndarray::Array2;
use nunchi_model::Precision;
use nunchi_model::rnn::{Cell, Dense, Network, Shape};

/// States of a batch that are kept for the layer above take at most this many elements (32 MiB): long sequences go in
/// smaller batches.
const MAX_KEPT_ELEMENTS: usize = 8 << 20;

/// A network packed for a kernel. Shared between threads.
#[derive(Debug)]
pub struct Packed {
    kernel: &'static dyn Kernel,
    shape: Shape,
    /// By layer, then by direction.
    layers: Vec<Vec<Box<dyn Recurrence>>>,
    /// Elements of one direction's state row.
    row: usize,
    head: Dense<f32>,
    /// A second output on the head's input: whether there is an opinion.
    opinion: Option<Dense<f32>>,
    /// The embeddings, kept only where there is no recurrent layer.
    embedding: Option<Array2<f32>>,
}

/// Memory of one thread, reused from batch to batch.
#[derive(Debug, Default)]
pub struct Scratch {
    order: Order,
    batch: Batch,
    kernel: kernel::Scratch,
    /// States that are not kept: this step's and the last one's.
    alternating: Aligned<f32>,
    cell: Aligned<f32>,
    /// States of the layer below and of this layer, by direction and step.
    below: [Aligned<f32>; 2],
    above: [Aligned<f32>; 2],
    /// Inputs of a step, gathered from both directions of the layer below.
    gathered: Aligned<f32>,
    pool: Pool,
}

impl Packed {
    /// Packs `network` for the best kernel of this CPU in full precision, or for `kernel`.
    ///
    /// # Errors
    /// A kernel that the CPU lacks.
    pub fn new(network: &Network<f32>, kernel: Option<KernelKind>) -> Result<Self, EngineError> {
        let kernel = kernel::choose(kernel)?;
        Ok(Self::with(network, kernel))
    }

    /// Packs `network` for `kernel`.
    pub(crate) fn with(network: &Network<f32>, kernel: &'static dyn Kernel) -> Self {
        let shape = network.shape;
        let row = kernel.row(shape.cell, shape.hidden);
        let layers = network.layers.iter().enumerate().map(|(index, layer)| {
            let source = match index {
                0 => Source::Tokens(network.embedding.view()),
                _ => Source::States { directions: shape.directions(), row },
            };
            let directions = std::iter::once(&layer.forward).chain(&layer.backward);
            directions
                .map(|weights| kernel.pack(&CellWeights { cell: shape.cell, weights, source }))
                .collect()
        });
        Packed {
            kernel,
            shape,
            layers: layers.collect(),
            row,
            head: network.head.clone(),
            opinion: None,
            embedding: (shape.cell == Cell::Bag).then(|| network.embedding.clone()),
        }
    }

    /// With a second output on the head's input.
    pub(crate) fn with_opinion(self, opinion: Option<Dense<f32>>) -> Self {
        Packed { opinion, ..self }
    }

    /// The kernel.
    pub fn kernel(&self) -> KernelKind {
        self.kernel.kind()
    }

    /// The precision of the kernel's products.
    pub fn precision(&self) -> Precision {
        self.kernel.precision()
    }

    /// Outputs of the head for each sequence, `[sequences, outputs]`, in the order of the sequences; `out` is cleared.
    ///
    /// `tokens` holds all sequences one after the other, `lengths` how many tokens each has. A sequence without tokens
    /// is classified by the state before the first token, zero.
    ///
    /// # Panics
    /// If a token is not below the vocabulary's size or the lengths do not add up to the tokens.
    pub fn logits(&self, tokens: &[u32], lengths: &[u32], scratch: &mut Scratch, out: &mut Vec<f32>) {
        out.clear();
        out.resize(lengths.len() * self.shape.outputs, 0.0);
        self.pass(tokens, lengths, scratch, |index, features| {
            apply(&self.head, features, &mut out[index * self.shape.outputs..][..self.shape.outputs]);
        });
    }

    /// As [`Packed::logits`], and into `opinions` the logit of each sequence's opinion; none without that output.
    pub(crate) fn logits_and_opinions(
        &self,
        tokens: &[u32],
        lengths: &[u32],
        scratch: &mut Scratch,
        out: &mut Vec<f32>,
        opinions: &mut Vec<f32>,
    ) {
        opinions.clear();
        let Some(opinion) = &self.opinion else { return self.logits(tokens, lengths, scratch, out) };
        out.clear();
        out.resize(lengths.len() * self.shape.outputs, 0.0);
        opinions.resize(lengths.len(), 0.0);
        self.pass(tokens, lengths, scratch, |index, features| {
            apply(&self.head, features, &mut out[index * self.shape.outputs..][..self.shape.outputs]);
            apply(opinion, features, &mut opinions[index..=index]);
        });
    }

    /// The head's input for each sequence, `[sequences, features]`, in the order of the sequences; `out` is cleared. For
    /// learning another output on the same network.
    ///
    /// # Panics
    /// As [`Packed::logits`].
    pub fn features(&self, tokens: &[u32], lengths: &[u32], scratch: &mut Scratch, out: &mut Vec<f32>) {
        let width = self.shape.features();
        out.clear();
        out.resize(lengths.len() * width, 0.0);
        self.pass(tokens, lengths, scratch, |index, features| {
            out[index * width..][..width].copy_from_slice(features);
        });
    }

    /// Takes all sequences through the network; `visit` gets the number of each and the head's input.
    fn pass(
        &self,
        tokens: &[u32],
        lengths: &[u32],
        scratch: &mut Scratch,
        mut visit: impl FnMut(usize, &[f32]),
    ) {
        let total: usize = lengths.iter().map(|&length| length as usize).sum();
        assert_eq!(total, tokens.len(), "the lengths add up to the tokens");
        let largest = tokens.iter().copied().max().unwrap_or(0) as usize;
        assert!(largest < self.shape.vocabulary.max(1), "token {largest} is not in the vocabulary");
        let sequences = Sequences { tokens, lengths };
        let session = self.kernel.enter();
        scratch.order.sort(sequences);
        let mut done = 0;
        while done < lengths.len() {
            let longest = lengths[scratch.order.indices[done] as usize] as usize;
            let rows = self.batch_rows(longest).min(lengths.len() - done);
            let indices = &scratch.order.indices[done..done + rows];
            scratch.batch.fill(sequences, &scratch.order, indices, self.shape.bidirectional);
            match &self.embedding {
                Some(embedding) => bag(embedding, self.shape.pooling, &scratch.batch, &mut scratch.pool),
                None => self.recur(&session, scratch),
            }
            for (row, &index) in scratch.order.indices[done..done + rows].iter().enumerate() {
                visit(index as usize, scratch.pool.features(row, self.shape.features()));
            }
            done += rows;
        }
    }

    /// Rows of a batch: what the kernel likes, fewer where all steps of long sequences are kept.
    fn batch_rows(&self, longest: usize) -> usize {
        let near = self.kernel.batch_rows(self.row);
        let kept = MAX_KEPT_ELEMENTS / (longest.max(1) * self.row.max(1) * self.shape.directions());
        if self.layers.len() > 1 { near.min(kept.max(1)) } else { near }
    }

    /// Takes the batch through all layers; the pool then holds the head's inputs.
    fn recur(&self, session: &Session, scratch: &mut Scratch) {
        for layer in 0..self.layers.len() {
            let last = layer + 1 == self.layers.len();
            if last {
                let rows = scratch.batch.lengths.len();
                scratch.pool.begin(self.shape.pooling, rows, self.shape.features());
            }
            for direction in 0..self.layers[layer].len() {
                self.direction(session, layer, direction, last, scratch);
            }
            std::mem::swap(&mut scratch.below, &mut scratch.above);
        }
        scratch.pool.finish(&scratch.batch.lengths);
    }

    /// Takes the batch through one direction of one layer.
    fn direction(
        &self,
        session: &Session,
        layer: usize,
        direction: usize,
        last: bool,
        scratch: &mut Scratch,
    ) {
        let Scratch { batch, kernel, alternating, cell, below, above, gathered, pool, .. } = scratch;
        let recurrence = &*self.layers[layer][direction];
        let (row, rows) = (self.row, batch.lengths.len());
        if self.shape.cell == Cell::Lstm {
            cell.resize(rows * row);
            cell.fill(0.0);
        }
        let states = if last { alternating } else { &mut above[direction] };
        states.resize(row * if last { 2 * rows.next_multiple_of(ROW_BLOCK) } else { batch.state_rows() });
        for step in 0..batch.steps() {
            let live = batch.live[step];
            let input = if layer == 0 {
                let backward = direction == 1;
                Input::Tokens { now: batch.tokens(backward, step), ahead: batch.tokens(backward, step + 1) }
            } else {
                Input::States(self.inputs(batch, below, direction == 1, step, gathered))
            };
            let (before, out) = neighbors(states, last, batch, step, row);
            let state = (step > 0).then_some(before);
            recurrence.step(session, Step { rows: live, input, state, cell, out }, kernel);
            if last {
                let first = direction * self.shape.hidden;
                pool.take(first..first + self.shape.hidden, out, row, live, batch.live[step + 1]);
            }
        }
    }

    /// The state rows of the layer below that a step reads, `[padded live, directions * row]`.
    fn inputs<'a>(
        &self,
        batch: &Batch,
        below: &'a [Aligned<f32>; 2],
        backward: bool,
        step: usize,
        gathered: &'a mut Aligned<f32>,
    ) -> &'a [f32] {
        let (width, live) = (self.row, batch.live[step]);
        let padded = live.next_multiple_of(ROW_BLOCK);
        let place = |step: usize, row: usize| (batch.places[step] + row) * width;
        if !self.shape.bidirectional {
            return &below[0][place(step, 0)..][..padded * width];
        }
        // Each direction's states are kept by its own steps: the forward one's step t has read token t, the backward
        // one's has read token length - 1 - t.
        gathered.resize(batch.lengths.len().next_multiple_of(ROW_BLOCK) * 2 * width);
        for (row, x) in gathered.chunks_exact_mut(2 * width).take(live).enumerate() {
            let mirrored = batch.lengths[row] - 1 - step;
            let (ahead, behind) = if backward { (mirrored, step) } else { (step, mirrored) };
            x[..width].copy_from_slice(&below[0][place(ahead, row)..][..width]);
            x[width..].copy_from_slice(&below[1][place(behind, row)..][..width]);
        }
        &gathered[..padded * 2 * width]
    }

    /// The network's shape.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }
}

/// The states of the step before and the place for this step's: alternating between two halves, or one step after the
/// other where all are kept.
fn neighbors<'a>(
    states: &'a mut [f32],
    alternate: bool,
    batch: &Batch,
    step: usize,
    row: usize,
) -> (&'a [f32], &'a mut [f32]) {
    let live = batch.live[step].next_multiple_of(ROW_BLOCK) * row;
    if alternate {
        let half = states.len() / 2;
        let (first, second) = states.split_at_mut(half);
        let (before, out) = if step.is_multiple_of(2) { (second, first) } else { (first, second) };
        return (&before[..live], &mut out[..live]);
    }
    let (done, rest) = states.split_at_mut(batch.places[step] * row);
    let before = if step > 0 { &done[batch.places[step - 1] * row..][..live] } else { &done[..0] };
    (before, &mut rest[..live])
}

/// The outputs of `dense` for one row of features.
fn apply(dense: &Dense<f32>, features: &[f32], out: &mut [f32]) {
    for (output, logit) in out.iter_mut().enumerate() {
        let weights = dense.weight.row(output);
        *logit = dense.bias[output] + dot(features, weights.as_slice().expect("rows are contiguous"));
    }
}

/// A scalar product, summed in 16 lanes so that the compiler may use vectors; the same for every batch.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 16];
    let (chunks_a, chunks_b) = (a.chunks_exact(16), b.chunks_exact(16));
    let tail: f32 = chunks_a.remainder().iter().zip(chunks_b.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in chunks_a.zip(chunks_b) {
        for lane in 0..16 {
            lanes[lane] += a[lane] * b[lane];
        }
    }
    lanes.iter().sum::<f32>() + tail
}
