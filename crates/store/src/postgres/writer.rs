//! Group commit: one thread owns the writing connection, and all writes that wait share one
//! transaction and one commit.
//!
//! # Several processes
//!
//! Every write transaction begins by locking the one row of `store`, and keeps the lock until it
//! ends: only one process writes at a time. This lock is the whole protocol. It is correct for
//! these reasons:
//!
//! - An operation reads before it writes. The rows that it has read cannot change until it has
//!   committed, and it sees everything that was committed before: at READ COMMITTED each statement
//!   sees the state at its beginning, and all of them begin after the lock.
//! - Epochs, sequence numbers and the numbers of audit entries are given under the lock, and the
//!   lock is released after the commit can be seen. So the numbers are in the order of commits, a
//!   transaction that is rolled back leaves no gap, and a reader that sees a number sees every
//!   smaller one.
//! - There is only one lock, so an order of locks is not needed and a deadlock is impossible.
//!
//! The cost: transactions of different processes take turns, so together they write as fast as one.
//! A batch makes that cheap, as in one process: all waiting writes share the round trips and the
//! flush of a turn. More processes are for availability, and for reading, signing and answering,
//! which need no turn.
//!
//! # Trouble
//!
//! An operation may be run more than once. If one fails by its own fault, the batch is rolled back
//! and run again with a savepoint around each, so that only the guilty one is refused. If another
//! client's transaction prevented it, or the connection ended before COMMIT was sent, nothing has
//! happened, and the batch is run again, at most [`ATTEMPTS_MAX`] times.
//!
//! If the connection ends after that, the batch may have been committed. Each process leaves the
//! number of its last batch in the table `writers`, by the transaction itself. A process without an
//! answer takes the lock again, after the end of that transaction, and reads the outcome there. If
//! the batch was committed, another commit after it waits for the same standbys as the first. Only
//! if the database cannot be asked for [`DOUBT_MAX`], the batch is answered
//! [`StoreError::InDoubt`]. No caller is answered before the commit has returned.
//!
//! If the database cannot be reached, or is too slow, the waiting writes are refused with the
//! batch: otherwise each would wait for one attempt after another.

use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use certgate_model::{AuditEntry, lock};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::connect::Address;
use super::db::{Committed, PostgresDb};
use super::error::Trouble;
use crate::StoreError;
use crate::change_log::ChangeLog;
use crate::db::{Db as _, Transaction as _, values};
use crate::error::corrupt;
use crate::fault::{FaultPoint, fault_point};
use crate::position::Layout;
use crate::queue::{Queue, Worked};
use crate::schema::VERSION;
use crate::writes::{self, Member, Run, Write};

/// The most attempts to commit a batch of writes: one deadlock or lost connection is an accident,
/// and a third one in a row is a lasting problem.
const ATTEMPTS_MAX: u32 = 3;
/// The longest time that a batch may take until its commit. It takes milliseconds; a slower process
/// blocks the writes of every other one.
const BATCH_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest time for finding out the outcome of a commit that was not answered.
const DOUBT_MAX: Duration = Duration::from_secs(4);
/// The shortest time between two such queries.
const DOUBT_INTERVAL: Duration = Duration::from_millis(200);
/// The shortest time between two warnings about them. A flapping network can cause many.
const WARNING_INTERVAL: Duration = Duration::from_secs(10);

/// The statements for a database that was restored. An older standby lacks changes as a backup
/// does: enforcement points that know one of them read everything again, and every list is renewed.
const AFTER_RESTORE: &str = include_str!("../../../../deploy/postgresql/after-restore.sql");

