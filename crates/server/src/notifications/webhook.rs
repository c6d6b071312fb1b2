//! The webhook: one POST for each event, in the form of the Standard Webhooks specification.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::hmac;
use axum::body::Bytes;
use axum::http::header::{CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT};
use axum::http::{Request, Response, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use certgate_enforcement::{TrustError, trusting};
use certgate_model::{Clock, NotificationKind, Timestamp, lock};
use certgate_service::{NotDelivered, Notification, Outlet};
use futures_util::future::BoxFuture;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

use super::document::{document, event_id};
use crate::config::{ConfigError, WebhookConfig, WebhookUrl};
use crate::secret_file;
use crate::system::SystemClock;

/// The limit of an attempt of the webhook.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);

/// The time for which an idle connection is used again, in seconds. Receivers and the networks
/// between close or forget it later.
const IDLE_SECONDS: i64 = 30;

/// The longest answer of a webhook, in octets. Its content is not used: a connection with a longer
/// one is closed.
const BODY_BYTES_MAX: usize = 64 << 10;

/// The limit of the body of an answer of a webhook.
const BODY_TIMEOUT: Duration = Duration::from_secs(1);

/// The longest head of an answer of a webhook, in octets.
const HEAD_BYTES_MAX: usize = 32 << 10;

/// The most headers of an answer of a webhook.
const HEADERS_MAX: usize = 100;

/// The limits of a secret in octets, as the specification has them.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// The most secrets of a webhook. Each signs, so that a secret can be replaced.
const SECRETS_MAX: usize = 4;

/// The largest file of a webhook's secrets, in octets.
const SECRET_FILE_BYTES_MAX: u64 = 4_096;

/// The webhook.
pub struct Webhook {
    url: WebhookUrl,
    origin: String,
    keys: Vec<hmac::Key>,
    tls: Option<TlsConnector>,
    kinds: Vec<NotificationKind>,
    /// An idle connection, and the time of its last use.
    idle: Mutex<Option<(Sender, Timestamp)>>,
}

type Sender = SendRequest<Full<Bytes>>;

impl Webhook {
    /// Reads the files that the settings name.
    pub fn new(config: &WebhookConfig) -> Result<Self, ConfigError> {
        let tls = match config.url.is_tls {
            true => Some(connector(config.ca_file.as_deref())?),
            false => None,
        };
        Ok(Self {
            origin: config.url.origin(),
            url: config.url.clone(),
            keys: keys(&config.secret_file)?,
            tls,
            kinds: config.events.clone(),
            idle: Mutex::default(),
        })
    }

    async fn send(&self, event: &Notification) -> Result<(), NotDelivered> {
        let body = Bytes::from(document(event));
        let (id, now) = (event_id(event), SystemClock.now().unix());
        let signatures = self.signatures(&id, now, &body);
        let request = || {
            let request = Request::post(&self.url.path)
                .header(HOST, &self.url.authority)
                .header(USER_AGENT, concat!("certgate/", env!("CARGO_PKG_VERSION")))
                .header(CONTENT_TYPE, "application/json")
                .header("webhook-id", &id)
                .header("webhook-timestamp", now)
                .header("webhook-signature", &signatures)
                .body(Full::new(body.clone()));
            request.map_err(|error| NotDelivered::new(format!("it cannot be sent: {error}")))
        };
        let kept = lock(&self.idle).take();
        let kept = kept.filter(|(sender, used)| {
            let now = SystemClock.now();
            sender.is_ready() && used.until(now).is_within(IDLE_SECONDS)
        });
        let reused = match kept.map(|(sender, _)| sender) {
            // The receiver may have closed the connection at this instant, or have got the event:
            // then it gets it again, with the same ID.
            Some(mut sender) => match sender.send_request(request()?).await {
                Ok(answer) => Some((sender, answer)),
                Err(_) => None,
            },
            None => None,
        };
        let (sender, answer) = match reused {
            Some(reused) => reused,
            None => {
                let mut sender = self.connect().await?;
                let answer = sender.send_request(request()?).await;
                (sender, answer.map_err(no_answer)?)
            }
        };
        let verdict = verdict(&answer);
        if verdict.is_ok() && is_short(answer.into_body()).await {
            lock(&self.idle).replace((sender, SystemClock.now()));
        }
        verdict
    }

    /// Returns a signature with each key, separated by spaces.
    fn signatures(&self, id: &str, now: i64, body: &[u8]) -> String {
        let mut signatures = String::new();
        for key in &self.keys {
            let mut context = hmac::Context::with_key(key);
            context.update(format!("{id}.{now}.").as_bytes());
            context.update(body);
            let separator = if signatures.is_empty() { "" } else { " " };
            let signature = STANDARD.encode(context.sign());
            write!(signatures, "{separator}v1,{signature}")
                .expect("writing to a String cannot fail");
        }
        signatures
    }

    async fn connect(&self) -> Result<Sender, NotDelivered> {
        let unreachable =
            |error: std::io::Error| NotDelivered::new(format!("cannot connect: {error}"));
        let WebhookUrl { host, port, .. } = &self.url;
        let stream = TcpStream::connect((host.as_str(), *port)).await;
        let stream = stream.map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        let Some(tls) = &self.tls else {
            return sender_over(stream).await;
        };
        let name = ServerName::try_from(host.clone())
            .map_err(|error| NotDelivered::new(format!("cannot connect: {error}")))?;
        sender_over(tls.connect(name, stream).await.map_err(unreachable)?).await
    }
}

impl Outlet for Webhook {
    fn name(&self) -> &'static str {
        "webhook"
    }

    fn address(&self) -> &str {
        &self.origin
    }

    fn kinds(&self) -> &[NotificationKind] {
        &self.kinds
    }

    fn events_max(&self) -> u32 {
        1
    }

    fn interval(&self) -> Duration {
        Duration::ZERO
    }

    fn deliver<'a>(
        &'a self,
        events: &'a [Notification],
    ) -> BoxFuture<'a, Result<(), NotDelivered>> {
        Box::pin(async move {
            for event in events {
                let seconds = ATTEMPT_TIMEOUT.as_secs();
                let sent = timeout(ATTEMPT_TIMEOUT, self.send(event)).await;
                let late = || NotDelivered::new(format!("no answer within {seconds} seconds"));
                sent.unwrap_or_else(|_| Err(late()))?;
            }
            Ok(())
        })
    }
}

