//! The middleware of every request, outermost first: request ID, log line and metrics, time limit,
//! panic guard, and reading the rest of the body.
//!
//! One service does all of it. A router boxes each layer, and every boxed layer copies all layers
//! below it several times per request.

use std::any::Any;
use std::convert::Infallible;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::{MatchedPath, Request};
use axum::response::{IntoResponse, Response};
use certgate_model::{Hex, Random, lock};
use http::{HeaderName, HeaderValue, Method, StatusCode, Version, header};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::{BodyExt, Limited};
use tower::{Layer, Service};

use crate::body::BODY_BYTES_MAX;
use crate::code;
use crate::documentation::Documentation;
use crate::error::{ApiError, SHOULD_RETRY};
use crate::extract::check_single_headers;
use crate::failure_log::Inside;
use crate::large_answers::LargeAnswers;
use crate::request_metrics::RequestMetrics;
use crate::state::Api;

/// The name of the request in the answer and in the log.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("certgate-request-id");

/// The layer around every route.
#[derive(Clone)]
pub(crate) struct RequestLayer(Arc<Shared>);

struct Shared {
    random: Arc<dyn Random>,
    request_timeout: Duration,
    metrics: RequestMetrics,
    large_answers: LargeAnswers,
    documentation: Documentation,
    /// True if a request in HTTP/1.1 must name the host.
    needs_host: bool,
}

impl RequestLayer {
    /// Returns the layer of the management API.
    pub(crate) fn of_management(api: &Api) -> Self {
        Self::new(api, true)
    }

    /// Returns the layer of the public responder, which answers simple programs of devices too.
    pub(crate) fn of_responder(api: &Api) -> Self {
        Self::new(api, false)
    }

    /// Returns the layer of the enrolment listener, which simple programs of devices use too.
    pub(crate) fn of_enrolment(api: &Api) -> Self {
        Self::new(api, false)
    }

    /// Returns the layer of the listener of invites.
    pub(crate) fn of_invites(api: &Api) -> Self {
        Self::new(api, true)
    }

    fn new(api: &Api, needs_host: bool) -> Self {
        Self(Arc::new(Shared {
            random: api.random.clone(),
            request_timeout: api.request_timeout,
            metrics: RequestMetrics::default(),
            large_answers: api.large_answers().clone(),
            documentation: api.documentation.clone(),
            needs_host,
        }))
    }
}

impl<S> Layer<S> for RequestLayer {
    type Service = RequestService<S>;

    fn layer(&self, route: S) -> RequestService<S> {
        RequestService {
            shared: self.0.clone(),
            route,
        }
    }
}

/// A route with the middleware around it.
#[derive(Clone)]
pub(crate) struct RequestService<S> {
    shared: Arc<Shared>,
    route: S,
}

impl<S> Service<Request> for RequestService<S>
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
        let observed = ObservedRequest::new(&request, &*shared.random);
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        let headers = request.headers();
        let lacks_host =
            request.version() == Version::HTTP_11 && !headers.contains_key(header::HOST);
        let checked = match shared.needs_host && lacks_host {
            true => Err(ApiError::missing_host()),
            false => check_single_headers(headers),
        };
        if let Err(error) = checked {
            let mut response = error.into_response();
            // Another part of the request may be meant for another reader as well.
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
            return Box::pin(async move { Ok(observed.answered(response, &shared)) });
        }
        let (request, unread) = watch_body(request);
        let route = self.route.call(request);
        Box::pin(async move {
            let answer = read_to_end(guarded(route), unread);
            let limit = shared.request_timeout;
            let response = match tokio::time::timeout(limit, answer).await {
                Ok(response) => shared.large_answers.admit(response),
                Err(_) => timed_out(limit, is_read),
            };
            Ok(observed.answered(response, &shared))
        })
    }
}

/// The data of a request for its log line and its metrics.
struct ObservedRequest {
    id: String,
    method: &'static str,
    route: Option<MatchedPath>,
    started: Instant,
}

