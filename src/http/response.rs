//! Responses that every path shares: errors as JSON objects.

use axum::Json;
use axum::http::{Method, StatusCode, Uri};
use axum::response::IntoResponse;
use serde_json::json;

/// `{"error": message}` with `status`.
pub(super) fn error(status: StatusCode, message: impl AsRef<str>) -> impl IntoResponse {
    (status, Json(json!({ "error": message.as_ref() })))
}

/// 404, with the paths that exist. The requested path is not repeated: it is a stranger's text.
pub(super) async fn not_found() -> impl IntoResponse {
    let message = "there is nothing at this path; the paths are GET /metrics, /livez, /readyz, /v1/model and \
                   POST /v1/classify, /v1/model/reload";
    error(StatusCode::NOT_FOUND, message)
}

/// 405; the header `allow` has the allowed method.
pub(super) async fn method_not_allowed(method: Method, uri: Uri) -> impl IntoResponse {
    const KNOWN: [Method; 7] = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::PATCH,
        Method::OPTIONS,
    ];
    // Others are a stranger's text, as paths are.
    let asked = if KNOWN.contains(&method) { format!(", not {method}") } else { String::new() };
    let right = if super::is_post(uri.path()) { "POST" } else { "GET" };
    error(StatusCode::METHOD_NOT_ALLOWED, format!("{} takes {right}{asked}", uri.path()))
}
