use std::sync::Arc;

use certgate_model::{
    AccountChange, AccountId, AccountRecord, AccountSettings, AccountType, IssuanceRules,
    KeyAlgorithm, StoredRules, UserChange, UserRecord, ZoneChange, ZoneId, ZoneProperties,
    ZoneRecord,
};
use certgate_store::{
    AccountChanged, AccountDeleted, AccountRecorded, Neighbours, ZoneDeleted, ZoneRecorded,
};

use crate::access::{
    Access, AccountScope, Caller, ManageAccounts, ManageUser, ManageZones, UserScope, ZoneScope,
};
use crate::environment::Environment;
use crate::error::{AccessError, Fault, TenantError};
use crate::issuers::Issuers;
use crate::names::{checked_email, checked_name, checked_zone_name, domain_name_fault};
use crate::signals::AnnounceOnDrop;

/// Maximum number of a zone's own name servers: registries accept 13 for a domain, because more do
/// not fit into a DNS answer of 512 octets (RFC 1035 §4.2.1).
const NAME_SERVERS_MAX: usize = 13;

/// Longest first name and last name of the user, in characters: Cloudflare's limit.
const PERSON_NAME_CHARACTERS_MAX: usize = 60;

/// Longest country of the user, in characters: Cloudflare's limit.
const COUNTRY_CHARACTERS_MAX: usize = 30;

/// Longest telephone number and postal code of the user, in characters: Cloudflare's limit.
const NUMBER_CHARACTERS_MAX: usize = 20;

/// The time in which changes settle that wait for no enforcement point, in seconds: usually less
/// than one. On a shared store, a server takes over from one that stopped within 25 seconds.
const SETTLING_SECONDS: u64 = 30;

/// A new account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountDraft {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: AccountType,
    /// Key algorithm of its managed CA; `None` is the configured default.
    pub authority_algorithm: Option<KeyAlgorithm>,
}

/// A new zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneDraft {
    /// Its domain name.
    pub name: String,
    /// Its properties.
    pub properties: ZoneProperties,
}

/// Accounts, zones and the user.
pub struct Tenants {
    pub(crate) environment: Environment,
    pub(crate) access: Arc<Access>,
    pub(crate) issuers: Arc<Issuers>,
    /// Key algorithm of the managed CA of an account that names none.
    pub(crate) authority_algorithm: KeyAlgorithm,
}

impl Tenants {
    /// Creates an account, if the caller has the permission.
    pub async fn create_account(
        &self,
        caller: &Caller,
        draft: AccountDraft,
    ) -> Result<Result<AccountRecord, TenantError>, AccessError> {
        match caller.principal().may_make_accounts() {
            true => Ok(self.record_account(caller, draft).await),
            false => Err(AccessError::Refused),
        }
    }

    async fn record_account(
        &self,
        caller: &Caller,
        draft: AccountDraft,
    ) -> Result<AccountRecord, TenantError> {
        let Environment { store, random, .. } = &self.environment;
        let now = self.environment.now();
        let account = AccountRecord {
            id: AccountId::time_ordered(now, &**random),
            name: checked_name(&draft.name).map_err(TenantError::Name)?,
            kind: draft.kind,
            settings: AccountSettings::default(),
            authority_algorithm: draft
                .authority_algorithm
                .unwrap_or(self.authority_algorithm),
            created_on: now,
        };
        match store
            .record_account(account.clone(), caller.by(now))
            .await?
        {
            AccountRecorded::Recorded => Ok(account),
            AccountRecorded::NameTaken => Err(TenantError::NameTaken(account.name)),
        }
    }

