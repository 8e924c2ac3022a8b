//! How long a state remembers: what is left of a sequence's first token.

use super::{Cell, Network, Real, RnnError};
use ndarray::Axis;

impl<F: Real> Network<F> {
    /// How far the last layer's state moves when only the first token is another one: `‖h_d − h'_d‖`, the Euclidean
    /// distance of the states after `d` further tokens, as a mean over `sequences`; `[length]`, so the first is the
    /// distance right after the first token itself. `others` holds the token that takes the first one's place, one a
    /// sequence.
    ///
    /// # Errors
    /// A network without a state that is carried on (a bag), or that reads from the end too: its last state meets the
    /// first token directly.
    ///
    /// # Panics
    /// If sequences are empty or of different lengths, or tokens not below the vocabulary.
    pub fn fading(&self, sequences: &[&[u32]], others: &[u32]) -> Result<Vec<F>, RnnError> {
        if self.shape.cell == Cell::Bag || self.shape.bidirectional {
            let kind = if self.shape.bidirectional { "one that reads both ways" } else { "a bag of words" };
            return Err(RnnError::Shape(format!(
                "how a first token fades can be told of a network that reads one way, not of {kind}"
            )));
        }
        let length = sequences.first().map_or(0, |sequence| sequence.len());
        assert!(sequences.iter().all(|sequence| sequence.len() == length), "sequences of one length");
        let changed: Vec<Vec<u32>> = sequences
            .iter()
            .zip(others)
            .map(|(sequence, &other)| std::iter::once(other).chain(sequence[1..].iter().copied()).collect())
            .collect();
        let changed: Vec<&[u32]> = changed.iter().map(Vec::as_slice).collect();
        let difference = self.forward(sequences, None).states - self.forward(&changed, None).states;
        // Sequences of one length are packed time step by time step.
        let count = F::from_f64(sequences.len() as f64);
        let norms = difference.map_axis(Axis(1), |row| row.dot(&row).sqrt());
        Ok(norms.exact_chunks(sequences.len().max(1)).into_iter().map(|step| step.sum() / count).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rnn::{HeadKind, Pooling, Shape};

    fn network(cell: Cell, layers: usize) -> Network<f64> {
        let recurrent = cell != Cell::Bag;
        let shape = Shape {
            cell,
            vocabulary: 9,
            embedding: 3,
            hidden: if recurrent { 4 } else { 0 },
            layers,
            bidirectional: false,
            pooling: if recurrent { Pooling::Last } else { Pooling::Mean },
            head: HeadKind::Sigmoid,
            outputs: 1,
        };
        Network::random(shape, 3).unwrap()
    }

    #[test]
    fn a_linear_unit_forgets_at_the_rate_of_its_recurrent_weight() {
        // One unit near zero, where tanh is the identity: each step halves what is left.
        let mut network = network(Cell::Simple, 1);
        for (_, mut tensor) in network.tensors_mut() {
            tensor.fill(0.0);
        }
        network.embedding[[1, 0]] = 1e-3;
        let forward = &mut network.layers[0].forward;
        forward.weight_ih[[0, 0]] = 1.0;
        forward.weight_hh[[0, 0]] = 0.5;
        let faded = network.fading(&[&[1, 2, 3, 4], &[1, 4, 4, 4]], &[0, 5]).unwrap();
        assert_eq!(faded.len(), 4);
        for (at, value) in faded.iter().enumerate() {
            assert!((value - 1e-3 * 0.5_f64.powi(at as i32)).abs() < 1e-8, "{at}: {value}");
        }
    }

    #[test]
    fn distances_are_those_of_the_states_themselves() {
        for cell in [Cell::Simple, Cell::Gru, Cell::Lstm] {
            let network = network(cell, 2);
            let (one, other) = ([5_u32, 1, 2], [7_u32, 1, 2]);
            let faded = network.fading(&[&one], &[7]).unwrap();
            for end in 1..=3 {
                let state =
                    |tokens: &[u32]| network.forward(&[&tokens[..end]], None).features.row(0).to_owned();
                let difference = state(&one) - state(&other);
                let norm = difference.dot(&difference).sqrt();
                assert!((faded[end - 1] - norm).abs() < 1e-12, "{cell:?} after {end}");
            }
        }
    }

    #[test]
    fn a_bag_has_nothing_that_fades() {
        let error = network(Cell::Bag, 0).fading(&[&[1, 2]], &[3]).unwrap_err();
        assert!(error.to_string().contains("a bag of words"), "{error}");
    }
}
