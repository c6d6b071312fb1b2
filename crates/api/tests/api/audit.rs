//! Audit logs.

use certgate_model::{Clock, SECONDS_PER_DAY};
use certgate_testkit::{TestApp, csr};
use serde_json::{Value, json};

const LOG: &str = "/accounts/{account}/logs/audit";
const SSL_WRITE: &str = "c03055bc037c4ea9afb9a9f104b7b721";
const USER_LOG: &str = "/certgate/v1/user/logs/audit";

async fn log(app: &TestApp, query: &str) -> Vec<Value> {
    app.get(&format!("{LOG}?{query}"))
        .await
        .result()
        .as_array()
        .unwrap()
        .clone()
}

/// A token with one permission in the first account: its ID and value.
async fn limited_token(app: &TestApp, group: &str) -> (String, String) {
    let account = format!("com.cloudflare.api.account.{}", app.account_id);
    let value = app.token_for(&[group], &[&account]).await;
    let tokens = app.get("/user/tokens").await.result();
    let made = tokens
        .as_array()
        .unwrap()
        .iter()
        .find(|token| token["name"] == "limited")
        .unwrap();
    (made["id"].as_str().unwrap().to_owned(), value)
}

/// The entries: number, action, resource.
fn told(entries: &[Value]) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    entries
        .iter()
        .map(|entry| {
            let number = &entry["certgate"]["number"];
            format!(
                "{number} {} {}",
                text(&entry["action"]["type"]),
                text(&entry["resource"]["type"])
            )
        })
        .collect()
}

