//! Imported CAs: certificate and private key in PEM in, an [`Issuer`] out.

use certgate_model::{KeyAlgorithm, Timestamp};
use zeroize::Zeroizing;

use crate::chain_error::{CHAIN_CERTIFICATES_MAX, ChainError};
use crate::chain_order::chain_order;
use crate::csr_error::CsrError;
use crate::file_form::holds_private_key;
use crate::issuer::{Issuer, IssuerError};
use crate::key::KeyError;
use crate::path::PathError;
use crate::pem::{Block, PemError};
use crate::presented::PresentedCertificate;
use crate::private_key::{PrivateKeyError, read_private_key};
use crate::subject::{read_name, unreadable_for_openssl};
use crate::tlv::{Cursor, tag};
use crate::uploaded::UploadedCertificate;
use crate::weak_key::Weakness;

/// Longest accepted certificate of a CA to import, in bytes of PEM. A certificate with an RSA-8192
/// key needs a quarter of it.
pub const AUTHORITY_CERTIFICATE_BYTES_MAX: usize = 16 * 1024;

/// The reasons to reject the import of a CA.
///
/// Each message names the problem and the remedy, and never repeats key material.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// The text is longer than [`AUTHORITY_CERTIFICATE_BYTES_MAX`].
    #[error(
        "the certificate has {bytes} bytes, at most {AUTHORITY_CERTIFICATE_BYTES_MAX} are \
         accepted: send only the CA's own certificate"
    )]
    TooLarge {
        /// Length of the text, in bytes.
        bytes: usize,
    },
    /// The text has no PEM block.
    #[error(
        "the certificate is not PEM: it must have a line -----BEGIN CERTIFICATE-----; convert a \
         DER file with: openssl x509 -inform DER -in ca.der -out ca.crt"
    )]
    NoPem,
    /// The certificates are not one chain, or one of them is not acceptable for another reason.
    #[error(transparent)]
    Chain(ChainError),
    /// The text has a private key, with or without a certificate.
    #[error(
        "the certificate holds a private key: send the key in private_key, and only the \
         certificate here"
    )]
    PrivateKeyInCertificate,
    /// The PEM block has another label, such as that of a request.
    #[error("the PEM block is labelled \"{label}\", not CERTIFICATE: send the CA's certificate")]
    WrongPemLabel {
        /// Its label, shortened and escaped.
        label: String,
    },
    /// The text or the structure is malformed.
    #[error(
        "the certificate is malformed: {what}; check it with: openssl x509 -in ca.crt -noout -text"
    )]
    Malformed {
        /// The malformed part, as the clause "its … is not …".
        what: &'static str,
    },
    /// The certificate is not a CA certificate.
    #[error(
        "the certificate is not a CA certificate: {0}; send the CA's own certificate, the one of \
         the private key"
    )]
    NotAuthority(&'static str),
    /// Verifiers would reject revocation lists that its key signs.
    #[error(
        "the key usage of the certificate does not include cRLSign, so that verifiers would reject \
         its revocation lists: renew the CA's certificate with keyCertSign and cRLSign"
    )]
    NoCrlSign,
    /// Verifiers would reject client certificates that its key signs.
    #[error(
        "the extended key usage of the certificate does not include clientAuth, so that no server \
         would accept a client certificate from it: renew the CA's certificate without extended \
         key usage"
    )]
    NotForClients,
    /// Verifiers would reject each certificate of the CA.
    #[error("{0}: renew the CA's certificate with the same key, and import that one")]
    Path(#[from] PathError),
    /// A certificate above the CA's own makes each path through it fail.
    #[error(
        "verifiers that trust certificate {number} reject each client certificate of this CA: \
         {reason}; send the CA's own certificate alone if verifiers trust that one"
    )]
    Above {
        /// Its number in the text, from 1.
        number: usize,
        /// The reason, as a clause about this certificate.
        reason: String,
    },
    /// The certificate has expired.
    #[error(
        "the certificate expired on {expired_on}: renew the CA's certificate with the same key, or \
         rotate"
    )]
    Expired {
        /// Its `notAfter`.
        expired_on: Timestamp,
    },
    /// The certificate is not valid yet.
    #[error(
        "the certificate is not valid before {valid_from}: import it then, or correct the clock of \
         the server"
    )]
    NotYetValid {
        /// Its `notBefore`.
        valid_from: Timestamp,
    },
    /// Anyone can compute the private key, or sign without it.
    #[error("the key of the CA is weak, {0}: make a new CA with a new key, and replace this one")]
    KeyWeak(Weakness),
    /// The private key is not accepted.
    #[error(transparent)]
    Key(#[from] PrivateKeyError),
    /// The private key belongs to another certificate.
    #[error(
        "the private key does not belong to the certificate: compare the outputs of openssl x509 \
         -in ca.crt -noout -pubkey and openssl pkey -in ca.key -pubout"
    )]
    KeyMismatch,
    /// The cryptographic library failed. The sender is not at fault.
    #[error("the key cannot be used: {0}")]
    Failed(#[source] KeyError),
}

