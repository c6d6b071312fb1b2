//! Audit logs.

use certgate_model::{Clock, SECONDS_PER_DAY};
use certgate_testkit::{TestApp, csr};
use serde_json::{Value, json};

const LOG: &str = "/accounts/{account}/logs/audit";
const SSL_WRITE: &str = "c03055bc037c4ea9afb9a9f104b7b721";
const USER_LOG: &str = "/certgate/v1/user/logs/audit";

async fn log(app: &TestApp, query: &str) -> Vec<Value> {
    app.get(&format!("{LOG}?{query}"))
        .await
        .result()
        .as_array()
        .unwrap()
        .clone()
}

/// A token with one permission in the first account: its ID and value.
async fn limited_token(app: &TestApp, group: &str) -> (String, String) {
    let account = format!("com.cloudflare.api.account.{}", app.account_id);
    let value = app.token_for(&[group], &[&account]).await;
    let tokens = app.get("/user/tokens").await.result();
    let made = tokens
        .as_array()
        .unwrap()
        .iter()
        .find(|token| token["name"] == "limited")
        .unwrap();
    (made["id"].as_str().unwrap().to_owned(), value)
}

/// The entries: number, action, resource.
fn told(entries: &[Value]) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    entries
        .iter()
        .map(|entry| {
            let number = &entry["certgate"]["number"];
            format!(
                "{number} {} {}",
                text(&entry["action"]["type"]),
                text(&entry["resource"]["type"])
            )
        })
        .collect()
}

