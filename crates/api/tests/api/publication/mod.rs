//! The public responder: CRLs, OCSP, certificates of CAs.

mod ocsp;
mod trouble;

use std::time::UNIX_EPOCH;

use certgate_model::{Clock, SerialNumber};
use certgate_pki::write_ocsp_request;
use certgate_service::Settling;
use certgate_store::BackgroundJob;
use certgate_store::prelude::*;
use certgate_testkit::{Answer, TestApp};
use http::{Method, header};
use serde_json::{Value, json};

const DAY: i64 = 86_400;

struct Setting {
    app: TestApp,
    /// ID of the CA.
    authority: String,
    authority_der: Vec<u8>,
}

impl Setting {
    async fn new() -> Self {
        let app = TestApp::new().await;
        let authority = app
            .get("/certgate/v1/accounts/{account}/managed_authority")
            .await
            .result();
        app.settle().await;
        let authority = authority["id"].as_str().unwrap().to_owned();
        let certificate = app
            .public(Method::GET, &format!("/ca/{authority}.crt"))
            .await;
        assert_eq!(certificate.status, 200);
        assert_eq!(
            certificate.headers[header::CONTENT_TYPE],
            "application/pkix-cert"
        );
        Self {
            app,
            authority,
            authority_der: certificate.bytes,
        }
    }

    async fn list(&self, file: &str) -> Answer {
        self.app
            .public(Method::GET, &format!("/crl/{}/{file}", self.authority))
            .await
    }

    async fn issue(&self) -> Issued {
        let certificate = self.app.issue("device").await;
        let text = certificate["serial_number"].as_str().unwrap();
        let octets: Vec<u8> = (0..20)
            .map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
            .collect();
        Issued {
            path: format!(
                "/zones/{{zone}}/client_certificates/{}",
                certificate["id"].as_str().unwrap()
            ),
            serial: SerialNumber::from_bytes(octets.try_into().unwrap()),
        }
    }

    /// The status in an OCSP answer: good, revoked or unknown, by its tag.
    async fn status(&self, serial: SerialNumber) -> &'static str {
        let request = write_ocsp_request(&self.authority_der, &[serial], None).unwrap();
        let answer = self.app.public(Method::POST, "/ocsp").body(request).await;
        assert_eq!(
            (
                answer.status.as_u16(),
                &answer.headers[header::CONTENT_TYPE]
            ),
            (200, &"application/ocsp-response".parse().unwrap())
        );
        let at = find(&answer.bytes, serial.as_bytes()).expect("it is about the certificate") + 20;
        match answer.bytes[at] {
            0x80 => "good",
            0xa1 => "revoked",
            0x82 => "unknown",
            other => panic!("{other:#x}"),
        }
    }
}

struct Issued {
    path: String,
    serial: SerialNumber,
}

impl Issued {
    /// Returns the name of the certificate's shard.
    fn shard(&self) -> String {
        format!("{}.crl", self.serial.shard())
    }
}

