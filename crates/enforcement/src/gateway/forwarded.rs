use std::net::IpAddr;

use http::header::{FORWARDED, HeaderMap, HeaderName, HeaderValue};
use http::uri::Authority;

use crate::headers;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// The headers that say where a request comes from.
const OURS: [HeaderName; 5] = [
    FORWARDED,
    X_FORWARDED_FOR,
    X_FORWARDED_HOST,
    X_FORWARDED_PROTO,
    X_REAL_IP,
];

/// Removes the headers that only the gateway may set, also with `_` for `-`.
pub fn strip(headers: &mut HeaderMap) {
    headers::strip(headers);
    let forged: Vec<_> = headers
        .keys()
        .filter(|name| is_ours(name))
        .cloned()
        .collect();
    for name in forged {
        headers.remove(name);
    }
}

fn is_ours(name: &HeaderName) -> bool {
    if OURS.contains(name) {
        return true;
    }
    let text = name.as_str();
    text.contains('_') && {
        let usual = text.replace('_', "-");
        OURS.iter().any(|ours| ours.as_str() == usual)
    }
}

/// Sets the headers that say where a request comes from, after [`strip`].
pub fn set(headers: &mut HeaderMap, client: IpAddr, host: &Authority) {
    if let Ok(client) = HeaderValue::from_str(&client.to_canonical().to_string()) {
        headers.insert(X_FORWARDED_FOR, client);
    }
    if let Ok(host) = HeaderValue::from_str(host.as_str()) {
        headers.insert(X_FORWARDED_HOST, host);
    }
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static("https"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forged_origins_are_removed_in_each_spelling() {
        let mut headers = HeaderMap::new();
        for name in [
            "Forwarded",
            "X-Forwarded-For",
            "x_forwarded_for",
            "X-Forwarded_Proto",
            "X-Real-IP",
            "cf_cert_verified",
            "x_other",
        ] {
            let name: HeaderName = name.parse().unwrap();
            headers.append(&name, HeaderValue::from_static("forged"));
            headers.append(&name, HeaderValue::from_static("again"));
        }
        strip(&mut headers);
        let left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(left, ["x_other"]);
    }
}
