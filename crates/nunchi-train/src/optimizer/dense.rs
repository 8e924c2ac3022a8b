//! The step of every weight but the embedding table's, in pieces that threads share.

use super::Optimizer;
use super::arithmetic::{Change, Step, add, square};
use nunchi_engine::backprop::{ShardGradients, spread};
use nunchi_model::rnn::{Layer, Network};

/// Elements of a tensor that one thread takes at a time.
const PIECE: usize = 16_384;

/// A piece of one tensor whose shards are to be added.
struct Sum<'a> {
    total: &'a mut [f32],
    terms: Vec<&'a [f32]>,
    square: f64,
}

impl Optimizer {
    /// Adds the shards' dense gradients up in the first; the sum's square.
    pub(super) fn sum_dense(
        &self,
        first: &mut ShardGradients,
        others: &[ShardGradients],
        threads: usize,
    ) -> f64 {
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

    pub(super) fn change_dense(
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
