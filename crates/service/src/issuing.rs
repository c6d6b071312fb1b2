use std::sync::Arc;

use certgate_model::{
    AccountId, AlternativeName, By, CertificateId, CertificateRecord, Lineage, SECONDS_PER_DAY,
    SerialNumber, Status, Timestamp, ZoneId, ZoneRecord,
};
use certgate_pki::{
    CheckedCsr, Issuer, LintError, Profile, Validity, certificate_alternative_names, prepare,
    read_csr, read_csr_of_known_key, sign,
};
use certgate_store::{Basis, CertificateRecorded, RecordingLimits, StoreError};
use tokio::sync::oneshot;

use crate::access::{Access, IssueCertificates, ZoneScope};
use crate::environment::Environment;
use crate::error::{Fault, IssueError, internal};
use crate::idempotency::IdempotencyKey;
use crate::issuance::AppliedRules;
use crate::issuers::{Issuers, ReadyIssuer};
use crate::serials::SerialCipher;

/// Maximum number of signatures for one request. A certificate is signed again if its CA was
/// replaced between signature and record.
const SIGNATURES_MAX: usize = 4;

/// A request for a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssueRequest {
    /// The certificate signing request (PKCS #10, PEM), exactly as sent.
    pub csr: String,
    /// The validity, as sent. [`Issuing::issue`] checks its bounds.
    pub validity_days: i64,
    /// The client's name of the request, to repeat it safely.
    pub idempotency_key: Option<IdempotencyKey>,
}

/// An issued certificate, with remarks for the requester.
#[derive(Debug, Clone)]
pub struct Issued {
    /// Its record.
    pub certificate: Arc<CertificateRecord>,
    /// The parts of the request that the certificate lacks.
    pub remarks: CsrRemarks,
}

/// The parts of a CSR that its certificate lacks, or that verifiers cannot read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CsrRemarks {
    /// The subject is empty.
    pub is_subject_empty: bool,
    /// The first attribute of the subject that OpenSSL cannot read.
    pub unreadable: Option<String>,
    /// The names beside the subject, as short printable texts.
    pub names: Vec<String>,
    /// The end of the certificate, if an issuance rule made it earlier than requested.
    pub shortened_to: Option<Timestamp>,
}

impl CsrRemarks {
    /// Returns the remarks about a request and its certificate, which has these alternative names.
    fn of(csr: &CheckedCsr, copied: &[AlternativeName], certificate: &CertificateRecord) -> Self {
        let requested = certificate.issued_on.plus_days(certificate.validity_days);
        let end = certificate.expires_on;
        Self {
            // The critical alternative names name the holder (RFC 5280 §4.1.2.6).
            is_subject_empty: csr.is_subject_empty() && copied.is_empty(),
            unreadable: csr.attribute_unreadable_for_openssl(),
            names: match copied {
                [] => csr.names().to_vec(),
                copied => csr.names_beyond(copied),
            },
            shortened_to: (end < requested).then_some(end),
        }
    }
}

/// Issues client certificates.
#[derive(Clone)]
pub struct Issuing {
    pub(crate) environment: Environment,
    pub(crate) access: Arc<Access>,
    pub(crate) issuers: Arc<Issuers>,
    pub(crate) serials: Arc<SerialCipher>,
}

/// A request whose own members are checked.
struct Order {
    id: CertificateId,
    zone: ZoneId,
    account: AccountId,
    csr: String,
    days: u32,
    /// Maximum number of certificates of the zone.
    quota: Option<u64>,
    /// The issuance rules of the zone and the token, if there are any.
    rules: Option<Arc<AppliedRules>>,
    /// The start of the certificate, unless its CA begins later.
    backdated: Timestamp,
    /// True if the request has an idempotency key.
    is_repeatable: bool,
    right: Right,
    by: By,
}

