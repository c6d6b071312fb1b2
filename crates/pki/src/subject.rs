//! Distinguished names (RFC 5280 §4.1.2.4): reading the six attributes of the API, writing a name.

use std::borrow::Cow;

use certgate_model::SubjectFields;

use crate::csr_error::CsrError;
use crate::oid;
use crate::tlv::{self, Cursor, NotDer, Tlv, tag};

const MALFORMED: CsrError = CsrError::malformed("its subject is not a distinguished name");

/// Reads the attributes that the API shows from `name`, the content of a Name. Each must be text of
/// its string type. All other attributes must be DER, and the issuer copies them unchanged.
///
/// The members of a set may be in any order, although DER requires one: some encoders order them
/// wrongly, and the issuer must not reorder them, because verifiers compare names byte for byte.
pub(crate) fn read_name(name: &[u8]) -> Result<SubjectFields, CsrError> {
    let mut fields = SubjectFields::default();
    let mut rdns = Cursor::new(name);
    while !rdns.is_empty() {
        let mut rdn = rdns.inside(tag::SET).map_err(|_| MALFORMED)?;
        // RelativeDistinguishedName ::= SET SIZE (1..MAX) OF AttributeTypeAndValue
        if rdn.is_empty() {
            return Err(MALFORMED);
        }
        while !rdn.is_empty() {
            let (kind, value) = read_attribute(&mut rdn).map_err(|_| MALFORMED)?;
            let Some((attribute, field)) = field_of(&mut fields, kind) else {
                continue;
            };
            let text = read_text(value).ok_or(CsrError::SubjectUnreadable { attribute })?;
            if field.is_empty() {
                *field = text.into_owned();
            }
        }
    }
    Ok(fields)
}

/// Refuses a name, the content of a Name, with a control character (U+0000 to U+001F) in any text.
/// Programs in C read `admin` in `admin\0.device`.
pub(crate) fn refuse_controls(name: &[u8]) -> Result<(), CsrError> {
    let mut rdns = Cursor::new(name);
    while !rdns.is_empty() {
        let mut rdn = rdns.inside(tag::SET).map_err(|_| MALFORMED)?;
        while !rdn.is_empty() {
            let (kind, value) = read_attribute(&mut rdn).map_err(|_| MALFORMED)?;
            if let Some(control) = control_in(value) {
                let attribute = shown_attribute(kind);
                return Err(CsrError::ControlCharacter { attribute, control });
            }
        }
    }
    Ok(())
}

/// Names an attribute for a message.
fn shown_attribute(kind: &[u8]) -> String {
    let known = field_of(&mut SubjectFields::default(), kind).map(|(name, _)| name.to_owned());
    known.unwrap_or_else(|| format!("attribute {}", oid::shown(kind)))
}

/// Finds a control character in a text, or in the texts inside a constructed value.
fn control_in(value: Tlv<'_>) -> Option<u8> {
    let is_control = |octet: &u8| *octet < b' ';
    match value.tag {
        tag::UTF8_STRING
        | tag::NUMERIC_STRING
        | tag::PRINTABLE_STRING
        | tag::TELETEX_STRING
        | tag::IA5_STRING
        | tag::VISIBLE_STRING
        | tag::GENERAL_STRING => value.content.iter().copied().find(is_control),
        tag::BMP_STRING => wide_control::<2>(value.content),
        tag::UNIVERSAL_STRING => wide_control::<4>(value.content),
        constructed if constructed & 0x20 != 0 => {
            let mut inside = Cursor::new(value.content);
            std::iter::from_fn(|| inside.any().ok()).find_map(control_in)
        }
        _ => None,
    }
}

/// Names the first attribute of a name, the content of a Name, that OpenSSL cannot read: its value
/// has a type that OpenSSL does not expect in names, or is not text of its type. OpenSSL, and so
/// most proxies, then rejects the certificate as malformed.
pub(crate) fn unreadable_for_openssl(name: &[u8]) -> Option<String> {
    let mut rdns = Cursor::new(name);
    while let Ok(mut rdn) = rdns.inside(tag::SET) {
        while let Ok((kind, value)) = read_attribute(&mut rdn) {
            if !openssl_reads(value) {
                return Some(shown_attribute(kind));
            }
        }
    }
    None
}

