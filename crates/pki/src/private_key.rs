//! Private keys from outside: PEM in, a checked key out.

use std::fmt;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RsaKeyPair,
};
use certgate_model::KeyAlgorithm;
use zeroize::Zeroizing;

use crate::key::SigningKey;
use crate::oid;
use crate::pem::{Block, PemError};
use crate::public_key::{RSA_BITS_MAX, RSA_BITS_MIN, bit_length};
use crate::tlv::{Cursor, NotDer, tag};

/// Longest accepted private key, in bytes of PEM. An RSA-8192 key has less than 7 KiB. The rest is
/// room for text before it.
pub const PRIVATE_KEY_BYTES_MAX: usize = 16 * 1024;

/// The remedy for a key in an unsupported form.
const CONVERT: &str =
    "write it as PKCS #8 with: openssl pkcs8 -topk8 -nocrypt -in old.key -out new.key";

/// The reasons to reject a private key.
///
/// Each message names the problem and the remedy, and never repeats key material.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrivateKeyError {
    /// The text is longer than [`PRIVATE_KEY_BYTES_MAX`].
    #[error(
        "the private key has {bytes} bytes, at most {PRIVATE_KEY_BYTES_MAX} are accepted: send \
         only the key"
    )]
    TooLarge {
        /// Length of the text, in bytes.
        bytes: usize,
    },
    /// The text has no PEM block.
    #[error(
        "the private key is not PEM: it must have a line -----BEGIN PRIVATE KEY-----; convert a \
         DER file with: openssl pkey -inform DER -in old.key -out new.key"
    )]
    NoPem,
    /// The text has several private keys.
    #[error("you sent several private keys: send exactly one, that of the first certificate")]
    Several,
    /// A passphrase protects the key.
    #[error(
        "the private key is encrypted: send it decrypted, for example: openssl pkey -in old.key \
         -out new.key"
    )]
    Encrypted,
    /// The PEM block has another label, such as that of a certificate or a public key.
    #[error("the PEM block is labelled \"{label}\", not PRIVATE KEY: send only the private key")]
    WrongPemLabel {
        /// Its label, shortened and escaped.
        label: String,
    },
    /// The text or the structure is malformed.
    #[error(
        "the private key is malformed: {what}; check it with: openssl pkey -in private.key -noout \
         -check"
    )]
    Malformed {
        /// The malformed part, as the clause "its … is not …".
        what: &'static str,
    },
    /// The key is of an unsupported kind.
    #[error(
        "the private key is of the kind {kind}, which is not supported: use RSA (2048 to 8192 \
         bits), P-256, P-384, P-521 or Ed25519; if it is one of these, {CONVERT}"
    )]
    Unsupported {
        /// Its kind, as named in the key.
        kind: String,
    },
    /// The RSA modulus is too short or too long.
    #[error(
        "the RSA private key has {bits} bits, {RSA_BITS_MIN} to {RSA_BITS_MAX} are accepted: use \
         another key"
    )]
    RsaModulusSize {
        /// Length of the modulus, in bits.
        bits: usize,
    },
    /// The key is of a supported kind, but its numbers are inconsistent.
    #[error(
        "the private key is not a valid {kind} key; check it with: openssl pkey -in private.key \
         -noout -check"
    )]
    Invalid {
        /// The kind that it claims to be.
        kind: String,
    },
    /// The key is valid, but CAs of certgate cannot have keys of its kind.
    #[error(
        "a managed CA cannot have a {kind} key: use one of P-256, P-384, RSA-2048, RSA-3072, \
         RSA-4096, Ed25519"
    )]
    NotForAuthority {
        /// Its kind.
        kind: String,
    },
}

/// A private key with consistent numbers. Only [`read_private_key`] makes one.
///
/// `Debug` shows its kind only. Dropping the key wipes its octets.
#[derive(Clone)]
pub struct PrivateKey {
    kind: PrivateKeyKind,
    pkcs8: Zeroizing<Vec<u8>>,
    spki: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum PrivateKeyKind {
    P256,
    P384,
    P521,
    Rsa { bits: usize },
    Ed25519,
}

impl fmt::Display for PrivateKeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::P256 => f.write_str("P-256"),
            Self::P384 => f.write_str("P-384"),
            Self::P521 => f.write_str("P-521"),
            Self::Rsa { bits } => write!(f, "RSA-{bits}"),
            Self::Ed25519 => f.write_str("Ed25519"),
        }
    }
}

