//! Where a model is good and where it is not: by class, by length, by a column of the data, by how sure it is.

use crate::metrics::{self, Outcome};
use serde::Serialize;

/// Longest comments of a bin of lengths, in characters; a last bin holds what is longer.
const LENGTHS: [u32; 11] = [5, 10, 20, 30, 40, 60, 80, 120, 200, 320, 640];
/// Shares of the comments for which the risk is stated.
const COVERAGES: [f64; 8] = [1.0, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.25];

/// The comments of one class.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recall {
    /// The class.
    pub label: String,
    /// How many comments it has.
    pub records: usize,
    /// The share of them that is found; `None` where there are none.
    pub recall: Option<f64>,
    /// The share of the verdicts with its label that are right; `None` where there are none.
    pub precision: Option<f64>,
}

/// Recall and precision of each class.
pub fn recall(outcomes: &[Outcome], labels: &[String]) -> Vec<Recall> {
    let share = |right: usize, all: usize| (all > 0).then(|| right as f64 / all as f64);
    let of = |(class, label): (usize, &String)| {
        let there = outcomes.iter().filter(|outcome| outcome.class == class);
        let records = there.clone().count();
        let hits = there.filter(|outcome| outcome.chosen() == class).count();
        let chosen = outcomes.iter().filter(|outcome| outcome.chosen() == class).count();
        Recall { label: label.clone(), records, recall: share(hits, records), precision: share(hits, chosen) }
    };
    labels.iter().enumerate().map(of).collect()
}

/// Comments of about the same length.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LengthBin {
    /// The shortest that belong here, in characters.
    pub from: u32,
    /// The longest that belong here; the last bin has no end.
    pub to: Option<u32>,
    /// How many.
    pub records: usize,
    /// The share of right verdicts.
    pub accuracy: f64,
    /// Where that lies with 95 % certainty.
    pub accuracy_95: [f64; 2],
}

impl LengthBin {
    /// Its lengths: `6–10`, `641+`.
    pub fn name(&self) -> String {
        match self.to {
            Some(to) => format!("{}–{to}", self.from.max(1)),
            None => format!("{}+", self.from),
        }
    }
}

/// Accuracy by length; `lengths` are those of the comments, in characters. Bins of nothing are left out.
pub fn by_length(outcomes: &[Outcome], lengths: &[u32]) -> Vec<LengthBin> {
    let mut counts = [(0_usize, 0_usize); LENGTHS.len() + 1];
    for (outcome, length) in outcomes.iter().zip(lengths) {
        let bin = &mut counts[LENGTHS.partition_point(|longest| longest < length)];
        bin.0 += 1;
        bin.1 += usize::from(outcome.is_right());
    }
    let bins = counts.iter().enumerate().filter(|(_, (records, _))| *records > 0);
    bins.map(|(at, &(records, right))| LengthBin {
        from: at.checked_sub(1).map_or(0, |before| LENGTHS[before] + 1),
        to: LENGTHS.get(at).copied(),
        records,
        accuracy: right as f64 / records as f64,
        accuracy_95: metrics::interval_95(right, records),
    })
    .collect()
}

/// Which comments belong together, by a column of the data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups {
    /// The column.
    pub column: String,
    /// Its values, in the order in which they were met.
    pub names: Vec<String>,
    /// By comment: an index into `names`.
    pub of: Vec<u32>,
}

impl Groups {
    /// The number of the group `name`, which is added if it is new.
    pub fn number(&mut self, name: &str) -> u32 {
        let found = self.names.iter().position(|known| known == name);
        let at = found.unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        });
        u32::try_from(at).expect("there are fewer groups than comments that fit into memory")
    }
}

/// The comments of one group.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Group {
    /// The value of the column.
    pub name: String,
    /// How many.
    pub records: usize,
    /// The share of right verdicts.
    pub accuracy: f64,
    /// Where that lies with 95 % certainty.
    pub accuracy_95: [f64; 2],
    /// The share of each class that is found, in the order of the labels; `None` where there are none.
    pub recall: Vec<Option<f64>>,
}

