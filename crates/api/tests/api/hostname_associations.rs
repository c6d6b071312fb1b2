use certgate_model::EnforcedAuthority;
use certgate_testkit::{Call, TestApp};
use http::Method;
use serde_json::{Value, json};

const PATH: &str = "/zones/{zone}/certificate_authorities/hostname_associations";

/// A CA that the account uploaded.
const OURS: &str = "01010101-0101-0101-0101-010101010101";
/// A leaf certificate that the account uploaded.
const LEAF: &str = "02020202-0202-0202-0202-020202020202";
/// A CA that another account uploaded.
const THEIRS: &str = "03030303-0303-0303-0303-030303030303";

fn put(app: &TestApp, body: Value) -> Call<'_> {
    app.call(Method::PUT, PATH).body(body.to_string())
}

async fn with_uploaded_certificates() -> TestApp {
    let app = TestApp::new().await;
    app.post("/accounts", json!({ "name": "other" }))
        .await
        .result();
    let rows = "
        INSERT INTO mtls_certificates SELECT x'01010101010101010101010101010101', id, '', 1, '', '', '', 'PEM', x'01', NULL, 0, 0, NULL
        FROM accounts WHERE name = 'default';
        INSERT INTO mtls_certificates SELECT x'02020202020202020202020202020202', id, '', 0, '', '', '', 'PEM', x'02', NULL, 0, 0, NULL
        FROM accounts WHERE name = 'default';
        INSERT INTO mtls_certificates SELECT x'03030303030303030303030303030303', id, '', 1, '', '', '', 'PEM', x'03', NULL, 0, 0, NULL
        FROM accounts WHERE name = 'other';";
    app.store.damage(rows).await.unwrap();
    app
}

#[tokio::test]
async fn a_list_keeps_its_order_and_spelling() {
    let app = TestApp::new().await;
    assert_eq!(app.get(PATH).await.result(), json!({ "hostnames": [] }));
    for hostnames in [
        json!([
            "z.example.com",
            "API.Example.com",
            "example.com",
            "a.b.c-d.example.com"
        ]),
        json!(["a.b.c-d.example.com", "z.example.com"]),
        json!(["xn--bcher-kva.example.com"]),
    ] {
        let answer = put(&app, json!({ "hostnames": hostnames })).await.result();
        assert_eq!(answer, json!({ "hostnames": hostnames }));
        assert_eq!(app.get(PATH).await.result(), answer);
    }
}

#[tokio::test]
async fn absent_null_and_empty_mean_the_managed_ca_and_an_empty_list() {
    let app = TestApp::new().await;
    for body in [
        json!({}),
        json!({ "hostnames": null }),
        json!({ "hostnames": [] }),
        json!({ "mtls_certificate_id": "" }),
        json!({ "mtls_certificate_id": null, "hostnames": [] }),
    ] {
        put(&app, json!({ "hostnames": ["a.example.com"] }))
            .await
            .result();
        assert_eq!(
            put(&app, body.clone()).await.result(),
            json!({ "hostnames": [] }),
            "{body}"
        );
        assert_eq!(
            app.get(PATH).await.result(),
            json!({ "hostnames": [] }),
            "{body}"
        );
    }
    for authority in [Value::Null, "".into()] {
        let body = json!({ "hostnames": ["a.example.com"], "mtls_certificate_id": authority });
        put(&app, body).await.result();
        let answer = app
            .get(&format!("{PATH}?mtls_certificate_id="))
            .await
            .result();
        assert_eq!(answer, json!({ "hostnames": ["a.example.com"] }));
        put(&app, json!({})).await.result();
    }
}

#[tokio::test]
async fn each_ca_has_its_own_list() {
    let app = with_uploaded_certificates().await;
    put(
        &app,
        json!({ "hostnames": ["a.example.com", "b.example.com"] }),
    )
    .await
    .result();
    let body = json!({ "hostnames": ["B.example.com"], "mtls_certificate_id": OURS });
    assert_eq!(
        put(&app, body).await.result(),
        json!({ "hostnames": ["B.example.com"] })
    );
    let ours = format!("{PATH}?mtls_certificate_id={OURS}");
    assert_eq!(
        app.get(&ours).await.result(),
        json!({ "hostnames": ["B.example.com"] })
    );
    assert_eq!(
        app.get(PATH).await.result(),
        json!({ "hostnames": ["a.example.com", "b.example.com"] })
    );
    put(&app, json!({})).await.result();
    assert_eq!(
        app.get(&ours).await.result(),
        json!({ "hostnames": ["B.example.com"] })
    );
}

