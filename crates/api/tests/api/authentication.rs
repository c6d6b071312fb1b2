//! Authentication: a test for every row of its table.

use certgate_testkit::TestApp;
use serde_json::json;

const PATH: &str = "/zones/{zone}/client_certificates";
const SSL_READ: &str = "7b7216b327b04b8fbc8f524e1f9b7531";
const SSL_WRITE: &str = "c03055bc037c4ea9afb9a9f104b7b721";

#[tokio::test]
async fn no_credentials_is_9106_and_empty_headers_do_not_count() {
    let app = TestApp::new().await;
    let expected = (
        400,
        9106,
        "Missing X-Auth-Key, X-Auth-Email or Authorization headers".to_owned(),
    );
    for call in [
        app.get(PATH).anonymous(),
        app.get(PATH).header("authorization", ""),
        app.get(PATH).header("authorization", "  "),
        app.get(PATH)
            .anonymous()
            .header("x-auth-key", "")
            .header("x-auth-email", ""),
        app.get(PATH)
            .anonymous()
            .header("x-auth-email", "a@example.com"),
        app.get(PATH)
            .anonymous()
            .header("x-auth-key", "k")
            .header("x-auth-email", ""),
    ] {
        let error = call.await.error();
        assert_eq!((error.status, error.code, error.message), expected);
    }
    // Empty headers beside a good token have no effect.
    app.get(PATH)
        .header("x-auth-key", "")
        .header("x-auth-email", "")
        .await
        .result();
}

#[tokio::test]
async fn a_malformed_authorization_header_is_6003_because_of_6111() {
    let app = TestApp::new().await;
    for value in [
        "Bearer",
        "Basic dXNlcjpwYXNz",
        "token",
        "Bearer a b",
        "Bearer \u{e9}",
        "Bearer  x y",
    ] {
        let answer = app.get(PATH).header("authorization", value).await;
        let error = answer.error();
        assert_eq!((error.status, error.code), (400, 6003), "{value}");
        assert_eq!(error.message, "Invalid request headers");
        let chain = json!([{ "code": 6111, "message": "Invalid format for Authorization header" }]);
        assert_eq!(answer.json()["errors"][0]["error_chain"], chain);
    }
    app.get(PATH)
        .header("authorization", &format!("bearer {}", app.token))
        .await
        .result();
}

#[tokio::test]
async fn a_token_that_is_not_valid_now_and_here_is_9109() {
    let app = TestApp::new().await;
    let make = async |extra: serde_json::Value| {
        let mut body = json!({
            "name": "t",
            "policies": [{
                "effect": "allow",
                "permission_groups": [{ "id": SSL_READ }],
                "resources": { "com.cloudflare.api.account.zone.*": "*" },
            }],
        });
        body.as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        let made = app.post("/user/tokens", body).await.result();
        made["value"].as_str().unwrap().to_owned()
    };
    let refused = async |token: &str, peer: &str| {
        let error = app.get(PATH).token(token).from_address(peer).await.error();
        assert_eq!((error.status, error.code), (403, 9109));
        assert_eq!(error.message, "Invalid access token");
        let error = app
            .get("/user/tokens/verify")
            .token(token)
            .from_address(peer)
            .await
            .error();
        assert_eq!((error.status, error.code), (401, 1000));
        assert_eq!(error.message, "Invalid API Token");
    };
    let here = "127.0.0.1";
    refused("unknown", here).await;
    refused(&"x".repeat(5000), here).await;

    let disabled = make(json!({ "status": "disabled" })).await;
    refused(&disabled, here).await;

    // The clock shows 2026-08-14T10:20:30Z.
    let later =
        make(json!({ "not_before": "2026-08-14T10:20:31Z", "expires_on": "2026-08-14T10:20:33Z" }))
            .await;
    refused(&later, here).await;
    app.clock.advance_seconds(1);
    app.get(PATH).token(&later).await.result();
    app.clock.advance_seconds(2);
    refused(&later, here).await;

    let addresses =
        json!({ "in": ["192.0.2.0/24", "2001:db8::/32"], "not_in": ["::ffff:192.0.2.7/128"] });
    let bound = make(json!({ "condition": { "request.ip": addresses } })).await;
    for peer in ["192.0.2.8", "2001:db8::1", "::ffff:192.0.2.9"] {
        app.get(PATH)
            .token(&bound)
            .from_address(peer)
            .await
            .result();
    }
    for peer in [
        "192.0.2.7",
        "::ffff:192.0.2.7",
        "192.0.3.1",
        "2001:db9::1",
        here,
    ] {
        refused(&bound, peer).await;
    }
}

