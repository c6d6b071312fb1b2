//! Zones and accounts that do not exist: 404 for a token that would see them if they did, 403 for
//! every other token, which must not learn about the zones and accounts of others.

use certgate_model::Random;
use certgate_testkit::{Answer, SeededRandom, TestApp};
use http::Method;
use serde_json::{Value, json};

const SSL_READ: &str = "7b7216b327b04b8fbc8f524e1f9b7531";
const SSL_WRITE: &str = "c03055bc037c4ea9afb9a9f104b7b721";
const ZONE_READ: &str = "c8fed203ed3043cba015a93ad1616f1f";
const ZONE_WRITE: &str = "e6d2666161e84845a636613608cee8d5";
const ACCOUNT_READ: &str = "c1fde68c7bcc44588cbb6ddbc16d6480";
const MTLS_READ: &str = "a7a233f9604845c787d4c8c39ac09c21";
const USER_READ: &str = "8acbe5bb0d54464ab867149d7f7cf8ac";
const TOKENS_WRITE: &str = "686d18d5ac6c441c867cbf6771e58a0a";

const NOWHERE: &str = "0123456789abcdef0123456789abcdef";
const EVERY_ZONE: &str = "com.cloudflare.api.account.zone.*";
const EVERY_ACCOUNT: &str = "com.cloudflare.api.account.*";

/// Random tokens of the generated test.
const TOKENS: usize = 250;

fn zone_name(id: &str) -> String {
    format!("com.cloudflare.api.account.zone.{id}")
}

fn account_name(id: &str) -> String {
    format!("com.cloudflare.api.account.{id}")
}

fn policy(effect: &str, groups: &[&str], resources: &[(String, Value)]) -> Value {
    let groups: Vec<_> = groups.iter().map(|id| json!({ "id": id })).collect();
    let resources: serde_json::Map<_, _> = resources.iter().cloned().collect();
    json!({ "effect": effect, "permission_groups": groups, "resources": resources })
}

fn allow(group: &str, resource: &str) -> Value {
    policy("allow", &[group], &[(resource.to_owned(), json!("*"))])
}

fn deny(group: &str, resource: &str) -> Value {
    policy("deny", &[group], &[(resource.to_owned(), json!("*"))])
}

async fn token(app: &TestApp, policies: &[Value]) -> Answer {
    let body = json!({ "name": "t", "policies": policies });
    app.post("/user/tokens", body).await
}

/// An account of another tenant with a zone.
async fn others(app: &TestApp) -> (String, String) {
    let id = |object: Value| object["id"].as_str().unwrap().to_owned();
    let account = id(app.post("/accounts", json!({ "name": "B" })).await.result());
    let body = json!({ "name": "b.example", "account": { "id": account } });
    let zone = id(app.post("/zones", body).await.result());
    (account, zone)
}

