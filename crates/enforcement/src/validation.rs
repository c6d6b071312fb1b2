//! The validation of a client's certificate: webpki builds and verifies the path, and this file
//! checks the rest.
//!
//! webpki trusts an anchor without looking at its validity, basic constraints and critical
//! extensions, ignores key usages and authority key identifiers, and accepts any key that it does
//! not use itself.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use certgate_model::{AuthorityId, Timestamp};
use certgate_pki::{PresentedCertificate, sha256};
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage, VerifiedPath, anchor_from_trusted_cert};

use crate::certificate::Presented;
use crate::path::{CertifiedPath, Link};
use crate::verdict::Reason;

/// The most CA certificates from a client that are considered. Real chains have two or three, and
/// the search for a path grows with their number.
const INTERMEDIATES_MAX: usize = 8;

/// The digest of a CA's name and key. CA certificates with the same digest sign alike.
pub(crate) type IssuerKey = [u8; 32];

/// The CAs of an account by name and key.
pub(crate) type Issuers = HashMap<IssuerKey, Vec<AuthorityId>>;

/// A CA that can be trusted.
pub(crate) struct Authority {
    pub id: AuthorityId,
    certificate: CertificateDer<'static>,
    intermediates: Vec<CertificateDer<'static>>,
    anchor: TrustAnchor<'static>,
    /// webpki refuses every name below a constraint of directory names. For such a CA, the subjects
    /// are checked here, and other names are refused.
    constrains_directories: bool,
}

/// A refusal, with a detail for a log.
pub(crate) type Refusal = (Reason, String);

impl Authority {
    /// Reads a CA. The error says why no certificate of it can be trusted.
    pub fn read(
        id: AuthorityId,
        certificate: Vec<u8>,
        intermediates: Vec<Vec<u8>>,
    ) -> Result<Self, String> {
        let constrains_directories =
            PresentedCertificate::read(&certificate)?.constrains_directories();
        let certificate = CertificateDer::from(certificate);
        let mut anchor = anchor_from_trusted_cert(&certificate)
            .map_err(|error| error.to_string())?
            .to_owned();
        if constrains_directories {
            anchor.name_constraints = None;
        }
        Ok(Self {
            id,
            anchor,
            constrains_directories,
            certificate,
            intermediates: intermediates.into_iter().map(Into::into).collect(),
        })
    }

    /// The digest of its name and key.
    pub fn key(&self) -> IssuerKey {
        PresentedCertificate::read(&self.certificate).map_or([0; 32], |read| key_of(&read))
    }
}

fn key_of(certificate: &PresentedCertificate<'_>) -> IssuerKey {
    sha256(&[certificate.subject(), certificate.spki()].concat())
}

/// The CAs that a host trusts.
pub(crate) struct TrustSet {
    authorities: Vec<Arc<Authority>>,
    anchors: Vec<TrustAnchor<'static>>,
    issuers: Arc<Issuers>,
}

impl TrustSet {
    /// The contents of the names of the CAs, which clients use to choose among their certificates.
    pub fn subjects(&self) -> impl Iterator<Item = &[u8]> {
        self.anchors.iter().map(|anchor| &*anchor.subject)
    }

    pub fn new(authorities: Vec<Arc<Authority>>, issuers: Arc<Issuers>) -> Self {
        Self {
            anchors: authorities.iter().map(|ca| ca.anchor.clone()).collect(),
            authorities,
            issuers,
        }
    }

