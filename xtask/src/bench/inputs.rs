//! Inputs of measurements: requests for certificates, and numbers in a scattered order.

use anyhow::ensure;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use certgate_model::{KeyAlgorithm, SubjectFields};
use certgate_pki::{CSR_BYTES_MAX, ClientKey, pem_lines};

/// Makes requests for certificates, each with a key of its own.
pub fn csrs(count: usize) -> anyhow::Result<Vec<String>> {
    let csr = |number: usize| {
        let subject = SubjectFields {
            common_name: format!("device-{number}"),
            organization: "Example".to_owned(),
            ..SubjectFields::default()
        };
        Ok(ClientKey::generate(KeyAlgorithm::P256)?.request(&subject)?)
    };
    (0..count).map(csr).collect()
}

/// A word that one name in [`RARE_ONE_IN`] has.
pub const RARE_WORD: &str = "zeppelin";
/// Names with one of them that has [`RARE_WORD`].
pub const RARE_ONE_IN: u64 = 1_000_000;

const FIRST_NAMES: &str = "ada aisha alan anna boris chen clara dana david elena emil fatima \
    george grace hana ivan jana karim laura lena marco maria mei nadia olga omar paul priya \
    rosa sven tomas yuki";
const LAST_NAMES: &str = "adler ahmed baker becker bianchi brown castro chen costa davis dubois \
    fischer garcia haddad hansen ito ivanov jansen kaya keller khan kim kovacs kumar larsen \
    lopez mueller moreau nakamura nguyen novak okafor olsen patel peeters petrov popescu rossi \
    ruiz santos sato schmidt silva singh smith sokolov tanaka taylor torres tran vargas virtanen \
    wagner walker wang weber williams wilson yang yilmaz young zhang ziegler zimmer";
const PLACES: &str = "berlin boston cairo chennai dublin geneva hanoi kyoto lagos leeds lima lyon \
    madrid milan munich nairobi oslo paris porto prague quito rome seoul sydney tallinn tokyo \
    toronto turin vienna vilnius warsaw zurich";

/// Returns the common name of the certificate with a number: most are names of devices that no
/// other one has, some names of persons with many certificates, some of laptops, and a few of
/// build agents.
pub fn common_name(number: u64) -> String {
    if number % RARE_ONE_IN == 4_321 {
        return format!("printer-{RARE_WORD}-{number}");
    }
    let scattered = scatter(number);
    let (kind, rest) = (scattered % 100, scattered / 100);
    let word = |words: &'static str, index: u64| {
        let words: Vec<_> = words.split_whitespace().collect();
        words[index as usize % words.len()]
    };
    match kind {
        0..60 => format!("device-{number:08}"),
        60..80 => {
            let (first, last) = (word(FIRST_NAMES, rest), word(LAST_NAMES, rest / 32));
            format!("{first}.{last}@example.com")
        }
        80..95 => format!("laptop-{}-{}", word(PLACES, rest), rest / 32 % 10_000),
        _ => format!("Build Agent {}", rest % 100),
    }
}

/// Makes the largest accepted request: most of it is an attribute that has no effect.
pub fn largest_csr() -> anyhow::Result<String> {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random)?;
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref())?;
    let name = tlv(
        0x30,
        &tlv(
            0x31,
            &tlv(0x30, &[COMMON_NAME, &tlv(0x0c, b"large")].concat()),
        ),
    );
    let point = [&[0][..], key.public_key().as_ref()].concat();
    let spki = tlv(0x30, &[P256, &tlv(0x03, &point)].concat());
    let with_attribute = |octets: usize| {
        let values = tlv(0x31, &tlv(0x0c, &vec![b'a'; octets]));
        let attribute = tlv(0x30, &[ATTRIBUTE, &values].concat());
        let info = tlv(
            0x30,
            &[&[2, 1, 0][..], &name, &spki, &tlv(0xa0, &attribute)].concat(),
        );
        let signature = key.sign(&random, &info)?;
        let signature = [&[0][..], signature.as_ref()].concat();
        let request = tlv(
            0x30,
            &[&info[..], ECDSA_SHA256, &tlv(0x03, &signature)].concat(),
        );
        anyhow::Ok(pem_lines("CERTIFICATE REQUEST", &request))
    };
    // A signature has up to 72 octets, and often fewer.
    let around = with_attribute(10_000)?.len() - 10_000 * 4 * 65 / (3 * 64);
    let csr = with_attribute((CSR_BYTES_MAX - around - 16) * 3 * 64 / (4 * 65))?;
    ensure!(csr.len() <= CSR_BYTES_MAX, "the request is too large");
    Ok(csr)
}

/// The OID id-at-commonName, the algorithm of a P-256 key, an OID without a meaning, and the
/// algorithm ecdsa-with-SHA256, all DER.
const COMMON_NAME: &[u8] = &[6, 3, 0x55, 4, 3];
const P256: &[u8] = &[
    0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1,
    7,
];
const ATTRIBUTE: &[u8] = &[6, 3, 0x2a, 3, 4];
const ECDSA_SHA256: &[u8] = &[0x30, 0x0a, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];

/// Encodes a value of less than 64 KiB.
fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let [.., high, low] = length;
    let head = match content.len() {
        0..0x80 => vec![tag, low],
        0x80..0x100 => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    [&head[..], content].concat()
}

/// Spreads consecutive numbers over the whole range: the finaliser of SplitMix64.
pub fn scatter(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ mixed >> 31
}