impl PrivateKey {
    /// The public key, a SubjectPublicKeyInfo in DER, for comparison with that of a certificate.
    pub fn public_key_spki(&self) -> &[u8] {
        &self.spki
    }

    /// The key in PKCS #8, independent of the form in which it was sent. The octets are secret.
    pub fn pkcs8(&self) -> &Zeroizing<Vec<u8>> {
        &self.pkcs8
    }

    /// Converts the key into that of a CA. CAs cannot have keys of some kinds.
    pub fn into_authority_key(self) -> Result<SigningKey, PrivateKeyError> {
        let not_for_authority = || PrivateKeyError::NotForAuthority {
            kind: self.kind.to_string(),
        };
        let algorithm = match self.kind {
            PrivateKeyKind::P256 => KeyAlgorithm::P256,
            PrivateKeyKind::P384 => KeyAlgorithm::P384,
            PrivateKeyKind::Rsa { bits: 2048 } => KeyAlgorithm::Rsa2048,
            PrivateKeyKind::Rsa { bits: 3072 } => KeyAlgorithm::Rsa3072,
            PrivateKeyKind::Rsa { bits: 4096 } => KeyAlgorithm::Rsa4096,
            PrivateKeyKind::Ed25519 => KeyAlgorithm::Ed25519,
            PrivateKeyKind::P521 | PrivateKeyKind::Rsa { .. } => return Err(not_for_authority()),
        };
        SigningKey::from_pkcs8(algorithm, &self.pkcs8).map_err(|_| not_for_authority())
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({})", self.kind)
    }
}

/// Reads one private key in PEM: PKCS #8 (RFC 5958), SEC 1 (RFC 5915) or PKCS #1 (RFC 8017), each
/// without a passphrase.
///
/// It accepts text before the key, and the `EC PARAMETERS` block that openssl writes before a key.
pub fn read_private_key(text: &str) -> Result<PrivateKey, PrivateKeyError> {
    read_among(text, Beside::Refused)
}

/// Reads the private key of a file that may hold certificates too.
pub fn read_private_key_of_pair(text: &str) -> Result<PrivateKey, PrivateKeyError> {
    read_among(text, Beside::Ignored)
}

/// The treatment of other blocks in the text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Beside {
    Refused,
    Ignored,
}

