use certgate_testkit::TestApp;
use serde_json::json;

#[tokio::test]
async fn the_user_has_what_clients_of_the_public_api_read() {
    let app = TestApp::new().await;
    let user = app.get("/user").await.result();
    insta::assert_json_snapshot!(user, { ".id" => "[id]" }, @r#"
    {
      "country": null,
      "created_on": "2026-08-14T10:20:30Z",
      "email": "admin@certgate.invalid",
      "first_name": null,
      "id": "[id]",
      "last_name": null,
      "modified_on": "2026-08-14T10:20:30Z",
      "suspended": false,
      "telephone": null,
      "two_factor_authentication_enabled": false,
      "two_factor_authentication_locked": false,
      "zipcode": null
    }
    "#);
    let token = app
        .token_for(
            &["c8fed203ed3043cba015a93ad1616f1f"],
            &["com.cloudflare.api.account.zone.*"],
        )
        .await;
    assert_eq!(app.get("/user").token(&token).await.error().code, 9109);
}

#[tokio::test]
async fn any_valid_token_verifies_itself() {
    let app = TestApp::new().await;
    let answer = app.get("/user/tokens/verify").await;
    assert_eq!(answer.status, 200);
    let json = answer.json();
    assert_eq!(json["result"]["status"], "active");
    let message =
        json!([{ "code": 10000, "message": "This API Token is valid and active", "type": null }]);
    assert_eq!(json["messages"], message);
    let missing = app.get("/user/tokens/verify").anonymous().await.error();
    assert_eq!((missing.status, missing.code), (400, 9106));
}

#[tokio::test]
async fn the_user_is_changed_member_by_member() {
    let app = TestApp::new().await;
    let patch = |body: serde_json::Value| app.patch("/user").body(body.to_string());
    let before = app.get("/user").await.result();
    app.clock.advance_seconds(5);
    assert_eq!(app.patch("/user").await.result(), before);
    let changed = patch(json!({ "first_name": "Ada", "country": "UK" }))
        .await
        .result();
    assert_eq!(changed["first_name"], "Ada");
    assert_eq!(changed["modified_on"], "2026-08-14T10:20:35Z");
    assert_eq!(app.get("/user").await.result(), changed);
    let changed = patch(json!({ "country": null, "zipcode": "N1" }))
        .await
        .result();
    assert_eq!(
        (
            &changed["first_name"],
            &changed["country"],
            &changed["zipcode"]
        ),
        (&json!("Ada"), &json!(null), &json!("N1"))
    );
    assert_eq!(changed["email"], before["email"]);
    for (body, pointer) in [
        (json!({ "first_name": "x".repeat(61) }), "/first_name"),
        (json!({ "last_name": "a\u{1b}b" }), "/last_name"),
        (json!({ "telephone": "1".repeat(21) }), "/telephone"),
        (json!({ "country": "x".repeat(31) }), "/country"),
        (json!({ "zipcode": 7 }), "/zipcode"),
    ] {
        let error = patch(body.clone()).await.error();
        assert_eq!(
            (error.status, error.code, error.pointer.as_deref()),
            (400, 9207, Some(pointer)),
            "{body}"
        );
    }
    let log = app
        .get("/certgate/v1/user/logs/audit?limit=1")
        .await
        .result();
    assert_eq!(log[0]["action"]["type"], "update");
    assert_eq!(log[0]["resource"]["type"], "user");
}
