//! Issuing: prepare, lint, sign, read back.

use std::fmt;

use aws_lc_rs::signature::ParsedPublicKey;
use certgate_model::{SerialNumber, SignatureAlgorithm, Timestamp};

use crate::certificate::{
    Criticality, Extensions, SignedParts, TbsParts, sign_tbs, write_extension, write_validity,
    write_version,
};
use crate::key::algorithm_identifier;
use crate::lint::{LintError, check_request, lint};
use crate::tlv::{self, NotDer, tag};
use crate::{CheckedCsr, KeyError, SignError, SigningKey, oid, sha256};

/// Why an authority cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IssuerError {
    /// Its certificate is not one of X.509 version 3 in DER.
    #[error("the authority's certificate is damaged")]
    Malformed,
    /// Its certificate is not allowed to sign others.
    #[error("the authority's certificate is not one of an authority: {0}")]
    NotAuthority(&'static str),
    /// The private key belongs to another certificate.
    #[error("the authority's private key does not belong to its certificate")]
    KeyMismatch,
    /// The key could not be used.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// An authority, ready to issue: its certificate was read and checked once, and everything that is the same in every
/// certificate it issues is encoded.
pub struct Issuer {
    key: SigningKey,
    verifier: ParsedPublicKey,
    expires_on: Timestamp,
    pub(crate) parts: IssuerParts,
}

/// What is the same in every certificate of an authority, encoded.
pub(crate) struct IssuerParts {
    /// AlgorithmIdentifier of the signature.
    pub algorithm: Vec<u8>,
    /// The authority's subject, byte for byte.
    pub name: Vec<u8>,
    /// The authority's subject key identifier.
    pub key_identifier: Vec<u8>,
    /// The extensions that come before the subject key identifier.
    before_ski: Vec<u8>,
    /// AuthorityKeyIdentifier.
    authority_key_identifier: Vec<u8>,
    /// KeyUsage.
    key_usage: Vec<u8>,
}

impl Issuer {
    /// Reads and checks the authority's certificate. Refuses a key that does not belong to it.
    pub fn new(certificate_der: &[u8], key: SigningKey) -> Result<Self, IssuerError> {
        let signed = SignedParts::read(certificate_der).map_err(|_| IssuerError::Malformed)?;
        let tbs = TbsParts::read(signed.tbs).map_err(|_| IssuerError::Malformed)?;
        let rights = AuthorityRights::read(tbs.extensions).map_err(|_| IssuerError::Malformed)?;
        // RFC 5280 §4.2.1.9: without BasicConstraints with cA the key MUST NOT be used to verify certificates.
        if !rights.is_authority {
            return Err(IssuerError::NotAuthority(
                "it has no basic constraints with CA:TRUE",
            ));
        }
        if !rights.may_sign_certificates {
            return Err(IssuerError::NotAuthority(
                "its key usage does not include keyCertSign",
            ));
        }
        // RFC 5280 §4.1.2.4: the issuer field MUST contain a non-empty distinguished name.
        if tbs.subject == EMPTY_SEQUENCE {
            return Err(IssuerError::NotAuthority("it has an empty subject"));
        }
        if tbs.spki != key.public_key_spki() {
            return Err(IssuerError::KeyMismatch);
        }
        let key_identifier = match rights.key_identifier {
            Some(identifier) => identifier.to_vec(),
            None => key.key_identifier()?.to_vec(),
        };
        let parts = IssuerParts::new(
            key.algorithm().signature(),
            tbs.subject.to_vec(),
            key_identifier,
        );
        Ok(Self {
            verifier: key.verifier()?,
            expires_on: tbs.not_after,
            key,
            parts,
        })
    }

    /// `notAfter` of its certificate: nothing it issues may live longer.
    pub fn expires_on(&self) -> Timestamp {
        self.expires_on
    }

    /// Its name: the subject of its certificate, byte for byte.
    pub(crate) fn name(&self) -> &[u8] {
        &self.parts.name
    }

    /// Its public key: a SubjectPublicKeyInfo in DER.
    pub(crate) fn public_key_bits(&self) -> Result<&[u8], KeyError> {
        self.key.public_bits()
    }

    /// Signs what is not a client certificate: CRLs, OCSP responses and certificates of responders.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.key.sign(message)
    }

    pub(crate) fn key(&self) -> &SigningKey {
        &self.key
    }

    pub(crate) fn verifier(&self) -> &ParsedPublicKey {
        &self.verifier
    }

    /// How it signs.
    pub fn signature(&self) -> SignatureAlgorithm {
        self.key.algorithm().signature()
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer")
            .field("key", &self.key)
            .field("expires_on", &self.expires_on)
            .finish_non_exhaustive()
    }
}

