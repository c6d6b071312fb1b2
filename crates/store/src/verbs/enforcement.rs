//! Enforcement points, and the data that they follow: revoked certificates and later changes.

use certgate_model::{
    AccountId, AuditAction, AuditOwner, AuthorityId, By, CRL_SHARDS, EnforcedCertificate,
    EnforcementPointId, EnforcementPointRecord, FollowedChange, ResourceType, RevocationChange,
    SerialNumber, Status, Timestamp, TokenId,
};
use futures_util::future::try_join;

use super::account_epochs::{self, select_number};
use super::{audit, authorities, configuration, tenants};
use crate::audit::AuditEvent;
use crate::db::{Db, Row, values};
use crate::schema::ENFORCEMENT_POINTS;
use crate::{
    Acknowledged, EnforcementPointDeleted, EnforcementPointRegistered, RevokedPosition, StoreError,
    seal,
};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, account, token, name, lease_seconds, acknowledged_epoch, seen_on, \
             registered_on, terms, ",
            select_number!(
                "enforcement_points.account",
                "enforcement_points.acknowledged_epoch"
            ),
            " FROM enforcement_points ",
            $rest
        )
    };
}

/// Returns the enforcement points of an account.
pub(crate) async fn all<D: Db>(
    db: &D,
    account: AccountId,
) -> Result<Vec<EnforcementPointRecord>, StoreError> {
    db.rows(
        select!("WHERE account = ?1 ORDER BY name"),
        &values![account],
        point_row,
    )
    .await
}

async fn find<D: Db>(
    db: &D,
    account: AccountId,
    id: EnforcementPointId,
) -> Result<Option<EnforcementPointRecord>, StoreError> {
    let select = select!("WHERE id = ?1 AND account = ?2");
    db.optional(select, &values![id, account], point_row).await
}

/// Returns the account's number of the last change of its certificates, hostnames or CAs; 0 before
/// there is one.
pub(crate) async fn account_epoch<D: Db>(db: &D, account: AccountId) -> Result<u64, StoreError> {
    let of_certificates = concat!(
        "SELECT ",
        select_number!(
            "?1",
            "(SELECT max(last_epoch) FROM authorities WHERE account = ?1 AND NOT retired)"
        )
    );
    let account_values = values![account];
    let read = |row: &dyn Row| row.get::<Option<u64>>(0);
    let (certificates, configuration) = try_join(
        db.one(of_certificates, &account_values, read),
        configuration::number_after(db, account, 0),
    )
    .await?;
    Ok(configuration.max(certificates).unwrap_or(0))
}

/// Returns the points that have not acknowledged every change of their account.
pub(crate) async fn lagging<D: Db>(db: &D) -> Result<Vec<EnforcementPointRecord>, StoreError> {
    let select = select!(
        "WHERE acknowledged_epoch < (SELECT max(last_epoch) FROM authorities \
         WHERE authorities.account = enforcement_points.account AND NOT authorities.retired) \
         OR acknowledged_epoch < (SELECT configuration_epoch FROM accounts \
         WHERE accounts.id = enforcement_points.account)"
    );
    db.rows(select, &[], point_row).await
}

/// Returns the epoch up to which every live enforcement point of a CA's account knows the changes;
/// `None` if none is live at `at`.
pub(crate) async fn known_to_all<D: Db>(
    db: &D,
    authority: i64,
    at: Timestamp,
) -> Result<Option<u64>, StoreError> {
    let select = "SELECT min(acknowledged_epoch) FROM enforcement_points \
                  WHERE account = (SELECT account FROM authorities WHERE number = ?1) \
                  AND live_until > ?2 AND seen_on <= ?3";
    let latest = at.plus_seconds(EnforcementPointRecord::CLOCK_SLACK_SECONDS);
    db.one(select, &values![authority, at, latest], |row| row.get(0))
        .await
}

