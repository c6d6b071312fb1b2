use std::future::IntoFuture;
use std::path::Path;
use std::time::Duration;

use certgate_model::{AuthorityId, AuthorityRecord, By, CertificateId, Clock};
use certgate_service::{MANAGED_AUTHORITIES_MAX, ROTATIONS_PER_HOUR_MAX};
use certgate_store::prelude::*;
use certgate_store::{AuthorityReplaced, CertificateRecorded};
use certgate_testkit::{TestApp, csr};
use http::Method;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, UnixTime};
use serde_json::{Value, json};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use crate::together::together;

const PATH: &str = "/certgate/v1/accounts/{account}/managed_authorities";
const ROTATE: &str = "/certgate/v1/accounts/{account}/managed_authorities/rotate";

fn file(name: &str) -> String {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pki/tests/fixtures/authorities");
    std::fs::read_to_string(directory.join(name)).unwrap()
}

fn import(certificate: &str, key: &str) -> Value {
    json!({ "certificate": file(certificate), "private_key": file(key) })
}

async fn revoked_and_restored(app: &TestApp, certificate: &Value) {
    let path = format!(
        "/zones/{{zone}}/client_certificates/{}",
        certificate["id"].as_str().unwrap()
    );
    assert_eq!(&app.get(&path).await.result(), certificate);
    assert_eq!(
        app.delete(&path).await.result()["status"],
        "pending_revocation"
    );
    app.settle().await;
    assert_eq!(app.get(&path).await.result()["status"], "revoked");
    assert_eq!(
        app.patch(&path).await.result()["status"],
        "pending_reactivation"
    );
    app.settle().await;
    assert_eq!(&app.get(&path).await.result(), certificate);
}

