//! Deleting accounts and zones. Their rows stay, marked with the time.

use certgate_model::{AccountId, AuditAction, By, Status, ZoneId};

use super::tenants::{account, log_account, log_zone, zone, zone_number};
use super::{counters, hostnames, invites, mtls_certificates, tokens};
use crate::db::{Db, values};
use crate::{AccountDeleted, StoreError, ZoneDeleted};

/// Deletes an account without zones and without uploaded certificates, and its tokens.
pub(crate) async fn delete_account<D: Db>(
    db: &D,
    id: AccountId,
    by: &By,
) -> Result<AccountDeleted, StoreError> {
    let Some(account) = account(db, id).await? else {
        return Ok(AccountDeleted::NotFound);
    };
    let count = "SELECT count(*) FROM zones WHERE account = ?1 AND deleted_at IS NULL";
    let zones: u64 = db.one(count, &values![id], |row| row.get(0)).await?;
    if zones > 0 {
        return Ok(AccountDeleted::HasZones(zones));
    }
    let uploaded = mtls_certificates::count(db, id).await?;
    if uploaded > 0 {
        return Ok(AccountDeleted::HasMtlsCertificates(uploaded));
    }
    db.execute(
        "DELETE FROM enforcement_points WHERE account = ?1",
        &values![id],
    )
    .await?;
    tokens::delete_of_account(db, id, by).await?;
    db.execute(
        "UPDATE accounts SET deleted_at = ?2 WHERE id = ?1 AND deleted_at IS NULL",
        &values![id, by.at],
    )
    .await?;
    log_account(db, AuditAction::Delete, &account, by).await?;
    Ok(AccountDeleted::Deleted)
}

/// Deletes a zone whose certificates are all revoked, its lists of hostnames and its invites.
pub(crate) async fn delete_zone<D: Db>(
    db: &D,
    id: ZoneId,
    by: &By,
) -> Result<ZoneDeleted, StoreError> {
    let (Some(zone), Some(number)) = (zone(db, id).await?, zone_number(db, id).await?) else {
        return Ok(ZoneDeleted::NotFound);
    };
    let (totals, _) = counters::totals(db, number).await?;
    if totals.all() > totals.of(Status::Revoked) {
        return Ok(ZoneDeleted::InUse(totals));
    }
    let epoch = hostnames::delete_of_zone(db, number, zone.account).await?;
    invites::delete_of_zone(db, id).await?;
    db.execute(
        "UPDATE zones SET deleted_at = ?1 WHERE number = ?2 AND deleted_at IS NULL",
        &values![by.at, number],
    )
    .await?;
    log_zone(db, AuditAction::Delete, &zone, epoch, by).await?;
    Ok(ZoneDeleted::Deleted)
}
