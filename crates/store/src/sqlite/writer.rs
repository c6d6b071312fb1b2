//! Group commit: one thread owns the writing connection, and all writes that wait share one
//! transaction and one fsync.
//!
//! A write may be run more than once, because it decides by reading before it writes. If one write
//! of a batch fails by its own fault, the batch is rolled back and run again with a savepoint
//! around each write, so that only the guilty one is refused. Without such an accident no savepoint
//! costs anything. If the database itself is in trouble (full disk, I/O), the batch is rolled back
//! and all of it is answered `Unavailable`, or `InDoubt` if a commit failed at its end. No caller
//! is answered before the commit has returned.
//!
//! Checkpoints run here as well, after the answers, so that no caller waits for one. Readers that
//! overlap without a gap would let the write-ahead log grow forever, because it can only restart
//! while no reader uses it. Past [`RESTART_PAGES`] the thread therefore waits for the readers,
//! which is short, since new readers then bypass the log.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use certgate_model::{AuditEntry, lock};
use rusqlite::MAIN_DB;
use rusqlite::hooks::Wal;
use rusqlite::wal::CheckpointMode;

use super::db::SqliteDb;
use super::journal::Journal;
use super::open::BUSY_TIMEOUT;
use crate::StoreError;
use crate::change_log::ChangeLog;
use crate::db::now;
use crate::fault::{FaultPoint, fault_point};
use crate::queue::{Queue, Worked};
use crate::writes::{self, Member, Run, Write};

/// Pages of write-ahead log after which it is copied into the database: 16 MiB. The start after a
/// crash reads the log again in full, so this also bounds the start-up time.
const CHECKPOINT_PAGES: u32 = 2_048;
/// Pages after which the thread waits for readers so that the log can restart.
const RESTART_PAGES: u32 = 4 * CHECKPOINT_PAGES;
/// The longest wait for readers: reads are short, and a long one (`check`) must not hold up writes.
const RESTART_WAIT: Duration = Duration::from_millis(100);

/// The longest wait of a batch for more writes, however slow the disk is.
const GATHER_MAX: Duration = Duration::from_millis(20);

/// The sending side.
pub(super) struct Writer {
    queue: Arc<Queue<Write<SqliteDb>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    counts: Arc<Counts>,
    journal: SharedJournal,
}

/// The journal beside the database, once it is written.
type SharedJournal = Arc<Mutex<Option<Journal>>>;

#[derive(Default)]
struct Counts {
    commits: AtomicU64,
    operations: AtomicU64,
}

impl Writer {
    /// Starts the thread on a connection that is ready for use.
    pub(super) fn start(db: SqliteDb, queue: usize, batch: usize) -> Result<Self, StoreError> {
        let log_pages = Arc::new(AtomicU32::new(0));
        let pages = Arc::clone(&log_pages);
        db.connection()
            .wal_hook(Some(move |_: &mut Wal, length: std::ffi::c_int| {
                pages.store(length.unsigned_abs(), Ordering::Relaxed);
                Ok(())
            }))?;
        let queue = Arc::new(Queue::new(queue.max(1)));
        let counts = Arc::new(Counts::default());
        let journal = SharedJournal::default();
        let failed = |error: std::io::Error| {
            StoreError::Unavailable(format!("cannot start the writing thread: {error}"))
        };
        let worker = Worker {
            changes: ChangeLog::start().map_err(failed)?,
            db,
            queue: Worked(Arc::clone(&queue)),
            batch_max: batch.max(1),
            gathering: Gathering::default(),
            counts: Arc::clone(&counts),
            log_pages,
            log: Log::default(),
            journal: Arc::clone(&journal),
        };
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || worker.run())
            .map_err(failed)?;
        Ok(Self {
            queue,
            thread: Mutex::new(Some(thread)),
            counts,
            journal,
        })
    }

    /// Queues a write, or answers it with a refusal.
    pub(super) fn push(&self, write: Write<SqliteDb>) {
        if let Err((write, refused)) = self.queue.push(write) {
            write.answer(Some(refused));
        }
    }

    /// From the next commit on, every change is in the journal before it is answered.
    pub(super) fn keep_journal(&self, journal: Journal) {
        *lock(&self.journal) = Some(journal);
    }

    /// Waits until the thread has ended although nothing has closed it.
    pub(super) async fn lost(&self) {
        self.queue.abandoned().await;
    }

    /// Accepts nothing more, lets the accepted writes finish, and waits until the connection is
    /// closed.
    pub(super) async fn close(&self) {
        self.queue.close();
        let thread = lock(&self.thread).take();
        if let Some(thread) = thread {
            let joined = tokio::task::spawn_blocking(move || thread.join()).await;
            if !matches!(joined, Ok(Ok(()))) {
                tracing::error!("the store's writing thread did not end in order");
            }
        }
    }

    /// Returns the number of committed transactions and of the writes in them.
    pub(super) fn counts(&self) -> (u64, u64) {
        let Counts {
            commits,
            operations,
        } = &*self.counts;
        (
            commits.load(Ordering::Relaxed),
            operations.load(Ordering::Relaxed),
        )
    }
}

/// Without it, the thread would wait for writes forever.
impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// The time that a batch waits for more writes before it runs. A commit costs as much for two
/// writes as for twenty, and the callers of the last batch are about to ask again: a batch waits
/// for as many writes as the last one had, but at most half as long as the last commit took.
#[derive(Default)]
struct Gathering {
    expected: usize,
    patience: Duration,
}

struct Worker {
    changes: ChangeLog,
    db: SqliteDb,
    queue: Worked<Write<SqliteDb>>,
    batch_max: usize,
    gathering: Gathering,
    counts: Arc<Counts>,
    log_pages: Arc<AtomicU32>,
    log: Log,
    journal: SharedJournal,
}