#[tokio::test]
async fn a_ca_of_another_account_is_not_found_and_a_leaf_is_refused() {
    let app = with_uploaded_certificates().await;
    for (id, status, code) in [
        ("1", 400, (9207, 9208)),
        ("01010101010101010101010101010101", 400, (9207, 9208)),
        ("04040404-0404-0404-0404-040404040404", 404, (1472, 1472)),
        (THEIRS, 404, (1472, 1472)),
    ] {
        let error = put(&app, json!({ "hostnames": [], "mtls_certificate_id": id }))
            .await
            .error();
        assert_eq!((error.status, error.code), (status, code.0), "{id}");
        assert_eq!(error.pointer.as_deref(), Some("/mtls_certificate_id"));
        let error = app
            .get(&format!("{PATH}?mtls_certificate_id={id}"))
            .await
            .error();
        assert_eq!((error.status, error.code), (status, code.1), "{id}");
        assert_eq!(error.pointer.as_deref(), Some("mtls_certificate_id"));
    }
    let body = json!({ "hostnames": ["a.example.com"], "mtls_certificate_id": LEAF });
    let error = put(&app, body).await.error();
    assert_eq!((error.status, error.code), (400, 1486));
    assert!(
        error.message.contains("whose ca is true"),
        "{}",
        error.message
    );
}

#[tokio::test]
async fn a_bad_hostname_is_refused_with_its_index_and_reason() {
    let app = TestApp::new().await;
    put(&app, json!({ "hostnames": ["kept.example.com"] }))
        .await
        .result();
    let long = format!("{}.example.com", "a".repeat(64));
    let longest = format!("{}example.com", "a.".repeat(122));
    for (hostname, code, word) in [
        ("", 1480, "1 to 63 octets"),
        (".", 1480, "1 to 63 octets"),
        ("a..example.com", 1480, "1 to 63 octets"),
        (".example.com", 1480, "1 to 63 octets"),
        ("a.example.com.", 1480, "leave out the dot"),
        ("-a.example.com", 1480, "inner hyphens"),
        ("a_b.example.com", 1480, "inner hyphens"),
        ("a b.example.com", 1480, "inner hyphens"),
        ("https://a.example.com", 1480, "inner hyphens"),
        ("a.example.com:443", 1480, "inner hyphens"),
        ("bücher.example.com", 1480, "Punycode"),
        ("a\u{0}.example.com", 1480, "inner hyphens"),
        (&long, 1480, "1 to 63 octets"),
        (&longest, 1480, "it has 255 octets"),
        ("*.example.com", 1481, "list each hostname"),
        ("*", 1481, "list each hostname"),
        ("com", 1482, "not in the zone example.com"),
        ("example.org", 1482, "not in the zone example.com"),
        ("badexample.com", 1482, "not in the zone example.com"),
        (
            "example.com.example.org",
            1482,
            "not in the zone example.com",
        ),
        ("FIRST.example.com", 1483, "duplicates hostnames[0]: remove"),
    ] {
        let hostnames = json!([
            "first.example.com",
            "ok.example.com",
            "example.com",
            hostname
        ]);
        let error = put(&app, json!({ "hostnames": hostnames })).await.error();
        assert_eq!(
            (error.status, error.code),
            (400, code),
            "{hostname}: {}",
            error.message
        );
        assert_eq!(error.pointer.as_deref(), Some("/hostnames/3"), "{hostname}");
        assert!(
            error.message.contains(word),
            "{hostname}: {}",
            error.message
        );
    }
    for (body, pointer) in [
        (json!({ "hostnames": "a.example.com" }), "/hostnames"),
        (json!({ "hostnames": ["a.example.com", 7] }), "/hostnames/1"),
        (json!({ "hostnames": [null] }), "/hostnames/0"),
        (json!({ "mtls_certificate_id": 7 }), "/mtls_certificate_id"),
    ] {
        let error = put(&app, body.clone()).await.error();
        assert_eq!((error.status, error.code), (400, 9207), "{body}");
        assert_eq!(error.pointer.as_deref(), Some(pointer), "{body}");
    }
    assert_eq!(
        app.get(PATH).await.result(),
        json!({ "hostnames": ["kept.example.com"] })
    );
}

