//! CAs that are ready to sign. Their private keys are sealed in the store.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use certgate_model::{
    AccountId, AccountRecord, AuthorityId, AuthorityRecord, AuthorityRef, AuthorityState, By,
    KeyAlgorithm, SerialNumber, lock,
};
use certgate_pki::{Issuer, SigningKey, self_sign};

use crate::environment::Environment;
use crate::error::{ActiveAuthorityError, Fault, internal};
use crate::issuer_names::IssuerNames;
use crate::master_key::MasterKey;
use crate::signals::AnnounceOnDrop;
use crate::signers::Signers;
use crate::turn::{Turn, Turns};

/// Validity of a managed CA's certificate, in days: 30 years. For its first 15 years it can issue
/// certificates of the longest validity, 15 years.
pub const AUTHORITY_VALIDITY_DAYS: u32 = 30 * 365;

/// A CA ready to sign.
pub(crate) struct ReadyIssuer {
    pub(crate) authority: AuthorityRef,
    pub(crate) public_url: String,
    pub(crate) issuer: Issuer,
}

impl ReadyIssuer {
    /// Returns the address of a CRL shard. The distribution point in a certificate and the one in
    /// the list are equal byte for byte.
    pub(crate) fn crl_url(&self, shard: u8) -> String {
        format!("{}/crl/{}/{shard}.crl", self.public_url, self.authority.id)
    }

    /// Returns the address of the OCSP responder.
    pub(crate) fn ocsp_url(&self) -> String {
        format!("{}/ocsp", self.public_url)
    }

    /// Returns the address of the CA's certificate.
    pub(crate) fn ca_url(&self) -> String {
        format!("{}/ca/{}.crt", self.public_url, self.authority.id)
    }
}

/// The cache of CAs that are ready to sign. It creates the first CA of an account on first use.
pub(crate) struct Issuers {
    pub(crate) names: IssuerNames,
    environment: Environment,
    master_key: Arc<MasterKey>,
    public_url: String,
    ready: Mutex<Ready>,
    /// Held while a CA is created, loaded or replaced: of the account, or of the CA itself. The key
    /// of another account may take seconds.
    loading: Turns<Loaded>,
}

/// The subject of a loading.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Loaded {
    ActiveOf(AccountId),
    Authority(AuthorityId),
}

#[derive(Default)]
struct Ready {
    by_id: HashMap<AuthorityId, Arc<ReadyIssuer>>,
    /// The active CA of each account at its last use. Another process may have replaced it since:
    /// the store then refuses the certificates that it signs.
    active: HashMap<AccountId, AuthorityId>,
}

impl Issuers {
    pub(crate) fn new(
        environment: Environment,
        master_key: Arc<MasterKey>,
        public_url: String,
    ) -> Self {
        Self {
            names: IssuerNames::new(environment.clone()),
            environment,
            master_key,
            public_url,
            ready: Mutex::default(),
            loading: Turns::new(),
        }
    }

    /// Returns the account's active CA if it is loaded.
    pub(crate) fn loaded_active(&self, account: AccountId) -> Option<Arc<ReadyIssuer>> {
        let ready = lock(&self.ready);
        ready.by_id.get(ready.active.get(&account)?).cloned()
    }

    /// Returns the account's active CA, created now on first use unless another one is prepared.
    /// `None`: the account was deleted.
    pub(crate) async fn active(
        &self,
        account: AccountId,
    ) -> Result<Option<Arc<ReadyIssuer>>, ActiveAuthorityError> {
        if let Some(loaded) = self.loaded_active(account) {
            return Ok(Some(loaded));
        }
        // Two first requests must not create two keys, and many requests must not each open a key.
        let turn = self.loading_of(account);
        let load = async {
            match self.load_active(account).await {
                Ok(loaded) => Ok(Ok(loaded)),
                Err(ActiveAuthorityError::Fault(fault)) => Err(fault),
                Err(not_activated) => Ok(Err(not_activated)),
            }
        };
        turn.take(load).await?
    }

    /// Returns the account's active CA after `stale` was found to be superseded: by another
    /// process, or by a request that disconnected before it was answered.
    pub(crate) async fn active_after(
        &self,
        account: AccountId,
        stale: AuthorityId,
    ) -> Result<Option<Arc<ReadyIssuer>>, ActiveAuthorityError> {
        {
            let mut ready = lock(&self.ready);
            if ready.active.get(&account) == Some(&stale) {
                ready.active.remove(&account);
            }
        }
        self.active(account).await
    }

