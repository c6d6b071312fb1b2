//! Reading uploaded certificates and private keys. Each fixture is named after its defect.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use certgate_model::Timestamp;
use certgate_pki::{ChainError, PrivateKeyError, Purpose, pem_lines, read_chain, read_private_key};
use proptest::prelude::*;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/uploaded")
}

fn fixture(name: &str) -> String {
    let path = directory().join(format!("{name}.pem"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn now() -> Timestamp {
    "2026-08-14T10:20:30Z".parse().unwrap()
}

/// A defect: the name of the fixture, its error as a CA certificate, and a part of the remedy in its
/// message.
type Defect = (&'static str, ChainError, &'static str);

fn chains() -> impl Iterator<Item = Defect> {
    pem_defects().into_iter().chain(certificate_defects())
}

const NOT_DER: &str = "its content is not DER: it is cut off, or its lengths contradict each other";

/// Defects of the PEM text and of DER.
fn pem_defects() -> Vec<Defect> {
    use ChainError::*;
    let malformed = |what| Malformed { number: 1, what };
    vec![
        ("garbage", NoPem, "-----BEGIN CERTIFICATE-----"),
        ("der", Der, "openssl x509 -inform DER"),
        ("pkcs12", Pkcs12, "openssl pkcs12"),
        ("public_key", PublicKey, "send the certificate"),
        ("private_key", PrivateKey, "in private_key"),
        ("private_key_beside", PrivateKey, "in private_key"),
        ("request", CertificateRequest, "that a CA issued"),
        (
            "pkcs7",
            WrongPemLabel {
                label: "PKCS7".into(),
            },
            "only CERTIFICATE blocks",
        ),
        (
            "no_end_line",
            malformed("it has no line -----END CERTIFICATE-----"),
            "openssl x509",
        ),
        (
            "base64_broken",
            malformed("the text between its BEGIN and END line is not Base64"),
            "openssl x509",
        ),
        ("der_garbage", malformed(NOT_DER), "openssl x509"),
        ("der_cut_off", malformed(NOT_DER), "openssl x509"),
        (
            "der_trailing_bytes",
            malformed("bytes follow the certificate inside its PEM block"),
            "openssl x509",
        ),
        ("too_many", TooMany { count: 11 }, "send one chain"),
        (
            "too_large",
            TooLarge {
                bytes: fixture("too_large.certs").len(),
            },
            "only the CERTIFICATE blocks",
        ),
    ]
}

/// Defects of certificates and of their order.
fn certificate_defects() -> Vec<Defect> {
    use ChainError::*;
    let not_authority = |reason| NotAuthority { number: 1, reason };
    let expired = |number| Expired {
        number,
        expired_on: "2024-05-06T00:00:00Z".into(),
    };
    vec![
        ("repeated", Repeated { number: 2 }, "send each once"),
        (
            "chain_without_middle",
            SeveralChains { number: 1 },
            "the certificates between",
        ),
        (
            "chain_signed_by_another_key",
            SignatureInvalid { number: 1 },
            "again",
        ),
        (
            "self_signature_flipped",
            SignatureInvalid { number: 1 },
            "again",
        ),
        (
            "chain_signature_flipped",
            SignatureInvalid { number: 1 },
            "again",
        ),
        ("expired", expired(1), "send one that is valid"),
        ("chain_root_expired", expired(2), "send one that is valid"),
        (
            "not_authority",
            not_authority("it has no basic constraints with CA:TRUE"),
            "ca: false",
        ),
        (
            "no_basic_constraints",
            not_authority("it has no basic constraints with CA:TRUE"),
            "ca: false",
        ),
        (
            "no_cert_sign",
            not_authority("its key usage does not include keyCertSign"),
            "ca: false",
        ),
        (
            "version_1",
            Version {
                number: 1,
                version: 1,
            },
            "version 3",
        ),
        (
            "rsa_1024",
            Key {
                number: 1,
                reason: "the RSA modulus has 1024 bits, 2048 to 8192 are accepted".into(),
            },
            "2048",
        ),
        (
            "curve_secp256k1",
            Key {
                number: 1,
                reason:
                    "the elliptic curve 1.3.132.0.10 (secp256k1) is not supported; P-256, P-384 \
                     and P-521 are"
                        .into(),
            },
            "P-256",
        ),
        (
            "signed_with_dsa",
            SignatureAlgorithmUnsupported {
                number: 1,
                oid: "2.16.840.1.101.3.4.3.2 (dsa-with-SHA256)".into(),
            },
            "Ed25519",
        ),
    ]
}

fn keys() -> Vec<(&'static str, PrivateKeyError)> {
    use PrivateKeyError::*;
    let label = |label: &str| WrongPemLabel {
        label: label.into(),
    };
    let kind = |kind: &str| Unsupported { kind: kind.into() };
    vec![
        ("certificate", label("CERTIFICATE")),
        ("public_key", label("PUBLIC KEY")),
        ("garbage", NoPem),
        ("several", Several),
        ("encrypted", Encrypted),
        ("encrypted_traditional", Encrypted),
        (
            "curve_secp256k1",
            kind("elliptic curve 1.3.132.0.10 (secp256k1)"),
        ),
        ("dsa", kind("1.2.840.10040.4.1 (DSA)")),
        ("rsa_1024", RsaModulusSize { bits: 1024 }),
        (
            "der_garbage",
            Malformed {
                what: "its content is not PKCS #8",
            },
        ),
        (
            "point_of_another_key",
            Invalid {
                kind: "P-256".into(),
            },
        ),
    ]
}

fn is_printable(message: &str) -> bool {
    message.len() < 500 && message.is_ascii() && !message.contains('\n') && !message.contains("MIG")
}

#[test]
fn read_chain_names_each_defect_and_its_remedy() {
    for (name, error, remedy) in chains() {
        let found = read_chain(
            &fixture(&format!("{name}.certs")),
            Purpose::Authority,
            now(),
        )
        .map(drop);
        assert_eq!(found, Err(error.clone()), "{name}");
        let message = error.to_string();
        assert!(
            message.contains(remedy) && is_printable(&message),
            "{name}: {message}"
        );
    }
    let as_leaf = read_chain(&fixture("chain_without_middle.certs"), Purpose::Leaf, now());
    assert_eq!(as_leaf, Err(ChainError::SeveralChains { number: 1 }));
}

#[test]
fn read_private_key_names_each_defect() {
    for (name, error) in keys() {
        let found = read_private_key(&fixture(&format!("{name}.key"))).map(drop);
        assert_eq!(found, Err(error.clone()), "{name}");
        assert!(is_printable(&error.to_string()), "{name}: {error}");
    }
    let root = read_chain(&fixture("good_root.certs"), Purpose::Authority, now()).unwrap();
    assert!(root.is_certificate_of(&read_private_key(&fixture("good_root.key")).unwrap()));
    assert!(!root.is_certificate_of(&read_private_key(&fixture("another.key")).unwrap()));
}

#[test]
fn every_fixture_has_an_expected_result() {
    let chains: BTreeSet<_> = chains().map(|(name, ..)| name).collect();
    let keys: BTreeSet<_> = keys()
        .into_iter()
        .map(|(name, _)| name)
        .chain(["another"])
        .collect();
    let mut count = 0;
    for entry in std::fs::read_dir(directory()).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        let Some(name) = file.strip_suffix(".pem") else {
            continue;
        };
        count += 1;
        if let Some(name) = name.strip_suffix(".certs") {
            let purpose = if name.contains("leaf") {
                Purpose::Leaf
            } else {
                Purpose::Authority
            };
            let read = read_chain(&fixture(&format!("{name}.certs")), purpose, now());
            assert_eq!(read.is_ok(), name.starts_with("good_"), "{name}: {read:?}");
            assert!(
                read.is_ok() || chains.contains(name),
                "{name} is not in a table"
            );
        } else if let Some(name) = name.strip_suffix(".key") {
            let read = read_private_key(&fixture(&format!("{name}.key")));
            assert!(
                read.is_ok() == name.starts_with("good_") || name == "another",
                "{name}: {read:?}"
            );
            assert!(
                name.starts_with("good_") || keys.contains(name),
                "{name} is not in a table"
            );
        }
    }
    assert!(count > chains.len() + keys.len());
}

/// The text form of the issuer equals that of openssl.
#[test]
fn openssl_reads_the_same_issuer_and_certificates() {
    for (name, signature) in [
        ("good_root", "ECDSAWithSHA256"),
        ("good_p256_sha1", "ECDSAWithSHA1"),
        ("good_p256_sha384", "ECDSAWithSHA384"),
        ("good_p256_sha512", "ECDSAWithSHA512"),
        ("good_rsa_2048", "SHA256WithRSA"),
        ("good_rsa_2048_sha1", "SHA1WithRSA"),
        ("good_rsa_2048_sha384", "SHA384WithRSA"),
        ("good_rsa_2048_sha512", "SHA512WithRSA"),
        ("good_ed25519", "PureEd25519"),
        ("good_middle_and_root", "ECDSAWithSHA256"),
    ] {
        let chain = read_chain(
            &fixture(&format!("{name}.certs")),
            Purpose::Authority,
            now(),
        )
        .unwrap();
        assert_eq!(chain.signature, signature, "{name}");
        let path = directory().join(format!("{name}.certs.pem"));
        let output = Command::new("openssl")
            .args(["x509", "-noout", "-issuer", "-nameopt", "RFC2253", "-in"])
            .arg(&path)
            .output()
            .unwrap();
        let output = String::from_utf8(output.stdout).unwrap();
        assert_eq!(
            output.trim_end(),
            format!("issuer={}", chain.issuer),
            "{name}"
        );
        assert_eq!(chain.to_pem(), fixture(&format!("{name}.certs")), "{name}");
    }
}

#[test]
fn the_first_certificate_describes_the_chain() {
    let text = fixture("good_middle_and_root.certs");
    let chain = read_chain(&text, Purpose::Authority, now()).unwrap();
    assert_eq!(chain.certificates().len(), 2);
    assert_eq!(chain.issuer, "CN=Root,O=Example\\, Ltd,C=DE");
    assert_eq!(chain.serial_number, "7");
    assert_eq!(chain.expires_on.to_string(), "2050-06-07T08:09:10Z");
    // Line ends and other text do not matter.
    let (escaped, crlf) = (text.replace('\n', "\\n"), text.replace('\n', "\r\n"));
    for sent in [
        escaped.as_str(),
        &crlf,
        text.trim_end(),
        &format!("Root of all\n{text}\n\n"),
    ] {
        assert_eq!(
            read_chain(sent, Purpose::Authority, now()).as_ref(),
            Ok(&chain),
            "{sent}"
        );
    }
    let root = read_chain(&fixture("good_root.certs"), Purpose::Authority, now()).unwrap();
    // 0x1234567890abcdef1234567890abcdef12345678
    assert_eq!(
        root.serial_number,
        "103929005307927756724354605802047639613112342136"
    );
}

#[test]
fn read_private_key_accepts_every_form() {
    for kind in ["rsa_2048", "rsa_3000", "p384", "p521", "ed25519"] {
        let chain = read_chain(
            &fixture(&format!("good_{kind}.certs")),
            Purpose::Authority,
            now(),
        )
        .unwrap();
        let key = read_private_key(&fixture(&format!("good_{kind}.key"))).unwrap();
        assert!(chain.is_certificate_of(&key), "{kind}");
        if kind != "ed25519" {
            let same = read_private_key(&fixture(&format!("good_{kind}_traditional.key"))).unwrap();
            assert_eq!(same.pkcs8(), key.pkcs8(), "{kind}");
        }
        let for_authority = key.into_authority_key().map(drop);
        assert_eq!(
            for_authority.is_ok(),
            !matches!(kind, "rsa_3000" | "p521"),
            "{kind}: {for_authority:?}"
        );
    }
    read_private_key(&fixture("good_ec_parameters.key")).unwrap();
}

/// Reads the certificates of a chain of two with another decoder than the one under test.
fn chain() -> [Vec<u8>; 2] {
    let text = fixture("good_middle_and_root.certs");
    let mut octets =
        CertificateDer::pem_slice_iter(text.as_bytes()).map(|der| der.unwrap().to_vec());
    [octets.next().unwrap(), octets.next().unwrap()]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn readers_reject_random_octets(octets in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(read_chain(&pem_lines("CERTIFICATE", &octets), Purpose::Leaf, now()).is_err());
        for label in ["PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY"] {
            prop_assert!(read_private_key(&pem_lines(label, &octets)).is_err());
        }
    }

    /// One changed octet of a certificate breaks its signature, if not its structure.
    #[test]
    fn read_chain_rejects_one_changed_octet(at in any::<prop::sample::Index>(), change in 1_u8..) {
        let [mut middle, root] = chain();
        let at = at.index(middle.len());
        middle[at] ^= change;
        let blocks = [middle, root].map(|der| pem_lines("CERTIFICATE", &der));
        let text = blocks.join("\n");
        let result = read_chain(&text, Purpose::Authority, now());
        prop_assert!(result.is_err(), "octet {at} changed by {change:#04x}");
    }

    #[test]
    fn readers_do_not_panic_on_changed_text(
        name in prop::sample::select(vec![
            "good_middle_and_root.certs",
            "good_root.key",
            "good_p521_traditional.key",
        ]),
        at in any::<prop::sample::Index>(),
        inserted in "[-\\\\nrA-Za-z =é\u{0}\r\n]{1,12}",
    ) {
        let mut text = fixture(name);
        let at = at.index(text.len());
        text.insert_str(at, &inserted);
        if let Err(error) = read_chain(&text, Purpose::Authority, now()) {
            prop_assert!(error.to_string().len() < 500);
        }
        if let Err(error) = read_private_key(&text) {
            prop_assert!(error.to_string().len() < 500);
        }
    }
}
