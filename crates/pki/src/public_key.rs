//! The policy for public keys, and the verification of signatures under them.

use std::ops::Range;

use aws_lc_rs::digest::Algorithm;
use aws_lc_rs::signature::{self, ParsedPublicKey, VerificationAlgorithm};
use certgate_model::KeyType;

use crate::csr_error::CsrError;
use crate::digest;
use crate::oid;
use crate::pss::{self, PssParameters};
use crate::tlv::{self, Cursor, NotDer, tag};
use crate::weak_key::{self, Weakness};

/// Shortest accepted RSA modulus, in bits: the minimum of NIST SP 800-131A.
pub(crate) const RSA_BITS_MIN: usize = 2048;

/// Lengths of RSA moduli that prove possession, but are not accepted, in bits.
const SHORT_RSA_BITS: Range<usize> = 512..RSA_BITS_MIN;

/// Longest accepted RSA modulus, in bits: the maximum of the cryptographic library. It limits the
/// work that one request can cause.
pub(crate) const RSA_BITS_MAX: usize = 8192;

/// Longest public exponent that the cryptographic library accepts, in bits. A long exponent makes
/// verification as slow as signing.
const RSA_EXPONENT_BITS_MAX: usize = 33;

/// The accepted kinds of public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PublicKeyKind {
    Rsa,
    P256,
    P384,
    P521,
    Ed25519,
}

impl PublicKeyKind {
    const fn name(self) -> &'static str {
        match self {
            Self::Rsa => "RSA",
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
            Self::Ed25519 => "Ed25519",
        }
    }
}

/// A public key that the policy accepts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PublicKey<'a> {
    kind: PublicKeyKind,
    /// Content of subjectPublicKey.
    bits: &'a [u8],
}

impl<'a> PublicKey<'a> {
    /// Reads the content of a SubjectPublicKeyInfo and applies the key policy, except
    /// [`PublicKey::refuse_weak_rsa`].
    pub fn read(spki: &'a [u8]) -> Result<Self, CsrError> {
        const MALFORMED: CsrError =
            CsrError::malformed("its public key is not a SubjectPublicKeyInfo");
        let mut spki = Cursor::new(spki);
        let mut algorithm = spki.inside(tag::SEQUENCE).map_err(|_| MALFORMED)?;
        let id = algorithm.oid().map_err(|_| MALFORMED)?;
        let bits = spki.bit_string().map_err(|_| MALFORMED)?;
        spki.end().map_err(|_| MALFORMED)?;
        let kind = match id {
            oid::RSA_ENCRYPTION => {
                // RFC 3279 §2.3.1: the parameters field MUST have ASN.1 type NULL. Programs leave
                // it out: see with_rsa_parameters.
                if !algorithm.is_null() && !algorithm.is_empty() {
                    return Err(CsrError::malformed(
                        "the parameters of its RSA key are not NULL",
                    ));
                }
                check_rsa(bits)?;
                PublicKeyKind::Rsa
            }
            oid::EC_PUBLIC_KEY => {
                let kind = read_curve(algorithm)?;
                check_point(kind, bits)?;
                refuse_weak(weak_key::of_point(bits))?;
                kind
            }
            oid::ED25519 => {
                // RFC 8410 §3: the parameters MUST be absent.
                if !algorithm.is_empty() {
                    return Err(CsrError::malformed("its Ed25519 key has parameters"));
                }
                if bits.len() != signature::ED25519_PUBLIC_KEY_LEN {
                    return Err(CsrError::malformed(
                        "its Ed25519 key does not have 32 bytes",
                    ));
                }
                refuse_weak(weak_key::of_ed25519(bits))?;
                PublicKeyKind::Ed25519
            }
            other => {
                return Err(CsrError::KeyUnsupported {
                    oid: oid::shown(other),
                });
            }
        };
        Ok(Self { kind, bits })
    }

    /// The subject key identifier: SHA-1 of the public key bits (RFC 5280 §4.2.1.2, method 1).
    pub fn key_identifier(&self) -> [u8; 20] {
        digest::key_identifier(self.bits)
    }

