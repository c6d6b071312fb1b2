//! The managed authorities of an account: the first made on first use, their keys sealed, the issuer of the one in force
//! kept ready.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};

use certgate_model::{
    AccountId, AccountRecord, AuthorityId, AuthorityRecord, AuthorityRef, By, KeyAlgorithm,
    SerialNumber,
};
use certgate_pki::{Issuer, SigningKey, self_sign, sha256};
use tokio::sync::oneshot;

use crate::access::{AccountScope, ReadAccounts};
use crate::{Authority, Fault, MasterKey};

/// Validity of an authority's own certificate, in days: 30 years, so that a certificate of the longest validity
/// (15 years) can be issued for 15 years.
pub const AUTHORITY_VALIDITY_DAYS: u32 = 30 * 365;

/// An authority ready to sign.
pub(crate) struct LoadedIssuer {
    pub(crate) authority: AuthorityRef,
    pub(crate) public_url: String,
    pub(crate) issuer: Issuer,
}

impl LoadedIssuer {
    /// Address of one of its CRL shards: the distribution point of a certificate and of the list, byte for byte.
    pub(crate) fn crl_url(&self, shard: u8) -> String {
        format!("{}/crl/{}/{shard}.crl", self.public_url, self.authority.id)
    }

    /// Address of its OCSP responder.
    pub(crate) fn ocsp_url(&self) -> String {
        format!("{}/ocsp", self.public_url)
    }
}

/// A managed authority, as it may be shown.
#[derive(Debug, Clone)]
pub struct ManagedAuthority {
    /// Its record; the key in it is sealed.
    pub record: AuthorityRecord,
    /// Whether new certificates come from it.
    pub in_force: bool,
}

impl ManagedAuthority {
    /// SHA-256 of the authority's certificate, DER.
    pub fn fingerprint_sha256(&self) -> [u8; 32] {
        sha256(&self.record.certificate_der)
    }
}

impl Authority {
    /// The managed authority of the account; made now if this is its first use. `None`: the account is gone.
    pub async fn managed_authority(
        &self,
        scope: &AccountScope<ReadAccounts>,
    ) -> Result<Option<ManagedAuthority>, Fault> {
        let account = scope.account().id;
        if self.issuer(account).await?.is_none() {
            return Ok(None);
        }
        let record = self.store.managed_authority(account).await?;
        Ok(record.map(|record| ManagedAuthority {
            record,
            in_force: true,
        }))
    }

    /// Every managed authority that the account has or had: the one in force first, then the latest of the others. Makes
    /// none.
    pub async fn managed_authorities(
        &self,
        scope: &AccountScope<ReadAccounts>,
    ) -> Result<Vec<ManagedAuthority>, Fault> {
        let records = self.store.managed_authorities(scope.account().id).await?;
        let shown = |(index, record)| ManagedAuthority {
            record,
            in_force: index == 0,
        };
        Ok(records.into_iter().enumerate().map(shown).collect())
    }

