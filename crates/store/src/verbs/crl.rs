//! The CRLs of each CA: which are old, what they hold, and the last one published.

use std::ops::Range;

use certgate_model::{AuthorityId, CRL_SHARDS, CrlKind, CrlRecord, Revocation, Timestamp};
use futures_util::future::try_join3;

use super::{authorities, revocations};
use crate::db::{Db, Dialect, Row, values};
use crate::{AgedCrls, CrlContent, CrlState, StoreError};

/// Returns the CRLs that a change has made old, except those of expired CAs: no verifier accepts a
/// certificate of such a CA.
pub(crate) async fn changed<D: Db>(
    db: &D,
    at: Timestamp,
) -> Result<Vec<(AuthorityId, CrlKind)>, StoreError> {
    let select = "SELECT authorities.id, crl_states.kind FROM crl_states \
                  JOIN authorities ON authorities.number = crl_states.authority \
                  WHERE crl_states.changed_epoch > crl_states.made_epoch \
                  AND authorities.expires_on > ?1";
    db.rows(select, &values![at], crl_row).await
}

/// Returns the CRLs that must be renewed by `at`, and those whose renewal comes only after
/// `latest`. Leaves out those of CAs that are not valid at `at` and therefore cannot sign.
pub(crate) async fn aged<D: Db>(
    db: &D,
    at: Timestamp,
    latest: Timestamp,
    limit: u32,
) -> Result<AgedCrls, StoreError> {
    // Both ends of one index, and the CRLs that were set aside, apart: for all of them in one
    // condition PostgreSQL reads every row.
    let due = "SELECT authorities.id, crl_states.kind, authorities.expires_on > ?1 \
               FROM crl_states JOIN authorities ON authorities.number = crl_states.authority \
               WHERE crl_states.renew_on >= 0 AND crl_states.renew_on <= ?1 \
               AND authorities.created_on <= ?1 ORDER BY crl_states.renew_on LIMIT ?2";
    let too_late = "SELECT authorities.id, crl_states.kind FROM crl_states \
                    JOIN authorities ON authorities.number = crl_states.authority \
                    WHERE crl_states.renew_on > ?3 AND authorities.created_on <= ?1 \
                    AND authorities.expires_on > ?1 ORDER BY crl_states.renew_on LIMIT ?2";
    let valid_again = "SELECT authorities.id, crl_states.kind FROM crl_states \
                       JOIN authorities ON authorities.number = crl_states.authority \
                       WHERE crl_states.renew_on < ?3 AND authorities.created_on <= ?1 \
                       AND authorities.expires_on > ?1 ORDER BY crl_states.renew_on LIMIT ?2";
    let due_values = values![at, limit];
    let (too_late_values, again_values) = (
        values![at, limit, latest],
        values![at, limit, aside_until(at)],
    );
    let (looked_at, too_late, again) = try_join3(
        db.rows(due, &due_values, |row| Ok((crl_row(row)?, row.get(2)?))),
        db.rows(too_late, &too_late_values, crl_row),
        db.rows(valid_again, &again_values, crl_row),
    )
    .await?;
    let mut aged = AgedCrls::default();
    for (crl, is_valid) in looked_at {
        match is_valid {
            true => aged.due.push(crl),
            false => aged.expired.push(crl.0),
        }
    }
    aged.expired.sort_unstable();
    aged.expired.dedup();
    aged.due.extend(too_late);
    aged.due.extend(again);
    aged.due.truncate(limit as usize);
    Ok(aged)
}

/// The value of `renew_on` for a CRL that is set aside until a time before the end of its CA: the
/// later the end, the lower. A real time is not negative.
pub(super) const fn aside_until(expires_on: Timestamp) -> i64 {
    expires_on.unix_microseconds().saturating_neg()
}

