//! From the states of the last layer to the head's input, forward and back.

use super::batch::Batch;
use super::slice::{rows, rows_mut};
use super::{Pooling, Real, Shape};
use ndarray::{Array2, ArrayView2};

/// Pools `states` (`[tokens, features]`, packed) into `[batch, features]`, in the order of the batch's rows.
pub fn pool<F: Real>(shape: &Shape, states: ArrayView2<'_, F>, batch: &Batch) -> Array2<F> {
    let mut pooled = Array2::zeros((batch.lengths.len(), states.ncols()));
    for (row, &length) in batch.lengths.iter().enumerate() {
        let mut out = pooled.row_mut(row);
        match shape.pooling {
            Pooling::Last => {
                let last = states.row(batch.index(row, length - 1));
                let forward = forward_columns(shape, states.ncols());
                rows_mut(&mut out, 0..forward).assign(&rows(&last, 0..forward));
                let first = states.row(batch.index(row, 0));
                let columns = states.ncols();
                rows_mut(&mut out, forward..columns).assign(&rows(&first, forward..columns));
            }
            Pooling::Mean => {
                for step in 0..length {
                    out += &states.row(batch.index(row, step));
                }
                out /= F::from_f64(length as f64);
            }
            Pooling::Max => {
                out.assign(&states.row(batch.index(row, 0)));
                for step in 1..length {
                    out.zip_mut_with(&states.row(batch.index(row, step)), |max, &value| {
                        if value > *max {
                            *max = value;
                        }
                    });
                }
            }
        }
    }
    pooled
}

/// The gradient of every state, `[tokens, features]`, from that of the pooled features, `[batch, features]`.
pub fn unpool<F: Real>(
    shape: &Shape,
    states: ArrayView2<'_, F>,
    gradient: ArrayView2<'_, F>,
    batch: &Batch,
) -> Array2<F> {
    let mut spread = Array2::zeros(states.raw_dim());
    let columns = states.ncols();
    for (row, &length) in batch.lengths.iter().enumerate() {
        let arriving = gradient.row(row);
        match shape.pooling {
            Pooling::Last => {
                let forward = forward_columns(shape, columns);
                let (last, first) = (batch.index(row, length - 1), batch.index(row, 0));
                rows_mut(&mut spread.row_mut(last), 0..forward).assign(&rows(&arriving, 0..forward));
                rows_mut(&mut spread.row_mut(first), forward..columns)
                    .assign(&rows(&arriving, forward..columns));
            }
            Pooling::Mean => {
                let share = F::one() / F::from_f64(length as f64);
                for step in 0..length {
                    spread.row_mut(batch.index(row, step)).assign(&arriving.mapv(|value| value * share));
                }
            }
            Pooling::Max => {
                for column in 0..columns {
                    // The first of equal states gets it, as in the forward pass.
                    let mut winner = batch.index(row, 0);
                    for step in 1..length {
                        let candidate = batch.index(row, step);
                        if states[[candidate, column]] > states[[winner, column]] {
                            winner = candidate;
                        }
                    }
                    spread[[winner, column]] = arriving[column];
                }
            }
        }
    }
    spread
}

/// How many columns belong to the direction that ends at the last token.
fn forward_columns(shape: &Shape, columns: usize) -> usize {
    if shape.bidirectional { columns / 2 } else { columns }
}
