//! Accounts and zones.

use certgate_model::{AccountId, AccountRecord, By, KeyAlgorithm, ZoneId, ZoneRecord};
use certgate_store::{AccountDeleted, AccountRecorded, ZoneDeleted, ZoneRecorded};

use crate::access::{AccountScope, ManageAccounts, ManageZones, Principal, ZoneScope};
use crate::{AccessError, Authority, TenantError};

/// Longest name of an account, token or brought certificate, in characters.
pub(crate) const NAME_CHARACTERS_MAX: usize = 100;

/// Longest domain name, in octets (RFC 1035 §2.3.4, without the root label).
const DOMAIN_OCTETS_MAX: usize = 253;

/// Longest label of a domain name, in octets (RFC 1035 §2.3.4).
const LABEL_OCTETS_MAX: usize = 63;

/// An account to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountDraft {
    /// Its name.
    pub name: String,
    /// The kind of key its managed authority shall have; `None` is the configured default.
    pub authority_algorithm: Option<KeyAlgorithm>,
}

/// A zone to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneDraft {
    /// Its domain name.
    pub name: String,
}

impl Authority {
    /// Makes an account, if the caller may make accounts.
    pub async fn create_account(
        &self,
        principal: &Principal,
        draft: AccountDraft,
    ) -> Result<Result<AccountRecord, TenantError>, AccessError> {
        if !principal.may_make_accounts() {
            return Err(AccessError::Refused);
        }
        Ok(self
            .record_account(draft, principal.by(self.clock.now()))
            .await)
    }

    async fn record_account(
        &self,
        draft: AccountDraft,
        by: By,
    ) -> Result<AccountRecord, TenantError> {
        let now = by.at;
        let account = AccountRecord {
            id: AccountId::time_ordered(now, &*self.random),
            name: checked_account_name(&draft.name)?,
            authority_algorithm: draft
                .authority_algorithm
                .unwrap_or(self.settings.authority_algorithm),
            created_on: now,
        };
        match self.store.record_account(account.clone(), by).await? {
            AccountRecorded::Recorded => Ok(account),
            AccountRecorded::NameTaken => Err(TenantError::NameTaken(account.name)),
        }
    }

    /// Deletes an account that has no zones and no certificates that it brought itself.
    pub async fn delete_account(
        &self,
        scope: &AccountScope<ManageAccounts>,
    ) -> Result<AccountId, TenantError> {
        let id = scope.account().id;
        match self
            .store
            .delete_account(id, scope.by(self.clock.now()))
            .await?
        {
            AccountDeleted::Deleted => {
                self.forget_issuer(id);
                Ok(id)
            }
            AccountDeleted::NotFound => Err(TenantError::NotFound),
            AccountDeleted::HasZones(zones) => Err(TenantError::HasZones(zones)),
            AccountDeleted::HasMtlsCertificates(count) => {
                Err(TenantError::HasMtlsCertificates(count))
            }
        }
    }

    /// Makes a zone in the account.
    pub async fn create_zone(
        &self,
        scope: &AccountScope<ManageZones>,
        draft: ZoneDraft,
    ) -> Result<ZoneRecord, TenantError> {
        let now = self.clock.now();
        let zone = ZoneRecord {
            id: ZoneId::time_ordered(now, &*self.random),
            name: checked_zone_name(&draft.name)?,
            account: scope.account().id,
            account_name: scope.account().name.clone(),
            created_on: now,
            modified_on: now,
        };
        match self.store.record_zone(zone.clone(), scope.by(now)).await? {
            ZoneRecorded::Recorded => Ok(zone),
            ZoneRecorded::NoAccount => Err(TenantError::NotFound),
            ZoneRecorded::NameTaken => Err(TenantError::NameTaken(zone.name)),
        }
    }

    /// Deletes a zone all of whose certificates are revoked.
    pub async fn delete_zone(&self, scope: &ZoneScope<ManageZones>) -> Result<ZoneId, TenantError> {
        let id = scope.zone().id;
        let deleted = self
            .store
            .delete_zone(id, scope.by(self.clock.now()))
            .await?;
        self.zones.clear();
        match deleted {
            ZoneDeleted::Deleted => Ok(id),
            ZoneDeleted::NotFound => Err(TenantError::NotFound),
            ZoneDeleted::InUse(totals) => Err(TenantError::HasCertificates(totals)),
        }
    }
}

/// A name for people: not empty, not too long, nothing that a terminal would act on.
pub(crate) fn checked_name(name: &str) -> Result<String, String> {
    let name = name.trim();
    let length = name.chars().count();
    if name.is_empty() {
        return Err("the name is empty".to_owned());
    }
    if length > NAME_CHARACTERS_MAX {
        return Err(format!(
            "the name has {length} characters: use at most {NAME_CHARACTERS_MAX}"
        ));
    }
    if name.chars().any(char::is_control) {
        return Err("the name has a control character: use printable characters".to_owned());
    }
    Ok(name.to_owned())
}

pub(crate) fn checked_account_name(name: &str) -> Result<String, TenantError> {
    checked_name(name).map_err(TenantError::Name)
}

/// A DNS name of at least two labels, in lower case, without a dot at the end (RFC 1123 §2.1).
pub(crate) fn checked_zone_name(name: &str) -> Result<String, TenantError> {
    let shown: String = name.chars().take(80).collect();
    let refuse = |reason: &str| {
        Err(TenantError::Name(format!(
            "{shown:?} is not a domain name such as example.com: {reason}"
        )))
    };
    let name = name.trim().trim_end_matches('.').to_ascii_lowercase();
    if let Some(fault) = domain_name_fault(&name) {
        return refuse(&fault);
    }
    if !name.contains('.') {
        return refuse("it needs at least two labels");
    }
    Ok(name)
}

/// What keeps a text from being a DNS name without a dot at the end (RFC 1123 §2.1), in any letter case.
pub(crate) fn domain_name_fault(name: &str) -> Option<String> {
    if name.len() > DOMAIN_OCTETS_MAX {
        return Some(format!(
            "it has {} octets, the most is {DOMAIN_OCTETS_MAX}",
            name.len()
        ));
    }
    for label in name.split('.') {
        if label.is_empty() || label.len() > LABEL_OCTETS_MAX {
            return Some(format!("each label has 1 to {LABEL_OCTETS_MAX} octets"));
        }
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if !label.bytes().all(allowed) || label.starts_with('-') || label.ends_with('-') {
            let reason = "labels have letters, digits and inner hyphens; write other scripts in Punycode (xn--…)";
            return Some(reason.to_owned());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zone_names_are_domain_names() {
        assert_eq!(checked_zone_name("Example.COM.").unwrap(), "example.com");
        assert_eq!(
            checked_zone_name("xn--bcher-kva.example").unwrap(),
            "xn--bcher-kva.example"
        );
        for bad in [
            "",
            "com",
            ".",
            "a..b",
            "-a.example",
            "a-.example",
            "bücher.example",
            "*.example.com",
            "a b.example",
            &"a.".repeat(140),
            &format!("{}.example", "a".repeat(64)),
        ] {
            assert!(
                matches!(checked_zone_name(bad), Err(TenantError::Name(_))),
                "{bad}"
            );
        }
    }

    #[test]
    fn account_names_are_printable_and_bounded() {
        assert_eq!(checked_account_name(" Büro 1 ").unwrap(), "Büro 1");
        for bad in [
            "",
            "  ",
            "a\u{1b}[2Jb",
            &"x".repeat(NAME_CHARACTERS_MAX + 1),
        ] {
            assert!(checked_account_name(bad).is_err(), "{bad:?}");
        }
    }
}
