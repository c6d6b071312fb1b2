//! The client certificate in a question of a proxy.

use http::HeaderMap;
use serde::Deserialize;

use super::decode;
use super::unreadable::{CERTIFICATE_TEXT_BYTES_MAX, CERTIFICATES_MAX, Unreadable};
use super::xfcc;

/// The place of the client certificate in the questions of a listener's proxy.
///
/// A listener reads one of them and ignores the others: a header that the proxy does not set could
/// come from the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CertificateFrom {
    /// `Ssl-Client-Cert`, from nginx: a percent-encoded PEM certificate.
    SslClientCert,
    /// `X-Forwarded-Client-Cert`, from Envoy: the keys `Cert` and `Chain`.
    XForwardedClientCert,
    /// `X-Forwarded-Tls-Client-Cert`, from Traefik: Base64 without PEM lines, separated by commas.
    XForwardedTlsClientCert,
    /// `X-SSL-Client-Der`, from HAProxy and Caddy: one certificate as Base64.
    XSslClientDer,
    /// `Client-Cert` and `Client-Cert-Chain` (RFC 9440).
    ClientCert,
    /// `source.certificate` of Envoy's gRPC `Check`: percent-encoded PEM.
    Grpc,
}

/// The certificates that a client has presented, in DER.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificates {
    /// The client's own certificate.
    pub leaf: Vec<u8>,
    /// The other ones, in the client's order.
    pub intermediates: Vec<Vec<u8>>,
}

impl CertificateFrom {
    /// Reads the certificate of a question. [`None`]: the client has presented none.
    ///
    /// Questions over gRPC have no such header: [`read_text`] reads their certificate.
    pub fn read(self, headers: &HeaderMap) -> Result<Option<Certificates>, Unreadable> {
        let Some(name) = self.header() else {
            return Ok(None);
        };
        let chain = match self {
            Self::ClientCert => the_only(headers, "client-cert-chain")?,
            _ => None,
        };
        let Some(text) = the_only(headers, name)? else {
            return match chain {
                Some(_) => Err(Unreadable::Syntax),
                None => Ok(None),
            };
        };
        let certificates = match self {
            Self::SslClientCert | Self::Grpc => decode::pem(&decode::percent(text)?)?,
            Self::XForwardedClientCert => xfcc::read(text)?,
            Self::XForwardedTlsClientCert => list(&decode::percent(text)?, decode::base64)?,
            Self::XSslClientDer => vec![decode::base64(text)?],
            Self::ClientCert => {
                let mut certificates = vec![byte_sequence(text)?];
                if let Some(chain) = chain {
                    certificates.extend(list(chain, byte_sequence)?);
                }
                certificates
            }
        };
        split(certificates).map(Some)
    }

    /// Returns the name of the header, in lower case. [`None`]: the certificate is in the message.
    pub fn header(self) -> Option<&'static str> {
        match self {
            Self::SslClientCert => Some("ssl-client-cert"),
            Self::XForwardedClientCert => Some("x-forwarded-client-cert"),
            Self::XForwardedTlsClientCert => Some("x-forwarded-tls-client-cert"),
            Self::XSslClientDer => Some("x-ssl-client-der"),
            Self::ClientCert => Some("client-cert"),
            Self::Grpc => None,
        }
    }
}

/// Reads percent-encoded PEM, which may be empty.
pub fn read_text(text: &str) -> Result<Option<Certificates>, Unreadable> {
    if text.len() > CERTIFICATE_TEXT_BYTES_MAX {
        return Err(Unreadable::TooLong);
    }
    if text.is_empty() {
        return Ok(None);
    }
    split(decode::pem(&decode::percent(text.as_bytes())?)?).map(Some)
}

/// Returns the value of a header that may stand once. An empty value is like no header: proxies
/// send it if the client has no certificate.
fn the_only<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a [u8]>, Unreadable> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Unreadable::Repeated);
    }
    match value.as_bytes() {
        [] => Ok(None),
        text if text.len() > CERTIFICATE_TEXT_BYTES_MAX => Err(Unreadable::TooLong),
        text => Ok(Some(text)),
    }
}

/// Reads elements that commas separate, with optional spaces around them (RFC 9110 §5.6.1).
fn list(
    text: &[u8],
    read: impl Fn(&[u8]) -> Result<Vec<u8>, Unreadable>,
) -> Result<Vec<Vec<u8>>, Unreadable> {
    let mut elements = Vec::new();
    for element in text.split(|octet| *octet == b',') {
        if elements.len() == CERTIFICATES_MAX {
            return Err(Unreadable::TooMany);
        }
        elements.push(read(without_spaces(element))?);
    }
    Ok(elements)
}

