//! Answering OCSP requests (RFC 6960) from what is stored at that moment.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use certgate_model::{AuthorityId, SerialNumber, SignatureAlgorithm, Timestamp};
use certgate_pki::{
    CertId, CertStatus, IssuerId, OcspFailure, OcspRequest, OcspResponder, RESPONDER_KEY,
    SigningKey, SingleResponse, Validity, issuer_ids, ocsp_failure, read_ocsp_request,
    responder_certificate,
};

use crate::authorities::{LoadedIssuer, internal};
use crate::turn::Turn;
use crate::{Authority, Fault};

/// How long an answer may be believed, in seconds. Whoever keeps one does not see a revocation before it runs out.
pub const OCSP_VALIDITY_SECONDS: i64 = 3600;

/// How long a signature is used again, in seconds: whoever gets it can keep the answer for the rest of its validity.
const OCSP_REUSE_SECONDS: i64 = OCSP_VALIDITY_SECONDS / 4;

/// How many signed answers are kept before they are forgotten all at once: about 16 MB.
const OCSP_ANSWERS_MAX: usize = 16_384;

/// How long the list of authorities is used, in seconds.
const KNOWN_SECONDS_MAX: i64 = 60;

/// How long it is used where what is asked for is not found with it, in seconds: another process may have added an authority,
/// also under a name and key that is known. Nobody makes us look more often.
const NOT_KNOWN_SECONDS_MAX: i64 = 1;

/// Validity of a delegate's certificate, in days; it cannot be revoked.
const RESPONDER_VALIDITY_DAYS: u32 = 30;

/// A delegate's certificate is replaced when it has less than this left, in days.
const RESPONDER_RENEWAL_DAYS: u32 = 7;

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OcspAnswer {
    /// OCSPResponse, DER.
    pub der: Arc<[u8]>,
    /// Since when and until when it may be kept; `None` if it must not be: failures, and what repeats a nonce.
    pub keep: Option<(Timestamp, Timestamp)>,
}

/// What the responder remembers. None of it has to survive.
#[derive(Default)]
pub(crate) struct OcspState {
    answers: Mutex<HashMap<AnswerKey, (Timestamp, OcspAnswer)>>,
    known: Mutex<Known>,
    delegates: Mutex<HashMap<AuthorityId, Arc<Delegate>>>,
    /// While authorities are read.
    reading: Turn,
    /// Held while a delegate is made.
    making: tokio::sync::Mutex<()>,
}

/// A certificate as it was asked about, and the epoch of its last change.
type AnswerKey = (CertId, u64);

/// The authorities by the ways to name them, as they were at some time. An authority whose certificate was renewed, or that
/// two accounts have imported, is there more than once under the same name and key.
#[derive(Default)]
struct Known {
    read_at: Option<Timestamp>,
    by_id: HashMap<IssuerId, Arc<[AuthorityId]>>,
    /// Counts the authorities that came.
    generation: u64,
}

impl Known {
    /// The authorities of that name and key, if that is known well enough.
    fn find(&self, id: &IssuerId, now: Timestamp) -> Option<Option<Arc<[AuthorityId]>>> {
        match self.by_id.get(id) {
            Some(authorities) if self.is_read_within(KNOWN_SECONDS_MAX, now) => {
                Some(Some(authorities.clone()))
            }
            None if self.is_read_within(NOT_KNOWN_SECONDS_MAX, now) => Some(None),
            _ => None,
        }
    }

    fn is_read_within(&self, seconds: i64, now: Timestamp) -> bool {
        self.read_at
            .is_some_and(|at| (at..at.plus_seconds(seconds)).contains(&now))
    }
}

struct Delegate {
    responder: OcspResponder<'static>,
    good: Range<Timestamp>,
}

impl Authority {
    /// Answers a request. `nonce` says whether one in it is repeated: RFC 5019 lets answers to GET be kept, so they
    /// repeat none.
    pub async fn ocsp(&self, request: &[u8], nonce: NoncePolicy) -> Result<OcspAnswer, Fault> {
        let request = match read_ocsp_request(request) {
            Ok(request) => request,
            Err(error) => {
                tracing::debug!(%error, "an OCSP request was refused");
                return Ok(failure(OcspFailure::MalformedRequest));
            }
        };
        // All must be of one name and key: there is one signature.
        let Some(authorities) = self.issuers_of(&request).await? else {
            return Ok(failure(OcspFailure::Unauthorized));
        };
        let now = self.clock.now();
        // One that has expired vouches for nothing any more, and cannot have a delegate.
        let Some(signer) = authorities.last() else {
            return Ok(failure(OcspFailure::Unauthorized));
        };
        let expires_on = self.issuer_by_id(*signer).await?.issuer.expires_on();
        if expires_on.cut_to_minute() <= now.plus_seconds(60) {
            return Ok(failure(OcspFailure::Unauthorized));
        }
        let nonce = request.nonce.filter(|_| nonce == NoncePolicy::Repeat);
        match (&request.cert_ids[..], &nonce) {
            ([cert_id], None) => self.answer_kept(&authorities, cert_id, now).await,
            _ => {
                let mut statuses = Vec::new();
                for cert_id in request.cert_ids {
                    let (status, _) = self.certificate_status(&authorities, &cert_id).await?;
                    statuses.push((cert_id, status));
                }
                let der = self.sign_answer(&authorities, statuses, nonce, now).await?;
                Ok(OcspAnswer { der, keep: None })
            }
        }
    }

