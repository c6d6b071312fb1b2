//! Listening sockets of `certgate authz` and the connections of proxies.

use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, UnixListener, UnixStream};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::body::Complete;
use super::settings::Address;
use crate::accepting::pause_or;

/// Open connections of a listener of `authz`. A proxy has one or a few for each of its threads.
pub const AUTHZ_CONNECTIONS_MAX: usize = 10_000;

/// The largest head of a question, in octets: two certificate headers, and the head of the client's
/// request, which proxies limit to 64 KiB or less.
pub const AUTHZ_HEAD_BYTES_MAX: usize = 256 * 1024;

/// Questions at the same time on a connection of HTTP/2. Envoy opens as many as it is offered.
pub const AUTHZ_STREAMS_MAX: u32 = 1_024;

/// The limit of a TLS handshake with `authz`.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// The limit of the first question on a connection from another machine. Later ones have
/// no limit: a proxy reuses its connections for hours, and a closed one could fail a request.
const FIRST_REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// The time that a connection stays open for one more request after the listener stops: a request
/// on its way would be lost with the connection.
const LAST_REQUEST: Duration = Duration::from_millis(250);

/// Connections that the system completes before the process accepts them.
const BACKLOG: u32 = 4096;

/// The permissions of a Unix socket: its owner and group may connect.
const SOCKET_MODE: u32 = 0o660;

/// Answers the questions of a listener.
pub trait Answer: Send + Sync + 'static {
    /// Returns TLS for the next connection, if the listener has it.
    fn tls(&self) -> Option<TlsAcceptor>;

    /// Returns true if only processes of this machine reach the listener.
    fn is_local(&self) -> bool;

    /// Answers one question.
    fn answer(&self, request: Request<Incoming>)
    -> impl Future<Output = Response<Complete>> + Send;
}

/// A bound socket.
pub enum Socket {
    /// A Unix socket, which has a file.
    Unix(UnixListener, PathBuf),
    /// A TCP socket.
    Tcp(TcpListener),
}

impl Socket {
    /// Binds an address. Replaces the file of a Unix socket on which no process listens.
    pub async fn bind(address: &Address) -> io::Result<Self> {
        match address {
            Address::Unix(path) => {
                remove_stale(path).await?;
                let socket = UnixListener::bind(path)?;
                std::fs::set_permissions(path, PermissionsExt::from_mode(SOCKET_MODE))?;
                Ok(Self::Unix(socket, path.clone()))
            }
            Address::Tcp(address) => {
                let socket = match address.is_ipv4() {
                    true => TcpSocket::new_v4(),
                    false => TcpSocket::new_v6(),
                }?;
                socket.set_reuseaddr(true)?;
                socket.bind(*address)?;
                socket.listen(BACKLOG).map(Self::Tcp)
            }
        }
    }

    /// Returns the address as users write it.
    pub fn name(&self) -> String {
        match self {
            Self::Unix(_, path) => format!("unix:{}", path.display()),
            Self::Tcp(socket) => match socket.local_addr() {
                Ok(address) => address.to_string(),
                Err(error) => error.to_string(),
            },
        }
    }

