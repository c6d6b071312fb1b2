//! The headers that carry a client's certificate: `Client-Cert` and `Client-Cert-Chain` (RFC 9440),
//! and `cf-cert-*`, those of Cloudflare's "Add TLS client auth headers".
//!
//! A request carries ours or none: [`strip`] removes the client's, then [`set`] adds ours.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use certgate_model::{Hex, Timestamp};
use http::header::{CONNECTION, HeaderMap, HeaderName, HeaderValue};

use crate::verdict::Judged;

const CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");
const CLIENT_CERT_CHAIN: HeaderName = HeaderName::from_static("client-cert-chain");

/// The prefix of Cloudflare's headers.
const CLOUDFLARE_PREFIX: &str = "cf-cert-";

/// The headers in which proxies pass certificates on, besides ours.
const OF_PROXIES: [&str; 10] = [
    "client-cert",
    "client-cert-chain",
    "ssl-client-cert",
    "ssl-client-verify",
    "x-forwarded-client-cert",
    "x-forwarded-tls-client-cert",
    "x-forwarded-tls-client-cert-info",
    "x-ssl-client-cert",
    "x-ssl-client-der",
    "x-ssl-client-verify",
];

/// Returns true for a header that carries a certificate or a verdict on it. Programs behind CGI
/// read `_` and `-` as the same (RFC 3875 §4.1.18), so both count.
pub fn carries_identity(name: &str) -> bool {
    let is_usual = |octet: u8| !octet.is_ascii_uppercase() && octet != b'_';
    match name.bytes().all(is_usual) {
        true => is_name_of_identity(name),
        false => is_name_of_identity(&name.to_ascii_lowercase().replace('_', "-")),
    }
}

fn is_name_of_identity(name: &str) -> bool {
    name.starts_with(CLOUDFLARE_PREFIX) || OF_PROXIES.contains(&name)
}

/// Removes every header that carries a certificate, also from trailers, and their names from
/// `Connection`: the next proxy would remove our headers if the client names them there (RFC 9110
/// §7.6.1).
pub fn strip(headers: &mut HeaderMap) {
    let forged: Vec<_> = headers
        .keys()
        .filter(|name| carries_identity(name.as_str()))
        .cloned()
        .collect();
    for name in forged {
        headers.remove(name);
    }
    if !headers.contains_key(CONNECTION) {
        return;
    }
    let mut kept = Vec::new();
    for value in headers.get_all(CONNECTION) {
        // A list that is not text names nothing that a proxy can understand.
        let Ok(value) = value.to_str() else { continue };
        let options = value.split(',').map(str::trim);
        kept.extend(options.filter(|option| !option.is_empty() && !carries_identity(option)));
    }
    let kept = HeaderValue::from_str(&kept.join(", "));
    headers.remove(CONNECTION);
    if let Some(kept) = kept.ok().filter(|kept| !kept.is_empty()) {
        headers.insert(CONNECTION, kept);
    }
}

/// Sets the headers of a client, after [`strip`]. `Client-Cert` and its chain are there only for a
/// valid certificate that is not revoked: a program that looks at nothing else stays safe.
pub fn set(headers: &mut HeaderMap, judged: &Judged) {
    let Some(path) = judged
        .path
        .as_ref()
        .filter(|_| judged.verdict.is_admitted())
    else {
        return write(headers, judged);
    };
    // A certificate comes with many requests, and its headers are the same for each.
    let written = path.headers.get_or_init(|| {
        let mut written = HeaderMap::new();
        write(&mut written, judged);
        written
    });
    headers.reserve(written.len());
    for (name, value) in written {
        headers.insert(name.clone(), value.clone());
    }
}

fn write(headers: &mut HeaderMap, judged: &Judged) {
    let mut put = |name: &'static str, value: String| {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    let flag = |value: bool| value.to_string();
    put("cf-cert-revoked", flag(judged.is_revoked()));
    put("cf-cert-verified", flag(judged.is_verified()));
    put("cf-cert-presented", flag(judged.certificate.is_some()));
    let Some(certificate) = &judged.certificate else {
        return;
    };
    put("cf-cert-issuer-dn", visible(&certificate.issuer));
    put("cf-cert-subject-dn", visible(&certificate.subject));
    put("cf-cert-issuer-dn-rfc2253", visible(&certificate.issuer));
    put("cf-cert-subject-dn-rfc2253", visible(&certificate.subject));
    put(
        "cf-cert-issuer-dn-legacy",
        visible(&certificate.issuer_legacy),
    );
    put(
        "cf-cert-subject-dn-legacy",
        visible(&certificate.subject_legacy),
    );
    put("cf-cert-serial", number(&certificate.serial));
    let digests = (
        &certificate.fingerprint_sha256,
        &certificate.fingerprint_sha1,
    );
    put("cf-cert-sha256", Hex(digests.0).to_string());
    put("cf-cert-sha1", Hex(digests.1).to_string());
    put("cf-cert-not-before", openssl_time(certificate.not_before));
    put("cf-cert-not-after", openssl_time(certificate.not_after));
    if let Some(identifier) = &certificate.subject_key_identifier {
        put("cf-cert-ski", upper_hex(identifier));
    }
    if let Some(path) = &judged.path {
        put("cf-cert-issuer-serial", number(&path.issuer_serial));
        if let Some(identifier) = &path.issuer_key_identifier {
            put("cf-cert-issuer-ski", upper_hex(identifier));
        }
    }
    if judged.verdict.is_admitted() {
        set_certificate(headers, judged, &certificate.der);
    }
}

