use std::fmt;

use aws_lc_rs::signature::ParsedPublicKey;
use certgate_model::{KeyAlgorithm, RevocationReason, SerialNumber, Timestamp};

use super::request::CertId;
use crate::certificate::{
    Criticality, write_extension, write_generalized_time, write_signature, write_validity,
    write_version,
};
use crate::issuer::Issuer;
use crate::key::{SigningKey, algorithm_identifier};
use crate::lint::{check_serial, check_validity};
use crate::oid;
use crate::profile::Validity;
use crate::signing::{SignError, sign_message, sign_tbs};
use crate::subject::{NewAttribute, write_name};
use crate::tlv::{self, tag};

/// The status of a certificate (RFC 6960 §2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CertStatus {
    /// The CA issued it and has not revoked it.
    Good,
    /// The CA has revoked it.
    Revoked {
        /// The time of the revocation.
        at: Timestamp,
        /// The reason. The response omits `unspecified`.
        reason: RevocationReason,
    },
    /// The CA has not issued it.
    Unknown,
}

/// The answer about one certificate.
#[derive(Debug, Clone, Copy)]
pub struct SingleResponse<'a> {
    /// The certificate.
    pub cert_id: &'a CertId,
    /// Its status.
    pub status: CertStatus,
    /// The time at which the status was correct.
    pub this_update: Timestamp,
    /// The time until which clients may rely on the status.
    pub next_update: Timestamp,
}

/// The answers without a signature (RFC 6960 §2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OcspFailure {
    /// The request is malformed.
    MalformedRequest,
    /// The server failed.
    InternalError,
    /// The server cannot answer now.
    TryLater,
    /// The request names a CA that the server does not know (RFC 5019 §2.2.3).
    Unauthorized,
}

/// Writes the response for a failure.
pub fn ocsp_failure(failure: OcspFailure) -> Vec<u8> {
    let code = match failure {
        OcspFailure::MalformedRequest => 1,
        OcspFailure::InternalError => 2,
        OcspFailure::TryLater => 3,
        OcspFailure::Unauthorized => 6,
    };
    let mut out = Vec::new();
    tlv::write_with(&mut out, tag::SEQUENCE, |out| {
        tlv::write(out, tag::ENUMERATED, &[code])
    });
    out
}

/// A signer of responses about the certificates of one CA. It signs with the CA's key, or with the
/// key of a delegate whose certificate the CA has signed (RFC 6960 §2.6).
pub struct OcspResponder<'a> {
    signer: Signer<'a>,
    /// AlgorithmIdentifier of the signature.
    algorithm: Vec<u8>,
    /// ResponderID byKey: SHA-1 of the public key bits.
    key_hash: [u8; 20],
}

enum Signer<'a> {
    Authority(&'a Issuer),
    Delegate {
        key: SigningKey,
        verifier: ParsedPublicKey,
        certificate: Vec<u8>,
    },
}

impl fmt::Debug for OcspResponder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OcspResponder").finish_non_exhaustive()
    }
}

impl<'a> OcspResponder<'a> {
    /// Makes a responder that signs with the CA's key.
    pub fn authority(issuer: &'a Issuer) -> Result<Self, SignError> {
        let key_hash = issuer.key().key_identifier()?;
        let algorithm = issuer.parts.algorithm.clone();
        Ok(Self {
            signer: Signer::Authority(issuer),
            algorithm,
            key_hash,
        })
    }

    /// Makes a responder that signs with a delegate's key. `certificate` is the delegate's, made by
    /// [`responder_certificate`].
    pub fn delegate(key: SigningKey, certificate: Vec<u8>) -> Result<Self, SignError> {
        let key_hash = key.key_identifier()?;
        let algorithm = algorithm_identifier(key.algorithm().signature());
        let verifier = key.verifier()?;
        Ok(Self {
            signer: Signer::Delegate {
                key,
                verifier,
                certificate,
            },
            algorithm,
            key_hash,
        })
    }

