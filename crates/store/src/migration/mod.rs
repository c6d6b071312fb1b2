//! Moving an embedded database to PostgreSQL.
//!
//! Every table is copied in the order of its primary key, a batch of rows a transaction; where to go on is read from what is
//! there, so that a run may end at any instant and the next goes on. Then both databases are read from beginning to end and compared,
//! and only after that servers can start on the new one. The old one is not changed.
//!
//! [`tables`] says what is moved; `sqlite::source` reads, `postgres::destination` writes and reads.

mod tables;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

pub use self::tables::TableDigest;
pub(crate) use self::tables::{Cell, Digester, Kind, Row, TABLES, Table};
use crate::postgres::{Destination, MigrationBegun, PostgresError};
use crate::sqlite::{OpenError, Source};
use crate::{Holder, StoreError};

/// Why a migration does not begin or go on, and what to do. What was copied stays there unless the text says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// The embedded database cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It cannot be read.
    #[error(
        "cannot read the database that is to be moved: {0}; `certgate check` tells what is wrong with it"
    )]
    Source(StoreError),
    /// There is nothing to move.
    #[error(
        "the database that is to be moved holds no installation: start servers with the new database instead"
    )]
    NoInstallation,
    /// The journal knows more than the database.
    #[error(
        "the database that is to be moved was restored from a backup, and no server has run since: start `certgate serve` on the \
         data directory once, which does again what the journal of revocations knows, stop it, and migrate then"
    )]
    Restored,
    /// The new database cannot be used.
    #[error(transparent)]
    Destination(#[from] PostgresError),
    /// It is somebody else's.
    #[error(
        "the database {database} has tables already ({tables}): name an empty one; nothing was changed"
    )]
    NotEmpty {
        /// The database, without the password.
        database: String,
        /// Some of its tables.
        tables: String,
    },
    /// It is another installation's.
    #[error(
        "the database {database} holds another installation than the data directory: name an empty database; nothing was changed"
    )]
    OtherInstallation {
        /// The database, without the password.
        database: String,
    },
    /// Another version of this program was at work.
    #[error(
        "another version of certgate has begun or finished the migration to {database}: go on with that one, or name an empty \
         database; nothing was changed"
    )]
    OtherVersion {
        /// The database, without the password.
        database: String,
    },
    /// A server has run in between.
    #[error(
        "a server has run on the data directory since the migration to {database} began, so that what was copied is old: drop that \
         database, create it again, and migrate then; nothing was changed"
    )]
    Changed {
        /// The database, without the password.
        database: String,
    },
    /// Another process goes on, or has finished.
    #[error(
        "another `certgate migrate` has taken over the migration to {database}: let that one finish"
    )]
    TakenOver {
        /// The database, without the password.
        database: String,
    },
    /// A row is not what the schema allows.
    #[error(
        "a row of the table {table:?} cannot be stored in PostgreSQL ({detail}): `certgate check` tells what is wrong with the \
         database that is to be moved"
    )]
    Row {
        /// Its table.
        table: &'static str,
        /// What PostgreSQL said.
        detail: String,
    },
}

/// Of the new database: errors of the old one are [`MigrationError::Source`].
impl From<StoreError> for MigrationError {
    fn from(error: StoreError) -> Self {
        Self::Destination(error.into())
    }
}

/// How far copying or comparing has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MigrationProgress {
    /// The table that is at work.
    pub table: &'static str,
    /// How many of its rows are done.
    pub table_rows: u64,
    /// How many it has.
    pub of_table_rows: u64,
    /// How many rows of all tables are done.
    pub rows: u64,
    /// How many there are.
    pub of_rows: u64,
}

/// What one table has in both databases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableCompared {
    /// Its name.
    pub table: &'static str,
    /// In the embedded database.
    pub source: TableDigest,
    /// In PostgreSQL.
    pub destination: TableDigest,
}

impl TableCompared {
    /// Whether it has the same rows in both.
    pub fn is_equal(&self) -> bool {
        self.source == self.destination
    }
}

/// A migration that has begun.
pub struct Migration {
    source: Arc<Mutex<Source>>,
    destination: Destination,
    begun: MigrationBegun,
    /// How many rows each of [`TABLES`] has.
    counts: Vec<u64>,
}

