//! Opening a database: its owner and version, and how its connections behave. Nothing is scanned.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::db::SqliteDb;
use super::tables::{self, APPLICATION_ID};
use crate::StoreError;
use crate::db::{Db, Row, now};
use crate::error::corrupt;
use crate::position::Layout;
use crate::schema::VERSION;

/// The mark of databases that development versions made: "cgat".
const DEVELOPMENT_ID: i64 = 0x6367_6174;

/// The longest time that a connection waits for a lock. Within the process only one thread takes
/// the write lock, but a backup or a `sqlite3` shell may have it.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest time that opening waits for another process to end. A killed process keeps its locks
/// until its last write to the disk has returned, and a start immediately after it would mistake it
/// for a second server.
const LOCK_WAIT: Duration = Duration::from_secs(2);
/// The size to which the write-ahead log is truncated when it restarts: 32 MiB.
const LOG_BYTES_MAX: i64 = 32 << 20;
/// The octets of a database page. A certificate with its request takes 1.4 to 2.5 kB: pages of 4
/// KiB would hold one or two and stay half empty. Measured with a million of 1.4 kB: compared with
/// 4 KiB, the file is 20 % smaller, a page of the list a fifth faster and recording a tenth slower.
const PAGE_BYTES: u32 = 8192;
/// The size of the cache of prepared statements, in which every statement of this crate fits.
const STATEMENTS_MAX: usize = 256;

/// Options of a [`SqliteStore`](crate::SqliteStore).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqliteOptions {
    /// The most writes that may wait; one more is refused as unavailable. Default 1,024: waiting
    /// takes less than a second, and even with the largest requests the queue stays below 40 MB.
    pub queue: usize,
    /// The most writes that share a transaction. Default 256: more adds latency and no throughput.
    pub batch: usize,
    /// The most reads that run at a time. Default 4.
    pub readers: usize,
    /// The page cache of the writing connection in KiB. Default 16 MiB: status changes are
    /// scattered over the whole database.
    pub write_cache_kib: u32,
    /// The page cache of each reading connection in KiB. Default 4 MiB: the upper levels of the
    /// trees.
    pub read_cache_kib: u32,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            queue: 1_024,
            batch: 256,
            readers: 4,
            write_cache_kib: 16 << 10,
            read_cache_kib: 4 << 10,
        }
    }
}

/// The reason why a database could not be opened, and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A later version of certgate wrote it.
    #[error(
        "the database {} has schema version {found}, but this certgate knows only versions up to \
         {known}: start the newer certgate that wrote it, or restore a backup made before the \
         upgrade", path.display()
    )]
    NewerVersion {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The latest version that this program knows.
        known: i64,
    },
    /// An earlier version wrote it, and the caller only reads.
    #[error(
        "the database {} has schema version {found}, this certgate reads version {known} only: \
         start the server once, which migrates the database", path.display()
    )]
    OlderVersion {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The version that this program writes.
        known: i64,
    },
    /// A version before the first release wrote it.
    #[error(
        "the database {} was made by a development version of certgate, which no release can read: \
         name another data directory, or move this one away and start again", path.display()
    )]
    DevelopmentVersion {
        /// The database.
        path: PathBuf,
    },
    /// The file is not a database of certgate.
    #[error(
        "{} is not a certgate database: name another path, or move that file away ({detail}); if \
         it was one, it is corrupt: restore a backup", path.display()
    )]
    NotOurs {
        /// The file.
        path: PathBuf,
        /// The finding.
        detail: String,
    },
    /// The database is certgate's, but corrupt.
    #[error(
        "the database {} is corrupt ({detail}): keep a copy and restore a backup", path.display()
    )]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// The finding.
        detail: String,
    },
    /// The process may not write there.
    #[error(
        "no permission to write the database {} ({detail}): make the file and its directory \
         writable for the user that certgate runs as", path.display()
    )]
    Permission {
        /// The database.
        path: PathBuf,
        /// The system's message.
        detail: String,
    },
    /// Another process has it open.
    #[error(
        "the database {} is in use by another process: stop the other certgate, or give this one \
         its own data directory", path.display()
    )]
    Busy {
        /// The database.
        path: PathBuf,
    },
    /// Any other failure: no such directory, full disk, a file system without locks.
    #[error(
        "cannot open the database {} ({detail}): check the path and the disk, then try again",
        path.display()
    )]
    Io {
        /// The database.
        path: PathBuf,
        /// The system's message.
        detail: String,
    },
}

