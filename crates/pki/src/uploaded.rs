//! One certificate from outside: its parts, and its rights as a CA.

use aws_lc_rs::signature::{self, ParsedPublicKey, VerificationAlgorithm};
use certgate_model::Timestamp;

use crate::certificate::{SignedParts, TbsParts};
use crate::chain_error::ChainError;
use crate::csr_error::CsrError;
use crate::oid;
use crate::public_key::{PublicKey, PublicKeyKind as Kind, with_rsa_parameters};
use crate::rights::AuthorityRights;
use crate::tlv::{self, Cursor, tag};

/// Longest serial number, in octets of its encoding: 20 (RFC 5280 §4.1.2.2), and one for CAs that
/// prefix 20 random octets with a zero.
const SERIAL_OCTETS_MAX: usize = 21;

/// A certificate that a client uploaded, in a chain or as a CA to import.
pub(crate) struct UploadedCertificate<'a> {
    signed: SignedParts<'a>,
    /// Content of the serial number, which is not negative.
    pub serial: &'a [u8],
    /// The X.509 version, counted from 1.
    pub version: u8,
    /// The issuer's Name.
    pub issuer: &'a [u8],
    /// The subject's Name.
    pub subject: &'a [u8],
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    /// SubjectPublicKeyInfo.
    spki: &'a [u8],
    key: PublicKey<'a>,
    signature: Signature,
    pub rights: AuthorityRights<'a>,
}

impl<'a> UploadedCertificate<'a> {
    /// Reads certificate `number` of a chain, counted from 1, and applies the key policy, except
    /// the search for a weak RSA key.
    pub fn read(number: usize, der: &'a [u8]) -> Result<Self, ChainError> {
        let malformed = |what| ChainError::Malformed { number, what };
        let mut outer = Cursor::new(der);
        if outer.expect_any_length(tag::SEQUENCE).is_ok() && !outer.is_empty() {
            return Err(malformed(
                "bytes follow the certificate inside its PEM block",
            ));
        }
        tlv::find_fault(der).map_err(malformed)?;
        let signed =
            SignedParts::read(der).map_err(|_| malformed("its content is not a certificate"))?;
        let tbs = TbsParts::read(signed.tbs).map_err(malformed)?;
        // RFC 5280 §4.1.1.2: this field MUST contain the same algorithm identifier as the
        // signature field.
        if tbs.algorithm != signed.algorithm {
            return Err(malformed("it names two different signature algorithms"));
        }
        if tbs.serial.first().is_none_or(|first| first & 0x80 != 0) {
            return Err(malformed("its serial number is negative"));
        }
        if tbs.serial.len() > SERIAL_OCTETS_MAX {
            return Err(malformed("its serial number has more than 20 octets"));
        }
        let signature = Signature::read(number, signed.algorithm)?;
        if !has_usual_parameters(signed.algorithm) {
            return Err(malformed(
                "its signature algorithm has parameters other than NULL",
            ));
        }
        let spki = Cursor::new(tbs.spki)
            .expect(tag::SEQUENCE)
            .map_err(|_| malformed("it has no public key"))?;
        let key = PublicKey::read(spki.content).map_err(|error| key_error(number, &error))?;
        let rights = AuthorityRights::read(tbs.extensions)
            .map_err(|_| malformed("one of its extensions is not well-formed"))?;
        Ok(Self {
            signed,
            version: tbs.version,
            serial: tbs.serial,
            issuer: tbs.issuer,
            subject: tbs.subject,
            not_before: tbs.not_before,
            not_after: tbs.not_after,
            spki: tbs.spki,
            key,
            signature,
            rights,
        })
    }

    /// The key, which is perhaps a weak RSA key.
    pub fn key(&self) -> &PublicKey<'a> {
        &self.key
    }

    /// Checks that certificate `number` of a chain may sign others.
    pub fn check_authority(&self, number: usize) -> Result<(), ChainError> {
        let version = self.version;
        match self.lacks_as_authority() {
            _ if version < 3 => Err(ChainError::Version { number, version }),
            Some(reason) => Err(ChainError::NotAuthority { number, reason }),
            None => Ok(()),
        }
    }

    /// Names the first property that a CA must have and this certificate lacks.
    pub fn lacks_as_authority(&self) -> Option<&'static str> {
        self.rights
            .lacks_as_authority(self.subject == [tag::SEQUENCE, 0])
    }

    /// The SubjectPublicKeyInfo, in which an RSA key has parameters.
    pub fn spki(&self) -> Vec<u8> {
        with_rsa_parameters(self.spki).unwrap_or_else(|| self.spki.to_vec())
    }

    /// Returns true if the certificate names itself as its issuer.
    pub fn is_self_issued(&self) -> bool {
        self.issuer == self.subject
    }

    /// Returns true if the certificate names `issuer` as its issuer.
    pub fn names_as_issuer(&self, issuer: &Self) -> bool {
        self.issuer == issuer.subject
    }

    /// Names the signature algorithm if the cryptographic library cannot verify it under keys like
    /// that of `issuer`, although such keys make such signatures.
    pub fn cannot_verify(&self, issuer: &Self) -> Option<&'static str> {
        match (issuer.key.kind(), self.signature) {
            (Kind::P384, Signature::Ecdsa(Digest::Sha1)) => {
                Some("ecdsa-with-SHA1 under a P-384 key")
            }
            _ => None,
        }
    }

    /// Returns true if the signature verifies under the key of `issuer`.
    pub fn is_signed_by(&self, issuer: &Self) -> bool {
        let Some(algorithm) = self.signature.verification(issuer.key.kind()) else {
            return false;
        };
        ParsedPublicKey::new(algorithm, issuer.key.bits())
            .and_then(|key| Ok(key.verify_sig(self.signed.tbs, self.signed.signature)?))
            .is_ok()
    }

    /// The signature algorithm, by its name in the API.
    pub fn signature_name(&self) -> &'static str {
        self.signature.name()
    }
}

