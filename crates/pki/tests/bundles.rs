//! Uploaded and imported CAs as operators have them: any order, text around, odd encodings. Each
//! accepted form stands beside its rejected neighbour.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod forge;

use certgate_model::Timestamp;
use certgate_pki::{ChainError, ImportError, Purpose, read_authority, read_chain};

use forge::{
    Certificate, Key, NULL, Numbers, ca_constraints, ca_usage, certificates, common_name,
    extension, octets, oid, openssl, seq, tlv,
};

/// 2026-08-01T00:00:00Z.
const NOW: Timestamp = Timestamp::from_unix(1_785_542_400);

/// The certificates of a chain, from the lowest CA to the root. Their keys are `keys`.
fn chain(keys: &[Key], prefix: &str) -> Vec<Vec<u8>> {
    let names: Vec<_> = (0..keys.len())
        .map(|number| common_name(&format!("{prefix} {number}")))
        .collect();
    let last = keys.len() - 1;
    let certificate = |number: usize| {
        let above = (number + 1).min(last);
        Certificate::below(&keys[number], &names[number], &keys[above], &names[above]).der()
    };
    (0..keys.len()).map(certificate).collect()
}

fn shuffled(numbers: &mut Numbers, ders: &mut [Vec<u8>]) {
    for index in (1..ders.len()).rev() {
        ders.swap(index, numbers.below(index + 1));
    }
}

