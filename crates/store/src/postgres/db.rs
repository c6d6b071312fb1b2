//! One connection and the statements on it: each prepared once, none waited for without end.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool::managed::Object;
use deadpool_postgres::ClientWrapper;
use futures_util::Stream;
use tokio::time::timeout;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, RowStream};

use super::error::{Trouble, corrupt};
use super::hosts::Hosts;
use super::row::Row;
use super::value::Value;
use crate::StoreError;

/// How long an answer may take: somewhat longer than the server lets a statement run, so that it is the server which says
/// that it was too slow. Longer means that the server, or the way to it, is gone.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(12);

/// A connection that one task uses.
pub(super) struct Db {
    client: Client,
    /// A statement has failed since the transaction, or the savepoint, began: nothing may be committed.
    failed: AtomicBool,
    /// It failed of something that passes.
    passing: AtomicBool,
    /// It failed because the database was too slow.
    slow: AtomicBool,
    /// Nobody may use the connection any more.
    lost: AtomicBool,
}

enum Client {
    /// `None` once it was given back.
    Shared(Option<Object<Hosts>>),
    Own(ClientWrapper),
}

/// How a transaction ended.
pub(super) enum Committed {
    Yes,
    /// It was rolled back.
    No(Trouble),
    /// The connection ended before the answer came.
    Unknown(String),
}

impl Db {
    /// One that goes back to its pool.
    pub(super) fn shared(object: Object<Hosts>) -> Self {
        Self::new(Client::Shared(Some(object)))
    }

    /// One that belongs to nobody else.
    pub(super) fn own(client: ClientWrapper) -> Self {
        Self::new(Client::Own(client))
    }

    fn new(client: Client) -> Self {
        Self {
            client,
            failed: AtomicBool::new(false),
            passing: AtomicBool::new(false),
            slow: AtomicBool::new(false),
            lost: AtomicBool::new(false),
        }
    }

    fn client(&self) -> Result<&ClientWrapper, StoreError> {
        match &self.client {
            Client::Shared(Some(object)) => Ok(object),
            Client::Own(client) => Ok(client),
            Client::Shared(None) => Err(StoreError::Unavailable(
                "the connection was given back".into(),
            )),
        }
    }