#[tokio::test]
async fn foreign_and_missing_zones_have_the_same_answer_for_a_token_of_one_zone() {
    let app = TestApp::new().await;
    let account = json!({ "id": app.account_id });
    let other = app
        .post(
            "/zones",
            json!({ "name": "other.example", "account": account }),
        )
        .await
        .result();
    let other = other["id"].as_str().unwrap();
    let mine = format!("com.cloudflare.api.account.zone.{}", app.zone_id);
    let token = app.token_for(&[SSL_WRITE], &[&mine]).await;
    app.get(PATH).token(&token).await.result();

    let nowhere = "0123456789abcdef0123456789abcdef";
    let theirs = app
        .get(&format!("/zones/{other}/client_certificates"))
        .token(&token)
        .await;
    let missing = app
        .get(&format!("/zones/{nowhere}/client_certificates"))
        .token(&token)
        .await;
    let error = theirs.error();
    assert_eq!((error.status, error.code), (403, 9109));
    assert_eq!(error.message, "Unauthorized to access requested resource");
    assert_eq!(theirs.bytes, missing.bytes);
    assert_eq!(theirs.status, missing.status);
    // A token for every zone learns that there is none.
    let error = app.get(&format!("/zones/{nowhere}/client_certificates"));
    let error = error.await.error();
    assert_eq!((error.status, error.code), (404, 7003));
}

#[tokio::test]
async fn a_read_permission_does_not_write() {
    let app = TestApp::new().await;
    let issued = app.issue("x").await;
    let path = format!("{PATH}/{}", issued["id"].as_str().unwrap());
    let token = app
        .token_for(&[SSL_READ], &["com.cloudflare.api.account.zone.*"])
        .await;
    app.get(PATH).token(&token).await.result();
    app.get(&path).token(&token).await.result();
    for call in [
        app.delete(&path),
        app.patch(&path),
        app.post(PATH, json!({})),
    ] {
        let error = call.token(&token).await.error();
        assert_eq!((error.status, error.code), (403, 9109));
        assert_eq!(error.message, "Unauthorized to access requested resource");
    }
}

#[tokio::test]
async fn a_denial_takes_precedence_over_every_permission() {
    let app = TestApp::new().await;
    let policy = |effect: &str, group: &str, resource: &str| json!({ "effect": effect, "permission_groups": [{ "id": group }], "resources": { resource: "*" } });
    let zone = format!("com.cloudflare.api.account.zone.{}", app.zone_id);
    let policies = json!([
        policy("allow", SSL_WRITE, "com.cloudflare.api.account.*"),
        policy("deny", SSL_WRITE, &zone),
    ]);
    let made = app
        .post("/user/tokens", json!({ "name": "t", "policies": policies }))
        .await
        .result();
    let token = made["value"].as_str().unwrap();
    app.get(PATH).token(token).await.result();
    let error = app.post(PATH, json!({})).token(token).await.error();
    assert_eq!((error.status, error.code), (403, 9109));
}

#[tokio::test]
async fn an_unknown_route_is_7003_with_or_without_credentials() {
    let app = TestApp::new().await;
    for path in [
        "/zones/123/client_certificates",
        "/zones/0123456789abcdef0123456789abcdeg/client_certificates",
        "/zones/%ff/client_certificates",
        "/nothing",
        "/zones/{zone}/nothing",
        "/user/tokens/xyz",
        "/accounts/1",
        "/!",
        "/!client/v5/zones",
        "/!client/v4/zones/",
    ] {
        for call in [app.get(path), app.get(path).anonymous()] {
            let answer = call.await;
            if path == "/user/tokens/xyz" && answer.status == 400 {
                continue; // The token is checked before its path.
            }
            let error = answer.error();
            assert_eq!((error.status, error.code), (404, 7003), "{path}");
            assert!(
                error.message.starts_with("Could not route to /"),
                "{}",
                error.message
            );
            assert!(
                error
                    .message
                    .ends_with(", perhaps your object identifier is invalid?")
            );
        }
    }
}

#[tokio::test]
async fn an_unknown_method_is_10405() {
    let app = TestApp::new().await;
    for (method, path) in [
        ("PUT", PATH),
        ("OPTIONS", PATH),
        ("BREW", PATH),
        ("POST", "/user"),
        ("PATCH", "/user/tokens/verify"),
    ] {
        let method = http::Method::from_bytes(method.as_bytes()).unwrap();
        let answer = app.call(method, path).await;
        let error = answer.error();
        assert_eq!((error.status, error.code), (405, 10405), "{path}");
        assert!(answer.headers.contains_key("allow"));
    }
}

#[tokio::test]
async fn too_many_requests_are_971_with_the_time_to_wait() {
    let app = TestApp::with(|settings| settings.limits.requests_per_minute = Some(3)).await;
    for _ in 0..3 {
        app.get(PATH).await.result();
    }
    let answer = app.get(PATH).await;
    let error = answer.error();
    assert_eq!((error.status, error.code), (429, 971));
    // The clock shows 30 seconds past the minute.
    assert_eq!(answer.headers["retry-after"], "30");
    app.clock.advance_seconds(30);
    app.get(PATH).await.result();
}

