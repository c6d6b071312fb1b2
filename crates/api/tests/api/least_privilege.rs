//! The parts of Cloudflare's permission groups: Client Certificates Issue, Read, Restore, Revoke.

use certgate_testkit::{TestApp, csr};
use http::Method;
use serde_json::{Value, json};

pub const ISSUE: &str = "e033ed79690bd3784ab70fc95ff210ac";
const READ: &str = "1e5b7a92a319376f6e7066f2b8ed2ea0";
const RESTORE: &str = "d04f845b6b74cf4f32a5d8f284ce96e3";
const REVOKE: &str = "451ce29c094afe23076eaeb8ab436464";
const SSL_READ: &str = "7b7216b327b04b8fbc8f524e1f9b7531";
const SSL_WRITE: &str = "c03055bc037c4ea9afb9a9f104b7b721";

/// An action on client certificates or hostnames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    List,
    Get,
    Issue,
    Revoke,
    Restore,
    ReadHostnames,
    WriteHostnames,
}

use Act::{Get, Issue, List, ReadHostnames, Restore, Revoke, WriteHostnames};

const ACTS: [Act; 7] = [
    List,
    Get,
    Issue,
    Revoke,
    Restore,
    ReadHostnames,
    WriteHostnames,
];

/// Returns a policy on every zone.
fn policy(effect: &str, groups: &[&str]) -> Value {
    let groups: Vec<_> = groups.iter().map(|id| json!({ "id": id })).collect();
    let resources = json!({ "com.cloudflare.api.account.zone.*": "*" });
    json!({ "effect": effect, "permission_groups": groups, "resources": resources })
}

/// Creates a token with these policies and returns its value.
async fn token(app: &TestApp, policies: Vec<Value>) -> String {
    let body = json!({ "name": "t", "policies": policies });
    let made = app.post("/user/tokens", body).await.result();
    made["value"].as_str().unwrap().to_owned()
}

/// Returns the actions that the token may do. Every other one must be refused like any other.
async fn allowed(app: &TestApp, token: &str) -> Vec<Act> {
    let certificates = format!("/client/v4/zones/{}/client_certificates", app.zone_id);
    let hostnames = format!(
        "/client/v4/zones/{}/certificate_authorities/hostname_associations",
        app.zone_id
    );
    let certificate = app.issue("x").await["id"].as_str().unwrap().to_owned();
    let one = format!("{certificates}/{certificate}");
    let mut allowed = Vec::new();
    for act in ACTS {
        let call = match act {
            List => app.call(Method::GET, &certificates),
            Get => app.call(Method::GET, &one),
            Issue => app
                .call(Method::POST, &certificates)
                .body(json!({ "csr": csr("y"), "validity_days": 1 }).to_string()),
            Revoke => app.call(Method::DELETE, &one),
            Restore => app.call(Method::PATCH, &one),
            ReadHostnames => app.call(Method::GET, &hostnames),
            WriteHostnames => app
                .call(Method::PUT, &hostnames)
                .body(json!({ "hostnames": ["a.example.com"] }).to_string()),
        };
        let answer = call.token(token).await;
        if answer.status == 200 {
            allowed.push(act);
        } else {
            let error = answer.error();
            assert_eq!((error.status, error.code), (403, 9109), "{act:?}");
        }
    }
    allowed
}

#[tokio::test]
async fn each_permission_allows_exactly_its_actions() {
    let app = TestApp::new().await;
    for (group, expected) in [
        (ISSUE, &[Issue][..]),
        (READ, &[List, Get]),
        (RESTORE, &[Restore]),
        (REVOKE, &[Revoke]),
        (SSL_READ, &[List, Get, ReadHostnames]),
        (SSL_WRITE, &ACTS),
    ] {
        let token = token(&app, vec![policy("allow", &[group])]).await;
        assert_eq!(allowed(&app, &token).await, expected, "{group}");
    }
}

