use certgate_model::Clock;
use certgate_testkit::TestApp;
use serde_json::{Value, json};

async fn issued(app: &TestApp) -> String {
    let issued = app.issue("x").await;
    format!(
        "/zones/{{zone}}/client_certificates/{}",
        issued["id"].as_str().unwrap()
    )
}

async fn status(app: &TestApp, path: &str) -> Value {
    app.get(path).await.result()["status"].clone()
}

#[tokio::test]
async fn a_certificate_passes_every_state_when_revoked_and_restored() {
    let app = TestApp::new().await;
    let path = issued(&app).await;
    assert_eq!(status(&app, &path).await, "active");
    assert_eq!(
        app.delete(&path).await.result()["status"],
        "pending_revocation"
    );
    assert_eq!(status(&app, &path).await, "pending_revocation");
    app.settle().await;
    assert_eq!(status(&app, &path).await, "revoked");
    assert_eq!(
        app.patch(&path).await.result()["status"],
        "pending_reactivation"
    );
    assert_eq!(status(&app, &path).await, "pending_reactivation");
    app.settle().await;
    assert_eq!(status(&app, &path).await, "active");
}

#[tokio::test]
async fn a_pending_change_can_be_reversed() {
    let app = TestApp::new().await;
    let path = issued(&app).await;
    app.delete(&path).await.result();
    assert_eq!(
        app.patch(&path).await.result()["status"],
        "pending_reactivation"
    );
    assert_eq!(
        app.delete(&path).await.result()["status"],
        "pending_revocation"
    );
    app.settle().await;
    assert_eq!(status(&app, &path).await, "revoked");
}

#[tokio::test]
async fn repeating_a_pending_change_changes_nothing() {
    let app = TestApp::new().await;
    let path = issued(&app).await;
    let before = app.get(&path).await.result();
    assert_eq!(app.patch(&path).await.result(), before);
    let revoked = app.delete(&path).await.result();
    assert_eq!(app.delete(&path).await.result(), revoked);
    app.settle().await;
    let restored = app.patch(&path).await.result();
    assert_eq!(app.patch(&path).await.result(), restored);
}

#[tokio::test]
async fn revoking_again_changes_nothing_and_says_when_and_by_whom_it_was_revoked() {
    let app = TestApp::new().await;
    let path = issued(&app).await;
    let first = app.delete(&path).await;
    assert_eq!(first.json()["messages"], json!([]));
    let revoked_on = app.clock.now().to_string();
    let verified = app.get("/user/tokens/verify").await.result();
    let token = verified["id"].as_str().unwrap();
    for is_settled in [false, true] {
        if is_settled {
            app.settle().await;
        }
        app.clock.advance_seconds(3_600);
        let before = app.get(&path).await.result();
        // A hold does not replace a hold, and neither does a request without a reason.
        for body in ["", "{}", "null", r#"{"reason":"certificateHold"}"#] {
            let answer = app.delete(&path).body(body).await;
            assert_eq!(answer.result(), before, "{body}");
            let message = answer.json()["messages"].clone();
            let expected = format!(
                "The client certificate was already revoked on {revoked_on} by API token {token} \
                 (certificateHold): nothing changed"
            );
            assert_eq!(
                message,
                json!([{ "code": 1407, "message": expected, "type": null }]),
                "{body}"
            );
        }
    }
    let log = app.get("/accounts/{account}/logs/audit").await.result();
    let revocations = log.as_array().unwrap().iter();
    let revocations = revocations.filter(|entry| entry["action"]["type"] == "revoke");
    assert_eq!(revocations.count(), 1, "{log}");
}

