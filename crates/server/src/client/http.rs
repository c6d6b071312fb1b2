//! Requests to the management API, and what its answers mean.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use ureq::http::{Method, Request, Response, StatusCode, header};
use ureq::tls::{PemItem, RootCerts, TlsConfig};
use ureq::{Agent, Body};
use zeroize::Zeroizing;

use super::output::printable;
use crate::failure::{Exit, Failure};

/// How long to wait for a connection: a server that is there accepts within a round trip.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long to wait for a whole answer: the server's own limit for a request is 30 s by default, and its queue of writes
/// may be full.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(90);

/// Largest answer that is read: a page of 1,000 certificates with requests of 16 KiB each, twice.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// How often a request that the server put off (429, 503) is made in all.
const ATTEMPTS_MAX: u32 = 6;

/// How long to wait before the next attempt when the server names no time; doubles with every attempt.
const BACKOFF: Duration = Duration::from_millis(250);

/// Longest wait before an attempt, whatever the server asks for: after that it is better to tell the user.
const BACKOFF_MAX: Duration = Duration::from_secs(60);

/// Where Linux distributions and BSDs keep the authorities that the system trusts.
const SYSTEM_AUTHORITIES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The API's code for credentials that are none.
const CODE_INVALID_HEADERS: i64 = 6003;

/// The API's code for revoking what is revoked.
const CODE_REVOKED_ALREADY: i64 = 1407;

/// The API's code for a change of which nobody knows whether it was made.
const CODE_IN_DOUBT: i64 = 10504;

/// The API's code for a brought certificate that is not there.
const CODE_NO_MTLS_CERTIFICATE: i64 = 1472;

/// An API token; wiped from memory when dropped, never printed.
#[derive(Clone)]
pub struct Token(Zeroizing<String>);

impl Token {
    /// The token of that value; white space around it (the line feed of a file) is no part of it.
    pub fn new(text: &str) -> Result<Self, Failure> {
        let text = text.trim();
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Failure::usage(
                "the token is empty or has characters that no token has",
            ));
        }
        Ok(Self(Zeroizing::new(text.to_owned())))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// A connection to the management API. Threads may share it.
#[derive(Debug)]
pub struct Api {
    agent: Agent,
    base: String,
    token: Token,
    token_source: String,
    pause: fn(Duration),
}

/// What a list answer says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ResultInfo {
    /// Which page.
    pub page: u64,
    /// How many on a full page.
    pub per_page: u64,
    /// How many on this page.
    pub count: u64,
    /// How many match.
    pub total_count: u64,
    /// How many pages.
    pub total_pages: u64,
    /// Where a list that is read part by part goes on; empty with its end.
    pub cursor: String,
}

/// A successful answer.
#[derive(Debug)]
pub struct Answer {
    /// `result` as it came.
    pub result: Box<RawValue>,
    /// `result_info`, of lists.
    pub info: ResultInfo,
    /// The messages beside the result.
    pub messages: Vec<String>,
}

impl Answer {
    /// `result` as a `T`.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_str(self.result.get()).map_err(|error| {
            Failure::failed(format!("the server's answer is not understood: {error}"))
        })
    }
}

/// A request that did not succeed.
#[derive(Debug)]
pub enum Refusal {
    /// The server refused it, for certain without doing anything.
    Refused {
        /// HTTP status.
        status: u16,
        /// What went wrong.
        failure: Failure,
    },
    /// It was never sent.
    NotSent(Failure),
    /// It may or may not have been done.
    Unknown(Failure),
}

impl Refusal {
    /// What to tell the user.
    pub fn into_failure(self) -> Failure {
        match self {
            Self::Refused { failure, .. } | Self::NotSent(failure) | Self::Unknown(failure) => {
                failure
            }
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        refusal.into_failure()
    }
}

#[derive(Deserialize)]
struct Envelope {
    success: bool,
    #[serde(default)]
    errors: Vec<Item>,
    #[serde(default)]
    messages: Vec<Item>,
    // Without a default: an answer that has no `result` at all is not from this API.
    result: Option<Box<RawValue>>,
    result_info: Option<ResultInfo>,
}

#[derive(Deserialize)]
struct Item {
    code: i64,
    message: String,
    source: Option<Pointer>,
}

#[derive(Deserialize)]
struct Pointer {
    pointer: Option<String>,
}

impl Api {
    /// A connection to the server at `address`, with or without the `/client/v4` of the API at its end. `authorities` is
    /// a PEM file with what to trust instead of the system's authorities. `token_source` is for messages.
    pub fn new(
        address: &str,
        authorities: Option<&Path>,
        token: Token,
        token_source: String,
    ) -> Result<Self, Failure> {
        let base = base_of(address)?;
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_global(Some(ANSWER_TIMEOUT))
            .user_agent(concat!("certgate/", env!("CARGO_PKG_VERSION")));
        if is_loopback(&base) {
            // A proxy for the world outside cannot reach this machine's own addresses.
            config = config.proxy(None);
        }
        if base.starts_with("https://") {
            let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            let tls = TlsConfig::builder()
                .root_certs(trusted(authorities)?)
                .unversioned_rustls_crypto_provider(provider)
                .build();
            config = config.tls_config(tls);
        }
        Ok(Self {
            agent: config.build().new_agent(),
            base,
            token,
            token_source,
            pause,
        })
    }

