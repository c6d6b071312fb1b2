//! Replacing the managed authority of an account: by a new one, or by one that was made elsewhere.
//!
//! New certificates come from the authority in force. Those of an authority that was replaced stay valid, listed and
//! revocable, and the addresses in them stay the ones they are.

use std::fmt;
use std::sync::Arc;

use certgate_model::{AuthorityId, AuthorityRecord, AuthorityRef, By, KeyAlgorithm};
use certgate_pki::{Issuer, read_authority};
use certgate_store::AuthorityReplaced;
use zeroize::Zeroizing;

use crate::access::{AccountScope, ManageAccounts};
use crate::authorities::{AuthorityAdded, LoadedIssuer};
use crate::tenants::checked_name;
use crate::{Authority, AuthorityError, Fault, ManagedAuthority};

/// How many managed authorities an account can have had: revocation lists of each are signed for good, and all of them
/// are one answer.
pub const MANAGED_AUTHORITIES_MAX: usize = 100;

/// How often a replacement is tried again because another process replaced the authority meanwhile.
const REPLACEMENTS_MAX: usize = 3;

/// An authority that was made elsewhere, as it was sent. `Debug` does not show the key.
pub struct AuthorityImport {
    /// Its certificate, PEM.
    pub certificate: String,
    /// Its private key, PEM.
    pub private_key: Zeroizing<String>,
}

impl fmt::Debug for AuthorityImport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorityImport")
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

impl Authority {
    /// Makes a new authority and puts it in force. Without `algorithm` its key is of the kind that the account's
    /// authorities are to have.
    pub async fn rotate_authority(
        &self,
        scope: &AccountScope<ManageAccounts>,
        algorithm: Option<KeyAlgorithm>,
    ) -> Result<ManagedAuthority, AuthorityError> {
        let account = scope.account();
        self.refuse_too_many(scope).await?;
        let algorithm = algorithm.unwrap_or(account.authority_algorithm);
        let (record, issuer) = self.new_authority(account, algorithm).await?;
        self.put_in_force(record, issuer, scope.by(self.clock.now()))
            .await
    }

    /// Puts an authority in force that was made elsewhere.
    pub async fn import_authority(
        &self,
        scope: &AccountScope<ManageAccounts>,
        import: AuthorityImport,
    ) -> Result<ManagedAuthority, AuthorityError> {
        let account = scope.account();
        self.refuse_too_many(scope).await?;
        let now = self.clock.now();
        // To check an RSA key is as much work as to sign with it.
        let read = self
            .on_signer(move || read_authority(&import.certificate, &import.private_key, now))
            .await?;
        let (imported, private_key) = read?;
        let id = AuthorityId::time_ordered(now, &*self.random);
        let name = checked_name(&imported.common_name);
        let record = AuthorityRecord {
            id,
            account: account.id,
            name: name.unwrap_or_else(|_| format!("imported authority of {}", account.name)),
            algorithm: imported.algorithm,
            certificate_der: imported.certificate_der,
            sealed_key: self.master_key.seal_key(id, &private_key, &*self.random),
            public_url: self.settings.public_url.clone(),
            created_on: imported.not_before,
            expires_on: imported.not_after,
        };
        self.put_in_force(record, imported.issuer, scope.by(now))
            .await
    }

    /// Before a key is made or read: the store is asked again when the authority is put in force.
    async fn refuse_too_many(
        &self,
        scope: &AccountScope<ManageAccounts>,
    ) -> Result<(), AuthorityError> {
        refuse_too_many(&self.store.managed_authorities(scope.account().id).await?)
    }

    async fn put_in_force(
        &self,
        record: AuthorityRecord,
        issuer: Issuer,
        by: By,
    ) -> Result<ManagedAuthority, AuthorityError> {
        let account = record.account;
        // An issuer that is being loaded now must not be kept in the place of this one.
        let _one_at_a_time = self.loading_issuer.hold().await;
        for _ in 0..REPLACEMENTS_MAX {
            // Whatever is added changes what is in force, so that what is found here holds if the replacement does.
            let known = self.store.managed_authorities(account).await?;
            refuse_too_many(&known)?;
            if let Some(same) = known
                .iter()
                .find(|known| known.certificate_der == record.certificate_der)
            {
                return Err(AuthorityError::Known { id: same.id });
            }
            let replaced = known.first().map(|first| first.id);
            let added = AuthorityAdded(self);
            match self
                .store
                .replace_managed_authority(replaced, record.clone(), by)
                .await?
            {
                AuthorityReplaced::NotExpected => continue,
                AuthorityReplaced::NoAccount => return Err(AuthorityError::NoAccount),
                AuthorityReplaced::Replaced => {}
            }
            let authority = AuthorityRef {
                id: record.id,
                name: record.name.clone(),
            };
            let public_url = record.public_url.clone();
            tracing::info!(
                authority = %record.id, %account, algorithm = %record.algorithm, public_url,
                replaced = replaced.map(tracing::field::display),
                "managed authority put in force; its certificates name this address for good"
            );
            drop(added);
            self.keep_issuer(
                account,
                Arc::new(LoadedIssuer {
                    authority,
                    public_url,
                    issuer,
                }),
            );
            return Ok(ManagedAuthority {
                record,
                in_force: true,
            });
        }
        Err(Fault::Unavailable(
            "the account's authority is being replaced again and again".to_owned(),
        )
        .into())
    }
}

fn refuse_too_many(known: &[AuthorityRecord]) -> Result<(), AuthorityError> {
    match known.len() < MANAGED_AUTHORITIES_MAX {
        true => Ok(()),
        false => Err(AuthorityError::TooMany {
            max: MANAGED_AUTHORITIES_MAX,
        }),
    }
}
