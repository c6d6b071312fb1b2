//! Reading a database for check, verify and backup, also while a server has it open.

use std::fs::File;
use std::ops::RangeInclusive;
use std::path::Path;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::db::SqliteDb;
use super::journal::{self, Journal};
use super::open::{self, BUSY_TIMEOUT};
use super::replay;
use crate::db::now;
use crate::position::Layout;
use crate::schema::VERSION;
use crate::verbs::{audit, check, revocations, tenants};
use crate::{AuditVerdict, Judge, OpenError, StoreError};

/// Pages that are copied between two reports of progress: 8 MiB.
const COPY_PAGES: std::ffi::c_int = 1_024;

/// The steps of SQLite between two calls of [`SqliteInspector::pace`]'s function: about a
/// millisecond.
const OPERATIONS_BETWEEN_LOOKS: std::ffi::c_int = 10_000;

/// One read-only connection. Everything that it reads is of the instant at which it was opened.
/// Meanwhile, a server can continue to write, and its log grows.
pub struct SqliteInspector {
    db: SqliteDb,
}

/// The progress of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// Octets that are copied.
    pub bytes: u64,
    /// Octets in all.
    pub of_bytes: u64,
}

/// The content of a journal after a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalSummary {
    /// The number of certificates that were revoked or restored.
    pub changes: u64,
    /// True if those are all.
    pub is_all: bool,
    /// The epochs whose lines are corrupt.
    pub missing: Vec<RangeInclusive<u64>>,
    /// True if the first line is corrupt.
    pub has_corrupt_head: bool,
}

impl SqliteInspector {
    /// Opens a database that this version wrote.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let (inspector, found) = Self::open_any(path)?;
        match found {
            VERSION => Ok(inspector),
            _ => Err(OpenError::OlderVersion {
                path: path.to_owned(),
                found,
                known: VERSION,
            }),
        }
    }

    /// Opens a database to copy it, of any version up to this one.
    pub fn open_to_copy(path: &Path) -> Result<Self, OpenError> {
        Ok(Self::open_any(path)?.0)
    }

    fn open_any(path: &Path) -> Result<(Self, i64), OpenError> {
        let failed = |error: rusqlite::Error| OpenError::from_sqlite(path, &error);
        if !path.exists() {
            return Err(OpenError::Io {
                path: path.to_owned(),
                detail: "the file does not exist".to_owned(),
            });
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
        let found = open::version(path, &connection)?;
        if found == 0 {
            return Err(OpenError::NotOurs {
                path: path.to_owned(),
                detail: "it is empty".to_owned(),
            });
        }
        // One instant: SQLite begins it with the first read.
        connection
            .execute_batch("BEGIN; SELECT last_epoch FROM store")
            .map_err(failed)?;
        let db = open::with_layout(connection);
        let db = db.map_err(|error| OpenError::from_store(path, error))?;
        Ok((Self { db }, found))
    }

    /// Reads everything and returns the problems, one line each. `judge` compares the records with
    /// their DER forms.
    pub fn check(&self, judge: &mut dyn Judge) -> Result<Vec<String>, StoreError> {
        now(check::all(&self.db, judge))
    }

    /// Calls `look` often while the database is read. It may pause.
    pub fn pace(&self, mut look: impl FnMut() + Send + 'static) -> Result<(), StoreError> {
        let look = move || {
            look();
            false
        };
        let mut connection = self.db.connection();
        Ok(connection.progress_handler(OPERATIONS_BETWEEN_LOOKS, Some(look))?)
    }

    /// Reads every audit log and returns its faults.
    pub fn verify_audit(&self) -> Result<Vec<AuditVerdict>, StoreError> {
        now(audit::verify(&self.db))
    }

    /// Counts the entries whose audit log does not exist any more.
    pub fn stray_audit_entries(&self) -> Result<u64, StoreError> {
        now(audit::strays(&self.db))
    }

    /// Returns the hash of one entry of an audit log, for comparison with one that was noted
    /// elsewhere; `None` if the entry does not exist.
    pub fn audit_hash(&self, owner: [u8; 16], number: u64) -> Result<Option<[u8; 32]>, StoreError> {
        now(audit::hash_of(&self.db, owner, number))
    }

    /// Returns the epoch of the last change of a certificate's status.
    pub fn last_epoch(&self) -> Result<u64, StoreError> {
        now(revocations::last_epoch(&self.db))
    }

    /// Returns what a journal of revocations of the same installation has after this database.
    pub fn journal_summary(&self, path: &Path) -> Result<JournalSummary, StoreError> {
        let (_, content) = Journal::read(path, &self.journal_name()?, self.last_epoch()?)?;
        Ok(JournalSummary {
            changes: content.changes.len() as u64,
            is_all: content.is_all,
            missing: content.missing,
            has_corrupt_head: content.has_corrupt_head,
        })
    }

    /// Reads the whole journal of revocations of the same installation, and returns every problem,
    /// one line each. A server may be writing it.
    pub fn check_journal(&self, path: &Path) -> Result<Vec<String>, StoreError> {
        journal::check(path, &self.journal_name()?)
    }

    fn journal_name(&self) -> Result<String, StoreError> {
        let installation = now(tenants::installation(&self.db))?;
        let installation = installation
            .ok_or_else(|| StoreError::Conflict("the database holds no installation".into()))?;
        Ok(journal::installation_name(&installation))
    }

    /// Copies everything into a new database at `path`, whose file exists and is empty, and makes
    /// it durable.
    pub fn copy_to(&self, path: &Path, mut progress: impl FnMut(Copied)) -> Result<(), StoreError> {
        let mut copy = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let connection = self.db.connection();
        let page_bytes: u64 = connection.query_row("PRAGMA page_size", (), |row| row.get(0))?;
        let pages = |count: std::ffi::c_int| u64::from(count.unsigned_abs()) * page_bytes;
        {
            let backup = Backup::new(&connection, &mut copy)?;
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

/// Keeps every server away from a database, whether it exists or not, until the returned file is
/// dropped.
pub fn lock_database(path: &Path) -> Result<File, OpenError> {
    open::lock(path)
}

/// Makes a copy ready to start with: migrates it to this version and marks it as coming from a
/// backup. When this returns, the file is complete and nothing lies beside it.
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
    drop(opened.readers);
    let writer = opened.writer;
    let prepared = now(replay::mark_restored(&writer)).and_then(|()| {
        let connection = writer.connection();
        connection.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))?;
        Ok(())
    });
    prepared
        .and_then(|()| writer.close())
        .map_err(|error| OpenError::from_store(path, error))
}
