//! Settling: accepted changes become final once every CRL and enforcement point has them.

use certgate_model::{AuthorityId, Event, Status, Timestamp, Transition};
use futures_util::future::try_join;

use super::changes::expect_one_each;
use super::counters::Shifts;
use super::indexing::Uncounted;
use super::tallies::Tallies;
use super::{authorities, enforcement};
use crate::db::{Db, Row, values};
use crate::error::corrupt;
use crate::position::Position;
use crate::{Settled, StoreError};

/// A certificate to settle.
struct Pending {
    position: Position,
    status: Status,
    /// The number of its CA.
    authority: i64,
    /// True if the counters of CAs have it.
    is_counted: bool,
    /// True if it is counted as replaced.
    is_replaced: bool,
}

/// Settles certificates, CA by CA and the earliest change first: up to `epoch`, or up to the last
/// change that every live enforcement point knows. The CAs `except` are left out. Certificates that
/// have to wait are not read, however many there are.
pub(crate) async fn settle<D: Db>(
    db: &D,
    epoch: u64,
    at: Timestamp,
    except: &[AuthorityId],
    limit: u32,
) -> Result<Settled, StoreError> {
    let mut numbers = Vec::new();
    for authority in except {
        numbers.extend(authorities::number(db, *authority).await?);
    }
    let mut pending = Vec::new();
    let mut before = -1;
    while let Some(authority) = next_with_pending(db, before).await? {
        before = authority;
        let left = (limit as usize).saturating_sub(pending.len());
        if left == 0 {
            break;
        }
        if numbers.contains(&authority) {
            continue;
        }
        let known = enforcement::known_to_all(db, authority, at).await?;
        let up_to = known.map_or(epoch, |known| known.min(epoch));
        // 36 is `SEQUENCE_BITS`. Certificates of earlier versions may not be counted yet. For an
        // EXISTS, PostgreSQL would read all replacements.
        let select = "SELECT position, status, \
                      (SELECT counted_below FROM indexing WHERE zone = statuses.position >> 36), \
                      (SELECT below FROM replacement_counting \
                      WHERE zone = statuses.position >> 36), \
                      (SELECT replacements.position FROM replacements \
                      WHERE replacements.position = statuses.position) \
                      FROM statuses INDEXED BY statuses_pending \
                      WHERE status IN (1, 2) AND authority = ?1 AND epoch <= ?2 \
                      ORDER BY epoch LIMIT ?3";
        let read = |row: &dyn Row| {
            let position = Position(row.get(0)?);
            let uncounted = Uncounted {
                below: row.get(2)?,
                replaced_below: row.get(3)?,
            };
            Ok(Pending {
                position,
                status: row.get(1)?,
                authority,
                is_counted: uncounted.has(position),
                is_replaced: row.get::<Option<i64>>(4)?.is_some()
                    && uncounted.has_replaced(position),
            })
        };
        pending.extend(
            db.rows(select, &values![authority, up_to, left as u64], read)
                .await?,
        );
    }
    let (mut settled, mut shifts) = (Settled::default(), Shifts::default());
    let mut tallies = Tallies::default();
    let mut cells = Vec::with_capacity(pending.len());
    for pending in &pending {
        let Pending {
            position, status, ..
        } = pending;
        let next = match status.on(Event::Settle) {
            Transition::To(next @ Status::Revoked) => {
                settled.revoked += 1;
                next
            }
            Transition::To(next @ Status::Active) => {
                settled.reactivated += 1;
                next
            }
            _ => {
                return Err(corrupt(
                    "a certificate that is not pending is in the index of the pending ones",
                ));
            }
        };
        cells.push(values![next.code(), position.0, status.code(), at].to_vec());
        shifts.shift(db.layout(), *position, *status, next, pending.is_replaced);
        if pending.is_counted {
            tallies.settle(*position, pending.authority, *status, next);
        }
    }
    // Settling accepts nothing new, so the epoch stays that of the change.
    let update = "UPDATE statuses SET status = ?1, settled_on = ?4 \
                  WHERE position = ?2 AND status = ?3";
    let counters = try_join(shifts.make(db), tallies.make(db));
    let (updated, _) = try_join(db.execute_each(update, &cells), counters).await?;
    expect_one_each(updated, pending.iter().map(|one| one.position))?;
    Ok(settled)
}

/// Returns the first CA after number `before` that has a pending certificate.
async fn next_with_pending<D: Db>(db: &D, before: i64) -> Result<Option<i64>, StoreError> {
    let select = "SELECT authority FROM statuses INDEXED BY statuses_pending \
                  WHERE status IN (1, 2) AND authority > ?1 ORDER BY authority LIMIT 1";
    db.optional(select, &values![before], |row| row.get(0))
        .await
}
