//! The address of a webhook.

use std::fmt;
use std::net::IpAddr;

use axum::http::Uri;
use axum::http::uri::Scheme;

/// The longest address of a webhook, in octets.
const BYTES_MAX: usize = 2_048;

/// An address that begins with `https://`, or with `http://` on this machine. Its path and query
/// can have a secret: `Debug` and [`WebhookUrl::origin`] do not show them.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookUrl {
    /// True for https.
    pub is_tls: bool,
    /// The host, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The host, and the port if the address has one, for the Host header.
    pub authority: String,
    /// The path and the query.
    pub path: String,
}

impl WebhookUrl {
    /// Reads an address. The error continues a sentence about it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let malformed = || {
            "must be an address such as https://hooks.example.com/certgate, without user and #"
                .to_owned()
        };
        if text.len() > BYTES_MAX {
            return Err(format!(
                "has {} bytes, at most {BYTES_MAX} are allowed",
                text.len()
            ));
        }
        let uri: Uri = text.parse().map_err(|_| malformed())?;
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            return Err(malformed());
        };
        let is_tls = *scheme == Scheme::HTTPS;
        let is_plain = !authority.as_str().contains('@') && !text.contains('#');
        if !(is_tls || *scheme == Scheme::HTTP) || authority.host().is_empty() || !is_plain {
            return Err(malformed());
        }
        let url = Self {
            is_tls,
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: match (authority.port_u16(), is_tls) {
                (Some(port), _) => port,
                // A port that is not one.
                (None, _) if authority.as_str() != authority.host() => return Err(malformed()),
                (None, true) => 443,
                (None, false) => 80,
            },
            authority: authority.to_string(),
            path: match uri.path_and_query().map_or("/", |path| path.as_str()) {
                query if query.starts_with('?') => format!("/{query}"),
                path => path.to_owned(),
            },
        };
        if !is_tls && !is_loopback(&url.host) {
            return Err(
                "others could read and change the events on the network: use https://, or an \
                 address of this machine"
                    .to_owned(),
            );
        }
        Ok(url)
    }

    /// Returns scheme, host and port.
    pub fn origin(&self) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        format!("{scheme}://{}", self.authority)
    }
}

/// Returns true if connections to a host stay on this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    let address = host.parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/…", self.origin())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_https_or_stay_on_this_machine() {
        let url = WebhookUrl::parse("https://hooks.example.com/a/b?key=s3cret").unwrap();
        assert_eq!((url.port, url.path.as_str()), (443, "/a/b?key=s3cret"));
        assert_eq!(format!("{url:?}"), "https://hooks.example.com/…");
        let local = WebhookUrl::parse("http://[::1]:8080").unwrap();
        assert_eq!((&*local.host, local.port, &*local.path), ("::1", 8080, "/"));
        let without_path = WebhookUrl::parse("https://hooks.example.com?key=x").unwrap();
        assert_eq!(without_path.path, "/?key=x");
        without_path.path.parse::<Uri>().unwrap();
        for refused in [
            "http://hooks.example.com/",
            "http://10.0.0.1/",
            "http://127.0.0.1.example.com/",
            "ftp://example.com/",
            "https://user:password@example.com/",
            "https:///path",
            "https://example.com/#part",
            "https://example.com:99999/",
            "example.com",
            "",
            "https://example.com/a b",
        ] {
            assert!(WebhookUrl::parse(refused).is_err(), "{refused}");
        }
    }
}
