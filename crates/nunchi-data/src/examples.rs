//! Tokenized, labeled comments in memory: token ids end to end, classes, and how much each example counts.

/// Tokenized, labeled comments.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Examples {
    tokens: Vec<u32>,
    ends: Vec<usize>,
    classes: Vec<usize>,
    weights: Vec<f32>,
}

impl Examples {
    /// How many.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// All tokens together.
    pub fn tokens(&self) -> usize {
        self.tokens.len()
    }

    /// The tokens of example `index`.
    pub fn sequence(&self, index: usize) -> &[u32] {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.tokens[start..self.ends[index]]
    }

    /// The class of example `index`.
    pub fn class(&self, index: usize) -> usize {
        self.classes[index]
    }

    /// How much example `index` counts.
    pub fn weight(&self, index: usize) -> f32 {
        self.weights[index]
    }

    /// Adds one example; it must have a token.
    pub fn push(&mut self, tokens: &[u32], class: usize, weight: f32) {
        self.tokens.extend_from_slice(tokens);
        self.ends.push(self.tokens.len());
        self.classes.push(class);
        self.weights.push(weight);
    }
}
