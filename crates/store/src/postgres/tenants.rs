//! The installation, its user, its accounts and its zones.
//!
//! Names are unique among what is not deleted, and compared, like the filters do, in a folded form that this program
//! makes (`folded_name`): what a database thinks of letter case differs between databases. Deleted rows stay, with
//! their time, because certificates and authorities refer to them.

use certgate_model::{
    AccountFilter, AccountId, AccountRecord, AuditAction, AuditOwner, By, Installation, Page,
    ResourceType, Slice, Status, TokenHash, UserId, UserRecord, Visible, ZoneFilter, ZoneId,
    ZoneOrder, ZoneRecord,
};

use super::audit::{self, Deed};
use super::condition::{Condition, direction, page};
use super::counters::{self, Layout};
use super::db::Db;
use super::row::{self, Row};
use super::value::{Value, values};
use super::{hostnames, mtls_certificates, tokens};
use crate::{AccountDeleted, AccountRecorded, FirstRecords, StoreError, ZoneDeleted, ZoneRecorded};

/// The installation, if there is one.
pub(super) async fn installation(db: &Db) -> Result<Option<Installation>, StoreError> {
    let row = db
        .optional(
            "SELECT master_key_check, created_on FROM installation WHERE \"only\" = 1",
            values![],
        )
        .await?;
    row.map(|row| {
        Ok(Installation {
            master_key_check: row.get(0)?,
            created_on: row::timestamp(&row, 1)?,
        })
    })
    .transpose()
}

/// The first user.
pub(super) async fn user(db: &Db) -> Result<Option<UserRecord>, StoreError> {
    let select = "SELECT id, email, created_on FROM users ORDER BY created_on, id LIMIT 1";
    db.optional(select, values![])
        .await?
        .as_ref()
        .map(user_row)
        .transpose()
}

/// The user whose API key has this hash. No index: an installation has one user.
pub(super) async fn user_by_api_key(
    db: &Db,
    hash: TokenHash,
) -> Result<Option<UserRecord>, StoreError> {
    let select = "SELECT id, email, created_on FROM users WHERE api_key_hash = $1";
    db.optional(select, values![hash.0])
        .await?
        .as_ref()
        .map(user_row)
        .transpose()
}

/// Gives a user another API key, or none; `false` if there is no such user.
pub(super) async fn replace_api_key(
    db: &Db,
    user: UserId,
    hash: Option<TokenHash>,
    by: &By,
) -> Result<bool, StoreError> {
    let update = "UPDATE users SET api_key_hash = $2 WHERE id = $1";
    if db
        .execute(update, values![user.as_bytes(), hash.map(|hash| hash.0)])
        .await?
        == 0
    {
        return Ok(false);
    }
    let action = if hash.is_some() {
        AuditAction::Create
    } else {
        AuditAction::Delete
    };
    let deed = Deed::new(action, ResourceType::ApiKey, user.as_bytes(), String::new());
    audit::record(db, AuditOwner::User(user), by, deed).await?;
    Ok(true)
}

fn user_row(row: &Row) -> Result<UserRecord, StoreError> {
    Ok(UserRecord {
        id: UserId::from_bytes(row.get(0)?),
        email: row.get(1)?,
        created_on: row::timestamp(row, 2)?,
    })
}

/// Writes the records of a new installation, unless there is one.
pub(super) async fn initialise(db: &Db, records: &FirstRecords) -> Result<bool, StoreError> {
    if self::installation(db).await?.is_some() {
        return Ok(false);
    }
    let FirstRecords {
        installation,
        user,
        account,
        zone,
        token,
    } = records;
    db.execute(
        "INSERT INTO installation (\"only\", master_key_check, created_on) VALUES (1, $1, $2)",
        values![
            &installation.master_key_check,
            installation.created_on.unix_microseconds()
        ],
    )
    .await?;
    db.execute(
        "INSERT INTO users (id, email, created_on) VALUES ($1, $2, $3)",
        values![
            user.id.as_bytes(),
            &user.email,
            user.created_on.unix_microseconds()
        ],
    )
    .await?;
    let by = By::system(installation.created_on);
    insert_account(db, account, &by).await?;
    insert_zone(db, zone, &by).await?;
    tokens::record(db, token, &by).await?;
    Ok(true)
}

