//! The issuance rules of zones and tokens.

use certgate_model::SubjectFields;
use certgate_pki::certificate_alternative_names;
use certgate_testkit::{Answer, TestApp, check_database, csr, csr_with_subject, fixture};
use http::Method;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::{Value, json};

const RULES: &str = "/certgate/v1/zones/{zone}/issuance_rules";
const CERTIFICATES: &str = "/zones/{zone}/client_certificates";
const ISSUE: &str = "e033ed79690bd3784ab70fc95ff210ac";
const TOKENS_WRITE: &str = "686d18d5ac6c441c867cbf6771e58a0a";

async fn set(app: &TestApp, rules: Value) -> Value {
    app.put(RULES, rules).await.result()
}

async fn issue(app: &TestApp, csr: String, days: u32) -> Answer {
    let body = json!({ "csr": csr, "validity_days": days });
    app.post(CERTIFICATES, body).await
}

/// The message of a certificate that a rule refuses.
async fn refused(app: &TestApp, csr: String, days: u32) -> String {
    let error = issue(app, csr, days).await.error();
    assert_eq!((error.status, error.code), (403, 1540));
    error.message
}

/// Creates a token with this permission on every zone, and these rules, and returns it.
async fn token(app: &TestApp, rules: Value) -> Value {
    let body = body(&[ISSUE], rules);
    app.post("/user/tokens", body).await.result()
}

fn body(groups: &[&str], rules: Value) -> Value {
    let groups: Vec<_> = groups.iter().map(|id| json!({ "id": id })).collect();
    let resources = json!({ "com.cloudflare.api.account.zone.*": "*" });
    let policy = json!({ "effect": "allow", "permission_groups": groups, "resources": resources });
    let mut body = json!({ "name": "ci", "policies": [policy] });
    if !rules.is_null() {
        body["issuance_rules"] = rules;
    }
    body
}

async fn issue_as(app: &TestApp, token: &Value, common_name: &str) -> Answer {
    let path = format!("/client/v4/zones/{}/client_certificates", app.zone_id);
    let body = json!({ "csr": csr(common_name), "validity_days": 1 });
    let call = app.call(Method::POST, &path).body(body.to_string());
    call.token(token["value"].as_str().unwrap()).await
}

#[tokio::test]
async fn rules_are_stored_shown_and_removed() {
    let app = TestApp::new().await;
    assert_eq!(app.get(RULES).await.result(), json!({}));
    let rules = json!({
        "common_names": ["build-*", "ci"],
        "required_attributes": ["organization", "2.5.4.97"],
        "forbidden_attributes": ["country"],
        "key_types": ["p-256", "RSA-3072"],
        "max_lifetime": "8h",
        "certificates_per_day": 100,
        "active_per_name": 2,
        "alternative_names": {
            "dns": ["*.example.com"], "uri": ["spiffe://example.com/*"], "ip": ["10.0.0.0/8"],
        },
    });
    let mut expected = rules.clone();
    expected["key_types"] = json!(["P-256", "RSA-3072"]);
    expected["max_lifetime"] = json!(28_800);
    expected["alternative_names"]["beyond"] = json!("drop");
    assert_eq!(set(&app, rules).await, expected);
    assert_eq!(app.get(RULES).await.result(), expected);
    let app = app.restart().await;
    assert_eq!(app.get(RULES).await.result(), expected);
    // What an answer has can be sent back.
    assert_eq!(set(&app, expected.clone()).await, expected);
    let log = app.get("/accounts/{account}/logs/audit").await.result();
    assert_eq!(log[0]["action"]["type"], "update");
    // A lost body removes no rules.
    let path = format!("/certgate/v1/zones/{}/issuance_rules", app.zone_id);
    for body in ["", "null"] {
        let refused = app.call(Method::PUT, &path).body(body).await;
        assert_eq!(refused.error().status, 400, "{body:?}");
    }
    assert_ne!(app.get(RULES).await.result(), json!({}));

    assert_eq!(set(&app, json!({})).await, json!({}));
    assert_eq!(app.get(RULES).await.result(), json!({}));
}