    /// The answer about one certificate; signed once for as long as nothing changes.
    async fn answer_kept(
        &self,
        authorities: &Arc<[AuthorityId]>,
        cert_id: &CertId,
        now: Timestamp,
    ) -> Result<OcspAnswer, Fault> {
        // Asked every time: it says revoked from the moment the revocation was answered.
        let (status, epoch) = self.certificate_status(authorities, cert_id).await?;
        let key = (cert_id.clone(), epoch);
        // What was never issued has no epoch and no end of names: it is signed each time, and not remembered.
        let remember = status != CertStatus::Unknown;
        if remember
            && let Some((until, answer)) = self.ocsp.answers().get(&key)
            && answer
                .keep
                .is_some_and(|(since, _)| since <= now && now < *until)
        {
            return Ok(answer.clone());
        }
        let der = self
            .sign_answer(authorities, vec![(cert_id.clone(), status)], None, now)
            .await?;
        let keep = Some((now, now.plus_seconds(OCSP_VALIDITY_SECONDS)));
        let answer = OcspAnswer { der, keep };
        if remember {
            let mut answers = self.ocsp.answers();
            if answers.len() >= OCSP_ANSWERS_MAX {
                answers.clear();
            }
            answers.insert(key, (now.plus_seconds(OCSP_REUSE_SECONDS), answer.clone()));
        }
        Ok(answer)
    }

    async fn certificate_status(
        &self,
        authorities: &Arc<[AuthorityId]>,
        cert_id: &CertId,
    ) -> Result<(CertStatus, u64), Fault> {
        let found = self.status_among(authorities, cert_id.serial()).await?;
        let (CertStatus::Unknown, Some(issuer)) = (found.0, cert_id.issuer()) else {
            return Ok(found);
        };
        self.ocsp
            .look_again_after(NOT_KNOWN_SECONDS_MAX, self.clock.now());
        match self.authorities_named(issuer).await? {
            Some(now_known) if now_known != *authorities => {
                self.status_among(&now_known, cert_id.serial()).await
            }
            _ => Ok(found),
        }
    }

    async fn status_among(
        &self,
        authorities: &[AuthorityId],
        serial: Option<SerialNumber>,
    ) -> Result<(CertStatus, u64), Fault> {
        let Some(serial) = serial else {
            return Ok((CertStatus::Unknown, 0));
        };
        let id = self.serials.id(serial);
        for authority in authorities {
            let Some(issued) = self.store.issued(*authority, serial, id).await? else {
                continue;
            };
            let status = match issued.revocation {
                None => CertStatus::Good,
                Some(revocation) => CertStatus::Revoked {
                    at: revocation.revoked_on,
                    reason: revocation.reason,
                },
            };
            return Ok((status, issued.epoch));
        }
        Ok((CertStatus::Unknown, 0))
    }

    /// The authorities of the one name and key that every certificate of the request names, if they are ours.
    async fn issuers_of(&self, request: &OcspRequest) -> Result<Option<Arc<[AuthorityId]>>, Fault> {
        let mut named = request.cert_ids.iter().map(CertId::issuer);
        let Some(Some(first)) = named.next() else {
            return Ok(None);
        };
        let Some(authorities) = self.authorities_named(first).await? else {
            return Ok(None);
        };
        for other in named {
            let same = match other {
                Some(other) if other == first => true,
                // The same one, named by another digest.
                Some(other) => self.authorities_named(other).await?.as_ref() == Some(&authorities),
                None => false,
            };
            if !same {
                return Ok(None);
            }
        }
        Ok(Some(authorities))
    }

    async fn authorities_named(&self, id: &IssuerId) -> Result<Option<Arc<[AuthorityId]>>, Fault> {
        if let Some(found) = self.ocsp.known().find(id, self.clock.now()) {
            return Ok(found);
        }
        // One reads for all who wait.
        self.ocsp
            .reading
            .take(self.read_authorities_named(id))
            .await
    }

