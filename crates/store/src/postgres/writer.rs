//! Group commit: one thread owns the writing connection, and whatever waits for it shares one transaction and one commit.
//!
//! # Several processes
//!
//! Every write transaction begins by locking the one row of `store`, and keeps it until it has ended: at any time one process of
//! all writes. That is the whole protocol, and why it is right:
//!
//! - An operation reads before it writes. What it has read cannot change until it has committed, and it sees everything that was
//!   committed before: at READ COMMITTED each statement sees what there is when it begins, and all of them begin after the lock.
//! - Epochs, sequence numbers and the numbers of audit entries are given under the lock, and the lock is let go after the commit can
//!   be seen. So the order of the numbers is that of the commits, a transaction that is rolled back leaves no gap, and a reader who
//!   sees a number sees every smaller one.
//! - There is one lock, so that there is no order of locks to keep and no deadlock.
//!
//! It costs that transactions of different processes take turns: together they write as fast as one. A batch makes that
//! cheap, as in one process: the round trips and the flush of a turn are shared by all who wait. More processes are for
//! staying there when one goes, and for reading, signing and answering, which take turns with nobody.
//!
//! # Trouble
//!
//! An operation may be run more than once. If one fails by its own fault, the batch is rolled back and run again with a
//! savepoint around each, so that only the guilty one is refused. If somebody else was in the way, or the connection
//! ended before COMMIT was sent, nothing has happened, and all of it is run again, [`ATTEMPTS_MAX`] times at the most. If the
//! connection ends after that, the batch may have been committed. Each process leaves the number of its last batch in the table
//! `writers`, by the transaction itself; whoever has no answer takes the lock again, which comes after the end of that transaction, and
//! reads there what became of it; if it is there, another commit behind it waits for what the first one has waited for. Only if the database cannot be asked for [`DOUBT_MAX`], the batch is answered
//! [`StoreError::InDoubt`]. Nobody is answered before the commit has returned.
//!
//! If there is no way to the database, or it is too slow, everything that waits is refused with the batch: it would otherwise wait
//! for one attempt after another.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::changes::Change;
use super::connect::Address;
use super::counters::Layout;
use super::db::{Committed, Db};
use super::error::Trouble;
use super::issue::New;
use super::value::values;
use super::writes::{self, Asked, Member, Write};
use crate::fault::{FaultPoint, fault_point};
use crate::queue::{Queue, Worked};
use crate::{RecordedAnswer, StatusChange, StoreError};

/// How often a batch is run: a deadlock or a lost connection is an accident, a third one in a row is a state.
const ATTEMPTS_MAX: u32 = 3;
/// How long a batch may take until its commit. It takes milliseconds; whoever is slower keeps every process from writing.
const BATCH_TIMEOUT: Duration = Duration::from_secs(20);
/// How long the database is asked what became of a commit whose answer did not come.
const DOUBT_MAX: Duration = Duration::from_secs(10);
/// How often it is asked at the most.
const DOUBT_INTERVAL: Duration = Duration::from_millis(200);

const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SELECT last_epoch FROM store WHERE \"only\" = 1 FOR UPDATE";

/// The sending side.
pub(super) struct Writer {
    queue: Arc<Queue<Write>>,
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
            address,
            layout,
            queue: Worked(Arc::clone(&queue)),
            batch_max: batch.max(1),
            db: None,
            id: None,
            batch: 0,
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

    /// Runs an operation in the next transaction and returns its result once that is durable.
    pub(super) async fn write<T, F>(&self, apply: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: AsyncFn(&Db) -> Result<T, StoreError> + Send + 'static,
    {
        self.answered(|answer| Write::Other(Box::new(Asked::new(apply, answer))))
            .await
    }

    /// Has a certificate recorded together with the others that wait; `answer` gets what became of it once that is durable.
    pub(super) fn hand_over_certificate(&self, new: New, answer: RecordedAnswer) {
        self.push(Write::Certificate(Asked::new(new, answer)));
    }

    /// Has a status changed together with the others that wait.
    pub(super) async fn change(&self, change: Change) -> Result<Option<StatusChange>, StoreError> {
        self.answered(|answer| Write::Change(Box::new(Asked::new(change, answer))))
            .await
    }

    async fn answered<T: Send + 'static>(
        &self,
        write: impl FnOnce(writes::Answer<T>) -> Write,
    ) -> Result<T, StoreError> {
        let (sender, answer) = oneshot::channel();
        self.push(write(Box::new(|outcome| {
            // Whoever asked may have gone away; the write is done all the same.
            let _ = sender.send(outcome);
        })));
        answer.await.unwrap_or_else(|_| {
            Err(StoreError::Unavailable(
                "the writing thread has ended".into(),
            ))
        })
    }

