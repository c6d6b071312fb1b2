//! API tokens. Policies and address blocks are read and written as a whole: one column of JSON
//! each.

use certgate_model::{
    AccountId, AuditAction, AuditOwner, By, Direction, Page, ResourceType, Slice, Timestamp,
    TokenHash, TokenId, TokenRecord,
};

use super::audit;
use crate::audit::AuditEvent;
use crate::db::{Db, Row, Value, values};
use crate::schema::TOKENS;
use crate::{StoreError, issuance_rules_column, seal, token_columns};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, \"user\", name, hash, state, policies, allowed_addresses, \
             refused_addresses, not_before, expires_on, issued_on, modified_on, last_used_on, \
             account, issuance_rules FROM tokens ",
            $rest
        )
    };
}

/// Returns one token.
pub(crate) async fn token<D: Db>(db: &D, id: TokenId) -> Result<Option<TokenRecord>, StoreError> {
    db.optional(select!("WHERE id = ?1"), &values![id], token_row)
        .await
}

/// Returns the token whose value has this hash.
pub(crate) async fn by_hash<D: Db>(
    db: &D,
    hash: TokenHash,
) -> Result<Option<TokenRecord>, StoreError> {
    db.optional(select!("WHERE hash = ?1"), &values![&hash], token_row)
        .await
}

/// Returns a page of the tokens of an account, or (`None`) of the user, by creation.
pub(crate) async fn page<D: Db>(
    db: &D,
    account: Option<AccountId>,
    direction: Direction,
    slice: Slice,
) -> Result<Page<TokenRecord>, StoreError> {
    let Slice { first, size } = slice;
    let Some(account) = account else {
        // The order begins with the account, because PostgreSQL does not see that it is the same.
        let count = "SELECT count(*) FROM tokens WHERE account IS NULL";
        let total = db.one(count, &[], |row| row.get(0)).await?;
        let select = match direction {
            Direction::Ascending => {
                select!("WHERE account IS NULL ORDER BY account, issued_on, id LIMIT ?1 OFFSET ?2")
            }
            Direction::Descending => {
                select!(
                    "WHERE account IS NULL ORDER BY account DESC, issued_on DESC, id DESC \
                     LIMIT ?1 OFFSET ?2"
                )
            }
        };
        let items = db.rows(select, &values![size, first], token_row).await?;
        return Ok(Page { items, total });
    };
    let count = "SELECT count(*) FROM tokens WHERE account = ?1";
    let total = db.one(count, &values![account], |row| row.get(0)).await?;
    let select = match direction {
        Direction::Ascending => {
            select!("WHERE account = ?1 ORDER BY issued_on, id LIMIT ?2 OFFSET ?3")
        }
        Direction::Descending => {
            select!("WHERE account = ?1 ORDER BY issued_on DESC, id DESC LIMIT ?2 OFFSET ?3")
        }
    };
    let values = values![account, size, first];
    let items = db.rows(select, &values, token_row).await?;
    Ok(Page { items, total })
}

/// Stores a new token.
pub(crate) async fn record<D: Db>(db: &D, token: &TokenRecord, by: &By) -> Result<(), StoreError> {
    let mut cells = cells(token)?.to_vec();
    let rules = issuance_rules_column::text(&token.issuance_rules)?;
    cells.extend(values![token.last_used_on, token.account, rules]);
    seal::insert(db, &TOKENS, &cells).await?;
    log(db, AuditAction::Create, token, by).await
}

/// Replaces a token's record except its last use and its account; `false` if it is not `old`, or
/// does not exist.
pub(crate) async fn replace<D: Db>(
    db: &D,
    old: &TokenRecord,
    new: &TokenRecord,
    by: &By,
) -> Result<bool, StoreError> {
    let Some(found) = token(db, old.id).await? else {
        return Ok(false);
    };
    // A client that uses the token must not keep its owner from changing it.
    let found = TokenRecord {
        last_used_on: old.last_used_on,
        ..found
    };
    if found != *old {
        return Ok(false);
    }
    let update = "UPDATE tokens SET \"user\" = ?2, name = ?3, hash = ?4, state = ?5, \
                  policies = ?6, allowed_addresses = ?7, refused_addresses = ?8, \
                  not_before = ?9, expires_on = ?10, issued_on = ?11, modified_on = ?12, \
                  digest = ?13, issuance_rules = ?14 WHERE id = ?1";
    let mut cells = cells(new)?.to_vec();
    cells.push(seal::of(&TOKENS, &cells).into());
    cells.push(issuance_rules_column::text(&new.issuance_rules)?.into());
    let changed = db.execute(update, &cells).await?;
    log(db, AuditAction::Update, new, by).await?;
    Ok(changed == 1)
}

