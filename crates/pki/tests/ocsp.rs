//! OCSP: requests from the openssl program, and responses that it verifies.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod judges;

use certgate_model::{KeyAlgorithm, RevocationReason, SerialNumber};
use certgate_pki::{
    CertStatus, OCSP_CERT_IDS_MAX, OCSP_REQUEST_BYTES_MAX, OcspFailure, OcspRequest,
    OcspRequestError, OcspResponder, RESPONDER_KEY, SigningKey, SingleResponse, Validity,
    issuer_ids, ocsp_failure, read_ocsp_request, responder_certificate, write_ocsp_request,
};
use judges::{Authority, NOW, authority, issue, openssl, serial, write_file, write_pem_file};
use proptest::prelude::*;

const HELD: CertStatus = CertStatus::Revoked {
    at: NOW,
    reason: RevocationReason::CertificateHold,
};

/// Lets openssl write a request about these certificates, with additional arguments; `None` if the
/// machine has no openssl.
fn asked(
    folder: &tempfile::TempDir,
    authority: &Authority,
    serials: &[SerialNumber],
    more: &[&str],
) -> Option<Vec<u8>> {
    let anchor = write_pem_file(folder, "anchor.pem", "CERTIFICATE", &authority.der);
    let out = folder.path().join("request.der");
    let out = out.to_str().unwrap();
    let numbers: Vec<_> = serials.iter().map(|serial| format!("0x{serial}")).collect();
    let mut arguments = vec!["ocsp"];
    arguments.extend_from_slice(more);
    arguments.extend_from_slice(&["-issuer", &anchor, "-reqout", out]);
    numbers
        .iter()
        .for_each(|number| arguments.extend_from_slice(&["-serial", number]));
    let (succeeded, said) = openssl(&arguments)?;
    assert!(succeeded, "{said}");
    Some(std::fs::read(out).unwrap())
}

fn respond(responder: &OcspResponder<'_>, request: &OcspRequest, status: CertStatus) -> Vec<u8> {
    let single = |cert_id| SingleResponse {
        cert_id,
        status,
        this_update: NOW,
        next_update: NOW.plus_days(1),
    };
    let responses: Vec<_> = request.cert_ids.iter().map(single).collect();
    responder
        .respond(&responses, request.nonce.as_deref(), NOW)
        .unwrap()
}

fn delegate(authority: &Authority) -> OcspResponder<'static> {
    let key = SigningKey::generate(RESPONDER_KEY).unwrap();
    let validity = Validity {
        not_before: NOW,
        not_after: NOW.plus_days(30),
    };
    let certificate = responder_certificate(&authority.issuer, &key, serial(99), validity).unwrap();
    OcspResponder::delegate(key, certificate).unwrap()
}

/// Lets openssl verify a response to the request in the folder.
fn verified(
    folder: &tempfile::TempDir,
    digest: &str,
    response: &[u8],
    leaf: &[u8],
) -> (bool, String) {
    let response = write_file(folder, "response.der", response);
    let leaf = write_pem_file(folder, "leaf.pem", "CERTIFICATE", leaf);
    let anchor = folder.path().join("anchor.pem");
    let anchor = anchor.to_str().unwrap();
    let at = NOW.plus_seconds(3600).unix().to_string();
    let validity = (10 * 365 * 86_400).to_string();
    openssl(&[
        "ocsp",
        digest,
        "-respin",
        &response,
        "-issuer",
        anchor,
        "-CAfile",
        anchor,
        "-cert",
        &leaf,
        "-no_nonce",
        "-attime",
        &at,
        "-validity_period",
        &validity,
    ])
    .unwrap()
}