/// Registers an enforcement point, or renews the one of that name.
pub(crate) async fn register<D: Db>(
    db: &D,
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
        Some(known) if known.token != point.token => {
            return Ok(EnforcementPointRegistered::OfAnotherToken);
        }
        Some(known) => EnforcementPointRecord {
            lease_seconds: point.lease_seconds,
            covers: point.covers.clone(),
            when_stale: point.when_stale,
            forget_seconds: point.forget_seconds,
            seen_on: point.seen_on,
            ..known.clone()
        },
    };
    let upsert = "INSERT INTO enforcement_points (id, account, token, name, lease_seconds, \
                  acknowledged_epoch, seen_on, live_until, registered_on, terms, forget_on, \
                  digest) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) \
                  ON CONFLICT (id) DO UPDATE SET lease_seconds = excluded.lease_seconds, \
                  seen_on = excluded.seen_on, live_until = excluded.live_until, \
                  terms = excluded.terms, forget_on = excluded.forget_on, \
                  digest = excluded.digest";
    let mut cells = values![
        now.id,
        now.account,
        now.token,
        &now.name,
        now.lease_seconds,
        // An update does not write it.
        0_i64,
        now.seen_on,
        now.lease_until(),
        now.registered_on,
        terms::write(&now),
        now.forget_on(),
    ]
    .to_vec();
    cells.push(seal::of(&ENFORCEMENT_POINTS, &cells).into());
    db.execute(upsert, &cells).await?;
    // Points renew their leases all the time; only other terms change what users can rely on.
    let action = match known {
        None => Some(AuditAction::Create),
        Some(known) => {
            let terms = |point: &EnforcementPointRecord| (point.lease_seconds, terms::write(point));
            (terms(known) != terms(&now)).then_some(AuditAction::Update)
        }
    };
    if let Some(action) = action {
        log(db, action, &now, by).await?;
    }
    Ok(EnforcementPointRegistered::Registered(now))
}

/// Stores an acknowledgement: `number` is the account's. One of an earlier change only renews the
/// lease.
pub(crate) async fn acknowledge<D: Db>(
    db: &D,
    account: AccountId,
    id: EnforcementPointId,
    token: TokenId,
    number: u64,
    at: Timestamp,
) -> Result<Acknowledged, StoreError> {
    let Some(known) = find(db, account, id).await? else {
        return Ok(Acknowledged::NotFound);
    };
    if known.token != token {
        return Ok(Acknowledged::OfAnotherToken);
    }
    let Some(epoch) = account_epochs::known(db, account, number).await? else {
        let last = account_epochs::last(db, account).await?;
        return Ok(Acknowledged::Ahead(last.of_account));
    };
    let now = EnforcementPointRecord {
        acknowledged_epoch: known.acknowledged_epoch.max(number),
        seen_on: at,
        ..known
    };
    let update = "UPDATE enforcement_points SET acknowledged_epoch = \
                  CASE WHEN acknowledged_epoch < ?1 THEN ?1 ELSE acknowledged_epoch END, \
                  seen_on = ?2, live_until = ?3, forget_on = ?4 WHERE id = ?5";
    let ends = (now.lease_until(), now.forget_on());
    db.execute(update, &values![epoch, at, ends.0, ends.1, id])
        .await?;
    Ok(Acknowledged::Acknowledged(now))
}

/// Deletes an enforcement point of this token, or of any.
pub(crate) async fn delete<D: Db>(
    db: &D,
    account: AccountId,
    id: EnforcementPointId,
    token: Option<TokenId>,
    by: &By,
) -> Result<EnforcementPointDeleted, StoreError> {
    let Some(point) = find(db, account, id).await? else {
        return Ok(EnforcementPointDeleted::NotFound);
    };
    if token.is_some_and(|token| token != point.token) {
        return Ok(EnforcementPointDeleted::OfAnotherToken);
    }
    remove(db, &point, by).await?;
    Ok(EnforcementPointDeleted::Deleted)
}

async fn remove<D: Db>(db: &D, point: &EnforcementPointRecord, by: &By) -> Result<(), StoreError> {
    let delete = "DELETE FROM enforcement_points WHERE id = ?1 AND account = ?2";
    db.execute(delete, &values![point.id, point.account])
        .await?;
    log(db, AuditAction::Delete, point, by).await
}

/// Returns the earliest time at which a point is to be forgotten.
pub(crate) async fn next_forgotten<D: Db>(db: &D) -> Result<Option<Timestamp>, StoreError> {
    let select = "SELECT min(forget_on) FROM enforcement_points";
    db.one(select, &[], |row| row.get(0)).await
}

/// Deletes the points that were silent for as long as they stated, at most `limit`.
pub(crate) async fn forget_silent<D: Db>(
    db: &D,
    at: Timestamp,
    limit: u32,
) -> Result<Vec<EnforcementPointRecord>, StoreError> {
    let select = select!("WHERE forget_on <= ?1 ORDER BY forget_on LIMIT ?2");
    let due = db.rows(select, &values![at, limit], point_row).await?;
    let (forgotten, heard): (Vec<_>, Vec<_>) =
        due.into_iter().partition(|point| point.forget_on() <= at);
    // Servers of an earlier version do not move the time when they hear a point.
    let update = "UPDATE enforcement_points SET forget_on = ?1 WHERE id = ?2";
    let cells: Vec<_> = heard
        .iter()
        .map(|point| values![point.forget_on(), point.id].to_vec())
        .collect();
    db.execute_each(update, &cells).await?;
    for point in &forgotten {
        remove(db, point, &By::system(at)).await?;
    }
    Ok(forgotten)
}