#[tokio::test]
async fn malformed_rules_are_refused_and_named() {
    let app = TestApp::new().await;
    let long = vec!["a"; 101];
    for (rules, pointer) in [
        (json!({ "common_names": [] }), "/common_names"),
        (json!({ "common_names": ["a", ""] }), "/common_names/1"),
        (json!({ "common_names": ["a\u{0}"] }), "/common_names/0"),
        (json!({ "common_names": long }), "/common_names"),
        (json!({ "key_types": ["DSA"] }), "/key_types/0"),
        (
            json!({ "required_attributes": ["CN"] }),
            "/required_attributes/0",
        ),
        (
            json!({ "required_attributes": ["country"], "forbidden_attributes": ["2.5.4.6"] }),
            "/forbidden_attributes",
        ),
        (json!({ "max_lifetime": "forever" }), "/max_lifetime"),
        (json!({ "max_lifetime": 3_599 }), "/max_lifetime"),
        (json!({ "max_lifetime": -1 }), "/max_lifetime"),
        (
            json!({ "certificates_per_day": 0 }),
            "/certificates_per_day",
        ),
        (json!({ "active_per_name": "2" }), "/active_per_name"),
        (json!({ "comon_names": ["a"] }), "/comon_names"),
        (
            json!({ "alternative_names": { "ip": ["10.0.0.0/33"] } }),
            "/alternative_names/ip/0",
        ),
        (
            json!({ "alternative_names": { "beyond": "keep" } }),
            "/alternative_names/beyond",
        ),
        (
            json!({ "alternative_names": { "dnss": [] } }),
            "/alternative_names/dnss",
        ),
    ] {
        let error = app.put(RULES, rules.clone()).await.error();
        assert_eq!((error.status, error.code), (400, 9207), "{rules}");
        assert_eq!(
            error.pointer.as_deref(),
            Some(pointer),
            "{rules}: {}",
            error.message
        );
        let answer = app
            .post("/user/tokens", body(&[ISSUE], rules.clone()))
            .await;
        let found = answer.error().pointer;
        assert_eq!(found, Some(format!("/issuance_rules{pointer}")), "{rules}");
    }
    assert_eq!(app.get(RULES).await.result(), json!({}));
}

#[tokio::test]
async fn each_rule_refuses_and_names_itself_its_owner_and_the_value() {
    let app = TestApp::new().await;
    let subject = SubjectFields {
        common_name: "build-7".to_owned(),
        organization: "Example".to_owned(),
        ..SubjectFields::default()
    };
    for (rules, words) in [
        (
            json!({ "common_names": ["x-*"] }),
            "common_names of the zone example.com \"build-7\" x-*",
        ),
        (
            json!({ "common_names": ["Build-*"] }),
            "common_names \"build-7\"",
        ),
        (
            json!({ "required_attributes": ["organization", "country"] }),
            "required_attributes country",
        ),
        (
            json!({ "forbidden_attributes": ["organization"] }),
            "forbidden_attributes organization",
        ),
        (
            json!({ "forbidden_attributes": ["2.5.4.10"] }),
            "forbidden_attributes organization",
        ),
        (
            json!({ "key_types": ["RSA", "P-384"] }),
            "key_types P-256 RSA, P-384",
        ),
        (
            json!({ "max_lifetime": "9d" }),
            "max_lifetime validity_days is 10 9",
        ),
        (
            json!({ "max_lifetime": "193h" }),
            "max_lifetime validity_days is 10 9",
        ),
    ] {
        set(&app, rules.clone()).await;
        let message = refused(&app, csr_with_subject(&subject), 10).await;
        for word in words.split(' ') {
            assert!(message.contains(word), "{rules}: {message}");
        }
    }
    // Several common names: verifiers differ in the one that they read.
    set(&app, json!({ "common_names": ["zz first"] })).await;
    let message = refused(&app, fixture("good_odd_subject"), 1).await;
    assert!(message.contains("2 common names"), "{message}");
    let message = refused(&app, fixture("good_empty_subject"), 1).await;
    assert!(message.contains("no common name"), "{message}");
    set(&app, json!({ "active_per_name": 5 })).await;
    let message = refused(&app, fixture("good_odd_subject"), 1).await;
    assert!(message.contains("2 common names"), "{message}");
    let message = refused(&app, fixture("good_empty_subject"), 1).await;
    assert!(message.contains("no common name"), "{message}");
    // Rules that permit the request.
    set(
        &app,
        json!({
            "common_names": ["a", "build-*"],
            "required_attributes": ["organization", "common_name"],
            "forbidden_attributes": ["country"],
            "key_types": ["P-256"],
            "max_lifetime": 864_000,
        }),
    )
    .await;
    issue(&app, csr_with_subject(&subject), 10).await.result();
}

