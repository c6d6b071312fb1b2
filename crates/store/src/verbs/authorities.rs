//! CAs. Their private keys arrive and stay sealed.

use certgate_model::{
    AccountId, AuditAction, AuditOwner, AuthorityId, AuthorityRecord, By, ResourceType,
};

use super::{audit, revocations};
use crate::audit::AuditEvent;
use crate::db::{Db, Row, values};
use crate::schema::AUTHORITIES;
use crate::{AuthorityReplaced, StoreError, seal};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT authorities.id, authorities.account, authorities.name, authorities.algorithm, \
             authorities.certificate_der, authorities.sealed_key, authorities.public_url, \
             authorities.created_on, authorities.expires_on FROM ",
            $rest
        )
    };
}

/// Returns one CA, also one of a deleted account.
pub(crate) async fn authority<D: Db>(
    db: &D,
    id: AuthorityId,
) -> Result<Option<AuthorityRecord>, StoreError> {
    db.optional(
        select!("authorities WHERE id = ?1"),
        &values![id],
        authority_row,
    )
    .await
}

/// Returns the certificates of every CA, oldest first.
pub(crate) async fn certificates<D: Db>(db: &D) -> Result<Vec<(AuthorityId, Vec<u8>)>, StoreError> {
    let select = "SELECT id, certificate_der FROM authorities ORDER BY number";
    db.rows(select, &[], |row| Ok((row.get(0)?, row.get(1)?)))
        .await
}

/// Returns the small number that stands for a CA in other tables.
pub(crate) async fn number<D: Db>(db: &D, id: AuthorityId) -> Result<Option<i64>, StoreError> {
    let select = "SELECT number FROM authorities WHERE id = ?1";
    db.optional(select, &values![id], |row| row.get(0)).await
}

/// Returns the active CA of an account that is not deleted.
pub(crate) async fn managed<D: Db>(
    db: &D,
    account: AccountId,
) -> Result<Option<AuthorityRecord>, StoreError> {
    let select = select!(
        "accounts JOIN authorities ON authorities.number = accounts.managed_authority \
         WHERE accounts.id = ?1 AND accounts.deleted_at IS NULL"
    );
    db.optional(select, &values![account], authority_row).await
}

/// Returns every managed or imported CA of an account that is not deleted: the active one first,
/// then the others, latest first.
pub(crate) async fn managed_all<D: Db>(
    db: &D,
    account: AccountId,
) -> Result<Vec<AuthorityRecord>, StoreError> {
    let select = select!(
        "accounts JOIN authorities ON authorities.account = accounts.id \
         WHERE accounts.id = ?1 AND accounts.deleted_at IS NULL \
         ORDER BY coalesce(authorities.number = accounts.managed_authority, FALSE) DESC, \
         authorities.number DESC"
    );
    db.rows(select, &values![account], authority_row).await
}

/// Makes a CA the active one of its account, unless the account has one; returns the one that is
/// active afterwards.
pub(crate) async fn record_managed<D: Db>(
    db: &D,
    authority: &AuthorityRecord,
    by: &By,
) -> Result<Option<AuthorityRecord>, StoreError> {
    match replace_managed(db, None, authority, by).await? {
        AuthorityReplaced::Replaced => Ok(Some(authority.clone())),
        AuthorityReplaced::NoAccount => Ok(None),
        AuthorityReplaced::NotExpected => managed(db, authority.account).await,
    }
}

/// Stores a CA and makes it active, if the active one is `expected`.
pub(crate) async fn replace_managed<D: Db>(
    db: &D,
    expected: Option<AuthorityId>,
    authority: &AuthorityRecord,
    by: &By,
) -> Result<AuthorityReplaced, StoreError> {
    let current: Option<Option<AuthorityId>> = db
        .optional(
            "SELECT authorities.id FROM accounts \
             LEFT JOIN authorities ON authorities.number = accounts.managed_authority \
             WHERE accounts.id = ?1 AND accounts.deleted_at IS NULL",
            &values![authority.account],
            |row| row.get(0),
        )
        .await?;
    match current {
        None => return Ok(AuthorityReplaced::NoAccount),
        Some(current) if current != expected => return Ok(AuthorityReplaced::NotExpected),
        Some(_) => {}
    }
    let mut cells = values![
        None::<i64>,
        authority.id,
        authority.account,
        &authority.name,
        authority.algorithm.name(),
        &authority.certificate_der,
        &authority.sealed_key,
        &authority.public_url,
        authority.created_on,
        authority.expires_on,
    ]
    .to_vec();
    cells.push(seal::of(&AUTHORITIES, &cells).into());
    let number: i64 = db
        .one(
            "INSERT INTO authorities (number, id, account, name, algorithm, certificate_der, \
             sealed_key, public_url, created_on, expires_on, last_epoch, digest) \
             VALUES ((SELECT coalesce(max(number), 0) + 1 FROM authorities), ?1, ?2, ?3, ?4, ?5, \
             ?6, ?7, ?8, ?9, 0, ?10) RETURNING number",
            &cells[1..],
            |row| row.get(0),
        )
        .await?;
    let activate = "UPDATE accounts SET managed_authority = ?1 WHERE id = ?2";
    db.execute(activate, &values![number, authority.account])
        .await?;
    revocations::begin_crls(db, number).await?;
    let mut detail = format!("algorithm={}", authority.algorithm);
    if let Some(replaced) = expected {
        detail.push_str(&format!(" replaced={replaced}"));
    }
    let (action, kind) = (AuditAction::Create, ResourceType::ManagedAuthority);
    let event = AuditEvent::new(action, kind, authority.id.as_bytes(), detail);
    audit::record(db, AuditOwner::Account(authority.account), by, event).await?;
    Ok(AuthorityReplaced::Replaced)
}

fn authority_row(row: &dyn Row) -> Result<AuthorityRecord, StoreError> {
    Ok(AuthorityRecord {
        id: row.get(0)?,
        account: row.get(1)?,
        name: row.get(2)?,
        algorithm: row.get(3)?,
        certificate_der: row.get(4)?,
        sealed_key: row.get(5)?,
        public_url: row.get(6)?,
        created_on: row.get(7)?,
        expires_on: row.get(8)?,
    })
}
