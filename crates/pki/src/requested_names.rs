//! The names that a request asks for beside its subject. A certificate has only those that issuance
//! rules permit, and the requester must know the others.

use certgate_model::AlternativeName;

use crate::alternative_name::{alternative_name, short, shown_name, text};
use crate::oid;
use crate::tlv::{Cursor, NotDer, Tlv, tag};

/// Most names that an answer shows. A request of 16 KiB can have a thousand.
const NAMES_MAX: usize = 10;

/// Lists names in the attributes of a request, except those that its certificate has. Attributes
/// may have any content: the rest after a value that cannot be read is skipped.
pub(crate) fn requested_names(attributes: &[u8], copied: &[AlternativeName]) -> Vec<String> {
    let mut names = Vec::new();
    for_each_name(attributes, &mut |name| match name {
        Name::Alternative(Some(name)) => {
            let is_copied = !copied.is_empty() && copied.contains(&alternative_name(name));
            if !is_copied {
                names.push(shown_name(name));
            }
        }
        Name::Alternative(None) => names.push("subjectAltName (it cannot be read)".to_owned()),
        Name::Unstructured(kind, value) => names.push(short(kind, text(value))),
    });
    let more = names.len().saturating_sub(NAMES_MAX);
    names.truncate(NAMES_MAX);
    if more > 0 {
        names.push(format!("and {more} more"));
    }
    names
}

/// Calls `found` with each subject alternative name of the attributes of a request, and with `None`
/// for an extension of such names that has none that can be read.
pub(crate) fn for_each_alternative<'a>(
    attributes: &'a [u8],
    found: &mut impl FnMut(Option<Tlv<'a>>),
) {
    for_each_name(attributes, &mut |name| {
        if let Name::Alternative(name) = name {
            found(name);
        }
    });
}

/// A name that a request asks for.
enum Name<'a> {
    /// A GeneralName; `None` for an extension that cannot be read.
    Alternative(Option<Tlv<'a>>),
    /// An attribute of PKCS #9 with its value.
    Unstructured(&'static str, Tlv<'a>),
}

fn for_each_name<'a>(attributes: &'a [u8], found: &mut impl FnMut(Name<'a>)) {
    let mut attributes = Cursor::new(attributes);
    while let Ok(attribute) = attributes.any_length() {
        // An attribute that cannot be read may follow one with names.
        let _ = read_attribute(attribute, found);
    }
}

fn read_attribute<'a>(attribute: Tlv<'a>, found: &mut impl FnMut(Name<'a>)) -> Result<(), NotDer> {
    let mut attribute = Cursor::new(attribute.content);
    let kind = attribute.expect_any_length(tag::OID)?.content;
    let mut values = Cursor::new(attribute.any_length()?.content);
    while let Ok(value) = values.any_length() {
        match kind {
            oid::EXTENSION_REQUEST | oid::MICROSOFT_EXTENSIONS => {
                let mut extensions = Cursor::new(value.content);
                while let Ok(extension) = extensions.any_length() {
                    let _ = read_extension(extension, found);
                }
            }
            oid::UNSTRUCTURED_NAME => found(Name::Unstructured("unstructuredName", value)),
            oid::UNSTRUCTURED_ADDRESS => found(Name::Unstructured("unstructuredAddress", value)),
            _ => {}
        }
    }
    Ok(())
}

fn read_extension<'a>(extension: Tlv<'a>, found: &mut impl FnMut(Name<'a>)) -> Result<(), NotDer> {
    let mut extension = Cursor::new(extension.content);
    if extension.expect_any_length(tag::OID)?.content != oid::SUBJECT_ALT_NAME {
        return Ok(());
    }
    extension.optional_any_length(tag::BOOLEAN)?;
    let value = extension.expect_any_length(tag::OCTET_STRING)?;
    let mut is_read = false;
    if let Ok(alternative) = Cursor::new(value.content).expect_any_length(tag::SEQUENCE) {
        let mut alternatives = Cursor::new(alternative.content);
        while let Ok(name) = alternatives.any_length() {
            found(Name::Alternative(Some(name)));
            is_read = true;
        }
    }
    if !is_read {
        found(Name::Alternative(None));
    }
    Ok(())
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
            let names = requested_names(&extension_request(kind, &alternatives), &[]);
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
        let names = requested_names(&extension_request(oid::EXTENSION_REQUEST, &many), &[]);
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
            requested_names(&attributes, &[]),
            [
                "subjectAltName (it cannot be read)",
                "unstructuredName:router",
                "DNS:a"
            ]
        );
        assert_eq!(requested_names(b"text", &[]), [""; 0]);
    }
}