/// Deletes a token; `false` if it does not exist.
pub(crate) async fn delete<D: Db>(db: &D, id: TokenId, by: &By) -> Result<bool, StoreError> {
    let Some(found) = token(db, id).await? else {
        return Ok(false);
    };
    db.execute("DELETE FROM tokens WHERE id = ?1", &values![id])
        .await?;
    db.execute(
        "DELETE FROM issuance_counters WHERE owner = ?1",
        &values![id],
    )
    .await?;
    log(db, AuditAction::Delete, &found, by).await?;
    Ok(true)
}

/// Deletes the tokens of an account.
pub(super) async fn delete_of_account<D: Db>(
    db: &D,
    account: AccountId,
    by: &By,
) -> Result<(), StoreError> {
    let select = select!("WHERE account = ?1 ORDER BY issued_on, id");
    let tokens = db.rows(select, &values![account], token_row).await?;
    db.execute("DELETE FROM tokens WHERE account = ?1", &values![account])
        .await?;
    let deleted = tokens
        .iter()
        .map(|token| (by, event(AuditAction::Delete, token)));
    audit::record_all(db, AuditOwner::Account(account), deleted.collect()).await
}

async fn log<D: Db>(
    db: &D,
    action: AuditAction,
    token: &TokenRecord,
    by: &By,
) -> Result<(), StoreError> {
    let owner = match token.account {
        Some(account) => AuditOwner::Account(account),
        None => AuditOwner::User(token.user),
    };
    audit::record(db, owner, by, event(action, token)).await
}

fn event(action: AuditAction, token: &TokenRecord) -> AuditEvent {
    let detail = format!("name={}", token.name);
    AuditEvent::new(action, ResourceType::Token, token.id.as_bytes(), detail)
}

/// Dates the last use of tokens, never back.
pub(crate) async fn record_uses<D: Db>(
    db: &D,
    uses: &[(TokenId, Timestamp)],
) -> Result<(), StoreError> {
    let update = "UPDATE tokens SET last_used_on = ?2 \
                  WHERE id = ?1 AND (last_used_on IS NULL OR last_used_on < ?2)";
    let uses: Vec<_> = uses
        .iter()
        .map(|(id, at)| values![*id, *at].to_vec())
        .collect();
    db.execute_each(update, &uses).await?;
    Ok(())
}

/// The columns in the order of the table, except the last use and the account.
fn cells(token: &TokenRecord) -> Result<[Value<'_>; 12], StoreError> {
    Ok(values![
        token.id,
        token.user,
        &token.name,
        &token.hash,
        token_columns::state_name(token.state),
        token_columns::policies_text(&token.policies)?,
        token_columns::address_blocks_text(&token.allowed_addresses)?,
        token_columns::address_blocks_text(&token.refused_addresses)?,
        token.not_before,
        token.expires_on,
        token.issued_on,
        token.modified_on,
    ])
}

fn token_row(row: &dyn Row) -> Result<TokenRecord, StoreError> {
    Ok(TokenRecord {
        id: row.get(0)?,
        user: row.get(1)?,
        name: row.get(2)?,
        hash: row.get(3)?,
        state: token_columns::state(&row.get::<String>(4)?)?,
        policies: token_columns::policies(&row.get::<String>(5)?)?,
        allowed_addresses: token_columns::address_blocks(&row.get::<String>(6)?)?,
        refused_addresses: token_columns::address_blocks(&row.get::<String>(7)?)?,
        not_before: row.get(8)?,
        expires_on: row.get(9)?,
        issued_on: row.get(10)?,
        modified_on: row.get(11)?,
        last_used_on: row.get(12)?,
        account: row.get(13)?,
        issuance_rules: issuance_rules_column::rules(row.get(14)?),
    })
}
