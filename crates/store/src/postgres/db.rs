//! One connection to PostgreSQL and the statements on it: each prepared once, none waited for
//! without end.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::future::Future;
use std::ops::ControlFlow;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool::managed::Object;
use deadpool_postgres::ClientWrapper;
use futures_util::TryStreamExt;
use futures_util::future::try_join_all;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{IsNull, Kind, ToSql, Type, to_sql_checked};
use tokio_postgres::{Error, RowStream, SimpleQueryMessage};

use super::error::{NO_ANSWER, Trouble, text};
use super::hosts::Hosts;
use super::index_states;
use crate::StoreError;
use crate::change_log::Uncommitted;
use crate::db::{Cell, Db, Dialect, Row, Transaction, Value, Values, Visit, escaped, note};
use crate::error::corrupt;
use crate::position::Layout;
use crate::schema::Table;

/// The longest wait for an answer: somewhat longer than the server lets a statement run, so that
/// the server reports a slow statement. A longer wait means that the server, or the way to it, is
/// gone.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest wait for the answer to COMMIT, which waits for a disk and for standbys. After it, a
/// new connection looks the outcome up.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(4);

/// Begins a transaction that writes, and locks the row by which processes take turns.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; \
                     SELECT last_epoch FROM store WHERE \"only\" = 1 FOR UPDATE";

/// A connection that one task uses.
pub(crate) struct PostgresDb {
    client: Client,
    layout: Layout,
    uncommitted: Uncommitted,
    /// The instant at which waiting for an answer ends.
    deadline: Option<Instant>,
    /// A statement has failed since the transaction, or the savepoint, began: nothing may be
    /// committed.
    failed: AtomicBool,
    /// The cause of the failure ends by itself.
    passing: AtomicBool,
    /// The cause of the failure is a slow database.
    slow: AtomicBool,
    /// The connection must not be used any more.
    lost: AtomicBool,
    /// An answer did not come.
    silent: AtomicBool,
}

enum Client {
    /// `None` after it was returned to its pool.
    Shared(Option<Object<Hosts>>),
    Own(ClientWrapper),
}

/// The end of a transaction.
pub(super) enum Committed {
    Yes,
    /// It was rolled back.
    No(Trouble),
    /// The connection ended before the answer came.
    Unknown(String),
}

impl PostgresDb {
    /// Wraps a connection that goes back to its pool.
    pub(super) fn shared(object: Object<Hosts>, layout: Layout) -> Self {
        Self::new(Client::Shared(Some(object)), layout)
    }

    /// Wraps a connection that is not shared.
    pub(super) fn own(client: ClientWrapper, layout: Layout) -> Self {
        Self::new(Client::Own(client), layout)
    }

    fn new(client: Client, layout: Layout) -> Self {
        Self {
            client,
            layout,
            uncommitted: Uncommitted::default(),
            deadline: None,
            failed: AtomicBool::new(false),
            passing: AtomicBool::new(false),
            slow: AtomicBool::new(false),
            lost: AtomicBool::new(false),
            silent: AtomicBool::new(false),
        }
    }

    pub(super) fn set_layout(&mut self, layout: Layout) {
        self.layout = layout;
    }

    /// Limits the time for all answers together. [`Db::stream`] has no limit.
    pub(super) fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = Some(deadline);
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

    /// Runs statements without values.
    pub(super) async fn run(&self, statements: &str) -> Result<(), StoreError> {
        let client = self.client()?;
        self.answer(client.batch_execute(statements)).await
    }

    /// Reads one value by a statement that is not prepared.
    pub(super) async fn read_unprepared(&self, sql: &str) -> Result<Option<String>, StoreError> {
        let client = self.client()?;
        let answer = self.answer(client.simple_query(sql)).await?;
        let value = answer.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        Ok(value.map(str::to_owned))
    }

    /// Runs statements without values, which may take as long as the server lets them.
    pub(super) async fn run_for_long(&self, statements: &str) -> Result<(), StoreError> {
        let client = self.client()?;
        client
            .batch_execute(statements)
            .await
            .map_err(|error| self.note(Trouble::of(&error)).into())
    }

