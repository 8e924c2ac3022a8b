//! A replay into a file: one process, no group. The file appears under its name when it is complete.

mod jsonl;
mod parquet;
mod part;
mod rows;

pub(super) use part::check_new;
pub use rows::FileFormat;

use self::jsonl::Jsonl;
use self::parquet::Parquet;
use self::part::{Opened, Part};
use self::rows::{Row, RowValue, Rows};
use super::error::ReplayError;
use super::progress::{Outcome, Progress, ReplayContext};
use super::work::Worked;
use super::{Replay, ReplayStatus};
use crate::kafka::batch::Batch;
use crate::kafka::consumer::Consumer;
use crate::pipeline::output::{BatchCounts, BatchError, BatchModel, Output, RecordOutcome};
use crate::pipeline::{LabelFilter, PipelineError};
use crate::record::Verdict;
use nunchi_engine::{Classifier, Prediction};
use rdkafka::message::{BorrowedMessage, Message};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// Interval of the syncs to disk: the most work that a killed process has to repeat.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);

impl Replay {
    /// Writes the plan's verdicts into the file at `path`.
    ///
    /// # Errors
    /// The file or its part belongs to another replay; it cannot be written; brokers that fail.
    pub fn into_file<C: Classifier>(
        &self,
        path: &Path,
        context: &ReplayContext<'_>,
        classifier: C,
    ) -> Result<Outcome, ReplayError> {
        let format = FileFormat::of(path)?;
        let is_new = self.status == ReplayStatus::New;
        let (part, starts) = match Part::open(path, format, &self.plan, is_new)? {
            Opened::Complete => {
                let progress = Progress::all(&self.plan);
                return Ok(Outcome::Finished { at: self.complete()?, progress });
            }
            Opened::Begun { part, reached } => (part, reached),
        };
        let rows: Box<dyn Rows> = match format {
            FileFormat::Jsonl => Box::new(Jsonl::plain(part.file()?, &self.plan.id)),
            FileFormat::JsonlGz => Box::new(Jsonl::gzip(part.file()?, &self.plan.id)),
            FileFormat::Parquet => {
                Box::new(Parquet::new(part.file()?).map_err(|error| ReplayError::file(path, error))?)
            }
        };
        let output = FileOutput {
            rows,
            part,
            echo: self.config.output.echo.clone(),
            labels: context.labels.clone(),
            reached: starts.clone(),
            synced: Instant::now(),
        };
        let Worked { mut output, done, progress } = self.write_to(context, starts, classifier, output)?;
        output.sync()?;
        if !done {
            return Ok(Outcome::Stopped { progress });
        }
        output.complete()?;
        Ok(Outcome::Finished { at: self.complete()?, progress })
    }
}

/// The pipeline's output into a file. A batch is committed when its rows are handed over; the
/// offsets in `FILE.part.json` cover those that are on the disk. A failed write ends the worker, so that no batch is ever
/// undone.
struct FileOutput {
    rows: Box<dyn Rows>,
    part: Part,
    /// Names of echoed fields.
    echo: Vec<String>,
    labels: LabelFilter,
    /// Offsets up to which records are in the file.
    reached: BTreeMap<i32, i64>,
    /// When everything was on the disk last.
    synced: Instant,
}

impl Output<Prediction> for FileOutput {
    /// Dead letters are rows of the file, so that none is lost.
    const STOPS_AT_POISON: bool = false;

    fn begin(&mut self, _oldest_ms: Option<i64>) -> Result<(), BatchError> {
        Ok(())
    }

    fn write(
        &mut self,
        message: &BorrowedMessage<'_>,
        outcome: RecordOutcome<'_, Prediction>,
        model: BatchModel<'_>,
        counts: &mut BatchCounts<'_>,
    ) -> Result<(), BatchError> {
        let is_left_out = match outcome {
            RecordOutcome::Classified { prediction, .. } => !self.labels.takes(prediction.label),
            RecordOutcome::Tombstone => !self.labels.takes_tombstones(),
            RecordOutcome::DeadLetter(_) => false,
        };
        if is_left_out {
            counts.left_out();
            return Ok(());
        }
        let value = match outcome {
            RecordOutcome::Classified { comment, prediction } => {
                let BatchModel { labels, version } = model;
                let verdict = Verdict { id: comment.id, prediction, labels, model: version };
                RowValue::Verdict { verdict, echo: &self.echo, fields: &comment.fields }
            }
            RecordOutcome::Tombstone => RowValue::Tombstone,
            RecordOutcome::DeadLetter(dead_letter) => RowValue::DeadLetter(dead_letter),
        };
        let row = Row {
            topic: message.topic(),
            partition: message.partition(),
            offset: message.offset(),
            timestamp_ms: message.timestamp().to_millis(),
            key: message.key(),
            value,
        };
        let bytes = self.rows.write(&row).map_err(|error| failed(self.part.failed(error)))?;
        match outcome {
            RecordOutcome::Classified { prediction, .. } => counts.verdict(prediction, bytes),
            RecordOutcome::Tombstone => counts.tombstone(bytes),
            RecordOutcome::DeadLetter(dead_letter) => counts.dead_letter(dead_letter.class, bytes),
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), BatchError> {
        Ok(())
    }

    fn commit(&mut self, _consumer: &Consumer, batch: &Batch<'_>) -> Result<(), BatchError> {
        self.reached.extend(batch.spans.iter().map(|(&partition, span)| (partition, span.next)));
        Ok(())
    }

    fn between_batches(&mut self) -> Result<(), PipelineError> {
        if self.synced.elapsed() < SYNC_INTERVAL {
            return Ok(());
        }
        self.synced = Instant::now();
        self.sync().map_err(|error| PipelineError::Output(Box::new(error)))
    }
}

impl FileOutput {
    /// Makes what is written so far durable.
    fn sync(&mut self) -> Result<(), ReplayError> {
        let bytes = self.rows.sync().map_err(|error| self.part.failed(error))?;
        self.part.commit(bytes, &self.reached)
    }

    /// Every record is in the file: it is renamed to its final name.
    fn complete(mut self) -> Result<(), ReplayError> {
        self.rows.finish().map_err(|error| self.part.failed(error))?;
        self.part.complete()
    }
}

fn failed(error: ReplayError) -> BatchError {
    BatchError::Fatal(PipelineError::Output(Box::new(error)))
}
