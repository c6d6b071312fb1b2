use crate::chain::{CHAIN_BYTES_MAX, CHAIN_CERTIFICATES_MAX};

/// Why uploaded certificates are refused. Certificates are counted from 1 in the order in which they were sent. The text
/// of each says what is wrong, with which value, and what to do; it never repeats key material.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// The text is longer than [`CHAIN_BYTES_MAX`].
    #[error(
        "certificates has {bytes} bytes, at most {CHAIN_BYTES_MAX} are accepted: send only the CERTIFICATE blocks that are \
         needed"
    )]
    TooLarge {
        /// Length of the text.
        bytes: usize,
    },
    /// There is no PEM block in the text.
    #[error("certificates is not PEM: it must have a line -----BEGIN CERTIFICATE-----")]
    NoPem,
    /// The text is a certificate in DER, written in Base64.
    #[error(
        "certificates is DER, not PEM: convert it with: openssl x509 -inform DER -in ca.der -out ca.pem"
    )]
    Der,
    /// The text is a PKCS #12 file, written in Base64.
    #[error(
        "certificates is a PKCS #12 file, not PEM: take the certificates out of it with: openssl pkcs12 -in file.p12 -nokeys \
         -out ca.pem"
    )]
    Pkcs12,
    /// There is a private key among or instead of the certificates.
    #[error(
        "certificates holds a private key: send only CERTIFICATE blocks here, and the key in private_key"
    )]
    PrivateKey,
    /// A public key was sent.
    #[error(
        "certificates holds a public key: send the certificate that is about it, with the line -----BEGIN CERTIFICATE-----"
    )]
    PublicKey,
    /// A certificate signing request was sent.
    #[error(
        "certificates holds a certificate signing request, which nobody has signed yet: send the certificate that an \
         authority made of it"
    )]
    CertificateRequest,
    /// A PEM block is something else.
    #[error("certificates holds a PEM block labelled \"{label}\": send only CERTIFICATE blocks")]
    WrongPemLabel {
        /// Its label, cut and escaped.
        label: String,
    },
    /// There is text behind the last END line.
    #[error(
        "there is text behind the last END line of certificates: end it at -----END CERTIFICATE-----"
    )]
    TextAfterEnd,
    /// There are more than [`CHAIN_CERTIFICATES_MAX`].
    #[error(
        "certificates has {count} certificates, at most {CHAIN_CERTIFICATES_MAX} are accepted: send one chain"
    )]
    TooMany {
        /// How many there are.
        count: usize,
    },
    /// A certificate is not one of X.509 (RFC 5280) in DER.
    #[error(
        "certificate {number} is damaged, {what}; check it with: openssl x509 -in ca.pem -noout -text"
    )]
    Malformed {
        /// Which one.
        number: usize,
        /// What is wrong with which part.
        what: &'static str,
    },
    /// A certificate is of version 1 or 2, which cannot say whether it is an authority.
    #[error("certificate {number} is of X.509 version {version}: make one of version 3")]
    Version {
        /// Which one.
        number: usize,
        /// Its version.
        version: u8,
    },
    /// A certificate is signed in a way that is not supported.
    #[error(
        "the signature algorithm {oid} of certificate {number} is not supported: RSA (PKCS #1 v1.5) and ECDSA, each with \
         SHA-1, SHA-256, SHA-384 or SHA-512, and Ed25519 are"
    )]
    SignatureAlgorithmUnsupported {
        /// Which one.
        number: usize,
        /// The algorithm's object identifier.
        oid: String,
    },
    /// The key of a certificate is not accepted.
    #[error("the public key of certificate {number} is not accepted: {reason}")]
    Key {
        /// Which one.
        number: usize,
        /// Why not, and what would be.
        reason: String,
    },
    /// A certificate that must be an authority's is not.
    #[error(
        "certificate {number} is not one of an authority, {reason}: send the authority's own certificate, or ca: false with \
         the private key for a leaf certificate"
    )]
    NotAuthority {
        /// Which one.
        number: usize,
        /// What it lacks.
        reason: &'static str,
    },
    /// The certificate that signed another one does not follow it.
    #[error(
        "certificate {number} is not signed by the one that follows it: order them so that each is signed by the next, the root \
         last"
    )]
    ChainOrder {
        /// The one that is signed by another.
        number: usize,
    },
    /// A certificate says that it signed itself, or that the next one signed it, and the signature does not verify.
    #[error(
        "the signature of certificate {number} does not verify under its issuer's key: the file was changed, or the issuer has \
         another key by now; get the certificate again"
    )]
    SignatureInvalid {
        /// Which one.
        number: usize,
    },
    /// A certificate is there twice.
    #[error("certificate {number} is there twice: send each once")]
    Repeated {
        /// The second of the two.
        number: usize,
    },
    /// A certificate has expired.
    #[error("certificate {number} expired on {expired_on}: send one that is valid")]
    Expired {
        /// Which one.
        number: usize,
        /// `notAfter`, RFC 3339.
        expired_on: String,
    },
}
