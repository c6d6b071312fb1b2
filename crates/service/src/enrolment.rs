//! Enrolment: certificates for clients without a token, which authenticate by a certificate.

use std::net::IpAddr;
use std::sync::Arc;

use certgate_model::{
    AccountAuthority, Actor, AuthorityState, By, CertificateId, CertificateRecord, SerialNumber,
    Status, ZoneId, ZoneRecord,
};
use certgate_pki::sha256;
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
        let store = &self.environment.store;
        let mut all = store.managed_authorities(zone.account).await?;
        all.retain(|ca| ca.state != AuthorityState::Retired);
        all.sort_by_key(|ca| ca.record.id != active);
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
        let renewed = self.find(zone.id, presented).await?;
        let renewed = Arc::new(renewed.ok_or(EnrolError::OtherCertificate)?);
        let now = self.environment.now();
        let (begin, end) = (renewed.issued_on, renewed.expires_on);
        if !(begin..=end).contains(&now) {
            return Err(EnrolError::NotValid {
                from: begin,
                to: end,
                now,
            });
        }

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
        let renewal = Renewal {
            replaced: renewed.id,
            interval_seconds: RENEWAL_INTERVAL_SECONDS,
            per_day_max: RENEWALS_PER_DAY_MAX,
            revoke_on: None,
        };
        let store = &self.environment.store;
        if let Some(refused) = store.renewal_refused(zone.id, renewal, now).await? {
            let repeated = match refused {
                RenewalRefused::Replaced { by, .. } => self.repeated(&zone, by, &csr).await?,
                _ => None,
            };
            return repeated.ok_or(IssueError::NotRenewed(refused).into());
        }

        // 3. The new certificate lives as long as the old one.
        let enrolling = Enrolling {
            csr,
            seconds: begin.until(end).seconds(),
            basis: Basis::Renewal(renewal),
            by: By {
                actor: Actor::Certificate(renewed.id),
                address: from,
                at: now,
            },
            renewed: Some(renewed),
            zone,
        };
        let issued = self.issuing.enrol(enrolling).await?;
        measures::enrolled("renewal");
        Ok(issued)
    }

    /// Returns the certificate that replaced another, if it has the key of this CSR: then an earlier
    /// request had the same one.
    async fn repeated(
        &self,
        zone: &ZoneRecord,
        id: CertificateId,
        csr: &str,
    ) -> Result<Option<Issued>, EnrolError> {
        let successor = self.environment.store.certificate(zone.id, id).await?;
        let Some(successor) = successor.filter(|one| !is_revoked(one.status)) else {
            return Ok(None);
        };
        let csr = self.issuing.read(zone.account, csr).await?;
        Ok((csr.ski() == successor.ski).then(|| Issued {
            certificate: Arc::new(successor),
            remarks: CsrRemarks::default(),
        }))
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

fn is_revoked(status: Status) -> bool {
    matches!(status, Status::PendingRevocation | Status::Revoked)
}
