//! A replay into a file: one process, no group. The file appears under its name when it is complete.

mod jsonl;
mod parquet;
mod part;
mod rows;

pub(crate) use part::check_new;
pub use rows::Form;

use self::jsonl::Jsonl;
use self::parquet::Parquet;
use self::part::{Opened, Part};
use self::rows::{Row, Rows, What};
use super::error::ReplayError;
use super::topic::{Outcome, Progress, ReplayContext};
use super::{Replay, ReplayStatus};
use crate::kafka::batch::Batch;
use crate::kafka::consumer::{Drained, Source};
use crate::pipeline::decoded::Decoded;
use crate::pipeline::{Pace, Pacer, PipelineError, Scope};
use crate::record::{Reader, Verdict};
use crate::telemetry::{BatchStats, WorkerMetrics};
use nunchi_engine::{Classifier, Prediction};
use rdkafka::message::Message;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Between two commits: what a killed process has to do again at most.
const COMMIT: Duration = Duration::from_secs(1);
/// How often progress is told.
const TELL: Duration = Duration::from_millis(250);
/// Longest pause between two looks at the wish to stop.
const GLANCE: Duration = Duration::from_millis(500);
/// How long leaving the brokers may take.
const LEAVE: Duration = Duration::from_secs(5);

impl Replay {
    /// Answers the plan into the file at `path`.
    ///
    /// # Errors
    /// The file or its beginnings belong to somebody else; it cannot be written; brokers that fail.
    pub fn into_file<J: Classifier>(
        &self,
        path: &Path,
        means: &ReplayContext<'_>,
        judge: J,
    ) -> Result<Outcome, ReplayError> {
        let form = Form::of(path)?;
        let (part, reached) = match Part::open(path, form, &self.plan, self.standing == ReplayStatus::New)? {
            Opened::Complete => {
                let progress = Progress::all(&self.plan);
                return Ok(Outcome::Finished { at: self.complete()?, progress });
            }
            Opened::Begun { part, reached } => (part, reached),
        };
        let rows: Box<dyn Rows> = match form {
            Form::Jsonl => Box::new(Jsonl::plain(part.file()?, &self.plan.id)),
            Form::JsonlGz => Box::new(Jsonl::gzip(part.file()?, &self.plan.id)),
            Form::Parquet => Box::new(Parquet::new(part.file()?).map_err(|e| ReplayError::file(path, e))?),
        };
        let first_ms = match means.pace {
            Pace::Speed(_) => self.first_timestamp(&reached)?,
            Pace::Free | Pace::Rate(_) => None,
        };
        let scope = self.scope(Pacer::new(means.pace, 1, first_ms), means.labels.clone());
        let clerk = FileWriter::new(self, means, judge, rows, part, reached);
        self.beside_live(&scope, |waits_for| clerk.write(&scope, waits_for))
    }
}

/// Writes the file.
struct FileWriter<'a, J> {
    replay: &'a Replay,
    means: &'a ReplayContext<'a>,
    judge: J,
    reader: Reader,
    metrics: WorkerMetrics,
    turn: BatchStats,
    predictions: Vec<Prediction>,
    rows: Box<dyn Rows>,
    part: Part,
    /// Offsets up to which records are in the file.
    reached: BTreeMap<i32, i64>,
}

impl<'a, J: Classifier> FileWriter<'a, J> {
    fn new(
        replay: &'a Replay,
        means: &'a ReplayContext<'a>,
        mut judge: J,
        rows: Box<dyn Rows>,
        part: Part,
        reached: BTreeMap<i32, i64>,
    ) -> Self {
        judge.refresh();
        let topic = &replay.config.input.topic;
        FileWriter {
            metrics: WorkerMetrics::new(means.metrics, topic, judge.labels(), judge.version()),
            reader: Reader::new(&replay.config),
            turn: BatchStats::default(),
            predictions: Vec::new(),
            replay,
            means,
            judge,
            rows,
            part,
            reached,
        }
    }