#[tokio::test]
async fn a_lifetime_shorter_than_a_day_shortens_the_certificate() {
    let app = TestApp::new().await;
    set(&app, json!({ "max_lifetime": "36h" })).await;
    let body = json!({ "csr": csr("x"), "validity_days": 2 });
    let first = app
        .post(CERTIFICATES, body.clone())
        .header("idempotency-key", "k")
        .await;
    let (answer, made) = (first.json(), first.result());
    assert_eq!(made["issued_on"], "2026-08-14T10:15:00Z");
    assert_eq!(made["expires_on"], "2026-08-15T22:15:00Z");
    assert_eq!(made["validity_days"], 2);
    assert_eq!(answer["messages"][0]["code"], 1448);
    let again = app
        .post(CERTIFICATES, body)
        .header("idempotency-key", "k")
        .await;
    assert_eq!(again.json(), answer);
    assert!(refused(&app, csr("x"), 3).await.contains("at most 2"));
    let one = issue(&app, csr("x"), 1).await.json();
    assert_eq!(one["result"]["expires_on"], "2026-08-15T10:15:00Z");
    assert_eq!(one["messages"], json!([]));
    let (_, image) = app.image().await;
    assert_eq!(check_database(&image), [""; 0]);
}

#[tokio::test]
async fn rules_of_the_zone_and_of_the_token_both_apply() {
    let app = TestApp::new().await;
    set(&app, json!({ "common_names": ["build-*"] })).await;
    let made = token(
        &app,
        json!({ "common_names": ["*-7"], "max_lifetime": "7d" }),
    )
    .await;
    assert_eq!(made["issuance_rules"]["max_lifetime"], 604_800);
    issue_as(&app, &made, "build-7").await.result();
    for (name, owner) in [
        ("x-7", "the zone example.com"),
        ("build-8", "the token \"ci\""),
    ] {
        let error = issue_as(&app, &made, name).await.error();
        assert_eq!((error.status, error.code), (403, 1540));
        assert!(error.message.contains(owner), "{}", error.message);
    }
    // Another token has only the rules of the zone.
    issue(&app, csr("build-8"), 1).await.result();
}

#[tokio::test]
async fn a_token_keeps_its_rules_unless_a_request_has_others() {
    let app = TestApp::new().await;
    let rules = json!({ "common_names": ["a"] });
    let made = token(&app, rules.clone()).await;
    let path = format!("/user/tokens/{}", made["id"].as_str().unwrap());
    assert_eq!(app.get(&path).await.result()["issuance_rules"], rules);
    let plain = token(&app, Value::Null).await;
    assert!(plain.get("issuance_rules").is_none());
    for (sent, expected) in [
        (Value::Null, rules.clone()),
        (
            json!({ "common_names": ["b"] }),
            json!({ "common_names": ["b"] }),
        ),
        (json!({}), Value::Null),
    ] {
        let put = app.put(&path, body(&[ISSUE], sent)).await.result();
        assert_eq!(put["issuance_rules"], expected);
        assert_eq!(app.get(&path).await.result()["issuance_rules"], expected);
    }
}

