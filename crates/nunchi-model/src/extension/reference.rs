//! What the model's input looked like: histograms to compare later input with.

use super::{check_comments, check_names};
use serde::{Deserialize, Serialize};

/// Most bins of a histogram.
const MAX_BINS: usize = 256;

/// Histograms over comments, measured with the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    /// The names of the files that it was measured on.
    pub data: Vec<String>,
    /// Comments.
    pub comments: u64,
    /// The score of their verdicts.
    pub score: Histogram,
    /// Their length in characters.
    pub length: Histogram,
    /// The share of their tokens that spell a byte, because no piece matches.
    pub byte_pieces: Histogram,
    /// How many have each label, in the order of the labels.
    pub labels: Vec<u64>,
}

/// Counts of values. Bin `k` holds those above `edges[k - 1]` and up to `edges[k]`; the last bin what is above all edges.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// Rising.
    pub edges: Vec<f64>,
    /// One more than there are edges.
    pub counts: Vec<u64>,
}

impl Histogram {
    /// An empty one; `edges` must rise.
    pub fn new(edges: impl IntoIterator<Item = f64>) -> Self {
        let edges: Vec<f64> = edges.into_iter().collect();
        Histogram { counts: vec![0; edges.len() + 1], edges }
    }

    /// Counts a value.
    pub fn count(&mut self, value: f64) {
        let bin = self.edges.partition_point(|&edge| edge < value);
        self.counts[bin] += 1;
    }

    fn check(&self, comments: u64) -> Result<(), String> {
        let (edges, counts) = (self.edges.len(), self.counts.len());
        if counts > MAX_BINS || counts != edges + 1 {
            return Err(format!("{edges} edges and {counts} counts; at most {MAX_BINS}, and one count more"));
        }
        // Written so that an edge that is not a number fails.
        if !self.edges.iter().all(|edge| edge.is_finite()) || !self.edges.is_sorted_by(|a, b| a < b) {
            return Err("edges must be numbers that rise".to_owned());
        }
        check_sum(&self.counts, comments)
    }
}

impl Reference {
    /// What must hold for a model with so many labels.
    pub(super) fn check(&self, labels: usize) -> Result<(), String> {
        check_names(&self.data)?;
        check_comments(self.comments)?;
        let histograms =
            [("score", &self.score), ("length", &self.length), ("byte_pieces", &self.byte_pieces)];
        for (name, histogram) in histograms {
            histogram.check(self.comments).map_err(|what| format!("{name}: {what}"))?;
        }
        if self.labels.len() != labels {
            return Err(format!("labels: {} counts for {labels} labels", self.labels.len()));
        }
        check_sum(&self.labels, self.comments).map_err(|what| format!("labels: {what}"))
    }
}

/// Whether `counts` are those of all `comments`.
fn check_sum(counts: &[u64], comments: u64) -> Result<(), String> {
    let sum = counts.iter().fold(0_u64, |sum, &count| sum.saturating_add(count));
    if sum == comments { Ok(()) } else { Err(format!("the counts add up to {sum}, not to {comments}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference() -> Reference {
        let mut score = Histogram::new([0.25, 0.5, 0.75]);
        [0.0, 0.25, 0.3, 0.9, 1.0].into_iter().for_each(|value| score.count(value));
        Reference {
            data: Vec::new(),
            comments: 5,
            length: Histogram { edges: vec![10.0], counts: vec![2, 3] },
            byte_pieces: Histogram { edges: vec![0.0, 0.5], counts: vec![4, 0, 1] },
            labels: vec![3, 2],
            score,
        }
    }

    #[test]
    fn a_value_on_an_edge_belongs_to_the_bin_below() {
        assert_eq!(reference().score.counts, [2, 1, 0, 2]);
        assert_eq!(reference().check(2), Ok(()));
    }

    #[test]
    fn histograms_that_cannot_be_are_refused() {
        type Change = fn(&mut Reference);
        let changes: [(Change, &str); 8] = [
            (|it| it.score.edges[1] = f64::NAN, "score: edges must be numbers"),
            (|it| it.score.edges[1] = 0.1, "score: edges must be numbers"),
            (|it| it.length.edges[0] = f64::INFINITY, "length: edges must be numbers"),
            (|it| it.length.counts.push(0), "1 edges and 3 counts"),
            (|it| it.length.counts[0] = u64::MAX, "add up to"),
            (|it| it.byte_pieces.counts[0] = 5, "byte_pieces: the counts add up to 6, not to 5"),
            (|it| it.labels.push(0), "labels: 3 counts for 2 labels"),
            (|it| it.comments = u64::MAX, "at most"),
        ];
        for (change, want) in changes {
            let mut changed = reference();
            change(&mut changed);
            let said = changed.check(2).expect_err("it is refused");
            assert!(said.contains(want), "{want}: {said}");
        }
        let mut wide = reference();
        wide.score = Histogram::new((0..300).map(f64::from));
        assert!(wide.check(2).is_err_and(|said| said.contains("at most 256")));
    }
}
