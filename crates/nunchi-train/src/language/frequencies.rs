//! Drawing tokens in proportion to how often they occur.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Tokens to draw, by their frequency.
#[derive(Clone, Debug)]
pub(crate) struct Frequencies {
    /// The share of all tokens up to and with each.
    cumulative: Vec<f64>,
    /// The logarithm of each token's share.
    pub(super) logarithms: Vec<f32>,
}

impl Frequencies {
    /// From how often each token was seen.
    pub(crate) fn new(counts: &[u64]) -> Self {
        // Nothing is impossible.
        let total: f64 = counts.iter().map(|&count| count as f64 + 1.0).sum();
        let mut sum = 0.0;
        let mut cumulative = Vec::with_capacity(counts.len());
        let mut logarithms = Vec::with_capacity(counts.len());
        for &count in counts {
            let share = (count as f64 + 1.0) / total;
            sum += share;
            cumulative.push(sum);
            logarithms.push(share.ln() as f32);
        }
        Frequencies { cumulative, logarithms }
    }

    pub(super) fn draw(&self, random: &mut ChaCha8Rng) -> u32 {
        let at = random.random::<f64>() * self.cumulative.last().copied().unwrap_or(0.0);
        let token = self.cumulative.partition_point(|&sum| sum <= at);
        token.min(self.cumulative.len().saturating_sub(1)) as u32
    }
}
