//! API tokens. Policies and address blocks are read and written as a whole, so they are JSON in a column each.

use std::net::IpAddr;

use certgate_model::{
    AddressBlock, AuditAction, AuditOwner, By, Effect, Page, PermissionGroup, Policy, Resource, ResourceType,
    Slice, Timestamp, TokenHash, TokenId, TokenRecord, TokenState, UserId,
};
use rusqlite::{Connection, Row};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::audit::{self, Deed};
use super::error::corrupt;
use super::row;
use crate::StoreError;

macro_rules! columns {
    () => {
        "id, user, name, hash, state, policies, allowed_addresses, refused_addresses, not_before, expires_on, \
         issued_on, modified_on, last_used_on"
    };
}

/// One token.
pub(super) fn token(connection: &Connection, id: TokenId) -> Result<Option<TokenRecord>, StoreError> {
    let mut statement =
        connection.prepare_cached(concat!("SELECT ", columns!(), " FROM tokens WHERE id = ?1"))?;
    let mut rows = statement.query((id.as_bytes(),))?;
    rows.next()?.map(token_row).transpose()
}

/// The token whose value has this hash.
pub(super) fn by_hash(connection: &Connection, hash: TokenHash) -> Result<Option<TokenRecord>, StoreError> {
    let mut statement =
        connection.prepare_cached(concat!("SELECT ", columns!(), " FROM tokens WHERE hash = ?1"))?;
    let mut rows = statement.query((hash.0,))?;
    rows.next()?.map(token_row).transpose()
}

/// A page of tokens, oldest first.
pub(super) fn page(connection: &Connection, slice: Slice) -> Result<Page<TokenRecord>, StoreError> {
    let total = connection.prepare_cached("SELECT count(*) FROM tokens")?.query_row((), |row| row.get(0))?;
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
pub(super) fn record(connection: &Connection, token: &TokenRecord, by: &By) -> Result<(), StoreError> {
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
    let Some(found) = token(connection, old.id)? else { return Ok(false) };
    // Somebody who uses the token must not keep its owner from changing it.
    if (TokenRecord { last_used_on: old.last_used_on, ..found }) != *old {
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
    let Some(found) = token(connection, id)? else { return Ok(false) };
    connection.prepare_cached("DELETE FROM tokens WHERE id = ?1")?.execute((id.as_bytes(),))?;
    log(connection, AuditAction::Delete, &found, by)?;
    Ok(true)
}

fn log(connection: &Connection, action: AuditAction, token: &TokenRecord, by: &By) -> Result<(), StoreError> {
    let detail = format!("name={}", token.name);
    let deed = Deed::new(action, ResourceType::Token, token.id.as_bytes(), detail);
    audit::record(connection, AuditOwner::User(token.user), by, deed)
}

/// Dates the last use of tokens.
pub(super) fn record_uses(connection: &Connection, uses: &[(TokenId, Timestamp)]) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(
        "UPDATE tokens SET last_used_on = ?2 WHERE id = ?1 AND coalesce(last_used_on < ?2, 1)",
    )?;
    for (id, at) in uses {
        statement.execute((id.as_bytes(), at.unix_microseconds()))?;
    }
    Ok(())
}

fn write(connection: &Connection, statement: &str, token: &TokenRecord) -> Result<usize, StoreError> {
    let policies: Vec<_> = token.policies.iter().map(PolicyRow::from).collect();
    let changed = connection.prepare_cached(statement)?.execute((
        token.id.as_bytes(),
        token.user.as_bytes(),
        &token.name,
        token.hash.0,
        state_name(token.state),
        to_json(&policies)?,
        to_json(&blocks(&token.allowed_addresses))?,
        to_json(&blocks(&token.refused_addresses))?,
        token.not_before.map(Timestamp::unix_microseconds),
        token.expires_on.map(Timestamp::unix_microseconds),
        token.issued_on.unix_microseconds(),
        token.modified_on.unix_microseconds(),
    ))?;
    Ok(changed)
}

fn token_row(row: &Row<'_>) -> Result<TokenRecord, StoreError> {
    let policies: Vec<PolicyRow> = from_json(row, 5)?;
    Ok(TokenRecord {
        id: TokenId::from_bytes(row.get(0)?),
        user: UserId::from_bytes(row.get(1)?),
        name: row.get(2)?,
        hash: TokenHash(row.get(3)?),
        state: state(row.get_ref(4)?.as_str().map_err(|error| corrupt(error.to_string()))?)?,
        policies: policies.into_iter().map(Policy::try_from).collect::<Result<_, _>>()?,
        allowed_addresses: address_blocks(row, 6)?,
        refused_addresses: address_blocks(row, 7)?,
        not_before: row::optional_timestamp(row, 8)?,
        expires_on: row::optional_timestamp(row, 9)?,
        issued_on: row::timestamp(row, 10)?,
        modified_on: row::timestamp(row, 11)?,
        last_used_on: row::optional_timestamp(row, 12)?,
    })
}

fn state_name(state: TokenState) -> &'static str {
    match state {
        TokenState::Active => "active",
        TokenState::Disabled => "disabled",
    }
}

