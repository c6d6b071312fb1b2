//! Group commit: one thread owns the writing connection, and whatever waits for it shares one transaction and one
//! fsync.
//!
//! An operation is a closure that may be run more than once, because it decides by reading before it writes: if one
//! operation of a batch fails by its own fault, the batch is rolled back and run again with a savepoint around each
//! operation, so that only the guilty one is refused. Without such an accident no savepoint is paid for. If the
//! database itself is in trouble (full disk, I/O), the batch is rolled back and all of it is answered `Unavailable`.
//! Nobody is answered before the commit has returned.
//!
//! Checkpoints run here as well, after the answers, so that no caller waits for one. Readers that overlap without a gap
//! would let the log grow for ever, because it can only start again when nobody reads from it; past
//! [`RESTART_PAGES`] the thread therefore waits for them, which is short, since new readers then bypass the log.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, MAIN_DB};
use tokio::sync::oneshot;

use super::journal::Journal;
use super::open::BUSY_TIMEOUT;
use crate::StoreError;
use crate::fault::{FaultPoint, fault_point};
use crate::queue::{Queue, Worked};

/// Pages of write-ahead log after which it is copied into the database: 16 MiB. Read again in full by the
/// start after a crash, so it also bounds the start-up time.
const CHECKPOINT_PAGES: u32 = 2_048;
/// Pages after which the thread waits for readers so that the log can start again.
const RESTART_PAGES: u32 = 4 * CHECKPOINT_PAGES;
/// How long it waits: reads are short, and a long one (`check`) must not hold up writes.
const RESTART_WAIT: Duration = Duration::from_millis(100);

/// How long a transaction is held open for more operations while many are arriving. A commit costs as much for two rows
/// as for twenty, so that waiting a little lets the same processors do more.
const GATHER_TIME: Duration = Duration::from_millis(5);
/// From how many operations in a transaction on the next one waits for more than are there already. Below it a few
/// callers take turns, and waiting would only slow them down.
const GATHER_FROM: usize = 8;

/// The sending side.
pub(super) struct Writer {
    queue: Arc<Queue<Box<dyn Operation>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    counts: Arc<Counts>,
    journal: SharedJournal,
}

/// Where the changes are written beside the database, once that has begun.
type SharedJournal = Arc<Mutex<Option<Journal>>>;

#[derive(Default)]
struct Counts {
    commits: AtomicU64,
    operations: AtomicU64,
}

impl Writer {
    /// Starts the thread on a connection that is ready for use.
    pub(super) fn start(
        mut connection: Connection,
        queue: usize,
        batch: usize,
    ) -> Result<Self, StoreError> {
        let log_pages = Arc::new(AtomicU32::new(0));
        let pages = Arc::clone(&log_pages);
        connection.wal_hook(Some(
            move |_: &mut rusqlite::hooks::Wal, length: std::ffi::c_int| {
                pages.store(length.unsigned_abs(), Ordering::Relaxed);
                Ok(())
            },
        ))?;
        let queue = Arc::new(Queue::new(queue.max(1)));
        let counts = Arc::new(Counts::default());
        let journal = SharedJournal::default();
        let worker = Worker {
            connection,
            queue: Worked(Arc::clone(&queue)),
            batch_max: batch.max(1),
            expected: 1,
            counts: Arc::clone(&counts),
            log_pages,
            log: Log::default(),
            journal: Arc::clone(&journal),
        };
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || worker.run())
            .map_err(|error| {
                StoreError::Unavailable(format!("cannot start the writing thread: {error}"))
            })?;
        Ok(Self {
            queue,
            thread: Mutex::new(Some(thread)),
            counts,
            journal,
        })
    }

    /// Runs an operation in the next transaction and returns its result once that is durable.
    pub(super) async fn write<T, F>(&self, apply: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let (sender, answer) = oneshot::channel();
        self.hand_over(apply, |outcome| {
            // Whoever asked may have gone away; the write is done all the same.
            let _ = sender.send(outcome);
        });
        answer.await.unwrap_or_else(|_| {
            Err(StoreError::Unavailable(
                "the writing thread has ended".into(),
            ))
        })
    }

    /// Has an operation run in the next transaction; `answer` gets its result once that is durable.
    pub(super) fn hand_over<T, F, A>(&self, apply: F, answer: A)
    where
        T: Send + 'static,
        F: Fn(&Connection) -> Result<T, StoreError> + Send + 'static,
        A: FnOnce(Result<T, StoreError>) + Send + 'static,
    {
        if let Err((operation, refused)) = self.queue.push(Box::new(Pending {
            apply,
            result: None,
            answer,
        })) {
            operation.answer(Some(refused));
        }
    }

    /// From the next commit on every change is in the journal before it is answered.
    pub(super) fn keep_journal(&self, journal: Journal) {
        *self.journal.lock().unwrap_or_else(PoisonError::into_inner) = Some(journal);
    }

    /// Accepts nothing more, lets what was accepted finish, and waits until the connection is closed.
    pub(super) async fn close(&self) {
        self.queue.close();
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            let joined = tokio::task::spawn_blocking(move || thread.join()).await;
            if !matches!(joined, Ok(Ok(()))) {
                tracing::error!("the store's writing thread did not end in order");
            }
        }
    }

    /// How many transactions were committed and how many operations they held.
    pub(super) fn counts(&self) -> (u64, u64) {
        (
            self.counts.commits.load(Ordering::Relaxed),
            self.counts.operations.load(Ordering::Relaxed),
        )
    }
}

