use certgate_model::{AuthorityId, SerialNumber, Timestamp};

use crate::certificate::{Criticality, sign_tbs, write_extension, write_validity, write_version};
use crate::key::algorithm_identifier;
use crate::lint::{check_serial, check_validity};
use crate::subject::{NewAttribute, write_name};
use crate::tlv::{self, tag};
use crate::{SignError, SigningKey, Validity, oid};

/// How a managed authority is named in certificates: `O=certgate, CN=Managed CA <32 hex digits of its id>`.
fn write_authority_name(out: &mut Vec<u8>, id: AuthorityId) {
    let common_name = format!("Managed CA {}", id.simple());
    let utf8 = |kind, text| NewAttribute {
        kind,
        string_tag: tag::UTF8_STRING,
        text,
    };
    write_name(
        out,
        &[
            utf8(oid::ORGANIZATION, "certgate"),
            utf8(oid::COMMON_NAME, &common_name),
        ],
    );
}

/// Makes a managed authority's own certificate. Both instants must be whole minutes.
pub fn self_sign(
    key: &SigningKey,
    id: AuthorityId,
    serial: SerialNumber,
    not_before: Timestamp,
    not_after: Timestamp,
) -> Result<Vec<u8>, SignError> {
    use Criticality::{Critical, NotCritical};
    check_serial(serial)?;
    check_validity(Validity {
        not_before,
        not_after,
    })?;
    let algorithm = algorithm_identifier(key.algorithm().signature());
    let key_identifier = key.key_identifier()?;
    let mut tbs = Vec::new();
    tlv::write_with(&mut tbs, tag::SEQUENCE, |out| {
        write_version(out);
        tlv::write(out, tag::INTEGER, serial.as_bytes());
        out.extend_from_slice(&algorithm);
        write_authority_name(out, id);
        write_validity(out, not_before, not_after);
        write_authority_name(out, id);
        out.extend_from_slice(key.public_key_spki());
        tlv::write_with(out, tag::CONTEXT_3_CONSTRUCTED, |out| {
            tlv::write_with(out, tag::SEQUENCE, |out| {
                write_extension(out, oid::BASIC_CONSTRAINTS, Critical, |out| {
                    out.extend_from_slice(AUTHORITY_OF_LEAVES);
                });
                write_extension(out, oid::KEY_USAGE, Critical, |out| {
                    out.extend_from_slice(CERTIFICATES_AND_CRLS);
                });
                write_extension(out, oid::SUBJECT_KEY_IDENTIFIER, NotCritical, |out| {
                    tlv::write(out, tag::OCTET_STRING, &key_identifier);
                });
            });
        });
    });
    sign_tbs(&tbs, &algorithm, key, &key.verifier()?)
}

/// BasicConstraints { cA TRUE, pathLenConstraint 0 }: no authority below this one.
const AUTHORITY_OF_LEAVES: &[u8] = &[tag::SEQUENCE, 6, tag::BOOLEAN, 1, 0xff, tag::INTEGER, 1, 0];

/// KeyUsage { keyCertSign (5), cRLSign (6) }; the lowest bit of the octet is unused.
const CERTIFICATES_AND_CRLS: &[u8] = &[tag::BIT_STRING, 2, 1, 0x06];
