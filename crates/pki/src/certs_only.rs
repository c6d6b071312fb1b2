//! Certs-only CMS messages (RFC 5652 §5, RFC 7030 §4.1.3), in which EST servers send certificates.

use crate::oid;
use crate::pem::{Block, decode_base64};
use crate::tlv::tag;

/// Most certificates of an EST answer: the CAs of an installation and their older keys.
const CERTIFICATES_MAX: usize = 100;

/// Most levels of nested values with an indefinite length in an EST answer, which are read
/// recursively.
const DEPTH_MAX: u8 = 8;

/// Reads the certificates of a message, each in DER, in its order.
///
/// RFC 8951 §2.1 wants Base64 with or without line breaks. Some servers send the octets themselves,
/// or PEM. Encoders of CMS write BER, which knows indefinite lengths. Certificates are DER always.
/// The error continues a sentence about the message.
pub fn read_certs_only(message: &[u8]) -> Result<Vec<Vec<u8>>, &'static str> {
    const ENCODING: &str = "it is neither Base64 nor CMS";
    let decoded;
    let octets = match message.first() {
        Some(&tag::SEQUENCE) => message,
        _ => {
            let text = std::str::from_utf8(message).map_err(|_| ENCODING)?;
            let octets = match Block::find(text) {
                Ok(block) => block.decode(),
                Err(_) => decode_base64(text),
            };
            decoded = octets.ok_or(ENCODING)?;
            &decoded[..]
        }
    };
    let certificates = signed_data(octets).map_err(|_| "it is not a certs-only CMS message")?;
    match certificates.len() {
        0 => Err("it has no certificate"),
        1..=CERTIFICATES_MAX => Ok(certificates),
        _ => Err("it has more than 100 certificates"),
    }
}

/// ContentInfo ::= SEQUENCE { contentType, content [0] EXPLICIT SignedData }
///
/// SignedData ::= SEQUENCE { version, digestAlgorithms SET, encapContentInfo SEQUENCE, certificates
/// [0] IMPLICIT SET OPTIONAL, crls [1] OPTIONAL, signerInfos SET }
fn signed_data(octets: &[u8]) -> Result<Vec<Vec<u8>>, NotBer> {
    let mut info = Ber(Ber(octets).inside(tag::SEQUENCE)?);
    if info.inside(tag::OID)? != oid::CMS_SIGNED_DATA {
        return Err(NotBer);
    }
    let mut content = Ber(info.inside(tag::CONTEXT_0_CONSTRUCTED)?);
    let mut signed = Ber(content.inside(tag::SEQUENCE)?);
    for expected in [tag::INTEGER, tag::SET, tag::SEQUENCE] {
        signed.inside(expected)?;
    }
    let next = signed.next()?;
    if next.tag != tag::CONTEXT_0_CONSTRUCTED {
        return Ok(Vec::new());
    }
    let mut listed = Ber(next.content);
    let mut certificates = Vec::new();
    while !listed.is_at_end() {
        let choice = listed.next()?;
        // The other choices of CertificateChoices have context tags.
        if choice.tag == tag::SEQUENCE {
            certificates.push(choice.raw.to_vec());
        }
    }
    Ok(certificates)
}

/// The error for octets that are not BER.
struct NotBer;

/// A reader of consecutive values of BER, with any form of length (X.690 §8.1.3).
struct Ber<'a>(&'a [u8]);

struct Value<'a> {
    tag: u8,
    raw: &'a [u8],
    content: &'a [u8],
}

impl<'a> Ber<'a> {
    /// Returns true at the end of the content: of its octets, or of an indefinite length.
    fn is_at_end(&self) -> bool {
        matches!(self.0, [] | [0, 0, ..])
    }

