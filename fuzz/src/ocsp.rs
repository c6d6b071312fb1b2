use base64ct::{Base64, Encoding as _};
use certgate_model::RevocationReason;
use certgate_pki::{
    CertStatus, NONCE_BYTES_MAX, OCSP_CERT_IDS_MAX, OcspRequest, OcspResponder, SingleResponse,
    read_ocsp_path, read_ocsp_request,
};

use super::given::{ISSUER, NOW, contains, tlv};
use super::message;

/// id-pkix-ocsp-nonce (RFC 6960 §4.4.1).
const NONCE: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 0x30, 1, 2];

/// Length of the header of the OCTET STRING around the longest nonce, in octets.
const HEADER_BYTES_MAX: usize = 3;

/// Reads a request to the OCSP responder, DER.
pub fn ocsp_request(input: &[u8]) {
    let request = match read_ocsp_request(input) {
        Ok(request) => request,
        Err(error) => return message::check("", &error),
    };
    assert!((1..=OCSP_CERT_IDS_MAX).contains(&request.cert_ids.len()));
    assert!(
        request
            .nonce
            .iter()
            .all(|nonce| (1..=NONCE_BYTES_MAX + HEADER_BYTES_MAX).contains(&nonce.len()))
    );
    for id in &request.cert_ids {
        assert!(contains(input, id.der()), "the ID is a part of the input");
        assert!(
            id.serial()
                .is_none_or(|serial| contains(id.der(), serial.as_bytes()))
        );
    }
    assert_eq!(
        read_ocsp_request(&written(&request)),
        Ok(request.clone()),
        "the shortest request reads back equal"
    );
    respond(&request);
}

/// Writes the shortest request with the same meaning (RFC 6960 §4.1.1).
fn written(request: &OcspRequest) -> Vec<u8> {
    let ids: Vec<u8> = request
        .cert_ids
        .iter()
        .flat_map(|id| tlv(0x30, id.der()))
        .collect();
    let mut tbs = tlv(0x30, &ids);
    if let Some(nonce) = &request.nonce {
        let value = tlv(0x04, nonce);
        let extension = tlv(0x30, &[tlv(0x06, NONCE), value].concat());
        tbs.extend(tlv(0xa2, &tlv(0x30, &extension)));
    }
    tlv(0x30, &tlv(0x30, &tbs))
}

/// Signs a response, which must succeed for each accepted request and name its certificates.
fn respond(request: &OcspRequest) {
    let held = CertStatus::Revoked {
        at: NOW,
        reason: RevocationReason::CertificateHold,
    };
    let responses: Vec<_> = request
        .cert_ids
        .iter()
        .zip(
            [CertStatus::Good, held, CertStatus::Unknown]
                .into_iter()
                .cycle(),
        )
        .map(|(cert_id, status)| SingleResponse {
            cert_id,
            status,
            this_update: NOW,
            next_update: NOW.plus_days(1),
        })
        .collect();
    let responder = OcspResponder::authority(&ISSUER).expect("a CA can answer");
    let response = responder
        .respond(&responses, request.nonce.as_deref(), NOW)
        .expect("the key signs");
    assert!(
        request
            .cert_ids
            .iter()
            .all(|id| contains(&response, id.der()))
    );
    assert!(request.nonce.iter().all(|nonce| contains(&response, nonce)));
}

/// Reads a request from the path of a GET.
pub fn ocsp_path(input: &[u8]) {
    let Some(der) = std::str::from_utf8(input).ok().and_then(read_ocsp_path) else {
        return;
    };
    assert!(der.len() <= input.len(), "Base64 is longer than its octets");
    // RFC 6960 §A.1: url-encoding of Base64, as a client writes it.
    let escaped = Base64::encode_string(&der)
        .replace('/', "%2F")
        .replace('+', "%2B")
        .replace('=', "%3D");
    assert_eq!(
        read_ocsp_path(&escaped),
        Some(der.clone()),
        "the escaped form reads back equal"
    );
    ocsp_request(&der);
}
