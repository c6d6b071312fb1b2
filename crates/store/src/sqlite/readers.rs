//! A few read-only connections. A read runs on one of tokio's blocking threads, because it may wait for the disk, and
//! sees one instant: every write that was answered before it began, and none half done.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::StoreError;

/// The connections that nobody uses at the moment, and as many permits.
pub(super) struct Readers {
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
    size: u32,
}

impl Readers {
    pub(super) fn new(connections: Vec<Connection>) -> Self {
        let size = u32::try_from(connections.len()).expect("a handful of connections");
        Self {
            permits: Arc::new(Semaphore::new(connections.len())),
            idle: Arc::new(Mutex::new(connections)),
            size,
        }
    }

    /// Runs one statement, or several that need not agree.
    pub(super) async fn read<T, F>(&self, read: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(|_| StoreError::Unavailable("it is closed".into()))?;
        let idle = Arc::clone(&self.idle);
        tokio::task::spawn_blocking(move || {
            let lease = Lease::take(idle, permit);
            read(lease.connection()?)
        })
        .await
        .unwrap_or_else(|_| Err(StoreError::Unavailable("a read did not finish".into())))
    }

    /// Runs several statements that see the same instant.
    pub(super) async fn snapshot<T, F>(&self, read: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.read(move |connection| {
            connection.prepare_cached("BEGIN")?.execute(())?;
            let _ended = Snapshot(connection);
            read(connection)
        })
        .await
    }

    /// Waits for the reads that run, then closes the connections.
    pub(super) async fn close(&self) {
        let all = self.permits.acquire_many(self.size).await;
        self.permits.close();
        drop(all);
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

/// Ends the read transaction, also after an error: a snapshot left open would keep the log from starting again.
struct Snapshot<'c>(&'c Connection);

impl Drop for Snapshot<'_> {
    fn drop(&mut self) {
        let ended = self
            .0
            .prepare_cached("ROLLBACK")
            .and_then(|mut statement| statement.execute(()));
        if let Err(error) = ended {
            tracing::error!(%error, "the store could not end a read");
        }
    }
}

/// A connection that goes back to the others when it is dropped; its permit goes after it.
struct Lease {
    connection: Option<Connection>,
    idle: Arc<Mutex<Vec<Connection>>>,
    _permit: OwnedSemaphorePermit,
}

impl Lease {
    fn take(idle: Arc<Mutex<Vec<Connection>>>, permit: OwnedSemaphorePermit) -> Self {
        let connection = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Self {
            connection,
            idle,
            _permit: permit,
        }
    }

    fn connection(&self) -> Result<&Connection, StoreError> {
        self.connection
            .as_ref()
            .ok_or_else(|| StoreError::Unavailable("it is closed".into()))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(connection);
        }
    }
}
