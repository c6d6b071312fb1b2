//! The signature by which a client proves the possession of its key.
//!
//! rustls would end the handshake of certificates that its path validation does not support, such
//! as X.509 v1 and RSA keys of 1024 bits. Their verdict is the gateway's. Therefore the signature
//! is verified with the key alone.

use aws_lc_rs::digest::{self, Algorithm};
use aws_lc_rs::signature::{self as algorithms, UnparsedPublicKey, VerificationAlgorithm};
use certgate_pki::verifies_short_pss;
use rustls::SignatureScheme;
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::der::oid::ObjectIdentifier;

const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// The signature schemes that the gateway offers to clients, in its order of preference.
pub const SCHEMES: &[SignatureScheme] = &[
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::ECDSA_NISTP521_SHA512,
    SignatureScheme::ED25519,
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PSS_SHA512,
    SignatureScheme::RSA_PKCS1_SHA256,
    SignatureScheme::RSA_PKCS1_SHA384,
    SignatureScheme::RSA_PKCS1_SHA512,
];

/// The version of TLS, which decides what a scheme says about the curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// The scheme names the digest only (RFC 5246 §7.4.1.4.1).
    Tls12,
    /// The scheme names digest and curve (RFC 8446 §4.2.3).
    Tls13,
}

/// A public key of a client certificate.
pub struct PresentedKey {
    kind: Kind,
    octets: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    P256,
    P384,
    P521,
    Ed25519,
    Rsa,
    Unknown,
}

impl PresentedKey {
    /// Reads the key of a certificate. [`None`] if the certificate is malformed.
    pub fn of_certificate(der: &[u8]) -> Option<Self> {
        let certificate = Certificate::from_der(der).ok()?;
        let info = certificate.tbs_certificate().subject_public_key_info();
        let curve = || {
            let parameters = info.algorithm.parameters.as_ref()?;
            parameters.decode_as::<ObjectIdentifier>().ok()
        };
        let kind = match info.algorithm.oid {
            RSA => Kind::Rsa,
            ED25519 => Kind::Ed25519,
            EC => match curve() {
                Some(P256) => Kind::P256,
                Some(P384) => Kind::P384,
                Some(P521) => Kind::P521,
                _ => Kind::Unknown,
            },
            _ => Kind::Unknown,
        };
        let octets = info.subject_public_key.raw_bytes().to_vec();
        Some(Self { kind, octets })
    }

    /// Returns true if `signature` over `message` is this key's.
    pub fn verifies(
        &self,
        version: Version,
        scheme: SignatureScheme,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        let Some(algorithm) = self.algorithm(version, scheme) else {
            return false;
        };
        if let (Kind::Rsa, Some(digest)) = (self.kind, pss_digest(scheme))
            && verifies_short_pss(digest, &self.octets, message, signature)
        {
            return true;
        }
        UnparsedPublicKey::new(algorithm, &self.octets)
            .verify(message, signature)
            .is_ok()
    }

    fn algorithm(
        &self,
        version: Version,
        scheme: SignatureScheme,
    ) -> Option<&'static dyn VerificationAlgorithm> {
        use SignatureScheme as S;
        if version == Version::Tls13 {
            let is_of_curve = match scheme {
                S::ECDSA_NISTP256_SHA256 => self.kind == Kind::P256,
                S::ECDSA_NISTP384_SHA384 => self.kind == Kind::P384,
                S::ECDSA_NISTP521_SHA512 => self.kind == Kind::P521,
                // RFC 8446 §4.2.3: PKCS #1 v1.5 is for certificates only.
                S::RSA_PKCS1_SHA256 | S::RSA_PKCS1_SHA384 | S::RSA_PKCS1_SHA512 => false,
                _ => true,
            };
            if !is_of_curve {
                return None;
            }
        }
        Some(match (self.kind, scheme) {
            (Kind::P256, S::ECDSA_NISTP256_SHA256) => &algorithms::ECDSA_P256_SHA256_ASN1,
            (Kind::P256, S::ECDSA_NISTP384_SHA384) => &algorithms::ECDSA_P256_SHA384_ASN1,
            (Kind::P256, S::ECDSA_NISTP521_SHA512) => &algorithms::ECDSA_P256_SHA512_ASN1,
            (Kind::P384, S::ECDSA_NISTP256_SHA256) => &algorithms::ECDSA_P384_SHA256_ASN1,
            (Kind::P384, S::ECDSA_NISTP384_SHA384) => &algorithms::ECDSA_P384_SHA384_ASN1,
            (Kind::P384, S::ECDSA_NISTP521_SHA512) => &algorithms::ECDSA_P384_SHA512_ASN1,
            (Kind::P521, S::ECDSA_NISTP256_SHA256) => &algorithms::ECDSA_P521_SHA256_ASN1,
            (Kind::P521, S::ECDSA_NISTP384_SHA384) => &algorithms::ECDSA_P521_SHA384_ASN1,
            (Kind::P521, S::ECDSA_NISTP521_SHA512) => &algorithms::ECDSA_P521_SHA512_ASN1,
            (Kind::Ed25519, S::ED25519) => &algorithms::ED25519,
            (Kind::Rsa, S::RSA_PSS_SHA256) => &algorithms::RSA_PSS_2048_8192_SHA256,
            (Kind::Rsa, S::RSA_PSS_SHA384) => &algorithms::RSA_PSS_2048_8192_SHA384,
            (Kind::Rsa, S::RSA_PSS_SHA512) => &algorithms::RSA_PSS_2048_8192_SHA512,
            (Kind::Rsa, S::RSA_PKCS1_SHA256) => {
                &algorithms::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY
            }
            (Kind::Rsa, S::RSA_PKCS1_SHA384) => &algorithms::RSA_PKCS1_2048_8192_SHA384,
            (Kind::Rsa, S::RSA_PKCS1_SHA512) => {
                &algorithms::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY
            }
            _ => return None,
        })
    }
}

