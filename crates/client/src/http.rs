//! Requests to the management API.

mod address;
mod answer;
mod trust;

use std::fmt;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use certgate_model::{Hex, Timestamp};
use serde::Serialize;
use ureq::Body;
use ureq::http::{Method, Request, Response, StatusCode, header};
use zeroize::Zeroizing;

use self::address::base_of;
pub use self::address::{check_address, is_loopback};
use self::answer::Reader;
pub use self::answer::{Answer, Refusal, parsed};
pub use self::trust::Trusted;
use crate::failure::Failure;
use crate::output::printable;
use crate::tls;

/// Limits the wait for a connection: a running server accepts within a round trip.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Limits the wait for a whole answer: the server's own limit for a request is 30 s by default, and
/// its queue of writes may be full.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(90);

/// The number of times that the client sends a request if the server asks for a retry (429, 503).
const ATTEMPTS_MAX: u32 = 6;

/// The wait before the second attempt if the server names no time. It doubles with each attempt.
const BACKOFF: Duration = Duration::from_millis(250);

/// The longest wait before an attempt: a user waits no longer than this without a message.
const BACKOFF_MAX: Duration = Duration::from_secs(60);

/// The largest text that the client reads: the metrics of a server have some hundred kilobytes.
const TEXT_BYTES_MAX: u64 = 16 << 20;

/// The largest answer to a request without the token: a shard of a CRL has some megabytes.
const LOOK_BYTES_MAX: u64 = 64 << 20;

/// The connections that stay open between requests: one for each request that a command sends at
/// once.
const CONNECTIONS_MAX: usize = 64;

/// An API token. `Drop` wipes it from memory, `Debug` does not show it.
#[derive(Clone)]
pub struct Token(Zeroizing<String>);