/// One account that is not deleted.
pub(super) async fn account(db: &Db, id: AccountId) -> Result<Option<AccountRecord>, StoreError> {
    let select = "SELECT id, name, authority_algorithm, created_on FROM accounts WHERE id = $1 AND deleted_at IS NULL";
    db.optional(select, values![id.as_bytes()])
        .await?
        .as_ref()
        .map(account_row)
        .transpose()
}

fn account_row(row: &Row) -> Result<AccountRecord, StoreError> {
    Ok(AccountRecord {
        id: AccountId::from_bytes(row.get(0)?),
        name: row.get(1)?,
        authority_algorithm: row::key_algorithm(row, 2)?,
        created_on: row::timestamp(row, 3)?,
    })
}

/// A page of accounts by creation, ties by id.
pub(super) async fn accounts(
    db: &Db,
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
        condition.push(" AND ");
        condition.matches("folded_name", name);
    }
    let direction = direction(filter.direction);
    page(
        db,
        "id, name, authority_algorithm, created_on",
        "accounts",
        condition,
        &format!("created_on {direction}, id {direction}"),
        slice,
        account_row,
    )
    .await
}

fn account_ids(ids: &[AccountId]) -> impl Iterator<Item = Value<'_>> {
    ids.iter().map(|id| id.as_bytes().into())
}

fn zone_ids(ids: &[ZoneId]) -> impl Iterator<Item = Value<'_>> {
    ids.iter().map(|id| id.as_bytes().into())
}

/// Stores a new account.
pub(super) async fn record_account(
    db: &Db,
    account: &AccountRecord,
    by: &By,
) -> Result<AccountRecorded, StoreError> {
    let taken = "SELECT 1 FROM accounts WHERE folded_name = $1 AND deleted_at IS NULL";
    if db
        .optional(taken, values![folded(&account.name)])
        .await?
        .is_some()
    {
        return Ok(AccountRecorded::NameTaken);
    }
    insert_account(db, account, by).await?;
    Ok(AccountRecorded::Recorded)
}

async fn insert_account(db: &Db, account: &AccountRecord, by: &By) -> Result<(), StoreError> {
    db.execute(
        "INSERT INTO accounts (id, name, folded_name, authority_algorithm, created_on) \
         VALUES ($1, $2, $3, $4, $5)",
        values![
            account.id.as_bytes(),
            &account.name,
            folded(&account.name),
            account.authority_algorithm.name(),
            account.created_on.unix_microseconds(),
        ],
    )
    .await?;
    log_account(db, AuditAction::Create, account, by).await
}

async fn log_account(
    db: &Db,
    action: AuditAction,
    account: &AccountRecord,
    by: &By,
) -> Result<(), StoreError> {
    let detail = format!("name={}", account.name);
    let deed = Deed::new(action, ResourceType::Account, account.id.as_bytes(), detail);
    audit::record(db, AuditOwner::Account(account.id), by, deed).await
}

/// Deletes an account without zones and without certificates that it brought itself.
pub(super) async fn delete_account(
    db: &Db,
    id: AccountId,
    by: &By,
) -> Result<AccountDeleted, StoreError> {
    let Some(account) = account(db, id).await? else {
        return Ok(AccountDeleted::NotFound);
    };
    let count = "SELECT count(*) FROM zones WHERE account = $1 AND deleted_at IS NULL";
    let zones: u64 = db.one(count, values![id.as_bytes()]).await?.get(0)?;
    if zones > 0 {
        return Ok(AccountDeleted::HasZones(zones));
    }
    let brought = mtls_certificates::count(db, id).await?;
    if brought > 0 {
        return Ok(AccountDeleted::HasMtlsCertificates(brought));
    }
    db.execute(
        "DELETE FROM enforcement_points WHERE account = $1",
        values![id.as_bytes()],
    )
    .await?;
    db.execute(
        "UPDATE accounts SET deleted_at = $2 WHERE id = $1 AND deleted_at IS NULL",
        values![id.as_bytes(), by.at.unix_microseconds()],
    )
    .await?;
    log_account(db, AuditAction::Delete, &account, by).await?;
    Ok(AccountDeleted::Deleted)
}

macro_rules! zone_columns {
    () => {
        "zones.id, zones.name, zones.account, accounts.name, zones.created_on, zones.modified_on"
    };
}

