//! Authorities. Their private keys arrive and stay sealed.

use certgate_model::{
    AccountId, AuditAction, AuditOwner, AuthorityId, AuthorityRecord, By, ResourceType,
};

use super::audit::{self, Deed};
use super::db::Db;
use super::revocations;
use super::row::{self, Row};
use super::value::values;
use crate::{AuthorityReplaced, StoreError};

macro_rules! columns {
    () => {
        "authorities.id, authorities.account, authorities.name, authorities.algorithm, \
         authorities.certificate_der, authorities.sealed_key, authorities.public_url, authorities.created_on, \
         authorities.expires_on"
    };
}

/// One authority, also one of a deleted account.
pub(super) async fn authority(
    db: &Db,
    id: AuthorityId,
) -> Result<Option<AuthorityRecord>, StoreError> {
    let select = concat!("SELECT ", columns!(), " FROM authorities WHERE id = $1");
    db.optional(select, values![id.as_bytes()])
        .await?
        .as_ref()
        .map(authority_row)
        .transpose()
}

/// The certificates of every authority, oldest first.
pub(super) async fn certificates(db: &Db) -> Result<Vec<(AuthorityId, Vec<u8>)>, StoreError> {
    let rows = db
        .rows(
            "SELECT id, certificate_der FROM authorities ORDER BY number",
            values![],
        )
        .await?;
    rows.iter()
        .map(|row| Ok((AuthorityId::from_bytes(row.get(0)?), row.get(1)?)))
        .collect()
}

/// The number of an authority.
pub(super) async fn number(db: &Db, id: AuthorityId) -> Result<Option<i64>, StoreError> {
    let select = "SELECT number FROM authorities WHERE id = $1";
    db.optional(select, values![id.as_bytes()])
        .await?
        .map(|row| row.get(0))
        .transpose()
}

/// The managed authority of an account that is not deleted.
pub(super) async fn managed(
    db: &Db,
    account: AccountId,
) -> Result<Option<AuthorityRecord>, StoreError> {
    let select = concat!(
        "SELECT ",
        columns!(),
        " FROM accounts JOIN authorities ON authorities.number = accounts.managed_authority \
         WHERE accounts.id = $1 AND accounts.deleted_at IS NULL"
    );
    db.optional(select, values![account.as_bytes()])
        .await?
        .as_ref()
        .map(authority_row)
        .transpose()
}

/// Every authority that is or was in force in an account that is not deleted: the one that is first, then the latest of
/// the others.
pub(super) async fn managed_all(
    db: &Db,
    account: AccountId,
) -> Result<Vec<AuthorityRecord>, StoreError> {
    let select = concat!(
        "SELECT ",
        columns!(),
        " FROM accounts JOIN authorities ON authorities.account = accounts.id \
         WHERE accounts.id = $1 AND accounts.deleted_at IS NULL \
         ORDER BY coalesce(authorities.number = accounts.managed_authority, FALSE) DESC, authorities.number DESC"
    );
    let rows = db.rows(select, values![account.as_bytes()]).await?;
    rows.iter().map(authority_row).collect()
}

/// Makes an authority the managed one of its account, unless that has one; the one in force afterwards.
pub(super) async fn record_managed(
    db: &Db,
    authority: &AuthorityRecord,
    by: &By,
) -> Result<Option<AuthorityRecord>, StoreError> {
    match replace_managed(db, None, authority, by).await? {
        AuthorityReplaced::Replaced => Ok(Some(authority.clone())),
        AuthorityReplaced::NoAccount => Ok(None),
        AuthorityReplaced::NotExpected => managed(db, authority.account).await,
    }
}

/// Stores an authority and puts it in force, if the one that is in force is `expected`.
pub(super) async fn replace_managed(
    db: &Db,
    expected: Option<AuthorityId>,
    authority: &AuthorityRecord,
    by: &By,
) -> Result<AuthorityReplaced, StoreError> {
    let current = db
        .optional(
            "SELECT authorities.id FROM accounts \
             LEFT JOIN authorities ON authorities.number = accounts.managed_authority \
             WHERE accounts.id = $1 AND accounts.deleted_at IS NULL",
            values![authority.account.as_bytes()],
        )
        .await?;
    let Some(current) = current else {
        return Ok(AuthorityReplaced::NoAccount);
    };
    if current
        .get::<Option<[u8; 16]>>(0)?
        .map(AuthorityId::from_bytes)
        != expected
    {
        return Ok(AuthorityReplaced::NotExpected);
    }
    let inserted = db
        .one(
            "INSERT INTO authorities (number, id, account, name, algorithm, certificate_der, sealed_key, public_url, \
             created_on, expires_on, last_epoch) \
             VALUES ((SELECT coalesce(max(number), 0) + 1 FROM authorities), $1, $2, $3, $4, $5, $6, $7, $8, $9, 0) \
             RETURNING number",
            values![
                authority.id.as_bytes(),
                authority.account.as_bytes(),
                &authority.name,
                authority.algorithm.name(),
                &authority.certificate_der,
                &authority.sealed_key,
                &authority.public_url,
                authority.created_on.unix_microseconds(),
                authority.expires_on.unix_microseconds(),
            ],
        )
        .await?;
    let number: i64 = inserted.get(0)?;
    db.execute(
        "UPDATE accounts SET managed_authority = $1 WHERE id = $2",
        values![number, authority.account.as_bytes()],
    )
    .await?;
    revocations::begin_lists(db, number).await?;
    let mut detail = format!("algorithm={}", authority.algorithm);
    if let Some(replaced) = expected {
        detail.push_str(&format!(" replaced={replaced}"));
    }
    let deed = Deed::new(
        AuditAction::Create,
        ResourceType::ManagedAuthority,
        authority.id.as_bytes(),
        detail,
    );
    audit::record(db, AuditOwner::Account(authority.account), by, deed).await?;
    Ok(AuthorityReplaced::Replaced)
}

fn authority_row(row: &Row) -> Result<AuthorityRecord, StoreError> {
    Ok(AuthorityRecord {
        id: AuthorityId::from_bytes(row.get(0)?),
        account: AccountId::from_bytes(row.get(1)?),
        name: row.get(2)?,
        algorithm: row::key_algorithm(row, 3)?,
        certificate_der: row.get(4)?,
        sealed_key: row.get(5)?,
        public_url: row.get(6)?,
        created_on: row::timestamp(row, 7)?,
        expires_on: row::timestamp(row, 8)?,
    })
}