    /// The type of the key in issuance rules.
    pub fn key_type(&self) -> KeyType {
        match self.kind {
            PublicKeyKind::Rsa => {
                let bits = self.rsa_modulus().map_or(0, bit_length);
                KeyType::Rsa(Some(u32::try_from(bits).unwrap_or(u32::MAX)))
            }
            PublicKeyKind::P256 => KeyType::P256,
            PublicKeyKind::P384 => KeyType::P384,
            PublicKeyKind::P521 => KeyType::P521,
            PublicKeyKind::Ed25519 => KeyType::Ed25519,
        }
    }

    /// The kind of the key.
    pub fn kind(&self) -> PublicKeyKind {
        self.kind
    }

    /// Content of subjectPublicKey.
    pub fn bits(&self) -> &'a [u8] {
        self.bits
    }

    /// Refuses a weak RSA key. This takes as long as hundreds of verifications: see
    /// [`crate::searched`].
    pub fn refuse_weak_rsa(&self) -> Result<(), CsrError> {
        self.rsa_modulus()
            .map_or(Ok(()), |modulus| refuse_weak(weak_key::of_rsa(modulus)))
    }

    /// Returns true if [`PublicKey::refuse_weak_rsa`] would search.
    pub fn is_unsearched(&self) -> bool {
        self.rsa_modulus()
            .is_some_and(|modulus| !weak_key::is_known_strong(modulus))
    }

    fn rsa_modulus(&self) -> Option<&'a [u8]> {
        match self.kind {
            PublicKeyKind::Rsa => read_rsa(self.bits).ok().map(|(modulus, _)| modulus),
            _ => None,
        }
    }

    /// Verifies a signature of `message`. `algorithm` is the content of an AlgorithmIdentifier.
    pub fn verify(
        &self,
        algorithm: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), CsrError> {
        let invalid = |_| CsrError::KeyInvalid {
            kind: self.kind.name(),
        };
        let (id, parameters) = read_algorithm(algorithm)?;
        if id == oid::RSASSA_PSS && self.kind == PublicKeyKind::Rsa {
            let parameters = PssParameters::read(parameters)?;
            let (modulus, exponent) = read_rsa(self.bits).map_err(invalid)?;
            let verified = pss::verify(&parameters, modulus, exponent, message, signature);
            return match verified.ok_or(NotDer).map_err(invalid)? {
                true => Ok(()),
                false => Err(CsrError::SignatureInvalid),
            };
        }
        let algorithm = self.verification(id, parameters)?;
        let key = ParsedPublicKey::new(algorithm, self.bits).map_err(|_| invalid(NotDer))?;
        key.verify_sig(message, signature)
            .map_err(|_| CsrError::SignatureInvalid)
    }

    fn verification(
        &self,
        id: &[u8],
        parameters: Cursor<'_>,
    ) -> Result<&'static dyn VerificationAlgorithm, CsrError> {
        if !is_signature(id) {
            return Err(CsrError::SignatureAlgorithmUnsupported {
                oid: oid::shown(id),
            });
        }
        // RFC 4055 §5: the parameters of RSA MUST be NULL, and absent ones MUST be accepted.
        // RFC 5758 §3.2 and RFC 8410 §3: those of ECDSA and Ed25519 MUST be absent, but Mbed TLS 2
        // and programs with its code write NULL.
        if !parameters.is_empty() && !parameters.is_null() {
            return Err(CsrError::malformed(
                "its signature algorithm has parameters other than NULL",
            ));
        }
        // Another algorithm is one of another kind of key: the signer did not have this key.
        verification_of(self.kind, id).ok_or(CsrError::SignatureInvalid)
    }
}

/// Reads the content of an AlgorithmIdentifier: its object identifier, and its parameters.
fn read_algorithm(algorithm: &[u8]) -> Result<(&[u8], Cursor<'_>), CsrError> {
    let mut cursor = Cursor::new(algorithm);
    match cursor.oid() {
        Ok(id) => Ok((id, cursor)),
        Err(NotDer) => Err(CsrError::malformed(
            "its signature algorithm is not an AlgorithmIdentifier",
        )),
    }
}