/// Returns the end of a certificate's validity; `None` if it is not a certificate.
pub fn expires_on(der: &[u8]) -> Option<Timestamp> {
    let signed = SignedParts::read(der).ok()?;
    Some(TbsParts::read(signed.tbs).ok()?.not_after)
}

/// A stored certificate, read without the policy for new ones: a policy that has become stricter
/// does not make a stored certificate corrupt.
pub(crate) struct StoredCertificate<'a> {
    signed: SignedParts<'a>,
    tbs: TbsParts<'a>,
    signature: Signature,
}

impl<'a> StoredCertificate<'a> {
    /// Reads the parts that a record shows.
    pub fn read(der: &'a [u8]) -> Option<Self> {
        let signed = SignedParts::read(der).ok()?;
        Some(Self {
            tbs: TbsParts::read(signed.tbs).ok()?,
            signature: Signature::read(1, signed.algorithm).ok()?,
            signed,
        })
    }

    /// The issuer's Name.
    pub fn issuer(&self) -> &'a [u8] {
        self.tbs.issuer
    }

    /// The subject's Name.
    pub fn subject(&self) -> &'a [u8] {
        self.tbs.subject
    }

    /// Content of the serial number.
    pub fn serial(&self) -> &'a [u8] {
        self.tbs.serial
    }

    pub fn not_after(&self) -> Timestamp {
        self.tbs.not_after
    }

    /// The signature algorithm, by its name in the API.
    pub fn signature_name(&self) -> &'static str {
        self.signature.name()
    }

    /// Returns true if the certificate names another issuer, or the key of this kind has signed it.
    pub fn is_intact(&self, kind: Kind, key: &[u8]) -> bool {
        if self.tbs.issuer != self.tbs.subject {
            return true;
        }
        let algorithm = self.signature.verification(kind);
        algorithm
            .and_then(|algorithm| ParsedPublicKey::new(algorithm, key).ok())
            .is_some_and(|key| {
                let (tbs, signature) = (self.signed.tbs, self.signed.signature);
                key.verify_sig(tbs, signature).is_ok()
            })
    }
}

/// Translates an error about a key. The advice in a [`CsrError`] is about requests.
pub(crate) fn key_error(number: usize, error: &CsrError) -> ChainError {
    let reason = match error {
        CsrError::KeyWeak(weakness) => {
            let weakness = *weakness;
            return ChainError::KeyWeak { number, weakness };
        }
        CsrError::KeyUnsupported { oid } => {
            format!("{oid} is not supported; RSA, P-256, P-384, P-521 and Ed25519 are")
        }
        CsrError::RsaModulusSize { bits } => {
            format!("the RSA modulus has {bits} bits, 2048 to 8192 are accepted")
        }
        CsrError::RsaExponent => {
            "the RSA exponent is not an odd number from 3 to 33 bits long".to_owned()
        }
        CsrError::CurveUnsupported { oid } => {
            format!("the elliptic curve {oid} is not supported; P-256, P-384 and P-521 are")
        }
        CsrError::PointCompressed => "it is a compressed point; write it uncompressed".to_owned(),
        CsrError::KeyInvalid { kind } => format!("it is not a valid {kind} key"),
        _ => "it is malformed".to_owned(),
    };
    ChainError::Key { number, reason }
}

/// Returns true if the parameters of an AlgorithmIdentifier are absent or NULL: see
/// [`PublicKey::verify`].
fn has_usual_parameters(algorithm: &[u8]) -> bool {
    let content = Cursor::new(algorithm).inside(tag::SEQUENCE);
    content
        .is_ok_and(|mut content| content.oid().is_ok() && (content.is_empty() || content.is_null()))
}

