//! The connections that read: a few, shared, each used by one read at a time.

use std::ops::Deref;

use deadpool::managed::Pool;
use futures_util::FutureExt;

use super::db::Db;
use super::error::from_pool;
use super::hosts::Hosts;
use crate::StoreError;

/// The pool.
pub(super) struct Readers(Pool<Hosts>);

impl Readers {
    pub(super) fn new(pool: Pool<Hosts>) -> Self {
        Self(pool)
    }

    /// A connection for one statement, or several that need not agree.
    pub(super) async fn one(&self) -> Result<Db, StoreError> {
        Ok(Db::shared(self.0.get().await.map_err(from_pool)?))
    }

    /// A connection on which every statement sees the same instant, from [`Snapshot::begin`] to [`Snapshot::end`].
    pub(super) async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        Ok(Snapshot {
            db: self.one().await?,
            is_ended: false,
        })
    }

    /// Refuses what comes, and closes what is idle; reads that run end by themselves.
    pub(super) fn close(&self) {
        self.0.close();
    }
}

/// A read transaction.
pub(super) struct Snapshot {
    db: Db,
    is_ended: bool,
}

impl Snapshot {
    pub(super) async fn begin(&self) -> Result<(), StoreError> {
        self.db
            .begin("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            .await
    }

    /// Ends the transaction and passes on what was read in it. Nobody waits for the answer to ROLLBACK: whoever uses the connection next
    /// comes after it on the wire.
    pub(super) fn end<T>(mut self, read: Result<T, StoreError>) -> Result<T, StoreError> {
        self.is_ended = !self.db.is_lost()
            && !matches!(self.db.go_back("ROLLBACK").now_or_never(), Some(Err(_)));
        read
    }
}

impl Deref for Snapshot {
    type Target = Db;

    fn deref(&self) -> &Db {
        &self.db
    }
}

/// Whoever asked has gone away in the middle: the connection is still in the transaction.
impl Drop for Snapshot {
    fn drop(&mut self) {
        if !self.is_ended {
            self.db.abandon();
        }
    }
}