    /// All rows.
    pub(super) async fn rows(
        &self,
        statement: &str,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, StoreError> {
        let client = self.client()?;
        let rows = self
            .answer(async {
                let statement = client.prepare_cached(statement).await?;
                client.query(&statement, &parameters(values)).await
            })
            .await?;
        Ok(rows.into_iter().map(Row).collect())
    }

    /// All rows of a statement that hardly anybody uses again.
    pub(super) async fn rows_once(
        &self,
        statement: &str,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, StoreError> {
        let client = self.client()?;
        let rows = self
            .answer(client.query(statement, &parameters(values)))
            .await?;
        Ok(rows.into_iter().map(Row).collect())
    }

    /// All rows of a statement that may take as long as the server lets it.
    pub(super) async fn rows_unhurried(
        &self,
        statement: &str,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, StoreError> {
        let mut stream = self.stream(statement, values).await?;
        let mut rows = Vec::new();
        while let Some(row) = stream.next().await? {
            rows.push(row);
        }
        Ok(rows)
    }

    /// The first row, if there is one.
    pub(super) async fn optional(
        &self,
        statement: &str,
        values: &[Value<'_>],
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(statement, values).await?.into_iter().next())
    }

    /// The row that there always is.
    pub(super) async fn one(
        &self,
        statement: &str,
        values: &[Value<'_>],
    ) -> Result<Row, StoreError> {
        self.optional(statement, values)
            .await?
            .ok_or_else(|| corrupt("a row is missing"))
    }

    /// How many rows it changed.
    pub(super) async fn execute(
        &self,
        statement: &str,
        values: &[Value<'_>],
    ) -> Result<u64, StoreError> {
        let client = self.client()?;
        self.answer(async {
            let statement = client.prepare_cached(statement).await?;
            client.execute(&statement, &parameters(values)).await
        })
        .await
    }

    /// Rows one after another, for reading more than fits into memory. Takes as long as it takes.
    pub(super) async fn stream(
        &self,
        statement: &str,
        values: &[Value<'_>],
    ) -> Result<Rows<'_>, StoreError> {
        let client = self.client()?;
        let stream = client.query_raw(statement, parameters(values)).await;
        let stream = stream.map_err(|error| self.note(Trouble::of(&error)))?;
        Ok(Rows {
            db: self,
            stream: Box::pin(stream),
        })
    }

    /// Statements without values.
    pub(super) async fn run(&self, statements: &str) -> Result<(), StoreError> {
        let client = self.client()?;
        self.answer(client.batch_execute(statements)).await
    }

    /// Statements without values that may take as long as the server lets them.
    pub(super) async fn run_for_long(&self, statements: &str) -> Result<(), StoreError> {
        let client = self.client()?;
        client
            .batch_execute(statements)
            .await
            .map_err(|error| self.note(Trouble::of(&error)).into())
    }

    /// Begins a transaction or a savepoint.
    pub(super) async fn begin(&self, statements: &str) -> Result<(), StoreError> {
        self.failed.store(false, Ordering::Relaxed);
        self.passing.store(false, Ordering::Relaxed);
        self.slow.store(false, Ordering::Relaxed);
        self.run(statements).await
    }

    /// Goes back to where a transaction or a savepoint began. What fails here makes the connection useless.
    pub(super) async fn go_back(&self, statement: &str) -> Result<(), StoreError> {
        let back = self.run(statement).await;
        match back {
            Ok(()) => self.failed.store(false, Ordering::Relaxed),
            Err(_) => self.lost.store(true, Ordering::Relaxed),
        }
        back
    }

    /// Commits, unless a statement has failed: PostgreSQL would roll back and call that a success.
    pub(super) async fn commit(&self) -> Committed {
        self.commit_after("").await
    }

    /// The same with a last statement of the transaction, in the same round trip.
    pub(super) async fn commit_after(&self, last: &str) -> Committed {
        let client = match self.client() {
            Ok(client) if !self.failed.load(Ordering::Relaxed) => client,
            Ok(_) => {
                return Committed::No(Trouble::Lasting(corrupt(
                    "a statement of the transaction failed",
                )));
            }
            Err(error) => return Committed::No(Trouble::Lasting(error)),
        };
        // Without the server's own limit: a commit that waits for a standby would be called done when that is over.
        let statements = format!("{last}; SET LOCAL statement_timeout = 0; COMMIT");
        let commit = client.batch_execute(&statements);
        match timeout(ANSWER_TIMEOUT, commit).await {
            Ok(Ok(())) => Committed::Yes,
            Ok(Err(error)) if Trouble::leaves_commit_open(&error) => {
                self.lost.store(true, Ordering::Relaxed);
                Committed::Unknown(super::error::text(&error))
            }
            Ok(Err(error)) => Committed::No(self.note(Trouble::of(&error))),
            Err(_) => {
                self.lost.store(true, Ordering::Relaxed);
                Committed::Unknown("it does not answer".into())
            }
        }
    }

    /// Whether what failed last may go well when the transaction is run again.
    pub(super) fn is_passing(&self) -> bool {
        self.passing.load(Ordering::Relaxed)
    }

    /// Whether what failed did so because the database was too slow: somebody has what is waited for, or it is busy.
    pub(super) fn is_slow(&self) -> bool {
        self.slow.load(Ordering::Relaxed)
    }

    /// Whether a statement has failed since the transaction or the savepoint began.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Whether the connection cannot be used any more.
    pub(super) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed) || self.client().map_or(true, |client| client.is_closed())
    }

    async fn answer<T>(
        &self,
        answer: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, StoreError> {
        match timeout(ANSWER_TIMEOUT, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.note(Trouble::of(&error)).into()),
            Err(_) => {
                // The answer may still come, to whoever asks next.
                self.lost.store(true, Ordering::Relaxed);
                Err(self
                    .note(Trouble::Slow("the database does not answer".into()))
                    .into())
            }
        }
    }

    fn note(&self, trouble: Trouble) -> Trouble {
        // Statements that follow the one that failed are refused for that reason: only the first one tells something.
        if !self.failed.swap(true, Ordering::Relaxed) {
            self.passing
                .store(matches!(trouble, Trouble::Passing(_)), Ordering::Relaxed);
            self.slow
                .store(matches!(trouble, Trouble::Slow(_)), Ordering::Relaxed);
        }
        trouble
    }

    /// Keeps a connection whose state nobody knows out of its pool.
    pub(super) fn abandon(&mut self) {
        if let Client::Shared(object) = &mut self.client
            && let Some(object) = object.take()
        {
            drop(Object::take(object));
        }
    }
}

/// Rows that are still arriving.
pub(super) struct Rows<'d> {
    db: &'d Db,
    stream: Pin<Box<RowStream>>,
}

impl Rows<'_> {
    /// The next one.
    pub(super) async fn next(&mut self) -> Result<Option<Row>, StoreError> {
        let next = poll_fn(|context| self.stream.as_mut().poll_next(context)).await;
        let row = next
            .transpose()
            .map_err(|error| self.db.note(Trouble::of(&error)))?;
        Ok(row.map(Row))
    }
}

impl Drop for Db {
    fn drop(&mut self) {
        if self.is_lost() {
            self.abandon();
        }
    }
}

fn parameters<'v>(values: &'v [Value<'_>]) -> Vec<&'v (dyn ToSql + Sync)> {
    values
        .iter()
        .map(|value| value as &(dyn ToSql + Sync))
        .collect()
}
