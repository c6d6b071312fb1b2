use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::json;

use super::*;
use crate::failure::Exit;
use crate::testing::{CERTIFICATE, Relay, Reply, failure, ok, refused};

/// A relay that gives these answers in turn, and the last one from then on.
fn answers(replies: Vec<fn() -> Reply>) -> Relay {
    let next = AtomicU32::new(0);
    Relay::alone(move |_| {
        let index = next.fetch_add(1, Ordering::Relaxed) as usize;
        replies[index.min(replies.len() - 1)]()
    })
}

fn told(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Refused { failure, .. } => format!("refused: {failure}"),
        Refusal::NotSent(failure) => format!("not sent: {failure}"),
        Refusal::Unknown(failure) => format!("unknown: {failure}"),
    }
}

fn busy() -> Reply {
    Reply::With(503, "retry-after: 1", failure(10503, "busy"))
}

#[test]
fn a_success_is_the_result_byte_for_byte() {
    let server = Relay::alone(|_| {
        Reply::Raw(
            200,
            r#"{"success":true,"errors":[],"messages":[{"code":1,"message":"hi\u001b"}],"result":{"b":1.0, "a":"\u0041"}}"#,
        )
    });
    let answer = server.api().get("/client/v4/user").unwrap();
    assert_eq!(answer.result.get(), r#"{"b":1.0, "a":"\u0041"}"#);
    assert_eq!(answer.messages, ["hi"]);
    let seen = server.seen();
    assert_eq!(
        (seen[0].method.as_str(), seen[0].path.as_str()),
        ("GET", "/client/v4/user")
    );
    assert_eq!(seen[0].authorization, format!("Bearer {}", server.token()));
}

#[test]
fn an_error_is_shown_with_its_code_and_pointer() {
    let server = answers(vec![
        || refused(400, 1472, "cannot\u{1b}[2J remove"),
        || {
            Reply::Json(
                400,
                json!({"success": false, "errors": [{"code": 1, "message": "no", "source": {"pointer": "/csr"}}, {"code": 2, "message": "never"}], "messages": [], "result": null}),
            )
        },
        || refused(403, 9109, "Invalid access token"),
    ]);
    let api = server.api();
    insta::assert_snapshot!(told(&api.delete("/x").unwrap_err()), @"refused: cannot[2J remove (code 1472) (`certgate ca list` shows the IDs)");
    insta::assert_snapshot!(told(&api.post("/x", &json!({})).unwrap_err()), @"refused: no (code 1, /csr); never (code 2)");
    insta::assert_snapshot!(told(&api.get("/x").unwrap_err()), @"refused: Invalid access token (code 9109) (the token is from the test)");
    assert_eq!(server.seen().len(), 3);
}

#[test]
fn a_request_that_the_server_puts_off_is_sent_again_a_bounded_number_of_times() {
    let server = answers(vec![
        busy,
        || Reply::Json(429, failure(971, "slow down")),
        || ok(json!(1)),
    ]);
    assert_eq!(
        server
            .api()
            .post("/x", &json!({"a": 1}))
            .unwrap()
            .result
            .get(),
        "1"
    );
    let seen = server.seen();
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|seen| seen.json() == json!({"a": 1})));

    let server = answers(vec![busy]);
    assert!(told(&server.api().get("/x").unwrap_err()).contains("busy (code 10503)"));
    assert_eq!(server.seen().len(), ATTEMPTS_MAX as usize);

    let server = answers(vec![|| {
        Reply::With(429, "retry-after: 3600", failure(971, "slow down"))
    }]);
    assert!(server.api().get("/x").is_err());
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn a_post_that_may_have_been_done_is_never_sent_again() {
    for reply in [
        || Reply::Hang,
        || Reply::Raw(503, "<html>gateway"),
        || refused(500, 10000, "broken"),
    ] {
        let server = answers(vec![reply]);
        let refusal = server.api().post("/x", &json!({})).unwrap_err();
        assert!(matches!(refusal, Refusal::Unknown(_)), "{}", told(&refusal));
        assert_eq!(server.seen().len(), 1);
    }
}