    /// The same connection with other waiting: tests look at the times instead.
    #[cfg(test)]
    pub fn pausing(mut self, pause: fn(Duration)) -> Self {
        self.pause = pause;
        self
    }

    /// Whether the token could be read on its way by others.
    pub fn is_cleartext_to_others(&self) -> bool {
        self.base.starts_with("http://") && !is_loopback(&self.base)
    }

    /// GET of a path such as `/client/v4/zones`.
    pub fn get(&self, path: &str) -> Result<Answer, Refusal> {
        self.request(Method::GET, path, None, None)
    }

    /// DELETE.
    pub fn delete(&self, path: &str) -> Result<Answer, Refusal> {
        self.request(Method::DELETE, path, None, None)
    }

    /// DELETE with a body.
    pub fn delete_with(&self, path: &str, body: &serde_json::Value) -> Result<Answer, Refusal> {
        self.request(Method::DELETE, path, Some(body), None)
    }

    /// PATCH.
    pub fn patch(&self, path: &str, body: &serde_json::Value) -> Result<Answer, Refusal> {
        self.request(Method::PATCH, path, Some(body), None)
    }

    /// PUT.
    pub fn put(&self, path: &str, body: &serde_json::Value) -> Result<Answer, Refusal> {
        self.request(Method::PUT, path, Some(body), None)
    }

    /// POST.
    pub fn post(&self, path: &str, body: &serde_json::Value) -> Result<Answer, Refusal> {
        self.request(Method::POST, path, Some(body), None)
    }

    /// POST of a request that makes nothing new if it is made again with the same `Idempotency-Key`.
    pub fn post_once(
        &self,
        path: &str,
        body: &serde_json::Value,
        key: &str,
    ) -> Result<Answer, Refusal> {
        self.request(Method::POST, path, Some(body), Some(key))
    }

    /// Makes the request, again where the server put it off. One that may have been done is made again only where doing
    /// it twice is the same as doing it once.
    fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<&serde_json::Value>,
        idempotency_key: Option<&str>,
    ) -> Result<Answer, Refusal> {
        let body = body.map(ToString::to_string).unwrap_or_default();
        let is_repeatable = method != Method::POST || idempotency_key.is_some();
        let (mut attempt, mut may_be_done) = (1, false);
        loop {
            let again = match self.send(&method, path, &body, idempotency_key) {
                Ok(answer) => {
                    match (
                        may_have_been_done(&answer),
                        put_off(&answer, is_repeatable, attempt),
                    ) {
                        (unsure, Some(delay)) if attempt < ATTEMPTS_MAX => {
                            may_be_done |= unsure;
                            delay
                        }
                        _ => {
                            return self.understand(&method, answer).map_err(
                                |refusal| match refusal {
                                    Refusal::Refused { failure, .. }
                                        if may_be_done && method == Method::POST =>
                                    {
                                        Refusal::Unknown(failure)
                                    }
                                    other => other,
                                },
                            );
                        }
                    }
                }
                Err(error) => {
                    let unsent = was_not_sent(&error);
                    if unsent || !is_repeatable || attempt > 1 {
                        let failure = self.unreachable(&error);
                        return Err(match unsent && !may_be_done || method == Method::GET {
                            true => Refusal::NotSent(failure),
                            false => Refusal::Unknown(failure),
                        });
                    }
                    // An idle connection that the server closed meanwhile looks like this.
                    may_be_done = true;
                    Duration::ZERO
                }
            };
            (self.pause)(again);
            attempt += 1;
        }
    }

