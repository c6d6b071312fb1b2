//! The upstreams of a host: connections, health and the choice among them.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use certgate_model::lock;
use http::header::{HOST, TRANSFER_ENCODING};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Request, Response, Uri, Version};
use http_body::Body;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use super::body::{Forwarded, Progress};
use super::config::{Protocol, UpstreamUrl};
use super::limits::{Limits, seconds};

/// Unused connections to an upstream of the gateway. More would only wait for a burst like the last
/// one.
const UNUSED_MAX: usize = 256;

/// Failures in a row after which an upstream gets no requests for a while.
const FAILURES_MAX: u32 = 3;

/// The time for which a failing upstream gets no requests, if another one works.
const PAUSE: Duration = Duration::from_secs(10);

/// The longest health check of an upstream. It is below the default of a request, because a slow
/// upstream is not a healthy one.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// The time after which an unanswered HTTP/2 ping ends the connection to an upstream.
const PING_INTERVAL: Duration = Duration::from_secs(20);

/// The octets of an answer over HTTP/2 that wait for its client, and those of all answers on one
/// connection to an upstream. Clients share the connection: the answers of 128 clients that do not
/// read leave room for those of others.
const ANSWER_WINDOW_BYTES: u32 = 128 << 10;
const ANSWERS_WINDOW_BYTES: u32 = 16 << 20;

/// A stream to an upstream, with TLS or without.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// The failure of a request at the upstreams.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No upstream accepts connections.
    #[error("no upstream is reachable: {0}")]
    Unreachable(String),
    /// The connection ended after the request was sent.
    #[error("the upstream failed: {0}")]
    Failed(hyper::Error),
    /// The upstream has not answered in time.
    #[error("the upstream has not answered in time")]
    Late,
    /// The client has not sent the body in time.
    #[error("the client has not sent the body in time")]
    SlowClient,
    /// The body of the request is too large.
    #[error("the body of the request is larger than body_bytes")]
    TooLarge,
}

/// The upstreams of a host, which get requests in turn.
#[derive(Debug)]
pub struct Upstreams {
    all: Vec<Arc<Upstream>>,
    next: AtomicUsize,
}

impl Upstreams {
    /// Makes the set of these upstreams.
    pub fn new(all: Vec<Arc<Upstream>>) -> Self {
        Self {
            all,
            next: AtomicUsize::new(0),
        }
    }

    /// All upstreams.
    pub fn all(&self) -> &[Arc<Upstream>] {
        &self.all
    }

    /// The upstreams in the order in which the next request tries them: those that work first.
    fn order(&self) -> impl Iterator<Item = &Arc<Upstream>> {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let in_turn =
            move || (0..self.all.len()).map(move |at| &self.all[(first + at) % self.all.len()]);
        let working = in_turn().filter(|upstream| upstream.works());
        let others = in_turn().filter(|upstream| !upstream.works());
        working.chain(others)
    }

    /// Sends a request. Another connection or upstream gets it only if it was not sent.
    pub async fn send(
        &self,
        mut request: Request<Forwarded>,
        host: &Authority,
        limits: &Limits,
    ) -> Result<(Response<Incoming>, Reusable), SendError> {
        let progress = request.body().progress();
        let mut last = "all connections were closed".to_owned();
        for upstream in self.order() {
            loop {
                let (mut sender, is_new) = match upstream.sender(limits).await {
                    Ok(sender) => sender,
                    Err(error) => {
                        upstream.failed();
                        last = format!("{}: {error}", upstream.url.authority);
                        break;
                    }
                };
                address(&mut request, upstream.url.protocol, host);
                let sent = sender.send(request, &progress, limits).await;
                match sent {
                    Ok(response) => {
                        upstream.succeeded();
                        return Ok((response, Reusable::new(upstream, sender)));
                    }
                    Err(Unsent::Returned(returned, error)) => {
                        request = *returned;
                        last = format!("{}: {error}", upstream.url.authority);
                        upstream.forget_shared();
                        if is_new {
                            upstream.failed();
                            break;
                        }
                    }
                    Err(Unsent::Lost(error)) => {
                        if matches!(error, SendError::Late | SendError::Failed(_)) {
                            upstream.failed();
                        }
                        return Err(error);
                    }
                }
            }
        }
        Err(SendError::Unreachable(last))
    }

