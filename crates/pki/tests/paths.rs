//! Path validation before signing: what certgate issues verifies, and what it refuses would not.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod forge;

use std::process::Command;
use std::time::Duration;

use certgate_model::{SerialNumber, Timestamp};
use certgate_pki::{
    ImportError, LintError, PathError, Profile, Validity, prepare, read_authority, read_csr, sign,
};
use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use forge::{
    Certificate, Key, NULL, Numbers, Request, ca_constraints, ca_usage, certificates, common_name,
    extension, name, octets, oid, openssl, seq, tlv,
};

/// 2026-08-01T00:00:00Z.
const NOW: Timestamp = Timestamp::from_unix(1_785_542_400);

const SERIAL: SerialNumber = SerialNumber::from_random([0x5a; 20]);

fn validity() -> Validity {
    let not_before = NOW.plus_seconds(-300);
    Validity {
        not_before,
        not_after: not_before.plus_days(30),
    }
}

fn profile() -> Profile {
    Profile {
        crl_url: "http://pki.example.com/crl/1/90.crl".into(),
        ocsp_url: "http://pki.example.com/ocsp".into(),
        ca_url: "http://pki.example.com/ca/1.crt".into(),
        alternative_names: Vec::new(),
    }
}

/// Judges a client certificate as TLS servers do, now and five minutes ago.
fn openssl_verifies(folder: &tempfile::TempDir, ca: &[u8], leaf: &[u8]) -> bool {
    openssl_verifies_with(folder, ca, leaf, &[])
}

fn openssl_verifies_with(
    folder: &tempfile::TempDir,
    ca: &[u8],
    leaf: &[u8],
    options: &[&str],
) -> bool {
    let file = |name: &str, der: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, certificates(&[der.to_vec()])).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (ca, leaf) = (file("ca", ca), file("leaf", leaf));
    [0, -300].into_iter().all(|seconds| {
        let at = NOW.plus_seconds(seconds).unix().to_string();
        let purpose = ["verify", "-purpose", "sslclient", "-attime", &at];
        openssl(&[&purpose[..], options, &["-CAfile", &ca, &leaf]].concat()).0
    })
}

/// Returns true if the machine has GnuTLS, and a program that sets its clock.
fn has_gnutls() -> bool {
    let required = std::env::var_os("CERTGATE_TEST_REQUIRE_ALL").is_some_and(|value| value == "1");
    ["certtool", "faketime"].iter().all(|program| {
        let found = Command::new(program).arg("--version").output().is_ok();
        assert!(found || !required, "{program} is needed");
        found
    })
}

/// Judges like [`openssl_verifies`], with GnuTLS.
fn gnutls_verifies(folder: &tempfile::TempDir, ca: &[u8], leaf: &[u8]) -> bool {
    for (name, der) in [("ca", ca), ("leaf", leaf)] {
        std::fs::write(folder.path().join(name), certificates(&[der.to_vec()])).unwrap();
    }
    let verify = "certtool --verify --verify-purpose 1.3.6.1.5.5.7.3.2 --load-ca-certificate ca \
                  --infile leaf";
    [0, -300].into_iter().all(|seconds| {
        let judged = Command::new("faketime")
            .current_dir(folder.path())
            .arg(format!("@{}", NOW.plus_seconds(seconds).unix()))
            .args(verify.split_whitespace())
            .output();
        judged.unwrap().status.success()
    })
}

fn webpki_verifies(ca: &[u8], leaf: &[u8]) -> bool {
    let (ca, leaf) = (CertificateDer::from(ca), CertificateDer::from(leaf));
    let at = UnixTime::since_unix_epoch(Duration::from_secs(NOW.unix() as u64));
    let (Ok(anchor), Ok(leaf)) = (
        anchor_from_trusted_cert(&ca),
        EndEntityCert::try_from(&leaf),
    ) else {
        return false;
    };
    let algorithms = webpki::ALL_VERIFICATION_ALGS;
    let usage = KeyUsage::client_auth();
    leaf.verify_for_usage(algorithms, &[anchor], &[], at, usage, None, None)
        .is_ok()
}

