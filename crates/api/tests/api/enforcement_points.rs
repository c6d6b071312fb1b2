//! Enforcement points: they follow revocations, and changes settle after their acknowledgements.

use std::time::Duration;

use certgate_testkit::TestApp;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

const POINTS: &str = "/certgate/v1/accounts/{account}/enforcement_points";
const CHANGES: &str = "/certgate/v1/accounts/{account}/revocation_changes";
const REVOCATIONS: &str = "/certgate/v1/accounts/{account}/revocations";

async fn register(app: &TestApp, name: &str) -> String {
    let point = app.post(POINTS, json!({ "name": name })).await.result();
    point["id"].as_str().unwrap().to_owned()
}

async fn acknowledge(app: &TestApp, point: &str, epoch: &Value) -> Value {
    app.put(
        &format!("{POINTS}/{point}/acknowledgement"),
        json!({ "epoch": epoch }),
    )
    .await
    .result()
}

async fn changes(app: &TestApp, after: &Value) -> Value {
    app.get(&format!("{CHANGES}?after={after}")).await.result()
}

fn path(certificate: &Value) -> String {
    format!(
        "/zones/{{zone}}/client_certificates/{}",
        certificate["id"].as_str().unwrap()
    )
}

/// The status of a certificate after every change that can settle has settled.
async fn settled(app: &TestApp, certificate: &Value) -> Value {
    app.settle().await;
    app.get(&path(certificate)).await.result()["status"].clone()
}

/// The lines of the revoked certificates: the epoch, the certificates, their count.
async fn revocations(app: &TestApp) -> (Value, Vec<Value>, Value) {
    let answer = app.get(REVOCATIONS).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.headers["content-type"]),
        (200, &"application/x-ndjson".parse().unwrap())
    );
    let text = String::from_utf8(answer.bytes).unwrap();
    let mut lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let (first, last) = (lines.remove(0), lines.pop().unwrap());
    (first["epoch"].clone(), lines, last["count"].clone())
}

#[tokio::test]
async fn a_change_settles_after_every_acknowledgement() {
    let app = TestApp::new().await;
    let certificate = app.issue("device").await;
    let points = [
        register(&app, "edge-1").await,
        register(&app, "edge-2").await,
    ];
    let start = changes(&app, &json!(0)).await["epoch"].clone();

    app.delete(&path(&certificate)).await.result();
    assert_eq!(settled(&app, &certificate).await, "pending_revocation");
    let told = changes(&app, &start).await;
    let [change] = &told["changes"].as_array().unwrap()[..] else {
        panic!("{told}")
    };
    assert_eq!(
        (
            &change["fingerprint_sha256"],
            &change["serial_number"],
            &change["revoked"],
            &change["epoch"]
        ),
        (
            &certificate["fingerprint_sha256"],
            &json!(certificate["serial_number"]),
            &json!(true),
            &told["epoch"]
        )
    );
    assert_eq!(
        change["certificate_authority_id"],
        certificate["certificate_authority"]["id"]
    );
    assert_eq!(
        acknowledge(&app, &points[0], &told["epoch"]).await["status"],
        "current"
    );
    assert_eq!(settled(&app, &certificate).await, "pending_revocation");
    let listed = app.get(POINTS).await.result();
    let statuses: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|point| (&point["name"], &point["status"]))
        .collect();
    assert_eq!(
        statuses,
        [
            (&json!("edge-1"), &json!("current")),
            (&json!("edge-2"), &json!("lagging"))
        ]
    );
    acknowledge(&app, &points[1], &told["epoch"]).await;
    assert_eq!(settled(&app, &certificate).await, "revoked");

    app.patch(&path(&certificate)).await.result();
    assert_eq!(settled(&app, &certificate).await, "pending_reactivation");
    let told = changes(&app, &told["epoch"]).await;
    assert_eq!(
        (
            &told["changes"][0]["revoked"],
            told["changes"].as_array().unwrap().len()
        ),
        (&json!(false), 1)
    );
    acknowledge(&app, &points[0], &told["epoch"]).await;
    // Changes do not wait for a deleted enforcement point.
    app.delete(&format!("{POINTS}/{}", points[1]))
        .await
        .result();
    assert_eq!(settled(&app, &certificate).await, "active");
}

