//! API tokens. Policies and address blocks are read and written as a whole, so they are JSON in a column each.

use certgate_model::{
    AuditAction, AuditOwner, By, Page, ResourceType, Slice, Timestamp, TokenHash, TokenId,
    TokenRecord, UserId,
};
use rusqlite::{Connection, Row};

use super::audit::{self, Deed};
use super::error::corrupt;
use super::row;
use crate::{StoreError, token_columns};

macro_rules! columns {
    () => {
        "id, user, name, hash, state, policies, allowed_addresses, refused_addresses, not_before, expires_on, \
         issued_on, modified_on, last_used_on"
    };
}

/// One token.
pub(super) fn token(
    connection: &Connection,
    id: TokenId,
) -> Result<Option<TokenRecord>, StoreError> {
    let mut statement =
        connection.prepare_cached(concat!("SELECT ", columns!(), " FROM tokens WHERE id = ?1"))?;
    let mut rows = statement.query((id.as_bytes(),))?;
    rows.next()?.map(token_row).transpose()
}

/// The token whose value has this hash.
pub(super) fn by_hash(
    connection: &Connection,
    hash: TokenHash,
) -> Result<Option<TokenRecord>, StoreError> {
    let mut statement = connection.prepare_cached(concat!(
        "SELECT ",
        columns!(),
        " FROM tokens WHERE hash = ?1"
    ))?;
    let mut rows = statement.query((hash.0,))?;
    rows.next()?.map(token_row).transpose()
}

/// A page of tokens, oldest first.
pub(super) fn page(connection: &Connection, slice: Slice) -> Result<Page<TokenRecord>, StoreError> {
    let total = connection
        .prepare_cached("SELECT count(*) FROM tokens")?
        .query_row((), |row| row.get(0))?;
    let mut statement = connection.prepare_cached(concat!(
        "SELECT ",
        columns!(),
        " FROM tokens ORDER BY issued_on, id LIMIT ?1 OFFSET ?2"
    ))?;
    let mut rows = statement.query((slice.size, row::offset(slice.first)))?;
    let mut items = Vec::new();
    while let Some(row) = rows.next()? {
        items.push(token_row(row)?);
    }
    Ok(Page { items, total })
}

/// Stores a new token.
pub(super) fn record(
    connection: &Connection,
    token: &TokenRecord,
    by: &By,
) -> Result<(), StoreError> {
    write(
        connection,
        "INSERT INTO tokens (id, user, name, hash, state, policies, allowed_addresses, refused_addresses, \
         not_before, expires_on, issued_on, modified_on) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        token,
    )?;
    log(connection, AuditAction::Create, token, by)?;
    match token.last_used_on {
        Some(at) => record_uses(connection, &[(token.id, at)]),
        None => Ok(()),
    }
}

/// Replaces a token's record but for its last use; `false` if it is not `old`, or there is none.
pub(super) fn replace(
    connection: &Connection,
    old: &TokenRecord,
    new: &TokenRecord,
    by: &By,
) -> Result<bool, StoreError> {
    let Some(found) = token(connection, old.id)? else {
        return Ok(false);
    };
    // Somebody who uses the token must not keep its owner from changing it.
    if (TokenRecord {
        last_used_on: old.last_used_on,
        ..found
    }) != *old
    {
        return Ok(false);
    }
    let changed = write(
        connection,
        "UPDATE tokens SET user = ?2, name = ?3, hash = ?4, state = ?5, policies = ?6, allowed_addresses = ?7, \
         refused_addresses = ?8, not_before = ?9, expires_on = ?10, issued_on = ?11, modified_on = ?12 \
         WHERE id = ?1",
        new,
    )?;
    log(connection, AuditAction::Update, new, by)?;
    Ok(changed == 1)
}

/// Deletes a token; `false` if there is none.
pub(super) fn delete(connection: &Connection, id: TokenId, by: &By) -> Result<bool, StoreError> {
    let Some(found) = token(connection, id)? else {
        return Ok(false);
    };
    connection
        .prepare_cached("DELETE FROM tokens WHERE id = ?1")?
        .execute((id.as_bytes(),))?;
    log(connection, AuditAction::Delete, &found, by)?;
    Ok(true)
}

fn log(
    connection: &Connection,
    action: AuditAction,
    token: &TokenRecord,
    by: &By,
) -> Result<(), StoreError> {
    let detail = format!("name={}", token.name);
    let deed = Deed::new(action, ResourceType::Token, token.id.as_bytes(), detail);
    audit::record(connection, AuditOwner::User(token.user), by, deed)
}

/// Dates the last use of tokens.
pub(super) fn record_uses(
    connection: &Connection,
    uses: &[(TokenId, Timestamp)],
) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(
        "UPDATE tokens SET last_used_on = ?2 WHERE id = ?1 AND coalesce(last_used_on < ?2, 1)",
    )?;
    for (id, at) in uses {
        statement.execute((id.as_bytes(), at.unix_microseconds()))?;
    }
    Ok(())
}

fn write(
    connection: &Connection,
    statement: &str,
    token: &TokenRecord,
) -> Result<usize, StoreError> {
    let changed = connection.prepare_cached(statement)?.execute((
        token.id.as_bytes(),
        token.user.as_bytes(),
        &token.name,
        token.hash.0,
        token_columns::state_name(token.state),
        token_columns::policies_text(&token.policies)?,
        token_columns::address_blocks_text(&token.allowed_addresses)?,
        token_columns::address_blocks_text(&token.refused_addresses)?,
        token.not_before.map(Timestamp::unix_microseconds),
        token.expires_on.map(Timestamp::unix_microseconds),
        token.issued_on.unix_microseconds(),
        token.modified_on.unix_microseconds(),
    ))?;
    Ok(changed)
}

fn token_row(row: &Row<'_>) -> Result<TokenRecord, StoreError> {
    Ok(TokenRecord {
        id: TokenId::from_bytes(row.get(0)?),
        user: UserId::from_bytes(row.get(1)?),
        name: row.get(2)?,
        hash: TokenHash(row.get(3)?),
        state: token_columns::state(text(row, 4)?)?,
        policies: token_columns::policies(text(row, 5)?)?,
        allowed_addresses: token_columns::address_blocks(text(row, 6)?)?,
        refused_addresses: token_columns::address_blocks(text(row, 7)?)?,
        not_before: row::optional_timestamp(row, 8)?,
        expires_on: row::optional_timestamp(row, 9)?,
        issued_on: row::timestamp(row, 10)?,
        modified_on: row::timestamp(row, 11)?,
        last_used_on: row::optional_timestamp(row, 12)?,
    })
}

fn text<'r>(row: &'r Row<'_>, column: usize) -> Result<&'r str, StoreError> {
    row.get_ref(column)?
        .as_str()
        .map_err(|error| corrupt(error.to_string()))
}