    /// Opens a connection for octets, with `header` at its begin.
    pub async fn connect(&self, header: &[u8], limits: &Limits) -> io::Result<TcpStream> {
        use tokio::io::AsyncWriteExt;
        let mut last = io::Error::from(io::ErrorKind::NotConnected);
        for upstream in self.order() {
            let opened = async {
                let mut stream = upstream.open().await?;
                stream.write_all(header).await?;
                Ok(stream)
            };
            let limit = seconds(limits.upstream_connect_seconds);
            match timeout(limit, opened).await.unwrap_or_else(|_| Err(late())) {
                Ok(stream) => {
                    upstream.succeeded();
                    return Ok(stream);
                }
                Err(error) => {
                    upstream.failed();
                    last = error;
                }
            }
        }
        Err(last)
    }
}

fn late() -> io::Error {
    io::ErrorKind::TimedOut.into()
}

/// Gives a request the form that the protocol of its upstream needs.
fn address(request: &mut Request<Forwarded>, protocol: Protocol, host: &Authority) {
    let path = request.uri().path_and_query().cloned();
    let path = path.unwrap_or_else(|| PathAndQuery::from_static("/"));
    if protocol.is_h2() {
        let scheme = match protocol.has_tls() {
            true => Scheme::HTTPS,
            false => Scheme::HTTP,
        };
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(scheme);
        parts.authority = Some(host.clone());
        parts.path_and_query = Some(path);
        *request.uri_mut() = Uri::from_parts(parts).expect("all three parts are present");
        *request.version_mut() = Version::HTTP_2;
        request.headers_mut().remove(HOST);
    } else {
        *request.uri_mut() = path.into();
        *request.version_mut() = Version::HTTP_11;
        if let Ok(host) = HeaderValue::from_str(host.as_str()) {
            request.headers_mut().insert(HOST, host);
        }
        if request.body().size_hint().exact().is_none() {
            // Without this, hyper drops the body of a method that rarely has one, such as GET.
            let chunked = HeaderValue::from_static("chunked");
            request.headers_mut().insert(TRANSFER_ENCODING, chunked);
        }
    }
}

/// One upstream.
#[derive(Debug)]
pub struct Upstream {
    /// Its address.
    pub url: UpstreamUrl,
    tls: Option<(TlsConnectorDebug, ServerName<'static>)>,
    unused: Mutex<Vec<(http1::SendRequest<Forwarded>, Instant)>>,
    shared: Mutex<Option<http2::SendRequest<Forwarded>>>,
    health: Health,
}

/// A connector that has no text form of its own.
#[derive(Clone)]
struct TlsConnectorDebug(TlsConnector);

impl std::fmt::Debug for TlsConnectorDebug {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsConnector")
    }
}

/// The health of an upstream.
#[derive(Debug)]
struct Health {
    begin: Instant,
    failures: AtomicU32,
    /// Milliseconds after the begin until which it gets no requests.
    paused_until: AtomicU64,
    is_up: AtomicBool,
}

impl Upstream {
    /// Makes an upstream without connections. `tls` is for the protocols that have TLS.
    pub fn new(url: UpstreamUrl, tls: Option<Arc<rustls::ClientConfig>>) -> Result<Self, String> {
        let tls = match tls {
            None => None,
            Some(config) => {
                let mut config = (*config).clone();
                config.alpn_protocols = match url.protocol.is_h2() {
                    true => vec![b"h2".to_vec()],
                    false => vec![b"http/1.1".to_vec()],
                };
                let host = url.authority.host();
                let name = host
                    .trim_start_matches('[')
                    .trim_end_matches(']')
                    .to_owned();
                let name = ServerName::try_from(name)
                    .map_err(|error| format!("the upstream {host}: {error}"))?;
                let connector = TlsConnector::from(Arc::new(config));
                Some((TlsConnectorDebug(connector), name))
            }
        };
        Ok(Self {
            url,
            tls,
            unused: Mutex::default(),
            shared: Mutex::default(),
            health: Health {
                begin: Instant::now(),
                failures: AtomicU32::new(0),
                paused_until: AtomicU64::new(0),
                is_up: AtomicBool::new(true),
            },
        })
    }

