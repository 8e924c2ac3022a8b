//! The endpoints for Prometheus and for an orchestrator's probes.

use super::{Admin, response};
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// `GET /metrics`: the text format of Prometheus.
pub(super) async fn metrics(State(admin): State<Admin>) -> Response {
    admin.metrics.workers.set(i64::try_from(admin.health.running()).unwrap_or(i64::MAX));
    admin.metrics.ready.set(i64::from(admin.health.not_ready().is_empty()));
    match admin.metrics.encode() {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => {
            response::error(StatusCode::INTERNAL_SERVER_ERROR, format!("metrics cannot be encoded: {error}"))
                .into_response()
        }
    }
}

/// `GET /livez`: 503 if the process should be restarted.
pub(super) async fn livez(State(admin): State<Admin>) -> impl IntoResponse {
    probe("alive", "not alive", admin.health.not_live(), Vec::new())
}

/// `GET /readyz`: 503 while comments are not classified.
pub(super) async fn readyz(State(admin): State<Admin>) -> impl IntoResponse {
    // A halted partition does not make the process unready: the others go on, and a restart does not mend it.
    probe("ready", "not ready", admin.health.not_ready(), admin.health.halted())
}

fn probe(yes: &str, no: &str, reasons: Vec<String>, halted: Vec<String>) -> impl IntoResponse {
    let (code, status) =
        if reasons.is_empty() { (StatusCode::OK, yes) } else { (StatusCode::SERVICE_UNAVAILABLE, no) };
    let mut body = json!({ "status": status, "reasons": reasons });
    if !halted.is_empty() {
        body["halted"] = json!(halted);
    }
    (code, Json(body))
}