    fn send(
        &self,
        method: &Method,
        path: &str,
        body: &str,
        idempotency_key: Option<&str>,
    ) -> Result<Response<Body>, ureq::Error> {
        let uri = format!("{}{path}", self.base);
        let mut request = Request::builder()
            .method(method)
            .uri(uri)
            .header(header::AUTHORIZATION, format!("Bearer {}", *self.token.0))
            .header(header::ACCEPT, "application/json");
        if let Some(key) = idempotency_key {
            request = request.header("Idempotency-Key", key);
        }
        if body.is_empty() {
            return self.agent.run(request.body(())?);
        }
        self.agent.run(
            request
                .header(header::CONTENT_TYPE, "application/json")
                .body(body.to_owned())?,
        )
    }

    fn understand(&self, method: &Method, mut answer: Response<Body>) -> Result<Answer, Refusal> {
        let status = answer.status();
        let read = answer
            .body_mut()
            .with_config()
            .limit(ANSWER_BYTES_MAX)
            .read_to_vec();
        let read = read.map_err(|error| Refusal::Unknown(self.unreachable(&error)))?;
        let foreign = |_| {
            let failure = Failure::Told {
                // An error that is not in the API's words comes from a gateway that could not reach certgate either.
                exit: if status.is_server_error() {
                    Exit::Unreachable
                } else {
                    Exit::Failed
                },
                message: format!("{} answers {status}, but not as certgate does", self.base),
                hint: Some(
                    "does the address lead to certgate's management API, and is that running?"
                        .to_owned(),
                ),
            };
            // A gateway that gave up waiting does not know what happened behind it.
            match status.is_client_error() || method == Method::GET {
                true => Refusal::Refused {
                    status: status.as_u16(),
                    failure,
                },
                false => Refusal::Unknown(failure),
            }
        };
        let envelope: Envelope = serde_json::from_slice(&read).map_err(foreign)?;
        if let (true, true, Some(result)) = (status.is_success(), envelope.success, envelope.result)
        {
            let messages = envelope
                .messages
                .into_iter()
                .map(|item| printable(&item.message))
                .collect();
            return Ok(Answer {
                result,
                info: envelope.result_info.unwrap_or_default(),
                messages,
            });
        }
        let code = envelope.errors.first().map(|item| item.code);
        let told: Vec<_> = envelope.errors.iter().map(told).collect();
        let mut failure = Failure::failed(match told.is_empty() {
            true => format!("the server answers {status} without a reason"),
            false => told.join("; "),
        });
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
            || code == Some(CODE_INVALID_HEADERS)
        {
            failure = failure.hint(format!(
                "the token used is the one from {}",
                self.token_source
            ));
        }
        if code == Some(CODE_REVOKED_ALREADY) {
            failure = failure.hint("`certgate cert restore` restores it");
        }
        if code == Some(CODE_NO_MTLS_CERTIFICATE) {
            failure = failure.hint("`certgate ca list` shows the ids");
        }
        // 408 is the server's answer to a request that it gave up, which may have been carried out all the same.
        let unsure = status == StatusCode::REQUEST_TIMEOUT
            || code == Some(CODE_IN_DOUBT)
            || status.is_server_error() && status != StatusCode::SERVICE_UNAVAILABLE;
        match unsure && method == Method::POST {
            true => Err(Refusal::Unknown(failure)),
            false => Err(Refusal::Refused {
                status: status.as_u16(),
                failure,
            }),
        }
    }

    fn unreachable(&self, error: &ureq::Error) -> Failure {
        let base = &self.base;
        let running = format!("is `certgate serve` running at {base}?");
        let (what, hint) = match error {
            ureq::Error::Timeout(_) => ("it does not answer in time".to_owned(), running),
            ureq::Error::HostNotFound => ("there is no host of that name".to_owned(), running),
            ureq::Error::Protocol(_) if base.starts_with("http://") => (
                "what listens there does not speak HTTP".to_owned(),
                "does the address begin with https://?".to_owned(),
            ),
            ureq::Error::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                ("nothing listens there".to_owned(), running)
            }
            ureq::Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                ("the connection ended before the answer".to_owned(), running)
            }
            ureq::Error::Io(error) => match tls_error(error) {
                Some(rustls::Error::InvalidCertificate(reason)) => (
                    format!("its certificate is not trusted ({reason})"),
                    "name a PEM file with the authority that signed it with --api-ca or CERTGATE_API_CA"
                        .to_owned(),
                ),
                Some(other) => (other.to_string(), "does the address begin with http://?".to_owned()),
                None => (error.to_string(), running),
            },
            other => (other.to_string(), running),
        };
        let message = format!("cannot reach {base}: {}", printable(&what));
        Failure::Told {
            exit: Exit::Unreachable,
            message,
            hint: Some(hint),
        }
    }
}

