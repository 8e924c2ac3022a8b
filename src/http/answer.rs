//! Answers that every path shares: errors as JSON objects.

use axum::Json;
use axum::http::{Method, StatusCode, Uri};
use axum::response::IntoResponse;
use serde_json::json;

/// `{"error": sentence}` with `status`.
pub(super) fn error(status: StatusCode, sentence: impl AsRef<str>) -> impl IntoResponse {
    (status, Json(json!({ "error": sentence.as_ref() })))
}

/// 404, with what there is.
pub(super) async fn not_found(uri: Uri) -> impl IntoResponse {
    let sentence = format!(
        "there is nothing at {}; there are GET /metrics, /livez, /readyz, /v1/model and POST /v1/classify, /v1/model/reload",
        uri.path()
    );
    error(StatusCode::NOT_FOUND, sentence)
}

/// 405; the header `allow` says what is allowed.
pub(super) async fn method_not_allowed(method: Method, uri: Uri) -> impl IntoResponse {
    let right = if ["/v1/classify", "/v1/model/reload"].contains(&uri.path()) { "POST" } else { "GET" };
    error(StatusCode::METHOD_NOT_ALLOWED, format!("{} takes {right}, not {method}", uri.path()))
}