/// The right by which a client gets a certificate.
#[derive(Debug, Clone)]
enum Right {
    /// The permission of a token, which names the days.
    Permission,
    /// It enrols. The client cannot name a lifetime, so that the CA's end shortens it.
    Enrolment {
        /// The lifetime, in seconds.
        seconds: i64,
        /// The certificate that the client renews, if it does.
        renewed: Option<Arc<CertificateRecord>>,
        /// The only common name that the CSR may have, if another certificate or an invite gives
        /// it.
        name: Option<String>,
        basis: Basis,
    },
}

impl Right {
    fn replaced(&self) -> Option<CertificateId> {
        match self.basis() {
            Basis::Permission | Basis::Invite(_) => None,
            Basis::Renewal(renewal) => Some(renewal.replaced),
        }
    }

    fn basis(&self) -> Basis {
        match self {
            Self::Permission => Basis::Permission,
            Self::Enrolment { basis, .. } => *basis,
        }
    }

    /// Gives a request the name of the invite, if the subject of the request is empty.
    fn named(&self, csr: CheckedCsr) -> CheckedCsr {
        match self {
            Self::Enrolment {
                basis: Basis::Invite(_),
                name: Some(name),
                ..
            } => csr.or_named(name),
            _ => csr,
        }
    }

    /// Checks a request against the certificate that it renews (RFC 7030 §4.2.2): it has the same
    /// subject, and its certificate would have no further names. The certificate of an invite has
    /// nothing but its common name, because other attributes and names could be those of other
    /// people.
    fn check(&self, csr: &CheckedCsr, names: &[AlternativeName]) -> Result<(), IssueError> {
        let Self::Enrolment {
            renewed,
            name,
            basis,
            ..
        } = self
        else {
            return Ok(());
        };
        let is_invited = matches!(basis, Basis::Invite(_));
        let is_known_name = |known: &String| match is_invited {
            true => csr.is_only(known),
            false => csr.requested(0).common_names == [known.as_str()],
        };
        if let Some(name) = name.as_ref().filter(|name| !is_known_name(name)) {
            let name = name.clone();
            return Err(match is_invited {
                true => IssueError::NotInvitedName { name },
                false => IssueError::OtherName { name },
            });
        }
        if let (true, Some(name)) = (is_invited, names.first()) {
            let name = name.to_string();
            return Err(IssueError::FurtherName { name });
        }
        let Some(renewed) = renewed else {
            return Ok(());
        };
        if !csr.has_subject_of(&renewed.der) {
            return Err(IssueError::OtherSubject);
        }
        let earlier = certificate_alternative_names(&renewed.der);
        match names.iter().find(|name| !earlier.contains(name)) {
            Some(name) => Err(IssueError::FurtherName {
                name: name.to_string(),
            }),
            None => Ok(()),
        }
    }
}

/// A client that enrols: a request without a token.
pub(crate) struct Enrolling {
    pub(crate) zone: Arc<ZoneRecord>,
    /// The CSR, exactly as sent.
    pub(crate) csr: String,
    /// The wanted lifetime, in seconds. Rules and the CA can shorten it.
    pub(crate) seconds: i64,
    /// The certificate that the client renews, if it does.
    pub(crate) renewed: Option<Arc<CertificateRecord>>,
    /// The only common name that the CSR may have, if another certificate or an invite gives it.
    pub(crate) name: Option<String>,
    pub(crate) basis: Basis,
    pub(crate) by: By,
}

impl Order {
    /// The validity of the certificate of this CA. It does not begin before the CA: verifiers that
    /// validate the path at an earlier instant reject both. In the first minute of a CA, its
    /// certificates begin with the minute, because otherwise they would not be valid yet.
    fn validity(&self, issuer: &Issuer) -> Validity {
        let valid_from = issuer.valid_from();
        let next_minute = valid_from.round_up_to_minute();
        let begin = match next_minute <= self.by.at {
            true => next_minute,
            false => valid_from.cut_to_minute(),
        };
        let not_before = self.backdated.max(begin);
        let not_after = match &self.right {
            Right::Permission => not_before.plus_days(self.days),
            Right::Enrolment { seconds, .. } => {
                let end = issuer.expires_on().cut_to_minute();
                not_before.plus_seconds(*seconds).cut_to_minute().min(end)
            }
        };
        let rules = self.rules.as_ref();
        Validity {
            not_before,
            not_after: match rules.and_then(|rules| rules.lifetime_max()) {
                Some(max) => not_after.min(not_before.plus_seconds(max.seconds().into())),
                None => not_after,
            },
        }
    }
}