fn read_among(text: &str, beside: Beside) -> Result<PrivateKey, PrivateKeyError> {
    if beside == Beside::Refused && text.len() > PRIVATE_KEY_BYTES_MAX {
        return Err(PrivateKeyError::TooLarge { bytes: text.len() });
    }

    // 1. PEM.
    let malformed = |what| PrivateKeyError::Malformed { what };
    let mut blocks = Block::all(text).map_err(|error| match error {
        PemError::None => PrivateKeyError::NoPem,
        PemError::BeginCutOff => malformed("its BEGIN line is cut off"),
        _ => malformed("it has no END line"),
    })?;
    blocks.retain(|block| block.label != "EC PARAMETERS");
    if beside == Beside::Ignored {
        blocks.retain(Block::is_private_key);
        if blocks.is_empty() {
            return Err(PrivateKeyError::NoPem);
        }
    }
    let block = match blocks[..] {
        [block] => block,
        [] => {
            return Err(PrivateKeyError::WrongPemLabel {
                label: "EC PARAMETERS".to_owned(),
            });
        }
        _ => match blocks.iter().find(|block| !block.is_private_key()) {
            Some(other) => {
                return Err(PrivateKeyError::WrongPemLabel {
                    label: other.shown_label(),
                });
            }
            None => return Err(PrivateKeyError::Several),
        },
    };
    if !block.is_private_key() {
        return Err(PrivateKeyError::WrongPemLabel {
            label: block.shown_label(),
        });
    }
    if block.is_encrypted() {
        return Err(PrivateKeyError::Encrypted);
    }

    // 2. The kind that the structure states.
    let form = match block.label {
        "PRIVATE KEY" => Form::Pkcs8,
        "EC PRIVATE KEY" => Form::Sec1,
        "RSA PRIVATE KEY" => Form::Pkcs1,
        _ => {
            return Err(PrivateKeyError::Unsupported {
                kind: block.shown_label(),
            });
        }
    };
    let der = block
        .decode()
        .ok_or_else(|| malformed("the text between BEGIN and END is not Base64"))?;
    let der = Zeroizing::new(der);
    let kind = form.kind_of(&der)?;
    if let PrivateKeyKind::Rsa { bits } = kind
        && !(RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits)
    {
        return Err(PrivateKeyError::RsaModulusSize { bits });
    }

    // 3. The library checks that the numbers are consistent.
    load(form, kind, &der).ok_or_else(|| PrivateKeyError::Invalid {
        kind: kind.to_string(),
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Pkcs8,
    Sec1,
    Pkcs1,
}

impl Form {
    fn kind_of(self, der: &[u8]) -> Result<PrivateKeyKind, PrivateKeyError> {
        let malformed = |what| move |_| PrivateKeyError::Malformed { what };
        match self {
            Self::Pkcs8 => pkcs8_kind(der),
            Self::Sec1 => {
                let curve =
                    sec1_curve(der).map_err(malformed("its content is not an ECPrivateKey"))?;
                curve_kind(curve)
            }
            Self::Pkcs1 => {
                let bits =
                    rsa_bits(der).map_err(malformed("its content is not an RSAPrivateKey"))?;
                Ok(PrivateKeyKind::Rsa { bits })
            }
        }
    }
}

/// Reads the kind of a key in `OneAsymmetricKey ::= SEQUENCE { version, privateKeyAlgorithm,
/// privateKey OCTET STRING, … }` (RFC 5958 §2).
fn pkcs8_kind(der: &[u8]) -> Result<PrivateKeyKind, PrivateKeyError> {
    struct Parts<'a> {
        algorithm: &'a [u8],
        parameters: Cursor<'a>,
        key: &'a [u8],
    }
    fn read(der: &[u8]) -> Result<Parts<'_>, NotDer> {
        let mut outer = Cursor::new(der);
        let mut info = outer.inside(tag::SEQUENCE)?;
        outer.end()?;
        info.expect(tag::INTEGER)?;
        let mut parameters = info.inside(tag::SEQUENCE)?;
        let algorithm = parameters.oid()?;
        Ok(Parts {
            algorithm,
            parameters,
            key: info.expect(tag::OCTET_STRING)?.content,
        })
    }
    let malformed = |what| PrivateKeyError::Malformed { what };
    let Parts {
        algorithm,
        mut parameters,
        key,
    } = read(der).map_err(|_| malformed("its content is not PKCS #8"))?;
    match algorithm {
        oid::RSA_ENCRYPTION => {
            let bits = rsa_bits(key).map_err(|_| malformed("it does not hold an RSAPrivateKey"))?;
            Ok(PrivateKeyKind::Rsa { bits })
        }
        oid::EC_PUBLIC_KEY => curve_kind(parameters.oid().ok()),
        oid::ED25519 => Ok(PrivateKeyKind::Ed25519),
        other => Err(PrivateKeyError::Unsupported {
            kind: oid::shown(other),
        }),
    }
}

/// Reads the length in bits of the modulus in `RSAPrivateKey ::= SEQUENCE { version, modulus
/// INTEGER, … }` (RFC 8017 §A.1.2).
fn rsa_bits(der: &[u8]) -> Result<usize, NotDer> {
    let mut outer = Cursor::new(der);
    let mut key = outer.inside(tag::SEQUENCE)?;
    outer.end()?;
    key.expect(tag::INTEGER)?;
    key.positive_integer().map(bit_length)
}

