//! The installation, its user, its accounts and its zones.
//!
//! Names are unique among what is not deleted, and compared, like the filters do, in a folded form that this program
//! makes (`folded_name`): what a database thinks of letter case differs between databases. Deleted rows stay, with
//! their time, because certificates and authorities refer to them.

use std::fmt::Write as _;

use certgate_model::{
    AccountFilter, AccountId, AccountRecord, AuditAction, AuditOwner, By, Direction, Installation,
    Join, Page, ResourceType, Slice, Status, TextMatch, TokenHash, UserId, UserRecord, Visible,
    ZoneFilter, ZoneId, ZoneOrder, ZoneRecord,
};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};

use super::audit::{self, Deed};
use super::counters::{self, Layout};
use super::{hostnames, mtls_certificates, row, tokens};
use crate::{AccountDeleted, AccountRecorded, FirstRecords, StoreError, ZoneDeleted, ZoneRecorded};

/// A pattern of more octets matches no name; SQLite refuses those of more than 50,000 as an error.
const PATTERN_MAX: usize = 8_192;

/// The installation, if there is one.
pub(super) fn installation(connection: &Connection) -> Result<Option<Installation>, StoreError> {
    let mut statement = connection
        .prepare_cached("SELECT master_key_check, created_on FROM installation WHERE only = 1")?;
    let mut rows = statement.query(())?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    Ok(Some(Installation {
        master_key_check: row.get(0)?,
        created_on: row::timestamp(row, 1)?,
    }))
}

/// The first user.
pub(super) fn user(connection: &Connection) -> Result<Option<UserRecord>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, email, created_on FROM users ORDER BY created_on, id LIMIT 1",
    )?;
    let mut rows = statement.query(())?;
    rows.next()?.map(user_row).transpose()
}

/// The user whose API key has this hash. No index: an installation has one user.
pub(super) fn user_by_api_key(
    connection: &Connection,
    hash: TokenHash,
) -> Result<Option<UserRecord>, StoreError> {
    let mut statement = connection
        .prepare_cached("SELECT id, email, created_on FROM users WHERE api_key_hash = ?1")?;
    let mut rows = statement.query((hash.0,))?;
    rows.next()?.map(user_row).transpose()
}

/// Gives a user another API key, or none; `false` if there is no such user.
pub(super) fn replace_api_key(
    connection: &Connection,
    user: UserId,
    hash: Option<TokenHash>,
    by: &By,
) -> Result<bool, StoreError> {
    let mut statement =
        connection.prepare_cached("UPDATE users SET api_key_hash = ?2 WHERE id = ?1")?;
    if statement.execute((user.as_bytes(), hash.map(|hash| hash.0)))? == 0 {
        return Ok(false);
    }
    let action = if hash.is_some() {
        AuditAction::Create
    } else {
        AuditAction::Delete
    };
    let deed = Deed::new(action, ResourceType::ApiKey, user.as_bytes(), String::new());
    audit::record(connection, AuditOwner::User(user), by, deed)?;
    Ok(true)
}

fn user_row(row: &Row<'_>) -> Result<UserRecord, StoreError> {
    Ok(UserRecord {
        id: UserId::from_bytes(row.get(0)?),
        email: row.get(1)?,
        created_on: row::timestamp(row, 2)?,
    })
}

/// Writes the records of a new installation, unless there is one.
pub(super) fn initialise(
    connection: &Connection,
    records: &FirstRecords,
) -> Result<bool, StoreError> {
    if installation(connection)?.is_some() {
        return Ok(false);
    }
    let FirstRecords {
        installation,
        user,
        account,
        zone,
        token,
    } = records;
    connection.execute(
        "INSERT INTO installation (only, master_key_check, created_on) VALUES (1, ?1, ?2)",
        (
            &installation.master_key_check,
            installation.created_on.unix_microseconds(),
        ),
    )?;
    connection.execute(
        "INSERT INTO users (id, email, created_on) VALUES (?1, ?2, ?3)",
        (
            user.id.as_bytes(),
            &user.email,
            user.created_on.unix_microseconds(),
        ),
    )?;
    let by = By::system(installation.created_on);
    insert_account(connection, account, &by)?;
    insert_zone(connection, zone, &by)?;
    tokens::record(connection, token, &by)?;
    Ok(true)
}

/// One account that is not deleted.
pub(super) fn account(
    connection: &Connection,
    id: AccountId,
) -> Result<Option<AccountRecord>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, name, authority_algorithm, created_on FROM accounts WHERE id = ?1 AND deleted_at IS NULL",
    )?;
    let mut rows = statement.query((id.as_bytes(),))?;
    rows.next()?.map(account_row).transpose()
}