    async fn read_authorities_named(
        &self,
        id: &IssuerId,
    ) -> Result<Option<Arc<[AuthorityId]>>, Fault> {
        let now = self.clock.now();
        let generation = {
            let known = self.ocsp.known();
            if let Some(found) = known.find(id, now) {
                return Ok(found);
            }
            known.generation
        };
        let mut by_id: HashMap<IssuerId, Vec<AuthorityId>> = HashMap::new();
        for (authority, certificate) in self.store.authority_certificates().await? {
            for name in issuer_ids(&certificate).map_err(internal)? {
                by_id.entry(name).or_default().push(authority);
            }
        }
        let by_id: HashMap<_, Arc<[_]>> = by_id
            .into_iter()
            .map(|(name, ids)| (name, ids.into()))
            .collect();
        let found = by_id.get(id).cloned();
        let mut known = self.ocsp.known();
        // What was read before an authority came must not be kept after it.
        let read_at = (known.generation == generation).then_some(now);
        *known = Known {
            read_at,
            by_id,
            generation: known.generation,
        };
        Ok(found)
    }

    async fn sign_answer(
        &self,
        authorities: &[AuthorityId],
        statuses: Vec<(CertId, CertStatus)>,
        nonce: Option<Vec<u8>>,
        now: Timestamp,
    ) -> Result<Arc<[u8]>, Fault> {
        // Whichever: name and key are the same. Where a certificate was renewed, the last one lives longest.
        let authority = authorities
            .last()
            .ok_or_else(|| internal("an issuer without an authority"))?;
        let loaded = self.issuer_by_id(*authority).await?;
        let delegate = match loaded.issuer.signature() {
            // Thirty times as slow to sign with as P-256.
            SignatureAlgorithm::Sha256WithRsa => Some(self.delegate(&loaded, now).await?),
            _ => None,
        };
        let signed = self.on_signer(move || {
            let responses: Vec<_> = statuses
                .iter()
                .map(|(cert_id, status)| SingleResponse {
                    cert_id,
                    status: *status,
                    this_update: now,
                    next_update: now.plus_seconds(OCSP_VALIDITY_SECONDS),
                })
                .collect();
            let nonce = nonce.as_deref();
            match &delegate {
                Some(delegate) => delegate.responder.respond(&responses, nonce, now),
                None => OcspResponder::authority(&loaded.issuer)?.respond(&responses, nonce, now),
            }
        });
        Ok(signed.await?.map_err(internal)?.into())
    }

    /// The key that answers for an authority whose own is slow. Made when it is needed, and never stored: another one is as
    /// good.
    async fn delegate(
        &self,
        loaded: &Arc<LoadedIssuer>,
        now: Timestamp,
    ) -> Result<Arc<Delegate>, Fault> {
        let id = loaded.authority.id;
        let current = || {
            self.ocsp
                .delegates()
                .get(&id)
                .filter(|current| current.good.contains(&now))
                .cloned()
        };
        if let Some(current) = current() {
            return Ok(current);
        }
        let _one_at_a_time = self.ocsp.making.lock().await;
        if let Some(made_meanwhile) = current() {
            return Ok(made_meanwhile);
        }
        let mut octets = [0; 20];
        self.random.fill(&mut octets);
        let loaded = loaded.clone();
        let made = self.on_signer(move || {
            let not_before = now.cut_to_minute();
            let not_after = not_before.plus_days(RESPONDER_VALIDITY_DAYS);
            let not_after = not_after.min(loaded.issuer.expires_on().cut_to_minute());
            let key = SigningKey::generate(RESPONDER_KEY).map_err(internal)?;
            let serial = SerialNumber::from_random(octets);
            let validity = Validity {
                not_before,
                not_after,
            };
            let certificate =
                responder_certificate(&loaded.issuer, &key, serial, validity).map_err(internal)?;
            let responder = OcspResponder::delegate(key, certificate).map_err(internal)?;
            let good_until = not_before.plus_days(RESPONDER_VALIDITY_DAYS - RESPONDER_RENEWAL_DAYS);
            Ok::<_, Fault>(Arc::new(Delegate {
                responder,
                good: not_before..good_until.min(not_after),
            }))
        });
        let made = made.await??;
        self.ocsp.delegates().insert(id, made.clone());
        Ok(made)
    }
}

/// Whether a nonce in the request is repeated in the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoncePolicy {
    /// The answer is for this request alone.
    Repeat,
    /// The answer is for everybody who asks the same.
    Ignore,
}

fn failure(failure: OcspFailure) -> OcspAnswer {
    OcspAnswer {
        der: ocsp_failure(failure).into(),
        keep: None,
    }
}

impl OcspState {
    /// There may be an authority that was not there when the authorities were last read.
    pub(crate) fn look_again(&self) {
        let mut known = self.known();
        known.read_at = None;
        known.generation += 1;
    }

    /// The same, unless they were read within as many seconds.
    fn look_again_after(&self, seconds: i64, now: Timestamp) {
        let mut known = self.known();
        if !known.is_read_within(seconds, now) {
            known.read_at = None;
        }
    }

    // No code that can panic runs under these locks.

    fn answers(&self) -> std::sync::MutexGuard<'_, HashMap<AnswerKey, (Timestamp, OcspAnswer)>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn delegates(&self) -> std::sync::MutexGuard<'_, HashMap<AuthorityId, Arc<Delegate>>> {
        self.delegates
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