/// Reads the curve in `ECPrivateKey ::= SEQUENCE { version, privateKey OCTET STRING, parameters [0]
/// OPTIONAL, … }` (RFC 5915 §3); `None` if the curve is absent or has explicit parameters.
fn sec1_curve(der: &[u8]) -> Result<Option<&[u8]>, NotDer> {
    let mut outer = Cursor::new(der);
    let mut key = outer.inside(tag::SEQUENCE)?;
    outer.end()?;
    key.expect(tag::INTEGER)?;
    key.expect(tag::OCTET_STRING)?;
    let parameters = key.optional(tag::CONTEXT_0_CONSTRUCTED)?;
    Ok(parameters.and_then(|parameters| Cursor::new(parameters.content).oid().ok()))
}

fn curve_kind(curve: Option<&[u8]>) -> Result<PrivateKeyKind, PrivateKeyError> {
    match curve {
        Some(oid::P256) => Ok(PrivateKeyKind::P256),
        Some(oid::P384) => Ok(PrivateKeyKind::P384),
        Some(oid::P521) => Ok(PrivateKeyKind::P521),
        Some(other) => Err(PrivateKeyError::Unsupported {
            kind: format!("elliptic curve {}", oid::shown(other)),
        }),
        None => Err(PrivateKeyError::Unsupported {
            kind: "elliptic curve that is not named by its identifier".to_owned(),
        }),
    }
}

