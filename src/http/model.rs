//! `GET /v1/model`: the model that serves. `POST /v1/model/reload`: refresh from the store now.

use super::{Admin, response};
use crate::registry::RefreshOutcome;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// Version, name, labels, network, kernel, precision and the training report.
pub(super) async fn model(State(admin): State<Admin>) -> Json<Value> {
    let loaded = admin.model.load_full();
    let model = loaded.model();
    let shape = &model.network.shape;
    Json(json!({
        "version": model.version,
        "checksum": model.checksum,
        "name": model.name,
        "labels": model.labels,
        "cell": shape.cell.name(),
        "layers": shape.layers,
        "hidden": shape.hidden,
        "bidirectional": shape.bidirectional,
        "vocabulary": shape.vocabulary,
        "parameters": shape.parameters(),
        "max_tokens": model.max_tokens,
        "kernel": loaded.kernel().name(),
        "precision": loaded.precision(),
        "report": model.report,
    }))
}

/// Refreshes from the store; the outcome: 200 `swapped` or `unchanged`, 409 `refused`, 503 `away`.
pub(super) async fn reload(State(admin): State<Admin>) -> Response {
    let Some(reload) = &admin.reload else {
        let message = "this process follows no store: its model is a file, the shipped one, or a version that was named; \
                        start it with --store and without --model to follow a store";
        return response::error(StatusCode::CONFLICT, message).into_response();
    };
    let Some(outcome) = reload.now().await else {
        let message = "a refresh from the store is running already, or the process is stopping; try again";
        return response::error(StatusCode::SERVICE_UNAVAILABLE, message).into_response();
    };
    let code = match outcome {
        RefreshOutcome::Unchanged { .. } | RefreshOutcome::Swapped { .. } => StatusCode::OK,
        RefreshOutcome::Refused { .. } => StatusCode::CONFLICT,
        RefreshOutcome::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
    };
    (code, Json(outcome)).into_response()
}
