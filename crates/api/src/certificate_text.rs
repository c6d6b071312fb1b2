//! The JSON of certificates in lists: the octets of [`client_certificate`], which describes the
//! object, but without a text in between for each member.
//!
//! [`client_certificate`]: crate::objects::client_certificate

use std::fmt::Display;
use std::io::Write as _;

use certgate_model::{CertificateRecord, Hex};
use certgate_pki::write_public_pem_in_json;
use certgate_wire::write_string;

use crate::objects::line;

/// Appends the JSON of a certificate.
pub(crate) fn write(out: &mut Vec<u8>, record: &CertificateRecord) {
    let subject = &record.subject;
    hex(out, r#"{"id":""#, record.id.as_bytes());
    out.extend_from_slice(br#"","certificate":""#);
    write_public_pem_in_json(out, "CERTIFICATE", &record.der);
    shown(
        out,
        r#"","certificate_authority":{"id":""#,
        record.authority.id,
    );
    string(out, r#"","name":"#, &record.authority.name);
    string(out, r#"},"common_name":"#, &subject.common_name);
    string(out, r#","country":"#, &subject.country);
    string(out, r#","csr":"#, &record.csr);
    shown(out, r#","expires_on":""#, record.expires_on);
    hex(
        out,
        r#"","fingerprint_sha256":""#,
        &record.fingerprint_sha256,
    );
    shown(out, r#"","issued_on":""#, record.issued_on);
    string(out, r#"","location":"#, &subject.location);
    string(out, r#","organization":"#, &subject.organization);
    string(
        out,
        r#","organizational_unit":"#,
        &subject.organizational_unit,
    );
    hex(out, r#","serial_number":""#, record.serial.as_bytes());
    string(out, r#"","signature":"#, record.signature.name());
    hex(out, r#","ski":""#, &record.ski);
    string(out, r#"","state":"#, &subject.state);
    string(out, r#","status":"#, record.status.name());
    shown(out, r#","validity_days":"#, record.validity_days);
    if let Some(line) = line(record.lineage) {
        out.extend_from_slice(br#","certgate":"#);
        serde_json::to_writer(&mut *out, &line).expect("IDs always serialise");
    }
    out.push(b'}');
}

fn hex(out: &mut Vec<u8>, before: &str, octets: &[u8]) {
    out.extend_from_slice(before.as_bytes());
    Hex(octets).append(out);
}

fn string(out: &mut Vec<u8>, before: &str, text: &str) {
    out.extend_from_slice(before.as_bytes());
    write_string(out, text);
}

/// Appends a value whose text needs no escapes.
fn shown(out: &mut Vec<u8>, before: &str, value: impl Display) {
    write!(out, "{before}{value}").expect("a Vec takes every octet");
}

#[cfg(test)]
mod tests {
    use certgate_model::{
        AuthorityId, AuthorityRef, CertificateId, Lineage, SerialNumber, SignatureAlgorithm,
        Status, SubjectFields, Timestamp, ZoneId,
    };
    use proptest::prelude::*;

    use super::*;
    use crate::objects::client_certificate;

    proptest! {
        #[test]
        fn a_record_has_the_text_of_its_object(
            octets in any::<[u8; 32]>(),
            texts in any::<[String; 8]>(),
            der in prop::collection::vec(any::<u8>(), 0..1500),
            seconds in -62_135_596_800_i64..253_402_300_799,
            microseconds in prop_oneof![Just(0_i64), 0..1_000_000_i64],
            validity_days in any::<u32>(),
            neighbours in any::<[bool; 2]>(),
        ) {
            let [name, common_name, country, state, location, organization, unit, csr] = texts;
            let id = [0, 8].map(|at| {
                CertificateId::from_bytes(octets[at..at + 16].try_into().unwrap())
            });
            let twenty: [u8; 20] = octets[..20].try_into().unwrap();
            let record = CertificateRecord {
                id: id[0],
                zone: ZoneId::from_bytes([1; 16]),
                authority: AuthorityRef {
                    id: AuthorityId::from_bytes(octets[16..].try_into().unwrap()),
                    name,
                },
                status: Status::ALL[usize::from(octets[0]) % Status::ALL.len()],
                serial: SerialNumber::from_bytes(twenty),
                subject: SubjectFields {
                    common_name,
                    country,
                    state,
                    location,
                    organization,
                    organizational_unit: unit,
                },
                issued_on: Timestamp::from_unix(seconds).plus_microseconds(microseconds),
                expires_on: Timestamp::from_unix(seconds).plus_days(validity_days % 9_999),
                validity_days,
                signature: SignatureAlgorithm::ALL
                    [usize::from(octets[1]) % SignatureAlgorithm::ALL.len()],
                fingerprint_sha256: octets,
                ski: twenty,
                der,
                csr,
                revoked_on: None,
                revocation_reason: None,
                lineage: Lineage {
                    replaces: neighbours[0].then_some(id[1]),
                    replaced_by: neighbours[1].then_some(id[0]),
                },
            };
            let mut written = Vec::new();
            write(&mut written, &record);
            let expected = serde_json::to_string(&client_certificate(&record)).unwrap();
            prop_assert_eq!(String::from_utf8(written).unwrap(), expected);
        }
    }
}
