//! The first records of a new installation, and the check that a later start has the right master key.

use std::sync::Arc;

use certgate_model::{
    AccountId, AccountRecord, Clock, Installation, KeyAlgorithm, Random, TokenId, TokenRecord,
    TokenState, UserId, UserRecord, ZoneId, ZoneRecord,
};
use certgate_store::{FirstRecords, Store};
use rayon_core::ThreadPoolBuilder;

use crate::access::{everything, token_hash};
use crate::serials::SerialCipher;
use crate::tenants::{checked_account_name, checked_zone_name};
use crate::tokens::{TokenValue, new_policy_id};
use crate::{Authority, Fault, MasterKey, Settings, TenantError, measures};

/// The e-mail address of the first user unless another is given; it names nobody.
pub const EMAIL_DEFAULT: &str = "admin@certgate.invalid";

/// Longest e-mail address, in octets: what fits a mailbox of SMTP (RFC 5321 §4.5.3.1.3).
const EMAIL_BYTES_MAX: usize = 254;

/// What the first user, account and zone are called.
#[derive(Debug, Clone)]
pub struct FirstNames {
    /// The user's e-mail address, [`EMAIL_DEFAULT`] if it has none.
    pub email: String,
    /// The account's name.
    pub account: String,
    /// The zone's domain name.
    pub zone: String,
}

/// What a new installation starts with. The only time the token's value is seen.
#[derive(Debug)]
pub struct Initialised {
    /// The first account.
    pub account_id: AccountId,
    /// The first zone.
    pub zone_id: ZoneId,
    /// The token that may do everything.
    pub token: TokenValue,
}

/// Why an installation cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is none in the store.
    #[error("the store holds no installation")]
    NotInitialised,
    /// The keys in the store are sealed under another master key.
    #[error("the master key does not open what is sealed in the store")]
    WrongMasterKey,
    /// Trouble.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// The first records, made but not stored: whoever stores them can first put the token where it is not lost.
pub struct FirstInstallation {
    records: FirstRecords,
    /// What to tell the operator.
    pub initialised: Initialised,
}

impl FirstInstallation {
    /// Makes an account, a zone in it, and a token that may do everything.
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
            name: checked_account_name(&names.account)?,
            authority_algorithm,
            created_on: now,
        };
        let zone = ZoneRecord {
            id: ZoneId::time_ordered(now, random),
            name: checked_zone_name(&names.zone)?,
            account: account.id,
            account_name: account.name.clone(),
            created_on: now,
            modified_on: now,
        };
        let value = TokenValue::generate(random);
        let token = TokenRecord {
            id: TokenId::time_ordered(now, random),
            user: user.id,
            name: "first token".to_owned(),
            hash: token_hash(value.expose()),
            state: TokenState::Active,
            policies: vec![everything(user.id, new_policy_id(now, random))],
            allowed_addresses: Vec::new(),
            refused_addresses: Vec::new(),
            not_before: None,
            expires_on: None,
            issued_on: now,
            modified_on: now,
            last_used_on: None,
        };
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

    /// Stores the records; `None` if the store has an installation, which stays as it is.
    pub async fn store(self, store: &dyn Store) -> Result<Option<Initialised>, Fault> {
        Ok(store
            .initialise(self.records)
            .await?
            .then_some(self.initialised))
    }
}

/// Whether the store has a token of this value.
pub async fn is_token_of(store: &dyn Store, value: &str) -> Result<bool, Fault> {
    Ok(store.token_by_hash(token_hash(value)).await?.is_some())
}

/// Good enough to be sent in a header and compared; whether mail arrives there is nobody's concern here.
fn checked_email(text: &str) -> Result<String, TenantError> {
    let (mailbox, domain) = text.rsplit_once('@').unwrap_or_default();
    let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
    if visible && !mailbox.is_empty() && !domain.is_empty() && text.len() <= EMAIL_BYTES_MAX {
        return Ok(text.to_owned());
    }
    Err(TenantError::Name(format!(
        "{text:?} is no e-mail address: use one such as admin@example.com, of at most {EMAIL_BYTES_MAX} octets"
    )))
}

impl Authority {
    /// The authority on an initialised store. Refuses a master key that is not the installation's.
    pub async fn open(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        master_key: Arc<MasterKey>,
        settings: Settings,
    ) -> Result<Self, OpenError> {
        let installation = store
            .installation()
            .await
            .map_err(Fault::from)?
            .ok_or(OpenError::NotInitialised)?;
        if !master_key.opens_check(&installation.master_key_check) {
            return Err(OpenError::WrongMasterKey);
        }
        let sealed = master_key.seal_serial_key(&SerialCipher::generate_key(&*random), &*random);
        let sealed = store.record_serial_key(sealed).await.map_err(Fault::from)?;
        let serials = sealed
            .and_then(|sealed| master_key.open_serial_key(&sealed).ok())
            .and_then(|key| SerialCipher::new(&key))
            .ok_or_else(|| {
                Fault::Internal("the key of serial numbers cannot be opened".to_owned())
            })?;
        let signers = ThreadPoolBuilder::new()
            .thread_name(|number| format!("signer-{number}"))
            .build();
        let signers =
            signers.map_err(|error| Fault::Internal(format!("no threads to sign on: {error}")))?;
        measures::begin();
        Ok(Self::assemble(
            signers, store, clock, random, master_key, settings, serials,
        ))
    }
}
