//! The requests of the page behind the link of an invite.

use certgate_service::{FILE_DOWNLOADS_MAX, FILE_SECONDS};
use certgate_testkit::{Answer, TestApp};
use http::{Method, StatusCode};
use serde_json::{Value, json};

const INVITES: &str = "/certgate/v1/zones/{zone}/invites";

/// The ID and the secret of a new invite.
async fn invite(app: &TestApp, more: Value) -> (String, String) {
    let mut body = json!({ "name": "anna" });
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    let made = app.post(INVITES, body).await.result();
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    (text("id"), text("secret"))
}

async fn send(app: &TestApp, id: &str, operation: &str, body: &Value) -> Answer {
    let path = format!("/i/{id}/{operation}");
    let call = app.invite_page(Method::POST, &path);
    call.body(body.to_string()).await
}

fn object(answer: &Answer) -> Value {
    let text = String::from_utf8_lossy(&answer.bytes);
    assert_eq!(answer.status, StatusCode::OK, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// The path of a new file.
async fn file(app: &TestApp) -> String {
    let (id, secret) = invite(app, json!({})).await;
    let body = json!({ "secret": secret, "form": "p12" });
    let made = object(&send(app, &id, "file", &body).await);
    assert_eq!(made["seconds"], FILE_SECONDS);
    let password = made["password"].as_str().unwrap();
    assert_eq!(password.len(), 23, "{password}");
    made["path"].as_str().unwrap().replace("..", "")
}

#[tokio::test]
async fn a_file_is_forgotten_after_its_time_and_after_its_downloads() {
    let app = TestApp::new().await;
    let (early, late) = (file(&app).await, file(&app).await);
    let get = async |path: &str| app.invite_page(Method::GET, path).await.status;
    for _ in 0..FILE_DOWNLOADS_MAX {
        assert_eq!(get(&early).await, StatusCode::OK);
    }
    assert_eq!(get(&early).await, StatusCode::NOT_FOUND);
    app.clock.advance_seconds(FILE_SECONDS - 1);
    assert_eq!(get(&late).await, StatusCode::OK);
    app.clock.advance_seconds(1);
    assert_eq!(get(&late).await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_page_shows_the_invite_to_its_holder_and_uses_nothing() {
    let app = TestApp::new().await;
    let (id, secret) = invite(&app, json!({ "device": "iphone", "uses": 2 })).await;
    let body = json!({ "secret": secret });
    for _ in 0..3 {
        let shown = object(&send(&app, &id, "open", &body).await);
        assert_eq!(shown["name"], "anna");
        assert_eq!(shown["zone"], "example.com");
        assert_eq!(shown["device"], "iphone");
        assert_eq!(shown["uses_left"], 2);
        assert_eq!(shown["state"], "open");
        assert_eq!(shown["key_type"], "P-256");
        assert_eq!(shown["invited_by"], "the API token “first token”");
        let works = "https://enrol.example/works/example.com";
        assert_eq!(shown["enrol"]["works"], works);
    }
    app.clock.advance_seconds(86_401);
    assert_eq!(
        object(&send(&app, &id, "open", &body).await)["state"],
        "expired"
    );
    let late = json!({ "secret": secret, "form": "p12" });
    let refused = send(&app, &id, "file", &late).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let text = String::from_utf8_lossy(&refused.bytes).into_owned();
    assert!(text.contains("has expired"), "{text}");
}

#[tokio::test]
async fn malformed_requests_are_refused_with_a_text() {
    let app = TestApp::new().await;
    let (id, secret) = invite(&app, json!({})).await;
    for (operation, body, status) in [
        ("open", json!({}), 400),
        ("open", json!({ "secret": "x" }), 403),
        ("open", json!({ "secret": secret, "more": 1 }), 400),
        ("file", json!({ "secret": secret, "form": "exe" }), 400),
        ("certificate", json!({ "secret": secret, "csr": "x" }), 400),
    ] {
        let answer = send(&app, &id, operation, &body).await;
        assert_eq!(answer.status, status, "{operation} {body}");
        assert_eq!(answer.headers["content-type"], "text/plain; charset=utf-8");
        assert_eq!(answer.headers["cache-control"], "no-store");
        let text = String::from_utf8_lossy(&answer.bytes).into_owned();
        assert!(!text.contains(&secret), "{text}");
    }
    let body = json!({ "secret": secret });
    assert_eq!(
        object(&send(&app, &id, "open", &body).await)["state"],
        "open"
    );
}

#[tokio::test]
async fn a_name_of_the_system_becomes_a_name_of_a_file() {
    let app = TestApp::new().await;
    for (name, expected) in [
        ("anna@example.com", "anna-example.com.p12"),
        ("../../etc/passwd", "etc-passwd.p12"),
        ("Jürgen \"x\"", "J-rgen--x.p12"),
        ("…", "certificate.p12"),
    ] {
        let (id, secret) = invite(&app, json!({ "name": name })).await;
        let body = json!({ "secret": secret, "form": "p12_legacy" });
        let made = object(&send(&app, &id, "file", &body).await);
        let path = made["path"].as_str().unwrap();
        assert_eq!(path.rsplit('/').next(), Some(expected), "{name}");
        let found = app.invite_page(Method::GET, &path.replace("..", "")).await;
        let disposition = format!("attachment; filename=\"{expected}\"");
        assert_eq!(found.headers["content-disposition"], disposition);
    }
}