#[tokio::test]
async fn the_log_has_the_actor_action_time_and_certificate() {
    let app = TestApp::new().await;
    let certificate = app.issue("device").await;
    let path = format!(
        "/zones/{{zone}}/client_certificates/{}",
        certificate["id"].as_str().unwrap()
    );
    app.clock.advance_seconds(60);
    app.delete(&path)
        .body(r#"{"reason":"certificateHold"}"#)
        .await
        .result();
    app.call(http::Method::PATCH, &path).await.result();

    let entries = log(&app, "").await;
    assert_eq!(
        told(&entries),
        [
            "6 reactivate client_certificate",
            "5 revoke client_certificate",
            "4 issue client_certificate",
            "3 create managed_authority",
            "2 create zone",
            "1 create account"
        ]
    );
    let revoke = &entries[1];
    let user = app.get("/user").await.result();
    let token = app.get("/user/tokens").await.result()[0].clone();
    let expected = json!({
        "id": revoke["certgate"]["hash"],
        "account": { "id": app.account_id, "name": "default" },
        "action": {
            "description": format!("revoke client_certificate {}", certificate["id"].as_str().unwrap()),
            "result": "success",
            "time": revoke["action"]["time"],
            "type": "revoke",
        },
        "actor": {
            "id": user["id"],
            "context": "api_token",
            "email": user["email"],
            "ip_address": revoke["actor"]["ip_address"],
            "token_id": token["id"],
            "token_name": "first token",
            "type": "user",
        },
        "resource": { "id": certificate["id"], "product": "certgate", "type": "client_certificate" },
        "zone": { "id": app.zone_id, "name": "example.com" },
        "certgate": {
            "number": 5,
            "hash": revoke["certgate"]["hash"],
            "fingerprint_sha256": certificate["fingerprint_sha256"],
            "detail": "reason=certificateHold epoch=1",
        },
    });
    assert_eq!(revoke, &expected);
    assert!(revoke["action"]["time"].as_str() > entries[2]["action"]["time"].as_str());
    let system = json!({ "type": "system" });
    assert_eq!(entries[3]["actor"], system);
}

#[tokio::test]
async fn refused_requests_are_not_in_the_log() {
    let app = TestApp::new().await;
    let certificate = app.issue("device").await;
    let path = format!(
        "/zones/{{zone}}/client_certificates/{}",
        certificate["id"].as_str().unwrap()
    );
    app.delete(&path)
        .body(r#"{"reason":"keyCompromise"}"#)
        .await
        .result();
    let before = log(&app, "").await;
    assert_eq!(
        app.delete(&path).await.status.as_u16(),
        200,
        "it is being revoked already"
    );
    app.settle().await;
    assert_eq!(
        app.call(http::Method::PATCH, &path).await.status.as_u16(),
        400
    );
    assert_eq!(app.delete(&path).await.status.as_u16(), 400);
    let name = json!({ "name": "example.com", "account": { "id": app.account_id } });
    assert_eq!(app.post("/zones", name).await.status.as_u16(), 400);
    assert_eq!(log(&app, "").await, before);
}

#[tokio::test]
async fn the_log_is_filtered_by_time_and_actor() {
    let app = TestApp::new().await;
    app.issue("before").await;
    app.clock.advance_seconds(SECONDS_PER_DAY);
    let since = app.clock.now().to_string();
    let (token, value) = limited_token(&app, SSL_WRITE).await;
    let issue = |name| {
        app.post(
            "/zones/{zone}/client_certificates",
            json!({ "csr": csr(name), "validity_days": 30 }),
        )
    };
    issue("theirs").token(&value).await.result();
    let (email, key) = app.api_key().await;
    issue("keyed").key(&email, &key).await.result();

    let numbers = async |query: String| {
        let entries = log(&app, &query).await;
        entries
            .iter()
            .map(|entry| entry["certgate"]["number"].as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(numbers(format!("since={since}")).await, [6, 5]);
    assert_eq!(
        numbers(format!("before={since}&direction=asc")).await,
        [1, 2, 3, 4]
    );
    assert_eq!(numbers(format!("actor_token_id={}", token)).await, [5]);
    assert_eq!(numbers("actor_context=api_key".to_owned()).await, [6]);
    assert_eq!(
        numbers("actor_type=system&direction=asc".to_owned()).await,
        [1, 2, 3]
    );
    assert_eq!(
        numbers("actor_token_id=00000000000000000000000000000000".to_owned()).await,
        [0; 0]
    );
    // A date is its first instant.
    let day = &since[..10];
    assert_eq!(numbers(format!("before={day}")).await, [4, 3, 2, 1]);
    assert_eq!(numbers(format!("since={day}&before={since}")).await, [0; 0]);
    assert_eq!(numbers(format!("since={day}")).await, [6, 5]);
}

#[tokio::test]
async fn the_log_is_read_in_parts() {
    let app = TestApp::new().await;
    for n in 0..4 {
        app.issue(&format!("device-{n}")).await;
    }
    for direction in ["asc", "desc"] {
        let whole = log(&app, &format!("direction={direction}")).await;
        assert_eq!(whole.len(), 7);
        let (mut read, mut cursor) = (Vec::new(), String::new());
        loop {
            let answer = app
                .get(&format!(
                    "{LOG}?direction={direction}&limit=3&cursor={cursor}"
                ))
                .await
                .json();
            read.extend(answer["result"].as_array().unwrap().clone());
            let info = &answer["result_info"];
            assert_eq!(info["cursor"], info["cursors"]["after"]);
            cursor = info["cursor"].as_str().unwrap().to_owned();
            if cursor.is_empty() {
                break;
            }
            assert_eq!(info["count"], 3);
        }
        assert_eq!(read, whole);
    }
}

#[tokio::test]
async fn the_users_log_has_tokens_and_keys() {
    let app = TestApp::new().await;
    let (token, value) = limited_token(&app, SSL_WRITE).await;
    app.delete(&format!("/user/tokens/{token}")).await.result();
    app.api_key().await;
    let entries = app
        .get(&format!("{USER_LOG}?direction=asc"))
        .await
        .result()
        .as_array()
        .unwrap()
        .clone();
    assert_eq!(
        told(&entries),
        [
            "1 create api_token",
            "2 create api_token",
            "3 delete api_token",
            "4 create api_key"
        ]
    );
    assert_eq!(entries[2]["resource"]["id"], token);
    assert_eq!(entries[2].get("account"), None);
    assert!(
        !entries[1].to_string().contains(&value),
        "values are never told"
    );
}

#[tokio::test]
async fn bad_conditions_are_refused_by_name() {
    let app = TestApp::new().await;
    for (query, name) in [
        ("since=yesterday", "since"),
        ("before=2026-13-01", "before"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("direction=up", "direction"),
        ("cursor=1", "cursor"),
        ("cursor=1.x", "cursor"),
        ("cursor=99999999999999999999.1", "cursor"),
        ("actor_token_id=x", "actor_token_id"),
        ("actor_context=dash", "actor_context"),
        ("actor_type=user", "actor_type"),
        (
            "actor_type=system&actor_context=api_key",
            "actor_token_id, actor_context and actor_type exclude each other",
        ),
        ("resource_id=x", "resource_id"),
        ("actor_token_id.not=x", "actor_token_id.not"),
        ("zone_name.not=x", "zone_name.not"),
    ] {
        let error = app.get(&format!("{LOG}?{query}")).await.error();
        assert_eq!((error.status, error.code), (400, 9208), "{query}");
        assert!(
            error.message.starts_with(name),
            "{query}: {}",
            error.message
        );
    }
}
