//! Uploaded certificates: PEM in, one checked chain out.

use base64ct::{Base64, Encoding as _};
use certgate_model::Timestamp;

use crate::chain_error::{CHAIN_BYTES_MAX, CHAIN_CERTIFICATES_MAX, ChainError};
use crate::chain_order::chain_order;
use crate::digest::sha256;
use crate::distinguished_name::rfc_2253;
use crate::pem::{Block, PemError, pem_lines};
use crate::private_key::PrivateKey;
use crate::tlv::{Cursor, tag};
use crate::uploaded::UploadedCertificate;

/// The purpose of the lowest certificate of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A CA certificate, whose extensions must let it sign certificates.
    Authority,
    /// A certificate that is presented to peers.
    Leaf,
}

/// A checked chain: in some order, each certificate is signed by the next. The first one in that
/// order is the lowest. Only [`read_chain`](crate::read_chain) makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    certificates: Vec<Vec<u8>>,
    spki: Vec<u8>,
    /// Issuer of the lowest certificate, in the text form of RFC 2253.
    pub issuer: String,
    /// Serial number of the lowest certificate, decimal.
    pub serial_number: String,
    /// Signature algorithm of the lowest certificate, by its name in the API.
    pub signature: &'static str,
    /// `notAfter` of the lowest certificate.
    pub expires_on: Timestamp,
    /// SHA-256 of the lowest certificate, DER.
    pub fingerprint_sha256: [u8; 32],
}

impl Chain {
    /// The certificates in DER, in the order in which the client sent them. Never empty.
    pub fn certificates(&self) -> &[Vec<u8>] {
        &self.certificates
    }

    /// Writes the certificates in PEM, with 64 columns and an LF after each END line.
    pub fn to_pem(&self) -> String {
        self.certificates
            .iter()
            .map(|der| pem_lines("CERTIFICATE", der) + "\n")
            .collect()
    }

    /// Returns true if the private key belongs to the lowest certificate.
    pub fn is_certificate_of(&self, key: &PrivateKey) -> bool {
        self.spki == key.public_key_spki()
    }
}

/// Reads a chain of certificates in PEM and performs every check that does not depend on the
/// caller, except the search for weak RSA keys: see [`crate::searched`].
///
/// Beyond RFC 7468 it accepts any line ends, including the two characters `\` and `n`, and text
/// around each certificate. The certificates may be in any order. It accepts certificates that are
/// not valid yet, because operators distribute CA certificates before the CAs issue.
pub(crate) fn read_verified(
    text: &str,
    purpose: Purpose,
    now: Timestamp,
) -> Result<Chain, ChainError> {
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

    // 2. Structure, key and signature algorithm of each certificate.
    let mut parsed = Vec::with_capacity(certificates.len());
    for (number, der) in (1..).zip(&certificates) {
        if certificates[..number - 1].contains(der) {
            return Err(ChainError::Repeated { number });
        }
        parsed.push(UploadedCertificate::read(number, der)?);
    }

    // 3. Order and signatures.
    let order = chain_order(&parsed)?;
    let (Some(lowest), Some(last)) = (order.first(), order.last()) else {
        return Err(ChainError::NoPem);
    };
    // A self-issued certificate must be signed by its own key. A CA of the same name with another
    // key could have signed it, but that CA's certificate is not available.
    let (number, last) = (last + 1, &parsed[*last]);
    if last.is_self_issued() && !last.is_signed_by(last) {
        return Err(match last.cannot_verify(last) {
            Some(algorithm) => ChainError::SignatureAlgorithmUnsupported {
                number,
                oid: algorithm.to_owned(),
            },
            None => ChainError::SignatureInvalid { number },
        });
    }

    // 4. Rights and end of validity. All certificates but the lowest have signed another.
    for (index, certificate) in parsed.iter().enumerate() {
        let number = index + 1;
        let is_authority = index != *lowest || purpose == Purpose::Authority;
        if is_authority {
            certificate.check_authority(number)?;
        }
        if certificate.not_after < now {
            return Err(ChainError::Expired {
                number,
                expired_on: certificate.not_after.to_string(),
            });
        }
    }

    let lowest = *lowest;
    let first = &parsed[lowest];
    let what = "its issuer is not a distinguished name";
    let number = lowest + 1;
    let issuer = Cursor::new(first.issuer).expect(tag::SEQUENCE);
    let issuer = issuer.and_then(|issuer| rfc_2253(issuer.content));
    let issuer = issuer.map_err(|_| ChainError::Malformed { number, what })?;
    Ok(Chain {
        spki: first.spki(),
        issuer,
        serial_number: decimal(first.serial),
        signature: first.signature_name(),
        expires_on: first.not_after,
        fingerprint_sha256: sha256(&certificates[lowest]),
        certificates,
    })
}

/// Reads the DER form of the certificates of a stored chain, PEM. [`None`]: it is malformed.
pub fn stored_certificates(text: &str) -> Option<Vec<Vec<u8>>> {
    let blocks = Block::all(text).ok()?;
    blocks.iter().map(Block::decode).collect()
}

fn read_blocks(text: &str) -> Result<Vec<Block<'_>>, ChainError> {
    // The position of a BEGIN or END line error is not known. Report the first certificate.
    let malformed = |what| ChainError::Malformed { number: 1, what };
    let blocks = Block::all(text).map_err(|error| match error {
        PemError::None => not_pem(text),
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
            _ => {
                return Err(ChainError::WrongPemLabel {
                    label: block.shown_label(),
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

/// Recognises a text without a BEGIN line. Clients send binary files in Base64, the only way in
/// JSON.
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

/// Writes an unsigned number, most significant octet first, in decimal.
pub(crate) fn decimal(octets: &[u8]) -> String {
    // Digits to the base 10^9, least significant first. Each octet takes one pass, and the carry
    // stays below 2^64.
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
    fn decimal_writes_numbers_of_any_length() {
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
    fn not_pem_recognises_der_and_pkcs12() {
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
