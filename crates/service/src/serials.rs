//! Serial numbers that lead back to their certificate.
//!
//! An index on random serial numbers costs a tenth of an issue, because each row changes another
//! page of it. Therefore a serial number is 4 random octets and the certificate's ID, enciphered as
//! one AES block. For everyone else it is 20 random octets, of which 158 bits cannot be guessed
//! (RFC 5280 §4.1.2.2). With the key it is the ID, which has an index that grows at its end.

use aws_lc_rs::cipher::{
    AES_256, DecryptingKey, DecryptionContext, EncryptingKey, UnboundCipherKey,
};
use certgate_model::{CertificateId, Random, SerialNumber};
use zeroize::Zeroizing;

/// Length of the key, in octets.
pub(crate) const SERIAL_KEY_BYTES: usize = 32;

/// Number of random octets before the block. [`SerialNumber::from_random`] sets the top bits of the
/// first one.
const RANDOM_BYTES: usize = 4;

/// Converts IDs into serial numbers and back.
pub(crate) struct SerialCipher {
    encrypting: EncryptingKey,
    decrypting: DecryptingKey,
}

impl SerialCipher {
    /// Returns `None` for a key of the wrong length.
    pub(crate) fn new(key: &[u8]) -> Option<Self> {
        let unbound = || UnboundCipherKey::new(&AES_256, key).ok();
        // One block under one key is a permutation and needs no mode. ECB adds nothing to it.
        Some(Self {
            encrypting: EncryptingKey::ecb(unbound()?).ok()?,
            decrypting: DecryptingKey::ecb(unbound()?).ok()?,
        })
    }

    pub(crate) fn generate_key(random: &dyn Random) -> Zeroizing<Vec<u8>> {
        let mut key = Zeroizing::new(vec![0; SERIAL_KEY_BYTES]);
        random.fill(&mut key);
        key
    }

    /// Returns a serial number for the certificate with this ID.
    pub(crate) fn serial(&self, id: CertificateId, random: &dyn Random) -> SerialNumber {
        let mut octets = [0; 20];
        random.fill(&mut octets[..RANDOM_BYTES]);
        let block = &mut octets[RANDOM_BYTES..];
        block.copy_from_slice(id.as_bytes());
        self.encrypting
            .encrypt(block)
            .expect("an ID is one AES block");
        SerialNumber::from_random(octets)
    }

    /// Returns the ID in a serial number. For a serial number of another issuer the ID is
    /// meaningless.
    pub(crate) fn id(&self, serial: SerialNumber) -> CertificateId {
        let mut block = [0; 16];
        block.copy_from_slice(&serial.as_bytes()[RANDOM_BYTES..]);
        self.decrypting
            .decrypt(&mut block, DecryptionContext::None)
            .expect("an ID is one AES block");
        CertificateId::from_bytes(block)
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

    #[test]
    fn a_serial_number_leads_to_the_id_only_under_its_key() {
        let random = Counting(std::sync::atomic::AtomicU8::new(0));
        let cipher = |key: &[u8]| SerialCipher::new(key).unwrap();
        let (ours, other) = (
            cipher(&[1; SERIAL_KEY_BYTES]),
            cipher(&[2; SERIAL_KEY_BYTES]),
        );
        let mut shards = std::collections::BTreeSet::new();
        for number in 0..=255_u8 {
            let mut octets = [0; 16];
            octets[15] = number;
            let id = CertificateId::from_bytes(octets);
            let serial = ours.serial(id, &random);
            assert_eq!(ours.id(serial), id);
            assert_ne!(other.id(serial), id);
            assert_eq!(
                serial.as_bytes()[0] & 0xc0,
                0x40,
                "positive, with 20 octets"
            );
            shards.insert(serial.shard());
        }
        assert!(
            shards.len() > 80,
            "consecutive IDs are spread over the shards: {}",
            shards.len()
        );
        assert!(SerialCipher::new(&[1; 31]).is_none());
    }
}
