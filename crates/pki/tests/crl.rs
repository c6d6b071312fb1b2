//! Revocation lists, verified by webpki, the openssl program, and x509-cert as a second reader.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod judges;

use certgate_model::{KeyAlgorithm, Revocation, RevocationReason};
use certgate_pki::{CRL_ENTRY_BYTES, CrlHead, CrlScope, sign_crl};
use judges::{Authority, NOW, PROFILE_URL, authority, issue, openssl, serial, write_pem_file};
use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{
    BorrowedCertRevocationList, CertRevocationList, EndEntityCert, ExpirationPolicy, KeyUsage,
    RevocationCheckDepth, RevocationOptionsBuilder, UnknownStatusPolicy, anchor_from_trusted_cert,
};
use x509_cert::crl::CertificateList;
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::{CrlNumber, CrlReason, IssuingDistributionPoint};

fn head(scope: CrlScope<'_>) -> CrlHead<'_> {
    CrlHead {
        scope,
        number: 300,
        this_update: NOW,
        next_update: NOW.plus_days(7),
    }
}

fn entry(number: u32) -> Revocation {
    Revocation {
        serial: serial(number),
        revoked_on: NOW,
        reason: RevocationReason::CertificateHold,
    }
}

const SHARD: CrlScope<'_> = CrlScope::Shard { url: PROFILE_URL };

#[test]
fn lists_of_every_length_form_read_back() {
    let authority = authority(KeyAlgorithm::P256);
    for count in [0, 1, 2, 3, 4, 300, 1_300, 70_000] {
        let entries = (0..count).map(entry);
        let der = sign_crl(&authority.issuer, head(SHARD), entries).unwrap();
        let list = <CertificateList>::from_der(&der).unwrap();
        let read = list.tbs_cert_list.revoked_certificates.unwrap_or_default();
        assert_eq!(read.len(), count as usize);
        for (number, read) in (0..count).zip(&read) {
            assert_eq!(read.serial_number.as_bytes(), serial(number).as_bytes());
        }
        let rest = der.len() - count as usize * CRL_ENTRY_BYTES;
        assert!(
            (300..600).contains(&rest),
            "{count}: {rest} octets beside the entries"
        );
    }
}

#[test]
fn a_list_has_its_number_scope_and_reasons() {
    let authority = authority(KeyAlgorithm::P256);
    let read = |scope, entries: Vec<Revocation>| {
        let der = sign_crl(&authority.issuer, head(scope), entries).unwrap();
        <CertificateList>::from_der(&der).unwrap().tbs_cert_list
    };
    for reason in RevocationReason::ALL {
        let list = read(CrlScope::Full, vec![Revocation { reason, ..entry(1) }]);
        let extensions = list.revoked_certificates.unwrap()[0]
            .crl_entry_extensions
            .clone();
        match extensions {
            None => assert_eq!(reason, RevocationReason::Unspecified),
            Some(extensions) => {
                let found = CrlReason::from_der(extensions[0].extn_value.as_bytes()).unwrap();
                assert_eq!(found as u8, reason.code());
            }
        }
    }

    let extensions = |scope| read(scope, vec![]).crl_extensions.unwrap();
    let point = |scope| {
        let extension = extensions(scope).into_iter().nth(2)?;
        assert!(extension.critical);
        Some(IssuingDistributionPoint::from_der(extension.extn_value.as_bytes()).unwrap())
    };
    let number = extensions(CrlScope::Full)[1].clone();
    assert_eq!(
        CrlNumber::from_der(number.extn_value.as_bytes())
            .unwrap()
            .0
            .as_bytes(),
        [1, 0x2c]
    );
    assert_eq!(point(CrlScope::Full), None);
    let shard = point(SHARD).unwrap();
    assert!(shard.only_contains_user_certs && !shard.only_contains_ca_certs);
    assert!(format!("{:?}", shard.distribution_point.unwrap()).contains(PROFILE_URL));
    let authorities = point(CrlScope::AuthorityCertificates).unwrap();
    assert!(authorities.only_contains_ca_certs && !authorities.only_contains_user_certs);
    assert_eq!(authorities.distribution_point, None);
}

fn webpki_accepts(
    authority: &Authority,
    certificate: &[u8],
    crl: &[u8],
) -> Result<(), webpki::Error> {
    let crl = CertRevocationList::from(BorrowedCertRevocationList::from_der(crl)?);
    let crls = [&crl];
    let options = RevocationOptionsBuilder::new(&crls)
        .unwrap()
        .with_depth(RevocationCheckDepth::EndEntity)
        .with_status_policy(UnknownStatusPolicy::Deny)
        .with_expiration_policy(ExpirationPolicy::Enforce)
        .build();
    let anchor_der = CertificateDer::from(authority.der.as_slice());
    let leaf_der = CertificateDer::from(certificate);
    let at = UnixTime::since_unix_epoch(std::time::Duration::from_secs(
        NOW.plus_days(1).unix() as u64
    ));
    EndEntityCert::try_from(&leaf_der)?.verify_for_usage(
        webpki::ALL_VERIFICATION_ALGS,
        &[anchor_from_trusted_cert(&anchor_der)?],
        &[],
        at,
        KeyUsage::client_auth(),
        Some(options),
        None,
    )?;
    Ok(())
}

#[test]
fn webpki_rejects_revoked_certificates_only() {
    for algorithm in KeyAlgorithm::ALL {
        let authority = authority(algorithm);
        let (active, revoked) = (issue(&authority, serial(1)), issue(&authority, serial(2)));
        for scope in [CrlScope::Full, SHARD] {
            let crl = sign_crl(&authority.issuer, head(scope), [entry(2)]).unwrap();
            assert_eq!(
                webpki_accepts(&authority, &active, &crl),
                Ok(()),
                "{algorithm}, {scope:?}"
            );
            let refused = webpki_accepts(&authority, &revoked, &crl);
            assert_eq!(
                refused,
                Err(webpki::Error::CertRevoked),
                "{algorithm}, {scope:?}"
            );
        }
        // The list of another shard covers neither certificate.
        let elsewhere = CrlScope::Shard {
            url: "http://pki.example.com/crl/another.crl",
        };
        let crl = sign_crl(&authority.issuer, head(elsewhere), [entry(2)]).unwrap();
        let unknown = webpki_accepts(&authority, &active, &crl);
        assert_eq!(
            unknown,
            Err(webpki::Error::UnknownRevocationStatus),
            "{algorithm}"
        );
    }
}

#[test]
fn openssl_rejects_revoked_certificates_only() {
    let folder = tempfile::tempdir().unwrap();
    let at = NOW.plus_days(1).unix().to_string();
    for algorithm in KeyAlgorithm::ALL {
        let authority = authority(algorithm);
        let anchor = write_pem_file(&folder, "anchor.pem", "CERTIFICATE", &authority.der);
        for scope in [CrlScope::Full, SHARD] {
            let crl = sign_crl(&authority.issuer, head(scope), [entry(2)]).unwrap();
            let crl = write_pem_file(&folder, "list.pem", "X509 CRL", &crl);
            let verify = |number| {
                let der = issue(&authority, serial(number));
                let leaf = write_pem_file(&folder, "leaf.pem", "CERTIFICATE", &der);
                openssl(&[
                    "verify",
                    "-crl_check",
                    "-purpose",
                    "sslclient",
                    "-x509_strict",
                    "-attime",
                    &at,
                    "-CAfile",
                    &anchor,
                    "-CRLfile",
                    &crl,
                    &leaf,
                ])
            };
            let (Some(active), Some(revoked)) = (verify(1), verify(2)) else {
                return;
            };
            assert!(active.0, "{algorithm}, {scope:?}: {}", active.1);
            assert!(
                !revoked.0 && revoked.1.contains("certificate revoked"),
                "{scope:?}: {}",
                revoked.1
            );
        }
    }
}
