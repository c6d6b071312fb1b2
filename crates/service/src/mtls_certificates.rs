use std::sync::Arc;

use certgate_model::{MtlsCertificateId, MtlsCertificateRecord};
use certgate_pki::{Purpose, read_chain, read_private_key};
use certgate_store::{MtlsCertificateDeleted, MtlsCertificateRecorded};
use zeroize::Zeroizing;

use crate::access::{AccountScope, WriteMtlsCertificates};
use crate::environment::Environment;
use crate::error::{MtlsCertificateError, internal};
use crate::master_key::MasterKey;
use crate::names::check_text;

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

        // This verifies up to ten signatures and checks a key.
        let read = self.environment.signers.run(move || {
            let chain = read_chain(&certificates, purpose, now)?;
            let key = private_key
                .map(|text| read_private_key(&text))
                .transpose()?;
            match &key {
                Some(key) if !chain.is_certificate_of(key) => {
                    Err(MtlsCertificateError::KeyMismatch)
                }
                None if !ca => Err(MtlsCertificateError::LeafWithoutKey),
                _ => Ok((chain, key)),
            }
        });
        let (chain, key) = read.await??;

        let id = MtlsCertificateId::time_ordered(now, &**random);
        let record = MtlsCertificateRecord {
            id,
            account: scope.account().id,
            name,
            ca,
            certificates: chain.to_pem(),
            sealed_key: key.map(|key| self.master_key.seal_key(id, key.pkcs8(), &**random)),
            issuer: chain.issuer,
            signature: chain.signature.to_owned(),
            serial_number: chain.serial_number,
            fingerprint_sha256: chain.fingerprint_sha256,
            uploaded_on: now,
            expires_on: chain.expires_on,
        };
        let quota = self.environment.limits().account_mtls_certificates_max;
        match store
            .record_mtls_certificate(record.clone(), quota, scope.by(now))
            .await?
        {
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

    /// Deletes an uploaded certificate that no hostname uses, and returns its record.
    pub async fn delete(
        &self,
        scope: &AccountScope<WriteMtlsCertificates>,
        id: MtlsCertificateId,
    ) -> Result<MtlsCertificateRecord, MtlsCertificateError> {
        let (account, by) = (scope.account().id, scope.by(self.environment.now()));
        let store = &self.environment.store;
        match store.delete_mtls_certificate(account, id, by).await? {
            MtlsCertificateDeleted::Deleted(record) => Ok(record),
            MtlsCertificateDeleted::NotFound => Err(MtlsCertificateError::NotFound),
            MtlsCertificateDeleted::InUse { hostnames, count } => {
                Err(MtlsCertificateError::InUse { hostnames, count })
            }
        }
    }
}
