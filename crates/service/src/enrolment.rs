//! Enrolment: certificates for clients without a token, which authenticate by a certificate.

use std::net::IpAddr;
use std::sync::Arc;

use certgate_model::{
    AccountAuthority, Actor, AuthorityId, AuthorityState, By, CertificateId, CertificateRecord,
    EnrolmentRules, SECONDS_PER_DAY, SerialNumber, StoredRules, ZoneId, ZoneRecord,
};
use certgate_pki::{AdoptError, pem_lines, read_adopted, sha256, stored_certificates};
use certgate_store::{Basis, Renewal, RenewalRefused};

use crate::access::Access;
use crate::adopting::adopted_id;
use crate::cache::Cache;
use crate::environment::Environment;
use crate::error::{EnrolError, IssueError, RENEWALS_PER_DAY_MAX};
use crate::issuers::Issuers;
use crate::issuing::{CsrRemarks, Enrolling, Issued, Issuing};
use crate::measures;
use crate::serials::SerialCipher;

/// The least time between two renewals of a line of certificates, in seconds: a client that renews
/// in a loop is told so before it has made many certificates.
const RENEWAL_INTERVAL_SECONDS: i64 = 60;

/// The days of the first certificate of a client, unless a rule says otherwise.
const ENROLLED_DAYS: i64 = 90;

/// Lets clients enrol and renew.
pub struct Enrolment {
    pub(crate) environment: Environment,
    pub(crate) issuing: Issuing,
    pub(crate) issuers: Arc<Issuers>,
    pub(crate) serials: Arc<SerialCipher>,
    access: Arc<Access>,
    zones: Cache<String, ZoneId>,
}

impl Enrolment {
    pub(crate) fn new(environment: Environment, issuing: Issuing) -> Self {
        Self {
            zones: Cache::new(environment.clock.clone()),
            access: issuing.access.clone(),
            issuers: issuing.issuers.clone(),
            serials: issuing.serials.clone(),
            environment,
            issuing,
        }
    }

    /// Returns the zone of this name, in any letter case.
    pub async fn zone(&self, name: &str) -> Result<Arc<ZoneRecord>, EnrolError> {
        let load = async {
            let zone = self.environment.store.zone_by_name(name).await;
            zone.map(|zone| zone.map(|zone| zone.id))
        };
        let id = self.zones.get_or_load(name.to_owned(), load).await?;
        let zone = self.access.zone(*id.ok_or(EnrolError::NoZone)?).await?;
        zone.ok_or(EnrolError::NoZone)
    }

    /// Returns the certificates (DER) of the CAs whose certificates are accepted in a zone: the
    /// active one first, then prepared and superseded ones. The first request of an account creates
    /// its CA.
    pub async fn authorities(&self, zone: &ZoneRecord) -> Result<Vec<Vec<u8>>, EnrolError> {
        let active = self.issuers.active(zone.account).await?;
        let active = active.ok_or(EnrolError::NoZone)?.authority.id;
        self.authorities_from(zone, active).await
    }

    /// Returns the same with this CA first, which may be retired.
    pub async fn authorities_from(
        &self,
        zone: &ZoneRecord,
        first: AuthorityId,
    ) -> Result<Vec<Vec<u8>>, EnrolError> {
        let store = &self.environment.store;
        let mut all = store.managed_authorities(zone.account).await?;
        all.retain(|ca| ca.state != AuthorityState::Retired || ca.record.id == first);
        all.sort_by_key(|ca| ca.record.id != first);
        Ok(all
            .into_iter()
            .map(|ca| ca.record.certificate_der)
            .collect())
    }

