//! Signed messages, judged by openssl.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::process::Command;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256,
    RsaKeyPair,
};
use certgate_model::{AuthorityId, KeyAlgorithm, SerialNumber};
use certgate_pki::{SigningKey, self_sign, signed_data};

mod judges;

use judges::NOW;

const CONTENT: &[u8] = b"<plist>\r\n\0</plist>\n";

/// Signs as a TLS library does, with a key that it has read itself.
fn sign(algorithm: KeyAlgorithm, pkcs8: &[u8], octets: &[u8]) -> Option<Vec<u8>> {
    let random = SystemRandom::new();
    let curve = match algorithm {
        KeyAlgorithm::P256 => &ECDSA_P256_SHA256_ASN1_SIGNING,
        KeyAlgorithm::P384 => &ECDSA_P384_SHA384_ASN1_SIGNING,
        _ => {
            let pair = RsaKeyPair::from_pkcs8(pkcs8).ok()?;
            let mut out = vec![0; pair.public_modulus_len()];
            pair.sign(&RSA_PKCS1_SHA256, &random, octets, &mut out)
                .ok()?;
            return Some(out);
        }
    };
    let pair = EcdsaKeyPair::from_pkcs8(curve, pkcs8).ok()?;
    Some(pair.sign(&random, octets).ok()?.as_ref().to_vec())
}

fn signed(algorithm: KeyAlgorithm) -> Vec<u8> {
    let key = SigningKey::generate(algorithm).unwrap();
    let pkcs8 = key.to_pkcs8().unwrap();
    let serial = SerialNumber::from_random([0x9a; 20]);
    let id = AuthorityId::from_bytes([7; 16]);
    let der = self_sign(&key, id, serial, NOW, NOW.plus_days(30)).unwrap();
    let sign = |octets: &[u8]| sign(algorithm, &pkcs8, octets);
    signed_data(CONTENT, [&der[..]], algorithm.signature(), NOW, sign).unwrap()
}

#[test]
fn openssl_verifies_each_kind_of_signature() {
    for algorithm in [
        KeyAlgorithm::P256,
        KeyAlgorithm::P384,
        KeyAlgorithm::Rsa2048,
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("message");
        let message = signed(algorithm);
        // The last octet is of the signature, the other one of the content.
        let content = message.windows(5).position(|five| five == b"plist");
        for changed in [None, content, Some(message.len() - 1)] {
            let mut message = message.clone();
            if let Some(index) = changed {
                message[index] ^= 1;
            }
            std::fs::write(&path, &message).unwrap();
            let verified = Command::new("openssl")
                .args([
                    "cms",
                    "-verify",
                    "-noverify",
                    "-inform",
                    "DER",
                    "-binary",
                    "-in",
                ])
                .arg(&path)
                .output()
                .expect("the openssl program is installed");
            let said = String::from_utf8_lossy(&verified.stderr);
            assert_eq!(
                verified.status.success(),
                changed.is_none(),
                "{algorithm}: {said}"
            );
            if changed.is_none() {
                assert_eq!(verified.stdout, CONTENT);
            }
        }
    }
}
