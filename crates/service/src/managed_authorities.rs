//! The managed and imported CAs of an account, and their replacement.
//!
//! The active CA signs new certificates. The certificates of a superseded CA stay valid, listed and
//! revocable, and the addresses in them keep working.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use certgate_model::{
    AccountId, AuthorityId, AuthorityRecord, AuthorityRef, By, KeyAlgorithm, Timestamp, lock,
};
use certgate_pki::{Issuer, read_authority, sha256};
use certgate_store::AuthorityReplaced;
use zeroize::Zeroizing;

use crate::access::{AccountScope, ManageAccounts, ReadAccounts};
use crate::environment::Environment;
use crate::error::{AuthorityError, Fault};
use crate::issuers::{Issuers, ReadyIssuer};
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

/// Maximum number of rotations and imports of all accounts at the same time: the last one in the queue still ends within the limit of a request.
const ROTATIONS_MAX: usize = 16;

/// A CA to import, as sent. It has no `Debug` because it holds a private key.
pub struct AuthorityImport {
    /// Its certificate, PEM.
    pub certificate: String,
    /// Its private key, PEM.
    pub private_key: Zeroizing<String>,
}

/// A managed or imported CA.
#[derive(Debug, Clone)]
pub struct ManagedAuthority {
    /// Its record, with the sealed key.
    pub record: AuthorityRecord,
    /// True for the active CA, which signs new certificates. False for a superseded one.
    pub is_active: bool,
}

impl ManagedAuthority {
    /// Returns the SHA-256 of the CA's certificate (DER).
    pub fn fingerprint_sha256(&self) -> [u8; 32] {
        sha256(&self.record.certificate_der)
    }
}

/// The CAs that sign for accounts.
pub struct ManagedAuthorities {
    environment: Environment,
    issuers: Arc<Issuers>,
    rotations: Arc<Shares<AccountId>>,
    /// The times of rotations that were begun in the last hour: one that fails, or whose client
    /// disconnects, costs a key too.
    begun: Mutex<HashMap<AccountId, Vec<Timestamp>>>,
}

impl ManagedAuthorities {
    pub(crate) fn new(environment: Environment, issuers: Arc<Issuers>) -> Self {
        Self {
            environment,
            issuers,
            rotations: Shares::new(ShareLimits {
                each: ROTATIONS_PER_ACCOUNT_MAX,
                total: ROTATIONS_MAX,
            }),
            begun: Mutex::default(),
        }
    }

    /// Returns the account's active CA, created now on first use. `None`: the account was deleted.
    pub async fn active(
        &self,
        scope: &AccountScope<ReadAccounts>,
    ) -> Result<Option<ManagedAuthority>, Fault> {
        let account = scope.account().id;
        if self.issuers.active(account).await?.is_none() {
            return Ok(None);
        }
        let record = self.environment.store.managed_authority(account).await?;
        Ok(record.map(|record| ManagedAuthority {
            record,
            is_active: true,
        }))
    }

    /// Returns every CA that the account has or had: the active one first, then the latest. Creates
    /// none.
    pub async fn all(
        &self,
        scope: &AccountScope<ReadAccounts>,
    ) -> Result<Vec<ManagedAuthority>, Fault> {
        let account = scope.account().id;
        let records = self.environment.store.managed_authorities(account).await?;
        let shown = |(index, record)| ManagedAuthority {
            record,
            is_active: index == 0,
        };
        Ok(records.into_iter().enumerate().map(shown).collect())
    }

    /// Creates a CA and activates it. Without `algorithm` its key has the account's algorithm.
    pub async fn rotate(
        &self,
        scope: &AccountScope<ManageAccounts>,
        algorithm: Option<KeyAlgorithm>,
    ) -> Result<ManagedAuthority, AuthorityError> {
        let account = scope.account();
        let _pending = self.begin_rotation(account.id)?;
        self.check_rate(account.id, self.environment.now()).await?;
        self.note_rotation(account.id)?;
        let algorithm = algorithm.unwrap_or(account.authority_algorithm);
        let (record, issuer) = self.issuers.create(account, algorithm).await?;
        let by = scope.by(self.environment.now());
        self.activate(record, issuer, by).await
    }

    /// Imports a CA with its key and activates it.
    pub async fn import(
        &self,
        scope: &AccountScope<ManageAccounts>,
        import: AuthorityImport,
    ) -> Result<ManagedAuthority, AuthorityError> {
        let account = scope.account();
        let _pending = self.begin_rotation(account.id)?;
        let now = self.environment.now();
        self.check_rate(account.id, now).await?;
        // The search for a weakness of an RSA key costs more than many signatures.
        let read = move || read_authority(&import.certificate, &import.private_key, now);
        let searches = &self.environment.key_searches;
        let (imported, private_key) = searches.run(account.id, read).await??;
        let id = AuthorityId::time_ordered(now, &*self.environment.random);
        let name = checked_name(&imported.common_name);
        let record = AuthorityRecord {
            id,
            account: account.id,
            name: name.unwrap_or_else(|_| format!("imported authority of {}", account.name)),
            algorithm: imported.algorithm,
            certificate_der: imported.certificate_der,
            sealed_key: self.issuers.seal(id, &private_key),
            public_url: self.issuers.public_url().to_owned(),
            created_on: imported.not_before,
            expires_on: imported.not_after,
        };
        self.activate(record, imported.issuer, scope.by(now)).await
    }

    fn begin_rotation(&self, account: AccountId) -> Result<Share<AccountId>, AuthorityError> {
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
    async fn check_rate(&self, account: AccountId, now: Timestamp) -> Result<(), AuthorityError> {
        let (store, max) = (&self.environment.store, ROTATIONS_PER_HOUR_MAX as u32);
        let latest = store.latest_managed_authorities(account, max).await?;
        check_times(latest.iter().map(AuthorityId::time).collect(), now)
    }

    /// Notes a rotation that begins, unless too many have begun in the last hour.
    fn note_rotation(&self, account: AccountId) -> Result<(), AuthorityError> {
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

    async fn activate(
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
                AuthorityReplaced::Replaced { retired } => {
                    if let Some(retired) = retired {
                        self.issuers.forget(retired);
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
            return Ok(ManagedAuthority {
                record,
                is_active: true,
            });
        }
        Err(Fault::Unavailable(
            "other processes keep replacing the account's CA: try again".to_owned(),
        )
        .into())
    }

    /// Stores a CA in the place of the active one, if that one is still the same. Returns the
    /// outcome and the ID of the superseded CA.
    async fn replace(
        &self,
        record: &AuthorityRecord,
        by: By,
    ) -> Result<(AuthorityReplaced, Option<AuthorityId>), AuthorityError> {
        let store = &self.environment.store;
        // Each new CA becomes active: if the active one is the same, this list is still complete.
        let known = store.managed_authorities(record.account).await?;
        self.check_rate(record.account, by.at).await?;
        if let Some(same) = known
            .iter()
            .find(|known| known.certificate_der == record.certificate_der)
        {
            return Err(AuthorityError::Known { id: same.id });
        }
        let replaced = known.first().map(|first| first.id);
        let _added = self.issuers.announce_on_drop(record.account);
        let outcome = store
            .replace_managed_authority(replaced, record.clone(), MANAGED_AUTHORITIES_MAX, by)
            .await?;
        Ok((outcome, replaced))
    }
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
