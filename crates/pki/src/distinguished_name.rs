//! The text form of distinguished names (RFC 2253), in which the API shows issuers.

use std::fmt::Write as _;

use certgate_model::Hex;
use der::oid::ObjectIdentifier;

use crate::oid;
use crate::subject::{read_attribute, read_text};
use crate::tlv::{Cursor, NotDer, Tlv, tag};

/// Writes the text of a Name from its content: the last RDN first, separated by `,` without a
/// space.
pub(crate) fn rfc_2253(content: &[u8]) -> Result<String, NotDer> {
    let mut rdns = Vec::new();
    let mut cursor = Cursor::new(content);
    while !cursor.is_empty() {
        let mut rdn = cursor.inside(tag::SET)?;
        let mut attributes = Vec::new();
        while !rdn.is_empty() {
            let (kind, value) = read_attribute(&mut rdn)?;
            attributes.push(attribute(kind, value));
        }
        // RelativeDistinguishedName ::= SET SIZE (1..MAX) OF AttributeTypeAndValue
        if attributes.is_empty() {
            return Err(NotDer);
        }
        rdns.push(attributes.join("+"));
    }
    rdns.reverse();
    Ok(rdns.join(","))
}

/// Writes the text of a Name from its content as old versions of OpenSSL do: `/C=US/CN=name`, the
/// first RDN first. Octets outside of printable ASCII are `\x` and two hexadecimal digits.
pub(crate) fn legacy(content: &[u8]) -> Result<String, NotDer> {
    let mut text = String::new();
    let mut cursor = Cursor::new(content);
    while !cursor.is_empty() {
        let mut rdn = cursor.inside(tag::SET)?;
        while !rdn.is_empty() {
            let (kind, value) = read_attribute(&mut rdn)?;
            let dotted = ObjectIdentifier::<39>::from_bytes(kind).map(|id| id.to_string());
            let keyword = keyword(kind).or(dotted.as_deref().ok()).unwrap_or("0.0");
            write!(text, "/{keyword}=").expect("writing to a String cannot fail");
            let shown = read_text(value);
            let octets = shown.as_deref().map_or(value.content, str::as_bytes);
            for octet in octets {
                match octet {
                    b' '..=b'~' => text.push(char::from(*octet)),
                    _ => write!(text, "\\x{octet:02X}").expect("writing to a String cannot fail"),
                }
            }
        }
    }
    Ok(text)
}

/// The keyword of an attribute type (RFC 2253 §2.3).
fn keyword(kind: &[u8]) -> Option<&'static str> {
    Some(match kind {
        oid::COMMON_NAME => "CN",
        oid::LOCALITY => "L",
        oid::STATE => "ST",
        oid::ORGANIZATION => "O",
        oid::ORGANIZATIONAL_UNIT => "OU",
        oid::COUNTRY => "C",
        oid::STREET => "STREET",
        oid::DOMAIN_COMPONENT => "DC",
        oid::USER_ID => "UID",
        _ => return None,
    })
}

/// Writes one attribute. RFC 2253 §2.3 and §2.4: a type in the table has its keyword and a string.
/// Other types, and values that are not strings, are `#` and the hexadecimal digits of the
/// encoding.
fn attribute(kind: &[u8], value: Tlv<'_>) -> String {
    let Some(keyword) = keyword(kind) else {
        let dotted = ObjectIdentifier::<39>::from_bytes(kind).map(|id| id.to_string());
        // Identifiers of more than 39 octets are not in use.
        let dotted = dotted.as_deref().unwrap_or("0.0");
        return format!("{dotted}=#{}", Hex(value.raw));
    };
    match read_text(value) {
        Some(text) => format!("{keyword}={}", escaped(&text)),
        None => format!("{keyword}=#{}", Hex(value.raw)),
    }
}

/// Escapes a value. RFC 2253 §2.4: a space or `#` at the beginning, a space at the end, and
/// `,+"\<>;` get a backslash. Control characters are written as their octets, which the section
/// allows for any character.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let last = text.chars().count().saturating_sub(1);
    for (place, character) in text.chars().enumerate() {
        match character {
            ' ' if place == 0 || place == last => out.push_str("\\ "),
            '#' if place == 0 => out.push_str("\\#"),
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' => {
                out.push('\\');
                out.push(character);
            }
            control if control.is_control() => {
                for octet in control.encode_utf8(&mut [0; 4]).bytes() {
                    write!(out, "\\{octet:02X}").expect("writing to a String cannot fail");
                }
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tlv;

    /// An attribute: type, tag of the string type, and content.
    type Attribute<'a> = (&'a [u8], u8, &'a [u8]);

    fn name(attributes: &[&[Attribute<'_>]]) -> String {
        let mut content = Vec::new();
        for rdn in attributes {
            tlv::write_with(&mut content, tag::SET, |out| {
                for (kind, string_tag, text) in *rdn {
                    tlv::write_with(out, tag::SEQUENCE, |out| {
                        tlv::write(out, tag::OID, kind);
                        tlv::write(out, *string_tag, text);
                    });
                }
            });
        }
        rfc_2253(&content).unwrap()
    }

    #[test]
    fn rfc_2253_writes_the_last_rdn_first_and_escapes_special_characters() {
        let utf8 = tag::UTF8_STRING;
        assert_eq!(name(&[]), "");
        let plain: &[&[Attribute<'_>]] = &[
            &[(oid::COUNTRY, tag::PRINTABLE_STRING, b"US")],
            &[(oid::ORGANIZATION, utf8, b"Sue, Grabbit and Runn")],
            &[
                (oid::ORGANIZATIONAL_UNIT, utf8, b"Sales"),
                (oid::COMMON_NAME, utf8, b"J. Smith"),
            ],
        ];
        assert_eq!(
            name(plain),
            "OU=Sales+CN=J. Smith,O=Sue\\, Grabbit and Runn,C=US"
        );
        for (text, shown) in [
            ("", ""),
            (" ", "\\ "),
            (" a b ", "\\ a b\\ "),
            ("#a#", "\\#a#"),
            ("a+\"\\<>;=", "a\\+\\\"\\\\\\<\\>\\;="),
            ("K\u{f6}ln", "K\u{f6}ln"),
            ("a\rb\u{0}", "a\\0Db\\00"),
        ] {
            assert_eq!(
                name(&[&[(oid::COMMON_NAME, utf8, text.as_bytes())]]),
                format!("CN={shown}")
            );
        }
        // RFC 2253 §5: an attribute without a keyword.
        let example: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x8b, 0x3a, 0x00];
        assert_eq!(
            name(&[&[(example, 4, b"Hi")]]),
            "1.3.6.1.4.1.1466.0=#04024869"
        );
        assert_eq!(
            name(&[&[(oid::COMMON_NAME, tag::INTEGER, &[5])]]),
            "CN=#020105"
        );
        assert!(rfc_2253(&[tag::SET, 0]).is_err());
    }
}
