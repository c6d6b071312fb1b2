//! The installation, its user, its accounts and its zones.
//!
//! Names are unique among rows that are not deleted. They are compared in a folded form that this
//! program makes (`folded_name`), because databases differ in how they fold letter case.

use aws_lc_rs::digest::{SHA256, digest};
use certgate_model::{
    AccountFilter, AccountId, AccountRecord, AccountSettings, AccountType, AuditAction, AuditOwner,
    By, Hex, Installation, Page, ResourceType, Slice, Timestamp, TokenHash, UserId, UserProfile,
    UserRecord, Visible, ZoneFilter, ZoneId, ZoneOrder, ZoneProperties, ZoneRecord, ZoneType,
};

use super::condition::{Condition, direction, page};
use super::names::{above, folded, reversed};
use super::{audit, tokens};
use crate::audit::AuditEvent;
use crate::db::{Db, Row, Value, values};
use crate::error::corrupt;
use crate::schema::{ACCOUNTS, USERS, ZONES};
use crate::{
    AccountRecorded, FirstRecords, NEIGHBOURS_MAX, Neighbours, StoreError, ZoneRecorded,
    issuance_rules_column, seal,
};

/// Returns the installation, if there is one.
pub(crate) async fn installation<D: Db>(db: &D) -> Result<Option<Installation>, StoreError> {
    let select = "SELECT master_key_check, created_on FROM installation WHERE \"only\" = 1";
    db.optional(select, &[], |row| {
        Ok(Installation {
            master_key_check: row.get(0)?,
            created_on: row.get(1)?,
        })
    })
    .await
}

/// Returns the first user.
pub(crate) async fn user<D: Db>(db: &D) -> Result<Option<UserRecord>, StoreError> {
    let select = "SELECT id, email, created_on, first_name, last_name, telephone, country, \
                  zipcode, modified_on FROM users ORDER BY created_on, id LIMIT 1";
    db.optional(select, &[], user_row).await
}

/// Returns the user whose API key has this hash. No index: an installation has one user.
pub(crate) async fn user_by_api_key<D: Db>(
    db: &D,
    hash: TokenHash,
) -> Result<Option<UserRecord>, StoreError> {
    let select = "SELECT id, email, created_on, first_name, last_name, telephone, country, \
                  zipcode, modified_on FROM users WHERE api_key_hash = ?1";
    db.optional(select, &values![&hash], user_row).await
}

/// Gives a user another API key, or none; `false` if the user does not exist.
pub(crate) async fn replace_api_key<D: Db>(
    db: &D,
    user: UserId,
    hash: Option<&TokenHash>,
    by: &By,
) -> Result<bool, StoreError> {
    let update = "UPDATE users SET api_key_hash = ?2 WHERE id = ?1";
    if db.execute(update, &values![user, hash]).await? == 0 {
        return Ok(false);
    }
    let action = match hash {
        Some(_) => AuditAction::Create,
        None => AuditAction::Delete,
    };
    let detail = api_key_detail(hash);
    let event = AuditEvent::new(action, ResourceType::ApiKey, user.as_bytes(), detail);
    audit::record(db, AuditOwner::User(user), by, event).await?;
    Ok(true)
}

/// Names an API key in the audit log, so that the check finds a corrupt one. The beginning of a
/// digest of its hash says nothing about the key.
pub(super) fn api_key_detail(hash: Option<&TokenHash>) -> String {
    hash.map_or(String::new(), |hash| {
        let digest = digest(&SHA256, &hash.0);
        format!("key={}", Hex(&digest.as_ref()[..8]))
    })
}

fn user_row(row: &dyn Row) -> Result<UserRecord, StoreError> {
    let created_on = row.get(2)?;
    Ok(UserRecord {
        id: row.get(0)?,
        email: row.get(1)?,
        profile: UserProfile {
            first_name: row.get(3)?,
            last_name: row.get(4)?,
            telephone: row.get(5)?,
            country: row.get(6)?,
            zipcode: row.get(7)?,
        },
        created_on,
        modified_on: row.get::<Option<Timestamp>>(8)?.unwrap_or(created_on),
    })
}