#[test]
fn openssl_accepts_responses_of_every_ca_and_delegate() {
    let folder = tempfile::tempdir().unwrap();
    for algorithm in KeyAlgorithm::ALL {
        let authority = authority(algorithm);
        let leaf = issue(&authority, serial(7));
        for digest in ["-sha1", "-sha256", "-sha384", "-sha512"] {
            let Some(request) = asked(&folder, &authority, &[serial(7)], &[digest]) else {
                return;
            };
            let request = read_ocsp_request(&request).unwrap();
            let [id] = &request.cert_ids[..] else {
                panic!("{request:?}")
            };
            assert_eq!(id.serial(), Some(serial(7)));
            assert!(
                issuer_ids(&authority.der)
                    .unwrap()
                    .iter()
                    .any(|known| id.issuer() == Some(known)),
                "{algorithm} {digest}"
            );
            for responder in [
                OcspResponder::authority(&authority.issuer).unwrap(),
                delegate(&authority),
            ] {
                for (status, said) in [
                    (CertStatus::Good, "good"),
                    (HELD, "revoked"),
                    (CertStatus::Unknown, "unknown"),
                ] {
                    let (succeeded, text) = verified(
                        &folder,
                        digest,
                        &respond(&responder, &request, status),
                        &leaf,
                    );
                    assert!(
                        succeeded && text.contains("Response verify OK"),
                        "{algorithm}: {text}"
                    );
                    assert!(
                        text.contains(&format!("leaf.pem: {said}")),
                        "{algorithm}: {text}"
                    );
                    assert_eq!(
                        text.contains("Reason: certificateHold"),
                        status == HELD,
                        "{text}"
                    );
                }
                let mut changed = respond(&responder, &request, CertStatus::Good);
                // A position inside the signed part.
                let at = changed
                    .windows(20)
                    .position(|octets| octets == serial(7).as_bytes())
                    .unwrap();
                changed[at] ^= 1;
                assert!(
                    !verified(&folder, digest, &changed, &leaf)
                        .1
                        .contains("verify OK"),
                    "openssl accepts a changed response"
                );
            }
        }
    }
}

#[test]
fn issuer_ids_differ_between_cas_of_the_same_name() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, other) = (authority(KeyAlgorithm::P256), authority(KeyAlgorithm::P256));
    let Some(request) = asked(&folder, &ours, &[serial(1)], &[]) else {
        return;
    };
    let id = &read_ocsp_request(&request).unwrap().cert_ids[0];
    let named = |authority: &Authority| {
        issuer_ids(&authority.der)
            .unwrap()
            .contains(id.issuer().unwrap())
    };
    assert!(named(&ours));
    assert!(!named(&other), "the same name, another key");
}

#[test]
fn a_request_has_several_certificates_and_a_nonce() {
    let folder = tempfile::tempdir().unwrap();
    let authority = authority(KeyAlgorithm::P256);
    let serials: Vec<_> = (0..3).map(serial).collect();
    let Some(request) = asked(&folder, &authority, &serials, &["-nonce"]) else {
        return;
    };
    let request = read_ocsp_request(&request).unwrap();
    let read: Vec<_> = request
        .cert_ids
        .iter()
        .map(|id| id.serial().unwrap())
        .collect();
    assert_eq!(read, serials);
    let nonce = request.nonce.clone().unwrap();
    assert!((16..=32).contains(&nonce.len()));
    let response = respond(
        &OcspResponder::authority(&authority.issuer).unwrap(),
        &request,
        CertStatus::Good,
    );
    assert!(response.windows(nonce.len()).any(|octets| octets == nonce));

    let many: Vec<_> = (0..OCSP_CERT_IDS_MAX as u32 + 1).map(serial).collect();
    let request = asked(&folder, &authority, &many, &[]).unwrap();
    assert_eq!(
        read_ocsp_request(&request),
        Err(OcspRequestError("it asks about too many certificates"))
    );
    let request = asked(&folder, &authority, &many[1..], &[]).unwrap();
    assert_eq!(
        read_ocsp_request(&request).unwrap().cert_ids.len(),
        OCSP_CERT_IDS_MAX
    );
}

#[test]
fn write_ocsp_request_equals_openssl() {
    let folder = tempfile::tempdir().unwrap();
    let authority = authority(KeyAlgorithm::P256);
    let serials = [serial(1), serial(2)];
    let Some(theirs) = asked(&folder, &authority, &serials, &["-no_nonce"]) else {
        return;
    };
    assert_eq!(
        write_ocsp_request(&authority.der, &serials, None).unwrap(),
        theirs
    );
}

