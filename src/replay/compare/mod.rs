//! What if: two models judge the same records, and nothing is written but a report.
//!
//! Always holds: memory does not grow with the range. Products, times and examples are bounded.

use super::error::ReplayError;
use super::topic::{Progress, ReplayContext};
use super::{Brokers, Plan, Replay, ReplayStatus, Request, RetentionGap, check_topics, group, resolve};
use crate::config::Config;
use crate::kafka::batch::Batch;
use crate::kafka::consumer::{Drained, Source};
use crate::pipeline::decoded::Decoded;
use crate::pipeline::{Pace, Pacer, PipelineError, Scope};
use crate::record::{Comment, Reader};
use crate::telemetry::BatchStats;
use nunchi_engine::{Classifier, Prediction};
use nunchi_eval::comparison::{ComparedComment, ComparedModel, Comparison};
use rdkafka::message::Message;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often progress is told.
const TELL: Duration = Duration::from_millis(250);
/// Longest pause between two looks at the wish to stop.
const GLANCE: Duration = Duration::from_millis(500);
/// How long leaving the brokers may take.
const LEAVE: Duration = Duration::from_secs(5);
/// Places of the fields that are read besides text and id.
const RATING: usize = 0;
const PRODUCT: usize = 1;

/// What two models say about the same records.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The plan that was followed.
    pub plan: Plan,
    /// What of the range is missing.
    pub gone: Vec<RetentionGap>,
    /// Whether every record was judged; false after a stop.
    pub complete: bool,
    /// Records that no model can judge.
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
    /// A plan for a look: nothing of it is written down.
    ///
    /// # Errors
    /// Topics that do not exist; brokers that do not answer.
    pub fn what_if(config: &Config, id: &str, request: &Request) -> Result<Self, ReplayError> {
        let live = resolve(config)?;
        let mut config = config.clone();
        config.kafka.group = group(id);
        config.input.topic.clone_from(&request.topic);
        // What the report tells of a record; text and id are read anyway.
        config.output.echo = vec![config.input.rating_field.clone(), config.input.product_id_field.clone()];
        let clients = resolve(&config)?;
        let brokers = Brokers::connect(&clients)?;
        check_topics(request, &brokers)?;
        let (plan, gone) = Plan::make(id, request, &brokers)?;
        Ok(Replay { plan, standing: ReplayStatus::New, gone, config, clients, live, brokers })
    }

    /// Judges the plan's records with both models.
    ///
    /// # Errors
    /// Models with different labels; brokers that fail.
    pub fn compare<J: Classifier>(
        &self,
        means: &ReplayContext<'_>,
        names: [String; 2],
        mut judges: [J; 2],
    ) -> Result<Report, ReplayError> {
        judges.iter_mut().for_each(J::refresh);
        let [left, right] = [&judges[0], &judges[1]].map(|judge| judge.labels().to_vec());
        if left != right {
            return Err(ReplayError::Usage(format!(
                "the models of --compare have different labels ({} and {}): their verdicts cannot be compared",
                left.join(", "),
                right.join(", ")
            )));
        }
        let first_ms = match means.pace {
            Pace::Speed(_) => self.first_timestamp(&self.plan.starts())?,
            Pace::Free | Pace::Rate(_) => None,
        };
        let scope = self.scope(Pacer::new(means.pace, 1, first_ms), None);
        let sides = [0, 1].map(|side: usize| ComparedModel {
            name: names[side].clone(),
            version: judges[side].version().to_owned(),
        });
        let looker = ModelComparison {
            replay: self,
            means,
            judges,
            reader: Reader::new(&self.config),
            comparison: Comparison::new(sides, left),
            reached: self.plan.starts(),
            turn: BatchStats::default(),
            tombstones: 0,
        };
        self.beside_live(&scope, |waits_for| looker.look(&scope, waits_for))
    }
}

