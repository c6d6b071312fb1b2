//! A client of Enrollment over Secure Transport (RFC 7030, RFC 8951).

mod address;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use certgate_model::Timestamp;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use ureq::Body;
use ureq::http::{Request, Response, StatusCode, header};
use zeroize::Zeroizing;

pub use self::address::EstUrl;
use crate::arguments::Fingerprint;
use crate::failure::{Exit, Failure};
use crate::http::pause;
use crate::output::printable;
use crate::tls::{self, Seen, Trust};

/// Limits the wait for a connection: a running server accepts within a round trip.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Limits the wait for a whole answer: a server may sign on a slow device.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(90);

/// The largest answer, in bytes: a hundred certificates.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// The most characters of a refusal that a message shows.
const SHOWN_CHARS_MAX: usize = 300;

/// The longest wait inside a command if the server asks for a retry.
const RETRY_WAIT_MAX: Duration = Duration::from_secs(30);

/// The number of times that a command sends a request if the server asks for a retry.
const ATTEMPTS_MAX: u32 = 3;

/// The longest wait that a server can ask for: longer ones are read as this.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(86_400);

/// The proof of the client's identity. It has no `Debug`, because it holds secrets.
pub enum Identity {
    /// An invite, or another user name with its password, by HTTP Basic (RFC 7030 §3.2.3).
    Password(Zeroizing<String>),
    /// The current certificate and those above it, and its key in PKCS #8 (RFC 7030 §3.3.2).
    Certificate(Vec<CertificateDer<'static>>, Zeroizing<Vec<u8>>),
}

/// The reasons for which a request has no certificate.
#[derive(Debug)]
pub enum Refusal {
    /// The server answered, and refused.
    Refused(Failure),
    /// The server asks for a retry after this time (RFC 7030 §4.2.3, RFC 9110 §10.2.3).
    Later(Duration, Failure),
    /// The request failed on its way, or its answer.
    Failed(Failure),
}

impl Refusal {
    /// The failure to print.
    pub fn into_failure(self) -> Failure {
        match self {
            Self::Refused(failure) | Self::Later(_, failure) | Self::Failed(failure) => failure,
        }
    }
}

/// A server that has proven its identity, and its CAs.
pub struct Est {
    url: EstUrl,
    agent: ureq::Agent,
    seen: Arc<Seen>,
    password: Option<Zeroizing<String>>,
    /// The CAs of `cacerts`, in DER.
    pub authorities: Vec<CertificateDer<'static>>,
    /// The server's clock in its last answer, if the server shows it.
    pub date: Option<Timestamp>,
}

/// An answer.
struct Answer {
    status: StatusCode,
    retry_after: Option<Duration>,
    date: Option<Timestamp>,
    body: Vec<u8>,
}

impl Est {
    /// Connects to a server and reads its CAs.
    ///
    /// A server with a fingerprint is trusted if its certificate has it, or a CA above it. If the
    /// server does not send that CA in the handshake, it is looked for in `cacerts`, over a
    /// connection that trusts nothing and sends nothing (RFC 7030 §4.1.1), and a second connection
    /// must then prove that the CA signed the server's certificate. Without a fingerprint, the CAs
    /// of this system decide.
    pub fn connect(
        url: &EstUrl,
        fingerprint: Option<Fingerprint>,
        identity: Identity,
    ) -> Result<Self, Failure> {
        let (password, certificate) = match identity {
            Identity::Password(text) => (Some(text), None),
            Identity::Certificate(chain, key) => (None, Some((chain, key))),
        };
        let trust = match fingerprint {
            Some(fingerprint) => Trust::Pinned(fingerprint),
            None => Trust::of_system().map_err(|failure| {
                failure.hint("give the fingerprint of the server or its CA with --fingerprint")
            })?,
        };
        let mut est = Self::with(url, trust, certificate.as_ref(), password)?;
        let answer = match (est.get("cacerts"), fingerprint) {
            (Err(error), Some(fingerprint)) if est.seen.is_unknown() => {
                let pinned = Self::look_up(url, fingerprint)?
                    .ok_or_else(|| est.unreachable(&error).into_failure())?;
                let trust = Trust::Authority(pinned);
                est = Self::with(url, trust, certificate.as_ref(), est.password)?;
                est.get("cacerts")
            }
            (answer, _) => answer,
        };
        let answer = answer.map_err(|error| est.unreachable(&error).into_failure())?;
        est.date = answer.date;
        est.authorities = est.certificates(answer).map_err(Refusal::into_failure)?;
        Ok(est)
    }

