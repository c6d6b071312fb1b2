//! Issuing a client certificate.

use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use certgate_model::{Actor, CertificateId, CertificateRecord, SECONDS_PER_DAY, Status, ZoneId};
use certgate_pki::{Profile, Validity, prepare, read_csr, sign};
use certgate_store::CertificateRecorded;
use tokio::sync::oneshot;

use crate::access::{WriteCertificates, ZoneScope};
use crate::authorities::internal;
use crate::{Authority, Fault, IssueError};

/// The longest validity unless the operator says otherwise, in days: 15 years.
pub const VALIDITY_DAYS_MAX_DEFAULT: u32 = 5_475;

/// How often a certificate is signed because the authority was replaced between signing and recording. Whoever replaces it
/// more often meanwhile has to stop first.
const SIGNINGS_MAX: usize = 4;

/// What a caller asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssueRequest {
    /// The certificate signing request (PKCS #10, PEM), exactly as sent.
    pub csr: String,
    /// The validity, as sent; bounds are checked here.
    pub validity_days: i64,
    /// By which a request that is repeated is recognised.
    pub idempotency_key: Option<IdempotencyKey>,
}

/// What a client calls a request, so that repeating it makes nothing new.
///
/// The certificate's id is made from it. So nothing has to be kept or forgotten, and two requests that come at once, to
/// whichever processes, cannot both be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

/// The longest idempotency key, in characters.
pub const IDEMPOTENCY_KEY_CHARACTERS_MAX: usize = 255;

impl IdempotencyKey {
    /// 1 to [`IDEMPOTENCY_KEY_CHARACTERS_MAX`] visible characters of ASCII.
    pub fn new(text: &str) -> Option<Self> {
        let is_good = (1..=IDEMPOTENCY_KEY_CHARACTERS_MAX).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        is_good.then(|| Self(text.to_owned()))
    }

    /// The id of the certificate that this caller asks for in this zone.
    fn certificate(&self, zone: ZoneId, actor: &Actor) -> CertificateId {
        let (kind, id) = actor.code();
        let mut context = Context::new(&SHA256);
        context.update(zone.as_bytes());
        context.update(&[kind]);
        // Of one length: nothing that follows can be taken for a part of it.
        context.update(id.unwrap_or(&[0; 16]));
        context.update(self.0.as_bytes());
        let mut octets = [0; 16];
        octets.copy_from_slice(&context.finish().as_ref()[..16]);
        CertificateId::named(octets)
    }
}

