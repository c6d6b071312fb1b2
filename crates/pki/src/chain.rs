//! Certificates that an account brings itself: PEM in, one checked chain out.

use aws_lc_rs::digest;
use base64ct::{Base64, Encoding as _};
use certgate_model::Timestamp;

use crate::csr_error::quoted;
use crate::distinguished_name::rfc_2253;
use crate::pem::{Block, PemError};
use crate::tlv::{Cursor, tag};
use crate::uploaded::UploadedCertificate;
use crate::{ChainError, PrivateKey, pem_lines};

/// Longest accepted text, in bytes: a chain of ten RSA-4096 certificates has 20 KiB, and the key still fits the body.
pub const CHAIN_BYTES_MAX: usize = 32 * 1024;

/// How many certificates one chain may have. OpenSSL's `verify_depth` is 100, but real chains have two or three; every
/// one costs a verification.
pub const CHAIN_CERTIFICATES_MAX: usize = 10;

/// What the first certificate of a chain is to be used as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// An authority: it must say that it may sign certificates.
    Authority,
    /// A certificate that is shown.
    Leaf,
}

/// A chain that was parsed and checked: each certificate is signed by the next. Only [`read_chain`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    certificates: Vec<Vec<u8>>,
    spki: Vec<u8>,
    /// The issuer of the first certificate, in the text form of RFC 2253.
    pub issuer: String,
    /// The serial number of the first certificate, decimal.
    pub serial_number: String,
    /// How the first certificate is signed, in the API's words.
    pub signature: &'static str,
    /// `notAfter` of the first certificate.
    pub expires_on: Timestamp,
    /// SHA-256 of the first certificate, DER.
    pub fingerprint_sha256: [u8; 32],
}

impl Chain {
    /// The certificates in DER, in the order in which they were sent; never empty.
    pub fn certificates(&self) -> &[Vec<u8>] {
        &self.certificates
    }

    /// The certificates in PEM, 64 columns, each with an LF at its end.
    pub fn to_pem(&self) -> String {
        self.certificates
            .iter()
            .map(|der| pem_lines("CERTIFICATE", der) + "\n")
            .collect()
    }

    /// Whether the private key belongs to the first certificate.
    pub fn is_certificate_of(&self, key: &PrivateKey) -> bool {
        self.spki == key.public_key_spki()
    }
}

/// Reads a chain of certificates in PEM and checks everything about it that does not depend on who asks.
///
/// Accepted beyond RFC 7468: any line ends, also the two characters `\` and `n`; text in front of each certificate. A
/// certificate that is not valid yet is accepted: authorities are distributed before they are used.
pub fn read_chain(text: &str, purpose: Purpose, now: Timestamp) -> Result<Chain, ChainError> {
    if text.len() > CHAIN_BYTES_MAX {
        return Err(ChainError::TooLarge { bytes: text.len() });
    }

    // 1. PEM.
    let blocks = read_blocks(text)?;
    let mut certificates = Vec::with_capacity(blocks.len());
    for (number, block) in (1..).zip(&blocks) {
        let what = "the text between its BEGIN and END line is not Base64";
        certificates.push(
            block
                .decode()
                .ok_or(ChainError::Malformed { number, what })?,
        );
    }

    // 2. Structure, key and signature algorithms of each.
    let mut parsed = Vec::with_capacity(certificates.len());
    for (number, der) in (1..).zip(&certificates) {
        if certificates[..number - 1].contains(der) {
            return Err(ChainError::Repeated { number });
        }
        parsed.push(UploadedCertificate::read(number, der)?);
    }

    // 3. What each is allowed to do, and when. All but the first have signed another.
    for (number, certificate) in (1..).zip(&parsed) {
        let signs_others = number > 1 || purpose == Purpose::Authority;
        if signs_others && let Some(reason) = certificate.lacks_as_authority() {
            return Err(ChainError::NotAuthority { number, reason });
        }
        if certificate.not_after < now {
            return Err(ChainError::Expired {
                number,
                expired_on: certificate.not_after.to_string(),
            });
        }
    }

    // 4. The chain.
    for (number, pair) in (1..).zip(parsed.windows(2)) {
        let [certificate, issuer] = pair else {
            continue;
        };
        if !certificate.names_as_issuer(issuer) {
            return Err(ChainError::ChainOrder { number });
        }
        if !certificate.is_signed_by(issuer) {
            return Err(ChainError::SignatureInvalid { number });
        }
    }
    // An issuer of the same name with another key is possible, and is not here to ask.
    if let Some(last) = parsed.last()
        && last.is_self_issued()
        && !last.is_signed_by(last)
    {
        return Err(ChainError::SignatureInvalid {
            number: parsed.len(),
        });
    }

    let first = parsed.first().ok_or(ChainError::NoPem)?;
    let what = "its issuer is not a distinguished name";
    let issuer = rfc_2253(first.issuer).map_err(|_| ChainError::Malformed { number: 1, what })?;
    let mut fingerprint_sha256 = [0; 32];
    fingerprint_sha256.copy_from_slice(digest::digest(&digest::SHA256, &certificates[0]).as_ref());
    Ok(Chain {
        spki: first.spki.to_vec(),
        issuer,
        serial_number: decimal(first.serial),
        signature: first.signature_name(),
        expires_on: first.not_after,
        fingerprint_sha256,
        certificates,
    })
}

