//! The start after a restore: changes that the journal has and the database does not.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use certgate_model::{
    AccountId, AuditAction, AuditOwner, AuthorityId, By, CertificateState, ResourceType,
    RevocationReason, Timestamp, ZoneId,
};

use super::journal::JournalContent;
use super::journal_text::{JournaledChange, Numbers, Owner, Skipped};
use crate::audit::{AuditEvent, reason_text};
use crate::db::{Db, Row, values};
use crate::position::Position;
use crate::schema::{EPOCH_GAPS, LOST_CERTIFICATES};
use crate::verbs::account_epochs::{self, GAP_NUMBERS, Stretch};
use crate::verbs::audit;
use crate::verbs::counters::Shifts;
use crate::verbs::indexing::Uncounted;
use crate::verbs::revocations::{self, Aged, Listed};
use crate::verbs::tallies::{Counted, Standing, Tallies};
use crate::{StoreError, seal};

/// The result of a replay.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Restored {
    /// The epoch of the backup.
    pub from_epoch: u64,
    /// The epoch of the last change that is known.
    pub to_epoch: u64,
    /// The number of certificates that are revoked again.
    pub revoked: u64,
    /// The number of certificates that are restored again.
    pub restored: u64,
    /// The number of revoked certificates that the backup does not have: they are on the CRLs, and
    /// not in the API.
    pub lost: u64,
    /// The number of changes of CAs that the backup does not have: without their keys nothing can
    /// be published.
    pub without_authority: u64,
    /// True if the journal has every change after the backup, as far as can be known. If not, a
    /// client that knows a later epoch than the backup's is informed.
    pub is_all: bool,
    /// The epochs after the backup whose lines in the journal are corrupt.
    pub missing: Vec<RangeInclusive<u64>>,
}

/// Returns whether the database comes from a backup whose later changes were not replayed yet.
pub(super) async fn is_restored<D: Db>(db: &D) -> Result<bool, StoreError> {
    db.one(
        "SELECT restored FROM store WHERE \"only\" = 1",
        &[],
        |row| row.get(0),
    )
    .await
}

/// Marks the database as one that comes from a backup.
pub(super) async fn mark_restored<D: Db>(db: &D) -> Result<(), StoreError> {
    db.execute("UPDATE store SET restored = TRUE WHERE \"only\" = 1", &[])
        .await?;
    Ok(())
}

/// Replays the changes after the backup; they keep their epochs.
pub(super) async fn replay<D: Db>(
    db: &D,
    content: &JournalContent,
    at: Timestamp,
) -> Result<Restored, StoreError> {
    let from_epoch = revocations::last_epoch(db).await?;
    let mut done = Restored {
        from_epoch,
        to_epoch: content.to_epoch,
        is_all: content.is_all,
        missing: content.missing.clone(),
        ..Restored::default()
    };
    audit::record_restore(db, at).await?;
    let now = content.to_skip(from_epoch);
    // Where changes are missing, the new gap begins before the earlier ones.
    let before = if content.is_all {
        &content.skipped[..]
    } else {
        &[]
    };
    let gaps: Vec<_> = before
        .iter()
        .chain([&now])
        .flat_map(|gap| values![gap.after, gap.until, gap.is_all])
        .collect();
    seal::insert(db, &EPOCH_GAPS, &gaps).await?;
    replay_numbers(db, &content.numbers, before).await?;
    for change in &content.changes {
        replay_one(db, change, at, &mut done).await?;
    }
    // CRLs may have been made since that have higher numbers and later changes.
    db.execute("UPDATE crl_states SET made_epoch = -1", &[])
        .await?;
    // Certificates that were issued after the backup are lost: their CAs look unused.
    db.execute("UPDATE authorities SET has_signed = TRUE", &[])
        .await?;
    // Hostnames and CAs are those of the backup: followers must read them again.
    let until = i64::try_from(now.until).unwrap_or(i64::MAX);
    let update = "UPDATE accounts SET configuration_epoch = ?1, configuration_check = ?2";
    db.execute(update, &values![until, !until]).await?;
    // Each earlier restore has given out numbers.
    let unknown = content.skipped.len() - before.len();
    number_restore(db, until, unknown as i64 * GAP_NUMBERS).await?;
    let update = "UPDATE store SET last_epoch = ?1, restored = FALSE WHERE \"only\" = 1";
    db.execute(update, &values![now.until]).await?;
    Ok(done)
}

