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
//! connection ends after that, nobody knows whether the batch was committed: it is answered `Unavailable`, with
//! [`MAY_HAVE_BEEN_MADE`]. Nobody is answered before the commit has returned.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::connect::Address;
use super::counters::Layout;
use super::db::{Committed, Db};
use super::error::Trouble;
use super::issue::{self, New};
use super::value::values;
use crate::fault::{FaultPoint, fault_point};
use crate::queue::{Queue, Worked};
use crate::{CertificateRecorded, RecordedAnswer, StoreError};

/// How often a batch is run: a deadlock or a lost connection is an accident, a third one in a row is a state.
const ATTEMPTS_MAX: u32 = 3;
/// How long a batch may take until its commit. It takes milliseconds; whoever is slower keeps every process from writing.
const BATCH_TIMEOUT: Duration = Duration::from_secs(20);
/// What is said when the connection ended after COMMIT was sent.
const MAY_HAVE_BEEN_MADE: &str =
    "the connection to the database ended during the commit; the change may have been made";

const BEGIN: &str =
    "BEGIN ISOLATION LEVEL READ COMMITTED; SELECT last_epoch FROM store WHERE \"only\" = 1 FOR UPDATE";

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
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let worker =
            Worker { address, layout, queue: Worked(Arc::clone(&queue)), batch_max: batch.max(1), db: None };
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || runtime.block_on(worker.run()))
            .map_err(failed)?;
        Ok(Self { queue, thread: Mutex::new(Some(thread)) })
    }

    /// Runs an operation in the next transaction and returns its result once that is durable.
    pub(super) async fn write<T, F>(&self, apply: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: AsyncFn(&Db) -> Result<T, StoreError> + Send + 'static,
    {
        let (sender, answer) = oneshot::channel();
        self.hand_over(apply, |outcome| {
            // Whoever asked may have gone away; the write is done all the same.
            let _ = sender.send(outcome);
        });
        answer.await.unwrap_or_else(|_| Err(StoreError::Unavailable("the writing thread has ended".into())))
    }

    /// Has an operation run in the next transaction; `answer` gets its result once that is durable.
    pub(super) fn hand_over<T, F, A>(&self, apply: F, answer: A)
    where
        T: Send + 'static,
        F: AsyncFn(&Db) -> Result<T, StoreError> + Send + 'static,
        A: FnOnce(Result<T, StoreError>) + Send + 'static,
    {
        self.push(Write::Other(Box::new(Pending { apply, result: None, answer })));
    }

    /// Has a certificate recorded together with the others that wait.
    pub(super) fn hand_over_certificate(&self, new: New, answer: RecordedAnswer) {
        self.push(Write::Certificate { new, recorded: None, answer });
    }

    fn push(&self, write: Write) {
        if let Err((write, refused)) = self.queue.push(write) {
            write.answer(Some(refused));
        }
    }

    /// Accepts nothing more, lets what was accepted finish, and waits until the connection is closed.
    pub(super) async fn close(&self) {
        self.queue.close();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
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

type Applying<'a> = Pin<Box<dyn Future<Output = Result<(), StoreError>> + 'a>>;

/// A write that waits for its transaction.
trait Operation: Send {
    /// Runs it and keeps the result.
    fn apply<'a>(&'a mut self, db: &'a Db) -> Applying<'a>;
    /// Answers with the kept result, or with what it, or the whole batch, failed of.
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
    F: AsyncFn(&Db) -> Result<T, StoreError> + Send,
    A: FnOnce(Result<T, StoreError>) + Send,
{
    fn apply<'a>(&'a mut self, db: &'a Db) -> Applying<'a> {
        Box::pin(async move {
            self.result = Some((self.apply)(db).await?);
            Ok(())
        })
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

/// What waits.
enum Write {
    Certificate { new: New, recorded: Option<CertificateRecorded>, answer: RecordedAnswer },
    Other(Box<dyn Operation>),
}

impl Write {
    fn answer(self, failure: Option<StoreError>) {
        match self {
            Self::Other(operation) => operation.answer(failure),
            Self::Certificate { recorded, answer, .. } => answer(match (failure, recorded) {
                (Some(failure), _) => Err(failure),
                (None, Some(recorded)) => Ok(recorded),
                (None, None) => Err(StoreError::Unavailable("the certificate was not recorded".into())),
            }),
        }
    }
}

/// A write and what it alone failed of.
struct Member {
    write: Write,
    failure: Option<StoreError>,
}

/// How a transaction went.
enum Outcome {
    Committed,
    /// Nothing has happened, and it may go well another time.
    Again(String),
    /// One of the operations is at fault.
    SomebodysFault,
    /// Nothing has happened, and it would not go well, or nobody knows what has happened.
    Refused(String),
}

struct Worker {
    address: Address,
    layout: Layout,
    queue: Worked<Write>,
    batch_max: usize,
    /// `None` before the first transaction and after trouble.
    db: Option<Db>,
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
            let batch = batch.into_iter().map(|write| Member { write, failure: None }).collect();
            self.commit(batch).await;
        }
    }

    async fn commit(&mut self, mut batch: Vec<Member>) {
        let (mut apart, mut attempts) = (false, 0);
        loop {
            attempts += 1;
            let outcome = self.transaction(&mut batch, apart).await;
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
                Outcome::Again(reason) | Outcome::Refused(reason) => return refuse(batch, &reason),
                Outcome::SomebodysFault => {
                    return refuse(batch, "a batch of writes could not be taken apart");
                }
            }
        }
        for Member { write, failure } in batch {
            write.answer(failure);
        }
        fault_point(FaultPoint::Answered);
    }

    /// One transaction; `apart` with a savepoint around each operation.
    async fn transaction(&mut self, batch: &mut [Member], apart: bool) -> Outcome {
        let db = match self.db.take().filter(|db| !db.is_lost()) {
            Some(db) => db,
            None => match connect(&self.address).await {
                Ok(db) => db,
                Err(error) => return Outcome::Refused(reason(error)),
            },
        };
        let run = timeout(BATCH_TIMEOUT, run(&db, self.layout, batch, apart)).await;
        let outcome = match run {
            Err(_) => return Outcome::Refused("the database is too slow".into()),
            Ok(Ok(())) => {
                fault_point(FaultPoint::BeforeCommit);
                match db.commit().await {
                    Committed::Yes => {
                        fault_point(FaultPoint::Committed);
                        Outcome::Committed
                    }
                    Committed::Unknown(text) => Outcome::Refused(format!("{MAY_HAVE_BEEN_MADE} ({text})")),
                    Committed::No(Trouble::Passing(text)) => Outcome::Again(text),
                    Committed::No(trouble) => Outcome::Refused(reason(trouble.into())),
                }
            }
            Ok(Err(error)) if db.is_passing() => Outcome::Again(reason(error)),
            // A verb that says so by itself says it of its own case.
            Ok(Err(StoreError::Unavailable(text))) if db.has_failed() => Outcome::Refused(text),
            Ok(Err(_)) => Outcome::SomebodysFault,
        };
        let is_usable =
            matches!(outcome, Outcome::Committed) || !db.is_lost() && db.go_back("ROLLBACK").await.is_ok();
        if is_usable {
            self.db = Some(db);
        }
        outcome
    }
}

/// Runs a batch in a transaction that it begins. With `apart`, what a write fails of by its own fault is kept with it.
async fn run(db: &Db, layout: Layout, batch: &mut [Member], apart: bool) -> Result<(), StoreError> {
    db.begin(BEGIN).await?;
    if !apart {
        return apply(db, layout, batch).await;
    }
    for member in batch {
        db.run("SAVEPOINT write").await?;
        match apply(db, layout, std::slice::from_mut(member)).await {
            Ok(()) => member.failure = None,
            Err(error) if db.is_passing() => return Err(error),
            Err(StoreError::Unavailable(text)) if db.has_failed() => {
                return Err(StoreError::Unavailable(text));
            }
            Err(error) => {
                member.failure = Some(error);
                db.go_back("ROLLBACK TO SAVEPOINT write").await?;
            }
        }
        db.run("RELEASE SAVEPOINT write").await?;
    }
    Ok(())
}

/// Applies writes in their order; certificates that follow each other in one stroke.
async fn apply(db: &Db, layout: Layout, batch: &mut [Member]) -> Result<(), StoreError> {
    let is_certificate = |member: &Member| matches!(member.write, Write::Certificate { .. });
    for stretch in batch.chunk_by_mut(|one, next| is_certificate(one) && is_certificate(next)) {
        if let [Member { write: Write::Other(operation), .. }] = stretch {
            operation.apply(db).await?;
            continue;
        }
        let news: Vec<_> = stretch
            .iter()
            .filter_map(|member| match &member.write {
                Write::Certificate { new, .. } => Some(new),
                Write::Other(_) => None,
            })
            .collect();
        let outcomes = issue::record(db, layout, &news).await?;
        for (member, outcome) in stretch.iter_mut().zip(outcomes) {
            if let Write::Certificate { recorded, .. } = &mut member.write {
                *recorded = Some(outcome);
            }
        }
    }
    Ok(())
}

/// A connection for writing. What it commits is durable, whatever the server's default is.
async fn connect(address: &Address) -> Result<Db, StoreError> {
    let db = address.connect().await?;
    let row = db.one("SELECT current_setting('synchronous_commit')", values![]).await?;
    if row.get::<String>(0)? == "off" {
        db.run("SET synchronous_commit = on").await?;
    }
    Ok(db)
}

fn reason(error: StoreError) -> String {
    match error {
        StoreError::Unavailable(text) | StoreError::Conflict(text) | StoreError::Corrupt(text) => text,
    }
}

fn refuse(batch: Vec<Member>, reason: &str) {
    tracing::warn!(operations = batch.len(), reason, "the store refused a batch of writes");
    for Member { write, .. } in batch {
        write.answer(Some(StoreError::Unavailable(reason.to_owned())));
    }
}