#[tokio::test]
async fn changes_do_not_wait_for_a_silent_enforcement_point() {
    let app = TestApp::new().await;
    let certificate = app.issue("device").await;
    let body = json!({ "name": "edge", "lease_seconds": 120 });
    let point = app.post(POINTS, body.clone()).await.result();
    app.delete(&path(&certificate)).await.result();
    app.clock.advance_seconds(119);
    assert_eq!(settled(&app, &certificate).await, "pending_revocation");
    app.clock.advance_seconds(1);
    assert_eq!(settled(&app, &certificate).await, "revoked");
    assert_eq!(app.get(POINTS).await.result()[0]["status"], "silent");

    // It registers again under its name, and changes wait for it again.
    let again = app.post(POINTS, body).await.result();
    assert_eq!(
        (&again["id"], &again["status"]),
        (&point["id"], &json!("lagging"))
    );
    app.patch(&path(&certificate)).await.result();
    assert_eq!(settled(&app, &certificate).await, "pending_reactivation");
    // An acknowledgement of an earlier epoch renews the lease.
    app.clock.advance_seconds(119);
    acknowledge(&app, point["id"].as_str().unwrap(), &json!(0)).await;
    app.clock.advance_seconds(119);
    assert_eq!(settled(&app, &certificate).await, "pending_reactivation");
}

#[tokio::test]
async fn changes_do_not_wait_for_enforcement_points_of_other_accounts() {
    let app = TestApp::new().await;
    let other = app
        .post("/accounts", json!({ "name": "other" }))
        .await
        .result()["id"]
        .clone();
    let of_other = |path: &str| path.replace("{account}", other.as_str().unwrap());
    app.post(&of_other(POINTS), json!({ "name": "edge" }))
        .await
        .result();
    let certificate = app.issue("device").await;
    app.delete(&path(&certificate)).await.result();
    assert_eq!(settled(&app, &certificate).await, "revoked");
    assert_eq!(
        app.get(&of_other(CHANGES)).await.result()["changes"],
        json!([])
    );
    let text = String::from_utf8(app.get(&of_other(REVOCATIONS)).await.bytes).unwrap();
    assert!(text.ends_with("{\"count\":0}\n"), "{text}");
    // A deleted account deletes its enforcement points.
    app.delete(&format!("/accounts/{}", other.as_str().unwrap()))
        .await
        .result();
}

#[tokio::test]
async fn a_waiting_enforcement_point_gets_changes_immediately() {
    let app = TestApp::new().await;
    let certificate = app.issue("device").await;
    let start = changes(&app, &json!(0)).await["epoch"].clone();
    let waiting = async {
        app.get(&format!("{CHANGES}?after={start}&wait_seconds=20"))
            .await
            .result()
    };
    let revoking = async { app.delete(&path(&certificate)).await.result() };
    let (told, _) = tokio::join!(waiting, revoking);
    assert_eq!(
        told["changes"][0]["serial_number"],
        certificate["serial_number"]
    );
    // Without a new change, the answer comes before the time limit of the request and has the same
    // epoch.
    let app = TestApp::with_time_limit(Duration::from_millis(100)).await;
    let told = app
        .get(&format!("{CHANGES}?wait_seconds=20"))
        .await
        .result();
    assert_eq!(told["changes"], json!([]));
}

#[tokio::test]
async fn all_revoked_certificates_are_read_in_one_answer() {
    let app = TestApp::new().await;
    assert_eq!(
        revocations(&app).await,
        (
            changes(&app, &json!(0)).await["epoch"].clone(),
            vec![],
            json!(0)
        )
    );
    let mut revoked = Vec::new();
    for name in ["a", "b", "c"] {
        let certificate = app.issue(name).await;
        app.delete(&path(&certificate)).await.result();
        revoked.push(certificate);
        // Another CA signs the last certificate.
        if name == "b" {
            app.call(
                http::Method::POST,
                "/certgate/v1/accounts/{account}/managed_authorities/rotate",
            )
            .await
            .result();
        }
    }
    app.settle().await;
    app.patch(&path(&revoked.remove(0))).await.result();
    let (epoch, lines, count) = revocations(&app).await;
    assert_eq!(count, 2);
    let mut expected: Vec<_> = revoked
        .iter()
        .map(|one| one["fingerprint_sha256"].as_str().unwrap())
        .collect();
    let mut found: Vec<_> = lines
        .iter()
        .map(|one| one["fingerprint_sha256"].as_str().unwrap())
        .collect();
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expected);
    assert_eq!(
        changes(&app, &epoch).await["changes"],
        json!([]),
        "nothing has changed since"
    );
    // The changes of both CAs have one order, and the restoration is the last change.
    let told = changes(&app, &json!(0)).await;
    let told: Vec<_> = told["changes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["configuration"] != true)
        .map(|one| (one["epoch"].as_u64().unwrap(), &one["revoked"]))
        .collect();
    assert!(told.is_sorted_by_key(|one| one.0));
    assert_eq!(
        told.iter().map(|one| one.1).collect::<Vec<_>>(),
        [&json!(true), &json!(true), &json!(false)]
    );
    app.clock.advance_seconds(366 * 86_400);
    assert_eq!(revocations(&app).await.2, 0, "they have expired");
}

