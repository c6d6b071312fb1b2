//! The limits of the gateway. `docs/gateway.md` has this table, and a test compares them.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::Deserialize;

/// Declares the limits once: the fields, their defaults and the rows of the documentation.
macro_rules! limits {
    ($($name:ident = $default:literal, $unit:literal, $reason:literal;)+) => {
        /// The limits of a gateway. Each is a number above zero.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct Limits {
            $(#[doc = $reason] pub $name: NonZeroU32,)+
        }

        impl Default for Limits {
            fn default() -> Self {
                Self {
                    $($name: const { NonZeroU32::new($default).expect("not zero") },)+
                }
            }
        }

        impl Limits {
            /// The name, default, unit and meaning of each limit.
            pub const REFERENCE: &'static [(&'static str, u32, &'static str, &'static str)] =
                &[$((stringify!($name), $default, $unit, $reason),)+];
        }
    };
}

limits! {
    connections = 20_000, "connections",
        "Open connections in total. The gateway closes further ones at once.";
    connections_per_address = 1_000, "connections",
        "Open connections of one IPv4 address or one IPv6 /64 network.";
    handshake_seconds = 10, "seconds",
        "The PROXY protocol header and the TLS handshake together.";
    head_bytes = 32_768, "octets",
        "The head of a request, at least 8192. A larger one gets 431.";
    head_seconds = 10, "seconds",
        "The head of a request, from its first octet.";
    body_bytes = 1_073_741_824, "octets",
        "The body of a request. A larger one gets 413.";
    body_seconds = 30, "seconds",
        "The longest pause in the body of a request that has no answer yet. Then it gets 408.";
    idle_seconds = 75, "seconds",
        "A connection without a request, and an answer that its client does not read.";
    stream_idle_seconds = 3_600, "seconds",
        "A WebSocket, or a connection in the mode tcp, without an octet in either direction.";
    streams = 100, "streams",
        "Requests in flight on one HTTP/2 connection.";
    resets_per_connection = 200, "requests",
        "Canceled requests of one HTTP/2 connection, beyond the others. Then it is cut.";
    chain_bytes = 16_384, "octets",
        "All certificates that a client presents. A longer chain ends the handshake.";
    upstream_connect_seconds = 5, "seconds",
        "A new connection to an upstream, with its TLS handshake.";
    upstream_first_byte_seconds = 60, "seconds",
        "The head of an answer, after the request was sent. Then the client gets 504.";
    upstream_idle_seconds = 4, "seconds",
        "An unused connection to an upstream. Many servers close theirs after 5 seconds.";
}

/// Returns a limit as a duration.
pub fn seconds(limit: NonZeroU32) -> Duration {
    Duration::from_secs(limit.get().into())
}

/// Returns a limit as a size or a number of things.
pub fn number(limit: NonZeroU32) -> usize {
    usize::try_from(limit.get()).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_lists_every_limit() {
        let page = include_str!("../../../../docs/gateway.md");
        let page = page.split_whitespace().collect::<Vec<_>>().join(" ");
        for (name, default, unit, meaning) in Limits::REFERENCE {
            let row = format!("- `{name}` (default {default} {unit}): {meaning}");
            assert!(page.contains(&row), "docs/gateway.md lacks: {row}");
        }
    }
}
