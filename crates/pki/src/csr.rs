use std::fmt;
use std::ops::Range;

use certgate_model::SubjectFields;

use crate::csr_error::{CSR_BYTES_MAX, CSR_TEXT_BYTES_MAX, CsrError};
use crate::oid;
use crate::pem::{Block, PemError};
use crate::public_key::PublicKey;
use crate::subject::read_name;
use crate::tlv::{self, Cursor, NotDer, tag};

/// A checked certificate signing request (RFC 2986). The policy accepts its key, and its signature
/// proves possession of the private key. Only [`read_csr`] makes one.
#[derive(Clone)]
pub struct CheckedCsr {
    der: Vec<u8>,
    subject: Range<usize>,
    spki: Range<usize>,
    fields: SubjectFields,
    key_identifier: [u8; 20],
}

impl CheckedCsr {
    /// The subject attributes that the API shows.
    pub fn subject(&self) -> &SubjectFields {
        &self.fields
    }

    /// The subject, a Name in DER, byte for byte as in the request.
    pub fn subject_der(&self) -> &[u8] {
        &self.der[self.subject.clone()]
    }

    /// The SubjectPublicKeyInfo in DER, byte for byte as in the request.
    pub fn spki_der(&self) -> &[u8] {
        &self.der[self.spki.clone()]
    }

    /// The subject key identifier: SHA-1 of the public key bits (RFC 5280 §4.2.1.2, method 1).
    pub fn ski(&self) -> [u8; 20] {
        self.key_identifier
    }
}

/// Shows the subject only.
impl fmt::Debug for CheckedCsr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckedCsr")
            .field("subject", &self.fields)
            .finish_non_exhaustive()
    }
}

/// Reads a request in PEM and performs every check that does not depend on the caller.
///
/// Beyond RFC 7468 it accepts any line ends, including the two characters `\` and `n`, the label
/// `NEW CERTIFICATE REQUEST`, and a short text before the BEGIN line. Attributes and extensions
/// must be DER and are ignored.
pub fn read_csr(text: &str) -> Result<CheckedCsr, CsrError> {
    if text.len() > CSR_BYTES_MAX {
        return Err(CsrError::TooLarge { bytes: text.len() });
    }

    // 1. PEM.
    let block = Block::find(text).map_err(|error| match error {
        PemError::None => CsrError::NoPem,
        PemError::Several => CsrError::SeveralPemBlocks,
        PemError::PrivateKey => CsrError::PrivateKey,
        PemError::BeginCutOff => CsrError::malformed("its BEGIN line is cut off"),
        PemError::NoEnd => CsrError::malformed("it has no line -----END CERTIFICATE REQUEST-----"),
        PemError::TextAfterEnd => CsrError::TextAfterEnd,
    })?;
    if !matches!(
        block.label,
        "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST"
    ) {
        return Err(CsrError::WrongPemLabel {
            label: block.shown_label(),
        });
    }
    let der = block.decode().ok_or(CsrError::BadBase64)?;
    let around = text.len().saturating_sub(block.ordinary_bytes(der.len()));
    if around > CSR_TEXT_BYTES_MAX {
        return Err(CsrError::TextAround { bytes: around });
    }

    // 2. Structure.
    let mut outer = Cursor::new(&der);
    let request = outer
        .inside(tag::SEQUENCE)
        .map_err(|_| CsrError::malformed("its content is not a DER sequence"))?;
    outer.end().map_err(|_| CsrError::TrailingBytes)?;
    let request = SignedRequest::read(request)?;
    let info = RequestInfo::read(request.info_content)?;

    // 3. Key policy, before any computation with the key.
    let key = PublicKey::read(info.spki.content)?;
    let fields = read_name(info.subject.content)?;
    check_attributes(info.attributes)?;

    // 4. Proof of possession, which a weak key does not give.
    key.verify(request.algorithm, request.info_raw, request.signature)?;
    key.refuse_weak_rsa()?;

    let place = |part: &[u8]| {
        let start = part.as_ptr().addr() - der.as_ptr().addr();
        start..start + part.len()
    };
    let (subject, spki) = (place(info.subject.raw), place(info.spki.raw));
    let key_identifier = key.key_identifier();
    Ok(CheckedCsr {
        subject,
        spki,
        fields,
        key_identifier,
        der,
    })
}

