//! The master key. It seals the private keys of CAs, so that a stolen database alone signs nothing.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use certgate_model::{AuthorityId, Hex, MtlsCertificateId, Random};
use zeroize::Zeroizing;

/// First byte of the sealed form. Another form has another byte.
const FORMAT: u8 = 1;

/// The text that [`MasterKey::seal_check`] seals.
const CHECK_TEXT: &[u8] = b"certgate master key check";

/// The context that binds the sealed key of serial numbers to its use.
const SERIAL_KEY_CONTEXT: &[u8] = b"certgate serial number key";

/// The context that binds a sealed request to its use.
const REQUEST_CONTEXT: &[u8] = b"certgate offline request";

/// An AES-256-GCM key that is stored outside the database.
pub struct MasterKey {
    key: LessSafeKey,
    text: Zeroizing<String>,
}

/// Reasons to refuse a master key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MasterKeyError {
    /// The text is not a master key.
    #[error("a master key has 64 hexadecimal digits (32 bytes)")]
    Malformed,
    /// The sealed data was sealed under another key, or was changed.
    #[error("the master key does not open the keys in the store")]
    WrongKey,
}

impl MasterKey {
    /// Creates a new key.
    pub fn generate(random: &dyn Random) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        random.fill(&mut *bytes);
        Self::from_bytes(&bytes)
    }

    /// Reads the form that [`MasterKey::to_text`] writes, with any white space around it.
    pub fn from_text(text: &str) -> Result<Self, MasterKeyError> {
        let text = text.trim().as_bytes();
        let digit = |byte: u8| {
            char::from(byte)
                .to_digit(16)
                .ok_or(MasterKeyError::Malformed)
        };
        if text.len() != 64 {
            return Err(MasterKeyError::Malformed);
        }
        let mut bytes = Zeroizing::new([0; 32]);
        for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
            *byte = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
        }
        Ok(Self::from_bytes(&bytes))
    }

    /// Returns 64 lower-case hex digits, for the key file.
    pub fn to_text(&self) -> &Zeroizing<String> {
        &self.text
    }

    fn from_bytes(bytes: &[u8; 32]) -> Self {
        let mut text = Zeroizing::new(String::with_capacity(64));
        for byte in bytes {
            for nibble in [byte >> 4, byte & 15] {
                text.push(
                    char::from_digit(u32::from(nibble), 16).expect("a nibble is a hex digit"),
                );
            }
        }
        let key = UnboundKey::new(&AES_256_GCM, bytes).expect("the key has the length of AES-256");
        Self {
            key: LessSafeKey::new(key),
            text,
        }
    }

    /// Seals a private key. It opens only for this owner.
    pub(crate) fn seal_key(
        &self,
        owner: impl Into<KeyOwner>,
        key: &[u8],
        random: &dyn Random,
    ) -> Vec<u8> {
        self.seal(&owner.into().context(), key, random)
    }

    /// Opens a key that [`MasterKey::seal_key`] sealed for this owner.
    pub(crate) fn open_key(
        &self,
        owner: impl Into<KeyOwner>,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, MasterKeyError> {
        self.open(&owner.into().context(), sealed)
    }

    /// Seals the key of serial numbers.
    pub(crate) fn seal_serial_key(&self, key: &[u8], random: &dyn Random) -> Vec<u8> {
        self.seal(SERIAL_KEY_CONTEXT, key, random)
    }

    /// Opens the key that [`MasterKey::seal_serial_key`] sealed.
    pub(crate) fn open_serial_key(
        &self,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, MasterKeyError> {
        self.open(SERIAL_KEY_CONTEXT, sealed)
    }

    /// Seals a known text, to recognise a wrong key at start.
    pub(crate) fn seal_check(&self, random: &dyn Random) -> Vec<u8> {
        self.seal(CHECK_TEXT, CHECK_TEXT, random)
    }

    /// Returns true if this key made the text of [`MasterKey::seal_check`].
    pub(crate) fn opens_check(&self, sealed: &[u8]) -> bool {
        self.open(CHECK_TEXT, sealed)
            .is_ok_and(|text| *text == CHECK_TEXT)
    }

    /// Seals a request to a running server on the same machine, as one line: the sender has the
    /// master key.
    pub fn seal_request(&self, request: &[u8], random: &dyn Random) -> String {
        Hex(&self.seal(REQUEST_CONTEXT, request, random)).to_string()
    }

    /// Opens the line that [`MasterKey::seal_request`] made.
    pub fn open_request(&self, line: &str) -> Result<Zeroizing<Vec<u8>>, MasterKeyError> {
        let octet = |pair: &[u8]| {
            let digits = std::str::from_utf8(pair).ok()?;
            u8::from_str_radix(digits, 16).ok()
        };
        let octets = line.as_bytes().chunks(2).map(octet);
        let sealed: Option<Vec<u8>> = octets.collect();
        self.open(REQUEST_CONTEXT, &sealed.ok_or(MasterKeyError::Malformed)?)
    }

    /// Returns format byte, nonce and ciphertext with tag. A random nonce of 96 bits is safe for
    /// 2^32 seals under one key (NIST SP 800-38D §8.3). An installation has dozens of CAs.
    fn seal(&self, context: &[u8], plain: &[u8], random: &dyn Random) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        random.fill(&mut nonce);
        let mut sealed = Zeroizing::new(plain.to_vec());
        let tag = self
            .key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(context),
                &mut sealed,
            )
            .expect("AES-256-GCM seals anything shorter than 64 GiB");
        [&[FORMAT][..], &nonce, &sealed, tag.as_ref()].concat()
    }

    fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, MasterKeyError> {
        let (nonce, ciphertext) = sealed
            .strip_prefix(&[FORMAT])
            .and_then(|rest| rest.split_first_chunk::<NONCE_LEN>())
            .ok_or(MasterKeyError::WrongKey)?;
        let mut buffer = Zeroizing::new(ciphertext.to_vec());
        let length = self
            .key
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(context),
                &mut buffer,
            )
            .map_err(|_| MasterKeyError::WrongKey)?
            .len();
        buffer.truncate(length);
        Ok(buffer)
    }
}

