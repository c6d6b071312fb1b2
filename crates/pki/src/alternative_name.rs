//! Subject alternative names (RFC 5280 §4.2.1.6): reading them, and showing them.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use certgate_model::AlternativeName;

use crate::oid;
use crate::subject::read_text;
use crate::tlv::{Cursor, NotDer, Tlv, tag};

/// Most characters of a name that an answer shows: a DNS name has at most 253.
const NAME_CHARS_MAX: usize = 80;

/// Longest URI in a certificate, in octets. Each client sends it in each TLS handshake. A SPIFFE ID
/// has at most 2,048, as a rule less than 100.
const URI_BYTES_MAX: usize = 1_024;

/// Longest e-mail address, in octets (RFC 5321 §4.5.3.1.3).
const EMAIL_BYTES_MAX: usize = 254;

/// Longest DNS name, in characters (RFC 1035 §2.3.4).
const DNS_CHARS_MAX: usize = 253;

/// Longest label of a DNS name, in characters (RFC 1035 §2.3.4).
const LABEL_CHARS_MAX: usize = 63;

/// Reads a GeneralName (RFC 5280 §4.2.1.6). A malformed one is of another kind: no certificate has
/// it.
pub(crate) fn alternative_name(name: Tlv<'_>) -> AlternativeName {
    let text = || std::str::from_utf8(name.content).ok();
    let known = match name.tag {
        tag::CONTEXT_1 => text()
            .filter(is_email)
            .map(Into::into)
            .map(AlternativeName::Email),
        tag::CONTEXT_2 => text()
            .filter(is_dns)
            .map(Into::into)
            .map(AlternativeName::Dns),
        tag::CONTEXT_6 => text()
            .filter(is_uri)
            .map(Into::into)
            .map(AlternativeName::Uri),
        tag::CONTEXT_7 => address(name.content).map(AlternativeName::Ip),
        _ => None,
    };
    known.unwrap_or_else(|| AlternativeName::Other(shown_name(name)))
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(octets).map(|octets| Ipv4Addr::from(octets).into());
    let sixteen = <[u8; 16]>::try_from(octets).map(|octets| Ipv6Addr::from(octets).into());
    four.or(sixteen).ok()
}

/// Returns true for a name that a certificate may have. Only `prepare` asks: the names of a request
/// are such names, or of another kind.
pub(crate) fn is_well_formed(name: &AlternativeName) -> bool {
    match name {
        AlternativeName::Dns(name) => is_dns(&name.as_str()),
        AlternativeName::Email(name) => is_email(&name.as_str()),
        AlternativeName::Uri(name) => is_uri(&name.as_str()),
        AlternativeName::Ip(_) => true,
        AlternativeName::Other(_) => false,
    }
}

/// Letters, digits, hyphens and underscores in labels, of which the first may be `*`.
fn is_dns(name: &&str) -> bool {
    let is_label = |label: &str| {
        let mut octets = label.bytes();
        (1..=LABEL_CHARS_MAX).contains(&label.len())
            && octets.all(|octet| octet.is_ascii_alphanumeric() || b"-_".contains(&octet))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let labels = name.strip_prefix("*.").unwrap_or(name);
    name.len() <= DNS_CHARS_MAX && labels.split('.').all(is_label)
}

/// `Local-part "@" Domain` (RFC 5321 §4.1.2), without quoted local parts.
fn is_email(address: &&str) -> bool {
    let is_local = |local: &str| {
        let mut octets = local.bytes();
        !local.is_empty()
            && octets.all(|octet| {
                octet.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&octet)
            })
    };
    let parts = address.split_once('@');
    address.len() <= EMAIL_BYTES_MAX
        && parts.is_some_and(|(local, domain)| {
            is_local(local) && is_dns(&domain) && !domain.starts_with('*')
        })
}

/// A scheme and a rest of the characters of RFC 3986, without dot segments and userinfo: readers
/// that remove them see another path or host than the pattern that permitted the name.
fn is_uri(uri: &&str) -> bool {
    let is_scheme = |scheme: &str| {
        let mut octets = scheme.bytes();
        octets
            .next()
            .is_some_and(|first| first.is_ascii_alphabetic())
            && octets.all(|octet| octet.is_ascii_alphanumeric() || b"+-.".contains(&octet))
    };
    let is_rest = |rest: &str| {
        let mut octets = rest.bytes();
        !rest.is_empty()
            && octets.all(|octet| octet.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&octet))
    };
    let parts = uri.split_once(':');
    uri.len() <= URI_BYTES_MAX
        && parts.is_some_and(|(scheme, rest)| {
            is_scheme(scheme) && is_rest(rest) && !has_dot_segment(rest) && !has_userinfo(rest)
        })
}

