//! Issuing, verified by webpki, the openssl program, and x509-cert as a second reader.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use certgate_model::{
    AuthorityId, KeyAlgorithm, SerialNumber, SignatureAlgorithm, SubjectFields, Timestamp,
};
use certgate_pki::{
    CheckedCsr, ClientKey, Issuer, IssuerError, LintError, Prepared, Profile, SignedCertificate,
    SigningKey, Validity, pem_lines, prepare, read_csr, self_sign, sign,
};
use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::ext::pkix;

/// 2026-08-01T00:00:00Z.
const NOW: Timestamp = Timestamp::from_unix(1_785_542_400);
const ID: AuthorityId = AuthorityId::from_bytes([0xab; 16]);
const SERIAL: SerialNumber = SerialNumber::from_random([0x5a; 20]);

struct Authority {
    der: Vec<u8>,
    issuer: Issuer,
}

fn authority(algorithm: KeyAlgorithm) -> Authority {
    let key = SigningKey::generate(algorithm).unwrap();
    let der = self_sign(
        &key,
        ID,
        SerialNumber::from_random([1; 20]),
        NOW,
        NOW.plus_days(7300),
    )
    .unwrap();
    Authority {
        issuer: Issuer::new(&der, key).unwrap(),
        der,
    }
}

fn request(name: &str) -> CheckedCsr {
    let path = format!(
        "{}/tests/fixtures/{name}.csr.pem",
        env!("CARGO_MANIFEST_DIR")
    );
    read_csr(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn profile() -> Profile {
    Profile {
        crl_url: "http://pki.example.com/crl/abababab-abab-abab-abab-abababababab/90.crl".into(),
        ocsp_url: "http://pki.example.com/ocsp".into(),
        ca_url: "http://pki.example.com/ca.crt".into(),
        alternative_names: Vec::new(),
    }
}

fn validity() -> Validity {
    Validity {
        not_before: NOW,
        not_after: NOW.plus_days(365),
    }
}

fn prepared<'a>(issuer: &'a Issuer, csr: &CheckedCsr) -> Prepared<'a> {
    prepare(issuer, csr, SERIAL, validity(), &profile()).unwrap()
}

fn issue(authority: &Authority, csr: &CheckedCsr) -> SignedCertificate {
    sign(prepared(&authority.issuer, csr)).unwrap()
}

const REQUESTS: [&str; 8] = [
    "good_rsa_2048_sha256",
    "good_p256_sha256",
    "good_p384_sha256",
    "good_p521_sha256",
    "good_ed25519",
    "good_odd_subject",
    "good_empty_subject",
    "good_extensions",
];

/// Verifies a certificate for client authentication with webpki, under one trust anchor.
fn webpki_verifies(authority: &[u8], certificate: &[u8]) -> Result<(), webpki::Error> {
    let (anchor_der, leaf_der) = (
        CertificateDer::from(authority),
        CertificateDer::from(certificate),
    );
    let anchor = anchor_from_trusted_cert(&anchor_der)?;
    let at = UnixTime::since_unix_epoch(std::time::Duration::from_secs(
        NOW.plus_days(1).unix() as u64
    ));
    EndEntityCert::try_from(&leaf_der)?.verify_for_usage(
        webpki::ALL_VERIFICATION_ALGS,
        &[anchor],
        &[],
        at,
        KeyUsage::client_auth(),
        None,
        None,
    )?;
    Ok(())
}

#[test]
fn webpki_accepts_every_ca_and_every_request() {
    for algorithm in KeyAlgorithm::ALL {
        let authority = authority(algorithm);
        for name in REQUESTS {
            let signed = issue(&authority, &request(name));
            assert_eq!(
                webpki_verifies(&authority.der, &signed.der),
                Ok(()),
                "{algorithm}, {name}"
            );
            assert_eq!(signed.signature, algorithm.signature());
        }
        let mut signed = issue(&authority, &request("good_p256_sha256"));
        *signed.der.last_mut().unwrap() ^= 1;
        assert!(
            webpki_verifies(&authority.der, &signed.der).is_err(),
            "{algorithm}: webpki accepts a changed certificate"
        );
    }
}

