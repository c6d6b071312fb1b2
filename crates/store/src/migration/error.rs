//! The reasons why a migration fails.

use crate::StoreError;
use crate::postgres::PostgresError;
use crate::sqlite::OpenError;

/// The reason why a migration does not begin or continue, and the remedy. Copied rows stay in the
/// new database unless the text says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// The embedded database cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It cannot be read.
    #[error(
        "cannot read the database that is to be moved: {0}; `certgate check` reports what is wrong \
         with it"
    )]
    Source(StoreError),
    /// There is nothing to move.
    #[error(
        "the database that is to be moved holds no installation: start servers with the new \
         database instead"
    )]
    NoInstallation,
    /// The journal has changes that the database does not have.
    #[error(
        "the database that is to be moved was restored from a backup, and no server has run since: \
         start `certgate serve` on the data directory once, which replays the journal of \
         revocations, stop it, and migrate then"
    )]
    Restored,
    /// A background job has not indexed every certificate of an earlier version.
    #[error(
        "the database that is to be moved is not indexed completely after an upgrade: run \
         `certgate serve` on the data directory until its log says that every certificate is \
         indexed, stop it, and migrate then"
    )]
    NotIndexed,
    /// The new database cannot be used.
    #[error(transparent)]
    Destination(#[from] PostgresError),
    /// The new database has other tables.
    #[error(
        "the database {database} has tables already ({tables}): name an empty one; nothing was \
         changed"
    )]
    NotEmpty {
        /// The database, without the password.
        database: String,
        /// Some of its tables.
        tables: String,
    },
    /// The new database belongs to another installation.
    #[error(
        "the database {database} holds another installation than the data directory: name an empty \
         database; nothing was changed"
    )]
    OtherInstallation {
        /// The database, without the password.
        database: String,
    },
    /// Another version of this program has begun or finished the migration.
    #[error(
        "another version of certgate has begun or finished the migration to {database}: continue \
         with that one, or name an empty database; nothing was changed"
    )]
    OtherVersion {
        /// The database, without the password.
        database: String,
    },
    /// A server has run in between.
    #[error(
        "a server has run on the data directory since the migration to {database} began, so the \
         copied rows are old: drop that database, create it again, and migrate then; nothing was \
         changed"
    )]
    Changed {
        /// The database, without the password.
        database: String,
    },
    /// Another process continues, or has finished.
    #[error(
        "another `certgate migrate` has taken over the migration to {database}: let that one finish"
    )]
    TakenOver {
        /// The database, without the password.
        database: String,
    },
    /// A row is not what the schema allows.
    #[error(
        "a row of the table {table:?} cannot be stored in PostgreSQL ({detail}): `certgate check` \
         reports what is wrong with the database that is to be moved"
    )]
    Row {
        /// Its table.
        table: &'static str,
        /// PostgreSQL's message.
        detail: String,
    },
}

/// An error of the new database: those of the old one are [`MigrationError::Source`].
impl From<StoreError> for MigrationError {
    fn from(error: StoreError) -> Self {
        Self::Destination(error.into())
    }
}
