//! One connection to a database, as the verbs see it.
//!
//! Every verb is written once, as `async fn verb<D: Db>(db: &D, …)`. PostgreSQL answers over a
//! wire, so its futures wait. SQLite answers before a call returns, so its futures are ready when
//! they are first polled, and [`now`] runs a verb to its end on the thread that owns the connection.
//!
//! Rules for a verb:
//!
//! - It awaits nothing but its [`Db`].
//! - Parameters are written `?1`, `?2`, …; PostgreSQL's connection translates them.
//! - It lists the columns that it reads.
//! - Work on many rows uses [`Db::execute_each`], [`Db::optional_each`] or [`Db::insert`]:
//!   pipelining and bulk insert belong to the connection.

mod cell;
mod value;

use std::future::Future;
use std::ops::ControlFlow;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

pub(crate) use self::cell::{Cell, FromCell, Row, escaped};
pub(crate) use self::value::{Value, values};
use crate::StoreError;
use crate::change_log::Uncommitted;
pub(crate) use crate::dialect::Dialect;
use crate::error::corrupt;
use crate::position::Layout;
use crate::schema::Table;

/// The values of one execution of a statement.
pub(crate) type Values<'v> = Vec<Value<'v>>;

/// Receives the rows of an answer one by one, and decides whether to continue.
pub(crate) type Visit<'v> =
    &'v mut (dyn FnMut(&dyn Row) -> Result<ControlFlow<()>, StoreError> + Send);

/// One connection.
pub(crate) trait Db: Sync {
    /// The database's dialect of SQL.
    const DIALECT: Dialect;

    /// The sizes of the counters' blocks in this database.
    fn layout(&self) -> Layout;

    /// The entries of the audit log that the open transaction has added.
    fn uncommitted(&self) -> &Uncommitted;

    /// Passes the rows of an answer to `visit` until it breaks.
    fn each(
        &self,
        sql: &str,
        values: &[Value<'_>],
        visit: Visit<'_>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Does the same for a statement that reads everything or is rarely repeated: it does not stay
    /// prepared, and no timeout of the client ends it.
    fn stream(
        &self,
        sql: &str,
        values: &[Value<'_>],
        visit: Visit<'_>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Runs a statement and returns the number of rows that it changed.
    fn execute(
        &self,
        sql: &str,
        values: &[Value<'_>],
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Runs a statement once for each list of values, pipelined where the database is remote.
    fn execute_each(
        &self,
        sql: &str,
        all: &[Values<'_>],
    ) -> impl Future<Output = Result<Vec<u64>, StoreError>> + Send;

    /// Reads the first row, if there is one, for each list of values, pipelined where the database
    /// is remote.
    fn optional_each<T: Send>(
        &self,
        sql: &str,
        all: &[Values<'_>],
        read: impl Fn(&dyn Row) -> Result<T, StoreError> + Send + Sync,
    ) -> impl Future<Output = Result<Vec<Option<T>>, StoreError>> + Send;

    /// Inserts rows: `cells` has the values of one row after another, in the order of the table's
    /// columns.
    fn insert(
        &self,
        table: &'static Table,
        cells: &[Value<'_>],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Reads all rows.
    fn rows<T: Send>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        read: impl Fn(&dyn Row) -> Result<T, StoreError> + Send + Sync,
    ) -> impl Future<Output = Result<Vec<T>, StoreError>> + Send {
        async move {
            let mut rows = Vec::new();
            let mut visit = |row: &dyn Row| {
                rows.push(read(row)?);
                Ok(ControlFlow::Continue(()))
            };
            self.each(sql, values, &mut visit).await?;
            Ok(rows)
        }
    }

    /// Reads the first row, if there is one.
    fn optional<T: Send>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        read: impl Fn(&dyn Row) -> Result<T, StoreError> + Send + Sync,
    ) -> impl Future<Output = Result<Option<T>, StoreError>> + Send {
        async move {
            let mut first = None;
            let mut visit = |row: &dyn Row| {
                first = Some(read(row)?);
                Ok(ControlFlow::Break(()))
            };
            self.each(sql, values, &mut visit).await?;
            Ok(first)
        }
    }

    /// Reads the row that always exists.
    fn one<T: Send>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        read: impl Fn(&dyn Row) -> Result<T, StoreError> + Send + Sync,
    ) -> impl Future<Output = Result<T, StoreError>> + Send {
        async move {
            let row = self.optional(sql, values, read).await?;
            row.ok_or_else(|| corrupt("a row is missing"))
        }
    }
}

/// A connection on which a transaction can be controlled.
pub(crate) trait Transaction: Db {
    /// Begins a transaction that writes.
    fn begin(&self) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Sets a savepoint around one write of a batch.
    fn savepoint(&self) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Removes the savepoint and keeps what was done since.
    fn release(&self) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Undoes everything since the savepoint.
    fn roll_back_to_savepoint(&self) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Runs the database's own check of what it stores, if it has one; returns its findings.
    fn check_storage(&self) -> impl Future<Output = Result<Vec<String>, StoreError>> + Send;

    /// Returns whether a failure concerns the whole batch, not the write that met it.
    fn concerns_all(&self, error: &StoreError) -> bool;
}

/// Records the statements that verbs run, for tests; does nothing in a server.
pub(crate) fn note(dialect: Dialect, sql: &str, is_streamed: bool) {
    #[cfg(feature = "conformance")]
    crate::conformance::record(sql, dialect == Dialect::Postgres, is_streamed);
    #[cfg(not(feature = "conformance"))]
    let _ = (dialect, sql, is_streamed);
}

/// Runs a verb on a connection whose answers do not wait.
pub(crate) fn now<T>(verb: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    match pin!(verb).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => Err(StoreError::Unavailable(
            "a verb of the store awaits something else than its connection".into(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verb_that_waits_is_reported() {
        assert_eq!(now(async { Ok(7) }).unwrap(), 7);
        let waits = now(std::future::pending::<Result<(), StoreError>>()).unwrap_err();
        assert!(
            waits.to_string().contains("awaits something else"),
            "{waits}"
        );
    }
}