/// Without it the thread would wait for more for ever.
impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// A write that waits for its transaction.
trait Operation: Send {
    /// Runs it and keeps the result.
    fn apply(&mut self, connection: &Connection) -> Result<(), StoreError>;
    /// Answers with the kept result, or with the failure of the whole batch.
    fn answer(self: Box<Self>, failure: Option<StoreError>);
}

struct Pending<T, F, A> {
    apply: F,
    result: Option<T>,
    answer: A,
}

impl<T, F, A> Operation for Pending<T, F, A>
where
    T: Send,
    F: Fn(&Connection) -> Result<T, StoreError> + Send,
    A: FnOnce(Result<T, StoreError>) + Send,
{
    fn apply(&mut self, connection: &Connection) -> Result<(), StoreError> {
        self.result = Some((self.apply)(connection)?);
        Ok(())
    }

    fn answer(self: Box<Self>, failure: Option<StoreError>) {
        let outcome = match (failure, self.result) {
            (Some(failure), _) => Err(failure),
            (None, Some(result)) => Ok(result),
            (None, None) => Err(StoreError::Unavailable("the operation was not run".into())),
        };
        (self.answer)(outcome);
    }
}

type Batch = Vec<Box<dyn Operation>>;

struct Worker {
    connection: Connection,
    queue: Worked<Box<dyn Operation>>,
    batch_max: usize,
    /// How many operations the next transaction waits for.
    expected: usize,
    counts: Arc<Counts>,
    log_pages: Arc<AtomicU32>,
    log: Log,
    journal: SharedJournal,
}