    /// Returns a CA in any state.
    pub(crate) async fn by_id(&self, id: AuthorityId) -> Result<Arc<ReadyIssuer>, Fault> {
        if let Some(loaded) = self.loaded(id) {
            return Ok(loaded);
        }
        let load = async {
            if let Some(loaded_meanwhile) = self.loaded(id) {
                return Ok(loaded_meanwhile);
            }
            let record = self.environment.store.authority(id).await?;
            let record = record.ok_or_else(|| internal(format!("the CA {id} is not stored")))?;
            self.load(record).await
        };
        self.loading.of(Loaded::Authority(id)).take(load).await
    }

    /// Forgets the active CA of a deleted account. Its lists are still signed.
    pub(crate) fn forget_active(&self, account: AccountId) {
        lock(&self.ready).active.remove(&account);
    }

    /// Makes this the active CA of the account in the cache.
    pub(crate) fn set_active(&self, account: AccountId, issuer: ReadyIssuer) {
        let mut ready = lock(&self.ready);
        ready.active.insert(account, issuer.authority.id);
        ready.by_id.insert(issuer.authority.id, Arc::new(issuer));
    }

    /// Returns the queue of everything that creates, loads or replaces the account's active CA.
    pub(crate) fn loading_of(&self, account: AccountId) -> Arc<Turn> {
        self.loading.of(Loaded::ActiveOf(account))
    }

    /// Creates a key and a certificate for a CA of the account. Stores nothing.
    pub(crate) async fn create(
        &self,
        account: &AccountRecord,
        algorithm: KeyAlgorithm,
    ) -> Result<(AuthorityRecord, Issuer), Fault> {
        let Environment { random, .. } = &self.environment;
        let now = self.environment.now();
        let id = AuthorityId::time_ordered(now, &**random);
        let mut octets = [0; 20];
        random.fill(&mut octets);
        let serial = SerialNumber::from_random(octets);
        let created_on = self.environment.limits().backdated(now);
        // In whole minutes also at the end of the year 9999, the last that a certificate can name.
        let expires_on = created_on
            .plus_days(AUTHORITY_VALIDITY_DAYS)
            .cut_to_minute();

        let created = self.threads_for(algorithm).run(move || {
            let key = SigningKey::generate(algorithm).map_err(internal)?;
            let certificate_der =
                self_sign(&key, id, serial, created_on, expires_on).map_err(internal)?;
            let private_key = key.to_pkcs8().map_err(internal)?;
            let issuer = Issuer::new(&certificate_der, key).map_err(internal)?;
            Ok::<_, Fault>((private_key, certificate_der, issuer))
        });
        let (private_key, certificate_der, issuer) = created.await??;
        let record = AuthorityRecord {
            id,
            account: account.id,
            name: format!("certgate managed authority of {}", account.name),
            algorithm,
            certificate_der,
            sealed_key: self.seal(id, &private_key),
            public_url: self.public_url.clone(),
            created_on,
            expires_on,
        };
        Ok((record, issuer))
    }

    /// Returns the threads that make keys of an algorithm.
    pub(crate) fn threads_for(&self, algorithm: KeyAlgorithm) -> &Signers {
        match algorithm {
            // An RSA key of 4096 bits takes seconds.
            KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096 => {
                &self.environment.slow_keys
            }
            KeyAlgorithm::P256 | KeyAlgorithm::P384 | KeyAlgorithm::Ed25519 => {
                &self.environment.signers
            }
        }
    }

    /// Seals the private key of a CA for the store.
    pub(crate) fn seal(&self, id: AuthorityId, private_key: &[u8]) -> Vec<u8> {
        let random = &*self.environment.random;
        self.master_key.seal_key(id, private_key, random)
    }

    /// Returns the base address of the public responder for new CAs.
    pub(crate) fn public_url(&self) -> &str {
        &self.public_url
    }

