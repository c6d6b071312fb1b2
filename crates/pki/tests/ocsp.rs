//! OCSP, asked and judged by the openssl program.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod judges;

use certgate_model::{KeyAlgorithm, RevocationReason, SerialNumber};
use certgate_pki::{
    CertStatus, IssuerNames, OCSP_CERT_IDS_MAX, OCSP_REQUEST_BYTES_MAX, OcspFailure, OcspRequest,
    OcspRequestError, OcspResponder, RESPONDER_KEY, SigningKey, SingleResponse, Validity, ocsp_failure,
    read_ocsp_request, responder_certificate,
};
use judges::{Authority, NOW, authority, issue, openssl, serial, write_file, write_pem_file};
use proptest::prelude::*;

const HELD: CertStatus = CertStatus::Revoked { at: NOW, reason: RevocationReason::CertificateHold };

/// The request that openssl makes about these certificates, with more arguments; `None` where there is no openssl.
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
    numbers.iter().for_each(|number| arguments.extend_from_slice(&["-serial", number]));
    let (succeeded, said) = openssl(&arguments)?;
    assert!(succeeded, "{said}");
    Some(std::fs::read(out).unwrap())
}

fn respond(responder: &OcspResponder<'_>, request: &OcspRequest, status: CertStatus) -> Vec<u8> {
    let single =
        |cert_id| SingleResponse { cert_id, status, this_update: NOW, next_update: NOW.plus_days(1) };
    let responses: Vec<_> = request.cert_ids.iter().map(single).collect();
    responder.respond(&responses, request.nonce.as_deref(), NOW).unwrap()
}

fn delegate(authority: &Authority) -> OcspResponder<'static> {
    let key = SigningKey::generate(RESPONDER_KEY).unwrap();
    let validity = Validity { not_before: NOW, not_after: NOW.plus_days(30) };
    let certificate = responder_certificate(&authority.issuer, &key, serial(99), validity).unwrap();
    OcspResponder::delegate(key, certificate).unwrap()
}

/// What openssl makes of a response to the request in the folder.
fn judged(folder: &tempfile::TempDir, digest: &str, response: &[u8], leaf: &[u8]) -> (bool, String) {
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
fn openssl_believes_what_every_kind_of_authority_says() {
    let folder = tempfile::tempdir().unwrap();
    for algorithm in KeyAlgorithm::ALL {
        let authority = authority(algorithm);
        let leaf = issue(&authority, serial(7));
        for digest in ["-sha1", "-sha256"] {
            let Some(request) = asked(&folder, &authority, &[serial(7)], &[digest]) else { return };
            let request = read_ocsp_request(&request).unwrap();
            let [id] = &request.cert_ids[..] else { panic!("{request:?}") };
            assert_eq!(id.serial(), Some(serial(7)));
            assert!(IssuerNames::of(&authority.issuer).unwrap().match_issuer_of(id), "{algorithm} {digest}");
            for responder in [OcspResponder::authority(&authority.issuer).unwrap(), delegate(&authority)] {
                for (status, said) in
                    [(CertStatus::Good, "good"), (HELD, "revoked"), (CertStatus::Unknown, "unknown")]
                {
                    let (succeeded, text) =
                        judged(&folder, digest, &respond(&responder, &request, status), &leaf);
                    assert!(succeeded && text.contains("Response verify OK"), "{algorithm}: {text}");
                    assert!(text.contains(&format!("leaf.pem: {said}")), "{algorithm}: {text}");
                    assert_eq!(text.contains("Reason: certificateHold"), status == HELD, "{text}");
                }
                let mut changed = respond(&responder, &request, CertStatus::Good);
                // In the middle of the signed part.
                let at = changed.windows(20).position(|octets| octets == serial(7).as_bytes()).unwrap();
                changed[at] ^= 1;
                assert!(
                    !judged(&folder, digest, &changed, &leaf).1.contains("verify OK"),
                    "the judge is asleep"
                );
            }
        }
    }
}

#[test]
fn an_authority_knows_its_own_certificates_only() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, other) = (authority(KeyAlgorithm::P256), authority(KeyAlgorithm::P256));
    let Some(request) = asked(&folder, &ours, &[serial(1)], &[]) else { return };
    let id = &read_ocsp_request(&request).unwrap().cert_ids[0];
    assert!(IssuerNames::of(&ours.issuer).unwrap().match_issuer_of(id));
    assert!(!IssuerNames::of(&other.issuer).unwrap().match_issuer_of(id), "same name, another key");
}

