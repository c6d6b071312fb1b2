//! API tokens. Policies and address blocks are read and written as a whole, so they are JSON in a column each.

use certgate_model::{
    AuditAction, AuditOwner, By, Page, ResourceType, Slice, Timestamp, TokenHash, TokenId,
    TokenRecord, UserId,
};

use super::audit::{self, Deed};
use super::db::Db;
use super::row::{self, Row};
use super::value::values;
use crate::{StoreError, token_columns};

macro_rules! columns {
    () => {
        "id, \"user\", name, hash, state, policies, allowed_addresses, refused_addresses, not_before, expires_on, \
         issued_on, modified_on, last_used_on"
    };
}

/// One token.
pub(super) async fn token(db: &Db, id: TokenId) -> Result<Option<TokenRecord>, StoreError> {
    let select = concat!("SELECT ", columns!(), " FROM tokens WHERE id = $1");
    db.optional(select, values![id.as_bytes()])
        .await?
        .as_ref()
        .map(token_row)
        .transpose()
}

/// The token whose value has this hash.
pub(super) async fn by_hash(db: &Db, hash: TokenHash) -> Result<Option<TokenRecord>, StoreError> {
    let select = concat!("SELECT ", columns!(), " FROM tokens WHERE hash = $1");
    db.optional(select, values![hash.0])
        .await?
        .as_ref()
        .map(token_row)
        .transpose()
}

/// A page of tokens, oldest first.
pub(super) async fn page(db: &Db, slice: Slice) -> Result<Page<TokenRecord>, StoreError> {
    let total = db
        .one("SELECT count(*) FROM tokens", values![])
        .await?
        .get(0)?;
    let select = concat!(
        "SELECT ",
        columns!(),
        " FROM tokens ORDER BY issued_on, id LIMIT $1 OFFSET $2"
    );
    let rows = db
        .rows(select, values![slice.size, row::offset(slice.first)])
        .await?;
    Ok(Page {
        items: rows.iter().map(token_row).collect::<Result<_, _>>()?,
        total,
    })
}

/// Stores a new token.
pub(super) async fn record(db: &Db, token: &TokenRecord, by: &By) -> Result<(), StoreError> {
    write(
        db,
        "INSERT INTO tokens (id, \"user\", name, hash, state, policies, allowed_addresses, refused_addresses, \
         not_before, expires_on, issued_on, modified_on) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        token,
    )
    .await?;
    log(db, AuditAction::Create, token, by).await?;
    match token.last_used_on {
        Some(at) => record_uses(db, &[(token.id, at)]).await,
        None => Ok(()),
    }
}

/// Replaces a token's record but for its last use; `false` if it is not `old`, or there is none.
pub(super) async fn replace(
    db: &Db,
    old: &TokenRecord,
    new: &TokenRecord,
    by: &By,
) -> Result<bool, StoreError> {
    let Some(found) = token(db, old.id).await? else {
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
        db,
        "UPDATE tokens SET \"user\" = $2, name = $3, hash = $4, state = $5, policies = $6, allowed_addresses = $7, \
         refused_addresses = $8, not_before = $9, expires_on = $10, issued_on = $11, modified_on = $12 \
         WHERE id = $1",
        new,
    )
    .await?;
    log(db, AuditAction::Update, new, by).await?;
    Ok(changed == 1)
}

/// Deletes a token; `false` if there is none.
pub(super) async fn delete(db: &Db, id: TokenId, by: &By) -> Result<bool, StoreError> {
    let Some(found) = token(db, id).await? else {
        return Ok(false);
    };
    db.execute("DELETE FROM tokens WHERE id = $1", values![id.as_bytes()])
        .await?;
    log(db, AuditAction::Delete, &found, by).await?;
    Ok(true)
}

async fn log(db: &Db, action: AuditAction, token: &TokenRecord, by: &By) -> Result<(), StoreError> {
    let detail = format!("name={}", token.name);
    let deed = Deed::new(action, ResourceType::Token, token.id.as_bytes(), detail);
    audit::record(db, AuditOwner::User(token.user), by, deed).await
}

/// Dates the last use of tokens.
pub(super) async fn record_uses(db: &Db, uses: &[(TokenId, Timestamp)]) -> Result<(), StoreError> {
    for (id, at) in uses {
        db.execute(
            "UPDATE tokens SET last_used_on = $2 WHERE id = $1 AND (last_used_on IS NULL OR last_used_on < $2)",
            values![id.as_bytes(), at.unix_microseconds()],
        )
        .await?;
    }
    Ok(())
}

async fn write(db: &Db, statement: &str, token: &TokenRecord) -> Result<u64, StoreError> {
    db.execute(
        statement,
        values![
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
        ],
    )
    .await
}

fn token_row(row: &Row) -> Result<TokenRecord, StoreError> {
    Ok(TokenRecord {
        id: TokenId::from_bytes(row.get(0)?),
        user: UserId::from_bytes(row.get(1)?),
        name: row.get(2)?,
        hash: TokenHash(row.get(3)?),
        state: token_columns::state(&row.get::<String>(4)?)?,
        policies: token_columns::policies(&row.get::<String>(5)?)?,
        allowed_addresses: token_columns::address_blocks(&row.get::<String>(6)?)?,
        refused_addresses: token_columns::address_blocks(&row.get::<String>(7)?)?,
        not_before: row::optional_timestamp(row, 8)?,
        expires_on: row::optional_timestamp(row, 9)?,
        issued_on: row::timestamp(row, 10)?,
        modified_on: row::timestamp(row, 11)?,
        last_used_on: row::optional_timestamp(row, 12)?,
    })
}
