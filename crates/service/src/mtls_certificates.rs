//! Certificates that an account brings itself (`mtls_certificates`).

use certgate_model::{MtlsCertificateId, MtlsCertificateRecord};
use certgate_pki::{Purpose, read_chain, read_private_key};
use certgate_store::{MtlsCertificateDeleted, MtlsCertificateRecorded};
use zeroize::Zeroizing;

use crate::access::{AccountScope, WriteMtlsCertificates};
use crate::authorities::internal;
use crate::tenants::NAME_CHARACTERS_MAX;
use crate::{Authority, Fault, MtlsCertificateError};

/// What an account brings. No `Debug`: it holds a private key.
pub struct MtlsCertificateUpload {
    /// The chain, PEM, as sent.
    pub certificates: String,
    /// Whether it is an authority.
    pub ca: bool,
    /// Its display name; may be empty.
    pub name: String,
    /// The private key of the first certificate, PEM, as sent.
    pub private_key: Option<Zeroizing<String>>,
}

impl Authority {
    /// Takes a certificate in. When this returns it, it is durable.
    pub async fn upload_mtls_certificate(
        &self,
        scope: &AccountScope<WriteMtlsCertificates>,
        upload: MtlsCertificateUpload,
    ) -> Result<MtlsCertificateRecord, MtlsCertificateError> {
        let MtlsCertificateUpload {
            certificates,
            ca,
            name,
            private_key,
        } = upload;
        check_name(&name)?;
        let now = self.clock.now();
        let purpose = if ca {
            Purpose::Authority
        } else {
            Purpose::Leaf
        };

        // Up to ten verifications and the check of a key: off the I/O threads.
        let read = self
            .on_signer(move || {
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
            })
            .await?;
        let (chain, key) = read?;

        let id = MtlsCertificateId::time_ordered(now, &*self.random);
        let record = MtlsCertificateRecord {
            id,
            account: scope.account().id,
            name,
            ca,
            certificates: chain.to_pem(),
            sealed_key: key.map(|key| self.master_key.seal_key(id, key.pkcs8(), &*self.random)),
            issuer: chain.issuer,
            signature: chain.signature.to_owned(),
            serial_number: chain.serial_number,
            fingerprint_sha256: chain.fingerprint_sha256,
            uploaded_on: now,
            expires_on: chain.expires_on,
        };
        let quota = self.settings.account_mtls_certificates_max;
        match self
            .store
            .record_mtls_certificate(record.clone(), quota, scope.by(now))
            .await?
        {
            MtlsCertificateRecorded::Recorded => Ok(record),
            MtlsCertificateRecorded::NoAccount => Err(MtlsCertificateError::NoAccount),
            MtlsCertificateRecorded::Exists(id) => Err(MtlsCertificateError::Exists(id)),
            MtlsCertificateRecorded::QuotaReached => {
                let quota = quota.ok_or_else(|| internal("a quota was reached that is not set"))?;
                Err(MtlsCertificateError::QuotaReached { quota })
            }
        }
    }

    /// Deletes a certificate that no hostname uses; what it was.
    pub async fn delete_mtls_certificate(
        &self,
        scope: &AccountScope<WriteMtlsCertificates>,
        id: MtlsCertificateId,
    ) -> Result<MtlsCertificateRecord, MtlsCertificateError> {
        let by = scope.by(self.clock.now());
        match self
            .store
            .delete_mtls_certificate(scope.account().id, id, by)
            .await
            .map_err(Fault::from)?
        {
            MtlsCertificateDeleted::Deleted(record) => Ok(record),
            MtlsCertificateDeleted::NotFound => Err(MtlsCertificateError::NotFound),
            MtlsCertificateDeleted::InUse { hostnames, count } => {
                Err(MtlsCertificateError::InUse { hostnames, count })
            }
        }
    }
}

/// A name for people, kept as it is: clients compare it with what they sent.
fn check_name(name: &str) -> Result<(), MtlsCertificateError> {
    let length = name.chars().count();
    if length > NAME_CHARACTERS_MAX {
        let reason = format!("the name has {length} characters: use at most {NAME_CHARACTERS_MAX}");
        return Err(MtlsCertificateError::Name(reason));
    }
    if name.chars().any(char::is_control) {
        let reason = "the name has a control character: use printable characters";
        return Err(MtlsCertificateError::Name(reason.to_owned()));
    }
    Ok(())
}