/// Loads the key; `None` if its numbers are inconsistent.
fn load(form: Form, kind: PrivateKeyKind, der: &[u8]) -> Option<PrivateKey> {
    let ecdsa = |curve: &'static EcdsaSigningAlgorithm| {
        let pair = match form {
            Form::Pkcs8 => EcdsaKeyPair::from_pkcs8(curve, der),
            _ => EcdsaKeyPair::from_private_key_der(curve, der),
        };
        let pair = pair.ok()?;
        let pkcs8 = pair.to_pkcs8v1().ok()?;
        Some((
            Zeroizing::new(pkcs8.as_ref().to_vec()),
            pair.public_key().as_der().ok()?.as_ref().to_vec(),
        ))
    };
    let (pkcs8, spki) = match kind {
        PrivateKeyKind::P256 => ecdsa(&signature::ECDSA_P256_SHA256_ASN1_SIGNING)?,
        PrivateKeyKind::P384 => ecdsa(&signature::ECDSA_P384_SHA384_ASN1_SIGNING)?,
        PrivateKeyKind::P521 => ecdsa(&signature::ECDSA_P521_SHA512_ASN1_SIGNING)?,
        PrivateKeyKind::Rsa { .. } => {
            let pair = match form {
                Form::Pkcs8 => RsaKeyPair::from_pkcs8(der),
                _ => RsaKeyPair::from_der(der),
            };
            let pair = pair.ok()?;
            let pkcs8 = pair.as_der().ok()?;
            (
                Zeroizing::new(pkcs8.as_ref().to_vec()),
                pair.public_key().as_der().ok()?.as_ref().to_vec(),
            )
        }
        PrivateKeyKind::Ed25519 => {
            let pair = Ed25519KeyPair::from_pkcs8(der).ok()?;
            let pkcs8 = pair.to_pkcs8v1().ok()?;
            (
                Zeroizing::new(pkcs8.as_ref().to_vec()),
                pair.public_key().as_der().ok()?.as_ref().to_vec(),
            )
        }
    };
    Some(PrivateKey { kind, pkcs8, spki })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pem_lines;

    #[test]
    fn keys_of_a_ca_read_back() {
        for algorithm in [
            KeyAlgorithm::P256,
            KeyAlgorithm::P384,
            KeyAlgorithm::Rsa2048,
            KeyAlgorithm::Ed25519,
        ] {
            let key = SigningKey::generate(algorithm).unwrap();
            let text = pem_lines("PRIVATE KEY", &key.to_pkcs8().unwrap());
            let read = read_private_key(&format!("Bag attributes\n{text}\n")).unwrap();
            assert_eq!(format!("{read:?}"), format!("PrivateKey({algorithm})"));
            assert_eq!(read.public_key_spki(), key.public_key_spki());
            assert_eq!(read.pkcs8().as_slice(), key.to_pkcs8().unwrap().as_slice());
            let again = read.into_authority_key().unwrap();
            assert_eq!(
                (again.algorithm(), again.public_key_spki()),
                (algorithm, key.public_key_spki())
            );
        }
    }

    #[test]
    fn a_pair_has_one_key_beside_its_certificates() {
        let key = SigningKey::generate(KeyAlgorithm::P256).unwrap();
        let text = pem_lines("PRIVATE KEY", &key.to_pkcs8().unwrap());
        let certificate = pem_lines("CERTIFICATE", &[0x30, 0]);
        let parameters = pem_lines("EC PARAMETERS", &[6, 0]);
        for pair in [
            format!("{text}\n{certificate}"),
            format!("{certificate}\n{parameters}\n{text}\n{certificate}"),
        ] {
            let read = read_private_key_of_pair(&pair).unwrap();
            assert_eq!(read.public_key_spki(), key.public_key_spki());
            assert!(read_private_key(&pair).is_err(), "a key is sent alone");
        }
        for (text, error) in [
            (certificate, PrivateKeyError::NoPem),
            (format!("{text}\n{text}"), PrivateKeyError::Several),
        ] {
            assert_eq!(read_private_key_of_pair(&text).unwrap_err(), error);
        }
    }

    #[test]
    fn text_around_a_key_is_ignored() {
        let key = SigningKey::generate(KeyAlgorithm::P256).unwrap();
        let text = pem_lines("PRIVATE KEY", &key.to_pkcs8().unwrap());
        for around in ["and so on", "\u{1a}", "\0", "# comment\n"] {
            assert!(read_private_key(&format!("{around}\n{text}\n{around}")).is_ok());
        }
    }

    #[test]
    fn read_private_key_names_each_defect() {
        let key = SigningKey::generate(KeyAlgorithm::P256).unwrap();
        let text = pem_lines("PRIVATE KEY", &key.to_pkcs8().unwrap());
        let public = pem_lines("PUBLIC KEY", key.public_key_spki());
        let label = |label: &str| PrivateKeyError::WrongPemLabel {
            label: label.to_owned(),
        };
        for (text, error) in [
            ("MIG...".to_owned(), PrivateKeyError::NoPem),
            (public.clone(), label("PUBLIC KEY")),
            (format!("{text}\n{public}"), label("PUBLIC KEY")),
            (pem_lines("CERTIFICATE", &[0x30, 0]), label("CERTIFICATE")),
            (
                pem_lines("EC PARAMETERS", &[0x30, 0]),
                label("EC PARAMETERS"),
            ),
            (format!("{text}\n{text}"), PrivateKeyError::Several),
            (
                pem_lines("ENCRYPTED PRIVATE KEY", &[0x30, 0]),
                PrivateKeyError::Encrypted,
            ),
            (
                text.replace("KEY-----\nM", "KEY-----\nProc-Type: 4,ENCRYPTED\n\nM"),
                PrivateKeyError::Encrypted,
            ),
            (
                pem_lines("OPENSSH PRIVATE KEY", &[0x30, 0]),
                PrivateKeyError::Unsupported {
                    kind: "OPENSSH PRIVATE KEY".to_owned(),
                },
            ),
            (
                text.replace("-----END PRIVATE KEY-----", ""),
                PrivateKeyError::Malformed {
                    what: "it has no END line",
                },
            ),
            (
                pem_lines("PRIVATE KEY", &[0x30, 0]),
                PrivateKeyError::Malformed {
                    what: "its content is not PKCS #8",
                },
            ),
            (
                " ".repeat(PRIVATE_KEY_BYTES_MAX + 1),
                PrivateKeyError::TooLarge {
                    bytes: PRIVATE_KEY_BYTES_MAX + 1,
                },
            ),
        ] {
            assert_eq!(
                read_private_key(&text).map(|_| ()),
                Err(error.clone()),
                "{text}"
            );
            let message = error.to_string();
            assert!(message.len() < 500 && !message.contains("MIG"), "{message}");
        }
    }
}