/// Judges twice and counts.
struct ModelComparison<'a, J> {
    replay: &'a Replay,
    means: &'a ReplayContext<'a>,
    judges: [J; 2],
    reader: Reader,
    comparison: Comparison,
    reached: BTreeMap<i32, i64>,
    turn: BatchStats,
    tombstones: u64,
}

impl<J: Classifier> ModelComparison<'_, J> {
    fn look(mut self, scope: &Scope, waits_for: &Mutex<Option<i64>>) -> Result<Report, ReplayError> {
        let (plan, begin) = (&self.replay.plan, Instant::now());
        let source = Source::assign(&self.replay.config, &self.replay.clients, &self.reached)?;
        self.means.health.set_brokers_reached(0, true);
        // There is no group to join.
        self.means.health.set_group_joined(0, true);
        let (mut batch, mut told) = (Batch::default(), Instant::now());
        while !plan.is_done(&self.reached) && !self.means.stop.requested() {
            self.means.health.beat(0);
            if source.drain(&mut batch, Some(scope))? == Drained::Records
                && !self.wait_for_rate(scope, batch.messages.len())
            {
                self.judge(scope, &batch)?;
                source.retire(&batch.finished);
            }
            if told.elapsed() >= TELL {
                let waiting = *waits_for.lock().unwrap_or_else(PoisonError::into_inner);
                (self.means.observer)(&Progress::of(plan, &self.reached, scope, waiting));
                told = Instant::now();
            }
        }
        drop(batch);
        source.close(LEAVE);
        let progress = Progress::of(plan, &self.reached, scope, None);
        self.comparison.finish();
        Ok(Report {
            plan: plan.clone(),
            gone: self.replay.gone.clone(),
            complete: plan.is_done(&self.reached),
            dead_letters: progress.dead_letters,
            tombstones: self.tombstones,
            outside: progress.outside,
            seconds: begin.elapsed().as_secs_f64(),
            comparison: self.comparison,
        })
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

    fn judge(&mut self, scope: &Scope, batch: &Batch<'_>) -> Result<(), ReplayError> {
        self.turn.clear();
        let decoded: Vec<Decoded<'_>> =
            batch.messages.iter().map(|message| Decoded::read(&self.reader, message.payload())).collect();
        let texts: Vec<&str> = decoded.iter().filter_map(Decoded::text).collect();
        let [left, right] = &mut self.judges;
        let mut judged: [Vec<Prediction>; 2] = Default::default();
        let [first, second] = &mut judged;
        std::thread::scope(|threads| {
            let left = threads.spawn(|| classify(left, &texts, first));
            classify(right, &texts, second)?;
            left.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })?;
        let mut pairs = judged[0].iter().zip(&judged[1]);
        for (message, decoded) in batch.messages.iter().zip(&decoded) {
            *self.turn.records_in.entry(message.partition()).or_default() += 1;
            match decoded {
                Decoded::Tombstone => self.tombstones += 1,
                Decoded::Poisoned(letter) => self.turn.dead_letters[letter.class as usize] += 1,
                Decoded::Comment(comment) => {
                    let pair = pairs.next().expect("two predictions for every comment");
                    self.comparison.add(&ComparedComment {
                        text: &comment.text,
                        id: comment.id,
                        rating: rating(comment),
                        product: product(comment).as_deref(),
                        timestamp_ms: message.timestamp().to_millis(),
                        source: &format_args!(
                            "{}/{}/{}",
                            message.topic(),
                            message.partition(),
                            message.offset()
                        ),
                        predictions: [pair.0, pair.1],
                    });
                }
            }
        }
        scope.count(&self.turn, batch.outside);
        self.reached.extend(batch.spans.iter().map(|(&partition, span)| (partition, span.next)));
        Ok(())
    }
}

/// What `classifier` makes of `texts`.
fn classify(
    classifier: &mut impl Classifier,
    texts: &[&str],
    predictions: &mut Vec<Prediction>,
) -> Result<(), PipelineError> {
    classifier
        .classify(texts, predictions)
        .map_err(|reason| PipelineError::Classify { model: classifier.version().to_owned(), reason })
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
