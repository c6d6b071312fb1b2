//! The issuing of client certificates: prepare, lint, sign, read back.

use std::fmt;

use aws_lc_rs::signature::ParsedPublicKey;
use certgate_model::{SerialNumber, SignatureAlgorithm, Timestamp};

use crate::certificate::{SignedParts, TbsParts};
use crate::csr::CheckedCsr;
use crate::digest::sha256;
use crate::key::{KeyError, SigningKey};
use crate::lint::{LintError, check_request, lint};
use crate::path::{PathError, PathRules};
use crate::profile::{IssuerParts, Profile, Validity, write_tbs};
use crate::public_key::with_rsa_parameters;
use crate::rights::AuthorityRights;
use crate::signing::{SignError, sign_tbs};
use crate::subject::ComparableName;
use crate::tlv::tag;

/// The reasons to reject a CA's certificate and key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IssuerError {
    /// The certificate is not an X.509 certificate of version 3 in DER.
    #[error("the CA's certificate is not an X.509 certificate of version 3 in DER")]
    Malformed,
    /// The certificate does not let its key sign others.
    #[error("the CA's certificate is not a CA certificate: {0}")]
    NotAuthority(&'static str),
    /// The private key belongs to another certificate.
    #[error("the CA's private key does not belong to its certificate")]
    KeyMismatch,
    /// The key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// A CA that is ready to issue. Its certificate was read and checked once, and the parts that all
/// its certificates have in common are encoded.
pub struct Issuer {
    key: SigningKey,
    verifier: ParsedPublicKey,
    valid_from: Timestamp,
    expires_on: Timestamp,
    name: ComparableName,
    rules: PathRules,
    pub(crate) parts: IssuerParts,
}

impl Issuer {
    /// Reads and checks the CA's certificate (DER). Rejects a key that does not belong to it.
    pub fn new(certificate_der: &[u8], key: SigningKey) -> Result<Self, IssuerError> {
        let signed = SignedParts::read(certificate_der).map_err(|_| IssuerError::Malformed)?;
        let tbs = TbsParts::read(signed.tbs).map_err(|_| IssuerError::Malformed)?;
        let rights = AuthorityRights::read(tbs.extensions).map_err(|_| IssuerError::Malformed)?;
        if let Some(reason) = rights.lacks_as_authority(tbs.subject == [tag::SEQUENCE, 0]) {
            return Err(IssuerError::NotAuthority(reason));
        }
        let completed = with_rsa_parameters(tbs.spki);
        if completed.as_deref().unwrap_or(tbs.spki) != key.public_key_spki() {
            return Err(IssuerError::KeyMismatch);
        }
        let key_identifier = match rights.key_identifier {
            Some(identifier) => identifier.to_vec(),
            None => key.key_identifier()?.to_vec(),
        };
        let parts = IssuerParts::new(
            key.algorithm().signature(),
            tbs.subject.to_vec(),
            key_identifier,
        );
        Ok(Self {
            verifier: key.verifier()?,
            valid_from: tbs.not_before,
            expires_on: tbs.not_after,
            name: ComparableName::read(tbs.subject).map_err(|_| IssuerError::Malformed)?,
            rules: PathRules::read(tbs.extensions, tbs.serial, tbs.issuer == tbs.subject),
            key,
            parts,
        })
    }

    /// `notBefore` of the CA's certificate.
    pub fn valid_from(&self) -> Timestamp {
        self.valid_from
    }

    /// Returns true if verifiers accept signatures of this CA at that time. A CA signs only then.
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        self.valid_from <= now && now < self.expires_on
    }

    /// `notAfter` of the CA's certificate. No certificate of this CA may expire later.
    pub fn expires_on(&self) -> Timestamp {
        self.expires_on
    }

    /// Returns true if the subject of a request is the name of this CA. Verifiers would take its
    /// certificate for the CA's own.
    pub fn has_name_of(&self, csr: &CheckedCsr) -> bool {
        ComparableName::read(csr.subject_der()).is_ok_and(|name| name == self.name)
    }

    /// Checks that verifiers can accept certificates of this CA.
    pub fn check_path(&self) -> Result<(), PathError> {
        self.rules.check_authority()
    }

    /// The algorithm of the CA's signatures.
    pub fn signature(&self) -> SignatureAlgorithm {
        self.key.algorithm().signature()
    }

    pub(crate) fn key(&self) -> &SigningKey {
        &self.key
    }

    /// The public half of [`Issuer::key`].
    pub(crate) fn verifier(&self) -> &ParsedPublicKey {
        &self.verifier
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer")
            .field("key", &self.key)
            .field("expires_on", &self.expires_on)
            .finish_non_exhaustive()
    }
}

/// A certificate that is complete except for its signature and passed the lint. Only [`prepare`]
/// makes one.
#[must_use = "nothing is issued before sign"]
pub struct Prepared<'a> {
    issuer: &'a Issuer,
    tbs: Vec<u8>,
    ski: [u8; 20],
}

/// Shows the issuer only. A log must not hold the subject.
impl fmt::Debug for Prepared<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared")
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}

/// Validates the path of the certificate as a verifier would, builds it, then lints it.
///
/// An empty subject is copied like any other. RFC 5280 §4.1.2.6 requires a critical subjectAltName
/// for it, but the API accepts such a request even if no rule permits it a name to put there.
/// Strict verifiers report this one known violation.
pub fn prepare<'a>(
    issuer: &'a Issuer,
    csr: &CheckedCsr,
    serial: SerialNumber,
    validity: Validity,
    profile: &Profile,
) -> Result<Prepared<'a>, LintError> {
    check_request(
        issuer.valid_from,
        issuer.expires_on,
        serial,
        validity,
        profile,
    )?;
    let names = &profile.alternative_names;
    issuer.rules.check_names(csr.subject_der(), names)?;
    let ski = csr.ski();
    let tbs = write_tbs(&issuer.parts, csr, serial, validity, profile);
    lint(&tbs, &issuer.parts, csr, serial, validity, profile)?;
    Ok(Prepared { issuer, tbs, ski })
}

/// A signed certificate. It may leave the process after its record is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCertificate {
    /// The certificate, DER.
    pub der: Vec<u8>,
    /// SHA-256 of `der`.
    pub fingerprint_sha256: [u8; 32],
    /// Its subject key identifier: SHA-1 of the public key bits (RFC 5280 §4.2.1.2, method 1).
    pub ski: [u8; 20],
    /// The algorithm of its signature.
    pub signature: SignatureAlgorithm,
}

/// Signs a prepared certificate. No other function signs client certificates.
///
/// It reads its own output back. The output must equal the preparation and verify under the CA's
/// key; otherwise the error is [`SignError::Reread`].
pub fn sign(prepared: Prepared<'_>) -> Result<SignedCertificate, SignError> {
    let Prepared { issuer, tbs, ski } = prepared;
    let der = sign_tbs(&tbs, &issuer.parts.algorithm, &issuer.key, &issuer.verifier)?;
    let fingerprint_sha256 = sha256(&der);
    Ok(SignedCertificate {
        der,
        fingerprint_sha256,
        ski,
        signature: issuer.signature(),
    })
}
