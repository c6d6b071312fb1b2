//! Running a migration: copying, comparing, finishing.

use std::path::Path;
use std::sync::Arc;

use super::error::MigrationError;
use super::rows::{TableDigest, last_key};
use crate::db::Value;
use crate::postgres::{Destination, MigrationBegun};
use crate::schema::{self, INDEXING, Table};
use crate::sqlite::Source;
use crate::{LeaseHolder, StoreError};

/// The progress of copying or comparing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MigrationProgress {
    /// The current table.
    pub table: &'static str,
    /// The number of its rows that are done.
    pub table_rows: u64,
    /// The number of its rows.
    pub of_table_rows: u64,
    /// The number of rows of all tables that are done.
    pub rows: u64,
    /// The number of rows of all tables.
    pub of_rows: u64,
}

/// One table in both databases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableCompared {
    /// Its name.
    pub table: &'static str,
    /// Its rows in the embedded database.
    pub source: TableDigest,
    /// Its rows in PostgreSQL.
    pub destination: TableDigest,
}

impl TableCompared {
    /// Returns true if it has the same rows in both.
    pub fn is_equal(&self) -> bool {
        self.source == self.destination
    }
}

/// A migration that has begun.
pub struct Migration {
    source: Arc<Source>,
    destination: Destination,
    begun: MigrationBegun,
    /// Each table that moves, and the number of its rows.
    tables: Vec<(&'static Table, u64)>,
}

impl Migration {
    /// Opens the database of a server that does not run, with its journal, and begins or continues
    /// to move it to the PostgreSQL database of the URL. The caller keeps servers away from the old
    /// one. `holder` is random.
    pub async fn begin(
        database: &Path,
        journal: &Path,
        url: &str,
        holder: LeaseHolder,
    ) -> Result<Self, MigrationError> {
        // 1. Check that the old database can be moved.
        let source = Arc::new(Source::open(database, journal)?);
        let destination = Destination::connect(url, holder).await?;
        let (state, tables) = read(&source, |source| {
            let counted = |table| Ok((table, source.count(table)?));
            let tables: Vec<(&'static Table, u64)> = schema::moved()
                .map(counted)
                .collect::<Result<_, StoreError>>()?;
            Ok((source.state()?, tables))
        })
        .await?;
        let is_unfinished =
            |(table, rows): &(&Table, u64)| table.name == INDEXING.name && *rows > 0;
        if tables.iter().any(is_unfinished) {
            return Err(MigrationError::NotIndexed);
        }
        // 2. Check that the new database accepts it.
        let begun = destination.begin(source.installation(), &state).await?;
        Ok(Self {
            source,
            destination,
            begun,
            tables,
        })
    }

    /// The state in which earlier runs left the migration.
    pub fn begun(&self) -> MigrationBegun {
        self.begun
    }

    /// The new database, without the password.
    pub fn destination(&self) -> String {
        self.destination.name()
    }

    /// The number of rows to move.
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|(_, rows)| rows).sum()
    }

    /// Copies the rows that are missing.
    pub async fn copy(
        &self,
        mut progress: impl FnMut(MigrationProgress),
    ) -> Result<(), MigrationError> {
        if self.begun == MigrationBegun::Finished {
            return Ok(());
        }
        for (place, (table, _)) in self.tables.iter().copied().enumerate() {
            let key = self.destination.greatest_key(table).await?;
            let mut done = match key.is_empty() {
                true => 0,
                false => {
                    let key = key.clone();
                    read(&self.source, move |source| source.count_up_to(table, &key)).await?
                }
            };
            progress(self.progress(place, done));
            let mut batch = self.rows_after(table, key).await?;
            while !batch.is_empty() {
                // The next one is read while this one is written.
                let next = self.rows_after(table, last_key(table, &batch).to_vec());
                let ((), next) = tokio::try_join!(self.destination.insert(table, &batch), next)?;
                done += (batch.len() / table.columns.len()) as u64;
                progress(self.progress(place, done));
                batch = next;
            }
        }
        Ok(())
    }

    /// Reads both databases from beginning to end.
    pub async fn compare(
        &self,
        mut progress: impl FnMut(MigrationProgress),
    ) -> Result<Vec<TableCompared>, MigrationError> {
        let mut compared = Vec::with_capacity(self.tables.len());
        for (place, (table, _)) in self.tables.iter().copied().enumerate() {
            progress(self.progress(place, 0));
            let source = read(&self.source, move |source| source.digest(table));
            let destination = async {
                let read = |rows| progress(self.progress(place, rows));
                self.destination
                    .digest(table, read)
                    .await
                    .map_err(MigrationError::from)
            };
            let (source, destination) = tokio::try_join!(source, destination)?;
            compared.push(TableCompared {
                table: table.name,
                source,
                destination,
            });
        }
        Ok(compared)
    }

    /// Lets servers start on the new database. Call it after [`Migration::compare`] has found no
    /// difference.
    pub async fn finish(&self) -> Result<(), MigrationError> {
        if self.begun == MigrationBegun::Finished {
            return Ok(());
        }
        self.destination.analyze().await?;
        self.destination.finish().await
    }

    fn progress(&self, place: usize, table_rows: u64) -> MigrationProgress {
        let (table, of_table_rows) = self.tables[place];
        let before: u64 = self.tables[..place].iter().map(|(_, rows)| rows).sum();
        MigrationProgress {
            table: table.name,
            table_rows,
            of_table_rows,
            rows: before + table_rows,
            of_rows: self.rows(),
        }
    }

    async fn rows_after(
        &self,
        table: &'static Table,
        key: Vec<Value<'static>>,
    ) -> Result<Vec<Value<'static>>, MigrationError> {
        read(&self.source, move |source| source.rows_after(table, &key)).await
    }
}

async fn read<T: Send + 'static>(
    source: &Arc<Source>,
    reading: impl FnOnce(&Source) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, MigrationError> {
    let source = Arc::clone(source);
    let read = tokio::task::spawn_blocking(move || reading(&source)).await;
    read.unwrap_or_else(|_| Err(StoreError::Unavailable("the reading did not finish".into())))
        .map_err(MigrationError::Source)
}

/// A table that moves: its name, its columns with their types in PostgreSQL, and the number of
/// columns of the primary key.
#[cfg(feature = "conformance")]
pub type TableMoved = (&'static str, Vec<(&'static str, String)>, usize);

/// Returns every table that moves.
#[cfg(feature = "conformance")]
pub fn columns_moved() -> Vec<TableMoved> {
    let columns = |table: &Table| {
        let column = |column: &schema::Column| (column.name, column.kind.postgres().to_lowercase());
        table.columns.iter().map(column).collect()
    };
    schema::moved()
        .map(|table| (table.name, columns(table), table.key))
        .collect()
}

/// Returns whether a table is not copied, because it has no meaning while no server runs.
#[cfg(feature = "conformance")]
pub fn is_never_moved(table: &str) -> bool {
    let described = schema::TABLES
        .iter()
        .any(|known| known.name == table && !known.is_moved);
    described || ["schema_lock", "schema_migrations"].contains(&table)
}
