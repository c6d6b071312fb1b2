//! The hostname for which a proxy asks.

use http::header::HOST;
use http::{HeaderMap, Uri};
use serde::Deserialize;

/// The longest hostname (RFC 1035 §2.3.4), in octets of text.
const HOSTNAME_BYTES_MAX: usize = 253;

/// The place of the hostname in the questions of a listener's proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostFrom {
    /// `X-Forwarded-Host`, which the proxy must set itself.
    XForwardedHost,
    /// `Host`, or `:authority`.
    Host,
    /// No place: a certificate is good if it is good for any hostname of the account.
    Any,
}

/// The hostname of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// Any hostname of the account.
    Any,
    /// A hostname in lower case, without port and final dot.
    Named(String),
    /// No hostname that can be read: no certificate is good for it.
    Unnamed,
}

impl HostFrom {
    /// Reads the hostname of a question over HTTP.
    pub fn read(self, uri: &Uri, headers: &HeaderMap) -> Asked {
        let text = match self {
            Self::Any => return Asked::Any,
            Self::XForwardedHost => the_only(headers, "x-forwarded-host"),
            // RFC 9112 §3.2.2: the authority of an absolute URI wins over Host.
            Self::Host => match uri.authority() {
                Some(authority) => Some(authority.as_str()),
                None => the_only(headers, HOST.as_str()),
            },
        };
        named(text)
    }
}

/// Reads a hostname with or without a port.
pub fn named(text: Option<&str>) -> Asked {
    match text.and_then(hostname) {
        Some(name) => Asked::Named(name),
        None => Asked::Unnamed,
    }
}

fn the_only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

fn hostname(text: &str) -> Option<String> {
    let name = match text.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|octet| octet.is_ascii_digit()) => name,
        Some(_) => return None,
        None => text,
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_of_name =
        |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_');
    let is_name =
        !name.is_empty() && name.len() <= HOSTNAME_BYTES_MAX && name.bytes().all(is_of_name);
    is_name.then(|| name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_a_final_dot_and_upper_case_make_no_difference() {
        let expected = Asked::Named("api.example.com".to_owned());
        for text in [
            "api.example.com",
            "API.example.com:8443",
            "api.example.com.",
            "api.example.com.:1",
        ] {
            assert_eq!(named(Some(text)), expected, "{text}");
        }
        for wrong in [
            "",
            ":80",
            ".",
            "a b",
            "a,b",
            "[::1]:80",
            "a:b",
            "a@b",
            "a/b",
            "\u{e4}.de",
        ] {
            assert_eq!(named(Some(wrong)), Asked::Unnamed, "{wrong}");
        }
        assert_eq!(
            named(Some(&"a".repeat(HOSTNAME_BYTES_MAX + 1))),
            Asked::Unnamed
        );
    }

    #[test]
    fn a_repeated_or_missing_header_names_no_host() {
        let uri = Uri::from_static("/");
        let mut headers = HeaderMap::new();
        for from in [HostFrom::XForwardedHost, HostFrom::Host] {
            assert_eq!(from.read(&uri, &headers), Asked::Unnamed);
        }
        for name in ["x-forwarded-host", "host"] {
            headers.append(name, "a.example".parse().unwrap());
            headers.append(name, "a.example".parse().unwrap());
        }
        for from in [HostFrom::XForwardedHost, HostFrom::Host] {
            assert_eq!(from.read(&uri, &headers), Asked::Unnamed);
        }
        assert_eq!(HostFrom::Any.read(&uri, &headers), Asked::Any);
        let absolute = Uri::from_static("http://b.example:80/");
        let named = Asked::Named("b.example".to_owned());
        assert_eq!(HostFrom::Host.read(&absolute, &headers), named);
    }
}
