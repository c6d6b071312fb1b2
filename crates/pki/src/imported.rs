//! An authority that was made elsewhere: its certificate and its private key in PEM in, an [`Issuer`] out.

use certgate_model::{KeyAlgorithm, Timestamp};
use zeroize::Zeroizing;

use crate::certificate::{SignedParts, TbsParts};
use crate::csr_error::quoted;
use crate::issuer::AuthorityRights;
use crate::pem::{Block, PemError};
use crate::subject::read_name;
use crate::tlv::{Cursor, NotDer, tag};
use crate::uploaded::UploadedCertificate;
use crate::{ChainError, Issuer, IssuerError, PrivateKeyError, read_private_key};

/// Longest accepted certificate of an authority, in bytes of PEM: four times what one with an RSA-8192 key needs.
pub const AUTHORITY_CERTIFICATE_BYTES_MAX: usize = 16 * 1024;

/// Why an authority cannot be taken over. The text of each says what is wrong and what to do; it never repeats key
/// material.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// The text is longer than [`AUTHORITY_CERTIFICATE_BYTES_MAX`].
    #[error(
        "the certificate has {bytes} bytes, at most {AUTHORITY_CERTIFICATE_BYTES_MAX} are accepted: send the \
         authority's certificate alone"
    )]
    TooLarge {
        /// Length of the text.
        bytes: usize,
    },
    /// There is no PEM block in the text.
    #[error(
        "the certificate is not PEM: it must have a line -----BEGIN CERTIFICATE-----; convert a DER file with: openssl \
         x509 -inform DER -in ca.der -out ca.crt"
    )]
    NoPem,
    /// There are several PEM blocks in the text.
    #[error(
        "the certificate has several PEM blocks: send exactly one, the certificate of the authority itself, without \
         those above or below it"
    )]
    Several,
    /// A private key stands where the certificate belongs.
    #[error(
        "there is a private key in the certificate's place: send it in private_key, and the certificate alone here"
    )]
    PrivateKeyInCertificate,
    /// The PEM block is something else, such as a request.
    #[error(
        "the PEM block is labelled \"{label}\", not CERTIFICATE: send the authority's certificate"
    )]
    WrongPemLabel {
        /// Its label, cut and escaped.
        label: String,
    },
    /// The text or the structure is damaged.
    #[error(
        "the certificate is damaged, {what}; check it with: openssl x509 -in ca.crt -noout -text"
    )]
    Malformed {
        /// What is wrong with which part.
        what: &'static str,
    },
    /// It is not an authority's certificate.
    #[error(
        "the certificate is not one of an authority: {0}; send the certificate that the private key signs with"
    )]
    NotAuthority(&'static str),
    /// Revocation lists that its key signs would be refused.
    #[error(
        "the key usage of the certificate does not include cRLSign, so that nobody would believe its revocation lists: \
         renew the authority's certificate with keyCertSign and cRLSign"
    )]
    NoCrlSign,
    /// Certificates for clients that its key signs would be refused.
    #[error(
        "the extended key usage of the certificate does not include clientAuth, so that no server would accept a client \
         certificate from it: renew the authority's certificate without extended key usage"
    )]
    NotForClients,
    /// It is not valid any more.
    #[error(
        "the certificate expired on {expired_on}: renew the authority's certificate with the same key, or rotate"
    )]
    Expired {
        /// Its `notAfter`.
        expired_on: Timestamp,
    },
    /// It is not valid yet.
    #[error(
        "the certificate is not valid before {valid_from}: import it then, or set the clock of this machine right"
    )]
    NotYetValid {
        /// Its `notBefore`.
        valid_from: Timestamp,
    },
    /// The private key is not a good one.
    #[error(transparent)]
    Key(#[from] PrivateKeyError),
    /// The private key belongs to another certificate.
    #[error(
        "the private key does not belong to the certificate: compare what openssl x509 -in ca.crt -noout -pubkey and \
         openssl pkey -in ca.key -pubout print"
    )]
    KeyMismatch,
    /// The cryptographic library failed: not the sender's fault.
    #[error("the key could not be used: {0}")]
    Failed(#[source] crate::KeyError),
}

/// An authority that was made elsewhere and can issue here. Only [`read_authority`] makes one.
#[derive(Debug)]
pub struct ImportedAuthority {
    /// Its certificate.
    pub certificate_der: Vec<u8>,
    /// The common name in its certificate; empty where there is none.
    pub common_name: String,
    /// The kind of its key.
    pub algorithm: KeyAlgorithm,
    /// `notBefore` of its certificate.
    pub not_before: Timestamp,
    /// `notAfter` of its certificate.
    pub not_after: Timestamp,
    /// Ready to sign.
    pub issuer: Issuer,
}