impl ObservedRequest {
    #[expect(
        clippy::disallowed_methods,
        reason = "measures the duration of a request for its metric"
    )]
    fn new(request: &Request, random: &dyn Random) -> Self {
        let started = Instant::now();
        let mut id = [0; 16];
        random.fill(&mut id);
        Self {
            id: Hex(&id).to_string(),
            method: method_label(request.method()),
            route: request.extensions().get::<MatchedPath>().cloned(),
            started,
        }
    }

    fn answered(self, response: Response, shared: &Shared) -> Response {
        let Self {
            id,
            method,
            route,
            started,
        } = self;
        let mut response = shared.documentation.add_to(response);
        // The route's pattern, never the path: its number of values is bounded.
        let route = route.as_ref().map_or("none", MatchedPath::as_str);
        let status = response.status();
        let took = started.elapsed();
        shared.metrics.count(method, route, status, took);
        let status = status.as_u16();
        if let Some(inside) = response.extensions_mut().remove::<Inside>() {
            inside.log(&id, method, route, status);
        } else {
            tracing::debug!(request_id = %id, method, route, status, "request answered");
        }
        if let Ok(value) = HeaderValue::try_from(id) {
            response.headers_mut().insert(REQUEST_ID, value);
        }
        response
    }
}

fn timed_out(limit: Duration, is_read: bool) -> Response {
    let seconds = limit.as_secs();
    let message = format!("The request took longer than {seconds} seconds: send it again");
    let error = ApiError::new(code::TIMEOUT, message);
    let mut response = error.into_response();
    let headers = response.headers_mut();
    // The server may have done a write that timed out: the caller decides to repeat it.
    if !is_read {
        headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
    }
    // The server does not wait for the rest of a body that comes too slowly.
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Returns the route's answer, also if the route panics.
async fn guarded(route: impl Future<Output = Result<Response, Infallible>>) -> Response {
    let mut route = pin!(route);
    poll_fn(|context| {
        // After a panic the route is dropped, never polled again.
        match catch_unwind(AssertUnwindSafe(|| route.as_mut().poll(context))) {
            Ok(polled) => polled.map(|Ok(response)| response),
            Err(panic) => Poll::Ready(panicked(&*panic)),
        }
    })
    .await
}

/// The place of a body that the route has not read to its end.
type UnreadBody = Arc<Mutex<Option<Body>>>;

/// Makes the route return the body, unless the body has nothing to read.
fn watch_body(request: Request) -> (Request, Option<UnreadBody>) {
    let body = request.body();
    // A client may announce a body that is too large: the server does not wait for it.
    if body.is_end_stream() || body.size_hint().lower() > BODY_BYTES_MAX as u64 {
        return (request, None);
    }
    let unread = UnreadBody::default();
    let returned_to = unread.clone();
    let watched = |body| {
        Body::new(WatchedBody {
            body,
            unread: returned_to,
        })
    };
    (request.map(watched), Some(unread))
}

/// Reads and drops the rest of the body, for example of a request whose token was refused, or of a
/// GET with a body. Otherwise the client would lose its connection, and perhaps the answer: the
/// next request could not be separated from the body (RFC 9112 §9.3), and closing a connection with
/// unread data resets it (RFC 9112 §9.6).
async fn read_to_end(
    answer: impl Future<Output = Response>,
    unread: Option<UnreadBody>,
) -> Response {
    let response = answer.await;
    let rest = unread.and_then(|unread| lock(&unread).take());
    if let Some(rest) = rest.filter(|_| response.status() != StatusCode::PAYLOAD_TOO_LARGE) {
        let mut rest = Limited::new(rest, BODY_BYTES_MAX);
        // A body that breaks off or is too large ends the connection after the answer.
        while let Some(Ok(_)) = rest.frame().await {}
    }
    response
}

/// The body of a request, which the route returns when it drops it.
struct WatchedBody {
    body: Body,
    unread: UnreadBody,
}

impl http_body::Body for WatchedBody {
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

impl Drop for WatchedBody {
    fn drop(&mut self) {
        if !self.body.is_end_stream() {
            *lock(&self.unread) = Some(std::mem::take(&mut self.body));
        }
    }
}

fn panicked(panic: &(dyn Any + Send)) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    let text = text.unwrap_or("no message");
    ApiError::internal(format!("panic: {text}")).into_response()
}

/// Returns a label for a method. Methods are free text in HTTP, labels of metrics must be few.
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
