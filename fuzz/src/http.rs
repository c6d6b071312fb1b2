//! The connection of a client, from its first octet to its end, with the routes of both listeners
//! behind it.
//!
//! `crates/server/tests/http.rs` includes this file too. It stays outside the library, which
//! does not need a whole certgate.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use certgate_testkit::TestApp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;
use tokio::sync::watch;

#[allow(dead_code, unused_imports, reason = "the server uses the rest")]
#[path = "../../crates/server/src/connection/mod.rs"]
mod connection;

use connection::{Http, Limits, Places};

/// The octet that begins a run in an input: two octets of its length and the repeated octet follow.
/// So a short input makes a head or a body beyond its limit.
const RUN: u8 = 0xff;

/// The text in an input in the place of a valid token.
const TOKEN: &[u8] = b"TOKEN";

/// The size from which every head is refused. The limit of 64 KiB is checked after each read, which
/// takes up to 64 KiB.
pub const HEAD_BYTES_REFUSED: usize = 2 * 64 * 1024;

/// The largest body that the server accepts.
#[allow(dead_code, reason = "a test uses it")]
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// Octets of an answer's head and of its envelope at most. Pages are larger, but this zone is
/// empty.
const ANSWER_BYTES_MAX: usize = 512 * 1024;

struct Server {
    runtime: Runtime,
    app: TestApp,
    places: Arc<Places>,
}

/// One input at a time.
static SERVER: LazyLock<Mutex<Server>> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let (app, places) = runtime.block_on(async {
        let limits = Limits {
            connections: 1,
            idle_timeout: std::time::Duration::from_secs(30),
        };
        (TestApp::new().await, Places::new(limits))
    });
    Mutex::new(Server {
        runtime,
        app,
        places,
    })
});

/// Returns a valid token.
pub fn token() -> String {
    server().app.token.clone()
}

fn server() -> MutexGuard<'static, Server> {
    SERVER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends the input over a connection and closes it. The first octet chooses the listener and the
/// size of the packets.
pub fn http(input: &[u8]) {
    let Some((first, rest)) = input.split_first() else {
        return;
    };
    let sent = expanded(rest);
    let answer = exchange(
        &sent,
        first & 1 == 0,
        usize::from(first >> 1) * 64 + 1,
        true,
    );
    judge(&sent, &answer);
}

/// Returns the octets that the server sends for these. The server must end the connection, unless
/// the client closes it.
pub fn exchange(sent: &[u8], is_management: bool, packet: usize, closes: bool) -> Vec<u8> {
    let server = server();
    let peer = IpAddr::from(Ipv4Addr::LOCALHOST);
    server.runtime.block_on(async {
        let place = server.places.take_free(Some(peer.into()));
        let place = place.expect("the connection before has given its place back");
        let (mut client, stream) = tokio::io::duplex(16 * 1024);
        let (_running, stopped) = watch::channel(false);
        let http = Http {
            router: match is_management {
                true => server.app.router.clone(),
                false => server.app.responder.clone(),
            },
            documentation: certgate_api::Documentation::default(),
            peer,
            certificate: None,
            proxies: None,
            stopped,
            place,
        };
        let serving = tokio::spawn(http.serve(stream));
        let (mut reader, mut writer) = tokio::io::split(&mut client);
        let mut answer = Vec::new();
        let write = async {
            for packet in sent.chunks(packet) {
                // The server may have closed the connection.
                if writer.write_all(packet).await.is_err() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            if closes {
                let _ = writer.shutdown().await;
            }
        };
        let (_, read) = tokio::join!(write, reader.read_to_end(&mut answer));
        read.expect("a pipe in memory");
        serving.await.expect("the connection does not panic");
        answer
    })
}

/// Writes out the runs of an input, and a valid token.
fn expanded(mut input: &[u8]) -> Vec<u8> {
    let mut sent = Vec::new();
    while let Some((first, rest)) = input.split_first() {
        match *rest {
            [high, low, octet, ref after @ ..] if *first == RUN => {
                let length = usize::from(u16::from_be_bytes([high, low]));
                sent.resize(sent.len() + length, octet);
                input = after;
            }
            _ if input.starts_with(TOKEN) => {
                sent.extend_from_slice(token().as_bytes());
                input = &input[TOKEN.len()..];
            }
            _ => {
                sent.push(*first);
                input = rest;
            }
        }
    }
    sent
}

/// Checks the first answer, as a client reads it.
pub fn judge(sent: &[u8], answer: &[u8]) {
    assert!(answer.len() < ANSWER_BYTES_MAX, "{} octets", answer.len());
    if answer.is_empty() {
        return;
    }
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n");
    let head = &answer[..end.expect("an answer has a whole head")];
    let head = std::str::from_utf8(head).expect("the head of an answer is ASCII");
    let status = head
        .strip_prefix("HTTP/1.1 ")
        .or(head.strip_prefix("HTTP/1.0 "));
    let status: u16 = status
        .and_then(|rest| rest[..3].parse().ok())
        .expect("a status");
    assert!(matches!(status, 100..500), "{head}");
    let Some(read) = end_of_head(sent) else {
        return assert!(
            matches!(status, 400..500),
            "an unfinished head got {status}"
        );
    };
    if read > HEAD_BYTES_REFUSED {
        assert!(
            matches!(status, 400 | 414 | 431),
            "a head of {read} octets got {status}"
        );
    }
    let is_json = head.contains("\r\ncontent-type: application/json\r\n");
    if matches!(status, 414 | 431) {
        assert!(is_json, "{head}");
        let body = &answer[end.expect("checked") + 4..];
        let json: serde_json::Value = serde_json::from_slice(body).expect("one envelope");
        assert_eq!(json["success"], false);
    }
}

/// Returns the length of the first head: up to its first empty line, or to the beginning of the
/// body.
fn end_of_head(sent: &[u8]) -> Option<usize> {
    // Empty lines before the request line are skipped (RFC 9112 §2.2).
    let begin = sent
        .iter()
        .position(|octet| !matches!(octet, b'\r' | b'\n'))?;
    let lf = sent[begin..]
        .windows(2)
        .position(|window| window == b"\n\n");
    let crlf = sent[begin..]
        .windows(3)
        .position(|window| window == b"\n\r\n");
    let ends = [lf.map(|at| at + 2), crlf.map(|at| at + 3)];
    ends.into_iter().flatten().min().map(|end| begin + end)
}
