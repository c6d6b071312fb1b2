use http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Method, Response, StatusCode};

use super::body::{Answered, Ends};
use super::upstream::SendError;
use crate::Reason;

/// The seconds after which a client of a stale host may try again. The gateway reconnects within a
/// second after the server is back.
const RETRY_SECONDS: HeaderValue = HeaderValue::from_static("5");

/// An answer of the gateway itself.
#[derive(Debug, Clone, Copy)]
pub struct Refusal {
    /// The status.
    pub status: StatusCode,
    /// The reason in log lines.
    pub reason: &'static str,
    text: &'static str,
}

impl Refusal {
    /// The authority of the request is missing or malformed.
    pub const NO_HOST: Self = Self {
        status: StatusCode::BAD_REQUEST,
        reason: "no_host",
        text: "The request has no valid host.\n",
    };

    /// The request is for another host than the handshake (RFC 9110 §15.5.20).
    pub const MISDIRECTED: Self = Self {
        status: StatusCode::MISDIRECTED_REQUEST,
        reason: "misdirected",
        text: "The request is for another host than the TLS connection: open a new connection.\n",
    };

    /// The gateway is not a forward proxy.
    pub const CONNECT: Self = Self {
        status: StatusCode::METHOD_NOT_ALLOWED,
        reason: "method",
        text: "This gateway does not support CONNECT.\n",
    };

    /// The body of the request exceeds its limit.
    pub const BODY_TOO_LARGE: Self = Self {
        status: StatusCode::PAYLOAD_TOO_LARGE,
        reason: "body_bytes",
        text: "The body of the request is too large.\n",
    };

    /// The upstream switched to a protocol that the client has not asked for.
    pub const BAD_SWITCH: Self = Self {
        status: StatusCode::BAD_GATEWAY,
        reason: "upstream_switch",
        text: "The upstream switched protocols without a request to do so.\n",
    };

    /// Translates a refused certificate.
    pub const fn of_reason(reason: Reason) -> Self {
        let (status, text) = match reason {
            Reason::Stale => (
                StatusCode::SERVICE_UNAVAILABLE,
                "The gateway cannot confirm that client certificates are still valid. Try again \
                 later.\n",
            ),
            Reason::NoCertificate => (
                StatusCode::FORBIDDEN,
                "This host requires a client certificate.\n",
            ),
            Reason::Revoked => (
                StatusCode::FORBIDDEN,
                "The client certificate is revoked.\n",
            ),
            Reason::Expired => (
                StatusCode::FORBIDDEN,
                "The client certificate has expired.\n",
            ),
            _ => (
                StatusCode::FORBIDDEN,
                "This host does not accept the client certificate.\n",
            ),
        };
        Self {
            status,
            reason: reason.as_str(),
            text,
        }
    }

    /// Translates a failure at the upstreams.
    pub const fn of_failure(error: &SendError) -> Self {
        match error {
            SendError::Unreachable(_) => Self {
                status: StatusCode::BAD_GATEWAY,
                reason: "upstream_unreachable",
                text: "No upstream is reachable.\n",
            },
            SendError::Failed(_) => Self {
                status: StatusCode::BAD_GATEWAY,
                reason: "upstream_failed",
                text: "The upstream closed the connection before it answered.\n",
            },
            SendError::Late => Self {
                status: StatusCode::GATEWAY_TIMEOUT,
                reason: "upstream_late",
                text: "The upstream did not answer in time.\n",
            },
            SendError::SlowClient => Self {
                status: StatusCode::REQUEST_TIMEOUT,
                reason: "body_seconds",
                text: "The body of the request did not arrive in time.\n",
            },
            SendError::TooLarge => Self::BODY_TOO_LARGE,
        }
    }

    /// Makes the answer to a request with this method.
    pub fn answer<T: Ends + Unpin>(
        self,
        method: &Method,
        is_http1: bool,
        kept: T,
    ) -> Response<Answered<T>> {
        let text = match *method {
            // RFC 9110 §9.3.2: its answer has no body. In HTTP/2, hyper would send one.
            Method::HEAD => "",
            _ => self.text,
        };
        let mut answer = Response::new(Answered::text(text, kept));
        *answer.status_mut() = self.status;
        let headers = answer.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        );
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, RETRY_SECONDS);
        }
        if is_http1 {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }
}
