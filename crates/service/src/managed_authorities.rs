//! The managed and imported CAs of an account, and their replacement.
//!
//! The active CA signs new certificates. The certificates of a superseded CA stay valid, listed and
//! revocable, and the addresses in them keep working. [`crate::staged_authorities`] prepares,
//! activates and retires CAs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use certgate_model::{
    AccountAuthority, AccountId, AuthorityId, AuthorityRecord, AuthorityRef, AuthorityState, By,
    KeyAlgorithm, Timestamp, lock,
};
use certgate_pki::{Issuer, read_authority, sha256};
use certgate_store::AuthorityReplaced;
use zeroize::Zeroizing;

use crate::access::{AccountScope, ManageAccounts, ReadAccounts};
use crate::environment::Environment;
use crate::error::{AuthorityError, Fault};
use crate::issuers::{Issuers, ReadyIssuer};
use crate::master_key::MasterKey;
use crate::names::checked_name;
use crate::shares::{Share, ShareLimits, ShareReached, Shares};

/// Maximum number of managed CAs of an account. The server signs the revocation lists of each of
/// them forever, and one answer lists all of them. A CA that never signed makes room for a new one.
pub const MANAGED_AUTHORITIES_MAX: u64 = 100;

/// Maximum number of new CAs of an account in an hour. A new CA costs a key, which takes seconds
/// for RSA-4096, and 130 revocation lists.
pub const ROTATIONS_PER_HOUR_MAX: usize = 20;

const HOUR_SECONDS: i64 = 3_600;

/// Maximum number of attempts to replace a CA while other processes replace it too.
const REPLACEMENTS_MAX: usize = 3;

/// Maximum number of rotations and imports of an account at the same time. A key of RSA-4096 takes
/// seconds, and one thread makes all such keys.
pub const ROTATIONS_PER_ACCOUNT_MAX: usize = 4;

/// Maximum number of rotations and imports of all accounts at the same time: the last one in the
/// queue still ends within the limit of a request.
const ROTATIONS_MAX: usize = 16;

/// A CA to import, as sent. It has no `Debug` because it holds a private key.
pub struct AuthorityImport {
    /// Its certificate, PEM.
    pub certificate: String,
    /// Its private key, PEM. [`None`]: that of a request of the account.
    pub private_key: Option<Zeroizing<String>>,
    /// Its display name. [`None`]: the common name of its certificate.
    pub name: Option<String>,
    /// The state that it gets. A CA whose key is that of a request is always prepared.
    pub aim: ImportAim,
}

/// The state that an imported CA gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportAim {
    /// It signs new certificates at once.
    Activate,
    /// It signs after a later activation.
    Prepare,
}

/// A managed or imported CA.
#[derive(Debug, Clone)]
pub struct ManagedAuthority {
    /// Its record, with the sealed key.
    pub record: AuthorityRecord,
    /// Its state.
    pub state: AuthorityState,
    /// The epoch of the change that published it.
    pub published_epoch: u64,
}

impl From<AccountAuthority> for ManagedAuthority {
    fn from(authority: AccountAuthority) -> Self {
        Self {
            record: authority.record,
            state: authority.state,
            published_epoch: authority.published_epoch,
        }
    }
}

impl ManagedAuthority {
    /// Returns the SHA-256 of the CA's certificate (DER).
    pub fn fingerprint_sha256(&self) -> [u8; 32] {
        sha256(&self.record.certificate_der)
    }
}

/// The CAs that sign for accounts.
pub struct ManagedAuthorities {
    pub(crate) environment: Environment,
    pub(crate) issuers: Arc<Issuers>,
    pub(crate) master_key: Arc<MasterKey>,
    rotations: Arc<Shares<AccountId>>,
    /// The times of rotations that were begun in the last hour: one that fails, or whose client
    /// disconnects, costs a key too.
    begun: Mutex<HashMap<AccountId, Vec<Timestamp>>>,
}

impl ManagedAuthorities {
    pub(crate) fn new(
        environment: Environment,
        issuers: Arc<Issuers>,
        master_key: Arc<MasterKey>,
    ) -> Self {
        Self {
            environment,
            issuers,
            master_key,
            rotations: Shares::new(ShareLimits {
                each: ROTATIONS_PER_ACCOUNT_MAX,
                total: ROTATIONS_MAX,
            }),
            begun: Mutex::default(),
        }
    }

    /// Returns the account's active CA, created now on first use unless another one is prepared.
    /// `None`: the account was deleted.
    pub async fn active(
        &self,
        scope: &AccountScope<ReadAccounts>,
    ) -> Result<Option<ManagedAuthority>, AuthorityError> {
        let account = scope.account().id;
        if self.issuers.active(account).await?.is_none() {
            return Ok(None);
        }
        let known = self.environment.store.managed_authorities(account).await?;
        let active = known
            .into_iter()
            .find(|known| known.state == AuthorityState::Active);
        Ok(active.map(ManagedAuthority::from))
    }