    fn works(&self) -> bool {
        let now = u64::try_from(self.health.begin.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.health.is_up.load(Ordering::Relaxed)
            && self.health.paused_until.load(Ordering::Relaxed) <= now
    }

    fn succeeded(&self) {
        self.health.failures.store(0, Ordering::Relaxed);
    }

    fn failed(&self) {
        let failures = self.health.failures.fetch_add(1, Ordering::Relaxed) + 1;
        if failures >= FAILURES_MAX {
            let until = self.health.begin.elapsed() + PAUSE;
            let until = u64::try_from(until.as_millis()).unwrap_or(u64::MAX);
            self.health.paused_until.store(until, Ordering::Relaxed);
        }
    }

    /// Asks for `path` and records the answer. An upstream is up if it answers below 400.
    pub async fn check(&self, path: &str, host: &Authority, limits: &Limits) {
        let is_up = timeout(CHECK_TIMEOUT, self.answers(path, host, limits)).await;
        let is_up = is_up.unwrap_or(false);
        let was_up = self.health.is_up.swap(is_up, Ordering::Relaxed);
        if is_up {
            self.succeeded();
            self.health.paused_until.store(0, Ordering::Relaxed);
        }
        if is_up != was_up {
            let upstream = self.url.authority.as_str();
            match is_up {
                true => tracing::info!(upstream, "the upstream is healthy again"),
                false => tracing::warn!(upstream, "the upstream fails its health check"),
            }
        }
    }

    async fn answers(&self, path: &str, host: &Authority, limits: &Limits) -> bool {
        let mut request = Request::new(Forwarded::empty());
        let Ok(path) = path.parse() else { return false };
        *request.uri_mut() = path;
        let progress = request.body().progress();
        address(&mut request, self.url.protocol, host);
        let Ok(mut sender) = self.connect(limits).await else {
            return false;
        };
        let answer = sender.send(request, &progress, limits).await;
        answer.is_ok_and(|answer| answer.status().as_u16() < 400)
    }

    /// Returns a connection that can send a request, and true if it is new.
    async fn sender(&self, limits: &Limits) -> io::Result<(Sender, bool)> {
        if self.url.protocol.is_h2() {
            if let Some(shared) = lock(&self.shared).clone()
                && !shared.is_closed()
            {
                return Ok((Sender::Shared(shared), false));
            }
        } else if let Some(unused) = self.take_unused(seconds(limits.upstream_idle_seconds)) {
            return Ok((Sender::Single(unused), false));
        }
        let sender = self.connect(limits).await?;
        if let Sender::Shared(shared) = &sender {
            *lock(&self.shared) = Some(shared.clone());
        }
        Ok((sender, true))
    }

    fn take_unused(&self, age_max: Duration) -> Option<http1::SendRequest<Forwarded>> {
        let mut unused = lock(&self.unused);
        unused.retain(|(sender, since)| !sender.is_closed() && since.elapsed() < age_max);
        // The most recent one is the least likely to be closed. One that is not ready still sends
        // the rest of a request whose answer came early.
        let ready = unused.iter().rposition(|(sender, _)| sender.is_ready())?;
        Some(unused.remove(ready).0)
    }

    fn put_unused(&self, sender: http1::SendRequest<Forwarded>) {
        let mut unused = lock(&self.unused);
        if !sender.is_closed() && unused.len() < UNUSED_MAX {
            unused.push((sender, Instant::now()));
        }
    }

    fn forget_shared(&self) {
        *lock(&self.shared) = None;
    }

    /// Closes connections that were unused for too long.
    pub fn prune(&self, limits: &Limits) {
        let age_max = seconds(limits.upstream_idle_seconds);
        lock(&self.unused)
            .retain(|(sender, since)| !sender.is_closed() && since.elapsed() < age_max);
    }

    async fn open(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(self.url.authority.as_str()).await?;
        // The gateway writes each piece at once, so that a delay gains nothing.
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn connect(&self, limits: &Limits) -> io::Result<Sender> {
        let opened = async {
            let stream = self.open().await?;
            let stream: Box<dyn Stream> = match &self.tls {
                None => Box::new(stream),
                Some((TlsConnectorDebug(connector), name)) => {
                    Box::new(connector.connect(name.clone(), stream).await?)
                }
            };
            self.speak(TokioIo::new(stream)).await
        };
        let limit = seconds(limits.upstream_connect_seconds);
        timeout(limit, opened).await.unwrap_or_else(|_| Err(late()))
    }

    async fn speak(&self, stream: TokioIo<Box<dyn Stream>>) -> io::Result<Sender> {
        if self.url.protocol.is_h2() {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder
                .timer(TokioTimer::new())
                .keep_alive_interval(PING_INTERVAL)
                .initial_stream_window_size(ANSWER_WINDOW_BYTES)
                .initial_connection_window_size(ANSWERS_WINDOW_BYTES);
            let (sender, connection) = builder.handshake(stream).await.map_err(io::Error::other)?;
            tokio::spawn(connection);
            return Ok(Sender::Shared(sender));
        }
        let (sender, connection) = http1::Builder::new()
            .handshake(stream)
            .await
            .map_err(io::Error::other)?;
        tokio::spawn(connection.with_upgrades());
        Ok(Sender::Single(sender))
    }
}

enum Sender {
    /// HTTP/1.1: one request after another.
    Single(http1::SendRequest<Forwarded>),
    /// HTTP/2: requests share it.
    Shared(http2::SendRequest<Forwarded>),
}

/// A request without an answer.
enum Unsent {
    /// Nothing of it was sent.
    Returned(Box<Request<Forwarded>>, hyper::Error),
    /// It may have been sent.
    Lost(SendError),
}

impl Sender {
    async fn send(
        &mut self,
        request: Request<Forwarded>,
        progress: &Progress,
        limits: &Limits,
    ) -> Result<Response<Incoming>, Unsent> {
        let sent = async {
            match self {
                Self::Single(sender) => sender.try_send_request(request).await,
                Self::Shared(sender) => sender.try_send_request(request).await,
            }
        };
        let mut sent = std::pin::pin!(sent);
        loop {
            let moved = progress.moved();
            let limit = match progress.is_complete() {
                true => seconds(limits.upstream_first_byte_seconds),
                false => seconds(limits.body_seconds),
            };
            match timeout_at(moved + limit, sent.as_mut()).await {
                Ok(Ok(response)) => return Ok(response),
                Ok(Err(mut error)) => {
                    return Err(match error.take_message() {
                        Some(request) => Unsent::Returned(Box::new(request), error.into_error()),
                        None if progress.is_too_large() => Unsent::Lost(SendError::TooLarge),
                        None => Unsent::Lost(SendError::Failed(error.into_error())),
                    });
                }
                Err(_) if progress.moved() != moved => {}
                Err(_) if progress.awaits_client() && !progress.is_complete() => {
                    return Err(Unsent::Lost(SendError::SlowClient));
                }
                Err(_) => return Err(Unsent::Lost(SendError::Late)),
            }
        }
    }
}

/// The connection of an answer, for the next request.
pub struct Reusable {
    upstream: Arc<Upstream>,
    sender: Option<http1::SendRequest<Forwarded>>,
}

impl Reusable {
    fn new(upstream: &Arc<Upstream>, sender: Sender) -> Self {
        Self {
            upstream: upstream.clone(),
            sender: match sender {
                Sender::Single(sender) => Some(sender),
                Sender::Shared(_) => None,
            },
        }
    }

    /// Puts the connection back, after the end of the answer.
    pub fn put_back(self) {
        if let Some(sender) = self.sender {
            self.upstream.put_unused(sender);
        }
    }

    /// The upstream.
    pub fn upstream(&self) -> &Arc<Upstream> {
        &self.upstream
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use bytes::Bytes;
    use http_body_util::{BodyExt, Full};
    use hyper::service::service_fn;

    use super::*;

    /// Octets of an answer: more than the windows of HTTP/2 without settings.
    const ANSWER_BYTES: usize = 1 << 20;

    async fn serve(listener: tokio::net::TcpListener) {
        let (stream, _) = listener.accept().await.unwrap();
        let service = service_fn(|_| async {
            let body = Full::new(Bytes::from(vec![7; ANSWER_BYTES]));
            Ok::<_, Infallible>(Response::new(body))
        });
        let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        let served = builder.serve_connection(TokioIo::new(stream), service);
        served.await.unwrap();
    }

    #[tokio::test]
    async fn answers_that_their_clients_do_not_read_hold_up_no_other() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = UpstreamUrl {
            protocol: Protocol::H2c,
            authority: listener.local_addr().unwrap().to_string().parse().unwrap(),
        };
        tokio::spawn(serve(listener));
        let upstreams = Upstreams::new(vec![Arc::new(Upstream::new(url, None).unwrap())]);
        let (host, limits) = (Authority::from_static("a.example.com"), Limits::default());
        let ask = || upstreams.send(Request::new(Forwarded::empty()), &host, &limits);
        let mut unread = Vec::new();
        for _ in 0..8 {
            unread.push(ask().await.unwrap());
        }
        let (answer, _) = ask().await.unwrap();
        let patience = Duration::from_secs(20);
        let read = timeout(patience, answer.into_body().collect()).await;
        let read = read.expect("the other answers hold it up").unwrap();
        assert_eq!(read.to_bytes().len(), ANSWER_BYTES);
        drop(unread);
    }
}
