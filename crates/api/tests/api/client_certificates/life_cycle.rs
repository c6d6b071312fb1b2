use certgate_testkit::TestApp;
use serde_json::Value;

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
async fn revoked_and_restored_with_every_state_on_the_way() {
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
async fn a_pending_change_can_be_turned_round() {
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
async fn repeating_a_change_on_its_way_changes_nothing() {
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
async fn revoking_what_is_revoked_is_1407() {
    let app = TestApp::new().await;
    let path = issued(&app).await;
    app.delete(&path).await.result();
    app.settle().await;
    let error = app.delete(&path).await.error();
    assert_eq!((error.status, error.code), (400, 1407));
    assert_eq!(status(&app, &path).await, "revoked");
}

#[tokio::test]
async fn an_expired_certificate_can_be_revoked_and_is_still_there() {
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
async fn the_body_of_patch_says_true_or_nothing() {
    let app = TestApp::new().await;
    let path = issued(&app).await;
    for body in [
        "",
        " \n",
        "{}",
        r#"{"reactivate":true}"#,
        r#"{"reactivate":null,"other":[1]}"#,
    ] {
        app.patch(&path).body(body).await.result();
    }
    for (body, pointer) in [
        (r#"{"reactivate":false}"#, "/reactivate"),
        (r#"{"reactivate":"true"}"#, "/reactivate"),
        ("[]", ""),
        ("true", ""),
        ("{", ""),
    ] {
        let error = app.patch(&path).body(body).await.error();
        assert_eq!(
            (error.status, error.pointer.as_deref()),
            (400, Some(pointer)),
            "{body}"
        );
    }
    // A body where none belongs is no error either.
    app.get(&path).body(r#"{"a":1}"#).await.result();
    app.delete(&path).body(r#"{"a":1}"#).await.result();
}
