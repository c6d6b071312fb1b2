//! Health, readiness and metrics, for the operator.

use std::time::Instant;

use axum::extract::State;
use axum::response::Response;
use certgate_store::StoreError;

use crate::error::ApiError;
use crate::response::typed;
use crate::state::Api;

/// Answers while the process runs.
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// Answers while the server can serve: every task runs, and the store answers and accepts writes.
pub(crate) async fn readyz(State(api): State<Api>) -> Result<&'static str, ApiError> {
    let missing = (api.missing_tasks)();
    if !missing.is_empty() {
        return Err(ApiError::without_tasks(&missing));
    }
    let ask = || async { api.store.ready().await.map_err(StoreError::into_detail) };
    let ready = api.readiness().check(monotonic, ask).await;
    ready.map_err(ApiError::unavailable)?;
    Ok("ready\n")
}

#[expect(
    clippy::disallowed_methods,
    reason = "the age of an answer, which decides nothing that is stored"
)]
fn monotonic() -> Instant {
    Instant::now()
}

/// Answers with the metrics in the text format of Prometheus.
pub(crate) async fn metrics(State(api): State<Api>) -> Response {
    api.service.certificate_gauges.measure().await;
    typed("text/plain; version=0.0.4", (api.metrics)())
}