#[tokio::test]
async fn only_a_token_that_covers_all_or_names_the_id_learns_that_it_does_not_exist() {
    let app = TestApp::new().await;
    let (account, zone) = others(&app).await;
    let (missing, mine) = (zone_name(NOWHERE), zone_name(&app.zone_id));
    let zones_of = |account: &str| (account_name(account), json!({ EVERY_ZONE: "*" }));
    let of_zone = [
        (404, vec![allow(SSL_READ, EVERY_ZONE)]),
        (404, vec![allow(SSL_WRITE, EVERY_ACCOUNT)]),
        (404, vec![allow(SSL_READ, &missing)]),
        (
            404,
            vec![allow(SSL_WRITE, &missing), allow(ZONE_READ, &mine)],
        ),
        (403, vec![allow(SSL_READ, &mine)]),
        (403, vec![allow(SSL_READ, &account_name(&app.account_id))]),
        (
            403,
            vec![policy("allow", &[SSL_READ], &[zones_of(&app.account_id)])],
        ),
        // Another permission on the ID, or on everything.
        (403, vec![allow(ZONE_READ, &missing)]),
        (403, vec![allow(ZONE_WRITE, EVERY_ZONE)]),
        // A name in a denial.
        (403, vec![allow(SSL_READ, &mine), deny(SSL_READ, &missing)]),
        (
            403,
            vec![allow(SSL_READ, EVERY_ZONE), deny(SSL_READ, &missing)],
        ),
        // The zone could be one of the denied account.
        (
            403,
            vec![
                allow(SSL_READ, EVERY_ZONE),
                deny(SSL_READ, &account_name(&account)),
            ],
        ),
    ];
    for (status, policies) in of_zone {
        let made = token(&app, &policies).await.result();
        let value = made["value"].as_str().unwrap();
        for path in [
            "client_certificates",
            "certificate_authorities/hostname_associations",
        ] {
            let path = format!("/zones/{NOWHERE}/{path}");
            let answer = app.get(&path).token(value).await;
            check(&answer, status, &path, &policies);
        }
        if status == 403 {
            let theirs = app.get(&format!("/zones/{zone}/client_certificates"));
            let theirs = theirs.token(value).await;
            if theirs.status.as_u16() == 403 {
                let path = format!("/zones/{NOWHERE}/client_certificates");
                assert_eq!(theirs.bytes, app.get(&path).token(value).await.bytes);
            }
        }
    }
    let (missing, mine) = (account_name(NOWHERE), account_name(&app.account_id));
    for (status, policies) in [
        (404, vec![allow(MTLS_READ, EVERY_ACCOUNT)]),
        (404, vec![allow(MTLS_READ, &missing)]),
        (403, vec![allow(MTLS_READ, &mine)]),
        (403, vec![allow(ACCOUNT_READ, &missing)]),
        (403, vec![allow(ACCOUNT_READ, EVERY_ACCOUNT)]),
        (
            403,
            vec![allow(MTLS_READ, EVERY_ACCOUNT), deny(MTLS_READ, &missing)],
        ),
        // All zones are not all accounts.
        (
            403,
            vec![allow(SSL_WRITE, EVERY_ZONE), allow(ACCOUNT_READ, &mine)],
        ),
    ] {
        let made = token(&app, &policies).await.result();
        let path = format!("/accounts/{NOWHERE}/mtls_certificates");
        let answer = app.get(&path).token(made["value"].as_str().unwrap()).await;
        check(&answer, status, &path, &policies);
    }
}

#[track_caller]
fn check(answer: &Answer, status: u16, path: &str, policies: &[Value]) {
    let error = answer.error();
    let expected = match status {
        404 => format!(
            "Could not route to /client/v4{path}, perhaps your object identifier is invalid?"
        ),
        _ => "Unauthorized to access requested resource".to_owned(),
    };
    let code = if status == 404 { 7003 } else { 9109 };
    assert_eq!(
        (error.status, error.code, error.message),
        (status, code, expected),
        "{policies:?}"
    );
}

#[tokio::test]
async fn a_token_cannot_name_zones_of_others_to_learn_if_they_exist() {
    let app = TestApp::new().await;
    let (account, zone) = others(&app).await;
    let user = app.get("/user").await.result();
    let user = format!("com.cloudflare.api.user.{}", user["id"].as_str().unwrap());
    let mine = zone_name(&app.zone_id);
    let tenant = [
        allow(SSL_WRITE, &mine),
        policy(
            "allow",
            &[TOKENS_WRITE, USER_READ],
            &[(user.clone(), json!("*"))],
        ),
    ];
    let tenant = token(&app, &tenant).await.result();
    let tenant = tenant["value"].as_str().unwrap();
    let star = || json!("*");
    // A policy that names the zone beside a permission that is not one of zones grants nothing.
    for named in [zone_name(&zone), zone_name(NOWHERE), account_name(&account)] {
        for policies in [
            vec![allow(SSL_WRITE, &named)],
            vec![policy(
                "allow",
                &[USER_READ],
                &[(user.clone(), star()), (named.clone(), star())],
            )],
            vec![allow(SSL_WRITE, &mine), deny(SSL_WRITE, &named)],
        ] {
            let body = json!({ "name": "t", "policies": policies });
            let made = app.post("/user/tokens", body).token(tenant).await;
            if made.status.as_u16() != 200 {
                continue;
            }
            let made = made.result();
            let value = made["value"].as_str().unwrap();
            for id in [&*zone, NOWHERE] {
                for path in [
                    format!("/zones/{id}"),
                    format!("/zones/{id}/client_certificates"),
                ] {
                    let error = app.get(&path).token(value).await.error();
                    assert_eq!((error.status, error.code), (403, 9109), "{policies:?}");
                }
            }
        }
    }
}