impl OpenError {
    pub(super) fn from_io(path: &Path, error: &io::Error) -> Self {
        let (path, detail) = (path.to_owned(), error.to_string());
        match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::Permission { path, detail }
            }
            _ => Self::Io { path, detail },
        }
    }

    pub(super) fn from_sqlite(path: &Path, error: &rusqlite::Error) -> Self {
        let (path, detail) = (path.to_owned(), error.to_string());
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::NotOurs { path, detail },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::Unknown) | None => {
                Self::Corrupt { path, detail }
            }
            // The file exists by now: SQLite cannot open its log, because the directory is not
            // writable.
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
                Self::Permission { path, detail }
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy { path },
            Some(_) => Self::Io { path, detail },
        }
    }

    pub(super) fn from_store(path: &Path, error: StoreError) -> Self {
        let path = path.to_owned();
        match error {
            StoreError::Corrupt(detail) => Self::Corrupt { path, detail },
            other => Self::Io {
                path,
                detail: other.into_detail(),
            },
        }
    }
}

/// An open database, before anything runs on it.
pub(super) struct Opened {
    pub(super) writer: SqliteDb,
    pub(super) readers: Vec<SqliteDb>,
    pub(super) lock: File,
}

/// Opens the database; creates or migrates it where necessary. A new one gets `layout`.
pub(super) fn open(
    path: &Path,
    options: &SqliteOptions,
    layout: Layout,
) -> Result<Opened, OpenError> {
    let lock = lock(path)?;
    make_private_file(path).map_err(|error| OpenError::from_io(path, &error))?;
    let failed = |error: rusqlite::Error| OpenError::from_sqlite(path, &error);
    let store_failed = |error: StoreError| OpenError::from_store(path, error);

    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut writer = Connection::open_with_flags(path, flags).map_err(failed)?;
    writer.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    let version = version(path, &writer)?;
    configure_writer(&writer, options).map_err(failed)?;
    tables::migrate(&mut writer, version, layout).map_err(store_failed)?;
    // Without this, a read-only database would fail at the first write, long after the start.
    writer
        .execute_batch("BEGIN IMMEDIATE; ROLLBACK")
        .map_err(failed)?;
    // With the lock no other process runs, so every stored lease is from an earlier process.
    writer.execute_batch("DELETE FROM leases").map_err(failed)?;
    let writer = with_layout(writer).map_err(store_failed)?;

    let readers = (0..options.readers.max(1))
        .map(|_| open_reader(path, options).map_err(failed))
        .map(|reader| with_layout(reader?).map_err(store_failed))
        .collect::<Result<_, _>>()?;
    Ok(Opened {
        writer,
        readers,
        lock,
    })
}

/// Reads the layout that the database was made with.
pub(super) fn with_layout(connection: Connection) -> Result<SqliteDb, StoreError> {
    let db = SqliteDb::new(connection, Layout::DEFAULT);
    let select = "SELECT block_bits, upper_block_bits FROM store WHERE \"only\" = 1";
    let read = |row: &dyn Row| Ok((row.get(0)?, row.get(1)?));
    let bits: Option<(u32, u32)> = now(db.optional(select, &[], read))?;
    let (block, upper) = bits.ok_or_else(|| corrupt("the table \"store\" has no row"))?;
    let layout = Layout::new(block, upper)
        .ok_or_else(|| corrupt(format!("impossible block sizes: {block}, {upper} bits")))?;
    Ok(db.with_layout(layout))
}