fn account_row(row: &Row<'_>) -> Result<AccountRecord, StoreError> {
    Ok(AccountRecord {
        id: AccountId::from_bytes(row.get(0)?),
        name: row.get(1)?,
        authority_algorithm: row::key_algorithm(row, 2)?,
        created_on: row::timestamp(row, 3)?,
    })
}

/// A page of accounts by creation, ties by id.
pub(super) fn accounts(
    connection: &Connection,
    filter: &AccountFilter,
    slice: Slice,
) -> Result<Page<AccountRecord>, StoreError> {
    let mut condition = Condition::new("deleted_at IS NULL");
    let Visible {
        all,
        accounts,
        except_accounts,
        ..
    } = &filter.visible;
    if !all {
        condition.and_one_of("id", account_ids(accounts));
    }
    condition.and_none_of("id", account_ids(except_accounts));
    if let Some(name) = &filter.name {
        condition.text.push_str(" AND ");
        condition.matches("folded_name", name);
    }
    let direction = direction(filter.direction);
    page(
        connection,
        "id, name, authority_algorithm, created_on",
        "accounts",
        condition,
        &format!("created_on {direction}, id {direction}"),
        slice,
        account_row,
    )
}

fn account_ids(ids: &[AccountId]) -> impl Iterator<Item = Value> + '_ {
    ids.iter().map(|id| id.as_bytes().to_vec().into())
}

fn zone_ids(ids: &[ZoneId]) -> impl Iterator<Item = Value> + '_ {
    ids.iter().map(|id| id.as_bytes().to_vec().into())
}

/// Stores a new account.
pub(super) fn record_account(
    connection: &Connection,
    account: &AccountRecord,
    by: &By,
) -> Result<AccountRecorded, StoreError> {
    let taken = connection
        .prepare_cached("SELECT 1 FROM accounts WHERE folded_name = ?1 AND deleted_at IS NULL")?
        .exists((folded(&account.name),))?;
    if taken {
        return Ok(AccountRecorded::NameTaken);
    }
    insert_account(connection, account, by)?;
    Ok(AccountRecorded::Recorded)
}

fn insert_account(
    connection: &Connection,
    account: &AccountRecord,
    by: &By,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO accounts (id, name, folded_name, authority_algorithm, created_on) \
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute((
            account.id.as_bytes(),
            &account.name,
            folded(&account.name),
            account.authority_algorithm.name(),
            account.created_on.unix_microseconds(),
        ))?;
    log_account(connection, AuditAction::Create, account, by)
}

fn log_account(
    connection: &Connection,
    action: AuditAction,
    account: &AccountRecord,
    by: &By,
) -> Result<(), StoreError> {
    let detail = format!("name={}", account.name);
    let deed = Deed::new(action, ResourceType::Account, account.id.as_bytes(), detail);
    audit::record(connection, AuditOwner::Account(account.id), by, deed)
}

/// Deletes an account without zones and without certificates that it brought itself.
pub(super) fn delete_account(
    connection: &Connection,
    id: AccountId,
    by: &By,
) -> Result<AccountDeleted, StoreError> {
    let Some(account) = account(connection, id)? else {
        return Ok(AccountDeleted::NotFound);
    };
    let zones: u64 = connection
        .prepare_cached("SELECT count(*) FROM zones WHERE account = ?1 AND deleted_at IS NULL")?
        .query_row((id.as_bytes(),), |row| row.get(0))?;
    if zones > 0 {
        return Ok(AccountDeleted::HasZones(zones));
    }
    let brought = mtls_certificates::count(connection, id)?;
    if brought > 0 {
        return Ok(AccountDeleted::HasMtlsCertificates(brought));
    }
    connection
        .prepare_cached("DELETE FROM enforcement_points WHERE account = ?1")?
        .execute((id.as_bytes(),))?;
    connection
        .prepare_cached("UPDATE accounts SET deleted_at = ?2 WHERE id = ?1 AND deleted_at IS NULL")?
        .execute((id.as_bytes(), by.at.unix_microseconds()))?;
    log_account(connection, AuditAction::Delete, &account, by)?;
    Ok(AccountDeleted::Deleted)
}

macro_rules! zone_columns {
    () => {
        "zones.id, zones.name, zones.account, accounts.name, zones.created_on, zones.modified_on"
    };
}

/// One zone that is not deleted.
pub(super) fn zone(connection: &Connection, id: ZoneId) -> Result<Option<ZoneRecord>, StoreError> {
    let mut statement = connection.prepare_cached(concat!(
        "SELECT ",
        zone_columns!(),
        " FROM zones JOIN accounts ON accounts.id = zones.account WHERE zones.id = ?1 AND zones.deleted_at IS NULL"
    ))?;
    let mut rows = statement.query((id.as_bytes(),))?;
    rows.next()?.map(zone_row).transpose()
}