    /// Returns every CA that the account has or had: the active one first, then the latest. Creates
    /// none.
    pub async fn all(
        &self,
        scope: &AccountScope<ReadAccounts>,
    ) -> Result<Vec<ManagedAuthority>, Fault> {
        let account = scope.account().id;
        let known = self.environment.store.managed_authorities(account).await?;
        Ok(known.into_iter().map(ManagedAuthority::from).collect())
    }

    /// Creates a CA and activates it. Without `algorithm` its key has the account's algorithm.
    pub async fn rotate(
        &self,
        scope: &AccountScope<ManageAccounts>,
        algorithm: Option<KeyAlgorithm>,
    ) -> Result<ManagedAuthority, AuthorityError> {
        let _pending = self.begin_rotation(scope.account().id)?;
        let (record, issuer) = self.create(scope, algorithm).await?;
        let by = scope.by(self.environment.now());
        self.replace_active(record, issuer, by).await
    }

    /// Creates a CA that is not stored yet, unless too many were created.
    pub(crate) async fn create(
        &self,
        scope: &AccountScope<ManageAccounts>,
        algorithm: Option<KeyAlgorithm>,
    ) -> Result<(AuthorityRecord, Issuer), AuthorityError> {
        let account = scope.account();
        self.check_rate(account.id, self.environment.now()).await?;
        self.note_rotation(account.id)?;
        let algorithm = algorithm.unwrap_or(account.authority_algorithm);
        Ok(self.issuers.create(account, algorithm).await?)
    }

    /// Imports a CA, with its key or for the key of a request, and prepares or activates it.
    pub async fn import(
        &self,
        scope: &AccountScope<ManageAccounts>,
        import: AuthorityImport,
    ) -> Result<ManagedAuthority, AuthorityError> {
        let account = scope.account();
        let _pending = self.begin_rotation(account.id)?;
        let now = self.environment.now();
        self.check_rate(account.id, now).await?;
        let named = import.name.as_deref().map(name_of).transpose()?;
        let (requested, private_key) = match import.private_key {
            Some(key) => (None, key),
            None => {
                let (request, key) = self.requested_key(account.id, &import.certificate).await?;
                (Some(request), key)
            }
        };
        // The search for a weakness of an RSA key costs more than many signatures.
        let read = move || read_authority(&import.certificate, &private_key, now);
        let searches = &self.environment.key_searches;
        let (imported, private_key) = searches.run(account.id, read).await??;
        let id = match &requested {
            Some(request) => request.id,
            None => AuthorityId::time_ordered(now, &*self.environment.random),
        };
        let requested_name = requested.as_ref().map(|request| request.name.clone());
        let name = named
            .or(requested_name.filter(|name| !name.is_empty()))
            .or_else(|| checked_name(&imported.common_name).ok());
        let record = AuthorityRecord {
            id,
            account: account.id,
            name: name.unwrap_or_else(|| format!("imported authority of {}", account.name)),
            algorithm: imported.algorithm,
            certificate_der: imported.certificate_der,
            sealed_key: self.issuers.seal(id, &private_key),
            public_url: self.issuers.public_url().to_owned(),
            created_on: imported.not_before,
            expires_on: imported.not_after,
        };
        let by = scope.by(now);
        match (import.aim, &requested) {
            (ImportAim::Activate, None) => self.replace_active(record, imported.issuer, by).await,
            _ => self.store_prepared(record, requested.is_some(), by).await,
        }
    }

    /// Counts a change of the account's CAs as pending until the share is dropped.
    pub(crate) fn begin_rotation(
        &self,
        account: AccountId,
    ) -> Result<Share<AccountId>, AuthorityError> {
        self.rotations
            .begin(account)
            .map_err(|reached| AuthorityError::Busy {
                pending: match reached {
                    ShareReached::Each(max) => format!("{max} rotations of the account"),
                    ShareReached::Total(max) => format!("{max} rotations of all accounts"),
                },
            })
    }

    /// Checks the number of CAs that the account got in the last hour: before a key is created or
    /// read, and before the activation, which decides. The time of a CA is in its ID.
    pub(crate) async fn check_rate(
        &self,
        account: AccountId,
        now: Timestamp,
    ) -> Result<(), AuthorityError> {
        let (store, max) = (&self.environment.store, ROTATIONS_PER_HOUR_MAX as u32);
        let latest = store.latest_managed_authorities(account, max).await?;
        check_times(latest.iter().map(AuthorityId::time).collect(), now)
    }

