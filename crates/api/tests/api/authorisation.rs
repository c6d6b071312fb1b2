//! Every route of the OpenAPI document, with every kind of credential. A route that is missing from
//! the table fails.

use certgate_model::{PermissionGroup, Scope};
use certgate_testkit::{Answer, Call, TestApp, csr, uploaded};
use http::Method;
use serde_json::{Value, json};

const SSL_READ: &str = "7b7216b327b04b8fbc8f524e1f9b7531";
const SSL_WRITE: &str = "c03055bc037c4ea9afb9a9f104b7b721";
const ISSUE: &str = "e033ed79690bd3784ab70fc95ff210ac";
const READ: &str = "1e5b7a92a319376f6e7066f2b8ed2ea0";
const RESTORE: &str = "d04f845b6b74cf4f32a5d8f284ce96e3";
const REVOKE: &str = "451ce29c094afe23076eaeb8ab436464";
const ZONE_READ: &str = "c8fed203ed3043cba015a93ad1616f1f";
const ZONE_WRITE: &str = "e6d2666161e84845a636613608cee8d5";
const ACCOUNT_READ: &str = "c1fde68c7bcc44588cbb6ddbc16d6480";
const ACCOUNT_WRITE: &str = "1af1fa2adc104452b74a9a3364202f20";
const MTLS_READ: &str = "a7a233f9604845c787d4c8c39ac09c21";
const MTLS_WRITE: &str = "db37e5f1cb1a4e1aabaef8deaea43575";
const TOKENS_READ: &str = "0cc3a61731504c89b99ec1be78b77aa0";
const TOKENS_WRITE: &str = "686d18d5ac6c441c867cbf6771e58a0a";
const POINTS_READ: &str = "bd4322d121c9edaee5b1d7a660678da4";
const POINTS_WRITE: &str = "f48df003baa6a710aff2442069eee2b8";
const USER_READ: &str = "8acbe5bb0d54464ab867149d7f7cf8ac";
const USER_WRITE: &str = "55a5e17cc99e4a3fa1f3432d262f2e55";
const ACCOUNT_TOKENS_READ: &str = "eb56a6953c034b9d97dd838155666f06";
const ACCOUNT_TOKENS_WRITE: &str = "5bc3f8b21c554832afc660159ab75fa4";
/// A route for every valid credential.
const ANY: &str = "";

const NONE: &str = "";
const NEW_CERTIFICATE: &str = r#"{"csr":{csr},"validity_days":1}"#;
const NEW_ZONE: &str = r#"{"name":"new.example","account":{"id":"{account_id}"}}"#;
const NEW_ACCOUNT: &str = r#"{"name":"new"}"#;
const TOKEN: &str = r#"{"name":"t","policies":[{"effect":"allow","permission_groups":[{"id":"0cc3a61731504c89b99ec1be78b77aa0"}],"resources":{"com.cloudflare.api.user.{user_id}":"*"}}]}"#;
const ACCOUNT_TOKEN: &str = r#"{"name":"t","policies":[{"effect":"allow","permission_groups":[{"id":"eb56a6953c034b9d97dd838155666f06"}],"resources":{"com.cloudflare.api.account.{account_id}":"*"}}]}"#;

/// Method and route; the permission that it needs; one that does not suffice (for a route that
/// writes, the permission to read); a good body ([`Setting::fill`] replaces the names in braces);
/// and the answer to the right credential: 200, or the code of an error that does not concern
/// permissions.
pub type Route = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    u64,
);

