//! The answers of the management API, and the meaning of answers that did not come.

use std::borrow::Cow;
use std::io;

use certgate_wire::{ErrorItem, Message};
use rustls::CertificateError;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use ureq::Body;
use ureq::http::{Method, Response, StatusCode};

use crate::failure::{Exit, Failure};
use crate::output::printable;
use crate::tls;

/// The largest answer that the client reads: a page of 1,000 certificates with requests of 16 KiB
/// each, twice.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// The API's code for malformed credentials.
const CODE_INVALID_HEADERS: u32 = 6003;

/// The API's code for a change that the server may or may not have made.
const CODE_IN_DOUBT: u32 = 10504;

/// The API's code for the revocation of a certificate that was revoked before.
const CODE_REVOKED_BEFORE: u32 = 1407;

/// The API's code for a list with more matches than `total_count` says.
const CODE_NOT_COUNTED: u32 = 1530;

/// The API's code for a path whose zone or account does not exist.
const CODE_NO_ROUTE: u32 = 7003;

/// The API's code for an unknown uploaded certificate.
const CODE_NO_MTLS_CERTIFICATE: u32 = 1472;

/// A successful answer.
#[derive(Debug)]
pub struct Answer {
    /// `result`, byte for byte.
    pub result: Box<RawValue>,
    /// `result_info` of lists.
    info: Option<Box<RawValue>>,
    /// The messages beside the result.
    pub messages: Vec<String>,
    /// Set if more match than `total_count` says.
    pub is_not_counted: bool,
    /// Set if the certificate was revoked before, so that the request changed nothing.
    pub is_unchanged: bool,
    /// Set if the server may have executed an earlier attempt of the same request.
    pub is_repeated: bool,
}

impl Answer {
    /// `result` as a `T`.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        parsed(&self.result)
    }

    /// `result_info`, byte for byte.
    pub fn raw_info(&self) -> Result<&RawValue, Failure> {
        let info = self.info.as_deref();
        info.ok_or_else(|| Failure::not_understood("the list has no result_info"))
    }

    /// `result_info` of a list: a [`certgate_wire::ResultInfo`] or a [`certgate_wire::CursorInfo`].
    pub fn info<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        parsed(self.raw_info()?)
    }
}

/// A part of an answer as a `T`.
pub fn parsed<T: DeserializeOwned>(value: &RawValue) -> Result<T, Failure> {
    serde_json::from_str(value.get()).map_err(Failure::not_understood)
}

/// A request that did not succeed.
#[derive(Debug)]
pub enum Refusal {
    /// The server refused the request and changed nothing.
    Refused {
        /// HTTP status.
        status: u16,
        /// The reason.
        failure: Failure,
        /// The `continue` parameter of a search that found nothing yet.
        continuation: Option<String>,
    },
    /// The request did not reach the server.
    NotSent(Failure),
    /// The server may or may not have executed the request.
    Unknown(Failure),
}

impl Refusal {
    /// The failure to report.
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
    errors: Vec<ErrorItem<'static>>,
    #[serde(default)]
    messages: Vec<Message<'static>>,
    // Without a default: an answer without `result` is not from this API.
    result: Option<Box<RawValue>>,
    result_info: Option<Box<RawValue>>,
}

/// An error in the server's words.
fn shown(item: &ErrorItem<'_>) -> String {
    let place = item
        .source
        .as_ref()
        .map(|source| printable(&source.pointer));
    let place = place
        .map(|pointer| format!(", {pointer}"))
        .unwrap_or_default();
    format!("{} (code {}{place})", printable(&item.message), item.code)
}

/// Reads the answers to one request.
pub(super) struct Reader<'a> {
    pub method: &'a Method,
    pub path: &'a str,
    pub base: &'a str,
    pub token_source: &'a str,
}