/// A signature algorithm. SHA-1 is accepted because CAs from ten years ago are still in use. Trust
/// in an uploaded CA comes from the upload, not from the signature of its certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signature {
    Rsa(Digest),
    Ecdsa(Digest),
    Ed25519,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Digest {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl Signature {
    /// Reads an AlgorithmIdentifier.
    fn read(number: usize, algorithm: &[u8]) -> Result<Self, ChainError> {
        let malformed = || ChainError::Malformed {
            number,
            what: "its signature algorithm is not an AlgorithmIdentifier",
        };
        let mut cursor = Cursor::new(algorithm)
            .inside(tag::SEQUENCE)
            .map_err(|_| malformed())?;
        let id = cursor.oid().map_err(|_| malformed())?;
        let read = match id {
            oid::SHA1_WITH_RSA => Self::Rsa(Digest::Sha1),
            oid::SHA256_WITH_RSA => Self::Rsa(Digest::Sha256),
            oid::SHA384_WITH_RSA => Self::Rsa(Digest::Sha384),
            oid::SHA512_WITH_RSA => Self::Rsa(Digest::Sha512),
            oid::ECDSA_WITH_SHA1 => Self::Ecdsa(Digest::Sha1),
            oid::ECDSA_WITH_SHA256 => Self::Ecdsa(Digest::Sha256),
            oid::ECDSA_WITH_SHA384 => Self::Ecdsa(Digest::Sha384),
            oid::ECDSA_WITH_SHA512 => Self::Ecdsa(Digest::Sha512),
            oid::ED25519 => Self::Ed25519,
            other => {
                return Err(ChainError::SignatureAlgorithmUnsupported {
                    number,
                    oid: oid::shown(other),
                });
            }
        };
        Ok(read)
    }

    /// The name in the API.
    const fn name(self) -> &'static str {
        match self {
            Self::Rsa(Digest::Sha1) => "SHA1WithRSA",
            Self::Rsa(Digest::Sha256) => "SHA256WithRSA",
            Self::Rsa(Digest::Sha384) => "SHA384WithRSA",
            Self::Rsa(Digest::Sha512) => "SHA512WithRSA",
            Self::Ecdsa(Digest::Sha1) => "ECDSAWithSHA1",
            Self::Ecdsa(Digest::Sha256) => "ECDSAWithSHA256",
            Self::Ecdsa(Digest::Sha384) => "ECDSAWithSHA384",
            Self::Ecdsa(Digest::Sha512) => "ECDSAWithSHA512",
            Self::Ed25519 => "PureEd25519",
        }
    }

    /// Selects the verification under a kind of key, `None` if keys of this kind do not make such
    /// signatures. The library has no SHA-1 for P-384.
    fn verification(self, kind: Kind) -> Option<&'static dyn VerificationAlgorithm> {
        Some(match (kind, self) {
            (Kind::Rsa, Self::Rsa(Digest::Sha1)) => {
                &signature::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY
            }
            (Kind::Rsa, Self::Rsa(Digest::Sha256)) => &signature::RSA_PKCS1_2048_8192_SHA256,
            (Kind::Rsa, Self::Rsa(Digest::Sha384)) => &signature::RSA_PKCS1_2048_8192_SHA384,
            (Kind::Rsa, Self::Rsa(Digest::Sha512)) => &signature::RSA_PKCS1_2048_8192_SHA512,
            (Kind::P256, Self::Ecdsa(Digest::Sha1)) => &signature::ECDSA_P256_SHA1_ASN1,
            (Kind::P256, Self::Ecdsa(Digest::Sha256)) => &signature::ECDSA_P256_SHA256_ASN1,
            (Kind::P256, Self::Ecdsa(Digest::Sha384)) => &signature::ECDSA_P256_SHA384_ASN1,
            (Kind::P256, Self::Ecdsa(Digest::Sha512)) => &signature::ECDSA_P256_SHA512_ASN1,
            (Kind::P384, Self::Ecdsa(Digest::Sha256)) => &signature::ECDSA_P384_SHA256_ASN1,
            (Kind::P384, Self::Ecdsa(Digest::Sha384)) => &signature::ECDSA_P384_SHA384_ASN1,
            (Kind::P384, Self::Ecdsa(Digest::Sha512)) => &signature::ECDSA_P384_SHA512_ASN1,
            (Kind::P521, Self::Ecdsa(Digest::Sha1)) => &signature::ECDSA_P521_SHA1_ASN1,
            (Kind::P521, Self::Ecdsa(Digest::Sha256)) => &signature::ECDSA_P521_SHA256_ASN1,
            (Kind::P521, Self::Ecdsa(Digest::Sha384)) => &signature::ECDSA_P521_SHA384_ASN1,
            (Kind::P521, Self::Ecdsa(Digest::Sha512)) => &signature::ECDSA_P521_SHA512_ASN1,
            (Kind::Ed25519, Self::Ed25519) => &signature::ED25519,
            _ => return None,
        })
    }
}