    fn write(mut self, scope: &Scope, waits_for: &Mutex<Option<i64>>) -> Result<Outcome, ReplayError> {
        let plan = &self.replay.plan;
        let source = Source::assign(&self.replay.config, &self.replay.clients, &self.reached)?;
        self.means.health.set_brokers_reached(0, true);
        // There is no group to join.
        self.means.health.set_group_joined(0, true);
        let mut batch = Batch::default();
        let (mut committed, mut told) = (Instant::now(), Instant::now());
        while !plan.is_done(&self.reached) && !self.means.stop.requested() {
            self.means.health.beat(0);
            let begin = Instant::now();
            let drained = source.drain(&mut batch, Some(scope))?;
            if drained == Drained::Records && !self.wait_for_rate(scope, batch.messages.len()) {
                self.take(scope, &batch, begin)?;
                source.retire(&batch.finished);
            }
            if committed.elapsed() >= COMMIT {
                self.commit()?;
                committed = Instant::now();
            }
            if told.elapsed() >= TELL {
                let waiting = *waits_for.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                (self.means.observer)(&Progress::of(plan, &self.reached, scope, waiting));
                told = Instant::now();
            }
        }
        drop(batch);
        source.close(LEAVE);
        self.commit()?;
        let progress = Progress::of(plan, &self.reached, scope, None);
        if !plan.is_done(&self.reached) {
            return Ok(Outcome::Stopped { progress });
        }
        self.rows.finish().map_err(|error| self.part.failed(error))?;
        self.part.complete()?;
        Ok(Outcome::Finished { at: self.replay.complete()?, progress })
    }

    /// Waits until the rate allows the turn; whether a stop was asked for meanwhile.
    fn wait_for_rate(&self, scope: &Scope, records: usize) -> bool {
        let due = scope.pacer.reserve(records);
        while let Some(left) = due.and_then(|due| due.checked_duration_since(Instant::now())) {
            self.means.health.beat(0);
            if self.means.stop.sleep(left.min(GLANCE)) {
                return true;
            }
        }
        false
    }

    /// Judges a batch and writes its rows.
    fn take(&mut self, scope: &Scope, batch: &Batch<'_>, begin: Instant) -> Result<(), ReplayError> {
        self.turn.clear();
        self.turn.verdicts.resize(self.judge.labels().len(), 0);
        let decoded: Vec<Decoded<'_>> =
            batch.messages.iter().map(|message| Decoded::read(&self.reader, message.payload())).collect();
        let texts: Vec<&str> = decoded.iter().filter_map(Decoded::text).collect();
        if let Err(reason) = self.judge.classify(&texts, &mut self.predictions) {
            let model = self.judge.version().to_owned();
            return Err(PipelineError::Classify { model, reason }.into());
        }
        let mut predictions = self.predictions.iter();
        for (message, decoded) in batch.messages.iter().zip(&decoded) {
            *self.turn.records_in.entry(message.partition()).or_default() += 1;
            self.turn.bytes_in += message.payload_len() as u64;
            let what = match decoded {
                Decoded::Comment(comment) => {
                    let prediction = predictions.next().expect("a prediction for every comment");
                    let label = prediction.label;
                    if !scope.writes(label) {
                        self.turn.left_out += 1;
                        continue;
                    }
                    self.turn.verdicts[label] += 1;
                    self.turn.tokens += prediction.tokens as u64;
                    self.turn.unknown_tokens += prediction.unknown as u64;
                    self.turn.truncated += u64::from(prediction.truncated);
                    let (labels, model) = (self.judge.labels(), self.judge.version());
                    let verdict = Verdict { id: comment.id, prediction, labels, model };
                    What::Verdict { verdict, echo: self.reader.echo(), fields: &comment.fields }
                }
                Decoded::Tombstone if scope.labels.is_some() => {
                    self.turn.left_out += 1;
                    continue;
                }
                Decoded::Tombstone => {
                    self.turn.tombstones += 1;
                    What::Tombstone
                }
                Decoded::Poisoned(letter) => {
                    self.turn.dead_letters[letter.class as usize] += 1;
                    What::DeadLetter(letter)
                }
            };
            let row = Row {
                topic: message.topic(),
                partition: message.partition(),
                offset: message.offset(),
                timestamp_ms: message.timestamp().to_millis(),
                key: message.key(),
                what,
            };
            self.turn.bytes_out += self.rows.write(&row).map_err(|error| self.part.failed(error))?;
        }
        self.turn.seconds = begin.elapsed().as_secs_f64();
        self.metrics.commit(&self.turn, false);
        scope.count(&self.turn, batch.outside);
        self.reached.extend(batch.spans.iter().map(|(&partition, span)| (partition, span.next)));
        Ok(())
    }

    /// What is written so far stays, whatever happens.
    fn commit(&mut self) -> Result<(), ReplayError> {
        let bytes = self.rows.commit().map_err(|error| self.part.failed(error))?;
        self.part.commit(bytes, &self.reached)
    }
}
