use std::fmt;

use crate::{AccountId, MtlsCertificateId, Timestamp};

/// The stored record of an uploaded certificate: a CA whose clients are accepted, or a leaf.
#[derive(Clone, PartialEq, Eq)]
pub struct MtlsCertificateRecord {
    /// Its ID.
    pub id: MtlsCertificateId,
    /// The account that owns it.
    pub account: AccountId,
    /// Its display name, or empty.
    pub name: String,
    /// True for a CA, false for a leaf.
    pub ca: bool,
    /// Issuer of the first certificate, in the text form of RFC 2253.
    pub issuer: String,
    /// Signature algorithm of the first certificate, by its name in the API.
    pub signature: String,
    /// Serial number of the first certificate, decimal.
    pub serial_number: String,
    /// The chain in PEM, byte for byte as the client sent it.
    pub certificates: String,
    /// SHA-256 of the first certificate (DER), unique in the account.
    pub fingerprint_sha256: [u8; 32],
    /// Its private key (PKCS #8) if the client sent one, sealed under the master key and bound to
    /// this ID.
    pub sealed_key: Option<Vec<u8>>,
    /// The time of the upload.
    pub uploaded_on: Timestamp,
    /// `notAfter` of the first certificate.
    pub expires_on: Timestamp,
}

impl fmt::Debug for MtlsCertificateRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MtlsCertificateRecord")
            .field("id", &self.id)
            .field("account", &self.account)
            .field("name", &self.name)
            .field("ca", &self.ca)
            .field("expires_on", &self.expires_on)
            .finish_non_exhaustive()
    }
}
