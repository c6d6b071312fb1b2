use std::fmt;

use crate::{AccountId, MtlsCertificateId, Timestamp};

/// A certificate that an account brought itself: an authority whose clients are let in, or a leaf.
#[derive(Clone, PartialEq, Eq)]
pub struct MtlsCertificateRecord {
    /// Its id.
    pub id: MtlsCertificateId,
    /// The account it belongs to.
    pub account: AccountId,
    /// Its display name; empty if it has none.
    pub name: String,
    /// Whether it is an authority.
    pub ca: bool,
    /// Who issued the first certificate, in the text form of RFC 2253.
    pub issuer: String,
    /// How the first certificate is signed, in the API's words.
    pub signature: String,
    /// The serial number of the first certificate, decimal.
    pub serial_number: String,
    /// The chain, PEM, in the order in which it was sent.
    pub certificates: String,
    /// SHA-256 of the first certificate, DER; unique in the account.
    pub fingerprint_sha256: [u8; 32],
    /// Its private key (PKCS #8), if one was sent, sealed under the master key with this id bound in.
    pub sealed_key: Option<Vec<u8>>,
    /// When it was uploaded.
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