    /// Announces a CA of the account that is being stored, when the guard is dropped.
    ///
    /// A client may disconnect before the store has answered. Therefore the announcement does not
    /// depend on the answer: the CA's lists are to be published, OCSP requests may name it, and
    /// enforcement points accept its certificates.
    pub(crate) fn announce_on_drop(&self, account: AccountId) -> AuthorityAdded<'_> {
        let signals = &self.environment.signals;
        AuthorityAdded {
            names: &self.names,
            _announced: AnnounceOnDrop { signals, account },
        }
    }

    async fn load_active(
        &self,
        account: AccountId,
    ) -> Result<Option<Arc<ReadyIssuer>>, ActiveAuthorityError> {
        if let Some(loaded_meanwhile) = self.loaded_active(account) {
            return Ok(Some(loaded_meanwhile));
        }
        let record = match self.environment.store.managed_authority(account).await? {
            Some(record) => record,
            None => match self.create_first(account).await? {
                Some(created) => created,
                None => return Ok(None),
            },
        };
        let loaded = match self.loaded(record.id) {
            Some(loaded) => loaded,
            None => self.load(record).await?,
        };
        let id = loaded.authority.id;
        lock(&self.ready).active.insert(account, id);
        Ok(Some(loaded))
    }

    async fn create_first(
        &self,
        account: AccountId,
    ) -> Result<Option<AuthorityRecord>, ActiveAuthorityError> {
        let store = &self.environment.store;
        let Some(account) = store.account(account).await? else {
            return Ok(None);
        };
        self.refuse_prepared(account.id).await?;
        let (created, _) = self.create(&account, account.authority_algorithm).await?;
        let (id, algorithm) = (created.id, created.algorithm);
        let added = self.announce_on_drop(account.id);
        let by = By::system(self.environment.now());
        let recorded = store.record_managed_authority(created, by).await?;
        drop(added);
        if recorded.is_none() {
            // One was prepared meanwhile, or the account was deleted.
            self.refuse_prepared(account.id).await?;
            return Ok(None);
        }
        tracing::info!(
            authority = %id, account = %account.id, %algorithm, public_url = self.public_url,
            "CA created; its certificates name this address permanently"
        );
        Ok(recorded)
    }

    /// Fails if the account has a prepared CA, which its user wants to activate.
    async fn refuse_prepared(&self, account: AccountId) -> Result<(), ActiveAuthorityError> {
        let known = self.environment.store.managed_authorities(account).await?;
        let mut prepared = known
            .iter()
            .filter(|known| known.state == AuthorityState::Prepared);
        match prepared.next() {
            Some(latest) => Err(ActiveAuthorityError::NotActivated(latest.record.id)),
            None => Ok(()),
        }
    }

    /// Opens the key of a CA and caches it. A record of a CA never changes.
    async fn load(&self, record: AuthorityRecord) -> Result<Arc<ReadyIssuer>, Fault> {
        let master_key = self.master_key.clone();
        let opened = self
            .environment
            .signers
            .run(move || open(&master_key, record));
        let opened = Arc::new(opened.await??);
        let id = opened.authority.id;
        lock(&self.ready).by_id.insert(id, opened.clone());
        Ok(opened)
    }

    /// Makes a loaded CA the active one of the account in the cache.
    pub(crate) fn set_active_id(&self, account: AccountId, id: AuthorityId) {
        lock(&self.ready).active.insert(account, id);
    }

    /// Removes the key of a CA that was discarded.
    pub(crate) fn forget(&self, discarded: AuthorityId) {
        lock(&self.ready).by_id.remove(&discarded);
    }

    fn loaded(&self, id: AuthorityId) -> Option<Arc<ReadyIssuer>> {
        lock(&self.ready).by_id.get(&id).cloned()
    }
}

/// Announces a new CA when it is dropped. See [`Issuers::announce_on_drop`].
pub(crate) struct AuthorityAdded<'a> {
    names: &'a IssuerNames,
    _announced: AnnounceOnDrop<'a>,
}

impl Drop for AuthorityAdded<'_> {
    fn drop(&mut self) {
        self.names.expire();
    }
}

fn open(master_key: &MasterKey, record: AuthorityRecord) -> Result<ReadyIssuer, Fault> {
    let private_key = master_key
        .open_key(record.id, &record.sealed_key)
        .map_err(internal)?;
    let key = SigningKey::from_pkcs8(record.algorithm, &private_key).map_err(internal)?;
    let issuer = Issuer::new(&record.certificate_der, key).map_err(internal)?;
    Ok(ReadyIssuer {
        authority: AuthorityRef {
            id: record.id,
            name: record.name,
        },
        public_url: record.public_url,
        issuer,
    })
}