const O: &str = "2.5.4.10";
const CN: &str = "2.5.4.3";
const EMAIL: &str = "1.2.840.113549.1.9.1";
const CLIENT: &str = "1.3.6.1.5.5.7.3.2";
const ANY: &str = "2.5.29.37.0";

fn usage(purposes: &[&str]) -> Vec<u8> {
    let ids: Vec<_> = purposes.iter().map(|purpose| oid(purpose)).collect();
    extension("2.5.29.37", None, &seq(&[&ids.concat()]))
}

fn subtrees(tag: u8, bases: &[Vec<u8>]) -> Vec<u8> {
    let bases: Vec<_> = bases.iter().map(|base| seq(&[base])).collect();
    tlv(tag, &[&bases.concat()])
}

fn directory(text: &str) -> Vec<u8> {
    tlv(0xa4, &[&name(&[(O, 0x0c, text.as_bytes())])])
}

fn dns(text: &str) -> Vec<u8> {
    tlv(0x82, &[text.as_bytes()])
}

fn email(text: &str) -> Vec<u8> {
    tlv(0x81, &[text.as_bytes()])
}

fn name_constraints(critical: Option<u8>, permitted: &[Vec<u8>], excluded: &[Vec<u8>]) -> Vec<u8> {
    let part = |tag, bases: &[Vec<u8>]| match bases {
        [] => vec![],
        bases => subtrees(tag, bases),
    };
    let content = seq(&[&part(0xa0, permitted), &part(0xa1, excluded)]);
    extension("2.5.29.30", critical, &content)
}

fn subjects() -> Vec<Vec<u8>> {
    let text = |kind, text: &'static str| (kind, 0x0c, text.as_bytes());
    vec![
        common_name("device-7"),
        common_name("a.example.com"),
        common_name("a.evil.example"),
        common_name("EXAMPLE.com"),
        name(&[text(O, "Acme"), text(CN, "x")]),
        name(&[text(O, "  aCME "), text(CN, "x")]),
        name(&[(O, 0x13, b"Acme"), text(CN, "x")]),
        name(&[text(CN, "x"), text(O, "Acme")]),
        name(&[text(O, "Evil"), text(CN, "x")]),
        name(&[text(O, "Acme")]),
        name(&[text(CN, "x"), (EMAIL, 0x16, b"a@example.com")]),
        name(&[text(CN, "x"), (EMAIL, 0x16, b"a@b.example.com")]),
        name(&[text(CN, "x"), (EMAIL, 0x16, b"a@evil.example")]),
        name(&[text(CN, "x"), (EMAIL, 0x0c, b"a@example.com")]),
        name(&[text(CN, "x"), (EMAIL, 0x16, b"a at example")]),
        seq(&[]),
    ]
}

fn constraints(critical: Option<u8>) -> Vec<Vec<u8>> {
    let nc = |permitted: &[Vec<u8>], excluded: &[Vec<u8>]| {
        name_constraints(critical, permitted, excluded)
    };
    let with_minimum = [dns("example.com"), tlv(0x80, &[&[1]])].concat();
    vec![
        nc(&[directory("Acme")], &[]),
        nc(&[directory("acme"), directory("Other")], &[]),
        nc(&[], &[directory("Evil")]),
        nc(
            &[directory("Acme")],
            &[directory("Evil"), dns("evil.example")],
        ),
        nc(&[dns("example.com")], &[]),
        nc(&[dns(".example.com")], &[]),
        nc(&[], &[dns("evil.example")]),
        nc(&[email("example.com")], &[]),
        nc(&[email(".example.com")], &[]),
        nc(&[email("a@example.com")], &[]),
        nc(&[], &[email("evil.example")]),
        nc(&[tlv(0x87, &[&[10, 0, 0, 0, 255, 0, 0, 0]])], &[]),
        nc(&[with_minimum], &[]),
    ]
}

/// The extension of a CA below which each certificate needs a policy.
fn policies_required() -> Vec<u8> {
    extension("2.5.29.36", Some(0xff), &seq(&[&tlv(0x80, &[&[0]])]))
}

const BASIC_CONSTRAINTS: &str = "2.5.29.19";