#[test]
fn a_read_survives_a_closed_connection_once() {
    let server = answers(vec![|| Reply::Hang, || ok(json!([]))]);
    assert!(server.api().get("/x").is_ok());
    let server = answers(vec![|| Reply::Hang]);
    let refusal = server.api().delete("/x").unwrap_err();
    assert!(matches!(&refusal, Refusal::Unknown(failure) if failure.exit() == Exit::Unreachable));
    assert_eq!(server.seen().len(), 2);
}

#[test]
fn a_missing_server_is_unreachable() {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let address = format!("http://127.0.0.1:{port}/client/v4/");
    let api = Api::new(
        &address,
        Trusted::System,
        Token::new("t").unwrap(),
        String::new(),
    )
    .unwrap();
    let refusal = api.post("/x", &json!({})).unwrap_err();
    assert_eq!(
        told(&refusal).replace(&port.to_string(), "PORT"),
        "not sent: cannot reach http://127.0.0.1:PORT: nothing listens there (is `certgate serve` running at http://127.0.0.1:PORT?)"
    );
    assert!(matches!(&refusal, Refusal::NotSent(failure) if failure.exit() == Exit::Unreachable));
}

#[test]
fn a_mix_of_clear_text_and_tls_is_explained() {
    let server = answers(vec![|| ok(json!([]))]);
    let directory = tempfile::tempdir().unwrap();
    let authorities = directory.path().join("ca.pem");
    let api = |authorities: &Path| {
        let address = server.address.replace("http://", "https://");
        Api::new(
            &address,
            Trusted::File(authorities),
            Token::new("sesame").unwrap(),
            String::new(),
        )
    };
    std::fs::write(&authorities, "no certificate").unwrap();
    assert!(
        api(&authorities)
            .unwrap_err()
            .to_string()
            .contains("has no certificate in PEM form")
    );
    assert!(
        api(&directory.path().join("nowhere"))
            .unwrap_err()
            .to_string()
            .contains("cannot read")
    );
    std::fs::write(&authorities, CERTIFICATE).unwrap();
    let refusal = api(&authorities).unwrap().get("/x").unwrap_err();
    assert!(
        matches!(&refusal, Refusal::NotSent(failure) if failure.exit() == Exit::Unreachable),
        "{}",
        told(&refusal)
    );
    assert_eq!(server.seen().len(), 0);
    let not_http = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", not_http.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in not_http.incoming().flatten() {
            use std::io::Write;
            // A TLS alert, as a TLS server answers clear text: handshake_failure (RFC 8446 §6).
            let _ = stream.write_all(b"\x15\x03\x03\x00\x02\x02\x28\r\n\r\n");
        }
    });
    let api = Api::new(
        &address,
        Trusted::System,
        Token::new("sesame").unwrap(),
        String::new(),
    )
    .unwrap();
    let refusal = api.get("/x").unwrap_err();
    assert!(told(&refusal).contains("https://?"), "{}", told(&refusal));
}

#[test]
fn an_answer_in_another_format_is_explained() {
    let server = answers(vec![|| Reply::Raw(200, "<html>"), || Reply::Raw(302, "{}")]);
    for _ in 0..2 {
        let refusal = server.api().get("/x").unwrap_err();
        assert!(
            told(&refusal).contains("not in certgate's format"),
            "{}",
            told(&refusal)
        );
    }
}

#[test]
fn a_token_is_trimmed_checked_and_never_shown() {
    assert!(Token::new(" \n").is_err() && Token::new("a\nb").is_err());
    let server = Relay::alone(|_| ok(json!(null)));
    assert!(!format!("{:?}", server.api()).contains(server.token()));
    assert_eq!(*Token::new("abc\n").unwrap().0, "abc");
}
