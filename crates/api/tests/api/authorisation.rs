//! Every route of the OpenAPI document, with every kind of credential. A route that is missing from the table fails.

use certgate_testkit::{Call, TestApp};
use http::Method;
use serde_json::{Value, json};

const SSL_READ: &str = "7b7216b327b04b8fbc8f524e1f9b7531";
const SSL_WRITE: &str = "c03055bc037c4ea9afb9a9f104b7b721";
const ZONE_READ: &str = "c8fed203ed3043cba015a93ad1616f1f";
const ZONE_WRITE: &str = "e6d2666161e84845a636613608cee8d5";
const ACCOUNT_READ: &str = "c1fde68c7bcc44588cbb6ddbc16d6480";
const ACCOUNT_WRITE: &str = "1af1fa2adc104452b74a9a3364202f20";
const TOKENS_READ: &str = "0cc3a61731504c89b99ec1be78b77aa0";
const TOKENS_WRITE: &str = "686d18d5ac6c441c867cbf6771e58a0a";
const USER_READ: &str = "8acbe5bb0d54464ab867149d7f7cf8ac";

/// The permission a route needs, and one that does not suffice: for a route that writes, the reading one.
const ROUTES: [(&str, &str, &str, &str); 26] = [
    ("GET", "/client/v4/zones/{zone_id}/client_certificates", SSL_READ, ZONE_WRITE),
    ("POST", "/client/v4/zones/{zone_id}/client_certificates", SSL_WRITE, SSL_READ),
    ("GET", "/client/v4/zones/{zone_id}/client_certificates/{client_certificate_id}", SSL_READ, ZONE_WRITE),
    ("PATCH", "/client/v4/zones/{zone_id}/client_certificates/{client_certificate_id}", SSL_WRITE, SSL_READ),
    ("DELETE", "/client/v4/zones/{zone_id}/client_certificates/{client_certificate_id}", SSL_WRITE, SSL_READ),
    ("GET", "/client/v4/zones", ZONE_READ, SSL_WRITE),
    ("POST", "/client/v4/zones", ZONE_WRITE, ZONE_READ),
    ("GET", "/client/v4/zones/{zone_id}", ZONE_READ, SSL_WRITE),
    ("DELETE", "/client/v4/zones/{zone_id}", ZONE_WRITE, ZONE_READ),
    ("GET", "/client/v4/accounts", ACCOUNT_READ, ZONE_WRITE),
    ("POST", "/client/v4/accounts", ACCOUNT_WRITE, ACCOUNT_READ),
    ("GET", "/client/v4/accounts/{account_id}", ACCOUNT_READ, ZONE_WRITE),
    ("DELETE", "/client/v4/accounts/{account_id}", ACCOUNT_WRITE, ACCOUNT_READ),
    ("GET", "/certgate/v1/accounts/{account_id}/managed_authority", ACCOUNT_READ, ZONE_WRITE),
    ("GET", "/certgate/v1/accounts/{account_id}/managed_authorities", ACCOUNT_READ, ZONE_WRITE),
    ("POST", "/certgate/v1/accounts/{account_id}/managed_authorities", ACCOUNT_WRITE, ACCOUNT_READ),
    ("POST", "/certgate/v1/accounts/{account_id}/managed_authorities/rotate", ACCOUNT_WRITE, ACCOUNT_READ),
    ("GET", "/client/v4/user", USER_READ, TOKENS_WRITE),
    ("GET", "/client/v4/user/tokens", TOKENS_READ, USER_READ),
    ("POST", "/client/v4/user/tokens", TOKENS_WRITE, TOKENS_READ),
    ("GET", "/client/v4/user/tokens/{token_id}", TOKENS_READ, USER_READ),
    ("PUT", "/client/v4/user/tokens/{token_id}", TOKENS_WRITE, TOKENS_READ),
    ("DELETE", "/client/v4/user/tokens/{token_id}", TOKENS_WRITE, TOKENS_READ),
    ("PUT", "/client/v4/user/tokens/{token_id}/value", TOKENS_WRITE, TOKENS_READ),
    ("GET", "/client/v4/user/tokens/permission_groups", TOKENS_READ, USER_READ),
    // Every token may verify itself: see `user.rs`.
    ("GET", "/client/v4/user/tokens/verify", "", ""),
];

