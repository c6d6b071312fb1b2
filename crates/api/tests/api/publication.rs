//! The public responder: CRLs, OCSP, certificates of CAs.

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
async fn ocsp_follows_a_change_immediately() {
    let setting = Setting::new().await;
    let certificate = setting.issue().await;
    assert_eq!(setting.status(certificate.serial).await, "good");
    setting.app.delete(&certificate.path).await.result();
    assert_eq!(setting.status(certificate.serial).await, "revoked");
    setting.app.settle().await;
    assert_eq!(setting.status(certificate.serial).await, "revoked");
    setting.app.patch(&certificate.path).await.result();
    assert_eq!(setting.status(certificate.serial).await, "good");
    setting.app.settle().await;
    assert_eq!(setting.status(certificate.serial).await, "good");
    assert_eq!(
        setting.status(SerialNumber::from_random([7; 20])).await,
        "unknown"
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
async fn ocsp_by_get_is_cacheable_and_ignores_the_nonce() {
    let setting = Setting::new().await;
    let certificate = setting.issue().await;
    let nonce = [0xee; 24];
    let request =
        write_ocsp_request(&setting.authority_der, &[certificate.serial], Some(&nonce)).unwrap();
    let text = pem_body(&request);
    let path = format!(
        "/ocsp/{}",
        text.replace('+', "%2B")
            .replace('/', "%2F")
            .replace('=', "%3D")
    );
    let by_get = setting.app.public(Method::GET, &path).await;
    assert_eq!(by_get.status, 200);
    let cache = by_get.headers[header::CACHE_CONTROL].to_str().unwrap();
    assert_eq!(cache, "max-age=3600, public, no-transform, must-revalidate");
    for name in [header::ETAG, header::LAST_MODIFIED, header::EXPIRES] {
        assert!(by_get.headers.contains_key(&name), "{name}");
    }
    assert!(find(&by_get.bytes, certificate.serial.as_bytes()).is_some());
    assert_eq!(find(&by_get.bytes, &nonce), None);
    let again = setting.app.public(Method::GET, &path).await;
    assert_eq!(again.bytes, by_get.bytes, "signed once");

    let by_post = setting
        .app
        .public(Method::POST, "/ocsp")
        .body(request)
        .await;
    assert!(find(&by_post.bytes, &nonce).is_some());
    assert_eq!(by_post.headers[header::CACHE_CONTROL], "no-cache");
}

/// Base64 without line ends.
fn pem_body(der: &[u8]) -> String {
    let pem = certgate_pki::pem_lines("X", der);
    pem.lines().filter(|line| !line.starts_with('-')).collect()
}

#[tokio::test]
async fn ocsp_refuses_malformed_requests_and_other_cas() {
    let setting = Setting::new().await;
    let failure = |answer: &Answer| {
        assert_eq!(answer.status, 200);
        let [0x30, 3, 0x0a, 1, code] = answer.bytes[..] else {
            panic!("{:x?}", answer.bytes)
        };
        code
    };
    for body in [&b""[..], b"x", &[0x30, 0x80], &[0; 20_000]] {
        let answer = setting.app.public(Method::POST, "/ocsp").body(body).await;
        assert_eq!(failure(&answer), 1);
    }
    for path in ["/ocsp/x", "/ocsp/%ff", "/ocsp/MAA="] {
        assert_eq!(
            failure(&setting.app.public(Method::GET, path).await),
            1,
            "{path}"
        );
    }

    // A CA of another installation.
    let elsewhere = Setting::new().await;
    let serial = SerialNumber::from_random([7; 20]);
    let request = write_ocsp_request(&elsewhere.authority_der, &[serial], None).unwrap();
    let answer = setting
        .app
        .public(Method::POST, "/ocsp")
        .body(request)
        .await;
    assert_eq!(failure(&answer), 6);
}

#[tokio::test]
async fn ocsp_answers_for_several_certificates() {
    let setting = Setting::new().await;
    let (first, second) = (setting.issue().await, setting.issue().await);
    setting.app.delete(&second.path).await.result();
    let serials = [first.serial, second.serial];
    let request = write_ocsp_request(&setting.authority_der, &serials, None).unwrap();
    let answer = setting
        .app
        .public(Method::POST, "/ocsp")
        .body(request)
        .await;
    let tags =
        serials.map(|serial| answer.bytes[find(&answer.bytes, serial.as_bytes()).unwrap() + 20]);
    assert_eq!(tags, [0x80, 0xa1]);
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

#[tokio::test]
async fn a_wrong_clock_leaves_no_trace() {
    let setting = Setting::new().await;
    let (first, second) = (setting.issue().await, setting.issue().await);
    setting.app.delete(&first.path).await.result();
    setting.app.settle().await;
    // Everything has expired, and been on two lists since.
    setting.app.clock.advance_seconds(400 * DAY);
    for _ in 0..2 {
        setting.app.settle().await;
        setting.app.clock.advance_seconds(5 * DAY);
    }
    setting.app.settle().await;
    assert_eq!(
        find(
            &setting.list("full.crl").await.bytes,
            first.serial.as_bytes()
        ),
        None
    );
    assert_eq!(setting.status(second.serial).await, "good");

    setting.app.clock.advance_seconds(-410 * DAY);
    setting.app.settle().await;
    for file in ["full.crl", &first.shard()] {
        let list = setting.list(file).await;
        assert!(
            find(&list.bytes, first.serial.as_bytes()).is_some(),
            "{file}"
        );
        assert_eq!(list.headers[header::CACHE_CONTROL], "public, max-age=300");
        // UTCTime of the clock that is right again: none of the lists is from the future.
        assert!(find(&list.bytes, b"\x17\x0d2608").is_some(), "{file}");
    }
    assert_eq!(setting.status(first.serial).await, "revoked");
    assert_eq!(setting.status(second.serial).await, "good");
}

#[tokio::test]
async fn a_clock_that_was_set_back_does_not_stop_the_responder() {
    const YEAR: i64 = 365 * DAY;
    for algorithm in ["P-256", "RSA-2048"] {
        for back in [15 * 60, 20 * 60, DAY, 10 * YEAR] {
            let mut setting = Setting::new().await;
            let rotate = "/certgate/v1/accounts/{account}/managed_authorities/rotate";
            let body = json!({ "algorithm": algorithm });
            let authority = setting.app.post(rotate, body).await.result();
            setting.authority = authority["id"].as_str().unwrap().to_owned();
            let certificate_path = format!("/ca/{}.crt", setting.authority);
            let certificate = setting.app.public(Method::GET, &certificate_path).await;
            setting.authority_der = certificate.bytes;
            // The CA is valid before and after the step.
            setting.app.clock.advance_seconds(11 * YEAR);
            let (good, revoked) = (setting.issue().await, setting.issue().await);
            setting.app.delete(&revoked.path).await.result();
            setting.app.settle().await;
            // An answer that was signed before the step is not used after it.
            assert_eq!(setting.status(good.serial).await, "good");

            setting.app.clock.advance_seconds(-back);
            let request = write_ocsp_request(&setting.authority_der, &[good.serial], None).unwrap();
            let text = pem_body(&request).replace('+', "%2B").replace('/', "%2F");
            let ocsp = format!("/ocsp/{}", text.replace('=', "%3D"));
            let lists = ["0.crl", "127.crl", "full.crl", "ca.crl", "bundle.pem"];
            let lists = lists.map(|file| format!("/crl/{}/{file}", setting.authority));
            for is_settled in [false, true] {
                if is_settled {
                    setting.app.settle().await;
                }
                let now = setting.app.clock.now();
                for path in lists.iter().chain([&certificate_path, &ocsp]) {
                    let shown = format!("{algorithm}, {back} s back, {is_settled}: {path}");
                    let answer = setting.app.public(Method::GET, path).await;
                    assert_eq!(answer.status, 200, "{shown}");
                    let seconds = max_age(&answer);
                    let longest = if *path == ocsp { 3600 } else { 86_400 };
                    assert!((0..=longest).contains(&seconds), "{shown}: {seconds}");
                    let modified = answer.headers[header::LAST_MODIFIED].to_str().unwrap();
                    let modified = httpdate::parse_http_date(modified).unwrap();
                    let modified = modified.duration_since(UNIX_EPOCH).unwrap().as_secs();
                    assert!(modified <= now.unix().unsigned_abs(), "{shown}");
                    let tag = answer.headers[header::ETAG].to_str().unwrap();
                    let again = setting.app.public(Method::GET, path);
                    let again = again.header("if-none-match", tag).await;
                    let expected = if *path == ocsp { 200 } else { 304 };
                    assert_eq!(again.status, expected, "{shown}");
                }
                assert_eq!(setting.status(good.serial).await, "good");
                assert_eq!(setting.status(revoked.serial).await, "revoked");
            }
        }
    }
}

fn max_age(answer: &Answer) -> i64 {
    let cache = answer.headers[header::CACHE_CONTROL].to_str().unwrap();
    let seconds = cache
        .split(", ")
        .find_map(|part| part.strip_prefix("max-age="));
    seconds.unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_ca_that_cannot_sign_does_not_delay_other_cas() {
    let mut setting = Setting::new().await;
    let app = &setting.app;
    let account = app
        .post("/accounts", json!({ "name": "other" }))
        .await
        .result();
    let zone = json!({ "name": "other.example", "account": { "id": account["id"] } });
    let zone = app.post("/zones", zone).await.result();
    let path = format!(
        "/zones/{}/client_certificates",
        zone["id"].as_str().unwrap()
    );
    let body = json!({ "csr": certgate_testkit::csr("other"), "validity_days": 1 });
    let broken = app.post(&path, body).await.result();
    app.store
        .damage("UPDATE authorities SET sealed_key = x'00' WHERE number = 2")
        .await
        .unwrap();
    // A key that is loaded already stays usable.
    setting.app = setting.app.restart().await;
    let app = &setting.app;

    let whole = setting.issue().await;
    let broken = format!("{path}/{}", broken["id"].as_str().unwrap());
    for path in [&broken, &whole.path] {
        assert_eq!(
            app.delete(path).await.result()["status"],
            "pending_revocation"
        );
    }
    assert_eq!(
        app.service.settler.settle_all().await.unwrap(),
        Settling::ListsMissing
    );
    assert_eq!(app.get(&whole.path).await.result()["status"], "revoked");
    assert_eq!(
        app.get(&broken).await.result()["status"],
        "pending_revocation"
    );
}

#[tokio::test]
async fn a_crl_that_cannot_be_made_does_not_delay_other_crls() {
    let setting = Setting::new().await;
    let app = &setting.app;
    let account = app
        .post("/accounts", json!({ "name": "other" }))
        .await
        .result();
    let path = format!(
        "/certgate/v1/accounts/{}/managed_authority",
        account["id"].as_str().unwrap()
    );
    let whole = app.get(&path).await.result();
    app.settle().await;
    let tags = async || {
        let mut tags = Vec::new();
        for authority in [&setting.authority, whole["id"].as_str().unwrap()] {
            let list = app
                .public(Method::GET, &format!("/crl/{authority}/127.crl"))
                .await;
            tags.push(list.headers[header::ETAG].clone());
        }
        tags
    };
    let before = tags().await;
    let obstruction = "CREATE TRIGGER obstruction BEFORE UPDATE ON crl_states WHEN NEW.authority = 1 \
                       BEGIN SELECT raise(ABORT, 'obstructed'); END";
    app.store.damage(obstruction).await.unwrap();
    app.clock.advance_seconds(5 * DAY);
    app.service.settler.settle_all().await.unwrap();
    let after = tags().await;
    assert_eq!(
        (after[0] == before[0], after[1] == before[1]),
        (true, false)
    );
}

#[tokio::test]
async fn an_expired_ca_does_not_answer() {
    for algorithm in ["P-256", "RSA-2048"] {
        let mut setting = Setting::new().await;
        let rotate = "/certgate/v1/accounts/{account}/managed_authorities/rotate";
        let authority = setting
            .app
            .post(rotate, json!({ "algorithm": algorithm }))
            .await
            .result();
        let path = format!("/ca/{}.crt", authority["id"].as_str().unwrap());
        setting.authority_der = setting.app.public(Method::GET, &path).await.bytes;
        let certificate = setting.issue().await;
        setting.app.clock.advance_seconds((30 * 365 - 1) * DAY);
        assert_eq!(
            setting.status(certificate.serial).await,
            "good",
            "{algorithm}"
        );
        setting.app.clock.advance_seconds(DAY);
        let request =
            write_ocsp_request(&setting.authority_der, &[certificate.serial], None).unwrap();
        let answer = setting
            .app
            .public(Method::POST, "/ocsp")
            .body(request)
            .await;
        assert_eq!(answer.bytes, [0x30, 3, 0x0a, 1, 3], "{algorithm}");
    }
}

#[tokio::test]
async fn one_of_several_processes_settles() {
    let app = TestApp::new().await;
    let certificate = app.issue("device").await;
    let path = format!(
        "/zones/{{zone}}/client_certificates/{}",
        certificate["id"].as_str().unwrap()
    );
    let (now, other) = (app.clock.now(), [0x77; 16]);
    assert!(
        app.store
            .hold_lease(BackgroundJob::Settling, other, now, now.plus_seconds(20))
            .await
            .unwrap()
    );
    app.delete(&path).await.result();
    assert_eq!(
        app.service.settler.settle_all().await.unwrap(),
        Settling::LeftToOthers
    );
    assert_eq!(
        app.get(&path).await.result()["status"],
        "pending_revocation"
    );

    // The other process was killed.
    app.clock.advance_seconds(20);
    app.settle().await;
    assert_eq!(app.get(&path).await.result()["status"], "revoked");
    let now = app.clock.now();
    assert!(
        !app.store
            .hold_lease(BackgroundJob::Settling, other, now, now.plus_seconds(20))
            .await
            .unwrap()
    );
    app.service.settler.release_lease().await.unwrap();
    assert!(
        app.store
            .hold_lease(BackgroundJob::Settling, other, now, now.plus_seconds(20))
            .await
            .unwrap()
    );
    assert_eq!(
        app.service.settler.settle_all().await.unwrap(),
        Settling::LeftToOthers
    );
}