/// Accuracy and recall by group, by name.
pub fn by_group(outcomes: &[Outcome], groups: &Groups) -> Vec<Group> {
    let classes = outcomes.first().map_or(0, |outcome| outcome.probabilities.len());
    // Comments and right verdicts, by group and class.
    let mut counts = vec![vec![(0_usize, 0_usize); classes]; groups.names.len()];
    for (outcome, &group) in outcomes.iter().zip(&groups.of) {
        let (records, right) = &mut counts[group as usize][outcome.class];
        *records += 1;
        *right += usize::from(outcome.is_right());
    }
    let mut all: Vec<Group> = groups
        .names
        .iter()
        .zip(&counts)
        .map(|(name, counts)| {
            let (records, right) = counts.iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
            Group {
                name: name.clone(),
                records,
                accuracy: right as f64 / records.max(1) as f64,
                accuracy_95: metrics::interval_95(right, records),
                recall: counts
                    .iter()
                    .map(|&(all, right)| (all > 0).then(|| right as f64 / all as f64))
                    .collect(),
            }
        })
        .collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

/// What is wrong among the verdicts with the highest confidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Coverage {
    /// The share of the comments that are kept, the most confident.
    pub coverage: f64,
    /// How many these are.
    pub records: usize,
    /// The lowest probability of a kept verdict.
    pub confidence: f64,
    /// The share of wrong verdicts among the kept.
    pub risk: f64,
}

/// Risk against coverage: how often a model is wrong if only its most confident verdicts count.
pub fn risk_coverage(outcomes: &[Outcome]) -> Vec<Coverage> {
    let confidence = |outcome: &Outcome| outcome.probabilities[outcome.chosen()];
    let mut sorted: Vec<(f64, bool)> =
        outcomes.iter().map(|outcome| (confidence(outcome), outcome.is_right())).collect();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut wrong = vec![0_usize];
    wrong.extend(sorted.iter().scan(0, |sum, (_, right)| {
        *sum += usize::from(!right);
        Some(*sum)
    }));
    let at = |coverage: f64| {
        let records = (coverage * sorted.len() as f64).round() as usize;
        let (confidence, _) = *sorted.get(records.checked_sub(1)?)?;
        Some(Coverage { coverage, records, confidence, risk: wrong[records] as f64 / records as f64 })
    };
    COVERAGES.into_iter().filter_map(at).collect()
}

/// What a decision leaves of some verdicts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answered {
    /// Whose verdicts: a label, or a group.
    pub name: String,
    /// How many there are.
    pub records: usize,
    /// How many are not unsure.
    pub answered: usize,
    /// How many of these are right.
    pub right: usize,
}

impl Answered {
    fn of<'a>(name: &str, outcomes: impl Iterator<Item = &'a Outcome>) -> Self {
        let mut all = Answered { name: name.to_owned(), records: 0, answered: 0, right: 0 };
        for outcome in outcomes {
            all.records += 1;
            if outcome.unsure.is_none() {
                all.answered += 1;
                all.right += usize::from(outcome.is_right());
            }
        }
        all
    }

    /// The share that is answered; `None` where there is nothing.
    pub fn share(&self) -> Option<f64> {
        (self.records > 0).then(|| self.answered as f64 / self.records as f64)
    }

    /// The share of the answered that is right; `None` where none is.
    pub fn precision(&self) -> Option<f64> {
        (self.answered > 0).then(|| self.right as f64 / self.answered as f64)
    }
}

/// What a decision leaves, over all and by the label of the verdict.
pub fn answered(outcomes: &[Outcome], labels: &[String]) -> Vec<Answered> {
    let of_label = |(class, label): (usize, &String)| {
        Answered::of(label, outcomes.iter().filter(|outcome| outcome.chosen() == class))
    };
    std::iter::once(Answered::of("all", outcomes.iter()))
        .chain(labels.iter().enumerate().map(of_label))
        .collect()
}

