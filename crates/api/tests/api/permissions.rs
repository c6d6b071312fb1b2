//! `/permissions`: a caller learns what it may do.

use certgate_testkit::{Answer, TestApp};
use serde_json::{Value, json};

const READ: &str = "1e5b7a92a319376f6e7066f2b8ed2ea0";
const REVOKE: &str = "451ce29c094afe23076eaeb8ab436464";
const SSL_WRITE: &str = "c03055bc037c4ea9afb9a9f104b7b721";
const ACCOUNT_READ: &str = "c1fde68c7bcc44588cbb6ddbc16d6480";
const PATH: &str = "/certgate/v1/permissions";

async fn token(app: &TestApp, policies: Value) -> String {
    let body = json!({ "name": "on-call", "policies": policies });
    let made = app.post("/user/tokens", body).await;
    made.result()["value"].as_str().unwrap().to_owned()
}

fn policy(effect: &str, group: &str, resource: &str) -> Value {
    json!({
        "effect": effect,
        "permission_groups": [{ "id": group }],
        "resources": { format!("com.cloudflare.api.account{resource}"): "*" },
    })
}

fn named(answer: &Answer, name: &str) -> Option<Value> {
    let permissions = answer.result()["permissions"].clone();
    let all = permissions.as_array().unwrap();
    all.iter().find(|each| each["name"] == name).cloned()
}

#[tokio::test]
async fn a_token_sees_each_permission_with_its_places() {
    let app = TestApp::new().await;
    let (zone, account) = (app.zone_id.clone(), app.account_id.clone());
    let policies = json!([
        policy("allow", READ, &format!(".zone.{zone}")),
        policy("allow", SSL_WRITE, &format!(".{account}")),
        policy("allow", ACCOUNT_READ, ".*"),
        policy("deny", REVOKE, &format!(".zone.{zone}")),
    ]);
    let value = token(&app, policies).await;
    let answer = app.get(PATH).token(&value).await;
    let result = answer.result();
    assert_eq!(result["caller"]["type"], "token");
    assert_eq!(result["caller"]["name"], "on-call");
    assert_eq!(result["expires_on"], Value::Null);

    // The whole account has it, the zone as well.
    let read = named(&answer, "Client Certificates Read").unwrap();
    assert_eq!(
        read,
        json!({
            "id": READ,
            "name": "Client Certificates Read",
            "scope": "com.cloudflare.api.account.zone",
            "everywhere": false,
            "accounts": [account],
            "zones": [zone],
            "except_accounts": [],
            "except_zones": [],
        })
    );
    // To deny a part denies the whole.
    for name in ["Client Certificates Revoke", "SSL and Certificates Write"] {
        let denied = named(&answer, name).unwrap();
        assert_eq!(denied["except_zones"], json!([zone]), "{name}");
    }
    let settings = named(&answer, "Account Settings Read").unwrap();
    assert_eq!(settings["everywhere"], true);
    assert_eq!(named(&answer, "Account Settings Write"), None);
    assert_eq!(named(&answer, "User Details Read"), None);
}

#[tokio::test]
async fn the_answer_and_the_routes_agree() {
    let app = TestApp::new().await;
    let zone = format!("/zones/{}/client_certificates", app.zone_id);
    for (group, resource, may) in [
        (READ, format!(".zone.{}", app.zone_id), true),
        (SSL_WRITE, ".*".to_owned(), true),
        (READ, format!(".zone.{}", "0".repeat(32)), false),
        (REVOKE, format!(".{}", app.account_id), false),
    ] {
        let value = token(&app, json!([policy("allow", group, &resource)])).await;
        let answer = app.get(PATH).token(&value).await;
        let read = named(&answer, "Client Certificates Read");
        let covers = read.is_some_and(|read| {
            let names = |list: &Value, id: &str| list.as_array().unwrap().iter().any(|x| x == id);
            read["everywhere"] == true
                || names(&read["zones"], &app.zone_id)
                || names(&read["accounts"], &app.account_id)
        });
        assert_eq!(covers, may, "{group} {resource}");
        let status = app.get(&zone).token(&value).await.status;
        assert_eq!(status == 200, may, "{group} {resource}");
    }
}

#[tokio::test]
async fn the_api_key_has_every_permission() {
    let app = TestApp::new().await;
    let (email, key) = app.api_key().await;
    let answer = app.get(PATH).key(&email, &key).await;
    let result = answer.result();
    assert_eq!(result["caller"]["type"], "api_key");
    assert_eq!(result["caller"]["name"], email);
    let permissions = result["permissions"].as_array().unwrap();
    assert_eq!(permissions.len(), 20);
    assert!(permissions.iter().all(|each| each["everywhere"] == true));
}

#[tokio::test]
async fn a_token_sees_its_own_issuance_rules() {
    let app = TestApp::new().await;
    let without = app.get(PATH).await.result();
    assert!(without.get("issuance_rules").is_none());
    let body = json!({
        "name": "build farm",
        "policies": [policy("allow", READ, ".zone.*")],
        "issuance_rules": { "common_names": ["build-*"], "max_lifetime": "30d" },
    });
    let made = app.post("/user/tokens", body).await.result();
    let value = made["value"].as_str().unwrap();
    let result = app.get(PATH).token(value).await.result();
    assert_eq!(
        result["issuance_rules"],
        json!({ "common_names": ["build-*"], "max_lifetime": 30 * 86_400 })
    );
}
