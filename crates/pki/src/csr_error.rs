use crate::csr::CSR_BYTES_MAX;

/// How to make a request that is accepted; the end of most messages.
const HOW_TO: &str = "make one with: openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
                      -keyout client.key -subj /CN=client -out client.csr";

/// Why a certificate signing request is refused. The text of each says what is wrong, with which value, and how to make
/// a good one; it never repeats key material, and what it quotes of the request is short and printable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CsrError {
    /// The text is longer than [`CSR_BYTES_MAX`].
    #[error(
        "the CSR has {bytes} bytes, at most {CSR_BYTES_MAX} are accepted: leave out text and extensions that are not needed"
    )]
    TooLarge {
        /// Length of the text.
        bytes: usize,
    },
    /// There is no PEM block in the text.
    #[error(
        "the CSR is not PEM: it must have a line -----BEGIN CERTIFICATE REQUEST-----; convert a DER file with: openssl req \
         -inform DER -in client.der -out client.csr"
    )]
    NoPem,
    /// There are several PEM blocks in the text.
    #[error("the CSR has several PEM blocks: send exactly one CERTIFICATE REQUEST")]
    SeveralPemBlocks,
    /// A private key was sent, alone or beside a request.
    #[error(
        "a private key was sent: it must never leave your machine, treat it as disclosed and make a new one; send only the \
         CERTIFICATE REQUEST; {HOW_TO}"
    )]
    PrivateKey,
    /// The PEM block is something else, such as a certificate or a public key.
    #[error("the PEM block is labelled \"{label}\", not CERTIFICATE REQUEST; {HOW_TO}")]
    WrongPemLabel {
        /// Its label, cut and escaped.
        label: String,
    },
    /// There is text behind the END line.
    #[error(
        "there is text behind the END line of the CSR: end it at -----END CERTIFICATE REQUEST-----"
    )]
    TextAfterEnd,
    /// What is between the BEGIN and the END line is not Base64.
    #[error(
        "the text between the BEGIN and the END line is not Base64: send the file unchanged; {HOW_TO}"
    )]
    BadBase64,
    /// The content is not a PKCS #10 request (RFC 2986) in DER.
    #[error(
        "the CSR is damaged, {what}; check it with: openssl req -in client.csr -noout -verify; {HOW_TO}"
    )]
    Malformed {
        /// What is wrong with which part.
        what: &'static str,
    },
    /// There are octets behind the request.
    #[error("there are bytes behind the end of the request inside the PEM block; {HOW_TO}")]
    TrailingBytes,
    /// An attribute of the subject cannot be read.
    #[error(
        "the subject's {attribute} cannot be read: its bytes are not text of the type it claims to have; use openssl req \
         -utf8 with UTF-8 text"
    )]
    SubjectUnreadable {
        /// Which attribute.
        attribute: &'static str,
    },
    /// The key is of a kind that is not supported.
    #[error(
        "the public key algorithm {oid} is not supported: use RSA (2048 to 8192 bits), P-256, P-384, P-521 or Ed25519, \
         for example: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out client.key"
    )]
    KeyUnsupported {
        /// Its object identifier.
        oid: String,
    },
    /// The RSA modulus is too short or too long.
    #[error(
        "the RSA key has {bits} bits, 2048 to 8192 are accepted: openssl genpkey -algorithm RSA -pkeyopt \
         rsa_keygen_bits:2048 -out client.key"
    )]
    RsaModulusSize {
        /// Its length.
        bits: usize,
    },
    /// The RSA exponent is even, below 3 or longer than 33 bits.
    #[error(
        "the public exponent of the RSA key is not an odd number from 3 to 33 bits long: use 65537, the default of: \
         openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out client.key"
    )]
    RsaExponent,
    /// The elliptic curve is not one of the supported ones.
    #[error(
        "the elliptic curve {oid} is not supported: use P-256, P-384 or P-521 as a named curve, for example: openssl \
         genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:named_curve -out client.key"
    )]
    CurveUnsupported {
        /// Its object identifier.
        oid: String,
    },
    /// The elliptic curve point is compressed.
    #[error(
        "the public key is a compressed point: write it uncompressed with: openssl ec -in client.key -conv_form \
         uncompressed -out client.key"
    )]
    PointCompressed,
    /// The key is of a supported kind, but no key: a point beside its curve, a modulus that is even.
    #[error("the public key is not a valid {kind} key: make a new one; {HOW_TO}")]
    KeyInvalid {
        /// The kind it claims to be.
        kind: &'static str,
    },
    /// The request is signed in a way that is not supported.
    #[error(
        "the signature algorithm {oid} of the CSR is not supported: sign it with SHA-256, for example: openssl req -new \
         -sha256 -key client.key -out client.csr (RSA with PKCS #1 v1.5, ECDSA, each with SHA-256, SHA-384 or SHA-512, \
         and Ed25519 are accepted)"
    )]
    SignatureAlgorithmUnsupported {
        /// Its object identifier.
        oid: String,
    },
    /// The signature does not verify under the request's own key: no proof that the sender has the private key.
    #[error(
        "the signature of the CSR does not verify under its public key: the file was changed or signed with another key; \
         sign it again with: openssl req -new -key client.key -out client.csr"
    )]
    SignatureInvalid,
}

impl CsrError {
    pub(crate) const fn malformed(what: &'static str) -> Self {
        Self::Malformed { what }
    }
}

/// How many characters of a text from outside a message quotes.
const QUOTED_CHARS_MAX: usize = 40;

/// The beginning of a text from outside, with everything that does not print escaped.
pub(crate) fn quoted(text: &str) -> String {
    text.chars()
        .take(QUOTED_CHARS_MAX)
        .flat_map(char::escape_default)
        .collect()
}