/// One zone that is not deleted.
pub(super) async fn zone(db: &Db, id: ZoneId) -> Result<Option<ZoneRecord>, StoreError> {
    let select = concat!(
        "SELECT ",
        zone_columns!(),
        " FROM zones JOIN accounts ON accounts.id = zones.account WHERE zones.id = $1 AND zones.deleted_at IS NULL"
    );
    db.optional(select, values![id.as_bytes()])
        .await?
        .as_ref()
        .map(zone_row)
        .transpose()
}

fn zone_row(row: &Row) -> Result<ZoneRecord, StoreError> {
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
pub(super) async fn zone_number(db: &Db, id: ZoneId) -> Result<Option<i64>, StoreError> {
    let select = "SELECT number FROM zones WHERE id = $1 AND deleted_at IS NULL";
    db.optional(select, values![id.as_bytes()])
        .await?
        .map(|row| row.get(0))
        .transpose()
}

/// A page of zones; ties by id.
pub(super) async fn zones(
    db: &Db,
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
        condition.push(" AND (");
        condition.one_of("zones.account", account_ids(accounts));
        condition.push(" OR ");
        condition.one_of("zones.id", zone_ids(zones));
        condition.push(")");
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
        db,
        zone_columns!(),
        "zones JOIN accounts ON accounts.id = zones.account",
        condition,
        &format!("{order} {direction}, zones.id {direction}"),
        slice,
        zone_row,
    )
    .await
}

/// Stores a new zone.
pub(super) async fn record_zone(
    db: &Db,
    zone: &ZoneRecord,
    by: &By,
) -> Result<ZoneRecorded, StoreError> {
    if account(db, zone.account).await?.is_none() {
        return Ok(ZoneRecorded::NoAccount);
    }
    let taken = "SELECT 1 FROM zones WHERE folded_name = $1 AND deleted_at IS NULL";
    if db
        .optional(taken, values![folded(&zone.name)])
        .await?
        .is_some()
    {
        return Ok(ZoneRecorded::NameTaken);
    }
    insert_zone(db, zone, by).await?;
    Ok(ZoneRecorded::Recorded)
}

/// The number comes from the table, not from a sequence: under the lock of the writer nobody else takes it, and a transaction that
/// is rolled back uses none up.
async fn insert_zone(db: &Db, zone: &ZoneRecord, by: &By) -> Result<(), StoreError> {
    db.execute(
        "INSERT INTO zones (number, id, name, folded_name, account, created_on, modified_on) \
         VALUES ((SELECT coalesce(max(number), 0) + 1 FROM zones), $1, $2, $3, $4, $5, $6)",
        values![
            zone.id.as_bytes(),
            &zone.name,
            folded(&zone.name),
            zone.account.as_bytes(),
            zone.created_on.unix_microseconds(),
            zone.modified_on.unix_microseconds(),
        ],
    )
    .await?;
    log_zone(db, AuditAction::Create, zone, by).await
}

async fn log_zone(
    db: &Db,
    action: AuditAction,
    zone: &ZoneRecord,
    by: &By,
) -> Result<(), StoreError> {
    let detail = format!("name={}", zone.name);
    let deed = Deed::new(action, ResourceType::Zone, zone.id.as_bytes(), detail).in_zone(zone.id);
    audit::record(db, AuditOwner::Account(zone.account), by, deed).await
}

/// Deletes a zone that has no certificate but revoked ones, and its lists of hostnames.
pub(super) async fn delete_zone(
    db: &Db,
    layout: Layout,
    id: ZoneId,
    by: &By,
) -> Result<ZoneDeleted, StoreError> {
    let Some(zone) = zone(db, id).await? else {
        return Ok(ZoneDeleted::NotFound);
    };
    let Some(number) = zone_number(db, id).await? else {
        return Ok(ZoneDeleted::NotFound);
    };
    let totals = counters::totals(db, layout, number).await?;
    if totals.all() > totals.of(Status::Revoked) {
        return Ok(ZoneDeleted::InUse(totals));
    }
    hostnames::delete_of_zone(db, number).await?;
    db.execute(
        "UPDATE zones SET deleted_at = $1 WHERE number = $2 AND deleted_at IS NULL",
        values![by.at.unix_microseconds(), number],
    )
    .await?;
    log_zone(db, AuditAction::Delete, &zone, by).await?;
    Ok(ZoneDeleted::Deleted)
}

/// The form in which names are compared.
pub(super) fn folded(name: &str) -> String {
    name.to_lowercase()
}