    /// Looks for the certificate with this fingerprint in the CAs of a server that is not trusted.
    fn look_up(
        url: &EstUrl,
        fingerprint: Fingerprint,
    ) -> Result<Option<CertificateDer<'static>>, Failure> {
        let est = Self::with(url, Trust::Nothing, None, None)?;
        let answer = est
            .get("cacerts")
            .map_err(|error| est.unreachable(&error).into_failure())?;
        let found = est.certificates(answer).map_err(Refusal::into_failure)?;
        Ok(found.into_iter().find(|one| fingerprint.is_of(one)))
    }

    fn with(
        url: &EstUrl,
        trust: Trust,
        certificate: Option<&(Vec<CertificateDer<'static>>, Zeroizing<Vec<u8>>)>,
        password: Option<Zeroizing<String>>,
    ) -> Result<Self, Failure> {
        let seen = Arc::new(Seen::default());
        let client = certificate.map(|(chain, key)| {
            let key = PrivateKeyDer::Pkcs8(key.to_vec().into());
            (chain.clone(), key)
        });
        let configuration = tls::configuration(trust, client, seen.clone())?;
        let mut config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .https_only(true)
            .max_redirects(0)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_global(Some(ANSWER_TIMEOUT))
            .user_agent(concat!("certgate/", env!("CARGO_PKG_VERSION")));
        if url.is_loopback() {
            // A forward proxy cannot reach this machine's own addresses.
            config = config.proxy(None);
        }
        Ok(Self {
            url: url.clone(),
            agent: tls::agent(config.build(), configuration),
            seen,
            password,
            authorities: Vec::new(),
            date: None,
        })
    }

    /// Asks for a certificate for a request in DER, with an invite (RFC 7030 §4.2.1).
    pub fn simple_enroll(
        &mut self,
        request: &[u8],
    ) -> Result<Vec<CertificateDer<'static>>, Refusal> {
        self.ask("simpleenroll", request)
    }

