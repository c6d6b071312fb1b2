//! The managed authority of an account: made on first use, its key sealed, its issuer kept ready.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use certgate_model::{AccountId, AccountRecord, AuthorityId, AuthorityRecord, AuthorityRef, SerialNumber};
use certgate_pki::{AuthorityKey, Issuer, self_sign};
use tokio::sync::oneshot;

use crate::access::{AccountScope, ReadAccounts};
use crate::{Authority, Fault};

/// Validity of an authority's own certificate, in days: 30 years, so that a certificate of the longest validity
/// (15 years) can be issued for 15 years.
const AUTHORITY_VALIDITY_DAYS: u32 = 30 * 365;

/// An authority ready to sign.
pub(crate) struct LoadedIssuer {
    pub(crate) authority: AuthorityRef,
    pub(crate) public_url: String,
    pub(crate) issuer: Issuer,
}

/// A managed authority, as it may be shown.
#[derive(Debug, Clone)]
pub struct ManagedAuthority {
    /// Its record; the key in it is sealed.
    pub record: AuthorityRecord,
}

impl ManagedAuthority {
    /// SHA-256 of the authority's certificate, DER.
    pub fn fingerprint_sha256(&self) -> [u8; 32] {
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(digest(&SHA256, &self.record.certificate_der).as_ref());
        fingerprint
    }
}

impl Authority {
    /// The managed authority of the account; made now if this is its first use.
    pub async fn managed_authority(
        &self,
        scope: &AccountScope<ReadAccounts>,
    ) -> Result<ManagedAuthority, Fault> {
        let account = scope.account().id;
        self.issuer(account).await?;
        let record = self.store.managed_authority(account).await?;
        let record =
            record.ok_or_else(|| Fault::Internal(format!("account {account} lost its authority")))?;
        Ok(ManagedAuthority { record })
    }

    /// The account's authority, ready to sign; made now if this is its first use.
    pub(crate) async fn issuer(&self, account: AccountId) -> Result<Arc<LoadedIssuer>, Fault> {
        let load = async {
            let record = match self.store.managed_authority(account).await? {
                Some(record) => record,
                None => self.make_authority(account).await?,
            };
            self.load_issuer(record).map(Some)
        };
        // An authority's record never changes, so the cache needs no clearing.
        let loaded = self.issuers.get_or_load::<Fault>(account, load).await?;
        loaded.ok_or_else(|| Fault::Internal(format!("account {account} has no authority")))
    }

    async fn make_authority(&self, account: AccountId) -> Result<AuthorityRecord, Fault> {
        let _one_at_a_time = self.making_authority.lock().await;
        if let Some(made_meanwhile) = self.store.managed_authority(account).await? {
            return Ok(made_meanwhile);
        }
        let gone = || Fault::Internal(format!("account {account} does not exist"));
        let AccountRecord { name, authority_algorithm: algorithm, .. } =
            self.store.account(account).await?.ok_or_else(gone)?;
        let now = self.clock.now();
        let id = AuthorityId::time_ordered(now, &*self.random);
        let mut octets = [0; 20];
        self.random.fill(&mut octets);
        let serial = SerialNumber::from_random(octets);
        let created_on = now.cut_to_minute();
        let expires_on = created_on.plus_days(AUTHORITY_VALIDITY_DAYS);

        // An RSA key of 4096 bits takes seconds to make.
        let made = self
            .on_signer(move || {
                let key = AuthorityKey::generate(algorithm).map_err(internal)?;
                let certificate_der =
                    self_sign(&key, id, serial, created_on, expires_on).map_err(internal)?;
                Ok::<_, Fault>((key.to_pkcs8().map_err(internal)?, certificate_der))
            })
            .await?;
        let (private_key, certificate_der) = made?;
        let record = AuthorityRecord {
            id,
            account,
            name: format!("certgate managed authority of {name}"),
            algorithm,
            certificate_der,
            sealed_key: self.master_key.seal_key(id, &private_key, &*self.random),
            public_url: self.settings.public_url.clone(),
            created_on,
            expires_on,
        };
        tracing::info!(authority = %id, %account, %algorithm, "managed authority made");
        self.store.record_managed_authority(record).await?.ok_or_else(gone)
    }

    fn load_issuer(&self, record: AuthorityRecord) -> Result<LoadedIssuer, Fault> {
        let private_key = self.master_key.open_key(record.id, &record.sealed_key).map_err(internal)?;
        let key = AuthorityKey::from_pkcs8(record.algorithm, &private_key).map_err(internal)?;
        let issuer = Issuer::new(&record.certificate_der, key).map_err(internal)?;
        Ok(LoadedIssuer {
            authority: AuthorityRef { id: record.id, name: record.name },
            public_url: record.public_url,
            issuer,
        })
    }

    /// Runs `work` off the I/O threads, on no more threads than there are processors. How many wait for one is bounded by
    /// the connections that a listener holds open.
    pub(crate) async fn on_signer<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Fault> {
        let (sender, receiver) = oneshot::channel();
        self.signers.spawn(move || {
            // A panic in here would end the process: it becomes the caller's fault instead.
            let result = catch_unwind(AssertUnwindSafe(work));
            // Whoever asked may have gone away.
            let _ = sender.send(result);
        });
        let result = receiver.await.map_err(internal)?;
        result.map_err(|_| Fault::Internal("the work on a certificate panicked".to_owned()))
    }
}

pub(crate) fn internal(error: impl std::fmt::Display) -> Fault {
    Fault::Internal(error.to_string())
}
