//! Settling: what was accepted comes into force.

use certgate_model::{AuthorityId, Event, Status, Timestamp, Transition};
use futures_util::future::{try_join, try_join_all};

use super::counters::{Layout, Position, Shifts};
use super::db::Db;
use super::error::corrupt;
use super::value::values;
use super::{authorities, enforcement_points, row};
use crate::{Settled, StoreError};

/// Settles certificates, authority by authority those whose last change was accepted first: up to that of `epoch`, or the
/// last one that every enforcement point knows that is waited for. None of the authorities `except`. What has to wait is not
/// read, however much it is.
pub(super) async fn settle(
    db: &Db,
    layout: Layout,
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
        let known = enforcement_points::known_to_all(db, authority, at).await?;
        let up_to = row::offset(known.map_or(epoch, |known| known.min(epoch)));
        let select = "SELECT position, status FROM certificates \
             WHERE status IN (1, 2) AND authority = $1 AND epoch <= $2 ORDER BY epoch LIMIT $3";
        for row in db
            .rows(select, values![authority, up_to, row::offset(left as u64)])
            .await?
        {
            pending.push((Position(row.get(0)?), row::status(&row, 1)?));
        }
    }
    let (mut settled, mut shifts) = (Settled::default(), Shifts::default());
    let mut updates = Vec::with_capacity(pending.len());
    for (position, status) in pending {
        let Transition::To(next) = status.on(Event::Settle) else {
            return Err(corrupt(
                "a certificate that is not pending is in the index of the pending ones",
            ));
        };
        updates.push(set_settled(db, position, status, next));
        shifts.shift(layout, position, status, next);
        match next {
            Status::Revoked => settled.revoked += 1,
            Status::Active => settled.reactivated += 1,
            Status::PendingReactivation | Status::PendingRevocation => {
                return Err(corrupt("settling led to a status that is pending"));
            }
        }
    }
    try_join(try_join_all(updates), shifts.make(db)).await?;
    Ok(settled)
}

/// The first authority after number `before` of which a certificate is pending.
async fn next_with_pending(db: &Db, before: i64) -> Result<Option<i64>, StoreError> {
    let select = "SELECT authority FROM certificates \
         WHERE status IN (1, 2) AND authority > $1 ORDER BY authority LIMIT 1";
    db.optional(select, values![before])
        .await?
        .map(|row| row.get(0))
        .transpose()
}

/// Settling accepts nothing new, so the epoch stays that of the change which is now in force.
async fn set_settled(
    db: &Db,
    position: Position,
    from: Status,
    to: Status,
) -> Result<(), StoreError> {
    let update = "UPDATE certificates SET status = $1 WHERE position = $2 AND status = $3";
    expect_one(
        db.execute(update, values![to.code(), position.0, from.code()])
            .await?,
        position,
    )
}

/// Compare-and-set on a row read in the same transaction: nobody else can have changed it.
pub(super) fn expect_one(changed: u64, position: Position) -> Result<(), StoreError> {
    match changed {
        1 => Ok(()),
        _ => Err(corrupt(format!(
            "the certificate at {} is indexed in another status than it has",
            position.0
        ))),
    }
}
