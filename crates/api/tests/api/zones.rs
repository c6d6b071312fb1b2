use certgate_testkit::TestApp;
use serde_json::{Value, json};

async fn zone(app: &TestApp, name: &str) -> Value {
    app.post(
        "/zones",
        json!({ "name": name, "account": { "id": app.account_id } }),
    )
    .await
    .result()
}

async fn names(app: &TestApp, query: &str) -> Vec<String> {
    let zones = app.get(&format!("/zones?{query}")).await.result();
    zones
        .as_array()
        .unwrap()
        .iter()
        .map(|zone| zone["name"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn the_object_has_what_clients_of_the_public_api_read() {
    let app = TestApp::new().await;
    let made = zone(&app, "Shop.Example.ORG.").await;
    let path = format!("/zones/{}", made["id"].as_str().unwrap());
    assert_eq!(app.get(&path).await.result(), made);
    insta::assert_json_snapshot!(made, {
        ".id" => "[id]", ".account.id" => "[id]", ".owner.id" => "[id]",
    }, @r##"
    {
      "account": {
        "id": "[id]",
        "name": "default"
      },
      "activated_on": "2026-08-14T10:20:30Z",
      "created_on": "2026-08-14T10:20:30Z",
      "development_mode": 0,
      "id": "[id]",
      "meta": {
        "custom_certificate_quota": 0,
        "page_rule_quota": 0,
        "phishing_detected": false,
        "step": 2
      },
      "modified_on": "2026-08-14T10:20:30Z",
      "name": "shop.example.org",
      "name_servers": [],
      "original_dnshost": null,
      "original_name_servers": null,
      "original_registrar": null,
      "owner": {
        "id": "[id]",
        "name": "default",
        "type": "organization"
      },
      "paused": false,
      "permissions": [
        "#zone:read",
        "#ssl:edit"
      ],
      "plan": {
        "can_subscribe": false,
        "currency": "USD",
        "externally_managed": false,
        "frequency": "",
        "id": "00000000000000000000000000000000",
        "is_subscribed": true,
        "legacy_discount": false,
        "legacy_id": "self_hosted",
        "name": "Self-hosted",
        "price": 0
      },
      "status": "active",
      "type": "full"
    }
    "##);
}

#[tokio::test]
async fn the_list_is_filtered_ordered_and_paged() {
    let app = TestApp::new().await;
    for name in ["b.example.org", "a.example.org", "c.example.net"] {
        app.clock.advance_seconds(1);
        zone(&app, name).await;
    }
    assert_eq!(
        names(&app, "").await,
        [
            "example.com",
            "b.example.org",
            "a.example.org",
            "c.example.net"
        ]
    );
    assert_eq!(names(&app, "name=a.example.org").await, ["a.example.org"]);
    assert_eq!(
        names(&app, "name=equal:A.example.org").await,
        ["a.example.org"]
    );
    assert_eq!(
        names(&app, "name=ends_with:.org&order=name").await,
        ["a.example.org", "b.example.org"]
    );
    assert_eq!(
        names(&app, "name=contains:example.n").await,
        ["c.example.net"]
    );
    assert_eq!(names(&app, "name=starts_with:c.").await, ["c.example.net"]);
    assert_eq!(
        names(&app, "name=not_equal:example.com&order=name&direction=desc")
            .await
            .len(),
        3
    );
    assert_eq!(names(&app, "name=contains:%25").await, [""; 0]);
    assert_eq!(names(&app, "status=active").await.len(), 4);
    assert_eq!(names(&app, "status=pending").await, [""; 0]);
    assert_eq!(
        names(&app, "status=pending&match=any&name=example.com").await,
        ["example.com"]
    );
    let account = app.account_id.clone();
    assert_eq!(names(&app, &format!("account.id={account}")).await.len(), 4);
    assert_eq!(
        names(&app, "account.id=0123456789abcdef0123456789abcdef").await,
        [""; 0]
    );
    assert_eq!(
        names(&app, "account.name=default&name=example.com").await,
        ["example.com"]
    );

    let page = app.get("/zones?per_page=5&page=2").await.json();
    let info = json!({ "page": 2, "per_page": 5, "count": 0, "total_count": 4, "total_pages": 1 });
    assert_eq!((&page["result"], &page["result_info"]), (&json!([]), &info));
    for (query, name) in [
        ("account.id=1", "account.id"),
        ("order=size", "order"),
        ("direction=up", "direction"),
        ("match=some", "match"),
        ("status=dead", "status"),
        ("per_page=51", "per_page"),
        ("page=0", "page"),
    ] {
        let error = app.get(&format!("/zones?{query}")).await.error();
        assert_eq!(
            (error.status, error.code, error.pointer.as_deref()),
            (400, 9208, Some(name))
        );
    }
}

#[tokio::test]
async fn a_bad_zone_is_refused_with_its_reason() {
    let app = TestApp::new().await;
    let account = json!({ "id": app.account_id });
    for (body, status, code, pointer) in [
        (json!({ "account": account }), 400, 9207, Some("/name")),
        (
            json!({ "name": "a.example", "account": { "id": "1" } }),
            400,
            9207,
            Some("/account/id"),
        ),
        (
            json!({ "name": "a.example", "account": "1" }),
            400,
            9207,
            Some("/account"),
        ),
        (
            json!({ "name": "nodots", "account": account }),
            400,
            1065,
            Some("/name"),
        ),
        (
            json!({ "name": "*.example.com", "account": account }),
            400,
            1065,
            Some("/name"),
        ),
        (
            json!({ "name": "EXAMPLE.com", "account": account }),
            400,
            1061,
            Some("/name"),
        ),
        (
            json!({ "name": "a.example", "account": { "id": "0".repeat(32) } }),
            404,
            7003,
            Some("/account/id"),
        ),
    ] {
        let error = app.post("/zones", body.clone()).await.error();
        assert_eq!(
            (error.status, error.code, error.pointer.as_deref()),
            (status, code, pointer),
            "{body}"
        );
    }
}

#[tokio::test]
async fn a_zone_is_deleted_after_its_certificates_are_revoked() {
    let app = TestApp::new().await;
    let issued = app.issue("x").await;
    let error = app.delete("/zones/{zone}").await.error();
    assert_eq!((error.status, error.code), (400, 1063));
    assert!(
        error
            .message
            .contains("1 client certificates that are not revoked"),
        "{}",
        error.message
    );

    let certificate = format!(
        "/zones/{{zone}}/client_certificates/{}",
        issued["id"].as_str().unwrap()
    );
    app.delete(&certificate).await.result();
    app.settle().await;
    assert_eq!(
        app.delete("/zones/{zone}").await.result(),
        json!({ "id": app.zone_id })
    );
    for call in [
        app.get("/zones/{zone}"),
        app.get(&certificate),
        app.delete("/zones/{zone}"),
    ] {
        let error = call.await.error();
        assert_eq!((error.status, error.code), (404, 7003));
    }
    assert_ne!(zone(&app, "example.com").await["id"], app.zone_id);
}

#[tokio::test]
async fn a_token_sees_only_its_zones() {
    let app = TestApp::new().await;
    zone(&app, "a.example").await;
    let b = zone(&app, "b.example").await;
    let read = "c8fed203ed3043cba015a93ad1616f1f";
    let name = format!(
        "com.cloudflare.api.account.zone.{}",
        b["id"].as_str().unwrap()
    );
    let token = app.token_for(&[read], &[&name]).await;
    let listed = app.get("/zones").token(&token).await.json();
    assert_eq!(
        (&listed["result"], &listed["result_info"]["total_count"]),
        (&json!([b]), &json!(1))
    );
    assert_eq!(
        app.get("/zones/{zone}").token(&token).await.error().code,
        9109
    );
    assert_eq!(app.get("/accounts").token(&token).await.error().code, 9109);

    // Everything but one zone.
    let policies = json!([
        { "effect": "allow", "permission_groups": [{ "id": read }], "resources": { "com.cloudflare.api.account.zone.*": "*" } },
        { "effect": "deny", "permission_groups": [{ "id": read }], "resources": { name: "*" } },
    ]);
    let made = app
        .post("/user/tokens", json!({ "name": "t", "policies": policies }))
        .await
        .result();
    let listed = app
        .get("/zones")
        .token(made["value"].as_str().unwrap())
        .await
        .json();
    assert_eq!(listed["result_info"]["total_count"], 2);
}

#[tokio::test]
async fn a_zone_is_changed_with_explicit_nulls() {
    let app = TestApp::new().await;
    let patch = |body: serde_json::Value| app.patch("/zones/{zone}").body(body.to_string());
    let before = app.get("/zones/{zone}").await.result();
    app.clock.advance_seconds(9);
    for body in [
        "",
        "{}",
        r#"{"paused":null,"type":null,"vanity_name_servers":null}"#,
    ] {
        let unchanged = app.patch("/zones/{zone}").body(body).await.result();
        assert_eq!(unchanged, before, "{body}");
    }
    let servers = json!(["ns1.example.com", "ns2.example.com"]);
    for (body, paused, kind, vanity) in [
        (json!({ "paused": true }), true, "full", None),
        (
            json!({ "type": "partial", "paused": null }),
            true,
            "partial",
            None,
        ),
        (
            json!({ "vanity_name_servers": servers }),
            true,
            "partial",
            Some(&servers),
        ),
        (
            json!({ "paused": false, "type": "Secondary" }),
            false,
            "secondary",
            Some(&servers),
        ),
        (
            json!({ "vanity_name_servers": [] }),
            false,
            "secondary",
            None,
        ),
    ] {
        let changed = patch(body.clone()).await.result();
        assert_eq!(changed["paused"], paused, "{body}");
        assert_eq!(changed["type"], kind, "{body}");
        assert_eq!(changed.get("vanity_name_servers"), vanity, "{body}");
        assert_eq!(changed["modified_on"], "2026-08-14T10:20:39Z", "{body}");
        assert_eq!(app.get("/zones/{zone}").await.result(), changed, "{body}");
    }
    let many: Vec<_> = (0..14).map(|n| format!("ns{n}.example.com")).collect();
    for (body, pointer) in [
        (json!({ "paused": 1 }), "/paused"),
        (json!({ "type": "gold" }), "/type"),
        (
            json!({ "vanity_name_servers": "ns1.example.com" }),
            "/vanity_name_servers",
        ),
        (
            json!({ "vanity_name_servers": ["-.example.com"] }),
            "/vanity_name_servers",
        ),
        (
            json!({ "vanity_name_servers": many }),
            "/vanity_name_servers",
        ),
    ] {
        let error = patch(body.clone()).await.error();
        assert_eq!(
            (error.status, error.code, error.pointer.as_deref()),
            (400, 9207, Some(pointer)),
            "{body}"
        );
    }
    // A paused zone still issues.
    patch(json!({ "paused": true })).await.result();
    app.issue("device").await;
}

#[tokio::test]
async fn a_new_zone_has_the_properties_of_its_body() {
    let app = TestApp::new().await;
    let body = json!({
        "account": { "id": app.account_id },
        "name": "new.example",
        "paused": false,
        "type": "secondary",
        "vanity_name_servers": ["ns1.new.example"],
    });
    let made = app.post("/zones", body).await.result();
    assert_eq!(made["type"], "secondary");
    assert_eq!(made["paused"], false);
    assert_eq!(made["vanity_name_servers"], json!(["ns1.new.example"]));
}

#[tokio::test]
async fn a_zone_without_an_account_is_made_in_the_only_one_of_the_token() {
    const ZONE_WRITE: &str = "e6d2666161e84845a636613608cee8d5";
    let app = TestApp::new().await;
    let (mine, other) = (app.account_id.clone(), "account");
    let named = |member: &str, id: &str| json!({ "name": "n.example", member: { "id": id } });
    let same = json!({
        "name": "n.example", "account": { "id": mine }, "organization": { "id": mine },
    });
    let create = async |body: Value, token: &str| {
        let made = app.post("/zones", body.clone()).token(token).await;
        if made.status == 200 {
            let made = made.result();
            assert_eq!(made["account"]["id"], mine, "{body}");
            let path = format!("/zones/{}", made["id"].as_str().unwrap());
            app.delete(&path).await.result();
            return Ok(());
        }
        let error = made.error();
        Err((error.status, error.code, error.pointer))
    };
    let without = [
        json!({ "name": "n.example" }),
        json!({ "name": "n.example", "account": null }),
        json!({ "name": "n.example", "account": {} }),
        json!({ "name": "n.example", "account": { "id": null } }),
        json!({ "name": "n.example", "organization": {} }),
    ];
    let with = [named("account", &mine), named("organization", &mine), same];
    for body in without.iter().chain(&with) {
        assert_eq!(create(body.clone(), &app.token).await, Ok(()), "{body}");
    }
    let made = app
        .post("/accounts", json!({ "name": other }))
        .await
        .result();
    let theirs = made["id"].as_str().unwrap();
    let refused = |status, code, pointer: Option<&str>| {
        Err::<(), _>((status, code, pointer.map(str::to_owned)))
    };
    // With two accounts, the token must say which one it means.
    let resource = format!("com.cloudflare.api.account.{mine}");
    let of_one = app.token_for(&[ZONE_WRITE], &[&resource]).await;
    let zone = format!("com.cloudflare.api.account.zone.{}", app.zone_id);
    let of_none = app.token_for(&[ZONE_WRITE], &[&zone]).await;
    for body in without {
        let several = refused(400, 9207, Some("/account/id"));
        assert_eq!(create(body.clone(), &app.token).await, several, "{body}");
        assert_eq!(create(body.clone(), &of_one).await, Ok(()), "{body}");
        assert_eq!(
            create(body.clone(), &of_none).await,
            refused(403, 9109, None),
            "{body}"
        );
    }
    for body in with {
        assert_eq!(create(body, &of_one).await, Ok(()));
    }
    let body = json!({
        "name": "n.example", "account": { "id": mine }, "organization": { "id": theirs },
    });
    let differ = refused(400, 9207, Some("/organization/id"));
    assert_eq!(create(body, &app.token).await, differ);
    for body in [named("account", theirs), named("organization", theirs)] {
        assert_eq!(create(body, &of_one).await, refused(403, 9109, None));
    }
    for (account, pointer) in [
        (json!("x"), "/account"),
        (json!({ "id": "7" }), "/account/id"),
        (json!([]), "/account"),
    ] {
        let body = json!({ "name": "n.example", "account": account });
        let malformed = refused(400, 9207, Some(pointer));
        assert_eq!(create(body, &app.token).await, malformed, "{pointer}");
    }
    let nowhere = named("account", "0123456789abcdef0123456789abcdef");
    let missing = refused(404, 7003, Some("/account/id"));
    assert_eq!(create(nowhere.clone(), &app.token).await, missing);
    assert_eq!(create(nowhere, &of_one).await, refused(403, 9109, None));
}

#[tokio::test]
async fn the_refusal_to_delete_a_zone_says_what_is_pending_and_for_how_long() {
    let app = TestApp::new().await;
    let refusal = async || {
        let error = app.delete("/zones/{zone}").await.error();
        assert_eq!((error.status, error.code), (400, 1063));
        let start = "the zone has ";
        error
            .message
            .strip_prefix(start)
            .unwrap_or(&error.message)
            .to_owned()
    };
    let mut paths = Vec::new();
    for name in ["a", "b", "c"] {
        let id = app.issue(name).await["id"].as_str().unwrap().to_owned();
        paths.push(format!("/zones/{{zone}}/client_certificates/{id}"));
    }
    let not_revoked = "client certificates that are not revoked:";
    assert_eq!(
        refusal().await,
        format!("3 {not_revoked} revoke them first")
    );
    app.delete(&paths[0]).await.result();
    assert_eq!(
        refusal().await,
        format!(
            "3 {not_revoked} revoke 2 of them; the revocation of 1 is pending, wait at most 30 \
             seconds, and try again"
        )
    );
    // An enforcement point with a lease delays settling until it acknowledges.
    let points = "/certgate/v1/accounts/{account}/enforcement_points";
    let body = json!({ "name": "edge", "lease_seconds": 120 });
    app.post(points, body).await.result();
    for path in &paths[1..] {
        app.delete(path).await.result();
    }
    app.clock.advance_seconds(20);
    assert_eq!(
        refusal().await,
        format!(
            "3 {not_revoked} the revocation of each is pending, wait at most 131 seconds, and try \
             again"
        )
    );
    app.clock.advance_seconds(131);
    app.settle().await;
    app.delete("/zones/{zone}").await.result();
}
