//! The address of a server, as a user writes it.

use std::net::IpAddr;

use crate::failure::Failure;
use crate::output::printable;

/// Returns `http://host:port` of an address.
pub(super) fn base_of(address: &str) -> Result<String, Failure> {
    let trimmed = address.trim().trim_end_matches('/');
    let base = trimmed
        .strip_suffix("/client/v4")
        .unwrap_or(trimmed)
        .trim_end_matches('/');
    let rest = base
        .strip_prefix("http://")
        .or_else(|| base.strip_prefix("https://"))
        .unwrap_or_default();
    let plain = rest
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !b"?#@\"<>\\".contains(&byte));
    if rest.is_empty() || rest.starts_with('/') || !plain {
        let shown = printable(address);
        return Err(
            Failure::usage(format!("{shown:?} is not the address of a server"))
                .hint("write it as http://127.0.0.1:8787"),
        );
    }
    Ok(base.to_owned())
}

/// Refuses an address that is not one of a server.
pub fn check_address(address: &str) -> Result<(), Failure> {
    base_of(address).map(drop)
}

/// Returns true if requests to this base address stay on this machine.
pub fn is_loopback(base: &str) -> bool {
    let host = base.split("://").nth(1).unwrap_or_default();
    let host = host.split('/').next().unwrap_or_default();
    let host = host
        .rsplit_once(':')
        .map_or(host, |(host, _)| host)
        .trim_matches(['[', ']']);
    host == "localhost"
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        for (address, base) in [
            ("http://127.0.0.1:8787", "http://127.0.0.1:8787"),
            (
                " https://pki.example.com/client/v4/ ",
                "https://pki.example.com",
            ),
            (
                "https://example.com/pki/client/v4",
                "https://example.com/pki",
            ),
        ] {
            assert_eq!(base_of(address).unwrap(), base);
        }
        for bad in [
            "",
            "127.0.0.1:8787",
            "ftp://a",
            "http://",
            "http:///a",
            "http://u:p@a",
            "http://a?b",
            "http://a b",
        ] {
            assert!(base_of(bad).is_err(), "{bad}");
        }
        for local in ["http://localhost:1", "http://[::1]:1", "http://127.9.9.9"] {
            assert!(is_loopback(local), "{local}");
        }
        for other in ["http://10.0.0.1:1", "http://127.0.0.1.example.com"] {
            assert!(!is_loopback(other), "{other}");
        }
    }
}
