use std::convert::Infallible;
use std::future::{Future, IntoFuture};
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes};
use certgate_api::{PeerAddress, PeerCertificate};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use http_body::Frame;
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

/// A request. Await it to send it.
pub struct Call<'a> {
    router: &'a Router,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Vec<u8>,
    endless: bool,
    ready: Option<Ready>,
    peer: IpAddr,
    certificate: Option<PeerCertificate>,
}

impl<'a> Call<'a> {
    pub(crate) fn new(router: &'a Router, method: Method, path: String) -> Self {
        let host = HeaderValue::from_static("certgate.example");
        Self {
            router,
            method,
            path,
            headers: HeaderMap::from_iter([(header::HOST, host)]),
            body: Vec::new(),
            endless: false,
            ready: None,
            peer: IpAddr::from([127, 0, 0, 1]),
            certificate: None,
        }
    }

    /// Uses another token.
    pub fn token(self, value: &str) -> Self {
        self.header("authorization", &format!("Bearer {value}"))
    }

    /// Removes the credentials.
    pub fn anonymous(mut self) -> Self {
        self.headers.remove(header::AUTHORIZATION);
        self
    }

    /// Removes the host.
    pub fn without_host(mut self) -> Self {
        self.headers.remove(header::HOST);
        self
    }

    /// Uses e-mail address and API key instead of a token.
    pub fn key(self, email: &str, key: &str) -> Self {
        self.anonymous()
            .header("x-auth-email", email)
            .header("x-auth-key", key)
    }

    /// Adds a line to a header.
    pub fn line(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_bytes(value.as_bytes()).expect("a header's value");
        self.headers.append(HeaderName::from_static(name), value);
        self
    }

    /// Sets a header.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_bytes(value.as_bytes()).expect("a header's value");
        self.headers.insert(HeaderName::from_static(name), value);
        self
    }

    /// Sets the body. It need not be JSON.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.header("content-type", "application/json")
    }

    /// Keeps the body open after the given bytes, as if more were to come.
    pub fn without_an_end(mut self) -> Self {
        self.endless = true;
        self
    }

    /// Sends the body when this is ready, which is asked when the server reads the body.
    pub fn with_body_after(mut self, ready: impl Future<Output = ()> + Send + 'static) -> Self {
        self.ready = Some(Box::pin(ready));
        self
    }

    /// Sends the request from another address.
    pub fn from_address(mut self, address: &str) -> Self {
        self.peer = address.parse().expect("an address");
        self
    }

    /// Sends the request over TLS with this chain of the client (DER), its own certificate first.
    pub fn with_certificates(mut self, chain: impl IntoIterator<Item = Vec<u8>>) -> Self {
        self.certificate = Some(PeerCertificate(chain.into_iter().collect()));
        self
    }

    async fn send(self) -> Answer {
        let mut request = Request::builder().method(self.method).uri(&self.path);
        if let Some(certificate) = self.certificate {
            request = request.extension(certificate);
        }
        *request.headers_mut().expect("the path is valid") = self.headers;
        let body = match (self.endless, self.ready) {
            (true, _) => Body::new(Endless(Some(self.body.into()))),
            (false, Some(ready)) => Body::new(Late(ready, Some(self.body.into()))),
            (false, None) => Body::from(self.body),
        };
        let request = request.extension(PeerAddress(self.peer)).body(body);
        let request = request.expect("the request is valid");
        let response = match self.router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("the body is in memory");
        Answer {
            status: parts.status,
            headers: parts.headers,
            bytes: bytes.to_bytes().to_vec(),
        }
    }
}

impl<'a> IntoFuture for Call<'a> {
    type Output = Answer;
    type IntoFuture = Pin<Box<dyn Future<Output = Answer> + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

type Ready = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A body that comes later than the head.
struct Late(Ready, Option<Bytes>);

impl http_body::Body for Late {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.1.is_none() {
            return Poll::Ready(None);
        }
        match self.0.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(self.1.take().map(|bytes| Ok(Frame::data(bytes)))),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// A body that has a beginning but never ends.
struct Endless(Option<Bytes>);

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.0.take() {
            Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            None => Poll::Pending,
        }
    }
}

/// The answer to a request.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub bytes: Vec<u8>,
}

impl Answer {
    /// Returns the body, which must be JSON with the content type of JSON.
    pub fn json(&self) -> Value {
        assert_eq!(
            self.headers
                .get(header::CONTENT_TYPE)
                .map(HeaderValue::as_bytes),
            Some(&b"application/json"[..])
        );
        serde_json::from_slice(&self.bytes).expect("the body is JSON")
    }

    /// Returns the result of a successful answer in the envelope.
    #[track_caller]
    pub fn result(&self) -> Value {
        let json = self.json();
        assert_eq!(self.status, StatusCode::OK, "{json}");
        assert_eq!(
            (&json["success"], &json["errors"]),
            (&Value::Bool(true), &Value::Array(Vec::new()))
        );
        json["result"].clone()
    }

    /// Returns status, code, message and pointer of a failed answer in the envelope.
    #[track_caller]
    pub fn error(&self) -> Failure {
        let json = self.json();
        assert_ne!(self.status, StatusCode::OK, "{json}");
        assert_eq!(
            (&json["success"], &json["result"]),
            (&Value::Bool(false), &Value::Null)
        );
        assert_eq!(json["messages"], Value::Array(Vec::new()));
        let errors = json["errors"].as_array().expect("errors is an array");
        assert_eq!(errors.len(), 1);
        let text = |value: &Value| value.as_str().map(str::to_owned);
        Failure {
            status: self.status.as_u16(),
            code: errors[0]["code"].as_u64().expect("a code is a number"),
            message: text(&errors[0]["message"]).expect("a message is a string"),
            pointer: text(&errors[0]["source"]["pointer"]),
        }
    }
}

/// The members of a failed answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// HTTP status.
    pub status: u16,
    /// Number of the error.
    pub code: u64,
    /// Its text.
    pub message: String,
    /// The invalid input.
    pub pointer: Option<String>,
}
