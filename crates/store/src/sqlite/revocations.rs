//! Revocations and the lists that are published of them.

use certgate_model::{
    AuthorityId, CRL_SHARDS, CertificateId, CertificateRecord, CrlKind, CrlRecord, Revocation,
    RevocationReason, SerialNumber, Status, Timestamp,
};
use rusqlite::{Connection, OptionalExtension, Row, Rows};

use super::certificates::authority_number;
use super::counters::Position;
use super::error::corrupt;
use super::row;
use crate::{CrlContent, CrlState, Issued, StoreError};

/// What the lists of an authority have to know of a certificate.
pub(super) struct Listed {
    pub(super) serial: SerialNumber,
    pub(super) expires_on: Timestamp,
    /// When and why it was revoked, if it is.
    pub(super) revoked: Option<(Timestamp, RevocationReason)>,
}

impl From<&CertificateRecord> for Listed {
    fn from(certificate: &CertificateRecord) -> Self {
        let CertificateRecord {
            serial,
            expires_on,
            revoked_on,
            revocation_reason,
            ..
        } = *certificate;
        Self {
            serial,
            expires_on,
            revoked: revoked_on.zip(revocation_reason),
        }
    }
}

/// Puts a certificate on its authority's lists or takes it off, and marks those lists as old.
pub(super) fn change(
    connection: &Connection,
    authority: i64,
    position: Position,
    certificate: &Listed,
    epoch: i64,
) -> Result<(), StoreError> {
    let shard = certificate.serial.shard();
    match certificate.revoked {
        Some((revoked_on, reason)) => {
            connection
                .prepare_cached(
                    "INSERT INTO revocations (authority, shard, position, serial, revoked_on, reason, expires_on) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
                     ON CONFLICT (authority, shard, expires_on, position) DO UPDATE \
                     SET revoked_on = excluded.revoked_on, reason = excluded.reason",
                )?
                .execute((
                    authority,
                    shard,
                    position.0,
                    certificate.serial.as_bytes(),
                    revoked_on.unix_microseconds(),
                    reason.code(),
                    certificate.expires_on.unix_microseconds(),
                ))?;
        }
        None => {
            connection
                .prepare_cached(
                    "DELETE FROM revocations \
                     WHERE authority = ?1 AND shard = ?2 AND expires_on = ?3 AND position = ?4",
                )?
                .execute((
                    authority,
                    shard,
                    certificate.expires_on.unix_microseconds(),
                    position.0,
                ))?;
        }
    }
    let mut mark = connection.prepare_cached(
        "UPDATE crl_states SET changed_epoch = ?1 WHERE authority = ?2 AND part = ?3 AND changed_epoch < ?1",
    )?;
    for part in [CrlKind::Shard(shard), CrlKind::Full] {
        mark.execute((epoch, authority, part.code()))?;
    }
    Ok(())
}

/// Makes the lists of a new authority wanted.
pub(super) fn begin_lists(
    connection: &Connection,
    authority: AuthorityId,
) -> Result<(), StoreError> {
    let number = authority_number(connection, authority)?
        .ok_or_else(|| corrupt("an authority that was just stored is missing"))?;
    let mut insert = connection.prepare_cached(
        "INSERT INTO crl_states (authority, part, changed_epoch, made_epoch, number, this_update, next_update, \
         renew_on) VALUES (?1, ?2, 0, -1, 0, 0, 0, 0)",
    )?;
    for part in CrlKind::all() {
        insert.execute((number, part.code()))?;
    }
    Ok(())
}

/// What became of a certificate, by its serial number and the id that it leads to.
pub(super) fn issued(
    connection: &Connection,
    authority: AuthorityId,
    serial: SerialNumber,
    id: CertificateId,
) -> Result<Option<Issued>, StoreError> {
    let Some(number) = authority_number(connection, authority)? else {
        return Ok(None);
    };
    if let Some(issued) = issued_as(connection, number, serial, id)? {
        return Ok(Some(issued));
    }
    let early: Option<[u8; 16]> = connection
        .prepare_cached("SELECT id FROM early_serials WHERE serial = ?1")?
        .query_row((serial.as_bytes(),), |row| row.get(0))
        .optional()?;
    match early {
        Some(id) => issued_as(connection, number, serial, CertificateId::from_bytes(id)),
        None => lost(connection, number, serial),
    }
}

/// One that only the journal knew after a restore.
fn lost(
    connection: &Connection,
    authority: i64,
    serial: SerialNumber,
) -> Result<Option<Issued>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT epoch, revoked_on, reason FROM lost_certificates WHERE serial = ?1 AND authority = ?2",
    )?;
    let mut rows = statement.query((serial.as_bytes(), authority))?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let revocation = Revocation {
        serial,
        revoked_on: row::timestamp(row, 1)?,
        reason: row::reason(row, 2)?,
    };
    Ok(Some(Issued {
        status: Status::Revoked,
        epoch: row::unsigned(row, 0)?,
        revocation: Some(revocation),
    }))
}

