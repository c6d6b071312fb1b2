//! A connection from its first octet to its end.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::server::Acceptor;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::config::{Mode, Policy};
use super::limits::{Limits, number, seconds};
use super::observed::Observed;
use super::places::Place;
use super::session::Session;
use super::shared::{Gateway, Host};
use super::table::{Connection, CutReason};
use super::{access, proxy, proxy_protocol};
use crate::{Reason, Verdict};

/// The time that an HTTP/1.1 connection stays open for one more request after the gateway stops: a
/// request on its way would be lost with the connection.
const LAST_REQUEST: Duration = Duration::from_millis(250);

/// The octets of answers that one HTTP/2 stream may have waiting for its client.
const SEND_BUFFER_BYTES: usize = 64 * 1024;

/// The octets of request bodies that a client may send before the gateway forwards them, for one
/// HTTP/2 stream and for a connection.
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 256 * 1024;

/// Canceled streams of a connection to the gateway that wait to be accepted. More than a burst of
/// them is an attack.
const PENDING_RESETS_MAX: usize = 32;

/// A connection as it was accepted.
pub struct Accepted {
    /// The gateway.
    pub gateway: Arc<Gateway>,
    /// The connection.
    pub stream: TcpStream,
    /// The address at its other end.
    pub peer: SocketAddr,
    /// Its place among all connections.
    pub place: Place,
    /// Becomes true when the gateway stops.
    pub stopped: watch::Receiver<bool>,
}

impl Accepted {
    /// Serves the connection until its end.
    pub async fn serve(self) {
        let Self {
            gateway,
            stream,
            peer,
            mut place,
            stopped,
        } = self;
        // The gateway writes each piece at once, so that a delay gains nothing.
        let _ = stream.set_nodelay(true);
        let limits = gateway.active().config.limits;
        let server = stream.local_addr().unwrap_or(peer);
        let secured = secure(&gateway, stream, peer, &mut place, &limits);
        let (stream, host, client) = match timeout(seconds(limits.handshake_seconds), secured).await
        {
            Ok(Ok(secured)) => secured,
            Ok(Err(error)) => return failed(peer, &error),
            Err(_) => return failed(peer, &io::ErrorKind::TimedOut.into()),
        };
        let (_, tls) = stream.get_ref();
        let is_http1 = tls.alpn_protocol() != Some(b"h2");
        let chain = tls.peer_certificates().unwrap_or_default().to_vec();
        let connection = Connection::new(host.name.clone(), chain);
        let who = (client, is_http1);
        let session = Session::begin(gateway, &host, connection, who, stopped, place);
        // A reload during the handshake did not find the connection in the table.
        let now = session.gateway.host(&host.name);
        if now.is_none_or(|now| !now.has_terms_of(&host)) {
            session.connection.cut(CutReason::Host);
            return;
        }
        let stream = Observed::new(stream, session.connection.clone());
        let served = async {
            match (host.config.mode, is_http1) {
                (Mode::Tcp, _) => carry(&session, &host, stream, server).await,
                (Mode::Http, true) => serve_http1(&session, stream).await,
                (Mode::Http, false) => serve_http2(&session, stream).await,
            }
        };
        tokio::select! {
            () = served => {}
            () = session.connection.until_cut() => {}
        }
    }
}

/// Counts a connection that ended before its handshake did.
fn failed(peer: SocketAddr, error: &io::Error) {
    metrics::counter!("certgate_gateway_handshakes_failed_total").increment(1);
    tracing::debug!(%peer, %error, "TLS handshake failed");
}

/// Reads the PROXY protocol header, if the peer sends one, and completes the TLS handshake.
async fn secure(
    gateway: &Gateway,
    mut stream: TcpStream,
    peer: SocketAddr,
    place: &mut Place,
    limits: &Limits,
) -> io::Result<(TlsStream<TcpStream>, Arc<Host>, SocketAddr)> {
    // 1. The address of the client.
    let is_proxy = {
        let active = gateway.active();
        let address = peer.ip().to_canonical();
        let mut proxies = active.config.proxy_protocol_from.iter();
        proxies.any(|network| network.contains(&address))
    };
    let client = match is_proxy {
        true => proxy_protocol::read(&mut stream).await?,
        false => Some(peer),
    };
    // A connection of the load balancer itself counts for no client.
    if let Some(client) = client {
        place.count_for(client.ip(), limits).map_err(|full| {
            full.count(1);
            io::Error::other("too many connections of this address")
        })?;
    }

    // 2. The host that the client names.
    let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
    let name = start
        .client_hello()
        .server_name()
        .map(str::to_ascii_lowercase);
    let Some(host) = name.and_then(|name| gateway.host(&name)) else {
        start.into_stream(gateway.refusing.clone()).await?;
        return Err(io::Error::other("no host has the server name"));
    };

    // 3. The handshake with the certificate and the policy of that host.
    let stream = start.into_stream(host.tls()).await?;
    Ok((stream, host, client.unwrap_or(peer)))
}

async fn serve_http1<S>(session: &Arc<Session>, stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    session.connection.activity.expect_heads();
    let of_service = session.clone();
    let service = service_fn(move |request| proxy::answer(of_service.clone(), request));
    let connection = http1::Builder::new()
        // The sweep of the table limits the time of a head.
        .header_read_timeout(None::<Duration>)
        .max_buf_size(number(session.limits().head_bytes))
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let mut stopped = session.stopped.clone();
    let mut ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        _ = stopped.wait_for(|stopped| *stopped) => None,
    };
    if ended.is_none() {
        // A graceful shutdown closes an idle connection at once, even if it has an unread request.
        // Therefore the next answer announces the end, if there is one.
        ended = timeout(LAST_REQUEST, connection.as_mut()).await.ok();
    }
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    note(ended);
}

async fn serve_http2<S>(session: &Arc<Session>, stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let limits = session.limits();
    let of_service = session.clone();
    let service = service_fn(move |request| proxy::answer(of_service.clone(), request));
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams.get())
        .max_header_list_size(limits.head_bytes.get())
        .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut stopped = session.stopped.clone();
    let mut ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        _ = stopped.wait_for(|stopped| *stopped) => None,
    };
    if ended.is_none() {
        connection.as_mut().graceful_shutdown();
        ended = Some(connection.await);
    }
    ended.into_iter().for_each(note);
}

/// The end of a connection, such as a protocol error, concerns its client alone.
fn note(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended with an error");
    }
}

/// Carries the octets of a connection in the mode `tcp`, if its certificate is admitted.
async fn carry<S>(session: &Session, host: &Host, mut stream: S, server: SocketAddr)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let gateway = &session.gateway;
    if host.config.client_certificates != Policy::Off {
        let judged = session.judge();
        let verdict = match gateway.is_stale(host) {
            true => Verdict::Refused(Reason::Stale),
            false => judged.verdict,
        };
        gateway.view.count(Some(&host.name), verdict);
        access::log_connection(session, &judged, verdict);
        if verdict == Verdict::Refused(Reason::Stale) || !host.admits(verdict) {
            return;
        }
    }
    session.connection.activity.become_stream();
    let header = match host.config.send_proxy_protocol {
        true => proxy_protocol::header(session.client, server),
        false => Vec::new(),
    };
    match host.upstreams.connect(&header, session.limits()).await {
        Ok(mut upstream) => {
            let ended = tokio::io::copy_bidirectional(&mut stream, &mut upstream).await;
            if let Err(error) = ended {
                tracing::debug!(%error, "a stream ended with an error");
            }
        }
        Err(error) => tracing::warn!(host = &*host.name, %error, "no upstream is reachable"),
    }
}
