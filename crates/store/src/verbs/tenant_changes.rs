//! Changes of accounts, zones and users.

use certgate_model::{
    AccountChange, AccountId, AccountRecord, AuditAction, AuditOwner, By, ResourceType,
    StoredRules, UserChange, UserId, UserRecord, ZoneChange, ZoneId, ZoneRecord,
};

use super::audit;
use super::names::folded;
use super::tenants::{account, log_account, log_zone, user, vanity_text, zone, zone_cells};
use crate::audit::AuditEvent;
use crate::db::{Db, Value, values};
use crate::schema::{ACCOUNTS, ZONES};
use crate::{AccountChanged, StoreError, issuance_rules_column, seal};

/// Changes an account; the new name must be free.
pub(crate) async fn change_account<D: Db>(
    db: &D,
    id: AccountId,
    change: &AccountChange,
    by: &By,
) -> Result<AccountChanged, StoreError> {
    let Some(old) = account(db, id).await? else {
        return Ok(AccountChanged::NotFound);
    };
    let new = old.clone().changed(change.clone());
    if new == old {
        return Ok(AccountChanged::Changed(new));
    }
    let name = folded(&new.name);
    let taken = "SELECT 1 FROM accounts WHERE folded_name = ?1 AND id <> ?2 AND deleted_at IS NULL";
    let found = db.optional(taken, &values![&name, id], |_| Ok(())).await?;
    if found.is_some() {
        return Ok(AccountChanged::NameTaken);
    }
    let digest = seal::of(&ACCOUNTS, &account_cells(&new, &name));
    let update = "UPDATE accounts SET name = ?2, folded_name = ?3, type = ?4, \
                  enforce_twofactor = ?5, abuse_contact_email = ?6, digest = ?7 WHERE id = ?1";
    let AccountRecord { settings, .. } = &new;
    let values = values![
        id,
        &new.name,
        &name,
        new.kind.name(),
        settings.enforce_twofactor,
        settings.abuse_contact_email.as_ref(),
        digest,
    ];
    db.execute(update, &values).await?;
    log_account(db, AuditAction::Update, &new, by).await?;
    Ok(AccountChanged::Changed(new))
}

/// The columns of an account up to the last one that its digest covers.
fn account_cells<'v>(account: &'v AccountRecord, folded_name: &'v String) -> [Value<'v>; 6] {
    values![
        account.id,
        &account.name,
        folded_name,
        account.authority_algorithm.name(),
        None::<i64>,
        account.created_on,
    ]
}

/// Changes a zone; `None` if it does not exist.
pub(crate) async fn change_zone<D: Db>(
    db: &D,
    id: ZoneId,
    change: &ZoneChange,
    by: &By,
) -> Result<Option<ZoneRecord>, StoreError> {
    let Some(old) = zone(db, id).await? else {
        return Ok(None);
    };
    let properties = old.properties.clone().changed(change.clone());
    if properties == old.properties {
        return Ok(Some(old));
    }
    let new = ZoneRecord {
        properties,
        modified_on: by.at,
        ..old
    };
    let digest = seal::of(&ZONES, &zone_cells(&new));
    let update = "UPDATE zones SET modified_on = ?2, paused = ?3, type = ?4, \
                  vanity_name_servers = ?5, digest = ?6 WHERE id = ?1";
    let values = values![
        id,
        new.modified_on,
        new.properties.paused,
        new.properties.kind.name(),
        vanity_text(&new.properties),
        digest,
    ];
    db.execute(update, &values).await?;
    log_zone(db, AuditAction::Update, &new, None, by).await?;
    Ok(Some(new))
}

/// Replaces the issuance rules of a zone; `None` if it does not exist.
pub(crate) async fn replace_issuance_rules<D: Db>(
    db: &D,
    id: ZoneId,
    rules: &StoredRules,
    by: &By,
) -> Result<Option<ZoneRecord>, StoreError> {
    let Some(old) = zone(db, id).await? else {
        return Ok(None);
    };
    if old.issuance_rules == *rules {
        return Ok(Some(old));
    }
    let new = ZoneRecord {
        issuance_rules: rules.clone(),
        modified_on: by.at,
        ..old
    };
    let digest = seal::of(&ZONES, &zone_cells(&new));
    let update = "UPDATE zones SET modified_on = ?2, issuance_rules = ?3, digest = ?4 \
                  WHERE id = ?1";
    let text = issuance_rules_column::text(rules)?;
    let values = values![id, new.modified_on, text, digest];
    db.execute(update, &values).await?;
    log_zone(db, AuditAction::Update, &new, None, by).await?;
    Ok(Some(new))
}

/// Changes a user; `None` if it does not exist.
pub(crate) async fn change_user<D: Db>(
    db: &D,
    id: UserId,
    change: &UserChange,
    by: &By,
) -> Result<Option<UserRecord>, StoreError> {
    let Some(old) = user(db).await?.filter(|user| user.id == id) else {
        return Ok(None);
    };
    let profile = old.profile.clone().changed(change.clone());
    if profile == old.profile {
        return Ok(Some(old));
    }
    let new = UserRecord {
        profile,
        modified_on: by.at,
        ..old
    };
    let update = "UPDATE users SET first_name = ?2, last_name = ?3, telephone = ?4, country = ?5, \
                  zipcode = ?6, modified_on = ?7 WHERE id = ?1";
    let profile = &new.profile;
    let values = values![
        id,
        profile.first_name.as_ref(),
        profile.last_name.as_ref(),
        profile.telephone.as_ref(),
        profile.country.as_ref(),
        profile.zipcode.as_ref(),
        new.modified_on,
    ];
    db.execute(update, &values).await?;
    let event = AuditEvent::new(
        AuditAction::Update,
        ResourceType::User,
        id.as_bytes(),
        String::new(),
    );
    audit::record(db, AuditOwner::User(id), by, event).await?;
    Ok(Some(new))
}