/// Extensions of CAs that are not critical, with values of the right form and of others.
fn odd_extensions() -> Vec<(&'static str, Vec<u8>)> {
    let ca = |length: &[u8]| seq(&[&tlv(1, &[&[0xff]]), &tlv(2, &[length])]);
    let mut odd = vec![
        (BASIC_CONSTRAINTS, ca(&[0])),
        (BASIC_CONSTRAINTS, ca(&[1])),
        (BASIC_CONSTRAINTS, ca(&[0xff])),
        (BASIC_CONSTRAINTS, ca(&[0x80, 0])),
    ];
    let values = [
        vec![],
        NULL.to_vec(),
        b"text".to_vec(),
        vec![5, 4, 3],
        octets(b"x"),
        tlv(3, &[&[5, 0xe0]]),
        seq(&[]),
        seq(&[NULL]),
        seq(&[&dns("ca.example")]),
        seq(&[&seq(&[&tlv(
            0xa0,
            &[&tlv(0xa0, &[&tlv(0x86, &[b"http://x/"])])],
        )])]),
        seq(&[&seq(&[&octets(&[0, 1]), NULL])]),
        seq(&[&tlv(0xa0, &[NULL])]),
    ];
    for kind in [
        "2.5.29.17",
        "2.5.29.31",
        "2.5.29.32",
        "2.16.840.1.113730.1.1",
        "1.3.6.1.5.5.7.1.7",
        "1.3.6.1.5.5.7.1.8",
    ] {
        odd.extend(values.iter().map(|value| (kind, value.clone())));
    }
    odd
}