fn is_signature(id: &[u8]) -> bool {
    use PublicKeyKind::{Ed25519, P256, Rsa};
    let kinds = [Rsa, P256, Ed25519].into_iter();
    id == oid::RSASSA_PSS
        || kinds
            .filter_map(|kind| verification_of(kind, id))
            .next()
            .is_some()
}

/// Selects the verification of a signature algorithm with SHA-2 under a kind of key.
fn verification_of(kind: PublicKeyKind, id: &[u8]) -> Option<&'static dyn VerificationAlgorithm> {
    Some(match (kind, id) {
        (PublicKeyKind::Rsa, oid::SHA256_WITH_RSA) => &signature::RSA_PKCS1_2048_8192_SHA256,
        (PublicKeyKind::Rsa, oid::SHA384_WITH_RSA) => &signature::RSA_PKCS1_2048_8192_SHA384,
        (PublicKeyKind::Rsa, oid::SHA512_WITH_RSA) => &signature::RSA_PKCS1_2048_8192_SHA512,
        (PublicKeyKind::P256, oid::ECDSA_WITH_SHA256) => &signature::ECDSA_P256_SHA256_ASN1,
        (PublicKeyKind::P256, oid::ECDSA_WITH_SHA384) => &signature::ECDSA_P256_SHA384_ASN1,
        (PublicKeyKind::P256, oid::ECDSA_WITH_SHA512) => &signature::ECDSA_P256_SHA512_ASN1,
        (PublicKeyKind::P384, oid::ECDSA_WITH_SHA256) => &signature::ECDSA_P384_SHA256_ASN1,
        (PublicKeyKind::P384, oid::ECDSA_WITH_SHA384) => &signature::ECDSA_P384_SHA384_ASN1,
        (PublicKeyKind::P384, oid::ECDSA_WITH_SHA512) => &signature::ECDSA_P384_SHA512_ASN1,
        (PublicKeyKind::P521, oid::ECDSA_WITH_SHA256) => &signature::ECDSA_P521_SHA256_ASN1,
        (PublicKeyKind::P521, oid::ECDSA_WITH_SHA384) => &signature::ECDSA_P521_SHA384_ASN1,
        (PublicKeyKind::P521, oid::ECDSA_WITH_SHA512) => &signature::ECDSA_P521_SHA512_ASN1,
        (PublicKeyKind::Ed25519, oid::ED25519) => &signature::ED25519,
        _ => return None,
    })
}

/// Returns the SubjectPublicKeyInfo of an RSA key with NULL parameters, if `spki` has none.
///
/// Go and webpki cannot read certificates with such a key (RFC 3279 §2.3.1).
pub(crate) fn with_rsa_parameters(spki: &[u8]) -> Option<Vec<u8>> {
    let mut content = Cursor::new(spki).inside(tag::SEQUENCE).ok()?;
    let mut algorithm = content.inside(tag::SEQUENCE).ok()?;
    let is_rsa = algorithm.oid().ok()? == oid::RSA_ENCRYPTION;
    if !is_rsa || !algorithm.is_empty() {
        return None;
    }
    let bits = content.any().ok()?;
    let mut completed = Vec::with_capacity(spki.len() + 8);
    tlv::write_with(&mut completed, tag::SEQUENCE, |out| {
        tlv::write_with(out, tag::SEQUENCE, |out| {
            tlv::write(out, tag::OID, oid::RSA_ENCRYPTION);
            tlv::write(out, tag::NULL, &[]);
        });
        out.extend_from_slice(bits.raw);
    });
    Some(completed)
}

/// Verifies the signature of a TLS handshake by an RSA key that is too short for the cryptographic
/// library: RSASSA-PSS, with a salt as long as the digest (RFC 8446 §4.2.3). `key` is an
/// RSAPublicKey. The signature proves possession, and says nothing about the strength of the key.
pub fn verifies_short_pss(
    digest: &'static Algorithm,
    key: &[u8],
    message: &[u8],
    signature: &[u8],
) -> bool {
    let Ok((modulus, exponent)) = read_rsa(key) else {
        return false;
    };
    let is_short = SHORT_RSA_BITS.contains(&bit_length(modulus));
    if !is_short || bit_length(exponent) > RSA_EXPONENT_BITS_MAX {
        return false;
    }
    let parameters = PssParameters::of_tls(digest);
    pss::verify(&parameters, modulus, exponent, message, signature) == Some(true)
}