    /// Renews the certificate (DER) whose key the client has, as the TLS handshake proved: issues
    /// one with the subject of the CSR, which must be the same, and with the key of the CSR. A CSR
    /// with the same key again gets the same certificate, because the first answer may be lost.
    pub async fn reenrol(
        &self,
        zone: Arc<ZoneRecord>,
        presented: &[u8],
        csr: String,
        from: Option<IpAddr>,
    ) -> Result<Issued, EnrolError> {
        // 1. The certificate is the zone's, and valid.
        let renewed = Arc::new(self.presented(&zone, presented).await?);
        let now = self.environment.now();
        let (begin, end) = (renewed.issued_on, renewed.expires_on);

        // 2. Its CA is trusted, and it may be renewed now.
        let authorities = self
            .environment
            .store
            .managed_authorities(zone.account)
            .await?;
        let is_signer = |ca: &&AccountAuthority| ca.record.id == renewed.authority.id;
        let signer = authorities.iter().find(is_signer);
        if signer.is_none_or(|ca| ca.state == AuthorityState::Retired) {
            return Err(EnrolError::RetiredAuthority);
        }
        let rules = enrolment_rules(&zone);
        let revoke_after = rules.revoke_replaced_after;
        let renewal = Renewal {
            replaced: renewed.id,
            interval_seconds: RENEWAL_INTERVAL_SECONDS,
            per_day_max: RENEWALS_PER_DAY_MAX,
            revoke_on: revoke_after.map(|after| now.plus_seconds(after.seconds().into())),
        };
        let store = &self.environment.store;
        if let Some(refused) = store.renewal_refused(zone.id, renewal, now).await? {
            let repeated = match refused {
                RenewalRefused::Replaced { by, .. } => {
                    issued_for_key(&self.issuing, &zone, &[by], &csr).await?
                }
                _ => None,
            };
            return repeated.ok_or(IssueError::NotRenewed(refused).into());
        }

        // 3. The new certificate lives as long as the old one, unless a rule says otherwise.
        let before = begin.until(end).seconds();
        let enrolling = Enrolling {
            csr,
            seconds: rules.lifetime.map_or(before, |one| one.seconds().into()),
            basis: Basis::Renewal(renewal),
            by: By {
                actor: Actor::Certificate(renewed.id),
                address: from,
                at: now,
            },
            renewed: Some(renewed),
            name: None,
            zone,
        };
        let issued = self.issuing.enrol(enrolling).await?;
        measures::enrolled("renewal");
        Ok(issued)
    }

    /// Issues the first certificate to a client that has one of a CA which the zone trusts (DER),
    /// such as that of its manufacturer. Its common name is the one in that certificate.
    pub async fn enrol_with_certificate(
        &self,
        zone: Arc<ZoneRecord>,
        presented: &[u8],
        csr: String,
        from: Option<IpAddr>,
    ) -> Result<Issued, EnrolError> {
        // 1. A trusted CA has signed the certificate, and both are valid.
        let rules = enrolment_rules(&zone);
        let mut authorities = Vec::new();
        for id in rules.trusted_cas {
            let store = &self.environment.store;
            let uploaded = store.mtls_certificate(zone.account, id).await?;
            authorities.extend(uploaded.into_iter().filter_map(|uploaded| {
                let chain = stored_certificates(&uploaded.certificates)?;
                Some((id, uploaded.expires_on, chain.into_iter().next()?))
            }));
        }
        let ders: Vec<_> = authorities.iter().map(|(_, _, der)| der.clone()).collect();
        let text = pem_lines("CERTIFICATE", presented);
        let read = move || read_adopted(&text, &ders);
        let client = match self.environment.signers.run(read).await? {
            Ok(client) => client,
            Err(AdoptError::OtherAuthority { .. } | AdoptError::Signature { .. }) => {
                return Err(EnrolError::NotTrusted);
            }
            Err(error) => return Err(EnrolError::Unacceptable(error.to_string())),
        };
        let now = self.environment.now();
        let mut signers = client.authorities.iter().map(|index| &authorities[*index]);
        let signer = signers.find(|(_, expires_on, _)| now <= *expires_on);
        let (authority, ..) = signer.ok_or(EnrolError::NotTrusted)?;
        let (begin, end) = (client.issued_on, client.expires_on);
        if !(begin..=end).contains(&now) {
            return Err(EnrolError::NotValid {
                from: begin,
                to: end,
                now,
            });
        }
        let name = client.subject.common_name;
        if name.is_empty() {
            let text = "the client certificate has no common name, which would name the new one";
            return Err(EnrolError::Unacceptable(text.to_owned()));
        }

        // 2. The client gets the same name.
        let enrolling = Enrolling {
            csr,
            seconds: default_seconds(&zone),
            renewed: None,
            name: Some(name),
            basis: Basis::Permission,
            by: By {
                actor: Actor::TrustedCa(*authority),
                address: from,
                at: now,
            },
            zone,
        };
        let issued = self.issuing.enrol(enrolling).await?;
        measures::enrolled("trusted_ca");
        Ok(issued)
    }

