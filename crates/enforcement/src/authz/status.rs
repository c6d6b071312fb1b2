//! `/healthz`, `/readyz` and `/metrics`, on an address of their own.

use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio_rustls::TlsAcceptor;

use super::body::Complete;
use super::connection::Answer;
use super::questions::Judge;
use crate::boot::BootInstant;

/// Answers health checks and a monitoring system.
pub struct Status {
    judge: Arc<Judge>,
    render: Box<dyn Fn() -> String + Send + Sync>,
}

impl Status {
    /// Returns the service. `render` writes the metrics.
    pub fn new(judge: Arc<Judge>, render: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self {
            judge,
            render: Box::new(render),
        }
    }
}

impl Answer for Status {
    fn tls(&self) -> Option<TlsAcceptor> {
        None
    }

    fn is_local(&self) -> bool {
        false
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Complete> {
        let is_stale = || {
            self.judge
                .view
                .is_stale(&self.judge.stale, BootInstant::now())
        };
        let (status, body) = match request.uri().path() {
            "/healthz" => (StatusCode::OK, Complete::text("ok\n")),
            "/readyz" if is_stale() => {
                let text = "certgate has not confirmed the view of this process for too long\n";
                (StatusCode::SERVICE_UNAVAILABLE, Complete::text(text))
            }
            "/readyz" => (StatusCode::OK, Complete::text("ready\n")),
            "/metrics" => (StatusCode::OK, Complete::owned((self.render)())),
            _ => (StatusCode::NOT_FOUND, Complete::text("not found\n")),
        };
        let mut answer = Response::new(body);
        *answer.status_mut() = status;
        let kind = HeaderValue::from_static("text/plain; charset=utf-8");
        answer.headers_mut().insert(CONTENT_TYPE, kind);
        answer
    }
}
