//! The history of a certificate.

use certgate_testkit::TestApp;
use http::Method;
use serde_json::{Value, json};

const CERTIFICATES: &str = "/certgate/v1/zones/{zone}/client_certificates";

fn path(certificate: &Value) -> String {
    let id = certificate["id"].as_str().unwrap();
    format!("/zones/{{zone}}/client_certificates/{id}")
}

async fn history(app: &TestApp, certificate: &Value) -> Vec<Value> {
    let id = certificate["id"].as_str().unwrap();
    let answer = app.get(&format!("{CERTIFICATES}/{id}/history")).await;
    answer.result().as_array().unwrap().clone()
}

/// The action, the epoch and the number of the audit entry of each event.
fn told(history: &[Value]) -> Vec<String> {
    let tell = |event: &Value| {
        let action = event["action"].as_str().unwrap();
        format!("{action} {} {}", event["epoch"], event["audit_entry"])
    };
    history.iter().map(tell).collect()
}

#[tokio::test]
async fn the_history_says_what_happened_when_why_and_by_whom() {
    let app = TestApp::new().await;
    let certificate = app.issue("laptop").await;
    let other = app.issue("other").await;
    let issued = "issued null 4";
    assert_eq!(told(&history(&app, &certificate).await), [issued]);

    app.clock.advance_seconds(100);
    let (email, key) = app.api_key().await;
    let reason = r#"{"reason":"certificateHold"}"#;
    let revoke = app.delete(&path(&certificate)).body(reason);
    revoke
        .key(&email, &key)
        .from_address("192.0.2.7")
        .await
        .result();
    assert_eq!(
        told(&history(&app, &certificate).await),
        [issued, "revoked 2 6"]
    );
    app.clock.advance_seconds(100);
    app.settle().await;
    let settled = history(&app, &certificate).await;
    assert_eq!(told(&settled), [issued, "revoked 2 6", "settled 2 null"]);
    app.clock.advance_seconds(100);
    app.call(Method::PATCH, &path(&certificate)).await.result();
    let restored = history(&app, &certificate).await;
    assert_eq!(restored[..3], settled);
    assert_eq!(told(&restored)[3..], ["restored 3 7"]);
    app.clock.advance_seconds(100);
    app.settle().await;
    let last = history(&app, &certificate).await;
    assert_eq!(
        told(&last),
        [issued, "revoked 2 6", "restored 3 7", "settled 3 null"]
    );

    let user = app.get("/user").await.result();
    let token = app.get("/user/tokens").await.result()[0].clone();
    let log = app.get("/accounts/{account}/logs/audit").await.result();
    let time = |number: u64| {
        let mut entries = log.as_array().unwrap().iter();
        let entry = entries.find(|entry| entry["certgate"]["number"] == number);
        entry.unwrap()["action"]["time"].clone()
    };
    assert_eq!(
        last[0],
        json!({
            "action": "issued",
            "at": time(4),
            "actor": { "type": "token", "id": token["id"], "name": "first token" },
            "address": "127.0.0.1",
            "reason": null,
            "audit_entry": 4,
            "epoch": null,
        })
    );
    assert_eq!(
        last[1],
        json!({
            "action": "revoked",
            "at": time(6),
            "actor": { "type": "api_key", "id": user["id"], "name": user["email"] },
            "address": "192.0.2.7",
            "reason": "certificateHold",
            "audit_entry": 6,
            "epoch": 2,
        })
    );
    let system = json!({ "type": "system", "id": null, "name": null });
    assert_eq!(
        (&last[3]["actor"], &last[3]["address"]),
        (&system, &Value::Null)
    );
    assert!(last[2]["at"].as_str() < last[3]["at"].as_str());
    assert_eq!(told(&history(&app, &other).await), ["issued null 5"]);
}

#[tokio::test]
async fn a_repeatable_issue_and_a_deleted_token_are_in_the_history() {
    let app = TestApp::new().await;
    let account = format!("com.cloudflare.api.account.{}", app.account_id);
    let value = app
        .token_for(&["c03055bc037c4ea9afb9a9f104b7b721"], &[&account])
        .await;
    let body = json!({ "csr": certgate_testkit::csr("laptop"), "validity_days": 1 });
    let issue = app.post("/zones/{zone}/client_certificates", body);
    let issue = issue.token(&value).header("idempotency-key", "request-1");
    let certificate = issue.await.result();
    let tokens = app.get("/user/tokens").await.result();
    let mut tokens = tokens.as_array().unwrap().iter();
    let token = tokens.find(|token| token["name"] == "limited").unwrap();
    let id = token["id"].as_str().unwrap();
    app.delete(&format!("/user/tokens/{id}")).await.result();
    let history = history(&app, &certificate).await;
    assert_eq!(told(&history), ["issued null 4"]);
    let actor = json!({ "type": "token", "id": id, "name": null });
    assert_eq!(history[0]["actor"], actor);
}

#[tokio::test]
async fn the_history_belongs_to_the_zone() {
    let app = TestApp::new().await;
    let certificate = app.issue("laptop").await;
    let zone = json!({ "name": "other.example", "account": { "id": app.account_id } });
    let zone = app.post("/zones", zone).await.result();
    let (zone, id) = (
        zone["id"].as_str().unwrap(),
        certificate["id"].as_str().unwrap(),
    );
    for id in [id, "0123456789abcdef0123456789abcdef", "no-id"] {
        let path = format!("/certgate/v1/zones/{zone}/client_certificates/{id}/history");
        let error = app.get(&path).await.error();
        assert_eq!((error.status, error.code), (404, 1415), "{id}");
    }
}
