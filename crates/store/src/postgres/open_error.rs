//! The reasons why a database cannot be used.

use crate::StoreError;

/// The reason why a database could not be opened, and the remedy. No text contains the password.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// The URL cannot be used.
    #[error("the URL of the database cannot be used: {0}")]
    Url(&'static str),
    /// No CA certificate can be read to verify the server's certificate.
    #[error(
        "cannot verify the certificate of the database with {path} ({detail}): name a file of PEM \
         certificates as sslrootcert"
    )]
    Roots {
        /// The file.
        path: String,
        /// The problem with it.
        detail: String,
    },
    /// The client certificate cannot be read, or it does not match its key.
    #[error(
        "cannot use the client certificate {path} for the database ({detail}): name PEM files of a \
         certificate and its key as sslcert and sslkey"
    )]
    Identity {
        /// The file.
        path: String,
        /// The problem with it.
        detail: String,
    },
    /// The database does not answer, or refuses this user.
    #[error(
        "cannot use the database {address} ({detail}): check that it runs, and the user's rights \
         there"
    )]
    Unavailable {
        /// The database, without the password.
        address: String,
        /// The message of the database or the system.
        detail: String,
    },
    /// The user of the URL lacks rights.
    #[error(
        "the database user \"{user}\" lacks {missing}: as the owner of the tables, run GRANT \
         SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO \"{user}\""
    )]
    Rights {
        /// The user.
        user: String,
        /// The rights and their tables.
        missing: String,
    },
    /// A pooler gives connections to other clients between transactions.
    #[error(
        "a pooler shares the connections to the database between transactions (such as pool_mode = \
         transaction of PgBouncer), so that certgate loses its settings and statements: set \
         pool_mode = session in the pooler, or name the database itself in the URL"
    )]
    SharedSessions,
    /// It has another encoding of text, in which not every name can be stored.
    #[error("the database has the encoding {0}: create one with UTF8")]
    Encoding(String),
    /// A later version of certgate wrote it.
    #[error(
        "the database has schema version {found}, but this certgate knows only versions up to \
         {known}: start the newer certgate"
    )]
    NewerVersion {
        /// Its version.
        found: i64,
        /// The latest version that this program knows.
        known: i64,
    },
    /// A version before the first release wrote it.
    #[error(
        "the database was made by a development version of certgate, which no release can read: \
         name an empty database"
    )]
    DevelopmentVersion,
    /// An embedded database is being moved there.
    #[error(
        "the database holds the unfinished migration of a data directory: run the same \
         `certgate migrate` again, which continues where it stopped; nothing was changed"
    )]
    Unfinished,
    /// The database has no tables of certgate.
    #[error(
        "the database holds no installation of certgate: check the URL, or start `certgate serve` \
         with it"
    )]
    Empty,
    /// The database has tables of another program, or is corrupt.
    #[error(
        "the database is corrupt or is not one of certgate ({0}): name an empty one, or restore a \
         backup"
    )]
    Corrupt(String),
}

impl From<StoreError> for PostgresError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict(detail) | StoreError::Corrupt(detail) => Self::Corrupt(detail),
            other => Self::Unavailable {
                address: "of the URL".into(),
                detail: other.into_detail(),
            },
        }
    }
}

impl PostgresError {
    pub(super) fn at(self, database: &impl std::fmt::Display) -> Self {
        match self {
            Self::Unavailable { detail, .. } => Self::Unavailable {
                address: database.to_string(),
                detail,
            },
            other => other,
        }
    }
}
