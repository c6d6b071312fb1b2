//! The forms of files: text in UTF-8 or UTF-16, DER, and Base64 of any of them.

use std::borrow::Cow;

use zeroize::{Zeroize as _, Zeroizing};

use crate::pem::{Block, begins_private_key, decode_base64, pem_lines};
use crate::tlv::{Cursor, NotDer, tag};

/// The content of a file.
pub(crate) enum FileForm<'a> {
    /// Text, in UTF-8 or UTF-16.
    Text(Cow<'a, str>),
    /// A known structure in DER.
    Der(DerKind),
    /// A PKCS #12 file (RFC 7292).
    Pkcs12,
    /// Something else.
    Unknown,
}

/// The structures in DER that have a PEM label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DerKind {
    Request,
    Certificate,
    PublicKey,
    Pkcs7,
    /// PKCS #8.
    PrivateKey,
    /// PKCS #8 with a passphrase.
    EncryptedPrivateKey,
    /// PKCS #1.
    RsaPrivateKey,
    /// SEC 1.
    EcPrivateKey,
}

impl DerKind {
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Request => "CERTIFICATE REQUEST",
            Self::Certificate => "CERTIFICATE",
            Self::PublicKey => "PUBLIC KEY",
            Self::Pkcs7 => "PKCS7",
            Self::PrivateKey => "PRIVATE KEY",
            Self::EncryptedPrivateKey => "ENCRYPTED PRIVATE KEY",
            Self::RsaPrivateKey => "RSA PRIVATE KEY",
            Self::EcPrivateKey => "EC PRIVATE KEY",
        }
    }

    pub(crate) const fn is_private_key(self) -> bool {
        match self {
            Self::Request | Self::Certificate | Self::PublicKey | Self::Pkcs7 => false,
            Self::PrivateKey
            | Self::EncryptedPrivateKey
            | Self::RsaPrivateKey
            | Self::EcPrivateKey => true,
        }
    }

    /// Recognises a structure by its first values. `content` is that of the outer SEQUENCE.
    fn of(mut content: Cursor<'_>) -> Result<Option<Self>, NotDer> {
        let first = content.any_length()?;
        Ok(match first.tag {
            // ContentInfo ::= SEQUENCE { contentType OBJECT IDENTIFIER, … } (RFC 2315 §7)
            tag::OID => Some(Self::Pkcs7),
            tag::INTEGER => match (first.content, content.any_length()?.tag) {
                ([0 | 1], tag::SEQUENCE) => Some(Self::PrivateKey),
                ([1], tag::OCTET_STRING) => Some(Self::EcPrivateKey),
                ([0 | 1], tag::INTEGER) => Some(Self::RsaPrivateKey),
                _ => None,
            },
            tag::SEQUENCE => {
                let mut inside = Cursor::new(first.content);
                match (inside.any_length()?.tag, content.any_length()?.tag) {
                    (tag::OID, tag::BIT_STRING) => Some(Self::PublicKey),
                    (tag::OID, tag::OCTET_STRING) => Some(Self::EncryptedPrivateKey),
                    (tag::CONTEXT_0_CONSTRUCTED, _) => Some(Self::Certificate),
                    // A request has version, subject and key. A certificate of version 1 has serial
                    // number, algorithm, issuer and validity.
                    (tag::INTEGER, tag::SEQUENCE) => {
                        let (_, _) = (inside.any_length()?, inside.any_length()?);
                        let fourth = inside.optional_any_length(tag::SEQUENCE)?;
                        Some(fourth.map_or(Self::Request, |_| Self::Certificate))
                    }
                    _ => None,
                }
            }
            _ => None,
        })
    }
}

impl<'a> FileForm<'a> {
    /// Recognises the form of the octets of a file.
    pub(crate) fn of(octets: &'a [u8]) -> Self {
        if octets.first() == Some(&tag::SEQUENCE)
            && let Ok(outer) = Cursor::new(octets).any_length()
        {
            let content = Cursor::new(outer.content);
            // PFX ::= SEQUENCE { version INTEGER { v3(3) }, … } (RFC 7292 §4)
            if outer.content.starts_with(&[tag::INTEGER, 1, 3]) {
                return Self::Pkcs12;
            }
            if let Ok(Some(kind)) = DerKind::of(content) {
                return Self::Der(kind);
            }
        }
        match (octets, std::str::from_utf8(octets)) {
            ([0xff, 0xfe, text @ ..], _) => wide(text, u16::from_le_bytes),
            ([0xfe, 0xff, text @ ..], _) => wide(text, u16::from_be_bytes),
            ([1..=0x7f, 0, ..], _) => wide(octets, u16::from_le_bytes),
            ([0, 1..=0x7f, ..], _) => wide(octets, u16::from_be_bytes),
            (_, Ok(text)) => Self::Text(Cow::Borrowed(text)),
            // Comments of another encoding do not make a PEM file unreadable.
            _ if contains(octets, b"-----BEGIN ") => Self::Text(String::from_utf8_lossy(octets)),
            _ => Self::Unknown,
        }
    }
}

fn contains(octets: &[u8], part: &[u8]) -> bool {
    octets.windows(part.len()).any(|found| found == part)
}

/// Reads UTF-16. A last odd octet is a line end that a program added.
fn wide(octets: &[u8], unit: fn([u8; 2]) -> u16) -> FileForm<'static> {
    let (pairs, _) = octets.as_chunks::<2>();
    let mut text = String::with_capacity(octets.len() * 2);
    for character in char::decode_utf16(pairs.iter().map(|pair| unit(*pair))) {
        match character {
            Ok(character) => text.push(character),
            Err(_) => {
                text.zeroize();
                return FileForm::Unknown;
            }
        }
    }
    FileForm::Text(Cow::Owned(text))
}