    /// Signs a response (RFC 6960 §4.2.1), and verifies the signature. `nonce` is the value of the
    /// extension, as [`OcspRequest`](super::OcspRequest) has it.
    pub fn respond(
        &self,
        responses: &[SingleResponse<'_>],
        nonce: Option<&[u8]>,
        produced_at: Timestamp,
    ) -> Result<Vec<u8>, SignError> {
        // ResponseData ::= SEQUENCE { responderID, producedAt, responses,
        //                             responseExtensions [1] OPTIONAL }
        let mut data = Vec::with_capacity(responses.len() * RESPONSE_BYTES);
        tlv::write_with(&mut data, tag::SEQUENCE, |out| {
            // ResponderID ::= CHOICE { byName [1], byKey [2] OCTET STRING }
            tlv::write_with(out, tag::CONTEXT_2_CONSTRUCTED, |out| {
                tlv::write(out, tag::OCTET_STRING, &self.key_hash);
            });
            write_generalized_time(out, produced_at);
            tlv::write_with(out, tag::SEQUENCE, |out| {
                responses
                    .iter()
                    .for_each(|response| write_single(out, *response));
            });
            if let Some(nonce) = nonce {
                tlv::write_with(out, tag::CONTEXT_1_CONSTRUCTED, |out| {
                    tlv::write_with(out, tag::SEQUENCE, |out| {
                        write_extension(out, oid::OCSP_NONCE, Criticality::NotCritical, |out| {
                            out.extend_from_slice(nonce);
                        });
                    });
                });
            }
        });
        let (key, verifier) = match &self.signer {
            Signer::Authority(issuer) => (issuer.key(), issuer.verifier()),
            Signer::Delegate { key, verifier, .. } => (key, verifier),
        };
        let signature = sign_message(&data, key, verifier)?;
        Ok(self.write_response(&data, &signature))
    }

    fn write_response(&self, data: &[u8], signature: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(data.len() + signature.len() + 64);
        tlv::write_with(&mut out, tag::SEQUENCE, |out| {
            tlv::write(out, tag::ENUMERATED, &[0]);
            tlv::write_with(out, tag::CONTEXT_0_CONSTRUCTED, |out| {
                tlv::write_with(out, tag::SEQUENCE, |out| {
                    tlv::write(out, tag::OID, oid::OCSP_BASIC);
                    tlv::write_with(out, tag::OCTET_STRING, |out| {
                        // BasicOCSPResponse ::= SEQUENCE { tbsResponseData, signatureAlgorithm,
                        //                                  signature, certs [0] }
                        tlv::write_with(out, tag::SEQUENCE, |out| {
                            out.extend_from_slice(data);
                            write_signature(out, &self.algorithm, signature);
                            if let Signer::Delegate { certificate, .. } = &self.signer {
                                tlv::write_with(out, tag::CONTEXT_0_CONSTRUCTED, |out| {
                                    tlv::write_with(out, tag::SEQUENCE, |out| {
                                        out.extend_from_slice(certificate);
                                    });
                                });
                            }
                        });
                    });
                });
            });
        });
        out
    }
}

/// Room for one SingleResponse and its share of the rest, in octets.
const RESPONSE_BYTES: usize = 256;

/// Appends `SingleResponse ::= SEQUENCE { certID, certStatus, thisUpdate, nextUpdate [0] }`.
fn write_single(out: &mut Vec<u8>, response: SingleResponse<'_>) {
    tlv::write_with(out, tag::SEQUENCE, |out| {
        out.extend_from_slice(response.cert_id.der());
        match response.status {
            CertStatus::Good => tlv::write(out, tag::CONTEXT_0, &[]),
            CertStatus::Unknown => tlv::write(out, tag::CONTEXT_2, &[]),
            // RevokedInfo ::= SEQUENCE { revocationTime, revocationReason [0] EXPLICIT OPTIONAL }
            CertStatus::Revoked { at, reason } => {
                tlv::write_with(out, tag::CONTEXT_1_CONSTRUCTED, |out| {
                    write_generalized_time(out, at);
                    if reason != RevocationReason::Unspecified {
                        tlv::write_with(out, tag::CONTEXT_0_CONSTRUCTED, |out| {
                            tlv::write(out, tag::ENUMERATED, &[reason.code()]);
                        });
                    }
                });
            }
        }
        write_generalized_time(out, response.this_update);
        tlv::write_with(out, tag::CONTEXT_0_CONSTRUCTED, |out| {
            write_generalized_time(out, response.next_update)
        });
    });
}

/// The algorithm of the keys of delegates. Signing takes a thirtieth of the time of RSA.
pub const RESPONDER_KEY: KeyAlgorithm = KeyAlgorithm::P256;

/// Signs the certificate of a delegate, DER (RFC 6960 §4.2.2.2).
///
/// The delegate may sign only OCSP responses. Clients do not check the revocation of its
/// certificate, which must therefore have a short validity.
pub fn responder_certificate(
    issuer: &Issuer,
    key: &SigningKey,
    serial: SerialNumber,
    validity: Validity,
) -> Result<Vec<u8>, SignError> {
    use Criticality::{Critical, NotCritical};
    check_serial(serial)?;
    check_validity(validity)?;
    let key_identifier = key.key_identifier()?;
    let algorithm = &issuer.parts.algorithm;
    let mut tbs = Vec::new();
    tlv::write_with(&mut tbs, tag::SEQUENCE, |out| {
        write_version(out);
        tlv::write(out, tag::INTEGER, serial.as_bytes());
        out.extend_from_slice(algorithm);
        out.extend_from_slice(&issuer.parts.name);
        write_validity(out, validity.not_before, validity.not_after);
        let organization = NewAttribute::utf8(oid::ORGANIZATION, "certgate");
        let common_name = NewAttribute::utf8(oid::COMMON_NAME, "OCSP responder");
        write_name(out, &[organization, common_name]);
        out.extend_from_slice(key.public_key_spki());
        tlv::write_with(out, tag::CONTEXT_3_CONSTRUCTED, |out| {
            tlv::write_with(out, tag::SEQUENCE, |out| {
                write_extension(out, oid::EXTENDED_KEY_USAGE, NotCritical, |out| {
                    tlv::write_with(out, tag::SEQUENCE, |out| {
                        tlv::write(out, tag::OID, oid::OCSP_SIGNING)
                    });
                });
                write_extension(out, oid::SUBJECT_KEY_IDENTIFIER, NotCritical, |out| {
                    tlv::write(out, tag::OCTET_STRING, &key_identifier);
                });
                out.extend_from_slice(&issuer.parts.authority_key_identifier);
                write_extension(out, oid::KEY_USAGE, Critical, |out| {
                    // Bit 0, digitalSignature.
                    tlv::write(out, tag::BIT_STRING, &[7, 0x80]);
                });
                write_extension(out, oid::OCSP_NO_CHECK, NotCritical, |out| {
                    tlv::write(out, tag::NULL, &[])
                });
            });
        });
    });
    sign_tbs(&tbs, algorithm, issuer.key(), issuer.verifier())
}
