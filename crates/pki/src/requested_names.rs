//! The names that a request asks for beside its subject. A certificate does not have them, and the
//! requester must know.

use core::net::{Ipv4Addr, Ipv6Addr};

use crate::oid;
use crate::subject::read_text;
use crate::tlv::{Cursor, NotDer, Tlv, tag};

/// Most names that an answer shows. A request of 16 KiB can have a thousand.
const NAMES_MAX: usize = 10;

/// Most characters of a name that an answer shows: a DNS name has at most 253.
const NAME_CHARS_MAX: usize = 80;

/// Lists names in the attributes of a request, which may have any content: the rest after a value
/// that cannot be read is skipped.
pub(crate) fn requested_names(attributes: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    let mut attributes = Cursor::new(attributes);
    while let Ok(attribute) = attributes.any_length() {
        // An attribute that cannot be read may follow one with names.
        let _ = read_attribute(attribute, &mut names);
    }
    let more = names.len().saturating_sub(NAMES_MAX);
    names.truncate(NAMES_MAX);
    if more > 0 {
        names.push(format!("and {more} more"));
    }
    names
}

fn read_attribute(attribute: Tlv<'_>, names: &mut Vec<String>) -> Result<(), NotDer> {
    let mut attribute = Cursor::new(attribute.content);
    let kind = attribute.expect_any_length(tag::OID)?.content;
    let mut values = Cursor::new(attribute.any_length()?.content);
    while let Ok(value) = values.any_length() {
        match kind {
            oid::EXTENSION_REQUEST | oid::MICROSOFT_EXTENSIONS => {
                let mut extensions = Cursor::new(value.content);
                while let Ok(extension) = extensions.any_length() {
                    let _ = read_extension(extension, names);
                }
            }
            oid::UNSTRUCTURED_NAME => push(names, "unstructuredName", text(value)),
            oid::UNSTRUCTURED_ADDRESS => push(names, "unstructuredAddress", text(value)),
            _ => {}
        }
    }
    Ok(())
}

fn read_extension(extension: Tlv<'_>, names: &mut Vec<String>) -> Result<(), NotDer> {
    let mut extension = Cursor::new(extension.content);
    if extension.expect_any_length(tag::OID)?.content != oid::SUBJECT_ALT_NAME {
        return Ok(());
    }
    extension.optional_any_length(tag::BOOLEAN)?;
    let value = extension.expect_any_length(tag::OCTET_STRING)?;
    let before = names.len();
    if let Ok(alternative) = Cursor::new(value.content).expect_any_length(tag::SEQUENCE) {
        let mut alternatives = Cursor::new(alternative.content);
        while let Ok(name) = alternatives.any_length() {
            let (kind, shown) = general_name(name);
            push(names, kind, shown);
        }
    }
    if names.len() == before {
        names.push("subjectAltName (it cannot be read)".to_owned());
    }
    Ok(())
}

/// Names the kind of a GeneralName (RFC 5280 §4.2.1.6), and its text if it has one.
fn general_name(name: Tlv<'_>) -> (&'static str, Option<String>) {
    let plain = || Some(String::from_utf8_lossy(name.content).into_owned());
    match name.tag {
        0x81 => ("email", plain()),
        0x82 => ("DNS", plain()),
        tag::CONTEXT_6 => ("URI", plain()),
        0x87 => ("IP", address(name.content)),
        0x88 => ("registered ID", Some(oid::shown(name.content))),
        0xa4 => ("directory name", None),
        tag::CONTEXT_0_CONSTRUCTED => other_name(name.content).unwrap_or(("other name", None)),
        _ => ("name of another kind", None),
    }
}

fn address(octets: &[u8]) -> Option<String> {
    let four = <[u8; 4]>::try_from(octets).map(|octets| Ipv4Addr::from(octets).to_string());
    let sixteen = <[u8; 16]>::try_from(octets).map(|octets| Ipv6Addr::from(octets).to_string());
    four.or(sixteen).ok()
}

/// OtherName ::= SEQUENCE { type-id OBJECT IDENTIFIER, value [0] EXPLICIT ANY }
fn other_name(content: &[u8]) -> Result<(&'static str, Option<String>), NotDer> {
    let mut name = Cursor::new(content);
    let kind = name.oid()?;
    let mut value = Cursor::new(name.any_length()?.content);
    Ok(match kind {
        oid::USER_PRINCIPAL_NAME => ("user principal name", text(value.any_length()?)),
        other => ("other name", Some(oid::shown(other))),
    })
}

