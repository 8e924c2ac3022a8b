//! The admin server: `/metrics`, `/livez`, `/readyz`, `/v1/model`, `POST /v1/model/reload`,
//! `POST /v1/classify`.
//!
//! It runs on a small tokio runtime beside the workers and never blocks one: it reads atomics, borrows the model and
//! classifies with an engine of its own. Every error is a JSON object with `error`. Who may do what is in `access.rs`; what a
//! client can make it use is bounded in `connections.rs` and `server.rs`.

mod access;
mod classify;
mod connections;
mod model;
mod probes;
mod response;
mod server;
#[cfg(test)]
mod tests;
mod tls;

use crate::registry::{ModelSlot, Reload};
use crate::telemetry::{Health, Metrics};
pub use access::Access;
use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use classify::Classifier;
pub use server::serve;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
pub use tls::Tls;
use tokio::net::TcpListener;

/// Most bytes of a request's body.
pub const BODY_LIMIT: usize = 1 << 20;

/// Longest time for a request, from its head to its response.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest wait for open requests once the server is to end.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// Why the server cannot start.
#[derive(Debug, Error)]
pub enum HttpError {
    /// The address cannot be bound.
    #[error("cannot serve on http.address {address}: {reason}")]
    Bind {
        /// `http.address`.
        address: String,
        /// The reason, with what to do where that is known.
        reason: String,
    },
    /// Everybody could use the server.
    #[error(
        "`http.address` is {address}, which others can reach, and there are no tokens: add [[http.tokens]], or listen on \
         127.0.0.1, or set `http.insecure = true` where the network lets only those through who may use it"
    )]
    Open {
        /// `http.address`.
        address: String,
    },
    /// The certificate or its key cannot be used.
    #[error("`{setting}` cannot be used: {reason}")]
    Tls {
        /// The setting.
        setting: &'static str,
        /// Why.
        reason: String,
    },
    /// A token cannot be used.
    #[error("the token {name:?} of [[http.tokens]] cannot be used: {reason}")]
    Token {
        /// Its name.
        name: String,
        /// Why; never the token.
        reason: String,
    },
}

impl HttpError {
    /// The setting that is wrong.
    pub fn setting(&self) -> &'static str {
        match self {
            HttpError::Bind { .. } | HttpError::Open { .. } => "http.address",
            HttpError::Token { .. } => "http.tokens",
            HttpError::Tls { setting, .. } => setting,
        }
    }
}

/// The state that handlers read.
#[derive(Clone, Debug)]
pub struct Admin {
    metrics: Metrics,
    health: Arc<Health>,
    model: ModelSlot,
    classifier: Arc<Classifier>,
    sentences: bool,
    reload: Option<Reload>,
    access: Arc<Access>,
    tls: Option<Arc<Tls>>,
}

impl Admin {
    /// The state of a server that classifies with the model that `model` holds at the time of a request.
    pub fn new(metrics: Metrics, health: Arc<Health>, model: ModelSlot) -> Self {
        let classifier = Arc::new(Classifier::new());
        Admin {
            metrics,
            health,
            model,
            classifier,
            sentences: false,
            reload: None,
            access: Arc::default(),
            tls: None,
        }
    }

    /// Whether requests are answered with the sentences of their comments too. Off at first.
    pub fn with_sentences(self, on: bool) -> Self {
        Admin { sentences: on, ..self }
    }

    /// With tokens and names of hosts; otherwise there are none.
    pub fn with_access(self, access: Access) -> Self {
        Admin { access: Arc::new(access), ..self }
    }

    /// With a certificate: then only TLS is spoken.
    pub fn with_tls(self, tls: Option<Tls>) -> Self {
        Admin { tls: tls.map(Arc::new), ..self }
    }

    /// With a follower of the store, which `POST /v1/model/reload` triggers.
    pub fn with_reload(self, reload: Option<Reload>) -> Self {
        Admin { reload, ..self }
    }

    /// The routes.
    pub fn router(self) -> Router {
        Router::new()
            .route("/metrics", get(probes::metrics))
            .route("/livez", get(probes::livez))
            .route("/readyz", get(probes::readyz))
            .route("/v1/model", get(model::model))
            .route("/v1/model/reload", post(model::reload))
            .route("/v1/classify", post(classify::classify))
            .fallback(response::not_found)
            .method_not_allowed_fallback(response::method_not_allowed)
            .layer(DefaultBodyLimit::max(BODY_LIMIT))
            .layer(from_fn_with_state(self.clone(), access::check))
            .layer(from_fn_with_state(self.clone(), observe))
            .with_state(self)
    }
}

/// Binds `address` (HOST:PORT; port 0 takes a free one).
///
/// # Errors
/// An address that is taken, not this machine's, or not allowed.
pub async fn bind(address: &str) -> Result<TcpListener, HttpError> {
    TcpListener::bind(address).await.map_err(|error| {
        let reason = match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                "the address is in use; is another nunchi running? Choose another port, or 0 for a free one"
                    .to_owned()
            }
            std::io::ErrorKind::AddrNotAvailable => {
                "this machine has no such address; 0.0.0.0 binds all of its addresses".to_owned()
            }
            _ => error.to_string(),
        };
        HttpError::Bind { address: address.to_owned(), reason }
    })
}

/// Whether `path` takes POST.
fn is_post(path: &str) -> bool {
    ["/v1/classify", "/v1/model/reload"].contains(&path)
}

/// Counts a request, and ends one that takes too long.
async fn observe(State(admin): State<Admin>, request: Request, next: Next) -> Response {
    // Only known paths: the metric's labels must not grow with the paths that clients request.
    let path = request.extensions().get::<MatchedPath>().map_or("other", MatchedPath::as_str).to_owned();
    let response = tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await.unwrap_or_else(|_| {
        response::error(StatusCode::REQUEST_TIMEOUT, "the request took longer than 30 s").into_response()
    });
    admin.metrics.http_requests.with_label_values(&[path.as_str(), response.status().as_str()]).inc();
    response
}
