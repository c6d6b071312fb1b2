use certgate_model::{
    AccountId, AccountRecord, Clock, Installation, KeyAlgorithm, Random, TokenId, UserId,
    UserRecord, ZoneId, ZoneRecord,
};
use certgate_store::{FirstRecords, Store};

use crate::access::{token_hash, token_with_everything};
use crate::error::{Fault, TenantError};
use crate::generated_secret::GeneratedSecret;
use crate::master_key::MasterKey;
use crate::names::{checked_name, checked_zone_name};
use crate::token_draft::new_policy_id;

/// The default e-mail address of the first user. It belongs to no person.
pub const EMAIL_DEFAULT: &str = "admin@certgate.invalid";

/// Longest e-mail address, in octets: the limit of an SMTP mailbox (RFC 5321 §4.5.3.1.3).
const EMAIL_BYTES_MAX: usize = 254;

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
            email: checked_email(&names.email)?,
            created_on: now,
        };
        let account = AccountRecord {
            id: AccountId::time_ordered(now, random),
            name: checked_name(&names.account).map_err(TenantError::Name)?,
            authority_algorithm,
            created_on: now,
        };
        let zone = ZoneRecord {
            id: ZoneId::time_ordered(now, random),
            name: checked_zone_name(&names.zone).map_err(TenantError::Name)?,
            account: account.id,
            account_name: account.name.clone(),
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

/// Returns true if the store has a token with this value.
pub async fn is_token_of(store: &dyn Store, value: &str) -> Result<bool, Fault> {
    Ok(store.token_by_hash(token_hash(value)).await?.is_some())
}

/// Accepts an address that can be sent in a header and compared. The server sends no mail.
fn checked_email(text: &str) -> Result<String, TenantError> {
    let (mailbox, domain) = text.rsplit_once('@').unwrap_or_default();
    let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
    if visible && !mailbox.is_empty() && !domain.is_empty() && text.len() <= EMAIL_BYTES_MAX {
        return Ok(text.to_owned());
    }
    Err(TenantError::Name(format!(
        "{text:?} is not an e-mail address: use one such as admin@example.com, with at most \
         {EMAIL_BYTES_MAX} octets"
    )))
}
