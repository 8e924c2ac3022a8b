//! From data files to what training needs: a corpus on disk to train on, and sets in memory to develop on.
//!
//! Always holds: no comment of a development set, as a network reads it, is in the corpus.

use super::corpus::{Corpus, CorpusError, NewRow, RowOptions, Writer};
use nunchi_data::{Columns, CommentKey, CommentKeys, Counts, Encoding, Reason};
use nunchi_data::{LabeledSet, Source};
use std::collections::HashSet;
use std::path::PathBuf;

/// A labeled file and the columns to read.
#[derive(Clone, Debug, PartialEq)]
pub struct LabeledFile {
    /// The file, and how much its comments count.
    pub source: Source,
    /// What to read of it.
    pub columns: Columns,
}

/// A file of comments whose labels, if it has any, are not read.
#[derive(Clone, Debug, PartialEq)]
pub struct UnlabeledFile {
    /// The file, and how much its comments count.
    pub source: Source,
    /// The column with the comment.
    pub text: String,
    /// The encoding of a text file, if it is told and not recognized.
    pub encoding: Option<Encoding>,
    /// Whether to leave out bad rows instead of failing.
    pub skip_bad_rows: bool,
}

/// Which rows of the labeled files are kept from training, to develop on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HoldOut {
    /// Every so many rows of a file one is; 0 for none.
    pub every: u64,
    /// No more of a file, which has rows held out at longer distances then; 0 for as many as there are.
    pub at_most: usize,
}

/// What to read.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// To train on.
    pub labeled: Vec<LabeledFile>,
    /// To train on too.
    pub unlabeled: Vec<UnlabeledFile>,
    /// To develop on.
    pub dev: Vec<LabeledFile>,
    /// To develop on too.
    pub hold_out: HoldOut,
    /// Where the temporary file is made, if not in the system's folder for such files.
    pub folder: Option<PathBuf>,
    /// How many classes there are.
    pub classes: usize,
}

impl Plan {
    /// The sources of the corpus, in its order.
    pub fn sources(&self) -> Vec<&Source> {
        let labeled = self.labeled.iter().map(|file| &file.source);
        labeled.chain(self.unlabeled.iter().map(|file| &file.source)).collect()
    }
}

/// The counts of one file's rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileReport {
    /// The file's name without its folder.
    pub name: String,
    /// What it held; of an unlabeled file no classes are counted.
    pub counts: Counts,
    /// Comments of an unlabeled file.
    pub unlabeled: usize,
    /// Rows held out to develop on.
    pub held_out: usize,
    /// Rows left out because a development set has the comment too.
    pub duplicates: u64,
}

/// What was read.
#[derive(Debug)]
pub struct Dataset {
    /// To train on; its sources are the labeled files and then the unlabeled ones.
    pub corpus: Corpus,
    /// To develop on: the files, then what was held out of each labeled file.
    pub dev: Vec<LabeledSet>,
    /// The counts of each source of the corpus.
    pub files: Vec<FileReport>,
}

impl Dataset {
    /// Reads all files of `plan`, once each.
    ///
    /// # Errors
    /// Files that cannot be used, one class alone in a labeled file or in what is left of all, no room on disk.
    pub fn read(plan: &Plan) -> Result<Self, CorpusError> {
        let mut builder = Builder {
            writer: Writer::new(plan.folder.as_deref(), plan.classes)?,
            keys: CommentKeys::default(),
            dev: HashSet::new(),
            held_out: HashSet::new(),
        };
        let mut dev = Vec::new();
        for file in &plan.dev {
            dev.push(builder.dev_set(file)?);
        }
        let (mut files, mut held_out) = (Vec::new(), Vec::new());
        for file in &plan.labeled {
            let (report, set) = builder.labeled(file, plan.hold_out)?;
            files.push(report);
            held_out.extend(Some(set).filter(|set| !set.texts.is_empty()));
        }
        for file in &plan.unlabeled {
            files.push(builder.unlabeled(file)?);
        }
        // A row that is held out late may have occurred before.
        let (corpus, dropped) = builder.writer.finish(&builder.held_out)?;
        for (file, dropped) in files.iter_mut().zip(dropped) {
            file.duplicates += dropped;
        }
        check_rest(&corpus, &files)?;
        dev.append(&mut held_out);
        Ok(Dataset { corpus, dev, files })
    }
}

/// Refuses a corpus of less than two classes.
fn check_rest(corpus: &Corpus, files: &[FileReport]) -> Result<(), CorpusError> {
    let present = corpus.classes().iter().filter(|&&count| count > 0).count();
    let left = match present {
        0 => "no labelled comment",
        1 => "one class alone",
        _ => return Ok(()),
    };
    Err(CorpusError::TooLittle {
        rows: files.iter().map(|file| file.counts.labeled() as u64).sum(),
        held_out: files.iter().map(|file| file.held_out as u64).sum(),
        duplicates: files.iter().map(|file| file.duplicates).sum(),
        left,
    })
}

