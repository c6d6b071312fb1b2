use std::fmt;
use std::str::FromStr;

/// A type of key in a rule, or the type of a key in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyType {
    /// RSA with a modulus of this many bits; `None` in a rule: of any accepted size.
    Rsa(Option<u32>),
    /// ECDSA on NIST P-256.
    P256,
    /// ECDSA on NIST P-384.
    P384,
    /// ECDSA on NIST P-521.
    P521,
    /// Ed25519.
    Ed25519,
}

/// The error for a text that names no type of key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown key type: use RSA, RSA-2048 (or another number of bits), P-256, P-384, P-521 or Ed25519"
)]
pub struct UnknownKeyType;

/// The sizes of RSA keys that requests can have, in bits.
const RSA_BITS: std::ops::RangeInclusive<u32> = 2_048..=8_192;

impl KeyType {
    /// Returns true if a key of the type `other` is also of this type.
    pub fn includes(self, other: Self) -> bool {
        self == other || matches!((self, other), (Self::Rsa(None), Self::Rsa(_)))
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa(None) => f.write_str("RSA"),
            Self::Rsa(Some(bits)) => write!(f, "RSA-{bits}"),
            Self::P256 => f.write_str("P-256"),
            Self::P384 => f.write_str("P-384"),
            Self::P521 => f.write_str("P-521"),
            Self::Ed25519 => f.write_str("Ed25519"),
        }
    }
}

impl FromStr for KeyType {
    type Err = UnknownKeyType;

    /// Reads a name in any letter case.
    fn from_str(text: &str) -> Result<Self, UnknownKeyType> {
        Ok(match text.to_ascii_lowercase().as_str() {
            "rsa" => Self::Rsa(None),
            "p-256" => Self::P256,
            "p-384" => Self::P384,
            "p-521" => Self::P521,
            "ed25519" => Self::Ed25519,
            other => {
                let digits = other.strip_prefix("rsa-").unwrap_or_default();
                let bits = digits
                    .parse::<u32>()
                    .ok()
                    .filter(|bits| RSA_BITS.contains(bits));
                let bits = bits.filter(|bits| bits.to_string() == digits);
                Self::Rsa(Some(bits.ok_or(UnknownKeyType)?))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_rsa_includes_its_sizes() {
        for name in [
            "RSA", "RSA-2048", "RSA-3072", "P-256", "P-384", "P-521", "Ed25519",
        ] {
            assert_eq!(name.parse::<KeyType>().unwrap().to_string(), name);
            assert!(name.to_lowercase().parse::<KeyType>().is_ok());
        }
        for bad in [
            "",
            "rsa-",
            "rsa-1024",
            "rsa-+2048",
            "rsa-02048",
            "rsa-9000",
            "ec",
            "dsa",
        ] {
            assert_eq!(bad.parse::<KeyType>(), Err(UnknownKeyType), "{bad}");
        }
        assert!(KeyType::Rsa(None).includes(KeyType::Rsa(Some(2048))));
        assert!(!KeyType::Rsa(Some(2048)).includes(KeyType::Rsa(None)));
        assert!(!KeyType::P256.includes(KeyType::P384));
    }
}
