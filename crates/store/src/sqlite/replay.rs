//! After a restore: what the journal knows and the database does not.

use certgate_model::{
    AccountId, AuditAction, AuditOwner, By, ResourceType, Status, Timestamp, ZoneId,
};
use rusqlite::{Connection, OptionalExtension};

use super::audit::{self, Deed};
use super::counters::{self, Layout, Position};
use super::journal::{Change, Skipped};
use super::revocations::{self, Listed};
use super::row;
use crate::StoreError;
use crate::audit::reason_text;

/// How many epochs are skipped, because nobody knows how many there were after the last one that is known: more than there can have been.
const GAP_EPOCHS: u64 = 1 << 32;

/// What was done after a restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Restored {
    /// The epoch of the backup.
    pub from_epoch: u64,
    /// The epoch of the last change that is known.
    pub to_epoch: u64,
    /// How many certificates are revoked again.
    pub revoked: u64,
    /// How many certificates are restored again.
    pub restored: u64,
    /// How many certificates are revoked that the backup does not have: they are in the lists, and not in the API.
    pub lost: u64,
    /// How many changes were of authorities that the backup does not have: without their keys nothing can be published.
    pub without_authority: u64,
    /// Whether the journal tells everything that came after the backup, as far as can be known. If not, whoever knows a later epoch
    /// than the backup's is told so.
    pub is_all: bool,
}

/// What the journal tells of the time after a backup.
pub(super) struct Told {
    /// The last change of each certificate, in the order of those changes.
    pub(super) changes: Vec<Change>,
    /// The epochs that were skipped by restores after it.
    pub(super) skipped: Vec<Skipped>,
    /// The epoch of the last one; that of the backup if there is none.
    pub(super) to_epoch: u64,
    /// Whether that is all.
    pub(super) is_all: bool,
}

impl Told {
    /// The epochs to skip now. A journal cannot prove that its end is the end: who knows a later epoch than it does is to be told, and
    /// if it does not tell all, so is everybody who knows more than the backup.
    pub(super) fn to_skip(&self, from_epoch: u64) -> Skipped {
        let after = if self.is_all {
            self.to_epoch
        } else {
            from_epoch
        };
        Skipped {
            after,
            until: self.to_epoch + GAP_EPOCHS,
            is_all: self.is_all,
        }
    }
}

/// Whether the database comes from a backup and nobody has seen to its epochs since.
pub(super) fn is_restored(connection: &Connection) -> Result<bool, StoreError> {
    Ok(
        connection.query_row("SELECT restored FROM store WHERE only = 1", (), |row| {
            row.get(0)
        })?,
    )
}

/// Notes that the database comes from a backup.
pub(super) fn mark_restored(connection: &Connection) -> Result<(), StoreError> {
    connection.execute("UPDATE store SET restored = 1 WHERE only = 1", ())?;
    Ok(())
}

/// Whether an epoch is one that was skipped.
pub(super) fn is_skipped(connection: &Connection, epoch: u64) -> Result<bool, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT until > ?1 FROM epoch_gaps WHERE after < ?1 ORDER BY after DESC LIMIT 1",
    )?;
    Ok(statement
        .query_row((row::offset(epoch),), |row| row.get(0))
        .optional()?
        .unwrap_or(false))
}

/// Does the changes again that came after the backup; they keep their epochs.
pub(super) fn replay(
    connection: &Connection,
    layout: Layout,
    told: &Told,
    at: Timestamp,
) -> Result<Restored, StoreError> {
    let from_epoch = revocations::last_epoch(connection)?;
    let mut done = Restored {
        from_epoch,
        to_epoch: told.to_epoch,
        ..Restored::default()
    };
    audit::note_restore(connection, from_epoch, at)?;
    for change in &told.changes {
        replay_one(connection, layout, change, at, &mut done)?;
    }
    // Lists may have been made since that have higher numbers and know more.
    connection.execute("UPDATE crl_states SET made_epoch = -1", ())?;
    let now = told.to_skip(from_epoch);
    // Where not all is known the new ones begin before the earlier ones.
    let before = if told.is_all { &told.skipped[..] } else { &[] };
    for skipped in before.iter().chain([&now]) {
        connection.execute(
            "INSERT INTO epoch_gaps (after, until, is_all) VALUES (?1, ?2, ?3)",
            (
                row::offset(skipped.after),
                row::offset(skipped.until),
                skipped.is_all,
            ),
        )?;
    }
    done.is_all = told.is_all;
    connection.execute(
        "UPDATE store SET last_epoch = ?1, restored = 0 WHERE only = 1",
        (row::offset(now.until),),
    )?;
    Ok(done)
}

