//! An admin server in this process, on a small network with random weights: what HTTP says needs no Kafka.

#![allow(dead_code, clippy::unwrap_used)] // Shared by several tests; outside of `#[test]` too a failure fails the test.

use arc_swap::ArcSwap;
use nunchi::http;
use nunchi::http::Admin;
use nunchi::pipeline::ModelSlot;
use nunchi::telemetry::{Health, Metrics};
use nunchi_engine::LoadedModel;
use nunchi_model::rnn::Cell;
use nunchi_model::{Model, WeightFormat};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A small GRU with random weights that reads 16 tokens.
pub fn random_model(seed: u64) -> Model {
    let model = Model { max_tokens: 16, ..nunchi_model::testing::model(Cell::Gru, seed) };
    Model::from_bytes(&model.to_bytes(WeightFormat::F32).unwrap().0).unwrap()
}

/// A running admin server. Ends with its value.
pub struct Server {
    pub url: String,
    pub metrics: Metrics,
    pub health: Arc<Health>,
    pub model: ModelSlot,
    stop: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<std::io::Result<()>>>,
    runtime: Runtime,
}

impl Server {
    /// For two workers that count as hung after `stall` without a beat.
    pub fn start(stall: Duration) -> Self {
        Server::start_with(stall, |admin| admin)
    }

    /// As [`Server::start`], with more set up.
    pub fn start_with(stall: Duration, with: impl FnOnce(Admin) -> Admin) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let metrics = Metrics::new();
        let health = Arc::new(Health::new(2, stall));
        let loaded = LoadedModel::new(random_model(7), None).unwrap();
        metrics.set_model(&loaded.model().version, loaded.precision().name(), loaded.kernel().name());
        let model: ModelSlot = Arc::new(ArcSwap::from_pointee(loaded));
        let listener = runtime.block_on(http::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let admin = with(Admin::new(metrics.clone(), Arc::clone(&health), Arc::clone(&model)));
        let (stop, stopped) = oneshot::channel::<()>();
        let task = runtime.spawn(http::serve(listener, admin, async {
            let _ = stopped.await;
        }));
        Server { url, metrics, health, model, stop: Some(stop), task: Some(task), runtime }
    }

    /// Asks the server to end and waits for it.
    pub fn end(&mut self) {
        let _ = self.stop.take().unwrap().send(());
        self.runtime.block_on(self.task.take().unwrap()).unwrap().unwrap();
    }

    pub fn get(&self, path: &str) -> Answer {
        request("GET", &format!("{}{path}", self.url), "")
    }

    pub fn post(&self, path: &str, body: &str) -> Answer {
        request("POST", &format!("{}{path}", self.url), body)
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub content_type: String,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> serde_json::Value {
        assert_eq!(self.content_type, "application/json", "{self:?}");
        serde_json::from_str(&self.text).unwrap()
    }
}

/// One request.
pub fn request(method: &str, url: &str, body: &str) -> Answer {
    try_request(method, url, body).unwrap()
}

/// One request to a server that may not be there.
pub fn try_request(method: &str, url: &str, body: &str) -> Result<Answer, ureq::Error> {
    let agent = ureq::Agent::new_with_config(
        ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .build(),
    );
    let request = ureq::http::Request::builder()
        .method(method)
        .uri(url)
        .header("content-type", "application/json")
        .body(body.to_owned())?;
    let mut response = agent.run(request)?;
    let header =
        response.headers().get("content-type").map(|value| value.to_str().unwrap_or_default().to_owned());
    Ok(Answer {
        status: response.status().as_u16(),
        content_type: header.unwrap_or_default(),
        text: response.body_mut().with_config().limit(64 << 20).read_to_string()?,
    })
}
