use std::fmt;
use std::ops::Range;

use certgate_model::{AlternativeName, KeyType, SubjectFields};

use crate::csr_error::{CSR_BYTES_MAX, CsrError};
use crate::oid;
use crate::public_key::{PublicKey, with_rsa_parameters};
use crate::request_text::request_octets;
use crate::requested_names::requested_names;
use crate::subject::{
    NewAttribute, read_name, refuse_controls, unreadable_for_openssl, write_name,
};
use crate::tlv::{self, Cursor, tag};

/// A checked certificate signing request (RFC 2986). The policy accepts its key, and its signature
/// proves possession of the private key. Only [`read_csr`](crate::read_csr) makes one.
#[derive(Clone)]
pub struct CheckedCsr {
    der: Vec<u8>,
    subject: Range<usize>,
    /// The Name of the certificate, if the request leaves its subject empty and is given one.
    given_subject: Option<Vec<u8>>,
    spki: Range<usize>,
    /// The SubjectPublicKeyInfo of an RSA key whose parameters the request leaves out.
    completed_spki: Option<Vec<u8>>,
    fields: SubjectFields,
    key_identifier: [u8; 20],
    key_type: KeyType,
    names: Vec<String>,
    /// Content of the attributes, which is perhaps not DER.
    attributes: Range<usize>,
}

impl CheckedCsr {
    /// The subject attributes that the API shows.
    pub fn subject(&self) -> &SubjectFields {
        &self.fields
    }

    /// The subject, a Name in DER, byte for byte as in the request, unless it was empty there and
    /// [`CheckedCsr::or_named`] gave another.
    pub fn subject_der(&self) -> &[u8] {
        match &self.given_subject {
            Some(given) => given,
            None => &self.der[self.subject.clone()],
        }
    }

    /// Returns the request with this common name as its subject, if its own subject is empty.
    /// The caller decides the name: the client has not signed it.
    #[must_use]
    pub fn or_named(mut self, common_name: &str) -> Self {
        if self.is_subject_empty() {
            let mut name = Vec::new();
            write_name(
                &mut name,
                &[NewAttribute::utf8(oid::COMMON_NAME, common_name)],
            );
            self.given_subject = Some(name);
            common_name.clone_into(&mut self.fields.common_name);
        }
        self
    }

    /// The SubjectPublicKeyInfo in DER, byte for byte as in the request, except that the parameters
    /// of an RSA key are always NULL: many verifiers cannot read a certificate without them.
    pub fn spki_der(&self) -> &[u8] {
        match &self.completed_spki {
            Some(completed) => completed,
            None => &self.der[self.spki.clone()],
        }
    }

    /// Returns true if the subject has no attributes.
    pub fn is_subject_empty(&self) -> bool {
        self.subject_der() == [tag::SEQUENCE, 0]
    }

    /// Names the first attribute of the subject that OpenSSL cannot read, such as "common name
    /// (CN)". OpenSSL then cannot read the certificate, which has the same subject.
    pub fn attribute_unreadable_for_openssl(&self) -> Option<String> {
        let subject = Cursor::new(self.subject_der()).expect(tag::SEQUENCE).ok()?;
        unreadable_for_openssl(subject.content)
    }

    /// The names that the request asks for beside its subject, as short printable texts such as
    /// `DNS:a.example`. A certificate has those that issuance rules permit, as a rule none.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Returns the names that the request asks for, as [`CheckedCsr::names`] does, without those
    /// that its certificate has.
    pub fn names_beyond(&self, copied: &[AlternativeName]) -> Vec<String> {
        requested_names(self.attributes_der(), copied)
    }

    /// The type of the key in issuance rules.
    pub fn key_type(&self) -> KeyType {
        self.key_type
    }

    /// The content of the attributes, which is perhaps not DER.
    pub(crate) fn attributes_der(&self) -> &[u8] {
        &self.der[self.attributes.clone()]
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

/// Reads a request and performs every check that does not depend on the caller, except the search
/// for a weak RSA key: see [`crate::searched`].
pub(crate) fn read_verified(text: &str) -> Result<CheckedCsr, CsrError> {
    if text.len() > CSR_BYTES_MAX {
        return Err(CsrError::TooLarge { bytes: text.len() });
    }

    // 1. PEM.
    let der = request_octets(text)?;

    // 2. Structure.
    let request = SignedRequest::read(&der)?;
    let info = RequestInfo::read(request.info_content)?;

    // 3. Key policy, before any computation with the key.
    let key = PublicKey::read(info.spki.content)?;
    let fields = read_name(info.subject.content)?;
    refuse_controls(info.subject.content)?;

    // 4. Proof of possession.
    key.verify(request.algorithm, request.info_raw, request.signature)?;

    let place = |part: &[u8]| {
        let start = part.as_ptr().addr() - der.as_ptr().addr();
        start..start + part.len()
    };
    let (subject, spki) = (place(info.subject.raw), place(info.spki.raw));
    let key_identifier = key.key_identifier();
    let attributes = match info.attributes {
        [] => 0..0,
        found => place(found),
    };
    Ok(CheckedCsr {
        subject,
        given_subject: None,
        spki,
        completed_spki: with_rsa_parameters(info.spki.raw),
        fields,
        key_identifier,
        key_type: key.key_type(),
        names: requested_names(info.attributes, &[]),
        attributes,
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
    fn read(der: &'a [u8]) -> Result<Self, CsrError> {
        let mut outer = Cursor::new(der);
        let request = outer
            .expect_any_length(tag::SEQUENCE)
            .map_err(|_| CsrError::malformed("its content is not a DER sequence"))?;
        outer.end().map_err(|_| CsrError::TrailingBytes)?;
        let mut request = Cursor::new(request.content);
        let info = request.expect_any_length(tag::SEQUENCE).map_err(|_| {
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
    /// Content of the attributes, which is perhaps not DER.
    attributes: &'a [u8],
}

impl<'a> RequestInfo<'a> {
    fn read(mut info: Cursor<'a>) -> Result<Self, CsrError> {
        let version = info
            .expect(tag::INTEGER)
            .map_err(|_| CsrError::malformed("it has no version number"))?;
        // RFC 2986 §4.1 has only version 0. Programs also write the number that they show (1), or
        // that of certificates (2).
        if !matches!(version.content, [0..=2]) {
            return Err(CsrError::malformed("its version is not 0, 1 or 2"));
        }
        let subject = info
            .expect(tag::SEQUENCE)
            .map_err(|_| CsrError::malformed("it has no subject"))?;
        let spki = info
            .expect(tag::SEQUENCE)
            .map_err(|_| CsrError::malformed("it has no public key"))?;
        let attributes = info
            .optional_any_length(tag::CONTEXT_0_CONSTRUCTED)
            .map_err(|_| CsrError::malformed("its attributes are cut off"))?;
        info.end()
            .map_err(|_| CsrError::malformed("something other than attributes follows its key"))?;
        Ok(Self {
            subject,
            spki,
            attributes: attributes.map_or(&[], |attributes| attributes.content),
        })
    }
}