    /// Returns the certificate (DER) whose key the client has, if it is the zone's and its time has
    /// come and is not over. It may be revoked.
    pub async fn presented(
        &self,
        zone: &ZoneRecord,
        der: &[u8],
    ) -> Result<CertificateRecord, EnrolError> {
        let found = self.find(zone.id, der).await?;
        let found = found.ok_or(EnrolError::OtherCertificate)?;
        let (from, to, now) = (found.issued_on, found.expires_on, self.environment.now());
        match (from..=to).contains(&now) {
            true => Ok(found),
            false => Err(EnrolError::NotValid { from, to, now }),
        }
    }

    /// Returns the certificate of a zone with these octets. Its status is that of this moment.
    async fn find(
        &self,
        zone: ZoneId,
        der: &[u8],
    ) -> Result<Option<CertificateRecord>, EnrolError> {
        let Some(serial) = SerialNumber::of_certificate(der) else {
            return Ok(None);
        };
        let adopted = adopted_id(zone, &sha256(der));
        for id in [self.serials.id(serial), adopted] {
            let found = self.environment.store.certificate(zone, id).await?;
            if let Some(found) = found.filter(|found| found.der == der) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

/// Returns the rules of a zone. Of corrupt ones, nothing is issued later.
fn enrolment_rules(zone: &ZoneRecord) -> EnrolmentRules {
    match &zone.issuance_rules {
        StoredRules::Known(rules) => rules.enrolment.clone(),
        StoredRules::Absent | StoredRules::Corrupt(_) => EnrolmentRules::default(),
    }
}

/// Returns the lifetime of the first certificate of a client that names none, in seconds.
pub(crate) fn default_seconds(zone: &ZoneRecord) -> i64 {
    let lifetime = enrolment_rules(zone).lifetime;
    lifetime.map_or(ENROLLED_DAYS * SECONDS_PER_DAY, |lifetime| {
        lifetime.seconds().into()
    })
}

/// Returns one of these certificates, if it has the key of this CSR: then an earlier request had
/// the same one.
pub(crate) async fn issued_for_key(
    issuing: &Issuing,
    zone: &ZoneRecord,
    ids: &[CertificateId],
    csr: &str,
) -> Result<Option<Issued>, EnrolError> {
    if ids.is_empty() {
        return Ok(None);
    }
    let key = issuing.read(zone.account, csr).await?.ski();
    let store = &issuing.environment.store;
    let mut left = ids;
    loop {
        // A read returns at least one certificate, unless none is left.
        let part = store.certificates_by_ids(zone.id, left.to_vec()).await?;
        let Some(last) = part.last().map(|one| one.id) else {
            return Ok(None);
        };
        let mut part = part.into_iter();
        let found = part.find(|one| !one.status.is_revoked() && one.ski == key);
        if let Some(found) = found {
            return Ok(Some(Issued {
                certificate: Arc::new(found),
                remarks: CsrRemarks::default(),
            }));
        }
        let read = left.iter().position(|id| *id == last);
        left = &left[read.map_or(left.len(), |at| at + 1)..];
    }
}