impl Token {
    /// Reads a token. White space around it, such as the line feed of a file, is not a part of it.
    pub fn new(text: &str) -> Result<Self, Failure> {
        let text = text.trim();
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Failure::usage(
                "the token is empty or has a character that a token cannot have",
            )
            .hint("copy the value that `certgate token create` printed"));
        }
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    /// The value, which is a secret.
    pub fn value(&self) -> Zeroizing<String> {
        self.0.clone()
    }

    /// Names the token in a file without its value: 16 hexadecimal digits of its hash.
    pub fn fingerprint(&self) -> String {
        Hex(&certgate_pki::sha256(self.0.as_bytes())[..8]).to_string()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// An answer to a request without the token.
#[derive(Debug)]
pub struct Look {
    /// HTTP status.
    pub status: u16,
    /// The clock of the server, if it shows it.
    pub date: Option<Timestamp>,
    /// The body.
    pub body: Vec<u8>,
}

/// A connection to the management API, which threads may share.
#[derive(Debug)]
pub struct Api {
    agent: ureq::Agent,
    base: String,
    token: Token,
    token_source: String,
    pause: fn(Duration),
    /// Set if each request is printed.
    tells: bool,
}

impl Api {
    /// Prepares a connection to the server at `address`, which may end in `/client/v4`. Messages
    /// name the token by `token_source`.
    pub fn new(
        address: &str,
        trusted: Trusted<'_>,
        token: Token,
        token_source: String,
    ) -> Result<Self, Failure> {
        let base = base_of(address)?;
        let mut config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_global(Some(ANSWER_TIMEOUT))
            .max_idle_connections(CONNECTIONS_MAX)
            .max_idle_connections_per_host(CONNECTIONS_MAX)
            .user_agent(concat!("certgate/", env!("CARGO_PKG_VERSION")));
        if is_loopback(&base) {
            // A forward proxy cannot reach this machine's own addresses.
            config = config.proxy(None);
        }
        let agent = match base.starts_with("https://") {
            true => {
                let secured = tls::configuration(trusted.read()?, None, Arc::default())?;
                tls::agent(config.build(), secured)
            }
            false => config.build().new_agent(),
        };
        Ok(Self {
            agent,
            base,
            token,
            token_source,
            pause,
            tells: false,
        })
    }

    /// Prints each request and its outcome on standard error.
    pub fn telling(mut self, tells: bool) -> Self {
        self.tells = tells;
        self
    }

    /// Replaces the wait between attempts.
    #[cfg(test)]
    pub fn pausing(mut self, pause: fn(Duration)) -> Self {
        self.pause = pause;
        self
    }

    /// The address, `http://host:port`.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The token of every request.
    pub fn token(&self) -> &Token {
        &self.token
    }

    /// Waits before the next look at something that no event announces.
    pub fn pause(&self, delay: Duration) {
        (self.pause)(delay);
    }

    /// Returns true if others could read the token on the network.
    pub fn is_cleartext_to_others(&self) -> bool {
        self.base.starts_with("http://") && !is_loopback(&self.base)
    }

    /// GET of a path such as `/client/v4/zones`.
    pub fn get(&self, path: &str) -> Result<Answer, Refusal> {
        self.request(Method::GET, path, String::new(), None)
    }

    /// DELETE.
    pub fn delete(&self, path: &str) -> Result<Answer, Refusal> {
        self.request(Method::DELETE, path, String::new(), None)
    }

    /// DELETE with a body.
    pub fn delete_with(&self, path: &str, body: &impl Serialize) -> Result<Answer, Refusal> {
        self.request(Method::DELETE, path, json(body)?, None)
    }

    /// PATCH.
    pub fn patch(&self, path: &str, body: &impl Serialize) -> Result<Answer, Refusal> {
        self.request(Method::PATCH, path, json(body)?, None)
    }

    /// PUT.
    pub fn put(&self, path: &str, body: &impl Serialize) -> Result<Answer, Refusal> {
        self.request(Method::PUT, path, json(body)?, None)
    }

    /// POST.
    pub fn post(&self, path: &str, body: &impl Serialize) -> Result<Answer, Refusal> {
        self.request(Method::POST, path, json(body)?, None)
    }

    /// POST with an `Idempotency-Key`: the server executes the request once, even if the client
    /// sends it again.
    pub fn post_once(
        &self,
        path: &str,
        body: &impl Serialize,
        key: &str,
    ) -> Result<Answer, Refusal> {
        self.request(Method::POST, path, json(body)?, Some(key))
    }

    /// Sends the request, and repeats it if the server asks for that. The client repeats a request
    /// that the server may have executed only if two requests have the effect of one.
    fn request(
        &self,
        method: Method,
        path: &str,
        body: String,
        idempotency_key: Option<&str>,
    ) -> Result<Answer, Refusal> {
        let reader = Reader {
            method: &method,
            path,
            base: &self.base,
            token_source: &self.token_source,
        };
        let is_repeatable = method != Method::POST || idempotency_key.is_some();
        let (mut attempt, mut may_be_done) = (1, false);
        loop {
            let outcome = self.send(&method, path, &body, idempotency_key);
            if self.tells {
                self.tell(&method, path, &outcome);
            }
            let delay = match outcome {
                Ok(answer) => match put_off(&answer, is_repeatable, attempt) {
                    Some(delay) if attempt < ATTEMPTS_MAX => {
                        may_be_done |= may_have_been_done(&answer);
                        delay
                    }
                    _ => return reader.read(answer, may_be_done),
                },
                Err(error) => {
                    let unsent = answer::was_not_sent(&error);
                    if unsent || !is_repeatable || attempt > 1 {
                        let failure = reader.unreachable(&error);
                        return Err(match unsent && !may_be_done || method == Method::GET {
                            true => Refusal::NotSent(failure),
                            false => Refusal::Unknown(failure),
                        });
                    }
                    // The server may have closed an idle connection at this instant.
                    may_be_done = true;
                    Duration::ZERO
                }
            };
            (self.pause)(delay);
            attempt += 1;
        }
    }

    /// Prints a request. The token is in no path.
    fn tell(&self, method: &Method, path: &str, outcome: &Result<Response<Body>, ureq::Error>) {
        let outcome = match outcome {
            Ok(answer) => answer.status().to_string(),
            Err(error) => error.to_string(),
        };
        let line = printable(&format!("{method} {}{path}: {outcome}", self.base));
        let _ = writeln!(io::stderr(), "{line}");
    }

    /// GET of a text that is not in the API's format. [`None`]: the server has none for this
    /// client.
    pub fn text(&self, path: &str) -> Option<String> {
        let answer = self.send(&Method::GET, path, "", None);
        if self.tells {
            self.tell(&Method::GET, path, &answer);
        }
        let mut answer = answer.ok().filter(|answer| answer.status().is_success())?;
        let text = answer.body_mut().with_config().limit(TEXT_BYTES_MAX);
        text.read_to_string().ok()
    }

    /// Reads an address without the token: GET, or POST of an OCSP request. The server may be any.
    pub fn look(&self, url: &str, ocsp_request: Option<&[u8]>) -> Result<Look, Failure> {
        let unreachable = |error: &ureq::Error| {
            Reader {
                method: &Method::GET,
                path: "",
                base: url,
                token_source: "",
            }
            .unreachable(error)
        };
        let request = Request::builder().uri(url);
        let answer = match ocsp_request {
            None => request.body(()).map(|request| self.agent.run(request)),
            Some(body) => request
                .method(Method::POST)
                .header(header::CONTENT_TYPE, "application/ocsp-request")
                .body(body)
                .map(|request| self.agent.run(request)),
        };
        let answer = answer.map_err(|error| Failure::failed(format!("{url:?}: {error}")))?;
        let mut answer = answer.map_err(|error| unreachable(&error))?;
        let date = answer.headers().get(header::DATE);
        let date = date.and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
        let date = date.and_then(|date| date.duration_since(UNIX_EPOCH).ok());
        let seconds = date.and_then(|date| i64::try_from(date.as_secs()).ok());
        let status = answer.status().as_u16();
        let body = answer.body_mut().with_config().limit(LOOK_BYTES_MAX);
        Ok(Look {
            status,
            date: seconds.map(Timestamp::from_unix),
            body: body.read_to_vec().map_err(|error| unreachable(&error))?,
        })
    }

    /// GET of an address of the public responder, without the token. Returns the time at which the
    /// file was made, if the address can be reached from here.
    pub fn public_date(&self, url: &str) -> Option<Timestamp> {
        let request = Request::builder()
            .method(Method::GET)
            .uri(url)
            .body(())
            .ok()?;
        let answer = self.agent.run(request);
        let answer = answer.ok().filter(|answer| answer.status().is_success())?;
        let modified = answer.headers().get(header::LAST_MODIFIED)?.to_str().ok()?;
        let modified = httpdate::parse_http_date(modified).ok()?;
        let since = modified.duration_since(UNIX_EPOCH).ok()?;
        Some(Timestamp::from_unix(i64::try_from(since.as_secs()).ok()?))
    }

    fn send(
        &self,
        method: &Method,
        path: &str,
        body: &str,
        idempotency_key: Option<&str>,
    ) -> Result<Response<Body>, ureq::Error> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(header::AUTHORIZATION, format!("Bearer {}", *self.token.0))
            .header(header::ACCEPT, "application/json");
        if let Some(key) = idempotency_key {
            request = request.header("Idempotency-Key", key);
        }
        if body.is_empty() {
            return self.agent.run(request.body(())?);
        }
        let request = request.header(header::CONTENT_TYPE, "application/json");
        self.agent.run(request.body(body.to_owned())?)
    }
}

