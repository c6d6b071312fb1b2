//! Hostile requests: the reader does not panic, and rejects each changed request.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use certgate_pki::{CsrError, pem_lines, read_csr};
use proptest::prelude::*;
use rustls_pki_types::CertificateSigningRequestDer;
use rustls_pki_types::pem::PemObject as _;

fn good(name: &str) -> String {
    let path = format!(
        "{}/tests/fixtures/{name}.csr.pem",
        env!("CARGO_MANIFEST_DIR")
    );
    std::fs::read_to_string(path).unwrap()
}

/// Reads the octets of a request with another decoder than the one under test.
fn octets(name: &str) -> Vec<u8> {
    CertificateSigningRequestDer::from_pem_slice(good(name).as_bytes())
        .unwrap()
        .to_vec()
}

fn requests() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "good_p256_sha256",
        "good_rsa_2048_sha256",
        "good_ed25519",
        "good_odd_subject",
        "good_extensions",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn read_csr_rejects_random_text(text in ".{0,400}") {
        prop_assert!(read_csr(&text).is_err());
    }

    #[test]
    fn read_csr_rejects_random_octets(octets in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(read_csr(&pem_lines("CERTIFICATE REQUEST", &octets)).is_err());
    }

    /// One changed octet breaks the signature, if not the structure.
    #[test]
    fn read_csr_rejects_one_changed_octet(
        name in requests(),
        at in any::<prop::sample::Index>(),
        change in 1_u8..,
    ) {
        let mut octets = octets(name);
        let at = at.index(octets.len());
        octets[at] ^= change;
        let result = read_csr(&pem_lines("CERTIFICATE REQUEST", &octets));
        prop_assert!(result.is_err(), "{name}: octet {at} changed by {change:#04x}");
    }

    #[test]
    fn read_csr_rejects_replaced_octets(
        name in requests(),
        from in any::<prop::sample::Index>(),
        to in any::<prop::sample::Index>(),
        inserted in prop::collection::vec(any::<u8>(), 1..40),
    ) {
        let octets = octets(name);
        let (from, to) = (from.index(octets.len()), to.index(octets.len()));
        let changed = [&octets[..from.min(to)], &inserted, &octets[from.max(to)..]].concat();
        prop_assume!(changed != octets);
        prop_assert!(read_csr(&pem_lines("CERTIFICATE REQUEST", &changed)).is_err());
    }

    #[test]
    fn read_csr_does_not_panic_on_changed_text(
        name in requests(),
        at in any::<prop::sample::Index>(),
        inserted in "[-\\\\nrA-Za-z =é\u{0}\r\n]{1,12}",
    ) {
        let mut text = good(name);
        let at = at.index(text.len());
        text.insert_str(at, &inserted);
        if let Err(error) = read_csr(&text) {
            prop_assert!(error.to_string().len() < 700);
        }
    }
}

#[test]
fn nested_lists_do_not_exhaust_the_stack() {
    let mut nested = vec![];
    while nested.len() < 11_000 {
        let length = nested.len() as u32;
        nested.splice(
            ..0,
            [&[0x30, 0x83][..], &length.to_be_bytes()[1..]].concat(),
        );
    }
    assert!(matches!(
        read_csr(&pem_lines("CERTIFICATE REQUEST", &nested)),
        Err(CsrError::Malformed { .. })
    ));
}
