//! `GET /v1/model`: which model serves, and what it is. `POST /v1/model/reload`: look at the store now.

use super::{Admin, answer};
use crate::registry::RefreshOutcome;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// Version, name, labels, network, kernel, precision and the training report.
pub(super) async fn model(State(admin): State<Admin>) -> Json<Value> {
    let warm = admin.model.load_full();
    let model = warm.model();
    let shape = &model.network.shape;
    Json(json!({
        "version": model.version,
        "name": model.name,
        "labels": model.labels,
        "cell": shape.cell.name(),
        "layers": shape.layers,
        "hidden": shape.hidden,
        "bidirectional": shape.bidirectional,
        "vocabulary": shape.vocabulary,
        "parameters": shape.parameters(),
        "max_tokens": model.max_tokens,
        "kernel": warm.kernel().name(),
        "precision": warm.precision(),
        "report": model.report,
    }))
}

/// Looks at the store, and says what that did: 200 `swapped` or `unchanged`, 409 `refused`, 503 `away`.
pub(super) async fn reload(State(admin): State<Admin>) -> Response {
    let Some(reload) = &admin.reload else {
        let sentence = "this process follows no store: its model is a file, the shipped one, or a version that was named; \
                        start it with a store and without a model to have it follow";
        return answer::error(StatusCode::CONFLICT, sentence).into_response();
    };
    let Some(looked) = reload.now().await else {
        let sentence = "the store is being asked already, or the process ends; try again";
        return answer::error(StatusCode::SERVICE_UNAVAILABLE, sentence).into_response();
    };
    let code = match looked {
        RefreshOutcome::Unchanged { .. } | RefreshOutcome::Swapped { .. } => StatusCode::OK,
        RefreshOutcome::Refused { .. } => StatusCode::CONFLICT,
        RefreshOutcome::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
    };
    (code, Json(looked)).into_response()
}
