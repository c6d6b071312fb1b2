//! `/healthz`, `/readyz` and `/metrics`, on an address of their own.

use std::convert::Infallible;
use std::net::TcpListener as StdListener;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::shared::Gateway;
use crate::accepting::pause_or;

/// The limit of the head of a request to `metrics_listen` of the gateway. Monitors are near, and
/// send it at once.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// Open connections to `metrics_listen` of the gateway. A few monitors share the address.
const CONNECTIONS_MAX: usize = 64;

/// Renders the metrics of the process.
pub type Render = Arc<dyn Fn() -> String + Send + Sync>;

/// Answers on the socket forever.
pub async fn serve_forever(socket: StdListener, gateway: Arc<Gateway>, render: Render) {
    let socket = match TcpListener::from_std(socket) {
        Ok(socket) => socket,
        Err(error) => return tracing::error!(%error, "cannot use the socket of the metrics"),
    };
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else {
            return;
        };
        let stream = match socket.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection for metrics");
                pause_or(std::future::pending::<()>()).await;
                continue;
            }
        };
        let (gateway, render) = (gateway.clone(), render.clone());
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let answer = answer(&request, &gateway, &render);
                async move { Ok::<_, Infallible>(answer) }
            });
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .serve_connection(TokioIo::new(stream), service)
                .await;
            if let Err(error) = served {
                tracing::debug!(%error, "a connection for metrics ended with an error");
            }
            drop(place);
        });
    }
}

fn answer(
    request: &Request<Incoming>,
    gateway: &Gateway,
    render: &Render,
) -> Response<Full<Bytes>> {
    let (status, text) = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/healthz") => (StatusCode::OK, "ok\n".to_owned()),
        (&Method::GET | &Method::HEAD, "/readyz") => ready(gateway),
        (&Method::GET | &Method::HEAD, "/metrics") => (StatusCode::OK, render()),
        _ => (StatusCode::NOT_FOUND, "not found\n".to_owned()),
    };
    let mut answer = Response::new(Full::new(Bytes::from(text)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    answer
}

/// Ready means: no host answers 503 because its view is too old.
fn ready(gateway: &Gateway) -> (StatusCode, String) {
    let active = gateway.active();
    let mut stale: Vec<_> = active
        .hosts
        .values()
        .filter(|host| gateway.is_stale(host))
        .map(|host| host.name.to_string())
        .collect();
    if stale.is_empty() {
        return (StatusCode::OK, "ready\n".to_owned());
    }
    stale.sort_unstable();
    let text = format!("no confirmed revocations for: {}\n", stale.join(", "));
    (StatusCode::SERVICE_UNAVAILABLE, text)
}
