//! The PROXY protocol, versions 1 and 2: the address of a client behind a load balancer.

use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt};

/// The first octets of version 2 (PROXY protocol §2.2).
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// The longest line of PROXY protocol version 1 (§2.1), in octets.
const LINE_MAX: usize = 107;

/// The longest addresses and extensions of PROXY protocol version 2, in octets: many times those in
/// use.
const FIELDS_MAX: usize = 2_048;

/// The version in the upper half of the octet, and the command PROXY in the lower half.
const VERSION_2_PROXY: u8 = 0x21;
const VERSION_2_LOCAL: u8 = 0x20;

/// The address family in the upper half of the octet, and TCP in the lower half.
const TCP_OVER_IPV4: u8 = 0x11;
const TCP_OVER_IPV6: u8 = 0x21;

/// Reads a header, and returns the address of the client; [`None`] for a connection of the load
/// balancer itself, such as a health check.
pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<SocketAddr>> {
    let mut start = [0; 12];
    stream.read_exact(&mut start).await?;
    match start {
        SIGNATURE => read_version_2(stream).await,
        _ if start.starts_with(b"PROXY ") => read_version_1(stream, &start).await,
        _ => Err(malformed()),
    }
}

async fn read_version_1(
    stream: &mut (impl AsyncRead + Unpin),
    start: &[u8],
) -> io::Result<Option<SocketAddr>> {
    let mut line = start.to_vec();
    // Octet by octet, because those after the line belong to TLS.
    while !line.ends_with(b"\r\n") {
        if line.len() == LINE_MAX {
            return Err(malformed());
        }
        line.push(stream.read_u8().await?);
    }
    let line = std::str::from_utf8(&line).map_err(|_| malformed())?;
    let fields: Vec<_> = line.trim_end_matches("\r\n").split(' ').collect();
    match *fields.as_slice() {
        ["PROXY", "UNKNOWN", ..] => Ok(None),
        ["PROXY", family, source, _, port, _] => {
            let address: IpAddr = source.parse().map_err(|_| malformed())?;
            let port: u16 = port.parse().map_err(|_| malformed())?;
            match (family, address) {
                ("TCP4", IpAddr::V4(_)) | ("TCP6", IpAddr::V6(_)) => {
                    Ok(Some(SocketAddr::new(address, port)))
                }
                _ => Err(malformed()),
            }
        }
        _ => Err(malformed()),
    }
}

async fn read_version_2(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<SocketAddr>> {
    let command = stream.read_u8().await?;
    let family = stream.read_u8().await?;
    let length = usize::from(stream.read_u16().await?);
    if length > FIELDS_MAX {
        return Err(malformed());
    }
    let mut fields = vec![0; length];
    stream.read_exact(&mut fields).await?;
    match (command, family) {
        (VERSION_2_LOCAL, _) => Ok(None),
        (VERSION_2_PROXY, TCP_OVER_IPV4) => address::<4>(&fields, 8).map(Some),
        (VERSION_2_PROXY, TCP_OVER_IPV6) => address::<16>(&fields, 32).map(Some),
        _ => Err(malformed()),
    }
}

/// Reads the source of a field block: two addresses, and two ports at `ports`.
fn address<const N: usize>(fields: &[u8], ports: usize) -> io::Result<SocketAddr>
where
    IpAddr: From<[u8; N]>,
{
    let octets = fields.first_chunk::<N>().ok_or_else(malformed)?;
    let ports = fields.get(ports..ports + 4).ok_or_else(malformed)?;
    let port = u16::from_be_bytes([ports[0], ports[1]]);
    Ok(SocketAddr::new(IpAddr::from(*octets), port))
}

fn malformed() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "malformed PROXY protocol header",
    )
}

/// Returns a header of version 2 for a connection of `client` to `server`.
pub fn header(client: SocketAddr, server: SocketAddr) -> Vec<u8> {
    let mut header = SIGNATURE.to_vec();
    header.push(VERSION_2_PROXY);
    let (client_ip, server_ip) = (client.ip().to_canonical(), server.ip().to_canonical());
    let addresses: Vec<u8> = match (client_ip, server_ip) {
        (IpAddr::V4(client), IpAddr::V4(server)) => {
            header.push(TCP_OVER_IPV4);
            [client.octets(), server.octets()].concat()
        }
        (client, server) => {
            header.push(TCP_OVER_IPV6);
            let octets = |address| match address {
                IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
                IpAddr::V6(address) => address.octets(),
            };
            [octets(client), octets(server)].concat()
        }
    };
    let ports = [client.port().to_be_bytes(), server.port().to_be_bytes()].concat();
    let length = u16::try_from(addresses.len() + ports.len()).expect("12 or 36 octets");
    header.extend(length.to_be_bytes());
    header.extend(addresses);
    header.extend(ports);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn parse(mut octets: &[u8]) -> (Option<Option<SocketAddr>>, usize) {
        let read = read(&mut octets).await.ok();
        (read, octets.len())
    }

    #[tokio::test]
    async fn both_versions_give_the_client_and_leave_what_follows() {
        let v1 = b"PROXY TCP4 192.0.2.1 198.51.100.2 4001 443\r\nTLS";
        let client = Some(Some("192.0.2.1:4001".parse().unwrap()));
        assert_eq!(parse(v1).await, (client, 3));
        let v1 = b"PROXY TCP6 2001:db8::1 2001:db8::2 4001 443\r\nTLS";
        let client6 = Some(Some("[2001:db8::1]:4001".parse().unwrap()));
        assert_eq!(parse(v1).await, (client6, 3));
        for (client, server) in [
            ("192.0.2.1:4001", "198.51.100.2:443"),
            ("[2001:db8::1]:4001", "[2001:db8::2]:443"),
        ] {
            let client = client.parse().unwrap();
            let mut octets = header(client, server.parse().unwrap());
            octets.extend(b"TLS");
            assert_eq!(parse(&octets).await, (Some(Some(client)), 3));
        }
        assert_eq!(parse(b"PROXY UNKNOWN\r\nTLS").await, (Some(None), 3));
    }

    #[tokio::test]
    async fn malformed_headers_are_errors() {
        for octets in [
            &b"GET / HTTP/1.1\r\n\r\n"[..],
            b"PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 99999 2\r\n",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x04\x01\x02\x03\x04",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
            b"PROXY TCP4 192.0",
            &[b"PROXY TCP4 ".as_slice(), &[b'1'; 200]].concat(),
        ] {
            assert_eq!(parse(octets).await.0, None, "{octets:?}");
        }
    }
}