    /// Reads the content of the next value, which must have this tag.
    fn inside(&mut self, tag: u8) -> Result<&'a [u8], NotBer> {
        let value = self.next()?;
        match value.tag == tag {
            true => Ok(value.content),
            false => Err(NotBer),
        }
    }

    fn next(&mut self) -> Result<Value<'a>, NotBer> {
        self.next_at(0)
    }

    fn next_at(&mut self, depth: u8) -> Result<Value<'a>, NotBer> {
        let (&tag, after_tag) = self.0.split_first().ok_or(NotBer)?;
        let (&first, body) = after_tag.split_first().ok_or(NotBer)?;
        if tag & 0x1f == 0x1f || tag == 0 || depth == DEPTH_MAX {
            return Err(NotBer);
        }
        let (content, rest) = match first {
            0x80 => {
                let mut inside = Ber(body);
                while !inside.is_at_end() {
                    inside.next_at(depth + 1)?;
                }
                let rest = inside.0.strip_prefix(&[0, 0]).ok_or(NotBer)?;
                (&body[..body.len() - inside.0.len()], rest)
            }
            0..=0x7f => body.split_at_checked(first.into()).ok_or(NotBer)?,
            0x81..=0x84 => {
                let octets = usize::from(first & 0x7f);
                let (number, body) = body.split_at_checked(octets).ok_or(NotBer)?;
                let length = number
                    .iter()
                    .fold(0, |sum, &octet| sum << 8 | usize::from(octet));
                body.split_at_checked(length).ok_or(NotBer)?
            }
            _ => return Err(NotBer),
        };
        let raw = &self.0[..self.0.len() - rest.len()];
        self.0 = rest;
        Ok(Value { tag, raw, content })
    }
}

#[cfg(test)]
mod tests {
    use base64ct::{Base64, Encoding as _};

    use super::*;

    /// A message with two values that stand for certificates, and an attribute certificate.
    fn der() -> Vec<u8> {
        let mut inside = vec![2, 1, 1, 0x31, 0, 0x30, 2, 6, 0];
        inside.extend([0xa0, 9, 0x30, 1, 7, 0xa2, 0, 0x30, 2, 5, 0, 0x31, 0]);
        let mut out = vec![0x30, 37, 6, 9];
        out.extend(oid::CMS_SIGNED_DATA);
        out.extend([0xa0, 24, 0x30, 22]);
        out.extend(inside);
        out
    }

    /// The same message with indefinite lengths.
    fn ber() -> Vec<u8> {
        let mut out = vec![0x30, 0x80, 6, 9];
        out.extend(oid::CMS_SIGNED_DATA);
        out.extend([0xa0, 0x80, 0x30, 0x80, 2, 1, 1, 0x31, 0, 0x30, 0x80, 6, 0]);
        out.extend([0x24, 0x80, 4, 1, 0, 0, 0, 0, 0]);
        out.extend([0xa0, 0x80, 0x30, 1, 7, 0xa2, 0, 0x30, 2, 5, 0, 0, 0]);
        out.extend([0x31, 0, 0, 0, 0, 0, 0, 0]);
        out
    }

    #[test]
    fn certificates_are_read_from_der_and_ber_in_every_encoding() {
        for octets in [der(), ber()] {
            let text = Base64::encode_string(&octets);
            let (start, end) = text.split_at(10);
            for message in [
                octets,
                text.clone().into_bytes(),
                format!("{start}\r\n{end}\r\n\r\n").into_bytes(),
                format!("-----BEGIN PKCS7-----\n{text}\n-----END PKCS7-----\n").into_bytes(),
            ] {
                let found = read_certs_only(&message).unwrap();
                assert_eq!(found, [&[0x30, 1, 7][..], &[0x30, 2, 5, 0]]);
            }
        }
    }

    #[test]
    fn other_octets_are_refused_at_every_length() {
        for octets in [der(), ber()] {
            for cut in 0..octets.len() {
                // The end of the message is only a frame.
                let _ = read_certs_only(&octets[..cut]);
                for changed in [0, 0x1f, 0x80, 0xff] {
                    let mut other = octets.clone();
                    other[cut] = changed;
                    let _ = read_certs_only(&other);
                }
            }
        }
        let nested = [0x30, 0x80].repeat(100_000);
        assert!(read_certs_only(&nested).is_err());
        for (message, reason) in [
            (&b""[..], "no certificate"),
            (b"<html>", "neither Base64"),
            (b"MAA=", "not a certs-only"),
        ] {
            let refused = read_certs_only(message).unwrap_err();
            assert!(refused.contains(reason) || message.is_empty(), "{refused}");
        }
    }
}
