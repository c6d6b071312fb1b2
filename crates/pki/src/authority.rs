//! The certificates of managed CAs.

use certgate_model::{AuthorityId, SerialNumber, Timestamp};

use crate::certificate::{
    Criticality, SignedParts, TbsParts, write_extension, write_signature, write_validity,
    write_version,
};
use crate::key::{SigningKey, algorithm_identifier};
use crate::lint::{check_serial, check_validity};
use crate::oid;
use crate::profile::Validity;
use crate::signing::{SignError, sign_message, sign_tbs};
use crate::subject::{NewAttribute, write_name};
use crate::tlv::{self, tag};

/// Makes the self-signed certificate of a managed CA, DER. Both instants must be whole minutes.
///
/// The name of the CA is `O=certgate, CN=Managed CA <32 hex digits of the ID>`.
pub fn self_sign(
    key: &SigningKey,
    id: AuthorityId,
    serial: SerialNumber,
    not_before: Timestamp,
    not_after: Timestamp,
) -> Result<Vec<u8>, SignError> {
    let validity = Validity {
        not_before,
        not_after,
    };
    self_signed(key, &name(id), serial, validity, write_rights)
}

/// Makes the self-signed certificate (DER) of a server with this DNS name. It is the certificate of
/// no CA.
pub(crate) fn self_sign_server(
    key: &SigningKey,
    hostname: &str,
    serial: SerialNumber,
    validity: Validity,
) -> Result<Vec<u8>, SignError> {
    let mut name = Vec::new();
    write_name(&mut name, &[NewAttribute::utf8(oid::COMMON_NAME, hostname)]);
    self_signed(key, &name, serial, validity, |out| {
        write_extension(out, oid::BASIC_CONSTRAINTS, Criticality::Critical, |out| {
            tlv::write(out, tag::SEQUENCE, &[]);
        });
        write_extension(out, oid::KEY_USAGE, Criticality::Critical, |out| {
            out.extend_from_slice(DIGITAL_SIGNATURE);
        });
        let of_server = Criticality::NotCritical;
        write_extension(out, oid::EXTENDED_KEY_USAGE, of_server, |out| {
            tlv::write_with(out, tag::SEQUENCE, |out| {
                tlv::write(out, tag::OID, oid::SERVER_AUTH);
            });
        });
        write_extension(out, oid::SUBJECT_ALT_NAME, of_server, |out| {
            tlv::write_with(out, tag::SEQUENCE, |out| {
                tlv::write(out, tag::CONTEXT_2, hostname.as_bytes());
            });
        });
    })
}

/// Makes a self-signed certificate with these extensions before the subject key identifier.
fn self_signed(
    key: &SigningKey,
    name: &[u8],
    serial: SerialNumber,
    validity: Validity,
    extensions: impl FnOnce(&mut Vec<u8>),
) -> Result<Vec<u8>, SignError> {
    check_serial(serial)?;
    check_validity(validity)?;
    let algorithm = algorithm_identifier(key.algorithm().signature());
    let key_identifier = key.key_identifier()?;
    let mut tbs = Vec::new();
    tlv::write_with(&mut tbs, tag::SEQUENCE, |out| {
        write_version(out);
        tlv::write(out, tag::INTEGER, serial.as_bytes());
        out.extend_from_slice(&algorithm);
        out.extend_from_slice(name);
        write_validity(out, validity.not_before, validity.not_after);
        out.extend_from_slice(name);
        out.extend_from_slice(key.public_key_spki());
        tlv::write_with(out, tag::CONTEXT_3_CONSTRUCTED, |out| {
            tlv::write_with(out, tag::SEQUENCE, |out| {
                extensions(out);
                write_extension(
                    out,
                    oid::SUBJECT_KEY_IDENTIFIER,
                    Criticality::NotCritical,
                    |out| {
                        tlv::write(out, tag::OCTET_STRING, &key_identifier);
                    },
                );
            });
        });
    });
    sign_tbs(&tbs, &algorithm, key, &key.verifier()?)
}