    /// Changes an account.
    pub async fn change_account(
        &self,
        scope: &AccountScope<ManageAccounts>,
        mut change: AccountChange,
    ) -> Result<AccountRecord, TenantError> {
        if let Some(name) = &mut change.name {
            *name = checked_name(name).map_err(TenantError::Name)?;
        }
        if let Some(Some(address)) = &change.abuse_contact_email {
            let pointer = "/settings/abuse_contact_email";
            checked_email(address).map_err(|reason| TenantError::Invalid { pointer, reason })?;
        }
        let (store, by) = (&self.environment.store, scope.by(self.environment.now()));
        let name = change.name.clone().unwrap_or_default();
        let changed = store.change_account(scope.account().id, change, by).await?;
        // Zones are cached with the name of their account.
        self.access.zones_changed();
        match changed {
            AccountChanged::Changed(account) => Ok(account),
            AccountChanged::NameTaken => Err(TenantError::NameTaken(name)),
            AccountChanged::NotFound => Err(TenantError::NotFound),
        }
    }

    /// Deletes an account without zones and uploaded certificates, and its tokens.
    pub async fn delete_account(
        &self,
        scope: &AccountScope<ManageAccounts>,
    ) -> Result<AccountId, TenantError> {
        let id = scope.account().id;
        let by = scope.by(self.environment.now());
        match self.environment.store.delete_account(id, by).await? {
            AccountDeleted::Deleted => {
                self.issuers.forget_active(id);
                self.access.tokens_changed();
                Ok(id)
            }
            AccountDeleted::NotFound => Err(TenantError::NotFound),
            AccountDeleted::HasZones(zones) => Err(TenantError::HasZones(zones)),
            AccountDeleted::HasMtlsCertificates(count) => {
                Err(TenantError::HasMtlsCertificates(count))
            }
        }
    }

    /// Creates a zone in the account. Above or below a zone of another account, the caller needs
    /// the permission there too: the holder of the upper zone decides about the names below it.
    pub async fn create_zone(
        &self,
        scope: &AccountScope<ManageZones>,
        draft: ZoneDraft,
    ) -> Result<ZoneRecord, TenantError> {
        let Environment { store, random, .. } = &self.environment;
        let now = self.environment.now();
        check_name_servers(&draft.properties.vanity_name_servers)?;
        let zone = ZoneRecord {
            id: ZoneId::time_ordered(now, &**random),
            name: checked_zone_name(&draft.name).map_err(TenantError::Name)?,
            account: scope.account().id,
            account_name: scope.account().name.clone(),
            properties: draft.properties,
            issuance_rules: StoredRules::Absent,
            created_on: now,
            modified_on: now,
        };
        let principal = scope.caller().principal();
        let mut neighbours = match principal.may_manage_every_zone() {
            true => Neighbours::Every,
            false => Neighbours::Only(Vec::new()),
        };
        // The second attempt has the permitted neighbours. More can only have come meanwhile, or
        // there are too many.
        for _ in 0..2 {
            let recorded = store.record_zone(zone.clone(), neighbours, scope.by(now));
            neighbours = match recorded.await? {
                ZoneRecorded::Recorded => return Ok(zone),
                ZoneRecorded::NoAccount => return Err(TenantError::NotFound),
                ZoneRecorded::NameTaken => return Err(TenantError::NameTaken(zone.name)),
                ZoneRecorded::Neighbours(found) => {
                    let may = |(id, account): &(ZoneId, AccountId)| {
                        principal.may_manage_zone(*id, *account)
                    };
                    if !found.iter().all(may) {
                        break;
                    }
                    Neighbours::Only(found.into_iter().map(|(id, _)| id).collect())
                }
            };
        }
        Err(TenantError::Neighbour(zone.name))
    }

    /// Changes the properties of a zone.
    pub async fn change_zone(
        &self,
        scope: &ZoneScope<ManageZones>,
        change: ZoneChange,
    ) -> Result<ZoneRecord, TenantError> {
        check_name_servers(change.vanity_name_servers.as_deref().unwrap_or_default())?;
        let (store, by) = (&self.environment.store, scope.by(self.environment.now()));
        let changed = store.change_zone(scope.zone().id, change, by).await?;
        self.access.zones_changed();
        changed.ok_or(TenantError::NotFound)
    }

