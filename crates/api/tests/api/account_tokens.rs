//! `/accounts/{account_id}/tokens`

use certgate_testkit::TestApp;
use serde_json::{Value, json};

const SSL_READ: &str = "7b7216b327b04b8fbc8f524e1f9b7531";
const SSL_WRITE: &str = "c03055bc037c4ea9afb9a9f104b7b721";
const ACCOUNT_WRITE: &str = "1af1fa2adc104452b74a9a3364202f20";
const TOKENS_WRITE: &str = "686d18d5ac6c441c867cbf6771e58a0a";
const ACCOUNT_TOKENS_READ: &str = "eb56a6953c034b9d97dd838155666f06";
const ACCOUNT_TOKENS_WRITE: &str = "5bc3f8b21c554832afc660159ab75fa4";

const TOKENS: &str = "/accounts/{account}/tokens";

fn draft(groups: &[&str], resources: Value) -> Value {
    let groups: Vec<_> = groups.iter().map(|id| json!({ "id": id })).collect();
    json!({
        "name": "pipeline",
        "policies": [{ "effect": "allow", "permission_groups": groups, "resources": resources }],
    })
}

fn on_account(app: &TestApp, groups: &[&str]) -> Value {
    draft(groups, json!({ account(&app.account_id): "*" }))
}

fn account(id: &str) -> String {
    format!("com.cloudflare.api.account.{id}")
}

fn zone(id: &str) -> String {
    format!("com.cloudflare.api.account.zone.{id}")
}

fn text(object: &Value, member: &str) -> String {
    object[member].as_str().unwrap().to_owned()
}

/// Returns the IDs of a second account and of a zone in it.
async fn other(app: &TestApp) -> (String, String) {
    let body = json!({ "name": "other" });
    let other = text(&app.post("/accounts", body).await.result(), "id");
    let body = json!({ "name": "other.example", "account": { "id": other } });
    let zone = text(&app.post("/zones", body).await.result(), "id");
    (other, zone)
}

#[tokio::test]
async fn a_token_that_is_deleted_before_the_body_arrives_creates_and_changes_none() {
    let app = TestApp::new().await;
    let user = text(&app.get("/user").await.result(), "id");
    let of_user = format!("com.cloudflare.api.user.{user}");
    let user_body = draft(&[TOKENS_WRITE], json!({ of_user: "*" }));
    let account_body = on_account(&app, &[ACCOUNT_TOKENS_WRITE]);
    for (tokens, body) in [("/user/tokens", user_body), (TOKENS, account_body)] {
        let other = text(&app.post(tokens, body.clone()).await.result(), "id");
        let other = format!("{tokens}/{other}");
        let mut renamed = body.clone();
        renamed["name"] = json!("renamed");
        for is_new in [true, false] {
            let made = app.post(tokens, body.clone()).await.result();
            let own = format!("{tokens}/{}", text(&made, "id"));
            let (started, reads) = tokio::sync::oneshot::channel();
            let (done, deleted) = tokio::sync::oneshot::channel();
            let call = match is_new {
                true => app.post(tokens, renamed.clone()),
                false => app.put(&other, renamed.clone()),
            };
            let call = call.token(&text(&made, "value")).with_body_after(async {
                started.send(()).unwrap();
                deleted.await.unwrap();
            });
            let delete = async {
                reads.await.unwrap();
                app.delete(&own).await.result();
                done.send(()).unwrap();
            };
            let (answer, ()) = futures_util::future::join(call.into_future(), delete).await;
            let error = answer.error();
            assert_eq!((error.status, error.code), (403, 9109), "{tokens}");
        }
        let all = app.get(&format!("{tokens}?per_page=50")).await;
        assert!(!all.result().to_string().contains("renamed"), "{tokens}");
    }
}