/// Judges if a certificate verifies under the others, the last of which is the trusted one.
fn openssl_verifies(folder: &tempfile::TempDir, ders: &[Vec<u8>]) -> bool {
    let file = |name: &str, ders: &[Vec<u8>]| {
        let path = folder.path().join(name);
        std::fs::write(&path, certificates(ders)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (lowest, rest) = ders.split_first().unwrap();
    let trusted = file("trusted", &ders[ders.len() - 1..]);
    let untrusted = file("untrusted", rest);
    let leaf = file("leaf", std::slice::from_ref(lowest));
    let at = NOW.unix().to_string();
    let arguments = ["verify", "-attime", &at, "-CAfile", &trusted];
    match rest.is_empty() {
        true => openssl(&[&arguments[..], &[&leaf]].concat()).0,
        false => openssl(&[&arguments[..], &["-untrusted", &untrusted, &leaf]].concat()).0,
    }
}

/// Shuffles chains, breaks some of them, and puts texts between the blocks. openssl is the judge of
/// the chain in its order.
#[test]
fn chains_are_read_in_any_order_and_broken_ones_never() {
    let folder = tempfile::tempdir().unwrap();
    let keys: Vec<_> = (0..5).map(|_| Key::new("P-256")).collect();
    let other_keys: Vec<_> = (0..5).map(|_| Key::new("P-256")).collect();
    let mut numbers = Numbers(3);
    let (mut good, mut bad) = (0, 0);
    for case in 0..240 {
        let length = 1 + numbers.below(5);
        let keys = &keys[..length];
        let mut ders = chain(keys, "chain");
        let lowest = ders[0].clone();
        let expected: Option<fn(&ChainError) -> bool> = match numbers.below(6) {
            0 if length > 2 => {
                ders.remove(1 + numbers.below(length - 2));
                Some(|error| matches!(error, ChainError::SeveralChains { .. }))
            }
            // A certificate of the same name with another key: the link is forged.
            1 if length > 1 => {
                let at = 1 + numbers.below(length - 1);
                ders[at] = chain(&other_keys[..length], "chain")[at].clone();
                Some(|error| matches!(error, ChainError::SignatureInvalid { .. }))
            }
            2 => {
                ders.extend(chain(&other_keys[..1], "other"));
                Some(|error| matches!(error, ChainError::SeveralChains { .. }))
            }
            3 => {
                ders.push(ders[numbers.below(length)].clone());
                Some(|error| matches!(error, ChainError::Repeated { .. }))
            }
            _ => None,
        };
        // The broken part may be above the root that openssl trusts.
        let verifies = openssl_verifies(&folder, &ders);
        assert!(verifies || expected.is_some(), "{case}");
        shuffled(&mut numbers, &mut ders);
        let blocks: Vec<_> = ders
            .iter()
            .map(|der| certificates(std::slice::from_ref(der)))
            .collect();
        let between = *numbers.one_of(&[
            "",
            "\n\n",
            "# root\n",
            "Bag Attributes\n  friendlyName: x\n",
        ]);
        let tail = *numbers.one_of(&["", "\u{1a}", "\0", "\u{feff}", "---\nServer certificate\n"]);
        let text = between.to_owned() + &blocks.join(between) + tail;
        let read = read_chain(&text, Purpose::Authority, NOW);
        match (expected, read) {
            (None, Ok(chain)) => {
                assert_eq!(chain.fingerprint_sha256, certgate_pki::sha256(&lowest));
                assert_eq!(chain.certificates(), ders, "the order stays");
                let key = &keys[0];
                let imported = read_authority(&text, &key.pem(), NOW);
                let (imported, _) = imported.unwrap_or_else(|error| panic!("{case}: {error}"));
                assert_eq!(imported.certificate_der, lowest);
                let other = read_authority(&text, &other_keys[0].pem(), NOW).unwrap_err();
                assert_eq!(other, ImportError::KeyMismatch);
                good += 1;
            }
            (Some(is_expected), Err(error)) => {
                assert!(is_expected(&error), "{case}: {error}");
                assert!(
                    read_authority(&text, &keys[0].pem(), NOW).is_err(),
                    "{case}"
                );
                bad += 1;
            }
            (_, read) => panic!("{case}: {read:?}"),
        }
    }
    assert!(good > 60 && bad > 60, "{good} {bad}");
}

/// A certificate with a change, and a part of the reason to reject it; none if it is accepted.
type Variant<'a> = (&'static str, Certificate<'a>, Option<&'static str>);

fn encodings(key: &Key) -> Vec<Variant<'_>> {
    let root = || Certificate::root(key, &common_name("CA"));
    let with = |extensions: Vec<Vec<u8>>| Certificate {
        extensions,
        ..root()
    };
    let constraints = |critical, content: &[u8]| extension("2.5.29.19", critical, content);
    let is_ca = |octet: u8| seq(&[&tlv(1, &[&[octet]])]);
    let serial = |content: &[u8]| Certificate {
        serial: tlv(2, &[content]),
        ..root()
    };
    let begin = |tag: u8, time: &str| Certificate {
        validity: [
            tlv(tag, &[time.as_bytes()]),
            tlv(0x18, &[b"20700101000000Z"]),
        ],
        ..root()
    };
    let id = |parameters: &[u8]| Certificate {
        algorithm: seq(&[&oid("1.2.840.10045.4.3.2"), parameters]),
        ..root()
    };
    let negative_serial = "its serial number is negative";
    vec![
        ("plain", root(), None),
        (
            "critical FALSE",
            with(vec![constraints(Some(0), &is_ca(0xff)), ca_usage()]),
            None,
        ),
        (
            "critical as 01",
            with(vec![constraints(Some(1), &is_ca(0xff))]),
            Some("BOOLEAN is neither 00 nor FF"),
        ),
        (
            "cA as 01",
            with(vec![constraints(Some(0xff), &is_ca(1))]),
            Some("extensions is not well-formed"),
        ),
        (
            "cA FALSE",
            with(vec![constraints(Some(0xff), &is_ca(0)), ca_usage()]),
            Some("CA:TRUE"),
        ),
        ("no constraints", with(vec![ca_usage()]), Some("CA:TRUE")),
        ("no extensions", with(vec![]), Some("CA:TRUE")),
        ("no key usage", with(vec![ca_constraints()]), None),
        (
            "odd value",
            with(vec![
                ca_constraints(),
                extension("1.3.6.1.4.1.41482.3.3", None, &[5, 4, 3]),
            ]),
            None,
        ),
        (
            "version 1",
            Certificate {
                version: 1,
                extensions: vec![],
                ..root()
            },
            Some("cannot state that it is a CA"),
        ),
        (
            "version 2",
            Certificate {
                version: 2,
                extensions: vec![],
                ..root()
            },
            Some("cannot state that it is a CA"),
        ),
        (
            "version 1 with extensions",
            Certificate {
                version: 1,
                ..root()
            },
            Some("only certificates of X.509 version 3"),
        ),
        (
            "version 4",
            Certificate {
                version: 4,
                ..root()
            },
            Some("version is not 1, 2 or 3"),
        ),
        ("serial 0", serial(&[0]), None),
        ("serial of 20 octets", serial(&[0x7f; 20]), None),
        (
            "serial of 21 octets",
            serial(&[&[0][..], &[0xff; 20]].concat()),
            None,
        ),
        ("negative", serial(&[0x80, 1, 2]), Some(negative_serial)),
        ("negative, long", serial(&[0xff; 1]), Some(negative_serial)),
        ("oversize", serial(&[0x11; 32]), Some("more than 20 octets")),
        ("padded", serial(&[0, 1]), Some("leading zeros")),
        ("empty serial", serial(&[]), Some("is empty")),
        ("1950", begin(0x17, "500101000000Z"), None),
        (
            "GeneralizedTime before 2050",
            begin(0x18, "20200101000000Z"),
            None,
        ),
        (
            "no seconds",
            begin(0x17, "2001010000Z"),
            Some("YYMMDDHHMMSSZ"),
        ),
        (
            "fraction",
            begin(0x18, "20200101000000.5Z"),
            Some("YYMMDDHHMMSSZ"),
        ),
        (
            "offset",
            begin(0x17, "200101000000+0000"),
            Some("YYMMDDHHMMSSZ"),
        ),
        ("NULL of Mbed TLS", id(NULL), None),
        (
            "other parameters",
            id(&octets(&[0])),
            Some("parameters other than NULL"),
        ),
    ]
}

