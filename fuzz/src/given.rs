//! The fixed inputs of the targets, and the conversion of bytes from outside into text.

use std::borrow::Cow;
use std::sync::LazyLock;

use certgate_model::{AuthorityId, KeyAlgorithm, SerialNumber, Timestamp};
use certgate_pki::{
    CheckedCsr, Issuer, LintError, PathError, Profile, SigningKey, Validity, pem_lines, prepare,
    read_private_key, self_sign, sign,
};

/// 2026-08-01T00:00:00Z.
pub(crate) const NOW: Timestamp = Timestamp::from_unix(1_785_542_400);

pub(crate) const SERIAL: SerialNumber = SerialNumber::from_random([0x5a; 20]);

/// A key whose signatures are deterministic, so that the same input takes the same path.
pub(crate) const ED25519_KEY: &str =
    include_str!("../../crates/pki/tests/fixtures/uploaded/good_ed25519.key.pem");

/// The first octet of all fuzzed DER: the tag of a SEQUENCE.
const SEQUENCE: u8 = 0x30;

/// A managed CA.
pub(crate) static ISSUER: LazyLock<Issuer> = LazyLock::new(|| {
    let pkcs8 = read_private_key(ED25519_KEY)
        .expect("the fixture is a key")
        .pkcs8()
        .clone();
    let key = SigningKey::from_pkcs8(KeyAlgorithm::Ed25519, &pkcs8)
        .expect("the fixture is an Ed25519 key");
    let id = AuthorityId::from_bytes([0xab; 16]);
    let der = self_sign(&key, id, SERIAL, NOW, NOW.plus_days(7300)).expect("the key signs");
    Issuer::new(&der, key).expect("self_sign makes CA certificates")
});

static PROFILE: LazyLock<Profile> = LazyLock::new(|| Profile {
    crl_url: "http://pki.example.com/crl/abababab-abab-abab-abab-abababababab/90.crl".into(),
    ocsp_url: "http://pki.example.com/ocsp".into(),
    ca_url: "http://pki.example.com/ca.crt".into(),
    alternative_names: Vec::new(),
});

/// Converts the input into text. Base64 hides the structure from mutations. Therefore an input may
/// also be DER, which this function puts into a PEM block. `None`: the input is not UTF-8, and no
/// reader can get it.
pub(crate) fn text<'a>(label: &str, input: &'a [u8]) -> Option<Cow<'a, str>> {
    match input {
        [SEQUENCE, ..] => Some(pem_lines(label, input).into()),
        _ => std::str::from_utf8(input).ok().map(Cow::Borrowed),
    }
}

/// Issues a certificate. This must succeed for each accepted request and each accepted CA, and the
/// certificate must repeat subject and key byte for byte.
pub(crate) fn issue(issuer: &Issuer, csr: &CheckedCsr) {
    let end = issuer.expires_on().cut_to_minute().min(NOW.plus_days(365));
    if end <= NOW {
        return;
    }
    let validity = Validity {
        not_before: NOW,
        not_after: end,
    };
    let prepared = match prepare(issuer, csr, SERIAL, validity, &PROFILE) {
        // Name constraints depend on the subject.
        Err(LintError::Path(PathError::Name(_))) => return,
        prepared => prepared.expect("an accepted request passes the lint"),
    };
    let certificate = sign(prepared)
        .expect("a prepared certificate can be signed")
        .der;
    for part in [csr.subject_der(), csr.spki_der()] {
        assert!(
            contains(&certificate, part),
            "the certificate has another subject or key"
        );
    }
}

pub(crate) fn contains(octets: &[u8], part: &[u8]) -> bool {
    octets.windows(part.len()).any(|window| window == part)
}

/// Encodes a value: tag, length, content.
pub(crate) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match content.len() {
        length @ ..0x80 => out.push(length as u8),
        length => {
            let octets = length.to_be_bytes();
            let octets = &octets[octets.iter().take_while(|&&octet| octet == 0).count()..];
            out.push(0x80 | octets.len() as u8);
            out.extend_from_slice(octets);
        }
    }
    out.extend_from_slice(content);
    out
}

/// Splits consecutive encoded values. A truncated or malformed value is the last one, with the
/// rest.
pub(crate) fn values(mut octets: &[u8]) -> Vec<&[u8]> {
    let mut values = Vec::new();
    while !octets.is_empty() {
        let length = match octets {
            [_, length @ ..=0x7f, ..] => 2 + usize::from(*length),
            [_, 0x81, length, ..] => 3 + usize::from(*length),
            [_, 0x82, high, low, ..] => 4 + (usize::from(*high) << 8 | usize::from(*low)),
            _ => octets.len(),
        };
        let (value, rest) = octets.split_at_checked(length).unwrap_or((octets, &[]));
        values.push(value);
        octets = rest;
    }
    values
}
