//! The replacement of a CA in steps, and CAs whose certificate another CA signs.

use std::path::Path;
use std::process::Command;

use certgate_model::Clock;
use certgate_service::AUTHORITY_REQUESTS_MAX;
use certgate_testkit::TestApp;
use http::Method;
use serde_json::{Value, json};
use x509_cert::Certificate;
use x509_cert::der::{Decode, DecodePem, Encode};

const CAS: &str = "/certgate/v1/accounts/{account}/managed_authorities";
const REQUESTS: &str = "/certgate/v1/accounts/{account}/managed_authority_requests";
const POINTS: &str = "/certgate/v1/accounts/{account}/enforcement_points";
const VIEW: &str = "/certgate/v1/accounts/{account}/enforcement";
const HOSTNAMES: &str = "/zones/{zone}/certificate_authorities/hostname_associations";

fn id(object: &Value) -> String {
    object["id"].as_str().unwrap().to_owned()
}

async fn prepare(app: &TestApp) -> Value {
    let body = json!({ "algorithm": "P-256", "name": "Devices 2027" });
    app.post(CAS, body).await.result()
}

/// Sends `activate` or `retire`.
async fn change(app: &TestApp, ca: &Value, to: &str, body: Value) -> certgate_testkit::Answer {
    app.post(&format!("{CAS}/{}/{to}", id(ca)), body).await
}

/// Returns the states of the account's CAs, as the list and the view of enforcement points show
/// them.
async fn states(app: &TestApp) -> Vec<(String, String)> {
    let of = |cas: &Value| {
        let cas = cas.as_array().unwrap().iter();
        let state = |ca: &Value| ca["state"].as_str().unwrap().to_owned();
        cas.map(|ca| (id(ca), state(ca))).collect::<Vec<_>>()
    };
    let listed = of(&app.get(CAS).await.result());
    let view = app.get(VIEW).await.result();
    assert_eq!(of(&view["certificate_authorities"]), listed);
    let accepted: Vec<_> = listed
        .iter()
        .filter(|(_, state)| state != "retired")
        .map(|(id, _)| id.clone())
        .collect();
    let host = &view["hostnames"][0];
    assert_eq!(host["certificate_authorities"], json!(accepted));
    listed
}

async fn acknowledge(app: &TestApp, point: &str) {
    let epoch = app.get(VIEW).await.result()["epoch"].clone();
    let path = format!("{POINTS}/{point}/acknowledgement");
    app.put(&path, json!({ "epoch": epoch })).await.result();
}

#[tokio::test]
async fn a_ca_is_prepared_activated_and_retired() {
    let app = TestApp::new().await;
    let hostnames = json!({ "hostnames": ["api.example.com"] });
    app.put(HOSTNAMES, hostnames).await.result();
    let old_certificate = app.issue("old").await;
    let point = id(&app.post(POINTS, json!({ "name": "edge" })).await.result());
    acknowledge(&app, &point).await;
    let old = app.get(CAS).await.result()[0].clone();
    let new = prepare(&app).await;
    assert_eq!(
        [&new["state"], &new["name"]],
        [&json!("prepared"), &json!("Devices 2027")]
    );
    let expected = |old_state: &str, new_state: &str| {
        let (old, new) = (id(&old), id(&new));
        let mut expected = [(old, old_state.to_owned()), (new, new_state.to_owned())];
        // The active one first, then the latest.
        if new_state == "active" {
            expected.reverse();
        }
        expected
    };
    assert_eq!(states(&app).await, expected("active", "prepared"));
    let before = app.issue("during").await;
    assert_eq!(before["certificate_authority"]["id"], old["id"]);
    app.settle().await;
    let full = format!("/crl/{}/full.crl", id(&new));
    assert_eq!(app.public(Method::GET, &full).await.status, 200);

    let late = change(&app, &new, "activate", json!({})).await.error();
    assert_eq!(
        (late.status, late.code, late.pointer.as_deref()),
        (400, 1551, Some("/anyway"))
    );
    assert!(
        late.message.contains("point edge has not"),
        "{}",
        late.message
    );
    acknowledge(&app, &point).await;
    let active = change(&app, &new, "activate", json!({})).await.result();
    assert_eq!(
        (&active["id"], &active["state"]),
        (&new["id"], &json!("active"))
    );
    assert_eq!(states(&app).await, expected("superseded", "active"));
    let issued = app.issue("new").await;
    assert_eq!(
        issued["certificate_authority"],
        json!({ "id": new["id"], "name": "Devices 2027" })
    );

    // The activation of the CA before undoes the rotation, at once.
    change(&app, &old, "activate", json!({})).await.result();
    assert_eq!(
        app.issue("x").await["certificate_authority"]["id"],
        old["id"]
    );
    change(&app, &new, "activate", json!({})).await.result();

    let refused = change(&app, &new, "retire", json!({ "anyway": true })).await;
    assert_eq!(refused.error().code, 1552, "the active CA");
    let refused = change(&app, &old, "retire", json!({})).await.error();
    assert_eq!(
        (refused.status, refused.code, refused.pointer.as_deref()),
        (400, 1553, Some("/anyway"))
    );
    assert_eq!(states(&app).await, expected("superseded", "active"));
    let retired = change(&app, &old, "retire", json!({ "anyway": true })).await;
    assert_eq!(retired.result()["state"], "retired");
    assert_eq!(states(&app).await, expected("retired", "active"));
    // Its certificates stay revocable, and its lists are published.
    let path = format!(
        "/zones/{{zone}}/client_certificates/{}",
        id(&old_certificate)
    );
    app.delete(&path).await.result();
    acknowledge(&app, &point).await;
    app.settle().await;
    assert_eq!(app.get(&path).await.result()["status"], "revoked");
    let full = format!("/crl/{}/full.crl", id(&old));
    let list = app.public(Method::GET, &full).await;
    let list: x509_cert::crl::CertificateList =
        x509_cert::crl::CertificateList::from_der(&list.bytes).unwrap();
    assert_eq!(list.tbs_cert_list.revoked_certificates.unwrap().len(), 1);

    // Points do not know a retired CA, whatever they acknowledged.
    let late = change(&app, &old, "activate", json!({ "anyway": false })).await;
    assert_eq!(late.error().code, 1551);
    let undone = change(&app, &old, "activate", json!({ "anyway": true })).await;
    assert_eq!(undone.result()["state"], "active");
    assert_eq!(states(&app).await, expected("active", "superseded"));

    let audit = app.get("/client/v4/accounts/{account}/logs/audit").await;
    let text = String::from_utf8(audit.bytes).unwrap();
    for detail in ["state=prepared", "state=active", "state=retired"] {
        assert!(text.contains(detail), "{detail}: {text}");
    }
}