/// The reasons not to read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// A PKCS #12 file has a private key beside the certificates.
    #[error("it is a PKCS #12 file")]
    Pkcs12,
    /// The form is not known.
    #[error("it is neither PEM nor a request, certificate or key in DER")]
    Unknown,
}

/// Reads the octets of a file with a request, certificates or a key: text in UTF-8 or UTF-16 stays
/// as it is, DER becomes PEM. The text may have a private key: see [`holds_private_key`].
pub fn pem_of_file(octets: &[u8]) -> Result<Zeroizing<String>, FileError> {
    match FileForm::of(octets) {
        FileForm::Text(text) => Ok(Zeroizing::new(text.into_owned())),
        FileForm::Der(kind) => Ok(Zeroizing::new(pem_lines(kind.label(), octets) + "\n")),
        FileForm::Pkcs12 => Err(FileError::Pkcs12),
        FileForm::Unknown => Err(FileError::Unknown),
    }
}

/// Returns true if a text has a private key: in PEM or another text form, in Base64, or in Base64
/// around the PEM blocks of the text.
pub fn holds_private_key(text: &str) -> bool {
    begins_private_key(text)
        || match Block::all(text) {
            Ok(blocks) => blocks
                .iter()
                .any(|block| is_private_base64(block.before) || is_private_base64(block.after)),
            Err(_) => is_private_base64(text),
        }
}

/// Returns true if a text, or consecutive lines of it, are Base64 of a private key.
pub(crate) fn is_private_base64(text: &str) -> bool {
    let is_encoded = |line: &&str| {
        let mut octets = line.trim().bytes();
        octets.all(|octet| octet.is_ascii_alphanumeric() || b"+/=-_".contains(&octet))
    };
    let lines: Vec<_> = text.lines().collect();
    let runs = lines.chunk_by(|one, next| is_encoded(one) && is_encoded(next));
    is_private(text) || runs.map(|run| run.concat()).any(|run| is_private(&run))
}

fn is_private(base64: &str) -> bool {
    let Some(octets) = decode_base64(base64).map(Zeroizing::new) else {
        return false;
    };
    match FileForm::of(&octets) {
        FileForm::Text(inside) => begins_private_key(&inside),
        FileForm::Der(kind) => kind.is_private_key(),
        FileForm::Pkcs12 => true,
        FileForm::Unknown => false,
    }
}

#[cfg(test)]
mod tests {
    use certgate_model::{KeyAlgorithm, SubjectFields};

    use super::*;
    use crate::client::ClientKey;

    fn utf16(text: &str, octets: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(octets).collect()
    }

    #[test]
    fn requests_are_read_in_every_form() {
        let key = ClientKey::generate(KeyAlgorithm::P256).unwrap();
        let text = key.request(&SubjectFields::default()).unwrap();
        let der = decode_base64(
            &text
                .lines()
                .filter(|line| !line.contains('-'))
                .collect::<String>(),
        );
        let bom = format!("\u{feff}{text}");
        let crlf = text.replace('\n', "\r\n");
        for octets in [
            der.unwrap(),
            utf16(&text, u16::to_le_bytes),
            utf16(&text, u16::to_be_bytes),
            utf16(&bom, u16::to_le_bytes),
            utf16(&bom, u16::to_be_bytes),
            [utf16(&bom, u16::to_le_bytes), vec![b'\n']].concat(),
            utf16(&crlf, u16::to_le_bytes),
            [b"# Zo\xeb\n", text.as_bytes()].concat(),
            bom.clone().into_bytes(),
        ] {
            let read = pem_of_file(&octets).unwrap();
            assert!(crate::read_csr(&read).is_ok(), "{read:?}");
            assert!(!holds_private_key(&read));
        }
        for octets in [
            &b"\x30\x82\xff"[..],
            b"\xff\xfe\0\xd8",
            b"\xff\xd8\xff",
            b"\x30\x05\x04\x03\xff\xff\xff",
        ] {
            assert_eq!(
                pem_of_file(octets).err(),
                Some(FileError::Unknown),
                "{octets:?}"
            );
        }
        assert_eq!(
            pem_of_file(b"\x30\x05\x02\x01\x03\x30\x00").err(),
            Some(FileError::Pkcs12)
        );
    }

    #[test]
    fn private_keys_are_recognised_in_every_form() {
        let key = ClientKey::generate(KeyAlgorithm::P256).unwrap();
        let (der, pem) = (key.to_pkcs8_der(), key.to_pkcs8_pem());
        let request = key.request(&SubjectFields::default()).unwrap();
        assert!(!holds_private_key(&format!("a\n{request}b\n\nMAMCAQQ=")));
        let base64 = |octets: &[u8]| {
            let lines = pem_lines("X", octets);
            lines
                .lines()
                .filter(|line| !line.contains('-'))
                .collect::<Vec<_>>()
                .join("\n")
        };
        for octets in [
            der.to_vec(),
            pem.as_bytes().to_vec(),
            utf16(&pem, u16::to_le_bytes),
            base64(&der).into_bytes(),
            base64(pem.as_bytes()).into_bytes(),
            base64(&utf16(&pem, u16::to_le_bytes)).into_bytes(),
            format!("{request}# its key:\n{}\n# end", base64(&der)).into_bytes(),
            format!("{}\n\n{request}", base64(&der)).into_bytes(),
        ] {
            assert!(
                holds_private_key(&pem_of_file(&octets).unwrap()),
                "{octets:?}"
            );
        }
    }
}