/// The owner of a sealed private key.
#[derive(Debug, Clone, Copy)]
pub(crate) enum KeyOwner {
    /// A managed or imported CA.
    Authority(AuthorityId),
    /// An uploaded certificate.
    MtlsCertificate(MtlsCertificateId),
}

impl KeyOwner {
    fn context(self) -> Vec<u8> {
        match self {
            Self::Authority(id) => [&b"certgate authority key "[..], id.as_bytes()].concat(),
            Self::MtlsCertificate(id) => {
                [&b"certgate mtls certificate key "[..], id.as_bytes()].concat()
            }
        }
    }
}

impl From<AuthorityId> for KeyOwner {
    fn from(id: AuthorityId) -> Self {
        Self::Authority(id)
    }
}

impl From<MtlsCertificateId> for KeyOwner {
    fn from(id: MtlsCertificateId) -> Self {
        Self::MtlsCertificate(id)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting(std::sync::atomic::AtomicU8);
    impl Random for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        }
    }

    fn random() -> Counting {
        Counting(std::sync::atomic::AtomicU8::new(1))
    }

    #[test]
    fn a_sealed_key_opens_for_its_owner_and_master_key_only() {
        let random = random();
        let master = MasterKey::generate(&random);
        let (a, b) = (
            AuthorityId::from_bytes([1; 16]),
            AuthorityId::from_bytes([2; 16]),
        );
        let sealed = master.seal_key(a, b"secret", &random);
        assert!(!sealed.windows(6).any(|window| window == b"secret"));
        assert_eq!(**master.open_key(a, &sealed).unwrap(), *b"secret");
        assert_eq!(master.open_key(b, &sealed), Err(MasterKeyError::WrongKey));
        let same_id = MtlsCertificateId::from_bytes([1; 16]);
        assert_eq!(
            master.open_key(same_id, &sealed),
            Err(MasterKeyError::WrongKey)
        );
        let uploaded = master.seal_key(same_id, b"secret", &random);
        assert_eq!(**master.open_key(same_id, &uploaded).unwrap(), *b"secret");
        assert_eq!(master.open_key(a, &uploaded), Err(MasterKeyError::WrongKey));
        assert_eq!(
            MasterKey::generate(&random).open_key(a, &sealed),
            Err(MasterKeyError::WrongKey)
        );
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(
                master.open_key(a, &changed),
                Err(MasterKeyError::WrongKey),
                "byte {at}"
            );
            assert_eq!(
                master.open_key(a, &sealed[..at]),
                Err(MasterKeyError::WrongKey),
                "cut at {at}"
            );
        }
    }

    #[test]
    fn the_text_form_reads_back_and_debug_hides_it() {
        let random = random();
        let master = MasterKey::generate(&random);
        let check = master.seal_check(&random);
        let text = master.to_text().to_string();
        assert!(
            MasterKey::from_text(&format!(" {text}\n"))
                .unwrap()
                .opens_check(&check)
        );
        assert!(!MasterKey::generate(&random).opens_check(&check));
        assert!(!format!("{master:?}").contains(&text));
        for bad in ["", "00", &text[1..], &text.replace('0', "g")] {
            assert_eq!(
                MasterKey::from_text(bad).map(drop),
                Err(MasterKeyError::Malformed),
                "{bad}"
            );
        }
    }
}
