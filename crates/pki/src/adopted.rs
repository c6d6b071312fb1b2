//! Client certificates that a CA issued elsewhere, to be recorded here.

use certgate_model::{SECONDS_PER_DAY, SerialNumber, SignatureAlgorithm, SubjectFields, Timestamp};

use crate::chain_error::ChainError;
use crate::digest::{key_identifier, sha256};
use crate::file_form::holds_private_key;
use crate::key::public_key_bits;
use crate::pem::{Block, PemError};
use crate::presented::PresentedCertificate;
use crate::subject::{read_name, refuse_controls};
use crate::tlv::{Cursor, tag};
use crate::uploaded::UploadedCertificate;

/// Longest accepted certificate, in bytes of PEM: as long as a certificate that certgate issues can
/// be, with the text around it.
pub const ADOPTED_BYTES_MAX: usize = 128 * 1024;

/// The reasons not to record a certificate. Each message names the problem and the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdoptError {
    /// The text is not one certificate in PEM.
    #[error("{0}: send one certificate in PEM")]
    NotOne(String),
    /// The text has a private key.
    #[error("the text has a private key, which certgate does not need: send the certificate alone")]
    PrivateKey,
    /// The certificate is malformed, or breaks a rule for certificates of clients.
    #[error("the certificate is malformed: {0}")]
    Malformed(String),
    /// The key or the signature has an algorithm that is not supported.
    #[error("the certificate is not supported: {0}")]
    Unsupported(String),
    /// The certificate is not one of a client.
    #[error("the certificate is not one of a client: {0}")]
    NotClient(String),
    /// No CA of the account has the name of the issuer.
    #[error(
        "no managed CA of the account has the name of the issuer, {issuer}: import that CA first"
    )]
    OtherAuthority {
        /// The name of the issuer.
        issuer: String,
    },
    /// The CA with the name of the issuer did not sign the certificate.
    #[error(
        "the signature does not verify under the key of the account's CA {issuer}: the file was \
         changed, or another CA with the same name signed it"
    )]
    Signature {
        /// The name of the issuer.
        issuer: String,
    },
}

/// A certificate of a CA. Only [`read_adopted`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdoptedCertificate {
    /// The indexes of the CAs with its issuer's name whose key verifies its signature, ascending,
    /// at least one. A CA with a renewed certificate is there more than once.
    pub authorities: Vec<usize>,
    /// The certificate, DER.
    pub der: Vec<u8>,
    /// SHA-256 of it.
    pub fingerprint_sha256: [u8; 32],
    /// Its serial number.
    pub serial: SerialNumber,
    /// Subject attributes to show.
    pub subject: SubjectFields,
    /// `notBefore`.
    pub issued_on: Timestamp,
    /// `notAfter`.
    pub expires_on: Timestamp,
    /// Days of validity, rounded up.
    pub validity_days: u32,
    /// The algorithm of its signature.
    pub signature: SignatureAlgorithm,
    /// SHA-1 of the public key bits.
    pub ski: [u8; 20],
}

