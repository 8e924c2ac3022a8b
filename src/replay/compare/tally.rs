//! What is counted of two predictions of the same comment: flips and their ways, by product, time and length, changes of
//! the score, examples, and who agrees with the stars.

use super::figures::{Cell, Change, Example, Named, Side, Stars, TimeBucket, Unit, Way};
use crate::record::Comment;
use jiff::Timestamp;
use nunchi_engine::Prediction;
use nunchi_engine::score::WrittenScore;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// Products that are kept apart.
const PRODUCTS: usize = 50_000;
/// Products that are reported.
const REPORTED: usize = 20;
/// Examples of each way.
const EXAMPLES: usize = 10;
/// Characters of an example.
const EXCERPT: usize = 400;
/// Cells of a side of the map of scores, and bins of changes.
pub const GRID: usize = 20;
/// Upper bounds of lengths, in characters.
const LENGTHS: [usize; 6] = [10, 20, 40, 80, 160, 320];

/// Everything counted.
#[derive(Clone, Debug, Serialize)]
pub struct Tally {
    /// The two models.
    pub models: [Side; 2],
    /// Their labels.
    pub labels: Vec<String>,
    /// All comments.
    pub all: Cell,
    /// Comments by label, for each model.
    pub said: [Vec<u64>; 2],
    /// Flips by way, the most frequent first.
    pub ways: Vec<Way>,
    /// Changes of the score.
    pub change: Change,
    /// The products with most flips.
    pub by_product: Vec<Named>,
    /// Products that were seen, 50,000 at most; the others are counted together.
    pub products: u64,
    /// What `by_time` counts.
    pub unit: Unit,
    /// In order of time.
    pub by_time: Vec<TimeBucket>,
    /// By number of characters.
    pub by_length: Vec<Named>,
    /// The largest changes, those to a higher score first.
    pub examples: Vec<Example>,
    /// Where there are stars.
    pub stars: Stars,
    #[serde(skip)]
    flips: BTreeMap<[usize; 2], u64>,
    #[serde(skip)]
    product_cells: HashMap<String, Cell>,
    #[serde(skip)]
    lengths: [Cell; LENGTHS.len() + 1],
    #[serde(skip)]
    times: BTreeMap<i64, Cell>,
    #[serde(skip)]
    largest: [Vec<Example>; 2],
}

