//! The configured database, for commands that inspect it.

use std::path::Path;

use certgate_store::{AuditVerdict, PostgresInspector, SqliteInspector, StoreError};
use tokio::runtime::Runtime;

use crate::config::{Database, DatabaseConfig};
use crate::data_dir::DataDir;
use crate::failure::{self, Failure};

/// One of the two kinds of database, in its state at the time of opening.
pub enum Inspector {
    Embedded(SqliteInspector),
    Shared {
        inspector: Box<PostgresInspector>,
        runtime: Runtime,
    },
}

impl Inspector {
    /// Opens the database that `serve` would use with these settings. Returns its name too.
    pub fn configured(config: &DatabaseConfig) -> Result<(Self, String), Failure> {
        let url = match &config.database {
            Database::Postgres(url) => url,
            Database::Embedded => {
                let shown = config.data_dir.display();
                let database = DataDir::database(&config.data_dir);
                if !database.exists() {
                    return Err(Failure::failed(format!(
                        "{shown} holds no certgate database"
                    )));
                }
                return Ok((Self::file(&database)?, shown.to_string()));
            }
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime.map_err(|error| Failure::failed(error.to_string()))?;
        let inspector = runtime.block_on(PostgresInspector::open(url.expose()));
        let inspector = inspector.map_err(|error| failure::cannot_use(&error))?;
        Ok((
            Self::Shared {
                inspector: Box::new(inspector),
                runtime,
            },
            url.to_string(),
        ))
    }

    /// Opens a database file.
    pub fn file(path: &Path) -> Result<Self, Failure> {
        SqliteInspector::open(path)
            .map(Self::Embedded)
            .map_err(|error| failure::cannot_open(&error))
    }

    /// Returns every problem, one line each.
    pub fn check(&self) -> Result<Vec<String>, StoreError> {
        match self {
            Self::Embedded(inspector) => inspector.check(),
            Self::Shared { inspector, runtime } => runtime.block_on(inspector.check()),
        }
    }

    /// Returns the problems of each audit log.
    pub fn verify_audit(&self) -> Result<Vec<AuditVerdict>, StoreError> {
        match self {
            Self::Embedded(inspector) => inspector.verify_audit(),
            Self::Shared { inspector, runtime } => runtime.block_on(inspector.verify_audit()),
        }
    }

    /// Counts the entries that belong to no existing log.
    pub fn stray_audit_entries(&self) -> Result<u64, StoreError> {
        match self {
            Self::Embedded(inspector) => inspector.stray_audit_entries(),
            Self::Shared { inspector, runtime } => {
                runtime.block_on(inspector.stray_audit_entries())
            }
        }
    }

    /// Returns the hash of one entry of a log.
    pub fn audit_hash(&self, owner: [u8; 16], number: u64) -> Result<Option<[u8; 32]>, StoreError> {
        match self {
            Self::Embedded(inspector) => inspector.audit_hash(owner, number),
            Self::Shared { inspector, runtime } => {
                runtime.block_on(inspector.audit_hash(owner, number))
            }
        }
    }
}