#[test]
fn odd_certificates_are_accepted_or_rejected_with_the_true_reason() {
    let key = Key::new("P-256");
    for (name, certificate, reason) in encodings(&key) {
        let text = certificates(&[certificate.der()]);
        let uploaded = read_chain(&text, Purpose::Authority, NOW)
            .map(drop)
            .map_err(|error| error.to_string());
        let imported = read_authority(&text, &key.pem(), NOW)
            .map(drop)
            .map_err(|error| error.to_string());
        for result in [uploaded, imported] {
            match (reason, result) {
                (None, result) => assert_eq!(result, Ok(()), "{name}"),
                (Some(reason), Err(error)) => assert!(error.contains(reason), "{name}: {error}"),
                (Some(_), Ok(())) => panic!("{name} is accepted"),
            }
        }
    }
}

#[test]
fn rsa_keys_and_signatures_without_parameters_are_accepted() {
    let key = Key::new("RSA-2048");
    let rsa = oid("1.2.840.113549.1.1.1");
    let from = seq(&[&rsa, NULL]);
    let at = key
        .spki
        .windows(from.len())
        .position(|part| part == from)
        .unwrap();
    let with = |parameters: &[u8], signature: &[u8]| {
        let content = [&seq(&[&rsa, parameters]), &key.spki[at + from.len()..]].concat();
        let certificate = Certificate {
            spki: seq(&[&content]),
            algorithm: seq(&[&oid("1.2.840.113549.1.1.11"), signature]),
            ..Certificate::root(&key, &common_name("CA"))
        };
        certificates(&[certificate.der()])
    };
    for (spki, signature) in [(&[][..], NULL), (NULL, &[]), (&[], &[])] {
        let text = with(spki, signature);
        let chain = read_chain(&text, Purpose::Authority, NOW).unwrap();
        assert!(chain.is_certificate_of(&certgate_pki::read_private_key(&key.pem()).unwrap()));
        read_authority(&text, &key.pem(), NOW).unwrap();
    }
    for (spki, signature) in [(&[4, 0][..], NULL), (NULL, &[4, 0])] {
        assert!(read_chain(&with(spki, signature), Purpose::Authority, NOW).is_err());
    }
}

#[test]
fn version_1_is_good_for_leaves_only() {
    let keys = [Key::new("P-256"), Key::new("P-256")];
    let (ca, leaf) = (common_name("CA"), common_name("leaf"));
    let old = |key, subject: &[u8], issuer, issuer_name: &[u8]| Certificate {
        version: 1,
        extensions: vec![],
        ..Certificate::below(key, subject, issuer, issuer_name)
    };
    let root = Certificate::root(&keys[0], &ca).der();
    let leaf_der = old(&keys[1], &leaf, &keys[0], &ca).der();
    let old_root = old(&keys[0], &ca, &keys[0], &ca).der();
    for der in [&root, &leaf_der] {
        let text = certgate_pki::pem_of_file(der).unwrap();
        assert_eq!(
            *text,
            certificates(std::slice::from_ref(der)),
            "a file in DER"
        );
    }
    for text in [
        certificates(std::slice::from_ref(&leaf_der)),
        certificates(&[leaf_der.clone(), root.clone()]),
        certificates(&[root.clone(), leaf_der.clone()]),
    ] {
        let chain = read_chain(&text, Purpose::Leaf, NOW).unwrap();
        assert_eq!(chain.fingerprint_sha256, certgate_pki::sha256(&leaf_der));
    }
    for (ders, purpose) in [
        (vec![old_root.clone()], Purpose::Authority),
        (vec![leaf_der.clone(), old_root.clone()], Purpose::Leaf),
        (vec![leaf_der.clone(), root], Purpose::Authority),
    ] {
        let error = read_chain(&certificates(&ders), purpose, NOW).unwrap_err();
        assert!(
            matches!(error, ChainError::Version { version: 1, .. }),
            "{error}"
        );
    }
    let mut forged = leaf_der;
    *forged.last_mut().unwrap() ^= 1;
    let forged = certificates(&[forged, Certificate::root(&keys[0], &ca).der()]);
    let error = read_chain(&forged, Purpose::Leaf, NOW).unwrap_err();
    assert!(
        matches!(error, ChainError::SignatureInvalid { number: 1 }),
        "{error}"
    );
}