/// The schema version of a database that is certgate's; 0 for an empty file.
pub(super) fn version(path: &Path, connection: &Connection) -> Result<i64, OpenError> {
    let failed = |error: rusqlite::Error| OpenError::from_sqlite(path, &error);
    let integer = |sql: &str| {
        connection
            .query_row(sql, (), |row| row.get::<_, i64>(0))
            .map_err(failed)
    };
    let application = integer("PRAGMA application_id")?;
    let version = integer("PRAGMA user_version")?;
    let objects = integer("SELECT count(*) FROM sqlite_schema")?;
    let path = path.to_owned();
    let not_ours = |path, detail: &str| OpenError::NotOurs {
        path,
        detail: detail.to_owned(),
    };
    match (application, version) {
        (0, 0) if objects == 0 => Ok(0),
        (0, _) => Err(not_ours(
            path,
            "it is an SQLite database without certgate's mark",
        )),
        (DEVELOPMENT_ID, _) => Err(OpenError::DevelopmentVersion { path }),
        (APPLICATION_ID, 1..=VERSION) => Ok(version),
        (APPLICATION_ID, found) if found > VERSION => Err(OpenError::NewerVersion {
            path,
            found,
            known: VERSION,
        }),
        (APPLICATION_ID, _) => Err(OpenError::Corrupt {
            path,
            detail: format!("its schema version is {version}"),
        }),
        _ => Err(not_ours(
            path,
            "it is the SQLite database of another program",
        )),
    }
}

fn configure_writer(connection: &Connection, options: &SqliteOptions) -> rusqlite::Result<()> {
    connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    connection
        .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0))?;
    // FULL: each commit syncs the log. With NORMAL the last commits would not survive a power loss.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update_and_check(None, "journal_size_limit", LOG_BYTES_MAX, |_| Ok(()))?;
    connection.pragma_update(None, "cache_size", -i64::from(options.write_cache_kib))?;
    keep_statements(connection)
}

fn open_reader(path: &Path, options: &SqliteOptions) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "cache_size", -i64::from(options.read_cache_kib))?;
    keep_statements(&connection)?;
    Ok(connection)
}

/// Prepares every statement once. Without the guarantee of a stable plan (QPSG), the planner looks
/// at the bound values, to see if a partial index applies, and prepares the statement again after
/// each change of one of them.
fn keep_statements(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// Takes the lock that keeps a second server out. SQLite's own locks let several processes take
/// turns, but two servers with their background jobs must not. The system releases the lock when
/// the process ends for any reason.
pub(super) fn lock(path: &Path) -> Result<File, OpenError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let lock = private(OpenOptions::new().create(true).truncate(false).write(true))
        .open(&name)
        .map_err(|error| OpenError::from_io(path, &error))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => wait_for(lock, path),
        Err(TryLockError::Error(error)) => Err(OpenError::from_io(path, &error)),
    }
}

/// Waits [`LOCK_WAIT`] for the lock. After that the waiting thread continues, until it gets the
/// lock and releases it, or until this process ends.
fn wait_for(lock: File, path: &Path) -> Result<File, OpenError> {
    let (sender, locked) = sync_channel(1);
    std::thread::Builder::new()
        .name("store-lock".into())
        .spawn(move || {
            let outcome = lock.lock().map(|()| lock);
            // After the wait has timed out nothing receives it, and dropping the file releases the
            // lock.
            let _ = sender.send(outcome);
        })
        .map_err(|error| OpenError::from_io(path, &error))?;
    match locked.recv_timeout(LOCK_WAIT) {
        Ok(outcome) => outcome.map_err(|error| OpenError::from_io(path, &error)),
        Err(_) => Err(OpenError::Busy {
            path: path.to_owned(),
        }),
    }
}

/// Creates the file before SQLite does, so that other users can never read it. SQLite gives its log
/// the same mode.
fn make_private_file(path: &Path) -> io::Result<()> {
    match private(OpenOptions::new().create_new(true).write(true)).open(path) {
        Ok(_) => sync_directory(path),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(unix)]
pub(super) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(0o600)
}

#[cfg(not(unix))]
pub(super) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

/// Syncs the directory of a file: a new file survives a power loss only with its directory entry.
#[cfg(unix)]
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

#[cfg(not(unix))]
pub(super) fn sync_directory(_path: &Path) -> io::Result<()> {
    Ok(())
}