/// The write-ahead log since its last restart: its length after the last commit, and when to act.
struct Log {
    pages: u32,
    checkpoint_at: u32,
    restart_at: u32,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            pages: 0,
            checkpoint_at: CHECKPOINT_PAGES,
            restart_at: RESTART_PAGES,
        }
    }
}

impl Worker {
    fn run(mut self) {
        loop {
            let batch = self.gather();
            if batch.is_empty() {
                break;
            }
            self.commit(batch.into_iter().map(Member::new).collect());
            self.checkpoint();
        }
        let connection = self.db.connection();
        if let Err(error) = connection.wal_checkpoint_v2(Some(MAIN_DB), CheckpointMode::TRUNCATE) {
            tracing::warn!(%error, "the last checkpoint failed; the next start reads the log");
        }
    }

    /// Waits for the next writes; none: the queue is closed.
    fn gather(&self) -> Vec<Write<SqliteDb>> {
        let Gathering { expected, patience } = self.gathering;
        let mut batch = Vec::with_capacity(self.batch_max);
        self.queue.0.take(&mut batch, self.batch_max, 1, None);
        let missing = expected.saturating_sub(batch.len());
        if missing > 0 && !batch.is_empty() {
            let room = self.batch_max - batch.len();
            self.queue
                .0
                .take(&mut batch, room, missing, Some(now_plus(patience)));
        }
        batch
    }

    /// Runs one transaction.
    fn commit(&mut self, mut batch: Vec<Member<SqliteDb>>) {
        let mut outcome = self.transaction(&mut batch, Run::Together);
        if matches!(
            outcome,
            Err(StoreError::Conflict(_) | StoreError::Corrupt(_))
        ) {
            // One write has failed by its own fault.
            outcome = self.transaction(&mut batch, Run::Apart);
        }
        match outcome {
            Ok(entries) => {
                self.answer(batch);
                self.changes.push(entries);
            }
            Err(error) => {
                let is_in_doubt = matches!(error, StoreError::InDoubt(_));
                let reason = error.into_detail();
                tracing::warn!(
                    operations = batch.len(),
                    reason,
                    is_in_doubt,
                    "the store refused a batch of writes"
                );
                writes::refuse(batch, || match is_in_doubt {
                    true => StoreError::InDoubt(reason.clone()),
                    false => StoreError::Unavailable(reason.clone()),
                });
            }
        }
    }

    fn transaction(
        &mut self,
        batch: &mut [Member<SqliteDb>],
        how: Run,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let _rolled_back = RollBack(&self.db);
        let entries = now(writes::run(&self.db, batch, how))?;
        fault_point(FaultPoint::BeforeCommit);
        let took = timed(|| self.db.commit())?;
        fault_point(FaultPoint::Committed);
        self.gathering = Gathering {
            expected: batch.len(),
            patience: (took / 2).min(GATHER_MAX),
        };
        Ok(entries)
    }

    fn answer(&self, batch: Vec<Member<SqliteDb>>) {
        if let Some(journal) = &mut *lock(&self.journal) {
            journal.follow(&self.db);
        }
        fault_point(FaultPoint::Journalled);
        self.counts.commits.fetch_add(1, Ordering::Relaxed);
        self.counts
            .operations
            .fetch_add(batch.len() as u64, Ordering::Relaxed);
        writes::answer(batch);
        fault_point(FaultPoint::Answered);
    }

    fn checkpoint(&mut self) {
        let pages = self.log_pages.load(Ordering::Relaxed);
        if pages < self.log.pages {
            self.log = Log::default();
        }
        self.log.pages = pages;
        if pages < self.log.checkpoint_at {
            return;
        }
        self.log.checkpoint_at = pages.saturating_add(CHECKPOINT_PAGES);
        let outcome = if pages < self.log.restart_at {
            let connection = self.db.connection();
            connection.wal_checkpoint_v2(Some(MAIN_DB), CheckpointMode::PASSIVE)
        } else {
            // After a long read, try again only after as many pages more.
            self.log.restart_at = pages.saturating_add(RESTART_PAGES);
            self.restart_log()
        };
        match outcome {
            Ok(_) => {}
            Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) => {
                tracing::debug!(pages, "a long read keeps the store's log from restarting");
            }
            Err(error) => {
                tracing::warn!(%error, pages, "the store's log could not be checkpointed");
            }
        }
    }

    fn restart_log(&self) -> rusqlite::Result<(i32, i32)> {
        let connection = self.db.connection();
        connection.busy_timeout(RESTART_WAIT)?;
        let outcome = connection.wal_checkpoint_v2(Some(MAIN_DB), CheckpointMode::RESTART);
        connection.busy_timeout(BUSY_TIMEOUT)?;
        outcome
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "bounds how long a commit waits for more; decides nothing that is stored"
)]
fn now_plus(patience: Duration) -> Instant {
    Instant::now() + patience
}

/// Runs a commit and returns the time that it took.
#[expect(
    clippy::disallowed_methods,
    reason = "bounds how long a commit waits for more; decides nothing that is stored"
)]
fn timed(commit: impl FnOnce() -> Result<(), StoreError>) -> Result<Duration, StoreError> {
    let begun = Instant::now();
    commit()?;
    Ok(begun.elapsed())
}

/// Rolls a transaction back that was not committed.
struct RollBack<'d>(&'d SqliteDb);

impl Drop for RollBack<'_> {
    fn drop(&mut self) {
        // SQLite has rolled back by itself after some errors, such as a full disk.
        let connection = self.0.connection();
        if !connection.is_autocommit()
            && let Err(error) = connection.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "the store could not roll back");
        }
    }
}
