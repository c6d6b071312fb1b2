//! Enforcement points, and what they follow: the revoked certificates and the changes since.

use certgate_model::{
    AccountId, AuditAction, AuditOwner, AuthorityId, By, CRL_SHARDS, EnforcedCertificate,
    EnforcementPointId, EnforcementPointRecord, ResourceType, RevocationChange, SerialNumber,
    Status, Timestamp,
};

use super::audit::{self, Deed};
use super::db::Db;
use super::row::{self, Row};
use super::value::values;
use super::{authorities, revocations, tenants};
use crate::{Acknowledged, EnforcementPointRegistered, RevokedPosition, StoreError};

macro_rules! columns {
    () => {
        "id, account, name, lease_seconds, acknowledged_epoch, seen_on, registered_on"
    };
}

/// The enforcement points of an account.
pub(super) async fn all(
    db: &Db,
    account: AccountId,
) -> Result<Vec<EnforcementPointRecord>, StoreError> {
    let select = concat!(
        "SELECT ",
        columns!(),
        " FROM enforcement_points WHERE account = $1 ORDER BY name"
    );
    db.rows(select, values![account.as_bytes()])
        .await?
        .iter()
        .map(point_row)
        .collect()
}

/// The epoch of the last change of an account's certificates; 0 before there is one.
pub(super) async fn account_epoch(db: &Db, account: AccountId) -> Result<u64, StoreError> {
    let select = "SELECT coalesce(max(last_epoch), 0) FROM authorities WHERE account = $1";
    db.one(select, values![account.as_bytes()]).await?.get(0)
}

/// Those that have not acknowledged every change of their account.
pub(super) async fn lagging(db: &Db) -> Result<Vec<EnforcementPointRecord>, StoreError> {
    let select = concat!(
        "SELECT ",
        columns!(),
        " FROM enforcement_points WHERE acknowledged_epoch < \
         (SELECT max(last_epoch) FROM authorities WHERE authorities.account = enforcement_points.account)"
    );
    db.rows(select, values![])
        .await?
        .iter()
        .map(point_row)
        .collect()
}

/// The epoch up to which every enforcement point of an authority's account knows the changes, of those that are waited for at
/// `at`; `None` if none is.
pub(super) async fn known_to_all(
    db: &Db,
    authority: i64,
    at: Timestamp,
) -> Result<Option<u64>, StoreError> {
    let select = "SELECT min(acknowledged_epoch) FROM enforcement_points \
                  WHERE account = (SELECT account FROM authorities WHERE number = $1) AND live_until > $2 AND seen_on <= $3";
    let latest = at
        .plus_seconds(EnforcementPointRecord::CLOCK_SLACK_SECONDS)
        .unix_microseconds();
    db.one(select, values![authority, at.unix_microseconds(), latest])
        .await?
        .get(0)
}

/// Registers an enforcement point, or renews the one of that name.
pub(super) async fn register(
    db: &Db,
    point: &EnforcementPointRecord,
    max: u64,
    by: &By,
) -> Result<EnforcementPointRegistered, StoreError> {
    if tenants::account(db, point.account).await?.is_none() {
        return Ok(EnforcementPointRegistered::NoAccount);
    }
    let points = all(db, point.account).await?;
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
    db.execute(
        "INSERT INTO enforcement_points (id, account, name, lease_seconds, acknowledged_epoch, seen_on, \
         live_until, registered_on) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
         ON CONFLICT (id) DO UPDATE SET lease_seconds = excluded.lease_seconds, seen_on = excluded.seen_on, \
         live_until = excluded.live_until",
        values![
            now.id.as_bytes(),
            now.account.as_bytes(),
            &now.name,
            now.lease_seconds,
            row::offset(now.acknowledged_epoch),
            now.seen_on.unix_microseconds(),
            now.lease_until().unix_microseconds(),
            now.registered_on.unix_microseconds(),
        ],
    )
    .await?;
    // Renewing a lease is done all the time, and changes what is waited for only if its length is another.
    let action = match known {
        None => Some(AuditAction::Create),
        Some(known) => (known.lease_seconds != now.lease_seconds).then_some(AuditAction::Update),
    };
    if let Some(action) = action {
        log(db, action, &now, by).await?;
    }
    Ok(EnforcementPointRegistered::Registered(now))
}