#[tokio::test]
async fn an_account_token_is_created_used_replaced_rolled_and_deleted() {
    let app = TestApp::new().await;
    let body = on_account(&app, &[SSL_WRITE, ACCOUNT_WRITE]);
    let made = app.post(TOKENS, body.clone()).await.result();
    let (id, value) = (text(&made, "id"), text(&made, "value"));
    let path = format!("{TOKENS}/{id}");
    let read = app.get(&path).await.result();
    assert_eq!(read.get("value"), None);
    assert_eq!(
        (&read["name"], &read["status"]),
        (&json!("pipeline"), &json!("active"))
    );
    assert_eq!(app.get(TOKENS).await.result(), json!([read]));

    // It works on the account and its zones, and on nothing of the user.
    let certificates = "/zones/{zone}/client_certificates";
    assert_eq!(app.get(certificates).token(&value).await.status, 200);
    assert_eq!(
        app.get("/accounts/{account}").token(&value).await.status,
        200
    );
    for path in ["/user", "/user/tokens", TOKENS] {
        assert_eq!(
            app.get(path).token(&value).await.error().code,
            9109,
            "{path}"
        );
    }

    // The user's list and routes do not have it.
    let listed = app.get("/user/tokens?per_page=50").await.result();
    let listed = listed.as_array().unwrap();
    assert!(listed.iter().all(|token| token["id"] != id));
    let of_user = format!("/user/tokens/{id}");
    let calls = [
        app.get(&of_user).await,
        app.put(&of_user, body.clone()).await,
        app.put(&format!("{of_user}/value"), json!({})).await,
        app.delete(&of_user).await,
    ];
    for answer in calls {
        assert_eq!(answer.error().status, 404);
    }

    let mut changed = body;
    changed["name"] = json!("renamed");
    let replaced = app.put(&path, changed).await.result();
    assert_eq!(replaced["name"], "renamed");
    let rolled = app.put(&format!("{path}/value"), json!({})).await.result();
    let rolled = rolled.as_str().unwrap();
    assert_eq!(app.get(certificates).token(&value).await.error().code, 9109);
    assert_eq!(app.get(certificates).token(rolled).await.status, 200);
    assert_eq!(app.delete(&path).await.result(), json!({ "id": id }));
    assert_eq!(app.get(certificates).token(rolled).await.error().code, 9109);
    assert_eq!(app.get(&path).await.error().status, 404);

    let log = app
        .get("/accounts/{account}/logs/audit?direction=asc")
        .await
        .result();
    let log = log.as_array().unwrap().iter();
    let of_token = log.filter(|entry| entry["resource"]["id"] == id);
    let actions: Vec<_> = of_token
        .map(|entry| text(&entry["action"], "type"))
        .collect();
    assert_eq!(actions, ["create", "update", "update", "delete"]);
}

#[tokio::test]
async fn an_account_token_verifies_itself_on_both_paths() {
    let app = TestApp::new().await;
    let (other, _) = other(&app).await;
    let made = app
        .post(TOKENS, on_account(&app, &[SSL_READ]))
        .await
        .result();
    let value = text(&made, "value");
    let own = format!("{TOKENS}/verify");
    for path in ["/user/tokens/verify", &own] {
        let answer = app.get(path).token(&value).await;
        assert_eq!(answer.result()["id"], made["id"], "{path}");
        assert_eq!(answer.json()["messages"][0]["code"], 10000);
    }
    let theirs = format!("/accounts/{other}/tokens/verify");
    let nowhere = format!("/accounts/{}/tokens/verify", "0".repeat(32));
    for path in [theirs, nowhere] {
        let error = app.get(&path).token(&value).await.error();
        assert_eq!((error.status, error.code), (401, 1000), "{path}");
    }
    // A user's token that may read the tokens of the account may verify itself there too.
    assert_eq!(app.get(&own).await.result()["status"], "active");
    let error = app.get(&own).token("unknown").await.error();
    assert_eq!((error.status, error.code), (401, 1000));
}

#[tokio::test]
async fn an_account_token_has_no_rights_outside_its_account() {
    let app = TestApp::new().await;
    let (other, other_zone) = other(&app).await;
    let user = text(&app.get("/user").await.result(), "id");
    let of_zone = |id: &str| json!({ zone(id): "*" });
    let groups = "/policies/0/permission_groups";
    let resources = "/policies/0/resources";
    for (group, names, pointer) in [
        (ACCOUNT_WRITE, json!({ account(&other): "*" }), resources),
        (ACCOUNT_WRITE, json!({ account("*"): "*" }), resources),
        (SSL_WRITE, json!({ zone("*"): "*" }), resources),
        (SSL_WRITE, of_zone(&other_zone), resources),
        (SSL_WRITE, of_zone(&"0".repeat(32)), resources),
        (
            SSL_WRITE,
            json!({ account(&other): { zone("*"): "*" } }),
            resources,
        ),
        (
            SSL_WRITE,
            json!({ account(&app.account_id): "*", zone("*"): "*" }),
            resources,
        ),
        (
            TOKENS_WRITE,
            json!({ (format!("com.cloudflare.api.user.{user}")): "*" }),
            groups,
        ),
    ] {
        let error = app
            .post(TOKENS, draft(&[group], names.clone()))
            .await
            .error();
        assert_eq!(
            (error.status, error.pointer.as_deref()),
            (400, Some(pointer)),
            "{names}: {}",
            error.message
        );
    }
    for names in [
        of_zone(&app.zone_id),
        json!({ account(&app.account_id): { zone("*"): "*" } }),
        json!({ account(&app.account_id): { zone(&app.zone_id): "*" } }),
    ] {
        app.post(TOKENS, draft(&[SSL_WRITE], names)).await.result();
    }
}

