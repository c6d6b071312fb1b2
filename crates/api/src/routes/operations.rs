//! For the operator: health, readiness, metrics, the API's own description.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header;

use crate::error::ApiError;
use crate::{Api, openapi};

/// Whether the process runs.
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether it can serve: the store answers and takes writes.
pub(crate) async fn readyz(State(api): State<Api>) -> Result<&'static str, ApiError> {
    api.store.ready().await?;
    Ok("ready\n")
}

/// Prometheus' text format.
pub(crate) async fn metrics(State(api): State<Api>) -> Response {
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4")],
        (api.metrics)(),
    )
        .into_response()
}

/// The OpenAPI document.
pub(crate) async fn openapi() -> Response {
    (
        [(header::CONTENT_TYPE, "application/json")],
        openapi::openapi_json(),
    )
        .into_response()
}
