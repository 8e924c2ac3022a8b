//! The sampled softmax of one prediction, over the CPU's vectors.

// Loops over fixed arrays are unrolled by the compiler; iterators over them are not, reliably.
#![allow(clippy::needless_range_loop)]

use nunchi_model::rnn::exp;
use pulp::NullaryFnOnce;

/// The softmax over candidates and the target: logits become their gradients, times `share`. Gives the target's probability and
/// `share` times the loss.
pub(super) struct Softmax<'a> {
    pub logits: &'a mut [f32],
    pub target: f32,
    pub share: f32,
}

impl NullaryFnOnce for Softmax<'_> {
    type Output = (f32, f32);

    #[inline(always)]
    fn call(self) -> (f32, f32) {
        softmax(self.logits, self.target, self.share)
    }
}

#[inline(always)]
fn softmax(logits: &mut [f32], target: f32, share: f32) -> (f32, f32) {
    const LANES: usize = 16;
    let mut maxima = [target; LANES];
    let (whole, rest) = logits.as_chunks_mut::<LANES>();
    for part in &*whole {
        for lane in 0..LANES {
            maxima[lane] = maxima[lane].max(part[lane]);
        }
    }
    let mut largest = target;
    for &logit in maxima.iter().chain(&*rest) {
        largest = largest.max(logit);
    }
    let mut sums = [0.0_f32; LANES];
    for part in &mut *whole {
        for lane in 0..LANES {
            part[lane] = exp(part[lane] - largest);
            sums[lane] += part[lane];
        }
    }
    let own = exp(target - largest);
    let mut total = own;
    for logit in &mut *rest {
        *logit = exp(*logit - largest);
        total += *logit;
    }
    for sum in sums {
        total += sum;
    }
    let scale = share / total;
    for logit in whole.as_flattened_mut() {
        *logit *= scale;
    }
    for logit in rest {
        *logit *= scale;
    }
    (own / total, share * (total.ln() + largest - target))
}