/// Gives the changes the numbers that accounts had for them, because clients know those.
/// `restores` are the gaps that earlier restores have left.
async fn replay_numbers<D: Db>(
    db: &D,
    numbers: &Numbers,
    restores: &[Skipped],
) -> Result<(), StoreError> {
    // Only backups of earlier versions lack such changes.
    let update = "UPDATE account_epochs SET until = ?1 WHERE epoch = 0 AND until < ?1 \
                  AND NOT EXISTS (SELECT 1 FROM account_epochs AS later \
                  WHERE later.account = account_epochs.account AND later.epoch > 0)";
    db.execute(update, &values![numbers.unnumbered]).await?;
    let mut restores: Vec<_> = restores.iter().map(|gap| gap.until).collect();
    restores.retain(|until| *until > numbers.unnumbered);
    let mut restores = restores.into_iter().peekable();
    let mut accounts = HashMap::<AuthorityId, Option<AccountId>>::new();
    for one in &numbers.stretches {
        while let Some(until) = restores.next_if(|until| *until < one.first) {
            number_restore(db, i64::try_from(until).unwrap_or(i64::MAX), 0).await?;
        }
        let account = match one.owner {
            Owner::Account(account) => Some(account),
            Owner::Authority(authority) => match accounts.get(&authority) {
                Some(known) => *known,
                None => {
                    let select = "SELECT account FROM authorities WHERE id = ?1";
                    let values = values![authority];
                    let found = db.optional(select, &values, |row| row.get(0)).await?;
                    accounts.insert(authority, found);
                    found
                }
            },
        };
        // The backup may lack the account, or a CA.
        let insert = "INSERT INTO account_epochs (account, epoch, until, number) \
                      SELECT id, ?2, ?3, ?4 FROM accounts WHERE id = ?1";
        if let Some(account) = account {
            let cells = values![account, one.first, one.last, one.number];
            db.execute(insert, &cells).await?;
        }
    }
    for until in restores {
        number_restore(db, i64::try_from(until).unwrap_or(i64::MAX), 0).await?;
    }
    Ok(())
}

/// Numbers the change of every account's hostnames and CAs that a restore is: the last epoch of
/// its gap. `left_out` numbers are left out before.
async fn number_restore<D: Db>(db: &D, epoch: i64, left_out: i64) -> Result<(), StoreError> {
    let accounts = db.rows("SELECT id FROM accounts", &[], |row| row.get(0));
    let stretches: Vec<_> = accounts
        .await?
        .into_iter()
        .map(|account| Stretch {
            account,
            first: epoch,
            last: epoch,
        })
        .collect();
    account_epochs::number(db, &stretches, left_out - 1).await?;
    Ok(())
}

