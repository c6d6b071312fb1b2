//! Authorities. Their private keys arrive and stay sealed.

use certgate_model::{
    AccountId, AuditAction, AuditOwner, AuthorityId, AuthorityRecord, By, ResourceType,
};
use rusqlite::{Connection, OptionalExtension, Row};

use super::audit::{self, Deed};
use super::{revocations, row};
use crate::{AuthorityReplaced, StoreError};

macro_rules! columns {
    () => {
        "authorities.id, authorities.account, authorities.name, authorities.algorithm, \
         authorities.certificate_der, authorities.sealed_key, authorities.public_url, authorities.created_on, \
         authorities.expires_on"
    };
}

/// One authority, also one of a deleted account.
pub(super) fn authority(
    connection: &Connection,
    id: AuthorityId,
) -> Result<Option<AuthorityRecord>, StoreError> {
    let mut statement = connection.prepare_cached(concat!(
        "SELECT ",
        columns!(),
        " FROM authorities WHERE id = ?1"
    ))?;
    let mut rows = statement.query((id.as_bytes(),))?;
    rows.next()?.map(authority_row).transpose()
}

/// The certificates of every authority, oldest first.
pub(super) fn certificates(
    connection: &Connection,
) -> Result<Vec<(AuthorityId, Vec<u8>)>, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT id, certificate_der FROM authorities ORDER BY number")?;
    let mut rows = statement.query(())?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push((AuthorityId::from_bytes(row.get(0)?), row.get(1)?));
    }
    Ok(all)
}

/// The managed authority of an account that is not deleted.
pub(super) fn managed(
    connection: &Connection,
    account: AccountId,
) -> Result<Option<AuthorityRecord>, StoreError> {
    let mut statement = connection.prepare_cached(concat!(
        "SELECT ",
        columns!(),
        " FROM accounts JOIN authorities ON authorities.number = accounts.managed_authority \
         WHERE accounts.id = ?1 AND accounts.deleted_at IS NULL"
    ))?;
    let mut rows = statement.query((account.as_bytes(),))?;
    rows.next()?.map(authority_row).transpose()
}

/// Every authority that is or was in force in an account that is not deleted: the one that is first, then the latest of
/// the others.
pub(super) fn managed_all(
    connection: &Connection,
    account: AccountId,
) -> Result<Vec<AuthorityRecord>, StoreError> {
    let mut statement = connection.prepare_cached(concat!(
        "SELECT ",
        columns!(),
        " FROM accounts JOIN authorities ON authorities.account = accounts.id \
         WHERE accounts.id = ?1 AND accounts.deleted_at IS NULL \
         ORDER BY authorities.number = accounts.managed_authority DESC, authorities.number DESC"
    ))?;
    let mut rows = statement.query((account.as_bytes(),))?;
    let mut authorities = Vec::new();
    while let Some(row) = rows.next()? {
        authorities.push(authority_row(row)?);
    }
    Ok(authorities)
}

/// Makes an authority the managed one of its account, unless that has one; the one in force afterwards.
pub(super) fn record_managed(
    connection: &Connection,
    authority: &AuthorityRecord,
    by: &By,
) -> Result<Option<AuthorityRecord>, StoreError> {
    match replace_managed(connection, None, authority, by)? {
        AuthorityReplaced::Replaced => Ok(Some(authority.clone())),
        AuthorityReplaced::NoAccount => Ok(None),
        AuthorityReplaced::NotExpected => managed(connection, authority.account),
    }
}

/// Stores an authority and puts it in force, if the one that is in force is `expected`.
pub(super) fn replace_managed(
    connection: &Connection,
    expected: Option<AuthorityId>,
    authority: &AuthorityRecord,
    by: &By,
) -> Result<AuthorityReplaced, StoreError> {
    let current: Option<Option<[u8; 16]>> = connection
        .prepare_cached(
            "SELECT authorities.id FROM accounts \
             LEFT JOIN authorities ON authorities.number = accounts.managed_authority \
             WHERE accounts.id = ?1 AND accounts.deleted_at IS NULL",
        )?
        .query_row((authority.account.as_bytes(),), |row| row.get(0))
        .optional()?;
    let Some(current) = current else {
        return Ok(AuthorityReplaced::NoAccount);
    };
    if current.map(AuthorityId::from_bytes) != expected {
        return Ok(AuthorityReplaced::NotExpected);
    }
    connection
        .prepare_cached(
            "INSERT INTO authorities (id, account, name, algorithm, certificate_der, sealed_key, public_url, \
             created_on, expires_on) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute((
            authority.id.as_bytes(),
            authority.account.as_bytes(),
            &authority.name,
            authority.algorithm.name(),
            &authority.certificate_der,
            &authority.sealed_key,
            &authority.public_url,
            authority.created_on.unix_microseconds(),
            authority.expires_on.unix_microseconds(),
        ))?;
    connection
        .prepare_cached(
            "UPDATE accounts SET managed_authority = (SELECT number FROM authorities WHERE id = ?1) WHERE id = ?2",
        )?
        .execute((authority.id.as_bytes(), authority.account.as_bytes()))?;
    revocations::begin_lists(connection, authority.id)?;
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
    audit::record(connection, AuditOwner::Account(authority.account), by, deed)?;
    Ok(AuthorityReplaced::Replaced)
}

fn authority_row(row: &Row<'_>) -> Result<AuthorityRecord, StoreError> {
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
