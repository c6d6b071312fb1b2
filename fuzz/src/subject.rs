use std::sync::LazyLock;

use aws_lc_rs::signature::Ed25519KeyPair;
use certgate_model::KeyAlgorithm;
use certgate_pki::{ClientKey, PrivateKey, pem_lines, read_csr, read_private_key};

use super::given::{self, ED25519_KEY, ISSUER, tlv};
use super::message;

/// AlgorithmIdentifier of Ed25519 (RFC 8410 §3).
const ED25519: &[u8] = &[0x30, 5, 0x06, 3, 0x2b, 0x65, 0x70];

static KEY: LazyLock<(PrivateKey, Ed25519KeyPair)> = LazyLock::new(|| {
    let key = read_private_key(ED25519_KEY).expect("the fixture is a key");
    let pair = Ed25519KeyPair::from_pkcs8(key.pkcs8()).expect("the fixture is an Ed25519 key");
    (key, pair)
});

static CLIENT: LazyLock<ClientKey> =
    LazyLock::new(|| ClientKey::generate(KeyAlgorithm::Ed25519).expect("a key can be made"));

/// Reads a subject in a request that is signed here, because mutations of a signed request fail at
/// its signature. The input is DER, or [`name`] converts it into DER: few mutations of DER have
/// consistent lengths.
pub fn subject(input: &[u8]) {
    let name = match input {
        [0x30, ..] => input,
        _ => &name(input),
    };
    let text = pem_lines("CERTIFICATE REQUEST", &request(name));
    let csr = match read_csr(&text) {
        Ok(csr) => csr,
        Err(error) => return message::check(&text, &error),
    };
    assert_eq!(
        csr.subject_der(),
        name,
        "the subject is copied byte for byte"
    );
    given::issue(&ISSUER, &csr);

    let fields = csr.subject();
    for field in [
        &fields.common_name,
        &fields.country,
        &fields.state,
        &fields.location,
        &fields.organization,
        &fields.organizational_unit,
    ] {
        // UTF-8 takes at most twice the length of Latin-1.
        assert!(field.len() <= 2 * name.len());
    }
    // The reader returns the fields that the client wrote.
    if let Ok(request) = CLIENT.request(fields) {
        assert_eq!(
            read_csr(&request)
                .expect("our own request is good")
                .subject(),
            fields
        );
    }
}

/// Converts the input into a Name. Each attribute is the last octet of its type below 2.5.4, its
/// string tag, a length, and that many octets. A length from 0x80 on puts the next attribute into
/// the same set.
fn name(mut input: &[u8]) -> Vec<u8> {
    let (mut name, mut set) = (Vec::new(), Vec::new());
    while let [kind, string_tag, length, rest @ ..] = input {
        let (content, rest) = rest.split_at(usize::from(length & 0x7f).min(rest.len()));
        let kind = tlv(0x06, &[0x55, 4, kind & 0x7f]);
        set.extend(tlv(0x30, &[kind, tlv(*string_tag, content)].concat()));
        if *length < 0x80 || rest.len() < 3 {
            name.extend(tlv(0x31, &set));
            set.clear();
        }
        input = rest;
    }
    tlv(0x30, &name)
}

/// Signs a CertificationRequest (RFC 2986 §4) without attributes.
fn request(subject: &[u8]) -> Vec<u8> {
    let (key, pair) = &*KEY;
    let version = tlv(0x02, &[0]);
    let info = tlv(
        0x30,
        &[&version, subject, key.public_key_spki(), &tlv(0xa0, &[])].concat(),
    );
    let signature = tlv(0x03, &[&[0], pair.sign(&info).as_ref()].concat());
    tlv(0x30, &[&info, ED25519, &signature].concat())
}