fn issued_as(
    connection: &Connection,
    authority: i64,
    serial: SerialNumber,
    id: CertificateId,
) -> Result<Option<Issued>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT status, epoch, revoked_on, reason FROM certificates WHERE id = ?1 AND authority = ?2 AND serial = ?3",
    )?;
    let mut rows = statement.query((id.as_bytes(), authority, serial.as_bytes()))?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let status = row::status(row, 0)?;
    let revocation = match status {
        Status::Active | Status::PendingReactivation => None,
        Status::PendingRevocation | Status::Revoked => Some(Revocation {
            serial,
            revoked_on: row::timestamp(row, 2)?,
            reason: row::reason(row, 3)?,
        }),
    };
    let epoch = row.get::<_, Option<i64>>(1)?.unwrap_or(0).unsigned_abs();
    Ok(Some(Issued {
        status,
        epoch,
        revocation,
    }))
}

/// The epoch of the last change.
pub(super) fn last_epoch(connection: &Connection) -> Result<u64, StoreError> {
    let mut statement = connection.prepare_cached("SELECT last_epoch FROM store WHERE only = 1")?;
    let mut rows = statement.query(())?;
    let row = rows
        .next()?
        .ok_or_else(|| corrupt("the store has no epoch"))?;
    row::unsigned(row, 0)
}

/// The lists that a change has made old.
pub(super) fn changed(connection: &Connection) -> Result<Vec<(AuthorityId, CrlKind)>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT authorities.id, part FROM crl_states JOIN authorities ON authorities.number = authority \
         WHERE changed_epoch > made_epoch",
    )?;
    parts(statement.query(())?)
}

/// The lists that are to be made again by `at`, or not until after `latest`.
pub(super) fn aged(
    connection: &Connection,
    at: Timestamp,
    latest: Timestamp,
    limit: u32,
) -> Result<Vec<(AuthorityId, CrlKind)>, StoreError> {
    // Both ends of one index.
    let mut statement = connection.prepare_cached(
        "SELECT authorities.id, part FROM crl_states JOIN authorities ON authorities.number = authority \
         WHERE renew_on <= ?1 OR renew_on > ?2 LIMIT ?3",
    )?;
    parts(statement.query((at.unix_microseconds(), latest.unix_microseconds(), limit))?)
}

fn parts(mut rows: Rows<'_>) -> Result<Vec<(AuthorityId, CrlKind)>, StoreError> {
    let mut parts = Vec::new();
    while let Some(row) = rows.next()? {
        let part = row.get(1)?;
        let part = CrlKind::from_code(part)
            .ok_or_else(|| corrupt(format!("no list has the number {part}")))?;
        parts.push((AuthorityId::from_bytes(row.get(0)?), part));
    }
    Ok(parts)
}

