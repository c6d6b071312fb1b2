use aws_lc_rs::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA384, SHA512, digest};
use certgate_model::SerialNumber;

use crate::certificate::{Criticality, SignedParts, TbsParts, write_extension};
use crate::issuer::IssuerError;
use crate::key::public_key_bits;
use crate::oid;
use crate::tlv::{self, Cursor, NotDer, tag};

/// Longest accepted request, in octets: a hundred times that about one certificate.
pub const OCSP_REQUEST_BYTES_MAX: usize = 16 * 1024;

/// Most certificates in one request. Each costs a lookup. Clients ask about one.
pub const OCSP_CERT_IDS_MAX: usize = 32;

/// Longest nonce, in octets (1 to 128, RFC 9654 §2.1).
pub const NONCE_BYTES_MAX: usize = 128;

/// The reason to answer `malformedRequest`: the request is not that of RFC 6960 §4.1.1, or exceeds
/// a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an OCSP request: {0}")]
pub struct OcspRequestError(pub &'static str);

/// A request for the status of certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OcspRequest {
    /// The certificates, at least one.
    pub cert_ids: Vec<CertId>,
    /// The value of the nonce extension, which the response repeats octet for octet. Absent if
    /// the request has no nonce, several, or one that does not have 1 to 128 octets.
    pub nonce: Option<Vec<u8>>,
}

/// The identification of a certificate by its issuer and serial number (RFC 6960 §4.1.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CertId {
    /// The octets that the client sent, which the response repeats.
    der: Vec<u8>,
    issuer: Option<IssuerId>,
    serial: Vec<u8>,
}

/// The identification of a CA by digests of its name and of its key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IssuerId {
    hash: IssuerHash,
    name_hash: Vec<u8>,
    key_hash: Vec<u8>,
}

/// The supported digest algorithms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum IssuerHash {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl IssuerHash {
    /// Every algorithm. The first is the one that most clients use.
    const ALL: [Self; 4] = [Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512];

    /// Returns the algorithm with this identifier.
    fn named(id: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|hash| hash.oid() == id)
    }

    fn oid(self) -> &'static [u8] {
        match self {
            Self::Sha1 => oid::SHA1,
            Self::Sha256 => oid::SHA256,
            Self::Sha384 => oid::SHA384,
            Self::Sha512 => oid::SHA512,
        }
    }

    fn algorithm(self) -> &'static Algorithm {
        match self {
            Self::Sha1 => &SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &SHA256,
            Self::Sha384 => &SHA384,
            Self::Sha512 => &SHA512,
        }
    }
}

impl CertId {
    /// The issuer; `None` if the digest algorithm is not supported.
    pub fn issuer(&self) -> Option<&IssuerId> {
        self.issuer.as_ref()
    }

    /// The serial number; `None` if no certificate of certgate can have it.
    pub fn serial(&self) -> Option<SerialNumber> {
        SerialNumber::of_integer(&self.serial)
    }

    /// The octets that the client sent. Equal octets have equal responses.
    pub fn der(&self) -> &[u8] {
        &self.der
    }
}

/// Computes the identifications of the CA with this certificate (DER), one for each digest
/// algorithm.
pub fn issuer_ids(certificate_der: &[u8]) -> Result<[IssuerId; 4], IssuerError> {
    let signed = SignedParts::read(certificate_der).map_err(|_| IssuerError::Malformed)?;
    let tbs = TbsParts::read(signed.tbs).map_err(|_| IssuerError::Malformed)?;
    let key = public_key_bits(tbs.spki).map_err(|_| IssuerError::Malformed)?;
    Ok(IssuerHash::ALL.map(|hash| {
        let digest = |octets| digest(hash.algorithm(), octets).as_ref().to_vec();
        IssuerId {
            hash,
            name_hash: digest(tbs.subject),
            key_hash: digest(key),
        }
    }))
}

/// Reads a request (RFC 6960 §4.1.1). It ignores the optional signature, because any client may
/// ask.
pub fn read_ocsp_request(der: &[u8]) -> Result<OcspRequest, OcspRequestError> {
    if der.len() > OCSP_REQUEST_BYTES_MAX {
        return Err(OcspRequestError("it is too long"));
    }
    read(der)
        .map_err(|_| OcspRequestError("it is malformed"))
        .and_then(|request| match request.cert_ids.len() {
            0 => Err(OcspRequestError("it does not name a certificate")),
            1..=OCSP_CERT_IDS_MAX => Ok(request),
            _ => Err(OcspRequestError("it asks about too many certificates")),
        })
}

fn read(der: &[u8]) -> Result<OcspRequest, NotDer> {
    // OCSPRequest ::= SEQUENCE { tbsRequest, optionalSignature [0] EXPLICIT OPTIONAL }
    let mut outer = Cursor::new(der);
    let mut request = outer.inside(tag::SEQUENCE)?;
    outer.end()?;
    // TBSRequest ::= SEQUENCE { version [0] DEFAULT v1, requestorName [1] OPTIONAL, requestList,
    //                           requestExtensions [2] OPTIONAL }
    let mut tbs = request.inside(tag::SEQUENCE)?;
    request.optional(tag::CONTEXT_0_CONSTRUCTED)?;
    request.end()?;
    if let Some(version) = tbs.optional(tag::CONTEXT_0_CONSTRUCTED)?
        && version.content != [tag::INTEGER, 1, 0]
    {
        return Err(NotDer);
    }
    tbs.optional(tag::CONTEXT_1_CONSTRUCTED)?;
    let mut list = tbs.inside(tag::SEQUENCE)?;
    let mut cert_ids = Vec::new();
    // One more than the limit shows that the request exceeds it.
    while !list.is_empty() && cert_ids.len() <= OCSP_CERT_IDS_MAX {
        // Request ::= SEQUENCE { reqCert CertID, singleRequestExtensions [0] OPTIONAL }
        let mut one = list.inside(tag::SEQUENCE)?;
        cert_ids.push(read_cert_id(one.expect(tag::SEQUENCE)?)?);
        one.optional(tag::CONTEXT_0_CONSTRUCTED)?;
        one.end()?;
    }
    let nonce = match tbs.optional(tag::CONTEXT_2_CONSTRUCTED)? {
        Some(extensions) => read_nonce(Cursor::new(extensions.content))?,
        None => None,
    };
    tbs.end()?;
    Ok(OcspRequest { cert_ids, nonce })
}

