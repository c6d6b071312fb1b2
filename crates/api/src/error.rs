//! A failed answer.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use certgate_wire::{ErrorCause, ErrorItem, ErrorSource, FailedAnswer};
use http::{HeaderName, HeaderValue, StatusCode, header};

use crate::code::{self, Code};
use crate::failure_log::Inside;
use crate::response;

/// SDKs do not repeat a request whose answer has `false` here.
pub(crate) const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// Seconds until a client may try again that has reached a limit of streams, rotations or
/// connections.
const TOO_MANY_RETRY_SECONDS: u32 = 10;

/// Seconds until a client should try again if the store is unavailable.
const UNAVAILABLE_RETRY_SECONDS: u32 = 2;

/// A failed answer. SDKs retry 408, 409, 429 and 5xx: an answer that would fail again in the same
/// way has none of these statuses.
///
/// Public because it is the rejection of extractors of public types; other crates cannot name it.
#[derive(Debug)]
pub struct ApiError {
    pub(crate) code: Code,
    pub(crate) message: Cow<'static, str>,
    pointer: Option<Cow<'static, str>>,
    /// The code and the message in `error_chain`.
    cause: Option<(Code, &'static str)>,
    retry_after_seconds: Option<u32>,
    /// Tells SDKs to repeat the request or not, where the status does not.
    should_retry: Option<bool>,
    /// Tells the client that bodies must not be encoded.
    accepts_identity: bool,
    /// The `continue` parameter of the request that continues a search.
    continuation: Option<Box<str>>,
    /// The text for the log; the client does not see it. In a box, so that results stay small.
    inside: Option<Box<Inside>>,
}

impl ApiError {
    pub(crate) fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
            pointer: None,
            cause: None,
            retry_after_seconds: None,
            should_retry: None,
            accepts_identity: false,
            continuation: None,
            inside: None,
        }
    }

    /// Names the input at fault.
    pub(crate) fn at(mut self, pointer: impl Into<Cow<'static, str>>) -> Self {
        self.pointer = Some(pointer.into());
        self
    }

    /// Sets the time after which a client may try again.
    pub(crate) fn retry_after(self, seconds: u32) -> Self {
        Self {
            retry_after_seconds: Some(seconds),
            ..self
        }
    }

    /// Adds the `continue` parameter of the request that continues a search.
    pub(crate) fn continued(self, continuation: String) -> Self {
        Self {
            continuation: Some(continuation.into()),
            ..self
        }
    }

    /// A body that is compressed. The answer names the accepted coding (RFC 9110 §15.5.16).
    pub(crate) fn encoded_body() -> Self {
        let message = "The body is compressed or encoded: send it without Content-Encoding, and \
                       with no Transfer-Encoding but chunked";
        Self {
            accepts_identity: true,
            ..Self::new(code::BODY_ENCODED, message)
        }
    }

    /// A query parameter outside its rule.
    pub(crate) fn parameter(name: &'static str, message: String) -> Self {
        Self::new(code::INVALID_PARAMETER, message).at(name)
    }

    /// A member of the body that is missing, of the wrong type or outside its rule.
    pub(crate) fn member(pointer: impl Into<Cow<'static, str>>, message: String) -> Self {
        Self::new(code::INVALID_MEMBER, message).at(pointer)
    }

    pub(crate) fn missing_credentials() -> Self {
        let message = "Missing X-Auth-Key, X-Auth-Email or Authorization headers";
        Self::new(code::MISSING_CREDENTIALS, message)
    }

    /// A request in HTTP/1.1 without a host (RFC 9112 §3.2).
    pub(crate) fn missing_host() -> Self {
        let message =
            "The request has no Host header: send one, as HTTP/1.1 requires (RFC 9112 §3.2)";
        Self::new(code::MALFORMED_HEAD, message)
    }

    /// A header that cannot be read; the reason is in `error_chain`.
    pub(crate) fn malformed_header(code: Code, message: &'static str) -> Self {
        Self {
            cause: Some((code, message)),
            ..Self::new(code::INVALID_HEADERS, "Invalid request headers")
        }
    }

    /// The caller has reached a limit of things that end after some time.
    pub(crate) fn too_many(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(code::RATE_LIMITED, message).retry_after(TOO_MANY_RETRY_SECONDS)
    }

    pub(crate) fn refused() -> Self {
        Self::new(code::ACCESS, "Unauthorized to access requested resource")
    }

    pub(crate) fn no_route(path: &str) -> Self {
        const SHOWN_CHARACTERS_MAX: usize = 200;
        let shown: String = path.chars().take(SHOWN_CHARACTERS_MAX).collect();
        let message =
            format!("Could not route to {shown}, perhaps your object identifier is invalid?");
        Self::new(code::NO_ROUTE, message)
    }

    /// The zone or account was deleted during the request, or the body names one that does not
    /// exist.
    pub(crate) fn no_tenant() -> Self {
        let message = "The zone or account does not exist: check its ID, or it was deleted";
        Self::new(code::NO_ROUTE, message)
    }

    pub(crate) fn certificate_not_found() -> Self {
        // Typed clients look for the first three words.
        let message = "Invalid Certificate ID: the zone has no client certificate with this ID, \
                       check the ID and the zone";
        Self::new(code::CERTIFICATE_NOT_FOUND, message)
    }

    pub(crate) fn mtls_certificate_not_found() -> Self {
        // Typed clients look for the first three words.
        let message = "Certificate not found: the account has no mTLS certificate with this ID, \
                       GET /accounts/<id>/mtls_certificates lists them";
        Self::new(code::MTLS_CERTIFICATE_NOT_FOUND, message)
    }

    pub(crate) fn internal(inside: String) -> Self {
        let message = "Internal error: the server's log has the details under the request ID";
        Self {
            inside: Some(Box::new(Inside::Internal(inside))),
            ..Self::new(code::INTERNAL, message)
        }
    }

    /// A change that may or may not be in the database. A client that repeats the request makes the
    /// change twice, unless the request is repeatable.
    pub(crate) fn in_doubt(
        message: impl Into<Cow<'static, str>>,
        inside: String,
        is_repeatable: bool,
    ) -> Self {
        Self {
            should_retry: Some(is_repeatable),
            ..Self::later(code::IN_DOUBT, message, inside)
        }
    }

    pub(crate) fn unavailable(inside: String) -> Self {
        let message = "The service is temporarily unavailable: try again later";
        Self::later(code::UNAVAILABLE, message, inside)
    }

    /// Some tasks of the server do not run.
    pub(crate) fn without_tasks(names: &[&str]) -> Self {
        let names = names.join(", ");
        let inside = format!("tasks do not run: {names}");
        let message = format!(
            "These tasks of the server do not run: {names}. It restarts them, and its log has the \
             reason"
        );
        Self::later(code::UNAVAILABLE, message, inside)
    }

    fn later(code: Code, message: impl Into<Cow<'static, str>>, inside: String) -> Self {
        let error = Self::new(code, message);
        Self {
            inside: Some(Box::new(Inside::Unavailable(inside))),
            ..error.retry_after(UNAVAILABLE_RETRY_SECONDS)
        }
    }
}

