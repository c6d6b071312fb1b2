//! `/user/tokens`

use certgate_testkit::TestApp;
use serde_json::{Value, json};

const SSL_WRITE: &str = "c03055bc037c4ea9afb9a9f104b7b721";
const TOKENS_WRITE: &str = "686d18d5ac6c441c867cbf6771e58a0a";

fn draft(policies: Value) -> Value {
    json!({ "name": "device enrolment", "policies": policies })
}

fn policy(group: &str, resources: Value) -> Value {
    json!({ "effect": "allow", "permission_groups": [{ "id": group }], "resources": resources })
}

#[tokio::test]
async fn a_token_is_created_read_replaced_rolled_and_deleted() {
    let app = TestApp::new().await;
    let account = format!("com.cloudflare.api.account.{}", app.account_id);
    let mut body = draft(json!([
        policy(
            SSL_WRITE,
            json!({ &account: { "com.cloudflare.api.account.zone.*": "*" } })
        ),
        policy("1af1fa2adc104452b74a9a3364202f20", json!({ &account: "*" })),
    ]));
    body["condition"] =
        json!({ "request.ip": { "in": ["127.0.0.0/8", "::1"], "not_in": ["127.0.0.9"] } });
    body["not_before"] = json!("2026-08-14T10:00:00Z");
    body["expires_on"] = json!("2027-08-14T10:00:00+02:00");
    let made = app.post("/user/tokens", body.clone()).await.result();
    let value = made["value"].as_str().unwrap().to_owned();
    assert_eq!(value.len(), 40);
    insta::assert_json_snapshot!(made, {
        ".id" => "[id]", ".value" => "[value]", ".policies[].id" => "[id]",
        ".policies[].resources" => "[resources]",
    }, @r#"
    {
      "condition": {
        "request.ip": {
          "in": [
            "127.0.0.0/8",
            "::1"
          ],
          "not_in": [
            "127.0.0.9"
          ]
        },
        "request_ip": {
          "in": [
            "127.0.0.0/8",
            "::1"
          ],
          "not_in": [
            "127.0.0.9"
          ]
        }
      },
      "expires_on": "2027-08-14T08:00:00Z",
      "id": "[id]",
      "issued_on": "2026-08-14T10:20:30Z",
      "modified_on": "2026-08-14T10:20:30Z",
      "name": "device enrolment",
      "not_before": "2026-08-14T10:00:00Z",
      "policies": [
        {
          "effect": "allow",
          "id": "[id]",
          "permission_groups": [
            {
              "id": "c03055bc037c4ea9afb9a9f104b7b721",
              "name": "SSL and Certificates Write"
            }
          ],
          "resources": "[resources]"
        },
        {
          "effect": "allow",
          "id": "[id]",
          "permission_groups": [
            {
              "id": "1af1fa2adc104452b74a9a3364202f20",
              "name": "Account Settings Write"
            }
          ],
          "resources": "[resources]"
        }
      ],
      "status": "active",
      "value": "[value]"
    }
    "#);
    assert_eq!(
        made["policies"][0]["resources"],
        body["policies"][0]["resources"]
    );
    assert_eq!(
        made["policies"][1]["resources"],
        body["policies"][1]["resources"]
    );

    let path = format!("/user/tokens/{}", made["id"].as_str().unwrap());
    let mut shown = made.clone();
    shown.as_object_mut().unwrap().remove("value");
    assert_eq!(
        app.get(&path).await.result(),
        shown,
        "the value is not shown again"
    );
    let listed = app.get("/user/tokens").await.json();
    assert!(listed["result"].as_array().unwrap().contains(&shown));
    assert_eq!(listed["result_info"]["total_count"], 2);
    assert!(!listed.to_string().contains(&value));

    // A client can send an answer back.
    let mut changed = shown.clone();
    changed["name"] = json!("renamed");
    changed["status"] = json!("disabled");
    app.clock.advance_seconds(60);
    let updated = app.put(&path, changed).await.result();
    assert_eq!(
        (&updated["name"], &updated["status"]),
        (&json!("renamed"), &json!("disabled"))
    );
    assert_eq!(updated["policies"], shown["policies"]);
    assert_eq!(updated["condition"], shown["condition"]);
    assert_ne!(updated["modified_on"], shown["modified_on"]);

    let rolled = app.put(&format!("{path}/value"), json!({})).await.result();
    assert_ne!(rolled, value);
    assert_eq!(
        app.delete(&path).await.result(),
        json!({ "id": made["id"] })
    );
    for call in [
        app.get(&path),
        app.delete(&path),
        app.put(&path, body),
        app.put(&format!("{path}/value"), json!({})),
    ] {
        let error = call.await.error();
        assert_eq!((error.status, error.code), (404, 1003));
    }
}

#[tokio::test]
async fn a_bad_token_is_refused_with_a_pointer() {
    let app = TestApp::new().await;
    let all = || json!({ "com.cloudflare.api.account.zone.*": "*" });
    let good = || json!([policy(SSL_WRITE, all())]);
    for (body, pointer) in [
        (json!({ "policies": good() }), "/name"),
        (json!({ "name": "", "policies": good() }), "/name"),
        (json!({ "name": "x" }), "/policies"),
        (json!({ "name": "x", "policies": [] }), "/policies"),
        (json!({ "name": "x", "policies": {} }), "/policies"),
        (json!({ "name": "x", "policies": [7] }), "/policies/0"),
        (draft(json!([{ "effect": "maybe" }])), "/policies/0/effect"),
        (
            draft(json!([policy("0".repeat(32).as_str(), all())])),
            "/policies/0/permission_groups/0/id",
        ),
        (
            draft(json!([{ "effect": "allow", "permission_groups": [], "resources": all() }])),
            "/policies/0/permission_groups",
        ),
        (
            draft(json!([{ "effect": "allow", "permission_groups": [{ "id": SSL_WRITE }] }])),
            "/policies/0/resources",
        ),
        (
            draft(json!([policy(SSL_WRITE, json!({}))])),
            "/policies/0/resources",
        ),
        (
            draft(json!([policy(SSL_WRITE, json!({ "a/b": "*" }))])),
            "/policies/0/resources/a~1b",
        ),
        (
            draft(json!([policy(
                SSL_WRITE,
                json!({ "com.cloudflare.api.account.zone.*": "read" })
            )])),
            "/policies/0/resources/com.cloudflare.api.account.zone.*",
        ),
        (
            draft(json!([policy(TOKENS_WRITE, all())])),
            "/policies/0/resources",
        ),
        (
            json!({ "name": "x", "policies": good(), "status": "off" }),
            "/status",
        ),
        (
            json!({ "name": "x", "policies": good(), "expires_on": "tomorrow" }),
            "/expires_on",
        ),
        (
            json!({
                "name": "x", "policies": good(),
                "not_before": "2030-01-01T00:00:00Z", "expires_on": "2030-01-01T00:00:00Z",
            }),
            "/expires_on",
        ),
        (
            json!({
                "name": "x", "policies": good(),
                "condition": { "request.ip": { "in": ["10.0.0.0/33"] } },
            }),
            "/condition/request.ip/in/0",
        ),
        (
            json!({
                "name": "x", "policies": good(),
                "condition": { "request.ip": { "not_in": ["::/+1"] } },
            }),
            "/condition/request.ip/not_in/0",
        ),
        (
            json!({ "name": "x", "policies": good(), "condition": { "request-ip": {} } }),
            "/condition/request-ip",
        ),
        (
            json!({
                "name": "x", "policies": good(),
                "condition": { "request_ip": { "notin": ["::/1"] } },
            }),
            "/condition/request_ip/notin",
        ),
        (
            json!({
                "name": "x", "policies": good(),
                "condition": { "request.ip": { "in": ["::1"] }, "request_ip": {} },
            }),
            "/condition/request_ip",
        ),
        (
            json!({ "name": "x", "policies": good(), "not_before": "0000-01-01T00:00:00Z" }),
            "/not_before",
        ),
        (
            json!({ "name": "x", "policies": good(), "expires_on": "9999-12-31T23:59:59-23:59" }),
            "/expires_on",
        ),
    ] {
        let error = app.post("/user/tokens", body.clone()).await.error();
        assert_eq!((error.status, error.code), (400, 9207), "{body}");
        assert_eq!(error.pointer.as_deref(), Some(pointer), "{body}");
    }
    assert_eq!(
        app.get("/user/tokens").await.json()["result_info"]["total_count"],
        1
    );
}

#[tokio::test]
async fn a_token_cannot_grant_what_it_does_not_have() {
    let app = TestApp::new().await;
    let user = app.get("/user").await.result();
    let user = format!("com.cloudflare.api.user.{}", user["id"].as_str().unwrap());
    let zone = format!("com.cloudflare.api.account.zone.{}", app.zone_id);
    let policies = json!([
        policy(TOKENS_WRITE, json!({ &user: "*" })),
        policy(SSL_WRITE, json!({ &zone: "*" }))
    ]);
    let made = app.post("/user/tokens", draft(policies)).await.result();
    let limited = made["value"].as_str().unwrap();

    app.post(
        "/user/tokens",
        draft(json!([policy(SSL_WRITE, json!({ &zone: "*" }))])),
    )
    .token(limited)
    .await
    .result();
    for policies in [
        json!([policy(
            SSL_WRITE,
            json!({ "com.cloudflare.api.account.zone.*": "*" })
        )]),
        json!([policy(
            SSL_WRITE,
            json!({ "com.cloudflare.api.account.*": "*" })
        )]),
        json!([policy(
            "e6d2666161e84845a636613608cee8d5",
            json!({ &zone: "*" })
        )]),
        json!([policy(
            SSL_WRITE,
            json!({ format!("com.cloudflare.api.account.{}", app.account_id): "*" })
        )]),
    ] {
        let error = app
            .post("/user/tokens", draft(policies))
            .token(limited)
            .await
            .error();
        assert_eq!((error.status, error.code), (403, 1004));
    }
    // Rolling a stronger token would hand out its value.
    let tokens = app.get("/user/tokens").await.result();
    let first = tokens
        .as_array()
        .unwrap()
        .iter()
        .find(|token| token["name"] == "first token")
        .unwrap();
    let first = first["id"].as_str().unwrap();
    let error = app
        .put(&format!("/user/tokens/{first}/value"), json!({}))
        .token(limited)
        .await
        .error();
    assert_eq!((error.status, error.code), (403, 1004));
    for call in [
        app.delete(&format!("/user/tokens/{first}")),
        app.put(&format!("/user/tokens/{first}"), {
            draft(json!([policy(SSL_WRITE, json!({ &zone: "*" }))]))
        }),
    ] {
        let error = call.token(limited).await.error();
        assert_eq!((error.status, error.code), (403, 1004));
    }
    app.get("/user").await.result();
}

#[tokio::test]
async fn the_limits_of_a_token_hold_for_tokens_that_it_creates() {
    let app = TestApp::new().await;
    let user = app.get("/user").await.result();
    let user = format!("com.cloudflare.api.user.{}", user["id"].as_str().unwrap());
    let limits = |address: &str, end: &str| {
        let mut body = draft(json!([policy(TOKENS_WRITE, json!({ &user: "*" }))]));
        body["condition"] = json!({ "request.ip": { "in": [address], "not_in": ["127.0.0.9"] } });
        body["expires_on"] = json!(end);
        body
    };
    let made = app
        .post(
            "/user/tokens",
            limits("127.0.0.0/8", "2027-01-01T00:00:00Z"),
        )
        .await
        .result();
    let limited = made["value"].as_str().unwrap();
    app.post(
        "/user/tokens",
        limits("127.0.0.0/16", "2027-01-01T00:00:00Z"),
    )
    .token(limited)
    .await
    .result();

    let mut without_address = limits("127.0.0.0/8", "2027-01-01T00:00:00Z");
    without_address.as_object_mut().unwrap().remove("condition");
    let mut without_denial = limits("127.0.0.0/8", "2027-01-01T00:00:00Z");
    without_denial["condition"]["request.ip"]["not_in"] = json!([]);
    let mut without_end = limits("127.0.0.0/8", "2027-01-01T00:00:00Z");
    without_end.as_object_mut().unwrap().remove("expires_on");
    for body in [
        limits("0.0.0.0/0", "2027-01-01T00:00:00Z"),
        limits("127.0.0.0/8", "2027-01-01T00:00:01Z"),
        without_address,
        without_denial,
        without_end,
    ] {
        let error = app
            .post("/user/tokens", body.clone())
            .token(limited)
            .await
            .error();
        assert_eq!((error.status, error.code), (403, 1004), "{body}");
        let own = format!("/user/tokens/{}", made["id"].as_str().unwrap());
        assert_eq!(app.put(&own, body).token(limited).await.error().code, 1004);
    }
    let unlimited = app
        .post(
            "/user/tokens",
            draft(json!([policy(TOKENS_WRITE, json!({ &user: "*" }))])),
        )
        .await
        .result();
    let value = format!("/user/tokens/{}/value", unlimited["id"].as_str().unwrap());
    assert_eq!(
        app.put(&value, json!({})).token(limited).await.error().code,
        1004
    );
}

#[tokio::test]
async fn a_denial_for_an_account_holds_for_its_zones_in_new_tokens() {
    let app = TestApp::new().await;
    let user = app.get("/user").await.result();
    let user = format!("com.cloudflare.api.user.{}", user["id"].as_str().unwrap());
    let zone = format!("com.cloudflare.api.account.zone.{}", app.zone_id);
    let account = format!("com.cloudflare.api.account.{}", app.account_id);
    for denied in [
        "com.cloudflare.api.account.*",
        "com.cloudflare.api.account.zone.*",
        &account,
        &zone,
    ] {
        let mut deny = policy(SSL_WRITE, json!({ denied: "*" }));
        deny["effect"] = json!("deny");
        let policies = json!([
            policy(TOKENS_WRITE, json!({ &user: "*" })),
            policy(SSL_WRITE, json!({ &zone: "*" })),
            deny,
        ]);
        let made = app.post("/user/tokens", draft(policies)).await.result();
        let limited = made["value"].as_str().unwrap();
        let path = "/zones/{zone}/client_certificates";
        assert_eq!(
            app.post(path, json!({})).token(limited).await.error().code,
            9109,
            "{denied}"
        );
        let child = draft(json!([policy(SSL_WRITE, json!({ &zone: "*" }))]));
        assert_eq!(
            app.post("/user/tokens", child)
                .token(limited)
                .await
                .error()
                .code,
            1004,
            "{denied}"
        );
    }
}

#[tokio::test]
async fn permission_groups_are_listed_by_name_and_scope() {
    let app = TestApp::new().await;
    let all = app.get("/user/tokens/permission_groups").await.result();
    insta::assert_json_snapshot!(all, @r#"
    [
      {
        "id": "eb56a6953c034b9d97dd838155666f06",
        "name": "Account API Tokens Read",
        "scopes": [
          "com.cloudflare.api.account"
        ]
      },
      {
        "id": "5bc3f8b21c554832afc660159ab75fa4",
        "name": "Account API Tokens Write",
        "scopes": [
          "com.cloudflare.api.account"
        ]
      },
      {
        "id": "c1fde68c7bcc44588cbb6ddbc16d6480",
        "name": "Account Settings Read",
        "scopes": [
          "com.cloudflare.api.account"
        ]
      },
      {
        "id": "1af1fa2adc104452b74a9a3364202f20",
        "name": "Account Settings Write",
        "scopes": [
          "com.cloudflare.api.account"
        ]
      },
      {
        "id": "a7a233f9604845c787d4c8c39ac09c21",
        "name": "Account: SSL and Certificates Read",
        "scopes": [
          "com.cloudflare.api.account"
        ]
      },
      {
        "id": "db37e5f1cb1a4e1aabaef8deaea43575",
        "name": "Account: SSL and Certificates Write",
        "scopes": [
          "com.cloudflare.api.account"
        ]
      },
      {
        "id": "0cc3a61731504c89b99ec1be78b77aa0",
        "name": "API Tokens Read",
        "scopes": [
          "com.cloudflare.api.user"
        ]
      },
      {
        "id": "686d18d5ac6c441c867cbf6771e58a0a",
        "name": "API Tokens Write",
        "scopes": [
          "com.cloudflare.api.user"
        ]
      },
      {
        "id": "e033ed79690bd3784ab70fc95ff210ac",
        "name": "Client Certificates Issue",
        "scopes": [
          "com.cloudflare.api.account.zone"
        ]
      },
      {
        "id": "1e5b7a92a319376f6e7066f2b8ed2ea0",
        "name": "Client Certificates Read",
        "scopes": [
          "com.cloudflare.api.account.zone"
        ]
      },
      {
        "id": "d04f845b6b74cf4f32a5d8f284ce96e3",
        "name": "Client Certificates Restore",
        "scopes": [
          "com.cloudflare.api.account.zone"
        ]
      },
      {
        "id": "451ce29c094afe23076eaeb8ab436464",
        "name": "Client Certificates Revoke",
        "scopes": [
          "com.cloudflare.api.account.zone"
        ]
      },
      {
        "id": "bd4322d121c9edaee5b1d7a660678da4",
        "name": "Enforcement Points Read",
        "scopes": [
          "com.cloudflare.api.account"
        ]
      },
      {
        "id": "f48df003baa6a710aff2442069eee2b8",
        "name": "Enforcement Points Write",
        "scopes": [
          "com.cloudflare.api.account"
        ]
      },
      {
        "id": "7b7216b327b04b8fbc8f524e1f9b7531",
        "name": "SSL and Certificates Read",
        "scopes": [
          "com.cloudflare.api.account.zone"
        ]
      },
      {
        "id": "c03055bc037c4ea9afb9a9f104b7b721",
        "name": "SSL and Certificates Write",
        "scopes": [
          "com.cloudflare.api.account.zone"
        ]
      },
      {
        "id": "8acbe5bb0d54464ab867149d7f7cf8ac",
        "name": "User Details Read",
        "scopes": [
          "com.cloudflare.api.user"
        ]
      },
      {
        "id": "55a5e17cc99e4a3fa1f3432d262f2e55",
        "name": "User Details Write",
        "scopes": [
          "com.cloudflare.api.user"
        ]
      },
      {
        "id": "c8fed203ed3043cba015a93ad1616f1f",
        "name": "Zone Read",
        "scopes": [
          "com.cloudflare.api.account.zone"
        ]
      },
      {
        "id": "e6d2666161e84845a636613608cee8d5",
        "name": "Zone Write",
        "scopes": [
          "com.cloudflare.api.account.zone"
        ]
      }
    ]
    "#);
    let zones = app
        .get("/user/tokens/permission_groups?scope=com.cloudflare.api.account.zone")
        .await
        .result();
    assert_eq!(zones.as_array().unwrap().len(), 8);
    let one = app
        .get("/user/tokens/permission_groups?name=SSL%20and%20Certificates%20Write")
        .await
        .result();
    assert_eq!(one[0]["id"], SSL_WRITE);
}
