//! The connections that read: a few, shared, each used by one read at a time.

use std::borrow::Cow;
use std::time::Duration;

use deadpool::managed::Pool;
use futures_util::FutureExt;
use futures_util::future::join;
use tokio::time::{Instant, timeout_at};

use super::db::PostgresDb;
use super::error::{NO_ANSWER, from_pool};
use super::hosts::Hosts;
use crate::StoreError;
use crate::position::Layout;
use crate::store::View;
use crate::writes::Verb;

/// The most attempts of a read: the first read after a restart of the server notices that an
/// idle connection has ended.
const READS_MAX: u32 = 3;
/// The longest time of a read with its attempts. It takes milliseconds.
const READ_TIMEOUT: Duration = Duration::from_secs(8);

const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// Settings of a search. A plan is made once for every zone, CA and name, and the number of entries
/// is unknown: of a zone that is much larger than others, or before a vacuum, PostgreSQL would read
/// and sort all entries to return the first ones. They cost no round trip.
pub(crate) const SEARCH_SETTINGS: &str = "SET LOCAL enable_bitmapscan = off; \
                                          SET LOCAL enable_seqscan = off; \
                                          SET LOCAL enable_sort = off; SET LOCAL jit = off";

/// The pool.
pub(super) struct Readers {
    pool: Pool<Hosts>,
    layout: Layout,
}

impl Readers {
    pub(super) fn new(pool: Pool<Hosts>, layout: Layout) -> Self {
        Self { pool, layout }
    }

    /// Runs a reading verb; again, if a connection ended or went silent in the middle.
    pub(super) async fn read<A, T>(
        &self,
        view: View,
        args: A,
        verb: Verb<PostgresDb, A, T>,
    ) -> Result<T, StoreError> {
        let mut reads = 1;
        let deadline = Instant::now() + READ_TIMEOUT;
        loop {
            let object = timeout_at(deadline, self.pool.get()).await;
            let object = object.map_err(|_| StoreError::Unavailable(NO_ANSWER.into()))?;
            let object = object.map_err(from_pool)?;
            let mut db = PostgresDb::shared(object, self.layout);
            db.set_deadline(deadline);
            let (read, is_passing, is_silent) = match view {
                View::Statement => {
                    let read = verb(&db, &args).await;
                    (read, db.is_passing(), db.is_silent())
                }
                View::Snapshot | View::Search => {
                    let begin = match view {
                        View::Search => Cow::Owned(format!("{BEGIN}; {SEARCH_SETTINGS}")),
                        _ => Cow::Borrowed(BEGIN),
                    };
                    let snapshot = Snapshot {
                        db,
                        is_ended: false,
                    };
                    // The read does not wait for the answer to BEGIN: the statements follow each
                    // other on the wire.
                    let (begun, read) =
                        join(snapshot.db.begin_with(&begin), verb(&snapshot.db, &args)).await;
                    let is_passing = snapshot.db.is_passing();
                    let is_silent = snapshot.db.is_silent();
                    (snapshot.end(begun.and(read)), is_passing, is_silent)
                }
            };
            if is_silent {
                // A firewall that has forgotten one connection has forgotten all idle ones.
                self.pool.retain(|_, _| false);
            }
            let may_repeat = reads < READS_MAX && Instant::now() < deadline;
            match read {
                Err(_) if (is_passing || is_silent) && may_repeat => reads += 1,
                read => return read,
            }
        }
    }

    /// Refuses later reads and closes idle connections. Running reads end by themselves.
    pub(super) fn close(&self) {
        self.pool.close();
    }
}

/// A read transaction.
struct Snapshot {
    db: PostgresDb,
    is_ended: bool,
}

impl Snapshot {
    /// Ends the transaction and passes on the result. The answer to ROLLBACK is not awaited: the
    /// next user of the connection comes after it on the wire.
    fn end<T>(mut self, read: Result<T, StoreError>) -> Result<T, StoreError> {
        let rolled_back = self.db.go_back("ROLLBACK").now_or_never();
        self.is_ended = !self.db.is_lost() && !matches!(rolled_back, Some(Err(_)));
        read
    }
}

/// The caller stopped waiting during the read, so the connection is still in the transaction.
impl Drop for Snapshot {
    fn drop(&mut self) {
        if !self.is_ended {
            self.db.abandon();
        }
    }
}
