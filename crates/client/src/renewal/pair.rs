//! A certificate and its private key, as two texts in PEM.

use certgate_model::Timestamp;
use certgate_pki::{PresentedCertificate, PrivateKey, pem_lines, read_private_key_of_pair};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// The most certificates of a file: one, and the CAs above it.
const CERTIFICATES_MAX: usize = 16;

/// A certificate and the private key that belongs to it. Only [`Pair::read`] makes one.
pub struct Pair {
    key: PrivateKey,
    /// The certificate, and perhaps those above it.
    chain: Vec<CertificateDer<'static>>,
    subject: String,
    /// The first second in which the certificate is valid.
    pub not_before: Timestamp,
    /// The last second in which the certificate is valid.
    pub not_after: Timestamp,
}

impl Pair {
    /// Reads the texts of both files, which may be one. The first certificate must belong to the
    /// key. The error continues a sentence about the files.
    pub fn read(certificate: &str, key: &str) -> Result<Self, String> {
        let mut chain = Vec::new();
        for read in CertificateDer::pem_slice_iter(certificate.as_bytes()) {
            chain.push(read.map_err(|_| "the certificate is not PEM".to_owned())?);
            if chain.len() > CERTIFICATES_MAX {
                return Err(format!(
                    "there are more than {CERTIFICATES_MAX} certificates"
                ));
            }
        }
        let key = read_private_key_of_pair(key).map_err(|error| error.to_string())?;
        Self::of(chain, key)
    }

    fn of(chain: Vec<CertificateDer<'static>>, key: PrivateKey) -> Result<Self, String> {
        let first = chain.first().ok_or("no certificate in PEM form")?;
        let read = PresentedCertificate::read(first)
            .map_err(|reason| format!("the certificate is malformed: {reason}"))?;
        if read.spki() != key.public_key_spki() {
            return Err("the certificate does not belong to the key".to_owned());
        }
        Ok(Self {
            subject: read.subject_text(),
            not_before: read.not_before(),
            not_after: read.not_after(),
            key,
            chain,
        })
    }

    /// The certificate, and perhaps those above it.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// The certificate.
    pub fn certificate(&self) -> &[u8] {
        // `of` takes no empty chain.
        self.chain.first().map_or(&[], |first| first)
    }

    /// SHA-256 of the certificate.
    pub fn fingerprint(&self) -> [u8; 32] {
        certgate_pki::sha256(self.certificate())
    }

    /// The key.
    pub fn key(&self) -> &PrivateKey {
        &self.key
    }

    /// The subject in the text form of RFC 2253.
    pub fn subject(&self) -> &str {
        &self.subject
    }
}

/// Writes certificates in PEM.
pub fn certificates_pem(chain: &[CertificateDer<'_>]) -> String {
    let blocks = chain
        .iter()
        .map(|certificate| pem_lines("CERTIFICATE", certificate) + "\n");
    blocks.collect()
}
