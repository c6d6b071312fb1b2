//! Hostname associations as Terraform and people send them.

use certgate_model::Random;
use certgate_testkit::{Answer, SeededRandom, TestApp, uploaded};
use rustls_pki_types::DnsName;
use serde_json::{Value, json};

const PATH: &str = "/zones/{zone}/certificate_authorities/hostname_associations";
const UNKNOWN: &str = "00000000-0000-4000-8000-000000000000";
const ZONE: &str = "example.com";

/// Random hostnames of the generated test.
const CASES: usize = 400;

async fn put(app: &TestApp, body: Value) -> Answer {
    app.put(PATH, body).await
}

#[tokio::test]
async fn each_form_of_a_list_has_its_answer() {
    let app = TestApp::new().await;
    let long = |count: usize| format!("{}.{ZONE}", "a".repeat(count));
    for names in [
        vec!["a.example.com", "b.example.com"],
        vec!["b.example.com", "a.example.com"],
        vec!["A.EXAMPLE.COM"],
        vec![ZONE],
        vec!["xn--bcher-kva.example.com"],
        vec!["1.example.com"],
        vec![&long(63)],
        vec!["ab--c.example.com"],
        vec![],
    ] {
        let answer = put(&app, json!({ "hostnames": names })).await.result();
        assert_eq!(answer, json!({ "hostnames": names }));
        assert_eq!(app.get(PATH).await.result(), answer);
    }
    let before = put(&app, json!({ "hostnames": ["z.example.com"] }))
        .await
        .result();
    let first = "/hostnames/0";
    let (a, list, ca) = ("a.example.com", "/hostnames", "/mtls_certificate_id");
    for (body, code, pointer) in [
        (json!({ "hostnames": ["a.example.com."] }), 1480, first),
        (json!({ "hostnames": ["*.example.com"] }), 1481, first),
        (json!({ "hostnames": ["a.example.com:443"] }), 1480, first),
        (
            json!({ "hostnames": ["https://a.example.com"] }),
            1480,
            first,
        ),
        (json!({ "hostnames": [" a.example.com"] }), 1480, first),
        (json!({ "hostnames": ["_x.example.com"] }), 1480, first),
        (json!({ "hostnames": ["bücher.example.com"] }), 1480, first),
        (json!({ "hostnames": [long(64)] }), 1480, first),
        (json!({ "hostnames": ["-a.example.com"] }), 1480, first),
        (json!({ "hostnames": [""] }), 1480, first),
        (json!({ "hostnames": ["a.other.test"] }), 1482, first),
        (json!({ "hostnames": ["evilexample.com"] }), 1482, first),
        (json!({ "hostnames": ["10.0.0.1"] }), 1482, first),
        (json!({ "hostnames": [a, a] }), 1483, "/hostnames/1"),
        (
            json!({ "hostnames": [a, "A.example.com"] }),
            1483,
            "/hostnames/1",
        ),
        (json!({ "hostnames": [null] }), 9207, first),
        (json!({ "hostnames": a }), 9207, list),
        (
            json!({ "hostnames": [a], "mtls_certificate_id": "x" }),
            9207,
            ca,
        ),
        (
            json!({ "hostnames": [a], "mtls_certificate_id": UNKNOWN }),
            1472,
            ca,
        ),
    ] {
        let error = put(&app, body.clone()).await.error();
        let status = if code == 1472 { 404 } else { 400 };
        let found = (error.status, error.code, error.pointer.as_deref());
        assert_eq!(
            found,
            (status, code, Some(pointer)),
            "{body}: {}",
            error.message
        );
        assert_eq!(
            app.get(PATH).await.result(),
            before,
            "{body} changed nothing"
        );
    }
    // The managed CA has several names.
    for body in [
        json!({ "hostnames": [a], "mtls_certificate_id": null }),
        json!({ "hostnames": [a], "mtls_certificate_id": "" }),
        json!({ "hostnames": [a] }),
    ] {
        put(&app, body).await.result();
        assert_eq!(app.get(PATH).await.result(), json!({ "hostnames": [a] }));
    }
    // Absent and null are an empty list.
    for body in [json!({}), json!({ "hostnames": null })] {
        put(&app, json!({ "hostnames": [a] })).await.result();
        assert_eq!(put(&app, body).await.result(), json!({ "hostnames": [] }));
    }
    for (id, code) in [(UNKNOWN, 1472), ("x", 9208), ("null", 9208)] {
        let error = app
            .get(&format!("{PATH}?mtls_certificate_id={id}"))
            .await
            .error();
        let pointer = error.pointer.as_deref();
        assert_eq!(
            (error.code, pointer),
            (code, Some("mtls_certificate_id")),
            "{id}"
        );
    }
}

