use std::fmt;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, ParsedPublicKey,
    RsaKeyPair, VerificationAlgorithm,
};
use certgate_model::{KeyAlgorithm, SignatureAlgorithm};
use zeroize::Zeroizing;

use crate::digest::key_identifier;
use crate::oid;
use crate::tlv::{self, Cursor, NotDer, tag};

/// The failures of operations with a private key. No message contains key material.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The octets are not a PKCS #8 key of the expected algorithm.
    #[error("the stored private key is not a PKCS #8 key for {0}")]
    Rejected(KeyAlgorithm),
    /// The cryptographic library failed for lack of memory or randomness.
    #[error("the cryptographic library failed to {0}")]
    Failed(&'static str),
}

/// A private key that signs: that of a CA, or that of a client on its own machine.
///
/// `Debug` shows the algorithm only. Dropping the key wipes its octets.
pub struct SigningKey {
    algorithm: KeyAlgorithm,
    pair: Pair,
    spki: Vec<u8>,
}

enum Pair {
    Ecdsa(EcdsaKeyPair),
    Rsa(RsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl SigningKey {
    /// Generates a new key.
    pub fn generate(algorithm: KeyAlgorithm) -> Result<Self, KeyError> {
        let failed = |_| KeyError::Failed("generate a key");
        let rsa = |size| RsaKeyPair::generate(size).map(Pair::Rsa).map_err(failed);
        let ecdsa = |curve| {
            EcdsaKeyPair::generate(curve)
                .map(Pair::Ecdsa)
                .map_err(failed)
        };
        let pair = match algorithm {
            KeyAlgorithm::P256 => ecdsa(P256)?,
            KeyAlgorithm::P384 => ecdsa(P384)?,
            KeyAlgorithm::Rsa2048 => rsa(KeySize::Rsa2048)?,
            KeyAlgorithm::Rsa3072 => rsa(KeySize::Rsa3072)?,
            KeyAlgorithm::Rsa4096 => rsa(KeySize::Rsa4096)?,
            KeyAlgorithm::Ed25519 => Pair::Ed25519(Ed25519KeyPair::generate().map_err(failed)?),
        };
        Self::new(algorithm, pair)
    }

    /// Reads a key from PKCS #8 (RFC 5958), as [`SigningKey::to_pkcs8`] wrote it. Rejects a key of
    /// another algorithm.
    pub fn from_pkcs8(algorithm: KeyAlgorithm, der: &[u8]) -> Result<Self, KeyError> {
        let rejected = |_| KeyError::Rejected(algorithm);
        let rsa = |bits: usize| match RsaKeyPair::from_pkcs8(der) {
            Ok(pair) if pair.public_modulus_len() * 8 == bits => Ok(Pair::Rsa(pair)),
            _ => Err(KeyError::Rejected(algorithm)),
        };
        let ecdsa = |curve| {
            EcdsaKeyPair::from_pkcs8(curve, der)
                .map(Pair::Ecdsa)
                .map_err(rejected)
        };
        let pair = match algorithm {
            KeyAlgorithm::P256 => ecdsa(P256)?,
            KeyAlgorithm::P384 => ecdsa(P384)?,
            KeyAlgorithm::Rsa2048 => rsa(2048)?,
            KeyAlgorithm::Rsa3072 => rsa(3072)?,
            KeyAlgorithm::Rsa4096 => rsa(4096)?,
            KeyAlgorithm::Ed25519 => {
                Pair::Ed25519(Ed25519KeyPair::from_pkcs8(der).map_err(rejected)?)
            }
        };
        Self::new(algorithm, pair)
    }

    fn new(algorithm: KeyAlgorithm, pair: Pair) -> Result<Self, KeyError> {
        let spki = match &pair {
            Pair::Ecdsa(pair) => pair.public_key().as_der(),
            Pair::Rsa(pair) => pair.public_key().as_der(),
            Pair::Ed25519(pair) => pair.public_key().as_der(),
        };
        let spki = spki.map_err(|_| KeyError::Failed("write a public key"))?;
        Ok(Self {
            algorithm,
            pair,
            spki: spki.as_ref().to_vec(),
        })
    }

    /// Writes the key in PKCS #8 version 1, which every reader supports. The octets are secret.
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let failed = |_| KeyError::Failed("write a private key");
        Ok(Zeroizing::new(match &self.pair {
            Pair::Ecdsa(pair) => pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec(),
            Pair::Rsa(pair) => pair.as_der().map_err(failed)?.as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec(),
        }))
    }

    /// The algorithm of the key.
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// The public key: a SubjectPublicKeyInfo in DER.
    pub fn public_key_spki(&self) -> &[u8] {
        &self.spki
    }

    /// Signs a message. The caller must verify the signature.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let failed = |_| KeyError::Failed("sign");
        match &self.pair {
            Pair::Ecdsa(pair) => pair
                .sign(&SystemRandom::new(), message)
                .map(|signed| signed.as_ref().to_vec())
                .map_err(failed),
            Pair::Rsa(pair) => {
                let mut out = vec![0; pair.public_modulus_len()];
                pair.sign(
                    &signature::RSA_PKCS1_SHA256,
                    &SystemRandom::new(),
                    message,
                    &mut out,
                )
                .map_err(failed)?;
                Ok(out)
            }
            Pair::Ed25519(pair) => pair
                .try_sign(message)
                .map(|signed| signed.as_ref().to_vec())
                .map_err(failed),
        }
    }

