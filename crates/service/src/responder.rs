use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use certgate_model::{
    AuthorityId, SerialNumber, SignatureAlgorithm, Timestamp, lock, revocation_date, this_update,
};
use certgate_pki::{
    CertId, CertStatus, OcspFailure, OcspRequest, OcspResponder, SingleResponse, ocsp_failure,
    read_ocsp_request,
};

use crate::delegates::Delegates;
use crate::environment::Environment;
use crate::error::{Fault, internal};
use crate::issuers::{Issuers, ReadyIssuer};
use crate::serials::SerialCipher;

/// Validity of an answer, in seconds. A client that caches one sees a revocation that much later.
pub const OCSP_VALIDITY_SECONDS: i64 = 3600;

/// Time during which a signature is used again, in seconds. Its last receiver can still cache the
/// answer for three quarters of its validity.
const OCSP_REUSE_SECONDS: i64 = OCSP_VALIDITY_SECONDS / 4;

/// Maximum number of cached OCSP answers before the cache is emptied: about 16 MB.
const OCSP_ANSWERS_MAX: usize = 16_384;

/// The shortest remaining validity of a CA that still answers, in seconds. An expired CA cannot
/// vouch for an answer.
const CA_VALIDITY_LEFT_SECONDS: i64 = 60;

/// An answer to an OCSP request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OcspAnswer {
    /// OCSPResponse, DER.
    pub der: Arc<[u8]>,
    /// Begin and end of the time in which caches may keep it; `None` if they must not: failures,
    /// and answers that repeat a nonce.
    pub keep: Option<(Timestamp, Timestamp)>,
}

/// The treatment of a nonce in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoncePolicy {
    /// Repeat it: the answer is for this request only.
    Repeat,
    /// Ignore it: the answer is for every client with the same request.
    Ignore,
}

/// Answers OCSP requests (RFC 6960) with the current status in the store.
pub struct Responder {
    environment: Environment,
    issuers: Arc<Issuers>,
    serials: Arc<SerialCipher>,
    delegates: Delegates,
    /// The signed answers, each with the end of its reuse.
    answers: Mutex<HashMap<AnswerKey, (Timestamp, OcspAnswer)>>,
}

/// A certificate as a request names it, and the epoch of its last change.
type AnswerKey = (CertId, u64);

impl Responder {
    pub(crate) fn new(
        environment: Environment,
        issuers: Arc<Issuers>,
        serials: Arc<SerialCipher>,
    ) -> Self {
        Self {
            delegates: Delegates::new(environment.clone()),
            environment,
            issuers,
            serials,
            answers: Mutex::default(),
        }
    }

    /// Answers a request. RFC 5019 §6 permits caches to keep answers to GET, so those ignore the
    /// nonce.
    pub async fn answer(&self, request: &[u8], nonce: NoncePolicy) -> Result<OcspAnswer, Fault> {
        let request = match read_ocsp_request(request) {
            Ok(request) => request,
            Err(error) => {
                tracing::debug!(%error, "an OCSP request was refused");
                return Ok(failure(OcspFailure::MalformedRequest));
            }
        };
        // One signature covers the answer, so all certificates must have the same name and key.
        let Some(authorities) = self.issuers_of(&request).await? else {
            return Ok(failure(OcspFailure::Unauthorized));
        };
        let now = self.environment.now();
        let Some(signer) = self.signer(&authorities, now).await? else {
            return Ok(failure(OcspFailure::TryLater));
        };
        let nonce = request.nonce.filter(|_| nonce == NoncePolicy::Repeat);
        match (&request.cert_ids[..], &nonce) {
            ([cert_id], None) => {
                self.cacheable_answer(signer, &authorities, cert_id, now)
                    .await
            }
            _ => {
                let mut statuses = Vec::new();
                for cert_id in request.cert_ids {
                    let (status, _) = self.status(&authorities, &cert_id).await?;
                    statuses.push((cert_id, status));
                }
                let der = self.sign(signer, statuses, nonce, now).await?;
                Ok(OcspAnswer { der, keep: None })
            }
        }
    }

