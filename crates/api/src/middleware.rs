//! What every request passes, outermost first: request id and log line and metrics, time limit, panic guard, and the
//! reading of what is left of the body. One service instead of a layer each: every layer that the router boxes copies
//! all that lie below it, several times a request.

use std::any::Any;
use std::convert::Infallible;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::{MatchedPath, Request};
use axum::response::{IntoResponse, Response};
use certgate_model::Random;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::{BodyExt, Limited};
use tower::{Layer, Service};

use crate::body::BODY_BYTES_MAX;
use crate::error::ApiError;
use crate::failure_log::{FailureLog, Inside};
use crate::request_metrics::RequestMetrics;
use crate::{Api, code, wire};

/// Names the request in the answer and in the log.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("certgate-request-id");

/// SDKs do not repeat a request whose answer has `false` here.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// The layer that goes around every route.
#[derive(Clone)]
pub(crate) struct Around(Arc<Shared>);

struct Shared {
    random: Arc<dyn Random>,
    request_timeout: Duration,
    metrics: RequestMetrics,
    failures: FailureLog,
}

impl Around {
    pub(crate) fn new(api: &Api) -> Self {
        Self(Arc::new(Shared {
            random: api.random.clone(),
            request_timeout: api.request_timeout,
            metrics: RequestMetrics::default(),
            failures: FailureLog::default(),
        }))
    }
}

impl<S> Layer<S> for Around {
    type Service = Surrounded<S>;

    fn layer(&self, route: S) -> Surrounded<S> {
        Surrounded {
            shared: self.0.clone(),
            route,
        }
    }
}

/// A route with everything around it.
#[derive(Clone)]
pub(crate) struct Surrounded<S> {
    shared: Arc<Shared>,
    route: S,
}

impl<S> Service<Request> for Surrounded<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.route.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let shared = self.shared.clone();
        let seen = Seen::of(&request, &*shared.random);
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        let (request, rest) = lend(request);
        let route = self.route.call(request);
        Box::pin(async move {
            let answer = to_the_end(guarded(route), rest);
            let limit = shared.request_timeout;
            let response = match tokio::time::timeout(limit, answer).await {
                Ok(response) => response,
                Err(_) => given_up(limit, reads),
            };
            Ok(seen.answered(response, &shared))
        })
    }
}

/// What is remembered of a request for its log line and its metrics.
struct Seen {
    id: String,
    method: &'static str,
    route: Option<MatchedPath>,
    started: Instant,
}

impl Seen {
    #[expect(
        clippy::disallowed_methods,
        reason = "measures the duration of a request for its metric"
    )]
    fn of(request: &Request, random: &dyn Random) -> Self {
        let started = Instant::now();
        let mut id = [0; 16];
        random.fill(&mut id);
        let method = method_label(request.method());
        let route = request.extensions().get::<MatchedPath>().cloned();
        Self {
            id: wire::hex(&id),
            method,
            route,
            started,
        }
    }

    fn answered(self, mut response: Response, shared: &Shared) -> Response {
        let Self {
            id,
            method,
            route,
            started,
        } = self;
        // The route's pattern, never the path: its number of values is bounded.
        let route = route.as_ref().map_or("none", MatchedPath::as_str);
        let status = response.status();
        let took = started.elapsed();
        shared.metrics.count(method, route, status, took);
        if let Some(inside) = response.extensions_mut().remove::<Inside>() {
            shared
                .failures
                .write(&inside, started + took, &id, method, route, status.as_u16());
        } else {
            tracing::debug!(request_id = %id, method, route, status = status.as_u16(), "request answered");
        }
        if let Ok(value) = HeaderValue::try_from(id) {
            response.headers_mut().insert(REQUEST_ID, value);
        }
        response
    }
}

fn given_up(limit: Duration, reads: bool) -> Response {
    let message = format!(
        "The request took longer than {} seconds and was given up",
        limit.as_secs()
    );
    let mut response =
        ApiError::new(StatusCode::REQUEST_TIMEOUT, code::TIMEOUT, message).into_response();
    // What was given up may have been done: repeating it is for the caller to decide.
    if !reads {
        response
            .headers_mut()
            .insert(SHOULD_RETRY, HeaderValue::from_static("false"));
    }
    // The rest of a body that comes too slowly is not waited for.
    response
        .headers_mut()
        .insert(http::header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// The route's answer, also if it panics.
async fn guarded(route: impl Future<Output = Result<Response, Infallible>>) -> Response {
    let mut route = pin!(route);
    poll_fn(|context| {
        // After a panic it is dropped, never polled again.
        match catch_unwind(AssertUnwindSafe(|| route.as_mut().poll(context))) {
            Ok(polled) => polled.map(|Ok(response)| response),
            Err(panic) => Poll::Ready(panicked(&*panic)),
        }
    })
    .await
}

/// Where a lent body is returned to.
type Rest = Arc<Mutex<Option<Body>>>;

/// Lends the body to the route, unless there is nothing to come back.
fn lend(request: Request) -> (Request, Option<Rest>) {
    let body = request.body();
    // What announces that it is too large is not waited for.
    if body.is_end_stream() || body.size_hint().lower() > BODY_BYTES_MAX as u64 {
        return (request, None);
    }
    let rest = Rest::default();
    let returned_to = rest.clone();
    (
        request.map(|body| {
            Body::new(Lent {
                body,
                rest: returned_to,
            })
        }),
        Some(rest),
    )
}

/// Reads and forgets what the route left of the body: all of it where the token was refused, or where a client sends one
/// with a GET. Left unread it would cost the client its connection, and maybe the answer: what follows could not be told
/// from the body (RFC 9112 §9.3), and closing upon data that nobody read resets the connection (RFC 9112 §9.6).
async fn to_the_end(answer: impl Future<Output = Response>, rest: Option<Rest>) -> Response {
    let response = answer.await;
    let rest = rest.and_then(|rest| rest.lock().unwrap_or_else(PoisonError::into_inner).take());
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
    rest: Rest,
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
            *self.rest.lock().unwrap_or_else(PoisonError::into_inner) =
                Some(std::mem::take(&mut self.body));
        }
    }
}

fn panicked(panic: &(dyn Any + Send)) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
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