#[test]
fn the_table_has_every_route_of_the_document() {
    let document: Value = serde_json::from_str(certgate_api::openapi_json()).unwrap();
    let mut documented = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            documented.push(format!("{} {path}", method.to_uppercase()));
        }
    }
    let mut table: Vec<_> = ROUTES.iter().map(|(method, path, _, _)| format!("{method} {path}")).collect();
    documented.sort();
    table.sort();
    assert_eq!(table, documented);
}

struct Setting {
    app: TestApp,
    user: String,
    certificate: String,
    token: String,
}

impl Setting {
    async fn new() -> Self {
        let app = TestApp::new().await;
        let certificate = app.issue("x").await["id"].as_str().unwrap().to_owned();
        let user = app.get("/user").await.result()["id"].as_str().unwrap().to_owned();
        let tokens = app.get("/user/tokens").await.result();
        let token = tokens[0]["id"].as_str().unwrap().to_owned();
        Self { app, user, certificate, token }
    }

    fn call(&self, method: &str, path: &str) -> Call<'_> {
        let path = path
            .replace("{zone_id}", &self.app.zone_id)
            .replace("{account_id}", &self.app.account_id)
            .replace("{client_certificate_id}", &self.certificate)
            .replace("{token_id}", &self.token);
        let call = self.app.call(Method::from_bytes(method.as_bytes()).unwrap(), &path);
        match method {
            // Good enough to get past the reading of the body, where the permission depends on it.
            "POST" if path.ends_with("/zones") => call
                .body(json!({ "name": "n.example", "account": { "id": self.app.account_id } }).to_string()),
            "POST" | "PUT" if !path.ends_with("/accounts") => call.body("{}"),
            "POST" => call.body(r#"{"name":" "}"#),
            _ => call,
        }
    }

    async fn token_with(&self, group: &str) -> String {
        let user = format!("com.cloudflare.api.user.{}", self.user);
        let resource = match group {
            TOKENS_READ | TOKENS_WRITE | USER_READ => user.as_str(),
            _ => "com.cloudflare.api.account.*",
        };
        self.app.token_for(&[group], &[resource]).await
    }
}

#[tokio::test]
async fn without_a_good_credential_every_route_says_the_same() {
    let setting = Setting::new().await;
    for (method, path, _, _) in ROUTES {
        let route = format!("{method} {path}");
        let verify = path.ends_with("/verify");
        let error = setting.call(method, path).anonymous().await.error();
        assert_eq!((error.status, error.code), (400, 9106), "{route}");
        let error = setting.call(method, path).header("authorization", "Basic eA==").await.error();
        assert_eq!((error.status, error.code), (400, 6003), "{route}");
        let error = setting.call(method, path).token("unknown").await.error();
        assert_eq!((error.status, error.code), if verify { (401, 1000) } else { (403, 9109) }, "{route}");
    }
}

#[tokio::test]
async fn every_route_needs_its_own_permission() {
    let setting = Setting::new().await;
    for (method, path, needed, other) in ROUTES.into_iter().filter(|(_, _, needed, _)| !needed.is_empty()) {
        let route = format!("{method} {path}");
        let wrong = setting.token_with(other).await;
        let refused = setting.call(method, path).token(&wrong).await;
        let error = refused.error();
        assert_eq!((error.status, error.code), (403, 9109), "{route}");
        assert_eq!(error.message, "Unauthorized to access requested resource", "{route}");

        let right = setting.token_with(needed).await;
        let allowed = setting.call(method, path).token(&right).await;
        assert_ne!(allowed.bytes, refused.bytes, "{route}");
        assert!(allowed.status != 403 || allowed.error().code == 1004, "{route}: {}", allowed.json());
        if path == "/client/v4/zones/{zone_id}" && method == "DELETE" {
            assert_eq!(allowed.error().code, 1063, "the zone has a certificate");
        }
    }
}

#[tokio::test]
async fn a_permission_elsewhere_is_none_here() {
    let setting = Setting::new().await;
    let other = setting.app.post("/accounts", json!({ "name": "other" })).await.result();
    let elsewhere = format!("com.cloudflare.api.account.{}", other["id"].as_str().unwrap());
    for (method, path, needed, _) in ROUTES {
        if !path.contains("{zone_id}") && !path.contains("{account_id}") {
            continue;
        }
        let token = setting.app.token_for(&[needed], &[&elsewhere]).await;
        let error = setting.call(method, path).token(&token).await.error();
        assert_eq!((error.status, error.code), (403, 9109), "{method} {path}");
    }
}
