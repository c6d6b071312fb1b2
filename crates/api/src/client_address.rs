//! The address of a client, also of a client of a trusted proxy.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use http::{HeaderMap, HeaderName};
use ipnet::IpNet;

/// The header to whose end every proxy adds the address of its own client.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The most proxies in a row. A client that sends more addresses has invented them.
const HOPS_MAX: usize = 32;

/// The most blocks of trusted addresses. Every request compares them one after another.
const BLOCKS_MAX: usize = 256;

/// The proxies whose `X-Forwarded-For` is believed. Default: none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Arc<[IpNet]>);

impl FromStr for TrustedProxies {
    type Err = String;

    /// Reads addresses and blocks in CIDR notation, separated by commas.
    fn from_str(text: &str) -> Result<Self, String> {
        let blocks = text.split(',').map(str::trim).map(|part| {
            let block = part
                .parse()
                .or_else(|_| part.parse::<IpAddr>().map(IpNet::from));
            let block = block.map_err(|_| {
                format!(
                    "{part:?} is not an address or a block of addresses: use one such as \
                     10.0.0.0/8 or fd00::/8"
                )
            })?;
            Ok(canonical(block))
        });
        let blocks = blocks.collect::<Result<Arc<[IpNet]>, String>>()?;
        if blocks.len() > BLOCKS_MAX {
            return Err(format!(
                "names {} blocks: use at most {BLOCKS_MAX}",
                blocks.len()
            ));
        }
        Ok(Self(blocks))
    }
}

/// Returns the block in IPv4 if it is IPv4-mapped (RFC 4291 §2.5.5.2), as addresses are compared.
fn canonical(block: IpNet) -> IpNet {
    let address = block.addr().to_canonical();
    let mapped = address != block.addr() && block.prefix_len() >= 96;
    let ipv4 = mapped
        .then(|| IpNet::new(address, block.prefix_len() - 96).ok())
        .flatten();
    ipv4.unwrap_or(block)
}

impl TrustedProxies {
    /// Returns the address of the client of a request from `peer`. The header of a peer that is not
    /// trusted is ignored. [`None`]: the header of a trusted proxy has no valid address, so the
    /// client is unknown.
    pub fn client_of(&self, peer: IpAddr, headers: &HeaderMap) -> Option<IpAddr> {
        let mut client = peer.to_canonical();
        if !self.contains(client) {
            return Some(client);
        }
        // Several lines are one list (RFC 9110 §5.3). Each proxy adds to the end. Therefore the
        // list is read from there, up to the first address that is not a proxy's: the client may
        // have invented the addresses before it.
        let mut hops = 0;
        for line in headers.get_all(FORWARDED_FOR).iter().rev() {
            for element in line
                .as_bytes()
                .rsplit(|byte| *byte == b',')
                .map(<[u8]>::trim_ascii)
            {
                hops += 1;
                if hops > HOPS_MAX {
                    return None;
                }
                // Empty elements are ignored (RFC 9110 §5.6.1.2).
                if element.is_empty() {
                    continue;
                }
                client = address(element)?;
                if !self.contains(client) {
                    return Some(client);
                }
            }
        }
        // All addresses are trusted proxies: the first of them made the request itself.
        Some(client)
    }

    /// Returns true for the address of a trusted proxy.
    pub fn contains(&self, peer: IpAddr) -> bool {
        let address = peer.to_canonical();
        self.0.iter().any(|block| block.contains(&address))
    }
}