#[tokio::test]
async fn a_prepared_ca_is_not_overtaken_by_one_that_is_created_on_first_use() {
    let app = TestApp::new().await;
    let new = prepare(&app).await;
    let order = json!({ "csr": certgate_testkit::csr("first"), "validity_days": 365 });
    let issued = app.post("/zones/{zone}/client_certificates", order).await;
    let got = app
        .get("/certgate/v1/accounts/{account}/managed_authority")
        .await;
    for refused in [issued.error(), got.error()] {
        assert_eq!((refused.status, refused.code), (400, 1557));
        let remedy = format!("activate {} first", id(&new));
        assert!(refused.message.contains(&remedy), "{}", refused.message);
    }
    let listed = app.get(CAS).await.result();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    change(&app, &new, "activate", json!({})).await.result();
    let issued = app.issue("new").await;
    assert_eq!(issued["certificate_authority"]["id"], new["id"]);
}

#[tokio::test]
async fn a_change_of_state_names_a_ca_of_the_account() {
    let app = TestApp::new().await;
    app.issue("x").await;
    let other = app.post("/accounts", json!({ "name": "other" })).await;
    let theirs = CAS.replace("{account}", &id(&other.result()));
    let body = json!({ "algorithm": "P-256" });
    let theirs = app.post(&theirs, body).await.result();
    for to in ["activate", "retire"] {
        for ca in [id(&theirs), "7".repeat(36), "no-id".to_owned()] {
            let path = format!("{CAS}/{ca}/{to}");
            let error = app.post(&path, json!({ "anyway": true })).await.error();
            assert_eq!((error.status, error.code), (404, 1550), "{path}");
        }
    }
    for (body, pointer) in [
        (json!({ "algorithm": "P-256", "name": " " }), "/name"),
        (
            json!({ "algorithm": "P-256", "name": "a\u{202e}b" }),
            "/name",
        ),
        (json!({ "algorithm": "P-1" }), "/algorithm"),
    ] {
        let error = app.post(CAS, body).await.error();
        let found = (error.status, error.pointer.as_deref());
        assert_eq!(found, (400, Some(pointer)), "{}", error.message);
    }
}

#[tokio::test]
async fn an_expired_ca_is_not_activated_and_is_retired_without_confirmation() {
    let app = TestApp::new().await;
    app.issue("x").await;
    let old = app.get(CAS).await.result()[0].clone();
    // The CA expires after 30 years.
    app.clock.advance_seconds(15 * 365 * 86_400);
    let new = prepare(&app).await;
    change(&app, &new, "activate", json!({})).await.result();
    app.clock.advance_seconds(16 * 365 * 86_400);
    let refused = change(&app, &old, "activate", json!({ "anyway": true })).await;
    assert_eq!(refused.error().code, 1556);
    let retired = change(&app, &old, "retire", json!({})).await.result();
    assert_eq!(retired["state"], "retired");
}

