//! Data sets as the trainer wants them: token ids end to end, classes, and how much each example counts.

use super::data::{self, Columns, Counts, DataError};
use crate::text::{Scratch, Tokenizer};
use std::path::PathBuf;
use std::str::FromStr;

/// A data file and how much each of its examples counts; written `FILE` or `FILE,weight=3`.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// The file.
    pub path: PathBuf,
    /// The factor of its examples' loss.
    pub weight: f64,
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((path, weight)) = text.rsplit_once(",weight=") else {
            return Ok(Source { path: PathBuf::from(text), weight: 1.0 });
        };
        match weight.parse::<f64>() {
            Ok(weight) if weight.is_finite() && weight > 0.0 => {
                Ok(Source { path: PathBuf::from(path), weight })
            }
            _ => Err(format!("the weight `{weight}` is not a number above 0")),
        }
    }
}

/// Tokenised, labelled comments.
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

    fn of_class(&self, from: usize, class: usize) -> usize {
        self.classes[from..].iter().filter(|&&other| other == class).count()
    }

    /// Weights the examples from `from` on so that every class that occurs counts the same, and each on average
    /// `weight`.
    fn balance(&mut self, from: usize, classes: usize, weight: f64) {
        let counts: Vec<usize> = (0..classes).map(|class| self.of_class(from, class)).collect();
        let present = counts.iter().filter(|&&count| count > 0).count();
        let total = self.len() - from;
        for (class, factor) in self.classes[from..].iter().zip(&mut self.weights[from..]) {
            *factor = (weight * total as f64 / (present * counts[*class]) as f64) as f32;
        }
    }

    /// Scales all weights to a mean of 1, so that the learning rate means the same for every mixture of files.
    fn normalise(&mut self) {
        let sum: f64 = self.weights.iter().map(|&weight| f64::from(weight)).sum();
        let scale = (self.len() as f64 / sum.max(f64::MIN_POSITIVE)) as f32;
        self.weights.iter_mut().for_each(|weight| *weight *= scale);
    }
}

/// Examples to develop on, with a name for people.
#[derive(Clone, Debug)]
pub struct Group {
    /// The file's name; held-out parts say so.
    pub name: String,
    /// The examples, each weighing 1.
    pub examples: Examples,
}

/// How comments become examples.
#[derive(Debug)]
pub struct Reader<'a> {
    /// Cuts comments into tokens.
    pub tokenizer: &'a Tokenizer,
    /// Longer comments keep their first tokens.
    pub max_tokens: usize,
    /// What to read.
    pub columns: &'a Columns,
    /// Every so many rows one is held out of training; 0 holds out none.
    pub hold_out: usize,
}

/// What was read for training.
#[derive(Debug, Default)]
pub struct Loaded {
    /// To train on; weights have a mean of 1.
    pub examples: Examples,
    /// What was held out, one group a file.
    pub held_out: Vec<Group>,
    /// What each file held.
    pub counts: Vec<Counts>,
}

impl Reader<'_> {
    /// Reads `sources` for training; within each the classes are weighted to balance.
    ///
    /// # Errors
    /// Files that cannot be read or understood, and files with one class alone.
    pub fn load(&self, sources: &[Source]) -> Result<Loaded, DataError> {
        let mut loaded = Loaded::default();
        for source in sources {
            let from = loaded.examples.len();
            let mut held_out = Examples::default();
            let mut row = 0_usize;
            let counts = self.read(source, |tokens, class| {
                row += 1;
                let held = self.hold_out > 0 && row.is_multiple_of(self.hold_out);
                let target = if held { &mut held_out } else { &mut loaded.examples };
                target.push(tokens, class, 1.0);
            })?;
            data::require_classes(&source.path, &self.columns.target, &counts)?;
            loaded.examples.balance(from, self.columns.target.classes(), source.weight);
            if !held_out.is_empty() {
                let name = format!("{} (held out)", file_name(source));
                loaded.held_out.push(Group { name, examples: held_out });
            }
            loaded.counts.push(counts);
        }
        loaded.examples.normalise();
        Ok(loaded)
    }

    /// Reads a development set.
    ///
    /// # Errors
    /// As [`Reader::load`].
    pub fn group(&self, source: &Source) -> Result<Group, DataError> {
        let mut examples = Examples::default();
        let counts = self.read(source, |tokens, class| examples.push(tokens, class, 1.0))?;
        data::require_classes(&source.path, &self.columns.target, &counts)?;
        Ok(Group { name: file_name(source), examples })
    }

    fn read(&self, source: &Source, mut take: impl FnMut(&[u32], usize)) -> Result<Counts, DataError> {
        let (mut scratch, mut tokens) = (Scratch::default(), Vec::new());
        data::read(&source.path, self.columns, |example| {
            tokens.clear();
            self.tokenizer.encode(example.text, self.max_tokens, &mut scratch, &mut tokens);
            take(&tokens, example.class);
        })
    }
}

/// The file's name without its folder: what reports may say about where data lies.
pub fn file_name(source: &Source) -> String {
    source
        .path
        .file_name()
        .map_or_else(|| source.path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_written_after_the_file() {
        assert_eq!("a.tsv".parse(), Ok(Source { path: "a.tsv".into(), weight: 1.0 }));
        assert_eq!("a.tsv.gz,weight=2.5".parse(), Ok(Source { path: "a.tsv.gz".into(), weight: 2.5 }));
        assert!("a.tsv,weight=0".parse::<Source>().is_err());
        assert!("a.tsv,weight=x".parse::<Source>().is_err());
    }

    #[test]
    fn classes_balance_and_the_mean_weight_is_one() {
        let mut examples = Examples::default();
        for index in 0..8 {
            examples.push(&[1, 2], usize::from(index < 6), 1.0);
        }
        examples.balance(0, 2, 3.0);
        examples.push(&[3], 0, 1.0);
        examples.normalise();
        let sum = |class| -> f32 {
            (0..8).filter(|&index| examples.class(index) == class).map(|index| examples.weight(index)).sum()
        };
        assert!((sum(0) - sum(1)).abs() < 1e-5);
        let mean: f32 = (0..9).map(|index| examples.weight(index)).sum::<f32>() / 9.0;
        assert!((mean - 1.0).abs() < 1e-6);
        assert_eq!(examples.sequence(8), [3]);
    }
}
