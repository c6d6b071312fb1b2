//! Keys of CAs that wait for their certificates. Their private keys arrive and stay sealed.

use certgate_model::{
    AccountId, AuditAction, AuditOwner, AuthorityId, AuthorityRequestRecord, By, ResourceType,
};

use super::{audit, tenants};
use crate::audit::AuditEvent;
use crate::db::{Db, Row, values};
use crate::schema::AUTHORITY_REQUESTS;
use crate::{AuthorityRequested, StoreError, seal};

/// Returns the requests of an account, latest first.
pub(crate) async fn all<D: Db>(
    db: &D,
    account: AccountId,
) -> Result<Vec<AuthorityRequestRecord>, StoreError> {
    let select = "SELECT id, account, name, algorithm, sealed_key, csr_der, created_on \
                  FROM authority_requests WHERE account = ?1";
    let mut found = db.rows(select, &values![account], request_row).await?;
    found.sort_unstable_by_key(|request| std::cmp::Reverse(request.id));
    Ok(found)
}

/// Stores a request, unless the account has `max`.
pub(crate) async fn record<D: Db>(
    db: &D,
    request: &AuthorityRequestRecord,
    max: u64,
    by: &By,
) -> Result<AuthorityRequested, StoreError> {
    if tenants::account(db, request.account).await?.is_none() {
        return Ok(AuthorityRequested::NoAccount);
    }
    if all(db, request.account).await?.len() as u64 >= max {
        return Ok(AuthorityRequested::TooMany);
    }
    let cells = values![
        request.id,
        request.account,
        &request.name,
        request.algorithm.name(),
        &request.sealed_key,
        &request.csr_der,
        request.created_on,
    ];
    seal::insert(db, &AUTHORITY_REQUESTS, &cells).await?;
    let detail = format!("request algorithm={}", request.algorithm);
    log(
        db,
        AuditAction::Create,
        request.account,
        request.id,
        detail,
        by,
    )
    .await?;
    Ok(AuthorityRequested::Requested)
}

/// Deletes a request and its key; `false` if the account has none with this ID.
pub(crate) async fn delete<D: Db>(
    db: &D,
    account: AccountId,
    id: AuthorityId,
    by: &By,
) -> Result<bool, StoreError> {
    let is_removed = remove(db, account, id).await?;
    if is_removed {
        let detail = "request".to_owned();
        log(db, AuditAction::Delete, account, id, detail, by).await?;
    }
    Ok(is_removed)
}

/// Removes the row of a request.
pub(super) async fn remove<D: Db>(
    db: &D,
    account: AccountId,
    id: AuthorityId,
) -> Result<bool, StoreError> {
    let delete = "DELETE FROM authority_requests WHERE id = ?1 AND account = ?2";
    Ok(db.execute(delete, &values![id, account]).await? > 0)
}

async fn log<D: Db>(
    db: &D,
    action: AuditAction,
    account: AccountId,
    id: AuthorityId,
    detail: String,
    by: &By,
) -> Result<(), StoreError> {
    let event = AuditEvent::new(
        action,
        ResourceType::ManagedAuthority,
        id.as_bytes(),
        detail,
    );
    audit::record(db, AuditOwner::Account(account), by, event).await
}

fn request_row(row: &dyn Row) -> Result<AuthorityRequestRecord, StoreError> {
    Ok(AuthorityRequestRecord {
        id: row.get(0)?,
        account: row.get(1)?,
        name: row.get(2)?,
        algorithm: row.get(3)?,
        sealed_key: row.get(4)?,
        csr_der: row.get(5)?,
        created_on: row.get(6)?,
    })
}