/// A comment that was judged twice.
pub(crate) struct Seen<'a> {
    pub(crate) comment: &'a Comment<'a>,
    pub(crate) rating: Option<u8>,
    pub(crate) product: Option<String>,
    pub(crate) timestamp_ms: Option<i64>,
    pub(crate) source: (&'a str, i32, i64),
    pub(crate) predictions: [&'a Prediction; 2],
}

impl Tally {
    pub(crate) fn new(models: [Side; 2], labels: Vec<String>) -> Self {
        let change = Change {
            mean: 0.0,
            mean_absolute: 0.0,
            histogram: vec![0; GRID],
            map: vec![0; GRID * GRID],
            sum: 0.0,
            sum_absolute: 0.0,
        };
        Tally {
            models,
            said: [vec![0; labels.len()], vec![0; labels.len()]],
            labels,
            all: Cell::default(),
            ways: Vec::new(),
            change,
            by_product: Vec::new(),
            products: 0,
            unit: Unit::Hour,
            by_time: Vec::new(),
            by_length: Vec::new(),
            examples: Vec::new(),
            stars: Stars::default(),
            flips: BTreeMap::new(),
            product_cells: HashMap::new(),
            lengths: Default::default(),
            times: BTreeMap::new(),
            largest: Default::default(),
        }
    }

    /// Counts a comment.
    pub(crate) fn add(&mut self, seen: &Seen<'_>) {
        let labels = seen.predictions.map(|prediction| prediction.label);
        self.all.add(labels);
        for (said, label) in self.said.iter_mut().zip(labels) {
            if let Some(count) = said.get_mut(label) {
                *count += 1;
            }
        }
        if labels[0] != labels[1] {
            *self.flips.entry(labels).or_default() += 1;
        }
        let length = seen.comment.text.chars().count();
        let bin = LENGTHS.iter().position(|&most| length <= most).unwrap_or(LENGTHS.len());
        self.lengths[bin].add(labels);
        if let Some(product) = &seen.product {
            self.add_product(product, labels);
        }
        if let Some(ms) = seen.timestamp_ms.filter(|&ms| ms >= 0) {
            self.times.entry(self.unit.start(ms)).or_default().add(labels);
            self.coarsen();
        }
        self.add_stars(seen.rating, labels);
        let change = self.add_change(seen, labels);
        self.add_example(seen, labels, change);
    }

    fn add_product(&mut self, product: &str, labels: [usize; 2]) {
        if let Some(cell) = self.product_cells.get_mut(product) {
            return cell.add(labels);
        }
        // What comes when the table is full is counted together.
        let is_apart = self.product_cells.len() < PRODUCTS;
        self.products += u64::from(is_apart);
        let name = if is_apart { product } else { OTHERS };
        self.product_cells.entry(name.to_owned()).or_default().add(labels);
    }

    /// Coarser stretches where the time from the first to the last is long: pictures stay readable, memory bounded.
    fn coarsen(&mut self) {
        const DAY: i64 = 86_400_000;
        let span = match (self.times.first_key_value(), self.times.last_key_value()) {
            (Some((first, _)), Some((last, _))) => last - first,
            _ => return,
        };
        let (most, coarser) = match self.unit {
            Unit::Hour => (7 * DAY, Unit::Day),
            Unit::Day => (184 * DAY, Unit::Month),
            Unit::Month => (20 * 366 * DAY, Unit::Year),
            Unit::Year => return,
        };
        if span > most {
            self.unit = coarser;
            for (start, cell) in std::mem::take(&mut self.times) {
                self.times.entry(coarser.start(start)).or_default().merge(cell);
            }
            self.coarsen();
        }
    }

    fn add_stars(&mut self, rating: Option<u8>, labels: [usize; 2]) {
        let Some(rating) = rating else { return };
        let right = match (self.labels.len(), rating) {
            (2, 1 | 2) => 0,
            (2, 4 | 5) => 1,
            (5, _) => usize::from(rating) - 1,
            _ => {
                self.stars.undecided += 1;
                return;
            }
        };
        let [first, second] = labels.map(|label| label == right);
        self.stars.paired.add(first, second);
        self.stars.by_rating[usize::from(rating) - 1].add(first, second);
    }

    fn add_change(&mut self, seen: &Seen<'_>, labels: [usize; 2]) -> f64 {
        let [first, second] = seen.predictions;
        let scores = [first, second].map(|prediction| WrittenScore::new(prediction.score).value());
        let change = if first.scores.is_empty() {
            scores[1] - scores[0]
        } else {
            let moved: f64 = first
                .scores
                .iter()
                .zip(&second.scores)
                .map(|(one, other)| f64::from((one - other).abs()) / 2.0)
                .sum();
            if labels[1] < labels[0] { -moved } else { moved }
        };
        let bin = |value: f64| ((value * GRID as f64) as usize).min(GRID - 1);
        self.change.sum += change;
        self.change.sum_absolute += change.abs();
        self.change.histogram[bin(f64::midpoint(change, 1.0))] += 1;
        self.change.map[bin(scores[0]) * GRID + bin(scores[1])] += 1;
        change
    }

    fn add_example(&mut self, seen: &Seen<'_>, labels: [usize; 2], change: f64) {
        let kept = &mut self.largest[usize::from(change < 0.0)];
        let smallest = kept.last().map_or(0.0, |example| example.change.abs());
        if change == 0.0 || kept.len() == EXAMPLES && change.abs() <= smallest {
            return;
        }
        let text: String = seen.comment.text.chars().take(EXCERPT).collect();
        let cut = text.len() < seen.comment.text.len();
        let text = if cut { text + "…" } else { text };
        // The same words ten times say no more than once.
        if let Some(same) = kept.iter().position(|example| example.text == text) {
            if change.abs() <= kept[same].change.abs() {
                return;
            }
            kept.remove(same);
        }
        let (topic, partition, offset) = seen.source;
        let example = Example {
            text,
            id: seen.comment.id.map(str::to_owned),
            product: seen.product.clone(),
            rating: seen.rating,
            timestamp: seen.timestamp_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok()),
            source: format!("{topic}/{partition}/{offset}"),
            labels: labels.map(|label| self.labels.get(label).cloned().unwrap_or_default()),
            scores: seen.predictions.map(|prediction| WrittenScore::new(prediction.score).value()),
            change,
        };
        let place = kept.partition_point(|other| other.change.abs() >= change.abs());
        kept.insert(place, example);
        kept.truncate(EXAMPLES);
    }

    /// Brings what was counted into the form of a report.
    pub(crate) fn settle(&mut self) {
        let label = |index: usize| self.labels.get(index).cloned().unwrap_or_default();
        self.ways = self
            .flips
            .iter()
            .map(|(&[from, to], &records)| Way { from: label(from), to: label(to), records })
            .collect();
        self.ways.sort_by_key(|way| std::cmp::Reverse(way.records));
        let mut products: Vec<Named> =
            self.product_cells.drain().map(|(name, cell)| Named { name, cell }).collect();
        products.sort_by(|one, other| (other.cell.flips, &one.name).cmp(&(one.cell.flips, &other.name)));
        products.truncate(REPORTED);
        self.by_product = products;
        self.by_time = self
            .times
            .iter()
            .filter_map(|(&ms, &cell)| {
                Some(TimeBucket { start: Timestamp::from_millisecond(ms).ok()?, cell })
            })
            .collect();
        let mut least = 0;
        self.by_length = self
            .lengths
            .iter()
            .enumerate()
            .map(|(bin, &cell)| {
                let name = match LENGTHS.get(bin) {
                    Some(most) => format!("{least}-{most}"),
                    None => format!("{least} and more"),
                };
                least = LENGTHS.get(bin).map_or(0, |most| most + 1);
                Named { name, cell }
            })
            .collect();
        let records = self.all.records.max(1) as f64;
        self.change.mean = self.change.sum / records;
        self.change.mean_absolute = self.change.sum_absolute / records;
        self.examples = std::mem::take(&mut self.largest).into_iter().flatten().collect();
    }
}

