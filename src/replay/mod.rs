//! Replays: a range of history classified again, exactly that range, without slowing the live pipeline down.
//!
//! The loop is the pipeline's; a replay gives it a bounded source (`work`) and outputs of its own (a file, a comparison).
//!
//! Invariant: the range is fixed before the first record is read, and every process with the same id works on the same
//! plan; the live group's offsets are only ever read. What a range means and how processes agree: `docs/REPLAY.md`.

pub mod compare;
mod error;
mod file;
mod live;
mod plan;
mod progress;
mod request;
mod work;

pub use error::ReplayError;
pub use file::FileFormat;
pub use plan::{Plan, RetentionGap};
pub use progress::{Observer, Outcome, Progress, ReplayContext};
pub use request::{Bound, Request, Target};

use crate::config::{Config, Delivery};
use crate::kafka::admin::Brokers;
use crate::kafka::compacted_log::{CompactedLog, Update};
use crate::kafka::{BrokerError, ClientProperties};
use jiff::Timestamp;
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;

/// The consumer group, and the beginning of every transactional id, of replay `id`.
pub fn group(id: &str) -> String {
    format!("nunchi-replay-{id}")
}

/// The status of a replay when this process joined it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayStatus {
    /// This process planned it.
    New,
    /// It was planned before; this process goes on, alone or with others.
    Planned,
    /// It was finished before.
    Finished,
}

/// A replay with its plan.
pub struct Replay {
    /// The plan.
    pub plan: Plan,
    /// Its status when this process joined.
    pub status: ReplayStatus,
    /// The parts of the range beyond retention; known where this process made the plan.
    pub retention_gaps: Vec<RetentionGap>,
    /// The settings, with the replay's group and topics in them.
    config: Config,
    clients: ClientProperties,
    /// The live group's properties, for a look at its lag.
    live: ClientProperties,
    brokers: Brokers,
}

/// What to replay: a request, or whatever is planned under the id.
#[derive(Clone, Debug)]
pub enum ReplaySpec {
    /// A range and a target, all of it.
    Request(Request),
    /// The existing plan of the id, classified by the model of this VERSION.
    AsPlanned {
        /// VERSION of the model.
        model: String,
    },
}

impl Replay {
    /// Agrees with all other processes on the plan of replay `id`: reads it, or makes it and records it together with the
    /// group's first offsets.
    ///
    /// # Errors
    /// Topics that do not exist; another plan under the same id; brokers that do not answer.
    pub fn prepare(config: &Config, id: &str, spec: &ReplaySpec) -> Result<Self, ReplayError> {
        let live = ClientProperties::resolve(config)?;
        let mut config = config.clone();
        config.kafka.group = group(id);
        // Whatever the live pipeline's guarantee is: a replay is exactly once.
        config.kafka.delivery = Delivery::ExactlyOnce;
        let clients = ClientProperties::resolve(&config)?;
        let brokers = Brokers::connect(&clients)?;
        if let ReplaySpec::Request(request) = spec {
            check_topics(request, &brokers)?;
        }
        // What people labeled stays labeled: history is not shown to them again.
        config.decision.review_topic = None;
        let (plan, status, gaps) = agree(&config, &clients, &brokers, id, spec)?;
        config.input.topic.clone_from(&plan.request.topic);
        if let Target::Topic { verdicts, dead_letters } = &plan.request.target {
            config.output.topic.clone_from(verdicts);
            config.dead_letters.topic.clone_from(dead_letters);
        }
        Ok(Replay { plan, status, retention_gaps: gaps, config, clients, live, brokers })
    }

    /// The settings, with the replay's group and topics in them.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Records that every record was answered; the first such entry stays.
    fn complete(&self) -> Result<Timestamp, ReplayError> {
        let log = CompactedLog::open(&self.clients, &self.brokers, &self.config.replay.topic)?;
        let id = &self.plan.id;
        log.update(id, &group(id), |found| {
            let mut plan = match found {
                Some(value) => Plan::read(id, value)?,
                None => self.plan.clone(),
            };
            if let Some(completed_at) = plan.completed_at {
                return Ok(Update::Keep(completed_at));
            }
            let now = Timestamp::now();
            plan.completed_at = Some(now);
            Ok(Update::Write { value: plan.to_json(), offsets: None, then: now })
        })
    }
}