/// An imported CA that can issue here. Only [`read_authority`] makes one.
#[derive(Debug)]
pub struct ImportedAuthority {
    /// Its certificate, DER.
    pub certificate_der: Vec<u8>,
    /// The common name in its certificate, or empty.
    pub common_name: String,
    /// The algorithm of its key.
    pub algorithm: KeyAlgorithm,
    /// `notBefore` of its certificate.
    pub not_before: Timestamp,
    /// `notAfter` of its certificate.
    pub not_after: Timestamp,
    /// The CA, ready to sign.
    pub issuer: Issuer,
}

/// Reads a CA certificate and its private key in PEM (see [`read_private_key`]).
///
/// The key must belong to the certificate, or to one of a chain in any order. At the instant `now`,
/// the certificate must allow all that a managed CA does: sign client certificates that verifiers
/// accept, and revocation lists.
///
/// Returns the CA and its key in PKCS #8. The octets of the key are secret.
pub fn read_authority(
    certificate: &str,
    private_key: &str,
    now: Timestamp,
) -> Result<(ImportedAuthority, Zeroizing<Vec<u8>>), ImportError> {
    // 1. The certificate, and perhaps the chain above it: PEM, structure and signatures.
    let mut certificates = read_pem(certificate)?;
    let malformed = |what| ImportError::Malformed { what };
    let mut parsed = Vec::with_capacity(certificates.len());
    for (number, der) in (1..).zip(&certificates) {
        // The same checks as for any certificate from outside.
        parsed.push(UploadedCertificate::read(number, der)?);
    }
    let order = check_chain(&parsed, now)?;

    // 2. The private key. Both must belong together and to a CA, and only its holder can cause the
    //    search for a weakness.
    let private_key = read_private_key(private_key)?;
    let pkcs8 = private_key.pkcs8().clone();
    let key = private_key.into_authority_key()?;
    let algorithm = key.algorithm();
    let index = parsed
        .iter()
        .position(|one| one.spki() == key.public_key_spki())
        .ok_or(ImportError::KeyMismatch)?;
    let own = &parsed[index];
    let name = Cursor::new(own.subject).expect(tag::SEQUENCE);
    let name = name.map_err(|_| malformed("it has no subject"))?;
    let fields = read_name(name.content).map_err(|_| malformed("its subject cannot be read"))?;
    if own.version < 3 {
        return Err(ImportError::NotAuthority(
            "it has X.509 version 1 or 2, which cannot state that it is a CA",
        ));
    }
    let issuer = Issuer::new(&certificates[index], key).map_err(|error| match error {
        IssuerError::Malformed => malformed("its content is not a certificate"),
        IssuerError::NotAuthority(reason) => ImportError::NotAuthority(reason),
        IssuerError::KeyMismatch => ImportError::KeyMismatch,
        IssuerError::Key(error) => ImportError::Failed(error),
    })?;
    own.key().refuse_weak_rsa().map_err(|error| match error {
        CsrError::KeyWeak(weakness) => ImportError::KeyWeak(weakness),
        _ => malformed("its key has an unsupported algorithm"),
    })?;

    // 3. The other rights, and the validity.
    if !own.rights.may_sign_crls {
        return Err(ImportError::NoCrlSign);
    }
    if !own.rights.may_vouch_for_clients {
        return Err(ImportError::NotForClients);
    }
    issuer.check_path()?;
    let unreadable = [own.subject, own.issuer].into_iter().find_map(|name| {
        let name = Cursor::new(name).expect(tag::SEQUENCE).ok()?;
        unreadable_for_openssl(name.content)
    });
    if let Some(attribute) = unreadable {
        let reason = format!("OpenSSL cannot read the {attribute} in its names");
        return Err(PathError::Authority(reason).into());
    }
    check_above(&certificates, &parsed, &order, index, now)?;
    let (not_before, not_after) = (own.not_before, own.not_after);
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
            certificate_der: certificates.swap_remove(index),
        },
        pkcs8,
    ))
}