fn state(name: &str) -> Result<TokenState, StoreError> {
    match name {
        "active" => Ok(TokenState::Active),
        "disabled" => Ok(TokenState::Disabled),
        other => Err(corrupt(format!("no token is {other:?}"))),
    }
}

#[derive(Serialize, Deserialize)]
struct PolicyRow {
    id: String,
    effect: EffectRow,
    permission_groups: Vec<String>,
    resources: Vec<ResourceRow>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum EffectRow {
    Allow,
    Deny,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ResourceRow {
    User(String),
    AllAccounts,
    Account(String),
    AllZones,
    Zone(String),
    ZonesOfAccount(String),
}

#[derive(Serialize, Deserialize)]
struct AddressBlockRow {
    text: String,
    address: IpAddr,
    prefix_length: u8,
}

impl From<&Policy> for PolicyRow {
    fn from(policy: &Policy) -> Self {
        Self {
            id: policy.id.clone(),
            effect: match policy.effect {
                Effect::Allow => EffectRow::Allow,
                Effect::Deny => EffectRow::Deny,
            },
            permission_groups: policy.permission_groups.iter().map(|group| group.id().to_owned()).collect(),
            resources: policy.resources.iter().map(ResourceRow::from).collect(),
        }
    }
}

impl TryFrom<PolicyRow> for Policy {
    type Error = StoreError;

    fn try_from(row: PolicyRow) -> Result<Self, StoreError> {
        let group = |id: String| {
            id.parse::<PermissionGroup>().map_err(|_| corrupt(format!("unknown permission group {id:?}")))
        };
        Ok(Self {
            id: row.id,
            effect: match row.effect {
                EffectRow::Allow => Effect::Allow,
                EffectRow::Deny => Effect::Deny,
            },
            permission_groups: row.permission_groups.into_iter().map(group).collect::<Result<_, _>>()?,
            resources: row.resources.into_iter().map(Resource::try_from).collect::<Result<_, _>>()?,
        })
    }
}

impl From<&Resource> for ResourceRow {
    fn from(resource: &Resource) -> Self {
        match resource {
            Resource::User(id) => Self::User(id.to_string()),
            Resource::AllAccounts => Self::AllAccounts,
            Resource::Account(id) => Self::Account(id.to_string()),
            Resource::AllZones => Self::AllZones,
            Resource::Zone(id) => Self::Zone(id.to_string()),
            Resource::ZonesOfAccount(id) => Self::ZonesOfAccount(id.to_string()),
        }
    }
}

impl TryFrom<ResourceRow> for Resource {
    type Error = StoreError;

    fn try_from(row: ResourceRow) -> Result<Self, StoreError> {
        let resource = match row {
            ResourceRow::User(id) => id.parse().map(Self::User),
            ResourceRow::AllAccounts => Ok(Self::AllAccounts),
            ResourceRow::Account(id) => id.parse().map(Self::Account),
            ResourceRow::AllZones => Ok(Self::AllZones),
            ResourceRow::Zone(id) => id.parse().map(Self::Zone),
            ResourceRow::ZonesOfAccount(id) => id.parse().map(Self::ZonesOfAccount),
        };
        resource.map_err(|error| corrupt(format!("the resource of a policy is {error}")))
    }
}

fn blocks(addresses: &[AddressBlock]) -> Vec<AddressBlockRow> {
    let row = |block: &AddressBlock| AddressBlockRow {
        text: block.text.clone(),
        address: block.address,
        prefix_length: block.prefix_length,
    };
    addresses.iter().map(row).collect()
}

fn address_blocks(row: &Row<'_>, column: usize) -> Result<Vec<AddressBlock>, StoreError> {
    let rows: Vec<AddressBlockRow> = from_json(row, column)?;
    rows.into_iter()
        .map(|AddressBlockRow { text, address, prefix_length }| {
            if prefix_length > if address.is_ipv4() { 32 } else { 128 } {
                return Err(corrupt(format!("no address has a prefix of {prefix_length} bits")));
            }
            Ok(AddressBlock { text, address, prefix_length })
        })
        .collect()
}

fn to_json<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Conflict(error.to_string()))
}

fn from_json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> Result<T, StoreError> {
    let text = row.get_ref(column)?.as_str().map_err(|error| corrupt(error.to_string()))?;
    serde_json::from_str(text).map_err(|error| corrupt(format!("a column of a token is damaged: {error}")))
}