fn json(body: &impl Serialize) -> Result<String, Refusal> {
    serde_json::to_string(body)
        .map_err(|error| Refusal::NotSent(Failure::failed(format!("cannot write JSON: {error}"))))
}

/// Returns the wait before the next attempt, or [`None`] if the answer is final. A 503 without
/// `retry-after` may come from a gateway, which does not know if the server executed the request.
fn put_off(answer: &Response<Body>, is_repeatable: bool, attempt: u32) -> Option<Duration> {
    let headers = answer.headers();
    if headers
        .get("x-should-retry")
        .is_some_and(|value| value == "false")
    {
        return None;
    }
    let asked = headers
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

/// Returns true if the server may have executed the request: the answer is from a gateway, which
/// does not know, or from a server that lost its database and states if the client should retry.
fn may_have_been_done(answer: &Response<Body>) -> bool {
    let headers = answer.headers();
    answer.status() == StatusCode::SERVICE_UNAVAILABLE
        && (!headers.contains_key(header::RETRY_AFTER) || headers.contains_key("x-should-retry"))
}

/// Waits for an instant that no event announces.
#[expect(
    clippy::disallowed_methods,
    reason = "the instant is known, such as that of the next attempt, and no event announces it"
)]
pub fn pause(delay: Duration) {
    std::thread::sleep(delay);
}

#[cfg(test)]
mod tests;