#[tokio::test]
async fn the_log_has_the_actor_action_time_and_certificate() {
    let app = TestApp::new().await;
    let certificate = app.issue("device").await;
    let path = format!(
        "/zones/{{zone}}/client_certificates/{}",
        certificate["id"].as_str().unwrap()
    );
    app.clock.advance_seconds(60);
    app.delete(&path)
        .body(r#"{"reason":"certificateHold"}"#)
        .await
        .result();
    app.call(http::Method::PATCH, &path).await.result();

    let entries = log(&app, "").await;
    assert_eq!(
        told(&entries),
        [
            "6 reactivate client_certificate",
            "5 revoke client_certificate",
            "4 issue client_certificate",
            "3 create managed_authority",
            "2 create zone",
            "1 create account"
        ]
    );
    let revoke = &entries[1];
    let user = app.get("/user").await.result();
    let token = app.get("/user/tokens").await.result()[0].clone();
    let expected = json!({
        "id": revoke["certgate"]["hash"],
        "account": { "id": app.account_id, "name": "default" },
        "action": {
            "description": format!("revoke client_certificate {}", certificate["id"].as_str().unwrap()),
            "result": "success",
            "time": revoke["action"]["time"],
            "type": "revoke",
        },
        "actor": {
            "id": user["id"],
            "context": "api_token",
            "email": user["email"],
            "ip_address": revoke["actor"]["ip_address"],
            "token_id": token["id"],
            "token_name": "first token",
            "type": "user",
        },
        "resource": { "id": certificate["id"], "product": "certgate", "type": "client_certificate" },
        "zone": { "id": app.zone_id, "name": "example.com" },
        "certgate": {
            "number": 5,
            "hash": revoke["certgate"]["hash"],
            "fingerprint_sha256": certificate["fingerprint_sha256"],
            "detail": "reason=certificateHold epoch=2",
        },
    });
    assert_eq!(revoke, &expected);
    assert!(revoke["action"]["time"].as_str() > entries[2]["action"]["time"].as_str());
    let system = json!({ "type": "system" });
    assert_eq!(entries[3]["actor"], system);
}

#[tokio::test]
async fn requests_that_change_nothing_are_not_in_the_log() {
    let app = TestApp::new().await;
    let certificate = app.issue("device").await;
    let path = format!(
        "/zones/{{zone}}/client_certificates/{}",
        certificate["id"].as_str().unwrap()
    );
    app.delete(&path)
        .body(r#"{"reason":"keyCompromise"}"#)
        .await
        .result();
    let before = log(&app, "").await;
    assert_eq!(
        app.delete(&path).await.status.as_u16(),
        200,
        "it was revoked before"
    );
    app.settle().await;
    assert_eq!(
        app.call(http::Method::PATCH, &path).await.status.as_u16(),
        400
    );
    assert_eq!(app.delete(&path).await.status.as_u16(), 200);
    let name = json!({ "name": "example.com", "account": { "id": app.account_id } });
    assert_eq!(app.post("/zones", name).await.status.as_u16(), 400);
    assert_eq!(log(&app, "").await, before);
}

#[tokio::test]
async fn the_log_is_filtered_by_time_and_actor() {
    let app = TestApp::new().await;
    app.issue("before").await;
    app.clock.advance_seconds(SECONDS_PER_DAY);
    let since = app.clock.now().to_string();
    let (token, value) = limited_token(&app, SSL_WRITE).await;
    let issue = |name| {
        app.post(
            "/zones/{zone}/client_certificates",
            json!({ "csr": csr(name), "validity_days": 30 }),
        )
    };
    issue("theirs").token(&value).await.result();
    let (email, key) = app.api_key().await;
    issue("keyed").key(&email, &key).await.result();

    let numbers = async |query: String| {
        let entries = log(&app, &query).await;
        entries
            .iter()
            .map(|entry| entry["certgate"]["number"].as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(numbers(format!("since={since}")).await, [6, 5]);
    assert_eq!(
        numbers(format!("before={since}&direction=asc")).await,
        [1, 2, 3, 4]
    );
    assert_eq!(numbers(format!("actor_token_id={}", token)).await, [5]);
    assert_eq!(numbers("actor_context=api_key".to_owned()).await, [6]);
    assert_eq!(
        numbers("actor_type=system&direction=asc".to_owned()).await,
        [1, 2, 3]
    );
    assert_eq!(
        numbers("actor_token_id=00000000000000000000000000000000".to_owned()).await,
        [0; 0]
    );
    // A date is its first instant.
    let day = &since[..10];
    assert_eq!(numbers(format!("before={day}")).await, [4, 3, 2, 1]);
    assert_eq!(numbers(format!("since={day}&before={since}")).await, [0; 0]);
    assert_eq!(numbers(format!("since={day}")).await, [6, 5]);
}

#[tokio::test]
async fn the_log_is_read_in_parts() {
    let app = TestApp::new().await;
    for n in 0..4 {
        app.issue(&format!("device-{n}")).await;
    }
    for direction in ["asc", "desc"] {
        let whole = log(&app, &format!("direction={direction}")).await;
        assert_eq!(whole.len(), 7);
        let (mut read, mut cursor) = (Vec::new(), String::new());
        loop {
            let answer = app
                .get(&format!(
                    "{LOG}?direction={direction}&limit=3&cursor={cursor}"
                ))
                .await
                .json();
            read.extend(answer["result"].as_array().unwrap().clone());
            let info = &answer["result_info"];
            assert_eq!(info["cursor"], info["cursors"]["after"]);
            cursor = info["cursor"].as_str().unwrap().to_owned();
            if cursor.is_empty() {
                break;
            }
            assert_eq!(info["count"], 3);
        }
        assert_eq!(read, whole);
    }
}

#[tokio::test]
async fn the_users_log_has_tokens_and_keys() {
    let app = TestApp::new().await;
    let (token, value) = limited_token(&app, SSL_WRITE).await;
    app.delete(&format!("/user/tokens/{token}")).await.result();
    app.api_key().await;
    let entries = app
        .get(&format!("{USER_LOG}?direction=asc"))
        .await
        .result()
        .as_array()
        .unwrap()
        .clone();
    assert_eq!(
        told(&entries),
        [
            "1 create api_token",
            "2 create api_token",
            "3 delete api_token",
            "4 create api_key"
        ]
    );
    assert_eq!(entries[2]["resource"]["id"], token);
    assert_eq!(entries[2].get("account"), None);
    assert!(
        !entries[1].to_string().contains(&value),
        "values are never told"
    );
}

#[tokio::test]
async fn bad_conditions_are_refused_by_name() {
    let app = TestApp::new().await;
    for (query, name) in [
        ("since=yesterday", "since"),
        ("before=2026-13-01", "before"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("direction=up", "direction"),
        ("cursor=1", "cursor"),
        ("cursor=1.x", "cursor"),
        ("cursor=99999999999999999999.1", "cursor"),
        ("actor_token_id=x", "actor_token_id"),
        ("actor_context=dash", "actor_context"),
        ("actor_type=user", "actor_type"),
        (
            "actor_type=system&actor_context=api_key",
            "actor_token_id, actor_context and actor_type exclude each other",
        ),
        ("resource_id=x", "resource_id"),
        ("action_type=issue", "action_type"),
        ("product_category=x", "product_category"),
    ] {
        let error = app.get(&format!("{LOG}?{query}")).await.error();
        assert_eq!((error.status, error.code), (400, 9208), "{query}");
        assert!(
            error.message.starts_with(name),
            "{query}: {}",
            error.message
        );
    }
}

#[tokio::test]
async fn negated_conditions_exclude_entries() {
    let app = TestApp::new().await;
    let (token, value) = limited_token(&app, SSL_WRITE).await;
    let body = json!({ "csr": csr("theirs"), "validity_days": 30 });
    let issue = app.post("/zones/{zone}/client_certificates", body);
    let certificate = issue.token(&value).from_address("192.0.2.7").await.result();
    let certificate = certificate["id"].as_str().unwrap();
    let account = app.get("/accounts/{account}").await.result();
    let user = app.get("/user").await.result();
    let (name, user) = (
        account["name"].as_str().unwrap(),
        user["id"].as_str().unwrap(),
    );
    let whole = log(&app, "direction=asc").await;
    let numbers = async |query: &str| {
        let entries = log(&app, &format!("direction=asc&{query}")).await;
        let number = |entry: &Value| entry["certgate"]["number"].as_u64().unwrap();
        entries.iter().map(number).collect::<Vec<_>>()
    };
    // The server made the account, the zone and the CA, and the token the certificate.
    assert_eq!(told(&whole)[3], "4 issue client_certificate");
    let zone = app.get("/zones/{zone}").await.result();
    let zone = zone["name"].as_str().unwrap();
    for (query, expected) in [
        ("action_type.not=issue".to_owned(), vec![1, 2, 3]),
        ("action_type.not=create".to_owned(), vec![4]),
        ("action_type.not=create,issue".to_owned(), vec![]),
        (
            "action_type.not=create&action_type.not=issue".to_owned(),
            vec![],
        ),
        ("action_type.not=".to_owned(), vec![1, 2, 3, 4]),
        ("action_result.not=failure".to_owned(), vec![1, 2, 3, 4]),
        ("action_result.not=success".to_owned(), vec![]),
        ("actor_type.not=system".to_owned(), vec![4]),
        ("actor_type.not=user".to_owned(), vec![1, 2, 3]),
        ("actor_context.not=api_token".to_owned(), vec![1, 2, 3]),
        (
            "actor_email.not=ADMIN@certgate.invalid".to_owned(),
            vec![1, 2, 3],
        ),
        (format!("actor_id.not={user}"), vec![1, 2, 3]),
        ("actor_ip_address.not=192.0.2.7".to_owned(), vec![1, 2, 3]),
        (format!("actor_token_id.not={token}"), vec![1, 2, 3]),
        ("actor_token_name.not=other".to_owned(), vec![1, 2, 3, 4]),
        (format!("account_name.not={name}"), vec![]),
        (
            format!("id.not={}", whole[0]["id"].as_str().unwrap()),
            vec![2, 3, 4],
        ),
        (
            format!("audit_log_id.not={}", whole[3]["id"].as_str().unwrap()),
            vec![1, 2, 3],
        ),
        (format!("resource_id.not={certificate}"), vec![1, 2, 3]),
        ("resource_product.not=certgate".to_owned(), vec![]),
        ("resource_type.not=account,zone".to_owned(), vec![3, 4]),
        ("resource_scope.not=accounts".to_owned(), vec![2, 4]),
        (format!("zone_id.not={}", app.zone_id), vec![1, 3]),
        (format!("zone_name.not={zone}"), vec![1, 3]),
        (
            "raw_method.not=GET&raw_uri.not=x&raw_status_code.not=200".to_owned(),
            vec![1, 2, 3, 4],
        ),
        (
            "raw_cf_ray_id.not=x&action_type.not=issue&limit=2".to_owned(),
            vec![1, 2],
        ),
    ] {
        assert_eq!(numbers(&query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn a_filtered_log_is_read_in_parts() {
    let app = TestApp::new().await;
    for n in 0..5 {
        app.issue(&format!("device-{n}")).await;
    }
    let (mut read, mut cursor) = (Vec::new(), String::new());
    loop {
        let query = format!("{LOG}?action_type.not=create&limit=2&cursor={cursor}");
        let answer = app.get(&query).await.json();
        let entries = answer["result"].as_array().unwrap();
        assert!(!entries.is_empty());
        read.extend(
            entries
                .iter()
                .map(|entry| entry["certgate"]["number"].as_u64().unwrap()),
        );
        cursor = answer["result_info"]["cursor"].as_str().unwrap().to_owned();
        if cursor.is_empty() {
            break;
        }
    }
    assert_eq!(read, [8, 7, 6, 5, 4]);
}

const PAGES: &str = "/accounts/{account}/audit_logs";

#[tokio::test]
async fn the_log_is_read_by_page() {
    let app = TestApp::new().await;
    for n in 0..4 {
        app.issue(&format!("device-{n}")).await;
    }
    let answer = app.get(PAGES).await.json();
    assert_eq!(
        answer["result_info"],
        json!({ "page": 1, "per_page": 100, "count": 7 })
    );
    let newest = &answer["result"][0];
    let whole = log(&app, "").await;
    assert_eq!(newest["id"], whole[0]["id"]);
    assert_eq!(newest["when"], whole[0]["action"]["time"]);
    insta::assert_json_snapshot!(newest, {
        ".id" => "[id]", ".actor.id" => "[id]", ".owner.id" => "[id]", ".resource.id" => "[id]",
        ".metadata.zone_id" => "[id]", ".metadata.token_id" => "[id]", ".when" => "[time]",
        ".metadata.detail" => "[detail]",
    }, @r#"
    {
      "action": {
        "result": true,
        "type": "issue"
      },
      "actor": {
        "email": "admin@certgate.invalid",
        "id": "[id]",
        "ip": "127.0.0.1",
        "type": "user"
      },
      "id": "[id]",
      "interface": "API",
      "metadata": {
        "detail": "[detail]",
        "token_id": "[id]",
        "token_name": "first token",
        "zone_id": "[id]",
        "zone_name": "example.com"
      },
      "newValue": "",
      "oldValue": "",
      "owner": {
        "id": "[id]"
      },
      "resource": {
        "id": "[id]",
        "type": "client_certificate"
      },
      "when": "[time]"
    }
    "#);
    let ids = async |query: &str| {
        let entries = app.get(&format!("{PAGES}?{query}")).await.result();
        let id = |entry: &Value| entry["id"].as_str().unwrap().to_owned();
        entries
            .as_array()
            .unwrap()
            .iter()
            .map(id)
            .collect::<Vec<_>>()
    };
    let all = ids("").await;
    let mut oldest = all.clone();
    oldest.reverse();
    assert_eq!(ids("direction=asc").await, oldest);
    let mut pages = Vec::new();
    for page in 1..=3 {
        pages.extend(ids(&format!("per_page=3&page={page}")).await);
    }
    assert_eq!(pages, all);
    for (query, expected) in [
        ("per_page=3&page=4".to_owned(), &all[7..]),
        ("action.type=issue".to_owned(), &all[..4]),
        ("action.type=issue&per_page=3&page=2".to_owned(), &all[3..4]),
        ("actor.email=admin@certgate.invalid".to_owned(), &all[..4]),
        ("actor.ip=127.0.0.0/8".to_owned(), &all[..4]),
        ("actor.ip=127.0.0.1".to_owned(), &all[..4]),
        ("actor.ip=192.0.2.0/24".to_owned(), &all[7..]),
        ("zone.name=other.example".to_owned(), &all[7..]),
        (format!("id={}", all[2]), &all[2..3]),
        ("before=2000-01-01".to_owned(), &all[7..]),
        ("hide_user_logs=true&export=false".to_owned(), &all[..]),
    ] {
        assert_eq!(ids(&query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn bad_conditions_of_a_page_are_refused_by_name() {
    let app = TestApp::new().await;
    for (query, name) in [
        ("export=true", "export"),
        ("page=0", "page"),
        ("per_page=1001", "per_page"),
        ("actor.ip=x", "actor.ip"),
        ("since=x", "since"),
        ("direction=up", "direction"),
    ] {
        let error = app.get(&format!("{PAGES}?{query}")).await.error();
        assert_eq!((error.status, error.code), (400, 9208), "{query}");
        assert!(
            error.message.starts_with(name),
            "{query}: {}",
            error.message
        );
    }
}

#[tokio::test]
async fn the_users_log_is_read_by_page() {
    let app = TestApp::new().await;
    let types = async |query: &str| {
        let entries = app.get(&format!("/user/audit_logs{query}")).await.result();
        let entries = entries.as_array().unwrap().iter();
        let kind = |entry: &Value| entry["resource"]["type"].as_str().unwrap().to_owned();
        entries.map(kind).collect::<Vec<_>>()
    };
    assert_eq!(types("").await, ["api_token"]);
    assert_eq!(types("?hide_user_logs=true").await, Vec::<String>::new());
    app.patch("/user")
        .body(r#"{"first_name":"Ada"}"#)
        .await
        .result();
    assert_eq!(types("").await, ["user", "api_token"]);
}

#[tokio::test]
async fn an_account_is_the_actor_of_its_token() {
    let app = TestApp::new().await;
    let body = json!({
        "name": "pipeline",
        "policies": [{
            "effect": "allow",
            "permission_groups": [{ "id": SSL_WRITE }],
            "resources": { (format!("com.cloudflare.api.account.{}", app.account_id)): "*" },
        }],
    });
    let made = app.post("/accounts/{account}/tokens", body).await.result();
    let body = json!({ "csr": csr("theirs"), "validity_days": 30 });
    let issue = app.post("/zones/{zone}/client_certificates", body);
    issue.token(made["value"].as_str().unwrap()).await.result();
    let actor = &log(&app, "limit=1").await[0]["actor"];
    assert_eq!(actor["type"], "account");
    assert_eq!(actor["id"], app.account_id);
    assert_eq!(actor["token_id"], made["id"]);
    assert_eq!(actor.get("email"), None);
}

/// The entries of a certificate's filter: number and action.
async fn about(app: &TestApp, query: &str) -> Vec<String> {
    let entries = log(app, query).await;
    let kind = " client_certificate";
    told(&entries)
        .iter()
        .map(|entry| entry.replace(kind, ""))
        .collect()
}

#[tokio::test]
async fn entries_are_found_by_certificate_and_actor() {
    let app = TestApp::new().await;
    let id = |certificate: &Value| certificate["id"].as_str().unwrap().to_owned();
    let first = id(&app.issue("laptop").await);
    app.clock.advance_seconds(100);
    let second = id(&app.issue("phone").await);
    let (token, value) = limited_token(&app, SSL_WRITE).await;
    for _ in 0..2 {
        app.clock.advance_seconds(100);
        let path = format!("/zones/{{zone}}/client_certificates/{first}");
        app.delete(&path).token(&value).await.result();
        app.clock.advance_seconds(100);
        app.call(http::Method::PATCH, &path).await.result();
    }
    let all = [
        "9 reactivate",
        "8 revoke",
        "7 reactivate",
        "6 revoke",
        "4 issue",
    ];
    let filter = format!("certificate_id={first}");
    assert_eq!(about(&app, &filter).await, all);
    assert_eq!(
        about(&app, &format!("certificate_id={second}")).await,
        ["5 issue"]
    );
    let unknown = "certificate_id=0123456789abcdef0123456789abcdef";
    assert_eq!(about(&app, unknown).await, [""; 0]);
    let mut ascending = all;
    ascending.reverse();
    assert_eq!(
        about(&app, &format!("{filter}&direction=asc")).await,
        ascending
    );
    let by_token = format!("{filter}&actor_token_id={token}");
    assert_eq!(about(&app, &by_token).await, ["8 revoke", "6 revoke"]);
    let not_revoked = format!("{filter}&action_type.not=revoke");
    assert_eq!(
        about(&app, &not_revoked).await,
        ["9 reactivate", "7 reactivate", "4 issue"]
    );
    let entries = log(&app, &filter).await;
    let time = |at: usize| entries[at]["action"]["time"].as_str().unwrap();
    let stretch = format!("{filter}&since={}&before={}", time(3), time(0));
    assert_eq!(
        about(&app, &stretch).await,
        ["8 revoke", "7 reactivate", "6 revoke"]
    );
    for direction in ["asc", "desc"] {
        let expected = about(&app, &format!("{filter}&direction={direction}")).await;
        let (mut read, mut cursor) = (Vec::new(), String::new());
        loop {
            let query = format!("{filter}&direction={direction}&limit=2&cursor={cursor}");
            let answer = app.get(&format!("{LOG}?{query}")).await.json();
            let entries = answer["result"].as_array().unwrap().clone();
            read.extend(told(&entries));
            cursor = answer["result_info"]["cursor"].as_str().unwrap().to_owned();
            if cursor.is_empty() {
                break;
            }
        }
        let read: Vec<_> = read
            .iter()
            .map(|entry| entry.replace(" client_certificate", ""))
            .collect();
        assert_eq!(read, expected);
    }
    for (path, query, pointer) in [
        (LOG, "certificate_id=1", "certificate_id"),
        (
            LOG,
            "certificate_id=0123456789abcdef0123456789abcdef&common_name=a",
            "certificate_id",
        ),
        (LOG, "common_name=%00", "common_name"),
        (USER_LOG, "common_name=a", "certificate_id"),
    ] {
        let error = app.get(&format!("{path}?{query}")).await.error();
        assert_eq!(
            (error.code, error.pointer.as_deref()),
            (9208, Some(pointer)),
            "{query}"
        );
    }
}

#[tokio::test]
async fn entries_are_found_by_common_name_in_every_zone() {
    let app = TestApp::new().await;
    app.issue("laptop").await;
    app.issue("phone").await;
    let zone = json!({ "name": "other.example", "account": { "id": app.account_id } });
    let zone = app.post("/zones", zone).await.result();
    let path = format!(
        "/zones/{}/client_certificates",
        zone["id"].as_str().unwrap()
    );
    let body = json!({ "csr": csr("LapTop"), "validity_days": 1 });
    let certificate = app.post(&path, body).await.result();
    let path = format!("{path}/{}", certificate["id"].as_str().unwrap());
    app.delete(&path).await.result();
    assert_eq!(
        about(&app, "common_name=LAPTOP").await,
        ["8 revoke", "7 issue", "4 issue"]
    );
    assert_eq!(about(&app, "common_name=lap").await, [""; 0]);
}
