//! The bodies of EST, the certificates of its clients, and the requests of the pages of invites,
//! with their routes behind them.
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
    /// The ID and the secret of an invite.
    invite: (String, String),
}

/// One input at a time.
static SERVER: LazyLock<Mutex<Server>> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let (app, certificate, invite) = runtime.block_on(async {
        let app = TestApp::new().await;
        let issued = app.issue("device").await;
        let pem = issued["certificate"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let lines = pem.lines().filter(|line| !line.starts_with('-'));
        let der = Base64::decode_vec(&lines.collect::<String>());
        let path = "/certgate/v1/zones/{zone}/invites";
        let body = serde_json::json!({ "name": "device", "valid_for_seconds": 2_592_000 });
        let made = app.post(path, body).await.result();
        let part = |name: &str| made[name].as_str().unwrap_or_default().to_owned();
        let invite = (part("id"), part("secret"));
        (app, der.expect("PEM"), invite)
    });
    Mutex::new(Server {
        runtime,
        app,
        certificate,
        invite,
    })
});

/// Makes a request. The first octet chooses the operation, and the part of the request that the
/// input is: the body, the certificate of the client, or the invite in HTTP Basic.
pub fn est(input: &[u8]) {
    let Some((first, rest)) = input.split_first() else {
        return;
    };
    let server = SERVER.lock().unwrap_or_else(PoisonError::into_inner);
    if first & 8 != 0 {
        return page(&server, *first, rest);
    }
    let operation = match first & 1 {
        0 => "simplereenroll",
        _ => "simpleenroll",
    };
    let call = server.app.est(http::Method::POST, operation);
    let call = match first & 6 {
        0 => call
            .with_certificates([server.certificate.clone()])
            .body(rest),
        2 => call.with_certificates([rest.to_vec()]).body(b"MIIB"),
        4 => {
            let basic = format!("Basic {}", Base64::encode_string(rest));
            // Guesses of this address do not end those below.
            let call = call.from_address("192.0.2.1");
            call.header("authorization", &basic).body(b"MIIB")
        }
        _ => {
            let (id, secret) = &server.invite;
            let basic = Base64::encode_string(format!("{id}:{secret}").as_bytes());
            let basic = format!("Basic {basic}");
            call.header("authorization", &basic).body(rest)
        }
    };
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

/// Makes a request of the page of an invite. The input is the body, or the CSR in it.
fn page(server: &Server, first: u8, rest: &[u8]) {
    let (id, secret) = &server.invite;
    let (operation, body) = match first & 3 {
        0 => ("open", rest.to_vec()),
        1 => ("file", rest.to_vec()),
        2 => ("certificate", rest.to_vec()),
        _ => {
            let csr = String::from_utf8_lossy(rest);
            let body = serde_json::json!({ "secret": secret, "csr": csr });
            ("certificate", body.to_string().into_bytes())
        }
    };
    let path = format!("/i/{id}/{operation}");
    let call = server.app.invite_page(http::Method::POST, &path);
    // Guesses of this address do not end the others.
    let call = call.from_address("192.0.2.2").body(body);
    let answer = server.runtime.block_on(async { call.await });
    let status = answer.status.as_u16();
    assert!(matches!(status, 200 | 400..500), "{status}");
    let kind = answer.headers.get("content-type");
    let kind = kind.map(|kind| kind.as_bytes());
    match status {
        200 => assert_eq!(kind, Some(&b"application/json"[..])),
        _ => assert_eq!(kind, Some(&b"text/plain; charset=utf-8"[..]), "{status}"),
    }
}
