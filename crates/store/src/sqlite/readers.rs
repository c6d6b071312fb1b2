//! A few read-only connections. A read runs on one of tokio's blocking threads, because it may wait
//! for the disk, and sees one instant: every write that was answered before it began, and no part
//! of a later one.

use std::sync::{Arc, Mutex};

use certgate_model::lock;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::db::SqliteDb;
use crate::StoreError;
use crate::db::now;
use crate::store::View;
use crate::writes::Verb;

/// The idle connections, and as many permits.
pub(super) struct Readers {
    idle: Arc<Mutex<Vec<SqliteDb>>>,
    permits: Arc<Semaphore>,
    size: u32,
}

impl Readers {
    pub(super) fn new(connections: Vec<SqliteDb>) -> Self {
        let size = u32::try_from(connections.len()).expect("a handful of connections");
        Self {
            permits: Arc::new(Semaphore::new(connections.len())),
            idle: Arc::new(Mutex::new(connections)),
            size,
        }
    }

    /// Runs a reading verb.
    pub(super) async fn read<A, T>(
        &self,
        view: View,
        args: A,
        verb: Verb<SqliteDb, A, T>,
    ) -> Result<T, StoreError>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
    {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(|_| StoreError::Unavailable("it is closed".into()))?;
        let idle = Arc::clone(&self.idle);
        tokio::task::spawn_blocking(move || {
            let lease = Lease::take(idle, permit);
            let db = lease.db()?;
            let _ended = match view {
                View::Statement => None,
                View::Snapshot | View::Search => Some(Snapshot::begin(db)?),
            };
            now(verb(db, &args))
        })
        .await
        .unwrap_or_else(|_| Err(StoreError::Unavailable("a read did not finish".into())))
    }

    /// Waits for the reads that run, then closes the connections.
    pub(super) async fn close(&self) {
        let all = self.permits.acquire_many(self.size).await;
        self.permits.close();
        drop(all);
        lock(&self.idle).clear();
    }
}

/// A read transaction. It ends also after an error: a snapshot left open would keep the write-ahead
/// log from restarting.
struct Snapshot<'d>(&'d SqliteDb);

impl<'d> Snapshot<'d> {
    fn begin(db: &'d SqliteDb) -> Result<Self, StoreError> {
        db.run("BEGIN")?;
        Ok(Self(db))
    }
}

impl Drop for Snapshot<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.0.run("ROLLBACK") {
            tracing::error!(%error, "the store could not end a read");
        }
    }
}

/// A connection that goes back to the idle ones when it is dropped; its permit goes after it.
struct Lease {
    db: Option<SqliteDb>,
    idle: Arc<Mutex<Vec<SqliteDb>>>,
    _permit: OwnedSemaphorePermit,
}

impl Lease {
    fn take(idle: Arc<Mutex<Vec<SqliteDb>>>, permit: OwnedSemaphorePermit) -> Self {
        let db = lock(&idle).pop();
        Self {
            db,
            idle,
            _permit: permit,
        }
    }

    fn db(&self) -> Result<&SqliteDb, StoreError> {
        self.db
            .as_ref()
            .ok_or_else(|| StoreError::Unavailable("it is closed".into()))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(db) = self.db.take() {
            lock(&self.idle).push(db);
        }
    }
}