impl Reader<'_> {
    /// Reads an answer. `may_be_done`: the server may have executed an earlier attempt, so that a
    /// refusal of this one proves nothing.
    pub(super) fn read(
        &self,
        mut answer: Response<Body>,
        may_be_done: bool,
    ) -> Result<Answer, Refusal> {
        let status = answer.status();
        let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX);
        let body = body
            .read_to_vec()
            .map_err(|error| Refusal::Unknown(self.unreachable(&error)))?;
        let Ok(envelope) = serde_json::from_slice::<Envelope>(&body) else {
            // A gateway that stopped waiting does not know if the server executed the request.
            let unsure = !status.is_client_error() && *self.method != Method::GET;
            let unsure = unsure || may_be_done && *self.method == Method::POST;
            return Err(self.refusal(status, self.foreign(status), unsure));
        };
        if status.is_success()
            && envelope.success
            && let Some(result) = envelope.result
        {
            let messages = envelope.messages.iter();
            let has = |code| envelope.messages.iter().any(|message| message.code == code);
            return Ok(Answer {
                result,
                info: envelope.result_info,
                messages: messages.map(|item| printable(&item.message)).collect(),
                is_not_counted: has(CODE_NOT_COUNTED),
                is_unchanged: has(CODE_REVOKED_BEFORE),
                is_repeated: may_be_done,
            });
        }
        let code = envelope.errors.first().map(|item| item.code);
        // With 408, the server stopped waiting for the request, but may have executed it.
        let unsure = status == StatusCode::REQUEST_TIMEOUT
            || code == Some(CODE_IN_DOUBT)
            || status.is_server_error() && status != StatusCode::SERVICE_UNAVAILABLE;
        let unsure = (unsure || may_be_done) && *self.method == Method::POST;
        let refusal = self.refusal(status, self.told(status, &envelope.errors, code), unsure);
        let first = envelope.errors.into_iter().next();
        let place = first.and_then(|item| item.continuation);
        Err(match refusal {
            Refusal::Refused {
                status, failure, ..
            } => Refusal::Refused {
                status,
                failure,
                continuation: place.map(Cow::into_owned),
            },
            other => other,
        })
    }

    fn refusal(&self, status: StatusCode, failure: Failure, unsure: bool) -> Refusal {
        match unsure {
            true => Refusal::Unknown(failure),
            false => Refusal::Refused {
                status: status.as_u16(),
                failure,
                continuation: None,
            },
        }
    }

    /// An answer that is not in the API's format.
    fn foreign(&self, status: StatusCode) -> Failure {
        // A gateway also answers in this way if it cannot reach certgate.
        let exit = match status.is_server_error() {
            true => Exit::Unreachable,
            false => Exit::Failed,
        };
        Failure::new(
            exit,
            format!(
                "{} answers {status}, but not in certgate's format",
                self.base
            ),
        )
        .hint("check that the address is certgate's management API, and that the server runs")
    }

    /// The errors of an answer in the server's words.
    fn told(&self, status: StatusCode, errors: &[ErrorItem<'_>], code: Option<u32>) -> Failure {
        let shown: Vec<_> = errors.iter().map(shown).collect();
        let failure = Failure::failed(match shown.is_empty() {
            true => format!("the server answers {status} without a reason"),
            false => shown.join("; "),
        });
        let source = format!("the token is from {}", self.token_source);
        let is_unknown = errors
            .iter()
            .any(|error| error.message.starts_with("Invalid"));
        match (status, code, tenant(self.path)) {
            (StatusCode::NOT_FOUND, Some(CODE_NO_ROUTE), Some((kind, id))) => {
                Failure::failed(format!("no {kind} has the ID {id}"))
                    .hint("`certgate zone list -o json` shows the IDs of zones and accounts")
            }
            // The public responder answers so, and servers of another version.
            (StatusCode::NOT_FOUND, Some(CODE_NO_ROUTE), None) => {
                Failure::failed(format!("{} has no {}", self.base, self.path)).hint(
                    "check that the address is that of the management API, and not of the public \
                     responder",
                )
            }
            // The API does not say which: it would show that the zone exists.
            (StatusCode::FORBIDDEN, _, Some((kind, id))) if !is_unknown => failure.hint(format!(
                "{source}: it lacks a permission, or no {kind} has the ID {id}"
            )),
            (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _, _)
            | (_, Some(CODE_INVALID_HEADERS), _) => failure.hint(source),
            (_, Some(CODE_NO_MTLS_CERTIFICATE), _) => {
                failure.hint("`certgate ca list` shows the IDs")
            }
            _ => failure,
        }
    }

    /// A request without an answer.
    pub(super) fn unreachable(&self, error: &ureq::Error) -> Failure {
        let base = self.base;
        let running = format!("is `certgate serve` running at {base}?");
        let (problem, hint) = match error {
            ureq::Error::Timeout(_) => ("no answer in time".to_owned(), running),
            ureq::Error::HostNotFound => not_found(),
            ureq::Error::Protocol(_) if base.starts_with("http://") => (
                "the server there does not speak HTTP".to_owned(),
                "does the address begin with https://?".to_owned(),
            ),
            ureq::Error::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                ("nothing listens there".to_owned(), running)
            }
            ureq::Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                ("the connection ended before the answer".to_owned(), running)
            }
            ureq::Error::Io(error) => match tls_error(error) {
                Some(rustls::Error::InvalidCertificate(reason)) => untrusted(reason),
                Some(rustls::Error::InvalidMessage(_)) => (
                    "the server there does not speak TLS".to_owned(),
                    "does the address begin with http://?".to_owned(),
                ),
                Some(other) => (other.to_string(), running),
                // The standard library has no kind for it.
                None if error.to_string().starts_with("failed to lookup address") => not_found(),
                None => (error.to_string(), running),
            },
            other => (other.to_string(), running),
        };
        let message = format!("cannot reach {base}: {}", printable(&problem));
        Failure::new(Exit::Unreachable, message).hint(hint)
    }
}

