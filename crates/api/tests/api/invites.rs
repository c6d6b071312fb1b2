//! Invites: `/certgate/v1/zones/{zone_id}/invites`, and their use by EST.

use base64ct::{Base64, Encoding};
use certgate_model::{KeyAlgorithm, SubjectFields};
use certgate_pki::ClientKey;
use certgate_testkit::{Answer, TestApp, check_database, csr};
use futures_util::future::join_all;
use http::{Method, StatusCode};
use serde_json::{Value, json};

const INVITES: &str = "/certgate/v1/zones/{zone}/invites";

async fn create(app: &TestApp, body: Value) -> Value {
    app.post(INVITES, body).await.result()
}

async fn read(app: &TestApp, invite: &Value) -> Value {
    app.get(&one(invite)).await.result()
}

fn one(invite: &Value) -> String {
    format!("{INVITES}/{}", invite["id"].as_str().unwrap())
}

/// Sends a CSR by EST, with a user name and a password.
async fn enrol_as(app: &TestApp, user: &str, password: &str, csr: &str) -> Answer {
    let basic = Base64::encode_string(format!("{user}:{password}").as_bytes());
    app.est(Method::POST, "simpleenroll")
        .header("authorization", &format!("Basic {basic}"))
        .body(csr)
        .await
}

async fn enrol(app: &TestApp, invite: &Value, csr: &str) -> Answer {
    let part = |name: &str| invite[name].as_str().unwrap().to_owned();
    enrol_as(app, &part("id"), &part("secret"), csr).await
}

fn told(answer: &Answer) -> (u16, String) {
    let text = String::from_utf8(answer.bytes.clone()).unwrap();
    (answer.status.as_u16(), text)
}

async fn certificates(app: &TestApp) -> Vec<Value> {
    let list = app.get("/zones/{zone}/client_certificates").await.result();
    list.as_array().unwrap().clone()
}

#[tokio::test]
async fn an_invite_has_its_secret_once() {
    let app = TestApp::new().await;
    let made = create(
        &app,
        json!({ "name": "anna", "device": "iPhone", "lifetime": "8h", "valid_for_seconds": 600,
                "uses": 2 }),
    )
    .await;
    let (id, secret) = (
        made["id"].as_str().unwrap(),
        made["secret"].as_str().unwrap(),
    );
    assert_eq!(secret.len(), 40);
    assert_eq!(
        made["link"],
        format!("https://invite.example/i/{id}#{secret}")
    );
    assert_eq!(
        made["est"],
        "https://enrol.example/.well-known/est/example.com"
    );
    assert_eq!(made["created_by"]["type"], "token");
    for (member, value) in [
        ("name", json!("anna")),
        ("device", json!("iphone")),
        ("lifetime", json!(28_800)),
        ("state", json!("open")),
        ("uses", json!(2)),
        ("client_certificate_ids", json!([])),
        ("wrong_secrets", json!(0)),
        ("withdrawn_on", json!(null)),
    ] {
        assert_eq!(made[member], value, "{member}");
    }
    let listed = app.get(INVITES).await;
    let shown = String::from_utf8(listed.bytes.clone()).unwrap();
    assert!(
        !shown.contains(secret) && !shown.contains("hash"),
        "{shown}"
    );
    let mut without = made.clone();
    for member in ["secret", "link", "est"] {
        without.as_object_mut().unwrap().remove(member);
    }
    assert_eq!(listed.result(), json!([without]));
    assert_eq!(read(&app, &made).await, without);
    // Pages have exact totals, newest first.
    for n in 0..6 {
        app.clock.advance_seconds(1);
        create(&app, json!({ "name": format!("n{n}") })).await;
    }
    let page = app.get(&format!("{INVITES}?per_page=5&page=2")).await;
    assert_eq!(page.json()["result_info"]["total_count"], 7);
    assert_eq!(page.result()[1], without);
}