    /// Replaces the issuance rules of a zone.
    pub async fn replace_issuance_rules(
        &self,
        scope: &ZoneScope<ManageZones>,
        rules: IssuanceRules,
    ) -> Result<ZoneRecord, TenantError> {
        let (store, by) = (&self.environment.store, scope.by(self.environment.now()));
        let id = scope.zone().id;
        let replaced = store.replace_issuance_rules(id, rules.into(), by).await?;
        self.access.zones_changed();
        replaced.ok_or(TenantError::NotFound)
    }

    /// Changes the user.
    pub async fn change_user(
        &self,
        scope: &UserScope<ManageUser>,
        change: UserChange,
    ) -> Result<UserRecord, TenantError> {
        for (pointer, member, max) in [
            (
                "/first_name",
                &change.first_name,
                PERSON_NAME_CHARACTERS_MAX,
            ),
            ("/last_name", &change.last_name, PERSON_NAME_CHARACTERS_MAX),
            ("/telephone", &change.telephone, NUMBER_CHARACTERS_MAX),
            ("/country", &change.country, COUNTRY_CHARACTERS_MAX),
            ("/zipcode", &change.zipcode, NUMBER_CHARACTERS_MAX),
        ] {
            let Some(Some(text)) = member else { continue };
            let length = text.chars().count();
            if length > max || text.chars().any(char::is_control) {
                let reason = format!(
                    "it has {length} characters: use at most {max}, and no control characters"
                );
                return Err(TenantError::Invalid { pointer, reason });
            }
        }
        let (store, by) = (&self.environment.store, scope.by(self.environment.now()));
        let changed = store.change_user(scope.user().id, change, by).await?;
        changed.ok_or(TenantError::NotFound)
    }

    /// Deletes a zone that has only revoked certificates.
    pub async fn delete_zone(&self, scope: &ZoneScope<ManageZones>) -> Result<ZoneId, TenantError> {
        let id = scope.zone().id;
        let by = scope.by(self.environment.now());
        let announced = AnnounceOnDrop {
            signals: &self.environment.signals,
            account: scope.zone().account,
        };
        let deleted = self.environment.store.delete_zone(id, by).await?;
        drop(announced);
        self.access.zones_changed();
        match deleted {
            ZoneDeleted::Deleted => Ok(id),
            ZoneDeleted::NotFound => Err(TenantError::NotFound),
            ZoneDeleted::InUse(totals) => Err(TenantError::HasCertificates {
                totals,
                pending_seconds_max: self.pending_seconds_max(scope.zone().account).await?,
            }),
        }
    }

    /// Returns the longest time in which the present changes of an account settle while its lists
    /// can be published.
    async fn pending_seconds_max(&self, account: AccountId) -> Result<u64, Fault> {
        let Environment { store, .. } = &self.environment;
        let now = self.environment.now();
        let lagging = store.lagging_enforcement_points().await?;
        let waited_for = lagging
            .iter()
            .filter(|point| point.account == account && point.is_waited_for(now));
        let leases = waited_for.map(|point| now.until(point.lease_until()).duration());
        let longest = leases.map(|lease| lease.as_secs() + 1).max();
        Ok(longest.unwrap_or(0) + SETTLING_SECONDS)
    }
}

fn check_name_servers(names: &[String]) -> Result<(), TenantError> {
    let refuse = |reason| {
        let pointer = "/vanity_name_servers";
        Err(TenantError::Invalid { pointer, reason })
    };
    if names.len() > NAME_SERVERS_MAX {
        let count = names.len();
        return refuse(format!(
            "there are {count} name servers: use at most {NAME_SERVERS_MAX}"
        ));
    }
    for name in names {
        if let Some(fault) = domain_name_fault(name) {
            let shown: String = name.chars().take(80).collect();
            return refuse(format!(
                "{shown:?} is not a domain name such as ns1.example.com: {fault}"
            ));
        }
    }
    Ok(())
}
