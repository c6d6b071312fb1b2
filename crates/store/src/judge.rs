//! The part of the full check that needs more than the store knows: reading DER, and time.

use certgate_model::{
    AuthorityId, AuthorityRecord, CertificateRecord, MtlsCertificateRecord, SignedCrl,
};

/// Compares records with the DER forms in them.
///
/// Each answer names the columns that the DER form contradicts, or nothing. The check passes each
/// CA first.
pub trait Judge: Send + Sync {
    /// Judges a CA, and remembers its certificate.
    fn authority(&mut self, record: &AuthorityRecord) -> Vec<&'static str>;
    /// Judges a client certificate, of the CA that its record names.
    fn certificate(&mut self, record: &CertificateRecord) -> Vec<&'static str>;
    /// Judges an uploaded certificate.
    fn uploaded(&mut self, record: &MtlsCertificateRecord) -> Vec<&'static str>;
    /// Reads a CRL of a CA.
    fn crl(&mut self, authority: AuthorityId, der: &[u8]) -> JudgedCrl;
    /// Returns the CAs with the name and key of this one, itself among them: they share one full
    /// list.
    fn same_issuer(&self, authority: AuthorityId) -> Vec<AuthorityId>;
    /// Receives the number of rows that were read. It may pause, so that a server beside it keeps the disk.
    fn progress(&mut self, rows: u64);
}

/// A CRL that a [`Judge`] got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JudgedCrl {
    /// Its signature verifies.
    Intact(SignedCrl),
    /// Its signature does not verify, or it is malformed.
    Corrupt,
    /// The judge reads none.
    #[cfg(feature = "conformance")]
    NotRead,
}

/// Judges nothing: for stores whose certificates tests made.
#[cfg(feature = "conformance")]
pub struct NoJudge {
    /// The answer for every CRL.
    pub crl: JudgedCrl,
}

#[cfg(feature = "conformance")]
impl Judge for NoJudge {
    fn authority(&mut self, _: &AuthorityRecord) -> Vec<&'static str> {
        Vec::new()
    }

    fn certificate(&mut self, _: &CertificateRecord) -> Vec<&'static str> {
        Vec::new()
    }

    fn uploaded(&mut self, _: &MtlsCertificateRecord) -> Vec<&'static str> {
        Vec::new()
    }

    fn crl(&mut self, _: AuthorityId, _: &[u8]) -> JudgedCrl {
        self.crl.clone()
    }

    fn same_issuer(&self, authority: AuthorityId) -> Vec<AuthorityId> {
        vec![authority]
    }

    fn progress(&mut self, _: u64) {}
}