#[tokio::test]
async fn a_client_enrols_with_an_invite_once() {
    let app = TestApp::new().await;
    let invite = create(&app, json!({ "name": "anna", "lifetime": "8h" })).await;
    let request = csr("anna");
    let first = enrol(&app, &invite, &request).await;
    assert_eq!(first.status, StatusCode::OK);
    let [issued] = certificates(&app).await.try_into().unwrap();
    assert_eq!(issued["common_name"], "anna");
    let shown = read(&app, &invite).await;
    assert_eq!(shown["state"], "used");
    assert_eq!(shown["client_certificate_ids"], json!([issued["id"]]));
    // The answer may be lost: the same key gets the same certificate.
    let again = enrol(&app, &invite, &request).await;
    assert_eq!((again.status, &again.bytes), (StatusCode::OK, &first.bytes));
    let (status, text) = told(&enrol(&app, &invite, &csr("anna")).await);
    assert!(status == 403 && text.contains("was used before"), "{text}");
    assert_eq!(certificates(&app).await.len(), 1);
    // A revoked certificate is not given again.
    let path = format!(
        "/zones/{{zone}}/client_certificates/{}",
        issued["id"].as_str().unwrap()
    );
    app.delete(&path).await.result();
    assert_eq!(enrol(&app, &invite, &request).await.status, 403);
    // The logs say that the invite was the actor.
    let log = app.get("/accounts/{account}/logs/audit").await.result();
    let mut about = log.as_array().unwrap().iter().filter(|entry| {
        entry["resource"]["type"] == "invite" && entry["resource"]["id"] == invite["id"]
    });
    assert_eq!(about.next().unwrap()["action"]["type"], "create");
    let path = format!(
        "/certgate/v1/zones/{{zone}}/client_certificates/{}/history",
        issued["id"].as_str().unwrap()
    );
    let history = app.get(&path).await.result();
    let issue = &history
        .as_array()
        .unwrap()
        .iter()
        .find(|event| event["action"] == "issued")
        .unwrap()["actor"];
    assert_eq!(
        (&issue["type"], &issue["id"]),
        (&json!("invite"), &invite["id"])
    );
}

#[tokio::test]
async fn the_name_comes_from_the_invite() {
    let app = TestApp::new().await;
    let invite = create(&app, json!({ "name": "anna" })).await;
    let (status, text) = told(&enrol(&app, &invite, &csr("boss")).await);
    assert!(status == 400 && text.contains("CN=anna"), "{text}");
    let key = ClientKey::generate(KeyAlgorithm::P256).unwrap();
    let subject = SubjectFields {
        common_name: "anna".to_owned(),
        organization: "Board".to_owned(),
        ..SubjectFields::default()
    };
    let more = Base64::encode_string(&key.request_der(&subject).unwrap());
    assert_eq!(enrol(&app, &invite, &more).await.status, 400);
    assert_eq!(read(&app, &invite).await["state"], "open");
    let empty = key.request_der(&SubjectFields::default()).unwrap();
    let empty = Base64::encode_string(&empty);
    assert_eq!(enrol(&app, &invite, &empty).await.status, 200);
    assert_eq!(enrol(&app, &invite, &empty).await.status, 200);
    let [issued] = certificates(&app).await.try_into().unwrap();
    assert_eq!(issued["common_name"], "anna");
    let (_, image) = app.image().await;
    assert_eq!(check_database(&image), Vec::<String>::new());
}

#[tokio::test]
async fn many_uses_at_once_make_one_certificate() {
    let app = TestApp::new().await;
    let invite = create(&app, json!({ "name": "anna" })).await;
    let requests: Vec<_> = (0..200).map(|_| csr("anna")).collect();
    let answers = join_all(requests.iter().map(|csr| enrol(&app, &invite, csr))).await;
    let ok = answers.iter().filter(|one| one.status == 200).count();
    let used = answers
        .iter()
        .filter(|one| told(one).1.contains("was used before"));
    assert_eq!((ok, used.count()), (1, 199));
    let [issued] = certificates(&app).await.try_into().unwrap();
    let ids = read(&app, &invite).await["client_certificate_ids"].clone();
    assert_eq!(ids, json!([issued["id"]]));
    // The same request at the same time is one use too.
    let invite = create(&app, json!({ "name": "ben" })).await;
    let request = csr("ben");
    let same = (0..50).map(|_| enrol(&app, &invite, &request));
    assert!(join_all(same).await.iter().all(|one| one.status == 200));
    assert_eq!(certificates(&app).await.len(), 2);
}