impl Authority {
    /// Issues a certificate. When this returns it, it is durable; when it does not, nothing is left of it, unless it says that
    /// nobody knows. With an idempotency key that came before, this is the certificate that was issued then.
    pub async fn issue(
        &self,
        scope: &ZoneScope<WriteCertificates>,
        request: IssueRequest,
    ) -> Result<Arc<CertificateRecord>, IssueError> {
        let zone = scope.zone();
        let IssueRequest {
            mut csr,
            validity_days,
            idempotency_key,
        } = request;

        // 1. Refuse what can be refused before any work is done.
        let days = self.checked_days(validity_days)?;
        let now = self.clock.now();
        let by = scope.by(now);
        let is_repeatable = idempotency_key.is_some();
        let id = match &idempotency_key {
            None => CertificateId::time_ordered(now, &*self.random),
            Some(key) => key.certificate(zone.id, &by.actor),
        };
        if is_repeatable && let Some(found) = self.store.certificate(zone.id, id).await? {
            return of_same_request(found, &csr, days);
        }
        let quota = self.settings.zone_certificates_max;
        if let Some(quota) = quota
            && self.store.totals(zone.id).await?.all() >= quota
        {
            // The same request may have been the last one that was let in.
            if is_repeatable && let Some(found) = self.store.certificate(zone.id, id).await? {
                return of_same_request(found, &csr, days);
            }
            return Err(IssueError::QuotaReached { quota });
        }
        let mut loaded = match self.loaded_issuer(zone.account) {
            Some(loaded) => loaded,
            // The first request of an account makes its authority, so it must be a good one.
            None => {
                let first = csr.clone();
                self.on_signer(move || read_csr(&first).map(drop)).await??;
                self.issuer(zone.account)
                    .await
                    .map_err(Fault::nothing_issued)?
                    .ok_or(IssueError::NoZone)?
            }
        };
        let not_before = now.cut_to_minute();
        let not_after = not_before.plus_days(days);
        let zone_id = zone.id;
        for _ in 0..SIGNINGS_MAX {
            let authority_id = loaded.authority.id;
            let authority_expires_on = loaded.issuer.expires_on();
            if not_after > authority_expires_on {
                // Nothing is refused for the sake of an authority that another process has replaced.
                let in_force = self
                    .store
                    .managed_authority(zone.account)
                    .await?
                    .ok_or(IssueError::NoZone)?;
                if in_force.id != authority_id {
                    loaded = self
                        .issuer_after(zone.account, authority_id)
                        .await
                        .map_err(Fault::nothing_issued)?
                        .ok_or(IssueError::NoZone)?;
                    continue;
                }
                let left = authority_expires_on.seconds_since(not_before);
                return Err(IssueError::OutlivesAuthority {
                    given: validity_days,
                    max: left / SECONDS_PER_DAY,
                    authority_expires_on: authority_expires_on.to_string(),
                });
            }

            // 2. Off the I/O threads: check the request and its proof of possession, build and lint what is to be signed.
            // 3. Sign.
            // 4. Re-read the output: it is what was prepared and verifies under the authority's key (in `sign`).
            let serial = self.serials.serial(id, &*self.random);
            let sign = move || {
                let checked = read_csr(&csr)?;
                let authority = loaded.authority.clone();
                let profile = Profile {
                    crl_url: loaded.crl_url(serial.shard()),
                    ocsp_url: loaded.ocsp_url(),
                };
                let validity = Validity {
                    not_before,
                    not_after,
                };
                let prepared = prepare(&loaded.issuer, &checked, serial, validity, &profile)
                    .map_err(internal)?;
                let signed = sign(prepared).map_err(internal)?;
                Ok::<_, IssueError>(CertificateRecord {
                    id,
                    zone: zone_id,
                    authority,
                    status: Status::Active,
                    serial,
                    subject: checked.subject().clone(),
                    issued_on: not_before,
                    expires_on: not_after,
                    validity_days: days,
                    signature: signed.signature,
                    fingerprint_sha256: signed.fingerprint_sha256,
                    ski: signed.ski,
                    der: signed.der,
                    csr,
                    revoked_on: None,
                    revocation_reason: None,
                })
            };

            // 5. Record, handed over where it was signed: an I/O thread is woken once, by the answer. A crash before it is
            // durable leaves nothing: the signature has not left the process.
            let store = self.store.clone();
            let work = move |answer: oneshot::Sender<_>| {
                let certificate = match sign() {
                    Ok(certificate) => Arc::new(certificate),
                    Err(error) => return drop(answer.send(Err(error))),
                };
                let recorded = certificate.clone();
                let report = move |outcome| drop(answer.send(Ok((recorded, outcome))));
                store.hand_over_certificate(certificate, quota, by, Box::new(report));
            };
            let (certificate, outcome) = self.begun_on_signer(work).await??;
            let outcome = outcome.map_err(|error| match Fault::from(error) {
                Fault::InDoubt(text) => IssueError::InDoubt {
                    id,
                    is_repeatable,
                    text,
                },
                fault => fault.into(),
            });
            match outcome? {
                CertificateRecorded::Recorded => {}
                CertificateRecorded::NoZone => {
                    self.zones.clear();
                    return Err(IssueError::NoZone);
                }
                CertificateRecorded::QuotaReached => {
                    let quota = quota.ok_or_else(|| {
                        Fault::Internal("a quota was reached that is not set".into())
                    })?;
                    return Err(IssueError::QuotaReached { quota });
                }
                // The same request, at the same time.
                CertificateRecorded::Exists if is_repeatable => {
                    let found = self
                        .store
                        .certificate(zone.id, id)
                        .await?
                        .ok_or(IssueError::NoZone)?;
                    return of_same_request(found, &certificate.csr, days);
                }
                CertificateRecorded::Exists => {
                    return Err(
                        Fault::Internal(format!("a random id was given out before: {id}")).into(),
                    );
                }
                // Again from 2, with the one that is in force now: this signature is thrown away.
                CertificateRecorded::AuthorityNotInForce => {
                    csr = certificate.csr.clone();
                    loaded = self
                        .issuer_after(zone.account, authority_id)
                        .await
                        .map_err(Fault::nothing_issued)?
                        .ok_or(IssueError::NoZone)?;
                    continue;
                }
            }

            // 6. Answer.
            metrics::counter!("certgate_certificates_issued_total").increment(1);
            return Ok(certificate);
        }
        Err(Fault::Unavailable(
            "the account's authority is being replaced again and again".to_owned(),
        )
        .into())
    }

    fn checked_days(&self, given: i64) -> Result<u32, IssueError> {
        let max = self.settings.validity_days_max;
        u32::try_from(given)
            .ok()
            .filter(|days| (1..=max).contains(days))
            .ok_or(IssueError::Validity { given, max })
    }
}

/// The certificate that an idempotency key has made, if the request with it is the one that made it.
fn of_same_request(
    found: CertificateRecord,
    csr: &str,
    days: u32,
) -> Result<Arc<CertificateRecord>, IssueError> {
    match found.csr == csr && found.validity_days == days {
        true => Ok(Arc::new(found)),
        false => Err(IssueError::KeyReused(found.id)),
    }
}