fn openssl_reads(value: Tlv<'_>) -> bool {
    let content = value.content;
    match value.tag {
        tag::PRINTABLE_STRING
        | tag::NUMERIC_STRING
        | tag::TELETEX_STRING
        | tag::IA5_STRING
        | tag::BIT_STRING
        | tag::SEQUENCE => true,
        tag::UTF8_STRING => std::str::from_utf8(content).is_ok(),
        // Each unit is a character: surrogate pairs, which Windows writes, are none.
        tag::BMP_STRING => {
            let (units, rest) = content.as_chunks::<2>();
            let is_surrogate = |unit: &[u8; 2]| matches!(unit[0], 0xd8..=0xdf);
            rest.is_empty() && !units.iter().any(is_surrogate)
        }
        tag::UNIVERSAL_STRING => read_utf_32(content).is_some(),
        _ => false,
    }
}

fn wide_control<const WIDTH: usize>(content: &[u8]) -> Option<u8> {
    let (characters, _) = content.as_chunks::<WIDTH>();
    characters.iter().find_map(|octets| {
        let (last, before) = octets.split_last()?;
        (*last < b' ' && before.iter().all(|octet| *octet == 0)).then_some(*last)
    })
}

/// Reads `AttributeTypeAndValue ::= SEQUENCE { type OBJECT IDENTIFIER, value ANY }`.
pub(crate) fn read_attribute<'a>(rdn: &mut Cursor<'a>) -> Result<(&'a [u8], Tlv<'a>), NotDer> {
    let mut attribute = rdn.inside(tag::SEQUENCE)?;
    let kind = attribute.oid()?;
    let value = attribute.any()?;
    attribute.end()?;
    tlv::check_values(value.raw)?;
    Ok((kind, value))
}

/// A Name for comparison: for each set, its attributes in order, with their types.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ComparableName(Vec<Vec<(Vec<u8>, Vec<u8>)>>);

/// The letters whose case does not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LetterCase {
    Ascii,
    Unicode,
}

impl ComparableName {
    /// Reads a Name. Texts are equal regardless of string type, letter case and additional spaces
    /// (RFC 5280 §7.1).
    pub fn read(name: &[u8]) -> Result<Self, NotDer> {
        Self::read_as(name, LetterCase::Unicode)
    }

    /// Reads a Name like [`ComparableName::read`], with the letter case of these letters only.
    pub fn read_as(name: &[u8], case: LetterCase) -> Result<Self, NotDer> {
        let mut rdns = Cursor::new(name).inside(tag::SEQUENCE)?;
        let mut sets = Vec::new();
        while !rdns.is_empty() {
            let mut rdn = rdns.inside(tag::SET)?;
            let mut set = Vec::new();
            while !rdn.is_empty() {
                let (kind, value) = read_attribute(&mut rdn)?;
                let value = match read_text(value) {
                    Some(text) => {
                        let words: Vec<_> = text.split_whitespace().collect();
                        let words = words.join(" ");
                        let words = match case {
                            LetterCase::Ascii => words.to_ascii_lowercase(),
                            LetterCase::Unicode => words.to_lowercase(),
                        };
                        words.into_bytes()
                    }
                    None => value.raw.to_vec(),
                };
                set.push((kind.to_vec(), value));
            }
            set.sort_unstable();
            sets.push(set);
        }
        Ok(Self(sets))
    }

    /// Returns true if this name is `base`, or is below it.
    pub fn begins_with(&self, base: &Self) -> bool {
        self.0.starts_with(&base.0)
    }
}

fn field_of<'a>(
    fields: &'a mut SubjectFields,
    kind: &[u8],
) -> Option<(&'static str, &'a mut String)> {
    Some(match kind {
        oid::COMMON_NAME => ("common name (CN)", &mut fields.common_name),
        oid::COUNTRY => ("country (C)", &mut fields.country),
        oid::STATE => ("state (ST)", &mut fields.state),
        oid::LOCALITY => ("location (L)", &mut fields.location),
        oid::ORGANIZATION => ("organization (O)", &mut fields.organization),
        oid::ORGANIZATIONAL_UNIT => ("organizational unit (OU)", &mut fields.organizational_unit),
        _ => return None,
    })
}

