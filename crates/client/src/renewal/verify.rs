//! The checks of a new certificate, before anything on the disk changes.

use std::time::Duration;

use certgate_model::Timestamp;
use certgate_pki::PresentedCertificate;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use crate::failure::Failure;

/// The expectations of a new certificate.
pub struct Expected<'a> {
    /// The public key of the request, a SubjectPublicKeyInfo in DER.
    pub spki: &'a [u8],
    /// The subject of the certificate that it replaces, in the text form of RFC 2253.
    pub subject: Option<&'a str>,
    /// The CAs of the server.
    pub authorities: &'a [CertificateDer<'static>],
    /// The instant at which it must be valid.
    pub at: Timestamp,
}

/// Finds the certificate for the key among those of an answer, and verifies it: its path to a CA of
/// the server with all signatures, its dates, and its subject. Returns it and the certificates of
/// CAs above it, without a self-signed one.
pub fn verified(
    answer: &[CertificateDer<'static>],
    expected: &Expected<'_>,
) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let bad = |reason: String| {
        Failure::failed(format!("the new certificate is not usable: {reason}"))
            .hint("nothing has changed here; report it to the operator of the server")
    };
    // 1. The key and the subject.
    let own = answer.iter().find_map(|one| {
        let read = PresentedCertificate::read(one).ok()?;
        (read.spki() == expected.spki).then_some((one, read))
    });
    let (own, read) = own.ok_or_else(|| bad("none has the key of the request".to_owned()))?;
    if let Some(subject) = expected.subject
        && read.subject_text() != subject
    {
        let other = read.subject_text();
        return Err(bad(format!("its subject is {other:?} and not {subject:?}")));
    }
    // 2. The path, the signatures and the dates.
    let certificate =
        EndEntityCert::try_from(own).map_err(|error| bad(format!("it is malformed: {error}")))?;
    let anchors: Vec<TrustAnchor<'_>> = expected
        .authorities
        .iter()
        .filter_map(|authority| anchor_from_trusted_cert(authority).ok())
        .collect();
    let between: Vec<_> = answer.iter().filter(|one| *one != own).cloned().collect();
    let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
    let time = UnixTime::since_unix_epoch(since_epoch(expected.at));
    // A certificate for a server is usable too: EST servers issue both.
    let path = [KeyUsage::client_auth(), KeyUsage::server_auth()].map(|usage| {
        certificate.verify_for_usage(algorithms.all, &anchors, &between, time, usage, None, None)
    });
    let path = match path {
        [Ok(path), _] | [_, Ok(path)] => path,
        [Err(error), _] => return Err(bad(error.to_string())),
    };
    // 3. The CAs above it.
    let mut chain = vec![own.clone()];
    chain.extend(
        path.intermediate_certificates()
            .map(|one| one.der().into_owned()),
    );
    let anchor = expected.authorities.iter().find(|authority| {
        anchor_from_trusted_cert(authority).is_ok_and(|anchor| anchor == *path.anchor())
    });
    if let Some(anchor) = anchor
        && PresentedCertificate::read(anchor).is_ok_and(|read| read.subject() != read.issuer())
    {
        chain.push(anchor.clone());
    }
    Ok(chain)
}

fn since_epoch(at: Timestamp) -> Duration {
    Timestamp::from_unix(0).until(at).duration()
}