fn without_spaces(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

/// Reads a byte sequence without parameters (RFC 8941 §3.3.5).
fn byte_sequence(text: &[u8]) -> Result<Vec<u8>, Unreadable> {
    match without_spaces(text) {
        [b':', inner @ .., b':'] => decode::base64(inner),
        _ => Err(Unreadable::Syntax),
    }
}

fn split(mut certificates: Vec<Vec<u8>>) -> Result<Certificates, Unreadable> {
    if certificates.len() > CERTIFICATES_MAX {
        return Err(Unreadable::TooMany);
    }
    if certificates.is_empty() {
        return Err(Unreadable::Syntax);
    }
    let leaf = certificates.remove(0);
    Ok(Certificates {
        leaf,
        intermediates: certificates,
    })
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    const PEM: &str = "-----BEGIN%20CERTIFICATE-----%0AAAEC%0A-----END%20CERTIFICATE-----%0A";

    fn read(
        from: CertificateFrom,
        headers: &[(&str, &str)],
    ) -> Result<Option<Certificates>, Unreadable> {
        let headers = headers.iter().map(|(name, value)| {
            let name: HeaderName = name.parse().unwrap();
            (name, HeaderValue::from_str(value).unwrap())
        });
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, value);
        }
        from.read(&map)
    }

    fn three_octets(count: usize) -> Certificates {
        Certificates {
            leaf: vec![0, 1, 2],
            intermediates: vec![vec![0, 1, 2]; count],
        }
    }

    #[test]
    fn each_source_reads_its_own_header_and_no_other() {
        let headers = [
            ("ssl-client-cert", PEM.to_owned()),
            ("x-forwarded-client-cert", format!("Hash=ab;Cert=\"{PEM}\"")),
            ("x-forwarded-tls-client-cert", "AAEC".to_owned()),
            ("x-ssl-client-der", "AAEC".to_owned()),
            ("client-cert", ":AAEC:".to_owned()),
        ];
        let sources = [
            CertificateFrom::SslClientCert,
            CertificateFrom::XForwardedClientCert,
            CertificateFrom::XForwardedTlsClientCert,
            CertificateFrom::XSslClientDer,
            CertificateFrom::ClientCert,
        ];
        for source in sources {
            for (name, value) in &headers {
                let expected = (source.header() == Some(*name)).then(|| three_octets(0));
                assert_eq!(
                    read(source, &[(name, value)]),
                    Ok(expected),
                    "{source:?} {name}"
                );
            }
        }
    }

    #[test]
    fn a_repeated_header_is_refused_even_if_one_of_them_is_empty() {
        for second in ["AAEC", ""] {
            let headers = [("x-ssl-client-der", "AAEC"), ("X-SSL-Client-Der", second)];
            let result = read(CertificateFrom::XSslClientDer, &headers);
            assert_eq!(result, Err(Unreadable::Repeated));
        }
    }

    #[test]
    fn chains_are_read_and_limited() {
        let source = CertificateFrom::ClientCert;
        let with_chain = |chain: &str| {
            read(
                source,
                &[("client-cert", ":AAEC:"), ("client-cert-chain", chain)],
            )
        };
        let chain = |count| vec![":AAEC:"; count].join(", ");
        let most = CERTIFICATES_MAX - 1;
        assert_eq!(with_chain(&chain(most)), Ok(Some(three_octets(most))));
        assert_eq!(
            with_chain(&chain(CERTIFICATES_MAX)),
            Err(Unreadable::TooMany)
        );
        assert_eq!(with_chain(":AAEC:,"), Err(Unreadable::Syntax));
        let without = read(source, &[("client-cert-chain", ":AAEC:")]);
        assert_eq!(without, Err(Unreadable::Syntax));

        let traefik = CertificateFrom::XForwardedTlsClientCert;
        let headers = [("x-forwarded-tls-client-cert", "AAEC,AA%45C%2CAAEC")];
        assert_eq!(read(traefik, &headers), Ok(Some(three_octets(2))));
    }

    #[test]
    fn a_header_of_the_longest_length_is_read_and_a_longer_one_refused() {
        let source = CertificateFrom::XSslClientDer;
        let longest = "A".repeat(CERTIFICATE_TEXT_BYTES_MAX);
        assert!(read(source, &[("x-ssl-client-der", &longest)]).is_ok());
        let longer = format!("{longest}AAAA");
        let result = read(source, &[("x-ssl-client-der", &longer)]);
        assert_eq!(result, Err(Unreadable::TooLong));
        assert_eq!(read_text(&longer), Err(Unreadable::TooLong));
    }
}
