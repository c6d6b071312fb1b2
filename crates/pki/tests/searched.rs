//! The search for weak RSA keys: after every signature, and once for a key.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use certgate_model::{KeyAlgorithm, MtlsCertificateRecord, SubjectFields, Timestamp};
use certgate_pki::{
    ChainError, ClientKey, Purpose, contradicts_uploaded, pem_lines, read_chain,
    read_chain_of_known_keys, read_csr, read_csr_of_known_key,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

fn fixture(name: &str) -> String {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/uploaded");
    std::fs::read_to_string(format!("{directory}/{name}.certs.pem")).unwrap()
}

fn now() -> Timestamp {
    "2026-08-14T10:20:30Z".parse().unwrap()
}

#[test]
fn a_key_is_searched_after_the_signatures_and_not_again() {
    let text = fixture("good_rsa_2048");
    let known = || read_chain_of_known_keys(&text, Purpose::Authority, now()).unwrap();
    assert_eq!(known(), None);
    let searched = read_chain(&text, Purpose::Authority, now()).unwrap();
    assert_eq!(known(), Some(searched));
    let ecdsa = read_chain_of_known_keys(&fixture("good_root"), Purpose::Authority, now());
    assert!(ecdsa.unwrap().is_some());

    let key = ClientKey::generate(KeyAlgorithm::Rsa2048).unwrap();
    let request = key.request(&SubjectFields::default()).unwrap();
    assert!(read_csr_of_known_key(&request).unwrap().is_none());
    read_csr(&request).unwrap();
    assert!(read_csr_of_known_key(&request).unwrap().is_some());

    // 3 divides 2^2048 − 1, which is not a key that has signed anything.
    let mut der = CertificateDer::from_pem_slice(text.as_bytes())
        .unwrap()
        .to_vec();
    let modulus = [2, 0x82, 1, 1, 0];
    let at = der.windows(5).position(|part| part == modulus).unwrap() + 5;
    der[at..at + 256].fill(0xff);
    let forged = pem_lines("CERTIFICATE", &der);
    let refused = read_chain(&forged, Purpose::Authority, now());
    assert_eq!(refused, Err(ChainError::SignatureInvalid { number: 1 }));
}

/// A stored certificate is not corrupt because the policy for new ones refuses it. The values are
/// those that openssl prints.
#[test]
fn stored_certificates_are_compared_without_the_policy_for_new_ones() {
    for (name, signature, expires_on, fingerprint) in [
        (
            "curve_secp256k1",
            "ECDSAWithSHA256",
            "2050-06-07T08:09:10Z",
            "6c4444b7965439870d9f56f35d86e1df9f2905d144cabd4ac44c32d48692c455",
        ),
        (
            "rsa_1024",
            "SHA256WithRSA",
            "2050-06-07T08:09:10Z",
            "d7ee3c2c4377a01099c3f119e6ec30ba6413a244c6ceda4ec064b47bd5e5fa43",
        ),
        (
            "no_cert_sign",
            "ECDSAWithSHA256",
            "2050-06-07T08:09:10Z",
            "69ecceee797440ab09131a9ad3624d125deec5563e8c5808524039d33c5c545a",
        ),
    ] {
        let text = fixture(name);
        assert!(read_chain(&text, Purpose::Authority, now()).is_err());
        let octet = |at| u8::from_str_radix(&fingerprint[2 * at..2 * at + 2], 16).unwrap();
        let record = MtlsCertificateRecord {
            certificates: text,
            issuer: r"CN=x,O=Example\, Ltd,C=DE".to_owned(),
            signature: signature.to_owned(),
            serial_number: "103929005307927756724354605802047639613112342136".to_owned(),
            fingerprint_sha256: std::array::from_fn(octet),
            expires_on: expires_on.parse().unwrap(),
            ..record()
        };
        assert_eq!(contradicts_uploaded(&record), [""; 0], "{name}");
        let other = MtlsCertificateRecord {
            serial_number: "7".to_owned(),
            issuer: "CN=y".to_owned(),
            fingerprint_sha256: [0; 32],
            ..record
        };
        let wrong = ["issuer", "serial_number", "fingerprint_sha256"];
        assert_eq!(contradicts_uploaded(&other), wrong, "{name}");
    }
    assert_eq!(contradicts_uploaded(&record()), ["certificates"]);
}

fn record() -> MtlsCertificateRecord {
    MtlsCertificateRecord {
        id: certgate_model::MtlsCertificateId::from_bytes([1; 16]),
        account: certgate_model::AccountId::from_bytes([2; 16]),
        name: String::new(),
        ca: true,
        certificates: String::new(),
        sealed_key: None,
        issuer: String::new(),
        signature: String::new(),
        serial_number: String::new(),
        fingerprint_sha256: [0; 32],
        uploaded_on: now(),
        expires_on: now(),
    }
}