async fn replay_one<D: Db>(
    db: &D,
    change: &JournaledChange,
    at: Timestamp,
    done: &mut Restored,
) -> Result<(), StoreError> {
    let select = "SELECT number, account FROM authorities WHERE id = ?1";
    let authority: Option<(i64, AccountId)> = db
        .optional(select, &values![change.authority], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .await?;
    let Some((authority, account)) = authority else {
        done.without_authority += 1;
        return Ok(());
    };
    let zone = replay_stored(db, authority, change).await?;
    match (zone, change.revoked) {
        (Some(_), Some(_)) => done.revoked += 1,
        (Some(_), None) => done.restored += 1,
        (None, revoked) => {
            replay_lost(db, authority, change).await?;
            done.lost += u64::from(revoked.is_some());
        }
    }
    let update = "UPDATE authorities SET last_epoch = ?1 WHERE number = ?2 AND last_epoch < ?1";
    db.execute(update, &values![change.epoch, authority])
        .await?;
    log(db, account, zone, change, at).await
}

/// Replays a change of a certificate that is in the database; returns its zone.
async fn replay_stored<D: Db>(
    db: &D,
    authority: i64,
    change: &JournaledChange,
) -> Result<Option<ZoneId>, StoreError> {
    let select = "SELECT certificates.position, statuses.status, statuses.revoked_on, \
                  certificates.expires_on, zones.id, indexing.counted_below, \
                  replacement_counting.below, EXISTS (SELECT 1 FROM replacements \
                  WHERE replacements.position = certificates.position) FROM certificates \
                  JOIN statuses ON statuses.position = certificates.position \
                  JOIN zones ON zones.number = certificates.position >> 36 \
                  LEFT JOIN indexing ON indexing.zone = zones.number \
                  LEFT JOIN replacement_counting ON replacement_counting.zone = zones.number \
                  WHERE certificates.id = ?1 AND certificates.authority = ?2 \
                  AND certificates.serial = ?3";
    let values = values![change.certificate, authority, &change.serial];
    let read = |row: &dyn Row| {
        let counted = Counted {
            position: Position(row.get(0)?),
            authority,
            expires_on: row.get(3)?,
        };
        let uncounted = Uncounted {
            below: row.get(5)?,
            replaced_below: row.get(6)?,
        };
        let standing = Standing {
            status: row.get(1)?,
            revoked_on: row.get(2)?,
            is_replaced: row.get(7)? && uncounted.has_replaced(counted.position),
        };
        let is_counted = uncounted.has(counted.position);
        Ok((counted, standing, row.get(4)?, is_counted))
    };
    let Some((counted, before, zone, is_counted)) = db.optional(select, &values, read).await?
    else {
        return Ok(None);
    };
    let position = counted.position;
    // No enforcement point or client has received the change from this database.
    let state = match change.revoked {
        Some((at, reason)) => CertificateState::revoked(reason, at),
        None => CertificateState::reactivated(),
    };
    let update = "UPDATE statuses SET status = ?1, epoch = ?2, revoked_on = ?3, reason = ?4 \
                  WHERE position = ?5";
    let cells = values![
        state.status.code(),
        change.epoch,
        state.revoked_on,
        state.revocation_reason.map(RevocationReason::code),
        position.0,
    ];
    db.execute(update, &cells).await?;
    let mut shifts = Shifts::default();
    let (from, to) = (before.status, state.status);
    shifts.shift(db.layout(), position, from, to, before.is_replaced);
    shifts.make(db).await?;
    if is_counted {
        let after = Standing {
            status: state.status,
            revoked_on: state.revoked_on,
            is_replaced: before.is_replaced,
        };
        let mut tallies = Tallies::default();
        tallies.change(counted, before, after);
        tallies.make(db).await?;
    }
    list(db, change, authority, position, change.revoked).await?;
    Ok(Some(zone))
}

/// Replays a change of a certificate that the backup does not have, because it was issued later.
async fn replay_lost<D: Db>(
    db: &D,
    authority: i64,
    change: &JournaledChange,
) -> Result<(), StoreError> {
    let select = "SELECT position FROM lost_certificates WHERE serial = ?1 AND authority = ?2";
    let known: Option<i64> = db
        .optional(select, &values![&change.serial, authority], |row| {
            row.get(0)
        })
        .await?;
    if let Some(position) = known {
        list(db, change, authority, Position(position), None).await?;
        let delete = "DELETE FROM lost_certificates WHERE position = ?1";
        db.execute(delete, &values![position]).await?;
    }
    let Some((revoked_on, reason)) = change.revoked else {
        return Ok(());
    };
    let position = Position(-i64::try_from(change.epoch).unwrap_or(i64::MAX));
    let cells = values![
        position.0,
        change.certificate,
        authority,
        &change.serial,
        &change.fingerprint_sha256,
        change.epoch,
        revoked_on,
        reason.code(),
        change.expires_on,
    ];
    seal::insert(db, &LOST_CERTIFICATES, &cells).await?;
    list(db, change, authority, position, change.revoked).await
}

/// Adds the certificate to its CA's CRLs or removes it, and marks the CRLs as old.
async fn list<D: Db>(
    db: &D,
    change: &JournaledChange,
    authority: i64,
    position: Position,
    revoked: Option<(Timestamp, RevocationReason)>,
) -> Result<(), StoreError> {
    let listed = Listed {
        authority,
        position,
        serial: change.serial,
        expires_on: change.expires_on,
        revoked,
    };
    revocations::list(db, &[listed]).await?;
    let mut aged = Aged::default();
    aged.add(
        authority,
        change.serial,
        i64::try_from(change.epoch).unwrap_or(i64::MAX),
    );
    aged.mark(db).await
}

async fn log<D: Db>(
    db: &D,
    account: AccountId,
    zone: Option<ZoneId>,
    change: &JournaledChange,
    at: Timestamp,
) -> Result<(), StoreError> {
    let (action, reason) = match change.revoked {
        Some((_, reason)) => (AuditAction::Revoke, reason_text(reason)),
        None => (AuditAction::Reactivate, String::new()),
    };
    let number = change.number.unwrap_or(change.epoch);
    let detail = format!("{reason}epoch={number} again after a restore");
    let certificate = change.certificate.as_bytes();
    let mut event = AuditEvent::new(action, ResourceType::ClientCertificate, certificate, detail)
        .of_certificate(change.fingerprint_sha256);
    event.zone = zone;
    audit::record(db, AuditOwner::Account(account), &By::system(at), event).await
}