#[tokio::test]
async fn a_deleted_rolled_or_disabled_token_stops_immediately() {
    let app = TestApp::new().await;
    let made = async || {
        let policies = json!([{
            "effect": "allow",
            "permission_groups": [{ "id": SSL_READ }],
            "resources": { "com.cloudflare.api.account.zone.*": "*" },
        }]);
        let made = app
            .post("/user/tokens", json!({ "name": "t", "policies": policies }))
            .await
            .result();
        let value = made["value"].as_str().unwrap().to_owned();
        app.get(PATH).token(&value).await.result();
        (
            format!("/user/tokens/{}", made["id"].as_str().unwrap()),
            value,
            policies,
        )
    };
    let stopped =
        async |value: &str| assert_eq!(app.get(PATH).token(value).await.error().code, 9109);

    let (path, value, _) = made().await;
    app.delete(&path).await.result();
    stopped(&value).await;

    let (path, value, _) = made().await;
    let rolled = app.put(&format!("{path}/value"), json!({})).await.result();
    stopped(&value).await;
    app.get(PATH).token(rolled.as_str().unwrap()).await.result();

    let (path, value, policies) = made().await;
    app.put(
        &path,
        json!({ "name": "t", "status": "disabled", "policies": policies }),
    )
    .await
    .result();
    stopped(&value).await;
}

#[tokio::test]
async fn refused_requests_do_not_count_and_requests_with_a_key_do() {
    let app = TestApp::with(|settings| settings.limits.requests_per_minute = Some(2)).await;
    let elsewhere = json!({ "request.ip": { "in": ["192.0.2.1"] } });
    let policies = app.get("/user/tokens").await.result()[0]["policies"].clone();
    let body = json!({ "name": "t", "policies": policies, "condition": elsewhere });
    let bound = app.post("/user/tokens", body).await.result()["value"]
        .as_str()
        .unwrap()
        .to_owned();
    // The token's own requests are used up; the next minute begins.
    assert_eq!(app.get(PATH).await.error().code, 971);
    app.clock.advance_seconds(30);
    let (email, key) = app.api_key().await;
    for _ in 0..5 {
        assert_eq!(app.get(PATH).token("unknown").await.error().code, 9109);
        assert_eq!(app.get(PATH).token(&bound).await.error().code, 9109);
        assert_eq!(
            app.get(PATH)
                .key("other@example.com", &key)
                .await
                .error()
                .code,
            9103
        );
    }
    for _ in 0..2 {
        app.get(PATH)
            .token(&bound)
            .from_address("192.0.2.1")
            .await
            .result();
        app.get(PATH).key(&email, &key).await.result();
    }
    for call in [
        app.get(PATH).token(&bound).from_address("192.0.2.1"),
        app.get(PATH).key(&email, &key),
        // A request that needs no permission counts too.
        app.get("/user/tokens/verify")
            .token(&bound)
            .from_address("192.0.2.1"),
    ] {
        let answer = call.await;
        let error = answer.error();
        assert_eq!((error.status, error.code), (429, 971));
        assert_eq!(answer.headers["retry-after"], "60");
    }
    // Each has its own count.
    app.get(PATH).await.result();
}

