//! A listening socket and its connections.

use std::convert::Infallible;
use std::io;
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

use crate::supervisor::Supervisor;

/// The largest head of a request, in bytes: many times all headers of the API's clients. A larger
/// head gets 431.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// The wait after a failed `accept`: usually the process has no free file descriptor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The time that a connection stays open for one more request after the listener stops: a request
/// on its way would be lost with the connection.
const LAST_REQUEST: Duration = Duration::from_millis(250);

/// The limits of a listener.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The number of open connections. More wait in the accept backlog.
    pub connections: usize,
    /// The limit of a TLS handshake, of the head of a request, of an idle connection and of an
    /// unread answer.
    pub idle_timeout: Duration,
}

/// A running listener.
pub struct Listener {
    accepting: JoinHandle<()>,
    /// Each open connection has a receiver.
    stop: watch::Sender<bool>,
}

impl Listener {
    /// Starts to serve `router` on the socket, as a task of this name. Connections in the accept
    /// backlog outlive the task.
    pub fn start(
        supervisor: &Supervisor,
        name: &'static str,
        socket: std::net::TcpListener,
        tls: Option<TlsAcceptor>,
        router: Router,
        limits: Limits,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        let places = Arc::new(Semaphore::new(limits.connections));
        let acceptor = Arc::new(Acceptor {
            tls,
            router,
            limits,
            places,
            stopped,
        });
        let run = move || acceptor.clone().run(socket.try_clone());
        Self {
            accepting: supervisor.keep(name, run),
            stop,
        }
    }

    /// Stops accepting connections, and waits up to `limit` for the requests in flight.
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
                "some requests did not finish within {} seconds and were cut off",
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
    async fn run(self: Arc<Self>, socket: io::Result<std::net::TcpListener>) {
        let socket = match socket.and_then(TcpListener::from_std) {
            Ok(socket) => socket,
            Err(error) => return tracing::error!(%error, "cannot use the listening socket"),
        };
        let mut stopped = self.stopped.clone();
        tokio::select! {
            () = self.accept(&socket) => {}
            _ = stopped.wait_for(|stopped| *stopped) => {}
        }
        // Clients in the accept backlog already consider themselves connected and may have sent a
        // request.
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
                    tracing::warn!(%error, "cannot accept a connection");
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
    reason = "no event announces a free file descriptor"
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
        // The server writes each answer at once, so that a delay gains nothing.
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
        // A client that reads nothing must not hold an answer and a connection for ever.
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
            // A graceful shutdown closes an idle connection at once, even if it has an unread
            // request. Therefore the next answer announces the end, if there is one.
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
        // The end of a connection, such as a protocol error, concerns its client alone.
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended with an error");
        }
    }
}