    /// Asks for the successor of the certificate that the client presents (RFC 7030 §4.2.2).
    pub fn simple_reenroll(
        &mut self,
        request: &[u8],
    ) -> Result<Vec<CertificateDer<'static>>, Refusal> {
        self.ask("simplereenroll", request)
    }

    /// Sends a request, and repeats it if the server asks for that and the wait is short.
    fn ask(
        &mut self,
        operation: &str,
        request: &[u8],
    ) -> Result<Vec<CertificateDer<'static>>, Refusal> {
        let body = certgate_pki::write_base64(request);
        let mut attempt = 1;
        loop {
            let answer = self
                .post(operation, &body)
                .map_err(|error| self.unreachable(&error))?;
            // A new certificate may begin after the answer of `cacerts`.
            self.date = answer.date;
            match self.certificates(answer) {
                Err(Refusal::Later(wait, _))
                    if wait <= RETRY_WAIT_MAX && attempt < ATTEMPTS_MAX =>
                {
                    pause(wait);
                }
                outcome => return outcome,
            }
            attempt += 1;
        }
    }

    fn get(&self, operation: &str) -> Result<Answer, ureq::Error> {
        let request = Request::builder()
            .uri(self.url.of(operation))
            .header(header::ACCEPT, "application/pkcs7-mime");
        read(self.agent.run(request.body(())?)?)
    }

    fn post(&self, operation: &str, body: &str) -> Result<Answer, ureq::Error> {
        let mut request = Request::builder()
            .method("POST")
            .uri(self.url.of(operation))
            .header(header::ACCEPT, "application/pkcs7-mime, text/plain")
            .header(header::CONTENT_TYPE, "application/pkcs10")
            // RFC 8951 §3.1: servers must ignore it, and older ones want it.
            .header("Content-Transfer-Encoding", "base64");
        if let Some(password) = &self.password {
            let encoded = Zeroizing::new(certgate_pki::write_base64(password.as_bytes()));
            let value = Zeroizing::new(format!("Basic {}", *encoded));
            request = request.header(header::AUTHORIZATION, value.as_str());
        }
        read(self.agent.run(request.body(body.to_owned())?)?)
    }

    /// Reads the certificates of an answer.
    fn certificates(&self, answer: Answer) -> Result<Vec<CertificateDer<'static>>, Refusal> {
        let base = &self.url;
        match (answer.status, answer.retry_after) {
            (StatusCode::OK, _) => {}
            (
                StatusCode::ACCEPTED
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::TOO_MANY_REQUESTS,
                wait,
            ) => {
                let wait = wait.unwrap_or(RETRY_WAIT_MAX);
                let seconds = wait.as_secs();
                let message = format!("{base} asks for a retry after {seconds} s");
                let failure = Failure::new(Exit::Unreachable, message);
                return Err(Refusal::Later(
                    wait,
                    failure.hint("run the command again later"),
                ));
            }
            (status, _) => {
                let said = told(&answer.body);
                let failure = Failure::new(
                    match status.is_server_error() {
                        true => Exit::Unreachable,
                        false => Exit::Failed,
                    },
                    format!("{base} answers {status}{said}"),
                );
                return Err(Refusal::Refused(failure));
            }
        }
        let read = certgate_pki::read_certs_only(&answer.body);
        let read = read.map_err(|reason| {
            let message = format!("cannot understand the answer of {base}: {reason}");
            Refusal::Failed(
                Failure::failed(message).hint("check that the address is that of an EST server"),
            )
        })?;
        Ok(read.into_iter().map(CertificateDer::from).collect())
    }

    /// A request without an answer.
    fn unreachable(&self, error: &ureq::Error) -> Refusal {
        let message = format!("cannot reach {}", self.url);
        Refusal::Failed(match self.seen.rejected() {
            Some(problem) => Failure::new(Exit::Unreachable, format!("{message}: {problem}"))
                .hint("compare the fingerprint with that of the server's operator"),
            None => Failure::new(
                Exit::Unreachable,
                format!("{message}: {}", printable(&error.to_string())),
            )
            .hint("check the address, the network, and that the server runs"),
        })
    }
}

/// Returns the text of a refusal for a message: its first line.
fn told(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let line = text.lines().next().unwrap_or_default().trim();
    let line: String = line.chars().take(SHOWN_CHARS_MAX).collect();
    match line.is_empty() || line.starts_with('<') {
        true => String::new(),
        false => format!(": {}", printable(&line)),
    }
}

fn read(mut response: Response<Body>) -> Result<Answer, ureq::Error> {
    let date = |name| {
        let value = response.headers().get(name)?.to_str().ok()?.trim();
        httpdate::parse_http_date(value).ok()
    };
    let sent = date(header::DATE);
    let seconds = response.headers().get(header::RETRY_AFTER);
    let seconds = seconds.and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let retry_after = seconds.map(Duration::from_secs).or_else(|| {
        let until = date(header::RETRY_AFTER)?;
        Some(until.duration_since(sent?).unwrap_or_default())
    });
    let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX);
    let body = body.read_to_vec()?;
    Ok(Answer {
        status: response.status(),
        retry_after: retry_after.map(|wait| wait.min(RETRY_AFTER_MAX)),
        date: sent.and_then(timestamp),
        body,
    })
}

fn timestamp(time: SystemTime) -> Option<Timestamp> {
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    Some(Timestamp::from_unix(i64::try_from(since.as_secs()).ok()?))
}
