//! Which model agrees with the stars that people gave.

use crate::paired::Paired;
use serde::Serialize;

/// Both models against the stars.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Stars {
    /// Comments whose stars stand for a label, by which model gives it.
    pub paired: Paired,
    /// Comments with three stars of five, which stand for neither of two labels.
    pub undecided: u64,
    /// By stars, one to five.
    pub by_rating: [Paired; 5],
}

impl Stars {
    /// Counts a comment of `rating` stars, one to five; `classes` is the number of labels.
    pub(super) fn add(&mut self, rating: u8, classes: usize, labels: [usize; 2]) {
        let right = match (classes, rating) {
            (2, 1 | 2) => 0,
            (2, 4 | 5) => 1,
            (5, 1..=5) => usize::from(rating) - 1,
            _ => {
                self.undecided += 1;
                return;
            }
        };
        let [first, second] = labels.map(|label| label == right);
        self.paired.add(first, second);
        self.by_rating[usize::from(rating) - 1].add(first, second);
    }
}
