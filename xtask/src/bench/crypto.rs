//! The baseline of issuing and of OCSP: the signatures that each certificate and each answer needs.

use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair,
    UnparsedPublicKey,
};

/// Operations between two readings of the clock.
const BATCH: u32 = 64;

/// Returns the rate at which all processors together verify one P-256 signature and make another.
pub fn verify_and_sign_per_second(duration: Duration) -> f64 {
    per_second(duration, true)
}

/// Returns the rate at which all processors together make P-256 signatures.
pub fn sign_per_second(duration: Duration) -> f64 {
    per_second(duration, false)
}

fn per_second(duration: Duration, verify: bool) -> f64 {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let threads: Vec<_> = (0..processors)
        .map(|_| std::thread::spawn(move || one_processor(duration, verify)))
        .collect();
    threads
        .into_iter()
        .map(|thread| thread.join().expect("the loop does not panic"))
        .sum()
}

fn one_processor(duration: Duration, verify: bool) -> f64 {
    let random = SystemRandom::new();
    let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
    let key = EcdsaKeyPair::generate(algorithm).expect("a key can be made");
    let message = [7; 600]; // the size of a certificate
    let signature = key.sign(&random, &message).expect("a good key signs");
    let public =
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key.public_key().as_ref().to_vec());
    let begun = Instant::now();
    let mut done = 0;
    while begun.elapsed() < duration {
        for _ in 0..BATCH {
            if verify {
                public
                    .verify(&message, signature.as_ref())
                    .expect("its own signature verifies");
            }
            key.sign(&random, &message).expect("a good key signs");
        }
        done += BATCH;
    }
    f64::from(done) / begun.elapsed().as_secs_f64()
}