/// Returns the extensions of a CA at random, and true if GnuTLS reads them as openssl does: it does
/// not know the one that demands policies, and takes some odd ones for malformed.
fn extensions_at_random(
    numbers: &mut Numbers,
    odd: &[(&'static str, Vec<u8>)],
) -> (Vec<Vec<u8>>, bool) {
    let identifier = |critical| extension("2.5.29.14", critical, &octets(&[5; 20]));
    let own_key = |octet: u8| extension("2.5.29.35", None, &seq(&[&tlv(0x80, &[&[octet; 20]])]));
    let mut extensions = vec![ca_constraints(), ca_usage()];
    match numbers.below(12) {
        0 => extensions.push(usage(&[ANY])),
        1 => extensions.push(usage(&["1.3.6.1.5.5.7.3.1"])),
        2 | 3 => extensions.push(usage(&[CLIENT])),
        4 => extensions.push(usage(&[ANY, CLIENT])),
        _ => {}
    }
    match numbers.below(16) {
        0 => extensions.push(extension("1.3.6.1.4.1.99999.9", Some(0xff), NULL)),
        1 => extensions.push(extension("1.3.6.1.4.1.99999.9", Some(0), NULL)),
        2 => extensions.push(identifier(Some(0xff))),
        3 => extensions.extend([identifier(None), own_key(5)]),
        4 => extensions.extend([identifier(None), own_key(6)]),
        5 => {
            extensions.push(policies_required());
            return (extensions, false);
        }
        6 => extensions.push(ca_constraints()),
        7 => extensions.push(identifier(Some(0))),
        8..=11 => {
            let (kind, value) = numbers.one_of(odd);
            if *kind == BASIC_CONSTRAINTS {
                extensions.remove(0);
            }
            extensions.push(extension(kind, None, value));
            return (extensions, false);
        }
        _ => {}
    }
    (extensions, true)
}

/// Puts extensions into CAs at random. What certgate issues verifies, and what it refuses does not
/// verify after another program signed it. openssl is the judge of both, GnuTLS and webpki of what
/// is issued.
#[test]
fn issued_certificates_verify_and_refused_ones_would_not() {
    let folder = tempfile::tempdir().unwrap();
    let (ca_key, key) = (Key::new("P-256"), Key::new("P-256"));
    let (subjects, odd) = (subjects(), odd_extensions());
    let ca_name = common_name("Acme Device CA");
    let has_gnutls = has_gnutls();
    let mut numbers = Numbers(15);
    let (mut issued, mut of_gnutls) = (0, 0);
    let (mut not_imported, mut not_issued) = (0, 0);
    for case in 0..500 {
        let (mut extensions, mut is_for_gnutls) = extensions_at_random(&mut numbers, &odd);
        let critical = *numbers.one_of(&[None, Some(0), Some(0xff)]);
        let has_constraints = numbers.below(4) != 0;
        if has_constraints {
            let chosen = numbers.one_of(&constraints(critical)).clone();
            // GnuTLS rejects every name below a CA that excludes directory names.
            let excluded = directory("Evil");
            is_for_gnutls &= !chosen.windows(excluded.len()).any(|part| part == excluded);
            extensions.push(chosen);
        }
        let ca = Certificate {
            extensions,
            ..Certificate::root(&ca_key, &ca_name)
        };
        let ca_der = ca.der();
        let subject = numbers.one_of(&subjects);
        let imported = read_authority(
            &certificates(std::slice::from_ref(&ca_der)),
            &ca_key.pem(),
            NOW,
        );
        let prepared = imported.as_ref().ok().map(|(imported, _)| {
            let request = Request {
                subject: subject.clone(),
                ..Request::new(&key)
            };
            let csr = read_csr(&request.pem()).unwrap();
            let prepared = prepare(&imported.issuer, &csr, SERIAL, validity(), &profile());
            prepared.map(|prepared| sign(prepared).unwrap().der)
        });
        match prepared {
            Some(Ok(der)) => {
                assert!(openssl_verifies(&folder, &ca_der, &der), "{case}");
                // webpki rejects every name below a directory name constraint.
                assert!(has_constraints || webpki_verifies(&ca_der, &der), "{case}");
                if has_gnutls && is_for_gnutls {
                    assert!(gnutls_verifies(&folder, &ca_der, &der), "{case}");
                    of_gnutls += 1;
                }
                issued += 1;
                continue;
            }
            Some(Err(LintError::Path(_))) => not_issued += 1,
            Some(Err(error)) => panic!("{case}: {error}"),
            None => not_imported += 1,
        }
        let der = elsewhere(&key, subject, &ca_key, &ca_name);
        let reason = imported.err();
        assert!(
            !openssl_verifies(&folder, &ca_der, &der),
            "{case}: {reason:?} {subject:x?}"
        );
    }
    assert!(
        issued > 100 && (of_gnutls > 50 || !has_gnutls) && not_imported > 40 && not_issued > 20,
        "{issued} {of_gnutls} {not_imported} {not_issued}"
    );
}

/// A client certificate of another program, with the same content.
fn elsewhere(key: &Key, subject: &[u8], ca: &Key, ca_name: &[u8]) -> Vec<u8> {
    let leaf = Certificate {
        extensions: vec![
            usage(&[CLIENT]),
            extension("2.5.29.19", Some(0xff), &seq(&[])),
            extension("2.5.29.15", Some(0xff), &tlv(3, &[&[7, 0x80]])),
        ],
        ..Certificate::below(key, subject, ca, ca_name)
    };
    leaf.der()
}

#[test]
fn a_ca_that_can_never_work_is_not_imported_and_the_reason_is_named() {
    let key = Key::new("P-256");
    for (added, reason) in [
        (usage(&[ANY]), "clientAuth"),
        (
            extension("1.3.6.1.4.1.99999.9", Some(0xff), NULL),
            "critical extension 1.3.6.1.4.1.99999.9",
        ),
        (
            name_constraints(Some(0xff), &[], &[tlv(0xa4, &[&seq(&[])])]),
            "exclude every subject",
        ),
        (
            extension("2.5.29.30", Some(0xff), &seq(&[&[0xa0, 1, 0x30]])),
            "name constraints are malformed",
        ),
        (ca_constraints(), "twice"),
        (
            extension("2.5.29.17", None, &[5, 4, 3]),
            "extension 2.5.29.17 is malformed",
        ),
        (
            extension("2.16.840.1.113730.1.1", None, NULL),
            "extension 2.16.840.1.113730.1.1 is malformed",
        ),
    ] {
        let certificate = Certificate {
            extensions: vec![ca_constraints(), ca_usage(), added],
            ..Certificate::root(&key, &common_name("CA"))
        };
        let text = certificates(&[certificate.der()]);
        let error = read_authority(&text, &key.pem(), NOW).unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
        let is_path = matches!(
            error,
            ImportError::Path(PathError::Authority(_)) | ImportError::NotForClients
        );
        assert!(is_path, "{error:?}");
    }
}

/// The names of a CA are in each path, and OpenSSL must be able to read them.
#[test]
fn a_ca_with_a_name_that_openssl_cannot_read_is_not_imported() {
    let (folder, key) = (tempfile::tempdir().unwrap(), Key::new("P-256"));
    for (tag, content, is_good) in [
        (0x0c, "Büro \u{1f600}".as_bytes(), true),
        (0x14, b"B\xfcro", true),
        (0x1e, b"\0B\0\xfc", true),
        (0x1e, &[0, b'B', 0xd8, 0x3d, 0xde, 0], false),
        (0x18, b"20260101000000Z", false),
        (0x1a, b"visible", false),
    ] {
        let subject = name(&[(CN, 0x0c, b"CA"), ("1.3.6.1.4.1.99999.1", tag, content)]);
        let der = Certificate::root(&key, &subject).der();
        let read = read_authority(&certificates(std::slice::from_ref(&der)), &key.pem(), NOW);
        let leaf = elsewhere(&key, &common_name("x"), &key, &subject);
        assert_eq!(openssl_verifies(&folder, &der, &leaf), is_good, "{tag:x}");
        match read {
            Ok(_) => assert!(is_good, "{tag:x}"),
            Err(error) => {
                assert!(!is_good && error.to_string().contains("OpenSSL"), "{error}");
            }
        }
    }
}

/// Sends the chain above a CA too. openssl judges a client certificate with the whole chain.
#[test]
fn a_ca_below_one_that_verifiers_reject_is_not_imported_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let (root_key, key, other) = (Key::new("P-256"), Key::new("P-256"), Key::new("P-256"));
    let (root_name, ca_name) = (common_name("Root"), common_name("CA"));
    let path_length = |length: u8| {
        let constraints = seq(&[&tlv(1, &[&[0xff]]), &tlv(2, &[&[length]])]);
        extension(BASIC_CONSTRAINTS, Some(0xff), &constraints)
    };
    let critical = extension("1.3.6.1.4.1.99999.9", Some(0xff), NULL);
    let good = || vec![ca_constraints(), ca_usage()];
    let with = |more: Vec<u8>| [good(), vec![more]].concat();
    let begins = |year: &str| tlv(0x17, &[year.as_bytes(), b"0101000000Z"]);
    let ca = Certificate::below(&key, &ca_name, &root_key, &root_name).der();
    let leaf = elsewhere(&other, &common_name("x"), &key, &ca_name);
    for (extensions, begin, reason) in [
        (good(), "20", ""),
        (with(usage(&[CLIENT])), "20", ""),
        (vec![path_length(1), ca_usage()], "20", ""),
        (vec![path_length(0), ca_usage()], "20", "more CAs below it"),
        (with(usage(&["1.3.6.1.5.5.7.3.1"])), "20", "clientAuth"),
        (with(critical), "20", "1.3.6.1.4.1.99999.9"),
        (good(), "40", "not valid before 2040-01-01T00:00:00Z"),
    ] {
        let mut root = Certificate::root(&root_key, &root_name);
        root.extensions = extensions;
        root.validity[0] = begins(begin);
        let root = root.der();
        for (chain, number) in [
            ([ca.clone(), root.clone()], "certificate 2"),
            ([root.clone(), ca.clone()], "certificate 1"),
        ] {
            match read_authority(&certificates(&chain), &key.pem(), NOW) {
                Ok(_) => assert_eq!(reason, ""),
                Err(error) => {
                    let text = error.to_string();
                    assert!(matches!(error, ImportError::Above { .. }), "{text}");
                    let names = text.contains(reason) && text.contains(number);
                    assert!(!reason.is_empty() && names, "{text}");
                }
            }
        }
        let between = folder.path().join("between");
        std::fs::write(&between, certificates(std::slice::from_ref(&ca))).unwrap();
        let untrusted = ["-untrusted", between.to_str().unwrap()];
        let judged = openssl_verifies_with(&folder, &root, &leaf, &untrusted);
        assert_eq!(judged, reason.is_empty(), "{reason}");
        // Verifiers that trust the CA itself do not look above it.
        assert!(read_authority(&certificates(std::slice::from_ref(&ca)), &key.pem(), NOW).is_ok());
    }
}
