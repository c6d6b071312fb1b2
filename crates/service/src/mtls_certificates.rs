use std::sync::Arc;

use certgate_model::{AccountId, MtlsCertificateId, MtlsCertificateRecord};
use certgate_pki::{Chain, Purpose, read_chain, read_chain_of_known_keys, read_private_key};
use certgate_store::{MtlsCertificateDeleted, MtlsCertificateRecorded};
use zeroize::Zeroizing;

use crate::access::{AccountScope, WriteMtlsCertificates};
use crate::environment::Environment;
use crate::error::{MtlsCertificateError, internal};
use crate::master_key::MasterKey;
use crate::names::check_text;
use crate::signals::AnnounceOnDrop;

/// A certificate to upload. It has no `Debug` because it holds a private key.
pub struct MtlsCertificateUpload {
    /// The chain, PEM, as sent.
    pub certificates: String,
    /// True for a CA, false for a leaf certificate.
    pub ca: bool,
    /// Its display name; may be empty.
    pub name: String,
    /// The private key of the first certificate, PEM, as sent.
    pub private_key: Option<Zeroizing<String>>,
}

/// Uploaded certificates of accounts (`mtls_certificates` in the API).
pub struct MtlsCertificates {
    pub(crate) environment: Environment,
    pub(crate) master_key: Arc<MasterKey>,
}

impl MtlsCertificates {
    /// Stores an uploaded certificate. The returned record is durable.
    pub async fn upload(
        &self,
        scope: &AccountScope<WriteMtlsCertificates>,
        upload: MtlsCertificateUpload,
    ) -> Result<MtlsCertificateRecord, MtlsCertificateError> {
        let Environment { store, random, .. } = &self.environment;
        let MtlsCertificateUpload {
            certificates,
            ca,
            name,
            private_key,
        } = upload;
        // The name is stored as sent: clients compare it with their own.
        check_text(&name).map_err(MtlsCertificateError::Name)?;
        let now = self.environment.now();
        let purpose = match ca {
            true => Purpose::Authority,
            false => Purpose::Leaf,
        };

        let account = scope.account().id;
        let chain = self
            .read_chain(account, certificates.clone(), purpose)
            .await?;
        let key = match private_key {
            None if !ca => return Err(MtlsCertificateError::LeafWithoutKey),
            None => None,
            // The check of an RSA key costs as much as a signature.
            Some(text) => {
                let read = self
                    .environment
                    .signers
                    .run(move || read_private_key(&text));
                Some(read.await??)
            }
        };
        if key
            .as_ref()
            .is_some_and(|key| !chain.is_certificate_of(key))
        {
            return Err(MtlsCertificateError::KeyMismatch);
        }

        let id = MtlsCertificateId::time_ordered(now, &**random);
        let record = MtlsCertificateRecord {
            id,
            account,
            name,
            ca,
            // As sent: a client that gets another text back replaces the certificate.
            certificates,
            sealed_key: key.map(|key| self.master_key.seal_key(id, key.pkcs8(), &**random)),
            issuer: chain.issuer,
            signature: chain.signature.to_owned(),
            serial_number: chain.serial_number,
            fingerprint_sha256: chain.fingerprint_sha256,
            uploaded_on: now,
            expires_on: chain.expires_on,
        };
        let quota = self.environment.limits().account_mtls_certificates_max;
        let announced = self.announce_on_drop(account);
        let recorded = store
            .record_mtls_certificate(record.clone(), quota, scope.by(now))
            .await?;
        drop(announced);
        match recorded {
            MtlsCertificateRecorded::Recorded => Ok(record),
            MtlsCertificateRecorded::NoAccount => Err(MtlsCertificateError::NoAccount),
            MtlsCertificateRecorded::Exists(id) => Err(MtlsCertificateError::Exists(id)),
            MtlsCertificateRecorded::QuotaReached => {
                let quota =
                    quota.ok_or_else(|| internal("the store enforced a quota without one"))?;
                Err(MtlsCertificateError::QuotaReached { quota })
            }
        }
    }

    /// Reads a chain. This verifies up to ten signatures, and searches RSA keys that are new to the
    /// server.
    async fn read_chain(
        &self,
        account: AccountId,
        certificates: String,
        purpose: Purpose,
    ) -> Result<Chain, MtlsCertificateError> {
        let now = self.environment.now();
        let certificates: Arc<str> = certificates.into();
        let text = certificates.clone();
        let read = move || read_chain_of_known_keys(&text, purpose, now);
        if let Some(chain) = self.environment.signers.run(read).await?? {
            return Ok(chain);
        }
        let search = move || read_chain(&certificates, purpose, now);
        Ok(self.environment.key_searches.run(account, search).await??)
    }

    /// Deletes an uploaded certificate that no hostname uses, and returns its record.
    pub async fn delete(
        &self,
        scope: &AccountScope<WriteMtlsCertificates>,
        id: MtlsCertificateId,
    ) -> Result<MtlsCertificateRecord, MtlsCertificateError> {
        let (account, by) = (scope.account().id, scope.by(self.environment.now()));
        let announced = self.announce_on_drop(account);
        let deleted = self
            .environment
            .store
            .delete_mtls_certificate(account, id, by)
            .await?;
        drop(announced);
        match deleted {
            MtlsCertificateDeleted::Deleted(record) => Ok(record),
            MtlsCertificateDeleted::NotFound => Err(MtlsCertificateError::NotFound),
            MtlsCertificateDeleted::InUse { hostnames, count } => {
                Err(MtlsCertificateError::InUse { hostnames, count })
            }
        }
    }

    fn announce_on_drop(&self, account: AccountId) -> AnnounceOnDrop<'_> {
        let signals = &self.environment.signals;
        AnnounceOnDrop { signals, account }
    }
}