    /// Notes a rotation that begins, unless too many have begun in the last hour.
    pub(crate) fn note_rotation(&self, account: AccountId) -> Result<(), AuthorityError> {
        let now = self.environment.now();
        let mut begun = lock(&self.begun);
        begun.retain(|_, times| {
            times.retain(|time| is_in_last_hour(*time, now));
            !times.is_empty()
        });
        let times = begun.entry(account).or_default();
        check_times(times.clone(), now)?;
        times.push(now);
        Ok(())
    }

    /// Stores a CA as the active one of its account.
    async fn replace_active(
        &self,
        record: AuthorityRecord,
        issuer: Issuer,
        by: By,
    ) -> Result<ManagedAuthority, AuthorityError> {
        let account = record.account;
        // Another request must not cache the previous CA as the active one after this.
        let turn = self.issuers.loading_of(account);
        let _one_at_a_time = turn.hold().await;
        for _ in 0..REPLACEMENTS_MAX {
            let (outcome, replaced) = self.replace(&record, by).await?;
            match outcome {
                AuthorityReplaced::NotExpected => continue,
                AuthorityReplaced::NoAccount => return Err(AuthorityError::NoAccount),
                AuthorityReplaced::TooMany => {
                    return Err(AuthorityError::TooMany {
                        max: MANAGED_AUTHORITIES_MAX,
                    });
                }
                AuthorityReplaced::Replaced { discarded } => {
                    if let Some(discarded) = discarded {
                        self.issuers.forget(discarded);
                    }
                }
            }
            tracing::info!(
                authority = %record.id, %account, algorithm = %record.algorithm,
                public_url = record.public_url,
                replaced = replaced.map(tracing::field::display),
                "CA activated; its certificates name this address permanently"
            );
            let ready = ReadyIssuer {
                authority: AuthorityRef {
                    id: record.id,
                    name: record.name.clone(),
                },
                public_url: record.public_url.clone(),
                issuer,
            };
            self.issuers.set_active(account, ready);
            return self.find(account, record.id).await;
        }
        Err(Fault::Unavailable(
            "other processes keep replacing the account's CA: try again".to_owned(),
        )
        .into())
    }

    /// Returns a CA of the account as it is now.
    pub(crate) async fn find(
        &self,
        account: AccountId,
        id: AuthorityId,
    ) -> Result<ManagedAuthority, AuthorityError> {
        let known = self.environment.store.managed_authorities(account).await?;
        let found = known.into_iter().find(|known| known.record.id == id);
        let found = found.map(ManagedAuthority::from);
        found.ok_or(AuthorityError::NotFound { what: "managed CA" })
    }

    /// Stores a CA in the place of the active one, if that one is still the same. Returns the
    /// outcome and the ID of the superseded CA.
    async fn replace(
        &self,
        record: &AuthorityRecord,
        by: By,
    ) -> Result<(AuthorityReplaced, Option<AuthorityId>), AuthorityError> {
        let store = &self.environment.store;
        let known = store.managed_authorities(record.account).await?;
        self.check_rate(record.account, by.at).await?;
        let is_same =
            |known: &&AccountAuthority| known.record.certificate_der == record.certificate_der;
        if let Some(same) = known.iter().find(is_same) {
            return Err(AuthorityError::Known { id: same.record.id });
        }
        let mut active = known
            .iter()
            .filter(|known| known.state == AuthorityState::Active);
        let replaced = active.next().map(|active| active.record.id);
        let _added = self.issuers.announce_on_drop(record.account);
        let outcome = store
            .replace_managed_authority(replaced, record.clone(), MANAGED_AUTHORITIES_MAX, by)
            .await?;
        Ok((outcome, replaced))
    }
}

/// Returns a display name that a client chose.
pub(crate) fn name_of(text: &str) -> Result<String, AuthorityError> {
    checked_name(text).map_err(AuthorityError::Name)
}

fn is_in_last_hour(time: Timestamp, now: Timestamp) -> bool {
    (now.plus_seconds(-HOUR_SECONDS)..=now).contains(&time)
}

/// Checks the number of times in the last hour. One in the future, of a wrong clock, does not
/// count.
fn check_times(mut times: Vec<Timestamp>, now: Timestamp) -> Result<(), AuthorityError> {
    times.retain(|time| is_in_last_hour(*time, now));
    times.sort_unstable_by(|one, other| other.cmp(one));
    // One leaves the hour first, after which there is room again.
    let Some(first) = times.get(ROTATIONS_PER_HOUR_MAX - 1) else {
        return Ok(());
    };
    let left = now.until(first.plus_seconds(HOUR_SECONDS + 1)).seconds();
    Err(AuthorityError::TooOften {
        max: ROTATIONS_PER_HOUR_MAX,
        retry_after_seconds: u32::try_from(left).unwrap_or(1).max(1),
    })
}