fn zone_row(row: &Row<'_>) -> Result<ZoneRecord, StoreError> {
    Ok(ZoneRecord {
        id: ZoneId::from_bytes(row.get(0)?),
        name: row.get(1)?,
        account: AccountId::from_bytes(row.get(2)?),
        account_name: row.get(3)?,
        created_on: row::timestamp(row, 4)?,
        modified_on: row::timestamp(row, 5)?,
    })
}

/// The small number that stands for a zone in positions, if the zone is not deleted.
pub(super) fn zone_number(connection: &Connection, id: ZoneId) -> Result<Option<i64>, StoreError> {
    Ok(connection
        .prepare_cached("SELECT number FROM zones WHERE id = ?1 AND deleted_at IS NULL")?
        .query_row((id.as_bytes(),), |row| row.get(0))
        .optional()?)
}

/// A page of zones; ties by id.
pub(super) fn zones(
    connection: &Connection,
    filter: &ZoneFilter,
    slice: Slice,
) -> Result<Page<ZoneRecord>, StoreError> {
    let mut condition = Condition::new("zones.deleted_at IS NULL");
    let Visible {
        all,
        accounts,
        zones,
        except_accounts,
        except_zones,
    } = &filter.visible;
    if !all {
        condition.text.push_str(" AND (");
        condition.one_of("zones.account", account_ids(accounts));
        condition.text.push_str(" OR ");
        condition.one_of("zones.id", zone_ids(zones));
        condition.text.push(')');
    }
    condition.and_none_of("zones.account", account_ids(except_accounts));
    condition.and_none_of("zones.id", zone_ids(except_zones));
    condition.and_zone_filter(filter);
    let direction = direction(filter.direction);
    let order = match filter.order {
        ZoneOrder::CreatedOn => "zones.created_on",
        ZoneOrder::Name => "zones.folded_name",
        ZoneOrder::AccountId => "zones.account",
        ZoneOrder::AccountName => "accounts.folded_name",
    };
    page(
        connection,
        zone_columns!(),
        "zones JOIN accounts ON accounts.id = zones.account",
        condition,
        &format!("{order} {direction}, zones.id {direction}"),
        slice,
        zone_row,
    )
}

/// Stores a new zone.
pub(super) fn record_zone(
    connection: &Connection,
    zone: &ZoneRecord,
    by: &By,
) -> Result<ZoneRecorded, StoreError> {
    if account(connection, zone.account)?.is_none() {
        return Ok(ZoneRecorded::NoAccount);
    }
    let taken = connection
        .prepare_cached("SELECT 1 FROM zones WHERE folded_name = ?1 AND deleted_at IS NULL")?
        .exists((folded(&zone.name),))?;
    if taken {
        return Ok(ZoneRecorded::NameTaken);
    }
    insert_zone(connection, zone, by)?;
    Ok(ZoneRecorded::Recorded)
}

fn insert_zone(connection: &Connection, zone: &ZoneRecord, by: &By) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO zones (id, name, folded_name, account, created_on, modified_on) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute((
            zone.id.as_bytes(),
            &zone.name,
            folded(&zone.name),
            zone.account.as_bytes(),
            zone.created_on.unix_microseconds(),
            zone.modified_on.unix_microseconds(),
        ))?;
    log_zone(connection, AuditAction::Create, zone, by)
}

fn log_zone(
    connection: &Connection,
    action: AuditAction,
    zone: &ZoneRecord,
    by: &By,
) -> Result<(), StoreError> {
    let detail = format!("name={}", zone.name);
    let deed = Deed::new(action, ResourceType::Zone, zone.id.as_bytes(), detail).in_zone(zone.id);
    audit::record(connection, AuditOwner::Account(zone.account), by, deed)
}

/// Deletes a zone that has no certificate but revoked ones, and its lists of hostnames.
pub(super) fn delete_zone(
    connection: &Connection,
    layout: Layout,
    id: ZoneId,
    by: &By,
) -> Result<ZoneDeleted, StoreError> {
    let (Some(zone), Some(number)) = (zone(connection, id)?, zone_number(connection, id)?) else {
        return Ok(ZoneDeleted::NotFound);
    };
    let totals = counters::totals(connection, layout, number)?;
    if totals.all() > totals.of(Status::Revoked) {
        return Ok(ZoneDeleted::InUse(totals));
    }
    hostnames::delete_of_zone(connection, number)?;
    connection
        .prepare_cached(
            "UPDATE zones SET deleted_at = ?1 WHERE number = ?2 AND deleted_at IS NULL",
        )?
        .execute((by.at.unix_microseconds(), number))?;
    log_zone(connection, AuditAction::Delete, &zone, by)?;
    Ok(ZoneDeleted::Deleted)
}