/// Reads `CertID ::= SEQUENCE { hashAlgorithm, issuerNameHash, issuerKeyHash, serialNumber }`.
fn read_cert_id(id: tlv::Tlv<'_>) -> Result<CertId, NotDer> {
    tlv::check_values(id.raw)?;
    let mut content = Cursor::new(id.content);
    let mut algorithm = content.inside(tag::SEQUENCE)?;
    // With an unsupported algorithm, the issuer stays unknown.
    let hash = IssuerHash::named(algorithm.oid()?);
    if !algorithm.is_empty() && !algorithm.is_null() && hash.is_some() {
        return Err(NotDer);
    }
    let name_hash = content.expect(tag::OCTET_STRING)?.content.to_vec();
    let key_hash = content.expect(tag::OCTET_STRING)?.content.to_vec();
    let issuer = hash.map(|hash| IssuerId {
        hash,
        name_hash,
        key_hash,
    });
    let serial = content.expect(tag::INTEGER)?.content.to_vec();
    content.end()?;
    Ok(CertId {
        der: id.raw.to_vec(),
        issuer,
        serial,
    })
}

/// Reads the nonce from the extensions. Other extensions are ignored, including critical ones: no
/// extension of a request in RFC 6960 §4.4 changes the answer.
fn read_nonce(mut outer: Cursor<'_>) -> Result<Option<Vec<u8>>, NotDer> {
    let mut extensions = outer.inside(tag::SEQUENCE)?;
    outer.end()?;
    let mut nonces = Vec::new();
    while !extensions.is_empty() {
        let mut extension = extensions.inside(tag::SEQUENCE)?;
        if extension.oid()? == oid::OCSP_NONCE {
            nonces.push(repeatable_nonce(extension));
            continue;
        }
        extension.optional(tag::BOOLEAN)?;
        extension.expect(tag::OCTET_STRING)?;
        extension.end()?;
    }
    // A response has one nonce. With several, the client cannot say which one it expects.
    match (nonces.pop(), nonces.is_empty()) {
        (Some(nonce), true) => Ok(nonce.map(<[u8]>::to_vec)),
        _ => Ok(None),
    }
}

/// Returns the value of a nonce extension if a response can repeat it.
///
/// RFC 9654 §2.1 wraps the nonce in an OCTET STRING inside of the extension's value. Much Java and
/// .NET code writes the nonce itself, or another type, and expects the same octets. A client that
/// sent anything else gets a response without a nonce, which RFC 9654 §2.1 permits.
fn repeatable_nonce<'a>(mut extension: Cursor<'a>) -> Option<&'a [u8]> {
    extension.optional(tag::BOOLEAN).ok()?;
    let value = extension.expect(tag::OCTET_STRING).ok()?.content;
    extension.end().ok()?;
    let mut inside = Cursor::new(value);
    let nonce = match inside.expect(tag::OCTET_STRING) {
        Ok(wrapped) if inside.is_empty() => wrapped.content,
        _ => value,
    };
    (1..=NONCE_BYTES_MAX)
        .contains(&nonce.len())
        .then_some(value)
}

/// Writes a request about certificates of the CA with this certificate (DER). It identifies the CA
/// by SHA-1, like most clients.
pub fn write_ocsp_request(
    authority_der: &[u8],
    serials: &[SerialNumber],
    nonce: Option<&[u8]>,
) -> Result<Vec<u8>, IssuerError> {
    let [by_sha1, ..] = issuer_ids(authority_der)?;
    let mut out = Vec::new();
    tlv::write_with(&mut out, tag::SEQUENCE, |out| {
        tlv::write_with(out, tag::SEQUENCE, |out| {
            tlv::write_with(out, tag::SEQUENCE, |out| {
                serials
                    .iter()
                    .for_each(|serial| write_single_request(out, &by_sha1, serial));
            });
            if let Some(nonce) = nonce {
                tlv::write_with(out, tag::CONTEXT_2_CONSTRUCTED, |out| {
                    tlv::write_with(out, tag::SEQUENCE, |out| {
                        write_extension(out, oid::OCSP_NONCE, Criticality::NotCritical, |out| {
                            tlv::write(out, tag::OCTET_STRING, nonce);
                        });
                    });
                });
            }
        });
    });
    Ok(out)
}

fn write_single_request(out: &mut Vec<u8>, issuer: &IssuerId, serial: &SerialNumber) {
    tlv::write_with(out, tag::SEQUENCE, |out| {
        tlv::write_with(out, tag::SEQUENCE, |out| {
            tlv::write_with(out, tag::SEQUENCE, |out| {
                tlv::write(out, tag::OID, oid::SHA1);
                tlv::write(out, tag::NULL, &[]);
            });
            tlv::write(out, tag::OCTET_STRING, &issuer.name_hash);
            tlv::write(out, tag::OCTET_STRING, &issuer.key_hash);
            tlv::write(out, tag::INTEGER, serial.to_integer().as_bytes());
        });
    });
}
