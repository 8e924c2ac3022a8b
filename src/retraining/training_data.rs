//! The data of a run, and whether it is sufficient.

use super::comment::{Comment, classes};
use super::corrections::Corrections;
use super::split::{LabeledSource, Split, split};
use super::topics::{Collected, collect};
use super::{Request, RetrainError, corrections, files, topics};
use crate::kafka::ClientProperties;
use crate::kafka::history::History;
use crate::registry::Data;
use nunchi_data::ColumnHints;
use nunchi_data::Source;
use nunchi_eval::pairs::{self, Pair, PairOrder};
use nunchi_model::{Model, SIGMOID_LABELS};

/// Fewest comments of the rarer class in all that is new.
const MIN_OF_CLASS: usize = 20;
/// Fewest comments of the rarer class in the test set.
const MIN_OF_CLASS_IN_TEST: usize = 5;

/// What was read.
pub(super) struct TrainingData {
    /// Outcomes of the topics' records.
    pub(super) records: topics::Counts,
    /// Outcomes of the corrections.
    pub(super) corrections: corrections::Counts,
    /// The training, dev and test sets.
    pub(super) split: Split,
    /// The golden set.
    pub(super) golden: Vec<Comment>,
    /// The pairs.
    pub(super) pairs: Vec<Pair>,
    /// What was read, for the manifest.
    pub(super) manifest: Data,
}

impl TrainingData {
    /// Reads everything that `request` names, for a successor of `current`.
    pub(super) fn read(request: &Request, current: &Model, say: &dyn Fn(&str)) -> Result<Self, RetrainError> {
        // Files first: their errors are reported before the topics are read.
        let pairs = match &request.pairs {
            Some(path) => pairs::read(path, &current.labels, PairOrder::Any)?,
            None if current.labels == SIGMOID_LABELS => pairs::built_in(),
            None => Vec::new(),
        };
        let mut files = Files::new(request, current, say);
        let mut golden = Vec::new();
        for source in &request.golden {
            golden.extend(files.read(source, usize::MAX, false)?.comments);
        }
        let mut new = Vec::new();
        for source in &request.data {
            new.push(files.read(source, request.window.max_comments, false)?);
        }
        let (collected, corrections) = read_topics(request, current)?;
        if collected.counts.records > 0 {
            say(&summary(request, &collected));
        }
        let name = request.window.topics.join(", ");
        let from_topics = LabeledSource { name, weight: 1.0, old: false, comments: collected.comments };
        if !from_topics.comments.is_empty() {
            new.insert(0, from_topics);
        }
        let count: usize = new.iter().map(|source| source.comments.len()).sum();
        let max_comments = ((count as f64 * request.mix_ratio) as usize / request.mix.len().max(1)).max(1);
        let old = request.mix.iter().map(|source| files.read(source, max_comments, true));
        let old = old.collect::<Result<Vec<_>, _>>()?;
        let topics = collected.ranges.into_iter().chain(corrections.ranges).collect();
        Ok(TrainingData {
            records: collected.counts,
            corrections: corrections.counts,
            split: split(new, old, &golden, request.test_share),
            golden,
            pairs,
            manifest: Data { topics, files: files.data.files },
        })
    }

    /// Why the data is insufficient; `None` if it is sufficient.
    pub(super) fn too_little(&self, min_comments: usize, labels: &[String]) -> Option<String> {
        let test = &self.split.test;
        let learned = || self.split.new_sources();
        let all = learned().map(|source| source.comments.len()).sum::<usize>() + test.len();
        if all < min_comments {
            let files = self.manifest.files.len();
            return Some(format!(
                "{all} new labelled comments are too few, {min_comments} are needed (--least); {} records and {files} files were read",
                self.records.records
            ));
        }
        let mut counts = classes(test, labels.len());
        if let Some(class) = rarest(&counts).filter(|&class| counts[class] < MIN_OF_CLASS_IN_TEST) {
            return Some(format!(
                "of the {} comments of the test set {} are {}: with one class alone nothing can be measured",
                test.len(),
                counts[class],
                labels[class]
            ));
        }
        for source in learned() {
            let of_source = classes(&source.comments, labels.len());
            counts.iter_mut().zip(of_source).for_each(|(count, more)| *count += more);
        }
        rarest(&counts).filter(|&class| counts[class] < MIN_OF_CLASS).map(|class| {
            format!(
                "of {all} new comments {} are {}: with one class alone nothing can be trained",
                counts[class], labels[class]
            )
        })
    }
}

/// Reads files, and lists them for the manifest.
struct Files<'a> {
    say: &'a dyn Fn(&str),
    columns: ColumnHints,
    labels: Vec<String>,
    seed: u64,
    data: Data,
}

impl<'a> Files<'a> {
    fn new(request: &Request, current: &Model, say: &'a dyn Fn(&str)) -> Self {
        Files {
            say,
            columns: request.columns.clone(),
            labels: current.labels.clone(),
            seed: request.recipe.settings.seed,
            data: Data::default(),
        }
    }

    fn read(
        &mut self,
        source: &Source,
        max_comments: usize,
        old: bool,
    ) -> Result<LabeledSource, RetrainError> {
        let columns = self.columns.columns(&source.path, &self.labels)?;
        let say = |what: &str| (self.say)(&format!("{}: {what}", source.path.display()));
        if let Some(remarks) = &columns.remarks {
            say(remarks);
        }
        let read = files::read(source, &columns, max_comments, self.seed)?;
        if read.left_out.total() > 0 {
            say(&format!("left out: {}", read.left_out));
        }
        self.data.files.push(read.file);
        Ok(LabeledSource { name: source.file_name(), weight: read.weight, old, comments: read.comments })
    }
}

fn read_topics(request: &Request, current: &Model) -> Result<(Collected, Corrections), RetrainError> {
    if request.window.topics.is_empty() {
        return Ok((Collected::default(), Corrections::default()));
    }
    let clients = ClientProperties::resolve(&request.config)
        .map_err(|errors| RetrainError::Usage(errors.to_string()))?;
    let history = History::connect(&clients)?;
    let corrections = match &request.corrections {
        Some(topic) => Corrections::read(&history, topic, &current.labels)?,
        None => Corrections::default(),
    };
    Ok((collect(&history, &request.window, &corrections, &request.config)?, corrections))
}

fn summary(request: &Request, collected: &Collected) -> String {
    let counts = &collected.counts;
    format!(
        "{} records in {}: {} labelled ({} by people), {} without a label, {} in between, {} unreadable",
        counts.records,
        request.window.topics.join(", "),
        collected.comments.len(),
        counts.corrected,
        counts.unlabelled,
        counts.between,
        counts.unreadable
    )
}

/// The class with the fewest comments.
fn rarest(counts: &[usize]) -> Option<usize> {
    (0..counts.len()).min_by_key(|&class| counts[class])
}