/// The outcome of one signature.
enum Attempt {
    Recorded(Issued),
    /// Another CA is active now. The signature was discarded.
    Superseded,
    /// The RSA key of the request is new to the server. Nothing was signed.
    KeyNotSearched,
}

impl Issuing {
    /// Issues a certificate. The returned certificate is durable. After an error nothing of it
    /// exists, except that [`IssueError::InDoubt`] leaves this open. With an idempotency key of an
    /// earlier request, returns the certificate of that request.
    pub async fn issue(
        &self,
        scope: &ZoneScope<IssueCertificates>,
        request: IssueRequest,
    ) -> Result<Issued, IssueError> {
        // 1. Reject everything that can be rejected before any work: first the members of the
        //    request, then a repeated request, then the quota.
        self.issue_order(self.order(scope, request)?).await
    }

    /// Issues a certificate to a client that enrols, as [`Issuing::issue`] does to a caller.
    pub(crate) async fn enrol(&self, enrolling: Enrolling) -> Result<Issued, IssueError> {
        self.issue_order(self.order_of(enrolling)?).await
    }

    async fn issue_order(&self, order: Order) -> Result<Issued, IssueError> {
        let order = Arc::new(order);
        if let Some(earlier) = self.earlier(&order).await? {
            return Ok(earlier);
        }
        if let Some(quota) = self.reached_quota(&order).await? {
            // The same request may have taken the last place.
            let earlier = self.earlier(&order).await?;
            return earlier.ok_or(IssueError::QuotaReached { quota });
        }
        let mut ca = self.active_ca(&order).await?;
        for _ in 0..SIGNATURES_MAX {
            // 2. to 5. Prepare, sign, read back and record.
            match self.issue_once(&order, ca.clone()).await? {
                Attempt::Recorded(issued) => {
                    // 6. Answer.
                    metrics::counter!("certgate_certificates_issued_total").increment(1);
                    return Ok(issued);
                }
                Attempt::KeyNotSearched => drop(self.search_key(order.account, &order.csr).await?),
                Attempt::Superseded => {
                    let stale = ca.authority.id;
                    let active = self.issuers.active_after(order.account, stale).await;
                    ca = active?.ok_or(IssueError::NoZone)?;
                }
            }
        }
        let text = "other processes keep replacing the account's CA: try again";
        Err(Fault::Unavailable(text.to_owned()).into())
    }

    /// Signs a certificate with this CA and records it, unless another CA is active by then.
    async fn issue_once(
        &self,
        order: &Arc<Order>,
        ca: Arc<ReadyIssuer>,
    ) -> Result<Attempt, IssueError> {
        if !self.can_sign(&ca, order).await? {
            return Ok(Attempt::Superseded);
        }
        let serial = self.serials.serial(order.id, &*self.environment.random);
        let sign = signing(order.clone(), ca.clone(), serial);
        let (by, rules, basis) = (order.by, order.rules.as_ref(), order.right.basis());
        let limits = RecordingLimits {
            quota: order.quota,
            counted: rules.and_then(|rules| rules.counted(&by, &basis)),
        };
        let store = self.environment.store.clone();
        let work = move |answer: oneshot::Sender<_>| {
            // 2. to 4. Prepare, sign and read back.
            let issued = match sign() {
                Ok(Some(issued)) => issued,
                Ok(None) => return drop(answer.send(Ok(None))),
                Err(error) => return drop(answer.send(Err(error))),
            };
            // 5. Record, handed over by the thread that signed: the answer is the only time that
            //    an I/O thread is woken. A crash before the record is durable leaves nothing,
            //    because the signature has not left the process.
            let certificate = issued.certificate.clone();
            let report = move |outcome| drop(answer.send(Ok(Some((issued, outcome)))));
            store.hand_over_certificate(certificate, limits, basis, by, Box::new(report));
        };
        let signed = self.environment.signers.begin(work).await?;
        // A request is not refused because of a CA that another process has replaced.
        if matches!(signed, Err(IssueError::Path { .. })) && !self.is_active(&ca, order).await? {
            return Ok(Attempt::Superseded);
        }
        match signed? {
            Some((issued, outcome)) => self.attempt(order, issued, outcome).await,
            None => Ok(Attempt::KeyNotSearched),
        }
    }