/// Returns true if a reader may remove segments of the path (RFC 3986 §5.2.4), perhaps after it has
/// decoded it.
fn has_dot_segment(rest: &str) -> bool {
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    let path = path.to_ascii_lowercase().replace("%2e", ".");
    let path = path.replace("%2f", "/").replace("%5c", "/");
    path.split('/').any(|segment| matches!(segment, "." | ".."))
}

/// Returns true if the authority has a part before the host (RFC 3986 §3.2.1).
fn has_userinfo(rest: &str) -> bool {
    let authority = rest.strip_prefix("//").unwrap_or_default();
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    authority.contains('@')
}

/// Returns a GeneralName in a short printable form.
pub(crate) fn shown_name(name: Tlv<'_>) -> String {
    let (kind, text) = general_name(name);
    short(kind, text)
}

/// Names the kind of a GeneralName (RFC 5280 §4.2.1.6), and its text if it has one.
fn general_name(name: Tlv<'_>) -> (&'static str, Option<String>) {
    let plain = || Some(String::from_utf8_lossy(name.content).into_owned());
    match name.tag {
        tag::CONTEXT_1 => ("email", plain()),
        tag::CONTEXT_2 => ("DNS", plain()),
        tag::CONTEXT_6 => ("URI", plain()),
        tag::CONTEXT_7 => (
            "IP",
            address(name.content).map(|address| address.to_string()),
        ),
        0x88 => ("registered ID", Some(oid::shown(name.content))),
        0xa4 => ("directory name", None),
        tag::CONTEXT_0_CONSTRUCTED => other_name(name.content).unwrap_or(("other name", None)),
        _ => ("name of another kind", None),
    }
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

/// Returns a name in a short printable form.
pub(crate) fn short(kind: &str, text: Option<String>) -> String {
    let Some(text) = text else {
        return kind.to_owned();
    };
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
    format!("{kind}:{shown}{rest}")
}

pub(crate) fn text(value: Tlv<'_>) -> Option<String> {
    read_text(value).map(|text| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_well_formed_names_can_be_in_a_certificate() {
        for name in ["a", "a.example", "*.a.example", "a_b.c-d", &"x".repeat(63)] {
            assert!(is_dns(&name), "{name}");
        }
        let long = format!("{}.x", "x".repeat(64));
        for name in [
            "", "*", "a.*.b", "-a", "a-", "a..b", ".a", "a.", "a b", "ä.b", "a\0b", &long,
        ] {
            assert!(!is_dns(&name), "{name:?}");
        }
        for address in ["a@b.example", "a+b.c@d", "o'x@d.e"] {
            assert!(is_email(&address), "{address}");
        }
        for address in [
            "", "a", "@b", "a@", "a@b@c", "\"a\"@b", "a b@c", "a@*.b", "ä@b", "a\0@b",
        ] {
            assert!(!is_email(&address), "{address:?}");
        }
        for uri in [
            "spiffe://td/a",
            "urn:x",
            "https://a.example/?b#c",
            "a+b:c",
            "https://a.example/.well-known/..a?x=/../@",
            "https://a.example/@b",
        ] {
            assert!(is_uri(&uri), "{uri}");
        }
        let long = format!("x:{}", "x".repeat(1_023));
        for uri in [
            "",
            "a",
            "a:",
            ":a",
            "/a",
            "1a:b",
            "a:b c",
            "a:ä",
            "a:b\0",
            "a:<",
            &long,
            "spiffe://td/build/../admin",
            "spiffe://td/build/.",
            "spiffe://td/build/%2E%2e/admin",
            "spiffe://td/build%2f.%2E%2fadmin",
            "spiffe://td/build/..%5cadmin",
            "https://good.example@evil.example/",
        ] {
            assert!(!is_uri(&uri), "{uri:?}");
        }
    }
}