const EMPTY_SEQUENCE: &[u8] = &[tag::SEQUENCE, 0];

/// What the extensions of a certificate allow it as an authority.
pub(crate) struct AuthorityRights<'a> {
    pub is_authority: bool,
    pub may_sign_certificates: bool,
    pub may_sign_crls: bool,
    /// Whether those that it signs may be certificates for clients, as far as its extended key usage says.
    pub may_vouch_for_clients: bool,
    key_identifier: Option<&'a [u8]>,
}

impl<'a> AuthorityRights<'a> {
    pub fn read(mut extensions: Extensions<'a>) -> Result<Self, NotDer> {
        // RFC 5280 §4.2.1.3 and §4.2.1.12 restrict the key only where the extension is present.
        let mut rights = Self {
            is_authority: false,
            may_sign_certificates: true,
            may_sign_crls: true,
            may_vouch_for_clients: true,
            key_identifier: None,
        };
        while let Some(extension) = extensions.next()? {
            let mut value = tlv::Cursor::new(extension.value);
            match extension.kind {
                oid::BASIC_CONSTRAINTS => {
                    let mut constraints = value.inside(tag::SEQUENCE)?;
                    let is_authority = constraints.optional(tag::BOOLEAN)?;
                    rights.is_authority = is_authority.is_some_and(|value| value.content == [0xff]);
                }
                oid::KEY_USAGE => {
                    // BIT STRING; keyCertSign is bit 5 of the first octet, cRLSign bit 6.
                    let bits = value.expect(tag::BIT_STRING)?.content;
                    rights.may_sign_certificates = bits.get(1).is_some_and(|bits| bits & 0x04 != 0);
                    rights.may_sign_crls = bits.get(1).is_some_and(|bits| bits & 0x02 != 0);
                }
                oid::EXTENDED_KEY_USAGE => {
                    let mut purposes = value.inside(tag::SEQUENCE)?;
                    rights.may_vouch_for_clients = false;
                    while !purposes.is_empty() {
                        rights.may_vouch_for_clients |= matches!(
                            purposes.oid()?,
                            oid::CLIENT_AUTH | oid::ANY_EXTENDED_KEY_USAGE
                        );
                    }
                }
                oid::SUBJECT_KEY_IDENTIFIER => {
                    rights.key_identifier = Some(value.expect(tag::OCTET_STRING)?.content);
                }
                _ => {}
            }
        }
        Ok(rights)
    }
}

impl IssuerParts {
    /// The extension AuthorityKeyIdentifier.
    pub fn authority_key_identifier(&self) -> &[u8] {
        &self.authority_key_identifier
    }

    fn new(signature: SignatureAlgorithm, name: Vec<u8>, key_identifier: Vec<u8>) -> Self {
        use Criticality::{Critical, NotCritical};
        let mut before_ski = Vec::new();
        write_extension(
            &mut before_ski,
            oid::EXTENDED_KEY_USAGE,
            NotCritical,
            |out| {
                tlv::write_with(out, tag::SEQUENCE, |out| {
                    tlv::write(out, tag::OID, oid::CLIENT_AUTH)
                });
            },
        );
        // cA is FALSE by default, and DER does not encode defaults (X.690 §11.5).
        write_extension(&mut before_ski, oid::BASIC_CONSTRAINTS, Critical, |out| {
            out.extend_from_slice(EMPTY_SEQUENCE);
        });
        let mut authority_key_identifier = Vec::new();
        write_extension(
            &mut authority_key_identifier,
            oid::AUTHORITY_KEY_IDENTIFIER,
            NotCritical,
            |out| {
                tlv::write_with(out, tag::SEQUENCE, |out| {
                    tlv::write(out, tag::CONTEXT_0, &key_identifier)
                });
            },
        );
        let mut key_usage = Vec::new();
        write_extension(&mut key_usage, oid::KEY_USAGE, Critical, |out| {
            // Bit 0, digitalSignature, and seven unused ones: what TLS needs of a client (RFC 8446 §4.4.2.2).
            tlv::write(out, tag::BIT_STRING, &[7, 0x80]);
        });
        let algorithm = algorithm_identifier(signature);
        Self {
            algorithm,
            name,
            key_identifier,
            before_ski,
            authority_key_identifier,
            key_usage,
        }
    }
}

/// Where to ask whether this very certificate is revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Address of the CRL that covers it.
    pub crl_url: String,
    /// Address of the OCSP responder.
    pub ocsp_url: String,
}

