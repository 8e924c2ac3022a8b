//! Classifying whole data sets in memory, on all cores, and calibrating a network's scores.

use crate::metrics::{MIN_PROBABILITY, Outcome};
use ndarray::{Array2, ArrayView1};
use nunchi_data::{EncodedSet, Examples};
use nunchi_engine::backprop::spread;
use nunchi_engine::{Packed, Scratch};
use nunchi_model::rnn::{HeadKind, Network};

/// Examples of similar length that are classified together.
const CHUNK: usize = 1_024;

/// The network's logits, `[examples, outputs]`, in the order of the examples; by the engine in f32, whose table rows are rounded to
/// 16 bits as they are at work.
fn logits(network: &Network<f32>, examples: &Examples, threads: usize) -> Array2<f32> {
    let outputs = network.shape.outputs;
    let mut all = Array2::zeros((examples.len(), outputs));
    let Ok(packed) = Packed::new(network, None) else {
        unreachable!("the engine chooses a kernel that this CPU can run");
    };
    let order: Vec<usize> = (0..examples.len()).collect();
    let chunks: Vec<&[usize]> = order.chunks(CHUNK).collect();
    let mut jobs: Vec<(&[usize], Vec<f32>)> = chunks.into_iter().map(|chunk| (chunk, Vec::new())).collect();
    spread(threads, &mut jobs, |(chunk, logits)| {
        let tokens: Vec<u32> =
            chunk.iter().flat_map(|&example| examples.sequence(example)).copied().collect();
        let lengths: Vec<u32> =
            chunk.iter().map(|&example| examples.sequence(example).len() as u32).collect();
        packed.logits(&tokens, &lengths, &mut Scratch::default(), logits);
    });
    for (chunk, logits) in &jobs {
        for (&example, row) in chunk.iter().zip(logits.chunks_exact(outputs)) {
            all.row_mut(example).assign(&ArrayView1::from(row));
        }
    }
    all
}

/// Classifies every example, logits divided by `temperature`.
pub fn classify(
    network: &Network<f32>,
    examples: &Examples,
    temperature: f32,
    threads: usize,
) -> Vec<Outcome> {
    let logits = logits(network, examples, threads);
    outcomes(network.shape.head, &logits, examples, f64::from(temperature))
}

/// Outcomes from logits.
fn outcomes(head: HeadKind, logits: &Array2<f32>, examples: &Examples, temperature: f64) -> Vec<Outcome> {
    logits
        .rows()
        .into_iter()
        .enumerate()
        .map(|(example, row)| outcome(head, row, examples.class(example), temperature))
        .collect()
}

/// The outcome of one example from its logits.
pub(crate) fn outcome(
    head: HeadKind,
    logits: ArrayView1<'_, f32>,
    class: usize,
    temperature: f64,
) -> Outcome {
    let probabilities = head.probabilities(logits.mapv(f64::from).view(), temperature);
    match head {
        HeadKind::Sigmoid => Outcome::of_two(class, probabilities[0]),
        HeadKind::Softmax => Outcome { class, probabilities: probabilities.to_vec(), unsure: None },
    }
}

/// The temperature between 1/4 and 4 that makes the log loss on `groups` smallest (Guo et al. 2017): golden-section search over
/// its logarithm, in which the loss has one minimum. It changes scores, never verdicts. Every comment counts the same, but that
/// within a group the classes do: training balances them too. Nothing without comments.
pub fn calibrate(network: &Network<f32>, groups: &[EncodedSet], threads: usize) -> Option<f32> {
    let groups: Vec<&EncodedSet> = groups.iter().filter(|group| !group.examples.is_empty()).collect();
    if groups.is_empty() {
        return None;
    }
    let logits: Vec<Array2<f32>> =
        groups.iter().map(|group| logits(network, &group.examples, threads)).collect();
    let head = network.shape.head;
    let loss = |log_temperature: f64| -> f64 {
        let of_group = |(group, logits): (&&EncodedSet, &Array2<f32>)| {
            let mut classes = vec![(0.0, 0_usize); network.shape.classes()];
            for outcome in outcomes(head, logits, &group.examples, log_temperature.exp()) {
                let class = &mut classes[outcome.class];
                class.0 -= outcome.probabilities[outcome.class].max(MIN_PROBABILITY).ln();
                class.1 += 1;
            }
            let present = classes.iter().filter(|(_, count)| *count > 0);
            let means: Vec<f64> = present.map(|(sum, count)| sum / *count as f64).collect();
            group.examples.len() as f64 * means.iter().sum::<f64>() / means.len() as f64
        };
        groups.iter().zip(&logits).map(of_group).sum()
    };
    let shrink = (5.0_f64.sqrt() - 1.0) / 2.0;
    let (mut low, mut high) = (0.25_f64.ln(), 4.0_f64.ln());
    for _ in 0..30 {
        let (left, right) = (high - shrink * (high - low), low + shrink * (high - low));
        if loss(left) < loss(right) { high = right } else { low = left }
    }
    Some(((low + high) / 2.0).exp() as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nunchi_model::rnn::{Cell, Pooling, Shape};

    #[test]
    fn an_overconfident_network_is_cooled_down() {
        let shape = Shape {
            cell: Cell::Bag,
            vocabulary: 2,
            embedding: 1,
            hidden: 0,
            layers: 0,
            bidirectional: false,
            pooling: Pooling::Mean,
            head: HeadKind::Sigmoid,
            outputs: 1,
        };
        let mut network = Network::<f32>::zeros(shape).unwrap();
        network.embedding[[1, 0]] = 1.0;
        network.embedding[[0, 0]] = -1.0;
        // Its probability is 95 % (logit 3), and it is right 4 times in 5 (logit 1.386): the right temperature is 3 / 1.386.
        network.head.weight[[0, 0]] = 3.0;
        let mut examples = Examples::default();
        for index in 0..100 {
            examples.push(&[1], usize::from(index % 5 != 0), 1.0);
            examples.push(&[0], usize::from(index % 5 == 0), 1.0);
        }
        let group = EncodedSet { name: String::new(), examples };
        let temperature = calibrate(&network, &[group], 2).unwrap();
        assert_eq!(calibrate(&network, &[], 2), None);
        assert!((temperature - 3.0 / 4.0_f32.ln()).abs() < 1e-2, "{temperature}");
    }

    #[test]
    fn the_order_of_the_examples_is_kept() {
        let shape = Shape {
            cell: Cell::Gru,
            vocabulary: 20,
            embedding: 4,
            hidden: 5,
            layers: 1,
            bidirectional: false,
            pooling: Pooling::Last,
            head: HeadKind::Softmax,
            outputs: 3,
        };
        let network = Network::<f32>::random(shape, 1).unwrap();
        let mut examples = Examples::default();
        for index in 0..700_usize {
            let sequence: Vec<u32> = (0..index * 7 % 11 + 1).map(|step| (index + step) as u32 % 20).collect();
            examples.push(&sequence, 0, 1.0);
        }
        let all = logits(&network, &examples, 3);
        for index in [0, 1, 350, 699] {
            let alone = network.logits(&[examples.sequence(index)]);
            assert!((&alone.row(0) - &all.row(index)).iter().all(|difference| difference.abs() < 2e-3));
        }
    }
}