/// The write-ahead log since it last started again: its length after the last commit, and when to act.
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
            let mut batch = Vec::with_capacity(self.batch_max);
            self.queue.0.take(&mut batch, self.batch_max, 1, None);
            if batch.is_empty() {
                break;
            }
            self.commit(batch);
            self.checkpoint();
        }
        if let Err(error) = self
            .connection
            .wal_checkpoint_v2(Some(MAIN_DB), CheckpointMode::TRUNCATE)
        {
            tracing::warn!(%error, "the last checkpoint failed; the next start reads the log instead");
        }
    }

    /// One transaction: `batch` and what else arrives while it runs.
    fn commit(&mut self, mut batch: Batch) {
        match self.run_together(&mut batch) {
            Ok(()) => self.answer(batch),
            // Somebody's own fault, though not everybody's.
            Err(StoreError::Conflict(_) | StoreError::Corrupt(_)) => self.run_apart(batch),
            Err(unavailable) => refuse(batch, &unavailable.into_detail()),
        }
    }

    fn run_together(&mut self, batch: &mut Batch) -> Result<(), StoreError> {
        let transaction = Transaction::begin(&self.connection)?;
        let mut deadline = None;
        let mut applied = 0;
        while applied < batch.len() {
            for operation in &mut batch[applied..] {
                operation.apply(&self.connection)?;
            }
            applied = batch.len();
            let missing = self.expected.saturating_sub(applied);
            let until = (missing > 0).then(|| *deadline.get_or_insert_with(gathered));
            self.queue
                .0
                .take(batch, self.batch_max - applied, missing, until);
        }
        fault_point(FaultPoint::BeforeCommit);
        transaction.commit()?;
        fault_point(FaultPoint::Committed);
        // As many again and a few more, if so many came; as many as came, if waiting brought no more.
        let came = batch.len();
        self.expected = if came < GATHER_FROM {
            1
        } else if came < self.expected {
            came
        } else {
            (came + came / 4).min(self.batch_max)
        };
        Ok(())
    }

    fn run_apart(&self, batch: Batch) {
        let mut accepted = Vec::with_capacity(batch.len());
        let mut refused = Vec::new();
        let outcome = self.run_each(batch, &mut accepted, &mut refused);
        for (operation, failure) in refused {
            operation.answer(Some(failure));
        }
        match outcome {
            Ok(()) => self.answer(accepted),
            Err(error) => refuse(accepted, &error.into_detail()),
        }
    }

    /// Sorts the batch into `accepted` and `refused`; what is accepted counts only if this returns `Ok`.
    fn run_each(
        &self,
        batch: Batch,
        accepted: &mut Batch,
        refused: &mut Vec<(Box<dyn Operation>, StoreError)>,
    ) -> Result<(), StoreError> {
        let mut waiting = batch.into_iter();
        let outcome = (|| {
            let transaction = Transaction::begin(&self.connection)?;
            for mut operation in waiting.by_ref() {
                self.connection
                    .prepare_cached("SAVEPOINT operation")?
                    .execute(())?;
                match operation.apply(&self.connection) {
                    Ok(()) => accepted.push(operation),
                    Err(StoreError::Unavailable(reason)) => {
                        accepted.push(operation);
                        return Err(StoreError::Unavailable(reason));
                    }
                    Err(failure) => {
                        refused.push((operation, failure));
                        self.connection
                            .prepare_cached("ROLLBACK TO operation")?
                            .execute(())?;
                    }
                }
                self.connection
                    .prepare_cached("RELEASE operation")?
                    .execute(())?;
            }
            transaction.commit()
        })();
        accepted.extend(waiting);
        outcome
    }

    fn answer(&self, batch: Batch) {
        if let Some(journal) = &mut *self.journal.lock().unwrap_or_else(PoisonError::into_inner) {
            journal.follow(&self.connection);
        }
        fault_point(FaultPoint::Journalled);
        self.counts.commits.fetch_add(1, Ordering::Relaxed);
        self.counts
            .operations
            .fetch_add(batch.len() as u64, Ordering::Relaxed);
        for operation in batch {
            operation.answer(None);
        }
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
            self.connection
                .wal_checkpoint_v2(Some(MAIN_DB), CheckpointMode::PASSIVE)
        } else {
            // If somebody reads for long, try again only after as many pages more.
            self.log.restart_at = pages.saturating_add(RESTART_PAGES);
            self.restart_log()
        };
        match outcome {
            Ok(_) => {}
            Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) => {
                tracing::debug!(
                    pages,
                    "a long read keeps the store's log from starting again"
                );
            }
            Err(error) => {
                tracing::warn!(%error, pages, "the store's log could not be checkpointed")
            }
        }
    }

    fn restart_log(&self) -> rusqlite::Result<(i32, i32)> {
        self.connection.busy_timeout(RESTART_WAIT)?;
        let outcome = self
            .connection
            .wal_checkpoint_v2(Some(MAIN_DB), CheckpointMode::RESTART);
        self.connection.busy_timeout(BUSY_TIMEOUT)?;
        outcome
    }
}

/// When gathering that begins now ends.
#[expect(
    clippy::disallowed_methods,
    reason = "bounds how long a commit waits for more; decides nothing that is stored"
)]
fn gathered() -> Instant {
    Instant::now() + GATHER_TIME
}

fn refuse(batch: Batch, reason: &str) {
    tracing::warn!(
        operations = batch.len(),
        reason,
        "the store refused a batch of writes"
    );
    for operation in batch {
        operation.answer(Some(StoreError::Unavailable(reason.to_owned())));
    }
}

/// A write transaction that is rolled back unless it was committed.
struct Transaction<'c>(&'c Connection);

impl<'c> Transaction<'c> {
    fn begin(connection: &'c Connection) -> Result<Self, StoreError> {
        connection.prepare_cached("BEGIN IMMEDIATE")?.execute(())?;
        Ok(Self(connection))
    }

    fn commit(self) -> Result<(), StoreError> {
        self.0.prepare_cached("COMMIT")?.execute(())?;
        Ok(())
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        // SQLite has rolled back by itself after some errors, such as a full disk.
        if !self.0.is_autocommit()
            && let Err(error) = self.0.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "the store could not roll back");
        }
    }
}