#[tokio::test]
async fn the_address_behind_a_trusted_proxy_is_its_clients() {
    let app = TestApp::behind("10.0.0.0/8, 2001:db8:1::/48").await;
    let with = async |condition: serde_json::Value| {
        let policies = app.get("/user/tokens").await.result()[0]["policies"].clone();
        let body =
            json!({ "name": "t", "policies": policies, "condition": { "request.ip": condition } });
        app.post("/user/tokens", body).await.result()["value"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let bound = with(json!({ "in": ["192.0.2.0/24", "2001:db8:2::/48"] })).await;
    let barred = with(json!({ "not_in": ["192.0.2.7"] })).await;
    let through = |token: &str, peer: &str, lines: &[&str]| {
        let call = app.get(PATH).token(token).from_address(peer);
        lines
            .iter()
            .fold(call, |call, line| call.line("x-forwarded-for", line))
    };
    for (peer, lines) in [
        ("192.0.2.1", &[][..]),
        ("10.0.0.1", &["192.0.2.1"]),
        ("::ffff:10.0.0.1", &["192.0.2.1:4711"]),
        ("2001:db8:1::1", &["[2001:db8:2::1]:4711"]),
        ("10.0.0.1", &["203.0.113.1", "::ffff:192.0.2.1, 10.0.0.2"]),
        // A peer that is not a proxy cannot pretend another address.
        ("192.0.2.1", &["203.0.113.1"]),
    ] {
        assert_eq!(
            through(&bound, peer, lines).await.status,
            200,
            "{peer} {lines:?}"
        );
        assert_eq!(
            through(&barred, peer, lines).await.status,
            200,
            "{peer} {lines:?}"
        );
    }
    for (token, peer, lines) in [
        (&bound, "10.0.0.1", &[][..]),
        (&bound, "203.0.113.1", &["192.0.2.1"]),
        (&bound, "10.0.0.1", &["192.0.2.1, 203.0.113.1"]),
        (&bound, "10.0.0.1", &["192.0.2.1", "203.0.113.1"]),
        (&bound, "10.0.0.1", &["192.0.2.1, unknown"]),
        (&bound, "10.0.0.1", &["192.0.2.1, \u{e9}"]),
        (&barred, "10.0.0.1", &["192.0.2.7"]),
        (&barred, "10.0.0.1", &["unknown"]),
    ] {
        let error = through(token, peer, lines).await.error();
        assert_eq!((error.status, error.code), (403, 9109), "{peer} {lines:?}");
    }
    // A token without a condition on addresses works from an unknown address too.
    assert_eq!(
        through(&app.token, "10.0.0.1", &["unknown"]).await.status,
        200
    );
}

#[tokio::test]
async fn ipv4_mapped_blocks_match_ipv4_addresses() {
    let app = TestApp::new().await;
    let policies = app.get("/user/tokens").await.result()[0]["policies"].clone();
    for (condition, good, refused) in [
        (
            json!({ "in": ["::ffff:192.0.2.0/120"] }),
            "192.0.2.1",
            "192.0.3.1",
        ),
        (
            json!({ "in": ["::ffff:0:0/96"] }),
            "::ffff:192.0.2.1",
            "2001:db8::1",
        ),
        (json!({ "in": ["::/0"] }), "2001:db8::1", "192.0.2.1"),
        (
            json!({ "in": ["::ffff:0:0/95"] }),
            "::fffe:0:1",
            "192.0.2.1",
        ),
        (
            json!({ "in": ["0.0.0.0/0"] }),
            "::ffff:192.0.2.1",
            "2001:db8::1",
        ),
        (json!({ "not_in": ["::/0"] }), "192.0.2.1", "2001:db8::1"),
    ] {
        let body =
            json!({ "name": "t", "policies": policies, "condition": { "request.ip": condition } });
        let made = app.post("/user/tokens", body).await.result();
        let token = made["value"].as_str().unwrap();
        app.get(PATH).token(token).from_address(good).await.result();
        let error = app
            .get(PATH)
            .token(token)
            .from_address(refused)
            .await
            .error();
        assert_eq!((error.status, error.code), (403, 9109), "{condition}");
    }
    for name in ["request.ip", "request_ip"] {
        let condition = json!({ name: { "in": [], "not_in": ["192.0.2.1"] } });
        let body = json!({ "name": "t", "policies": policies, "condition": condition });
        let error = app.post("/user/tokens", body).await.error();
        assert_eq!((error.status, error.code), (400, 9207));
        assert_eq!(error.pointer.unwrap(), format!("/condition/{name}/in"));
        let condition = json!({ name: { "in": null, "not_in": [] } });
        app.post(
            "/user/tokens",
            json!({ "name": "t", "policies": policies, "condition": condition }),
        )
        .await
        .result();
    }
}

#[tokio::test]
async fn a_request_with_two_of_a_header_that_must_be_single_is_refused() {
    let app = TestApp::new().await;
    let valid = format!("Bearer {}", app.token);
    for (name, values) in [
        ("authorization", [&*valid, "Bearer x"]),
        ("authorization", ["Bearer x", &valid]),
        ("authorization", [&valid, &valid]),
        ("authorization", [&valid, ""]),
        ("host", ["a", "b"]),
        ("host", ["a", "a"]),
        ("x-auth-key", ["", "1"]),
        ("x-auth-email", ["a@example.com", "b@example.com"]),
    ] {
        for path in [PATH, "/!healthz", "/unknown"] {
            let mut call = app.get(path).header("authorization", &valid);
            if name == "authorization" {
                call = call.anonymous();
            }
            for value in values {
                call = call.line(name, value);
            }
            let answer = call.await;
            let error = answer.error();
            assert_eq!((error.status, error.code), (400, 6003), "{name} {path}");
            assert_eq!(answer.json()["errors"][0]["error_chain"][0]["code"], 6122);
            assert_eq!(answer.headers["connection"], "close");
        }
    }
    // Several lines of another header are a list.
    let call = app.get(PATH).line("accept", "a/b").line("accept", "c/d");
    call.await.result();
}
