//! `POST /v1/classify`: one comment or several, classified as one batch.
//!
//! One request is classified at a time, by an engine of its own on a blocking thread; a few wait, and more are refused
//! with 503 and `retry-after`, before their body is read. So requests cannot starve the workers, and memory is bounded:
//! that of [`MAX_WAITING`] bodies.

use super::{Admin, BODY_LIMIT, response};
use crate::config::Config;
use crate::record::{Comment, Reader, Verdict};
use axum::body::Bytes;
use axum::extract::{FromRequest as _, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use nunchi_data::json_fault;
use nunchi_engine::{Engine, Prediction};
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, Semaphore};

/// Longest time for a body: a place is free again after it, whatever the client does.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Requests that may wait for the engine, the one that is classified included.
pub(super) const MAX_WAITING: usize = 16;

/// The lock that lets one request classify at a time, and the queue before it.
#[derive(Debug)]
pub(super) struct Classifier {
    pub(super) one_at_a_time: Arc<Mutex<()>>,
    pub(super) waiting: Semaphore,
    reader: Reader,
}

impl Classifier {
    pub(super) fn new() -> Self {
        Classifier {
            one_at_a_time: Arc::new(Mutex::new(())),
            waiting: Semaphore::new(MAX_WAITING),
            // Requests name their fields `text` and `id`, whatever the topic's records do.
            reader: Reader::new(&Config::default()),
        }
    }
}

/// Why a request is refused.
enum Refusal {
    /// The body cannot be parsed: 400.
    Bad(String),
    /// Classifying failed: 500.
    Failed(String),
}

/// Answers with a verdict for an object, and with an array of verdicts for an array, in its order.
pub(super) async fn classify(State(admin): State<Admin>, request: Request) -> Response {
    // First the place, then the body: bodies of requests that wait for a place would take memory without a bound.
    let Ok(_place) = admin.classifier.waiting.try_acquire() else {
        let busy = response::error(
            StatusCode::SERVICE_UNAVAILABLE,
            "too many requests are waiting; retry in a second",
        );
        return ([(header::RETRY_AFTER, "1")], busy).into_response();
    };
    let body = match tokio::time::timeout(BODY_TIMEOUT, Bytes::from_request(request, &())).await {
        Ok(body) => body,
        Err(_) => {
            let message = format!("the body did not arrive within {} s", BODY_TIMEOUT.as_secs());
            return response::error(StatusCode::REQUEST_TIMEOUT, message).into_response();
        }
    };
    let body = match body {
        Ok(body) => body,
        Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            let message = format!("the body has more than {BODY_LIMIT} bytes; send fewer comments at once");
            return response::error(StatusCode::PAYLOAD_TOO_LARGE, message).into_response();
        }
        Err(rejection) => {
            return response::error(rejection.status(), rejection.body_text()).into_response();
        }
    };
    let timer = admin.metrics.http_classify_seconds.start_timer();
    let guard = Arc::clone(&admin.classifier.one_at_a_time).lock_owned().await;
    let result = tokio::task::spawn_blocking({
        let admin = admin.clone();
        move || {
            let result = classify_body(&admin, &body);
            drop(guard);
            result
        }
    })
    .await
    .unwrap_or_else(|error| Err(Refusal::Failed(format!("classifying failed: {error}"))));
    timer.observe_duration();
    match result {
        Ok(json) => ([(header::CONTENT_TYPE, "application/json")], json).into_response(),
        Err(Refusal::Bad(message)) => response::error(StatusCode::BAD_REQUEST, message).into_response(),
        Err(Refusal::Failed(message)) => {
            tracing::error!(error = message, "a request to classify failed");
            response::error(StatusCode::INTERNAL_SERVER_ERROR, message).into_response()
        }
    }
}

/// Parses the comments of `body`, classifies them with the current model, and writes the verdicts.
fn classify_body(admin: &Admin, body: &[u8]) -> Result<Vec<u8>, Refusal> {
    let text =
        std::str::from_utf8(body).map_err(|error| Refusal::Bad(format!("the body is not UTF-8: {error}")))?;
    // As for records: a byte order mark before JSON is passed over.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let is_array = text.trim_start().starts_with('[');
    let comments = comments(&admin.classifier.reader, text, is_array).map_err(Refusal::Bad)?;
    let texts: Vec<&str> = comments.iter().map(|comment| comment.text.as_ref()).collect();
    // An engine for this request alone: a shared one would keep an old model in memory until the next request.
    let mut engine = Engine::new(admin.model.load_full()).with_sentences(admin.sentences);
    let predictions = engine.classify(&texts).map_err(|error| Refusal::Failed(error.to_string()))?;
    let model = engine.loaded().model();
    Ok(verdicts(&comments, &predictions, &model.labels, &model.version, is_array))
}

/// The comments of a request; an error names the item by its index, counted from 0.
fn comments<'a>(reader: &Reader, text: &'a str, is_array: bool) -> Result<Vec<Comment<'a>>, String> {
    if !is_array {
        let comment = reader.read(text.as_bytes()).map_err(|error| {
            format!("{error}; send {{\"text\": \"…\", \"id\": …}} or an array of such objects")
        })?;
        return Ok(vec![comment]);
    }
    let items: Vec<&'a RawValue> = serde_json::from_str(text)
        .map_err(|error| format!("the body is not a JSON array: {}", json_fault(text, &error)))?;
    let read = |(place, item): (usize, &&'a RawValue)| {
        reader.read(item.get().as_bytes()).map_err(|error| format!("item {place}: {error}"))
    };
    items.iter().enumerate().map(read).collect()
}

fn verdicts(
    comments: &[Comment<'_>],
    predictions: &[Prediction],
    labels: &[String],
    model: &str,
    is_array: bool,
) -> Vec<u8> {
    let mut json = Vec::with_capacity(comments.len() * 96 + 2);
    if is_array {
        json.push(b'[');
    }
    for (place, (comment, prediction)) in comments.iter().zip(predictions).enumerate() {
        if place > 0 {
            json.push(b',');
        }
        Verdict { id: comment.id, prediction, labels, model }.write(&[], &[], &mut json);
    }
    if is_array {
        json.push(b']');
    }
    json
}