    /// Reads the CSR of an order, which must be acceptable.
    async fn read_accepted(&self, order: &Order) -> Result<CheckedCsr, IssueError> {
        self.read(order.account, &order.csr).await
    }

    /// Reads a CSR of an account, which must be acceptable.
    pub(crate) async fn read(
        &self,
        account: AccountId,
        csr: &str,
    ) -> Result<CheckedCsr, IssueError> {
        let text = csr.to_owned();
        let read = move || read_csr_of_known_key(&text);
        match self.environment.signers.run(read).await?? {
            Some(known) => Ok(known),
            None => self.search_key(account, csr).await,
        }
    }

    /// Searches the RSA key of a request for weaknesses, after which a signing thread knows it.
    async fn search_key(&self, account: AccountId, csr: &str) -> Result<CheckedCsr, IssueError> {
        let csr = csr.to_owned();
        let searches = &self.environment.key_searches;
        let searched = searches.run(account, move || read_csr(&csr));
        Ok(searched.await??)
    }

    /// Translates the outcome of a record.
    async fn attempt(
        &self,
        order: &Order,
        issued: Issued,
        outcome: Result<CertificateRecorded, StoreError>,
    ) -> Result<Attempt, IssueError> {
        let id = order.id;
        let outcome = outcome.map_err(|error| match Fault::from(error) {
            Fault::InDoubt(text) => IssueError::InDoubt {
                id,
                is_repeatable: order.is_repeatable,
                text,
            },
            fault => fault.into(),
        });
        match outcome? {
            CertificateRecorded::Recorded => Ok(Attempt::Recorded(issued)),
            CertificateRecorded::AuthorityNotActive => Ok(Attempt::Superseded),
            CertificateRecorded::NoZone => {
                self.access.zones_changed();
                Err(IssueError::NoZone)
            }
            CertificateRecorded::QuotaReached => {
                let quota = order.quota;
                let quota =
                    quota.ok_or_else(|| internal("the store enforced a quota without one"))?;
                Err(IssueError::QuotaReached { quota })
            }
            CertificateRecorded::DayLimitReached { owner } => {
                self.limit_reached(order, |rules| rules.day_limit(owner))
                    .await
            }
            CertificateRecorded::NameLimitReached => {
                let name = &issued.certificate.subject.common_name;
                self.limit_reached(order, |rules| rules.name_limit(name))
                    .await
            }
            CertificateRecorded::NameNotCountable => {
                let name = &issued.certificate.subject.common_name;
                self.limit_reached(order, |rules| rules.name_not_countable(name))
                    .await
            }
            CertificateRecorded::NamesNotIndexed => {
                let text = "the names of the zone's certificates are still being indexed, which \
                            the issuance rule active_per_name needs: try again later";
                Err(Fault::Unavailable(text.to_owned()).into())
            }
            CertificateRecorded::NotReplaced(refused) => Err(IssueError::NotRenewed(refused)),
            CertificateRecorded::NotInvited(refused) => Err(IssueError::NotInvited(refused)),
            // The same request arrived twice at the same time.
            CertificateRecorded::Exists if order.is_repeatable => {
                let earlier = self.earlier(order).await?.ok_or(IssueError::NoZone)?;
                Ok(Attempt::Recorded(earlier))
            }
            CertificateRecorded::Exists => {
                Err(internal(format!("the random ID {id} exists already")).into())
            }
        }
    }