    /// Validates a client's certificate, which was read from `presented.leaf`.
    pub fn validate(
        &self,
        presented: &Presented<'_>,
        leaf: &PresentedCertificate<'_>,
        now: Timestamp,
    ) -> Result<CertifiedPath, Refusal> {
        leaf.check_key()
            .map_err(|detail| (Reason::WeakKey, detail))?;
        check_validity(leaf, now)?;
        leaf.check_client()
            .map_err(|detail| (Reason::NoPath, detail))?;

        let der = CertificateDer::from(presented.leaf);
        let end_entity =
            EndEntityCert::try_from(&der).map_err(|error| (Reason::NoPath, error.to_string()))?;
        let sent = presented.intermediates.iter().take(INTERMEDIATES_MAX);
        let mut intermediates: Vec<_> = sent.map(|der| CertificateDer::from(*der)).collect();
        let stored = self.authorities.iter().flat_map(|ca| &ca.intermediates);
        intermediates.extend(stored.map(|der| CertificateDer::from(der.as_ref())));

        // webpki tries the next path after a refusal here, and reports one error of all paths.
        let refusal = RefCell::new(None);
        let check = |candidate: &VerifiedPath<'_>| match self.certify(leaf, candidate, now) {
            Ok(_) => Ok(()),
            Err(found) => {
                refusal.replace(Some(found));
                Err(webpki::Error::UnknownIssuer)
            }
        };
        let path = end_entity.verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            &self.anchors,
            &intermediates,
            unix_time(now),
            KeyUsage::client_auth(),
            None,
            Some(&check),
        );
        match path {
            Ok(path) => self.certify(leaf, &path, now),
            Err(error) => Err(refusal
                .take()
                .unwrap_or_else(|| self.refusal_of(leaf, &error))),
        }
    }

    /// Checks a path with valid signatures, and copies the parts that a verdict needs.
    fn certify(
        &self,
        leaf: &PresentedCertificate<'_>,
        path: &VerifiedPath<'_>,
        now: Timestamp,
    ) -> Result<CertifiedPath, Refusal> {
        let no_path = |detail: String| (Reason::NoPath, detail);
        let place = self
            .anchors
            .iter()
            .position(|anchor| std::ptr::eq(anchor, path.anchor()))
            .ok_or_else(|| no_path("the path has an unknown end".to_owned()))?;
        let anchor = &self.authorities[place];
        let chain: Vec<_> = path
            .intermediate_certificates()
            .map(|certificate| certificate.der().to_vec())
            .collect();

        let mut certified = CertifiedPath {
            anchor: anchor.id,
            signed_by: None,
            links: Vec::new(),
            chain: Vec::new(),
            from: leaf.not_before(),
            until: leaf.not_after(),
            issuer_serial: [0; 20],
            issuer_key_identifier: None,
            headers: OnceLock::new(),
        };
        let mut issuers = Vec::with_capacity(chain.len() + 1);
        for der in chain
            .iter()
            .map(Vec::as_slice)
            .chain([&*anchor.certificate])
        {
            let issuer = PresentedCertificate::read(der);
            issuers.push(issuer.map_err(|detail| no_path(format!("a CA in its path: {detail}")))?);
        }
        for (place, issuer) in issuers.iter().enumerate() {
            let between = &issuers[..place];
            check_validity(issuer, now)?;
            issuer
                .check_authority(leaf, between)
                .map_err(|detail| no_path(format!("a CA in its path: {detail}")))?;
            let child = between.last().unwrap_or(leaf);
            child.check_issued_by(issuer).map_err(no_path)?;
            let signers = self.issuers.get(&key_of(issuer));
            let signers = signers.map(Vec::as_slice).unwrap_or_default();
            certified.links.extend(signers.iter().map(|id| Link {
                authority: *id,
                serial: child.serial(),
            }));
            if place == 0 {
                let is_anchor = |id: &&AuthorityId| **id == anchor.id;
                let signer = signers.iter().find(is_anchor).or(signers.first());
                certified.signed_by = signer.copied();
                certified.issuer_serial = issuer.serial();
                certified.issuer_key_identifier =
                    issuer.subject_key_identifier().map(<[u8]>::to_vec);
            }
            certified.from = certified.from.max(issuer.not_before());
            certified.until = certified.until.min(issuer.not_after());
        }
        let has_other_names = {
            let mut between = issuers.iter().take(chain.len());
            leaf.has_alternative_names() || between.any(|issuer| issuer.has_alternative_names())
        };
        if anchor.constrains_directories && has_other_names {
            let detail = "its CA constrains directory names, and it has alternative names";
            return Err(no_path(detail.to_owned()));
        }
        drop(issuers);
        certified.chain = chain;
        Ok(certified)
    }

    fn refusal_of(&self, leaf: &PresentedCertificate<'_>, error: &webpki::Error) -> Refusal {
        let reason = match error {
            webpki::Error::CertExpired { .. } => Reason::Expired,
            webpki::Error::CertNotValidYet { .. } => Reason::NotYetValid,
            webpki::Error::UnknownIssuer => {
                let is_issuer = |ca: &Arc<Authority>| {
                    let read = PresentedCertificate::read(&ca.certificate);
                    read.is_ok_and(|read| read.subject() == leaf.issuer())
                };
                match self.authorities.iter().any(is_issuer) {
                    true => Reason::NoPath,
                    false => Reason::UnknownAuthority,
                }
            }
            _ => Reason::NoPath,
        };
        (reason, error.to_string())
    }
}

fn check_validity(certificate: &PresentedCertificate<'_>, now: Timestamp) -> Result<(), Refusal> {
    let (from, until) = (certificate.not_before(), certificate.not_after());
    if now < from {
        return Err((Reason::NotYetValid, format!("not valid before {from}")));
    }
    // OpenSSL counts the second of notAfter as expired.
    if now >= until {
        return Err((Reason::Expired, format!("not valid after {until}")));
    }
    Ok(())
}

fn unix_time(now: Timestamp) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_millis(now.unix_milliseconds()))
}
