//! The limits of certificates in questions, and the reasons to refuse them.

/// The longest header with a certificate, in octets: ten certificates of RSA-4096 keys, encoded.
pub const CERTIFICATE_TEXT_BYTES_MAX: usize = 64 * 1024;

/// The largest number of certificates in a question, the client's own one included. TLS libraries
/// have a limit of about ten as well.
pub const CERTIFICATES_MAX: usize = 10;

/// The reason for which the certificate of a question cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The header stands more than once.
    #[error("the header of the certificate is repeated")]
    Repeated,
    /// The header is longer than [`CERTIFICATE_TEXT_BYTES_MAX`].
    #[error("the certificates have more than {CERTIFICATE_TEXT_BYTES_MAX} octets")]
    TooLong,
    /// More than [`CERTIFICATES_MAX`].
    #[error("there are more than {CERTIFICATES_MAX} certificates")]
    TooMany,
    /// A percent sign without two hexadecimal digits.
    #[error("the percent-encoding is malformed")]
    Percent,
    /// Not padded Base64.
    #[error("the Base64 is malformed")]
    Base64,
    /// No certificate in PEM, or a malformed one.
    #[error("the text has no certificate in PEM")]
    Pem,
    /// Not the syntax of the header.
    #[error("the header of the certificate is malformed")]
    Syntax,
    /// `Chain` of `X-Forwarded-Client-Cert` begins with another certificate than `Cert`.
    #[error("Cert and Chain begin with different certificates")]
    Differ,
}
