//! The import of CAs. Each fixture is named after its defect.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use certgate_model::{KeyAlgorithm, Timestamp};
use certgate_pki::{
    AUTHORITY_CERTIFICATE_BYTES_MAX, ChainError, ImportError, PrivateKeyError, SigningKey,
    pem_lines, read_authority,
};

/// 2026-08-01T00:00:00Z.
const NOW: Timestamp = Timestamp::from_unix(1_785_542_400);

fn file(name: &str) -> String {
    let path = format!(
        "{}/tests/fixtures/authorities/{name}",
        env!("CARGO_MANIFEST_DIR")
    );
    std::fs::read_to_string(path).unwrap()
}

fn refused(certificate: &str, key: &str) -> ImportError {
    read_authority(certificate, key, NOW).unwrap_err()
}

#[test]
fn read_authority_accepts_every_form() {
    for certificate in ["good", "good_no_key_usage", "good_no_common_name"] {
        for key in ["good.pkcs8.key", "good.sec1.key"] {
            let certificate = file(&format!("{certificate}.crt"));
            let (read, pkcs8) = read_authority(&certificate, &file(key), NOW).unwrap();
            assert_eq!(read.algorithm, KeyAlgorithm::P256);
            assert_eq!(read.issuer.expires_on(), read.not_after);
            assert_eq!(
                pem_lines("CERTIFICATE", &read.certificate_der),
                certificate.trim_end()
            );
            assert!(SigningKey::from_pkcs8(read.algorithm, &pkcs8).is_ok());
            let named = !certificate.contains(&file("good_no_common_name.crt"));
            assert_eq!(read.common_name, if named { "Acme Device CA" } else { "" });
        }
    }
}

#[test]
fn read_authority_names_each_defect_of_the_certificate() {
    let key = file("good.pkcs8.key");
    let good = file("good.crt");
    let malformed = |what| ImportError::Malformed { what };
    let not_authority = ImportError::NotAuthority;
    for (certificate, error) in [
        ("", ImportError::NoPem),
        (
            &*format!("{good}{good}"),
            ImportError::Chain(ChainError::Repeated { number: 2 }),
        ),
        (
            &*format!("{good}{}", file("good_no_common_name.crt")),
            ImportError::Chain(ChainError::SeveralChains { number: 1 }),
        ),
        (&*key, ImportError::PrivateKeyInCertificate),
        (
            &*format!("{good}{key}"),
            ImportError::PrivateKeyInCertificate,
        ),
        (
            &*good.replace("CERTIFICATE", "CERTIFICATE REQUEST"),
            ImportError::WrongPemLabel {
                label: "CERTIFICATE REQUEST".to_owned(),
            },
        ),
        (
            &*good.replace("-----END CERTIFICATE-----", ""),
            malformed("it has no line -----END CERTIFICATE-----"),
        ),
        (
            &*good.replace("MII", "M?I"),
            malformed("the text between BEGIN and END is not Base64"),
        ),
        (
            &*file("der_garbage.crt"),
            malformed(
                "its content is not DER: it is cut off, or its lengths contradict each other",
            ),
        ),
        (
            &*file("signature_flipped.crt"),
            malformed("its signature does not verify under its own key"),
        ),
        (
            &*file("not_ca.crt"),
            not_authority("it has no basic constraints with CA:TRUE"),
        ),
        (
            &*file("no_basic_constraints.crt"),
            not_authority("it has no basic constraints with CA:TRUE"),
        ),
        (
            &*file("no_key_cert_sign.crt"),
            not_authority("its key usage does not include keyCertSign"),
        ),
        (
            &*file("empty_subject.crt"),
            not_authority("it has an empty subject"),
        ),
        (&*file("no_crl_sign.crt"), ImportError::NoCrlSign),
        (&*file("servers_only.crt"), ImportError::NotForClients),
        (&*file("any_purpose.crt"), ImportError::NotForClients),
        (
            &*file("expired.crt"),
            ImportError::Expired {
                expired_on: "2025-01-01T00:00:00Z".parse().unwrap(),
            },
        ),
        (
            &*file("not_yet_valid.crt"),
            ImportError::NotYetValid {
                valid_from: "2060-01-01T00:00:00Z".parse().unwrap(),
            },
        ),
        (
            &*" ".repeat(AUTHORITY_CERTIFICATE_BYTES_MAX + 1),
            ImportError::TooLarge {
                bytes: AUTHORITY_CERTIFICATE_BYTES_MAX + 1,
            },
        ),
    ] {
        assert_eq!(refused(certificate, &key), error);
    }
}

#[test]
fn text_around_the_certificate_is_ignored() {
    let (good, key) = (file("good.crt"), file("good.pkcs8.key"));
    for tail in ["x", "# comment\n", "\u{1a}", "\0", "\u{feff}", "\u{c}"] {
        for certificate in [format!("{good}{tail}"), format!("{tail}{good}")] {
            let read = read_authority(&certificate, &format!("{key}{tail}"), NOW);
            assert!(read.is_ok(), "{tail:?}: {read:?}");
        }
    }
}

#[test]
fn the_validity_includes_its_last_instant() {
    let (good, key) = (file("good.crt"), file("good.pkcs8.key"));
    let end: Timestamp = "2070-01-01T00:00:00Z".parse().unwrap();
    assert!(read_authority(&good, &key, end).is_ok());
    let late = read_authority(&good, &key, end.plus_seconds(1)).unwrap_err();
    assert_eq!(late, ImportError::Expired { expired_on: end });
}

#[test]
fn read_authority_names_each_defect_of_the_key_without_showing_it() {
    let good = file("good.crt");
    let kind = |kind: &str| PrivateKeyError::NotForAuthority {
        kind: kind.to_owned(),
    };
    for (key, error) in [
        ("another.key", ImportError::KeyMismatch),
        ("encrypted.key", PrivateKeyError::Encrypted.into()),
        ("encrypted_sec1.key", PrivateKeyError::Encrypted.into()),
        ("p521.key", kind("P-521").into()),
        (
            "rsa_1024.key",
            PrivateKeyError::RsaModulusSize { bits: 1024 }.into(),
        ),
        (
            "good.crt",
            PrivateKeyError::WrongPemLabel {
                label: "CERTIFICATE".to_owned(),
            }
            .into(),
        ),
    ] {
        let key = file(key);
        let found = refused(&good, &key);
        assert_eq!(found, error);
        let secret = key.lines().nth(1).unwrap();
        assert!(!found.to_string().contains(secret) && !format!("{found:?}").contains(secret));
    }
}
