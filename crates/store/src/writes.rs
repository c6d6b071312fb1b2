//! Writes that wait for a transaction, and running a batch of them.

use std::future::Future;
use std::pin::Pin;

use certgate_model::AuditEntry;

use crate::db::Transaction;
use crate::verbs::changes::{self, RequestedChange};
use crate::verbs::recording::{self, New};
use crate::{CertificateRecorded, StatusChange, StoreError};

/// Receives the result of a write once that is durable, or its failure.
pub(crate) type Answer<T> = Box<dyn FnOnce(Result<T, StoreError>) + Send>;

/// A future that a verb returns.
pub(crate) type Running<'d, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'd>>;

/// A verb with its arguments beside it, so that it can be run again.
pub(crate) type Verb<D, A, T> = for<'d> fn(&'d D, &'d A) -> Running<'d, T>;

/// A write that waits. All writes of the first two kinds in a batch run together.
pub(crate) enum Write<D> {
    Certificate(Asked<New, CertificateRecorded>),
    Change(Box<Asked<RequestedChange, Option<StatusChange>>>),
    Other(Box<dyn Operation<D>>),
}

/// A wanted write, its result, and the receiver of the result.
pub(crate) struct Asked<W, T> {
    wanted: W,
    result: Option<T>,
    answer: Answer<T>,
}

impl<W, T> Asked<W, T> {
    pub(crate) fn new(wanted: W, answer: Answer<T>) -> Self {
        Self {
            wanted,
            result: None,
            answer,
        }
    }

    fn answer(self, failure: Option<StoreError>) {
        (self.answer)(match (failure, self.result) {
            (Some(failure), _) => Err(failure),
            (None, Some(result)) => Ok(result),
            (None, None) => Err(StoreError::Unavailable("the operation was not run".into())),
        });
    }
}

/// A write of any other kind.
pub(crate) trait Operation<D>: Send {
    /// Runs it and stores the result.
    fn apply<'d>(&'d mut self, db: &'d D) -> Running<'d, ()>;
    /// Answers with the stored result, or with the failure of it or of the whole batch.
    fn answer(self: Box<Self>, failure: Option<StoreError>);
}

/// A verb and its arguments.
pub(crate) struct Call<D, A, T> {
    pub(crate) args: A,
    pub(crate) verb: Verb<D, A, T>,
}

impl<D, A, T> Operation<D> for Asked<Call<D, A, T>, T>
where
    D: Sync,
    A: Send + Sync,
    T: Send,
{
    fn apply<'d>(&'d mut self, db: &'d D) -> Running<'d, ()> {
        Box::pin(async move {
            let Call { args, verb } = &self.wanted;
            self.result = Some(verb(db, args).await?);
            Ok(())
        })
    }

    fn answer(self: Box<Self>, failure: Option<StoreError>) {
        (*self).answer(failure);
    }
}

impl<D> Write<D> {
    pub(crate) fn answer(self, failure: Option<StoreError>) {
        match self {
            Self::Certificate(asked) => asked.answer(failure),
            Self::Change(asked) => (*asked).answer(failure),
            Self::Other(operation) => operation.answer(failure),
        }
    }
}

/// A write and its own failure.
pub(crate) struct Member<D> {
    pub(crate) write: Write<D>,
    pub(crate) failure: Option<StoreError>,
}

impl<D> Member<D> {
    pub(crate) fn new(write: Write<D>) -> Self {
        Self {
            write,
            failure: None,
        }
    }
}

/// Answers a batch: its members that failed with their failures, the others with their results.
pub(crate) fn answer<D>(batch: Vec<Member<D>>) {
    for Member { write, failure } in batch {
        write.answer(failure);
    }
}

/// Refuses a batch. The callers report their failures themselves.
pub(crate) fn refuse<D>(batch: Vec<Member<D>>, failure: impl Fn() -> StoreError) {
    tracing::debug!(
        operations = batch.len(),
        reason = %failure(),
        "the store refused a batch of writes"
    );
    for Member { write, .. } in batch {
        write.answer(Some(failure()));
    }
}

/// The ways to run a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Run {
    /// All at once: a failure is that of the batch.
    Together,
    /// One after another, each in a savepoint: a write's own failure is stored with it.
    Apart,
}

/// Runs a batch in a new transaction, up to its commit. Returns the entries that it adds to the
/// audit log, which the log shows after the commit.
pub(crate) async fn run<D: Transaction>(
    db: &D,
    batch: &mut [Member<D>],
    how: Run,
) -> Result<Vec<AuditEntry>, StoreError> {
    db.uncommitted().begin();
    db.begin().await?;
    if how == Run::Together {
        apply(db, batch).await?;
        return Ok(db.uncommitted().take());
    }
    for member in batch {
        db.uncommitted().savepoint();
        db.savepoint().await?;
        match apply(db, std::slice::from_mut(member)).await {
            Ok(()) => member.failure = None,
            Err(error) if db.concerns_all(&error) => return Err(error),
            Err(error) => {
                member.failure = Some(error);
                db.uncommitted().roll_back();
                db.roll_back_to_savepoint().await?;
            }
        }
        db.release().await?;
    }
    Ok(db.uncommitted().take())
}

/// Runs new certificates first, then changes of them. All writes of a batch wait at the same time,
/// so no caller can see their order.
async fn apply<D: Transaction>(db: &D, batch: &mut [Member<D>]) -> Result<(), StoreError> {
    let (mut news, mut changes) = (Vec::new(), Vec::new());
    let mut others = Vec::new();
    for member in batch {
        match &mut member.write {
            Write::Certificate(asked) => news.push(asked),
            Write::Change(asked) => changes.push(asked),
            Write::Other(operation) => others.push(operation),
        }
    }
    if !news.is_empty() {
        let wanted: Vec<_> = news.iter().map(|asked| &asked.wanted).collect();
        let results = recording::record(db, &wanted).await?;
        for (asked, result) in news.into_iter().zip(results) {
            asked.result = Some(result);
        }
    }
    if !changes.is_empty() {
        let wanted: Vec<_> = changes.iter().map(|asked| &asked.wanted).collect();
        let results = changes::make(db, &wanted).await?;
        for (asked, result) in changes.into_iter().zip(results) {
            asked.result = Some(result);
        }
    }
    for operation in others {
        operation.apply(db).await?;
    }
    Ok(())
}