#[tokio::test]
async fn a_list_has_at_most_a_thousand_hostnames() {
    let app = TestApp::new().await;
    let mut hostnames: Vec<_> = (0..1_000)
        .map(|n| format!("device-{n}.example.com"))
        .collect();
    assert_eq!(
        put(&app, json!({ "hostnames": hostnames })).await.result()["hostnames"],
        json!(hostnames)
    );
    hostnames.push("one-more.example.com".to_owned());
    let error = put(&app, json!({ "hostnames": hostnames })).await.error();
    assert_eq!(
        (error.status, error.code, error.pointer.as_deref()),
        (400, 1485, Some("/hostnames"))
    );
    assert!(error.message.contains("at most 1000"), "{}", error.message);
}

#[tokio::test]
async fn one_zone_lists_a_hostname() {
    let app = TestApp::new().await;
    put(&app, json!({ "hostnames": ["a.example.com"] }))
        .await
        .result();
    let other = app
        .post("/accounts", json!({ "name": "other" }))
        .await
        .result();
    let zone = json!({ "name": "a.example.com", "account": { "id": other["id"] } });
    let zone = app.post("/zones", zone).await.result()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = PATH.replace("{zone}", &zone);
    let theirs = |hostname: &str| {
        app.call(Method::PUT, &path)
            .body(json!({ "hostnames": ["b.a.example.com", hostname] }).to_string())
    };
    let error = theirs("A.example.com").await.error();
    assert_eq!(
        (error.status, error.code, error.pointer.as_deref()),
        (400, 1484, Some("/hostnames/1"))
    );
    assert!(
        error
            .message
            .contains("\"A.example.com\" is listed by another zone"),
        "{}",
        error.message
    );
    assert_eq!(app.get(&path).await.result(), json!({ "hostnames": [] }));
    put(&app, json!({})).await.result();
    theirs("A.example.com").await.result();

    // A deleted zone deletes its lists.
    app.delete(&format!("/zones/{zone}")).await.result();
    put(&app, json!({ "hostnames": ["a.example.com"] }))
        .await
        .result();
}

#[tokio::test]
async fn an_enforcement_point_reads_the_cas_of_a_hostname_and_their_last_epochs() {
    let app = with_uploaded_certificates().await;
    let issued = app.issue("x").await;
    put(&app, json!({ "hostnames": ["A.example.com"] }))
        .await
        .result();
    put(
        &app,
        json!({ "hostnames": ["a.example.com"], "mtls_certificate_id": OURS }),
    )
    .await
    .result();
    let read = async |hostname: &str| app.service.hostnames.enforcement(hostname).await.unwrap();
    let found = read("a.EXAMPLE.com.").await.unwrap();
    assert_eq!(
        (found.zone.to_string(), found.account.to_string()),
        (app.zone_id.clone(), app.account_id.clone())
    );
    let [
        EnforcedAuthority::Uploaded { id, certificates },
        EnforcedAuthority::Managed {
            id: managed,
            last_epoch,
            ..
        },
    ] = &found.authorities[..]
    else {
        panic!("{found:?}")
    };
    assert_eq!(
        (id.to_string().as_str(), certificates.as_str()),
        (OURS, "PEM")
    );
    assert_eq!(
        (managed.to_string(), *last_epoch),
        (
            issued["certificate_authority"]["id"]
                .as_str()
                .unwrap()
                .to_owned(),
            0
        )
    );

    let certificate = format!(
        "/zones/{{zone}}/client_certificates/{}",
        issued["id"].as_str().unwrap()
    );
    app.delete(&certificate).await.result();
    let after = read("a.example.com").await.unwrap();
    assert!(
        matches!(
            after.authorities[1],
            EnforcedAuthority::Managed {
                last_epoch: 1..,
                ..
            }
        ),
        "{after:?}"
    );
    for unlisted in ["example.com", "b.a.example.com", "a.example.com..", "", "."] {
        assert_eq!(read(unlisted).await, None, "{unlisted}");
    }
}

#[tokio::test]
async fn a_missing_body_does_not_empty_the_list() {
    let app = TestApp::new().await;
    app.put(PATH, json!({ "hostnames": ["a.example.com"] }))
        .await
        .result();
    let error = app.call(Method::PUT, PATH).await.error();
    assert_eq!(
        (error.status, error.code, error.pointer.as_deref()),
        (400, 9207, Some(""))
    );
    assert_eq!(
        app.get(PATH).await.result(),
        json!({ "hostnames": ["a.example.com"] })
    );
    assert_eq!(
        app.put(PATH, json!({})).await.result(),
        json!({ "hostnames": [] })
    );
}