#[test]
fn several_certificates_and_a_nonce() {
    let folder = tempfile::tempdir().unwrap();
    let authority = authority(KeyAlgorithm::P256);
    let serials: Vec<_> = (0..3).map(serial).collect();
    let Some(request) = asked(&folder, &authority, &serials, &["-nonce"]) else { return };
    let request = read_ocsp_request(&request).unwrap();
    let read: Vec<_> = request.cert_ids.iter().map(|id| id.serial().unwrap()).collect();
    assert_eq!(read, serials);
    let nonce = request.nonce.clone().unwrap();
    assert!((16..=32).contains(&nonce.len()));
    let response = respond(&OcspResponder::authority(&authority.issuer).unwrap(), &request, CertStatus::Good);
    assert!(response.windows(nonce.len()).any(|octets| octets == nonce));

    let many: Vec<_> = (0..OCSP_CERT_IDS_MAX as u32 + 1).map(serial).collect();
    let request = asked(&folder, &authority, &many, &[]).unwrap();
    assert_eq!(read_ocsp_request(&request), Err(OcspRequestError("it asks about too many certificates")));
    let request = asked(&folder, &authority, &many[1..], &[]).unwrap();
    assert_eq!(read_ocsp_request(&request).unwrap().cert_ids.len(), OCSP_CERT_IDS_MAX);
}

/// A request with this nonce, made by hand: SHA-1, a serial number of one octet.
fn with_nonce(nonce: &[u8]) -> Vec<u8> {
    fn tlv(tag: u8, content: &[&[u8]]) -> Vec<u8> {
        let content = content.concat();
        let length = match content.len() {
            short @ 0..=0x7f => vec![short as u8],
            long => vec![0x82, (long >> 8) as u8, long as u8],
        };
        // The shortest form, for content of 128 to 255 octets.
        let length = if (0x80..0x100).contains(&content.len()) { vec![0x81, length[2]] } else { length };
        [&[tag][..], &length, &content].concat()
    }
    let algorithm = tlv(0x30, &[&tlv(0x06, &[&[0x2b, 0x0e, 0x03, 0x02, 0x1a]]), &[0x05, 0]]);
    let hash = tlv(0x04, &[&[7; 20]]);
    let id = tlv(0x30, &[&algorithm, &hash, &hash, &[0x02, 1, 5]]);
    let list = tlv(0x30, &[&tlv(0x30, &[&id])]);
    let kind = tlv(0x06, &[&[0x2b, 6, 1, 5, 5, 7, 0x30, 1, 2]]);
    let extension = tlv(0x30, &[&kind, &tlv(0x04, &[&tlv(0x04, &[nonce])])]);
    let extensions = tlv(0xa2, &[&tlv(0x30, &[&extension])]);
    tlv(0x30, &[&tlv(0x30, &[&list, &extensions])])
}

#[test]
fn a_nonce_has_1_to_128_octets() {
    for length in [1, 32, 128] {
        let request = read_ocsp_request(&with_nonce(&vec![9; length])).unwrap();
        assert_eq!(request.nonce, Some(vec![9; length]));
        assert_eq!(request.cert_ids[0].serial(), None, "no serial number of ours has one octet");
    }
    for length in [0, 129, 4_000] {
        let refused = read_ocsp_request(&with_nonce(&vec![9; length]));
        assert_eq!(refused, Err(OcspRequestError("its nonce does not have 1 to 128 octets")), "{length}");
    }
    let long = read_ocsp_request(&vec![0x30; OCSP_REQUEST_BYTES_MAX + 1]);
    assert_eq!(long, Err(OcspRequestError("it is too long")));
}

#[test]
fn failures_have_the_numbers_of_the_standard() {
    for (failure, code) in [
        (OcspFailure::MalformedRequest, 1),
        (OcspFailure::InternalError, 2),
        (OcspFailure::TryLater, 3),
        (OcspFailure::Unauthorized, 6),
    ] {
        assert_eq!(ocsp_failure(failure), [0x30, 3, 0x0a, 1, code]);
    }
}

proptest! {
    #[test]
    fn whatever_is_sent_is_read_or_refused(mut octets in proptest::collection::vec(any::<u8>(), 0..200), at in 0_usize..120, change: u8) {
        let _ = read_ocsp_request(&octets);
        // A good one with a change.
        octets = with_nonce(&[9; 32]);
        let length = octets.len();
        octets[at % length] ^= change;
        if let Ok(request) = read_ocsp_request(&octets) {
            prop_assert_eq!(request.cert_ids.len(), 1);
        }
    }
}
