use crate::weak_key::Weakness;

/// Longest accepted request, in bytes of PEM. An RSA-8192 request with a full subject has less than
/// 4 KiB. The rest is room for extensions that other CAs ask for.
pub const CSR_BYTES_MAX: usize = 16 * 1024;

/// Longest accepted text around the request, in bytes: before its BEGIN line, after its END line,
/// and white space inside it. The server stores the text and shows it in every list. Lines of
/// octets in hexadecimal before the request do not count, as far as they can be a dump of it.
pub const CSR_TEXT_BYTES_MAX: usize = 1024;

/// The command that makes an acceptable request; the end of most messages.
const HOW_TO: &str = "make one with: openssl req -new -newkey ec -pkeyopt \
                      ec_paramgen_curve:P-256 -nodes -keyout client.key -subj /CN=client \
                      -out client.csr";

/// The reasons to reject a certificate signing request.
///
/// Each message names the problem, the value and the remedy. A message never repeats key material,
/// and its quotations from the request are short and printable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CsrError {
    /// The text is longer than [`CSR_BYTES_MAX`].
    #[error(
        "the CSR has {bytes} bytes, at most {CSR_BYTES_MAX} are accepted: leave out text and \
         extensions that are not needed"
    )]
    TooLarge {
        /// Length of the text, in bytes.
        bytes: usize,
    },
    /// The text around the request is longer than [`CSR_TEXT_BYTES_MAX`].
    #[error(
        "the CSR has {bytes} bytes of text or white space around the request, at most \
         {CSR_TEXT_BYTES_MAX} are accepted: send the PEM block only, as made by: openssl req \
         -in client.csr"
    )]
    TextAround {
        /// Length of the text and white space, in bytes.
        bytes: usize,
    },
    /// The text has no PEM block and is not Base64 of a request.
    #[error(
        "the CSR is not PEM: it must have a line -----BEGIN CERTIFICATE REQUEST-----; convert a \
         DER file with: openssl req -inform DER -in client.der -out client.csr"
    )]
    NoPem,
    /// The text has several PEM blocks.
    #[error("the CSR has several PEM blocks: send exactly one CERTIFICATE REQUEST")]
    SeveralPemBlocks,
    /// The text has a private key, with or without a request.
    #[error(
        "you sent a private key, which must never leave your machine: treat it as disclosed and \
         make a new one; send only the CERTIFICATE REQUEST; {HOW_TO}"
    )]
    PrivateKey,
    /// The PEM block has another label, such as that of a certificate or a public key.
    #[error("the PEM block is labelled \"{label}\", not CERTIFICATE REQUEST; {HOW_TO}")]
    WrongPemLabel {
        /// Its label, shortened and escaped.
        label: String,
    },
    /// The text between the BEGIN and the END line is not Base64.
    #[error(
        "the text between the BEGIN and the END line is not Base64: send the file unchanged; \
         {HOW_TO}"
    )]
    BadBase64,
    /// The content is not a PKCS #10 request (RFC 2986) in DER.
    #[error(
        "the CSR is malformed: {what}; check it with: openssl req -in client.csr -noout -verify; \
         {HOW_TO}"
    )]
    Malformed {
        /// The malformed part, as the clause "its … is not …".
        what: &'static str,
    },
    /// Octets follow the request inside the PEM block.
    #[error("bytes follow the request inside the PEM block; {HOW_TO}")]
    TrailingBytes,
    /// The text of a subject attribute does not have the encoding that its type requires.
    #[error(
        "the subject's {attribute} cannot be read: its bytes are not text of the type that it \
         claims to have; use openssl req -utf8 with UTF-8 text"
    )]
    SubjectUnreadable {
        /// Name of the attribute, with its abbreviation.
        attribute: &'static str,
    },
    /// A name has a control character (U+0000 to U+001F).
    #[error(
        "the subject's {attribute} has the control character U+{control:04X}, at which programs \
         cut names off or break lines: make the request again without it"
    )]
    ControlCharacter {
        /// Name of the attribute with its abbreviation, or its object identifier.
        attribute: String,
        /// The character.
        control: u8,
    },
    /// The key has an unsupported algorithm.
    #[error(
        "the public key algorithm {oid} is not supported: use RSA (2048 to 8192 bits), P-256, \
         P-384, P-521 or Ed25519, for example: openssl genpkey -algorithm EC -pkeyopt \
         ec_paramgen_curve:P-256 -out client.key"
    )]
    KeyUnsupported {
        /// Its object identifier.
        oid: String,
    },
    /// The RSA modulus is too short or too long.
    #[error(
        "the RSA key has {bits} bits, 2048 to 8192 are accepted: openssl genpkey -algorithm RSA \
         -pkeyopt rsa_keygen_bits:2048 -out client.key"
    )]
    RsaModulusSize {
        /// Length of the modulus, in bits.
        bits: usize,
    },
    /// The RSA exponent is even, below 3 or longer than 33 bits.
    #[error(
        "the public exponent of the RSA key is not an odd number from 3 to 33 bits long: use \
         65537, the default of: openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out \
         client.key"
    )]
    RsaExponent,
    /// The elliptic curve is not supported.
    #[error(
        "the elliptic curve {oid} is not supported: use P-256, P-384 or P-521 as a named curve, \
         for example: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -pkeyopt \
         ec_param_enc:named_curve -out client.key"
    )]
    CurveUnsupported {
        /// Its object identifier.
        oid: String,
    },
    /// The elliptic curve point is compressed.
    #[error(
        "the public key is a compressed point: write it uncompressed with: openssl ec -in \
         client.key -conv_form uncompressed -out client.key"
    )]
    PointCompressed,
    /// The key has a supported algorithm but an invalid value: a point that is not on its curve, or
    /// an even modulus.
    #[error("the public key is not a valid {kind} key: make a new one; {HOW_TO}")]
    KeyInvalid {
        /// Its algorithm.
        kind: &'static str,
    },
    /// Anyone can compute the private key, or sign without it.
    #[error("the public key is weak, {0}: make a new key, with another program; {HOW_TO}")]
    KeyWeak(Weakness),
    /// The signature has an unsupported algorithm.
    #[error(
        "the signature algorithm {oid} of the CSR is not supported: sign it with SHA-256, for \
         example: openssl req -new -sha256 -key client.key -out client.csr (RSA with PKCS #1 v1.5 \
         or PSS and ECDSA, each with SHA-256, SHA-384 or SHA-512, and Ed25519 are accepted)"
    )]
    SignatureAlgorithmUnsupported {
        /// Its object identifier.
        oid: String,
    },
    /// The signature does not verify under the request's own key, so that the sender has not proved
    /// possession of the private key.
    #[error(
        "the signature of the CSR does not verify under its public key: the file was changed or \
         signed with another key; sign it again with: openssl req -new -key client.key -out \
         client.csr"
    )]
    SignatureInvalid,
}

impl CsrError {
    pub(crate) const fn malformed(what: &'static str) -> Self {
        Self::Malformed { what }
    }
}