/// What TLS says is wrong, where that is what went wrong.
fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
}

fn told(item: &Item) -> String {
    let pointer = item
        .source
        .as_ref()
        .and_then(|source| source.pointer.as_deref());
    let place = pointer
        .map(|pointer| format!(", {}", printable(pointer)))
        .unwrap_or_default();
    format!("{} (code {}{place})", printable(&item.message), item.code)
}

/// How long to wait before the request is made again; [`None`]: the answer is final. A 503 without `retry-after` may come
/// from a gateway, which does not know whether the request behind it was done.
fn put_off(answer: &Response<Body>, is_repeatable: bool, attempt: u32) -> Option<Duration> {
    if answer
        .headers()
        .get("x-should-retry")
        .is_some_and(|value| value == "false")
    {
        return None;
    }
    let asked = answer
        .headers()
        .get(header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.trim().parse().ok());
    match answer.status() {
        StatusCode::TOO_MANY_REQUESTS => {}
        StatusCode::SERVICE_UNAVAILABLE if asked.is_some() || is_repeatable => {}
        _ => return None,
    }
    let delay = asked.map_or(
        BACKOFF * 2u32.saturating_pow(attempt - 1),
        Duration::from_secs,
    );
    (delay <= BACKOFF_MAX).then_some(delay)
}

/// Whether an answer leaves it open if the request was done: one of a gateway, which does not know, or of a server that lost its
/// database meanwhile and says whether to ask again.
fn may_have_been_done(answer: &Response<Body>) -> bool {
    let headers = answer.headers();
    answer.status() == StatusCode::SERVICE_UNAVAILABLE
        && (!headers.contains_key(header::RETRY_AFTER) || headers.contains_key("x-should-retry"))
}

fn was_not_sent(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::Io(error) => {
            let refused = error.kind() == io::ErrorKind::ConnectionRefused;
            // A certificate is looked at before anything is sent to whoever shows it.
            refused || matches!(tls_error(error), Some(rustls::Error::InvalidCertificate(_)))
        }
        ureq::Error::HostNotFound
        | ureq::Error::ConnectionFailed
        | ureq::Error::Tls(_)
        | ureq::Error::Rustls(_)
        | ureq::Error::BadUri(_)
        | ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => true,
        _ => false,
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the server named the instant to come back at; there is no event to wait for"
)]
fn pause(delay: Duration) {
    std::thread::sleep(delay);
}

/// `http://host:port` of an address as people write it.
fn base_of(address: &str) -> Result<String, Failure> {
    let trimmed = address.trim().trim_end_matches('/');
    let base = trimmed
        .strip_suffix("/client/v4")
        .unwrap_or(trimmed)
        .trim_end_matches('/');
    let rest = base
        .strip_prefix("http://")
        .or_else(|| base.strip_prefix("https://"))
        .unwrap_or_default();
    let plain = rest
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !b"?#@\"<>\\".contains(&byte));
    if rest.is_empty() || rest.starts_with('/') || !plain {
        let shown = printable(address);
        return Err(Failure::usage(format!(
            "{shown:?} is no address such as http://127.0.0.1:8787"
        )));
    }
    Ok(base.to_owned())
}

fn is_loopback(base: &str) -> bool {
    let host = base.split("://").nth(1).unwrap_or_default();
    let host = host.split('/').next().unwrap_or_default();
    let host = host
        .rsplit_once(':')
        .map_or(host, |(host, _)| host)
        .trim_matches(['[', ']']);
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn trusted(named: Option<&Path>) -> Result<RootCerts, Failure> {
    let path = match named {
        Some(path) => path.to_owned(),
        None => SYSTEM_AUTHORITIES
            .iter()
            .map(PathBuf::from)
            .find(|path| path.exists())
            .ok_or_else(|| {
                Failure::usage(
                    "this system keeps its trusted authorities in no place certgate knows",
                )
                .hint("name a PEM file with --api-ca")
            })?,
    };
    let pem = std::fs::read(&path)
        .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
    let certificates: Vec<_> = ureq::tls::parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() {
        return Err(Failure::usage(format!(
            "{} holds no certificate in PEM form",
            path.display()
        )));
    }
    Ok(RootCerts::new_with_certs(&certificates))
}

#[cfg(test)]
mod tests;