/// What has to be on a list. Certificates that had expired when the list before was made have been on one since
/// (RFC 5280 §3.3), and are left out; one from the future says nothing about that.
pub(super) fn content(
    connection: &Connection,
    authority: AuthorityId,
    part: CrlKind,
    at: Timestamp,
    limit: u32,
) -> Result<Option<CrlContent>, StoreError> {
    let Some(number) = authority_number(connection, authority)? else {
        return Ok(None);
    };
    let state: Option<(i64, i64)> = connection
        .prepare_cached(
            "SELECT number, this_update FROM crl_states WHERE authority = ?1 AND part = ?2",
        )?
        .query_row((number, part.code()), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((number_before, before)) = state else {
        return Ok(None);
    };
    let live_from = before.min(at.unix_microseconds());
    let shards = match part {
        CrlKind::Shard(shard) => shard..shard + 1,
        CrlKind::Full => 0..CRL_SHARDS,
        CrlKind::AuthorityCertificates => 0..0,
    };
    let mut statement = connection.prepare_cached(
        "SELECT serial, revoked_on, reason FROM revocations \
         WHERE authority = ?1 AND shard = ?2 AND expires_on >= ?3 ORDER BY expires_on, position LIMIT ?4",
    )?;
    let mut revocations = Vec::new();
    let most = limit as usize + 1;
    for shard in shards {
        let left = row::offset((most - revocations.len()) as u64);
        let mut rows = statement.query((number, shard, live_from, left))?;
        while let Some(row) = rows.next()? {
            revocations.push(Revocation {
                serial: SerialNumber::from_bytes(row.get(0)?),
                revoked_on: row::timestamp(row, 1)?,
                reason: row::reason(row, 2)?,
            });
        }
        if revocations.len() == most {
            break;
        }
    }
    let epoch = last_epoch(connection)?;
    Ok(Some(CrlContent {
        epoch,
        number_before: number_before.unsigned_abs(),
        revocations,
    }))
}

/// Stores a list, unless one with a number as high is there.
pub(super) fn record(
    connection: &Connection,
    crl: &CrlRecord,
    renew_on: Timestamp,
) -> Result<bool, StoreError> {
    let Some(authority) = authority_number(connection, crl.authority)? else {
        return Ok(false);
    };
    let part = crl.kind.code();
    let stored = connection
        .prepare_cached(
            "UPDATE crl_states SET made_epoch = ?1, number = ?2, this_update = ?3, next_update = ?4, renew_on = ?5 \
             WHERE authority = ?6 AND part = ?7 AND number < ?2 AND made_epoch <= ?1",
        )?
        .execute((
            row::offset(crl.epoch),
            row::offset(crl.number),
            crl.this_update.unix_microseconds(),
            crl.next_update.unix_microseconds(),
            renew_on.unix_microseconds(),
            authority,
            part,
        ))?;
    if stored == 0 {
        return Ok(false);
    }
    match &crl.der {
        Some(der) => connection
            .prepare_cached(
                "INSERT INTO crls (authority, part, der) VALUES (?1, ?2, ?3) \
                 ON CONFLICT (authority, part) DO UPDATE SET der = excluded.der",
            )?
            .execute((authority, part, der))?,
        None => connection
            .prepare_cached("DELETE FROM crls WHERE authority = ?1 AND part = ?2")?
            .execute((authority, part))?,
    };
    Ok(true)
}

macro_rules! states {
    () => {
        "SELECT crl_states.part, number, this_update, next_update, crls.part IS NOT NULL FROM crl_states \
         LEFT JOIN crls ON crls.authority = crl_states.authority AND crls.part = crl_states.part \
         WHERE crl_states.authority = ?1 AND made_epoch >= 0"
    };
}

/// The lists of an authority that were published.
pub(super) fn states(
    connection: &Connection,
    authority: AuthorityId,
) -> Result<Vec<CrlState>, StoreError> {
    let Some(authority) = authority_number(connection, authority)? else {
        return Ok(Vec::new());
    };
    let mut statement =
        connection.prepare_cached(concat!(states!(), " ORDER BY crl_states.part"))?;
    let mut rows = statement.query((authority,))?;
    let mut states = Vec::new();
    while let Some(row) = rows.next()? {
        states.push(state_row(row)?);
    }
    Ok(states)
}

/// One of them.
pub(super) fn state(
    connection: &Connection,
    authority: AuthorityId,
    part: CrlKind,
) -> Result<Option<CrlState>, StoreError> {
    let Some(authority) = authority_number(connection, authority)? else {
        return Ok(None);
    };
    let mut statement =
        connection.prepare_cached(concat!(states!(), " AND crl_states.part = ?2"))?;
    let mut rows = statement.query((authority, part.code()))?;
    rows.next()?.map(state_row).transpose()
}

fn state_row(row: &Row<'_>) -> Result<CrlState, StoreError> {
    Ok(CrlState {
        kind: part(row, 0)?,
        number: row::unsigned(row, 1)?,
        this_update: row::timestamp(row, 2)?,
        next_update: row::timestamp(row, 3)?,
        is_made: row.get(4)?,
    })
}

fn part(row: &Row<'_>, column: usize) -> Result<CrlKind, StoreError> {
    let code = row.get(column)?;
    CrlKind::from_code(code).ok_or_else(|| corrupt(format!("no list has the number {code}")))
}

/// A list as it was published last.
pub(super) fn crl(
    connection: &Connection,
    authority: AuthorityId,
    part: CrlKind,
) -> Result<Option<CrlRecord>, StoreError> {
    let Some(number) = authority_number(connection, authority)? else {
        return Ok(None);
    };
    let mut statement = connection.prepare_cached(
        "SELECT crl_states.number, made_epoch, this_update, next_update, der FROM crl_states \
         LEFT JOIN crls ON crls.authority = crl_states.authority AND crls.part = crl_states.part \
         WHERE crl_states.authority = ?1 AND crl_states.part = ?2 AND made_epoch >= 0",
    )?;
    let mut rows = statement.query((number, part.code()))?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    Ok(Some(CrlRecord {
        authority,
        kind: part,
        number: row::unsigned(row, 0)?,
        epoch: row::unsigned(row, 1)?,
        this_update: row::timestamp(row, 2)?,
        next_update: row::timestamp(row, 3)?,
        der: row.get(4)?,
    }))
}

/// Makes a sealed key that of serial numbers, unless there is one; the one in force.
pub(super) fn record_serial_key(
    connection: &Connection,
    sealed: &[u8],
) -> Result<Option<Vec<u8>>, StoreError> {
    let current: Option<Option<Vec<u8>>> = connection
        .prepare_cached("SELECT sealed_serial_key FROM installation WHERE only = 1")?
        .query_row((), |row| row.get(0))
        .optional()?;
    match current {
        None => Ok(None),
        Some(Some(current)) => Ok(Some(current)),
        Some(None) => {
            connection
                .prepare_cached("UPDATE installation SET sealed_serial_key = ?1 WHERE only = 1")?
                .execute((sealed,))?;
            Ok(Some(sealed.to_vec()))
        }
    }
}
