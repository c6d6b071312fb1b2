use std::fmt;

use crate::{AccountId, AuthorityId, Timestamp};

/// The key algorithms of CAs and clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum KeyAlgorithm {
    /// ECDSA on NIST P-256; the default.
    #[default]
    P256,
    /// ECDSA on NIST P-384.
    P384,
    /// RSA with a modulus of 2048 bits.
    Rsa2048,
    /// RSA with a modulus of 3072 bits.
    Rsa3072,
    /// RSA with a modulus of 4096 bits.
    Rsa4096,
    /// Ed25519 (RFC 8410).
    Ed25519,
}

/// The error for an unknown name. Its message lists the known names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {kind} {given:?}: use one of {allowed}")]
pub struct UnknownName {
    kind: &'static str,
    given: String,
    allowed: &'static str,
}

impl KeyAlgorithm {
    /// Every algorithm.
    pub const ALL: [Self; 6] = [
        Self::P256,
        Self::P384,
        Self::Rsa2048,
        Self::Rsa3072,
        Self::Rsa4096,
        Self::Ed25519,
    ];

    /// The name in the API, the configuration and the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::Rsa2048 => "RSA-2048",
            Self::Rsa3072 => "RSA-3072",
            Self::Rsa4096 => "RSA-4096",
            Self::Ed25519 => "Ed25519",
        }
    }

    /// Returns the algorithm with this name, in any letter case.
    pub fn from_name(name: &str) -> Result<Self, UnknownName> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
            .ok_or_else(|| UnknownName {
                kind: "key algorithm",
                given: name.chars().take(40).collect(),
                allowed: "P-256, P-384, RSA-2048, RSA-3072, RSA-4096, Ed25519",
            })
    }

    /// The algorithm of signatures with such a key.
    pub const fn signature(self) -> SignatureAlgorithm {
        match self {
            Self::P256 => SignatureAlgorithm::EcdsaWithSha256,
            Self::P384 => SignatureAlgorithm::EcdsaWithSha384,
            Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 => SignatureAlgorithm::Sha256WithRsa,
            Self::Ed25519 => SignatureAlgorithm::PureEd25519,
        }
    }
}

impl fmt::Display for KeyAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The signature algorithms of certificates. certgate signs with the first four; the others occur
/// in certificates that a CA issued elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignatureAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Sha256WithRsa,
    /// ECDSA with SHA-256.
    EcdsaWithSha256,
    /// ECDSA with SHA-384.
    EcdsaWithSha384,
    /// Ed25519 (RFC 8410).
    PureEd25519,
    /// RSASSA-PKCS1-v1_5 with SHA-1.
    Sha1WithRsa,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Sha384WithRsa,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Sha512WithRsa,
    /// ECDSA with SHA-1.
    EcdsaWithSha1,
    /// ECDSA with SHA-512.
    EcdsaWithSha512,
}

impl SignatureAlgorithm {
    /// Every algorithm.
    pub const ALL: [Self; 9] = [
        Self::Sha256WithRsa,
        Self::EcdsaWithSha256,
        Self::EcdsaWithSha384,
        Self::PureEd25519,
        Self::Sha1WithRsa,
        Self::Sha384WithRsa,
        Self::Sha512WithRsa,
        Self::EcdsaWithSha1,
        Self::EcdsaWithSha512,
    ];

    /// The name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256WithRsa => "SHA256WithRSA",
            Self::EcdsaWithSha256 => "ECDSAWithSHA256",
            Self::EcdsaWithSha384 => "ECDSAWithSHA384",
            Self::PureEd25519 => "PureEd25519",
            Self::Sha1WithRsa => "SHA1WithRSA",
            Self::Sha384WithRsa => "SHA384WithRSA",
            Self::Sha512WithRsa => "SHA512WithRSA",
            Self::EcdsaWithSha1 => "ECDSAWithSHA1",
            Self::EcdsaWithSha512 => "ECDSAWithSHA512",
        }
    }

    /// Returns the algorithm with this name in the API.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
    }
}

/// The stored record of a managed or imported CA.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthorityRecord {
    /// Its ID.
    pub id: AuthorityId,
    /// The account that owns it.
    pub account: AccountId,
    /// Its display name.
    pub name: String,
    /// The algorithm of its key.
    pub algorithm: KeyAlgorithm,
    /// Its certificate, DER.
    pub certificate_der: Vec<u8>,
    /// Its private key (PKCS #8), sealed under the master key and bound to the CA's ID.
    pub sealed_key: Vec<u8>,
    /// Base address of the public responder, without a slash at the end. It never changes, because
    /// issued certificates contain it.
    pub public_url: String,
    /// `notBefore` of its certificate.
    pub created_on: Timestamp,
    /// `notAfter` of its certificate.
    pub expires_on: Timestamp,
}

/// The states of a managed or imported CA.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AuthorityState {
    /// It will sign later. Its certificates are accepted already.
    Prepared,
    /// It signs new certificates.
    Active,
    /// It signs no more. Its certificates are accepted.
    Superseded,
    /// It signs no more, and enforcement points do not accept its certificates. Its lists are still
    /// published.
    Retired,
}

impl AuthorityState {
    /// Every state.
    pub const ALL: [Self; 4] = [
        Self::Prepared,
        Self::Active,
        Self::Superseded,
        Self::Retired,
    ];

    /// The name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prepared => "prepared",
            Self::Active => "active",
            Self::Superseded => "superseded",
            Self::Retired => "retired",
        }
    }

    /// Returns true if enforcement points accept certificates of the CA.
    pub const fn is_trusted(self) -> bool {
        !matches!(self, Self::Retired)
    }
}

/// A managed or imported CA with its state in its account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountAuthority {
    /// The CA.
    pub record: AuthorityRecord,
    /// Its state.
    pub state: AuthorityState,
    /// The epoch of the change that published it. An enforcement point that has acknowledged this
    /// epoch accepts certificates of the CA, unless it is retired.
    pub published_epoch: u64,
}

/// A key of a CA whose certificate another CA is to sign.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthorityRequestRecord {
    /// Its ID, and that of the CA later.
    pub id: AuthorityId,
    /// The account that owns it.
    pub account: AccountId,
    /// The display name of the CA; empty for the common name of its certificate.
    pub name: String,
    /// The algorithm of the key.
    pub algorithm: KeyAlgorithm,
    /// The private key (PKCS #8), sealed under the master key and bound to the ID.
    pub sealed_key: Vec<u8>,
    /// The certification request, DER.
    pub csr_der: Vec<u8>,
    /// The time of its creation.
    pub created_on: Timestamp,
}

impl fmt::Debug for AuthorityRequestRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorityRequestRecord")
            .field("id", &self.id)
            .field("account", &self.account)
            .field("name", &self.name)
            .field("algorithm", &self.algorithm)
            .field("created_on", &self.created_on)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for AuthorityRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorityRecord")
            .field("id", &self.id)
            .field("account", &self.account)
            .field("name", &self.name)
            .field("algorithm", &self.algorithm)
            .field("expires_on", &self.expires_on)
            .finish_non_exhaustive()
    }
}
