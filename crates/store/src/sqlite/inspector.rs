//! A database that is only looked at, also while a server has it open: checking, verifying, backing up.

use std::fs::File;
use std::path::Path;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::counters::{self, Layout};
use super::journal::{self, Journal};
use super::open::{self, BUSY_TIMEOUT};
use super::{audit, check, replay, schema, tenants};
use crate::{AuditVerdict, OpenError, StoreError};

/// How many pages are copied before progress is told: 8 MiB.
const COPY_PAGES: std::ffi::c_int = 1_024;

/// One read-only connection. What it reads while [`SqliteInspector`] lives is of the instant at which it was opened; a server
/// goes on writing meanwhile, into a log that grows.
pub struct SqliteInspector {
    connection: Connection,
    layout: Layout,
}

/// How much of a database is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// Octets that are copied.
    pub bytes: u64,
    /// Octets there are.
    pub of_bytes: u64,
}

/// What a journal tells of the time after a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JournalTells {
    /// How many certificates were revoked or restored.
    pub changes: u64,
    /// Whether that is all that was.
    pub is_all: bool,
}

impl SqliteInspector {
    /// Opens a database that this version has written.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let (inspector, found) = Self::open_any(path)?;
        match found {
            schema::VERSION => Ok(inspector),
            _ => Err(OpenError::OlderVersion {
                path: path.to_owned(),
                found,
                known: schema::VERSION,
            }),
        }
    }

    /// Opens a database to copy it, of whatever version up to this one.
    pub fn open_to_copy(path: &Path) -> Result<Self, OpenError> {
        Ok(Self::open_any(path)?.0)
    }

    fn open_any(path: &Path) -> Result<(Self, i64), OpenError> {
        let failed = |error: rusqlite::Error| OpenError::from_sqlite(path, &error);
        if !path.exists() {
            let detail = "there is no such file".to_owned();
            return Err(OpenError::Io {
                path: path.to_owned(),
                detail,
            });
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
        let found = open::version(path, &connection)?;
        if found == 0 {
            let detail = "there is nothing in it".to_owned();
            return Err(OpenError::NotOurs {
                path: path.to_owned(),
                detail,
            });
        }
        // One instant: SQLite begins it with the first read.
        connection
            .execute_batch("BEGIN; SELECT last_epoch FROM store")
            .map_err(failed)?;
        let layout =
            counters::load(&connection).map_err(|error| OpenError::from_store(path, error))?;
        Ok((Self { connection, layout }, found))
    }

    /// See [`ReadStore::check`](crate::ReadStore::check).
    pub fn check(&self) -> Result<Vec<String>, StoreError> {
        check::all(&self.connection, self.layout)
    }

    /// The same but for the logs of what was done.
    pub fn check_all_but_audit(&self) -> Result<Vec<String>, StoreError> {
        check::all_but_audit(&self.connection, self.layout)
    }

    /// Reads every log of what was done and tells what is wrong with it.
    pub fn verify_audit(&self) -> Result<Vec<AuditVerdict>, StoreError> {
        audit::verify(&self.connection)
    }

    /// How many entries are in no log that there is: somebody took the log away.
    pub fn stray_audit_entries(&self) -> Result<u64, StoreError> {
        audit::strays(&self.connection)
    }

    /// The hash of one entry of a log, for comparison with one that was noted elsewhere; `None` if there is no such entry.
    pub fn audit_hash(&self, owner: [u8; 16], number: u64) -> Result<Option<[u8; 32]>, StoreError> {
        audit::hash_of(&self.connection, owner, number)
    }

    /// The epoch of the last change of a certificate's status.
    pub fn last_epoch(&self) -> Result<u64, StoreError> {
        super::revocations::last_epoch(&self.connection)
    }

    /// What a journal of revocations of the same installation tells of the time after this database.
    pub fn journal_tells(&self, path: &Path) -> Result<JournalTells, StoreError> {
        let installation = tenants::installation(&self.connection)?;
        let installation = installation
            .ok_or_else(|| StoreError::Conflict("the database holds no installation".into()))?;
        let name = journal::installation_name(&installation);
        let (_, told) = Journal::read(path, &name, self.last_epoch()?)?;
        Ok(JournalTells {
            changes: told.changes.len() as u64,
            is_all: told.is_all,
        })
    }

    /// Copies everything into a new database at `path`, whose file is there and empty, and makes it durable.
    pub fn copy_to(&self, path: &Path, mut progress: impl FnMut(Copied)) -> Result<(), StoreError> {
        let mut copy = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let page_bytes: u64 = self
            .connection
            .query_row("PRAGMA page_size", (), |row| row.get(0))?;
        let pages = |count: std::ffi::c_int| u64::from(count.unsigned_abs()) * page_bytes;
        {
            let backup = Backup::new(&self.connection, &mut copy)?;
            while backup.step(COPY_PAGES)? != StepResult::Done {
                let state = backup.progress();
                let of_bytes = pages(state.pagecount);
                progress(Copied {
                    bytes: of_bytes - pages(state.remaining),
                    of_bytes,
                });
            }
        }
        // One file that can be copied and read anywhere, without a log beside it.
        copy.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))?;
        copy.close().map_err(|(_, error)| StoreError::from(error))?;
        let synced = File::open(path).and_then(|file| file.sync_all());
        synced.map_err(|error| StoreError::Unavailable(error.to_string()))
    }
}

/// Keeps every server away from a database, whether it is there or not, until what this returns is dropped.
pub fn lock_database(path: &Path) -> Result<File, OpenError> {
    open::lock(path)
}

/// Makes a copy ready to be started with: brings it to this version and notes that it comes from a backup. The file is whole
/// when this returns, and nothing lies beside it.
pub fn prepare_restored(path: &Path) -> Result<(), OpenError> {
    let prepared = prepare(path);
    let mut lock = path.as_os_str().to_owned();
    lock.push(".lock");
    let removed = match std::fs::remove_file(lock) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => File::open(path).and_then(|file| file.sync_all()),
    };
    prepared.and(removed.map_err(|error| OpenError::from_io(path, &error)))
}

fn prepare(path: &Path) -> Result<(), OpenError> {
    let opened = open::open(path, &super::SqliteOptions::default(), Layout::DEFAULT)?;
    let failed = |error: rusqlite::Error| OpenError::from_sqlite(path, &error);
    drop(opened.readers);
    let marked = replay::mark_restored(&opened.writer);
    marked.map_err(|error| OpenError::from_store(path, error))?;
    opened
        .writer
        .pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))
        .map_err(failed)?;
    opened.writer.close().map_err(|(_, error)| failed(error))
}