/// Reads an authority's certificate and its private key (see [`read_private_key`]) as they were made elsewhere. Both keys
/// must be the same, and the certificate must allow everything that a managed authority does at the instant `now`: sign
/// certificates for clients, and revocation lists.
///
/// Returns the key in PKCS #8 beside the authority; the octets are secret.
pub fn read_authority(
    certificate: &str,
    private_key: &str,
    now: Timestamp,
) -> Result<(ImportedAuthority, Zeroizing<Vec<u8>>), ImportError> {
    // 1. The certificate: PEM, structure, and whether it verifies where that can be told.
    let certificate_der = read_pem(certificate)?;
    let malformed = |what| ImportError::Malformed { what };
    let signed = SignedParts::read(&certificate_der)
        .map_err(|_| malformed("its content is not a certificate"))?;
    let tbs = TbsParts::read(signed.tbs).map_err(|_| {
        malformed("its content is not a certificate of X.509 version 3 with extensions")
    })?;
    let rights = AuthorityRights::read(tbs.extensions)
        .map_err(|_| malformed("an extension cannot be read"))?;
    let subject = content(tbs.subject).map_err(|_| malformed("it has no subject"))?;
    let fields = read_name(subject).map_err(|_| malformed("its subject cannot be read"))?;
    // As strictly as any certificate that comes from outside.
    let own = UploadedCertificate::read(1, &certificate_der).map_err(|error| match error {
        ChainError::Malformed { what, .. } => malformed(what),
        _ => malformed("its key or its signature is of a kind that is not supported"),
    })?;
    if own.is_self_issued() && !own.is_signed_by(&own) {
        return Err(malformed("its signature does not verify under its own key"));
    }

    // 2. The private key, and whether both belong together and to an authority.
    let private_key = read_private_key(private_key)?;
    let pkcs8 = private_key.pkcs8().clone();
    let key = private_key.into_authority_key()?;
    let algorithm = key.algorithm();
    let issuer = Issuer::new(&certificate_der, key).map_err(|error| match error {
        IssuerError::Malformed => malformed("its content is not a certificate"),
        IssuerError::NotAuthority(reason) => ImportError::NotAuthority(reason),
        IssuerError::KeyMismatch => ImportError::KeyMismatch,
        IssuerError::Key(error) => ImportError::Failed(error),
    })?;

    // 3. What else it must be allowed to do.
    if !rights.may_sign_crls {
        return Err(ImportError::NoCrlSign);
    }
    if !rights.may_vouch_for_clients {
        return Err(ImportError::NotForClients);
    }
    let (not_before, not_after) = (tbs.not_before, tbs.not_after);
    if now < not_before {
        return Err(ImportError::NotYetValid {
            valid_from: not_before,
        });
    }
    // RFC 5280 §4.1.2.5: notAfter itself belongs to the validity.
    if now > not_after {
        return Err(ImportError::Expired {
            expired_on: not_after,
        });
    }

    let common_name = fields.common_name;
    Ok((
        ImportedAuthority {
            common_name,
            algorithm,
            not_before,
            not_after,
            issuer,
            certificate_der,
        },
        pkcs8,
    ))
}

fn read_pem(text: &str) -> Result<Vec<u8>, ImportError> {
    if text.len() > AUTHORITY_CERTIFICATE_BYTES_MAX {
        return Err(ImportError::TooLarge { bytes: text.len() });
    }
    let malformed = |what| ImportError::Malformed { what };
    let block = Block::find(text).map_err(|error| match error {
        PemError::None => ImportError::NoPem,
        PemError::Several => ImportError::Several,
        PemError::PrivateKey => ImportError::PrivateKeyInCertificate,
        PemError::BeginCutOff => malformed("its BEGIN line is cut off"),
        PemError::NoEnd => malformed("it has no line -----END CERTIFICATE-----"),
        PemError::TextAfterEnd => malformed("there is text behind its END line"),
    })?;
    if block.label != "CERTIFICATE" {
        return Err(ImportError::WrongPemLabel {
            label: quoted(block.label),
        });
    }
    block
        .decode()
        .ok_or_else(|| malformed("the text between BEGIN and END is not Base64"))
}

/// What is inside of an encoded SEQUENCE.
fn content(sequence: &[u8]) -> Result<&[u8], NotDer> {
    Cursor::new(sequence)
        .expect(tag::SEQUENCE)
        .map(|value| value.content)
}
