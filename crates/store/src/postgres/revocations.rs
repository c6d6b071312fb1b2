//! Revocations and the lists that are published of them.

use std::collections::BTreeMap;

use certgate_model::{
    AuthorityId, CRL_SHARDS, CertificateId, CertificateRecord, CrlKind, CrlRecord, Revocation,
    SerialNumber, Status, Timestamp,
};

use futures_util::future::try_join_all;

use super::authorities;
use super::counters::Position;
use super::db::Db;
use super::error::corrupt;
use super::row::{self, Row};
use super::value::values;
use crate::{CrlContent, CrlState, Issued, StoreError};

/// Puts a certificate on its authority's lists, or takes it off.
pub(super) async fn change(
    db: &Db,
    authority: i64,
    position: Position,
    certificate: &CertificateRecord,
) -> Result<(), StoreError> {
    let shard = certificate.serial.shard();
    let expires_on = certificate.expires_on.unix_microseconds();
    match certificate.revoked_on.zip(certificate.revocation_reason) {
        Some((revoked_on, reason)) => {
            db.execute(
                "INSERT INTO revocations (authority, shard, position, serial, revoked_on, reason, expires_on) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7) \
                 ON CONFLICT (authority, shard, expires_on, position) DO UPDATE \
                 SET revoked_on = excluded.revoked_on, reason = excluded.reason",
                values![
                    authority,
                    shard,
                    position.0,
                    certificate.serial.as_bytes(),
                    revoked_on.unix_microseconds(),
                    reason.code(),
                    expires_on,
                ],
            )
            .await?;
        }
        None => {
            db.execute(
                "DELETE FROM revocations \
                 WHERE authority = $1 AND shard = $2 AND expires_on = $3 AND position = $4",
                values![authority, shard, expires_on, position.0],
            )
            .await?;
        }
    }
    Ok(())
}

/// The lists that changes make old, each with the last epoch of them.
#[derive(Default)]
pub(super) struct Aged(BTreeMap<(i64, u8), i64>);

impl Aged {
    /// Epochs come in ascending order.
    pub(super) fn add(&mut self, authority: i64, serial: SerialNumber, epoch: i64) {
        for part in [CrlKind::Shard(serial.shard()), CrlKind::Full] {
            self.0.insert((authority, part.code()), epoch);
        }
    }

    /// Marks them as old.
    pub(super) async fn mark(self, db: &Db) -> Result<(), StoreError> {
        let update = "UPDATE crl_states SET changed_epoch = $1 WHERE authority = $2 AND part = $3 AND changed_epoch < $1";
        let mark = async |((authority, part), epoch)| {
            db.execute(update, values![epoch, authority, part]).await
        };
        try_join_all(self.0.into_iter().map(mark)).await?;
        Ok(())
    }
}

/// Makes the lists of a new authority wanted.
pub(super) async fn begin_lists(db: &Db, authority: i64) -> Result<(), StoreError> {
    for part in CrlKind::all() {
        db.execute(
            "INSERT INTO crl_states (authority, part, changed_epoch, made_epoch, number, this_update, next_update, \
             renew_on) VALUES ($1, $2, 0, -1, 0, 0, 0, 0)",
            values![authority, part.code()],
        )
        .await?;
    }
    Ok(())
}

/// What became of a certificate, by its serial number and the id that it leads to.
pub(super) async fn issued(
    db: &Db,
    authority: AuthorityId,
    serial: SerialNumber,
    id: CertificateId,
) -> Result<Option<Issued>, StoreError> {
    if let Some(issued) = issued_as(db, authority, serial, id).await? {
        return Ok(Some(issued));
    }
    let early = "SELECT id FROM early_serials WHERE serial = $1";
    match db.optional(early, values![serial.as_bytes()]).await? {
        Some(row) => {
            issued_as(
                db,
                authority,
                serial,
                CertificateId::from_bytes(row.get(0)?),
            )
            .await
        }
        None => lost(db, authority, serial).await,
    }
}

/// One that only the journal knew after a restore.
async fn lost(
    db: &Db,
    authority: AuthorityId,
    serial: SerialNumber,
) -> Result<Option<Issued>, StoreError> {
    let select = "SELECT epoch, revoked_on, reason FROM lost_certificates \
         WHERE serial = $1 AND authority = (SELECT number FROM authorities WHERE id = $2)";
    let row = db
        .optional(select, values![serial.as_bytes(), authority.as_bytes()])
        .await?;
    let Some(row) = row else { return Ok(None) };
    let revocation = Revocation {
        serial,
        revoked_on: row::timestamp(&row, 1)?,
        reason: row::reason(&row, 2)?,
    };
    Ok(Some(Issued {
        status: Status::Revoked,
        epoch: row::unsigned(&row, 0)?,
        revocation: Some(revocation),
    }))
}

