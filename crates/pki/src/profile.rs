//! The certificate profile: every field and extension of a client certificate, in order.

use core::net::IpAddr;

use certgate_model::{AlternativeName, SerialNumber, SignatureAlgorithm, Timestamp};

use crate::certificate::{Criticality, write_extension, write_validity, write_version};
use crate::csr::CheckedCsr;
use crate::key::algorithm_identifier;
use crate::oid;
use crate::tlv::{self, tag};

/// The addresses in a client certificate that lead to its revocation status and to its CA, and its
/// names beside the subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Address of the CRL that covers the certificate (RFC 5280 §4.2.1.13).
    pub crl_url: String,
    /// Address of the OCSP responder (RFC 5280 §4.2.2.1).
    pub ocsp_url: String,
    /// Address of the CA's certificate, DER (RFC 5280 §4.2.2.1).
    pub ca_url: String,
    /// The subject alternative names (RFC 5280 §4.2.1.6). As a rule there are none.
    pub alternative_names: Vec<AlternativeName>,
}

/// The validity of a certificate (RFC 5280 §4.1.2.5).
///
/// [`prepare`](crate::prepare) rejects instants that are not whole minutes, not in order, outside
/// of the years 1970 to 9999, or beyond the CA's own end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// `notBefore`.
    pub not_before: Timestamp,
    /// `notAfter`; included in the validity.
    pub not_after: Timestamp,
}

/// The encoded parts that all certificates and CRLs of a CA have in common.
pub(crate) struct IssuerParts {
    /// AlgorithmIdentifier of the signature.
    pub algorithm: Vec<u8>,
    /// The CA's subject, byte for byte.
    pub name: Vec<u8>,
    /// The CA's subject key identifier.
    pub key_identifier: Vec<u8>,
    /// The extension AuthorityKeyIdentifier.
    pub authority_key_identifier: Vec<u8>,
    /// The extensions before the subject key identifier.
    before_ski: Vec<u8>,
    /// The extension KeyUsage.
    key_usage: Vec<u8>,
}

impl IssuerParts {
    pub fn new(signature: SignatureAlgorithm, name: Vec<u8>, key_identifier: Vec<u8>) -> Self {
        use Criticality::{Critical, NotCritical};
        let mut before_ski = Vec::new();
        let out = &mut before_ski;
        write_extension(out, oid::EXTENDED_KEY_USAGE, NotCritical, |out| {
            tlv::write_with(out, tag::SEQUENCE, |out| {
                tlv::write(out, tag::OID, oid::CLIENT_AUTH);
            });
        });
        // cA is FALSE by default, and DER does not encode defaults (X.690 §11.5).
        write_extension(out, oid::BASIC_CONSTRAINTS, Critical, |out| {
            tlv::write(out, tag::SEQUENCE, &[]);
        });
        let mut authority_key_identifier = Vec::new();
        let out = &mut authority_key_identifier;
        write_extension(out, oid::AUTHORITY_KEY_IDENTIFIER, NotCritical, |out| {
            tlv::write_with(out, tag::SEQUENCE, |out| {
                tlv::write(out, tag::CONTEXT_0, &key_identifier);
            });
        });
        let mut key_usage = Vec::new();
        write_extension(&mut key_usage, oid::KEY_USAGE, Critical, |out| {
            // Bit 0, digitalSignature, and seven unused bits. TLS requires no other usage of a
            // client (RFC 8446 §4.4.2.2).
            tlv::write(out, tag::BIT_STRING, &[7, 0x80]);
        });
        Self {
            algorithm: algorithm_identifier(signature),
            name,
            key_identifier,
            authority_key_identifier,
            before_ski,
            key_usage,
        }
    }
}

/// Writes a TBSCertificate (RFC 5280 §4.1).
pub(crate) fn write_tbs(
    issuer: &IssuerParts,
    csr: &CheckedCsr,
    serial: SerialNumber,
    validity: Validity,
    profile: &Profile,
) -> Vec<u8> {
    let variable = csr.subject_der().len()
        + csr.spki_der().len()
        + profile.crl_url.len()
        + profile.ocsp_url.len()
        + profile.ca_url.len();
    let mut tbs = Vec::with_capacity(variable + issuer.name.len() + TBS_REST_BYTES);
    tlv::write_with(&mut tbs, tag::SEQUENCE, |out| {
        write_version(out);
        tlv::write(out, tag::INTEGER, serial.as_bytes());
        out.extend_from_slice(&issuer.algorithm);
        out.extend_from_slice(&issuer.name);
        write_validity(out, validity.not_before, validity.not_after);
        out.extend_from_slice(csr.subject_der());
        out.extend_from_slice(csr.spki_der());
        tlv::write_with(out, tag::CONTEXT_3_CONSTRUCTED, |out| {
            tlv::write_with(out, tag::SEQUENCE, |out| {
                write_extensions(out, issuer, csr, profile)
            });
        });
    });
    tbs
}

