//! The engine on one SQLite file.
//!
//! - [`open`] checks the owner of the file and has the settings of connections; [`tables`] creates,
//!   migrates and checks the tables; [`db`] is one connection.
//! - [`writer`] is the one thread that writes: group commit and checkpoints. [`readers`] are a few
//!   connections that read.
//! - [`journal`] is the file of revocations beside the database, [`journal_text`] its text;
//!   [`replay`] applies it at the start after a restore.
//! - [`inspector`] reads a database that a server has open; [`source`] reads one that moves to
//!   PostgreSQL.
//!
//! A read that needs more than one statement is a snapshot.

mod db;
mod error;
mod inspector;
mod journal;
mod journal_text;
mod open;
mod readers;
mod replay;
mod source;
mod tables;
mod writer;

use std::fs::File;
use std::path::Path;

use certgate_model::Timestamp;

pub(crate) use self::db::SqliteDb;
pub use self::inspector::{
    Copied, JournalSummary, SqliteInspector, lock_database, prepare_restored,
};
use self::journal::Journal;
#[cfg(feature = "conformance")]
pub use self::journal_text::{JournalRead, read_journal};
use self::open::Opened;
pub use self::open::{OpenError, SqliteOptions};
use self::readers::Readers;
pub use self::replay::Restored;
pub(crate) use self::source::Source;
use self::writer::Writer;
use crate::index_work::Built;
use crate::position::Layout;
use crate::store::{Engine, SqlStore, View};
use crate::verbs::{revocations, tenants};
use crate::writes::{Verb, Write};
use crate::{ReadStore, StoreError};

/// The store in one SQLite file, with its write-ahead log and its lock file beside it.
pub type SqliteStore = SqlStore<SqliteEngine>;

/// The connections to one SQLite file.
pub struct SqliteEngine {
    writer: Writer,
    readers: Readers,
    /// The lock of the file; see [`open`].
    _lock: File,
}

impl Engine for SqliteEngine {
    type Db = SqliteDb;

    const IS_SHARED: bool = false;

    async fn read<A, T>(
        &self,
        view: View,
        args: A,
        verb: Verb<SqliteDb, A, T>,
    ) -> Result<T, StoreError>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
    {
        self.readers.read(view, args, verb).await
    }

    fn push(&self, write: Write<SqliteDb>) {
        self.writer.push(write);
    }

    async fn writer_lost(&self) {
        self.writer.lost().await;
    }

    async fn build_index(&self) -> Result<Built, StoreError> {
        Ok(Built::All)
    }

    async fn close(&self) {
        // The writer last: the last connection to close removes the write-ahead log.
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// The state in which a journal begins to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JournalBegun {
    /// It has every change that the database has.
    Follows,
    /// There was none, and changes up to this epoch are not in it.
    Made {
        /// The database's last epoch.
        after: u64,
    },
    /// Its first line was corrupt, and a new one was made: the old file was moved aside.
    Replaced {
        /// The database's last epoch.
        after: u64,
    },
    /// The database was restored from a backup; the later changes in the journal were replayed.
    Restored(Restored),
}

/// The journal while a replay reads its changes.
enum Prepared {
    Continued(Journal),
    ToReplace(Journal),
    None,
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| {
        Err(StoreError::Unavailable(
            "the work on the journal ended early".into(),
        ))
    })
}

/// The work of the writing thread since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SqliteStatistics {
    /// Transactions committed.
    pub commits: u64,
    /// Writes in them.
    pub writes: u64,
}

impl SqliteStore {
    /// Opens the database at `path`; creates it (mode 0600) if there is none, migrates it if an
    /// earlier version wrote it. The directory must exist. The time does not depend on the number
    /// of stored records.
    pub fn open(path: &Path, options: SqliteOptions) -> Result<Self, OpenError> {
        Self::open_with(path, &options, Layout::DEFAULT)
    }

    /// Does the same, but a new database counts blocks of 2^`block_bits` and 2^`upper_block_bits`,
    /// so that a test crosses their borders with few rows.
    #[cfg(feature = "conformance")]
    pub fn open_with_blocks(
        path: &Path,
        options: SqliteOptions,
        block_bits: u32,
        upper_block_bits: u32,
    ) -> Result<Self, OpenError> {
        let layout = Layout::new(block_bits, upper_block_bits).unwrap_or(Layout::DEFAULT);
        Self::open_with(path, &options, layout)
    }

