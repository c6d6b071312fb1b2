//! A listening socket and its connections.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use certgate_api::{Documentation, PeerCertificate, TrustedProxies};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::connection::{Http, Limits, NotFree, Origin, Place, Places};
use crate::supervisor::{Supervisor, names};

/// The wait after a failed `accept`: usually the process has no free file descriptor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections that are accepted one after another before every other task gets its turn. In a
/// flood of connections, more would keep those waiting that have sent a request.
const ACCEPTED_AT_ONCE: usize = 16;

/// A running listener.
pub struct Listener {
    accepting: JoinHandle<()>,
    /// Each open connection has a receiver.
    stop: watch::Sender<bool>,
}

impl Listener {
    /// Starts to serve `router` on the socket, as tasks of these names. Connections in the accept
    /// backlog outlive the tasks.
    pub fn start(
        supervisor: &Supervisor,
        names: names::Listener,
        socket: std::net::TcpListener,
        tls: Option<TlsAcceptor>,
        router: Router,
        limits: Limits,
        (trusted_proxies, documentation): (TrustedProxies, Documentation),
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        let places = Places::new(limits);
        let swept = places.clone();
        supervisor.keep(names.limits, move || swept.clone().sweep_forever());
        let acceptor = Arc::new(Acceptor {
            tls,
            router,
            places,
            trusted_proxies,
            documentation,
            stopped,
        });
        let run = move || acceptor.clone().run(socket.try_clone());
        Self {
            accepting: supervisor.keep(names.accepting, run),
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
    places: Arc<Places>,
    trusted_proxies: TrustedProxies,
    documentation: Documentation,
    stopped: watch::Receiver<bool>,
}

impl Acceptor {
    async fn run(self: Arc<Self>, socket: io::Result<std::net::TcpListener>) {
        let socket = match socket.and_then(TcpListener::from_std) {
            Ok(socket) => socket,
            Err(error) => {
                return tracing::error!(%error, "cannot use the listening socket, and tries again after a pause");
            }
        };
        let mut stopped = self.stopped.clone();
        tokio::select! {
            () = self.accept(&socket) => {}
            _ = stopped.wait_for(|stopped| *stopped) => {}
        }
        // Clients in the accept backlog already consider themselves connected and may have sent a
        // request.
        let Ok(queue) = socket.into_std() else { return };
        while let Ok((stream, peer)) = queue.accept() {
            let place = match self.places.take_free(self.origin(peer.ip())) {
                Ok(place) => place,
                Err(NotFree::Share) => continue,
                Err(NotFree::Full) => return,
            };
            if stream.set_nonblocking(true).is_ok()
                && let Ok(stream) = TcpStream::from_std(stream)
            {
                self.begin(stream, peer.ip(), place);
            }
        }
    }

    async fn accept(&self, socket: &TcpListener) {
        for number in 1_usize.. {
            if number.is_multiple_of(ACCEPTED_AT_ONCE) {
                tokio::task::yield_now().await;
            }
            match socket.accept().await {
                Ok((stream, peer)) => {
                    if let Some(place) = self.places.take(self.origin(peer.ip())).await {
                        self.begin(stream, peer.ip(), place);
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    self.places.close_oldest();
                    pause().await;
                }
            }
        }
    }

    /// Returns the address whose share a connection counts for; [`None`] for a trusted proxy, whose
    /// clients have shares.
    fn origin(&self, peer: IpAddr) -> Option<Origin> {
        (!self.trusted_proxies.contains(peer)).then(|| peer.into())
    }

    fn begin(&self, stream: TcpStream, peer: IpAddr, place: Place) {
        let http = Http {
            router: self.router.clone(),
            documentation: self.documentation.clone(),
            peer,
            certificate: None,
            proxies: self
                .trusted_proxies
                .contains(peer)
                .then(|| self.trusted_proxies.clone()),
            stopped: self.stopped.clone(),
            place,
        };
        tokio::spawn(serve(http, stream, self.tls.clone()));
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "no event announces a free file descriptor"
)]
async fn pause() {
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

/// Speaks HTTP on a new connection, after the TLS handshake if there is one.
async fn serve(mut http: Http, stream: TcpStream, tls: Option<TlsAcceptor>) {
    // The server writes each answer at once, so that a delay gains nothing.
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else {
        return http.serve(stream).await;
    };
    let secured = tokio::select! {
        secured = tls.accept(stream) => secured,
        () = http.place.closed() => return,
    };
    match secured {
        Ok(stream) => {
            http.place.seat().secured();
            let (_, session) = stream.get_ref();
            http.certificate = session.peer_certificates().map(|chain| {
                let chain = chain.iter().map(|certificate| certificate.to_vec());
                PeerCertificate(chain.collect())
            });
            http.serve(stream).await;
        }
        Err(error) => tracing::debug!(%error, "TLS handshake failed"),
    }
}