/// What a decision leaves, by group, by name.
pub fn answered_by_group(outcomes: &[Outcome], groups: &Groups) -> Vec<Answered> {
    let mut members: Vec<Vec<&Outcome>> = vec![Vec::new(); groups.names.len()];
    for (outcome, &group) in outcomes.iter().zip(&groups.of) {
        members[group as usize].push(outcome);
    }
    let of_group = |(name, members): (&String, &Vec<&Outcome>)| Answered::of(name, members.iter().copied());
    let mut all: Vec<Answered> = groups.names.iter().zip(&members).map(of_group).collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn right() -> Outcome {
        Outcome::of_two(1, 0.9)
    }

    fn wrong() -> Outcome {
        Outcome::of_two(0, 0.8)
    }

    #[test]
    fn lengths_fall_into_bins_by_their_longest() {
        let bins = by_length(&[right(), wrong(), right(), right()], &[10, 10, 11, 5_000]);
        let shape: Vec<_> = bins.iter().map(|bin| (bin.from, bin.to, bin.records, bin.accuracy)).collect();
        assert_eq!(shape, [(6, Some(10), 2, 0.5), (11, Some(20), 1, 1.0), (641, None, 1, 1.0)]);
        assert_eq!((bins[0].name().as_str(), bins[2].name().as_str()), ("6–10", "641+"));
        assert!(by_length(&[], &[]).is_empty());
    }

    #[test]
    fn classes_are_counted_by_themselves() {
        let labels = ["negative", "positive"].map(str::to_owned);
        let classes = recall(&[right(), right(), wrong(), Outcome::of_two(0, 0.1)], &labels);
        let shape: Vec<_> = classes.iter().map(|one| (one.records, one.recall, one.precision)).collect();
        assert_eq!(shape, [(2, Some(0.5), Some(1.0)), (2, Some(1.0), Some(2.0 / 3.0))]);
        assert_eq!(recall(&[], &labels)[0].recall, None);
    }

    #[test]
    fn groups_are_counted_by_themselves() {
        let mut groups = Groups { column: "domain".to_owned(), ..Groups::default() };
        for name in ["b", "a", "b"] {
            let number = groups.number(name);
            groups.of.push(number);
        }
        let found = by_group(&[right(), right(), wrong()], &groups);
        let shape: Vec<_> = found.iter().map(|one| (one.name.as_str(), one.records, one.accuracy)).collect();
        assert_eq!(shape, [("a", 1, 1.0), ("b", 2, 0.5)]);
        assert_eq!(found[1].recall, [Some(0.0), Some(1.0)]);
        assert_eq!(found[0].recall, [None, Some(1.0)]);
    }

    #[test]
    fn what_is_unsure_counts_neither_as_right_nor_as_wrong() {
        let unsure = |outcome: Outcome| Outcome { unsure: Some(nunchi_engine::Unsure::Band), ..outcome };
        let outcomes = [right(), unsure(wrong()), wrong(), Outcome::of_two(0, 0.1)];
        let labels = ["negative", "positive"].map(str::to_owned);
        let found = answered(&outcomes, &labels);
        let shape: Vec<_> =
            found.iter().map(|one| (one.name.as_str(), one.records, one.answered, one.right)).collect();
        assert_eq!(shape, [("all", 4, 3, 2), ("negative", 1, 1, 1), ("positive", 3, 2, 1)]);
        assert_eq!((found[0].share(), found[2].precision()), (Some(0.75), Some(0.5)));
        let mut groups = Groups { column: "domain".to_owned(), ..Groups::default() };
        for name in ["b", "a", "b", "b"] {
            let number = groups.number(name);
            groups.of.push(number);
        }
        let by = answered_by_group(&outcomes, &groups);
        let shape: Vec<_> =
            by.iter().map(|one| (one.name.as_str(), one.records, one.answered, one.right)).collect();
        assert_eq!(shape, [("a", 1, 0, 0), ("b", 3, 3, 2)]);
        assert_eq!((by[0].share(), by[0].precision()), (Some(0.0), None));
        assert_eq!(answered(&[], &labels)[0].share(), None);
    }

    #[test]
    fn the_most_confident_verdicts_are_kept() {
        // Wrong with 0.8, right with 0.9: of the surer half none is wrong.
        let outcomes = [wrong(), right(), wrong(), right()];
        let risks = risk_coverage(&outcomes);
        let at = |share: f64| risks.iter().find(|one| one.coverage == share).copied().unwrap();
        assert_eq!((at(1.0).records, at(1.0).risk, at(1.0).confidence), (4, 0.5, 0.8));
        assert_eq!((at(0.5).records, at(0.5).risk, at(0.5).confidence), (2, 0.0, 0.9));
        assert!(risk_coverage(&[]).is_empty());
        assert!(risk_coverage(&[right()]).iter().all(|one| one.records == 1));
    }
}