    /// Returns the CA that signs for these, which have one name and key: the last one that is valid
    /// now. [`None`]: all have expired, or the clock is wrong.
    async fn signer(
        &self,
        authorities: &[AuthorityId],
        now: Timestamp,
    ) -> Result<Option<Arc<ReadyIssuer>>, Fault> {
        for authority in authorities.iter().rev() {
            let ca = self.issuers.by_id(*authority).await?;
            let expires_on = ca.issuer.expires_on().cut_to_minute();
            if ca.issuer.is_valid_at(now) && expires_on > now.plus_seconds(CA_VALIDITY_LEFT_SECONDS)
            {
                return Ok(Some(ca));
            }
        }
        Ok(None)
    }

    /// Returns the CAs with the one name and key that every certificate of the request names;
    /// `None` if they differ or none of ours has them.
    async fn issuers_of(&self, request: &OcspRequest) -> Result<Option<Arc<[AuthorityId]>>, Fault> {
        let names = &self.issuers.names;
        let mut named = request.cert_ids.iter().map(CertId::issuer);
        let Some(Some(first)) = named.next() else {
            return Ok(None);
        };
        let Some(authorities) = names.find(first).await? else {
            return Ok(None);
        };
        for other in named {
            let same = match other {
                Some(other) if other == first => true,
                // It may be the same one, named with another digest.
                Some(other) => names.find(other).await?.as_ref() == Some(&authorities),
                None => false,
            };
            if !same {
                return Ok(None);
            }
        }
        Ok(Some(authorities))
    }

    /// Returns the answer about one certificate. It is signed once while its status is unchanged.
    async fn cacheable_answer(
        &self,
        signer: Arc<ReadyIssuer>,
        authorities: &Arc<[AuthorityId]>,
        cert_id: &CertId,
        now: Timestamp,
    ) -> Result<OcspAnswer, Fault> {
        // The store is read each time: the answer is "revoked" as soon as the revocation was
        // answered.
        let (status, epoch) = self.status(authorities, cert_id).await?;
        let key = (cert_id.clone(), epoch);
        // An unknown certificate has no epoch, and there are endless serial numbers: its answer is
        // not cached.
        let is_cached = status != CertStatus::Unknown;
        if is_cached
            && let Some((until, answer)) = lock(&self.answers).get(&key)
            && answer
                .keep
                .is_some_and(|(since, _)| since <= now && now < *until)
        {
            return Ok(answer.clone());
        }
        let statuses = vec![(cert_id.clone(), status)];
        let der = self.sign(signer, statuses, None, now).await?;
        // RFC 5019 §6.2: Last-Modified is thisUpdate.
        let keep = Some((this_update(now), now.plus_seconds(OCSP_VALIDITY_SECONDS)));
        let answer = OcspAnswer { der, keep };
        if is_cached {
            let mut answers = lock(&self.answers);
            if answers.len() >= OCSP_ANSWERS_MAX {
                answers.clear();
            }
            answers.insert(key, (now.plus_seconds(OCSP_REUSE_SECONDS), answer.clone()));
        }
        Ok(answer)
    }

    /// Returns the status of a certificate and the epoch of its last change.
    async fn status(
        &self,
        authorities: &Arc<[AuthorityId]>,
        cert_id: &CertId,
    ) -> Result<(CertStatus, u64), Fault> {
        let found = self.status_among(authorities, cert_id.serial()).await?;
        let (CertStatus::Unknown, Some(issuer)) = (found.0, cert_id.issuer()) else {
            return Ok(found);
        };
        match self.issuers.names.find_again(issuer).await? {
            Some(now_known) if now_known != *authorities => {
                self.status_among(&now_known, cert_id.serial()).await
            }
            _ => Ok(found),
        }
    }

    /// Two accounts can have the same CA, and a certificate can be issued under one and adopted
    /// under the other: it is revoked if it is under any.
    async fn status_among(
        &self,
        authorities: &[AuthorityId],
        serial: Option<SerialNumber>,
    ) -> Result<(CertStatus, u64), Fault> {
        let Some(serial) = serial else {
            return Ok((CertStatus::Unknown, 0));
        };
        let store = &self.environment.store;
        let id = self.serials.id(serial);
        let mut found = (CertStatus::Unknown, 0);
        for authority in authorities {
            let Some(issued) = store.issued(*authority, serial, id).await? else {
                continue;
            };
            let status = match issued.revocation {
                None => CertStatus::Good,
                Some(revocation) => CertStatus::Revoked {
                    at: revocation.revoked_on,
                    reason: revocation.reason,
                },
            };
            found = stronger(found, (status, issued.epoch));
        }
        Ok(found)
    }

