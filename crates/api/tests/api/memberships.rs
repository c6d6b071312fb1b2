//! `/memberships`

use certgate_testkit::TestApp;
use serde_json::json;

#[tokio::test]
async fn each_account_has_one_membership() {
    let app = TestApp::new().await;
    app.clock.advance_seconds(1);
    let made = app
        .post("/accounts", json!({ "name": "Second" }))
        .await
        .result();
    let listed = app.get("/memberships").await.json();
    assert_eq!(listed["result_info"]["total_count"], 2);
    let second = &listed["result"][1];
    insta::assert_json_snapshot!(second, { ".id" => "[id]", ".account" => "[account]" }, @r#"
    {
      "account": "[account]",
      "api_access_enabled": true,
      "id": "[id]",
      "permissions": {
        "organization": {
          "read": true,
          "write": true
        },
        "ssl": {
          "read": true,
          "write": true
        },
        "zones": {
          "read": true,
          "write": true
        }
      },
      "roles": [
        "Super Administrator - All Privileges"
      ],
      "status": "accepted"
    }
    "#);
    assert_eq!(second["account"], made);
    let id = second["id"].as_str().unwrap();
    assert_eq!(
        app.get(&format!("/memberships/{id}")).await.result(),
        *second
    );
    assert_eq!(app.get("/memberships/x").await.error().status, 404);

    for (query, names) in [
        ("direction=desc", vec!["Second", "default"]),
        ("account.name=second", vec!["Second"]),
        ("name=contains:sec", vec!["Second"]),
        (
            "status=accepted&order=account.name",
            vec!["default", "Second"],
        ),
        ("status=pending", vec![]),
        ("page=2", vec![]),
        ("per_page=1&page=2", vec!["Second"]),
    ] {
        let listed = app.get(&format!("/memberships?{query}")).await.result();
        let listed = listed.as_array().unwrap().iter();
        let found: Vec<_> = listed
            .map(|found| found["account"]["name"].as_str().unwrap())
            .collect();
        assert_eq!(found, names, "{query}");
    }
    for query in ["status=x", "order=x", "name=a&account.name=b"] {
        let error = app.get(&format!("/memberships?{query}")).await.error();
        assert_eq!((error.status, error.code), (400, 9208), "{query}");
    }
}

#[tokio::test]
async fn a_token_sees_the_memberships_of_its_accounts() {
    let app = TestApp::new().await;
    let made = app
        .post("/accounts", json!({ "name": "Second" }))
        .await
        .result();
    let id = made["id"].as_str().unwrap();
    let account = format!("com.cloudflare.api.account.{id}");
    let read = "c1fde68c7bcc44588cbb6ddbc16d6480";
    let token = app.token_for(&[read], &[&account]).await;
    let listed = app.get("/memberships").token(&token).await.result();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    let grant = &listed[0]["permissions"]["organization"];
    assert_eq!(*grant, json!({ "read": true, "write": false }));
    let other = app
        .get("/memberships/{account}")
        .token(&token)
        .await
        .error();
    assert_eq!(other.code, 9109);
}