#[tokio::test]
async fn certificates_of_a_day_are_counted_exactly_under_concurrency() {
    let app = TestApp::new().await;
    set(&app, json!({ "certificates_per_day": 10 })).await;
    let made = token(&app, json!({ "certificates_per_day": 3 })).await;
    let results = |answers: Vec<Answer>| {
        let good = answers.iter().filter(|answer| answer.status == 200);
        let good = good.count();
        for answer in answers.iter().filter(|answer| answer.status != 200) {
            let error = answer.error();
            assert_eq!((error.status, error.code), (403, 1540));
            assert!(
                error.message.contains("certificates_per_day"),
                "{}",
                error.message
            );
        }
        good
    };
    let of_token = (0..8).map(|n| issue_as(&app, &made, ["a", "b"][n % 2]));
    assert_eq!(results(futures_util::future::join_all(of_token).await), 3);
    // The zone has seven left.
    let of_zone = (0..12).map(|_| issue(&app, csr("x"), 1));
    assert_eq!(results(futures_util::future::join_all(of_zone).await), 7);
    let app = app.restart().await;
    refused(&app, csr("x"), 1).await;
    // The next day in UTC.
    app.clock.advance_seconds(86_400);
    issue(&app, csr("x"), 1).await.result();
    issue_as(&app, &made, "a").await.result();
}

#[tokio::test]
async fn a_repeated_request_gets_the_last_certificate_of_a_limit() {
    let app = TestApp::new().await;
    for (day, limit) in ["certificates_per_day", "active_per_name"]
        .iter()
        .enumerate()
    {
        app.clock.advance_seconds(86_400);
        set(&app, json!({ *limit: 1 })).await;
        let body = json!({ "csr": csr(limit), "validity_days": 1 });
        let key = format!("key-{day}");
        let send = |_| {
            let call = app.post(CERTIFICATES, body.clone());
            async { call.header("idempotency-key", &key).await.result() }
        };
        let answers = futures_util::future::join_all((0..8).map(send)).await;
        assert!(
            answers.iter().all(|one| one["id"] == answers[0]["id"]),
            "{answers:?}"
        );
        refused(&app, csr(limit), 1).await;
    }
}