/// Refuses topics that do not exist, before anything is written.
fn check_topics(request: &Request, brokers: &Brokers) -> Result<(), ReplayError> {
    let mut topics = vec![(&request.topic, "--topic")];
    if let Target::Topic { verdicts, dead_letters } = &request.target {
        topics.extend([(verdicts, "--to-topic"), (dead_letters, "--dead-letters")]);
    }
    for (topic, flag) in topics {
        if brokers.partitions(topic)?.is_none() {
            return Err(ReplayError::unknown_topic(topic, flag));
        }
    }
    Ok(())
}

/// The plan under `id`: the one on record, or a new one.
fn agree(
    config: &Config,
    clients: &ClientProperties,
    brokers: &Brokers,
    id: &str,
    spec: &ReplaySpec,
) -> Result<(Plan, ReplayStatus, Vec<RetentionGap>), ReplayError> {
    let log = CompactedLog::open(clients, brokers, &config.replay.topic)?;
    log.update(id, &group(id), |found| match (found, spec) {
        (Some(value), _) => {
            let plan = Plan::read(id, value)?;
            refuse_differences(&plan, spec)?;
            let status =
                if plan.completed_at.is_some() { ReplayStatus::Finished } else { ReplayStatus::Planned };
            Ok(Update::Keep((plan, status, Vec::new())))
        }
        (None, ReplaySpec::AsPlanned { .. }) => Err(ReplayError::Usage(format!(
            "no replay is planned under --id {id}; give the range and the target: --from, --to, and --to-topic or --to-file"
        ))),
        (None, ReplaySpec::Request(request)) => {
            if let Target::File(path) = &request.target {
                file::check_new(std::path::Path::new(path))?;
            }
            let (plan, gaps) = Plan::make(id, request, brokers)?;
            let offsets = match request.target {
                Target::Topic { .. } => Some(beginnings(&plan, brokers)?),
                Target::File(_) | Target::Report => None,
            };
            Ok(Update::Write { value: plan.to_json(), offsets, then: (plan, ReplayStatus::New, gaps) })
        }
    })
}

fn refuse_differences(plan: &Plan, spec: &ReplaySpec) -> Result<(), ReplayError> {
    let id = &plan.id;
    match spec {
        ReplaySpec::Request(request) => {
            let differences = plan.request.differences(request);
            if differences.is_empty() {
                return Ok(());
            }
            Err(ReplayError::Usage(format!(
                "replay `{id}` has another plan ({}); use another --id, or run `nunchi replay --id {id}` alone to continue \
                 the existing plan",
                differences.join("; ")
            )))
        }
        ReplaySpec::AsPlanned { model } if *model != plan.request.model => Err(ReplayError::Usage(format!(
            "replay `{id}` was planned with model {}, this one is {model}; name it with --model",
            plan.request.model
        ))),
        ReplaySpec::AsPlanned { .. } => Ok(()),
    }
}

/// Where the group begins: planned partitions at their start, all others where nothing is to be done.
fn beginnings(plan: &Plan, brokers: &Brokers) -> Result<TopicPartitionList, ReplayError> {
    let topic = &plan.request.topic;
    let mut starts: BTreeMap<i32, i64> = plan.starts();
    for partition in brokers.partitions(topic)?.unwrap_or_default() {
        if let std::collections::btree_map::Entry::Vacant(free) = starts.entry(partition) {
            free.insert(brokers.ends(topic, partition)?.1);
        }
    }
    let mut list = TopicPartitionList::with_capacity(starts.len());
    for (partition, start) in starts {
        list.add_partition_offset(topic, partition, Offset::Offset(start))
            .map_err(|error| BrokerError::request("naming where the group begins", error))?;
    }
    Ok(list)
}