/// Returns the digest of a scheme of RSASSA-PSS.
fn pss_digest(scheme: SignatureScheme) -> Option<&'static Algorithm> {
    match scheme {
        SignatureScheme::RSA_PSS_SHA256 => Some(&digest::SHA256),
        SignatureScheme::RSA_PSS_SHA384 => Some(&digest::SHA384),
        SignatureScheme::RSA_PSS_SHA512 => Some(&digest::SHA512),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An RSA key of 1024 bits, and its signature over `MESSAGE`, both made with OpenSSL.
    const KEY: &str = concat!(
        "30818902818100d3a40813746075b4851d23756bdf160ff5064dea8495d57967",
        "f85df346e57f9907c16c00fe40a552c9a264931ae47ed12c241df43d1e187726",
        "6754861b9029982c126b53ec0ccace1137ccdc7d0505b9d16a9c61045f02dcf7",
        "ccf06a05581ac934df463fcf017f0e69a14196295a5b453a7623a66dd05279eb",
        "bcc35bb00f003f0203010001",
    );
    const SIGNATURE: &str = concat!(
        "9de507cb307aaeafd68b54b438952e6f7d3bdb596d5ae1dec10ede5b9b1c99f0",
        "22222720455c26418d8fc417d345923c3aa588813b23e51cc659badc99305488",
        "1294ddeae3dc7ac809378f027b54905d4cb485d0bd65be600f4f838016be9b65",
        "8e324148c87e307786b6b23a6da53a1644b9e6b3be5a25363180b24a106ceb96",
    );
    const MESSAGE: &[u8] = b"a TLS transcript";

    fn octets(text: &str) -> Vec<u8> {
        let digits = text.as_bytes().chunks(2);
        let octet = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16);
        digits.map(|pair| octet(pair).unwrap()).collect()
    }

    #[test]
    fn a_short_rsa_key_proves_its_possession() {
        let key = PresentedKey {
            kind: Kind::Rsa,
            octets: octets(KEY),
        };
        let good = octets(SIGNATURE);
        for version in [Version::Tls12, Version::Tls13] {
            let verifies = |scheme, message: &[u8], signature: &[u8]| {
                key.verifies(version, scheme, message, signature)
            };
            let scheme = SignatureScheme::RSA_PSS_SHA256;
            assert!(verifies(scheme, MESSAGE, &good));
            assert!(!verifies(scheme, b"another transcript", &good));
            assert!(!verifies(scheme, MESSAGE, &good[1..]));
            assert!(!verifies(SignatureScheme::RSA_PSS_SHA384, MESSAGE, &good));
            assert!(!verifies(SignatureScheme::RSA_PKCS1_SHA256, MESSAGE, &good));
            for at in 0..good.len() {
                let mut bad = good.clone();
                bad[at] ^= 1;
                assert!(!verifies(scheme, MESSAGE, &bad), "octet {at}");
            }
            assert!(!verifies(scheme, MESSAGE, &[0; 128]));
        }
    }
}
