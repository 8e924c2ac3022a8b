//! `GET /v1/model`: which model serves, and what it is.

use super::Admin;
use axum::Json;
use axum::extract::State;
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
        "kernel": warm.kernel(),
        "precision": warm.precision(),
        "report": model.report,
    }))
}
