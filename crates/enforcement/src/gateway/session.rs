//! A connection after its handshake. The requests on it share it.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use http::StatusCode;
use metrics::Counter;
use tokio::sync::watch;

use super::limits::Limits;
use super::places::Place;
use super::shared::{Gateway, Host};
use super::table::{Connection, Inserted, Tracked};
use crate::Judged;

/// A connection after its handshake. It stays in the table until this is dropped.
pub struct Session {
    /// The gateway.
    pub gateway: Arc<Gateway>,
    /// The hostname of the handshake.
    pub host: Arc<str>,
    /// The connection in the table.
    pub connection: Arc<Connection>,
    /// HTTP/1.1, and not HTTP/2.
    pub is_http1: bool,
    /// The address of the client.
    pub client: SocketAddr,
    /// Becomes true when the gateway stops.
    pub stopped: watch::Receiver<bool>,
    /// The status of the first answer, with the counter of such requests.
    first: OnceLock<(Option<StatusCode>, Counter)>,
    limits: Limits,
    has_access_log: bool,
    _inserted: Inserted,
    _place: Place,
}

impl Session {
    /// Inserts the connection into the table and judges it then, so that no change is missed.
    pub fn begin(
        gateway: Arc<Gateway>,
        host: &Host,
        connection: Connection,
        (client, is_http1): (SocketAddr, bool),
        stopped: watch::Receiver<bool>,
        place: Place,
    ) -> Arc<Self> {
        let connection = Arc::new(connection);
        let inserted = loop {
            // 1. The identity, by which changes find the connection.
            let judged = gateway.judge(&connection);
            connection.judged(&judged);

            // 2. The place in the table.
            let inserted = gateway
                .table
                .insert(connection.clone(), Tracked::of(&judged));

            // 3. The verdict, by a view that may have changed before the place was taken.
            let again = gateway.judge(&connection);
            if again.verdict == judged.verdict && Tracked::of(&again) == Tracked::of(&judged) {
                break inserted;
            }
        };
        let active = gateway.active();
        let (limits, has_access_log) = (active.config.limits, active.config.access_log);
        drop(active);
        Arc::new(Self {
            gateway,
            host: host.name.clone(),
            connection,
            is_http1,
            client,
            stopped,
            first: OnceLock::new(),
            limits,
            has_access_log,
            _inserted: inserted,
            _place: place,
        })
    }

    /// Judges the certificate for one more request.
    pub fn judge(&self) -> Judged {
        let mut judged = self.gateway.judge(&self.connection);
        if self.connection.knows(&judged) {
            return judged;
        }
        // Such as a restored certificate, or one whose CA the host did not trust at the begin.
        loop {
            // 1. From now on, changes find the connection.
            self.gateway.table.learn(&self.connection, &judged);
            // 2. The next verdict sees the changes from before.
            let again = self.gateway.judge(&self.connection);
            let has_new_path = again.is_verified() && Tracked::of(&again) != Tracked::of(&judged);
            if !has_new_path && self.connection.knows(&again) {
                return again;
            }
            judged = again;
        }
    }

    /// Counts a request with this status of its answer; [`None`] if the client has canceled it.
    pub fn count(&self, status: Option<StatusCode>) {
        let counter = || {
            let code = status.map_or(0, |status| status.as_u16());
            metrics::counter!(
                "certgate_gateway_requests_total",
                "host" => self.host.to_string(), "status" => code.to_string()
            )
        };
        // Most answers of a connection have the status of its first one. To find a counter by its
        // labels takes longer than to count.
        match self.first.get_or_init(|| (status, counter())) {
            (first, known) if *first == status => known.increment(1),
            _ => counter().increment(1),
        }
    }

    /// The limits of the connection: those at its begin.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Returns true if requests are logged.
    pub fn has_access_log(&self) -> bool {
        self.has_access_log
    }
}
