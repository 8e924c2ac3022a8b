//! A comparison: two models classify the same records, and nothing is written but a report.
//!
//! Invariant: memory does not grow with the range. Products, times and examples are bounded.

use super::error::ReplayError;
use super::progress::ReplayContext;
use super::work::Worked;
use super::{Plan, Replay, ReplayStatus, Request, RetentionGap, check_topics, group};
use crate::config::Config;
use crate::kafka::ClientProperties;
use crate::kafka::admin::Brokers;
use crate::kafka::batch::Batch;
use crate::kafka::consumer::Consumer;
use crate::pipeline::ModelPair;
use crate::pipeline::output::{BatchCounts, BatchError, BatchModel, Output, RecordOutcome};
use crate::record::Comment;
use nunchi_engine::{Classifier, Prediction};
use nunchi_eval::comparison::{ComparedComment, ComparedModel, Comparison};
use rdkafka::message::{BorrowedMessage, Message};
use serde::Serialize;
use std::time::Instant;

/// Places of the fields that are read besides text and id.
const RATING: usize = 0;
const PRODUCT: usize = 1;

/// The predictions of two models for the same records, compared.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The plan that was followed.
    pub plan: Plan,
    /// The parts of the range beyond retention.
    #[serde(rename = "gone")]
    pub retention_gaps: Vec<RetentionGap>,
    /// Whether every record was classified; false after a stop.
    pub complete: bool,
    /// Records that no model can classify.
    pub dead_letters: u64,
    /// Records without a value.
    pub tombstones: u64,
    /// Records between the offsets whose time is outside of the range.
    pub outside: u64,
    /// Seconds that it took.
    pub seconds: f64,
    /// Everything counted.
    #[serde(flatten)]
    pub comparison: Comparison,
}

impl Replay {
    /// A plan for a comparison, which is recorded nowhere.
    ///
    /// # Errors
    /// Topics that do not exist; brokers that do not answer.
    pub fn for_comparison(config: &Config, id: &str, request: &Request) -> Result<Self, ReplayError> {
        let live = ClientProperties::resolve(config)?;
        let mut config = config.clone();
        config.kafka.group = group(id);
        config.input.topic.clone_from(&request.topic);
        // Fields of the report; text and id are read anyway.
        config.output.echo = vec![config.input.rating_field.clone(), config.input.product_id_field.clone()];
        let clients = ClientProperties::resolve(&config)?;
        let brokers = Brokers::connect(&clients)?;
        check_topics(request, &brokers)?;
        let (plan, retention_gaps) = Plan::make(id, request, &brokers)?;
        Ok(Replay { plan, status: ReplayStatus::New, retention_gaps, config, clients, live, brokers })
    }

    /// Classifies the plan's records with both models.
    ///
    /// # Errors
    /// Models with different labels; brokers that fail.
    pub fn compare<C: Classifier>(
        &self,
        context: &ReplayContext<'_>,
        names: [String; 2],
        mut classifiers: [C; 2],
    ) -> Result<Report, ReplayError> {
        classifiers.iter_mut().for_each(C::refresh);
        let [left, right] = [&classifiers[0], &classifiers[1]].map(|model| model.labels().to_vec());
        if left != right {
            return Err(ReplayError::Usage(format!(
                "the models of --compare have different labels ({} and {}): their verdicts cannot be compared",
                left.join(", "),
                right.join(", ")
            )));
        }
        let mut side = 0;
        let sides = names.map(|name| {
            let version = classifiers[side].version().to_owned();
            side += 1;
            ComparedModel { name, version }
        });
        let (begin, starts) = (Instant::now(), self.plan.starts());
        let decision = &self.config.decision;
        let decided = decision.precision.is_some() || decision.band.is_some();
        let comparison = Comparison::new(sides, left).with_decision(decided);
        let output = ModelComparison { comparison, tombstones: 0 };
        let Worked { output, done, progress } =
            self.write_to(context, starts, ModelPair::new(classifiers), output)?;
        let ModelComparison { mut comparison, tombstones } = output;
        comparison.finish();
        Ok(Report {
            plan: self.plan.clone(),
            retention_gaps: self.retention_gaps.clone(),
            complete: done,
            dead_letters: progress.dead_letters,
            tombstones,
            outside: progress.outside,
            seconds: begin.elapsed().as_secs_f64(),
            comparison,
        })
    }
}

/// The pipeline's output that only counts. Counting cannot fail, so that no batch is ever undone.
struct ModelComparison {
    comparison: Comparison,
    tombstones: u64,
}

impl Output<[Prediction; 2]> for ModelComparison {
    /// The report has the number of dead letters.
    const STOPS_AT_POISON: bool = false;

    fn begin(&mut self, _oldest_ms: Option<i64>) -> Result<(), BatchError> {
        Ok(())
    }

    fn write(
        &mut self,
        message: &BorrowedMessage<'_>,
        outcome: RecordOutcome<'_, [Prediction; 2]>,
        _model: BatchModel<'_>,
        counts: &mut BatchCounts<'_>,
    ) -> Result<(), BatchError> {
        match outcome {
            RecordOutcome::Tombstone => self.tombstones += 1,
            RecordOutcome::DeadLetter(dead_letter) => counts.dead_letter(dead_letter.class, 0),
            RecordOutcome::Classified { comment, prediction: [left, right] } => {
                let (topic, partition, offset) = (message.topic(), message.partition(), message.offset());
                self.comparison.add(&ComparedComment {
                    text: &comment.text,
                    id: comment.id,
                    rating: rating(comment),
                    product: product(comment).as_deref(),
                    timestamp_ms: message.timestamp().to_millis(),
                    source: &format_args!("{topic}/{partition}/{offset}"),
                    predictions: [left, right],
                });
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), BatchError> {
        Ok(())
    }

    fn commit(&mut self, _consumer: &Consumer, _batch: &Batch<'_>) -> Result<(), BatchError> {
        Ok(())
    }
}

/// One to five stars, if the record has any.
fn rating(comment: &Comment<'_>) -> Option<u8> {
    let json = comment.fields.get(RATING).copied().flatten()?;
    let stars: f64 = json.trim_matches('"').parse().ok()?;
    (1.0..=5.0).contains(&stars).then(|| stars.round() as u8)
}

/// The product's id: a string or a number.
fn product(comment: &Comment<'_>) -> Option<String> {
    let json = comment.fields.get(PRODUCT).copied().flatten()?;
    match serde_json::from_str(json).ok()? {
        serde_json::Value::String(product) => Some(product),
        serde_json::Value::Number(product) => Some(product.to_string()),
        _ => None,
    }
}