    fn push(&self, write: Write) {
        if let Err((write, refused)) = self.queue.push(write) {
            write.answer(Some(refused));
        }
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
}

/// Without it the thread would wait for more for ever.
impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// How a transaction went.
enum Outcome {
    Committed,
    /// Nothing has happened, and it may go well another time.
    Again(String),
    /// One of the operations is at fault.
    SomebodysFault,
    /// Nothing has happened, and it would not go well.
    Refused(String),
    /// Nothing has happened, and the database is out of reach or too slow: whoever else waits would wait as long again.
    Away(String),
    /// Nobody knows what has happened.
    InDoubt(String),
}

struct Worker {
    address: Address,
    layout: Layout,
    queue: Worked<Write>,
    batch_max: usize,
    /// `None` before the first transaction and after trouble.
    db: Option<Db>,
    /// What this process is called in the table `writers`.
    id: Option<String>,
    /// The number of the last batch, from 1.
    batch: i64,
}

impl Worker {
    async fn run(mut self) {
        loop {
            let mut batch = Vec::with_capacity(self.batch_max);
            // Blocks the thread: there is nothing else for it to do. What arrives while a batch runs is the next one.
            self.queue.0.take(&mut batch, self.batch_max, 1, None);
            if batch.is_empty() {
                break;
            }
            self.commit(batch.into_iter().map(Member::new).collect())
                .await;
        }
        if let (Some(db), Some(id)) = (&self.db, &self.id) {
            // Somebody else removes it otherwise.
            let _ = db
                .execute("DELETE FROM writers WHERE id = $1", values![id])
                .await;
        }
    }

    async fn commit(&mut self, mut batch: Vec<Member>) {
        let (mut apart, mut attempts) = (false, 0);
        self.batch += 1;
        loop {
            attempts += 1;
            let outcome = match self.transaction(&mut batch, apart).await {
                Outcome::InDoubt(text) => self.find_out(text).await,
                outcome => outcome,
            };
            if self.db.is_none() {
                // The connection's task is told to end, and with it what it holds locked: it has to be run for that.
                tokio::task::yield_now().await;
                tokio::task::yield_now().await;
            }
            match outcome {
                Outcome::Committed => break,
                Outcome::SomebodysFault if !apart => apart = true,
                Outcome::Again(reason) if attempts < ATTEMPTS_MAX => {
                    tracing::debug!(reason, "the store runs a batch of writes again");
                }
                Outcome::Again(reason) | Outcome::Refused(reason) => {
                    return refuse(batch, || StoreError::Unavailable(reason.clone()));
                }
                Outcome::InDoubt(reason) => {
                    refuse(batch, || StoreError::InDoubt(reason.clone()));
                    return self.refuse_waiting(&reason);
                }
                Outcome::Away(reason) => {
                    refuse(batch, || StoreError::Unavailable(reason.clone()));
                    return self.refuse_waiting(&reason);
                }
                Outcome::SomebodysFault => {
                    let reason = "a batch of writes could not be taken apart";
                    return refuse(batch, || StoreError::Unavailable(reason.into()));
                }
            }
        }
        for Member { write, failure } in batch {
            write.answer(failure);
        }
        fault_point(FaultPoint::Answered);
    }

    /// Refuses what has waited while the database did not answer.
    fn refuse_waiting(&self, reason: &str) {
        let mut waiting = Vec::new();
        self.queue.0.take(&mut waiting, usize::MAX, 0, None);
        refuse(waiting.into_iter().map(Member::new).collect(), || {
            StoreError::Unavailable(reason.to_owned())
        });
    }

