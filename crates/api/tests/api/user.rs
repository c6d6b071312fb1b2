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