impl ApiError {
    /// Returns the parts of an answer in plain text: the status, the text, the seconds until the
    /// client may try again, and the text for the log.
    pub(crate) fn plain(
        self,
    ) -> (
        StatusCode,
        Cow<'static, str>,
        Option<u32>,
        Option<Box<Inside>>,
    ) {
        (
            self.code.status,
            self.message,
            self.retry_after_seconds,
            self.inside,
        )
    }

    /// Returns the error as answers show it.
    pub(crate) fn item(self) -> ErrorItem<'static> {
        ErrorItem {
            code: self.code.number(),
            message: self.message,
            documentation_url: None,
            source: self.pointer.map(|pointer| ErrorSource { pointer }),
            error_chain: self.cause.map(|(code, message)| {
                vec![ErrorCause {
                    code: code.number(),
                    message: message.into(),
                }]
            }),
            continuation: self.continuation.map(|text| text.into_string().into()),
        }
    }
}

/// The error of an answer, to which the middleware adds the link to its documentation.
#[derive(Clone)]
pub(crate) struct AnsweredError(pub(crate) ErrorItem<'static>);

/// Returns the JSON of an answer with this error.
pub(crate) fn failed_answer(item: ErrorItem<'_>) -> String {
    let failure = FailedAnswer {
        success: false,
        errors: vec![item],
        messages: Vec::new(),
        result: (),
    };
    serde_json::to_string(&failure).expect("strings and numbers always serialise")
}

impl IntoResponse for ApiError {
    fn into_response(mut self) -> Response {
        let (retry_after, should_retry) = (self.retry_after_seconds, self.should_retry);
        let (accepts_identity, inside) = (self.accepts_identity, self.inside.take());
        let status = self.code.status;
        let item = self.item();
        let mut response = response::json(status, failed_answer(item.clone()));
        response.extensions_mut().insert(AnsweredError(item));
        let headers = response.headers_mut();
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if accepts_identity {
            let value = HeaderValue::from_static("identity");
            headers.insert(header::ACCEPT_ENCODING, value);
        }
        if let Some(should_retry) = should_retry {
            let value = if should_retry { "true" } else { "false" };
            headers.insert(SHOULD_RETRY, HeaderValue::from_static(value));
        }
        if let Some(inside) = inside {
            response.extensions_mut().insert(*inside);
        }
        response
    }
}