/// Runs the openssl program; `None` if the machine has none.
fn openssl(arguments: &[&str], input: &[u8]) -> Option<Output> {
    let started = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut openssl) = started else {
        eprintln!("skipped: the PATH has no openssl program");
        return None;
    };
    openssl.stdin.take().unwrap().write_all(input).unwrap();
    Some(openssl.wait_with_output().unwrap())
}

#[test]
fn openssl_accepts_every_ca_and_every_request() {
    let folder = tempfile::tempdir().unwrap();
    let authority_file = folder.path().join("authority.pem");
    let authority_file = authority_file.to_str().unwrap();
    let at = NOW.plus_days(1).unix().to_string();
    let usual = [
        "verify",
        "-purpose",
        "sslclient",
        "-attime",
        &at,
        "-CAfile",
        authority_file,
    ];
    let strict = [&usual[..], &["-x509_strict"]].concat();
    for algorithm in KeyAlgorithm::ALL {
        let authority = authority(algorithm);
        std::fs::write(authority_file, pem_lines("CERTIFICATE", &authority.der)).unwrap();
        for name in REQUESTS {
            let signed = issue(&authority, &request(name));
            let pem = pem_lines("CERTIFICATE", &signed.der);
            let Some(output) = openssl(&usual, pem.as_bytes()) else {
                return;
            };
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{algorithm}, {name}: {said}");

            let Some(output) = openssl(&strict, pem.as_bytes()) else {
                return;
            };
            let said = String::from_utf8_lossy(&output.stderr);
            // The known exception: an empty subject without a critical subjectAltName (RFC 5280
            // §4.1.2.6).
            if name == "good_empty_subject" {
                assert!(said.contains("empty"), "{algorithm}: {said}");
            } else {
                assert!(output.status.success(), "{algorithm}, {name}: {said}");
            }
        }
    }
}

#[test]
fn openssl_reads_our_requests_and_keys() {
    let subject = SubjectFields {
        common_name: "client".into(),
        country: "DE".into(),
        organization: "Example".into(),
        ..SubjectFields::default()
    };
    for algorithm in [
        KeyAlgorithm::P256,
        KeyAlgorithm::P384,
        KeyAlgorithm::Rsa2048,
        KeyAlgorithm::Ed25519,
    ] {
        let key = ClientKey::generate(algorithm).unwrap();
        let text = key.request(&subject).unwrap();
        let arguments = [
            "req", "-verify", "-noout", "-subject", "-nameopt", "RFC2253",
        ];
        let Some(output) = openssl(&arguments, text.as_bytes()) else {
            return;
        };
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && said.contains("CN=client,O=Example,C=DE"),
            "{algorithm}: {said}"
        );

        let arguments = ["pkey", "-pubout", "-outform", "DER"];
        let Some(output) = openssl(&arguments, key.to_pkcs8_pem().as_bytes()) else {
            return;
        };
        assert_eq!(
            output.stdout,
            read_csr(&text).unwrap().spki_der(),
            "{algorithm}"
        );
    }
}

#[test]
fn pem_lines_equal_those_of_openssl() {
    let authority = authority(KeyAlgorithm::P256);
    let arguments = ["x509", "-inform", "DER", "-outform", "PEM"];
    let Some(output) = openssl(&arguments, &authority.der) else {
        return;
    };
    let written = String::from_utf8(output.stdout).unwrap();
    assert_eq!(written, pem_lines("CERTIFICATE", &authority.der) + "\n");
}