/// The problem of a host that cannot be looked up, and its remedy.
fn not_found() -> (String, String) {
    (
        "this host does not exist, or its name cannot be looked up".to_owned(),
        "correct the name in the address, or use an IP address".to_owned(),
    )
}

/// Returns the problem of a server's certificate and its remedy.
fn untrusted(reason: &CertificateError) -> (String, String) {
    let (problem, remedy) = match reason {
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => (
            reason.to_string(),
            "use an address with a name of the certificate, or give the server a certificate for \
             this name",
        ),
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => (
            format!("its certificate is not valid now ({reason})"),
            "renew the server's certificate, and compare the clocks of both machines",
        ),
        reason if tls::is_of_authority(reason) => (
            "its certificate is that of a CA (CA:TRUE)".to_owned(),
            "name the file of this very certificate with --api-ca or CERTGATE_API_CA, or give the \
             server one without CA:TRUE",
        ),
        reason => (
            format!("its certificate is not trusted ({reason})"),
            "name a PEM file with the CA that signed it, or with the certificate itself, with \
             --api-ca or CERTGATE_API_CA",
        ),
    };
    (problem, remedy.to_owned())
}

/// Returns the kind and the ID of the zone or account that a path names.
fn tenant(path: &str) -> Option<(&'static str, &str)> {
    let path = ["/client/v4/", "/certgate/v1/"]
        .iter()
        .find_map(|start| path.strip_prefix(start))?;
    let (kind, rest) = match path.split_once('/')? {
        ("zones", rest) => ("zone", rest),
        ("accounts", rest) => ("account", rest),
        _ => return None,
    };
    Some((kind, rest.split(['/', '?']).next()?))
}

/// Returns true if the request certainly did not reach a server.
pub(super) fn was_not_sent(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::Io(error) => {
            let refused = error.kind() == io::ErrorKind::ConnectionRefused;
            // TLS checks the server's certificate before the client sends the request.
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

fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}
