//! Certificates from clients.

use std::fmt;

use certgate_model::{Hex, Timestamp};
use certgate_pki::{PresentedCertificate, sha1, sha256};

use crate::revoked::Serial;

/// The certificates from a client, in DER.
#[derive(Clone, Copy)]
pub struct Presented<'a> {
    /// The client's certificate.
    pub leaf: &'a [u8],
    /// The certificates after it, in any order. Proxies often send none.
    pub intermediates: &'a [&'a [u8]],
}

/// A client's certificate, read once. Nothing in it proves that a trusted CA signed it.
pub struct ClientCertificate {
    /// The DER form.
    pub der: Vec<u8>,
    /// The serial number.
    pub serial: Serial,
    /// SHA-256 of the DER form. Two certificates with different fingerprints can be the same: match
    /// revocations by CA and serial number.
    pub fingerprint_sha256: [u8; 32],
    /// SHA-1 of the DER form, for programs that know certificates by it.
    pub fingerprint_sha1: [u8; 20],
    /// The subject in the form of RFC 2253.
    pub subject: String,
    /// The issuer in the form of RFC 2253.
    pub issuer: String,
    /// The subject in the form of old versions of OpenSSL.
    pub subject_legacy: String,
    /// The issuer in the form of old versions of OpenSSL.
    pub issuer_legacy: String,
    /// The first second in which it is valid.
    pub not_before: Timestamp,
    /// The last second in which it is valid.
    pub not_after: Timestamp,
    /// The subject key identifier.
    pub subject_key_identifier: Option<Vec<u8>>,
}

impl ClientCertificate {
    /// Copies the fields of a certificate with this DER form.
    pub(crate) fn new(der: &[u8], read: &PresentedCertificate<'_>) -> Self {
        Self {
            der: der.to_vec(),
            serial: read.serial(),
            fingerprint_sha256: sha256(der),
            fingerprint_sha1: sha1(der),
            subject: read.subject_text(),
            issuer: read.issuer_text(),
            subject_legacy: read.subject_legacy(),
            issuer_legacy: read.issuer_legacy(),
            not_before: read.not_before(),
            not_after: read.not_after(),
            subject_key_identifier: read.subject_key_identifier().map(<[u8]>::to_vec),
        }
    }
}

/// The serial number and the subject, as a log needs them.
impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate")
            .field("serial", &format_args!("{}", Hex(&self.serial)))
            .field("subject", &self.subject)
            .finish_non_exhaustive()
    }
}