/// Sets `Client-Cert` and, for a path with CAs in between, `Client-Cert-Chain` (RFC 9440 §2.2 and
/// §2.3).
fn set_certificate(headers: &mut HeaderMap, judged: &Judged, der: &[u8]) {
    let octets = |der: &[u8]| format!(":{}:", STANDARD.encode(der));
    if let Ok(value) = HeaderValue::from_str(&octets(der)) {
        headers.insert(CLIENT_CERT, value);
    }
    let chain: Vec<_> = judged.chain().iter().map(|der| octets(der)).collect();
    if let Ok(value) = HeaderValue::from_str(&chain.join(", "))
        && !chain.is_empty()
    {
        headers.insert(CLIENT_CERT_CHAIN, value);
    }
}

/// Writes a text in visible ASCII: other octets are `\` and two hexadecimal digits (RFC 2253
/// §2.4).
fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for octet in text.bytes() {
        match octet {
            b' '..=b'~' => out.push(char::from(octet)),
            _ => write!(out, "\\{octet:02X}").expect("writing to a String cannot fail"),
        }
    }
    out
}

/// Writes a serial number without leading zeros, in whole octets.
fn number(serial: &[u8; 20]) -> String {
    let zeros = serial.iter().take_while(|octet| **octet == 0).count();
    upper_hex(&serial[zeros.min(serial.len() - 1)..])
}

fn upper_hex(octets: &[u8]) -> String {
    Hex(octets).to_string().to_ascii_uppercase()
}

/// Writes an instant as OpenSSL does: `Mar 21 13:35:00 2022 GMT`.
fn openssl_time(at: Timestamp) -> String {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    // 2022-03-21T13:35:00Z
    let text = at.to_string();
    let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
    let month: usize = part(5, 7).parse().unwrap_or(1);
    let month = MONTHS.get(month.saturating_sub(1)).unwrap_or(&MONTHS[0]);
    let day = part(8, 10);
    let day = day.strip_prefix('0').unwrap_or(day);
    let (time, year) = (part(11, 19), part(0, 4));
    format!("{month} {day:>2} {time} {year} GMT")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Reason;

    #[test]
    fn strip_removes_each_spelling_and_its_mention() {
        let mut headers = HeaderMap::new();
        for name in [
            "Client-Cert",
            "client_cert",
            "CF-Cert-Verified",
            "cf_cert_verified",
            "Cf-Cert_Serial",
            "cf-cert-anything",
            "X-Forwarded-Client-Cert",
            "X_SSL_Client_DER",
        ] {
            let name: HeaderName = name.parse().unwrap();
            headers.append(&name, HeaderValue::from_static("forged"));
            headers.append(&name, HeaderValue::from_static("again"));
        }
        headers.append("connection", HeaderValue::from_static("close, Client-Cert"));
        headers.append(
            "connection",
            HeaderValue::from_static("cf_cert_verified,upgrade"),
        );
        headers.append("x-cert", HeaderValue::from_static("stays"));
        strip(&mut headers);
        assert_eq!(headers.len(), 2, "{headers:?}");
        assert_eq!(headers["connection"], "close, upgrade");
        assert_eq!(headers["x-cert"], "stays");
        headers.insert("connection", HeaderValue::from_static("client-cert"));
        strip(&mut headers);
        assert!(!headers.contains_key("connection"));
    }

    #[test]
    fn each_header_that_is_set_is_stripped() {
        let mut headers = HeaderMap::new();
        set(&mut headers, &Judged::refused(Reason::NoCertificate));
        assert_eq!(headers["cf-cert-presented"], "false");
        assert_eq!(headers["cf-cert-verified"], "false");
        assert_eq!(headers["cf-cert-revoked"], "false");
        assert_eq!(headers.len(), 3);
        strip(&mut headers);
        assert!(headers.is_empty());
    }

    #[test]
    fn numbers_and_times_have_the_forms_of_openssl() {
        let mut serial = [0; 20];
        assert_eq!(number(&serial), "00");
        serial[18..].copy_from_slice(&[0x0a, 0xbc]);
        assert_eq!(number(&serial), "0ABC");
        for (at, text) in [
            ("2022-03-21T13:35:00Z", "Mar 21 13:35:00 2022 GMT"),
            ("2049-12-01T00:00:09Z", "Dec  1 00:00:09 2049 GMT"),
        ] {
            assert_eq!(openssl_time(at.parse().unwrap()), text);
        }
        assert_eq!(visible("CN=Zo\u{eb}\n"), "CN=Zo\\C3\\AB\\0A");
    }
}
