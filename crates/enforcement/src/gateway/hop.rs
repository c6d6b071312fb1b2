//! Headers that concern one connection only (RFC 9110 §7.6.1).

use http::header::{
    CONNECTION, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
    TRANSFER_ENCODING, UPGRADE,
};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// The only protocol that a connection can change to. After a change to another one, such as `h2c`,
/// a client could send requests whose headers the gateway does not see.
const WEBSOCKET: &str = "websocket";

/// Removes the headers of one connection, and those that `Connection` names. Returns the protocol
/// of an upgrade to WebSocket, if the message asks for it or grants it.
pub fn remove(headers: &mut HeaderMap) -> Option<HeaderValue> {
    let mut named = Vec::new();
    let mut upgrades = false;
    for value in headers.get_all(CONNECTION) {
        let Ok(value) = value.to_str() else { continue };
        for option in value.split(',').map(str::trim) {
            match HeaderName::from_bytes(option.as_bytes()) {
                Ok(UPGRADE) => upgrades = true,
                Ok(name) => named.push(name),
                // Not a name of any header.
                Err(_) => {}
            }
        }
    }
    let is_websocket = |protocol: &&HeaderValue| {
        let protocol = protocol.as_bytes().trim_ascii();
        protocol.eq_ignore_ascii_case(WEBSOCKET.as_bytes())
    };
    let upgrade = headers.get(UPGRADE).filter(|_| upgrades);
    let upgrade = upgrade.filter(is_websocket).cloned();
    // gRPC needs it, and the gateway forwards trailers.
    let takes_trailers = headers.get_all(TE).iter().any(|value| {
        value.to_str().is_ok_and(|value| {
            let mut codings = value.split(',');
            codings.any(|coding| coding.trim().eq_ignore_ascii_case("trailers"))
        })
    });
    for name in named {
        headers.remove(name);
    }
    for name in [
        CONNECTION,
        KEEP_ALIVE,
        PROXY_CONNECTION,
        PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION,
        TE,
        TRANSFER_ENCODING,
        UPGRADE,
    ] {
        headers.remove(name);
    }
    if takes_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    upgrade
}

/// Marks a message as an upgrade to this protocol.
pub fn upgrade(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, protocol);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_connection_names_is_removed_in_any_letter_case() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "Upgrade, X-Secret"),
            ("connection", "keep-alive"),
            ("keep-alive", "5"),
            ("x-secret", "1"),
            ("upgrade", "websocket"),
            ("te", "gzip, Trailers"),
            ("proxy-authorization", "Basic x"),
            ("x-other", "2"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        let upgrade = remove(&mut headers);
        assert_eq!(upgrade, Some(HeaderValue::from_static("websocket")));
        let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["te", "x-other"]);
        assert_eq!(headers["te"], "trailers");
    }

    #[test]
    fn an_upgrade_needs_its_connection_option() {
        let mut headers = HeaderMap::new();
        headers.insert(UPGRADE, HeaderValue::from_static("h2c"));
        assert_eq!(remove(&mut headers), None);
        assert!(headers.is_empty());
    }

    #[test]
    fn a_connection_changes_to_websocket_only() {
        for (protocol, is_allowed) in [
            ("websocket", true),
            ("WebSocket", true),
            ("h2c", false),
            ("HTTP/2.0", false),
            ("TLS/1.0", false),
            ("websocket, h2c", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(UPGRADE, HeaderValue::from_static(protocol));
            let upgrade = remove(&mut headers);
            assert_eq!(upgrade.is_some(), is_allowed, "{protocol}");
            assert!(headers.is_empty(), "{protocol}");
        }
    }
}