/// The sending side.
pub(super) struct Writer {
    queue: Arc<Queue<Write<PostgresDb>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the thread, which connects when there is something to write.
    pub(super) fn start(
        address: Address,
        layout: Layout,
        queue: usize,
        batch: usize,
    ) -> Result<Self, StoreError> {
        let queue = Arc::new(Queue::new(queue.max(1)));
        let failed = |error: std::io::Error| {
            StoreError::Unavailable(format!("cannot start the writing thread: {error}"))
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        let worker = Worker {
            changes: ChangeLog::start().map_err(failed)?,
            address,
            layout,
            queue: Worked(Arc::clone(&queue)),
            batch_max: batch.max(1),
            db: None,
            id: None,
            batch: 0,
            confirmed: 0,
            warned: None,
            entries: Vec::new(),
        };
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || runtime.block_on(worker.run()))
            .map_err(failed)?;
        Ok(Self {
            queue,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Queues a write, or answers it with a refusal.
    pub(super) fn push(&self, write: Write<PostgresDb>) {
        if let Err((write, refused)) = self.queue.push(write) {
            write.answer(Some(refused));
        }
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
}

/// Without it, the thread would wait for writes forever.
impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// The outcome of a transaction.
enum Outcome {
    Committed,
    /// Nothing has happened, and another attempt may succeed.
    Again(String),
    /// One of the operations has failed by its own fault.
    FaultOfOne,
    /// Nothing has happened, and another attempt would not succeed.
    Refused(String),
    /// Nothing has happened, and the database is unreachable or too slow: other writes would wait
    /// as long again.
    Away(String),
    /// The outcome is unknown.
    InDoubt(String),
}

struct Worker {
    changes: ChangeLog,
    address: Address,
    layout: Layout,
    queue: Worked<Write<PostgresDb>>,
    batch_max: usize,
    /// `None` before the first transaction and after trouble.
    db: Option<PostgresDb>,
    /// The name of this process in the table `writers`.
    id: Option<String>,
    /// The number of the last batch, from 1.
    batch: i64,
    /// The number of the last batch whose commit was confirmed.
    confirmed: i64,
    /// The time of the last warning about a commit without an answer.
    warned: Option<Instant>,
    /// The entries of the audit log in the last batch.
    entries: Vec<AuditEntry>,
}

impl Worker {
    async fn run(mut self) {
        loop {
            let mut batch = Vec::with_capacity(self.batch_max);
            // Blocks the thread, which has nothing else to do. Writes that arrive while a batch
            // runs are the next one.
            self.queue.0.take(&mut batch, self.batch_max, 1, None);
            if batch.is_empty() {
                break;
            }
            self.commit(batch.into_iter().map(Member::new).collect())
                .await;
        }
        if let (Some(db), Some(id)) = (&mut self.db, &self.id) {
            db.set_deadline(Instant::now() + BATCH_TIMEOUT);
            // Otherwise another process removes it later.
            let _ = db
                .execute("DELETE FROM writers WHERE id = ?1", &values![id])
                .await;
        }
    }

    async fn commit(&mut self, mut batch: Vec<Member<PostgresDb>>) {
        let (mut how, mut attempts) = (Run::Together, 0);
        let begun = Instant::now();
        self.batch += 1;
        loop {
            attempts += 1;
            let outcome = match self.transaction(&mut batch, how).await {
                Outcome::InDoubt(text) => self.find_out(text).await,
                outcome => outcome,
            };
            if self.db.is_none() {
                // The connection's task must run to end, and its locks end with it.
                tokio::task::yield_now().await;
                tokio::task::yield_now().await;
            }
            match outcome {
                Outcome::Committed => {
                    self.confirmed = self.batch;
                    break;
                }
                Outcome::FaultOfOne if how == Run::Together => how = Run::Apart,
                Outcome::Again(reason)
                    if attempts < ATTEMPTS_MAX && begun.elapsed() < BATCH_TIMEOUT =>
                {
                    tracing::debug!(reason, "the store runs a batch of writes again");
                }
                Outcome::Again(reason) | Outcome::Refused(reason) => {
                    return writes::refuse(batch, || StoreError::Unavailable(reason.clone()));
                }
                Outcome::InDoubt(reason) => {
                    writes::refuse(batch, || StoreError::InDoubt(reason.clone()));
                    return self.refuse_waiting(&reason);
                }
                Outcome::Away(reason) => {
                    writes::refuse(batch, || StoreError::Unavailable(reason.clone()));
                    return self.refuse_waiting(&reason);
                }
                Outcome::FaultOfOne => {
                    let reason = "a batch of writes could not be taken apart";
                    return writes::refuse(batch, || StoreError::Unavailable(reason.into()));
                }
            }
        }
        writes::answer(batch);
        self.changes.push(std::mem::take(&mut self.entries));
        fault_point(FaultPoint::Answered);
    }

    /// Refuses the writes that have waited while the database did not answer.
    fn refuse_waiting(&self, reason: &str) {
        let mut waiting = Vec::new();
        self.queue.0.take(&mut waiting, usize::MAX, 0, None);
        writes::refuse(waiting.into_iter().map(Member::new).collect(), || {
            StoreError::Unavailable(reason.to_owned())
        });
    }

    /// Runs one transaction.
    async fn transaction(&mut self, batch: &mut [Member<PostgresDb>], how: Run) -> Outcome {
        let mut db = match self.connection().await {
            Ok(db) => db,
            Err(error) => return Outcome::Away(error.into_detail()),
        };
        db.set_deadline(Instant::now() + BATCH_TIMEOUT);
        let outcome = match writes::run(&db, batch, how).await {
            Ok(entries) => {
                self.entries = entries;
                fault_point(FaultPoint::BeforeCommit);
                match db.commit_after(&self.note()).await {
                    Committed::Yes => {
                        fault_point(FaultPoint::Committed);
                        Outcome::Committed
                    }
                    Committed::Unknown(text) => Outcome::InDoubt(text),
                    Committed::No(Trouble::Passing(text)) => Outcome::Again(text),
                    Committed::No(trouble) => {
                        Outcome::Refused(StoreError::from(trouble).into_detail())
                    }
                }
            }
            Err(error) if db.is_passing() => Outcome::Again(error.into_detail()),
            Err(error) if db.is_slow() => Outcome::Away(error.into_detail()),
            // A verb that reports it without a failed statement reports its own case.
            Err(StoreError::Unavailable(text)) if db.has_failed() => Outcome::Refused(text),
            Err(_) => Outcome::FaultOfOne,
        };
        let is_usable = matches!(outcome, Outcome::Committed)
            || !db.is_lost() && db.go_back("ROLLBACK").await.is_ok();
        if is_usable {
            self.db = Some(db);
        }
        outcome
    }

    /// Returns the statement by which a transaction records that it is this batch.
    fn note(&self) -> String {
        // Both are safe in a statement: a UUID that `connection` has checked, and a number.
        let (id, batch) = (self.id.as_deref().unwrap_or_default(), self.batch);
        format!(
            "INSERT INTO writers (id, batch, at, version) \
             VALUES ('{id}', {batch}, extract(epoch FROM now())::BIGINT, {VERSION}) \
             ON CONFLICT (id) DO UPDATE SET batch = excluded.batch, at = excluded.at"
        )
    }

    /// Finds out the outcome of a transaction whose COMMIT was not answered.
    async fn find_out(&mut self, text: String) -> Outcome {
        let is_due = |warned: Instant| warned.elapsed() >= WARNING_INTERVAL;
        if self.warned.is_none_or(is_due) {
            self.warned = Some(Instant::now());
            tracing::warn!(
                reason = text,
                "a commit was not answered; the database is asked for it"
            );
        }
        let mut attempts = interval(DOUBT_INTERVAL);
        attempts.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let found = timeout(DOUBT_MAX, async {
            loop {
                attempts.tick().await;
                match self.is_committed().await {
                    Ok(found) => break found,
                    Err(error) => {
                        let error = error.into_detail();
                        tracing::debug!(error, "the database cannot be asked yet");
                    }
                }
            }
        });
        match found.await {
            Ok(Some(true)) => Outcome::Committed,
            Ok(Some(false)) => Outcome::Again(text),
            Ok(None) => Outcome::InDoubt(format!(
                "the database did not answer COMMIT and has no record of this server any more: \
                 {text}"
            )),
            Err(_) => Outcome::InDoubt(format!(
                "the database did not answer COMMIT and cannot be asked: {text}"
            )),
        }
    }

    /// Returns whether this batch was committed, and is as durable as the server makes a commit.
    /// Waits until no transaction of this process is open any more. `None`: the database has no
    /// row of this process.
    async fn is_committed(&mut self) -> Result<Option<bool>, StoreError> {
        // Without `connection`, which may add that row. The next batch connects again.
        let db = self.connect().await?;
        db.begin().await?;
        let batch = self.noted(&db).await?;
        let is_there = batch == Some(self.batch);
        if is_there {
            // A restarted server shows it although no standby may have it yet. A later commit waits
            // for one.
            match db.commit_after(&self.note()).await {
                Committed::Yes => {}
                Committed::No(trouble) => return Err(trouble.into()),
                Committed::Unknown(text) => return Err(StoreError::Unavailable(text)),
            }
            self.db = Some(db);
        }
        Ok(batch.map(|_| is_there))
    }

    /// Returns the number of the last batch of this process that the database has.
    async fn noted(&self, db: &PostgresDb) -> Result<Option<i64>, StoreError> {
        let select = "SELECT batch FROM writers WHERE id = ?1";
        db.optional(select, &values![self.id.as_deref()], |row| row.get(0))
            .await
    }

    /// Returns a new connection whose commits are durable, independently of the server's default.
    async fn connect(&self) -> Result<PostgresDb, StoreError> {
        let mut db = self.address.connect().await?;
        db.set_layout(self.layout);
        let select = "SELECT current_setting('synchronous_commit')";
        let durability: String = db.one(select, &[], |row| row.get(0)).await?;
        if durability == "off" {
            db.run("SET synchronous_commit = on").await?;
        }
        Ok(db)
    }

    /// Returns the connection, which is made if there is none. Storing it gives it back.
    async fn connection(&mut self) -> Result<PostgresDb, StoreError> {
        if let Some(db) = self.db.take().filter(|db| !db.is_lost()) {
            return Ok(db);
        }
        let db = self.connect().await?;
        if self.id.is_none() {
            let old = "DELETE FROM writers WHERE at < extract(epoch FROM now())::BIGINT - 2592000";
            db.run(old).await?;
            let select = "SELECT CAST(gen_random_uuid() AS TEXT)";
            let id: String = db.one(select, &[], |row| row.get(0)).await?;
            if !id
                .bytes()
                .all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
            {
                return Err(corrupt("the database's UUID is malformed"));
            }
            // Another process may remove it after 30 days by the clock of the database. Its absence
            // is therefore never taken for a batch that was not committed.
            let row = "INSERT INTO writers (id, batch, at, version) \
                       VALUES (?1, 0, extract(epoch FROM now())::BIGINT, ?2)";
            db.execute(row, &values![&id, VERSION]).await?;
            self.id = Some(id);
        } else if self.confirmed > 0 {
            // A database without the row may be a standby that is older than the row.
            let noted = self.noted(&db).await?;
            if noted.is_none_or(|noted| noted < self.confirmed) {
                self.skip_lost_epochs(&db).await?;
            }
        }
        Ok(db)
    }

    /// Continues on a database that lacks confirmed batches, as an older standby does. New epochs
    /// must not repeat those of lost changes, which enforcement points may have acknowledged.
    async fn skip_lost_epochs(&mut self, db: &PostgresDb) -> Result<(), StoreError> {
        db.begin().await?;
        let noted = self.noted(db).await?.unwrap_or_default();
        db.run(&without_transaction(AFTER_RESTORE)).await?;
        // So that it happens once. The standby may be older than the row of this process.
        let upsert = "INSERT INTO writers (id, batch, at, version) \
                      VALUES (?1, ?2, extract(epoch FROM now())::BIGINT, ?3) \
                      ON CONFLICT (id) DO UPDATE SET batch = excluded.batch";
        let cells = values![self.id.as_deref(), self.confirmed, VERSION];
        db.execute(upsert, &cells).await?;
        match db.commit().await {
            Committed::Yes => {}
            Committed::No(trouble) => return Err(trouble.into()),
            Committed::Unknown(text) => return Err(StoreError::Unavailable(text)),
        }
        tracing::error!(
            lost_transactions = self.confirmed - noted,
            "the database lacks changes that it had confirmed, as after the promotion of an older \
             standby: repeat the latest changes, and set synchronous_standby_names"
        );
        Ok(())
    }
}

/// Returns the statements of a file without those that begin and end its transaction.
fn without_transaction(file: &str) -> String {
    let inner = file
        .lines()
        .filter(|line| !["BEGIN;", "COMMIT;"].contains(line));
    inner.collect::<Vec<_>>().join("\n")
}