/// Encodes a value with a content of less than 65,536 octets.
fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut der = vec![tag];
    match content.len() {
        short @ 0..0x80 => der.push(short as u8),
        medium @ 0x80..0x100 => der.extend([0x81, medium as u8]),
        long => der.extend([&[0x82][..], &(long as u16).to_be_bytes()].concat()),
    }
    [der, content.to_vec()].concat()
}

const NONCE: &[u8] = &[6, 9, 0x2b, 6, 1, 5, 5, 7, 0x30, 1, 2];

/// Encodes an extension of these values after its object identifier.
fn extension(kind: &[u8], values: &[u8]) -> Vec<u8> {
    value(0x30, &[kind, values].concat())
}

/// Adds this content of requestExtensions to a request about one certificate.
fn request_with(authority: &Authority, extensions: &[u8]) -> Vec<u8> {
    let plain = write_ocsp_request(&authority.der, &[serial(1)], None).unwrap();
    // Both outer headers of a request of this size have two octets.
    let extensions = value(0xa2, &value(0x30, extensions));
    value(0x30, &value(0x30, &[&plain[4..], &extensions].concat()))
}

#[test]
fn a_nonce_in_any_form_is_repeated_or_omitted() {
    let authority = authority(KeyAlgorithm::P256);
    let octets = |length: usize| vec![0x9a; length];
    let wrapped = |length| value(4, &octets(length));
    let nonce = |octets: &[u8]| extension(NONCE, &value(4, octets));
    let integer = value(2, &octets(8));
    let critical = [&[1, 1, 0xff][..], &value(4, &wrapped(16))].concat();
    let unknown = extension(&[6, 3, 0x2a, 3, 4], &value(4, &[5, 4, 3]));
    for (form, extensions, repeated) in [
        ("1 octet", nonce(&wrapped(1)), Some(wrapped(1))),
        ("32 octets", nonce(&wrapped(32)), Some(wrapped(32))),
        ("128 octets", nonce(&wrapped(128)), Some(wrapped(128))),
        ("129 octets", nonce(&wrapped(129)), None),
        ("4,000 octets", nonce(&wrapped(4_000)), None),
        ("no octets", nonce(&wrapped(0)), None),
        ("an empty value", nonce(&[]), None),
        ("not wrapped, 1 octet", nonce(&[7]), Some(vec![7])),
        ("not wrapped", nonce(&octets(16)), Some(octets(16))),
        ("not wrapped, 128", nonce(&octets(128)), Some(octets(128))),
        ("not wrapped, 129", nonce(&octets(129)), None),
        ("not wrapped, 04 first", nonce(&[4; 16]), Some(vec![4; 16])),
        ("an INTEGER", nonce(&integer), Some(integer.clone())),
        ("no OCTET STRING", extension(NONCE, &integer), None),
        ("no value", extension(NONCE, &[]), None),
        ("not DER", extension(NONCE, &[4, 9, 1]), None),
        ("critical", extension(NONCE, &critical), Some(wrapped(16))),
        (
            "two",
            [nonce(&wrapped(8)), nonce(&wrapped(9))].concat(),
            None,
        ),
        (
            "others",
            [&unknown[..], &nonce(&wrapped(9))].concat(),
            Some(wrapped(9)),
        ),
        ("no extension", vec![], None),
    ] {
        let request = read_ocsp_request(&request_with(&authority, &extensions));
        let request = request.unwrap_or_else(|error| panic!("{form}: {error}"));
        assert_eq!(request.nonce, repeated, "{form}");
        let response = respond(&delegate(&authority), &request, CertStatus::Good);
        let has_nonce = response.windows(NONCE.len()).any(|part| part == NONCE);
        assert_eq!(has_nonce, repeated.is_some(), "{form}");
        if let Some(repeated) = repeated {
            let expected = nonce(&repeated);
            let is_repeated = response
                .windows(expected.len())
                .any(|part| part == expected);
            assert!(is_repeated, "{form}");
        }
    }
    // The extensions themselves must be well-formed.
    for (form, extensions) in [
        ("another tag", value(0x31, NONCE)),
        ("no object identifier", value(0x30, &value(4, &wrapped(8)))),
        ("a length beyond the end", vec![0x30, 20, 6, 3, 0x2a, 3, 4]),
        ("octets after them", [nonce(&wrapped(8)), vec![0]].concat()),
    ] {
        let request = read_ocsp_request(&request_with(&authority, &extensions));
        assert_eq!(request, Err(OcspRequestError("it is malformed")), "{form}");
    }
    let long = read_ocsp_request(&vec![0x30; OCSP_REQUEST_BYTES_MAX + 1]);
    assert_eq!(long, Err(OcspRequestError("it is too long")));
}