    fn open_with(path: &Path, options: &SqliteOptions, layout: Layout) -> Result<Self, OpenError> {
        let Opened {
            writer,
            readers,
            lock,
        } = open::open(path, options, layout)?;
        let writer =
            Writer::start(writer, options.queue, options.batch).map_err(|error| OpenError::Io {
                path: path.to_owned(),
                detail: error.to_string(),
            })?;
        let engine = SqliteEngine {
            writer,
            readers: Readers::new(readers),
            _lock: lock,
        };
        Ok(Self::new(engine))
    }

    /// Begins to write every change of a certificate's status into the journal at `path` before it
    /// is answered. If the database was restored from a backup, the later changes in the journal
    /// are replayed first.
    pub async fn begin_journal(
        &self,
        path: &Path,
        at: Timestamp,
    ) -> Result<JournalBegun, StoreError> {
        let readers = &self.engine.readers;
        let (installation, known, restored) = readers
            .read(View::Snapshot, (), |db, ()| {
                Box::pin(async move {
                    let installation = tenants::installation(db).await?;
                    let installation = installation.ok_or_else(|| {
                        StoreError::Conflict("the store holds no installation".into())
                    })?;
                    let name = journal::installation_name(&installation);
                    let known = revocations::last_epoch(db).await?;
                    Ok((name, known, replay::is_restored(db).await?))
                })
            })
            .await?;
        let path = path.to_owned();
        let (journal, content) = blocking({
            let (path, installation) = (path.clone(), installation.clone());
            move || Journal::read(&path, &installation, known)
        })
        .await?;
        let is_behind = restored || content.to_epoch > known;
        let (journal, begun) = match journal {
            Some(journal) if !is_behind && content.has_corrupt_head => {
                let made = blocking(move || {
                    journal.move_aside(at)?;
                    Journal::create(&path, &installation, known)
                });
                (made.await?, JournalBegun::Replaced { after: known })
            }
            Some(journal) if !is_behind => (journal, JournalBegun::Follows),
            None if !is_behind => {
                let made = blocking(move || Journal::create(&path, &installation, known)).await?;
                (made, JournalBegun::Made { after: known })
            }
            journal => {
                let (skipped, name) = (content.to_skip(known), installation.clone());
                let has_corrupt_head = content.has_corrupt_head;
                // Before the replay, so that the next start does the same again if this one is
                // killed in between. A journal that ends before the backup is not continued: it
                // would seem to have every later change.
                let prepared = blocking(move || match journal {
                    // Until the replay has succeeded, only this file has the later changes. If it
                    // is still here at the next start, that start replaces it.
                    Some(journal) if has_corrupt_head => Ok(Prepared::ToReplace(journal)),
                    Some(mut journal) if journal.epoch() >= known => {
                        journal.skip(skipped)?;
                        Ok(Prepared::Continued(journal))
                    }
                    Some(journal) => journal.move_aside(at).map(|()| Prepared::None),
                    None => Ok(Prepared::None),
                })
                .await?;
                let replayed = self
                    .write((content, at), |db, (content, at)| {
                        Box::pin(replay::replay(db, content, *at))
                    })
                    .await?;
                let journal = blocking(move || {
                    match prepared {
                        Prepared::Continued(journal) => return Ok(journal),
                        Prepared::ToReplace(journal) => journal.move_aside(at)?,
                        Prepared::None => {}
                    }
                    Journal::create(&path, &name, skipped.until)
                })
                .await?;
                (journal, JournalBegun::Restored(replayed))
            }
        };
        self.engine.writer.keep_journal(journal);
        // Missing lines are written after the next commit: this one.
        self.ready().await?;
        Ok(begun)
    }

    /// Returns the work of the writing thread.
    pub fn statistics(&self) -> SqliteStatistics {
        let (commits, writes) = self.engine.writer.counts();
        SqliteStatistics { commits, writes }
    }

    /// Lets the file grow by this number of pages and no further, as a full disk would; `None`
    /// lifts the limit.
    #[cfg(feature = "conformance")]
    pub async fn limit_growth(&self, pages: Option<i64>) -> Result<(), StoreError> {
        self.write(pages, |db, pages| {
            Box::pin(async move {
                let connection = db.connection();
                let count: i64 = connection.query_row("PRAGMA page_count", (), |row| row.get(0))?;
                let max = pages.map_or(i64::from(u32::MAX - 1), |pages| count + pages);
                connection.pragma_update_and_check(None, "max_page_count", max, |_| Ok(()))?;
                Ok(())
            })
        })
        .await
    }

    /// Runs a statement that corrupts the database.
    #[cfg(feature = "conformance")]
    pub async fn damage(&self, statement: &'static str) -> Result<(), StoreError> {
        self.write(statement, |db, statement| {
            Box::pin(async move { Ok(db.connection().execute_batch(statement)?) })
        })
        .await
    }
}
