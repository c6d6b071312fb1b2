//! Enforcement points, and what they follow: the revoked certificates and the changes since.

use certgate_model::{
    AccountId, AuditAction, AuditOwner, AuthorityId, By, CRL_SHARDS, EnforcedCertificate,
    EnforcementPointId, EnforcementPointRecord, ResourceType, RevocationChange, SerialNumber,
    Status, Timestamp,
};
use rusqlite::{Connection, Row};

use super::audit::{self, Deed};
use super::certificates::authority_number;
use super::error::corrupt;
use super::{revocations, row, tenants};
use crate::{Acknowledged, EnforcementPointRegistered, RevokedPosition, StoreError};

macro_rules! columns {
    () => {
        "id, account, name, lease_seconds, acknowledged_epoch, seen_on, registered_on"
    };
}

/// The enforcement points of an account.
pub(super) fn all(
    connection: &Connection,
    account: AccountId,
) -> Result<Vec<EnforcementPointRecord>, StoreError> {
    let mut statement = connection.prepare_cached(concat!(
        "SELECT ",
        columns!(),
        " FROM enforcement_points WHERE account = ?1 ORDER BY name"
    ))?;
    let mut rows = statement.query((account.as_bytes(),))?;
    let mut points = Vec::new();
    while let Some(row) = rows.next()? {
        points.push(point_row(row)?);
    }
    Ok(points)
}

/// The epoch of the last change of an account's certificates; 0 before there is one.
pub(super) fn account_epoch(
    connection: &Connection,
    account: AccountId,
) -> Result<u64, StoreError> {
    connection
        .prepare_cached("SELECT coalesce(max(last_epoch), 0) FROM authorities WHERE account = ?1")?
        .query_row((account.as_bytes(),), |row| Ok(row::unsigned(row, 0)))?
}

/// Those that have not acknowledged every change of their account.
pub(super) fn lagging(connection: &Connection) -> Result<Vec<EnforcementPointRecord>, StoreError> {
    let mut statement = connection.prepare_cached(concat!(
        "SELECT ",
        columns!(),
        " FROM enforcement_points WHERE acknowledged_epoch < \
         (SELECT max(last_epoch) FROM authorities WHERE authorities.account = enforcement_points.account)"
    ))?;
    let mut rows = statement.query(())?;
    let mut points = Vec::new();
    while let Some(row) = rows.next()? {
        points.push(point_row(row)?);
    }
    Ok(points)
}

/// The epoch up to which every enforcement point of an authority's account knows the changes, of those that are waited for at
/// `at`; `None` if none is.
pub(super) fn known_to_all(
    connection: &Connection,
    authority: i64,
    at: Timestamp,
) -> Result<Option<u64>, StoreError> {
    let known: Option<i64> = connection
        .prepare_cached(
            "SELECT min(acknowledged_epoch) FROM enforcement_points \
             WHERE account = (SELECT account FROM authorities WHERE number = ?1) AND live_until > ?2 AND seen_on <= ?3",
        )?
        .query_row(
            (
                authority,
                at.unix_microseconds(),
                at.plus_seconds(EnforcementPointRecord::CLOCK_SLACK_SECONDS).unix_microseconds(),
            ),
            |row| row.get(0),
        )?;
    known
        .map(|known| u64::try_from(known).map_err(|_| corrupt("an epoch is negative")))
        .transpose()
}

