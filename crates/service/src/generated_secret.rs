use std::fmt;

use certgate_model::Random;
use zeroize::Zeroizing;

/// The characters of a token value: those of unpadded base64url (RFC 4648 §5), 6 random bits each.
const VALUE_ALPHABET: &[u8; 64] =
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Length of a token value, in characters: 240 random bits, enough to store a plain hash safely.
const VALUE_CHARACTERS: usize = 40;

/// Length of an API key, in hexadecimal digits: 148 random bits, enough to store a plain hash
/// safely. Terraform's provider and older tools accept no other length.
const KEY_DIGITS: usize = 37;

/// The characters of the password of a file: 5 random bits each, without those that look like
/// others.
const PASSWORD_ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// Length of the password of a file, in characters, and of its groups.
const PASSWORD_CHARACTERS: usize = 20;
const PASSWORD_GROUP: usize = 5;

/// A token value, an API key or the password of a file. Only its creator sees it, once.
pub struct GeneratedSecret(Zeroizing<String>);

impl GeneratedSecret {
    pub(crate) fn token_value(random: &dyn Random) -> Self {
        Self::generate::<VALUE_CHARACTERS>(VALUE_ALPHABET, random)
    }

    /// The password of a file with a key: 100 random bits, in groups that people can type.
    pub(crate) fn file_password(random: &dyn Random) -> Self {
        let letters = Self::generate::<PASSWORD_CHARACTERS>(PASSWORD_ALPHABET, random);
        let mut text = Zeroizing::new(String::with_capacity(PASSWORD_CHARACTERS * 2));
        for (index, letter) in letters.0.chars().enumerate() {
            if index > 0 && index % PASSWORD_GROUP == 0 {
                text.push('-');
            }
            text.push(letter);
        }
        Self(text)
    }

    pub(crate) fn api_key(random: &dyn Random) -> Self {
        Self::generate::<KEY_DIGITS>(b"0123456789abcdef", random)
    }

    /// Draws characters from an alphabet. Its length divides 256, so each character is as likely.
    fn generate<const LENGTH: usize>(alphabet: &[u8], random: &dyn Random) -> Self {
        let mut bytes = Zeroizing::new([0; LENGTH]);
        random.fill(&mut *bytes);
        let character = |byte: &u8| char::from(alphabet[usize::from(*byte) % alphabet.len()]);
        Self(Zeroizing::new(bytes.iter().map(character).collect()))
    }

    /// Returns the secret, for the one answer that shows it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for GeneratedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GeneratedSecret(…)")
    }
}
