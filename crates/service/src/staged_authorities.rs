//! The replacement of a CA in steps that reject no client: prepare, activate, retire. And keys that
//! are created here for a CA whose certificate another CA signs.

use certgate_model::{
    AccountId, AuthorityId, AuthorityRecord, AuthorityRequestRecord, AuthorityState, By,
    KeyAlgorithm,
};
use certgate_pki::{SigningKey, authority_keys, is_self_signed_for, pem_lines, request_authority};
use certgate_store::{
    AuthorityActivated, AuthorityPrepared, AuthorityRequested, AuthorityRetired, Confirmation,
};
use zeroize::Zeroizing;

use crate::access::{AccountScope, ManageAccounts, ReadAccounts};
use crate::error::{AuthorityError, Fault, internal};
use crate::managed_authorities::{
    MANAGED_AUTHORITIES_MAX, ManagedAuthorities, ManagedAuthority, name_of,
};

/// Maximum number of keys of an account that wait for their certificates. One offline ceremony
/// signs a few.
pub const AUTHORITY_REQUESTS_MAX: u64 = 20;

/// Longest common name in a request for a CA, in characters. RFC 5280 appendix A has the bound.
const COMMON_NAME_CHARACTERS_MAX: usize = 64;

/// A wish for a key whose certificate another CA signs.
#[derive(Debug, Clone, Default)]
pub struct AuthorityRequestDraft {
    /// The algorithm of the key; the account's by default.
    pub algorithm: Option<KeyAlgorithm>,
    /// The display name of the CA, and the common name in the request.
    pub name: Option<String>,
}

impl ManagedAuthorities {
    /// Creates a CA that is published and does not sign yet.
    pub async fn prepare(
        &self,
        scope: &AccountScope<ManageAccounts>,
        algorithm: Option<KeyAlgorithm>,
        name: Option<&str>,
    ) -> Result<ManagedAuthority, AuthorityError> {
        let name = name.map(name_of).transpose()?;
        let _pending = self.begin_rotation(scope.account().id)?;
        let (mut record, _) = self.create(scope, algorithm).await?;
        if let Some(name) = name {
            record.name = name;
        }
        let by = scope.by(self.environment.now());
        self.store_prepared(record, false, by).await
    }

    /// Stores a prepared CA. `is_requested`: its key was that of a request, which ends.
    pub(crate) async fn store_prepared(
        &self,
        record: AuthorityRecord,
        is_requested: bool,
        by: By,
    ) -> Result<ManagedAuthority, AuthorityError> {
        let _added = self.issuers.announce_on_drop(record.account);
        let max = MANAGED_AUTHORITIES_MAX;
        let prepared =
            self.environment
                .store
                .prepare_managed_authority(record.clone(), is_requested, max, by);
        match prepared.await? {
            AuthorityPrepared::Prepared { discarded } => {
                if let Some(discarded) = discarded {
                    self.issuers.forget(discarded);
                }
            }
            AuthorityPrepared::NoAccount => return Err(AuthorityError::NoAccount),
            AuthorityPrepared::Known(id) => return Err(AuthorityError::Known { id }),
            AuthorityPrepared::NoRequest => return Err(AuthorityError::NoKey),
            AuthorityPrepared::TooMany => return Err(AuthorityError::TooMany { max }),
        }
        tracing::info!(
            authority = %record.id, account = %record.account, algorithm = %record.algorithm,
            public_url = record.public_url,
            "CA prepared; its certificates name this address permanently"
        );
        self.find(record.account, record.id).await
    }

    /// Makes a CA of the account the active one. Without confirmation each enforcement point must
    /// have acknowledged it.
    pub async fn activate(
        &self,
        scope: &AccountScope<ManageAccounts>,
        id: AuthorityId,
        confirmation: Confirmation,
    ) -> Result<ManagedAuthority, AuthorityError> {
        let account = scope.account().id;
        let record = self.find(account, id).await?.record;
        let now = self.environment.now();
        if !(record.created_on..=record.expires_on).contains(&now) {
            return Err(AuthorityError::NotValid {
                valid_from: record.created_on,
                expires_on: record.expires_on,
            });
        }
        // A key that cannot be opened cannot sign.
        self.issuers.by_id(id).await?;
        // Another request must not cache the previous CA as the active one after this.
        let turn = self.issuers.loading_of(account);
        let _one_at_a_time = turn.hold().await;
        let _changed = self.issuers.announce_on_drop(account);
        let by = scope.by(now);
        let activated =
            self.environment
                .store
                .activate_managed_authority(account, id, confirmation, by);
        match activated.await? {
            AuthorityActivated::NotFound => return Err(no_such_ca()),
            AuthorityActivated::Late(points) => {
                return Err(AuthorityError::Late {
                    points: points.into_iter().map(|point| point.name).collect(),
                });
            }
            AuthorityActivated::Unchanged => {}
            AuthorityActivated::Activated { replaced } => tracing::info!(
                authority = %id, %account, replaced = replaced.map(tracing::field::display),
                "CA activated"
            ),
        }
        self.issuers.set_active_id(account, id);
        self.find(account, id).await
    }