/// Registers an enforcement point, or renews the one of that name.
pub(super) fn register(
    connection: &Connection,
    point: &EnforcementPointRecord,
    max: u64,
    by: &By,
) -> Result<EnforcementPointRegistered, StoreError> {
    if tenants::account(connection, point.account)?.is_none() {
        return Ok(EnforcementPointRegistered::NoAccount);
    }
    let points = all(connection, point.account)?;
    let known = points.iter().find(|known| known.name == point.name);
    let now = match known {
        None if points.len() as u64 >= max => return Ok(EnforcementPointRegistered::TooMany),
        None => point.clone(),
        Some(known) => EnforcementPointRecord {
            lease_seconds: point.lease_seconds,
            seen_on: point.seen_on,
            ..known.clone()
        },
    };
    connection
        .prepare_cached(
            "INSERT INTO enforcement_points (id, account, name, lease_seconds, acknowledged_epoch, seen_on, \
             live_until, registered_on) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) \
             ON CONFLICT (id) DO UPDATE SET lease_seconds = excluded.lease_seconds, seen_on = excluded.seen_on, \
             live_until = excluded.live_until",
        )?
        .execute((
            now.id.as_bytes(),
            now.account.as_bytes(),
            &now.name,
            now.lease_seconds,
            row::offset(now.acknowledged_epoch),
            now.seen_on.unix_microseconds(),
            now.lease_until().unix_microseconds(),
            now.registered_on.unix_microseconds(),
        ))?;
    // Renewing a lease is done all the time, and changes what is waited for only if its length is another.
    let action = match known {
        None => Some(AuditAction::Create),
        Some(known) => (known.lease_seconds != now.lease_seconds).then_some(AuditAction::Update),
    };
    if let Some(action) = action {
        log(connection, action, &now, by)?;
    }
    Ok(EnforcementPointRegistered::Registered(now))
}

/// Notes an acknowledgement. One of an earlier epoch renews the lease and changes nothing else.
pub(super) fn acknowledge(
    connection: &Connection,
    account: AccountId,
    id: EnforcementPointId,
    epoch: u64,
    at: Timestamp,
) -> Result<Acknowledged, StoreError> {
    let known = all(connection, account)?
        .into_iter()
        .find(|point| point.id == id);
    let Some(known) = known else {
        return Ok(Acknowledged::NotFound);
    };
    let last = revocations::last_epoch(connection)?;
    if epoch > last {
        return Ok(Acknowledged::Ahead(last));
    }
    let now = EnforcementPointRecord {
        acknowledged_epoch: known.acknowledged_epoch.max(epoch),
        seen_on: at,
        ..known
    };
    connection
        .prepare_cached(
            "UPDATE enforcement_points SET acknowledged_epoch = ?1, seen_on = ?2, live_until = ?3 WHERE id = ?4",
        )?
        .execute((
            row::offset(now.acknowledged_epoch),
            at.unix_microseconds(),
            now.lease_until().unix_microseconds(),
            id.as_bytes(),
        ))?;
    Ok(Acknowledged::Acknowledged(now))
}

/// Deletes an enforcement point; `false` if there is none.
pub(super) fn delete(
    connection: &Connection,
    account: AccountId,
    id: EnforcementPointId,
    by: &By,
) -> Result<bool, StoreError> {
    let found = all(connection, account)?
        .into_iter()
        .find(|point| point.id == id);
    let Some(point) = found else { return Ok(false) };
    connection
        .prepare_cached("DELETE FROM enforcement_points WHERE id = ?1 AND account = ?2")?
        .execute((id.as_bytes(), account.as_bytes()))?;
    log(connection, AuditAction::Delete, &point, by)?;
    Ok(true)
}

fn log(
    connection: &Connection,
    action: AuditAction,
    point: &EnforcementPointRecord,
    by: &By,
) -> Result<(), StoreError> {
    let detail = format!("lease_seconds={} name={}", point.lease_seconds, point.name);
    let deed = Deed::new(
        action,
        ResourceType::EnforcementPoint,
        point.id.as_bytes(),
        detail,
    );
    audit::record(connection, AuditOwner::Account(point.account), by, deed)
}