/// Reads the text of a DirectoryString or IA5String; `None` if `value` is malformed or of another
/// type.
pub(crate) fn read_text(value: Tlv<'_>) -> Option<Cow<'_, str>> {
    let content = value.content;
    match value.tag {
        tag::UTF8_STRING => std::str::from_utf8(content).ok().map(Cow::Borrowed),
        // Programs put any text into these strings, in the encoding of their system.
        tag::PRINTABLE_STRING | tag::IA5_STRING | tag::NUMERIC_STRING | tag::VISIBLE_STRING => {
            Some(match std::str::from_utf8(content) {
                Ok(text) => Cow::Borrowed(text),
                Err(_) => latin_1(content),
            })
        }
        // Implementations put Latin-1 instead of T.61 into these strings.
        tag::TELETEX_STRING => Some(latin_1(content)),
        tag::BMP_STRING => read_utf_16(content),
        tag::UNIVERSAL_STRING => read_utf_32(content),
        _ => None,
    }
}

fn latin_1(content: &[u8]) -> Cow<'static, str> {
    content.iter().copied().map(char::from).collect()
}

/// Reads a BMPString. The standard has no surrogate pairs in it, but Windows writes them.
fn read_utf_16(content: &[u8]) -> Option<Cow<'static, str>> {
    let (units, []) = content.as_chunks::<2>() else {
        return None;
    };
    let units = units.iter().copied().map(u16::from_be_bytes);
    char::decode_utf16(units).map(Result::ok).collect()
}

fn read_utf_32(content: &[u8]) -> Option<Cow<'static, str>> {
    let (characters, []) = content.as_chunks::<4>() else {
        return None;
    };
    let numbers = characters.iter().copied().map(u32::from_be_bytes);
    numbers.map(char::from_u32).collect()
}

/// An attribute to be written.
pub(crate) struct NewAttribute<'a> {
    /// Its type, the content of an object identifier.
    pub kind: &'static [u8],
    /// The tag of its string type.
    pub string_tag: u8,
    pub text: &'a str,
}

impl<'a> NewAttribute<'a> {
    pub fn utf8(kind: &'static [u8], text: &'a str) -> Self {
        Self {
            kind,
            string_tag: tag::UTF8_STRING,
            text,
        }
    }
}