#[tokio::test]
async fn a_ca_in_use_is_deleted_after_its_hostnames_only() {
    const CAS: &str = "/accounts/{account}/mtls_certificates";
    let app = TestApp::new().await;
    let body = json!({ "certificates": uploaded("good_root.certs"), "ca": true, "name": "tf" });
    let made = app.post(CAS, body.clone()).await.result();
    let id = made["id"].as_str().unwrap();
    let (path, of_it) = (
        format!("{CAS}/{id}"),
        format!("{PATH}?mtls_certificate_id={id}"),
    );
    let hostnames = json!({ "hostnames": ["a.example.com"] });
    for id in [id.to_owned(), id.to_uppercase()] {
        let body = json!({ "hostnames": ["a.example.com"], "mtls_certificate_id": id });
        assert_eq!(put(&app, body).await.result(), hostnames);
    }
    assert_eq!(app.get(&of_it).await.result(), hostnames);
    assert_eq!(app.get(PATH).await.result(), json!({ "hostnames": [] }));
    let error = app.delete(&path).await.error();
    assert_eq!((error.status, error.code), (400, 1473));
    assert!(
        error.message.contains("cannot be deleted while in use"),
        "{}",
        error.message
    );
    let uses = app.get(&format!("{path}/associations")).await.result();
    assert_eq!(uses, json!([{ "service": "mtls", "status": "active" }]));
    for call in [app.put(&path, body.clone()), app.patch(&path)] {
        assert_eq!(call.await.error().code, 10405);
    }
    let error = app.post(CAS, body.clone()).await.error();
    assert_eq!((error.status, error.code), (400, 1471));
    assert!(
        error.message.contains("already exists"),
        "{}",
        error.message
    );
    put(&app, json!({ "hostnames": [], "mtls_certificate_id": id }))
        .await
        .result();
    assert_eq!(app.delete(&path).await.result()["id"], id);
    for call in [app.delete(&path), app.get(&path), app.get(&of_it)] {
        let error = call.await.error();
        assert_eq!((error.status, error.code), (404, 1472));
        assert!(
            error.message.starts_with("Certificate not found"),
            "{}",
            error.message
        );
    }
    app.post(CAS, body).await.result();
}

/// Judges a hostname: a name that webpki would compare with a certificate's, without the
/// underscores that RFC 1123 §2.1 does not allow and without a final dot, in the zone.
fn is_hostname(name: &str) -> bool {
    let in_zone = name.to_ascii_lowercase();
    let in_zone = in_zone == ZONE || in_zone.ends_with(&format!(".{ZONE}"));
    DnsName::try_from(name).is_ok() && !name.contains('_') && !name.ends_with('.') && in_zone
}

#[tokio::test]
async fn random_hostnames_are_judged_as_webpki_judges_names() {
    const PARTS: [&str; 24] = [
        "a",
        "Z",
        "0",
        "9",
        "-",
        "--",
        "_",
        ".",
        ".",
        "..",
        "*",
        "xn--",
        "ü",
        " ",
        ":443",
        "/",
        "@",
        "\u{0}",
        "%",
        "www",
        "example",
        "com",
        "example.com",
        "\t",
    ];
    const ENDS: [&str; 8] = [
        ".example.com",
        ".example.com",
        ".EXAMPLE.com",
        ".example.com.",
        "example.com",
        ".example.org",
        "",
        ".com",
    ];
    let app = TestApp::new().await;
    let random = SeededRandom::new(11);
    let below = |bound: usize| {
        let mut octets = [0; 4];
        random.fill(&mut octets);
        u32::from_be_bytes(octets) as usize % bound
    };
    let mut accepted = 0;
    for _ in 0..CASES {
        let mut name: String = (0..below(5)).map(|_| PARTS[below(PARTS.len())]).collect();
        if below(12) == 0 {
            name.push_str(&"x".repeat(58 + below(9)));
        }
        if below(20) == 0 {
            name.push_str(&".yyyyyyyyyyyyyyyyyyy".repeat(10 + below(4)));
        }
        name.push_str(ENDS[below(ENDS.len())]);
        let answer = put(&app, json!({ "hostnames": [name] })).await;
        match is_hostname(&name) {
            true => {
                assert_eq!(answer.result(), json!({ "hostnames": [name] }));
                assert_eq!(app.get(PATH).await.result(), answer.result());
                accepted += 1;
            }
            false => {
                let error = answer.error();
                let (code, pointer) = (error.code, error.pointer.as_deref());
                assert!((1480..=1482).contains(&code), "{name:?}: {error:?}");
                assert_eq!(
                    (error.status, pointer),
                    (400, Some("/hostnames/0")),
                    "{name:?}"
                );
            }
        }
    }
    assert!(accepted > 30 && accepted < CASES - 30, "{accepted}");
}