/// Writes the records of a new installation, unless there is one.
pub(crate) async fn initialise<D: Db>(db: &D, records: &FirstRecords) -> Result<bool, StoreError> {
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
        "INSERT INTO installation (\"only\", master_key_check, created_on) VALUES (1, ?1, ?2)",
        &values![&installation.master_key_check, installation.created_on],
    )
    .await?;
    let profile = &user.profile;
    let cells = values![
        user.id,
        &user.email,
        user.created_on,
        None::<&TokenHash>,
        profile.first_name.as_ref(),
        profile.last_name.as_ref(),
        profile.telephone.as_ref(),
        profile.country.as_ref(),
        profile.zipcode.as_ref(),
        user.modified_on,
    ];
    seal::insert(db, &USERS, &cells).await?;
    let by = By::system(installation.created_on);
    insert_account(db, account, &by).await?;
    insert_zone(db, zone, &by).await?;
    tokens::record(db, token, &by).await?;
    Ok(true)
}

/// Returns one account that is not deleted.
pub(crate) async fn account<D: Db>(
    db: &D,
    id: AccountId,
) -> Result<Option<AccountRecord>, StoreError> {
    let select = "SELECT id, name, authority_algorithm, created_on, type, enforce_twofactor, \
                  abuse_contact_email FROM accounts WHERE id = ?1 AND deleted_at IS NULL";
    db.optional(select, &values![id], account_row).await
}

fn account_row(row: &dyn Row) -> Result<AccountRecord, StoreError> {
    Ok(AccountRecord {
        id: row.get(0)?,
        name: row.get(1)?,
        authority_algorithm: row.get(2)?,
        created_on: row.get(3)?,
        kind: named(row, 4, "account", AccountType::from_name)?,
        settings: AccountSettings {
            enforce_twofactor: row.get::<Option<bool>>(5)?.unwrap_or_default(),
            abuse_contact_email: row.get(6)?,
        },
    })
}

/// Reads a type by its name; rows of version 1 have none, which means the default.
fn named<T: Default>(
    row: &dyn Row,
    place: usize,
    of: &str,
    from_name: impl FnOnce(&str) -> Option<T>,
) -> Result<T, StoreError> {
    let Some(name) = row.get::<Option<String>>(place)? else {
        return Ok(T::default());
    };
    from_name(&name).ok_or_else(|| corrupt(format!("no {of} has the type {name:?}")))
}

/// Returns a page of accounts by creation, ties by ID.
pub(crate) async fn accounts<D: Db>(
    db: &D,
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
        "id, name, authority_algorithm, created_on, type, enforce_twofactor, abuse_contact_email",
        "accounts",
        condition,
        &format!("created_on {direction}, id {direction}"),
        slice,
        account_row,
    )
    .await
}

fn account_ids<'v>(ids: &[AccountId]) -> impl Iterator<Item = Value<'v>> {
    ids.iter().map(|id| Value::from(*id))
}

fn zone_ids<'v>(ids: &[ZoneId]) -> impl Iterator<Item = Value<'v>> {
    ids.iter().map(|id| Value::from(*id))
}

/// Stores a new account.
pub(crate) async fn record_account<D: Db>(
    db: &D,
    account: &AccountRecord,
    by: &By,
) -> Result<AccountRecorded, StoreError> {
    let taken = "SELECT 1 FROM accounts WHERE folded_name = ?1 AND deleted_at IS NULL";
    if exists(db, taken, folded(&account.name)).await? {
        return Ok(AccountRecorded::NameTaken);
    }
    insert_account(db, account, by).await?;
    Ok(AccountRecorded::Recorded)
}

async fn exists<D: Db>(db: &D, select: &str, name: String) -> Result<bool, StoreError> {
    let found = db.optional(select, &values![name], |_| Ok(())).await?;
    Ok(found.is_some())
}

async fn insert_account<D: Db>(db: &D, account: &AccountRecord, by: &By) -> Result<(), StoreError> {
    let none = None::<i64>;
    let cells = values![
        account.id,
        &account.name,
        folded(&account.name),
        account.authority_algorithm.name(),
        none,
        account.created_on,
        none,
        account.kind.name(),
        account.settings.enforce_twofactor,
        account.settings.abuse_contact_email.as_ref(),
        none,
        none,
    ];
    seal::insert(db, &ACCOUNTS, &cells).await?;
    log_account(db, AuditAction::Create, account, by).await
}

