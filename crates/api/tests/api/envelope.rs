//! Envelope, request ID and faults: the common parts of all answers.

use std::time::Duration;

use certgate_testkit::{Answer, TestApp};
use http::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn every_answer_has_a_request_id_of_its_own() {
    let app = TestApp::new().await;
    let mut seen = std::collections::HashSet::new();
    for call in [
        app.get("/user"),
        app.get("/user").anonymous(),
        app.get("/nothing"),
        app.patch("/user"),
    ] {
        let answer = call.await;
        let id = answer.headers["certgate-request-id"]
            .to_str()
            .unwrap()
            .to_owned();
        assert_eq!(id.len(), 32);
        assert!(seen.insert(id));
    }
}

#[tokio::test]
async fn a_success_and_a_failure_have_the_documented_members() {
    let app = TestApp::new().await;
    let success = app.get("/zones").await.json();
    let members: Vec<_> = success
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        members,
        ["errors", "messages", "result", "result_info", "success"]
    );
    let failure = app.get("/zones?page=x").await.json();
    let error = json!([{
        "code": 9208,
        "message": "page is \"x\": use a whole number from 1 to 9007199254740991",
        "source": { "pointer": "page" },
    }]);
    let expected = json!({ "success": false, "errors": error, "messages": [], "result": null });
    assert_eq!(failure, expected);
}

#[tokio::test]
async fn an_unavailable_store_is_503_with_retry_after() {
    let app = TestApp::new().await;
    app.issue("x").await;
    app.close_store().await;
    let csr = certgate_testkit::csr("y");
    for call in [
        app.get("/zones/{zone}/client_certificates"),
        app.post(
            "/zones/{zone}/client_certificates",
            json!({ "csr": csr, "validity_days": 1 }),
        ),
        app.get("/!readyz"),
    ] {
        let answer = call.await;
        let error = answer.error();
        assert_eq!((error.status, error.code), (503, 10503));
        assert!(
            !error.message.to_lowercase().contains("sql"),
            "{}",
            error.message
        );
        assert!(answer.headers.contains_key("retry-after"));
    }
    assert_eq!(app.get("/!healthz").await.status, 200);
}

#[tokio::test]
async fn a_panic_is_a_500_without_details() {
    let app = TestApp::new().await;
    app.clock.set_broken(true);
    let answer = app.get("/zones").await;
    let error = answer.error();
    assert_eq!((error.status, error.code), (500, 10500));
    assert!(!String::from_utf8_lossy(&answer.bytes).contains("sesame"));
    assert!(answer.headers.contains_key("certgate-request-id"));
    app.clock.set_broken(false);
    app.get("/zones").await.result();
}

#[tokio::test]
async fn a_slow_body_is_408_and_a_write_is_not_retried() {
    let app = TestApp::with_time_limit(Duration::from_millis(20)).await;
    let path = "/zones/{zone}/client_certificates";
    let answer = app.post(path, json!({})).without_an_end().await;
    let error = answer.error();
    assert_eq!((error.status, error.code), (408, 10408));
    assert_eq!(answer.headers["x-should-retry"], "false");
    assert_eq!(answer.headers["connection"], "close");
    let read = app.get(path).body("{").without_an_end().await;
    assert_eq!(read.status, 408);
    assert!(!read.headers.contains_key("x-should-retry"));
}

#[tokio::test]
async fn errors_lead_to_the_documentation_if_the_server_knows_its_address() {
    let link = |answer: &Answer| answer.json()["errors"][0]["documentation_url"].clone();
    let app = TestApp::new().await;
    assert_eq!(link(&app.get("/zones/x").await), Value::Null);
    let app = TestApp::documented("https://docs.example.com/certgate/").await;
    let missing = "/zones/{zone}/client_certificates/0123456789abcdef0123456789abcdef";
    for (answer, page) in [
        (app.get("/zones/x").await, "errors.md#7003"),
        (app.get(missing).await, "errors.md#1415"),
        (app.get("/zones").anonymous().await, "errors.md#9106"),
        (app.get("/zones").line("host", "x").await, "errors.md#6003"),
        (app.post("/zones", json!({})).await, "errors.md#9207"),
        (
            app.post(
                "/accounts/{account}/mtls_certificates",
                json!({ "certificates": "x", "ca": true }),
            )
            .await,
            "errors-ca.md#1450",
        ),
        (
            app.post(
                "/zones/{zone}/client_certificates",
                json!({ "csr": "x", "validity_days": 1 }),
            )
            .await,
            "errors-csr.md#1420",
        ),
        (app.public(Method::GET, "/crl/x").await, "errors.md#7003"),
    ] {
        let expected = format!("https://docs.example.com/certgate/{page}");
        assert_eq!(link(&answer), expected.as_str());
        answer.error();
        let (file, anchor) = page.split_once('#').unwrap();
        let page = match file {
            "errors.md" => include_str!("../../../../docs/errors.md"),
            "errors-csr.md" => include_str!("../../../../docs/errors-csr.md"),
            _ => include_str!("../../../../docs/errors-ca.md"),
        };
        assert!(page.contains(&format!("\n### {anchor}\n")), "{expected}");
    }
}
