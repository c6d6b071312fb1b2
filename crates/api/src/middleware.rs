//! What every request passes, outermost first: request id and log line and metrics, time limit, panic guard, and the
//! reading of bodies that nobody asked for.

use std::any::Any;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use http_body::Body as _;
use http_body_util::{BodyExt, Limited};
use tower_http::catch_panic::CatchPanicLayer;

use crate::body::BODY_BYTES_MAX;
use crate::error::{ApiError, InsideMessage};
use crate::{Api, code, wire};

/// Names the request in the answer and in the log.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("certgate-request-id");

/// SDKs do not repeat a request whose answer has `false` here.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

pub(crate) fn around(router: Router<Api>, api: &Api) -> Router<Api> {
    // Layers wrap what stands above them: the last is the outermost.
    router
        .layer(from_fn(without_body))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(api.request_timeout, within_time))
        .layer(from_fn_with_state(api.clone(), observe))
}

#[expect(clippy::disallowed_methods, reason = "measures the duration of a request for its metric")]
async fn observe(State(api): State<Api>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let mut id = [0; 16];
    api.random.fill(&mut id);
    let id = wire::hex(&id);
    let method = method_label(request.method());
    // The route's pattern, never the path: its number of values is bounded.
    let route =
        request.extensions().get::<MatchedPath>().map_or("none".to_owned(), |path| path.as_str().to_owned());

    let mut response = next.run(request).await;

    let status = response.status();
    let labels =
        [("method", method.to_owned()), ("route", route.clone()), ("status", status.as_str().to_owned())];
    metrics::counter!("certgate_http_requests_total", &labels).increment(1);
    metrics::histogram!("certgate_http_request_seconds", &labels[..2])
        .record(started.elapsed().as_secs_f64());
    let inside = response.extensions_mut().remove::<InsideMessage>();
    if let Some(InsideMessage(error)) = inside {
        tracing::error!(request_id = %id, method, route, status = status.as_u16(), error, "request failed");
    } else {
        tracing::debug!(request_id = %id, method, route, status = status.as_u16(), "request answered");
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

async fn within_time(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if let Ok(response) = tokio::time::timeout(limit, next.run(request)).await {
        return response;
    }
    let message = format!("The request took longer than {} seconds and was given up", limit.as_secs());
    let mut response = ApiError::new(StatusCode::REQUEST_TIMEOUT, code::TIMEOUT, message).into_response();
    // What was given up may have been done: repeating it is for the caller to decide.
    if !reads {
        response.headers_mut().insert(SHOULD_RETRY, HeaderValue::from_static("false"));
    }
    // The rest of a body that comes too slowly is not waited for.
    response.headers_mut().insert(http::header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Reads and forgets the body of a request whose method has none: some clients send one with a GET. Left unread it would
/// cost them the connection, without a word: what follows on it could not be told from the body (RFC 9112 §9.3).
async fn without_body(request: Request, next: Next) -> Response {
    let takes_none = matches!(*request.method(), Method::GET | Method::HEAD | Method::DELETE);
    if !takes_none || request.body().is_end_stream() {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    if body.size_hint().lower() <= BODY_BYTES_MAX as u64 {
        let mut body = Limited::new(body, BODY_BYTES_MAX);
        // One that breaks off or is too large ends the connection after the answer, which is as it should be.
        while let Some(Ok(_)) = body.frame().await {}
    }
    next.run(Request::from_parts(parts, Body::empty())).await
}

fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
    ApiError::internal(format!("panic: {text}")).into_response()
}

/// Methods are free text in HTTP; a metric's label must not be.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}