    /// Retires a CA: enforcement points do not accept its certificates any more. Without
    /// confirmation, no certificate of it may be valid.
    pub async fn retire(
        &self,
        scope: &AccountScope<ManageAccounts>,
        id: AuthorityId,
        confirmation: Confirmation,
    ) -> Result<ManagedAuthority, AuthorityError> {
        let account = scope.account().id;
        let known = self.find(account, id).await?;
        let by = scope.by(self.environment.now());
        let expires_on = known.record.expires_on;
        // Elsewhere, the CA may have signed certificates that are not recorded here.
        let is_imported = !is_self_signed_for(&known.record.certificate_der, id);
        let is_accepted = match known.state {
            AuthorityState::Prepared | AuthorityState::Superseded => by.at < expires_on,
            AuthorityState::Active | AuthorityState::Retired => false,
        };
        if confirmation == Confirmation::Missing && is_imported && is_accepted {
            return Err(AuthorityError::MayHaveValid { expires_on });
        }
        let _changed = self.issuers.announce_on_drop(account);
        let store = &self.environment.store;
        let retired = store.retire_managed_authority(account, id, confirmation, by);
        match retired.await? {
            AuthorityRetired::NotFound => return Err(no_such_ca()),
            AuthorityRetired::Active => return Err(AuthorityError::Active),
            AuthorityRetired::HasSigned => return Err(AuthorityError::MayHaveValid { expires_on }),
            AuthorityRetired::Unchanged => {}
            AuthorityRetired::Retired => tracing::info!(authority = %id, %account, "CA retired"),
        }
        self.find(account, id).await
    }

    /// Creates a key here, and a request for a certificate of it. Another CA signs the certificate,
    /// and an import of it prepares the CA.
    pub async fn request(
        &self,
        scope: &AccountScope<ManageAccounts>,
        draft: AuthorityRequestDraft,
    ) -> Result<AuthorityRequestRecord, AuthorityError> {
        let name = draft.name.as_deref().map(name_of).transpose()?;
        let name = name.unwrap_or_default();
        let characters = name.chars().count();
        if characters > COMMON_NAME_CHARACTERS_MAX {
            return Err(AuthorityError::Name(format!(
                "the name has {characters} characters, and the common name of a certificate has \
                 room for {COMMON_NAME_CHARACTERS_MAX}: use a shorter one"
            )));
        }
        let account = scope.account();
        let _pending = self.begin_rotation(account.id)?;
        self.check_rate(account.id, self.environment.now()).await?;
        self.note_rotation(account.id)?;
        let now = self.environment.now();
        let id = AuthorityId::time_ordered(now, &*self.environment.random);
        let algorithm = draft.algorithm.unwrap_or(account.authority_algorithm);
        let common_name = name.clone();
        let create = move || {
            let key = SigningKey::generate(algorithm).map_err(internal)?;
            let csr_der = request_authority(&key, id, &common_name).map_err(internal)?;
            let private_key = key.to_pkcs8().map_err(internal)?;
            Ok::<_, Fault>((private_key, csr_der))
        };
        let threads = self.issuers.threads_for(algorithm);
        let (private_key, csr_der) = threads.run(create).await??;
        let request = AuthorityRequestRecord {
            id,
            account: account.id,
            name,
            algorithm,
            sealed_key: self.issuers.seal(id, &private_key),
            csr_der,
            created_on: now,
        };
        let (max, by) = (AUTHORITY_REQUESTS_MAX, scope.by(now));
        let store = &self.environment.store;
        let recorded = store.record_authority_request(request.clone(), max, by);
        match recorded.await? {
            AuthorityRequested::Requested => Ok(request),
            AuthorityRequested::NoAccount => Err(AuthorityError::NoAccount),
            AuthorityRequested::TooMany => Err(AuthorityError::TooManyRequests { max }),
        }
    }

    /// Returns the requests of the account that wait for their certificates, latest first.
    pub async fn requests(
        &self,
        scope: &AccountScope<ReadAccounts>,
    ) -> Result<Vec<AuthorityRequestRecord>, Fault> {
        let store = &self.environment.store;
        Ok(store.authority_requests(scope.account().id).await?)
    }

    /// Deletes a request and its key.
    pub async fn delete_request(
        &self,
        scope: &AccountScope<ManageAccounts>,
        id: AuthorityId,
    ) -> Result<AuthorityRequestRecord, AuthorityError> {
        let account = scope.account().id;
        let store = &self.environment.store;
        let found = store.authority_requests(account).await?;
        let no_such_request = || AuthorityError::NotFound { what: "request" };
        let request = found.into_iter().find(|request| request.id == id);
        let request = request.ok_or_else(no_such_request)?;
        let by = scope.by(self.environment.now());
        match store.delete_authority_request(account, id, by).await? {
            true => Ok(request),
            false => Err(no_such_request()),
        }
    }

    /// Returns the request whose key a certificate has, and that key in PEM.
    pub(crate) async fn requested_key(
        &self,
        account: AccountId,
        certificate: &str,
    ) -> Result<(AuthorityRequestRecord, Zeroizing<String>), AuthorityError> {
        let public_keys = authority_keys(certificate)?;
        let requests = self.environment.store.authority_requests(account).await?;
        for request in requests {
            let master_key = &self.master_key;
            let opened = master_key.open_key(request.id, &request.sealed_key);
            let opened = opened.map_err(internal)?;
            let key = SigningKey::from_pkcs8(request.algorithm, &opened).map_err(internal)?;
            if public_keys
                .iter()
                .any(|known| known == key.public_key_spki())
            {
                let pem = Zeroizing::new(pem_lines("PRIVATE KEY", &opened));
                return Ok((request, pem));
            }
        }
        Err(AuthorityError::NoKey)
    }
}

const fn no_such_ca() -> AuthorityError {
    AuthorityError::NotFound { what: "managed CA" }
}
