//! Random weights to begin training with.

use super::{Layer, Network, Real, RnnError, Shape};
use ndarray::ArrayViewMut;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Standard deviation of fresh embeddings. PyTorch takes 1, which makes the first layer's inputs larger than trained
/// ones; half of it learns faster here.
const EMBEDDING_DEVIATION: f64 = 0.5;

impl<F: Real> Network<F> {
    /// Random weights: recurrent layers uniform in ±1/√hidden and the head in ±1/√features, as PyTorch draws them;
    /// normal embeddings. Equal seeds give equal networks.
    ///
    /// # Errors
    /// A shape that describes no network.
    pub fn random(shape: Shape, seed: u64) -> Result<Self, RnnError> {
        let mut network = Network::zeros(shape)?;
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        for value in &mut network.embedding {
            *value = F::from_f64(normal(&mut random) * EMBEDDING_DEVIATION);
        }
        let bound = 1.0 / (shape.hidden as f64).sqrt();
        for direction in network.layers.iter_mut().flat_map(Layer::directions_mut) {
            uniform(direction.weight_ih.view_mut(), bound, &mut random);
            uniform(direction.weight_hh.view_mut(), bound, &mut random);
            uniform(direction.bias_ih.view_mut(), bound, &mut random);
            uniform(direction.bias_hh.view_mut(), bound, &mut random);
        }
        let bound = 1.0 / (shape.features() as f64).sqrt();
        uniform(network.head.weight.view_mut(), bound, &mut random);
        uniform(network.head.bias.view_mut(), bound, &mut random);
        Ok(network)
    }
}

fn uniform<F: Real, D: ndarray::Dimension>(
    mut tensor: ArrayViewMut<'_, F, D>,
    bound: f64,
    random: &mut ChaCha8Rng,
) {
    for value in &mut tensor {
        *value = F::from_f64(random.random_range(-bound..bound));
    }
}

/// A standard normal number (Box and Muller 1958).
fn normal(random: &mut ChaCha8Rng) -> f64 {
    // 1 - u lies in (0, 1], so that the logarithm is finite.
    let radius = (-2.0 * (1.0 - random.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.random::<f64>()).cos()
}