#[tokio::test]
async fn bad_registrations_and_acknowledgements_are_refused_with_their_reason() {
    let app = TestApp::new().await;
    for (body, pointer) in [
        (json!({}), "/name"),
        (json!({ "name": "" }), "/name"),
        (json!({ "name": 1 }), "/name"),
        (json!({ "name": "x", "lease_seconds": 4 }), "/lease_seconds"),
        (
            json!({ "name": "x", "lease_seconds": 3_601 }),
            "/lease_seconds",
        ),
        (
            json!({ "name": "x", "lease_seconds": "60" }),
            "/lease_seconds",
        ),
        (json!({ "name": "x", "covers": [] }), "/covers"),
        (json!({ "name": "x", "covers": "requests" }), "/covers"),
        (
            json!({ "name": "x", "covers": ["requests", "packets"] }),
            "/covers/1",
        ),
        (json!({ "name": "x", "when_stale": "wait" }), "/when_stale"),
        (
            json!({ "name": "x", "forget_seconds": 59 }),
            "/forget_seconds",
        ),
        (
            json!({ "name": "x", "forget_seconds": 2_592_001 }),
            "/forget_seconds",
        ),
    ] {
        let error = app.post(POINTS, body.clone()).await.error();
        assert_eq!(
            (error.status, error.pointer.as_deref()),
            (400, Some(pointer)),
            "{body}"
        );
    }
    let point = register(&app, "edge").await;
    let path = format!("{POINTS}/{point}/acknowledgement");
    for (epoch, code) in [
        (json!(-1), 9207),
        (json!("1"), 9207),
        (json!(1_000_000), 1521),
    ] {
        let error = app.put(&path, json!({ "epoch": epoch })).await.error();
        assert_eq!(
            (error.status, error.code, error.pointer.as_deref()),
            (400, code, Some("/epoch"))
        );
    }
    for query in [
        "after=-1",
        "after=x",
        "wait_seconds=21",
        "after=9007199254740992",
    ] {
        assert_eq!(
            app.get(&format!("{CHANGES}?{query}")).await.error().status,
            400,
            "{query}"
        );
    }
    // A future epoch comes from a database that was replaced with its backup.
    let ahead = app
        .get(&format!("{CHANGES}?after=1000000&wait_seconds=20"))
        .await
        .error();
    assert_eq!((ahead.status, ahead.code), (400, 1521));
    let missing = app
        .delete(&format!("{POINTS}/{}", "0".repeat(32)))
        .await
        .error();
    assert_eq!((missing.status, missing.code), (404, 1520));
}

/// Reads lines of a stream.
struct Lines(axum::body::Body);

impl Lines {
    async fn of(app: &TestApp, token: &str, query: &str) -> Self {
        let path = format!(
            "/certgate/v1/accounts/{}/revocation_stream?{query}",
            app.account_id
        );
        let request = http::Request::get(path)
            .header("host", "certgate.example")
            .header("authorization", format!("Bearer {token}"))
            .extension(certgate_api::PeerAddress([127, 0, 0, 1].into()));
        let request = request.body(axum::body::Body::empty()).unwrap();
        let response = app.router.clone().oneshot(request).await.unwrap();
        assert_eq!(
            (
                response.status().as_u16(),
                &response.headers()["content-type"]
            ),
            (200, &http::HeaderValue::from_static("application/x-ndjson"))
        );
        Self(response.into_body())
    }

    async fn next(&mut self) -> Option<Value> {
        let frame = self.0.frame().await?.unwrap().into_data().unwrap();
        Some(serde_json::from_slice(&frame).unwrap())
    }
}