#[tokio::test]
async fn closed_invites_give_nothing() {
    let app = TestApp::new().await;
    let expired = create(&app, json!({ "name": "a", "valid_for_seconds": 60 })).await;
    app.clock.advance_seconds(60);
    let (status, text) = told(&enrol(&app, &expired, &csr("a")).await);
    assert!(status == 403 && text.contains("has expired"), "{text}");
    assert_eq!(read(&app, &expired).await["state"], "expired");
    let withdrawn = create(&app, json!({ "name": "a" })).await;
    let shown = app.delete(&one(&withdrawn)).await.result();
    assert_eq!(shown["state"], "withdrawn");
    assert!(shown["withdrawn_on"].is_string());
    assert_eq!(app.delete(&one(&withdrawn)).await.result(), shown);
    let (status, text) = told(&enrol(&app, &withdrawn, &csr("a")).await);
    assert!(status == 403 && text.contains("was withdrawn"), "{text}");
    assert_eq!(certificates(&app).await, Vec::<Value>::new());
    for (name, method) in [("0", Method::GET), ("0", Method::DELETE)] {
        let path = format!("{INVITES}/{}", name.repeat(32));
        let missing = app.call(method, &path).await.error();
        assert_eq!((missing.status, missing.code), (404, 1570));
    }
}

#[tokio::test]
async fn guesses_are_limited_for_each_invite_and_address() {
    let app = TestApp::new().await;
    let invite = create(&app, json!({ "name": "a" })).await;
    let id = invite["id"].as_str().unwrap();
    for n in 0..10 {
        let answer = enrol_as(&app, id, "guess", &csr("a")).await;
        assert_eq!(answer.status, 401, "{n}");
        let challenge = answer.headers["www-authenticate"].to_str().unwrap();
        assert!(challenge.starts_with("Basic realm="), "{challenge}");
    }
    let shown = read(&app, &invite).await;
    assert_eq!(
        (&shown["state"], &shown["wrong_secrets"]),
        (&json!("locked"), &json!(10))
    );
    let (status, text) = told(&enrol(&app, &invite, &csr("a")).await);
    assert!(status == 403 && text.contains("is locked"), "{text}");
    // Wrong IDs count for the address, and so does a text that is not an ID.
    let unknown = "0".repeat(32);
    for n in 0..20 {
        let user = if n % 2 == 0 { "no ID" } else { &unknown };
        assert_eq!(enrol_as(&app, user, "guess", &csr("a")).await.status, 401);
    }
    let other = create(&app, json!({ "name": "b" })).await;
    let refused = enrol(&app, &other, &csr("b")).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    let seconds = refused.headers["retry-after"].to_str().unwrap();
    let seconds: u32 = seconds.parse().unwrap();
    assert!((1..=600).contains(&seconds), "{seconds}");
    app.clock.advance_seconds(600);
    assert_eq!(enrol(&app, &other, &csr("b")).await.status, 200);
}