    /// The public half, ready to verify the signatures of [`SigningKey::sign`].
    pub(crate) fn verifier(&self) -> Result<ParsedPublicKey, KeyError> {
        let bits = self.public_bits()?;
        ParsedPublicKey::new(verification(self.algorithm), bits)
            .map_err(|_| KeyError::Failed("read a public key"))
    }

    /// The subject key identifier of certificates for this key (RFC 5280 §4.2.1.2, method 1).
    pub(crate) fn key_identifier(&self) -> Result<[u8; 20], KeyError> {
        self.public_bits().map(key_identifier)
    }

    /// The content of the public key's BIT STRING.
    pub(crate) fn public_bits(&self) -> Result<&[u8], KeyError> {
        public_key_bits(&self.spki).map_err(|_| KeyError::Failed("write a public key"))
    }
}

/// The algorithm that verifies the signatures of such a key.
pub(crate) fn verification(algorithm: KeyAlgorithm) -> &'static dyn VerificationAlgorithm {
    match algorithm {
        KeyAlgorithm::P256 => &signature::ECDSA_P256_SHA256_ASN1,
        KeyAlgorithm::P384 => &signature::ECDSA_P384_SHA384_ASN1,
        KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096 => {
            &signature::RSA_PKCS1_2048_8192_SHA256
        }
        KeyAlgorithm::Ed25519 => &signature::ED25519,
    }
}

/// The content of the BIT STRING in a SubjectPublicKeyInfo.
pub(crate) fn public_key_bits(spki: &[u8]) -> Result<&[u8], NotDer> {
    let mut content = Cursor::new(spki).inside(tag::SEQUENCE)?;
    content.expect(tag::SEQUENCE)?;
    content.bit_string()
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

// The digest is as long as the curve's order, so that neither weakens the other (RFC 5480 §4).
const P256: &EcdsaSigningAlgorithm = &signature::ECDSA_P256_SHA256_ASN1_SIGNING;
const P384: &EcdsaSigningAlgorithm = &signature::ECDSA_P384_SHA384_ASN1_SIGNING;

/// Encodes the AlgorithmIdentifier of a signature for certificates and requests.
pub(crate) fn algorithm_identifier(signature: SignatureAlgorithm) -> Vec<u8> {
    let mut out = Vec::new();
    tlv::write_with(&mut out, tag::SEQUENCE, |out| match signature {
        // RFC 4055 §5: when any of these object identifiers is used, the parameters MUST be NULL.
        SignatureAlgorithm::Sha1WithRsa => write_rsa(out, oid::SHA1_WITH_RSA),
        SignatureAlgorithm::Sha256WithRsa => write_rsa(out, oid::SHA256_WITH_RSA),
        SignatureAlgorithm::Sha384WithRsa => write_rsa(out, oid::SHA384_WITH_RSA),
        SignatureAlgorithm::Sha512WithRsa => write_rsa(out, oid::SHA512_WITH_RSA),
        // RFC 5758 §3.2, RFC 8410 §3: the parameters MUST be absent.
        SignatureAlgorithm::EcdsaWithSha1 => tlv::write(out, tag::OID, oid::ECDSA_WITH_SHA1),
        SignatureAlgorithm::EcdsaWithSha512 => tlv::write(out, tag::OID, oid::ECDSA_WITH_SHA512),
        SignatureAlgorithm::EcdsaWithSha256 => tlv::write(out, tag::OID, oid::ECDSA_WITH_SHA256),
        SignatureAlgorithm::EcdsaWithSha384 => tlv::write(out, tag::OID, oid::ECDSA_WITH_SHA384),
        SignatureAlgorithm::PureEd25519 => tlv::write(out, tag::OID, oid::ED25519),
    });
    out
}

fn write_rsa(out: &mut Vec<u8>, algorithm: &[u8]) {
    tlv::write(out, tag::OID, algorithm);
    tlv::write(out, tag::NULL, &[]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pkcs8_keys_round_trip_and_other_algorithms_reject_them() {
        let algorithms = [
            KeyAlgorithm::P256,
            KeyAlgorithm::P384,
            KeyAlgorithm::Rsa2048,
            KeyAlgorithm::Ed25519,
        ];
        for algorithm in algorithms {
            let key = SigningKey::generate(algorithm).unwrap();
            let der = key.to_pkcs8().unwrap();
            let again = SigningKey::from_pkcs8(algorithm, &der).unwrap();
            assert_eq!(again.public_key_spki(), key.public_key_spki());
            let signature = again.sign(b"message").unwrap();
            key.verifier()
                .unwrap()
                .verify_sig(b"message", &signature)
                .unwrap();
            for other in KeyAlgorithm::ALL
                .into_iter()
                .filter(|&other| other != algorithm)
            {
                assert_eq!(
                    SigningKey::from_pkcs8(other, &der).err(),
                    Some(KeyError::Rejected(other))
                );
            }
            assert!(SigningKey::from_pkcs8(algorithm, &der[..der.len() - 1]).is_err());
        }
    }

    #[test]
    fn debug_shows_the_algorithm_only() {
        let key = SigningKey::generate(KeyAlgorithm::P256).unwrap();
        assert_eq!(format!("{key:?}"), "SigningKey { algorithm: P256, .. }");
    }
}
