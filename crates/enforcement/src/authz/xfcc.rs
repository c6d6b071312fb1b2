//! Envoy's header `X-Forwarded-Client-Cert`.
//!
//! An element has pairs of a key and a value, separated by semicolons: `Hash=…;Cert="…";Chain="…"`.
//! Commas separate the elements of several proxies.

use super::decode;
use super::unreadable::Unreadable;

/// Reads the certificates of the only element. A second element is refused: it may come from the
/// client.
pub(super) fn read(text: &[u8]) -> Result<Vec<Vec<u8>>, Unreadable> {
    let (mut certificate, mut chain) = (None, None);
    let mut rest = text;
    loop {
        let (pair, after) = Pair::next(rest)?;
        let place = match pair.key {
            key if key.eq_ignore_ascii_case(b"cert") => Some(&mut certificate),
            key if key.eq_ignore_ascii_case(b"chain") => Some(&mut chain),
            _ => None,
        };
        if let Some(place) = place
            && place.replace(pair.value).is_some()
        {
            return Err(Unreadable::Repeated);
        }
        match after {
            [] => break,
            [b';', after @ ..] => rest = after,
            _ => return Err(Unreadable::Repeated),
        }
    }
    let decoded = |value: &[u8]| decode::pem(&decode::percent(value)?);
    match (certificate, chain) {
        (None, None) => Err(Unreadable::Syntax),
        (Some(certificate), None) => decoded(certificate),
        (None, Some(chain)) => decoded(chain),
        (Some(certificate), Some(chain)) => {
            let chain = decoded(chain)?;
            match decoded(certificate)?.first() == chain.first() {
                true => Ok(chain),
                false => Err(Unreadable::Differ),
            }
        }
    }
}

/// A key and its value, without the quotes around it.
struct Pair<'a> {
    key: &'a [u8],
    value: &'a [u8],
}

impl<'a> Pair<'a> {
    /// Returns the first pair, and the text from the separator after it.
    fn next(text: &'a [u8]) -> Result<(Self, &'a [u8]), Unreadable> {
        let equals = text.iter().position(|octet| *octet == b'=');
        let (key, value) = text.split_at(equals.ok_or(Unreadable::Syntax)?);
        if key.is_empty() || !key.iter().all(u8::is_ascii_alphanumeric) {
            return Err(Unreadable::Syntax);
        }
        let (value, after) = match &value[1..] {
            [b'"', quoted @ ..] => {
                let end = closing_quote(quoted).ok_or(Unreadable::Syntax)?;
                (&quoted[..end], &quoted[end + 1..])
            }
            plain => {
                let is_separator = |octet: &u8| matches!(octet, b';' | b',');
                plain.split_at(plain.iter().position(is_separator).unwrap_or(plain.len()))
            }
        };
        match after {
            [] | [b';' | b',', ..] => Ok((Self { key, value }, after)),
            _ => Err(Unreadable::Syntax),
        }
    }
}

/// Returns the index of the quote that ends a quoted value. A backslash precedes other quotes.
fn closing_quote(quoted: &[u8]) -> Option<usize> {
    let mut is_escaped = false;
    quoted.iter().position(|octet| {
        let ends = *octet == b'"' && !is_escaped;
        is_escaped = *octet == b'\\' && !is_escaped;
        ends
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "-----BEGIN%20CERTIFICATE-----%0AAAEC%0A-----END%20CERTIFICATE-----%0A";
    const OTHER: &str = "-----BEGIN%20CERTIFICATE-----%0AAAED%0A-----END%20CERTIFICATE-----%0A";

    fn count(text: &str) -> Result<usize, Unreadable> {
        read(text.as_bytes()).map(|certificates| certificates.len())
    }

    #[test]
    fn the_only_element_is_read() {
        assert_eq!(
            count(&format!("By=spiffe://a/b;Hash=0a;Cert=\"{ONE}\"")),
            Ok(1)
        );
        assert_eq!(
            count(&format!("Cert=\"{ONE}\";Chain=\"{ONE}{OTHER}\"")),
            Ok(2)
        );
        assert_eq!(
            count(&format!("Subject=\"CN=\\\",;\\\\\";chain=\"{ONE}\";URI=")),
            Ok(1)
        );
    }

    #[test]
    fn what_envoy_does_not_write_is_refused() {
        let cert = format!("Cert=\"{ONE}\"");
        for (text, expected) in [
            (format!("{cert},{cert}"), Unreadable::Repeated),
            (format!("{cert},"), Unreadable::Repeated),
            (format!("{cert};{cert}"), Unreadable::Repeated),
            (format!("{cert};Chain=\"{OTHER}{ONE}\""), Unreadable::Differ),
            (format!("{cert}x"), Unreadable::Syntax),
            (format!("{cert};"), Unreadable::Syntax),
            (format!(" {cert}"), Unreadable::Syntax),
            (format!("Subject=\"\\\";{cert}"), Unreadable::Syntax),
            ("Hash=ab".to_owned(), Unreadable::Syntax),
            ("Cert".to_owned(), Unreadable::Syntax),
            ("Cert=".to_owned(), Unreadable::Pem),
            ("Cert=\"%2\"".to_owned(), Unreadable::Percent),
        ] {
            assert_eq!(count(&text), Err(expected), "{text}");
        }
    }
}
