use crate::weak_key::Weakness;

/// Longest accepted text, in bytes. A chain of ten RSA-4096 certificates has 20 KiB, and a body of
/// 64 KiB still has room for the private key.
pub const CHAIN_BYTES_MAX: usize = 32 * 1024;

/// Most certificates in one chain. OpenSSL's `verify_depth` is 100, but real chains have two or
/// three certificates, and each certificate costs a verification.
pub const CHAIN_CERTIFICATES_MAX: usize = 10;

/// The reasons to reject uploaded certificates.
///
/// Certificates are counted from 1 in the order in which the client sent them. Each message names
/// the problem, the value and the remedy, and never repeats key material.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// The text is longer than [`CHAIN_BYTES_MAX`].
    #[error(
        "certificates has {bytes} bytes, at most {CHAIN_BYTES_MAX} are accepted: send only the \
         CERTIFICATE blocks that are needed"
    )]
    TooLarge {
        /// Length of the text, in bytes.
        bytes: usize,
    },
    /// The text has no PEM block.
    #[error("certificates is not PEM: it must have a line -----BEGIN CERTIFICATE-----")]
    NoPem,
    /// The text is a certificate in DER, written in Base64.
    #[error(
        "certificates is DER, not PEM: convert it with: openssl x509 -inform DER -in ca.der -out \
         ca.pem"
    )]
    Der,
    /// The text is a PKCS #12 file, written in Base64.
    #[error(
        "certificates is a PKCS #12 file, not PEM: extract the certificates with: openssl pkcs12 \
         -in file.p12 -nokeys -out ca.pem"
    )]
    Pkcs12,
    /// The text has a private key, with or without certificates.
    #[error(
        "certificates holds a private key: send only CERTIFICATE blocks here, and the key in \
         private_key"
    )]
    PrivateKey,
    /// The text has a public key.
    #[error(
        "certificates holds a public key: send the certificate of this key, with the line \
         -----BEGIN CERTIFICATE-----"
    )]
    PublicKey,
    /// The text has a certificate signing request.
    #[error(
        "certificates holds a certificate signing request, which no CA has signed yet: send the \
         certificate that a CA issued for it"
    )]
    CertificateRequest,
    /// A PEM block has another label.
    #[error("certificates holds a PEM block labelled \"{label}\": send only CERTIFICATE blocks")]
    WrongPemLabel {
        /// Its label, shortened and escaped.
        label: String,
    },
    /// The text has more than [`CHAIN_CERTIFICATES_MAX`] certificates.
    #[error(
        "certificates has {count} certificates, at most {CHAIN_CERTIFICATES_MAX} are accepted: \
         send one chain"
    )]
    TooMany {
        /// Number of certificates.
        count: usize,
    },
    /// A certificate is not an X.509 certificate (RFC 5280) in DER.
    #[error(
        "certificate {number} is malformed: {what}; check it with: openssl x509 -in ca.pem -noout \
         -text"
    )]
    Malformed {
        /// Number of the certificate.
        number: usize,
        /// The malformed part, as the clause "its … is not …".
        what: &'static str,
    },
    /// A certificate of a CA has version 1 or 2, which cannot state that its subject is a CA.
    #[error(
        "certificate {number} has X.509 version {version}, which cannot state that it is a CA: \
         renew it as version 3 with CA:TRUE"
    )]
    Version {
        /// Number of the certificate.
        number: usize,
        /// Its version, counted from 1.
        version: u8,
    },
    /// The signature of a certificate has an unsupported algorithm.
    #[error(
        "the signature algorithm {oid} of certificate {number} is not supported: send one \
         that is signed by RSA (PKCS #1 v1.5) or ECDSA, each with SHA-1, SHA-256, SHA-384 or \
         SHA-512, or by Ed25519"
    )]
    SignatureAlgorithmUnsupported {
        /// Number of the certificate.
        number: usize,
        /// Object identifier of the algorithm.
        oid: String,
    },
    /// The public key of a certificate is not accepted.
    #[error("the public key of certificate {number} is not accepted: {reason}")]
    Key {
        /// Number of the certificate.
        number: usize,
        /// The problem, and the accepted keys.
        reason: String,
    },
    /// Anyone can compute the private key of a certificate, or sign without it.
    #[error("the key of certificate {number} is weak, {weakness}: get a certificate for a new key")]
    KeyWeak {
        /// Number of the certificate.
        number: usize,
        /// The weakness.
        weakness: Weakness,
    },
    /// A certificate must be that of a CA and is not.
    #[error(
        "certificate {number} is not a CA certificate: {reason}; send the CA's own certificate, or \
         ca: false with the private key for a leaf certificate"
    )]
    NotAuthority {
        /// Number of the certificate.
        number: usize,
        /// The missing property.
        reason: &'static str,
    },
    /// The certificates are not one chain.
    #[error(
        "certificate {number} is not in one chain with the others, in which each is signed by \
         another one up to the last: send the chains one by one, with the certificates between"
    )]
    SeveralChains {
        /// Number of a certificate outside of the chain.
        number: usize,
    },
    /// A certificate names itself or another certificate as its issuer, and the signature does not
    /// verify under that key.
    #[error(
        "the signature of certificate {number} does not verify under its issuer's key: the file \
         was changed, or the issuer has a new key; get the certificate again"
    )]
    SignatureInvalid {
        /// Number of the certificate.
        number: usize,
    },
    /// The same certificate occurs twice.
    #[error("certificate {number} repeats an earlier one: send each once")]
    Repeated {
        /// Number of the second one.
        number: usize,
    },
    /// A certificate has expired.
    #[error("certificate {number} expired on {expired_on}: send one that is valid")]
    Expired {
        /// Number of the certificate.
        number: usize,
        /// Its `notAfter`, RFC 3339.
        expired_on: String,
    },
}