#[tokio::test]
async fn an_import_can_be_prepared() {
    let app = TestApp::new().await;
    app.issue("x").await;
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pki/tests/fixtures/authorities");
    let file = |name: &str| std::fs::read_to_string(directory.join(name)).unwrap();
    let body = json!({
        "certificate": file("good.crt"),
        "private_key": file("good.pkcs8.key"),
        "prepare": true,
        "name": "Old devices",
    });
    let imported = app.post(CAS, body.clone()).await.result();
    assert_eq!(
        (&imported["state"], &imported["name"]),
        (&json!("prepared"), &json!("Old devices"))
    );
    let known = app.post(CAS, body).await.error();
    assert_eq!((known.code, known.status), (1511, 400));
    // It signed elsewhere, which certgate does not know: its clients are accepted already.
    let refused = change(&app, &imported, "retire", json!({})).await;
    assert_eq!(refused.error().code, 1553);
    change(&app, &imported, "activate", json!({}))
        .await
        .result();
    let rotate = format!("{CAS}/rotate");
    app.post(&rotate, json!({})).await.result();
    let refused = change(&app, &imported, "retire", json!({})).await;
    assert_eq!(refused.error().code, 1553);
}

/// Runs openssl in a directory.
fn openssl(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("openssl")
        .args(arguments)
        .current_dir(directory)
        .output()
        .expect("openssl is installed");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn an_offline_root_signs_a_ca_whose_key_never_leaves_the_server() {
    let app = TestApp::new().await;
    app.issue("x").await;
    let body = json!({ "algorithm": "P-384", "name": "Issuing CA 7" });
    let request = app.post(REQUESTS, body).await.result();
    assert_eq!(app.get(REQUESTS).await.result(), json!([request]));

    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    std::fs::write(place.join("ca.csr"), request["csr"].as_str().unwrap()).unwrap();
    openssl(place, &["req", "-in", "ca.csr", "-noout", "-verify"]);
    for name in ["root", "other"] {
        let (key, crt) = (format!("{name}.key"), format!("{name}.crt"));
        let subject = format!("/CN={name}");
        #[rustfmt::skip]
        openssl(place, &[
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-days", "3650", "-subj", &subject, "-keyout", &key, "-out", &crt,
            "-addext", "keyUsage=critical,keyCertSign,cRLSign",
        ]);
    }
    #[rustfmt::skip]
    let signed = openssl(place, &[
        "x509", "-req", "-in", "ca.csr", "-CA", "root.crt", "-CAkey", "root.key",
        "-CAcreateserial", "-days", "1825", "-copy_extensions", "copy",
    ]);
    let root = std::fs::read_to_string(place.join("root.crt")).unwrap();
    let other = std::fs::read_to_string(place.join("other.crt")).unwrap();
    // The clock of openssl is that of the machine.
    let certificate = Certificate::from_pem(&signed).unwrap();
    let not_before = certificate.tbs_certificate().validity().not_before;
    let valid_from = i64::try_from(not_before.to_unix_duration().as_secs()).unwrap();
    let now = app.clock.now().unix();
    app.clock.advance_seconds(valid_from + 60 - now);

    // Another certificate, and the one of the root, have other keys.
    for wrong in [&other, &root] {
        let error = app.post(CAS, json!({ "certificate": wrong })).await.error();
        assert_eq!(
            (error.status, error.code, error.pointer.as_deref()),
            (400, 1554, Some("/certificate"))
        );
    }
    let chain = format!("{signed}{root}");
    let prepared = app.post(CAS, json!({ "certificate": chain })).await;
    let prepared = prepared.result();
    assert_eq!(
        [&prepared["id"], &prepared["state"], &prepared["name"]],
        [&request["id"], &json!("prepared"), &request["name"]]
    );
    assert_eq!(app.get(REQUESTS).await.result(), json!([]));
    let again = app.post(CAS, json!({ "certificate": signed })).await;
    assert_eq!(again.error().code, 1554, "the request has ended");
    change(&app, &prepared, "activate", json!({}))
        .await
        .result();
    let issued = app.issue("device").await;
    let issued = Certificate::from_pem(issued["certificate"].as_str().unwrap()).unwrap();
    let issuer = issued.tbs_certificate().issuer().to_der().unwrap();
    let subject = certificate.tbs_certificate().subject().to_der().unwrap();
    assert_eq!(issuer, subject);
}

#[tokio::test]
async fn requests_are_few_and_can_be_deleted() {
    let app = TestApp::new().await;
    let mut made = Vec::new();
    for _ in 0..AUTHORITY_REQUESTS_MAX {
        made.push(app.call(Method::POST, REQUESTS).await.result());
    }
    app.clock.advance_seconds(3_601);
    let error = app.call(Method::POST, REQUESTS).await.error();
    assert_eq!((error.status, error.code), (403, 1555));
    let path = format!("{REQUESTS}/{}", id(&made[0]));
    assert_eq!(app.delete(&path).await.result(), made[0]);
    let gone = app.delete(&path).await.error();
    assert_eq!((gone.status, gone.code), (404, 1550));
    app.call(Method::POST, REQUESTS).await.result();
    let long = json!({ "name": "x".repeat(65) });
    let error = app.post(REQUESTS, long).await.error();
    assert_eq!(error.pointer.as_deref(), Some("/name"));
}
