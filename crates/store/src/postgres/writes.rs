//! What waits for a transaction, and running a batch of it.

use std::future::Future;
use std::pin::Pin;

use super::changes::{self, Change};
use super::counters::Layout;
use super::db::Db;
use super::issue::{self, New};
use crate::{CertificateRecorded, StatusChange, StoreError};

/// Gets the result of a write once that is durable, or what it failed of.
pub(super) type Answer<T> = Box<dyn FnOnce(Result<T, StoreError>) + Send>;

type Applying<'a> = Pin<Box<dyn Future<Output = Result<(), StoreError>> + 'a>>;

/// A write that waits. Those of the first two kinds are run in one stroke, however many they are.
pub(super) enum Write {
    Certificate(Asked<New, CertificateRecorded>),
    Change(Box<Asked<Change, Option<StatusChange>>>),
    Other(Box<dyn Operation>),
}

/// Something that is asked for, what became of it, and who wants to know.
pub(super) struct Asked<W, T> {
    wanted: W,
    result: Option<T>,
    answer: Answer<T>,
}

impl<W, T> Asked<W, T> {
    pub(super) fn new(wanted: W, answer: Answer<T>) -> Self {
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

/// A verb of its own.
pub(super) trait Operation: Send {
    /// Runs it and keeps the result.
    fn apply<'a>(&'a mut self, db: &'a Db) -> Applying<'a>;
    /// Answers with the kept result, or with what it, or the whole batch, failed of.
    fn answer(self: Box<Self>, failure: Option<StoreError>);
}

impl<F, T> Operation for Asked<F, T>
where
    T: Send,
    F: AsyncFn(&Db) -> Result<T, StoreError> + Send,
{
    fn apply<'a>(&'a mut self, db: &'a Db) -> Applying<'a> {
        Box::pin(async move {
            self.result = Some((self.wanted)(db).await?);
            Ok(())
        })
    }

    fn answer(self: Box<Self>, failure: Option<StoreError>) {
        (*self).answer(failure);
    }
}

impl Write {
    pub(super) fn answer(self, failure: Option<StoreError>) {
        match self {
            Self::Certificate(asked) => asked.answer(failure),
            Self::Change(asked) => (*asked).answer(failure),
            Self::Other(operation) => operation.answer(failure),
        }
    }
}

/// A write and what it alone failed of.
pub(super) struct Member {
    pub(super) write: Write,
    pub(super) failure: Option<StoreError>,
}

impl Member {
    pub(super) fn new(write: Write) -> Self {
        Self {
            write,
            failure: None,
        }
    }
}

/// Runs a batch in a transaction that begins with `begin`. With `apart`, what a write fails of by its own fault is kept with it.
pub(super) async fn run(
    db: &Db,
    begin: &str,
    layout: Layout,
    batch: &mut [Member],
    apart: bool,
) -> Result<(), StoreError> {
    db.begin(begin).await?;
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

/// Runs a batch: new certificates first, then changes of them. All of it waits at the same time, so that nobody can tell in
/// which order it was asked for.
async fn apply(db: &Db, layout: Layout, batch: &mut [Member]) -> Result<(), StoreError> {
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
        let results = issue::record(db, layout, &wanted).await?;
        news.into_iter()
            .zip(results)
            .for_each(|(asked, result)| asked.result = Some(result));
    }
    if !changes.is_empty() {
        let wanted: Vec<_> = changes.iter().map(|asked| &asked.wanted).collect();
        let results = changes::make(db, layout, &wanted).await?;
        changes
            .into_iter()
            .zip(results)
            .for_each(|(asked, result)| asked.result = Some(result));
    }
    for operation in others {
        operation.apply(db).await?;
    }
    Ok(())
}