fn pem_body(der: &[u8]) -> String {
    let pem = certgate_pki::pem_lines("X", der);
    pem.lines().filter(|line| !line.starts_with('-')).collect()
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

#[tokio::test]
async fn a_settled_revocation_is_on_both_its_crls_until_it_is_restored() {
    let setting = Setting::new().await;
    let (certificate, other) = (setting.issue().await, setting.issue().await);
    let on_lists = async || {
        let mut found = Vec::new();
        for file in [&certificate.shard(), "full.crl", "ca.crl"] {
            let list = setting.list(file).await;
            assert_eq!(list.headers[header::CONTENT_TYPE], "application/pkix-crl");
            assert_eq!(find(&list.bytes, other.serial.as_bytes()), None);
            found.push(find(&list.bytes, certificate.serial.as_bytes()).is_some());
        }
        found
    };
    let status = async || setting.app.get(&certificate.path).await.result()["status"].clone();
    assert_eq!(on_lists().await, [false, false, false]);

    setting.app.delete(&certificate.path).await.result();
    assert_eq!(
        (status().await, on_lists().await),
        (json!("pending_revocation"), vec![false, false, false])
    );
    setting.app.settle().await;
    assert_eq!(
        (status().await, on_lists().await),
        (json!("revoked"), vec![true, true, false])
    );

    setting.app.patch(&certificate.path).await.result();
    assert_eq!(
        (status().await, on_lists().await),
        (json!("pending_reactivation"), vec![true, true, false])
    );
    setting.app.settle().await;
    assert_eq!(
        (status().await, on_lists().await),
        (json!("active"), vec![false, false, false])
    );
}

#[tokio::test]
async fn an_unchanged_crl_is_not_sent_again() {
    let setting = Setting::new().await;
    let certificate = setting.issue().await;
    let first = setting.list("full.crl").await;
    assert_eq!(first.headers[header::CACHE_CONTROL], "public, max-age=300");
    assert!(first.headers.contains_key(header::EXPIRES));
    let (tag, since) = (
        &first.headers[header::ETAG],
        &first.headers[header::LAST_MODIFIED],
    );
    // Two lists can be of the same second, so the date decides nothing.
    let again = async |name, value: &str| {
        let path = format!("/crl/{}/full.crl", setting.authority);
        setting
            .app
            .public(Method::GET, &path)
            .header(name, value)
            .await
    };
    for value in [
        tag.to_str().unwrap(),
        "*",
        &format!("\"x\", W/{}", tag.to_str().unwrap()),
    ] {
        let answer = again("if-none-match", value).await;
        assert_eq!(
            (answer.status.as_u16(), answer.bytes.len()),
            (304, 0),
            "{value}"
        );
        assert_eq!(&answer.headers[header::ETAG], tag);
    }
    assert_eq!(again("if-none-match", "\"x\"").await.status, 200);
    assert_eq!(
        again("if-modified-since", since.to_str().unwrap())
            .await
            .status,
        200
    );

    setting.app.delete(&certificate.path).await.result();
    setting.app.settle().await;
    let changed = again("if-none-match", tag.to_str().unwrap()).await;
    assert_eq!(changed.status, 200);
    assert_ne!(&changed.headers[header::ETAG], tag);
}

#[tokio::test]
async fn only_crls_close_to_their_end_are_made_again() {
    let setting = Setting::new().await;
    let certificate = setting.issue().await;
    let tags = async || {
        let mut tags = Vec::new();
        for shard in 0..128 {
            tags.push(setting.list(&format!("{shard}.crl")).await.headers[header::ETAG].clone());
        }
        tags
    };
    let before = tags().await;
    setting.app.delete(&certificate.path).await.result();
    setting.app.settle().await;
    let after = tags().await;
    let changed: Vec<_> = (0..128)
        .filter(|shard| before[*shard] != after[*shard])
        .collect();
    assert_eq!(changed, [usize::from(certificate.serial.shard())]);

    setting.app.clock.advance_seconds(3 * DAY);
    setting.app.settle().await;
    assert_eq!(tags().await, after, "they have four days left");
    setting.app.clock.advance_seconds(2 * DAY);
    setting.app.settle().await;
    let renewed = tags().await;
    assert!((0..128).all(|shard| renewed[shard] != after[shard]));
}

#[tokio::test]
async fn the_bundle_has_every_crl_but_the_full_list() {
    let setting = Setting::new().await;
    let certificate = setting.issue().await;
    setting.app.delete(&certificate.path).await.result();
    setting.app.settle().await;
    let bundle = setting.list("bundle.pem").await;
    assert_eq!(bundle.status, 200);
    let text = String::from_utf8(bundle.bytes).unwrap();
    assert_eq!(text.matches("-----BEGIN X509 CRL-----\n").count(), 129);
    assert_eq!(text.matches("-----END X509 CRL-----\n").count(), 129);
    let tag = bundle.headers[header::ETAG].to_str().unwrap().to_owned();
    let path = format!("/crl/{}/bundle.pem", setting.authority);
    let again = async || {
        setting
            .app
            .public(Method::GET, &path)
            .header("if-none-match", &tag)
            .await
            .status
    };
    assert_eq!(again().await, 304);
    setting.app.patch(&certificate.path).await.result();
    setting.app.settle().await;
    assert_eq!(again().await, 200);
}

#[tokio::test]
async fn clients_ask_again_for_the_crls_of_a_new_ca() {
    let app = TestApp::new().await;
    let authority = app
        .get("/certgate/v1/accounts/{account}/managed_authority")
        .await
        .result();
    let path = |file| format!("/crl/{}/{file}", authority["id"].as_str().unwrap());
    let files = ["0.crl", "ca.crl", "full.crl", "bundle.pem"];
    for file in files {
        let early = app.public(Method::GET, &path(file)).await;
        assert_eq!(
            (early.status.as_u16(), &early.headers[header::RETRY_AFTER]),
            (503, &"1".parse().unwrap())
        );
    }
    app.settle().await;
    for file in files {
        assert_eq!(
            app.public(Method::GET, &path(file)).await.status,
            200,
            "{file}"
        );
    }
}

#[tokio::test]
async fn unknown_files_are_not_found() {
    let setting = Setting::new().await;
    let unknown = "00000000-0000-7000-8000-000000000000";
    for path in [
        format!("/crl/{}/128.crl", setting.authority),
        format!("/crl/{}/full.pem", setting.authority),
        format!("/crl/{unknown}/0.crl"),
        format!("/crl/{unknown}/bundle.pem"),
        "/crl/x/0.crl".to_owned(),
        format!("/ca/{unknown}.crt"),
        format!("/ca/{}", setting.authority),
        "/ca/%ff.crt".to_owned(),
    ] {
        let answer = setting.app.public(Method::GET, &path).await;
        assert!(
            matches!(answer.status.as_u16(), 400 | 404),
            "{path}: {}",
            answer.status
        );
    }
    // The public responder does not serve the management API.
    let answer = setting.app.public(Method::GET, "/client/v4/zones").await;
    assert_eq!(answer.status, 404);
}

#[tokio::test]
async fn a_final_revocation_cannot_be_undone() {
    let setting = Setting::new().await;
    let certificate = setting.issue().await;
    let revoke = |reason: Value| {
        let body = json!({ "reason": reason }).to_string();
        setting.app.delete(&certificate.path).body(body)
    };
    for (bad, pointer) in [(json!("stolen"), "/reason"), (json!(1), "/reason")] {
        let error = revoke(bad).await.error();
        assert_eq!(
            (error.status, error.code, error.pointer.as_deref()),
            (400, 9207, Some(pointer))
        );
    }
    revoke(json!("keyCompromise")).await.result();
    for _ in 0..2 {
        let error = setting.app.patch(&certificate.path).await.error();
        assert_eq!((error.status, error.code), (400, 1408), "{}", error.message);
        setting.app.settle().await;
    }
    let list = setting.list("full.crl").await.bytes;
    let at = find(&list, certificate.serial.as_bytes()).unwrap();
    // The reason ends the entry: 20 octets of serial number, 15 of date, 11 of headers and name of
    // the extension.
    assert_eq!(list[at + 20 + 15 + 11..][..3], [0x0a, 1, 1]);

    let held = setting.issue().await;
    setting
        .app
        .delete(&held.path)
        .body(json!({ "reason": "certificateHold" }).to_string())
        .await
        .result();
    setting.app.patch(&held.path).await.result();
}

#[tokio::test]
async fn a_hold_can_become_a_final_revocation() {
    let setting = Setting::new().await;
    let compromised = json!({ "reason": "keyCompromise" }).to_string();
    for settled in [false, true] {
        let certificate = setting.issue().await;
        setting.app.delete(&certificate.path).await.result();
        if settled {
            setting.app.settle().await;
        }
        let answer = setting
            .app
            .delete(&certificate.path)
            .body(compromised.clone())
            .await
            .result();
        assert_eq!(answer["status"], "pending_revocation", "settled: {settled}");
        assert_eq!(
            setting.app.patch(&certificate.path).await.error().code,
            1408
        );
        setting.app.settle().await;
        assert_eq!(
            setting.app.get(&certificate.path).await.result()["status"],
            "revoked"
        );
        assert_eq!(
            setting
                .app
                .delete(&certificate.path)
                .body(compromised.clone())
                .await
                .result()["status"],
            "revoked"
        );
        let list = setting.list("full.crl").await.bytes;
        let at = find(&list, certificate.serial.as_bytes()).unwrap();
        assert_eq!(list[at + 20 + 15 + 11..][..3], [0x0a, 1, 1], "its reason");
    }
}

#[tokio::test]
async fn cas_of_one_name_and_key_have_one_full_list() {
    let mut setting = Setting::new().await;
    let fixture = |name: &str| {
        let directory = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../pki/tests/fixtures/authorities"
        );
        std::fs::read_to_string(format!("{directory}/{name}")).unwrap()
    };
    // A certificate and one that was renewed with the same key.
    let mut authorities = Vec::new();
    let mut issued = Vec::new();
    for name in ["good.crt", "good_no_key_usage.crt"] {
        let body =
            json!({ "certificate": fixture(name), "private_key": fixture("good.pkcs8.key") });
        let path = "/certgate/v1/accounts/{account}/managed_authorities";
        let authority = setting.app.post(path, body).await.result();
        authorities.push(authority["id"].as_str().unwrap().to_owned());
        issued.push(setting.issue().await);
    }
    setting.app.delete(&issued[0].path).await.result();
    setting.app.settle().await;
    for authority in authorities {
        setting.authority_der = setting
            .app
            .public(Method::GET, &format!("/ca/{authority}.crt"))
            .await
            .bytes;
        setting.authority = authority;
        let list = setting.list("full.crl").await.bytes;
        let listed = issued
            .iter()
            .map(|one| find(&list, one.serial.as_bytes()).is_some());
        assert_eq!(listed.collect::<Vec<_>>(), [true, false]);
        assert_eq!(setting.status(issued[0].serial).await, "revoked");
        assert_eq!(setting.status(issued[1].serial).await, "good");
    }
}
