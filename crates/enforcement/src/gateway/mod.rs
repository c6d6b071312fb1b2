//! `certgate gateway`: it terminates TLS, judges each client certificate, and cuts the connections
//! of a certificate when it is revoked.

mod access;
mod admin;
mod answer;
mod body;
mod config;
mod connection;
mod enforcer;
mod forwarded;
mod health;
mod hop;
mod inherited;
mod limits;
mod listener;
mod observed;
mod places;
mod proxy;
mod proxy_protocol;
mod reload;
mod session;
mod shared;
mod signature;
mod sweep;
mod table;
mod tls;
mod upstream;

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use certgate_model::Clock;
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use access::TARGET as ACCESS_LOG;
pub use admin::Render;
pub use config::{Config, ConfigError, LogFormat};
pub use enforcer::Enforcer;
pub use limits::Limits;
pub use tls::any_client_certificate;

use self::listener::Queue;
use self::places::{Full, Places};
use self::shared::Gateway;
use self::table::CutReason;
use crate::{View, listen_remedy};

/// The remedy for an address in the configuration file.
const CHOOSE_ANOTHER: &str = "choose another address in the configuration file";

/// A gateway with its sockets, before it accepts connections.
pub struct Bound {
    gateway: Arc<Gateway>,
    path: PathBuf,
    sockets: Vec<TcpListener>,
    metrics: Option<TcpListener>,
    queue: Queue,
    stop: watch::Sender<bool>,
}

/// The problem of a start. The text has the remedy.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A file of the configuration, such as a certificate.
    #[error("{0}")]
    File(String),
    /// A socket.
    #[error(
        "cannot listen on {address}: {error}: {}",
        listen_remedy(error, CHOOSE_ANOTHER)
    )]
    Socket {
        /// The address.
        address: String,
        /// The error of the system.
        error: std::io::Error,
    },
}

impl Bound {
    /// Loads the files of the configuration and opens the sockets, or takes over inherited ones.
    pub fn open(
        config: Config,
        path: PathBuf,
        view: Arc<View>,
        clock: Arc<dyn Clock>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, StartError> {
        let failed = |address: String| move |error| StartError::Socket { address, error };
        let inherited = inherited::sockets(variable);
        let inherited = inherited.map_err(failed("an inherited socket".to_owned()))?;
        let (sockets, queue) = match inherited.is_empty() {
            false => (inherited, Queue::Inherited),
            true => {
                let bind = |address: &SocketAddr| {
                    listener::bind(*address).map_err(failed(address.to_string()))
                };
                let bound: Result<Vec<_>, _> = config.listen.iter().map(bind).collect();
                (bound?, Queue::Own)
            }
        };
        let metrics = match config.metrics_listen {
            None => None,
            Some(address) => Some(listener::bind(address).map_err(failed(address.to_string()))?),
        };
        for reason in CutReason::ALL {
            reason.count(0);
        }
        for full in [Full::Total, Full::Address] {
            full.count(0);
        }
        let gateway = Gateway::new(config, view, clock).map_err(StartError::File)?;
        gateway.table.measure();
        Ok(Self {
            gateway: Arc::new(gateway),
            path,
            sockets,
            metrics,
            queue,
            stop: watch::Sender::new(false),
        })
    }

    /// The part that enforces changes on open connections.
    pub fn enforcer(&self) -> Enforcer {
        Enforcer::new(self.gateway.clone())
    }

    /// The addresses of the listeners, and of the metrics.
    pub fn addresses(&self) -> (Vec<SocketAddr>, Option<SocketAddr>) {
        let address = |socket: &TcpListener| socket.local_addr().ok();
        let sockets = self.sockets.iter().filter_map(address).collect();
        (sockets, self.metrics.as_ref().and_then(address))
    }

    /// Serves until `stop` ends, and then waits for requests in flight.
    pub async fn run(self, render: Render, stop: impl Future<Output = ()>) {
        let mut jobs = JoinSet::new();
        jobs.spawn(sweep::sweep_forever(self.gateway.clone()));
        jobs.spawn(health::check_forever(self.gateway.clone()));
        jobs.spawn(reload::reload_forever(self.path, self.gateway.clone()));
        if let Some(socket) = self.metrics {
            jobs.spawn(admin::serve_forever(socket, self.gateway.clone(), render));
        }
        let places = Arc::new(Places::default());
        let mut accepting = JoinSet::new();
        for socket in self.sockets {
            accepting.spawn(listener::accept(
                self.gateway.clone(),
                socket,
                self.queue,
                places.clone(),
                self.stop.subscribe(),
            ));
        }
        tokio::select! {
            () = stop => {}
            Some(ended) = jobs.join_next() => {
                tracing::error!(?ended, "a task of the gateway ended: the gateway stops");
            }
        }
        self.stop.send_replace(true);
        accepting.join_all().await;
        let active = self.gateway.active().clone();
        let limit = Duration::from_secs(active.config.stop_timeout_seconds.get().into());
        // Each open connection has a receiver.
        if tokio::time::timeout(limit, self.stop.closed())
            .await
            .is_err()
        {
            let connections = self.gateway.table.len();
            tracing::warn!(
                connections,
                "some connections did not end in time and are cut"
            );
            self.gateway.table.cut_where(|_| Some(CutReason::Stop));
        }
    }
}
