//! A listening socket and the connections it accepted.

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use certgate_api::PeerAddress;
use hyper::Request;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
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

/// How long a connection stays open for one more request after the listener was told to stop: as long as a request is on its
/// way, which would be lost with the connection.
const LAST_REQUEST: Duration = Duration::from_millis(250);

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
    accepting: JoinHandle<()>,
    /// Each connection has a receiver for as long as it is open.
    stop: watch::Sender<bool>,
}

impl Listener {
    /// Serves `router` on the socket.
    pub fn start(
        socket: TcpListener,
        tls: Option<TlsAcceptor>,
        router: Router,
        limits: Limits,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        let places = Arc::new(Semaphore::new(limits.connections));
        let acceptor = Acceptor {
            tls,
            router,
            limits,
            places,
            stopped,
        };
        Self {
            accepting: tokio::spawn(acceptor.run(socket)),
            stop,
        }
    }

    /// Accepts no more connections and lets the requests in flight finish, for as long as `limit`.
    pub async fn stop(self, limit: Duration) {
        self.stop.send_replace(true);
        if self.accepting.await.is_err() {
            return;
        }
        if tokio::time::timeout(limit, self.stop.closed())
            .await
            .is_err()
        {
            tracing::warn!(
                "some requests did not finish in {} seconds and were cut off",
                limit.as_secs()
            );
        }
    }
}

struct Acceptor {
    tls: Option<TlsAcceptor>,
    router: Router,
    limits: Limits,
    places: Arc<Semaphore>,
    stopped: watch::Receiver<bool>,
}

impl Acceptor {
    async fn run(self, socket: TcpListener) {
        let mut stopped = self.stopped.clone();
        tokio::select! {
            () = self.accept(&socket) => {}
            _ = stopped.wait_for(|stopped| *stopped) => {}
        }
        // Whoever is in the system's queue takes itself for connected, and may have sent a request.
        let Ok(queue) = socket.into_std() else { return };
        while let Ok(place) = self.places.clone().try_acquire_owned()
            && let Ok((stream, peer)) = queue.accept()
        {
            if stream.set_nonblocking(true).is_ok()
                && let Ok(stream) = TcpStream::from_std(stream)
            {
                self.begin(stream, peer.ip(), place);
            }
        }
    }

    async fn accept(&self, socket: &TcpListener) {
        loop {
            let Ok(place) = self.places.clone().acquire_owned().await else {
                return;
            };
            match socket.accept().await {
                Ok((stream, peer)) => self.begin(stream, peer.ip(), place),
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    pause().await;
                }
            }
        }
    }

    fn begin(&self, stream: TcpStream, peer: IpAddr, place: OwnedSemaphorePermit) {
        let Self {
            router,
            limits,
            stopped,
            ..
        } = self;
        let (router, stopped) = (router.clone(), stopped.clone());
        let connection = Connection {
            router,
            peer,
            limits: *limits,
            stopped,
            _place: place,
        };
        tokio::spawn(connection.serve(stream, self.tls.clone()));
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "no event tells that a file descriptor is free again"
)]
async fn pause() {
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

struct Connection {
    router: Router,
    peer: IpAddr,
    limits: Limits,
    stopped: watch::Receiver<bool>,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    async fn serve(self, stream: TcpStream, tls: Option<TlsAcceptor>) {
        // An answer is written whole: nothing is won by waiting for more.
        let _ = stream.set_nodelay(true);
        let Some(tls) = tls else {
            return self.speak_http(stream).await;
        };
        match tokio::time::timeout(self.limits.idle_timeout, tls.accept(stream)).await {
            Ok(Ok(stream)) => self.speak_http(stream).await,
            Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
            Err(_) => tracing::debug!("TLS handshake took too long"),
        }
    }

    async fn speak_http(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let Self {
            router,
            peer,
            limits,
            mut stopped,
            _place,
        } = self;
        let is_last = stopped.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(PeerAddress(peer));
            let answer = router.clone().oneshot(request.map(Body::new));
            let is_last = is_last.clone();
            async move {
                let mut answer = answer.await?;
                if *is_last.borrow() {
                    answer
                        .headers_mut()
                        .insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(answer)
            }
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
        let mut connection = pin!(connection);
        let mut ended = tokio::select! {
            ended = connection.as_mut() => Some(ended),
            _ = stopped.wait_for(|stopped| *stopped) => None,
        };
        if ended.is_none() {
            // A connection that is told to end while it has no request to answer closes at once, also if one has arrived that
            // it has not read. So it is told by the answer, if there is one more.
            ended = tokio::time::timeout(LAST_REQUEST, connection.as_mut())
                .await
                .ok();
        }
        let ended = match ended {
            Some(ended) => ended,
            None => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        // How a connection ends, cut off or badly spoken, concerns its client alone.
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended badly");
        }
    }
}