pub(super) async fn log_account<D: Db>(
    db: &D,
    action: AuditAction,
    account: &AccountRecord,
    by: &By,
) -> Result<(), StoreError> {
    let detail = format!("name={}", account.name);
    let event = AuditEvent::new(action, ResourceType::Account, account.id.as_bytes(), detail);
    audit::record(db, AuditOwner::Account(account.id), by, event).await
}

const ZONE_COLUMNS: &str = "zones.id, zones.name, zones.account, accounts.name, zones.created_on, \
                            zones.modified_on, zones.paused, zones.type, zones.vanity_name_servers, \
                            zones.issuance_rules";

/// Returns one zone that is not deleted.
pub(crate) async fn zone<D: Db>(db: &D, id: ZoneId) -> Result<Option<ZoneRecord>, StoreError> {
    let select = "SELECT zones.id, zones.name, zones.account, accounts.name, zones.created_on, \
                  zones.modified_on, zones.paused, zones.type, zones.vanity_name_servers, \
                  zones.issuance_rules FROM zones JOIN accounts ON accounts.id = zones.account \
                  WHERE zones.id = ?1 AND zones.deleted_at IS NULL";
    db.optional(select, &values![id], zone_row).await
}

/// Returns the zone of a name, in any letter case.
pub(crate) async fn zone_by_name<D: Db>(
    db: &D,
    name: &str,
) -> Result<Option<ZoneRecord>, StoreError> {
    let select = "SELECT zones.id, zones.name, zones.account, accounts.name, zones.created_on, \
                  zones.modified_on, zones.paused, zones.type, zones.vanity_name_servers, \
                  zones.issuance_rules FROM zones JOIN accounts ON accounts.id = zones.account \
                  WHERE zones.folded_name = ?1 AND zones.deleted_at IS NULL";
    db.optional(select, &values![folded(name)], zone_row).await
}

fn zone_row(row: &dyn Row) -> Result<ZoneRecord, StoreError> {
    Ok(ZoneRecord {
        id: row.get(0)?,
        name: row.get(1)?,
        account: row.get(2)?,
        account_name: row.get(3)?,
        created_on: row.get(4)?,
        modified_on: row.get(5)?,
        properties: ZoneProperties {
            paused: row.get::<Option<bool>>(6)?.unwrap_or_default(),
            kind: named(row, 7, "zone", ZoneType::from_name)?,
            vanity_name_servers: vanity_names(row.get(8)?),
        },
        issuance_rules: issuance_rules_column::rules(row.get(9)?),
    })
}

/// Returns the column of the zone's own name servers: a line each.
pub(super) fn vanity_text(properties: &ZoneProperties) -> Option<String> {
    let names = &properties.vanity_name_servers;
    (!names.is_empty()).then(|| names.join("\n"))
}

fn vanity_names(text: Option<String>) -> Vec<String> {
    let text = text.unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Returns the small number that stands for a zone in positions, if the zone is not deleted.
pub(crate) async fn zone_number<D: Db>(db: &D, id: ZoneId) -> Result<Option<i64>, StoreError> {
    db.optional(ZONE_NUMBER, &values![id], |row| row.get(0))
        .await
}

/// The statement behind [`zone_number`], for several zones at once.
pub(crate) const ZONE_NUMBER: &str =
    "SELECT number FROM zones WHERE id = ?1 AND deleted_at IS NULL";

/// Returns a page of zones; ties by ID.
pub(crate) async fn zones<D: Db>(
    db: &D,
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
        ZONE_COLUMNS,
        "zones JOIN accounts ON accounts.id = zones.account",
        condition,
        &format!("{order} {direction}, zones.id {direction}"),
        slice,
        zone_row,
    )
    .await
}