#[tokio::test]
async fn the_new_ca_signs_after_a_rotation_and_old_certificates_stay_valid() {
    let app = TestApp::new().await;
    assert_eq!(
        app.get(PATH).await.result(),
        json!([]),
        "to list them makes none"
    );
    let old_certificate = app.issue("old").await;
    let old = app
        .get("/certgate/v1/accounts/{account}/managed_authority")
        .await
        .result();
    app.clock.advance_seconds(60);

    let new = app
        .post(ROTATE, json!({ "algorithm": "ed25519" }))
        .await
        .result();
    assert_eq!(
        (&new["algorithm"], &new["in_force"]),
        (&json!("Ed25519"), &json!(true))
    );
    assert_eq!(
        app.get("/certgate/v1/accounts/{account}/managed_authority")
            .await
            .result(),
        new
    );
    let mut replaced = old.clone();
    replaced["in_force"] = false.into();
    replaced["state"] = "superseded".into();
    assert_eq!(app.get(PATH).await.result(), json!([new, replaced]));

    let new_certificate = app.issue("new").await;
    assert_eq!(new_certificate["certificate_authority"]["id"], new["id"]);
    assert_eq!(new_certificate["signature"], "PureEd25519");
    assert_eq!(old_certificate["certificate_authority"]["id"], old["id"]);
    let listed = app.get("/zones/{zone}/client_certificates").await.result();
    assert_eq!(listed, json!([new_certificate, old_certificate]));
    for certificate in [&old_certificate, &new_certificate] {
        revoked_and_restored(&app, certificate).await;
    }
    // Without a body, the new CA has the key algorithm of the account.
    let third = app.call(Method::POST, ROTATE).await.result();
    assert_eq!(third["algorithm"], "P-256");
    assert_eq!(app.get(PATH).await.result().as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn an_imported_ca_becomes_active() {
    let app = TestApp::new().await;
    let old_certificate = app.issue("old").await;
    let imported = app
        .post(PATH, import("good.crt", "good.sec1.key"))
        .await
        .result();
    insta::assert_json_snapshot!(imported, {
        ".id" => "[uuid]",
        ".certificate" => "[pem]",
        ".fingerprint_sha256" => "[hex]",
    }, @r#"
    {
      "algorithm": "P-256",
      "certificate": "[pem]",
      "created_on": "2020-01-01T00:00:00Z",
      "expires_on": "2070-01-01T00:00:00Z",
      "fingerprint_sha256": "[hex]",
      "id": "[uuid]",
      "in_force": true,
      "name": "Acme Device CA",
      "public_url": "http://pki.example.com",
      "published_epoch": 2,
      "state": "active"
    }
    "#);
    assert_eq!(imported["certificate"], file("good.crt").trim_end());
    let new = app.issue("new").await;
    assert_eq!(
        new["certificate_authority"],
        json!({ "id": imported["id"], "name": "Acme Device CA" })
    );
    for certificate in [&old_certificate, &new] {
        revoked_and_restored(&app, certificate).await;
    }

    let again = app
        .post(PATH, import("good.crt", "good.pkcs8.key"))
        .await
        .error();
    assert_eq!(
        (again.status, again.code, again.pointer.as_deref()),
        (400, 1511, Some("/certificate"))
    );
    assert!(
        again.message.contains(imported["id"].as_str().unwrap()),
        "{}",
        again.message
    );
    // The same holds after it was superseded.
    app.post(ROTATE, json!({})).await.result();
    assert_eq!(
        app.post(PATH, import("good.crt", "good.pkcs8.key"))
            .await
            .error()
            .code,
        1511
    );
    // A renewed certificate of the same key is another CA.
    let renewed = app
        .post(PATH, import("good_no_common_name.crt", "good.pkcs8.key"))
        .await
        .result();
    assert_eq!(renewed["name"], "imported authority of default");
}

#[tokio::test]
async fn an_import_can_be_the_first_ca() {
    let app = TestApp::new().await;
    let imported = app
        .post(PATH, import("good.crt", "good.pkcs8.key"))
        .await
        .result();
    assert_eq!(
        app.issue("x").await["certificate_authority"]["id"],
        imported["id"]
    );
    assert_eq!(app.get(PATH).await.result(), json!([imported]));
}

#[tokio::test]
async fn each_bad_import_is_refused_with_its_reason() {
    let app = TestApp::new().await;
    let before = app.issue("before").await["certificate_authority"].clone();
    let good = file("good.crt");
    let key = file("good.pkcs8.key");
    let with =
        |certificate: &str, key: &str| json!({ "certificate": certificate, "private_key": key });
    for (body, code, pointer) in [
        (json!({}), 9207, "/certificate"),
        (json!({ "certificate": good }), 1554, "/certificate"),
        (json!({ "private_key": key }), 9207, "/certificate"),
        (
            json!({ "certificate": good, "algorithm": "P-256" }),
            9207,
            "/algorithm",
        ),
        (
            json!({ "certificate": good, "private_key": 1 }),
            9207,
            "/private_key",
        ),
        (with("x", &key), 1500, "/certificate"),
        (with(&format!("{good}{good}"), &key), 1501, "/certificate"),
        (with(&key, &key), 1502, "/certificate"),
        (
            with(&good.replace("CERTIFICATE", "X509 CRL"), &key),
            1503,
            "/certificate",
        ),
        (
            import("der_garbage.crt", "good.pkcs8.key"),
            1504,
            "/certificate",
        ),
        (
            import("signature_flipped.crt", "good.pkcs8.key"),
            1504,
            "/certificate",
        ),
        (with(&" ".repeat(16_385), &key), 1505, "/certificate"),
        (import("not_ca.crt", "good.pkcs8.key"), 1506, "/certificate"),
        (
            import("no_basic_constraints.crt", "good.pkcs8.key"),
            1506,
            "/certificate",
        ),
        (
            import("no_key_cert_sign.crt", "good.pkcs8.key"),
            1506,
            "/certificate",
        ),
        (
            import("empty_subject.crt", "good.pkcs8.key"),
            1506,
            "/certificate",
        ),
        (
            import("no_crl_sign.crt", "good.pkcs8.key"),
            1507,
            "/certificate",
        ),
        (
            import("servers_only.crt", "good.pkcs8.key"),
            1508,
            "/certificate",
        ),
        (
            import("any_purpose.crt", "good.pkcs8.key"),
            1508,
            "/certificate",
        ),
        (
            import("unknown_critical.crt", "good.pkcs8.key"),
            1514,
            "/certificate",
        ),
        (
            import("expired.crt", "good.pkcs8.key"),
            1509,
            "/certificate",
        ),
        (
            import("not_yet_valid.crt", "good.pkcs8.key"),
            1510,
            "/certificate",
        ),
        (import("good.crt", "another.key"), 1468, "/private_key"),
        (with(&good, "x"), 1464, "/private_key"),
        (with(&good, &format!("{key}{key}")), 1466, "/private_key"),
        (with(&good, &good), 1464, "/private_key"),
        (import("good.crt", "encrypted.key"), 1465, "/private_key"),
        (
            import("good.crt", "encrypted_sec1.key"),
            1465,
            "/private_key",
        ),
        (import("good.crt", "malformed.key"), 1464, "/private_key"),
        (import("good.crt", "p521.key"), 1467, "/private_key"),
        (import("good.crt", "rsa_1024.key"), 1467, "/private_key"),
    ] {
        let error = app.post(PATH, body).await.error();
        assert_eq!(
            (error.code, error.pointer.as_deref()),
            (code, Some(pointer)),
            "{}",
            error.message
        );
        assert_eq!(error.status, 400, "{}", error.message);
        let secret = key.lines().nth(1).unwrap();
        assert!(!error.message.contains(secret), "{}", error.message);
    }
    let error = app
        .post(ROTATE, json!({ "algorithm": "P-521" }))
        .await
        .error();
    assert_eq!(
        (error.status, error.code, error.pointer.as_deref()),
        (400, 9207, Some("/algorithm"))
    );
    assert_eq!(app.issue("after").await["certificate_authority"], before);
    assert_eq!(app.get(PATH).await.result().as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_certificate_that_its_ca_does_not_permit_is_not_issued() {
    let app = TestApp::new().await;
    let body = import("good_name_constraints.crt", "good.pkcs8.key");
    app.post(PATH, body).await.result();
    // The CA permits subjects below O=Acme, CN=Acme Device CA.
    let path = "/zones/{zone}/client_certificates";
    let body = json!({ "csr": csr("device"), "validity_days": 1 });
    let error = app.post(path, body).await.error();
    assert_eq!((error.status, error.code), (400, 1443));
    assert_eq!(error.pointer.as_deref(), Some("/csr"));
    assert!(
        error.message.contains("permitted subtree"),
        "{}",
        error.message
    );
    assert_eq!(app.get(path).await.json()["result_info"]["total_count"], 0);
    // The empty subject is in no subtree, and so not restricted (RFC 5280 §4.2.1.10).
    let empty = certgate_testkit::fixture("good_empty_subject");
    let body = json!({ "csr": empty, "validity_days": 1 });
    app.post(path, body).await.result();
}

#[tokio::test]
async fn a_certificate_cannot_outlive_an_imported_ca() {
    let app = TestApp::new().await;
    app.post(PATH, import("good.crt", "good.pkcs8.key"))
        .await
        .result();
    // The CA expires on 2070-01-01.
    app.clock.advance_seconds(41 * 365 * 86_400);
    let body = |days| json!({ "csr": csr("x"), "validity_days": days });
    let error = app
        .post("/zones/{zone}/client_certificates", body(5_475))
        .await
        .error();
    assert_eq!((error.status, error.code), (400, 1441));
    assert!(
        error.message.contains("2070-01-01T00:00:00Z"),
        "{}",
        error.message
    );
}

#[tokio::test]
async fn certificates_issued_during_rotations_verify_under_their_ca() {
    let app = TestApp::new().await;
    let issues = (0..24).map(|number| {
        let body = json!({ "csr": csr(&format!("c{number}")), "validity_days": 1 });
        app.post("/zones/{zone}/client_certificates", body)
            .into_future()
    });
    let rotations = (0..3).map(|_| {
        app.post(ROTATE, json!({ "algorithm": "P-256" }))
            .into_future()
    });
    let calls = issues.chain(rotations);
    let answers: Vec<_> = together(calls)
        .await
        .iter()
        .map(|answer| answer.result())
        .collect();
    let authorities = app.get(PATH).await.result();
    let authorities = authorities.as_array().unwrap();
    assert!(
        (3..=4).contains(&authorities.len()),
        "the first may come from a rotation"
    );
    for certificate in &answers[..24] {
        let named = &certificate["certificate_authority"]["id"];
        let authority = authorities
            .iter()
            .find(|authority| authority["id"] == *named)
            .unwrap();
        assert!(verifies(certificate, authority), "{certificate}");
        let others = authorities
            .iter()
            .filter(|authority| authority["id"] != *named);
        assert!(
            others
                .into_iter()
                .all(|other| !verifies(certificate, other))
        );
    }
    assert_eq!(
        app.issue("last").await["certificate_authority"]["id"],
        authorities[0]["id"]
    );
}

/// Returns true if webpki accepts the certificate as a client of the CA.
fn verifies(certificate: &Value, authority: &Value) -> bool {
    let der = |value: &Value| {
        CertificateDer::from_pem_slice(value["certificate"].as_str().unwrap().as_bytes()).unwrap()
    };
    let (certificate, authority) = (der(certificate), der(authority));
    let issued_on = UnixTime::since_unix_epoch(Duration::from_secs(1_786_702_860));
    let certificate = EndEntityCert::try_from(&certificate).unwrap();
    let anchors = [anchor_from_trusted_cert(&authority).unwrap()];
    let (algorithms, usage) = (webpki::ALL_VERIFICATION_ALGS, KeyUsage::client_auth());
    let verified =
        certificate.verify_for_usage(algorithms, &anchors, &[], issued_on, usage, None, None);
    verified.is_ok()
}

#[tokio::test]
async fn a_superseded_ca_of_another_process_does_not_sign() {
    let app = TestApp::new().await;
    app.issue("before").await;
    let old = app
        .store
        .managed_authority(app.account_id.parse().unwrap())
        .await
        .unwrap()
        .unwrap();
    // Another process changes the CA in the same store. The key is sealed for another ID, so this
    // process cannot open it.
    let stranger = AuthorityRecord {
        id: AuthorityId::from_bytes([9; 16]),
        ..old.clone()
    };
    let replaced = app
        .store
        .replace_managed_authority(
            Some(old.id),
            stranger.clone(),
            100,
            By::system(app.clock.now()),
        )
        .await
        .unwrap();
    assert!(matches!(replaced, AuthorityReplaced::Replaced { .. }));
    // This process still caches the old CA, but notices the change.
    let body = json!({ "csr": csr("after"), "validity_days": 1 });
    let error = app
        .post("/zones/{zone}/client_certificates", body)
        .await
        .error();
    assert_eq!((error.status, error.code), (500, 10500));
    let listed = app.get("/zones/{zone}/client_certificates").await.json();
    assert_eq!(
        listed["result_info"]["total_count"], 1,
        "nothing of the old one was stored"
    );
    assert_eq!(
        app.get(PATH).await.result()[0]["id"],
        stranger.id.to_string()
    );
    // A rotation ends the failure.
    let new = app.post(ROTATE, json!({})).await.result();
    assert_eq!(
        app.issue("again").await["certificate_authority"]["id"],
        new["id"]
    );
}

#[tokio::test]
async fn the_cas_of_an_account_that_have_signed_are_limited() {
    let app = TestApp::new().await;
    let store = &app.store;
    let issued = app.issue("first").await;
    let zone = app.zone_id.parse().unwrap();
    let id = issued["id"].as_str().unwrap().parse().unwrap();
    let mut certificate = store.certificate(zone, id).await.unwrap().unwrap();
    let mut record = store
        .managed_authority(app.account_id.parse().unwrap())
        .await
        .unwrap()
        .unwrap();
    let max = u8::try_from(MANAGED_AUTHORITIES_MAX).unwrap();
    for number in 2..=max {
        let current = record.id;
        record.id = AuthorityId::from_bytes([number; 16]);
        let by = By::system(record.created_on);
        let replaced = store
            .replace_managed_authority(Some(current), record.clone(), max.into(), by)
            .await
            .unwrap();
        assert!(matches!(replaced, AuthorityReplaced::Replaced { .. }));
        if number == 50 {
            continue;
        }
        certificate.id = CertificateId::from_bytes([number; 16]);
        certificate.authority.id = record.id;
        let recorded = store.record_certificate(certificate.clone(), None, by);
        assert_eq!(recorded.await.unwrap(), CertificateRecorded::Recorded);
    }
    // One of them never signed: it makes room.
    let unused = AuthorityId::from_bytes([50; 16]);
    assert!(store.authority(unused).await.unwrap().is_some());
    app.post(ROTATE, json!({})).await.result();
    app.issue("with the last one").await;
    assert_eq!(app.get(PATH).await.result().as_array().unwrap().len(), 100);
    assert!(store.authority(unused).await.unwrap().is_none());
    for call in [
        app.post(ROTATE, json!({})),
        app.post(PATH, import("good.crt", "good.pkcs8.key")),
    ] {
        let error = call.await.error();
        assert_eq!((error.status, error.code), (403, 1512));
        assert!(
            error.message.contains("100 managed CAs"),
            "{}",
            error.message
        );
    }
}

#[tokio::test]
async fn an_account_gets_few_cas_in_an_hour() {
    let app = TestApp::new().await;
    let first = app.clock.now();
    for _ in 0..ROTATIONS_PER_HOUR_MAX {
        app.post(ROTATE, json!({})).await.result();
        app.clock.advance_seconds(10);
    }
    for (path, body) in [
        (ROTATE, json!({})),
        (PATH, import("good.crt", "good.pkcs8.key")),
    ] {
        let answer = app.post(path, body).await;
        let error = answer.error();
        assert_eq!((error.status, error.code), (429, 971), "{}", error.message);
        let passed = first.until(app.clock.now()).seconds();
        let expected = (3_601 - passed).to_string();
        assert_eq!(answer.headers["retry-after"], expected);
    }
    // Another account is not affected.
    let other = app
        .post("/accounts", json!({ "name": "other" }))
        .await
        .result();
    let path = ROTATE.replace("{account}", other["id"].as_str().unwrap());
    app.post(&path, json!({})).await.result();
    let passed = first.until(app.clock.now()).seconds();
    app.clock.advance_seconds(3_601 - passed);
    app.post(ROTATE, json!({})).await.result();
    assert_eq!(app.post(ROTATE, json!({})).await.error().status, 429);
}

#[tokio::test]
async fn retired_cas_and_failed_rotations_count_as_new_ones() {
    let app = TestApp::new().await;
    for _ in 0..ROTATIONS_PER_HOUR_MAX {
        app.post(ROTATE, json!({})).await.result();
    }
    // Like an account whose other CAs have signed: each new CA retires the one before it.
    app.store
        .damage(
            "UPDATE authorities SET retired = TRUE \
             WHERE number < (SELECT max(number) FROM authorities)",
        )
        .await
        .unwrap();
    let app = app.restart().await;
    let error = app.post(ROTATE, json!({})).await.error();
    assert_eq!((error.status, error.code), (429, 971), "{}", error.message);

    // An attempt that fails costs a key too.
    app.clock.advance_seconds(3_601);
    let fail = "CREATE TRIGGER fail BEFORE INSERT ON authorities \
                BEGIN SELECT RAISE(ABORT, 'no'); END";
    app.store.damage(fail).await.unwrap();
    for _ in 0..ROTATIONS_PER_HOUR_MAX {
        assert!(app.post(ROTATE, json!({})).await.status.is_server_error());
    }
    app.store.damage("DROP TRIGGER fail").await.unwrap();
    assert_eq!(app.post(ROTATE, json!({})).await.error().status, 429);
    app.clock.advance_seconds(3_601);
    app.post(ROTATE, json!({})).await.result();
}

#[tokio::test]
async fn an_account_has_few_pending_rotations_and_another_one_does_not_wait() {
    let app = TestApp::new().await;
    let other = app.post("/accounts", json!({ "name": "other" })).await;
    let other = other.result()["id"].as_str().unwrap().to_owned();
    let rotate = ROTATE.replace("{account}", &other);
    let rotations = futures_util::future::join_all((0..12).map(|_| {
        let call = app.post(&rotate, json!({ "algorithm": "RSA-2048" }));
        async { call.await }
    }));
    let (rotated, _) = tokio::join!(rotations, app.issue("device"));
    let (done, refused): (Vec<_>, Vec<_>) = rotated
        .into_iter()
        .partition(|answer| answer.status.as_u16() == 200);
    assert_eq!((done.len(), refused.len()), (4, 8));
    for answer in refused {
        let error = answer.error();
        assert_eq!((error.status, error.code), (429, 971));
        assert!(
            error.message.contains("4 rotations of the account"),
            "{}",
            error.message
        );
        assert!(answer.headers.contains_key("retry-after"));
    }
    app.post(&rotate, json!({})).await.result();
}

#[tokio::test]
async fn the_state_of_the_crls_follows_their_publication() {
    let app = TestApp::new().await;
    let certificate = app.issue("lost").await;
    app.settle().await;
    let id = app.get(PATH).await.result()[0]["id"].clone();
    let path = format!("{PATH}/{}/crls", id.as_str().unwrap());
    let before = app.get(&path).await.result();
    app.clock.advance_seconds(3600);
    let certificate = certificate["id"].as_str().unwrap();
    let revoke = format!("/zones/{{zone}}/client_certificates/{certificate}");
    assert_eq!(app.delete(&revoke).await.status, 200);
    app.settle().await;
    let after = app.get(&path).await.result();
    assert_eq!(after["lists"], before["lists"]);
    assert_eq!(after["next_update"], before["next_update"], "of the others");
    let number = |state: &Value| state["number"].as_u64().unwrap();
    assert!(number(&after) > number(&before), "{after}");
    let made = |state: &Value| state["this_update"].as_str().unwrap().to_owned();
    assert!(made(&after) > made(&before), "{after}");

    let unknown = format!("{PATH}/{}/crls", AuthorityId::from_bytes([7; 16]));
    assert_eq!(app.get(&unknown).await.error().status, 404);
}
