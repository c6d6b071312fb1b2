//! Reading requests. Each fixture is named after its defect and has its own error.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::PathBuf;

use certgate_model::SubjectFields;
use certgate_pki::{CSR_BYTES_MAX, CSR_TEXT_BYTES_MAX, CheckedCsr, CsrError, read_csr};

fn fixture(name: &str) -> String {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/{name}.csr.pem"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A defect: the name of the fixture, its error, and a part of the remedy in its message.
type Defect = (&'static str, CsrError, &'static str);

fn defects() -> impl Iterator<Item = Defect> {
    [
        pem_defects(),
        structure_defects(),
        key_defects(),
        algorithm_defects(),
    ]
    .into_iter()
    .flatten()
}

const fn malformed(what: &'static str) -> CsrError {
    CsrError::Malformed { what }
}

/// Defects of the PEM text.
fn pem_defects() -> Vec<Defect> {
    use CsrError::*;
    vec![
        ("several_blocks", SeveralPemBlocks, "exactly one"),
        ("private_key", PrivateKey, "make a new one"),
        ("private_key_beside", PrivateKey, "make a new one"),
        (
            "certificate",
            WrongPemLabel {
                label: "CERTIFICATE".into(),
            },
            "openssl req -new",
        ),
        (
            "public_key",
            WrongPemLabel {
                label: "PUBLIC KEY".into(),
            },
            "openssl req -new",
        ),
        (
            "no_end_line",
            malformed("it has no line -----END CERTIFICATE REQUEST-----"),
            "openssl req",
        ),
        ("base64_broken", BadBase64, "unchanged"),
        (
            "too_large",
            TooLarge {
                bytes: fixture("too_large").len(),
            },
            "leave out",
        ),
    ]
}

/// Defects of the structure and the subject.
fn structure_defects() -> Vec<Defect> {
    use CsrError::*;
    vec![
        (
            "der_garbage",
            malformed("its content is not a DER sequence"),
            "-verify",
        ),
        (
            "der_cut_off",
            malformed("its content is not a DER sequence"),
            "-verify",
        ),
        (
            "der_indefinite_length",
            malformed("its content is not a DER sequence"),
            "-verify",
        ),
        ("der_trailing_bytes", TrailingBytes, "openssl req -new"),
        (
            "something_after_signature",
            malformed("something follows its signature"),
            "-verify",
        ),
        (
            "signature_unused_bits",
            malformed("its signature is not a bit string"),
            "-verify",
        ),
        (
            "subject_no_sets",
            malformed("its subject is not a distinguished name"),
            "openssl req",
        ),
        (
            "subject_not_utf8",
            SubjectUnreadable {
                attribute: "common name (CN)",
            },
            "-utf8",
        ),
    ]
}

/// Defects of RSA and EC keys.
fn key_defects() -> Vec<Defect> {
    use CsrError::*;
    vec![
        (
            "rsa_1024",
            RsaModulusSize { bits: 1024 },
            "rsa_keygen_bits:2048",
        ),
        (
            "rsa_2047",
            RsaModulusSize { bits: 2047 },
            "rsa_keygen_bits:2048",
        ),
        (
            "rsa_8200",
            RsaModulusSize { bits: 8207 },
            "rsa_keygen_bits:2048",
        ),
        (
            "rsa_modulus_even",
            KeyInvalid { kind: "RSA" },
            "make a new one",
        ),
        (
            "rsa_modulus_negative",
            malformed("its RSA key is not a modulus and an exponent"),
            "openssl req",
        ),
        ("rsa_exponent_even", RsaExponent, "65537"),
        ("rsa_exponent_1", RsaExponent, "65537"),
        ("rsa_exponent_40_bits", RsaExponent, "65537"),
        (
            "curve_secp256k1",
            CurveUnsupported {
                oid: "1.3.132.0.10 (secp256k1)".into(),
            },
            "ec_paramgen_curve:P-256",
        ),
        (
            "curve_p224",
            CurveUnsupported {
                oid: "1.3.132.0.33 (P-224)".into(),
            },
            "ec_paramgen_curve:P-256",
        ),
        (
            "curve_explicit",
            CurveUnsupported {
                oid: "with explicit parameters".into(),
            },
            "named_curve",
        ),
        ("point_compressed", PointCompressed, "-conv_form"),
        (
            "point_off_curve",
            KeyInvalid { kind: "P-256" },
            "make a new one",
        ),
        (
            "point_too_short",
            KeyInvalid { kind: "P-256" },
            "make a new one",
        ),
        (
            "point_infinity",
            KeyInvalid { kind: "P-256" },
            "make a new one",
        ),
    ]
}

/// Unsupported algorithms, and signatures that do not verify.
fn algorithm_defects() -> Vec<Defect> {
    use CsrError::*;
    vec![
        (
            "key_ed448",
            KeyUnsupported {
                oid: "1.3.101.113 (Ed448)".into(),
            },
            "openssl genpkey",
        ),
        (
            "ed25519_31_bytes",
            malformed("its Ed25519 key does not have 32 bytes"),
            "openssl req",
        ),
        (
            "signed_with_sha1_rsa",
            SignatureAlgorithmUnsupported {
                oid: "1.2.840.113549.1.1.5 (sha1WithRSAEncryption)".into(),
            },
            "-sha256",
        ),
        (
            "signed_with_sha1_ecdsa",
            SignatureAlgorithmUnsupported {
                oid: "1.2.840.10045.4.1 (ecdsa-with-SHA1)".into(),
            },
            "-sha256",
        ),
        (
            "signature_flipped",
            SignatureInvalid,
            "openssl req -new -key",
        ),
        ("subject_changed", SignatureInvalid, "openssl req -new -key"),
        (
            "signed_with_another_key",
            SignatureInvalid,
            "openssl req -new -key",
        ),
        (
            "algorithm_of_another_key",
            SignatureInvalid,
            "openssl req -new -key",
        ),
    ]
}

#[test]
fn read_csr_names_each_defect_and_its_remedy() {
    for (name, error, remedy) in defects() {
        let found = read_csr(&fixture(name)).map(|csr| csr.subject().clone());
        assert_eq!(found, Err(error.clone()), "{name}");
        let message = error.to_string();
        assert!(message.contains(remedy), "{name}: {message}");
        assert!(
            message.len() < 700 && message.is_ascii(),
            "{name}: {message}"
        );
        if !matches!(error, CsrError::PrivateKey) {
            continue;
        }
        assert!(
            !message.contains("MEECAQAwEwYH"),
            "the message repeats the key"
        );
    }
}

#[test]
fn every_fixture_has_an_expected_result() {
    let judged: Vec<&str> = defects().map(|(name, ..)| name).collect();
    let mut count = 0;
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures")).unwrap()
    {
        let file = entry.unwrap().file_name().into_string().unwrap();
        let Some(name) = file.strip_suffix(".csr.pem") else {
            continue;
        };
        count += 1;
        if name.starts_with("good_") {
            read_csr(&fixture(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        } else {
            assert!(judged.contains(&name), "{name} is not in the table");
        }
    }
    assert!(count > judged.len());
}

#[test]
fn line_ends_and_other_text_do_not_change_a_request() {
    let plain = read_csr(&fixture("good_p256_sha256")).unwrap();
    let fields = SubjectFields {
        country: "DE".into(),
        organization: "Example".into(),
        common_name: "client".into(),
        ..SubjectFields::default()
    };
    assert_eq!(plain.subject(), &fields);
    let text = fixture("good_p256_sha256");
    let one_line = text.replace('\n', "");
    let without_last_line_end = text.trim_end().to_owned();
    for sent in [
        fixture("good_crlf"),
        fixture("good_escaped_newlines"),
        one_line,
        without_last_line_end,
    ] {
        let csr = read_csr(&sent).unwrap();
        assert_eq!(csr.subject_der(), plain.subject_der());
        assert_eq!(csr.spki_der(), plain.spki_der());
        assert_eq!(csr.ski(), plain.ski());
    }
    for name in ["good_new_label", "good_text_before"] {
        assert_eq!(
            read_csr(&fixture(name)).unwrap().subject(),
            &fields,
            "{name}"
        );
    }
}

#[test]
fn an_odd_subject_is_read_and_stays_unchanged() {
    let text = fixture("good_odd_subject");
    let csr = read_csr(&text).unwrap();
    let expected = SubjectFields {
        common_name: "zz first".into(),
        country: "DE".into(),
        state: "Köln".into(),
        location: "Zürich".into(),
        organization: "Ærø".into(),
        organizational_unit: "unit@example".into(),
    };
    assert_eq!(csr.subject(), &expected);
    let set_out_of_order = b"\x0c\x08zz first\x30\x0f\x06\x03\x55\x04\x03\x0c\x08a second";
    assert!(
        csr.subject_der()
            .windows(set_out_of_order.len())
            .any(|part| part == set_out_of_order)
    );
}

#[test]
fn an_empty_subject_is_accepted() {
    let csr: CheckedCsr = read_csr(&fixture("good_empty_subject")).unwrap();
    assert_eq!(csr.subject_der(), [0x30, 0]);
    assert_eq!(csr.subject(), &SubjectFields::default());
}

#[test]
fn the_size_limits_are_exact() {
    let text = fixture("good_p256_sha256");
    let padded = |total: usize| format!("{}{text}", " ".repeat(total - text.len()));
    assert_eq!(
        read_csr(&padded(CSR_BYTES_MAX + 1)).err(),
        Some(CsrError::TooLarge {
            bytes: CSR_BYTES_MAX + 1
        })
    );
    // With CR and LF at each line end, the block alone has this length.
    let alone = text
        .trim_end()
        .lines()
        .map(|line| line.len() + 2)
        .sum::<usize>();
    assert!(read_csr(&padded(alone + CSR_TEXT_BYTES_MAX)).is_ok());
    let error = read_csr(&padded(alone + CSR_TEXT_BYTES_MAX + 1)).unwrap_err();
    let bytes = CSR_TEXT_BYTES_MAX + 1;
    assert_eq!(error, CsrError::TextAround { bytes });
    assert!(error.to_string().contains("at most 1024"), "{error}");
}

/// Places text and white space at random around and inside the block. The judge counts what is left
/// of the text after the block's own lines.
#[test]
fn text_and_white_space_are_limited_wherever_they_stand() {
    let text = fixture("good_p256_sha256");
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let alone = lines.iter().map(|line| line.len() + 2).sum::<usize>();
    let mut state = 7_u64;
    let mut below = |end: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as usize % end
    };
    for _ in 0..300 {
        let mut sent = "x\n".repeat(below(400));
        for line in &lines {
            sent.push_str(line);
            sent.push_str(&["\n", "\r\n", "\\n"][below(3)].repeat(1 + below(40)));
            sent.push_str(&" ".repeat(below(20)));
        }
        sent.push_str(&"\n".repeat(below(400)));
        let surplus = sent.len().saturating_sub(alone);
        match surplus > CSR_TEXT_BYTES_MAX {
            true => assert_eq!(
                read_csr(&sent).err(),
                Some(CsrError::TextAround { bytes: surplus })
            ),
            false => assert!(read_csr(&sent).is_ok(), "{surplus}"),
        }
    }
}

#[test]
fn quotations_in_messages_are_short_and_printable() {
    let label = "\u{1b}[31m\u{202e}é\"".repeat(5);
    let text = format!("-----BEGIN {label}-----\nAAEC\n-----END {label}-----\n");
    let message = read_csr(&text).unwrap_err().to_string();
    assert!(
        message.is_ascii() && !message.contains('\u{1b}') && message.len() < 700,
        "{message}"
    );
}