    async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match self {
            Self::Unix(socket, _) => Box::new(socket.accept().await?.0),
            Self::Tcp(socket) => {
                let stream = socket.accept().await?.0;
                // An answer is one packet, which must not wait for an acknowledgement.
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
        })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Self::Unix(_, path) = self {
            let _ = std::fs::remove_file(path);
        }
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

async fn remove_stale(path: &Path) -> io::Result<()> {
    let is_socket = match path.symlink_metadata() {
        Ok(file) => file.file_type().is_socket(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    match is_socket && UnixStream::connect(path).await.is_err() {
        true => std::fs::remove_file(path),
        false => Err(io::ErrorKind::AddrInUse.into()),
    }
}

/// A running listener.
pub struct Listener {
    accepting: JoinHandle<()>,
    /// Each open connection has a receiver.
    stop: watch::Sender<bool>,
}

impl Listener {
    /// Starts to answer on a socket.
    pub fn start(socket: Socket, answers: Arc<impl Answer>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let connections = Connections { answers, stopped };
        Self {
            accepting: tokio::spawn(accept(socket, Arc::new(connections))),
            stop,
        }
    }

    /// Stops accepting connections, and waits up to `limit` for the questions in flight.
    pub async fn stop(self, limit: Duration) {
        self.stop.send_replace(true);
        let _ = self.accepting.await;
        if timeout(limit, self.stop.closed()).await.is_err() {
            tracing::warn!("some questions of proxies did not finish and were cut off");
        }
    }
}

struct Connections<A> {
    answers: Arc<A>,
    stopped: watch::Receiver<bool>,
}

/// The first request of a connection.
#[derive(Default)]
struct Begun {
    is_set: AtomicBool,
    first: Notify,
}

impl Begun {
    fn set(&self) {
        if !self.is_set.swap(true, Ordering::Relaxed) {
            self.first.notify_one();
        }
    }
}

async fn accept<A: Answer>(socket: Socket, connections: Arc<Connections<A>>) {
    let free = Arc::new(Semaphore::new(AUTHZ_CONNECTIONS_MAX));
    let mut stopped = connections.stopped.clone();
    loop {
        let place = tokio::select! {
            place = free.clone().acquire_owned() => place.expect("the semaphore is never closed"),
            _ = stopped.wait_for(|stopped| *stopped) => return,
        };
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            _ = stopped.wait_for(|stopped| *stopped) => return,
        };
        match accepted {
            Ok(stream) => {
                let connections = connections.clone();
                tokio::spawn(async move {
                    connections.serve(stream).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection, and tries again after a pause");
                if pause_or(stopped.wait_for(|stopped| *stopped)).await {
                    return;
                }
            }
        }
    }
}

impl<A: Answer> Connections<A> {
    async fn serve(&self, stream: Box<dyn Stream>) {
        match self.answers.tls() {
            None => self.serve_http(stream).await,
            Some(tls) => match timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
                Ok(Ok(stream)) => self.serve_http(stream).await,
                Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
                Err(_) => tracing::debug!("a TLS handshake took too long"),
            },
        }
    }

    async fn serve_http(&self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let begun = Arc::new(Begun::default());
        let (answers, is_last) = (self.answers.clone(), self.stopped.clone());
        let seen = begun.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            seen.set();
            let (answers, is_last) = (answers.clone(), is_last.clone());
            async move {
                let is_old = request.version() < Version::HTTP_2;
                let mut answer = answers.answer(request).await;
                if is_old && *is_last.borrow() {
                    let close = HeaderValue::from_static("close");
                    answer.headers_mut().insert(CONNECTION, close);
                }
                Ok::<_, std::convert::Infallible>(answer)
            }
        });
        let mut http = auto::Builder::new(TokioExecutor::new());
        http.http1()
            .header_read_timeout(None::<Duration>)
            .max_buf_size(AUTHZ_HEAD_BYTES_MAX);
        http.http2()
            .max_header_list_size(u32::try_from(AUTHZ_HEAD_BYTES_MAX).unwrap_or(u32::MAX))
            .max_concurrent_streams(AUTHZ_STREAMS_MAX);
        let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
        let mut stopped = self.stopped.clone();
        let without_request = async {
            let first = timeout(FIRST_REQUEST_TIMEOUT, begun.first.notified());
            if self.answers.is_local() || first.await.is_ok() {
                std::future::pending::<()>().await;
            }
        };
        let ended = tokio::select! {
            ended = connection.as_mut() => Some(ended),
            () = without_request => return,
            _ = stopped.wait_for(|stopped| *stopped) => None,
        };
        let ended = match ended {
            Some(ended) => ended,
            None => match timeout(LAST_REQUEST, connection.as_mut()).await {
                Ok(ended) => ended,
                Err(_) => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            },
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection of a proxy ended with an error");
        }
    }
}
