//! The configured database, for commands that inspect it.

use std::path::{Path, PathBuf};

use certgate_store::{AuditVerdict, Judge, PostgresInspector, SqliteInspector, StoreError};
use tokio::runtime::Runtime;

use crate::config::{Database, DatabaseConfig};
use crate::data_dir::DataDir;
use crate::failure::{self, Failure};

/// One of the two kinds of database, in its state at the time of opening.
pub enum Inspector {
    Embedded {
        inspector: Box<SqliteInspector>,
        /// The journal of revocations, if the database is that of a data directory.
        journal: Option<PathBuf>,
    },
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
                    return Err(failure::no_database(&config.data_dir));
                }
                let journal = Some(DataDir::journal(&config.data_dir));
                return Ok((Self::open(&database, journal)?, shown.to_string()));
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
        Self::open(path, None)
    }

    fn open(path: &Path, journal: Option<PathBuf>) -> Result<Self, Failure> {
        let inspector = SqliteInspector::open(path);
        let inspector = inspector.map_err(|error| failure::cannot_open(&error))?;
        Ok(Self::Embedded {
            inspector: Box::new(inspector),
            journal,
        })
    }

    /// Returns every problem, one line each, also of the journal beside an embedded database.
    pub fn check(&self, judge: &mut dyn Judge) -> Result<Vec<String>, StoreError> {
        match self {
            Self::Embedded { inspector, journal } => {
                let mut lines = inspector.check(judge)?;
                if let Some(journal) = journal {
                    lines.extend(inspector.check_journal(journal)?);
                }
                Ok(lines)
            }
            Self::Shared { inspector, runtime } => runtime.block_on(inspector.check(judge)),
        }
    }

    /// Calls `look` often while an embedded database is read. It may pause.
    pub fn pace(&self, look: impl FnMut() + Send + 'static) -> Result<(), StoreError> {
        match self {
            Self::Embedded { inspector, .. } => inspector.pace(look),
            Self::Shared { .. } => Ok(()),
        }
    }

    /// Returns the problems of each audit log.
    pub fn verify_audit(&self) -> Result<Vec<AuditVerdict>, StoreError> {
        match self {
            Self::Embedded { inspector, .. } => inspector.verify_audit(),
            Self::Shared { inspector, runtime } => runtime.block_on(inspector.verify_audit()),
        }
    }

    /// Counts the entries that belong to no existing log.
    pub fn stray_audit_entries(&self) -> Result<u64, StoreError> {
        match self {
            Self::Embedded { inspector, .. } => inspector.stray_audit_entries(),
            Self::Shared { inspector, runtime } => {
                runtime.block_on(inspector.stray_audit_entries())
            }
        }
    }

    /// Returns the hash of one entry of a log.
    pub fn audit_hash(&self, owner: [u8; 16], number: u64) -> Result<Option<[u8; 32]>, StoreError> {
        match self {
            Self::Embedded { inspector, .. } => inspector.audit_hash(owner, number),
            Self::Shared { inspector, runtime } => {
                runtime.block_on(inspector.audit_hash(owner, number))
            }
        }
    }
}