/// Numbers below a bound, the same in every run.
struct Numbers(SeededRandom);

impl Numbers {
    fn below(&self, bound: usize) -> usize {
        let mut octets = [0; 4];
        self.0.fill(&mut octets);
        u32::from_be_bytes(octets) as usize % bound
    }

    fn some<T: Clone>(&self, of: &[T], most: usize) -> Vec<T> {
        let count = 1 + self.below(most);
        (0..count)
            .map(|_| of[self.below(of.len())].clone())
            .collect()
    }
}

/// The judge is the installation itself: a token that cannot tell its zone from one without
/// permission before the zone is deleted must not notice the deletion.
#[tokio::test]
async fn random_tokens_do_not_notice_the_deletion_of_what_they_could_not_see() {
    let app = TestApp::new().await;
    let (account, zone) = others(&app).await;
    let star = || json!("*");
    let every_zone_of = |id: &str| (account_name(id), json!({ EVERY_ZONE: "*" }));
    let resources = [
        (EVERY_ACCOUNT.to_owned(), star()),
        (EVERY_ZONE.to_owned(), star()),
        (account_name(&app.account_id), star()),
        (account_name(&account), star()),
        every_zone_of(&app.account_id),
        every_zone_of(&account),
        (zone_name(&zone), star()),
        (zone_name(&app.zone_id), star()),
        (zone_name(NOWHERE), star()),
    ];
    let groups = [
        SSL_READ,
        SSL_WRITE,
        ZONE_READ,
        ZONE_WRITE,
        ACCOUNT_READ,
        MTLS_READ,
    ];
    let numbers = Numbers(SeededRandom::new(14));
    let mut tokens = Vec::new();
    while tokens.len() < TOKENS {
        let policies: Vec<_> = (0..1 + numbers.below(3))
            .map(|_| {
                let effect = ["allow", "allow", "allow", "deny"][numbers.below(4)];
                policy(
                    effect,
                    &numbers.some(&groups, 2),
                    &numbers.some(&resources, 2),
                )
            })
            .collect();
        // A policy without a resource of its permission's kind is refused.
        let made = token(&app, &policies).await;
        if made.status.as_u16() == 200 {
            let value = made.result()["value"].as_str().unwrap().to_owned();
            tokens.push((value, policies));
        }
    }
    let restore = format!("/zones/{zone}/client_certificates/{NOWHERE}");
    let requests = [
        (Method::GET, format!("/zones/{zone}")),
        (Method::GET, format!("/zones/{zone}/client_certificates")),
        (Method::PATCH, restore),
        (Method::GET, format!("/accounts/{account}")),
        (
            Method::GET,
            format!("/accounts/{account}/mtls_certificates"),
        ),
        (
            Method::GET,
            format!("/certgate/v1/accounts/{account}/managed_authorities"),
        ),
    ];
    let mut before = Vec::new();
    for (value, _) in &tokens {
        for (method, path) in &requests {
            before.push(app.call(method.clone(), path).token(value).await);
        }
    }
    app.delete(&format!("/zones/{zone}")).await.result();
    app.delete(&format!("/accounts/{account}")).await.result();
    let (mut unseen, mut gone) = (0, 0);
    let mut before = before.into_iter();
    for (value, policies) in &tokens {
        for (method, path) in &requests {
            let before = before.next().unwrap();
            let after = app.call(method.clone(), path).token(value).await;
            if before.status.as_u16() == 403 {
                assert_eq!(before.bytes, after.bytes, "{method} {path}: {policies:?}");
                unseen += 1;
            } else {
                let error = after.error();
                let (status, code) = (error.status, error.code);
                let is_gone = (status, code) == (404, 7003);
                assert!(
                    is_gone || (status, code) == (403, 9109),
                    "{method} {path}: {policies:?}: {error:?}"
                );
                gone += u32::from(is_gone);
            }
        }
    }
    assert!(unseen > 200 && gone > 200, "{unseen} {gone}");
}
