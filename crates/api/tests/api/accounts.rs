use std::future::IntoFuture;

use certgate_testkit::{TestApp, csr};
use serde_json::json;

use crate::together::together;

#[tokio::test]
async fn accounts_are_created_listed_read_and_deleted() {
    let app = TestApp::new().await;
    app.clock.advance_seconds(1);
    let made = app
        .post("/accounts", json!({ "name": "Second", "type": "standard" }))
        .await
        .result();
    let path = format!("/accounts/{}", made["id"].as_str().unwrap());
    assert_eq!(app.get(&path).await.result(), made);
    insta::assert_json_snapshot!(made, { ".id" => "[id]" }, @r#"
    {
      "authority_algorithm": "P-256",
      "created_on": "2026-08-14T10:20:31Z",
      "id": "[id]",
      "name": "Second",
      "settings": {
        "enforce_twofactor": false
      },
      "type": "standard"
    }
    "#);

    let listed = app.get("/accounts").await.json();
    assert_eq!(listed["result"][1], made);
    assert_eq!(listed["result_info"]["total_count"], 2);
    assert_eq!(app.get("/accounts?direction=desc").await.result()[0], made);
    assert_eq!(
        app.get("/accounts?name=starts_with:sec").await.result(),
        json!([made])
    );
    assert_eq!(
        app.get("/accounts?name=default").await.result()[0]["id"],
        app.account_id
    );

    assert_eq!(
        app.delete(&path).await.result(),
        json!({ "id": made["id"] })
    );
    let error = app.get(&path).await.error();
    assert_eq!((error.status, error.code), (404, 7003));
}

#[tokio::test]
async fn a_bad_account_is_refused_with_its_reason() {
    let app = TestApp::new().await;
    for (body, code, pointer) in [
        (json!({}), 9207, "/name"),
        (json!({ "name": 1 }), 9207, "/name"),
        (json!({ "name": " " }), 1065, "/name"),
        (json!({ "name": "x".repeat(101) }), 1065, "/name"),
        (json!({ "name": "default" }), 1062, "/name"),
        (
            json!({ "name": "a", "authority_algorithm": "RSA-1024" }),
            9207,
            "/authority_algorithm",
        ),
    ] {
        let error = app.post("/accounts", body).await.error();
        assert_eq!(
            (error.status, error.code, error.pointer.as_deref()),
            (400, code, Some(pointer))
        );
    }
    let error = app.delete("/accounts/{account}").await.error();
    assert_eq!((error.status, error.code), (400, 1064));
    assert!(error.message.contains("1 zones"), "{}", error.message);
}

#[tokio::test]
async fn a_token_sees_and_changes_only_its_accounts() {
    let app = TestApp::new().await;
    let other = app
        .post("/accounts", json!({ "name": "other" }))
        .await
        .result();
    let mine = format!("com.cloudflare.api.account.{}", app.account_id);
    let token = app
        .token_for(&["1af1fa2adc104452b74a9a3364202f20"], &[&mine])
        .await;
    let listed = app.get("/accounts").token(&token).await.json();
    assert_eq!(listed["result_info"]["total_count"], 1);
    assert_eq!(listed["result"][0]["id"], app.account_id);
    let path = format!("/accounts/{}", other["id"].as_str().unwrap());
    assert_eq!(app.get(&path).token(&token).await.error().code, 9109);
    assert_eq!(app.delete(&path).token(&token).await.error().code, 9109);
    assert_eq!(
        app.post("/accounts", json!({ "name": "x" }))
            .token(&token)
            .await
            .error()
            .code,
        9109
    );
}

#[tokio::test]
async fn the_managed_ca_is_created_once_and_signs() {
    let app = TestApp::new().await;
    let path = "/certgate/v1/accounts/{account}/managed_authority";
    let authority = app.get(path).await.result();
    assert_eq!(app.get(path).await.result(), authority);
    insta::assert_json_snapshot!(authority, {
        ".id" => "[uuid]",
        ".certificate" => "[pem]",
        ".fingerprint_sha256" => "[hex]",
    }, @r#"
    {
      "algorithm": "P-256",
      "certificate": "[pem]",
      "created_on": "2026-08-14T10:15:00Z",
      "expires_on": "2056-08-06T10:15:00Z",
      "fingerprint_sha256": "[hex]",
      "id": "[uuid]",
      "in_force": true,
      "name": "certgate managed authority of default",
      "public_url": "http://pki.example.com",
      "published_epoch": 1,
      "state": "active"
    }
    "#);
    let body = json!({ "csr": csr("x"), "validity_days": 1 });
    let issued = app
        .post("/zones/{zone}/client_certificates", body)
        .await
        .result();
    assert_eq!(issued["certificate_authority"]["id"], authority["id"]);
}

#[tokio::test]
async fn many_first_requests_create_one_ca() {
    let app = TestApp::new().await;
    let requests = (0..16).map(|number| {
        let body = json!({ "csr": csr(&format!("c{number}")), "validity_days": 1 });
        app.post("/zones/{zone}/client_certificates", body)
            .into_future()
    });
    let mut authorities = std::collections::HashSet::new();
    for answer in together(requests).await {
        authorities.insert(
            answer.result()["certificate_authority"]["id"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
    }
    assert_eq!(authorities.len(), 1);
}

#[tokio::test]
async fn an_account_is_replaced_with_explicit_nulls() {
    let app = TestApp::new().await;
    let body = json!({ "name": "Second", "type": "enterprise" });
    let made = app.post("/accounts", body).await.result();
    assert_eq!(made["type"], "enterprise");
    let path = format!("/accounts/{}", made["id"].as_str().unwrap());
    // Each body, and the name, type and settings afterwards.
    for (body, name, kind, settings) in [
        (
            json!({ "name": "Third", "type": null }),
            "Third",
            "enterprise",
            json!({ "enforce_twofactor": false }),
        ),
        (
            json!({ "name": "Third", "type": null, "settings": { "enforce_twofactor": true } }),
            "Third",
            "enterprise",
            json!({ "enforce_twofactor": true }),
        ),
        (
            json!({ "id": made["id"], "name": " third ", "type": "standard", "settings": null }),
            "third",
            "standard",
            json!({ "enforce_twofactor": true }),
        ),
        (
            json!({
                "name": "third",
                "settings": {
                    "abuse_contact_email": "abuse@example.com",
                    "enforce_twofactor": null,
                },
            }),
            "third",
            "standard",
            json!({ "abuse_contact_email": "abuse@example.com", "enforce_twofactor": true }),
        ),
        (
            json!({ "name": "third", "settings": { "abuse_contact_email": null } }),
            "third",
            "standard",
            json!({ "abuse_contact_email": "abuse@example.com", "enforce_twofactor": true }),
        ),
        (
            json!({ "name": "third", "settings": { "abuse_contact_email": "" } }),
            "third",
            "standard",
            json!({ "enforce_twofactor": true }),
        ),
    ] {
        let changed = app.put(&path, body.clone()).await.result();
        assert_eq!(changed["name"], name, "{body}");
        assert_eq!(changed["type"], kind, "{body}");
        assert_eq!(changed["settings"], settings, "{body}");
        assert_eq!(app.get(&path).await.result(), changed, "{body}");
    }
    for (body, code, pointer) in [
        (json!({}), 9207, "/name"),
        (json!({ "name": null }), 9207, "/name"),
        (json!({ "name": "" }), 1065, "/name"),
        (json!({ "name": "DEFAULT" }), 1062, "/name"),
        (json!({ "name": "x", "type": "gold" }), 9207, "/type"),
        (json!({ "name": "x", "settings": true }), 9207, "/settings"),
        (
            json!({ "name": "x", "settings": { "abuse_contact_email": "no-address" } }),
            9207,
            "/settings/abuse_contact_email",
        ),
    ] {
        let error = app.put(&path, body.clone()).await.error();
        assert_eq!(
            (error.status, error.code, error.pointer.as_deref()),
            (400, code, Some(pointer)),
            "{body}"
        );
    }
    assert_eq!(app.get(&path).await.result()["name"], "third");
}

#[tokio::test]
async fn zones_show_the_new_name_of_their_account() {
    let app = TestApp::new().await;
    assert_eq!(
        app.get("/zones/{zone}").await.result()["account"]["name"],
        "default"
    );
    let body = json!({ "name": "Renamed" });
    app.put("/accounts/{account}", body).await.result();
    assert_eq!(
        app.get("/zones/{zone}").await.result()["account"]["name"],
        "Renamed"
    );
    let found = app.get("/zones?account.name=renamed").await.result();
    assert_eq!(found.as_array().unwrap().len(), 1);
    let body = json!({ "name": "default" });
    app.post("/accounts", body).await.result();
}
