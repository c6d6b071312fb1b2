//! Health, readiness and metrics, for the operator.

use axum::extract::State;
use axum::response::Response;

use crate::error::ApiError;
use crate::response::typed;
use crate::state::Api;

/// Answers while the process runs.
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// Answers while the server can serve: the store answers and accepts writes.
pub(crate) async fn readyz(State(api): State<Api>) -> Result<&'static str, ApiError> {
    api.store.ready().await?;
    Ok("ready\n")
}

/// Answers with the metrics in the text format of Prometheus.
pub(crate) async fn metrics(State(api): State<Api>) -> Response {
    typed("text/plain; version=0.0.4", (api.metrics)())
}
