//! A listening socket and the connections it accepted.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use certgate_api::PeerAddress;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

/// Largest head of a request, in bytes: every header that a client of the API sends, many times over. A larger one is
/// answered 431.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// How long to wait after `accept` failed, usually because the process has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a listener allows.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How many connections are open at a time; more wait in the system's queue.
    pub connections: usize,
    /// How long a TLS handshake, or the head of a request, may take; how long a connection may be idle; how long a client
    /// may leave an answer unread.
    pub idle_timeout: Duration,
}

/// A running listener.
pub struct Listener {
    accepting: JoinHandle<GracefulShutdown>,
    stop: watch::Sender<bool>,
}

impl Listener {
    /// Serves `router` on the socket.
    pub fn start(socket: TcpListener, tls: Option<TlsAcceptor>, router: Router, limits: Limits) -> Self {
        let (stop, mut stopped) = watch::channel(false);
        let accepting = tokio::spawn(async move {
            let connections = GracefulShutdown::new();
            tokio::select! {
                () = accept(socket, tls, router, limits, &connections) => {}
                _ = stopped.wait_for(|stopped| *stopped) => {}
            }
            connections
        });
        Self { accepting, stop }
    }

    /// Accepts no more connections and lets the requests in flight finish, for as long as `limit`.
    pub async fn stop(self, limit: Duration) {
        self.stop.send_replace(true);
        let Ok(connections) = self.accepting.await else { return };
        if tokio::time::timeout(limit, connections.shutdown()).await.is_err() {
            tracing::warn!("some requests did not finish in {} seconds and were cut off", limit.as_secs());
        }
    }
}

async fn accept(
    socket: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    limits: Limits,
    connections: &GracefulShutdown,
) {
    let places = Arc::new(Semaphore::new(limits.connections));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let (stream, peer) = match socket.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                pause().await;
                continue;
            }
        };
        let connection = Connection {
            router: router.clone(),
            peer: peer.ip(),
            limits,
            watcher: connections.watcher(),
            _place: place,
        };
        tokio::spawn(connection.serve(stream, tls.clone()));
    }
}

#[expect(clippy::disallowed_methods, reason = "no event tells that a file descriptor is free again")]
async fn pause() {
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

struct Connection {
    router: Router,
    peer: IpAddr,
    limits: Limits,
    watcher: Watcher,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    async fn serve(self, stream: TcpStream, tls: Option<TlsAcceptor>) {
        // An answer is written whole: nothing is won by waiting for more.
        let _ = stream.set_nodelay(true);
        let Some(tls) = tls else { return self.speak_http(stream).await };
        match tokio::time::timeout(self.limits.idle_timeout, tls.accept(stream)).await {
            Ok(Ok(stream)) => self.speak_http(stream).await,
            Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
            Err(_) => tracing::debug!("TLS handshake took too long"),
        }
    }

    async fn speak_http(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let Self { router, peer, limits, watcher, _place } = self;
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(PeerAddress(peer));
            router.clone().oneshot(request.map(Body::new))
        });
        // Somebody who reads nothing must not hold an answer and a place for ever.
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(limits.idle_timeout));
        let stream = Box::pin(stream);
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.idle_timeout)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), service);
        // How a connection ends, cut off or badly spoken, concerns its client alone.
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(%error, "a connection ended badly");
        }
    }
}