fn read_blocks(text: &str) -> Result<Vec<Block<'_>>, ChainError> {
    // A chain is a chain, so that a BEGIN line which does not end is that of its first certificate as far as one knows.
    let malformed = |what| ChainError::Malformed { number: 1, what };
    let blocks = Block::all(text).map_err(|error| match error {
        PemError::None => not_pem(text),
        PemError::TextAfterEnd => ChainError::TextAfterEnd,
        PemError::BeginCutOff => malformed("its BEGIN line is cut off"),
        _ => malformed("it has no line -----END CERTIFICATE-----"),
    })?;
    for block in &blocks {
        match block.label {
            "CERTIFICATE" | "X509 CERTIFICATE" => {}
            _ if block.is_private_key() => return Err(ChainError::PrivateKey),
            "PUBLIC KEY" | "RSA PUBLIC KEY" => return Err(ChainError::PublicKey),
            "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => {
                return Err(ChainError::CertificateRequest);
            }
            other => {
                return Err(ChainError::WrongPemLabel {
                    label: quoted(other),
                });
            }
        }
    }
    match blocks.len() {
        count @ ..=CHAIN_CERTIFICATES_MAX => {
            debug_assert!(count > 0);
            Ok(blocks)
        }
        count => Err(ChainError::TooMany { count }),
    }
}

/// What a text without a BEGIN line may be: binary files are sent in Base64, since JSON has no other way.
fn not_pem(text: &str) -> ChainError {
    let plain: String = text.split_ascii_whitespace().collect();
    let Ok(octets) = Base64::decode_vec(&plain) else {
        return ChainError::NoPem;
    };
    let mut outer = Cursor::new(&octets);
    let Ok(mut content) = outer.inside(tag::SEQUENCE) else {
        return ChainError::NoPem;
    };
    match content.any() {
        // RFC 7292 §4: PFX ::= SEQUENCE { version INTEGER { v3(3) }, … }
        Ok(first) if first.tag == tag::INTEGER && first.content == [3] => ChainError::Pkcs12,
        Ok(first) if first.tag == tag::SEQUENCE => ChainError::Der,
        _ => ChainError::NoPem,
    }
}

/// A number, most significant octet first, in decimal.
fn decimal(octets: &[u8]) -> String {
    // Digits to the base 10^9, least significant first: one octet more is one pass with a carry below 2^64.
    const BASE: u64 = 1_000_000_000;
    let mut digits = vec![0_u64];
    for &octet in octets {
        let mut carry = u64::from(octet);
        for digit in &mut digits {
            let value = *digit << 8 | carry;
            *digit = value % BASE;
            carry = value / BASE;
        }
        if carry > 0 {
            digits.push(carry);
        }
    }
    let (highest, lower) = digits.split_last().expect("there is always one digit");
    lower.iter().rev().fold(highest.to_string(), |text, digit| {
        format!("{text}{digit:09}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serial_numbers_are_written_in_decimal() {
        for (octets, text) in [
            (&[0][..], "0"),
            (&[0x7f], "127"),
            (&[0, 0xff], "255"),
            (&[0x3b, 0x9a, 0xca, 0x00], "1000000000"),
            (&[0x3b, 0x9a, 0xc9, 0xff], "999999999"),
            (
                &[0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
                "18446744073709551615",
            ),
            (&[1, 0, 0, 0, 0, 0, 0, 0, 0], "18446744073709551616"),
            (
                &[0x7f; 20],
                "727885129180488904360266563744972327436484050815",
            ),
        ] {
            assert_eq!(decimal(octets), text);
        }
        for number in [
            1_u128 << 90,
            u128::MAX,
            10_u128.pow(36),
            10_u128.pow(27) + 5,
        ] {
            assert_eq!(decimal(&number.to_be_bytes()), number.to_string());
        }
    }

    #[test]
    fn a_text_without_a_begin_line_is_named() {
        for (text, error) in [
            ("", ChainError::NoPem),
            ("hello", ChainError::NoPem),
            ("MAMCAQM=", ChainError::Pkcs12),
            ("MAIw\nAA==", ChainError::Der),
            ("MAMCAQQ=", ChainError::NoPem),
        ] {
            assert_eq!(not_pem(text), error, "{text}");
        }
    }
}
