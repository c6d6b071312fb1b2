//! What every request passes, outermost first: request id and log line and metrics, time limit, panic guard, and the
//! reading of what is left of the body.

use std::any::Any;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use http_body::{Body as _, Frame, SizeHint};
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
        .layer(from_fn(to_the_end))
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

/// Reads and forgets what the route left of the body: all of it where the token was refused, or where a client sends one
/// with a GET. Left unread it would cost the client its connection, and maybe the answer: what follows could not be told
/// from the body (RFC 9112 §9.3), and closing upon data that nobody read resets the connection (RFC 9112 §9.6).
async fn to_the_end(request: Request, next: Next) -> Response {
    let body = request.body();
    // What announces that it is too large is not waited for.
    if body.is_end_stream() || body.size_hint().lower() > BODY_BYTES_MAX as u64 {
        return next.run(request).await;
    }
    let rest = Arc::new(Mutex::new(None));
    let response = next.run(request.map(|body| Body::new(Lent { body, rest: rest.clone() }))).await;
    let rest = rest.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(rest) = rest.filter(|_| response.status() != StatusCode::PAYLOAD_TOO_LARGE) {
        let mut rest = Limited::new(rest, BODY_BYTES_MAX);
        // One that breaks off or is too large ends the connection behind the answer, which is as it should be.
        while let Some(Ok(_)) = rest.frame().await {}
    }
    response
}

/// A request's body, which comes back when the route has done with it.
struct Lent {
    body: Body,
    rest: Arc<Mutex<Option<Body>>>,
}

impl http_body::Body for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if !self.body.is_end_stream() {
            *self.rest.lock().unwrap_or_else(PoisonError::into_inner) = Some(std::mem::take(&mut self.body));
        }
    }
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
