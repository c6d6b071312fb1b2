//! Decoding of the texts that carry certificates: percent-encoding, Base64 and PEM.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::unreadable::{CERTIFICATES_MAX, Unreadable};

/// Decodes percent-encoded text (RFC 3986 §2.1). A plus sign stays a plus sign, which Base64 uses.
pub(super) fn percent(text: &[u8]) -> Result<Vec<u8>, Unreadable> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.iter().position(|octet| *octet == b'%') {
        let (plain, escaped) = rest.split_at(at);
        decoded.extend_from_slice(plain);
        let [_, high, low, after @ ..] = escaped else {
            return Err(Unreadable::Percent);
        };
        let digit = |octet: u8| {
            char::from(octet)
                .to_digit(16)
                .and_then(|d| u8::try_from(d).ok())
        };
        let (Some(high), Some(low)) = (digit(*high), digit(*low)) else {
            return Err(Unreadable::Percent);
        };
        decoded.push(high << 4 | low);
        rest = after;
    }
    decoded.extend_from_slice(rest);
    Ok(decoded)
}

/// Decodes padded Base64 of one line (RFC 4648 §4). The empty text is not a certificate.
pub(super) fn base64(text: &[u8]) -> Result<Vec<u8>, Unreadable> {
    match STANDARD.decode(text) {
        Ok(der) if !der.is_empty() => Ok(der),
        _ => Err(Unreadable::Base64),
    }
}

/// Reads the certificates of a PEM text, of which there must be one or more.
pub(super) fn pem(text: &[u8]) -> Result<Vec<Vec<u8>>, Unreadable> {
    let mut certificates = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(text) {
        let certificate = certificate.map_err(|_| Unreadable::Pem)?;
        if certificates.len() == CERTIFICATES_MAX {
            return Err(Unreadable::TooMany);
        }
        certificates.push(certificate.to_vec());
    }
    match certificates.is_empty() {
        true => Err(Unreadable::Pem),
        false => Ok(certificates),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded_and_incomplete_ones_are_refused() {
        assert_eq!(percent(b"a%20b%2b+%2F%00").unwrap(), b"a b++/\0");
        for wrong in ["%", "a%2", "%2x", "%x2", "%%20", "%+1", "% 1"] {
            assert_eq!(
                percent(wrong.as_bytes()),
                Err(Unreadable::Percent),
                "{wrong}"
            );
        }
    }

    #[test]
    fn base64_is_padded_and_has_no_spaces() {
        assert_eq!(base64(b"AAEC").unwrap(), [0, 1, 2]);
        assert_eq!(base64(b"+/8=").unwrap(), [0xfb, 0xff]);
        for wrong in [
            "",
            "AAE",
            "AAEC\n",
            " AAEC",
            "-_8=",
            "AB==",
            "AAEC=",
            "AA\u{e9}C",
        ] {
            assert_eq!(
                base64(wrong.as_bytes()),
                Err(Unreadable::Base64),
                "{wrong:?}"
            );
        }
    }
}
