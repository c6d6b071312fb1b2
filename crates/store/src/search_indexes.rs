//! The background job that indexes and counts the certificates of earlier versions.

use std::sync::Arc;

use async_trait::async_trait;

use crate::StoreError;
use crate::index_work::{Built, IndexStep, IndexWork, Inserting, Reading, Work};
use crate::store::{Engine, SqlStore, View};
use crate::traits::SearchIndexes;
use crate::verbs::backfill::{self, Target};
use crate::verbs::certificate_events;
use crate::verbs::indexing::Indexed;

/// The certificates that one read loads: a few milliseconds.
const READ_ROWS: i64 = 1_000;

/// The memory of a chunk: about 300,000 certificates, so that a page of a tree of ten million gets
/// several rows at a time.
const CHUNK_OCTETS_MAX: usize = 32 << 20;

/// The rows that one transaction inserts, in the order of a tree: other writes wait for a few
/// milliseconds.
const INSERT_ROWS: usize = 1_000;

/// The certificates that one transaction counts.
const COUNT_ROWS: i64 = 500;

/// The replaced certificates that one transaction counts.
const REPLACED_ROWS: u32 = 500;

/// The entries of an audit log that one transaction looks at.
const EVENT_ROWS: u32 = 1_000;

#[async_trait]
impl<E: Engine> SearchIndexes for SqlStore<E> {
    async fn is_indexed(&self) -> Result<bool, StoreError> {
        Ok(self.last_unfinished().await?.is_none()
            && !self.has_replaced().await?
            && !self.has_earlier_events().await?)
    }

    async fn index_next(&self, work: &mut IndexWork) -> Result<IndexStep, StoreError> {
        let taken = std::mem::take(&mut work.0);
        work.0 = match taken {
            Work::None => {
                let next = self.read(View::Statement, (), |db, ()| Box::pin(backfill::next(db)));
                match next.await? {
                    Some(stretch) => Work::Reading(Reading {
                        stretch,
                        rows: Vec::new(),
                        octets: 0,
                    }),
                    None => return self.count_next().await,
                }
            }
            Work::Reading(reading) => self.read_more(reading).await?,
            Work::Inserting(inserting) => self.insert_more(inserting).await?,
        };
        Ok(IndexStep::Worked)
    }

    #[cfg(feature = "conformance")]
    async fn forget_indexes(&self) -> Result<(), StoreError> {
        self.write((), |db, ()| {
            Box::pin(crate::conformance::forget_indexes(db))
        })
        .await
    }
}

#[expect(private_bounds, reason = "no other crate makes engines")]
impl<E: Engine> SqlStore<E> {
    async fn read_more(&self, mut reading: Reading) -> Result<Work, StoreError> {
        let stretch = reading.stretch;
        let read = self.read(View::Statement, stretch, |db, stretch| {
            Box::pin(backfill::read(db, *stretch, READ_ROWS))
        });
        let rows = read.await?;
        let octets = |row: &Indexed| size_of::<Indexed>() + row.name.as_str().len();
        reading.octets += rows.iter().map(octets).sum::<usize>();
        reading.rows.extend(rows);
        reading.stretch.end = backfill::first(stretch, READ_ROWS);
        let is_complete =
            reading.stretch.end <= crate::position::Position::first_of(stretch.zone).0;
        if !is_complete && reading.octets < CHUNK_OCTETS_MAX {
            return Ok(Work::Reading(reading));
        }
        Ok(Work::Inserting(Inserting {
            zone: stretch.zone,
            from: reading.stretch.end,
            rows: sorted(reading.rows, Target::ALL[0]).await?,
            target: 0,
            inserted: 0,
        }))
    }

    async fn insert_more(&self, mut inserting: Inserting) -> Result<Work, StoreError> {
        let target = Target::ALL[inserting.target];
        let end = (inserting.inserted + INSERT_ROWS).min(inserting.rows.len());
        let piece = (target, inserting.rows.clone(), inserting.inserted..end);
        self.write(piece, |db, (target, rows, piece)| {
            Box::pin(target.insert(db, &rows[piece.clone()]))
        })
        .await?;
        inserting.inserted = end;
        if end < inserting.rows.len() {
            return Ok(Work::Inserting(inserting));
        }
        inserting.target += 1;
        inserting.inserted = 0;
        if let Some(target) = Target::ALL.get(inserting.target) {
            let rows = Arc::unwrap_or_clone(inserting.rows);
            inserting.rows = sorted(rows, *target).await?;
            return Ok(Work::Inserting(inserting));
        }
        let done = (inserting.zone, inserting.from);
        self.write(done, |db, (zone, from)| {
            Box::pin(backfill::indexed(db, *zone, *from))
        })
        .await?;
        Ok(Work::None)
    }

    /// The number of the last zone that is not finished; 0: indexes of the database itself.
    async fn last_unfinished(&self) -> Result<Option<i64>, StoreError> {
        let read = self.read(View::Statement, (), |db, ()| Box::pin(backfill::last(db)));
        read.await
    }

    async fn has_replaced(&self) -> Result<bool, StoreError> {
        let read = self.read(View::Statement, (), |db, ()| {
            Box::pin(backfill::has_replaced(db))
        });
        read.await
    }

    async fn has_earlier_events(&self) -> Result<bool, StoreError> {
        let read = self.read(View::Statement, (), |db, ()| {
            Box::pin(certificate_events::has_earlier(db))
        });
        read.await
    }

    /// Counts certificates, or builds an index of the database itself.
    async fn count_next(&self) -> Result<IndexStep, StoreError> {
        match self.last_unfinished().await? {
            None | Some(0) if self.has_replaced().await? => {
                let count = self.write((), |db, ()| {
                    Box::pin(backfill::count_replaced(db, REPLACED_ROWS))
                });
                return count.await.map(|()| IndexStep::Worked);
            }
            None if self.has_earlier_events().await? => {
                let index = self.write((), |db, ()| {
                    Box::pin(certificate_events::index_earlier(db, EVENT_ROWS))
                });
                return index.await.map(|()| IndexStep::Worked);
            }
            None => return Ok(IndexStep::Finished),
            Some(0) => {}
            Some(_) => {
                let count = self.write((), |db, ()| Box::pin(backfill::count(db, COUNT_ROWS)));
                return count.await.map(|()| IndexStep::Worked);
            }
        }
        Ok(match self.engine.build_index().await? {
            Built::One => IndexStep::Worked,
            Built::Elsewhere => IndexStep::Waits,
            Built::All => {
                self.write((), |db, ()| Box::pin(backfill::has_indexes(db)))
                    .await?;
                IndexStep::Worked
            }
        })
    }
}

/// Sorts a chunk on another thread.
async fn sorted(mut rows: Vec<Indexed>, target: Target) -> Result<Arc<Vec<Indexed>>, StoreError> {
    let sorting = tokio::task::spawn_blocking(move || {
        target.sort(&mut rows);
        Arc::new(rows)
    });
    let ended = |_| StoreError::Unavailable("the sorting did not finish".into());
    sorting.await.map_err(ended)
}