/// Judges an answer by its status.
fn verdict(answer: &Response<Incoming>) -> Result<(), NotDelivered> {
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let remedy = match status.is_redirection() {
        true => ": redirects are not followed, set webhook_url to the final address",
        false => "",
    };
    let is_of_the_moment = [
        StatusCode::REQUEST_TIMEOUT,
        StatusCode::TOO_EARLY,
        StatusCode::TOO_MANY_REQUESTS,
    ];
    Err(NotDelivered {
        text: format!("the receiver answers {status}{remedy}"),
        retry_after: retry_after(answer),
        is_permanent: status.is_client_error() && !is_of_the_moment.contains(&status),
    })
}

/// Reads the pause that an answer 429 or 503 asks for, in seconds or as a date (RFC 9110 §10.2.3).
fn retry_after(answer: &Response<Incoming>) -> Option<Duration> {
    let asks = [
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::SERVICE_UNAVAILABLE,
    ];
    let text = answer.headers().get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !asks.contains(&answer.status()) {
        return None;
    }
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    let unix = date.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs();
    let at = Timestamp::from_unix(i64::try_from(unix).ok()?);
    let now = SystemClock.now();
    (at > now).then(|| now.until(at).duration())
}

/// Reads the body of an answer to its end; `false` if it is too long or too slow.
async fn is_short(mut body: Incoming) -> bool {
    let read = async {
        let mut octets = 0;
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else {
                return false;
            };
            octets += frame.data_ref().map_or(0, Bytes::len);
            if octets > BODY_BYTES_MAX {
                return false;
            }
        }
        true
    };
    timeout(BODY_TIMEOUT, read).await.unwrap_or(false)
}

async fn sender_over<S>(stream: S) -> Result<Sender, NotDelivered>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(no_answer)?;
    tokio::spawn(async move {
        // An error here is also one of the request.
        let _ = connection.await;
    });
    Ok(sender)
}

fn no_answer(error: hyper::Error) -> NotDelivered {
    let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
    let cause = cause.unwrap_or_default();
    NotDelivered::new(format!("no usable answer: {error}{cause}"))
}

fn connector(ca_file: Option<&Path>) -> Result<TlsConnector, ConfigError> {
    match trusting(ca_file) {
        Ok(config) => Ok(TlsConnector::from(Arc::new(config))),
        Err(TrustError::Empty(place)) => Err(ConfigError::new(format!(
            "{place} has no trusted CA for the webhook: name a PEM file with webhook_ca_file"
        ))),
        Err(error) => Err(ConfigError::new(format!("webhook_ca_file: {error}"))),
    }
}

/// Reads the secrets: `whsec_` and base64, one on each line.
fn keys(path: &Path) -> Result<Vec<hmac::Key>, ConfigError> {
    let shown = path.display();
    let what = "file of the webhook's secret";
    let text = secret_file::read(path, what, " (webhook_secret_file)", SECRET_FILE_BYTES_MAX)?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut keys = Vec::new();
    for line in lines {
        let encoded = line.strip_prefix("whsec_").unwrap_or_default();
        let secret = STANDARD.decode(encoded).map(Zeroizing::new);
        let secret = secret
            .ok()
            .filter(|secret| SECRET_BYTES.contains(&secret.len()));
        let Some(secret) = secret else {
            return Err(ConfigError::new(format!(
                "the {what} {shown} must have whsec_ and the base64 of 24 to 64 octets on each \
                 line: make one with: echo \"whsec_$(openssl rand -base64 32)\""
            )));
        };
        keys.push(hmac::Key::new(hmac::HMAC_SHA256, &secret));
    }
    match keys.len() {
        1..=SECRETS_MAX => Ok(keys),
        count => Err(ConfigError::new(format!(
            "the {what} {shown} has {count} secrets, and must have 1 to {SECRETS_MAX}"
        ))),
    }
}