/// Fills a corpus from files, without the comments of the development sets.
struct Builder {
    writer: Writer,
    keys: CommentKeys,
    /// Keys of the development files' comments.
    dev: HashSet<CommentKey>,
    /// Keys of what was held out.
    held_out: HashSet<CommentKey>,
}

impl Builder {
    fn dev_set(&mut self, file: &LabeledFile) -> Result<LabeledSet, CorpusError> {
        let LabeledFile { source, columns } = file;
        let mut set = LabeledSet { name: source.file_name(), ..LabeledSet::default() };
        let counts = nunchi_data::read(&source.path, columns, |example| {
            self.dev.insert(self.keys.key(example.text));
            set.texts.push(example.text.to_owned());
            set.classes.push(example.class);
        })?;
        nunchi_data::require_classes(&source.path, &columns.target, &counts)?;
        Ok(set)
    }

    fn begin(&mut self, source: &Source) {
        self.writer.begin_source(source.weight);
        let distillation_weight = source.distillation_weight.map(|share| share as f32);
        self.writer.set_options(RowOptions {
            distillation_weight,
            word_dropout: source.word_dropout,
            augmentation: source.augmentation,
        });
    }

    fn labeled(
        &mut self,
        file: &LabeledFile,
        hold_out: HoldOut,
    ) -> Result<(FileReport, LabeledSet), CorpusError> {
        let LabeledFile { source, columns } = file;
        self.begin(source);
        let every = source.hold_out.unwrap_or(hold_out.every);
        let (mut duplicates, mut sampler) = (0, HoldOutSampler::new(HoldOut { every, ..hold_out }));
        let soft = source.soft.as_deref();
        let counts = nunchi_data::try_read(&source.path, columns, soft, |example| {
            let key = self.keys.key(example.text);
            if self.dev.contains(&key) {
                duplicates += 1;
                return Ok(());
            }
            let row =
                NewRow { text: example.text, class: Some(example.class as u32), soft: example.soft, key };
            if !sampler.holds_next() {
                return self.writer.push(row);
            }
            sampler.hold(row).iter().try_for_each(|held| self.writer.push(held.row()))
        })?;
        nunchi_data::require_classes(&source.path, &columns.target, &counts)?;
        let set = sampler.into_set(format!("{} (held out)", source.file_name()), &mut self.held_out);
        let held_out = set.texts.len();
        Ok((FileReport { name: source.file_name(), counts, unlabeled: 0, held_out, duplicates }, set))
    }

    fn unlabeled(&mut self, file: &UnlabeledFile) -> Result<FileReport, CorpusError> {
        let UnlabeledFile { source, text, encoding, skip_bad_rows } = file;
        self.begin(source);
        let mut report = FileReport { name: source.file_name(), ..FileReport::default() };
        let soft = source.soft.as_deref();
        report.counts.left_out =
            nunchi_data::read_comments(&source.path, text, soft, (*encoding, *skip_bad_rows), |comment| {
                report.unlabeled += 1;
                let key = self.keys.key(comment.text);
                if self.dev.contains(&key) {
                    report.duplicates += 1;
                    return Ok(());
                }
                self.writer.push(NewRow { text: comment.text, class: None, soft: comment.soft, key })
            })?;
        report.counts.bad = report.counts.left_out.count(Reason::Bad) as usize;
        Ok(report)
    }
}

/// Holds every so many rows out, at longer distances as they become many.
struct HoldOutSampler {
    every: u64,
    at_most: usize,
    row: u64,
    held: Vec<Held>,
}

/// A row that is held out.
struct Held {
    number: u64,
    text: String,
    class: Option<u32>,
    soft: Option<f32>,
    key: CommentKey,
}

impl Held {
    fn row(&self) -> NewRow<'_> {
        NewRow { text: &self.text, class: self.class, soft: self.soft, key: self.key }
    }
}

impl HoldOutSampler {
    fn new(HoldOut { every, at_most }: HoldOut) -> Self {
        let at_most = if at_most == 0 { usize::MAX } else { at_most };
        HoldOutSampler { every, at_most, row: 0, held: Vec::new() }
    }

    /// Whether the next row is to be held out.
    fn holds_next(&mut self) -> bool {
        self.row += 1;
        self.every > 0 && self.row.is_multiple_of(self.every)
    }

    /// Holds a row out; returns those that need no longer be, for there are too many.
    fn hold(&mut self, NewRow { text, class, soft, key }: NewRow<'_>) -> Vec<Held> {
        self.held.push(Held { number: self.row, text: text.to_owned(), class, soft, key });
        if self.held.len() <= self.at_most {
            return Vec::new();
        }
        self.every *= 2;
        let (held, free) = std::mem::take(&mut self.held)
            .into_iter()
            .partition(|held| held.number.is_multiple_of(self.every));
        self.held = held;
        free
    }

    fn into_set(self, name: String, keys: &mut HashSet<CommentKey>) -> LabeledSet {
        let mut set = LabeledSet { name, ..LabeledSet::default() };
        for held in self.held {
            keys.insert(held.key);
            set.texts.push(held.text);
            set.classes.push(held.class.map_or(0, |class| class as usize));
        }
        set
    }
}