/// Reads an address, with or without the port that some proxies add.
fn address(element: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(element).ok()?;
    let bracketed = || {
        text.strip_prefix('[')?
            .strip_suffix(']')?
            .parse::<std::net::Ipv6Addr>()
            .ok()
    };
    let address = text
        .parse()
        .ok()
        .or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()));
    Some(
        address
            .or_else(|| bracketed().map(IpAddr::V6))?
            .to_canonical(),
    )
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn client(lines: &[&str]) -> String {
        let proxies: TrustedProxies = "10.0.0.0/8, 2001:db8:1::/48,::ffff:192.0.2.1"
            .parse()
            .unwrap();
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(
                FORWARDED_FOR,
                HeaderValue::from_bytes(line.as_bytes()).unwrap(),
            );
        }
        let client = proxies.client_of("::ffff:10.1.1.1".parse().unwrap(), &headers);
        client.map_or("unknown".to_owned(), |address| address.to_string())
    }

    #[test]
    fn the_first_address_from_the_right_that_is_not_a_proxy_is_the_client() {
        for (lines, expected) in [
            (&["198.51.100.7"][..], "198.51.100.7"),
            (&["203.0.113.9, 198.51.100.7"], "198.51.100.7"),
            (
                &["203.0.113.9,198.51.100.7 ,10.2.2.2\t, 192.0.2.1,2001:db8:1::5"],
                "198.51.100.7",
            ),
            (
                &["203.0.113.9", "198.51.100.7, 10.2.2.2", "10.3.3.3"],
                "198.51.100.7",
            ),
            (&["198.51.100.7:4711"], "198.51.100.7"),
            (&["::ffff:198.51.100.7"], "198.51.100.7"),
            (&["2001:db8:2::7"], "2001:db8:2::7"),
            (&["[2001:db8:2::7]"], "2001:db8:2::7"),
            (
                &["[2001:db8:2::7]:4711, [2001:db8:1::1]:80"],
                "2001:db8:2::7",
            ),
            (&["198.51.100.7, , 10.2.2.2,"], "198.51.100.7"),
            // A client's own text before the address from the proxy is ignored.
            (&["nonsense, 198.51.100.7"], "198.51.100.7"),
            (&["10.3.3.3, 10.2.2.2"], "10.3.3.3"),
            (&[], "10.1.1.1"),
            (&["", " "], "10.1.1.1"),
        ] {
            assert_eq!(client(lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn a_malformed_address_leaves_the_client_unknown() {
        for line in [
            "nonsense",
            "198.51.100.7, unknown",
            "198.51.100.7, _hidden, 10.2.2.2",
            "198.51.100.7/32",
            "198.51.100.7:",
            "198.51.100.7:port",
            "198.51.100.07",
            "[198.51.100.7]",
            "[2001:db8:2::7",
            "2001:db8:2::7]",
            "fe80::1%eth0",
            "\"198.51.100.7\"",
            "198.51.100.7; by=10.1.1.1",
            "198.51.100.7 10.2.2.2",
            "\u{e9}",
        ] {
            assert_eq!(client(&[line]), "unknown", "{line}");
        }
    }

    #[test]
    fn a_list_of_proxies_is_limited() {
        let proxies = |count| vec!["10.2.2.2"; count].join(",");
        let list = |count| format!("198.51.100.7,{}", proxies(count));
        assert_eq!(client(&[&list(HOPS_MAX - 1)]), "198.51.100.7");
        assert_eq!(client(&[&list(HOPS_MAX)]), "unknown");
        assert_eq!(client(&["198.51.100.7", &",".repeat(HOPS_MAX)]), "unknown");
    }

    #[test]
    fn the_header_of_an_untrusted_peer_is_ignored() {
        let mut headers = HeaderMap::new();
        headers.insert(FORWARDED_FOR, HeaderValue::from_static("198.51.100.7"));
        for (proxies, peer) in [
            ("10.0.0.0/8", "11.0.0.1"),
            ("::/0", "10.0.0.1"),
            ("10.0.0.0/8", "2001:db8::1"),
        ] {
            let proxies: TrustedProxies = proxies.parse().unwrap();
            let peer: IpAddr = peer.parse().unwrap();
            assert_eq!(proxies.client_of(peer, &headers), Some(peer));
            assert_eq!(
                TrustedProxies::default().client_of(peer, &headers),
                Some(peer)
            );
        }
    }

    #[test]
    fn a_malformed_list_of_blocks_names_the_malformed_part() {
        for (text, part) in [
            ("", "\"\""),
            ("10.0.0.0/8,", "\"\""),
            ("10.0.0.0/33", "10.0.0.0/33"),
            ("10.0.0.1, proxy.example", "proxy.example"),
            ("*", "*"),
        ] {
            let error = text.parse::<TrustedProxies>().unwrap_err();
            assert!(
                error.contains(part) && error.contains("such as 10.0.0.0/8"),
                "{error}"
            );
        }
        let many = vec!["10.0.0.1"; BLOCKS_MAX + 1].join(",");
        assert!(
            many.parse::<TrustedProxies>()
                .unwrap_err()
                .contains("257 blocks")
        );
    }
}
