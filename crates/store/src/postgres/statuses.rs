//! What changes certificates: events, and settling.

use certgate_model::{
    AccountId, AuditAction, AuditOwner, AuthorityId, By, CertificateId, CertificateRecord, Event,
    ResourceType, RevocationReason, Status, Timestamp, Transition, ZoneId,
};

use super::audit::{self, Deed};
use super::counters::{self, Layout, Position};
use super::db::Db;
use super::error::corrupt;
use super::value::values;
use super::{authorities, certificates, enforcement_points, revocations, row};
use crate::audit::reason_text;
use crate::{Settled, StatusChange, StoreError};

/// Appends an entry about a certificate to the log of its account.
async fn log(
    db: &Db,
    account: AccountId,
    action: AuditAction,
    certificate: &CertificateRecord,
    detail: String,
    by: &By,
) -> Result<(), StoreError> {
    let deed = Deed::new(action, ResourceType::ClientCertificate, certificate.id.as_bytes(), detail)
        .in_zone(certificate.zone)
        .of_certificate(certificate.fingerprint_sha256);
    audit::record(db, AuditOwner::Account(account), by, deed).await
}

/// Applies an event to a certificate's status.
pub(super) async fn change(
    db: &Db,
    layout: Layout,
    zone: ZoneId,
    id: CertificateId,
    event: Event,
    by: &By,
) -> Result<Option<StatusChange>, StoreError> {
    let Some((position, mut record)) = certificates::find(db, zone, id).await? else { return Ok(None) };
    let before = record.status;
    let next = match record.on(event) {
        Transition::To(next) => next,
        Transition::Unchanged => return Ok(Some(StatusChange::Unchanged(record))),
        Transition::Refused => return Ok(Some(StatusChange::Refused)),
    };
    record.status = next;
    match event {
        Event::Revoke(reason) => {
            record.revoked_on = Some(by.at);
            record.revocation_reason = Some(reason);
        }
        Event::Reactivate => {
            record.revoked_on = None;
            record.revocation_reason = None;
        }
        Event::Settle => {}
    }
    match event {
        Event::Settle => set_settled(db, position, before, next).await?,
        Event::Revoke(_) | Event::Reactivate => {
            let (authority, account) = existing_authority(db, record.authority.id).await?;
            let epoch = next_epoch(db, authority).await?;
            let changed = db
                .execute(
                    "UPDATE certificates SET status = $1, epoch = $2, revoked_on = $3, reason = $4 \
                     WHERE position = $5 AND status = $6",
                    values![
                        next.code(),
                        epoch,
                        record.revoked_on.map(Timestamp::unix_microseconds),
                        record.revocation_reason.map(RevocationReason::code),
                        position.0,
                        before.code(),
                    ],
                )
                .await?;
            expect_one(changed, position)?;
            revocations::change(db, authority, position, &record, epoch).await?;
            let (action, reason) = match event {
                Event::Revoke(reason) => (AuditAction::Revoke, reason_text(reason)),
                _ => (AuditAction::Reactivate, String::new()),
            };
            log(db, account, action, &record, format!("{reason}epoch={epoch}"), by).await?;
        }
    }
    counters::shift(db, layout, position, before, next).await?;
    Ok(Some(StatusChange::Changed(record)))
}

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
        for row in db.rows(select, values![authority, up_to, row::offset(left as u64)]).await? {
            pending.push((Position(row.get(0)?), row::status(&row, 1)?));
        }
    }
    let mut settled = Settled::default();
    for (position, status) in pending {
        let Transition::To(next) = status.on(Event::Settle) else {
            return Err(corrupt("a certificate that is not pending is in the index of the pending ones"));
        };
        set_settled(db, position, status, next).await?;
        counters::shift(db, layout, position, status, next).await?;
        match next {
            Status::Revoked => settled.revoked += 1,
            Status::Active => settled.reactivated += 1,
            Status::PendingReactivation | Status::PendingRevocation => {
                return Err(corrupt("settling led to a status that is pending"));
            }
        }
    }
    Ok(settled)
}

/// The first authority after number `before` of which a certificate is pending.
async fn next_with_pending(db: &Db, before: i64) -> Result<Option<i64>, StoreError> {
    let select = "SELECT authority FROM certificates \
         WHERE status IN (1, 2) AND authority > $1 ORDER BY authority LIMIT 1";
    db.optional(select, values![before]).await?.map(|row| row.get(0)).transpose()
}

/// Settling accepts nothing new, so the epoch stays that of the change which is now in force.
async fn set_settled(db: &Db, position: Position, from: Status, to: Status) -> Result<(), StoreError> {
    let update = "UPDATE certificates SET status = $1 WHERE position = $2 AND status = $3";
    expect_one(db.execute(update, values![to.code(), position.0, from.code()]).await?, position)
}

/// Compare-and-set on a row read in the same transaction: nobody else can have changed it.
fn expect_one(changed: u64, position: Position) -> Result<(), StoreError> {
    match changed {
        1 => Ok(()),
        _ => Err(corrupt(format!(
            "the certificate at {} is indexed in another status than it has",
            position.0
        ))),
    }
}

/// The number of the next accepted change of a status, in the order of commits; the last one of the certificate's
/// authority too.
pub(super) async fn next_epoch(db: &Db, authority: i64) -> Result<i64, StoreError> {
    let next = "UPDATE store SET last_epoch = last_epoch + 1 WHERE \"only\" = 1 RETURNING last_epoch";
    let epoch: i64 = db.one(next, values![]).await?.get(0)?;
    let update = "UPDATE authorities SET last_epoch = $1 WHERE number = $2";
    db.execute(update, values![epoch, authority]).await?;
    Ok(epoch)
}

async fn existing_authority(db: &Db, id: AuthorityId) -> Result<(i64, AccountId), StoreError> {
    let select = "SELECT number, account FROM authorities WHERE id = $1";
    let row = db.optional(select, values![id.as_bytes()]).await?;
    let row = row.ok_or_else(|| StoreError::Conflict("the certificate's authority is not stored".into()))?;
    Ok((row.get(0)?, AccountId::from_bytes(row.get(1)?)))
}