#[tokio::test]
async fn a_stream_has_changes_as_they_happen() {
    let app = TestApp::new().await;
    let certificate = app.issue("device").await;
    let mut lines = Lines::of(&app, &app.token, "").await;
    assert_eq!(
        lines.next().await,
        Some(json!({ "epoch": 1, "changes": [{ "epoch": 1, "configuration": true }] })),
        "the CA is new"
    );
    for (epoch, revoked) in [(2, true), (3, false)] {
        let change = async {
            let method = if revoked {
                http::Method::DELETE
            } else {
                http::Method::PATCH
            };
            app.call(method, &path(&certificate)).await.result();
        };
        let (told, ()) = tokio::join!(lines.next(), change);
        let told = told.unwrap();
        assert_eq!(
            (&told["epoch"], &told["changes"][0]["revoked"]),
            (&json!(epoch), &json!(revoked))
        );
    }
    // A later follower gets the existing changes immediately, and each of them once.
    let told = Lines::of(&app, &app.token, "after=2")
        .await
        .next()
        .await
        .unwrap();
    assert_eq!(
        (&told["epoch"], told["changes"].as_array().unwrap().len()),
        (&json!(3), 1)
    );
    // The answer ends with the process.
    let (told, ()) = tokio::join!(lines.next(), async { app.service.signals.end_waiting() });
    assert_eq!(told, Some(json!({ "epoch": 3, "changes": [] })));
    assert_eq!(lines.next().await, None);
}

#[tokio::test]
async fn a_stream_ends_with_its_time_and_its_token() {
    let app = TestApp::new().await;
    let certificate = app.issue("device").await;
    let mut lines = Lines::of(&app, &app.token, "for_seconds=60").await;
    lines.next().await.unwrap();
    app.clock.advance_seconds(60);
    assert_eq!(lines.next().await, None);

    let account = format!("com.cloudflare.api.account.{}", app.account_id);
    let token = app
        .token_for(&["bd4322d121c9edaee5b1d7a660678da4"], &[&account])
        .await;
    let mut lines = Lines::of(&app, &token, "").await;
    lines.next().await.unwrap();
    let tokens = app.get("/user/tokens").await.result();
    let made = tokens
        .as_array()
        .unwrap()
        .iter()
        .find(|token| token["name"] == "limited")
        .unwrap();
    let (told, ()) = tokio::join!(lines.next(), async {
        app.delete(&format!("/user/tokens/{}", made["id"].as_str().unwrap()))
            .await
            .result();
        app.delete(&path(&certificate)).await.result();
    });
    assert_eq!(
        told, None,
        "what came after the token was deleted is not told"
    );

    for query in ["after=-1", "for_seconds=3601", "after=1000"] {
        let error = app
            .get(&format!(
                "/certgate/v1/accounts/{{account}}/revocation_stream?{query}"
            ))
            .await
            .error();
        assert_eq!(error.status, 400, "{query}");
    }
}

#[tokio::test]
async fn streams_and_waiting_requests_of_a_token_and_an_account_are_limited() {
    const STREAM: &str = "/certgate/v1/accounts/{account}/revocation_stream?for_seconds=0";
    const CHANGES: &str = "/certgate/v1/accounts/{account}/revocation_changes";
    let app = TestApp::new().await;
    let account = format!("com.cloudflare.api.account.{}", app.account_id);
    let mut tokens = Vec::new();
    for _ in 0..11 {
        let groups = ["bd4322d121c9edaee5b1d7a660678da4"];
        tokens.push(app.token_for(&groups, &[&account]).await);
    }
    let mut open = Vec::new();
    for token in &tokens[..10] {
        for _ in 0..100 {
            open.push(Lines::of(&app, token, "").await);
        }
        for path in [STREAM, &format!("{CHANGES}?wait_seconds=1")] {
            let error = app.get(path).token(token).await.error();
            assert_eq!((error.status, error.code), (429, 971));
            assert!(error.message.contains("100 streams"), "{}", error.message);
        }
        app.get(CHANGES).token(token).await.result();
    }
    let error = app.get(STREAM).token(&tokens[10]).await.error();
    assert_eq!((error.status, error.code), (429, 971));
    assert!(error.message.contains("1000 streams"), "{}", error.message);

    // Another account has streams of its own, and a place is given back.
    let other = app.post("/accounts", json!({ "name": "other" })).await;
    let other = other.result()["id"].as_str().unwrap().to_owned();
    let of_other = STREAM.replace("{account}", &other);
    assert_eq!(app.get(&of_other).await.status.as_u16(), 200);
    open.pop();
    assert_eq!(
        app.get(STREAM).token(&tokens[10]).await.status.as_u16(),
        200
    );
}