    /// Begins a transaction or a savepoint with these statements.
    pub(super) async fn begin_with(&self, statements: &str) -> Result<(), StoreError> {
        self.failed.store(false, Ordering::Relaxed);
        self.passing.store(false, Ordering::Relaxed);
        self.slow.store(false, Ordering::Relaxed);
        self.run(statements).await
    }

    /// Goes back to the beginning of a transaction or a savepoint. A failure here makes the
    /// connection useless.
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

    /// Commits after a last statement of the transaction, in the same round trip.
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
        // Without the server's own limit: if that limit ends the wait for a standby, the server
        // reports the commit as done.
        let statements = format!("{last}; SET LOCAL statement_timeout = 0; COMMIT");
        let commit = client.batch_execute(&statements);
        match timeout(COMMIT_TIMEOUT, commit).await {
            Ok(Ok(())) => Committed::Yes,
            Ok(Err(error)) if Trouble::leaves_commit_open(&error) => {
                self.lost.store(true, Ordering::Relaxed);
                Committed::Unknown(text(&error))
            }
            Ok(Err(error)) => Committed::No(self.note(Trouble::of(&error))),
            Err(_) => {
                self.lost.store(true, Ordering::Relaxed);
                Committed::Unknown(NO_ANSWER.into())
            }
        }
    }

    /// Returns whether the failed transaction may succeed when it is run again.
    pub(super) fn is_passing(&self) -> bool {
        self.passing.load(Ordering::Relaxed)
    }

    /// Returns whether the failure came from a slow database: it is busy, or another client holds a
    /// lock.
    pub(super) fn is_slow(&self) -> bool {
        self.slow.load(Ordering::Relaxed)
    }

    /// Returns whether a statement has failed since the transaction or the savepoint began.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Returns whether the connection cannot be used any more.
    pub(super) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed) || self.client().map_or(true, |client| client.is_closed())
    }

    /// Returns whether the connection, or the server, went silent.
    pub(super) fn is_silent(&self) -> bool {
        self.silent.load(Ordering::Relaxed)
    }

    async fn answer<T>(
        &self,
        answer: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, StoreError> {
        let limit = Instant::now() + ANSWER_TIMEOUT;
        let limit = self.deadline.map_or(limit, |deadline| deadline.min(limit));
        match timeout_at(limit, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.note(Trouble::of(&error)).into()),
            Err(_) => {
                // The answer may still come, to the next statement.
                self.lost.store(true, Ordering::Relaxed);
                self.silent.store(true, Ordering::Relaxed);
                Err(self.note(Trouble::Slow(NO_ANSWER.into())).into())
            }
        }
    }

    fn note(&self, trouble: Trouble) -> Trouble {
        // The server refuses the statements after a failed one, so only the first failure names a
        // cause.
        if !self.failed.swap(true, Ordering::Relaxed) {
            self.passing
                .store(matches!(trouble, Trouble::Passing(_)), Ordering::Relaxed);
            self.slow
                .store(matches!(trouble, Trouble::Slow(_)), Ordering::Relaxed);
        }
        trouble
    }

    /// Keeps a connection in an unknown state out of its pool.
    pub(super) fn abandon(&mut self) {
        if let Client::Shared(object) = &mut self.client
            && let Some(object) = object.take()
        {
            drop(Object::take(object));
        }
    }
}

impl Drop for PostgresDb {
    fn drop(&mut self) {
        if self.is_lost() {
            self.abandon();
        }
    }
}

/// Translates `?1` to `$1` and drops SQLite's INDEXED BY. No statement has a question mark, or
/// those words, in a literal.
fn translated(sql: &str) -> Cow<'_, str> {
    if !sql.contains(['?']) && !sql.contains("INDEXED BY") {
        return Cow::Borrowed(sql);
    }
    let mut translated = sql.replace('?', "$");
    while let Some(begin) = translated.find("INDEXED BY ") {
        let name = begin + "INDEXED BY ".len();
        let end = translated[name..]
            .find(' ')
            .map_or(translated.len(), |length| name + length + 1);
        translated.replace_range(begin..end, "");
    }
    Cow::Owned(translated)
}

