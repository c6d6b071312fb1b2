//! Random subjects: the certificate repeats each well-formed subject byte for byte.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::cell::Cell;
use std::io::Write as _;
use std::process::{Command, Stdio};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use certgate_model::{AuthorityId, KeyAlgorithm, SerialNumber, Timestamp};
use certgate_pki::{
    CsrError, Issuer, Profile, SigningKey, Validity, pem_lines, prepare, read_csr, self_sign, sign,
};
use proptest::prelude::*;
use x509_cert::der::{Decode as _, Reader as _, SliceReader};

const NOW: Timestamp = Timestamp::from_unix(1_785_542_400);

fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = content.len();
    let head = match length {
        0..0x80 => vec![tag, length as u8],
        0x80..0x100 => vec![tag, 0x81, length as u8],
        _ => vec![tag, 0x82, (length >> 8) as u8, length as u8],
    };
    [head, content].concat()
}

/// An attribute: a common or an unknown one, with any string type and any octets.
fn attribute() -> impl Strategy<Value = Vec<u8>> {
    let kinds = [
        &[0x55, 4, 3][..],
        &[0x55, 4, 6],
        &[0x55, 4, 10],
        &[0x55, 4, 5],
        &[0x2b, 6, 1, 4, 1, 0x87, 0x67, 9],
    ];
    let kind = prop::sample::select(kinds.to_vec());
    let string_tag = prop::sample::select(vec![
        0x0c_u8, 0x12, 0x13, 0x14, 0x16, 0x17, 0x18, 0x1a, 0x1b, 0x1c, 0x1e, 0x04, 0x8a,
    ]);
    let printable = "[ -~]{0,20}".prop_map(String::into_bytes);
    let content = prop_oneof![3 => printable, 1 => prop::collection::vec(any::<u8>(), 0..24)];
    (kind, string_tag, content).prop_map(|(kind, string_tag, content)| {
        tlv(0x30, &[&tlv(6, &[kind]), &tlv(string_tag, &[&content])])
    })
}

/// A name with sets of several attributes, in any order.
fn name() -> impl Strategy<Value = Vec<u8>> {
    let rdn = prop::collection::vec(attribute(), 1..4)
        .prop_map(|attributes| tlv(0x31, &[&attributes.concat()]));
    prop::collection::vec(rdn, 0..5).prop_map(|rdns| tlv(0x30, &[&rdns.concat()]))
}

fn request(key: &EcdsaKeyPair, name: &[u8]) -> String {
    const P256: &[u8] = &[
        0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
        0x48, 0xce, 0x3d, 0x03, 0x01, 0x07,
    ];
    const ECDSA_WITH_SHA256: &[u8] = &[
        0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02,
    ];
    let spki = tlv(0x30, &[P256, &tlv(3, &[&[0], key.public_key().as_ref()])]);
    let info = tlv(0x30, &[&[2, 1, 0], name, &spki, &[0xa0, 0]]);
    let signature = key.sign(&SystemRandom::new(), &info).unwrap();
    let der = tlv(
        0x30,
        &[
            &info,
            ECDSA_WITH_SHA256,
            &tlv(3, &[&[0], signature.as_ref()]),
        ],
    );
    pem_lines("CERTIFICATE REQUEST", &der)
}

/// Reads the subject, the sixth field of the TBSCertificate, with another reader.
fn subject_of(certificate: &[u8]) -> Vec<u8> {
    use x509_cert::der::asn1::AnyRef;
    let certificate = AnyRef::from_der(certificate).unwrap();
    let tbs = SliceReader::new(certificate.value())
        .unwrap()
        .tlv_bytes()
        .unwrap();
    let tbs = AnyRef::from_der(tbs).unwrap();
    let mut fields = SliceReader::new(tbs.value()).unwrap();
    for _ in 0..5 {
        fields.tlv_bytes().unwrap();
    }
    fields.tlv_bytes().unwrap().to_vec()
}

/// Judges with openssl whether a program that uses it can read a certificate; `None` if the machine
/// has no such program.
fn openssl_reads(certificate: &[u8]) -> Option<bool> {
    let read = Command::new("openssl")
        .args(["x509", "-inform", "DER", "-noout"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut read = read.ok()?;
    read.stdin.take().unwrap().write_all(certificate).unwrap();
    Some(read.wait().unwrap().success())
}

/// Each certificate that openssl cannot read has a remark, and no other one.
#[test]
fn certificates_repeat_every_well_formed_subject() {
    let authority = SigningKey::generate(KeyAlgorithm::P256).unwrap();
    let serial = SerialNumber::from_random([0x5a; 20]);
    let id = AuthorityId::from_bytes([0xab; 16]);
    let der = self_sign(&authority, id, serial, NOW, NOW.plus_days(7300)).unwrap();
    let issuer = Issuer::new(&der, authority).unwrap();
    let validity = Validity {
        not_before: NOW,
        not_after: NOW.plus_days(30),
    };
    let profile = Profile {
        crl_url: "http://x/crl".into(),
        ocsp_url: "http://x/ocsp".into(),
        ca_url: "http://x/ca.crt".into(),
        alternative_names: Vec::new(),
    };
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let (issued, unread) = (Cell::new(0), Cell::new(0));

    let config = ProptestConfig {
        cases: 500,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(name in name())| {
        match read_csr(&request(&key, &name)) {
            Ok(csr) => {
                prop_assert_eq!(csr.subject_der(), &name);
                let prepared = prepare(&issuer, &csr, serial, validity, &profile).unwrap();
                let signed = sign(prepared).unwrap();
                prop_assert_eq!(subject_of(&signed.der), name);
                issued.set(issued.get() + 1);
                let remark = csr.attribute_unreadable_for_openssl();
                if let Some(is_read) = openssl_reads(&signed.der) {
                    prop_assert_eq!(is_read, remark.is_none(), "{:?}", remark);
                    unread.set(unread.get() + usize::from(!is_read));
                }
            }
            Err(error) => {
                let is_expected = matches!(
                    error,
                    CsrError::SubjectUnreadable { .. } | CsrError::ControlCharacter { .. }
                );
                prop_assert!(is_expected, "{error}");
            }
        }
    });
    assert!(
        issued.get() > 50,
        "only {} of the names could be read",
        issued.get()
    );
    assert!(openssl_reads(&der).is_none_or(|is_read| is_read && unread.get() > 20));
}