/// The form in which names are compared.
pub(super) fn folded(name: &str) -> String {
    name.to_lowercase()
}

fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::Ascending => "ASC",
        Direction::Descending => "DESC",
    }
}

/// One page of a filtered list and its total, by a statement made for the filter; not cached, as there are too many of
/// them. Lists of tenants are short: unlike those of certificates they may be counted and skipped.
fn page<T>(
    connection: &Connection,
    columns: &str,
    tables: &str,
    condition: Condition,
    order: &str,
    slice: Slice,
    record: fn(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Page<T>, StoreError> {
    let Condition {
        text,
        mut parameters,
    } = condition;
    let total = connection
        .prepare(&format!("SELECT count(*) FROM {tables} WHERE {text}"))?
        .query_row(params_from_iter(&parameters), |row| row.get(0))?;
    parameters.push(Value::Integer(i64::from(slice.size)));
    parameters.push(Value::Integer(row::offset(slice.first)));
    let mut statement = connection.prepare(&format!(
        "SELECT {columns} FROM {tables} WHERE {text} ORDER BY {order} LIMIT ? OFFSET ?"
    ))?;
    let mut rows = statement.query(params_from_iter(&parameters))?;
    let mut items = Vec::new();
    while let Some(row) = rows.next()? {
        items.push(record(row)?);
    }
    Ok(Page { items, total })
}

/// The text of a WHERE clause and its parameters, in step.
struct Condition {
    text: String,
    parameters: Vec<Value>,
}

impl Condition {
    fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            parameters: Vec::new(),
        }
    }

    fn and_one_of(&mut self, column: &str, values: impl Iterator<Item = Value>) {
        self.text.push_str(" AND ");
        self.one_of(column, values);
    }

    fn and_none_of(&mut self, column: &str, values: impl Iterator<Item = Value>) {
        self.text.push_str(" AND NOT (");
        self.one_of(column, values);
        self.text.push(')');
    }

    /// Nothing is one of no values: `IN ()` is no standard SQL.
    fn one_of(&mut self, column: &str, values: impl Iterator<Item = Value>) {
        let before = self.parameters.len();
        self.parameters.extend(values);
        match self.parameters.len() - before {
            0 => self.text.push_str("FALSE"),
            count => {
                let marks = vec!["?"; count].join(", ");
                write!(self.text, "{column} IN ({marks})")
                    .expect("writing to a String cannot fail");
            }
        }
    }

    fn and_zone_filter(&mut self, filter: &ZoneFilter) {
        let ZoneFilter {
            name,
            account,
            account_name,
            ..
        } = filter;
        if name.is_none() && account.is_none() && account_name.is_none() {
            return;
        }
        // The neutral element of the join, so that every condition is appended in the same way.
        let (neutral, join) = match filter.join {
            Join::All => (" AND (TRUE", " AND "),
            Join::Any => (" AND (FALSE", " OR "),
        };
        self.text.push_str(neutral);
        if let Some(name) = name {
            self.text.push_str(join);
            self.matches("zones.folded_name", name);
        }
        if let Some(account) = account {
            self.text.push_str(join);
            self.one_of(
                "zones.account",
                std::iter::once(account.as_bytes().to_vec().into()),
            );
        }
        if let Some(name) = account_name {
            self.text.push_str(join);
            self.matches("accounts.folded_name", name);
        }
        self.text.push(')');
    }

    fn matches(&mut self, column: &str, condition: &TextMatch) {
        let (operator, pattern) = match condition {
            TextMatch::Equal(text) => ("= ?", folded(text)),
            TextMatch::NotEqual(text) => ("<> ?", folded(text)),
            TextMatch::StartsWith(text) => ("LIKE ? ESCAPE '\\'", format!("{}%", escaped(text))),
            TextMatch::EndsWith(text) => ("LIKE ? ESCAPE '\\'", format!("%{}", escaped(text))),
            TextMatch::Contains(text) => ("LIKE ? ESCAPE '\\'", format!("%{}%", escaped(text))),
        };
        if operator.starts_with("LIKE") && pattern.len() > PATTERN_MAX {
            self.text.push_str("FALSE");
            return;
        }
        write!(self.text, "{column} {operator}").expect("writing to a String cannot fail");
        self.parameters.push(Value::Text(pattern));
    }
}

/// The text folded, with the characters that LIKE gives a meaning to taken literally.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in folded(text).chars() {
        if matches!(character, '%' | '_' | '\\') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}