/// Makes a request (RFC 2986, DER) for the certificate of a CA with this key, which another CA is
/// to sign. It asks for the extensions of [`self_sign`]. Signs and verifies it.
///
/// `common_name` is the subject; an empty one means the name of a managed CA with this ID.
pub fn request_authority(
    key: &SigningKey,
    id: AuthorityId,
    common_name: &str,
) -> Result<Vec<u8>, SignError> {
    let algorithm = algorithm_identifier(key.algorithm().signature());
    let subject = match common_name {
        "" => name(id),
        common_name => {
            let mut der = Vec::new();
            let attribute = NewAttribute::utf8(oid::COMMON_NAME, common_name);
            write_name(&mut der, &[attribute]);
            der
        }
    };
    let mut info = Vec::new();
    tlv::write_with(&mut info, tag::SEQUENCE, |out| {
        tlv::write(out, tag::INTEGER, &[0]);
        out.extend_from_slice(&subject);
        out.extend_from_slice(key.public_key_spki());
        tlv::write_with(out, tag::CONTEXT_0_CONSTRUCTED, |out| {
            tlv::write_with(out, tag::SEQUENCE, |out| {
                tlv::write(out, tag::OID, oid::EXTENSION_REQUEST);
                tlv::write_with(out, tag::SET, |out| {
                    tlv::write_with(out, tag::SEQUENCE, write_rights);
                });
            });
        });
    });
    let signature = sign_message(&info, key, &key.verifier()?)?;
    let mut request = Vec::new();
    tlv::write_with(&mut request, tag::SEQUENCE, |out| {
        out.extend_from_slice(&info);
        write_signature(out, &algorithm, &signature);
    });
    Ok(request)
}

/// Writes the extensions that let a CA sign client certificates and CRLs.
fn write_rights(out: &mut Vec<u8>) {
    write_extension(out, oid::BASIC_CONSTRAINTS, Criticality::Critical, |out| {
        out.extend_from_slice(AUTHORITY_OF_LEAVES);
    });
    write_extension(out, oid::KEY_USAGE, Criticality::Critical, |out| {
        out.extend_from_slice(CERTIFICATES_AND_CRLS);
    });
}

/// Returns true if the certificate (DER) has the name that [`self_sign`] gives the CA with this ID:
/// certgate created the CA. An imported CA got its ID later.
pub fn is_self_signed_for(certificate_der: &[u8], id: AuthorityId) -> bool {
    let signed = SignedParts::read(certificate_der);
    let tbs = signed
        .ok()
        .and_then(|signed| TbsParts::read(signed.tbs).ok());
    tbs.is_some_and(|tbs| tbs.subject == name(id))
}

/// Returns the name of a managed CA, with its header.
fn name(id: AuthorityId) -> Vec<u8> {
    let common_name = format!("Managed CA {}", id.simple());
    let name = [
        NewAttribute::utf8(oid::ORGANIZATION, "certgate"),
        NewAttribute::utf8(oid::COMMON_NAME, &common_name),
    ];
    let mut der = Vec::new();
    write_name(&mut der, &name);
    der
}

/// `BasicConstraints { cA TRUE, pathLenConstraint 0 }`: no CA below this one.
const AUTHORITY_OF_LEAVES: &[u8] = &[tag::SEQUENCE, 6, tag::BOOLEAN, 1, 0xff, tag::INTEGER, 1, 0];

/// `KeyUsage { keyCertSign (5), cRLSign (6) }`; the lowest bit of the octet is unused.
const CERTIFICATES_AND_CRLS: &[u8] = &[tag::BIT_STRING, 2, 1, 0x06];

/// `KeyUsage { digitalSignature (0) }`; the seven lowest bits of the octet are unused.
const DIGITAL_SIGNATURE: &[u8] = &[tag::BIT_STRING, 2, 7, 0x80];
