//! PKCS #12 files (RFC 7292): a key, its certificate and those of its CAs under a password.
//!
//! The library that encrypts draws salts itself, and does not wipe its copies of the key.

use p12_keystore::{
    Certificate, EncryptionAlgorithm, KeyStore, KeyStoreEntry, LocalKeyId, MacAlgorithm,
    PrivateKey, PrivateKeyChain,
};
use zeroize::Zeroizing;

/// The rounds over the password of a PKCS #12 file for older systems: as many as openssl writes.
/// Some appliances refuse more.
const LEGACY_ROUNDS: u32 = 2_048;

/// The reasons to refuse a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum P12PasswordError {
    /// Many programs refuse a file without a password.
    #[error("the password of the PKCS #12 file is empty")]
    Empty,
    /// RFC 7292 §B.1: the password is a BMPString.
    #[error(
        "the password of the PKCS #12 file has a character that such a file cannot express, for \
         example an emoji"
    )]
    Inexpressible,
}

/// The password of PKCS #12 files. `Drop` wipes it from memory.
pub struct P12Password(Zeroizing<String>);

impl P12Password {
    /// Checks that such a file can have the password.
    pub fn new(text: Zeroizing<String>) -> Result<Self, P12PasswordError> {
        match text.chars().all(is_in_bmp) {
            _ if text.is_empty() => Err(P12PasswordError::Empty),
            true => Ok(Self(text)),
            false => Err(P12PasswordError::Inexpressible),
        }
    }

    /// The text, which is secret.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The protection of a PKCS #12 file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum P12Protection {
    /// AES-256-CBC by PBES2, and HMAC-SHA-256.
    Modern {
        /// The rounds over the password.
        rounds: u32,
    },
    /// 3DES and HMAC-SHA-1 (RFC 7292 appendix C), which every system can read.
    Legacy,
}

/// The reasons not to write a PKCS #12 file.
#[derive(Debug, thiserror::Error)]
#[error("cannot make the PKCS #12 file: {0}")]
pub struct P12Error(#[from] p12_keystore::error::Error);

/// Writes a PKCS #12 file with a key (PKCS #8, DER) and certificates (DER), the certificate of the
/// key first. Programs show the name as a label. The file omits characters that a label cannot
/// have.
pub fn write_p12<'a>(
    name: &str,
    key: &[u8],
    certificates: impl IntoIterator<Item = &'a [u8]>,
    password: &P12Password,
    protection: P12Protection,
) -> Result<Zeroizing<Vec<u8>>, P12Error> {
    let chain: Result<Vec<_>, _> = certificates
        .into_iter()
        .map(Certificate::from_der)
        .collect();
    // RFC 7292 §4.2: localKeyId ties the key to its certificate. With one key, any octets do.
    let entry = PrivateKeyChain::new(LocalKeyId(vec![1]), PrivateKey::from_der(key)?, chain?);
    let mut store = KeyStore::new();
    // The name is a BMPString too (RFC 2985 §5.5.1).
    let name: String = name.chars().filter(|one| is_in_bmp(*one)).collect();
    store.add_entry(&name, KeyStoreEntry::PrivateKeyChain(entry));
    let (encryption, mac, rounds) = match protection {
        P12Protection::Modern { rounds } => (
            EncryptionAlgorithm::PbeWithHmacSha256AndAes256,
            MacAlgorithm::HmacSha256,
            rounds,
        ),
        P12Protection::Legacy => (
            EncryptionAlgorithm::PbeWithShaAnd3KeyTripleDesCbc,
            MacAlgorithm::HmacSha1,
            LEGACY_ROUNDS,
        ),
    };
    let file = store
        .writer(&password.0)
        .encryption_algorithm(encryption)
        .encryption_iterations(rounds)
        .mac_algorithm(mac)
        .mac_iterations(rounds)
        .write()?;
    Ok(Zeroizing::new(file))
}

/// Returns true if a BMPString can hold the character.
fn is_in_bmp(character: char) -> bool {
    character <= '\u{ffff}'
}
