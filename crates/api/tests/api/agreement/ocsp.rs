//! The OCSP status of a certificate.

use certgate_model::SerialNumber;
use certgate_pki::write_ocsp_request;
use certgate_testkit::TestApp;
use http::Method;

use super::model::Revoked;

/// Time by which each date in a CRL or OCSP answer is early, in seconds: the API and OCSP show the
/// same revocation.
pub const EARLY_SECONDS: i64 = 300;

/// The expected bytes of its answer: DER of the certStatus (RFC 6960 §4.2.1) after the serial
/// number.
pub async fn check(
    app: &TestApp,
    authority_der: &[u8],
    serial: SerialNumber,
    revoked: Option<Revoked>,
) {
    let request = write_ocsp_request(authority_der, &[serial], None).unwrap();
    let answer = app.public(Method::POST, "/ocsp").body(request).await;
    let named = answer
        .bytes
        .windows(20)
        .position(|window| window == serial.as_bytes());
    let status = &answer.bytes[named.expect("the answer is about the certificate") + 20..];
    let expected = revoked.map_or(vec![0x80, 0], revoked_info);
    assert!(
        status.starts_with(&expected),
        "OCSP says {:x?} of {serial}, not {revoked:?}",
        &status[..24]
    );
}

fn revoked_info(Revoked { at, reason }: Revoked) -> Vec<u8> {
    let time = certgate_model::Timestamp::from_unix(at - EARLY_SECONDS)
        .to_string()
        .replace(['-', 'T', ':'], "");
    let reason = match reason {
        0 => vec![],
        reason => vec![0xa0, 3, 0x0a, 1, reason],
    };
    [
        &[0xa1, 17 + reason.len() as u8, 0x18, 15],
        time.as_bytes(),
        &reason,
    ]
    .concat()
}
