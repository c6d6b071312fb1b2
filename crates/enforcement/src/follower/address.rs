//! The address of the server.

use std::net::IpAddr;

/// The error for a text that is not the address of a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the address of a server: write it as https://pki.example.com")]
pub struct AddressError(String);

/// An address such as `https://pki.example.com`. It may end in `/client/v4`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// True for https.
    pub is_tls: bool,
    /// The host name or IP address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The host and port as written, for the Host header.
    pub authority: String,
    /// The path before those of the API, without a `/` at its end.
    pub prefix: String,
}

impl Address {
    /// Reads an address.
    pub fn read(text: &str) -> Result<Self, AddressError> {
        let error = || AddressError(text.chars().take(200).collect());
        let trimmed = text.trim().trim_end_matches('/');
        let base = trimmed.strip_suffix("/client/v4").unwrap_or(trimmed);
        let base = base.trim_end_matches('/');
        let (is_tls, rest) = match base.split_once("://") {
            Some(("https", rest)) => (true, rest),
            Some(("http", rest)) => (false, rest),
            _ => return Err(error()),
        };
        let is_plain = |octet: u8| octet.is_ascii_graphic() && !b"?#@\"<>\\".contains(&octet);
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if authority.is_empty() || !rest.bytes().all(is_plain) {
            return Err(error());
        }
        let after_host = authority.rfind(']').map_or(0, |end| end + 1);
        let (host, port) = match authority[after_host..].rfind(':') {
            Some(colon) => {
                let (host, port) = authority.split_at(after_host + colon);
                (host, port[1..].parse().map_err(|_| error())?)
            }
            None => (authority, if is_tls { 443 } else { 80 }),
        };
        let host = host.trim_matches(['[', ']']);
        if host.is_empty() {
            return Err(error());
        }
        Ok(Self {
            is_tls,
            host: host.to_owned(),
            port,
            authority: authority.to_owned(),
            prefix: path.to_owned(),
        })
    }

    /// Returns true if requests stay on this machine.
    pub fn is_loopback(&self) -> bool {
        let address = self.host.parse::<IpAddr>();
        self.host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        for (text, is_tls, host, port, prefix) in [
            ("http://127.0.0.1:8787", false, "127.0.0.1", 8787, ""),
            (" https://pki.test/client/v4/ ", true, "pki.test", 443, ""),
            ("https://a.test:1/pki/client/v4", true, "a.test", 1, "/pki"),
            ("http://[::1]:9", false, "::1", 9, ""),
            ("http://[::1]", false, "::1", 80, ""),
        ] {
            let read = Address::read(text).unwrap();
            let found = (
                read.is_tls,
                read.host.as_str(),
                read.port,
                read.prefix.as_str(),
            );
            assert_eq!(found, (is_tls, host, port, prefix));
        }
        for bad in [
            "",
            "a:1",
            "ftp://a",
            "http://",
            "http:///a",
            "http://u@a",
            "http://a b",
            "http://:1",
            "http://a:99999",
        ] {
            assert!(Address::read(bad).is_err(), "{bad}");
        }
        for (text, is_loopback) in [
            ("http://localhost:1", true),
            ("http://[::1]:1", true),
            ("http://10.0.0.1", false),
            ("http://127.0.0.1.example.com", false),
        ] {
            assert_eq!(Address::read(text).unwrap().is_loopback(), is_loopback);
        }
    }
}