#[tokio::test]
async fn an_account_token_never_exceeds_its_creator() {
    let app = TestApp::new().await;
    let own = account(&app.account_id);
    let own = [own.as_str()];
    let weak = app.token_for(&[ACCOUNT_TOKENS_WRITE, SSL_READ], &own).await;
    let strong = app
        .post(TOKENS, on_account(&app, &[SSL_WRITE]))
        .await
        .result();
    let strong = format!("{TOKENS}/{}", text(&strong, "id"));
    let weaker = on_account(&app, &[SSL_READ, ACCOUNT_TOKENS_READ]);

    // It creates what it has, on a zone of the account too, and no more.
    let made = app.post(TOKENS, weaker.clone()).token(&weak).await.result();
    let on_zone = |group| draft(&[group], json!({ zone(&app.zone_id): "*" }));
    app.post(TOKENS, on_zone(SSL_READ))
        .token(&weak)
        .await
        .result();
    let refused = [
        app.post(TOKENS, on_account(&app, &[SSL_WRITE]))
            .token(&weak)
            .await,
        app.post(TOKENS, on_zone(SSL_WRITE)).token(&weak).await,
        app.put(&strong, weaker.clone()).token(&weak).await,
        app.put(&format!("{strong}/value"), json!({}))
            .token(&weak)
            .await,
        app.delete(&strong).token(&weak).await,
    ];
    for answer in refused {
        assert_eq!(answer.error().code, 1004);
    }
    // A token that an account owns can create others of the account with its own rights.
    let body = on_account(&app, &[ACCOUNT_TOKENS_WRITE, SSL_READ]);
    let parent = text(&app.post(TOKENS, body).await.result(), "value");
    app.post(TOKENS, weaker).token(&parent).await.result();
    let stronger = on_account(&app, &[SSL_WRITE]);
    let error = app.post(TOKENS, stronger).token(&parent).await.error();
    assert_eq!(error.code, 1004);
    // The permission on tokens of the user does not reach those of an account.
    let user = text(&app.get("/user").await.result(), "id");
    let of_user = [&*format!("com.cloudflare.api.user.{user}")];
    let user_tokens = app.token_for(&[TOKENS_WRITE], &of_user).await;
    let path = format!("{TOKENS}/{}", text(&made, "id"));
    assert_eq!(
        app.delete(&path).token(&user_tokens).await.error().code,
        9109
    );
}

#[tokio::test]
async fn tokens_of_an_account_end_with_it() {
    let app = TestApp::new().await;
    let other = text(
        &app.post("/accounts", json!({ "name": "other" }))
            .await
            .result(),
        "id",
    );
    let tokens = format!("/accounts/{other}/tokens");
    let body = draft(&[ACCOUNT_TOKENS_READ], json!({ account(&other): "*" }));
    let value = text(&app.post(&tokens, body).await.result(), "value");
    assert_eq!(app.get(&tokens).token(&value).await.status, 200);
    app.delete(&format!("/accounts/{other}")).await.result();
    let error = app.get(&tokens).token(&value).await.error();
    assert_eq!(
        (error.code, &*error.message),
        (9109, "Invalid access token")
    );
}

#[tokio::test]
async fn lists_of_tokens_have_a_direction() {
    let app = TestApp::new().await;
    for name in ["a", "b", "c"] {
        app.clock.advance_seconds(1);
        let mut body = on_account(&app, &[SSL_READ]);
        body["name"] = json!(name);
        app.post(TOKENS, body).await.result();
    }
    let names = async |query: &str| {
        let listed = app.get(&format!("{TOKENS}{query}")).await.result();
        let listed = listed.as_array().unwrap().iter();
        listed.map(|token| text(token, "name")).collect::<String>()
    };
    assert_eq!(names("").await, "abc");
    assert_eq!(names("?direction=asc").await, "abc");
    assert_eq!(names("?direction=desc").await, "cba");
    assert_eq!(names("?page=2").await, "");
    let error = app.get(&format!("{TOKENS}?direction=up")).await.error();
    assert_eq!((error.status, error.code), (400, 9208));
}

#[tokio::test]
async fn permission_groups_are_found_by_an_encoded_name() {
    let app = TestApp::new().await;
    let of_account = format!("{TOKENS}/permission_groups");
    for path in ["/user/tokens/permission_groups", &of_account] {
        let groups = async |query: &str| app.get(&format!("{path}?{query}")).await.result();
        for name in [
            "SSL+and+Certificates+Write",
            "SSL%20and%20Certificates%20Write",
            "SSL%2520and%2520Certificates%2520Write",
            "SSL%2Band%2BCertificates%2BWrite",
        ] {
            let found = groups(&format!("name={name}")).await;
            assert_eq!(found.as_array().unwrap().len(), 1, "{name}");
            assert_eq!(found[0]["id"], SSL_WRITE);
        }
        assert_eq!(groups("name=SSL%252520and").await, json!([]));
        let found = groups("name=Account%253A%2520SSL%2520and%2520Certificates%2520Read").await;
        assert_eq!(found[0]["scopes"], json!(["com.cloudflare.api.account"]));
        let zones = groups("scope=com.cloudflare.api.account.zone").await;
        assert_eq!(zones.as_array().unwrap().len(), 8);
    }
    let offered = app.get(&of_account).await.result();
    let offered = offered.as_array().unwrap();
    assert!(
        offered
            .iter()
            .all(|group| group["scopes"][0] != "com.cloudflare.api.user")
    );
    assert_eq!(offered.len(), 16);
}