async fn issued_as(
    db: &Db,
    authority: AuthorityId,
    serial: SerialNumber,
    id: CertificateId,
) -> Result<Option<Issued>, StoreError> {
    let select = "SELECT status, epoch, revoked_on, reason FROM certificates \
         WHERE id = $1 AND authority = (SELECT number FROM authorities WHERE id = $2) AND serial = $3";
    let row = db
        .optional(
            select,
            values![id.as_bytes(), authority.as_bytes(), serial.as_bytes()],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let status = row::status(&row, 0)?;
    let revocation = match status {
        Status::Active | Status::PendingReactivation => None,
        Status::PendingRevocation | Status::Revoked => Some(Revocation {
            serial,
            revoked_on: row::timestamp(&row, 2)?,
            reason: row::reason(&row, 3)?,
        }),
    };
    Ok(Some(Issued {
        status,
        epoch: row.get::<Option<u64>>(1)?.unwrap_or(0),
        revocation,
    }))
}

/// The epoch of the last change.
pub(super) async fn last_epoch(db: &Db) -> Result<u64, StoreError> {
    db.one("SELECT last_epoch FROM store WHERE \"only\" = 1", values![])
        .await?
        .get(0)
}

/// Whether an epoch was skipped after a restore.
pub(super) async fn is_skipped_epoch(db: &Db, epoch: u64) -> Result<bool, StoreError> {
    let select = "SELECT until > $1 FROM epoch_gaps WHERE after < $1 ORDER BY after DESC LIMIT 1";
    db.optional(select, values![row::offset(epoch)])
        .await?
        .map_or(Ok(false), |row| row.get(0))
}

/// The lists that a change has made old.
pub(super) async fn changed(db: &Db) -> Result<Vec<(AuthorityId, CrlKind)>, StoreError> {
    let select = "SELECT authorities.id, part FROM crl_states JOIN authorities ON authorities.number = authority \
                  WHERE changed_epoch > made_epoch";
    db.rows(select, values![])
        .await?
        .iter()
        .map(list_row)
        .collect()
}

/// The lists that are to be made again by `at`, or not until after `latest`.
pub(super) async fn aged(
    db: &Db,
    at: Timestamp,
    latest: Timestamp,
    limit: u32,
) -> Result<Vec<(AuthorityId, CrlKind)>, StoreError> {
    // Both ends of one index.
    let select = "SELECT authorities.id, part FROM crl_states JOIN authorities ON authorities.number = authority \
                  WHERE renew_on <= $1 OR renew_on > $2 LIMIT $3";
    let rows = db
        .rows(
            select,
            values![at.unix_microseconds(), latest.unix_microseconds(), limit],
        )
        .await?;
    rows.iter().map(list_row).collect()
}

fn list_row(row: &Row) -> Result<(AuthorityId, CrlKind), StoreError> {
    Ok((AuthorityId::from_bytes(row.get(0)?), part(row, 1)?))
}

fn part(row: &Row, column: usize) -> Result<CrlKind, StoreError> {
    let code = row.get(column)?;
    CrlKind::from_code(code).ok_or_else(|| corrupt(format!("no list has the number {code}")))
}

/// What has to be on a list. Certificates that had expired when the list before was made have been on one since
/// (RFC 5280 §3.3), and are left out; one from the future says nothing about that.
pub(super) async fn content(
    db: &Db,
    authority: AuthorityId,
    part: CrlKind,
    at: Timestamp,
    limit: u32,
) -> Result<Option<CrlContent>, StoreError> {
    let Some(number) = authorities::number(db, authority).await? else {
        return Ok(None);
    };
    let state = "SELECT number, this_update FROM crl_states WHERE authority = $1 AND part = $2";
    let Some(state) = db.optional(state, values![number, part.code()]).await? else {
        return Ok(None);
    };
    let (number_before, before): (u64, i64) = (state.get(0)?, state.get(1)?);
    let live_from = before.min(at.unix_microseconds());
    let select = match part {
        CrlKind::Shard(_) => {
            "SELECT serial, revoked_on, reason FROM revocations \
             WHERE authority = $1 AND shard = $2 AND expires_on >= $3 ORDER BY expires_on, position LIMIT $4"
        }
        // In the order of the primary key.
        _ => {
            "SELECT serial, revoked_on, reason FROM revocations \
             WHERE authority = $1 AND shard < $2 AND expires_on >= $3 ORDER BY shard, expires_on, position LIMIT $4"
        }
    };
    let shards = match part {
        CrlKind::Shard(shard) => shard,
        CrlKind::Full => CRL_SHARDS,
        CrlKind::AuthorityCertificates => 0,
    };
    let mut revocations = Vec::new();
    for row in db
        .rows(
            select,
            values![number, shards, live_from, i64::from(limit) + 1],
        )
        .await?
    {
        revocations.push(Revocation {
            serial: SerialNumber::from_bytes(row.get(0)?),
            revoked_on: row::timestamp(&row, 1)?,
            reason: row::reason(&row, 2)?,
        });
    }
    let epoch = last_epoch(db).await?;
    Ok(Some(CrlContent {
        epoch,
        number_before,
        revocations,
    }))
}

/// Stores a list, unless one with a number as high is there.
pub(super) async fn record(
    db: &Db,
    crl: &CrlRecord,
    renew_on: Timestamp,
) -> Result<bool, StoreError> {
    let Some(authority) = authorities::number(db, crl.authority).await? else {
        return Ok(false);
    };
    let part = crl.kind.code();
    let stored = db
        .execute(
            "UPDATE crl_states SET made_epoch = $1, number = $2, this_update = $3, next_update = $4, renew_on = $5 \
             WHERE authority = $6 AND part = $7 AND number < $2 AND made_epoch <= $1",
            values![
                row::offset(crl.epoch),
                row::offset(crl.number),
                crl.this_update.unix_microseconds(),
                crl.next_update.unix_microseconds(),
                renew_on.unix_microseconds(),
                authority,
                part,
            ],
        )
        .await?;
    if stored == 0 {
        return Ok(false);
    }
    match &crl.der {
        Some(der) => {
            let insert = "INSERT INTO crls (authority, part, der) VALUES ($1, $2, $3) \
                          ON CONFLICT (authority, part) DO UPDATE SET der = excluded.der";
            db.execute(insert, values![authority, part, der]).await?
        }
        None => {
            let delete = "DELETE FROM crls WHERE authority = $1 AND part = $2";
            db.execute(delete, values![authority, part]).await?
        }
    };
    Ok(true)
}

macro_rules! states {
    () => {
        "SELECT crl_states.part, number, this_update, next_update, crls.part IS NOT NULL FROM crl_states \
         LEFT JOIN crls ON crls.authority = crl_states.authority AND crls.part = crl_states.part \
         WHERE crl_states.authority = (SELECT number FROM authorities WHERE id = $1) AND made_epoch >= 0"
    };
}

/// The lists of an authority that were published.
pub(super) async fn states(db: &Db, authority: AuthorityId) -> Result<Vec<CrlState>, StoreError> {
    let select = concat!(states!(), " ORDER BY crl_states.part");
    let rows = db.rows(select, values![authority.as_bytes()]).await?;
    rows.iter().map(state_row).collect()
}

/// One of them.
pub(super) async fn state(
    db: &Db,
    authority: AuthorityId,
    part: CrlKind,
) -> Result<Option<CrlState>, StoreError> {
    let select = concat!(states!(), " AND crl_states.part = $2");
    db.optional(select, values![authority.as_bytes(), part.code()])
        .await?
        .as_ref()
        .map(state_row)
        .transpose()
}

fn state_row(row: &Row) -> Result<CrlState, StoreError> {
    Ok(CrlState {
        kind: part(row, 0)?,
        number: row::unsigned(row, 1)?,
        this_update: row::timestamp(row, 2)?,
        next_update: row::timestamp(row, 3)?,
        is_made: row.get(4)?,
    })
}

/// A list as it was published last.
pub(super) async fn crl(
    db: &Db,
    authority: AuthorityId,
    part: CrlKind,
) -> Result<Option<CrlRecord>, StoreError> {
    let select = "SELECT crl_states.number, made_epoch, this_update, next_update, der FROM crl_states \
         LEFT JOIN crls ON crls.authority = crl_states.authority AND crls.part = crl_states.part \
         WHERE crl_states.authority = (SELECT number FROM authorities WHERE id = $1) AND crl_states.part = $2 \
         AND made_epoch >= 0";
    let Some(row) = db
        .optional(select, values![authority.as_bytes(), part.code()])
        .await?
    else {
        return Ok(None);
    };
    Ok(Some(CrlRecord {
        authority,
        kind: part,
        number: row::unsigned(&row, 0)?,
        epoch: row::unsigned(&row, 1)?,
        this_update: row::timestamp(&row, 2)?,
        next_update: row::timestamp(&row, 3)?,
        der: row.get(4)?,
    }))
}

/// Makes a sealed key that of serial numbers, unless there is one; the one in force.
pub(super) async fn record_serial_key(
    db: &Db,
    sealed: &[u8],
) -> Result<Option<Vec<u8>>, StoreError> {
    let select = "SELECT sealed_serial_key FROM installation WHERE \"only\" = 1";
    let Some(row) = db.optional(select, values![]).await? else {
        return Ok(None);
    };
    if let Some(current) = row.get(0)? {
        return Ok(Some(current));
    }
    let update = "UPDATE installation SET sealed_serial_key = $1 WHERE \"only\" = 1";
    db.execute(update, values![sealed]).await?;
    Ok(Some(sealed.to_vec()))
}