#[tokio::test]
async fn only_a_final_reason_after_a_hold_changes_a_revoked_certificate() {
    let reason = |name: &str| json!({ "reason": name }).to_string();
    let app = TestApp::new().await;
    for is_settled in [false, true] {
        let path = issued(&app).await;
        app.delete(&path).await.result();
        if is_settled {
            app.settle().await;
        }
        let answer = app.delete(&path).body(reason("keyCompromise")).await;
        assert_eq!(answer.result()["status"], "pending_revocation");
        assert_eq!(answer.json()["messages"], json!([]));
        app.settle().await;
        let before = app.get(&path).await.result();
        assert_eq!(before["status"], "revoked");
        // The first final reason stays.
        for name in ["certificateHold", "superseded", "keyCompromise"] {
            let answer = app.delete(&path).body(reason(name)).await;
            assert_eq!(answer.result(), before);
            let message = answer.json()["messages"][0]["message"].to_string();
            assert!(message.contains("(keyCompromise)"), "{message}");
        }
        let error = app.delete(&path).body(reason("unknown")).await.error();
        assert_eq!(
            (error.status, error.pointer.as_deref()),
            (400, Some("/reason"))
        );
        assert_eq!(app.patch(&path).await.error().code, 1408);
    }
}

#[tokio::test]
async fn an_expired_certificate_can_be_revoked_and_read() {
    let app = TestApp::new().await;
    let path = issued(&app).await;
    app.clock.advance_seconds(400 * 86_400);
    assert_eq!(
        app.delete(&path).await.result()["status"],
        "pending_revocation"
    );
    app.settle().await;
    assert_eq!(status(&app, &path).await, "revoked");
}

#[tokio::test]
async fn patch_restores_only_with_true_or_an_empty_body() {
    enum Answer {
        Restored,
        Unchanged,
        Refused(&'static str),
    }
    use Answer::{Refused, Restored, Unchanged};
    let table = [
        ("", Restored),
        (" \n", Restored),
        ("{}", Restored),
        (" {\n} ", Restored),
        (r#"{"reactivate":true}"#, Restored),
        ("null", Unchanged),
        (r#"{"reactivate":null}"#, Unchanged),
        (r#"{"reactivate":false}"#, Unchanged),
        (
            r#"{"csr":"-----BEGIN CERTIFICATE REQUEST-----"}"#,
            Unchanged,
        ),
        (r#"{"csr":null}"#, Unchanged),
        (r#"{"reactivate":null,"other":[1]}"#, Unchanged),
        (r#"{"reactivate":false,"validity_days":1}"#, Unchanged),
        (r#"{"reactivate":true,"csr":"x"}"#, Unchanged),
        (r#"{"Reactivate":true}"#, Unchanged),
        (r#"{"reactivate":"true"}"#, Refused("/reactivate")),
        (r#"{"reactivate":1}"#, Refused("/reactivate")),
        (r#"{"reactivate":{},"csr":"x"}"#, Refused("/reactivate")),
        (r#"{"reactivate":[true]}"#, Refused("/reactivate")),
        ("[]", Refused("")),
        ("true", Refused("")),
        ("1", Refused("")),
        (r#""reactivate""#, Refused("")),
        ("{", Refused("")),
    ];
    let app = TestApp::new().await;
    let path = issued(&app).await;
    for is_settled in [false, true] {
        for (body, expected) in &table {
            app.delete(&path).await.result();
            if is_settled {
                app.settle().await;
            }
            let before = app.get(&path).await.result();
            let answer = app.patch(&path).body(*body).await;
            match expected {
                Restored => {
                    assert_eq!(answer.result()["status"], "pending_reactivation", "{body}");
                    app.settle().await;
                    assert_eq!(status(&app, &path).await, "active", "{body}");
                    continue;
                }
                Unchanged => assert_eq!(answer.result(), before, "{body}"),
                Refused(pointer) => {
                    let error = answer.error();
                    assert_eq!(
                        (error.status, error.pointer.as_deref()),
                        (400, Some(*pointer)),
                        "{body}"
                    );
                }
            }
            app.settle().await;
            assert_eq!(status(&app, &path).await, "revoked", "{body}");
            app.patch(&path).await.result();
            app.settle().await;
        }
    }
    let unknown = "/zones/{zone}/client_certificates/0123456789abcdef0123456789abcdef";
    let error = app.patch(unknown).body("null").await.error();
    assert_eq!((error.status, error.code), (404, 1415));
    // A body is not an error in a request that needs none.
    app.get(&path).body(r#"{"a":1}"#).await.result();
    app.delete(&path).body(r#"{"a":1}"#).await.result();
}
