//! The hosts of a database, one of which accepts writes, and the connections to it.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use certgate_model::lock;
use deadpool::managed::{Manager, Metrics, RecycleError, RecycleResult};
use deadpool_postgres::ClientWrapper;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_postgres::Config;
use tokio_postgres::config::Host;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::text;
use crate::StoreError;

/// The longest time for connecting to a host and checking that it accepts writes. A host that
/// accepts connections but never answers must not block the way to the next.
const HOST_TIMEOUT: Duration = Duration::from_secs(3);

/// The settings of every connection. They replace those of the role and the database. They are not
/// options of the connection itself, because PgBouncer rejects those.
///
/// - A statement runs for at most 4.5 seconds. Every statement of this crate takes milliseconds.
/// - It waits for a lock for at most 4 seconds: for the transactions of other processes, which take
///   milliseconds too. This is longer than the next limit.
/// - The server ends the transaction of a process that has stopped in the middle of it, and that
///   blocks the writes of the others, after 3 seconds.
const SETTINGS: &str = "SET client_min_messages = warning; SET statement_timeout = 4500; \
                        SET lock_timeout = 4000; SET idle_in_transaction_session_timeout = 3000";

/// The port of a host without one in the URL.
const PORT: u16 = 5432;

/// Returns the hosts, each with its port if that is not [`PORT`].
pub(super) fn host_names(config: &Config) -> String {
    let ports = config.get_ports();
    let name = |(index, host): (usize, &Host)| match (host, ports.get(index).or(ports.first())) {
        (Host::Tcp(name), None | Some(&PORT)) => name.clone(),
        (Host::Tcp(name), Some(port)) => format!("{name}:{port}"),
        #[cfg(unix)]
        (Host::Unix(path), _) => path.display().to_string(),
    };
    let names: Vec<_> = config.get_hosts().iter().enumerate().map(name).collect();
    names.join(",")
}

/// The hosts in the order of the URL. Clones share the host that was reached last.
#[derive(Clone)]
pub(super) struct Hosts {
    configs: Arc<[Config]>,
    tls: MakeRustlsConnect,
    reached: Arc<Mutex<Reached>>,
}

/// The host that the connections go to.
#[derive(Default)]
struct Reached {
    /// The index of the host that was reached last. It is tried first, so that a replaced
    /// primary that restarts is not used while its successor answers.
    host: usize,
    /// The connections to it.
    connections: Vec<AbortHandle>,
}

impl Hosts {
    /// Makes the hosts from a configuration for each.
    pub(super) fn new(configs: Vec<Config>, tls: MakeRustlsConnect) -> Self {
        Self {
            configs: configs.into(),
            tls,
            reached: Arc::default(),
        }
    }

    /// Makes a connection to the host that was reached last, or to the next one that accepts
    /// writes. Needs at most [`HOST_TIMEOUT`] for each host.
    pub(super) async fn connect(&self) -> Result<ClientWrapper, StoreError> {
        let first = self.reached().host;
        let mut failures = Vec::new();
        for step in 0..self.configs.len() {
            let host = (first + step) % self.configs.len();
            let config = &self.configs[host];
            let limit = config
                .get_connect_timeout()
                .copied()
                .unwrap_or_default()
                .max(HOST_TIMEOUT);
            // There are several if the URL has hosts in its options.
            let limit = limit * u32::try_from(config.get_hosts().len()).unwrap_or(1).max(1);
            let failure = match timeout(limit, self.connect_to(first, host)).await {
                Ok(Ok(client)) => return Ok(client),
                Ok(Err(failure)) => failure,
                Err(_) => "it does not answer".to_owned(),
            };
            failures.push(format!("{}: {failure}", host_names(config)));
        }
        Err(StoreError::Unavailable(format!(
            "cannot connect to the database on {}",
            failures.join("; ")
        )))
    }

    /// Makes a connection to one host, or returns the reason why it cannot be used.
    async fn connect_to(&self, first: usize, host: usize) -> Result<ClientWrapper, String> {
        let connected = self.configs[host].connect(self.tls.clone()).await;
        let (client, connection) = connected.map_err(|error| text(&error))?;
        let Some(task) = self.keep(first, host, connection) else {
            return Err("another host has replaced it meanwhile".to_owned());
        };
        let client = ClientWrapper::new(client, task);
        let set = client.batch_execute(SETTINGS).await;
        set.map_err(|error| text(&error))?;
        Ok(client)
    }

    /// Runs a connection that was made to `host`, unless other connections have moved to another
    /// host since the search began at `first`. Ends connections to other hosts, because a replaced
    /// primary must not be read or written any more.
    fn keep<C, E>(
        &self,
        first: usize,
        host: usize,
        connection: C,
    ) -> Option<tokio::task::JoinHandle<()>>
    where
        C: Future<Output = Result<(), E>> + Send + 'static,
        E: std::fmt::Display,
    {
        let mut reached = self.reached();
        if reached.host != first && reached.host != host {
            return None;
        }
        if reached.host != host {
            tracing::warn!(
                host = host_names(&self.configs[host]),
                "the database is on another host now"
            );
            reached.host = host;
            reached
                .connections
                .drain(..)
                .for_each(|connection| connection.abort());
        }
        let task = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to the database has ended");
            }
        });
        reached
            .connections
            .retain(|connection| !connection.is_finished());
        reached.connections.push(task.abort_handle());
        Some(task)
    }

    fn reached(&self) -> MutexGuard<'_, Reached> {
        // No code that can panic runs under the lock.
        lock(&self.reached)
    }
}

impl Manager for Hosts {
    type Type = ClientWrapper;
    type Error = StoreError;

    async fn create(&self) -> Result<ClientWrapper, StoreError> {
        self.connect().await
    }

    /// Checks a connection without a round trip: the driver closes a connection that has ended.
    async fn recycle(&self, client: &mut ClientWrapper, _: &Metrics) -> RecycleResult<StoreError> {
        match client.is_closed() {
            true => Err(RecycleError::message("it has ended")),
            false => Ok(()),
        }
    }
}