/// A part of what is revoked of one authority and has not expired.
pub(super) fn revoked(
    connection: &Connection,
    authority: AuthorityId,
    at: Timestamp,
    after: Option<RevokedPosition>,
    limit: u32,
) -> Result<Vec<(RevokedPosition, EnforcedCertificate)>, StoreError> {
    let Some(number) = authority_number(connection, authority)? else {
        return Ok(Vec::new());
    };
    let mut statement = connection.prepare_cached(
        "SELECT revocations.expires_on, revocations.position, revocations.serial, \
         coalesce(certificates.fingerprint_sha256, lost_certificates.fingerprint_sha256) \
         FROM revocations LEFT JOIN certificates ON certificates.position = revocations.position \
         LEFT JOIN lost_certificates ON lost_certificates.position = revocations.position \
         WHERE revocations.authority = ?1 AND shard = ?2 AND (revocations.expires_on, revocations.position) > (?3, ?4) \
         ORDER BY revocations.expires_on, revocations.position LIMIT ?5",
    )?;
    let live_from = at.unix_microseconds();
    let mut revoked = Vec::new();
    let first = after.map_or(0, |after| after.shard);
    for shard in first..CRL_SHARDS {
        let (expires_on, position) = match after {
            Some(after) if after.shard == shard => {
                (after.expires_on.max(live_from), after.position)
            }
            _ => (live_from, i64::MIN),
        };
        let left = row::offset(u64::from(limit) - revoked.len() as u64);
        let mut rows = statement.query((number, shard, expires_on, position, left))?;
        while let Some(row) = rows.next()? {
            let place = RevokedPosition {
                shard,
                expires_on: row.get(0)?,
                position: row.get(1)?,
            };
            let serial = SerialNumber::from_bytes(row.get(2)?);
            revoked.push((
                place,
                EnforcedCertificate {
                    authority,
                    serial,
                    fingerprint_sha256: row.get(3)?,
                },
            ));
        }
        if revoked.len() >= limit as usize {
            break;
        }
    }
    Ok(revoked)
}

/// The certificates whose last change came after an epoch: of each authority of the account as many as may be needed, then the
/// first of all these.
pub(super) fn changes(
    connection: &Connection,
    account: AccountId,
    after: u64,
    limit: u32,
) -> Result<Vec<RevocationChange>, StoreError> {
    let mut authorities = connection.prepare_cached(
        "SELECT number, id FROM authorities WHERE account = ?1 AND last_epoch > ?2",
    )?;
    // Named, because the planner would rather sort everything that has one of the authorities.
    let mut changed = connection.prepare_cached(
        "SELECT epoch, serial, fingerprint_sha256, status FROM certificates INDEXED BY certificates_by_epoch \
         WHERE authority = ?1 AND epoch IS NOT NULL AND epoch > ?2 ORDER BY epoch LIMIT ?3",
    )?;
    // The code of `revoked`: none of them is restored.
    let mut lost = connection.prepare_cached(
        "SELECT epoch, serial, fingerprint_sha256, 3 FROM lost_certificates INDEXED BY lost_certificates_by_epoch \
         WHERE authority = ?1 AND epoch > ?2 ORDER BY epoch LIMIT ?3",
    )?;
    let mut changes = Vec::new();
    let mut of_account = authorities.query((account.as_bytes(), row::offset(after)))?;
    while let Some(authority) = of_account.next()? {
        let number: i64 = authority.get(0)?;
        let authority = AuthorityId::from_bytes(authority.get(1)?);
        for statement in [&mut changed, &mut lost] {
            let mut rows = statement.query((number, row::offset(after), limit))?;
            while let Some(row) = rows.next()? {
                changes.push(RevocationChange {
                    epoch: row::unsigned(row, 0)?,
                    certificate: EnforcedCertificate {
                        authority,
                        serial: SerialNumber::from_bytes(row.get(1)?),
                        fingerprint_sha256: row.get(2)?,
                    },
                    revoked: matches!(
                        row::status(row, 3)?,
                        Status::PendingRevocation | Status::Revoked
                    ),
                });
            }
        }
    }
    changes.sort_unstable_by_key(|change| change.epoch);
    changes.truncate(limit as usize);
    Ok(changes)
}

fn point_row(row: &Row<'_>) -> Result<EnforcementPointRecord, StoreError> {
    Ok(EnforcementPointRecord {
        id: EnforcementPointId::from_bytes(row.get(0)?),
        account: AccountId::from_bytes(row.get(1)?),
        name: row.get(2)?,
        lease_seconds: row.get(3)?,
        acknowledged_epoch: row::unsigned(row, 4)?,
        seen_on: row::timestamp(row, 5)?,
        registered_on: row::timestamp(row, 6)?,
    })
}