/// Room for everything in a TBSCertificate except names, key and addresses, in octets.
const TBS_REST_BYTES: usize = 384;

fn write_extensions(out: &mut Vec<u8>, issuer: &IssuerParts, csr: &CheckedCsr, profile: &Profile) {
    use Criticality::NotCritical;
    out.extend_from_slice(&issuer.before_ski);
    write_extension(out, oid::SUBJECT_KEY_IDENTIFIER, NotCritical, |out| {
        tlv::write(out, tag::OCTET_STRING, &csr.ski());
    });
    out.extend_from_slice(&issuer.authority_key_identifier);
    // CRLDistributionPoints ::= SEQUENCE OF { distributionPoint [0] { fullName [0] { URI [6] } } }
    write_extension(out, oid::CRL_DISTRIBUTION_POINTS, NotCritical, |out| {
        tlv::write_with(out, tag::SEQUENCE, |out| {
            tlv::write_with(out, tag::SEQUENCE, |out| {
                write_distribution_point(out, &profile.crl_url);
            });
        });
    });
    out.extend_from_slice(&issuer.key_usage);
    // AuthorityInfoAccessSyntax ::= SEQUENCE OF SEQUENCE { accessMethod, accessLocation URI [6] }
    write_extension(out, oid::AUTHORITY_INFO_ACCESS, NotCritical, |out| {
        tlv::write_with(out, tag::SEQUENCE, |out| {
            for (method, url) in [
                (oid::OCSP, &profile.ocsp_url),
                (oid::CA_ISSUERS, &profile.ca_url),
            ] {
                tlv::write_with(out, tag::SEQUENCE, |out| {
                    tlv::write(out, tag::OID, method);
                    tlv::write(out, tag::CONTEXT_6, url.as_bytes());
                });
            }
        });
    });
    if !profile.alternative_names.is_empty() {
        // RFC 5280 §4.1.2.6: critical if the subject is empty.
        let criticality = match csr.is_subject_empty() {
            true => Criticality::Critical,
            false => NotCritical,
        };
        write_extension(out, oid::SUBJECT_ALT_NAME, criticality, |out| {
            tlv::write_with(out, tag::SEQUENCE, |out| {
                for name in &profile.alternative_names {
                    write_alternative_name(out, name);
                }
            });
        });
    }
}

/// Appends a GeneralName (RFC 5280 §4.2.1.6). A name of another kind appends nothing: `prepare` has
/// refused it.
fn write_alternative_name(out: &mut Vec<u8>, name: &AlternativeName) {
    match name {
        AlternativeName::Email(address) => tlv::write(out, tag::CONTEXT_1, address.as_bytes()),
        AlternativeName::Dns(name) => tlv::write(out, tag::CONTEXT_2, name.as_bytes()),
        AlternativeName::Uri(uri) => tlv::write(out, tag::CONTEXT_6, uri.as_bytes()),
        AlternativeName::Ip(IpAddr::V4(address)) => {
            tlv::write(out, tag::CONTEXT_7, &address.octets());
        }
        AlternativeName::Ip(IpAddr::V6(address)) => {
            tlv::write(out, tag::CONTEXT_7, &address.octets());
        }
        AlternativeName::Other(_) => {}
    }
}

/// Appends `distributionPoint [0] { fullName [0] { URI [6] } }` (RFC 5280 §4.2.1.13).
pub(crate) fn write_distribution_point(out: &mut Vec<u8>, url: &str) {
    tlv::write_with(out, tag::CONTEXT_0_CONSTRUCTED, |out| {
        tlv::write_with(out, tag::CONTEXT_0_CONSTRUCTED, |out| {
            tlv::write(out, tag::CONTEXT_6, url.as_bytes());
        });
    });
}