fn text(value: Tlv<'_>) -> Option<String> {
    read_text(value).map(|text| text.into_owned())
}

/// Adds a name in a short printable form.
fn push(names: &mut Vec<String>, kind: &str, text: Option<String>) {
    let text = text.map(|text| {
        let shown: String = text
            .chars()
            .take(NAME_CHARS_MAX)
            .flat_map(char::escape_debug)
            .collect();
        let rest = if text.chars().nth(NAME_CHARS_MAX).is_some() {
            "…"
        } else {
            ""
        };
        format!("{shown}{rest}")
    });
    names.push(match text {
        Some(text) => format!("{kind}:{text}"),
        None => kind.to_owned(),
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tlv::write;

    fn value(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out, tag, &parts.concat());
        out
    }

    fn extension_request(kind: &[u8], alternatives: &[u8]) -> Vec<u8> {
        let alternative = value(tag::SEQUENCE, &[alternatives]);
        let id = value(tag::OID, &[oid::SUBJECT_ALT_NAME]);
        let extension = value(
            tag::SEQUENCE,
            &[&id, &value(tag::OCTET_STRING, &[&alternative])],
        );
        let extensions = value(tag::SET, &[&value(tag::SEQUENCE, &[&extension])]);
        value(tag::SEQUENCE, &[&value(tag::OID, &[kind]), &extensions])
    }

    #[test]
    fn names_of_every_kind_are_short_and_printable() {
        let upn = value(
            tag::CONTEXT_0_CONSTRUCTED,
            &[&value(tag::UTF8_STRING, &[b"u@example"])],
        );
        let other = value(
            tag::CONTEXT_0_CONSTRUCTED,
            &[&value(tag::OID, &[oid::USER_PRINCIPAL_NAME]), &upn],
        );
        let long = "x".repeat(100);
        let alternatives = [
            value(0x82, &[b"a.example"]),
            value(0x81, &[b"a\x1b[2J@example"]),
            value(0x86, &[long.as_bytes()]),
            value(0x87, &[&[10, 0, 0, 1]]),
            value(0x87, &[&[0; 16]]),
            value(0x87, &[&[1]]),
            other,
        ]
        .concat();
        for kind in [oid::EXTENSION_REQUEST, oid::MICROSOFT_EXTENSIONS] {
            let names = requested_names(&extension_request(kind, &alternatives));
            assert_names(&names);
        }
        fn assert_names(names: &[String]) {
            let long = format!("URI:{}…", "x".repeat(80));
            let expected = [
                "DNS:a.example",
                "email:a\\u{1b}[2J@example",
                &long,
                "IP:10.0.0.1",
                "IP:::",
                "IP",
                "user principal name:u@example",
            ];
            assert_eq!(names, expected);
        }
        let many: Vec<u8> = (0..15).flat_map(|_| value(0x82, &[b"a"])).collect();
        let names = requested_names(&extension_request(oid::EXTENSION_REQUEST, &many));
        assert_eq!((names.len(), names[10].as_str()), (11, "and 5 more"));
    }

    #[test]
    fn names_are_found_beside_what_cannot_be_read() {
        let good = extension_request(oid::EXTENSION_REQUEST, &value(0x82, &[b"a"]));
        let unreadable = extension_request(oid::EXTENSION_REQUEST, &[]);
        let unstructured = value(
            tag::SEQUENCE,
            &[
                &value(tag::OID, &[oid::UNSTRUCTURED_NAME]),
                &value(tag::SET, &[&value(tag::PRINTABLE_STRING, &[b"router"])]),
            ],
        );
        let attributes = [
            &value(0xbf, &[b"?"]),
            &unreadable,
            &unstructured,
            &good,
            &vec![0x30],
        ];
        let attributes = attributes.map(|part| &part[..]).concat();
        assert_eq!(
            requested_names(&attributes),
            [
                "subjectAltName (it cannot be read)",
                "unstructuredName:router",
                "DNS:a"
            ]
        );
        assert_eq!(requested_names(b"text"), [""; 0]);
    }
}