#[test]
fn the_certificate_has_exactly_the_profile() {
    let authority = authority(KeyAlgorithm::P256);
    let csr = request("good_extensions");
    let signed = issue(&authority, &csr);
    let certificate = x509_cert::Certificate::from_der(&signed.der).unwrap();
    let tbs = certificate.tbs_certificate();
    assert_eq!(tbs.serial_number().as_bytes(), SERIAL.as_bytes());
    assert_eq!(
        tbs.issuer().to_string(),
        "CN=Managed CA abababababababababababababababab,O=certgate"
    );
    assert_eq!(
        tbs.validity().not_before.to_unix_duration().as_secs() as i64,
        NOW.unix()
    );
    assert_eq!(
        tbs.validity().not_after.to_unix_duration().as_secs() as i64,
        NOW.plus_days(365).unix()
    );

    let extensions = tbs.extensions().unwrap();
    let listed: Vec<(String, bool)> = extensions
        .iter()
        .map(|extension| (extension.extn_id.to_string(), extension.critical))
        .collect();
    let expected = [
        ("2.5.29.37", false),
        ("2.5.29.19", true),
        ("2.5.29.14", false),
        ("2.5.29.35", false),
        ("2.5.29.31", false),
        ("2.5.29.15", true),
        ("1.3.6.1.5.5.7.1.1", false),
    ];
    assert_eq!(
        listed,
        expected.map(|(id, critical)| (id.to_owned(), critical))
    );
    let value = |index: usize| extensions[index].extn_value.as_bytes();
    let usage = pkix::ExtendedKeyUsage::from_der(value(0)).unwrap();
    assert_eq!(
        usage.0.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["1.3.6.1.5.5.7.3.2"]
    );
    let constraints = pkix::BasicConstraints::from_der(value(1)).unwrap();
    assert_eq!(
        (constraints.ca, constraints.path_len_constraint),
        (false, None)
    );
    let ski = pkix::SubjectKeyIdentifier::from_der(value(2)).unwrap();
    assert_eq!(ski.0.as_bytes(), signed.ski);
    let own = x509_cert::Certificate::from_der(&authority.der).unwrap();
    let own_ski = own
        .tbs_certificate()
        .extensions()
        .unwrap()
        .last()
        .unwrap()
        .extn_value
        .as_bytes();
    let own_ski = pkix::SubjectKeyIdentifier::from_der(own_ski).unwrap();
    let aki = pkix::AuthorityKeyIdentifier::from_der(value(3)).unwrap();
    assert_eq!(aki.key_identifier.unwrap(), own_ski.0);
    let points = pkix::CrlDistributionPoints::from_der(value(4))
        .unwrap()
        .to_der()
        .unwrap();
    assert!(
        points
            .windows(profile().crl_url.len())
            .any(|part| part == profile().crl_url.as_bytes())
    );
    let key_usage = pkix::KeyUsage::from_der(value(5)).unwrap();
    assert!(key_usage.digital_signature());
    assert_eq!(key_usage.0.bits().count_ones(), 1);
    let access = pkix::AuthorityInfoAccessSyntax::from_der(value(6)).unwrap();
    assert_eq!(access.0.len(), 2);
    for (access, method, url) in [
        (&access.0[0], "1.3.6.1.5.5.7.48.1", profile().ocsp_url),
        (&access.0[1], "1.3.6.1.5.5.7.48.2", profile().ca_url),
    ] {
        assert_eq!(access.access_method.to_string(), method);
        let location = access.access_location.to_der().unwrap();
        assert!(location.ends_with(url.as_bytes()), "{url}");
    }
}

#[test]
fn subject_and_key_are_copied_byte_for_byte() {
    let authority = authority(KeyAlgorithm::P256);
    for name in REQUESTS {
        let csr = request(name);
        let signed = issue(&authority, &csr);
        let both = [csr.subject_der(), csr.spki_der()].concat();
        assert!(
            signed.der.windows(both.len()).any(|part| part == both),
            "{name}"
        );
    }
}

#[test]
fn webpki_accepts_an_end_after_2050() {
    let key = SigningKey::generate(KeyAlgorithm::P256).unwrap();
    let der = self_sign(&key, ID, SERIAL, NOW, NOW.plus_days(36_500)).unwrap();
    let authority = Authority {
        issuer: Issuer::new(&der, key).unwrap(),
        der,
    };
    assert_eq!(authority.issuer.expires_on(), NOW.plus_days(36_500));
    let validity = Validity {
        not_before: NOW,
        not_after: NOW.plus_days(36_500),
    };
    let csr = request("good_p256_sha256");
    let signed =
        sign(prepare(&authority.issuer, &csr, SERIAL, validity, &profile()).unwrap()).unwrap();
    assert_eq!(webpki_verifies(&authority.der, &signed.der), Ok(()));
}