    /// Returns the error for a limit of issuance rules that the store enforced, unless the same
    /// request made the certificate that reached the limit.
    async fn limit_reached(
        &self,
        order: &Order,
        error: impl FnOnce(&AppliedRules) -> Option<IssueError>,
    ) -> Result<Attempt, IssueError> {
        if let Some(earlier) = self.earlier(order).await? {
            return Ok(Attempt::Recorded(earlier));
        }
        let known = order.rules.as_deref().and_then(error);
        Err(known.unwrap_or_else(|| internal("the store enforced a rule without one").into()))
    }

    /// Checks the members of a request.
    fn order(
        &self,
        scope: &ZoneScope<IssueCertificates>,
        request: IssueRequest,
    ) -> Result<Order, IssueError> {
        let limits = self.environment.limits();
        let (given, max) = (request.validity_days, limits.validity_days_max);
        let days = u32::try_from(given)
            .ok()
            .filter(|days| (1..=max).contains(days))
            .ok_or(IssueError::Validity { given, max })?;
        let zone = scope.zone();
        let now = self.environment.now();
        let by = scope.by(now);
        let id = match &request.idempotency_key {
            None => CertificateId::time_ordered(now, &*self.environment.random),
            Some(key) => key.certificate(zone.id, &by.actor),
        };
        Ok(Order {
            id,
            zone: zone.id,
            account: zone.account,
            csr: request.csr,
            days,
            quota: limits.zone_certificates_max,
            rules: AppliedRules::of(zone, scope.token())?,
            backdated: limits.backdated(now),
            is_repeatable: request.idempotency_key.is_some(),
            right: Right::Permission,
            by,
        })
    }

    /// Chooses the lifetime of a client that enrols.
    fn order_of(&self, enrolling: Enrolling) -> Result<Order, IssueError> {
        let limits = self.environment.limits();
        let Enrolling {
            zone,
            csr,
            seconds,
            renewed,
            name,
            basis,
            by,
        } = enrolling;
        let rules = AppliedRules::of_zone(&zone)?;
        let longest = rules.as_ref().and_then(|rules| rules.lifetime_max());
        let longest = longest.map_or(i64::MAX, |max| max.seconds().into());
        let seconds = seconds
            .min(longest)
            .min(i64::from(limits.validity_days_max) * SECONDS_PER_DAY);
        let days = seconds
            .max(1)
            .unsigned_abs()
            .div_ceil(SECONDS_PER_DAY.unsigned_abs());
        Ok(Order {
            id: CertificateId::time_ordered(by.at, &*self.environment.random),
            zone: zone.id,
            account: zone.account,
            csr,
            days: u32::try_from(days).unwrap_or(u32::MAX),
            quota: limits.zone_certificates_max,
            rules,
            backdated: limits.backdated(by.at),
            is_repeatable: false,
            right: Right::Enrolment {
                seconds,
                renewed,
                name,
                basis,
            },
            by,
        })
    }

    /// Returns the certificate that an earlier request with the same idempotency key made.
    async fn earlier(&self, order: &Order) -> Result<Option<Issued>, IssueError> {
        if !order.is_repeatable {
            return Ok(None);
        }
        let store = &self.environment.store;
        match store.certificate(order.zone, order.id).await? {
            None => Ok(None),
            Some(found) if found.csr == order.csr && found.validity_days == order.days => {
                // The CSR was acceptable then. Another version may be stricter.
                let read = self.read_accepted(order).await;
                let copied = certificate_alternative_names(&found.der);
                let remarks = read.map(|csr| CsrRemarks::of(&csr, &copied, &found));
                Ok(Some(Issued {
                    certificate: Arc::new(found),
                    remarks: remarks.unwrap_or_default(),
                }))
            }
            Some(found) => Err(IssueError::KeyReused(found.id)),
        }
    }

    /// Returns the quota if the zone has reached it.
    async fn reached_quota(&self, order: &Order) -> Result<Option<u64>, IssueError> {
        let Some(quota) = order.quota else {
            return Ok(None);
        };
        let totals = self.environment.store.totals(order.zone).await?;
        Ok((totals.all() >= quota).then_some(quota))
    }