    /// The issuer of the account if it is loaded already.
    pub(crate) fn loaded_issuer(&self, account: AccountId) -> Option<Arc<LoadedIssuer>> {
        self.issuers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&account)
            .cloned()
    }

    pub(crate) fn forget_issuer(&self, account: AccountId) {
        self.issuers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&account);
    }

    pub(crate) fn keep_issuer(&self, account: AccountId, loaded: Arc<LoadedIssuer>) {
        self.issuers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(account, loaded);
    }

    /// The account's authority, when `stale` was found not to be in force any more: another process, or a request that
    /// went away before it was answered, has replaced it.
    pub(crate) async fn issuer_after(
        &self,
        account: AccountId,
        stale: AuthorityId,
    ) -> Result<Option<Arc<LoadedIssuer>>, Fault> {
        {
            let mut issuers = self.issuers.lock().unwrap_or_else(PoisonError::into_inner);
            if issuers
                .get(&account)
                .is_some_and(|loaded| loaded.authority.id == stale)
            {
                issuers.remove(&account);
            }
        }
        self.issuer(account).await
    }

    /// The account's authority, ready to sign; made now if this is its first use. `None`: the account is gone.
    pub(crate) async fn issuer(
        &self,
        account: AccountId,
    ) -> Result<Option<Arc<LoadedIssuer>>, Fault> {
        if let Some(loaded) = self.loaded_issuer(account) {
            return Ok(Some(loaded));
        }
        // Two first requests must not make two keys, nor many requests open the same key many times.
        self.loading_issuer.take(self.load_in_force(account)).await
    }

    async fn load_in_force(&self, account: AccountId) -> Result<Option<Arc<LoadedIssuer>>, Fault> {
        if let Some(loaded_meanwhile) = self.loaded_issuer(account) {
            return Ok(Some(loaded_meanwhile));
        }
        let record = match self.store.managed_authority(account).await? {
            Some(record) => record,
            None => match self.make_authority(account).await? {
                Some(made) => made,
                None => return Ok(None),
            },
        };
        let master_key = self.master_key.clone();
        let loaded = Arc::new(
            self.on_signer(move || load_issuer(&master_key, record))
                .await??,
        );
        // Kept until it is replaced: a record of an authority never changes.
        self.keep_issuer(account, loaded.clone());
        Ok(Some(loaded))
    }

    /// An authority that exists, in force or not, ready to sign.
    pub(crate) async fn issuer_by_id(&self, id: AuthorityId) -> Result<Arc<LoadedIssuer>, Fault> {
        if let Some(loaded) = self.loaded_by_id(id) {
            return Ok(loaded);
        }
        self.loading_issuer.take(self.load_by_id(id)).await
    }

    async fn load_by_id(&self, id: AuthorityId) -> Result<Arc<LoadedIssuer>, Fault> {
        if let Some(loaded_meanwhile) = self.loaded_by_id(id) {
            return Ok(loaded_meanwhile);
        }
        let record = self.store.authority(id).await?;
        let record =
            record.ok_or_else(|| Fault::Internal(format!("authority {id} is not stored")))?;
        let master_key = self.master_key.clone();
        let loaded = Arc::new(
            self.on_signer(move || load_issuer(&master_key, record))
                .await??,
        );
        self.issuers_by_id
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, loaded.clone());
        Ok(loaded)
    }

    fn loaded_by_id(&self, id: AuthorityId) -> Option<Arc<LoadedIssuer>> {
        self.issuers_by_id
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&id)
            .cloned()
    }

    async fn make_authority(&self, account: AccountId) -> Result<Option<AuthorityRecord>, Fault> {
        let Some(account) = self.store.account(account).await? else {
            return Ok(None);
        };
        let (made, _) = self
            .new_authority(&account, account.authority_algorithm)
            .await?;
        let (id, algorithm) = (made.id, made.algorithm);
        let added = AuthorityAdded(self);
        let recorded = self
            .store
            .record_managed_authority(made, By::system(self.clock.now()))
            .await?;
        drop(added);
        let public_url = &self.settings.public_url;
        tracing::info!(
            authority = %id, account = %account.id, %algorithm, public_url,
            "managed authority made; its certificates name this address for good"
        );
        Ok(recorded)
    }

    /// Makes a key and a certificate for an authority of the account; stores nothing.
    pub(crate) async fn new_authority(
        &self,
        account: &AccountRecord,
        algorithm: KeyAlgorithm,
    ) -> Result<(AuthorityRecord, Issuer), Fault> {
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
                let key = SigningKey::generate(algorithm).map_err(internal)?;
                let certificate_der =
                    self_sign(&key, id, serial, created_on, expires_on).map_err(internal)?;
                let private_key = key.to_pkcs8().map_err(internal)?;
                let issuer = Issuer::new(&certificate_der, key).map_err(internal)?;
                Ok::<_, Fault>((private_key, certificate_der, issuer))
            })
            .await?;
        let (private_key, certificate_der, issuer) = made?;
        let record = AuthorityRecord {
            id,
            account: account.id,
            name: format!("certgate managed authority of {}", account.name),
            algorithm,
            certificate_der,
            sealed_key: self.master_key.seal_key(id, &private_key, &*self.random),
            public_url: self.settings.public_url.clone(),
            created_on,
            expires_on,
        };
        Ok((record, issuer))
    }

    /// Runs `work` off the I/O threads, on no more threads than there are processors. Work that nobody waits for any more is
    /// left out, so what waits is bounded by the connections that a listener holds open.
    pub(crate) async fn on_signer<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Fault> {
        self.begun_on_signer(move |answer| {
            // Whoever asked may have gone away meanwhile.
            let _ = answer.send(work());
        })
        .await
    }

    /// Like [`Authority::on_signer`], for work that goes on elsewhere: it takes along where the answer is to be sent.
    pub(crate) async fn begun_on_signer<T: Send + 'static>(
        &self,
        work: impl FnOnce(oneshot::Sender<T>) + Send + 'static,
    ) -> Result<T, Fault> {
        let (answer, answered) = oneshot::channel();
        self.signers.spawn(move || {
            // Whoever asked went away, and with it the place on a connection that bounds how many wait.
            if answer.is_closed() {
                return;
            }
            // A panic in here would end the process: it leaves the caller without an answer instead.
            let _ = catch_unwind(AssertUnwindSafe(|| work(answer)));
        });
        answered.await.map_err(|_| {
            Fault::Internal(
                "the work on a certificate panicked, or the store ended first".to_owned(),
            )
        })
    }
}

/// To be dropped when there is, or may be, one more authority: its lists are to be published, and OCSP requests may name it.
/// Also if whoever asked for it goes away before the store has answered.
pub(crate) struct AuthorityAdded<'a>(pub(crate) &'a Authority);

impl Drop for AuthorityAdded<'_> {
    fn drop(&mut self) {
        self.0.ocsp.look_again();
        self.0.pending.notify_one();
    }
}

fn load_issuer(master_key: &MasterKey, record: AuthorityRecord) -> Result<LoadedIssuer, Fault> {
    let private_key = master_key
        .open_key(record.id, &record.sealed_key)
        .map_err(internal)?;
    let key = SigningKey::from_pkcs8(record.algorithm, &private_key).map_err(internal)?;
    let issuer = Issuer::new(&record.certificate_der, key).map_err(internal)?;
    let authority = AuthorityRef {
        id: record.id,
        name: record.name,
    };
    Ok(LoadedIssuer {
        authority,
        public_url: record.public_url,
        issuer,
    })
}

pub(crate) fn internal(error: impl std::fmt::Display) -> Fault {
    Fault::Internal(error.to_string())
}