#[test]
fn a_cert_id_has_one_of_four_digests() {
    let authority = authority(KeyAlgorithm::P256);
    let null = &[5, 0][..];
    let known = issuer_ids(&authority.der).unwrap();
    let sha2 = |last| [6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, last];
    for (name, algorithm, parameters, found) in [
        ("SHA-1", &[6, 5, 0x2b, 0x0e, 3, 2, 0x1a][..], null, true),
        (
            "SHA-1 without NULL",
            &[6, 5, 0x2b, 0x0e, 3, 2, 0x1a],
            &[],
            true,
        ),
        ("SHA-256", &sha2(1), null, true),
        ("SHA-384", &sha2(2), null, true),
        ("SHA-512", &sha2(3), null, true),
        ("SHA-512 without NULL", &sha2(3), &[], true),
        ("SHA-224", &sha2(4), null, false),
        ("SHA3-256", &sha2(8), null, false),
        (
            "MD5",
            &[6, 8, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 2, 5],
            null,
            false,
        ),
    ] {
        let request = read_ocsp_request(&cert_id_request(algorithm, parameters)).unwrap();
        // The digests in it are of another CA: only the algorithm is the same.
        let issuer = request.cert_ids[0].issuer();
        assert_eq!(issuer.is_some(), found, "{name}");
        assert!(!known.iter().any(|id| issuer == Some(id)), "{name}");
    }
    let other = cert_id_request(&sha2(3), &[4, 1, 0]);
    assert_eq!(
        read_ocsp_request(&other),
        Err(OcspRequestError("it is malformed"))
    );
}

/// Encodes a request with this digest algorithm, and digests of nothing.
fn cert_id_request(algorithm: &[u8], parameters: &[u8]) -> Vec<u8> {
    let digest = value(4, &[0; 32]);
    let algorithm = value(0x30, &[algorithm, parameters].concat());
    let cert_id = value(
        0x30,
        &[&algorithm[..], &digest, &digest, &[2, 1, 5]].concat(),
    );
    let list = value(0x30, &value(0x30, &cert_id));
    value(0x30, &value(0x30, &list))
}

#[test]
fn failures_have_the_numbers_of_rfc_6960() {
    for (failure, code) in [
        (OcspFailure::MalformedRequest, 1),
        (OcspFailure::InternalError, 2),
        (OcspFailure::TryLater, 3),
        (OcspFailure::Unauthorized, 6),
    ] {
        assert_eq!(ocsp_failure(failure), [0x30, 3, 0x0a, 1, code]);
    }
}

#[test]
fn octets_after_the_serial_number_are_rejected() {
    let authority = authority(KeyAlgorithm::P256);
    let mut request = write_ocsp_request(&authority.der, &[serial(1)], None).unwrap();
    // The last value is the serial number. Shorten it by two octets, and turn these into a NULL.
    let length = request.len();
    assert_eq!(request[length - 21], 20);
    request[length - 21] = 18;
    request[length - 2..].copy_from_slice(&[0x05, 0]);
    assert!(
        read_ocsp_request(&request).is_err(),
        "a NULL follows the serial number"
    );
}

fn good_request() -> Vec<u8> {
    static AUTHORITY: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    let der = AUTHORITY.get_or_init(|| authority(KeyAlgorithm::P256).der);
    write_ocsp_request(der, &[serial(1)], Some(&[9; 32])).unwrap()
}

proptest! {
    #[test]
    fn read_ocsp_request_does_not_panic(
        octets in proptest::collection::vec(any::<u8>(), 0..200),
        at in 0_usize..200,
        change: u8,
    ) {
        let _ = read_ocsp_request(&octets);
        let mut changed = good_request();
        let length = changed.len();
        changed[at % length] ^= change;
        if let Ok(request) = read_ocsp_request(&changed) {
            prop_assert_eq!(request.cert_ids.len(), 1);
        }
    }
}
