//! The states of objects that notifications report.

use certgate_model::{ExpiringCertificate, ExpiryPlace, ReportedState, Status, Timestamp, ZoneId};

use crate::StoreError;
use crate::db::{Db, Row, values};

fn state_row(row: &dyn Row) -> Result<ReportedState, StoreError> {
    Ok(ReportedState {
        object: row.get(0)?,
        account: row.get(1)?,
        name: row.get(2)?,
        since: row.get(3)?,
    })
}

/// Returns the active CAs that end after `at` and before another time.
pub(crate) async fn authorities_ending<D: Db>(
    db: &D,
    at: Timestamp,
    before: Timestamp,
) -> Result<Vec<ReportedState>, StoreError> {
    let select = "SELECT authorities.id, authorities.account, authorities.name, \
                  authorities.expires_on FROM accounts \
                  JOIN authorities ON authorities.number = accounts.managed_authority \
                  WHERE accounts.deleted_at IS NULL AND authorities.expires_on < ?1 \
                  AND authorities.expires_on > ?2";
    db.rows(select, &values![before, at], state_row).await
}

/// Returns the CAs, not expired at `at`, with a CRL whose renewal was due before a time, and the
/// earliest end of such a CRL.
pub(crate) async fn crls_overdue<D: Db>(
    db: &D,
    due_before: Timestamp,
    at: Timestamp,
) -> Result<Vec<ReportedState>, StoreError> {
    let select = "SELECT authorities.id, authorities.account, authorities.name, \
                  min(crl_states.next_update) FROM crl_states \
                  JOIN authorities ON authorities.number = crl_states.authority \
                  WHERE crl_states.renew_on >= 0 AND crl_states.renew_on < ?1 \
                  AND authorities.expires_on > ?2 AND authorities.created_on <= ?1 \
                  GROUP BY authorities.id, authorities.account, authorities.name";
    db.rows(select, &values![due_before, at], state_row).await
}

/// Returns enforcement points whose lease ended before a time, those that ended last first.
pub(crate) async fn points_silent<D: Db>(
    db: &D,
    before: Timestamp,
    limit: u32,
) -> Result<Vec<ReportedState>, StoreError> {
    let select = "SELECT id, account, name, live_until FROM enforcement_points \
                  WHERE live_until < ?1 ORDER BY live_until DESC LIMIT ?2";
    db.rows(select, &values![before, limit], state_row).await
}

/// Returns certificates of a zone that are not revoked and not replaced, by their end, and the
/// place at which the next call continues; `None` at the end. Reads `limit` entries of the index.
pub(crate) async fn expiring<D: Db>(
    db: &D,
    zone: ZoneId,
    after: ExpiryPlace,
    until: Timestamp,
    limit: u32,
) -> Result<(Vec<ExpiringCertificate>, Option<ExpiryPlace>), StoreError> {
    let number = "SELECT number FROM zones WHERE id = ?1 AND deleted_at IS NULL";
    let number = db
        .optional(number, &values![zone], |row| row.get::<i64>(0))
        .await?;
    let Some(number) = number else {
        return Ok((Vec::new(), None));
    };
    let select = "SELECT expires_on, position FROM certificate_expiries \
                  WHERE zone = ?1 AND (expires_on, position) > (?2, ?3) AND expires_on <= ?4 \
                  ORDER BY expires_on, position LIMIT ?5";
    let values = values![number, after.expires_on, after.position, until, limit];
    let places = db.rows(select, &values, |row| {
        Ok(ExpiryPlace {
            expires_on: row.get(0)?,
            position: row.get(1)?,
        })
    });
    let places = places.await?;
    let select = "SELECT certificates.id, certificates.issued_on, statuses.status \
                  FROM certificates JOIN statuses ON statuses.position = certificates.position \
                  WHERE certificates.position = ?1 AND NOT EXISTS \
                  (SELECT 1 FROM replacements WHERE replacements.position = ?1)";
    let keys: Vec<_> = places
        .iter()
        .map(|place| values![place.position].to_vec())
        .collect();
    let found = db.optional_each(select, &keys, |row| {
        Ok((row.get(0)?, row.get(1)?, row.get::<Status>(2)?))
    });
    let found = found.await?.into_iter().zip(&places);
    let expiring = found.filter_map(|(found, place)| {
        let (id, issued_on, status) = found?;
        let is_usable = matches!(status, Status::Active | Status::PendingReactivation);
        is_usable.then_some(ExpiringCertificate {
            id,
            issued_on,
            expires_on: place.expires_on,
        })
    });
    let expiring = expiring.collect();
    let next = places.last().filter(|_| places.len() == limit as usize);
    Ok((expiring, next.copied()))
}