#[tokio::test]
async fn a_change_wakes_the_followers_of_its_own_account_only() {
    let app = TestApp::new().await;
    let other = app.post("/accounts", json!({ "name": "other" })).await;
    let other = other.result()["id"].as_str().unwrap().to_owned();
    let certificate = app.issue("device").await;
    let app = &app;
    let waits = |account: &str, after: u64| {
        let changes = format!("/certgate/v1/accounts/{account}/revocation_changes");
        let path = format!("{changes}?after={after}&wait_seconds=2");
        async move { app.get(&path).await.result() }
    };
    let (own, others, ()) = tokio::join!(waits(&app.account_id, 1), waits(&other, 0), async {
        app.delete(&path(&certificate)).await.result();
    });
    assert_eq!(own["changes"].as_array().unwrap().len(), 1);
    assert_eq!(others, json!({ "epoch": 0, "changes": [] }));
}

#[tokio::test]
async fn a_point_shows_what_it_covers_and_does() {
    let app = TestApp::new().await;
    let shown = |point: &Value| {
        let members = ["covers", "when_stale", "forget_seconds"].map(|name| point[name].clone());
        Value::from(members.to_vec())
    };
    let point = app.post(POINTS, json!({ "name": "edge" })).await.result();
    assert_eq!(shown(&point), json!([["requests"], "refuse", 86_400]));
    let body = json!({
        "name": "edge",
        "covers": ["requests", "connections", "REQUESTS"],
        "when_stale": "serve",
        "forget_seconds": 60,
    });
    let again = app.post(POINTS, body).await.result();
    let expected = json!([["connections", "requests"], "serve", 60]);
    assert_eq!((&again["id"], shown(&again)), (&point["id"], expected));
    let listed = app.get(POINTS).await.result();
    assert_eq!(shown(&listed[0]), shown(&again));
    let id = point["id"].as_str().unwrap();
    let acknowledged = acknowledge(&app, id, &json!(0)).await;
    assert_eq!(shown(&acknowledged), shown(&again));
    // The terms have defaults at each registration.
    let point = app.post(POINTS, json!({ "name": "edge" })).await.result();
    assert_eq!(shown(&point), json!([["requests"], "refuse", 86_400]));
    let error = app
        .post(
            POINTS,
            json!({ "name": "edge", "lease_seconds": 100, "forget_seconds": 99 }),
        )
        .await
        .error();
    let message =
        "forget_seconds is 99: use a whole number from 100, the lease_seconds, to 2592000";
    assert_eq!(error.message, message);
}

#[tokio::test]
async fn a_silent_point_is_forgotten_with_an_entry_in_the_log() {
    let app = TestApp::new().await;
    for (name, seconds) in [("short", 60), ("long", 86_400)] {
        let body = json!({ "name": name, "lease_seconds": 5, "forget_seconds": seconds });
        app.post(POINTS, body).await.result();
    }
    let names = async || {
        app.settle().await;
        let points = app.get(POINTS).await.result();
        let points = points.as_array().unwrap().clone();
        let name = |point: &Value| point["name"].as_str().unwrap().to_owned();
        points.iter().map(name).collect::<Vec<_>>()
    };
    app.clock.advance_seconds(59);
    assert_eq!(names().await, ["long", "short"]);
    app.clock.advance_seconds(1);
    assert_eq!(names().await, ["long"]);
    let log = "/accounts/{account}/logs/audit?since=2020-01-01&before=2040-01-01";
    let log = app.get(log).await.result();
    let deleted = log.as_array().unwrap().iter().find(|entry| {
        entry["action"]["type"] == "delete" && entry["resource"]["type"] == "enforcement_point"
    });
    let deleted = deleted.unwrap();
    assert_eq!(deleted["actor"], json!({ "type": "system" }));
    let detail = deleted["certgate"]["detail"].as_str().unwrap();
    assert!(detail.contains("forget_seconds=60 name=short"), "{detail}");
    app.clock.advance_seconds(86_400);
    assert_eq!(names().await, [] as [&str; 0]);
}