async fn log<D: Db>(
    db: &D,
    action: AuditAction,
    point: &EnforcementPointRecord,
    by: &By,
) -> Result<(), StoreError> {
    let detail = format!(
        "lease_seconds={} covers={} when_stale={} forget_seconds={} name={}",
        point.lease_seconds,
        terms::covers(&point.covers),
        point.when_stale.name(),
        point.forget_seconds,
        point.name
    );
    let event = AuditEvent::new(
        action,
        ResourceType::EnforcementPoint,
        point.id.as_bytes(),
        detail,
    );
    audit::record(db, AuditOwner::Account(point.account), by, event).await
}

/// Returns a stretch of the certificates of one CA that are revoked and have not expired.
pub(crate) async fn revoked<D: Db>(
    db: &D,
    authority: AuthorityId,
    at: Timestamp,
    after: Option<RevokedPosition>,
    limit: u32,
) -> Result<Vec<(RevokedPosition, EnforcedCertificate)>, StoreError> {
    let select = "SELECT revocations.expires_on, revocations.position, revocations.serial, \
                  coalesce(certificates.fingerprint_sha256, lost_certificates.fingerprint_sha256) \
                  FROM revocations \
                  LEFT JOIN certificates ON certificates.position = revocations.position \
                  LEFT JOIN lost_certificates \
                  ON lost_certificates.position = revocations.position \
                  WHERE revocations.authority = ?1 AND shard = ?2 \
                  AND (revocations.expires_on, revocations.position) > (?3, ?4) \
                  ORDER BY revocations.expires_on, revocations.position LIMIT ?5";
    let read = |row: &dyn Row| {
        Ok(EnforcedCertificate {
            authority,
            serial: row.get(2)?,
            fingerprint_sha256: row.get(3)?,
        })
    };
    by_shard(db, select, authority, at, after, limit, read).await
}

/// Returns the serial numbers of such a stretch.
pub(crate) async fn revoked_serials<D: Db>(
    db: &D,
    authority: AuthorityId,
    at: Timestamp,
    after: Option<RevokedPosition>,
    limit: u32,
) -> Result<Vec<(RevokedPosition, SerialNumber)>, StoreError> {
    let select = "SELECT expires_on, position, serial FROM revocations \
                  WHERE authority = ?1 AND shard = ?2 AND (expires_on, position) > (?3, ?4) \
                  ORDER BY expires_on, position LIMIT ?5";
    by_shard(db, select, authority, at, after, limit, |row| row.get(2)).await
}

/// Reads a stretch of rows that begin with `expires_on` and `position`, shard by shard.
async fn by_shard<D: Db, T: Send>(
    db: &D,
    select: &str,
    authority: AuthorityId,
    at: Timestamp,
    after: Option<RevokedPosition>,
    limit: u32,
    read: impl Fn(&dyn Row) -> Result<T, StoreError> + Copy + Send + Sync,
) -> Result<Vec<(RevokedPosition, T)>, StoreError> {
    let Some(number) = authorities::number(db, authority).await? else {
        return Ok(Vec::new());
    };
    let mut revoked = Vec::new();
    for shard in after.map_or(0, |after| after.shard)..CRL_SHARDS {
        let (expires_on, position) = match after {
            Some(after) if after.shard == shard => (after.expires_on.max(at), after.position),
            _ => (at, i64::MIN),
        };
        let left = u64::from(limit) - revoked.len() as u64;
        let values = values![number, shard, expires_on, position, left];
        let read_row = |row: &dyn Row| {
            let place = RevokedPosition {
                shard,
                expires_on: row.get(0)?,
                position: row.get(1)?,
            };
            Ok((place, read(row)?))
        };
        revoked.extend(db.rows(select, &values, read_row).await?);
        if revoked.len() >= limit as usize {
            break;
        }
    }
    Ok(revoked)
}

