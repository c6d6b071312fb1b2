//! A test for each kind of bad input.

use certgate_testkit::{TestApp, csr, fixture};
use serde_json::json;

const PATH: &str = "/zones/{zone}/client_certificates";

#[tokio::test]
async fn an_unknown_or_malformed_certificate_id_is_1415() {
    let app = TestApp::new().await;
    for id in [
        "0123456789abcdef0123456789abcdef",
        "1",
        "%00",
        "..%2f..%2fetc",
        "0123456789abcdef0123456789abcdeg",
    ] {
        for answer in [
            app.get(&format!("{PATH}/{id}")).await,
            app.delete(&format!("{PATH}/{id}")).await,
            app.patch(&format!("{PATH}/{id}")).await,
        ] {
            let error = answer.error();
            assert_eq!((error.status, error.code), (404, 1415), "{id}");
        }
    }
}

#[tokio::test]
async fn a_full_zone_is_1445() {
    let app = TestApp::with(|settings| settings.limits.zone_certificates_max = Some(2)).await;
    let first = app.issue("a").await;
    app.issue("b").await;
    // Revoked certificates count too, because the quota bounds the stored certificates.
    app.delete(&format!("{PATH}/{}", first["id"].as_str().unwrap()))
        .await
        .result();
    let error = app
        .post(PATH, json!({ "csr": csr("c"), "validity_days": 1 }))
        .await
        .error();
    assert_eq!((error.status, error.code), (403, 1445));
    assert_eq!(
        error.message,
        "the zone has reached its quota of 2 client certificates: the operator of the server can \
         raise zone_certificates_max"
    );
    let listed = app.get(&format!("{PATH}?status=all")).await.json();
    assert_eq!(listed["result_info"]["total_count"], 2);
}