/// Stores a new zone.
pub(crate) async fn record_zone<D: Db>(
    db: &D,
    zone: &ZoneRecord,
    neighbours: &Neighbours,
    by: &By,
) -> Result<ZoneRecorded, StoreError> {
    if account(db, zone.account).await?.is_none() {
        return Ok(ZoneRecorded::NoAccount);
    }
    let taken = "SELECT 1 FROM zones WHERE folded_name = ?1 AND deleted_at IS NULL";
    if exists(db, taken, folded(&zone.name)).await? {
        return Ok(ZoneRecorded::NameTaken);
    }
    if let Neighbours::Only(accepted) = neighbours {
        // Those that are accepted must not hide others behind the limit.
        let most = NEIGHBOURS_MAX as usize + accepted.len();
        let mut found = self::neighbours(db, zone, most as u64).await?;
        found.retain(|(id, _)| !accepted.contains(id));
        if !found.is_empty() {
            return Ok(ZoneRecorded::Neighbours(found));
        }
    }
    insert_zone(db, zone, by).await?;
    Ok(ZoneRecorded::Recorded)
}

/// Returns the zones of other accounts above a zone, and the first `most` below it.
async fn neighbours<D: Db>(
    db: &D,
    zone: &ZoneRecord,
    most: u64,
) -> Result<Vec<(ZoneId, AccountId)>, StoreError> {
    let name = folded(&zone.name);
    let read = |row: &dyn Row| Ok((row.get(0)?, row.get(1)?));
    let with_name = "SELECT id, account FROM zones \
                     WHERE folded_name = ?1 AND deleted_at IS NULL AND account <> ?2";
    let names: Vec<_> = above(&name)
        .map(|name| values![name, zone.account].to_vec())
        .collect();
    let above = db.optional_each(with_name, &names, read).await?;
    // A slash is the octet after the dot.
    let below = "SELECT id, account FROM zones \
                 WHERE reversed_name > ?1 AND reversed_name < ?2 AND deleted_at IS NULL \
                 AND account <> ?3 ORDER BY reversed_name LIMIT ?4";
    let reversed = reversed(&name);
    let (from, until) = (format!("{reversed}."), format!("{reversed}/"));
    let bounds = values![from, until, zone.account, most];
    let below = db.rows(below, &bounds, read).await?;
    Ok(above.into_iter().flatten().chain(below).collect())
}

/// The number comes from the table, not from a sequence: only one transaction writes at a time, and
/// one that is rolled back uses no number up.
async fn insert_zone<D: Db>(db: &D, zone: &ZoneRecord, by: &By) -> Result<(), StoreError> {
    let insert = "INSERT INTO zones (number, id, name, folded_name, reversed_name, account, \
                  created_on, modified_on, deleted_at, digest, paused, type, \
                  vanity_name_servers, issuance_rules) \
                  VALUES ((SELECT coalesce(max(number), 0) + 1 FROM zones), ?1, ?2, ?3, ?4, ?5, \
                  ?6, ?7, NULL, ?8, ?9, ?10, ?11, ?12)";
    let mut cells = zone_cells(zone).to_vec();
    cells.extend(values![
        seal::of(&ZONES, &cells),
        zone.properties.paused,
        zone.properties.kind.name(),
        vanity_text(&zone.properties),
        issuance_rules_column::text(&zone.issuance_rules)?,
    ]);
    db.execute(insert, &cells[1..]).await?;
    log_zone(db, AuditAction::Create, zone, None, by).await
}

/// The columns of a zone up to the last one that its digest covers; the number is not among them.
pub(super) fn zone_cells(zone: &ZoneRecord) -> [Value<'_>; 8] {
    values![
        None::<i64>,
        zone.id,
        &zone.name,
        folded(&zone.name),
        reversed(&folded(&zone.name)),
        zone.account,
        zone.created_on,
        zone.modified_on,
    ]
}

pub(super) async fn log_zone<D: Db>(
    db: &D,
    action: AuditAction,
    zone: &ZoneRecord,
    epoch: Option<i64>,
    by: &By,
) -> Result<(), StoreError> {
    let epoch = epoch.map_or_else(String::new, |epoch| format!("epoch={epoch} "));
    let detail = format!("{epoch}name={}", zone.name);
    let event =
        AuditEvent::new(action, ResourceType::Zone, zone.id.as_bytes(), detail).in_zone(zone.id);
    audit::record(db, AuditOwner::Account(zone.account), by, event).await
}