/// Notes an acknowledgement. One of an earlier epoch renews the lease and changes nothing else.
pub(super) async fn acknowledge(
    db: &Db,
    account: AccountId,
    id: EnforcementPointId,
    epoch: u64,
    at: Timestamp,
) -> Result<Acknowledged, StoreError> {
    let known = all(db, account)
        .await?
        .into_iter()
        .find(|point| point.id == id);
    let Some(known) = known else {
        return Ok(Acknowledged::NotFound);
    };
    let last = revocations::last_epoch(db).await?;
    if epoch > last {
        return Ok(Acknowledged::Ahead(last));
    }
    let now = EnforcementPointRecord {
        acknowledged_epoch: known.acknowledged_epoch.max(epoch),
        seen_on: at,
        ..known
    };
    db.execute(
        "UPDATE enforcement_points SET acknowledged_epoch = $1, seen_on = $2, live_until = $3 WHERE id = $4",
        values![
            row::offset(now.acknowledged_epoch),
            at.unix_microseconds(),
            now.lease_until().unix_microseconds(),
            id.as_bytes(),
        ],
    )
    .await?;
    Ok(Acknowledged::Acknowledged(now))
}

/// Deletes an enforcement point; `false` if there is none.
pub(super) async fn delete(
    db: &Db,
    account: AccountId,
    id: EnforcementPointId,
    by: &By,
) -> Result<bool, StoreError> {
    let found = all(db, account)
        .await?
        .into_iter()
        .find(|point| point.id == id);
    let Some(point) = found else { return Ok(false) };
    db.execute(
        "DELETE FROM enforcement_points WHERE id = $1 AND account = $2",
        values![id.as_bytes(), account.as_bytes()],
    )
    .await?;
    log(db, AuditAction::Delete, &point, by).await?;
    Ok(true)
}

async fn log(
    db: &Db,
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
    audit::record(db, AuditOwner::Account(point.account), by, deed).await
}

/// A part of what is revoked of one authority and has not expired.
pub(super) async fn revoked(
    db: &Db,
    authority: AuthorityId,
    at: Timestamp,
    after: Option<RevokedPosition>,
    limit: u32,
) -> Result<Vec<(RevokedPosition, EnforcedCertificate)>, StoreError> {
    let Some(number) = authorities::number(db, authority).await? else {
        return Ok(Vec::new());
    };
    let select = "SELECT revocations.expires_on, revocations.position, revocations.serial, \
         coalesce(certificates.fingerprint_sha256, lost_certificates.fingerprint_sha256) \
         FROM revocations LEFT JOIN certificates ON certificates.position = revocations.position \
         LEFT JOIN lost_certificates ON lost_certificates.position = revocations.position \
         WHERE revocations.authority = $1 AND shard = $2 AND (revocations.expires_on, revocations.position) > ($3, $4) \
         ORDER BY revocations.expires_on, revocations.position LIMIT $5";
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
        for row in db
            .rows(select, values![number, shard, expires_on, position, left])
            .await?
        {
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
pub(super) async fn changes(
    db: &Db,
    account: AccountId,
    after: u64,
    limit: u32,
) -> Result<Vec<RevocationChange>, StoreError> {
    let changed = "SELECT epoch, serial, fingerprint_sha256, status FROM certificates \
         WHERE authority = $1 AND epoch IS NOT NULL AND epoch > $2 ORDER BY epoch LIMIT $3";
    // The code of `revoked`: none of them is restored.
    let lost = "SELECT epoch, serial, fingerprint_sha256, CAST(3 AS SMALLINT) FROM lost_certificates \
         WHERE authority = $1 AND epoch > $2 ORDER BY epoch LIMIT $3";
    let of_account = "SELECT number, id FROM authorities WHERE account = $1 AND last_epoch > $2";
    let mut changes = Vec::new();
    for authority in db
        .rows(of_account, values![account.as_bytes(), row::offset(after)])
        .await?
    {
        let number: i64 = authority.get(0)?;
        let authority = AuthorityId::from_bytes(authority.get(1)?);
        for statement in [changed, lost] {
            for row in db
                .rows(statement, values![number, row::offset(after), limit])
                .await?
            {
                changes.push(RevocationChange {
                    epoch: row::unsigned(&row, 0)?,
                    certificate: EnforcedCertificate {
                        authority,
                        serial: SerialNumber::from_bytes(row.get(1)?),
                        fingerprint_sha256: row.get(2)?,
                    },
                    revoked: matches!(
                        row::status(&row, 3)?,
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

fn point_row(row: &Row) -> Result<EnforcementPointRecord, StoreError> {
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