/// The name of all products that are not kept apart.
const OTHERS: &str = "(other products)";

#[cfg(test)]
mod tests {
    use super::*;
    use nunchi_eval::paired::Paired;

    fn tally() -> Tally {
        let side = |name: &str| Side { name: name.to_owned(), model: name.to_owned() };
        Tally::new([side("a"), side("b")], ["negative", "positive"].map(str::to_owned).to_vec())
    }

    fn add(tally: &mut Tally, text: &str, ms: i64, rating: Option<u8>, scores: [f32; 2]) {
        let comment = Comment { text: text.into(), ..Comment::default() };
        let predictions = scores.map(Prediction::of_two);
        tally.add(&Seen {
            comment: &comment,
            rating,
            product: Some(format!("P-{}", text.len())),
            timestamp_ms: Some(ms),
            source: ("comments", 0, ms),
            predictions: [&predictions[0], &predictions[1]],
        });
    }

    #[test]
    fn flips_have_a_way_a_time_a_length_and_a_product() {
        let mut tally = tally();
        add(&mut tally, "좋아요", 0, Some(5), [0.2, 0.9]);
        add(&mut tally, "별로", 3_600_000, Some(1), [0.7, 0.1]);
        add(&mut tally, "그냥 그래요 그래도 다음에 또 살게요", 3_600_001, Some(3), [0.6, 0.8]);
        add(&mut tally, "별로", 5, None, [0.6, 0.4]);
        tally.settle();
        assert_eq!(tally.all, Cell { records: 4, flips: 3, up: 1, down: 2 });
        assert_eq!(tally.said, [vec![1, 3], vec![2, 2]]);
        let ways: Vec<_> = tally.ways.iter().map(|way| (way.from.as_str(), way.records)).collect();
        assert_eq!(ways, [("positive", 2), ("negative", 1)]);
        assert_eq!(tally.by_time.iter().map(|time| time.cell.flips).collect::<Vec<_>>(), [2, 1]);
        assert_eq!((tally.by_length[0].cell.flips, tally.by_length[1].cell.records), (3, 1));
        assert_eq!(tally.by_product[0].cell.flips, 2);
        assert_eq!(tally.products, 3);
        assert_eq!(tally.stars.paired, Paired { only_second: 2, ..Paired::default() });
        assert_eq!(tally.stars.undecided, 1);
        let changes: Vec<f64> = tally.examples.iter().map(|example| example.change).collect();
        assert!((changes[0] - 0.7).abs() < 1e-6 && (changes[2] + 0.6).abs() < 1e-6, "{changes:?}");
    }

    #[test]
    fn a_long_range_has_coarse_times_and_few_examples() {
        let mut tally = tally();
        for month in 0..30 {
            for day in 0..28 {
                add(
                    &mut tally,
                    &format!("좋아요 {month} {}", day / 2 * 2),
                    (month * 31 + day) * 86_400_000,
                    None,
                    [0.4, 0.5 + day as f32 / 100.0],
                );
            }
        }
        tally.settle();
        assert_eq!(tally.unit, Unit::Month);
        assert!((30..=32).contains(&tally.by_time.len()), "{}", tally.by_time.len());
        assert_eq!(tally.by_time.iter().map(|time| time.cell.records).sum::<u64>(), 840);
        assert_eq!(tally.by_time[1].start.to_string(), "1970-02-01T00:00:00Z");
        assert_eq!(tally.examples.len(), EXAMPLES);
        assert!(tally.examples.iter().all(|example| example.change > 0.36));
        let texts: std::collections::HashSet<_> =
            tally.examples.iter().map(|example| &example.text).collect();
        assert_eq!(texts.len(), EXAMPLES, "each text once");
    }
}