impl Migration {
    /// Opens the database of a server that does not run, with its journal, and begins to move it to the PostgreSQL database of the
    /// URL, or goes on with that. The caller keeps servers away from the old one. `holder` is random.
    pub async fn begin(
        database: &Path,
        journal: &Path,
        url: &str,
        holder: Holder,
    ) -> Result<Self, MigrationError> {
        // 1. What is to be moved can be.
        let source = Arc::new(Mutex::new(Source::open(database, journal)?));
        let destination = Destination::connect(url, holder).await?;
        let (installation, state, counts) = read(&source, |source| {
            let counts = TABLES
                .iter()
                .map(|table| source.count(table))
                .collect::<Result<_, _>>()?;
            Ok((source.installation().clone(), source.state()?, counts))
        })
        .await?;
        // 2. And the other database takes it.
        let begun = destination.begin(&installation, &state).await?;
        Ok(Self {
            source,
            destination,
            begun,
            counts,
        })
    }

    /// How far another run has come.
    pub fn begun(&self) -> MigrationBegun {
        self.begun
    }

    /// The new database, without the password.
    pub fn destination(&self) -> String {
        self.destination.name()
    }

    /// How many rows there are to move.
    pub fn rows(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Copies what is not there yet.
    pub async fn copy(
        &self,
        mut progress: impl FnMut(MigrationProgress),
    ) -> Result<(), MigrationError> {
        if self.begun == MigrationBegun::Finished {
            return Ok(());
        }
        for (n, table) in TABLES.iter().enumerate() {
            let mut key = self.destination.greatest(table).await?;
            let mut done = match key.clone() {
                None => 0,
                Some(key) => {
                    read(&self.source, move |source| source.count_up_to(table, &key)).await?
                }
            };
            progress(self.progress(n, done));
            let mut batch = self.rows_after(table, key.take()).await?;
            while let Some(last) = batch.last() {
                // The next one is read while this one is written.
                let next = self.rows_after(table, Some(last[..table.key].to_vec()));
                let ((), next) = tokio::try_join!(self.destination.insert(table, &batch), next)?;
                done += batch.len() as u64;
                progress(self.progress(n, done));
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
        let mut compared = Vec::with_capacity(TABLES.len());
        for (n, table) in TABLES.iter().enumerate() {
            progress(self.progress(n, 0));
            let source = read(&self.source, move |source| source.digest(table));
            let destination = async {
                let told = |rows| progress(self.progress(n, rows));
                self.destination
                    .digest(table, told)
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

    /// Lets servers start on the new database. To be called when [`Migration::compare`] has found no difference.
    pub async fn finish(&self) -> Result<(), MigrationError> {
        if self.begun == MigrationBegun::Finished {
            return Ok(());
        }
        self.destination.analyze().await?;
        self.destination.finish().await
    }

    fn progress(&self, table: usize, table_rows: u64) -> MigrationProgress {
        MigrationProgress {
            table: TABLES[table].name,
            table_rows,
            of_table_rows: self.counts[table],
            rows: self.counts[..table].iter().sum::<u64>() + table_rows,
            of_rows: self.rows(),
        }
    }

    async fn rows_after(
        &self,
        table: &'static Table,
        key: Option<Vec<Cell>>,
    ) -> Result<Vec<Row>, MigrationError> {
        read(&self.source, move |source| {
            source.rows_after(table, key.as_deref())
        })
        .await
    }
}

async fn read<T: Send + 'static>(
    source: &Arc<Mutex<Source>>,
    reading: impl FnOnce(&Source) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, MigrationError> {
    let source = Arc::clone(source);
    let read = tokio::task::spawn_blocking(move || {
        reading(&source.lock().unwrap_or_else(PoisonError::into_inner))
    });
    let read = read
        .await
        .unwrap_or_else(|_| Err(StoreError::Unavailable("the reading did not finish".into())));
    read.map_err(MigrationError::Source)
}

/// Of a table that is moved: its name; its columns and what PostgreSQL calls their types; how many of them are the primary key.
#[cfg(feature = "conformance")]
pub type TableMoved = (&'static str, Vec<(&'static str, &'static str)>, usize);

/// Every table that is moved.
#[cfg(feature = "conformance")]
pub fn columns_moved() -> Vec<TableMoved> {
    let columns = |table: &Table| {
        table
            .columns
            .iter()
            .map(|(name, kind)| (*name, kind.type_name()))
            .collect()
    };
    TABLES
        .iter()
        .map(|table| (table.name, columns(table), table.key))
        .collect()
}

/// Whether a table is left out because it says nothing once no server runs.
#[cfg(feature = "conformance")]
pub fn is_never_moved(table: &str) -> bool {
    tables::NOT_MOVED.contains(&table)
}
