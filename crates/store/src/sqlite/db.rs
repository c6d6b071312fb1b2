//! One connection to SQLite. Each call locks it for one statement and answers before it returns.

use std::ops::ControlFlow;
use std::sync::{Mutex, MutexGuard, PoisonError};

use certgate_model::lock;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, Rows, Statement, ToSql, params_from_iter};

use super::tables;
use crate::StoreError;
use crate::change_log::Uncommitted;
use crate::db::{Cell, Db, Dialect, Row, Transaction, Value, Values, Visit, note};
use crate::error::corrupt;
use crate::position::Layout;
use crate::schema::{MIGRATIONS, Table};

/// A connection that one thread uses at a time.
pub(crate) struct SqliteDb {
    connection: Mutex<Connection>,
    layout: Layout,
    uncommitted: Uncommitted,
}

impl SqliteDb {
    pub(super) fn new(connection: Connection, layout: Layout) -> Self {
        Self {
            connection: Mutex::new(connection),
            layout,
            uncommitted: Uncommitted::default(),
        }
    }

    pub(super) fn with_layout(self, layout: Layout) -> Self {
        Self { layout, ..self }
    }

    pub(super) fn close(self) -> Result<(), StoreError> {
        let connection = self
            .connection
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        connection.close().map_err(|(_, error)| error.into())
    }

    /// The connection itself, for work that is not a statement of a verb.
    pub(super) fn connection(&self) -> MutexGuard<'_, Connection> {
        lock(&self.connection)
    }

    /// Commits the transaction.
    ///
    /// If the disk fails at the end of a commit, SQLite rolls it back, but its log already has the
    /// complete transaction. A start reads it from there, unless the next commit has overwritten
    /// it. A full disk leaves no complete one.
    pub(super) fn commit(&self) -> Result<(), StoreError> {
        let committed = self.connection().prepare_cached("COMMIT")?.execute(());
        match committed {
            Ok(_) => Ok(()),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure) => {
                Err(StoreError::InDoubt(error.to_string()))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Runs a statement without values.
    pub(super) fn run(&self, sql: &str) -> Result<(), StoreError> {
        self.connection().prepare_cached(sql)?.execute(())?;
        Ok(())
    }
}

fn visit_all(mut rows: Rows<'_>, visit: Visit<'_>) -> Result<(), StoreError> {
    while let Some(row) = rows.next()? {
        if visit(row)?.is_break() {
            break;
        }
    }
    Ok(())
}

fn first<T>(
    statement: &mut Statement<'_>,
    values: &[Value<'_>],
    read: &impl Fn(&dyn Row) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    let mut rows = statement.query(params_from_iter(values))?;
    match rows.next()? {
        Some(row) => read(row).map(Some),
        None => Ok(None),
    }
}

impl Db for SqliteDb {
    const DIALECT: Dialect = Dialect::Sqlite;

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
        note(Self::DIALECT, sql, false);
        let connection = self.connection();
        let mut statement = connection.prepare_cached(sql)?;
        visit_all(statement.query(params_from_iter(values))?, visit)
    }

    async fn stream(
        &self,
        sql: &str,
        values: &[Value<'_>],
        visit: Visit<'_>,
    ) -> Result<(), StoreError> {
        note(Self::DIALECT, sql, true);
        let connection = self.connection();
        let mut statement = connection.prepare(sql)?;
        visit_all(statement.query(params_from_iter(values))?, visit)
    }

    async fn execute(&self, sql: &str, values: &[Value<'_>]) -> Result<u64, StoreError> {
        note(Self::DIALECT, sql, false);
        let changed = self
            .connection()
            .prepare_cached(sql)?
            .execute(params_from_iter(values))?;
        Ok(changed as u64)
    }

    async fn execute_each(&self, sql: &str, all: &[Values<'_>]) -> Result<Vec<u64>, StoreError> {
        if all.is_empty() {
            return Ok(Vec::new());
        }
        note(Self::DIALECT, sql, false);
        let connection = self.connection();
        let mut statement = connection.prepare_cached(sql)?;
        let execute = |values| Ok(statement.execute(params_from_iter(values))? as u64);
        all.iter().map(execute).collect()
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
        note(Self::DIALECT, sql, false);
        let connection = self.connection();
        let mut statement = connection.prepare_cached(sql)?;
        all.iter()
            .map(|values| first(&mut statement, values, &read))
            .collect()
    }

    async fn insert(&self, table: &'static Table, cells: &[Value<'_>]) -> Result<(), StoreError> {
        note(Self::DIALECT, table.insert(Self::DIALECT), false);
        let connection = self.connection();
        let mut statement = connection.prepare_cached(table.insert(Self::DIALECT))?;
        for row in cells.chunks(table.columns.len()) {
            statement.execute(params_from_iter(row))?;
        }
        Ok(())
    }
}

impl Transaction for SqliteDb {
    async fn begin(&self) -> Result<(), StoreError> {
        self.run("BEGIN IMMEDIATE")
    }

    async fn savepoint(&self) -> Result<(), StoreError> {
        self.run("SAVEPOINT apart")
    }

    async fn release(&self) -> Result<(), StoreError> {
        self.run("RELEASE apart")
    }

    async fn roll_back_to_savepoint(&self) -> Result<(), StoreError> {
        self.run("ROLLBACK TO apart")
    }

    async fn check_storage(&self) -> Result<Vec<String>, StoreError> {
        let mut lines = Vec::new();
        let mut visit = |row: &dyn Row| {
            let line: String = row.get(0)?;
            if line != "ok" {
                lines.push(format!("integrity: {line}"));
            }
            Ok(ControlFlow::Continue(()))
        };
        self.stream("PRAGMA integrity_check(100)", &[], &mut visit)
            .await?;
        lines.extend(tables::differences(&self.connection(), MIGRATIONS)?);
        Ok(lines)
    }

    /// A full disk or a failing one concerns all writes.
    fn concerns_all(&self, error: &StoreError) -> bool {
        matches!(error, StoreError::Unavailable(_))
    }
}

impl Row for rusqlite::Row<'_> {
    fn cell(&self, column: usize) -> Result<Cell<'_>, StoreError> {
        Ok(match self.get_ref(column)? {
            ValueRef::Null => Cell::Null,
            ValueRef::Integer(number) => Cell::Integer(number),
            ValueRef::Text(text) => match std::str::from_utf8(text) {
                Ok(text) => Cell::Text(text),
                Err(_) => return Err(corrupt("a text is not UTF-8")),
            },
            ValueRef::Blob(octets) => Cell::Octets(octets),
            ValueRef::Real(_) => return Err(corrupt("a column has a fraction")),
        })
    }
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Flag(flag) => ValueRef::Integer((*flag).into()),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Octets(octets) => ValueRef::Blob(octets),
            Self::Id(octets) => ValueRef::Blob(octets),
        }))
    }
}
