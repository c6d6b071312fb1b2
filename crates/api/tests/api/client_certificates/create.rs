use certgate_model::SubjectFields;
use certgate_service::Limits;
use certgate_testkit::{TestApp, csr, csr_with_subject, fixture};
use serde_json::{Value, json};

const PATH: &str = "/zones/{zone}/client_certificates";

#[tokio::test]
async fn the_object_has_every_member_in_the_order_of_the_public_example() {
    let app = TestApp::new().await;
    let subject = SubjectFields {
        common_name: "Cloudflare".into(),
        country: "US".into(),
        state: "CA".into(),
        location: "Somewhere".into(),
        organization: "Organization".into(),
        organizational_unit: "Organizational Unit".into(),
    };
    let csr = csr_with_subject(&subject);
    let answer = app
        .post(PATH, json!({ "csr": csr, "validity_days": 3650 }))
        .await;
    let result = answer.result();
    assert_eq!(result["csr"], csr, "the request is echoed byte for byte");

    let hex = |value: &Value, digits: usize| {
        let text = value.as_str().unwrap();
        assert!(
            text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')),
            "{text}"
        );
    };
    hex(&result["id"], 32);
    hex(&result["fingerprint_sha256"], 64);
    hex(&result["serial_number"], 40);
    hex(&result["ski"], 40);
    let pem = result["certificate"].as_str().unwrap();
    assert!(
        pem.starts_with("-----BEGIN CERTIFICATE-----\n")
            && pem.ends_with("\n-----END CERTIFICATE-----")
    );
    assert!(pem.lines().all(|line| line.len() <= 64));
    let authority = &result["certificate_authority"];
    assert_eq!(authority["id"].as_str().unwrap().len(), 36);
    assert_eq!(authority["name"], "certgate managed authority of default");

    insta::assert_json_snapshot!(result, {
        ".id" => "[id]",
        ".certificate" => "[pem]",
        ".certificate_authority.id" => "[uuid]",
        ".csr" => "[pem]",
        ".fingerprint_sha256" => "[hex]",
        ".serial_number" => "[hex]",
        ".ski" => "[hex]",
    }, @r#"
    {
      "certificate": "[pem]",
      "certificate_authority": {
        "id": "[uuid]",
        "name": "certgate managed authority of default"
      },
      "common_name": "Cloudflare",
      "country": "US",
      "csr": "[pem]",
      "expires_on": "2036-08-11T10:15:00Z",
      "fingerprint_sha256": "[hex]",
      "id": "[id]",
      "issued_on": "2026-08-14T10:15:00Z",
      "location": "Somewhere",
      "organization": "Organization",
      "organizational_unit": "Organizational Unit",
      "serial_number": "[hex]",
      "signature": "ECDSAWithSHA256",
      "ski": "[hex]",
      "state": "CA",
      "status": "active",
      "validity_days": 3650
    }
    "#);

    let text = String::from_utf8(answer.bytes).unwrap();
    let order = [
        "id",
        "certificate",
        "certificate_authority",
        "common_name",
        "country",
        "csr",
        "expires_on",
        "fingerprint_sha256",
        "issued_on",
        "location",
        "organization",
        "organizational_unit",
        "serial_number",
        "signature",
        "ski",
        "state",
        "status",
        "validity_days",
    ];
    let places: Vec<_> = order
        .iter()
        .map(|name| {
            let start = if *name == "id" {
                text.find("\"result\"").unwrap()
            } else {
                text.find("-----END CERTIFICATE-----").unwrap()
            };
            let start = if *name == "certificate" {
                text.find("\"id\"").unwrap()
            } else {
                start
            };
            start
                + text[start..]
                    .find(&format!("\"{name}\":"))
                    .unwrap_or_else(|| panic!("{name}"))
        })
        .collect();
    assert!(places.is_sorted(), "{places:?}");
    assert!(
        text.starts_with(r#"{"success":true,"errors":[],"messages":[],"result":{"id":"#),
        "{text}"
    );
}

#[tokio::test]
async fn a_subject_without_attributes_shows_empty_strings() {
    let app = TestApp::new().await;
    let result = app
        .post(
            PATH,
            json!({ "csr": fixture("good_empty_subject"), "validity_days": 1 }),
        )
        .await
        .result();
    for name in [
        "common_name",
        "country",
        "state",
        "location",
        "organization",
        "organizational_unit",
    ] {
        assert_eq!(result[name], "", "{name}");
    }
}

#[tokio::test]
async fn every_kind_of_request_is_accepted_and_echoed() {
    let app = TestApp::new().await;
    let crlf = csr("crlf").replace('\n', "\r\n");
    let escaped = csr("escaped").replace('\n', "\\n");
    let before = format!("Subject: device\n{}", csr("before"));
    let label = csr("label").replace("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST");
    let mut good = vec![crlf, escaped, before, label];
    good.extend(
        [
            "ed25519",
            "p384_sha256",
            "p521_sha512",
            "rsa_2048_sha256",
            "odd_subject",
            "extensions",
            "version_1",
            "attributes_missing",
            "extension_broken",
            "text_after_end",
            "signed_with_pss",
            "rsa_parameters_absent",
            "no_pem",
        ]
        .map(|name| fixture(&format!("good_{name}"))),
    );
    for csr in good {
        let result = app
            .post(PATH, json!({ "csr": csr, "validity_days": 30 }))
            .await
            .result();
        assert_eq!(result["csr"], csr);
        let id = result["id"].as_str().unwrap();
        assert_eq!(app.get(&format!("{PATH}/{id}")).await.result(), result);
    }
}

#[tokio::test]
async fn messages_tell_what_the_certificate_lacks() {
    let app = TestApp::new().await;
    for (name, codes, word) in [
        ("good_p256_sha256", &[][..], ""),
        ("good_empty_subject", &[1446], "-subj /CN=device-1"),
        ("good_subject_foreign", &[1449], "1.3.6.1.5.5.7.9.1"),
        (
            "good_extensions",
            &[1447],
            "DNS:example.com, email:a@example.com",
        ),
        ("good_extension_broken", &[1447], "subjectAltName"),
    ] {
        let body = json!({ "csr": fixture(name), "validity_days": 1 });
        let answer = app
            .post(PATH, body)
            .header("idempotency-key", name)
            .await
            .json();
        let messages = answer["messages"].as_array().unwrap();
        let found: Vec<_> = messages
            .iter()
            .map(|item| item["code"].as_u64().unwrap())
            .collect();
        assert_eq!(found, codes, "{name}");
        for message in messages {
            let text = message["message"].as_str().unwrap();
            assert!(text.contains(word) && text.len() < 500, "{name}: {text}");
            assert_eq!(message["type"], Value::Null);
        }
        // A repeated request gets the same answer.
        let body = json!({ "csr": fixture(name), "validity_days": 1 });
        let again = app.post(PATH, body).header("idempotency-key", name).await;
        assert_eq!(again.json(), answer, "{name}");
    }
}

#[tokio::test]
async fn validity_begins_earlier_and_counts_whole_minutes_and_exact_days() {
    // The clock shows 10:20:30.
    for (backdate, begin) in [(5, "10:15:00"), (0, "10:20:00"), (60, "09:20:00")] {
        let app = TestApp::with(|settings| settings.limits.backdate_minutes = backdate).await;
        for (days, end) in [(1, "2026-08-15"), (365, "2027-08-14"), (5475, "2041-08-10")] {
            let body = json!({ "csr": csr("x"), "validity_days": days });
            let result = app.post(PATH, body).await.result();
            assert_eq!(result["issued_on"], format!("2026-08-14T{begin}Z"));
            assert_eq!(result["expires_on"], format!("{end}T{begin}Z"));
            assert_eq!(result["validity_days"], days);
        }
        // The CA begins with its first certificate, and later certificates not before it.
        let managed = "/certgate/v1/accounts/{account}/managed_authority";
        let ca = app.get(managed).await.result();
        assert_eq!(ca["created_on"], format!("2026-08-14T{begin}Z"));
    }
}

#[tokio::test]
async fn certificates_do_not_begin_before_a_ca_of_another_backdate() {
    let app = TestApp::with(|settings| settings.limits.backdate_minutes = 0).await;
    app.issue("makes the CA at 10:20:00").await;
    let mut limits = Limits {
        backdate_minutes: 60,
        ..Limits::default()
    };
    app.service.set_limits(limits);
    app.clock.advance_seconds(120);
    assert_eq!(app.issue("x").await["issued_on"], "2026-08-14T10:20:00Z");
    limits.backdate_minutes = 1;
    app.service.set_limits(limits);
    assert_eq!(app.issue("x").await["issued_on"], "2026-08-14T10:21:00Z");
}

#[tokio::test]
async fn the_managed_ca_has_the_key_algorithm_of_its_account() {
    let app = TestApp::new().await;
    for (algorithm, signature) in [
        ("P-384", "ECDSAWithSHA384"),
        ("RSA-2048", "SHA256WithRSA"),
        ("ed25519", "PureEd25519"),
    ] {
        let body = json!({ "name": algorithm, "authority_algorithm": algorithm });
        let account = app.post("/accounts", body).await.result();
        let name = format!("{}.example", algorithm.to_lowercase());
        let zone = app
            .post(
                "/zones",
                json!({ "name": name, "account": { "id": account["id"] } }),
            )
            .await
            .result();
        let path = format!(
            "/zones/{}/client_certificates",
            zone["id"].as_str().unwrap()
        );
        let first = app
            .post(&path, json!({ "csr": csr("a"), "validity_days": 7 }))
            .await
            .result();
        let second = app
            .post(&path, json!({ "csr": csr("b"), "validity_days": 7 }))
            .await
            .result();
        assert_eq!(first["signature"], signature);
        assert_eq!(
            first["certificate_authority"],
            second["certificate_authority"]
        );
    }
}

#[tokio::test]
async fn a_ca_of_the_last_years_ends_with_the_year_9999() {
    let app = TestApp::new().await;
    app.clock.set("9998-06-01T12:34:56Z".parse().unwrap());
    let issued = app.issue("device").await;
    assert!(
        issued["expires_on"]
            .as_str()
            .unwrap()
            .starts_with("9999-06-01T")
    );
    let body = json!({ "csr": csr("device"), "validity_days": 3650 });
    let error = app.post(PATH, body).await.error();
    assert_eq!(error.status, 400);
    assert!(error.message.contains("9999-12-31"), "{}", error.message);
}
