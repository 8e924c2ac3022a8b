//! AdamW (Loshchilov and Hutter 2019), with a lazy form for the embedding table: rows that a batch does not touch stay
//! as they are, which is what makes a step's cost independent of the vocabulary.

use crate::rnn::{Gradients, Network};

const BETA1: f32 = 0.9;
const BETA2: f32 = 0.999;
const EPSILON: f32 = 1e-8;

/// First and second moments of one tensor's gradient.
#[derive(Debug, Clone)]
struct Moments {
    first: Vec<f32>,
    second: Vec<f32>,
}

impl Moments {
    fn new(len: usize) -> Self {
        Moments { first: vec![0.0; len], second: vec![0.0; len] }
    }
}

/// The optimiser's memory for one network.
#[derive(Debug, Clone)]
pub struct AdamW {
    embedding: Moments,
    dense: Vec<Moments>,
    decay: f32,
    steps: i32,
}

/// What one step needs beside the gradients.
#[derive(Debug, Clone, Copy)]
struct Step {
    rate: f32,
    correction1: f32,
    correction2: f32,
    /// The gradients are multiplied by this (clipping).
    scale: f32,
}

impl Step {
    fn apply(self, weights: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32]) {
        for (((weight, &gradient), first), second) in weights.iter_mut().zip(gradient).zip(first).zip(second)
        {
            let gradient = gradient * self.scale;
            *first = BETA1 * *first + (1.0 - BETA1) * gradient;
            *second = BETA2 * *second + (1.0 - BETA2) * gradient * gradient;
            *weight -=
                self.rate * (*first * self.correction1) / ((*second * self.correction2).sqrt() + EPSILON);
        }
    }
}

impl AdamW {
    /// Memory for `network`; `decay` shrinks weight matrices (neither biases nor embeddings).
    pub fn new(network: &Network<f32>, decay: f32) -> Self {
        let mut sizes = network.tensors().into_iter().map(|(_, tensor)| tensor.len());
        let embedding = Moments::new(sizes.next().expect("the first tensor is the embedding table"));
        AdamW { embedding, dense: sizes.map(Moments::new).collect(), decay, steps: 0 }
    }

    /// One step at learning rate `rate`, the gradients scaled down to a norm of at most `clip`. Returns their norm
    /// before.
    pub fn step(
        &mut self,
        network: &mut Network<f32>,
        gradients: &Gradients<f32>,
        rate: f32,
        clip: f32,
    ) -> f32 {
        self.steps += 1;
        let norm = norm(gradients);
        let step = Step {
            rate,
            correction1: 1.0 / (1.0 - BETA1.powi(self.steps)),
            correction2: 1.0 / (1.0 - BETA2.powi(self.steps)),
            scale: if norm > clip { clip / norm } else { 1.0 },
        };
        let mut tensors = network.tensors_mut().into_iter().map(|(_, tensor)| {
            let matrix = tensor.ndim() == 2;
            (matrix, tensor.into_slice().expect("weights are in standard layout"))
        });
        let (_, table) = tensors.next().expect("the first tensor is the embedding table");
        let columns = gradients.embedding.rows.ncols();
        for (&token, row) in gradients.embedding.tokens.iter().zip(gradients.embedding.rows.rows()) {
            let place = token as usize * columns..(token as usize + 1) * columns;
            step.apply(
                &mut table[place.clone()],
                row.to_slice().expect("gradients are in standard layout"),
                &mut self.embedding.first[place.clone()],
                &mut self.embedding.second[place],
            );
        }
        for (((matrix, weights), gradient), moments) in tensors.zip(gradients.dense()).zip(&mut self.dense) {
            if matrix {
                let keep = 1.0 - rate * self.decay;
                weights.iter_mut().for_each(|weight| *weight *= keep);
            }
            step.apply(weights, gradient, &mut moments.first, &mut moments.second);
        }
        norm
    }
}

/// The Euclidean norm over all gradients.
fn norm(gradients: &Gradients<f32>) -> f32 {
    let squares =
        |values: &[f32]| values.iter().map(|&value| f64::from(value) * f64::from(value)).sum::<f64>();
    let embedding: f64 =
        gradients.embedding.rows.rows().into_iter().filter_map(|row| row.to_slice().map(squares)).sum();
    let dense: f64 = gradients.dense().into_iter().map(squares).sum();
    (embedding + dense).sqrt() as f32
}

/// The learning rate over a run: a linear warm-up, then half a cosine down to zero (Loshchilov and Hutter 2017).
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    /// The highest rate.
    pub peak: f64,
    /// Steps of the whole run.
    pub steps: usize,
    /// How many of them warm up.
    pub warm_up: usize,
}

impl Schedule {
    /// The rate of step `step`, counted from 0.
    pub fn rate(&self, step: usize) -> f64 {
        if step < self.warm_up {
            return self.peak * (step + 1) as f64 / self.warm_up as f64;
        }
        let rest = (self.steps - self.warm_up).max(1) as f64;
        let progress = ((step - self.warm_up) as f64 / rest).min(1.0);
        self.peak * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rnn::{Cell, Dense, HeadKind, Pooling, Shape, SparseRows};
    use ndarray::{Array1, Array2, array};

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

    fn gradients() -> Gradients<f32> {
        Gradients {
            embedding: SparseRows { tokens: vec![1], rows: array![[3.0, 0.0]] },
            layers: Vec::new(),
            head: Dense { weight: Array2::zeros((1, 2)), bias: Array1::from_elem(1, -4.0) },
        }
    }

    #[test]
    fn a_first_step_goes_one_rate_against_the_gradient() {
        let mut network = bag();
        let norm = AdamW::new(&network, 0.0).step(&mut network, &gradients(), 0.1, 1.0);
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
        let mut none = gradients();
        none.head.bias.fill(0.0);
        none.embedding.rows.fill(0.0);
        AdamW::new(&network, 0.5).step(&mut network, &none, 0.1, 1.0);
        assert!((network.head.weight[[0, 0]] - 0.95).abs() < 1e-6);
        assert_eq!(network.embedding[[1, 0]], 1.0);
    }

    #[test]
    fn the_rate_rises_and_falls() {
        let schedule = Schedule { peak: 1.0, steps: 110, warm_up: 10 };
        assert!((schedule.rate(0) - 0.1).abs() < 1e-12);
        assert!((schedule.rate(10) - 1.0).abs() < 1e-12);
        assert!((schedule.rate(60) - 0.5).abs() < 1e-12);
        assert!(schedule.rate(109) < 1e-3);
    }
}