/// How long a certificate is valid. [`prepare`] refuses instants that are not whole minutes, not in order, outside of
/// what a certificate can say, or beyond the authority's own end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// `notBefore`.
    pub not_before: Timestamp,
    /// `notAfter`; included in the validity (RFC 5280 §4.1.2.5).
    pub not_after: Timestamp,
}

/// A certificate that is complete but for its signature, and passed the lint. Only [`prepare`] makes one.
#[must_use = "nothing is issued before sign"]
pub struct Prepared<'a> {
    issuer: &'a Issuer,
    tbs: Vec<u8>,
    ski: [u8; 20],
}

/// The serial number, subject and the like are in it, but nobody needs them in a log.
impl fmt::Debug for Prepared<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared")
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}

/// Builds the certificate to be signed, then lints what was built.
///
/// An empty subject is carried over like any other. RFC 5280 §4.1.2.6 would want a critical subjectAltName instead; the
/// API accepts the request and has no name to put there, so that this one finding of strict verifiers is known.
pub fn prepare<'a>(
    issuer: &'a Issuer,
    csr: &CheckedCsr,
    serial: SerialNumber,
    validity: Validity,
    profile: &Profile,
) -> Result<Prepared<'a>, LintError> {
    check_request(issuer.expires_on, serial, validity, profile)?;
    let ski = csr.ski();
    let tbs = write_tbs(&issuer.parts, csr, serial, validity, profile);
    lint(&tbs, &issuer.parts, csr, serial, validity, profile)?;
    Ok(Prepared { issuer, tbs, ski })
}

/// TBSCertificate, RFC 5280 §4.1, in order.
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
        + profile.ocsp_url.len();
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
                write_extensions(out, issuer, &csr.ski(), profile)
            });
        });
    });
    tbs
}

/// Room for everything in a TBSCertificate but names, key and addresses.
const TBS_REST_BYTES: usize = 384;

fn write_extensions(out: &mut Vec<u8>, issuer: &IssuerParts, ski: &[u8; 20], profile: &Profile) {
    use Criticality::NotCritical;
    out.extend_from_slice(&issuer.before_ski);
    write_extension(out, oid::SUBJECT_KEY_IDENTIFIER, NotCritical, |out| {
        tlv::write(out, tag::OCTET_STRING, ski);
    });
    out.extend_from_slice(&issuer.authority_key_identifier);
    // CRLDistributionPoints ::= SEQUENCE OF { distributionPoint [0] { fullName [0] { URI [6] } } }
    write_extension(out, oid::CRL_DISTRIBUTION_POINTS, NotCritical, |out| {
        tlv::write_with(out, tag::SEQUENCE, |out| {
            tlv::write_with(out, tag::SEQUENCE, |out| {
                tlv::write_with(out, tag::CONTEXT_0_CONSTRUCTED, |out| {
                    tlv::write_with(out, tag::CONTEXT_0_CONSTRUCTED, |out| {
                        tlv::write(out, tag::CONTEXT_6, profile.crl_url.as_bytes());
                    });
                });
            });
        });
    });
    out.extend_from_slice(&issuer.key_usage);
    // AuthorityInfoAccessSyntax ::= SEQUENCE OF SEQUENCE { accessMethod, accessLocation URI [6] }
    write_extension(out, oid::AUTHORITY_INFO_ACCESS, NotCritical, |out| {
        tlv::write_with(out, tag::SEQUENCE, |out| {
            tlv::write_with(out, tag::SEQUENCE, |out| {
                tlv::write(out, tag::OID, oid::OCSP);
                tlv::write(out, tag::CONTEXT_6, profile.ocsp_url.as_bytes());
            });
        });
    });
}

/// A certificate that may leave the process once it is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCertificate {
    /// The certificate.
    pub der: Vec<u8>,
    /// SHA-256 of `der`.
    pub fingerprint_sha256: [u8; 32],
    /// Its subject key identifier.
    pub ski: [u8; 20],
    /// How it is signed.
    pub signature: SignatureAlgorithm,
}

/// Signs a prepared certificate. The one function that does: it reads its own output back, which must be what was
/// prepared and verify under the authority's key.
pub fn sign(prepared: Prepared<'_>) -> Result<SignedCertificate, SignError> {
    let Prepared { issuer, tbs, ski } = prepared;
    let der = sign_tbs(&tbs, &issuer.parts.algorithm, &issuer.key, &issuer.verifier)?;
    let fingerprint_sha256 = sha256(&der);
    Ok(SignedCertificate {
        der,
        fingerprint_sha256,
        ski,
        signature: issuer.signature(),
    })
}
