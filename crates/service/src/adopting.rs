//! Recording certificates that a CA of the account issued elsewhere.

use std::sync::Arc;

use certgate_model::{
    AccountAuthority, AuthorityRef, CertificateId, CertificateRecord, Lineage, Status, ZoneId,
};
use certgate_pki::{AdoptError, AdoptedCertificate, read_adopted, sha256};
use certgate_store::{Adopted, Adoption};

use crate::access::{AdoptForeign, ZoneScope};
use crate::environment::Environment;
use crate::error::{AdoptionError, AdoptionLineError, Fault};
use crate::serials::SerialCipher;

/// Maximum number of certificates of a request: one transaction records them, and other writes wait
/// for it a tenth of a second.
pub const ADOPTIONS_MAX: usize = 1_000;

/// Number of certificates whose signatures one task verifies: issuing waits for a signing thread
/// some ten milliseconds.
const VERIFIED_AT_A_TIME: usize = 100;

/// The beginning of the text whose digest is the ID of an adopted certificate.
const ID_CONTEXT: &[u8] = b"certgate adopted certificate";

/// Adopts certificates.
pub struct Adopting {
    pub(crate) environment: Environment,
    pub(crate) serials: Arc<SerialCipher>,
}

/// The outcome for each certificate of a request, in its order.
pub type AdoptionLines = Vec<Result<CertificateId, AdoptionLineError>>;

impl Adopting {
    /// Records certificates (PEM) that CAs of the zone's account issued elsewhere. The same
    /// certificate again has the same ID and changes nothing.
    pub async fn adopt(
        &self,
        scope: &ZoneScope<AdoptForeign>,
        certificates: Vec<String>,
    ) -> Result<AdoptionLines, AdoptionError> {
        let given = certificates.len();
        if !(1..=ADOPTIONS_MAX).contains(&given) {
            let max = ADOPTIONS_MAX;
            return Err(AdoptionError::Count { given, max });
        }
        let store = &self.environment.store;
        let known = store.managed_authorities(scope.zone().account).await?;
        let ders = known.iter().map(|ca| ca.record.certificate_der.clone());
        let ders: Arc<Vec<Vec<u8>>> = Arc::new(ders.collect());
        let mut lines = Vec::with_capacity(given);
        let mut adoptions = Vec::new();
        for texts in certificates.chunks(VERIFIED_AT_A_TIME) {
            for read in self.read(texts.to_vec(), ders.clone()).await? {
                lines.push(match read {
                    Ok(certificate) => {
                        let adoption = self.adoption(scope.zone().id, &known, certificate);
                        let id = adoption.certificate.id;
                        adoptions.push(adoption);
                        Ok(id)
                    }
                    Err(error) => Err(error.into()),
                });
            }
        }
        if adoptions.is_empty() {
            return Ok(lines);
        }
        let quota = self.environment.limits().zone_certificates_max;
        let by = scope.by(self.environment.now());
        let outcomes = store.adopt_certificates(adoptions, quota, by).await?;
        let mut outcomes = outcomes.into_iter();
        for line in lines.iter_mut().filter(|line| line.is_ok()) {
            match outcomes.next() {
                Some(Adopted::Recorded | Adopted::Known) => {}
                Some(Adopted::SerialTaken) => *line = Err(AdoptionLineError::SerialTaken),
                Some(Adopted::QuotaReached) => {
                    let quota = quota.unwrap_or_default();
                    *line = Err(AdoptionLineError::QuotaReached { quota });
                }
                Some(Adopted::NoAuthority) => *line = Err(AdoptionLineError::NoAuthority),
                Some(Adopted::NoZone) | None => return Err(AdoptionError::NoZone),
            }
        }
        Ok(lines)
    }

    async fn read(
        &self,
        texts: Vec<String>,
        authorities: Arc<Vec<Vec<u8>>>,
    ) -> Result<Vec<Result<AdoptedCertificate, AdoptError>>, Fault> {
        let read = move || {
            let read = texts.iter().map(|text| read_adopted(text, &authorities));
            read.collect()
        };
        self.environment.signers.run(read).await
    }

    fn adoption(
        &self,
        zone: ZoneId,
        known: &[AccountAuthority],
        certificate: AdoptedCertificate,
    ) -> Adoption {
        let signers: Vec<_> = certificate
            .authorities
            .iter()
            .map(|index| &known[*index].record)
            .collect();
        let own_id = self.serials.id(certificate.serial);
        let record = CertificateRecord {
            id: adopted_id(zone, &certificate.fingerprint_sha256),
            zone,
            authority: AuthorityRef {
                id: signers[0].id,
                name: signers[0].name.clone(),
            },
            status: Status::Active,
            serial: certificate.serial,
            subject: certificate.subject,
            issued_on: certificate.issued_on,
            expires_on: certificate.expires_on,
            validity_days: certificate.validity_days,
            signature: certificate.signature,
            fingerprint_sha256: certificate.fingerprint_sha256,
            ski: certificate.ski,
            der: certificate.der,
            csr: String::new(),
            revoked_on: None,
            revocation_reason: None,
            lineage: Lineage::default(),
        };
        Adoption {
            certificate: Arc::new(record),
            same_issuer: signers.iter().map(|signer| signer.id).collect(),
            own_id,
        }
    }
}

/// Returns the ID of an adopted certificate: the same in each attempt.
pub(crate) fn adopted_id(zone: ZoneId, fingerprint_sha256: &[u8; 32]) -> CertificateId {
    let text = [ID_CONTEXT, zone.as_bytes(), fingerprint_sha256].concat();
    let mut first = [0; 16];
    first.copy_from_slice(&sha256(&text)[..16]);
    CertificateId::named(first)
}