fn parameters<'v>(values: &'v [Value<'_>]) -> Vec<&'v (dyn ToSql + Sync)> {
    values
        .iter()
        .map(|value| value as &(dyn ToSql + Sync))
        .collect()
}

async fn visit_all(stream: RowStream, visit: Visit<'_>) -> Result<Result<(), StoreError>, Error> {
    let mut stream = pin!(stream);
    while let Some(row) = stream.try_next().await? {
        match visit(&row) {
            Ok(ControlFlow::Continue(())) => {}
            Ok(ControlFlow::Break(())) => break,
            Err(error) => return Ok(Err(error)),
        }
    }
    Ok(Ok(()))
}

impl Db for PostgresDb {
    const DIALECT: Dialect = Dialect::Postgres;

    fn layout(&self) -> Layout {
        self.layout
    }

    fn uncommitted(&self) -> &Uncommitted {
        &self.uncommitted
    }

    async fn each(
        &self,
        sql: &str,
        values: &[Value<'_>],
        visit: Visit<'_>,
    ) -> Result<(), StoreError> {
        let client = self.client()?;
        let sql = translated(sql);
        note(Self::DIALECT, &sql, false);
        let visited = self.answer(async {
            let statement = client.prepare_cached(&sql).await?;
            visit_all(
                client.query_raw(&statement, parameters(values)).await?,
                visit,
            )
            .await
        });
        visited.await?
    }

    async fn stream(
        &self,
        sql: &str,
        values: &[Value<'_>],
        visit: Visit<'_>,
    ) -> Result<(), StoreError> {
        let client = self.client()?;
        let sql = translated(sql);
        note(Self::DIALECT, &sql, true);
        let visited =
            async { visit_all(client.query_raw(&*sql, parameters(values)).await?, visit).await };
        visited
            .await
            .map_err(|error| self.note(Trouble::of(&error)))?
    }

    async fn execute(&self, sql: &str, values: &[Value<'_>]) -> Result<u64, StoreError> {
        let client = self.client()?;
        let sql = translated(sql);
        note(Self::DIALECT, &sql, false);
        self.answer(async {
            let statement = client.prepare_cached(&sql).await?;
            client.execute(&statement, &parameters(values)).await
        })
        .await
    }

    async fn execute_each(&self, sql: &str, all: &[Values<'_>]) -> Result<Vec<u64>, StoreError> {
        if all.is_empty() {
            return Ok(Vec::new());
        }
        let client = self.client()?;
        let sql = translated(sql);
        note(Self::DIALECT, &sql, false);
        self.answer(async {
            let statement = client.prepare_cached(&sql).await?;
            let execute =
                async |values: &Values<'_>| client.execute(&statement, &parameters(values)).await;
            // Sent one after another, without waiting for the answers in between.
            try_join_all(all.iter().map(execute)).await
        })
        .await
    }

    async fn optional_each<T: Send>(
        &self,
        sql: &str,
        all: &[Values<'_>],
        read: impl Fn(&dyn Row) -> Result<T, StoreError> + Send + Sync,
    ) -> Result<Vec<Option<T>>, StoreError> {
        if all.is_empty() {
            return Ok(Vec::new());
        }
        let client = self.client()?;
        let sql = translated(sql);
        note(Self::DIALECT, &sql, false);
        let answers = self.answer(async {
            let statement = client.prepare_cached(&sql).await?;
            let query =
                async |values: &Values<'_>| client.query(&statement, &parameters(values)).await;
            try_join_all(all.iter().map(query)).await
        });
        let first = |rows: &Vec<tokio_postgres::Row>| rows.first().map(|row| read(row)).transpose();
        answers.await?.iter().map(first).collect()
    }

    async fn insert(&self, table: &'static Table, cells: &[Value<'_>]) -> Result<(), StoreError> {
        if cells.is_empty() {
            return Ok(());
        }
        let client = self.client()?;
        let width = table.columns.len();
        let arrays: Vec<_> = (0..width)
            .map(|first| Array {
                cells,
                first,
                width,
            })
            .collect();
        let arrays: Vec<_> = arrays
            .iter()
            .map(|array| array as &(dyn ToSql + Sync))
            .collect();
        note(Self::DIALECT, table.insert(Self::DIALECT), false);
        let inserted = self.answer(async {
            let statement = client.prepare_cached(table.insert(Self::DIALECT)).await?;
            client.execute(&statement, &arrays).await
        });
        match inserted.await? == (cells.len() / width) as u64 {
            true => Ok(()),
            false => Err(corrupt(format!(
                "not every row of \"{}\" was inserted",
                table.name
            ))),
        }
    }
}

impl Transaction for PostgresDb {
    async fn begin(&self) -> Result<(), StoreError> {
        self.begin_with(BEGIN).await
    }

    async fn savepoint(&self) -> Result<(), StoreError> {
        self.run("SAVEPOINT apart").await
    }

    async fn release(&self) -> Result<(), StoreError> {
        self.run("RELEASE SAVEPOINT apart").await
    }

    async fn roll_back_to_savepoint(&self) -> Result<(), StoreError> {
        self.go_back("ROLLBACK TO SAVEPOINT apart").await
    }

    /// PostgreSQL checks its pages when it reads them, but a search would not find certificates
    /// that an index lacks.
    async fn check_storage(&self) -> Result<Vec<String>, StoreError> {
        index_states::problems(self).await
    }

    /// A verb that reports `Unavailable` without a failed statement reports its own case.
    fn concerns_all(&self, error: &StoreError) -> bool {
        self.is_passing() || matches!(error, StoreError::Unavailable(_)) && self.has_failed()
    }
}

impl Row for tokio_postgres::Row {
    fn cell(&self, column: usize) -> Result<Cell<'_>, StoreError> {
        let kind = match self.columns().get(column) {
            Some(column) => column.type_(),
            None => return Err(corrupt(format!("a row has no column {column}"))),
        };
        let read = match *kind {
            Type::INT8 => self
                .try_get(column)
                .map(|cell: Option<i64>| cell.map(Cell::Integer)),
            Type::INT4 => self
                .try_get(column)
                .map(|cell: Option<i32>| cell.map(|number| Cell::Integer(number.into()))),
            Type::INT2 => self
                .try_get(column)
                .map(|cell: Option<i16>| cell.map(|number| Cell::Integer(number.into()))),
            Type::BOOL => self
                .try_get(column)
                .map(|cell: Option<bool>| cell.map(Cell::Flag)),
            Type::BYTEA => self
                .try_get(column)
                .map(|cell: Option<&[u8]>| cell.map(Cell::Octets)),
            _ => self.try_get(column).map(|cell: Option<&str>| {
                cell.map(|text| match text.contains('\u{1}') {
                    true => Cell::Escaped(text),
                    false => Cell::Text(text),
                })
            }),
        };
        read.map(|cell| cell.unwrap_or(Cell::Null))
            .map_err(|error| corrupt(text(&error)))
    }
}

/// The driver accepts only values of exactly the statement's types. This type converts an integer
/// for any column of integers that it fits into.
impl ToSql for Value<'_> {
    fn to_sql(
        &self,
        column: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        match (self, column) {
            (Self::Null, _) => Ok(IsNull::Yes),
            (Self::Integer(number), &Type::INT8) => number.to_sql(column, out),
            (Self::Integer(number), &Type::INT4) => i32::try_from(*number)?.to_sql(column, out),
            (Self::Integer(number), &Type::INT2) => i16::try_from(*number)?.to_sql(column, out),
            (Self::Flag(flag), &Type::BOOL) => flag.to_sql(column, out),
            (Self::Text(text), &Type::TEXT) => escaped(text).to_sql(column, out),
            (Self::Octets(octets), &Type::BYTEA) => octets.as_ref().to_sql(column, out),
            (Self::Id(octets), &Type::BYTEA) => octets.as_slice().to_sql(column, out),
            _ => Err(format!("a value does not fit into a column of type {column}").into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// One column of several rows: every `width`-th cell from `first` on.
#[derive(Debug)]
struct Array<'c, 'v> {
    cells: &'c [Value<'v>],
    first: usize,
    width: usize,
}

impl ToSql for Array<'_, '_> {
    fn to_sql(
        &self,
        column: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        let cells: Vec<_> = self.cells[self.first..]
            .iter()
            .step_by(self.width)
            .collect();
        cells.to_sql(column, out)
    }

    fn accepts(column: &Type) -> bool {
        matches!(column.kind(), Kind::Array(_))
    }

    to_sql_checked!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_translated() {
        assert_eq!(
            translated("SELECT a FROM t INDEXED BY t_by_a WHERE b = ?1 AND c > ?12"),
            "SELECT a FROM t WHERE b = $1 AND c > $12"
        );
        assert_eq!(translated("SELECT 1"), "SELECT 1");
    }
}