/// Reads a certificate in PEM that one of these CAs (certificates in DER) signed.
///
/// It must be one that TLS servers accept from clients. It may have expired.
pub fn read_adopted(text: &str, authorities: &[Vec<u8>]) -> Result<AdoptedCertificate, AdoptError> {
    // 1. PEM.
    let der = certificate_in(text)?;

    // 2. Structure, key and algorithms.
    let read = UploadedCertificate::read(1, &der).map_err(reason)?;
    let malformed = |what: &str| AdoptError::Malformed(what.to_owned());
    let client = PresentedCertificate::read(&der).map_err(malformed)?;
    client.check_key().map_err(AdoptError::Unsupported)?;
    if read.rights.is_authority {
        return Err(AdoptError::NotClient("it is that of a CA".to_owned()));
    }
    client.check_client().map_err(AdoptError::NotClient)?;
    let name = Cursor::new(read.subject).expect(tag::SEQUENCE);
    let name = name.map_err(|_| malformed("it has no subject"))?.content;
    let unreadable = |_| malformed("its subject cannot be read, or has a control character");
    refuse_controls(name).map_err(unreadable)?;
    let subject = read_name(name).map_err(unreadable)?;
    let serial = SerialNumber::of_integer(read.serial);
    let serial = serial.ok_or_else(|| malformed("its serial number is not a number in DER"))?;
    let bits = public_key_bits(client.spki()).map_err(|_| malformed("it has no public key"))?;
    let signature = SignatureAlgorithm::from_name(read.signature_name());
    let signature = signature
        .ok_or_else(|| AdoptError::Unsupported(format!("{} signature", read.signature_name())))?;

    // 3. The signature.
    let issuer = client.issuer_text();
    let mut is_named = false;
    let mut signers = Vec::new();
    for (index, authority) in authorities.iter().enumerate() {
        let Ok(authority) = UploadedCertificate::read(1, authority) else {
            continue;
        };
        if !read.names_as_issuer(&authority) {
            continue;
        }
        is_named = true;
        if read.is_signed_by(&authority) {
            signers.push(index);
        }
    }
    match (signers.is_empty(), is_named) {
        (true, true) => return Err(AdoptError::Signature { issuer }),
        (true, false) => return Err(AdoptError::OtherAuthority { issuer }),
        (false, _) => {}
    }

    let seconds = read.not_before.until(read.not_after).seconds();
    if seconds < 0 {
        return Err(malformed("it expires before it is valid"));
    }
    let days = seconds.div_euclid(SECONDS_PER_DAY) + i64::from(seconds % SECONDS_PER_DAY > 0);
    Ok(AdoptedCertificate {
        authorities: signers,
        fingerprint_sha256: sha256(&der),
        serial,
        subject,
        issued_on: read.not_before,
        expires_on: read.not_after,
        validity_days: u32::try_from(days).unwrap_or(u32::MAX),
        signature,
        ski: key_identifier(bits),
        der,
    })
}

/// Returns the only certificate of a text, DER.
fn certificate_in(text: &str) -> Result<Vec<u8>, AdoptError> {
    let not_one = |what: &str| AdoptError::NotOne(what.to_owned());
    if text.len() > ADOPTED_BYTES_MAX {
        let (bytes, most) = (text.len(), ADOPTED_BYTES_MAX);
        let what = format!("the text has {bytes} bytes, and at most {most} are accepted");
        return Err(AdoptError::NotOne(what));
    }
    if holds_private_key(text) {
        return Err(AdoptError::PrivateKey);
    }
    let block = Block::find(text).map_err(|error| match error {
        PemError::Several => not_one("the text has several PEM blocks"),
        PemError::PrivateKey => AdoptError::PrivateKey,
        PemError::BeginCutOff => not_one("its BEGIN line is cut off"),
        PemError::NoEnd => not_one("it has no line -----END CERTIFICATE-----"),
        PemError::None => not_one("the text has no line -----BEGIN CERTIFICATE-----"),
    })?;
    if !matches!(block.label, "CERTIFICATE" | "X509 CERTIFICATE") {
        let what = format!("the PEM block is labelled \"{}\"", block.shown_label());
        return Err(AdoptError::NotOne(what));
    }
    let der = block.decode();
    der.ok_or_else(|| not_one("the text between BEGIN and END is not Base64"))
}

/// Translates an error about one certificate of a chain.
fn reason(error: ChainError) -> AdoptError {
    match error {
        ChainError::Malformed { what, .. } => AdoptError::Malformed(what.to_owned()),
        ChainError::Key { reason, .. } => AdoptError::Unsupported(format!("its key: {reason}")),
        ChainError::SignatureAlgorithmUnsupported { oid, .. } => {
            AdoptError::Unsupported(format!("the signature algorithm {oid}"))
        }
        other => AdoptError::Malformed(other.to_string()),
    }
}