#[tokio::test]
async fn a_denied_permission_denies_its_parts_and_the_permissions_that_include_it() {
    let app = TestApp::new().await;
    let all = [ISSUE, READ, RESTORE, REVOKE, SSL_READ, SSL_WRITE];
    for (allow, deny, expected) in [
        // Tokens from before the parts existed.
        (&[SSL_WRITE][..], SSL_READ, &[][..]),
        (&[SSL_WRITE], SSL_WRITE, &[List, Get, ReadHostnames]),
        (&[SSL_READ], SSL_READ, &[]),
        // The parts.
        (&all, SSL_READ, &[]),
        (&all, SSL_WRITE, &[List, Get, ReadHostnames]),
        (&all, READ, &[Issue, Revoke, Restore]),
        (&all, ISSUE, &[List, Get, Revoke, Restore, ReadHostnames]),
        (&all, REVOKE, &[List, Get, Issue, Restore, ReadHostnames]),
        (&all, RESTORE, &[List, Get, Issue, Revoke, ReadHostnames]),
        (
            &[SSL_WRITE],
            REVOKE,
            &[List, Get, Issue, Restore, ReadHostnames],
        ),
    ] {
        let token = token(&app, vec![policy("allow", allow), policy("deny", &[deny])]).await;
        assert_eq!(allowed(&app, &token).await, expected, "{allow:?} {deny}");
    }
}

#[tokio::test]
async fn a_token_grants_only_the_parts_that_it_has() {
    const TOKENS_WRITE: &str = "686d18d5ac6c441c867cbf6771e58a0a";
    let app = TestApp::new().await;
    let user = app.get("/user").await.result()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let resources = json!({ format!("com.cloudflare.api.user.{user}"): "*" });
    let tokens = json!({
        "effect": "allow", "permission_groups": [{ "id": TOKENS_WRITE }], "resources": resources,
    });
    let all = [ISSUE, READ, RESTORE, REVOKE, SSL_READ, SSL_WRITE];
    for (own, grantable) in [
        (ISSUE, &[ISSUE][..]),
        (READ, &[READ]),
        (SSL_READ, &[READ, SSL_READ]),
        (SSL_WRITE, &all),
    ] {
        let value = token(&app, vec![policy("allow", &[own]), tokens.clone()]).await;
        for group in all {
            let body = json!({ "name": "t", "policies": [policy("allow", &[group])] });
            let call = app
                .call(Method::POST, "/client/v4/user/tokens")
                .body(body.to_string());
            let answer = call.token(&value).await;
            if grantable.contains(&group) {
                answer.result();
            } else {
                let error = answer.error();
                assert_eq!((error.status, error.code), (403, 1004), "{own} {group}");
            }
        }
    }
}

#[tokio::test]
async fn the_last_token_that_creates_tokens_needs_a_confirmation_to_go() {
    let app = TestApp::new().await;
    let first = app.get("/user/tokens").await.result()[0].clone();
    let path = format!("/user/tokens/{}", first["id"].as_str().unwrap());
    let body = |extra: Value| {
        let mut body = json!({ "name": "t", "policies": first["policies"] });
        body.as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        body
    };
    let read = json!([{ "effect": "allow", "permission_groups": [{ "id": READ }],
        "resources": { "com.cloudflare.api.account.zone.*": "*" } }]);
    let tomorrow = json!({ "expires_on": "2026-08-16T00:00:00Z" });
    // A token that ends does not replace it.
    app.post("/user/tokens", body(tomorrow.clone()))
        .await
        .result();
    for change in [
        tomorrow.clone(),
        json!({ "status": "disabled" }),
        json!({ "policies": read }),
    ] {
        let error = app.put(&path, body(change.clone())).await.error();
        assert_eq!((error.status, error.code), (400, 1542), "{change}");
    }
    let error = app.delete(&path).await.error();
    assert_eq!((error.status, error.code), (400, 1542));
    let error = app.delete(&format!("{path}?last_token=yes")).await.error();
    assert_eq!((error.status, error.code), (400, 9208));
    // Other changes, and the last token after another exists, need none.
    app.put(&path, body(json!({ "name": "other" })))
        .await
        .result();
    let second = app.post("/user/tokens", body(json!({}))).await.result();
    app.put(&path, body(tomorrow)).await.result();
    let other = format!("/client/v4/user/tokens/{}", second["id"].as_str().unwrap());
    let value = second["value"].as_str().unwrap();
    let error = app.call(Method::DELETE, &other).token(value).await.error();
    assert_eq!((error.status, error.code), (400, 1542));
    let confirmed = format!("{other}?last_token=true");
    app.call(Method::DELETE, &confirmed)
        .token(value)
        .await
        .result();
}
