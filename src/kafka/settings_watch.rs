//! Looks again at the settings of the topics that are written to, while the process runs.

use super::ClientProperties;
use super::live_topics::LiveTopics;
use super::target::Target;
use super::topic_settings::{SettingsClient, TopicSettings};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::RDKafkaErrorCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::{debug, warn};

/// How often it looks by itself. Settings change rarely, and each look is a request to a broker.
const INTERVAL: Duration = Duration::from_secs(15);

/// Keeps the settings of topics up to date.
pub(super) struct SettingsWatch {
    clients: ClientProperties,
    /// Made again after a failure: it has the credentials of today.
    client: Option<SettingsClient>,
    targets: Vec<Target>,
    live: Arc<LiveTopics>,
    due: Instant,
    /// Whether the brokers deny the question: said once.
    denied: bool,
}

impl SettingsWatch {
    /// Of `targets`, whose settings were asked for just now; `denied` if the brokers did not answer that.
    pub(super) fn new(
        clients: &ClientProperties,
        targets: Vec<Target>,
        live: &Arc<LiveTopics>,
        denied: bool,
    ) -> Self {
        SettingsWatch {
            clients: clients.clone(),
            client: None,
            targets,
            live: Arc::clone(live),
            due: Instant::now() + INTERVAL,
            denied,
        }
    }

    /// Looks if it is time, or if a worker asked because a record was refused.
    pub(super) fn look(&mut self) {
        let is_asked = self.live.take_settings_request();
        if !is_asked && Instant::now() < self.due {
            return;
        }
        self.due = Instant::now() + INTERVAL;
        match self.ask() {
            Ok(answers) => self.note(&answers),
            Err(error) => {
                self.client = None;
                debug!(error, "the settings of the output topics cannot be read now");
            }
        }
    }

    fn ask(&mut self) -> Result<Vec<Result<TopicSettings, RDKafkaErrorCode>>, String> {
        let client = match self.client.take() {
            Some(client) => client,
            // Errors are returned by the requests.
            None => SettingsClient::connect(&self.clients, RDKafkaLogLevel::Critical)
                .map_err(|error| error.to_string())?,
        };
        let topics: Vec<&str> = self.targets.iter().map(|target| target.topic.as_str()).collect();
        self.client.insert(client).ask(&topics).map_err(|error| error.to_string())
    }

    fn note(&mut self, answers: &[Result<TopicSettings, RDKafkaErrorCode>]) {
        let is_denied = |answer: &Result<TopicSettings, _>| {
            matches!(answer, Err(RDKafkaErrorCode::TopicAuthorizationFailed))
        };
        let denied: Vec<&str> = self
            .targets
            .iter()
            .zip(answers)
            .filter(|(_, answer)| is_denied(answer))
            .map(|(target, _)| target.topic.as_str())
            .collect();
        if !denied.is_empty() && !self.denied {
            warn!(
                topics = ?denied,
                "the settings of the topics cannot be read any more, which takes DescribeConfigs on them: what was known is \
                 assumed, and records beyond the real limits are refused when they are written"
            );
        }
        self.denied = !denied.is_empty();
        for (target, answer) in self.targets.iter().zip(answers) {
            match answer {
                Ok(settings) if target.note(settings) => self.live.count_settings_change(),
                Ok(_) => {}
                Err(code) => debug!(topic = target.topic, %code, "the topic's settings cannot be read now"),
            }
        }
    }
}