    /// One transaction; `apart` with a savepoint around each operation.
    async fn transaction(&mut self, batch: &mut [Member], apart: bool) -> Outcome {
        let db = match self.connection().await {
            Ok(db) => db,
            Err(error) => return Outcome::Away(error.into_detail()),
        };
        let run = timeout(
            BATCH_TIMEOUT,
            writes::run(&db, BEGIN, self.layout, batch, apart),
        )
        .await;
        let outcome = match run {
            Err(_) => return Outcome::Away("the database is too slow".into()),
            Ok(Ok(())) => {
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
            Ok(Err(error)) if db.is_passing() => Outcome::Again(error.into_detail()),
            Ok(Err(error)) if db.is_slow() => Outcome::Away(error.into_detail()),
            // A verb that says so by itself says it of its own case.
            Ok(Err(StoreError::Unavailable(text))) if db.has_failed() => Outcome::Refused(text),
            Ok(Err(_)) => Outcome::SomebodysFault,
        };
        let is_usable = matches!(outcome, Outcome::Committed)
            || !db.is_lost() && db.go_back("ROLLBACK").await.is_ok();
        if is_usable {
            self.db = Some(db);
        }
        outcome
    }

    /// The statement by which a transaction notes that it is this batch.
    fn note(&self) -> String {
        // Both are of our own making: a UUID that `connection` has looked at, and a number.
        let (id, batch) = (self.id.as_deref().unwrap_or_default(), self.batch);
        format!(
            "INSERT INTO writers (id, batch, at) VALUES ('{id}', {batch}, now()) \
             ON CONFLICT (id) DO UPDATE SET batch = excluded.batch, at = excluded.at"
        )
    }

    /// What became of a transaction whose COMMIT was not answered.
    async fn find_out(&mut self, text: String) -> Outcome {
        tracing::warn!(
            reason = text,
            "a commit was not answered; the database is asked what became of it"
        );
        let mut attempts = interval(DOUBT_INTERVAL);
        attempts.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let found = timeout(DOUBT_MAX, async {
            loop {
                attempts.tick().await;
                match self.is_committed().await {
                    Ok(found) => break found,
                    Err(error) => {
                        tracing::debug!(
                            error = error.into_detail(),
                            "the database cannot be asked yet"
                        )
                    }
                }
            }
        });
        match found.await {
            Ok(true) => Outcome::Committed,
            Ok(false) => Outcome::Again(text),
            Err(_) => Outcome::InDoubt(format!(
                "the database did not answer COMMIT and cannot be asked: {text}"
            )),
        }
    }

    /// Whether this batch was committed, and is as durable as the server makes a commit. Waits until no transaction of this process
    /// is open any more.
    async fn is_committed(&mut self) -> Result<bool, StoreError> {
        let db = self.connection().await?;
        db.begin(BEGIN).await?;
        let row = db
            .optional(
                "SELECT batch FROM writers WHERE id = $1",
                values![self.id.as_deref()],
            )
            .await?;
        let is_there = row.map(|row| row.get::<i64>(0)).transpose()? == Some(self.batch);
        if is_there {
            // A server that was restarted shows it although no standby may have it yet. A commit behind it waits for one.
            match db.commit_after(&self.note()).await {
                Committed::Yes => {}
                Committed::No(trouble) => return Err(trouble.into()),
                Committed::Unknown(text) => return Err(StoreError::Unavailable(text)),
            }
        } else {
            db.go_back("ROLLBACK").await?;
        }
        self.db = Some(db);
        Ok(is_there)
    }

    /// The connection, which is made if there is none. It is given back by storing it.
    async fn connection(&mut self) -> Result<Db, StoreError> {
        if let Some(db) = self.db.take().filter(|db| !db.is_lost()) {
            return Ok(db);
        }
        let db = self.address.connect().await?;
        // What is committed is durable, whatever the server's default is.
        let row = db
            .one("SELECT current_setting('synchronous_commit')", values![])
            .await?;
        if row.get::<String>(0)? == "off" {
            db.run("SET synchronous_commit = on").await?;
        }
        if self.id.is_none() {
            db.run("DELETE FROM writers WHERE at < now() - INTERVAL '30 days'")
                .await?;
            let id: String = db
                .one("SELECT CAST(gen_random_uuid() AS TEXT)", values![])
                .await?
                .get(0)?;
            if !id
                .bytes()
                .all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
            {
                return Err(super::error::corrupt("the database's UUID is none"));
            }
            self.id = Some(id);
        }
        Ok(db)
    }
}

fn refuse(batch: Vec<Member>, failure: impl Fn() -> StoreError) {
    // Whoever asked for them says so too, and as often as it has to be said.
    tracing::debug!(operations = batch.len(), reason = %failure(), "the store refused a batch of writes");
    for Member { write, .. } in batch {
        write.answer(Some(failure()));
    }
}
