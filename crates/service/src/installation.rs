use certgate_model::{
    AccountId, AccountRecord, AccountSettings, AccountType, Clock, Installation, KeyAlgorithm,
    Random, StoredRules, TokenId, UserId, UserProfile, UserRecord, ZoneId, ZoneProperties,
    ZoneRecord,
};
use certgate_store::{Earlier, FirstRecords, Store};

use crate::access::{token_hash, token_with_everything};
use crate::error::{Fault, TenantError, internal};
use crate::generated_secret::GeneratedSecret;
use crate::master_key::MasterKey;
use crate::names::{checked_email, checked_name, checked_zone_name};
use crate::token_draft::new_policy_id;

/// The default e-mail address of the first user. It belongs to no person.
pub const EMAIL_DEFAULT: &str = "admin@certgate.invalid";

/// The names of the first user, account and zone.
#[derive(Debug, Clone)]
pub struct FirstNames {
    /// The user's e-mail address, or [`EMAIL_DEFAULT`].
    pub email: String,
    /// The account's name.
    pub account: String,
    /// The zone's domain name.
    pub zone: String,
}

/// The start of a new installation. The token's value is visible only here.
#[derive(Debug)]
pub struct Initialised {
    /// The first account.
    pub account_id: AccountId,
    /// The first zone.
    pub zone_id: ZoneId,
    /// The token with every permission.
    pub token: GeneratedSecret,
}

/// The first records, created but not stored. The server first writes the token to a file, so that
/// it cannot be lost.
pub struct FirstInstallation {
    records: FirstRecords,
    /// The facts for the operator.
    pub initialised: Initialised,
}

impl FirstInstallation {
    /// Creates a user, an account, a zone in it, and a token with every permission.
    pub fn new(
        clock: &dyn Clock,
        random: &dyn Random,
        master_key: &MasterKey,
        names: &FirstNames,
        authority_algorithm: KeyAlgorithm,
    ) -> Result<Self, TenantError> {
        let now = clock.now();
        let user = UserRecord {
            id: UserId::time_ordered(now, random),
            email: checked_email(&names.email).map_err(TenantError::Name)?,
            profile: UserProfile::default(),
            created_on: now,
            modified_on: now,
        };
        let account = AccountRecord {
            id: AccountId::time_ordered(now, random),
            name: checked_name(&names.account).map_err(TenantError::Name)?,
            kind: AccountType::default(),
            settings: AccountSettings::default(),
            authority_algorithm,
            created_on: now,
        };
        let zone = ZoneRecord {
            id: ZoneId::time_ordered(now, random),
            name: checked_zone_name(&names.zone).map_err(TenantError::Name)?,
            account: account.id,
            account_name: account.name.clone(),
            properties: ZoneProperties::default(),
            issuance_rules: StoredRules::Absent,
            created_on: now,
            modified_on: now,
        };
        let value = GeneratedSecret::token_value(random);
        let token = token_with_everything(
            TokenId::time_ordered(now, random),
            &user,
            "first token",
            token_hash(value.expose()),
            new_policy_id(now, random),
        );
        let initialised = Initialised {
            account_id: account.id,
            zone_id: zone.id,
            token: value,
        };
        let installation = Installation {
            master_key_check: master_key.seal_check(random),
            created_on: now,
        };
        Ok(Self {
            records: FirstRecords {
                installation,
                user,
                account,
                zone,
                token,
            },
            initialised,
        })
    }

    /// Stores the records. `None`: the store has an installation, which stays unchanged.
    pub async fn store(self, store: &dyn Store) -> Result<Option<Initialised>, Fault> {
        Ok(store
            .initialise(self.records)
            .await?
            .then_some(self.initialised))
    }
}

/// Returns the base address of the public responder that new CAs get; [`None`] before the first
/// start.
pub async fn stored_public_url(store: &dyn Store) -> Result<Option<String>, Fault> {
    Ok(store.public_url().await?)
}

/// Stores the base address of the public responder that new CAs get; returns the one that is stored
/// afterwards.
pub async fn record_public_url(
    store: &dyn Store,
    url: &str,
    earlier: Earlier,
) -> Result<String, Fault> {
    let stored = store.record_public_url(url.to_owned(), earlier).await?;
    stored.ok_or_else(|| internal("the store has no installation"))
}

/// Returns true if the store has a token with this value.
pub async fn is_token_of(store: &dyn Store, value: &str) -> Result<bool, Fault> {
    Ok(store.token_by_hash(token_hash(value)).await?.is_some())
}
