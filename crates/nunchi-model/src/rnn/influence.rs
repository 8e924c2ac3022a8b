//! Influence decay: what is left of a sequence's first token in later states.

use super::{Cell, Network, Pooling, Real, RnnError};
use ndarray::{Array2, Axis};

/// How far two readings are apart, after 0, 1, 2 … further tokens; means over sequences.
#[derive(Clone, Debug, PartialEq)]
pub struct Distances<F> {
    /// Of the last layer's states: `‖h_d − h'_d‖`, Euclidean.
    pub states: Vec<F>,
    /// Of the head's outputs if it were applied there: `‖W (h_d − h'_d)‖`.
    pub logits: Vec<F>,
}

impl<F: Real> Network<F> {
    /// What happens after each token when only the first token is another one. `others` holds the token that takes the
    /// first one's place, one a sequence; the distances are as many as a sequence has tokens, the first of them right
    /// after the first token itself.
    ///
    /// # Errors
    /// A network without one state that is carried on and classified: a bag, a pooled network, or one that reads from the
    /// end too (its last state meets the first token directly).
    ///
    /// # Panics
    /// If sequences are empty or of different lengths, or tokens not below the vocabulary.
    pub fn influence_decay(&self, sequences: &[&[u32]], others: &[u32]) -> Result<Distances<F>, RnnError> {
        let not_of = match (self.shape.cell, self.shape.bidirectional, self.shape.pooling) {
            (Cell::Bag, _, _) => Some("a bag of words"),
            (_, true, _) => Some("a bidirectional one"),
            (_, _, Pooling::Mean | Pooling::Max) => Some("one that pools its states"),
            (_, false, Pooling::Last) => None,
        };
        if let Some(kind) = not_of {
            return Err(RnnError::Shape(format!(
                "influence decay is defined for a unidirectional network with last-state pooling, not for \
                 {kind}"
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
        let states = self.forward(sequences, None).states - self.forward(&changed, None).states;
        let logits = states.dot(&self.head.weight.t());
        // Sequences of one length are packed time step by time step.
        let means = |differences: &Array2<F>| {
            let norms = differences.map_axis(Axis(1), |row| row.dot(&row).sqrt());
            let steps = norms.exact_chunks(sequences.len().max(1));
            steps.into_iter().map(|step| step.sum() / F::from_f64(sequences.len() as f64)).collect()
        };
        Ok(Distances { states: means(&states), logits: means(&logits) })
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
        network.head.weight[[0, 0]] = -2.0;
        let decay = network.influence_decay(&[&[1, 2, 3, 4], &[1, 4, 4, 4]], &[0, 5]).unwrap();
        assert_eq!((decay.states.len(), decay.logits.len()), (4, 4));
        for (at, (state, logit)) in decay.states.iter().zip(&decay.logits).enumerate() {
            let left = 1e-3 * 0.5_f64.powi(at as i32);
            assert!(
                (state - left).abs() < 1e-8 && (logit - 2.0 * left).abs() < 1e-8,
                "{at}: {state}, {logit}"
            );
        }
    }

    #[test]
    fn distances_are_those_of_the_states_themselves() {
        for cell in [Cell::Simple, Cell::Gru, Cell::Lstm] {
            let network = network(cell, 2);
            let (one, other) = ([5_u32, 1, 2], [7_u32, 1, 2]);
            let decay = network.influence_decay(&[&one], &[7]).unwrap();
            for end in 1..=3 {
                let state =
                    |tokens: &[u32]| network.forward(&[&tokens[..end]], None).features.row(0).to_owned();
                let difference = state(&one) - state(&other);
                let norm = difference.dot(&difference).sqrt();
                assert!((decay.states[end - 1] - norm).abs() < 1e-12, "{cell:?} after {end}");
                let logit = |tokens: &[u32]| network.logits(&[&tokens[..end]])[[0, 0]];
                let apart = (logit(&one) - logit(&other)).abs();
                assert!((decay.logits[end - 1] - apart).abs() < 1e-12, "{cell:?} after {end}");
            }
        }
    }

    #[test]
    fn a_bag_has_nothing_that_fades() {
        let error = network(Cell::Bag, 0).influence_decay(&[&[1, 2]], &[3]).unwrap_err();
        assert!(error.to_string().contains("a bag of words"), "{error}");
    }
}
