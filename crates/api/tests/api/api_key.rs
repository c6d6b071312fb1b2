//! `/certgate/v1/user/api_key`, and requests with an e-mail address and a key

use certgate_testkit::TestApp;
use serde_json::{Value, json};

const ROUTE: &str = "/certgate/v1/user/api_key";
const PATH: &str = "/zones/{zone}/client_certificates";
const TOKENS_WRITE: &str = "686d18d5ac6c441c867cbf6771e58a0a";
const ZONE_READ: &str = "c8fed203ed3043cba015a93ad1616f1f";
const EMAIL: &str = "admin@certgate.invalid";

async fn put(app: &TestApp) -> Value {
    app.call(http::Method::PUT, ROUTE).await.result()
}

#[tokio::test]
async fn a_key_exists_from_its_creation_to_its_deletion() {
    let app = TestApp::new().await;
    let unknown = async |key: &str| {
        let error = app.get(PATH).key(EMAIL, key).await.error();
        assert_eq!((error.status, error.code), (403, 9103));
        assert_eq!(error.message, "Unknown X-Auth-Key or X-Auth-Email");
    };
    unknown(&"0".repeat(37)).await;
    assert_eq!(app.delete(ROUTE).await.result(), json!({ "email": EMAIL }));

    let made = put(&app).await;
    insta::assert_json_snapshot!(made, { ".api_key" => "[key]" }, @r#"
    {
      "api_key": "[key]",
      "email": "admin@certgate.invalid"
    }
    "#);
    let first = made["api_key"].as_str().unwrap().to_owned();
    assert!(
        first.len() == 37
            && first
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    );
    app.get(PATH).key(EMAIL, &first).await.result();
    app.get(PATH)
        .key("Admin@CERTGATE.invalid", &first)
        .await
        .result();
    let error = app
        .get(PATH)
        .key("other@certgate.invalid", &first)
        .await
        .error();
    assert_eq!((error.status, error.code), (403, 9103));
    assert!(!app.get("/user").await.json().to_string().contains(&first));

    // The key has every permission, so it can replace itself.
    let replaced = app
        .call(http::Method::PUT, ROUTE)
        .key(EMAIL, &first)
        .await
        .result();
    let second = replaced["api_key"].as_str().unwrap().to_owned();
    assert_ne!(first, second);
    unknown(&first).await;
    app.get(PATH).key(EMAIL, &second).await.result();

    assert_eq!(
        app.delete(ROUTE).key(EMAIL, &second).await.result(),
        json!({ "email": EMAIL })
    );
    unknown(&second).await;
}

#[tokio::test]
async fn only_an_unlimited_token_creates_or_deletes_a_key() {
    let app = TestApp::new().await;
    let key = put(&app).await["api_key"].as_str().unwrap().to_owned();
    let mine = app.get("/user/tokens").await.result()[0].clone();
    let user = app.get("/user").await.result();
    let resource = format!("com.cloudflare.api.user.{}", user["id"].as_str().unwrap());
    let deny = json!({
        "effect": "deny",
        "permission_groups": [{ "id": ZONE_READ }],
        "resources": { format!("com.cloudflare.api.account.zone.{}", app.zone_id): "*" },
    });
    let mut all_but_one_zone = mine["policies"].as_array().unwrap().clone();
    all_but_one_zone.push(deny);
    let mut tokens = vec![app.token_for(&[TOKENS_WRITE], &[&resource]).await];
    for body in [
        json!({ "name": "t", "policies": all_but_one_zone }),
        json!({ "name": "t", "policies": mine["policies"], "expires_on": "2030-01-01T00:00:00Z" }),
        json!({
            "name": "t", "policies": mine["policies"],
            "condition": { "request.ip": { "in": ["127.0.0.1"] } },
        }),
        json!({
            "name": "t", "policies": mine["policies"],
            "condition": { "request.ip": { "not_in": ["10.0.0.1"] } },
        }),
    ] {
        tokens.push(
            app.post("/user/tokens", body).await.result()["value"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
    }
    for token in &tokens {
        app.get("/user/tokens").token(token).await.result();
        for method in [http::Method::PUT, http::Method::DELETE] {
            let error = app.call(method, ROUTE).token(token).await.error();
            assert_eq!((error.status, error.code), (403, 1004));
            assert!(
                error.message.contains("every permission on everything"),
                "{}",
                error.message
            );
        }
    }
    app.get(PATH).key(EMAIL, &key).await.result();
    // The same token without limits can.
    let body = json!({ "name": "t", "policies": mine["policies"] });
    let made = app.post("/user/tokens", body).await.result();
    app.delete(ROUTE)
        .token(made["value"].as_str().unwrap())
        .await
        .result();
    assert_eq!(app.get(PATH).key(EMAIL, &key).await.error().code, 9103);
}

#[tokio::test]
async fn a_malformed_key_or_email_is_6003_because_of_6103_or_6102() {
    let app = TestApp::new().await;
    let (email, key) = app.api_key().await;
    let long = "0".repeat(129);
    for bad in [
        "k",
        &key[..36],
        &long,
        &format!("{}g", "0".repeat(63)),
        &app.token,
        "\u{e9}",
    ] {
        let answer = app.get(PATH).key(&email, bad).await;
        let error = answer.error();
        assert_eq!((error.status, error.code), (400, 6003), "{bad}");
        assert_eq!(error.message, "Invalid request headers");
        let chain = json!([{ "code": 6103, "message": "Invalid format for X-Auth-Key header" }]);
        assert_eq!(answer.json()["errors"][0]["error_chain"], chain);
    }
    for bad in [
        "unknown",
        &format!("{}@x", "x".repeat(253)),
        "\u{e9}@example.com",
    ] {
        let answer = app.get(PATH).key(bad, &key).await;
        assert_eq!(
            (answer.error().status, answer.error().code),
            (400, 6003),
            "{bad}"
        );
        let chain = json!([{ "code": 6102, "message": "Invalid format for X-Auth-Email header" }]);
        assert_eq!(answer.json()["errors"][0]["error_chain"], chain);
    }
    // A request with only one of the two headers has no credentials.
    for call in [
        app.get(PATH).anonymous().header("x-auth-email", &email),
        app.get(PATH).anonymous().header("x-auth-key", &key),
    ] {
        assert_eq!(call.await.error().code, 9106);
    }
}

#[tokio::test]
async fn a_token_takes_precedence_over_email_and_key() {
    let app = TestApp::new().await;
    let (email, key) = app.api_key().await;
    let both = |token: &str| {
        app.get(PATH)
            .header("x-auth-email", &email)
            .header("x-auth-key", &key)
            .token(token)
    };
    both(&app.token).await.result();
    assert_eq!(both("unknown").await.error().code, 9109);
    assert_eq!(
        app.get(PATH)
            .header("x-auth-email", "k")
            .header("x-auth-key", "k")
            .await
            .status,
        200
    );
    // An empty header counts as absent.
    app.get(PATH)
        .key(&email, &key)
        .header("authorization", "")
        .await
        .result();
}

#[tokio::test]
async fn a_key_cannot_be_verified_listed_or_changed_as_a_token() {
    let app = TestApp::new().await;
    let (email, key) = app.api_key().await;
    let error = app
        .get("/user/tokens/verify")
        .key(&email, &key)
        .await
        .error();
    assert_eq!((error.status, error.code), (401, 1000));
    let error = app
        .get("/user/tokens/verify")
        .key(&email, &"0".repeat(64))
        .await
        .error();
    assert_eq!((error.status, error.code), (403, 9103));
    assert_eq!(
        app.get(PATH).token(&key).await.error().code,
        9109,
        "nor is it a token's value"
    );
    let tokens = app.get("/user/tokens").key(&email, &key).await.result();
    assert_eq!(tokens.as_array().unwrap().len(), 1);
    let user = app.get("/user").await.result();
    let path = format!("/user/tokens/{}", user["id"].as_str().unwrap());
    assert_eq!(app.delete(&path).key(&email, &key).await.error().code, 1003);
    // The key can create a token with every permission.
    let made = json!({ "name": "t", "policies": tokens[0]["policies"] });
    app.post("/user/tokens", made)
        .key(&email, &key)
        .await
        .result();
}