#[rustfmt::skip]
pub const ROUTES: &[Route] = &[
    ("GET", "/client/v4/zones/{zone_id}/client_certificates", READ, ISSUE, NONE, 200),
    ("POST", "/client/v4/zones/{zone_id}/client_certificates", ISSUE, SSL_READ, NEW_CERTIFICATE, 200),
    ("GET", "/client/v4/zones/{zone_id}/client_certificates/{client_certificate_id}", READ, ISSUE, NONE, 200),
    ("PATCH", "/client/v4/zones/{zone_id}/client_certificates/{client_certificate_id}", RESTORE, REVOKE, NONE, 200),
    ("DELETE", "/client/v4/zones/{zone_id}/client_certificates/{client_certificate_id}", REVOKE, RESTORE, NONE, 200),
    ("GET", "/certgate/v1/zones/{zone_id}/summary", READ, ISSUE, NONE, 200),
    ("GET", "/certgate/v1/zones/{zone_id}/client_certificates/{client_certificate_id}/history", READ, ISSUE, NONE, 200),
    ("GET", "/client/v4/zones/{zone_id}/certificate_authorities/hostname_associations", SSL_READ, ZONE_WRITE, NONE, 200),
    ("PUT", "/client/v4/zones/{zone_id}/certificate_authorities/hostname_associations", SSL_WRITE, SSL_READ, r#"{"hostnames":["a.example.com"]}"#, 200),
    ("GET", "/certgate/v1/zones/{zone_id}/issuance_rules", ZONE_READ, SSL_WRITE, NONE, 200),
    ("PUT", "/certgate/v1/zones/{zone_id}/issuance_rules", ZONE_WRITE, ZONE_READ, r#"{"max_lifetime":"8h"}"#, 200),
    ("GET", "/certgate/v1/zones/{zone_id}/invites", READ, ISSUE, NONE, 200),
    ("POST", "/certgate/v1/zones/{zone_id}/invites", ISSUE, READ, r#"{"name":"anna"}"#, 200),
    ("GET", "/certgate/v1/zones/{zone_id}/invites/{invite_id}", READ, ISSUE, NONE, 200),
    ("DELETE", "/certgate/v1/zones/{zone_id}/invites/{invite_id}", ISSUE, READ, NONE, 200),
    ("GET", "/client/v4/zones", ZONE_READ, SSL_WRITE, NONE, 200),
    ("POST", "/client/v4/zones", ZONE_WRITE, ZONE_READ, NEW_ZONE, 200),
    ("GET", "/client/v4/zones/{zone_id}", ZONE_READ, SSL_WRITE, NONE, 200),
    ("PATCH", "/client/v4/zones/{zone_id}", ZONE_WRITE, ZONE_READ, r#"{"paused":true}"#, 200),
    // The zone has a certificate, the account a zone.
    ("DELETE", "/client/v4/zones/{zone_id}", ZONE_WRITE, ZONE_READ, NONE, 1063),
    ("POST", "/certgate/v1/zones/{zone_id}/client_certificates/adopt", SSL_WRITE, ISSUE, r#"{"certificates":["x"]}"#, 200),
    ("GET", "/client/v4/accounts", ACCOUNT_READ, ZONE_WRITE, NONE, 200),
    ("POST", "/client/v4/accounts", ACCOUNT_WRITE, ACCOUNT_READ, NEW_ACCOUNT, 200),
    ("GET", "/client/v4/accounts/{account_id}", ACCOUNT_READ, ZONE_WRITE, NONE, 200),
    ("PUT", "/client/v4/accounts/{account_id}", ACCOUNT_WRITE, ACCOUNT_READ, r#"{"name":"new","type":null}"#, 200),
    ("DELETE", "/client/v4/accounts/{account_id}", ACCOUNT_WRITE, ACCOUNT_READ, NONE, 1064),
    ("GET", "/certgate/v1/accounts/{account_id}/managed_authority", ACCOUNT_READ, ZONE_WRITE, NONE, 200),
    ("GET", "/client/v4/accounts/{account_id}/mtls_certificates", MTLS_READ, SSL_WRITE, NONE, 200),
    ("POST", "/client/v4/accounts/{account_id}/mtls_certificates", MTLS_WRITE, MTLS_READ, r#"{"certificates":{new_authority},"ca":true}"#, 200),
    ("GET", "/client/v4/accounts/{account_id}/mtls_certificates/{mtls_certificate_id}", MTLS_READ, SSL_WRITE, NONE, 200),
    ("DELETE", "/client/v4/accounts/{account_id}/mtls_certificates/{mtls_certificate_id}", MTLS_WRITE, MTLS_READ, NONE, 200),
    ("GET", "/client/v4/accounts/{account_id}/mtls_certificates/{mtls_certificate_id}/associations", MTLS_READ, SSL_WRITE, NONE, 200),
    ("GET", "/certgate/v1/accounts/{account_id}/managed_authorities", ACCOUNT_READ, ZONE_WRITE, NONE, 200),
    // An empty certificate.
    ("POST", "/certgate/v1/accounts/{account_id}/managed_authorities", ACCOUNT_WRITE, ACCOUNT_READ, r#"{"certificate":"","private_key":"x"}"#, 1500),
    ("GET", "/certgate/v1/accounts/{account_id}/managed_authorities/{managed_authority_id}/crls", ACCOUNT_READ, ZONE_WRITE, NONE, 200),
    ("POST", "/certgate/v1/accounts/{account_id}/managed_authorities/rotate", ACCOUNT_WRITE, ACCOUNT_READ, NONE, 200),
    ("POST", "/certgate/v1/accounts/{account_id}/managed_authorities/{managed_authority_id}/activate", ACCOUNT_WRITE, ACCOUNT_READ, NONE, 200),
    // The active CA.
    ("POST", "/certgate/v1/accounts/{account_id}/managed_authorities/{managed_authority_id}/retire", ACCOUNT_WRITE, ACCOUNT_READ, NONE, 1552),
    ("GET", "/certgate/v1/accounts/{account_id}/managed_authority_requests", ACCOUNT_READ, ZONE_WRITE, NONE, 200),
    ("POST", "/certgate/v1/accounts/{account_id}/managed_authority_requests", ACCOUNT_WRITE, ACCOUNT_READ, NONE, 200),
    ("DELETE", "/certgate/v1/accounts/{account_id}/managed_authority_requests/{request_id}", ACCOUNT_WRITE, ACCOUNT_READ, NONE, 200),
    ("GET", "/certgate/v1/accounts/{account_id}/enforcement_points", POINTS_READ, SSL_WRITE, NONE, 200),
    ("POST", "/certgate/v1/accounts/{account_id}/enforcement_points", POINTS_WRITE, POINTS_READ, r#"{"name":"new"}"#, 200),
    // The token did not register the enforcement point.
    ("DELETE", "/certgate/v1/accounts/{account_id}/enforcement_points/{enforcement_point_id}", POINTS_WRITE, POINTS_READ, NONE, OWNED),
    ("PUT", "/certgate/v1/accounts/{account_id}/enforcement_points/{enforcement_point_id}/acknowledgement", POINTS_WRITE, POINTS_READ, r#"{"epoch":0}"#, OWNED),
    ("GET", "/certgate/v1/accounts/{account_id}/enforcement", POINTS_READ, SSL_WRITE, NONE, 200),
    ("GET", "/certgate/v1/accounts/{account_id}/revocation_changes", POINTS_READ, SSL_WRITE, NONE, 200),
    ("GET", "/certgate/v1/accounts/{account_id}/revocation_stream?for_seconds=0", POINTS_READ, SSL_WRITE, NONE, 200),
    ("GET", "/certgate/v1/accounts/{account_id}/revocations", POINTS_READ, SSL_WRITE, NONE, 200),
    ("GET", "/client/v4/accounts/{account_id}/logs/audit", ACCOUNT_READ, ZONE_WRITE, NONE, 200),
    ("GET", "/certgate/v1/user/logs/audit", USER_READ, TOKENS_WRITE, NONE, 200),
    ("GET", "/client/v4/accounts/{account_id}/audit_logs", ACCOUNT_READ, ZONE_WRITE, NONE, 200),
    ("GET", "/client/v4/user/audit_logs", USER_READ, TOKENS_WRITE, NONE, 200),
    ("GET", "/client/v4/memberships", ACCOUNT_READ, ZONE_WRITE, NONE, 200),
    ("GET", "/client/v4/memberships/{account_id}", ACCOUNT_READ, ZONE_WRITE, NONE, 200),
    ("GET", "/client/v4/accounts/{account_id}/tokens", ACCOUNT_TOKENS_READ, ACCOUNT_WRITE, NONE, 200),
    ("POST", "/client/v4/accounts/{account_id}/tokens", ACCOUNT_TOKENS_WRITE, ACCOUNT_TOKENS_READ, ACCOUNT_TOKEN, 200),
    ("GET", "/client/v4/accounts/{account_id}/tokens/{token_id}", ACCOUNT_TOKENS_READ, ACCOUNT_WRITE, NONE, 200),
    ("PUT", "/client/v4/accounts/{account_id}/tokens/{token_id}", ACCOUNT_TOKENS_WRITE, ACCOUNT_TOKENS_READ, ACCOUNT_TOKEN, 200),
    ("DELETE", "/client/v4/accounts/{account_id}/tokens/{token_id}", ACCOUNT_TOKENS_WRITE, ACCOUNT_TOKENS_READ, NONE, 200),
    ("PUT", "/client/v4/accounts/{account_id}/tokens/{token_id}/value", ACCOUNT_TOKENS_WRITE, ACCOUNT_TOKENS_READ, NONE, 200),
    ("GET", "/client/v4/accounts/{account_id}/tokens/permission_groups", ACCOUNT_TOKENS_READ, ACCOUNT_WRITE, NONE, 200),
    ("GET", "/client/v4/accounts/{account_id}/tokens/verify", ACCOUNT_TOKENS_READ, ACCOUNT_WRITE, NONE, 200),
    ("GET", "/certgate/v1/notifications", USER_READ, TOKENS_WRITE, NONE, 200),
    ("GET", "/certgate/v1/notifications/undelivered", USER_READ, TOKENS_WRITE, NONE, 200),
    ("POST", "/certgate/v1/notifications/retry", USER_WRITE, USER_READ, NONE, 200),
    ("POST", "/certgate/v1/notifications/test", USER_WRITE, USER_READ, NONE, 200),
    ("GET", "/client/v4/user", USER_READ, TOKENS_WRITE, NONE, 200),
    ("PATCH", "/client/v4/user", USER_WRITE, USER_READ, r#"{"first_name":"Ada"}"#, 200),
    ("GET", "/client/v4/user/tokens", TOKENS_READ, USER_READ, NONE, 200),
    ("POST", "/client/v4/user/tokens", TOKENS_WRITE, TOKENS_READ, TOKEN, 200),
    ("GET", "/client/v4/user/tokens/{token_id}", TOKENS_READ, USER_READ, NONE, 200),
    ("PUT", "/client/v4/user/tokens/{token_id}", TOKENS_WRITE, TOKENS_READ, TOKEN, 200),
    ("DELETE", "/client/v4/user/tokens/{token_id}", TOKENS_WRITE, TOKENS_READ, NONE, 200),
    ("PUT", "/client/v4/user/tokens/{token_id}/value", TOKENS_WRITE, TOKENS_READ, NONE, 200),
    ("GET", "/client/v4/user/tokens/permission_groups", TOKENS_READ, USER_READ, NONE, 200),
    // A token with only this permission cannot create a key with every permission.
    ("PUT", "/certgate/v1/user/api_key", TOKENS_WRITE, TOKENS_READ, NONE, TOO_WEAK),
    ("DELETE", "/certgate/v1/user/api_key", TOKENS_WRITE, TOKENS_READ, NONE, TOO_WEAK),
    ("GET", "/client/v4/user/tokens/verify", ANY, SSL_READ, NONE, 200),
    ("GET", "/certgate/v1/permissions", ANY, SSL_READ, NONE, 200),
];

/// Lists of the visible objects: a foreign token gets the list without the objects of others.
const LISTS: [&str; 3] = [
    "/client/v4/zones",
    "/client/v4/accounts",
    "/client/v4/memberships",
];

/// The routes that answer every credential that is not valid there in the same way.
const VERIFY: [&str; 2] = [
    "/client/v4/user/tokens/verify",
    "/client/v4/accounts/{account_id}/tokens/verify",
];

const MISSING: &str = "400 9106 Missing X-Auth-Key, X-Auth-Email or Authorization headers";
const MALFORMED: &str = "400 6003 Invalid request headers";
const INVALID: &str = "403 9109 Invalid access token";
const REFUSED: &str = "403 9109 Unauthorized to access requested resource";
const NOT_VERIFIED: &str = "401 1000 Invalid API Token";
const UNKNOWN_KEY: &str = "403 9103 Unknown X-Auth-Key or X-Auth-Email";
const GOOD: &str = "200";

/// The refusal of a token of the right kind with too few permissions.
const TOO_WEAK: u64 = 1004;

/// The refusal of a token that did not register the enforcement point.
const OWNED: u64 = 1523;

/// An ID without an object.
const NOWHERE: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn the_table_has_every_route_of_the_document() {
    let document: Value = serde_json::from_str(certgate_api::openapi_json()).unwrap();
    let mut documented = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            documented.push(format!("{} {path}", method.to_uppercase()));
        }
    }
    let route = |path: &str| path.split('?').next().unwrap_or_default().to_owned();
    let mut table: Vec<_> = ROUTES
        .iter()
        .map(|(method, path, ..)| format!("{method} {}", route(path)))
        // A membership has the ID of its account.
        .map(|route| route.replace("memberships/{account_id}", "memberships/{membership_id}"))
        .collect();
    documented.sort();
    table.sort();
    assert_eq!(table, documented);
}

#[tokio::test]
async fn every_route_accepts_and_refuses_the_right_credentials() {
    for &(method, path, needed, insufficient, body, right) in ROUTES {
        let setting = Setting::new().await;
        let (any, verifies) = (needed == ANY, VERIFY.contains(&path));
        let invalid = if verifies { NOT_VERIFIED } else { INVALID };
        let refused = if any { GOOD } else { refusal(path) };
        let zone = format!("com.cloudflare.api.account.zone.{}", setting.other_zone);
        let account = format!("com.cloudflare.api.account.{}", setting.other_account);
        let all = setting.everywhere(needed);
        let here = || setting.call(method, path, body);

        let cases = [
            ("no credential", here().anonymous(), MISSING),
            (
                "malformed",
                here().header("authorization", "Basic eA=="),
                MALFORMED,
            ),
            ("unknown", here().token("unknown"), invalid),
            (
                "expired",
                here().token(
                    &setting
                        .token(&all, json!({ "expires_on": "2026-08-14T10:20:30Z" }))
                        .await,
                ),
                invalid,
            ),
            (
                "not yet valid",
                here().token(
                    &setting
                        .token(&all, json!({ "not_before": "2026-08-14T10:20:31Z" }))
                        .await,
                ),
                invalid,
            ),
            (
                "disabled",
                here().token(&setting.token(&all, json!({ "status": "disabled" })).await),
                invalid,
            ),
            (
                "wrong address",
                {
                    let condition =
                        json!({ "condition": { "request.ip": { "in": ["192.0.2.1"] } } });
                    here().token(&setting.token(&all, condition).await)
                },
                invalid,
            ),
            (
                "read-only",
                {
                    let less = setting.everywhere(insufficient);
                    here().token(&setting.token(&less, json!({})).await)
                },
                refused,
            ),
        ];
        for (credential, call, expected) in cases {
            assert_eq!(told(&call.await), expected, "{method} {path}, {credential}");
        }

        for (place, resource) in [
            ("other zone", zone.as_str()),
            ("other account", account.as_str()),
        ] {
            // The needed permission if it applies to this resource, otherwise one that does not
            // help.
            let group = if can_be_had(needed, resource) {
                needed
            } else {
                SSL_WRITE
            };
            let token = setting
                .token(&[(group, resource.to_owned())], json!({}))
                .await;
            let answer = here().token(&token).await;
            let listed = method == "GET" && LISTS.contains(&path) && group == needed;
            assert_eq!(
                told(&answer),
                if listed { GOOD } else { refused },
                "{method} {path}, {place}"
            );
            let text = String::from_utf8(answer.bytes).unwrap();
            assert!(
                !text.contains(&setting.app.zone_id) && !text.contains(&setting.app.account_id),
                "{text}"
            );
        }

        let (email, key) = setting.app.api_key().await;
        let other_key = "0".repeat(key.len());
        for (email, key) in [
            (email.as_str(), other_key.as_str()),
            ("other@certgate.invalid", &key),
        ] {
            assert_eq!(
                told(&here().key(email, key).await),
                UNKNOWN_KEY,
                "{method} {path}, {email}"
            );
        }

        // The refused requests have changed nothing, so the right credential gets the expected
        // answer.
        let answer = here().token(&setting.token(&all, json!({})).await).await;
        assert_right(&answer, right, method, path);

        // The API key, which has every permission, on unchanged objects.
        let setting = Setting::new().await;
        let (email, key) = setting.app.api_key().await;
        let answer = setting.call(method, path, body).key(&email, &key).await;
        match right {
            _ if verifies => assert_eq!(told(&answer), NOT_VERIFIED),
            TOO_WEAK => assert_right(&answer, 200, method, path),
            // It did not register the point, but may delete every one.
            OWNED if method == "DELETE" => assert_right(&answer, 200, method, path),
            right => assert_right(&answer, right, method, path),
        }
    }
}

#[tokio::test]
async fn foreign_and_missing_objects_have_the_same_answer() {
    let setting = Setting::new().await;
    let mut tried = 0;
    for &(method, path, needed, _, body, _) in ROUTES {
        let resource = match path {
            _ if path.contains("{zone_id}") => {
                format!("com.cloudflare.api.account.zone.{}", setting.app.zone_id)
            }
            _ if path.contains("{account_id}") => {
                format!("com.cloudflare.api.account.{}", setting.app.account_id)
            }
            _ if path.contains("{token_id}") => {
                format!("com.cloudflare.api.account.{}", setting.app.account_id)
            }
            _ => continue,
        };
        tried += 1;
        let group = if can_be_had(needed, &resource) {
            needed
        } else {
            SSL_WRITE
        };
        let token = setting.token(&[(group, resource)], json!({})).await;
        let at = async |zone: &str, account: &str, certificate: &str, token_id: &str| {
            let path = path
                .replace("{zone_id}", zone)
                .replace("{account_id}", account)
                .replace("{client_certificate_id}", certificate)
                .replace("{mtls_certificate_id}", certificate)
                .replace("{enforcement_point_id}", certificate)
                .replace("{managed_authority_id}", certificate)
                .replace("{request_id}", certificate)
                .replace("{invite_id}", certificate)
                .replace("{token_id}", token_id);
            apart_from_the_request_id(setting.call(method, &path, body).token(&token).await)
        };
        let other_certificate = match path {
            _ if path.contains("{mtls_certificate_id}") => &setting.other_mtls_certificate,
            _ if path.contains("{enforcement_point_id}") => &setting.other_enforcement_point,
            _ if path.contains("{managed_authority_id}") => &setting.other_managed_authority,
            _ if path.contains("{request_id}") => &setting.other_request,
            _ if path.contains("{invite_id}") => &setting.other_invite,
            _ => &setting.other_certificate,
        };
        let theirs = at(
            &setting.other_zone,
            &setting.other_account,
            other_certificate,
            &setting.token,
        )
        .await;
        assert_eq!(told(&theirs), refusal(path), "{method} {path}");
        let missing = at(NOWHERE, NOWHERE, NOWHERE, NOWHERE).await;
        assert_eq!(theirs.headers, missing.headers, "{method} {path}");
        assert_eq!(
            (theirs.status, theirs.bytes),
            (missing.status, missing.bytes),
            "{method} {path}"
        );
        let of_account = [
            "certificate_id}",
            "point_id}",
            "authority_id}",
            "{request_id}",
            "{invite_id}",
        ];
        if of_account.iter().any(|id| path.contains(id)) {
            let (zone, account) = (&setting.app.zone_id, &setting.app.account_id);
            let theirs = at(zone, account, other_certificate, NOWHERE).await;
            assert_eq!(theirs.status, 404, "{method} {path}");
            for certificate in [NOWHERE, "no-id"] {
                let missing = at(zone, account, certificate, NOWHERE).await;
                assert_eq!(theirs.headers, missing.headers, "{method} {path}");
                assert_eq!(
                    (theirs.status, &theirs.bytes),
                    (missing.status, &missing.bytes),
                    "{method} {path}"
                );
            }
        }
    }
    assert!(tried >= 14);
    let unchanged = format!(
        "/zones/{}/client_certificates/{}",
        setting.other_zone, setting.other_certificate
    );
    assert_eq!(
        setting.app.get(&unchanged).await.result()["status"],
        "active"
    );
}

/// A certgate with an object for every route, and a second account with a zone and a certificate.
pub struct Setting {
    pub app: TestApp,
    user: String,
    pub certificate: String,
    /// A token that may read tokens.
    token: String,
    /// A token that the account owns.
    account_token: String,
    pub other_account: String,
    pub other_zone: String,
    pub other_certificate: String,
    mtls_certificate: String,
    other_mtls_certificate: String,
    pub enforcement_point: String,
    other_enforcement_point: String,
    managed_authority: String,
    other_managed_authority: String,
    request: String,
    other_request: String,
    invite: String,
    other_invite: String,
}

impl Setting {
    pub async fn new() -> Self {
        let app = TestApp::new().await;
        let id = |object: &Value| object["id"].as_str().unwrap().to_owned();
        let certificate = id(&app.issue("x").await);
        let other_account = id(&app
            .post("/accounts", json!({ "name": "other" }))
            .await
            .result());
        let zone = json!({ "name": "other.example", "account": { "id": other_account } });
        let other_zone = id(&app.post("/zones", zone).await.result());
        let path = format!("/zones/{other_zone}/client_certificates");
        let body = json!({ "csr": csr("other"), "validity_days": 1 });
        let other_certificate = id(&app.post(&path, body).await.result());
        let mut mtls_certificates = Vec::new();
        let mut enforcement_points = Vec::new();
        let (mut managed_authorities, mut requests) = (Vec::new(), Vec::new());
        for account in [&app.account_id, &other_account] {
            let path = format!("/accounts/{account}/mtls_certificates");
            let body = json!({ "certificates": uploaded("good_root.certs"), "ca": true });
            mtls_certificates.push(id(&app.post(&path, body).await.result()));
            let path = format!("/certgate/v1/accounts/{account}/enforcement_points");
            enforcement_points.push(id(&app
                .post(&path, json!({ "name": "edge" }))
                .await
                .result()));
            let path = format!("/certgate/v1/accounts/{account}/managed_authorities");
            managed_authorities.push(id(&app.get(&path).await.result()[0]));
            let path = format!("/certgate/v1/accounts/{account}/managed_authority_requests");
            requests.push(id(&app.post(&path, json!({})).await.result()));
        }
        let mut invites = Vec::new();
        for zone in [&app.zone_id, &other_zone] {
            let path = format!("/certgate/v1/zones/{zone}/invites");
            invites.push(id(&app.post(&path, json!({ "name": "x" })).await.result()));
        }
        let [invite, other_invite] = invites.try_into().unwrap();
        let [managed_authority, other_managed_authority] = managed_authorities.try_into().unwrap();
        let [request, other_request] = requests.try_into().unwrap();
        let [enforcement_point, other_enforcement_point] = enforcement_points.try_into().unwrap();
        let [mtls_certificate, other_mtls_certificate] = mtls_certificates.try_into().unwrap();
        let user = id(&app.get("/user").await.result());
        let token = TOKEN.replace("{user_id}", &user);
        let token = id(&app
            .post("/user/tokens", serde_json::from_str(&token).unwrap())
            .await
            .result());
        let account_token = ACCOUNT_TOKEN.replace("{account_id}", &app.account_id);
        let body = serde_json::from_str(&account_token).unwrap();
        let made = app.post("/accounts/{account}/tokens", body).await.result();
        let account_token = id(&made);
        Self {
            app,
            user,
            certificate,
            token,
            account_token,
            other_account,
            other_zone,
            other_certificate,
            mtls_certificate,
            other_mtls_certificate,
            enforcement_point,
            other_enforcement_point,
            managed_authority,
            other_managed_authority,
            request,
            other_request,
            invite,
            other_invite,
        }
    }

    /// Replaces each name in braces by its value.
    fn fill(&self, text: &str) -> String {
        let of_account = format!("/accounts/{}/tokens/", self.app.account_id);
        text.replace("{zone_id}", &self.app.zone_id)
            .replace("{account_id}", &self.app.account_id)
            .replace(
                &format!("{of_account}{{token_id}}"),
                &format!("{of_account}{}", self.account_token),
            )
            .replace("{client_certificate_id}", &self.certificate)
            .replace("{token_id}", &self.token)
            .replace("{user_id}", &self.user)
            .replace("{mtls_certificate_id}", &self.mtls_certificate)
            .replace("{enforcement_point_id}", &self.enforcement_point)
            .replace("{managed_authority_id}", &self.managed_authority)
            .replace("{request_id}", &self.request)
            .replace("{invite_id}", &self.invite)
            .replace(
                "{new_authority}",
                &Value::from(uploaded("good_p384.certs")).to_string(),
            )
            .replace("{csr}", &Value::from(csr("new")).to_string())
    }

    pub fn call(&self, method: &str, path: &str, body: &str) -> Call<'_> {
        let call = self.app.call(
            Method::from_bytes(method.as_bytes()).unwrap(),
            &self.fill(path),
        );
        if body.is_empty() {
            call
        } else {
            call.body(self.fill(body))
        }
    }

    /// A policy that grants the permission on every resource of its kind.
    fn everywhere(&self, group: &'static str) -> [(&'static str, String); 1] {
        let group = if group == ANY { SSL_READ } else { group };
        match scope(group) {
            Scope::User => [(group, format!("com.cloudflare.api.user.{}", self.user))],
            Scope::Account | Scope::Zone => [(group, "com.cloudflare.api.account.*".to_owned())],
        }
    }

    /// The value of a new token with these permissions on these resources.
    pub async fn token(&self, permissions: &[(&str, String)], extra: Value) -> String {
        let policy = |(group, resource): &(&str, String)| json!({ "effect": "allow", "permission_groups": [{ "id": group }], "resources": { resource: "*" } });
        let policies: Vec<_> = permissions.iter().map(policy).collect();
        let mut body = json!({ "name": "t", "policies": policies });
        body.as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        let made = self.app.post("/user/tokens", body).await.result();
        made["value"].as_str().unwrap().to_owned()
    }
}

/// The answer to a token that lacks the permission.
fn refusal(path: &str) -> &'static str {
    if VERIFY.contains(&path) {
        NOT_VERIFIED
    } else {
        REFUSED
    }
}

fn scope(group: &str) -> Scope {
    group.parse::<PermissionGroup>().unwrap().scope()
}

fn can_be_had(group: &str, resource: &str) -> bool {
    group != ANY
        && match scope(group) {
            Scope::User => false,
            Scope::Account => !resource.contains(".zone."),
            Scope::Zone => true,
        }
}

#[track_caller]
fn assert_right(answer: &Answer, right: u64, method: &str, path: &str) {
    match right {
        200 => assert_eq!(told(answer), GOOD, "{method} {path}"),
        code => assert_eq!(answer.error().code, code, "{method} {path}"),
    }
}

/// The status, code and message of a failure, or the status of a success.
fn told(answer: &Answer) -> String {
    if answer.status == 200 {
        if answer.headers["content-type"] == "application/json" {
            answer.result();
        }
        return GOOD.to_owned();
    }
    let error = answer.error();
    format!("{} {} {}", error.status, error.code, error.message)
}

fn apart_from_the_request_id(mut answer: Answer) -> Answer {
    assert!(answer.headers.remove("certgate-request-id").is_some());
    answer
}