    async fn active_ca(&self, order: &Order) -> Result<Arc<ReadyIssuer>, IssueError> {
        if let Some(loaded) = self.issuers.loaded_active(order.account) {
            return Ok(loaded);
        }
        // The first request of an account creates its CA, so its CSR must be acceptable.
        self.read_accepted(order).await?;
        let active = self.issuers.active(order.account).await?;
        active.ok_or(IssueError::NoZone)
    }

    /// Returns true if the CA is valid now and outlives the certificate, and false if not but it
    /// has been superseded: a request is not refused because of a CA that another process has
    /// replaced.
    async fn can_sign(&self, ca: &ReadyIssuer, order: &Order) -> Result<bool, IssueError> {
        let (issuer, now) = (&ca.issuer, order.by.at);
        let expires_on = issuer.expires_on();
        let Validity {
            not_before,
            not_after,
        } = order.validity(issuer);
        let is_valid = issuer.is_valid_at(now);
        if is_valid && not_after <= expires_on {
            return Ok(true);
        }
        if !self.is_active(ca, order).await? {
            return Ok(false);
        }
        if !is_valid {
            return Err(IssueError::AuthorityNotValid {
                valid_from: issuer.valid_from(),
                expires_on,
                now,
            });
        }
        let left = not_before.until(expires_on).seconds();
        Err(IssueError::OutlivesAuthority {
            given: i64::from(order.days),
            max: left / SECONDS_PER_DAY,
            authority_expires_on: expires_on.to_string(),
        })
    }

    /// Returns false if another process has replaced the CA.
    async fn is_active(&self, ca: &ReadyIssuer, order: &Order) -> Result<bool, IssueError> {
        let store = &self.environment.store;
        let active = store.managed_authority(order.account).await?;
        Ok(active.ok_or(IssueError::NoZone)?.id == ca.authority.id)
    }
}

/// Returns the work of steps 2 to 4 for a signing thread. [`None`]: the key was not searched yet.
fn signing(
    order: Arc<Order>,
    ca: Arc<ReadyIssuer>,
    serial: SerialNumber,
) -> impl FnOnce() -> Result<Option<Issued>, IssueError> + Send + 'static {
    move || {
        // 2. Check the CSR and its proof of possession, validate the path, build the certificate
        //    and lint it.
        let Some(checked) = read_csr_of_known_key(&order.csr)? else {
            return Ok(None);
        };
        let checked = order.right.named(checked);
        if ca.issuer.has_name_of(&checked) {
            return Err(IssueError::NameOfIssuer);
        }
        let alternative_names = match &order.rules {
            Some(rules) => rules.check(&checked, order.days)?,
            None => Vec::new(),
        };
        order.right.check(&checked, &alternative_names)?;
        let profile = Profile {
            crl_url: ca.crl_url(serial.shard()),
            ocsp_url: ca.ocsp_url(),
            ca_url: ca.ca_url(),
            alternative_names,
        };
        let validity = order.validity(&ca.issuer);
        let prepared = prepare(&ca.issuer, &checked, serial, validity, &profile);
        let prepared = prepared.map_err(|error| match error {
            LintError::Path(error) => IssueError::Path { error },
            other => internal(other).into(),
        })?;
        // 3. Sign. 4. Read the output back: it equals the preparation, and the signature verifies.
        let signed = sign(prepared).map_err(internal)?;
        let certificate = Arc::new(CertificateRecord {
            id: order.id,
            zone: order.zone,
            authority: ca.authority.clone(),
            status: Status::Active,
            serial,
            subject: checked.subject().clone(),
            issued_on: validity.not_before,
            expires_on: validity.not_after,
            validity_days: order.days,
            signature: signed.signature,
            fingerprint_sha256: signed.fingerprint_sha256,
            ski: signed.ski,
            der: signed.der,
            csr: order.csr.clone(),
            revoked_on: None,
            revocation_reason: None,
            lineage: Lineage {
                replaces: order.right.replaced(),
                replaced_by: None,
            },
        });
        let remarks = CsrRemarks::of(&checked, &profile.alternative_names, &certificate);
        Ok(Some(Issued {
            certificate,
            remarks,
        }))
    }
}