/// Returns the public keys (SubjectPublicKeyInfo, DER) of the certificates in a PEM text: the one
/// of a CA, and perhaps the chain above it.
pub fn authority_keys(certificate: &str) -> Result<Vec<Vec<u8>>, ImportError> {
    let mut keys = Vec::new();
    for (number, der) in (1..).zip(&read_pem(certificate)?) {
        keys.push(UploadedCertificate::read(number, der)?.spki().to_vec());
    }
    Ok(keys)
}

/// Checks the signatures between the certificates of a chain, and its CAs. Returns their order.
fn check_chain(
    parsed: &[UploadedCertificate<'_>],
    now: Timestamp,
) -> Result<Vec<usize>, ImportError> {
    let order = chain_order(parsed)?;
    for (index, above) in order.iter().skip(1).map(|index| (index, &parsed[*index])) {
        let number = index + 1;
        above.check_authority(number)?;
        if above.not_after < now {
            let expired_on = above.not_after.to_string();
            return Err(ChainError::Expired { number, expired_on }.into());
        }
    }
    let last = order.last().map(|index| &parsed[*index]);
    match last.filter(|last| last.is_self_issued() && !last.is_signed_by(last)) {
        Some(last) => Err(match last.cannot_verify(last) {
            Some(oid) => ImportError::Chain(ChainError::SignatureAlgorithmUnsupported {
                number: 1,
                oid: oid.to_owned(),
            }),
            None => ImportError::Malformed {
                what: "its signature does not verify under its own key",
            },
        }),
        None => Ok(order),
    }
}

/// Checks the certificates above the CA with this index as verifiers do that trust them.
fn check_above(
    certificates: &[Vec<u8>],
    parsed: &[UploadedCertificate<'_>],
    order: &[usize],
    own: usize,
    now: Timestamp,
) -> Result<(), ImportError> {
    let from_own = order.iter().skip_while(|index| **index != own);
    let mut below = 0;
    for (index, before) in from_own.clone().skip(1).zip(from_own) {
        // RFC 5280 §4.2.1.9: CAs that issued themselves do not count.
        below += usize::from(!parsed[*before].is_self_issued());
        let rules = PresentedCertificate::read(&certificates[*index])
            .map_err(str::to_owned)
            .and_then(|above| above.path_rules(below));
        let fault = match rules.map(|rules| rules.check_authority()) {
            Err(reason) | Ok(Err(PathError::Authority(reason) | PathError::Name(reason))) => {
                Some(reason)
            }
            Ok(Ok(())) => None,
        };
        let valid_from = parsed[*index].not_before;
        let early = (now < valid_from).then(|| format!("it is not valid before {valid_from}"));
        if let Some(reason) = fault.or(early) {
            let number = index + 1;
            return Err(ImportError::Above { number, reason });
        }
    }
    Ok(())
}

/// Translates an error about one certificate of many.
impl From<ChainError> for ImportError {
    fn from(error: ChainError) -> Self {
        match error {
            ChainError::Malformed { what, .. } => Self::Malformed { what },
            ChainError::KeyWeak { weakness, .. } => Self::KeyWeak(weakness),
            other => Self::Chain(other),
        }
    }
}

fn read_pem(text: &str) -> Result<Vec<Vec<u8>>, ImportError> {
    if text.len() > AUTHORITY_CERTIFICATE_BYTES_MAX {
        return Err(ImportError::TooLarge { bytes: text.len() });
    }
    if holds_private_key(text) {
        return Err(ImportError::PrivateKeyInCertificate);
    }
    let malformed = |what| ImportError::Malformed { what };
    let blocks = Block::all(text).map_err(|error| match error {
        PemError::None => ImportError::NoPem,
        PemError::BeginCutOff => malformed("its BEGIN line is cut off"),
        _ => malformed("it has no line -----END CERTIFICATE-----"),
    })?;
    if blocks.len() > CHAIN_CERTIFICATES_MAX {
        let count = blocks.len();
        return Err(ImportError::Chain(ChainError::TooMany { count }));
    }
    let mut certificates = Vec::with_capacity(blocks.len());
    for (number, block) in (1..).zip(&blocks) {
        if !matches!(block.label, "CERTIFICATE" | "X509 CERTIFICATE") {
            return Err(ImportError::WrongPemLabel {
                label: block.shown_label(),
            });
        }
        let der = block.decode();
        let der = der.ok_or_else(|| malformed("the text between BEGIN and END is not Base64"))?;
        if certificates.contains(&der) {
            return Err(ImportError::Chain(ChainError::Repeated { number }));
        }
        certificates.push(der);
    }
    Ok(certificates)
}