/// Takes the CRLs of expired CAs out of the order of renewal. A published CRL returns to it.
pub(crate) async fn set_aside<D: Db>(db: &D, expired: &[AuthorityId]) -> Result<(), StoreError> {
    for id in expired {
        let select = "SELECT number, expires_on FROM authorities WHERE id = ?1";
        let read = |row: &dyn Row| Ok((row.get(0)?, row.get(1)?));
        let found: Option<(i64, Timestamp)> = db.optional(select, &values![*id], read).await?;
        let Some((number, expires_on)) = found else {
            continue;
        };
        let update = "UPDATE crl_states SET renew_on = ?2 WHERE authority = ?1 AND renew_on >= 0";
        db.execute(update, &values![number, aside_until(expires_on)])
            .await?;
    }
    Ok(())
}

fn crl_row(row: &dyn Row) -> Result<(AuthorityId, CrlKind), StoreError> {
    Ok((row.get(0)?, row.get(1)?))
}

/// Returns the content of the next CRL. Certificates that had expired when the CRL before was made
/// have been on one since (RFC 5280 §3.3) and are left out. A CRL dated in the future does not
/// prove this.
pub(crate) async fn content<D: Db>(
    db: &D,
    authority: AuthorityId,
    kind: CrlKind,
    at: Timestamp,
    limit: u32,
) -> Result<Option<CrlContent>, StoreError> {
    let Some(number) = authorities::number(db, authority).await? else {
        return Ok(None);
    };
    let state = "SELECT number, this_update FROM crl_states WHERE authority = ?1 AND kind = ?2";
    let state: Option<(u64, Timestamp)> = db
        .optional(state, &values![number, kind.code()], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .await?;
    let Some((number_before, before)) = state else {
        return Ok(None);
    };
    let live_from = before.min(at);
    let most = u64::from(limit) + 1;
    let mut revocations = Vec::new();
    for shards in stretches(kind, D::DIALECT) {
        let left = most - revocations.len() as u64;
        let values = values![number, shards.start, live_from, left, shards.end];
        let (select, used) = match shards.len() {
            1 => (SHARD, 4),
            _ => (ALL_SHARDS, 5),
        };
        revocations.extend(db.rows(select, &values[..used], revocation_row).await?);
        if revocations.len() as u64 == most {
            break;
        }
    }
    let epoch = revocations::last_epoch(db).await?;
    Ok(Some(CrlContent {
        epoch,
        number_before,
        revocations,
    }))
}

/// One shard.
const SHARD: &str = "SELECT serial, revoked_on, reason FROM revocations \
                     WHERE authority = ?1 AND shard = ?2 AND expires_on >= ?3 \
                     ORDER BY expires_on, position LIMIT ?4";

/// Several shards, in the order of the primary key.
const ALL_SHARDS: &str = "SELECT serial, revoked_on, reason FROM revocations \
                          WHERE authority = ?1 AND shard >= ?2 AND shard < ?5 \
                          AND expires_on >= ?3 ORDER BY shard, expires_on, position LIMIT ?4";

/// Returns the shards to read with one statement each. Over a wire one statement for all of them is
/// worth the expired rows that it reads; SQLite seeks past those in each shard.
fn stretches(kind: CrlKind, dialect: Dialect) -> impl Iterator<Item = Range<u8>> {
    let (shards, length) = match (kind, dialect) {
        (CrlKind::Shard(shard), _) => (shard..shard + 1, 1),
        (CrlKind::Full, Dialect::Postgres) => (0..CRL_SHARDS, CRL_SHARDS),
        (CrlKind::Full, Dialect::Sqlite) => (0..CRL_SHARDS, 1),
        (CrlKind::AuthorityCertificates, _) => (0..0, 1),
    };
    shards
        .step_by(length.into())
        .map(move |first| first..first + length)
}

fn revocation_row(row: &dyn Row) -> Result<Revocation, StoreError> {
    Ok(Revocation {
        serial: row.get(0)?,
        revoked_on: row.get(1)?,
        reason: row.get(2)?,
    })
}

/// Stores a CRL, unless one with a number as high is stored.
pub(crate) async fn record<D: Db>(
    db: &D,
    crl: &CrlRecord,
    renew_on: Timestamp,
) -> Result<bool, StoreError> {
    let Some(authority) = authorities::number(db, crl.authority).await? else {
        return Ok(false);
    };
    let kind = crl.kind.code();
    let update = "UPDATE crl_states SET made_epoch = ?1, number = ?2, this_update = ?3, \
                  next_update = ?4, renew_on = ?5 \
                  WHERE authority = ?6 AND kind = ?7 AND number < ?2 AND made_epoch <= ?1";
    let values = values![
        crl.epoch,
        crl.number,
        crl.this_update,
        crl.next_update,
        renew_on,
        authority,
        kind,
    ];
    if db.execute(update, &values).await? == 0 {
        return Ok(false);
    }
    match &crl.der {
        Some(der) => {
            let upsert = "INSERT INTO crls (authority, kind, der) VALUES (?1, ?2, ?3) \
                          ON CONFLICT (authority, kind) DO UPDATE SET der = excluded.der";
            db.execute(upsert, &values![authority, kind, der]).await?
        }
        None => {
            let delete = "DELETE FROM crls WHERE authority = ?1 AND kind = ?2";
            db.execute(delete, &values![authority, kind]).await?
        }
    };
    Ok(true)
}

macro_rules! select_state {
    ($rest:literal) => {
        concat!(
            "SELECT crl_states.kind, crl_states.number, crl_states.this_update, \
             crl_states.next_update, crls.kind IS NOT NULL FROM crl_states \
             LEFT JOIN crls ON crls.authority = crl_states.authority \
             AND crls.kind = crl_states.kind \
             WHERE crl_states.authority = (SELECT number FROM authorities WHERE id = ?1) \
             AND crl_states.made_epoch >= 0",
            $rest
        )
    };
}

/// Returns the CRLs of a CA that were published, without the CRLs themselves.
pub(crate) async fn states<D: Db>(
    db: &D,
    authority: AuthorityId,
) -> Result<Vec<CrlState>, StoreError> {
    let select = select_state!(" ORDER BY crl_states.kind");
    db.rows(select, &values![authority], state_row).await
}

/// Returns one of them.
pub(crate) async fn state<D: Db>(
    db: &D,
    authority: AuthorityId,
    kind: CrlKind,
) -> Result<Option<CrlState>, StoreError> {
    let select = select_state!(" AND crl_states.kind = ?2");
    db.optional(select, &values![authority, kind.code()], state_row)
        .await
}

fn state_row(row: &dyn Row) -> Result<CrlState, StoreError> {
    Ok(CrlState {
        kind: row.get(0)?,
        number: row.get(1)?,
        this_update: row.get(2)?,
        next_update: row.get(3)?,
        is_made: row.get(4)?,
    })
}

/// Returns a CRL as it was published last.
pub(crate) async fn crl<D: Db>(
    db: &D,
    authority: AuthorityId,
    kind: CrlKind,
) -> Result<Option<CrlRecord>, StoreError> {
    let select = "SELECT crl_states.number, crl_states.made_epoch, crl_states.this_update, \
                  crl_states.next_update, crls.der FROM crl_states \
                  LEFT JOIN crls ON crls.authority = crl_states.authority \
                  AND crls.kind = crl_states.kind \
                  WHERE crl_states.authority = (SELECT number FROM authorities WHERE id = ?1) \
                  AND crl_states.kind = ?2 AND crl_states.made_epoch >= 0";
    db.optional(select, &values![authority, kind.code()], |row| {
        Ok(CrlRecord {
            authority,
            kind,
            number: row.get(0)?,
            epoch: row.get(1)?,
            this_update: row.get(2)?,
            next_update: row.get(3)?,
            der: row.get(4)?,
        })
    })
    .await
}
