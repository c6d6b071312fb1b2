//! The bodies of EST, and the certificates of its clients, with the routes of enrolment behind them.
//!
//! `crates/api/tests/est_bodies.rs` includes this file too. It stays outside the library, which
//! does not need a whole certgate.

use std::sync::{LazyLock, Mutex, PoisonError};

use base64ct::{Base64, Encoding};
use certgate_testkit::TestApp;
use tokio::runtime::Runtime;

struct Server {
    runtime: Runtime,
    app: TestApp,
    /// The certificate of a client of the zone, DER.
    certificate: Vec<u8>,
}

/// One input at a time.
static SERVER: LazyLock<Mutex<Server>> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let (app, certificate) = runtime.block_on(async {
        let app = TestApp::new().await;
        let issued = app.issue("device").await;
        let pem = issued["certificate"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let lines = pem.lines().filter(|line| !line.starts_with('-'));
        let der = Base64::decode_vec(&lines.collect::<String>());
        (app, der.expect("PEM"))
    });
    Mutex::new(Server {
        runtime,
        app,
        certificate,
    })
});

/// Makes a request. The first octet chooses the operation, and the part of the request that the
/// input is: the body, or the certificate of the client.
pub fn est(input: &[u8]) {
    let Some((first, rest)) = input.split_first() else {
        return;
    };
    let server = SERVER.lock().unwrap_or_else(PoisonError::into_inner);
    let operation = match first & 1 {
        0 => "simplereenroll",
        _ => "simpleenroll",
    };
    let (certificate, body) = match first & 2 {
        0 => (server.certificate.as_slice(), rest),
        _ => (rest, &b"MIIB"[..]),
    };
    let call = server.app.est(http::Method::POST, operation);
    let call = call.with_certificates([certificate.to_vec()]).body(body);
    let answer = server.runtime.block_on(async { call.await });
    let status = answer.status.as_u16();
    assert!(matches!(status, 200 | 400..500), "{status}");
    let kind = answer
        .headers
        .get("content-type")
        .map(|kind| kind.as_bytes());
    match status {
        200 => assert_eq!(
            kind,
            Some(&b"application/pkcs7-mime; smime-type=certs-only"[..])
        ),
        _ => {
            assert_eq!(kind, Some(&b"text/plain; charset=utf-8"[..]), "{status}");
            let text = std::str::from_utf8(&answer.bytes).expect("text");
            assert!(text.ends_with('\n') && text.len() < 1_000, "{text}");
        }
    }
}