#[tokio::test]
async fn malformed_credentials_are_refused() {
    let app = TestApp::new().await;
    let invite = create(&app, json!({ "name": "a" })).await;
    let with = |value: &'static str| {
        app.est(Method::POST, "simpleenroll")
            .header("authorization", value)
            .body(csr("a"))
    };
    for value in ["Basic", "Basic ", "Basic ?", "Basic bm8=", "Basic /w=="] {
        let answer = with(value).await;
        assert_eq!(answer.status, 401, "{value}");
        assert!(answer.headers.contains_key("www-authenticate"), "{value}");
    }
    // An invite is for its zone.
    let zone = json!({ "name": "other.example", "account": { "id": app.account_id } });
    app.post("/zones", zone).await.result();
    let basic = format!(
        "{}:{}",
        invite["id"].as_str().unwrap(),
        invite["secret"].as_str().unwrap()
    );
    let elsewhere = app
        .est_of("other.example", Method::POST, "simpleenroll")
        .header(
            "authorization",
            &format!("Basic {}", Base64::encode_string(basic.as_bytes())),
        )
        .body(csr("a"));
    assert_eq!(elsewhere.await.status, 401);
    // A request that is not acceptable does not use the invite.
    assert_eq!(enrol(&app, &invite, "no CSR").await.status, 400);
    assert_eq!(read(&app, &invite).await["state"], "open");
}

#[tokio::test]
async fn bad_members_are_named() {
    let app = TestApp::new().await;
    for (body, pointer) in [
        (json!({ "name": "" }), "/name"),
        (json!({ "name": "x".repeat(65) }), "/name"),
        (json!({ "name": "a\u{7}" }), "/name"),
        (json!({}), "/name"),
        (json!({ "name": "a", "device": "fridge" }), "/device"),
        (json!({ "name": "a", "lifetime": "59m" }), "/lifetime"),
        (json!({ "name": "a", "lifetime": "9999d" }), "/lifetime"),
        (
            json!({ "name": "a", "valid_for_seconds": 59 }),
            "/valid_for_seconds",
        ),
        (
            json!({ "name": "a", "valid_for_seconds": 2_592_001 }),
            "/valid_for_seconds",
        ),
        (json!({ "name": "a", "uses": 0 }), "/uses"),
        (json!({ "name": "a", "uses": 101 }), "/uses"),
    ] {
        let error = app.post(INVITES, body.clone()).await.error();
        assert_eq!((error.status, error.code), (400, 9207), "{body}");
        assert_eq!(error.pointer.as_deref(), Some(pointer), "{body}");
    }
}

#[tokio::test]
async fn rules_apply_to_invites() {
    let app = TestApp::new().await;
    let rules =
        json!({ "common_names": ["sensor-*"], "max_lifetime": "8h", "key_types": ["P-384"] });
    app.put("/certgate/v1/zones/{zone}/issuance_rules", rules)
        .await
        .result();
    let refused = app.post(INVITES, json!({ "name": "anna" })).await.error();
    assert_eq!((refused.status, refused.code), (403, 1540));
    let body = json!({ "name": "sensor-1", "lifetime": "2d" });
    let refused = app.post(INVITES, body).await.error();
    assert_eq!((refused.status, refused.code), (403, 1540));
    let invite = create(&app, json!({ "name": "sensor-1" })).await;
    // The key of the holder is of another type.
    assert_eq!(enrol(&app, &invite, &csr("sensor-1")).await.status, 403);
    assert_eq!(read(&app, &invite).await["state"], "open");
    let key = ClientKey::generate(KeyAlgorithm::P384).unwrap();
    let empty = key.request_der(&SubjectFields::default()).unwrap();
    let answer = enrol(&app, &invite, &Base64::encode_string(&empty)).await;
    assert_eq!(answer.status, 200);
    let [issued] = certificates(&app).await.try_into().unwrap();
    assert_eq!(issued["common_name"], "sensor-1");
    // The rules of a token would not apply later, so that it cannot create invites.
    let body = json!({
        "name": "t",
        "policies": [{ "effect": "allow",
            "permission_groups": [{ "id": crate::least_privilege::ISSUE }],
            "resources": { "com.cloudflare.api.account.zone.*": "*" } }],
        "issuance_rules": { "common_names": ["sensor-1"] },
    });
    let token = app.post("/user/tokens", body).await.result();
    let value = token["value"].as_str().unwrap();
    let refused = app
        .post(INVITES, json!({ "name": "sensor-1" }))
        .token(value)
        .await
        .error();
    assert_eq!((refused.status, refused.code), (403, 1572));
}