/// Reads `RSAPublicKey ::= SEQUENCE { modulus INTEGER, publicExponent INTEGER }` (RFC 8017 §A.1.1).
fn read_rsa(bits: &[u8]) -> Result<(&[u8], &[u8]), NotDer> {
    let mut outer = Cursor::new(bits);
    let mut key = outer.inside(tag::SEQUENCE)?;
    let numbers = (key.positive_integer()?, key.positive_integer()?);
    key.end().and(outer.end()).map(|()| numbers)
}

fn refuse_weak(weakness: Option<Weakness>) -> Result<(), CsrError> {
    weakness.map_or(Ok(()), |weakness| Err(CsrError::KeyWeak(weakness)))
}

/// Checks the size of an RSA key's numbers.
fn check_rsa(bits: &[u8]) -> Result<(), CsrError> {
    let (modulus, exponent) = read_rsa(bits)
        .map_err(|_| CsrError::malformed("its RSA key is not a modulus and an exponent"))?;
    let modulus_bits = bit_length(modulus);
    if !(RSA_BITS_MIN..=RSA_BITS_MAX).contains(&modulus_bits) {
        return Err(CsrError::RsaModulusSize { bits: modulus_bits });
    }
    let odd = exponent.last().is_some_and(|last| last & 1 == 1);
    if !odd || exponent == [1] || bit_length(exponent) > RSA_EXPONENT_BITS_MAX {
        return Err(CsrError::RsaExponent);
    }
    Ok(())
}

/// Counts the bits of a magnitude without leading zero octets.
pub(crate) fn bit_length(magnitude: &[u8]) -> usize {
    magnitude.first().map_or(0, |first| {
        magnitude.len() * 8 - first.leading_zeros() as usize
    })
}

/// Reads ECParameters. RFC 5480 §2.1.1: namedCurve only; implicitCurve and specifiedCurve MUST NOT
/// be used.
fn read_curve(mut parameters: Cursor<'_>) -> Result<PublicKeyKind, CsrError> {
    const MALFORMED: CsrError = CsrError::malformed("its key does not name an elliptic curve");
    let value = parameters.any().map_err(|_| MALFORMED)?;
    parameters.end().map_err(|_| MALFORMED)?;
    match (value.tag, value.content) {
        (tag::OID, oid::P256) => Ok(PublicKeyKind::P256),
        (tag::OID, oid::P384) => Ok(PublicKeyKind::P384),
        (tag::OID, oid::P521) => Ok(PublicKeyKind::P521),
        (tag::OID, other) => Err(CsrError::CurveUnsupported {
            oid: oid::shown(other),
        }),
        (tag::SEQUENCE, _) => Err(CsrError::CurveUnsupported {
            oid: "with explicit parameters".to_owned(),
        }),
        _ => Err(MALFORMED),
    }
}

/// Checks a point. SEC 1 §2.3.3: the octet 04 and both coordinates. RFC 5480 §2.2 makes the
/// compressed form optional, and common TLS stacks do not read it.
fn check_point(kind: PublicKeyKind, bits: &[u8]) -> Result<(), CsrError> {
    let coordinate = match kind {
        PublicKeyKind::P256 => 32,
        PublicKeyKind::P384 => 48,
        _ => 66,
    };
    let is_on_curve = || {
        let id = match kind {
            PublicKeyKind::P256 => oid::ECDSA_WITH_SHA256,
            PublicKeyKind::P384 => oid::ECDSA_WITH_SHA384,
            _ => oid::ECDSA_WITH_SHA512,
        };
        verification_of(kind, id).is_some_and(|any| ParsedPublicKey::new(any, bits).is_ok())
    };
    match bits.first() {
        Some(4) if bits.len() == 1 + 2 * coordinate && is_on_curve() => Ok(()),
        Some(2 | 3) if bits.len() == 1 + coordinate => Err(CsrError::PointCompressed),
        _ => Err(CsrError::KeyInvalid { kind: kind.name() }),
    }
}