#[test]
fn prepare_rejects_arguments_that_break_a_rule() {
    let authority = authority(KeyAlgorithm::P256);
    let csr = request("good_p256_sha256");
    let refuse = |serial, validity, profile: Profile| {
        prepare(&authority.issuer, &csr, serial, validity, &profile)
            .map(|_| ())
            .unwrap_err()
    };
    let Validity {
        not_before,
        not_after,
    } = validity();
    let with = |not_before, not_after| {
        refuse(
            SERIAL,
            Validity {
                not_before,
                not_after,
            },
            profile(),
        )
    };
    let end = authority.issuer.expires_on();
    let late = end.plus_seconds(60);

    assert_eq!(
        refuse(SerialNumber::from_bytes([0x80; 20]), validity(), profile()),
        LintError::Serial
    );
    assert_eq!(
        refuse(SerialNumber::from_bytes([0; 20]), validity(), profile()),
        LintError::Serial
    );
    assert_eq!(
        with(not_after, not_before),
        LintError::ValidityOrder {
            not_before: not_after,
            not_after: not_before
        }
    );
    assert_eq!(
        with(not_before, not_before),
        LintError::ValidityOrder {
            not_before,
            not_after: not_before
        }
    );
    let uneven = not_before.plus_seconds(1);
    assert_eq!(with(uneven, not_after), LintError::ValidityMinute(uneven));
    let finer = Timestamp::from_unix_microseconds(not_before.unix_microseconds() + 1);
    assert_eq!(with(finer, not_after), LintError::ValidityMinute(finer));
    assert_eq!(
        with(Timestamp::from_unix(-60), not_after),
        LintError::ValidityRange
    );
    let early = not_before.plus_seconds(-60);
    assert_eq!(
        with(early, not_after),
        LintError::PrecedesAuthority {
            not_before: early,
            valid_from: not_before,
        }
    );
    assert_eq!(
        with(not_before, Timestamp::from_unix(253_402_300_800)),
        LintError::ValidityRange
    );
    assert_eq!(
        with(not_before, late),
        LintError::OutlivesAuthority {
            not_after: late,
            expires_on: end
        }
    );
    for bad in [
        "",
        "ftp://x/",
        "http://",
        "http:///crl",
        "http://x/ y",
        "http://é/",
        &format!("http://x/{}", "y".repeat(512)),
    ] {
        let crl = Profile {
            crl_url: bad.into(),
            ..profile()
        };
        assert_eq!(
            refuse(SERIAL, validity(), crl),
            LintError::Url("CRL"),
            "{bad}"
        );
        let ocsp = Profile {
            ocsp_url: bad.into(),
            ..profile()
        };
        assert_eq!(
            refuse(SERIAL, validity(), ocsp),
            LintError::Url("OCSP"),
            "{bad}"
        );
        let ca = Profile {
            ca_url: bad.into(),
            ..profile()
        };
        assert_eq!(
            refuse(SERIAL, validity(), ca),
            LintError::Url("CA certificate"),
            "{bad}"
        );
    }
}

#[test]
fn an_issuer_needs_its_own_key_and_a_ca_certificate() {
    let authority = authority(KeyAlgorithm::P256);
    let key = || SigningKey::generate(KeyAlgorithm::P256).unwrap();
    assert_eq!(
        Issuer::new(&authority.der, key()).err(),
        Some(IssuerError::KeyMismatch)
    );
    let wrong_kind = SigningKey::generate(KeyAlgorithm::Ed25519).unwrap();
    assert_eq!(
        Issuer::new(&authority.der, wrong_kind).err(),
        Some(IssuerError::KeyMismatch)
    );
    let leaf = issue(&authority, &request("good_p256_sha256"));
    assert!(matches!(
        Issuer::new(&leaf.der, key()),
        Err(IssuerError::NotAuthority(_))
    ));
    for cut in 0..authority.der.len() {
        assert!(Issuer::new(&authority.der[..cut], unrelated_key()).is_err());
    }
    fn unrelated_key() -> SigningKey {
        const ONE: &[u8] = &[
            0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22,
            0x04, 0x20, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
            1, 1, 1, 1, 1, 1, 1,
        ];
        SigningKey::from_pkcs8(KeyAlgorithm::Ed25519, ONE).unwrap()
    }
}

#[test]
fn sign_returns_the_fingerprint_of_the_certificate() {
    let authority = authority(KeyAlgorithm::P384);
    let signed = issue(&authority, &request("good_p521_sha512"));
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &signed.der);
    assert_eq!(signed.fingerprint_sha256, digest.as_ref());
    assert_eq!(signed.signature, SignatureAlgorithm::EcdsaWithSha384);
}
