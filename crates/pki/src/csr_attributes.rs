//! The attributes that a server wants in a CSR, as EST tells clients.

use certgate_model::{IssuanceRules, KeyType};
use der::oid::ObjectIdentifier;

use crate::oid;
use crate::tlv::{self, tag};

/// Returns the `CsrAttrs` (RFC 7030 §4.5.2) of rules, DER; `None` if they demand nothing: the
/// required attributes of the subject, the permitted types of keys, and the extension of alternative
/// names if the rules permit any.
pub fn csr_attributes(rules: &IssuanceRules) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    let attributes = rules.required_attributes.iter();
    // An arc of more than 32 bits is in no certificate that programs make.
    for attribute in attributes.filter_map(|one| ObjectIdentifier::new(one.oid()).ok()) {
        tlv::write(&mut content, tag::OID, attribute.as_bytes());
    }
    for key in &rules.key_types {
        write_key(&mut content, *key);
    }
    let names = rules.of_alternative_names();
    if names.is_some_and(|names| names.permits_some()) {
        write_attribute(&mut content, oid::EXTENSION_REQUEST, |out| {
            tlv::write(out, tag::OID, oid::SUBJECT_ALT_NAME);
        });
    }
    if content.is_empty() {
        return None;
    }
    let mut attributes = Vec::new();
    tlv::write(&mut attributes, tag::SEQUENCE, &content);
    Some(attributes)
}

/// Writes a type of key, with its curve or its bits as the value (RFC 7030 §4.5.2).
fn write_key(out: &mut Vec<u8>, key: KeyType) {
    let on_curve = |out: &mut Vec<u8>, curve| {
        write_attribute(out, oid::EC_PUBLIC_KEY, |out| {
            tlv::write(out, tag::OID, curve);
        });
    };
    match key {
        KeyType::P256 => on_curve(out, oid::P256),
        KeyType::P384 => on_curve(out, oid::P384),
        KeyType::P521 => on_curve(out, oid::P521),
        KeyType::Ed25519 => tlv::write(out, tag::OID, oid::ED25519),
        KeyType::Rsa(None) => tlv::write(out, tag::OID, oid::RSA_ENCRYPTION),
        KeyType::Rsa(Some(bits)) => write_attribute(out, oid::RSA_ENCRYPTION, |out| {
            tlv::write_unsigned(out, &bits.to_be_bytes());
        }),
    }
}

fn write_attribute(out: &mut Vec<u8>, kind: &[u8], value: impl FnOnce(&mut Vec<u8>)) {
    tlv::write_with(out, tag::SEQUENCE, |out| {
        tlv::write(out, tag::OID, kind);
        tlv::write_with(out, tag::SET, value);
    });
}

#[cfg(test)]
mod tests {
    use certgate_model::AlternativeNameRules;

    use super::*;

    #[test]
    fn attributes_are_those_of_the_rules() {
        assert_eq!(csr_attributes(&IssuanceRules::default()), None);
        let rules = IssuanceRules {
            required_attributes: vec!["organization".parse().unwrap()],
            key_types: vec![KeyType::P256, KeyType::Rsa(Some(3072)), KeyType::Ed25519],
            alternative_names: Some(AlternativeNameRules {
                dns: vec!["*.example".parse().unwrap()],
                ..AlternativeNameRules::default()
            }),
            ..IssuanceRules::default()
        };
        let expected = [
            &[0x30, 0x48, 6, 3, 0x55, 4, 0x0a][..],
            &[0x30, 0x15, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1],
            &[0x31, 0x0a, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7],
            &[
                0x30, 0x11, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1,
            ],
            &[0x31, 4, 2, 2, 0x0c, 0],
            &[6, 3, 0x2b, 0x65, 0x70],
            &[
                0x30, 0x12, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 0x0e,
            ],
            &[0x31, 5, 6, 3, 0x55, 0x1d, 0x11],
        ];
        assert_eq!(csr_attributes(&rules), Some(expected.concat()));
    }
}