/// Appends a Name with one attribute in each set.
pub(crate) fn write_name(out: &mut Vec<u8>, attributes: &[NewAttribute<'_>]) {
    tlv::write_with(out, tag::SEQUENCE, |out| {
        for attribute in attributes {
            tlv::write_with(out, tag::SET, |out| {
                tlv::write_with(out, tag::SEQUENCE, |out| {
                    tlv::write(out, tag::OID, attribute.kind);
                    tlv::write(out, attribute.string_tag, attribute.text.as_bytes());
                });
            });
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Encodes the content of a Name with one common name.
    fn common_name(string_tag: u8, content: &[u8]) -> Vec<u8> {
        let mut out = vec![];
        tlv::write_with(&mut out, tag::SET, |out| {
            tlv::write_with(out, tag::SEQUENCE, |out| {
                tlv::write(out, tag::OID, oid::COMMON_NAME);
                tlv::write(out, string_tag, content);
            });
        });
        out
    }

    #[test]
    fn read_name_reads_every_string_type() {
        for (string_tag, content) in [
            (tag::UTF8_STRING, "Zoë".as_bytes()),
            (tag::TELETEX_STRING, b"Zo\xeb"),
            (tag::BMP_STRING, &[0, b'Z', 0, b'o', 0, 0xeb]),
            (
                tag::UNIVERSAL_STRING,
                &[0, 0, 0, b'Z', 0, 0, 0, b'o', 0, 0, 0, 0xeb],
            ),
        ] {
            assert_eq!(
                read_name(&common_name(string_tag, content))
                    .unwrap()
                    .common_name,
                "Zoë"
            );
        }
        for string_tag in [
            tag::PRINTABLE_STRING,
            tag::IA5_STRING,
            tag::NUMERIC_STRING,
            tag::VISIBLE_STRING,
        ] {
            assert_eq!(
                read_name(&common_name(string_tag, b"*.x"))
                    .unwrap()
                    .common_name,
                "*.x"
            );
        }
    }

    #[test]
    fn read_name_shows_what_programs_put_into_ascii_strings() {
        for string_tag in [
            tag::PRINTABLE_STRING,
            tag::IA5_STRING,
            tag::NUMERIC_STRING,
            tag::VISIBLE_STRING,
        ] {
            for content in ["Zoë".as_bytes(), b"Zo\xeb"] {
                let name = common_name(string_tag, content);
                assert_eq!(read_name(&name).unwrap().common_name, "Zoë");
            }
        }
        let emoji = common_name(tag::BMP_STRING, &[0, b'a', 0xd8, 0x3d, 0xde, 0x00]);
        assert_eq!(read_name(&emoji).unwrap().common_name, "a\u{1f600}");
    }

    #[test]
    fn refuse_controls_finds_them_in_every_text() {
        let unknown = |string_tag, content: &[u8]| {
            let mut name = common_name(string_tag, content);
            name[8] = 5; // serialNumber in place of the common name
            name
        };
        let nested = [&[tag::SEQUENCE, 5, tag::UTF8_STRING, 3][..], b"a\0b"].concat();
        for (name, attribute) in [
            (common_name(tag::UTF8_STRING, b"a\0b"), "common name (CN)"),
            (common_name(tag::BMP_STRING, b"\0a\0\0"), "common name (CN)"),
            (unknown(tag::PRINTABLE_STRING, b"a\0b"), "attribute 2.5.4.5"),
            (unknown(tag::GENERAL_STRING, b"a\0b"), "attribute 2.5.4.5"),
            (
                unknown(tag::UNIVERSAL_STRING, b"\0\0\0\0"),
                "attribute 2.5.4.5",
            ),
            (unknown(tag::SEQUENCE, &nested), "attribute 2.5.4.5"),
        ] {
            let attribute = attribute.to_owned();
            let control = 0;
            let error = CsrError::ControlCharacter { attribute, control };
            assert_eq!(refuse_controls(&name), Err(error));
        }
        for control in 0..b' ' {
            let name = common_name(tag::IA5_STRING, &[b'a', control]);
            assert!(refuse_controls(&name).is_err(), "{control}");
        }
        for name in [
            common_name(tag::UTF8_STRING, "a\u{7f}ë ".as_bytes()),
            common_name(tag::BMP_STRING, b"\x01\x00"),
            unknown(tag::OCTET_STRING, b"\0"),
            unknown(tag::BIT_STRING, b"\0\0"),
        ] {
            assert_eq!(refuse_controls(&name), Ok(()), "{name:x?}");
        }
    }

    #[test]
    fn read_name_names_an_attribute_that_is_not_text() {
        for (string_tag, content) in [
            (tag::UTF8_STRING, &b"\xff"[..]),
            (tag::BMP_STRING, b"odd"),
            (tag::BMP_STRING, &[0xd8, 0x00]),
            (tag::UNIVERSAL_STRING, &[0, 0x11, 0, 0]),
            (tag::OCTET_STRING, b"octets"),
        ] {
            assert_eq!(
                read_name(&common_name(string_tag, content)),
                Err(CsrError::SubjectUnreadable {
                    attribute: "common name (CN)"
                })
            );
        }
    }

    #[test]
    fn read_name_rejects_all_but_sets_of_attributes() {
        for name in [
            &[0x31, 0x00][..],                                             // empty set
            &[0x30, 0x00],             // sequence in place of a set
            &[0x31, 0x02, 0x30, 0x00], // attribute without a type
            &[0x31, 0x07, 0x30, 0x05, 0x06, 0x03, 0x55, 0x04, 0x03], // without a value
            &[0x31, 0x09, 0x30, 0x07, 0x06, 0x01, 0x55, 5, 0, 5, 0], // with two values
            &[0x31, 0x08, 0x30, 0x06, 0x06, 0x01, 0x55, 0x30, 0x01, 0x02], // malformed value
        ] {
            assert_eq!(read_name(name), Err(MALFORMED), "{name:02x?}");
        }
        assert_eq!(
            read_name(&[]),
            Ok(SubjectFields::default()),
            "an empty subject is accepted"
        );
    }

    #[test]
    fn read_name_returns_the_first_value_of_each_type() {
        let two = [
            common_name(tag::UTF8_STRING, b"first"),
            common_name(tag::UTF8_STRING, b"second"),
        ]
        .concat();
        assert_eq!(read_name(&two).unwrap().common_name, "first");
    }
}