    async fn sign(
        &self,
        ca: Arc<ReadyIssuer>,
        statuses: Vec<(CertId, CertStatus)>,
        nonce: Option<Vec<u8>>,
        now: Timestamp,
    ) -> Result<Arc<[u8]>, Fault> {
        let delegate = match ca.issuer.signature() {
            // An RSA signature takes thirty times as long as one with P-256. Few clients can verify
            // an Ed25519 signature of a response, for example none that uses Go's OCSP library.
            SignatureAlgorithm::Sha1WithRsa
            | SignatureAlgorithm::Sha256WithRsa
            | SignatureAlgorithm::Sha384WithRsa
            | SignatureAlgorithm::Sha512WithRsa
            | SignatureAlgorithm::PureEd25519 => Some(self.delegates.of(&ca, now).await?),
            SignatureAlgorithm::EcdsaWithSha1
            | SignatureAlgorithm::EcdsaWithSha256
            | SignatureAlgorithm::EcdsaWithSha384
            | SignatureAlgorithm::EcdsaWithSha512 => None,
        };
        let signed = self.environment.signers.run(move || {
            let this_update = this_update(now);
            let responses: Vec<_> = statuses
                .iter()
                .map(|(cert_id, status)| SingleResponse {
                    cert_id,
                    status: dated(*status, this_update),
                    this_update,
                    next_update: now.plus_seconds(OCSP_VALIDITY_SECONDS),
                })
                .collect();
            let nonce = nonce.as_deref();
            match &delegate {
                Some(delegate) => delegate.responder.respond(&responses, nonce, now),
                None => OcspResponder::authority(&ca.issuer)?.respond(&responses, nonce, now),
            }
        });
        Ok(signed.await?.map_err(internal)?.into())
    }
}

/// Returns the status that decides, of two of a certificate, each with its epoch: the earlier
/// revocation, or else the later change.
fn stronger(one: (CertStatus, u64), other: (CertStatus, u64)) -> (CertStatus, u64) {
    let is_first = match (one.0, other.0) {
        (CertStatus::Revoked { at: first, .. }, CertStatus::Revoked { at: second, .. }) => {
            first <= second
        }
        (CertStatus::Revoked { .. }, _) | (_, CertStatus::Unknown) => true,
        (_, CertStatus::Revoked { .. }) | (CertStatus::Unknown, CertStatus::Good) => false,
        (CertStatus::Good, CertStatus::Good) => one.1 >= other.1,
    };
    if is_first { one } else { other }
}

/// Dates a revocation as the CRLs do.
fn dated(status: CertStatus, this_update: Timestamp) -> CertStatus {
    match status {
        CertStatus::Revoked { at, reason } => CertStatus::Revoked {
            at: revocation_date(at, this_update),
            reason,
        },
        CertStatus::Good | CertStatus::Unknown => status,
    }
}

fn failure(failure: OcspFailure) -> OcspAnswer {
    OcspAnswer {
        der: ocsp_failure(failure).into(),
        keep: None,
    }
}

#[cfg(test)]
mod tests {
    use certgate_model::RevocationReason;

    use super::*;

    #[test]
    fn the_earliest_revocation_decides_among_the_statuses_of_one_certificate() {
        let revoked = |seconds| CertStatus::Revoked {
            at: Timestamp::from_unix(seconds),
            reason: RevocationReason::KeyCompromise,
        };
        let good = CertStatus::Good;
        let by_strength = [
            (revoked(1), 9),
            (revoked(2), 5),
            (good, 7),
            (good, 0),
            (CertStatus::Unknown, 0),
        ];
        for (place, strong) in by_strength.iter().enumerate() {
            for weak in &by_strength[place..] {
                assert_eq!(stronger(*strong, *weak), *strong);
                assert_eq!(stronger(*weak, *strong), *strong);
            }
        }
    }
}