fn replay_one(
    connection: &Connection,
    layout: Layout,
    change: &Change,
    at: Timestamp,
    done: &mut Restored,
) -> Result<(), StoreError> {
    let authority: Option<(i64, [u8; 16])> = connection
        .prepare_cached("SELECT number, account FROM authorities WHERE id = ?1")?
        .query_row((change.authority.as_bytes(),), |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let Some((authority, account)) = authority else {
        done.without_authority += 1;
        return Ok(());
    };
    let zone = replay_stored(connection, layout, authority, change)?;
    match (zone, change.revoked) {
        (Some(_), Some(_)) => done.revoked += 1,
        (Some(_), None) => done.restored += 1,
        (None, revoked) => {
            replay_lost(connection, authority, change)?;
            done.lost += u64::from(revoked.is_some());
        }
    }
    connection
        .prepare_cached(
            "UPDATE authorities SET last_epoch = max(last_epoch, ?1) WHERE number = ?2",
        )?
        .execute((row::offset(change.epoch), authority))?;
    log(connection, AccountId::from_bytes(account), zone, change, at)
}

/// Does a change of a certificate again that is in the database; its zone.
fn replay_stored(
    connection: &Connection,
    layout: Layout,
    authority: i64,
    change: &Change,
) -> Result<Option<ZoneId>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT position, status FROM certificates WHERE id = ?1 AND authority = ?2 AND serial = ?3",
    )?;
    let mut rows = statement.query((
        change.certificate.as_bytes(),
        authority,
        change.serial.as_bytes(),
    ))?;
    let Some(found) = rows.next()? else {
        return Ok(None);
    };
    let (position, before) = (Position(found.get(0)?), row::status(found, 1)?);
    // Whatever was in force, nobody has been told of it yet.
    let next = if change.revoked.is_some() {
        Status::PendingRevocation
    } else {
        Status::PendingReactivation
    };
    let epoch = row::offset(change.epoch);
    connection
        .prepare_cached(
            "UPDATE certificates SET status = ?1, epoch = ?2, revoked_on = ?3, reason = ?4 WHERE position = ?5",
        )?
        .execute((
            next.code(),
            epoch,
            change.revoked.map(|(at, _)| at.unix_microseconds()),
            change.revoked.map(|(_, reason)| reason.code()),
            position.0,
        ))?;
    if before != next {
        counters::shift(connection, layout, position, before, next)?;
    }
    revocations::change(connection, authority, position, &listed(change), epoch)?;
    let zone = connection
        .prepare_cached("SELECT id FROM zones WHERE number = ?1")?
        .query_row((position.zone(),), |row| row.get(0))?;
    Ok(Some(ZoneId::from_bytes(zone)))
}

/// Does a change of a certificate again that the backup does not have: it was issued afterwards.
fn replay_lost(connection: &Connection, authority: i64, change: &Change) -> Result<(), StoreError> {
    let known: Option<i64> = connection
        .prepare_cached("SELECT position FROM lost_certificates WHERE serial = ?1")?
        .query_row((change.serial.as_bytes(),), |row| row.get(0))
        .optional()?;
    let epoch = row::offset(change.epoch);
    if let Some(position) = known {
        let gone = Listed {
            revoked: None,
            ..listed(change)
        };
        revocations::change(connection, authority, Position(position), &gone, epoch)?;
        connection
            .prepare_cached("DELETE FROM lost_certificates WHERE position = ?1")?
            .execute((position,))?;
    }
    let Some((revoked_on, reason)) = change.revoked else {
        return Ok(());
    };
    connection
        .prepare_cached(
            "INSERT INTO lost_certificates (position, id, authority, serial, fingerprint_sha256, epoch, revoked_on, \
             reason, expires_on) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute((
            -epoch,
            change.certificate.as_bytes(),
            authority,
            change.serial.as_bytes(),
            &change.fingerprint_sha256,
            epoch,
            revoked_on.unix_microseconds(),
            reason.code(),
            change.expires_on.unix_microseconds(),
        ))?;
    revocations::change(
        connection,
        authority,
        Position(-epoch),
        &listed(change),
        epoch,
    )
}

fn listed(change: &Change) -> Listed {
    Listed {
        serial: change.serial,
        expires_on: change.expires_on,
        revoked: change.revoked,
    }
}

fn log(
    connection: &Connection,
    account: AccountId,
    zone: Option<ZoneId>,
    change: &Change,
    at: Timestamp,
) -> Result<(), StoreError> {
    let (action, reason) = match change.revoked {
        Some((_, reason)) => (AuditAction::Revoke, reason_text(reason)),
        None => (AuditAction::Reactivate, String::new()),
    };
    let detail = format!("{reason}epoch={} again after a restore", change.epoch);
    let certificate = change.certificate.as_bytes();
    let mut deed = Deed::new(action, ResourceType::ClientCertificate, certificate, detail)
        .of_certificate(change.fingerprint_sha256);
    deed.zone = zone;
    audit::record(
        connection,
        AuditOwner::Account(account),
        &By::system(at),
        deed,
    )
}