/// Returns the certificates whose last change came after the epoch `after`, and the last change of
/// the configuration, in the order of those changes, with their numbers in the account: of each CA
/// of the account as many as may be needed, then the first of all these.
pub(crate) async fn changes<D: Db>(
    db: &D,
    account: AccountId,
    after: u64,
    limit: u32,
) -> Result<Vec<FollowedChange>, StoreError> {
    let changed = concat!(
        "SELECT ",
        select_number!("?4", "statuses.epoch"),
        ", certificates.serial, certificates.fingerprint_sha256, statuses.status \
         FROM statuses INDEXED BY statuses_by_epoch \
         JOIN certificates ON certificates.position = statuses.position \
         WHERE statuses.authority = ?1 AND statuses.epoch IS NOT NULL \
         AND statuses.epoch > ?2 ORDER BY statuses.epoch LIMIT ?3"
    );
    // 3 is the code of `revoked`; none of these certificates can be restored.
    let lost = concat!(
        "SELECT ",
        select_number!("?4", "lost_certificates.epoch"),
        ", serial, fingerprint_sha256, CAST(3 AS SMALLINT) \
         FROM lost_certificates INDEXED BY lost_certificates_by_epoch \
         WHERE lost_certificates.authority = ?1 AND lost_certificates.epoch > ?2 \
         ORDER BY lost_certificates.epoch LIMIT ?3"
    );
    let of_account = "SELECT number, id FROM authorities WHERE account = ?1 AND last_epoch > ?2";
    let account_values = values![account, after];
    let (authorities, configuration) = try_join(
        db.rows(of_account, &account_values, |row| {
            Ok((row.get(0)?, row.get(1)?))
        }),
        configuration::number_after(db, account, after),
    )
    .await?;
    let authorities: Vec<(i64, AuthorityId)> = authorities;
    let mut changes = Vec::new();
    changes.extend(configuration.map(|epoch| FollowedChange::Configuration { epoch }));
    for (number, authority) in authorities {
        for statement in [changed, lost] {
            let read = |row: &dyn Row| change_row(authority, row).map(FollowedChange::Certificate);
            changes.extend(
                db.rows(statement, &values![number, after, limit, account], read)
                    .await?,
            );
        }
    }
    changes.sort_unstable_by_key(FollowedChange::epoch);
    changes.truncate(limit as usize);
    Ok(changes)
}

fn change_row(authority: AuthorityId, row: &dyn Row) -> Result<RevocationChange, StoreError> {
    let status = row.get(3)?;
    Ok(RevocationChange {
        epoch: row.get(0)?,
        certificate: EnforcedCertificate {
            authority,
            serial: row.get(1)?,
            fingerprint_sha256: row.get(2)?,
        },
        revoked: matches!(status, Status::PendingRevocation | Status::Revoked),
    })
}

fn point_row(row: &dyn Row) -> Result<EnforcementPointRecord, StoreError> {
    let (covers, when_stale, forget_seconds) = terms::read(row.get(8)?)?;
    Ok(EnforcementPointRecord {
        id: row.get(0)?,
        account: row.get(1)?,
        token: row.get(2)?,
        name: row.get(3)?,
        lease_seconds: row.get(4)?,
        covers,
        when_stale,
        forget_seconds,
        acknowledged_epoch: row.get::<Option<u64>>(9)?.unwrap_or(0),
        seen_on: row.get(6)?,
        registered_on: row.get(7)?,
    })
}

/// The column of the terms of a point: what it covers, its behaviour without contact, the seconds
/// after which it is deleted, and check digits, with spaces between them.
pub(super) mod terms {
    use aws_lc_rs::digest::{SHA256, digest};
    use certgate_model::{Coverage, EnforcementPointRecord, Hex, WhenStale};

    use crate::StoreError;
    use crate::error::corrupt;

    type Terms = (Vec<Coverage>, WhenStale, u32);

    /// Returns the text of the column.
    pub(super) fn write(point: &EnforcementPointRecord) -> String {
        let terms = format!(
            "{} {} {} ",
            covers(&point.covers),
            point.when_stale.name(),
            point.forget_seconds
        );
        let check = check_digits(&terms);
        terms + &check
    }

    /// Returns the words of what a point covers.
    pub(super) fn covers(covers: &[Coverage]) -> String {
        let names: Vec<_> = covers.iter().map(|one| one.name()).collect();
        names.join(",")
    }

    /// Reads the column. A row of an earlier version has the defaults.
    pub(in super::super) fn read(text: Option<String>) -> Result<Terms, StoreError> {
        let Some(text) = text else {
            let seconds = EnforcementPointRecord::FORGET_SECONDS_DEFAULT;
            return Ok((vec![Coverage::Requests], WhenStale::Refuse, seconds));
        };
        parse(&text).ok_or_else(|| corrupt(format!("an enforcement point has the terms {text:?}")))
    }

    fn parse(text: &str) -> Option<Terms> {
        let (terms, check) = text.split_at(text.rfind(' ')? + 1);
        let mut words = terms.trim_end().split(' ');
        let covers = words.next()?.split(',').map(|name| {
            let mut all = Coverage::ALL.into_iter();
            all.find(|one| one.name() == name)
        });
        let when_stale = words.next()?;
        let when_stale = WhenStale::ALL
            .into_iter()
            .find(|one| one.name() == when_stale)?;
        let read = (
            covers.collect::<Option<_>>()?,
            when_stale,
            words.next()?.parse().ok()?,
        );
        (check == check_digits(terms)).then_some(read)
    }

    fn check_digits(terms: &str) -> String {
        Hex(&digest(&SHA256, terms.as_bytes()).as_ref()[..4]).to_string()
    }
}