/// `CertificationRequest ::= SEQUENCE { certificationRequestInfo, signatureAlgorithm, signature BIT
/// STRING }` (RFC 2986 §4.2).
struct SignedRequest<'a> {
    info_raw: &'a [u8],
    info_content: Cursor<'a>,
    algorithm: &'a [u8],
    signature: &'a [u8],
}

impl<'a> SignedRequest<'a> {
    fn read(mut request: Cursor<'a>) -> Result<Self, CsrError> {
        let info = request.expect(tag::SEQUENCE).map_err(|_| {
            CsrError::malformed("it does not begin with a CertificationRequestInfo")
        })?;
        let algorithm = request
            .expect(tag::SEQUENCE)
            .map_err(|_| CsrError::malformed("it does not name a signature algorithm"))?;
        let signature = request
            .bit_string()
            .map_err(|_| CsrError::malformed("its signature is not a bit string"))?;
        request
            .end()
            .map_err(|_| CsrError::malformed("something follows its signature"))?;
        Ok(Self {
            info_raw: info.raw,
            info_content: Cursor::new(info.content),
            algorithm: algorithm.content,
            signature,
        })
    }
}

/// `CertificationRequestInfo ::= SEQUENCE { version INTEGER { v1(0) }, subject Name, subjectPKInfo,
/// attributes [0] }` (RFC 2986 §4.1).
struct RequestInfo<'a> {
    subject: tlv::Tlv<'a>,
    spki: tlv::Tlv<'a>,
    attributes: Cursor<'a>,
}

impl<'a> RequestInfo<'a> {
    fn read(mut info: Cursor<'a>) -> Result<Self, CsrError> {
        let version = info
            .expect(tag::INTEGER)
            .map_err(|_| CsrError::malformed("it has no version number"))?;
        // RFC 2986 §4.1: version shall be 0 for this version of the standard.
        if version.content != [0] {
            return Err(CsrError::malformed("its version is not 0 (v1)"));
        }
        let subject = info
            .expect(tag::SEQUENCE)
            .map_err(|_| CsrError::malformed("it has no subject"))?;
        let spki = info
            .expect(tag::SEQUENCE)
            .map_err(|_| CsrError::malformed("it has no public key"))?;
        let attributes = info
            .inside(tag::CONTEXT_0_CONSTRUCTED)
            .map_err(|_| CsrError::malformed("its attributes [0] are missing"))?;
        info.end()
            .map_err(|_| CsrError::malformed("something follows its attributes"))?;
        Ok(Self {
            subject,
            spki,
            attributes,
        })
    }
}

/// Checks attributes, which have no effect. A sender that relies on them learns of malformed ones.
fn check_attributes(mut attributes: Cursor<'_>) -> Result<(), CsrError> {
    while !attributes.is_empty() {
        check_attribute(&mut attributes).map_err(|_| {
            CsrError::malformed("one of its attributes or extensions is not well-formed")
        })?;
    }
    Ok(())
}

/// Checks `Attribute ::= SEQUENCE { type OBJECT IDENTIFIER, values SET SIZE (1..MAX) OF ANY }`.
fn check_attribute(attributes: &mut Cursor<'_>) -> Result<(), NotDer> {
    let mut attribute = attributes.inside(tag::SEQUENCE)?;
    let kind = attribute.oid()?;
    let values = attribute.expect(tag::SET)?;
    attribute.end()?;
    if values.content.is_empty() {
        return Err(NotDer);
    }
    tlv::check_values(values.content)?;
    if kind != oid::EXTENSION_REQUEST {
        return Ok(());
    }
    // RFC 5280 §4.1: Extension ::= SEQUENCE { extnID, critical BOOLEAN DEFAULT FALSE,
    //                                         extnValue OCTET STRING }
    let mut requested = Cursor::new(values.content);
    let mut extensions = requested.inside(tag::SEQUENCE)?;
    requested.end()?;
    while !extensions.is_empty() {
        let mut extension = extensions.inside(tag::SEQUENCE)?;
        extension.oid()?;
        extension.optional(tag::BOOLEAN)?;
        let value = extension.expect(tag::OCTET_STRING)?.content;
        extension.end()?;
        tlv::check_values(value)?;
    }
    Ok(())
}