#[tokio::test]
async fn a_bad_body_is_refused_with_a_pointer() {
    let app = TestApp::new().await;
    let csr = csr("x");
    let with = |days: &str| format!(r#"{{"csr":{},"validity_days":{days}}}"#, json!(csr));
    for (body, code, pointer, word) in [
        ("".to_owned(), 9207, "/csr", "missing"),
        ("{".to_owned(), 6007, "", "not JSON"),
        ("\u{feff}{}".to_owned(), 9207, "/csr", "missing"),
        ("\u{feff}\u{feff}{}".to_owned(), 6007, "", "not JSON"),
        ("[]".to_owned(), 9207, "", "an array"),
        ("null".to_owned(), 9207, "", "null"),
        ("7".to_owned(), 9207, "", "the number 7"),
        ("{}".to_owned(), 9207, "/csr", "missing"),
        (
            r#"{"csr":7,"validity_days":1}"#.to_owned(),
            9207,
            "/csr",
            "a string",
        ),
        (
            r#"{"csr":null,"validity_days":1}"#.to_owned(),
            9207,
            "/csr",
            "missing",
        ),
        (
            json!({ "csr": csr }).to_string(),
            9207,
            "/validity_days",
            "missing",
        ),
        (with("\"365\""), 9207, "/validity_days", "whole number"),
        (with("1.5"), 9207, "/validity_days", "whole number"),
        (with("true"), 9207, "/validity_days", "whole number"),
        (with("[]"), 9207, "/validity_days", "whole number"),
    ] {
        let error = app
            .call(http::Method::POST, PATH)
            .body(body.clone())
            .await
            .error();
        assert_eq!((error.status, error.code), (400, code), "{body}");
        assert_eq!(error.pointer.as_deref(), Some(pointer), "{body}");
        assert!(error.message.contains(word), "{body}: {}", error.message);
    }
    for body in [
        b"\xff\xfe{}".to_vec(),
        "[".repeat(60_000).into_bytes(),
        vec![0; 1000],
    ] {
        let error = app.call(http::Method::POST, PATH).body(body).await.error();
        assert_eq!((error.status, error.code), (400, 6007));
    }
}

#[tokio::test]
async fn a_body_over_64_kib_is_413() {
    let app = TestApp::new().await;
    let limit = certgate_api::BODY_BYTES_MAX;
    let error = app
        .call(http::Method::POST, PATH)
        .body(vec![b' '; limit + 1])
        .await
        .error();
    assert_eq!((error.status, error.code), (413, 10413));
    let mut body = json!({ "csr": csr("x"), "validity_days": 1 }).to_string();
    body.push_str(&" ".repeat(limit - body.len()));
    app.call(http::Method::POST, PATH).body(body).await.result();
}

#[tokio::test]
async fn every_bad_csr_has_its_own_code_and_a_remedy() {
    let app = TestApp::new().await;
    let many = "x".repeat(16 * 1024 + 1);
    let text = |text: &str| text.to_owned();
    for (csr, code, word) in [
        (text(""), 1420, "BEGIN CERTIFICATE REQUEST"),
        (text("hello"), 1420, "BEGIN CERTIFICATE REQUEST"),
        (fixture("several_blocks"), 1421, "exactly one"),
        (fixture("private_key"), 1422, "private key"),
        (fixture("private_key_beside"), 1422, "private key"),
        (fixture("certificate"), 1423, "CERTIFICATE"),
        (fixture("public_key"), 1423, "PUBLIC KEY"),
        (fixture("base64_broken"), 1424, "Base64"),
        ("x".repeat(1_200) + &csr("x"), 1438, "at most 1024"),
        (fixture("der_garbage"), 1425, "openssl req"),
        (fixture("der_cut_off"), 1425, "openssl req"),
        (fixture("der_indefinite_length"), 1425, "openssl req"),
        (fixture("der_trailing_bytes"), 1426, "bytes follow"),
        (fixture("signature_flipped"), 1427, "does not verify"),
        (fixture("subject_changed"), 1427, "does not verify"),
        (fixture("signed_with_another_key"), 1427, "does not verify"),
        (fixture("signed_with_sha1_rsa"), 1428, "SHA-256"),
        (fixture("rsa_1024"), 1429, "1024 bits"),
        (fixture("rsa_8200"), 1429, "8207 bits"),
        (fixture("rsa_exponent_even"), 1430, "65537"),
        (fixture("curve_secp256k1"), 1431, "P-256"),
        (fixture("curve_p224"), 1431, "P-256"),
        (fixture("key_ed448"), 1432, "Ed25519"),
        (many, 1433, "16384"),
        (fixture("subject_not_utf8"), 1434, "subject"),
        (fixture("point_compressed"), 1435, "uncompressed"),
        (fixture("point_off_curve"), 1436, "make a new one"),
    ] {
        let answer = app
            .post(PATH, json!({ "csr": csr, "validity_days": 30 }))
            .await;
        let error = answer.error();
        assert_eq!((error.status, error.code), (400, code), "{}", error.message);
        assert_eq!(error.pointer.as_deref(), Some("/csr"));
        assert!(error.message.contains(word), "{code}: {}", error.message);
    }
    assert_eq!(app.get(PATH).await.json()["result_info"]["total_count"], 0);
}

#[tokio::test]
async fn a_validity_out_of_bounds_is_refused_with_the_bounds() {
    let app = TestApp::with(|settings| settings.limits.validity_days_max = 1000).await;
    for (days, shown) in [
        ("0", "is 0:"),
        ("-1", "is -1:"),
        ("1001", "is 1001:"),
        ("9223372036854775806", "is 9223372036854775806:"),
        ("9223372036854775807", "is 9223372036854775807 or more"),
        ("18446744073709551615", "is 9223372036854775807 or more"),
        ("1e300", "is 9223372036854775807 or more"),
        ("-1e300", "is -9223372036854775808 or less"),
    ] {
        let body = format!(r#"{{"csr":{},"validity_days":{days}}}"#, json!(csr("x")));
        let error = app.call(http::Method::POST, PATH).body(body).await.error();
        assert_eq!((error.status, error.code), (400, 1440), "{days}");
        assert_eq!(error.pointer.as_deref(), Some("/validity_days"));
        let names = error.message.contains("from 1 to 1000") && error.message.contains(shown);
        assert!(names, "{}", error.message);
    }
    // A whole number is accepted in every spelling.
    for days in ["1", "1000.0", "1e3"] {
        let body = format!(r#"{{"csr":{},"validity_days":{days}}}"#, json!(csr("x")));
        app.call(http::Method::POST, PATH).body(body).await.result();
    }
}

#[tokio::test]
async fn a_certificate_does_not_outlive_its_ca() {
    let app = TestApp::new().await;
    app.issue("makes the authority").await;
    // The CA is valid for 30 years of 365 days; 20 days are left.
    app.clock.advance_seconds((30 * 365 - 20) * 86_400);
    let error = app
        .post(PATH, json!({ "csr": csr("x"), "validity_days": 21 }))
        .await
        .error();
    assert_eq!((error.status, error.code), (400, 1441));
    assert!(
        error.message.contains("use at most 20"),
        "{}",
        error.message
    );
    app.post(PATH, json!({ "csr": csr("x"), "validity_days": 20 }))
        .await
        .result();
}