#[tokio::test]
async fn alternative_names_are_copied_dropped_or_rejected_as_the_rules_say() {
    let app = TestApp::new().await;
    let names = async |answer: &Value| {
        let pem = answer["result"]["certificate"].as_str().unwrap();
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        let names = certificate_alternative_names(&der);
        names.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    // Without a rule of the zone, a rule of a token permits none.
    let answer = issue(&app, fixture("good_alternative_names"), 1)
        .await
        .json();
    assert_eq!(names(&answer).await, [""; 0]);
    set(
        &app,
        json!({ "alternative_names": {
            "dns": ["*.example.com"], "email": ["*@example.com"],
            "uri": ["spiffe://example.com/*"], "ip": ["10.0.0.0/8", "2001:db8::/32"],
        }}),
    )
    .await;
    let body = json!({ "csr": fixture("good_alternative_names"), "validity_days": 1 });
    let first = app
        .post(CERTIFICATES, body.clone())
        .header("idempotency-key", "k")
        .await
        .json();
    assert_eq!(
        names(&first).await,
        [
            "DNS:build-7.Example.com",
            "email:a@example.com",
            "URI:spiffe://example.com/build/7",
            "IP:10.1.2.3",
            "IP:2001:db8::1",
        ]
    );
    let message = first["messages"][0]["message"].as_str().unwrap();
    assert_eq!(first["messages"][0]["code"], 1447);
    assert!(
        message.contains("(DNS:evil.example.net, registered ID:1.2.3)"),
        "{message}"
    );
    let again = app
        .post(CERTIFICATES, body)
        .header("idempotency-key", "k")
        .await
        .json();
    assert_eq!(again, first);
    // An empty subject: the names are critical, and name the holder.
    let only = issue(&app, fixture("good_alternative_names_only"), 1)
        .await
        .json();
    assert_eq!(names(&only).await, ["DNS:build-8.example.com"]);
    assert_eq!(only["messages"], json!([]));
    // A token can only permit fewer names.
    let made = token(&app, json!({ "alternative_names": { "dns": ["*"] } })).await;
    let path = format!("/client/v4/zones/{}/client_certificates", app.zone_id);
    let body = json!({ "csr": fixture("good_alternative_names"), "validity_days": 1 });
    let call = app.call(Method::POST, &path).body(body.to_string());
    let fewer = call.token(made["value"].as_str().unwrap()).await.json();
    assert_eq!(names(&fewer).await, ["DNS:build-7.Example.com"]);
    // One that limits common names only permits none.
    let made = token(&app, json!({ "common_names": ["*"] })).await;
    let call = app.call(Method::POST, &path).body(body.to_string());
    let none = call.token(made["value"].as_str().unwrap()).await.json();
    assert_eq!(names(&none).await, [""; 0]);
    assert_eq!(none["messages"][0]["code"], 1447);
    set(
        &app,
        json!({ "alternative_names": { "dns": ["*.example.com"], "beyond": "reject" } }),
    )
    .await;
    let message = refused(&app, fixture("good_alternative_names"), 1).await;
    assert!(message.contains("DNS:evil.example.net"), "{message}");
    let (_, image) = app.image().await;
    assert_eq!(check_database(&image), [""; 0]);
}

#[tokio::test]
async fn a_token_with_rules_creates_none_with_weaker_rules() {
    let app = TestApp::new().await;
    let user = app.get("/user").await.result()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let manager = |rules: Value| {
        let mut body = body(&[ISSUE], rules);
        let resources = json!({ format!("com.cloudflare.api.user.{user}"): "*" });
        let policy = json!({
            "effect": "allow", "permission_groups": [{ "id": TOKENS_WRITE }],
            "resources": resources,
        });
        body["policies"].as_array_mut().unwrap().push(policy);
        body
    };
    let rules = json!({ "common_names": ["build-*"], "max_lifetime": "7d" });
    let own = app
        .post("/user/tokens", manager(rules.clone()))
        .await
        .result();
    let value = own["value"].as_str().unwrap();
    let create = async |body: Value| {
        let call = app
            .call(Method::POST, "/client/v4/user/tokens")
            .body(body.to_string());
        call.token(value).await
    };
    for (given, permitted) in [
        (Value::Null, false),
        (json!({ "common_names": ["build-*"] }), false),
        (
            json!({ "common_names": ["*"], "max_lifetime": "7d" }),
            false,
        ),
        (
            json!({ "common_names": ["build-7*"], "max_lifetime": "8d" }),
            false,
        ),
        (
            json!({ "common_names": ["build-7*"], "max_lifetime": "6d" }),
            true,
        ),
        (rules.clone(), true),
    ] {
        let answer = create(body(&[ISSUE], given.clone())).await;
        match permitted {
            true => drop(answer.result()),
            false => {
                let error = answer.error();
                assert_eq!((error.status, error.code), (403, 1004), "{given}");
                assert_eq!(error.pointer.as_deref(), Some("/issuance_rules"));
            }
        }
    }
    // It cannot remove its own rules, nor take over a token without rules.
    let other = token(&app, Value::Null).await;
    let own_path = format!("/client/v4/user/tokens/{}", own["id"].as_str().unwrap());
    let other_path = format!("/client/v4/user/tokens/{}", other["id"].as_str().unwrap());
    for (method, path, body) in [
        (
            Method::PUT,
            own_path.clone(),
            manager(json!({})).to_string(),
        ),
        (
            Method::PUT,
            other_path.clone(),
            body(&[ISSUE], rules.clone()).to_string(),
        ),
        (Method::PUT, format!("{other_path}/value"), "{}".to_owned()),
        (Method::DELETE, other_path.clone(), String::new()),
    ] {
        let error = app
            .call(method, &path)
            .body(body)
            .token(value)
            .await
            .error();
        assert_eq!((error.status, error.code), (403, 1004), "{path}");
    }
    let call = app
        .call(Method::PUT, &format!("{own_path}/value"))
        .body("{}");
    call.token(value).await.result();
    // An API key has no rules.
    let body = body(&[ISSUE], json!({ "certificates_per_day": 5 }));
    let mut counted = manager(json!({ "certificates_per_day": 5 }));
    counted["name"] = json!("counted");
    let counted = app.post("/user/tokens", counted).await.result();
    let call = app
        .call(Method::POST, "/client/v4/user/tokens")
        .body(body.to_string());
    let error = call.token(counted["value"].as_str().unwrap()).await.error();
    assert_eq!((error.status, error.code), (403, 1004));
}
