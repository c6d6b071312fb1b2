//! EST: `/.well-known/est/{label}`.

use base64ct::{Base64, Encoding};
use certgate_model::KeyAlgorithm;
use certgate_pki::ClientKey;
use certgate_testkit::{Answer, TestApp};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use x509_cert::der::Decode;

/// Returns the octets of a PEM block.
fn der(pem: &str) -> Vec<u8> {
    let lines = pem.lines().filter(|line| !line.starts_with('-'));
    Base64::decode_vec(&lines.collect::<String>()).unwrap()
}

fn certificate_of(object: &Value) -> Vec<u8> {
    der(object["certificate"].as_str().unwrap())
}

/// Returns the certificates of a certs-only answer.
fn certificates(answer: &Answer) -> Vec<Vec<u8>> {
    let text = String::from_utf8(answer.bytes.clone()).unwrap();
    assert_eq!(answer.status, StatusCode::OK, "{text}");
    let kind = "application/pkcs7-mime; smime-type=certs-only";
    assert_eq!(answer.headers["content-type"], kind);
    assert_eq!(answer.headers["content-transfer-encoding"], "base64");
    // strongSwan does not skip line breaks.
    let message = Base64::decode_vec(&text).unwrap();
    // The certificates begin where the set of certificates does, and end before the empty set of
    // signatures.
    let data = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1];
    let at = message
        .windows(data.len())
        .position(|part| part == data)
        .unwrap()
        + data.len();
    let mut rest = &message[at..message.len() - 2];
    let header = if rest[1] < 0x80 {
        2
    } else {
        2 + usize::from(rest[1] & 0x7f)
    };
    rest = &rest[header..];
    let mut found = Vec::new();
    while !rest.is_empty() {
        let length = 4 + usize::from(rest[2]) * 256 + usize::from(rest[3]);
        found.push(rest[..length].to_vec());
        rest = &rest[length..];
    }
    for der in &found {
        x509_cert::Certificate::from_der(der).unwrap();
    }
    found
}

fn refused(answer: &Answer) -> (u16, String) {
    let text = String::from_utf8(answer.bytes.clone()).unwrap();
    assert_eq!(
        answer.headers["content-type"], "text/plain; charset=utf-8",
        "{text}"
    );
    assert!(text.ends_with('\n') && !text.starts_with(|first: char| first.is_lowercase()));
    (answer.status.as_u16(), text)
}

/// A client with a key and a certificate.
struct Client {
    certificate: Vec<u8>,
    id: String,
}

impl Client {
    async fn new(app: &TestApp, name: &str) -> Self {
        Self::of(&app.issue(name).await)
    }

    fn of(object: &Value) -> Self {
        Self {
            certificate: certificate_of(object),
            id: object["id"].as_str().unwrap().to_owned(),
        }
    }

    /// Renews the certificate with this CSR (PEM).
    async fn renew(&self, app: &TestApp, csr: &str) -> Answer {
        app.est(Method::POST, "simplereenroll")
            .with_certificates([self.certificate.clone()])
            .body(csr)
            .header("content-type", "application/pkcs10")
            .await
    }
}

/// Returns the newest certificate of the zone.
async fn newest(app: &TestApp) -> Value {
    let list = app
        .get("/zones/{zone}/client_certificates?per_page=5")
        .await;
    list.result()[0].clone()
}

async fn object(app: &TestApp, id: &str) -> Value {
    let path = format!("/zones/{{zone}}/client_certificates/{id}");
    app.get(&path).await.result()
}

#[tokio::test]
async fn cacerts_has_the_active_ca_first() {
    let app = TestApp::new().await;
    let first = certificates(&app.est(Method::GET, "cacerts").await);
    assert_eq!(first.len(), 1);
    let path = "/certgate/v1/accounts/{account}/managed_authorities/rotate";
    let rotated = app.post(path, json!({})).await.result();
    let both = certificates(&app.est(Method::GET, "cacerts").await);
    assert_eq!(both, [certificate_of(&rotated), first[0].clone()]);
    // strongSwan puts the path of its address first.
    let prefixed = app.enrolment(Method::GET, "/EXAMPLE.com/.well-known/est/cacerts");
    assert_eq!(certificates(&prefixed.await), both);
    let answer = app
        .public(Method::GET, "/.well-known/est/example.com/cacerts")
        .await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_renewal_replaces_the_certificate() {
    let app = TestApp::new().await;
    let client = Client::new(&app, "device-1").await;
    let answer = client.renew(&app, &certgate_testkit::csr("device-1")).await;
    let renewed = certificates(&answer);
    let new = newest(&app).await;
    assert_eq!(renewed, [certificate_of(&new)]);
    assert_eq!(new["certgate"], json!({ "replaces": client.id }));
    let old = object(&app, &client.id).await;
    assert_eq!(old["certgate"], json!({ "replaced_by": new["id"] }));
    assert_eq!(old["status"], "active");
    let lifetime = |one: &Value| {
        let at = |name: &str| one[name].as_str().unwrap().to_owned();
        (
            at("issued_on"),
            at("expires_on"),
            one["validity_days"].clone(),
        )
    };
    assert_eq!(lifetime(&new), lifetime(&old), "the clock stands still");
    // Certificates without a line have no member of their own.
    assert_eq!(app.issue("other").await.get("certgate"), None);
    let log = "/accounts/{account}/logs/audit?since=2000-01-01&before=2100-01-01";
    let entries = app.get(log).await.json();
    let entry = entries["result"]
        .as_array()
        .unwrap()
        .iter()
        .find(|entry| entry["resource"]["id"] == new["id"]);
    assert_eq!(entry.unwrap()["actor"]["type"], "certificate", "{entries}");
    assert_eq!(entry.unwrap()["actor"]["id"], client.id.as_str());
}

#[tokio::test]
async fn a_replaced_certificate_cannot_be_renewed_again_except_by_the_same_request() {
    let app = TestApp::new().await;
    let client = Client::new(&app, "device-1").await;
    let key = ClientKey::generate(KeyAlgorithm::P256).unwrap();
    let subject = certgate_model::SubjectFields {
        common_name: "device-1".to_owned(),
        ..Default::default()
    };
    let first = certificates(&client.renew(&app, &key.request(&subject).unwrap()).await);
    // The answer was lost: the same key gets the same certificate, also with another signature.
    let again = certificates(&client.renew(&app, &key.request(&subject).unwrap()).await);
    assert_eq!(first, again);
    let other = client.renew(&app, &certgate_testkit::csr("device-1")).await;
    let (status, text) = refused(&other);
    let new = newest(&app).await;
    assert_eq!(status, 403);
    assert!(text.contains("was replaced by") && text.contains(new["id"].as_str().unwrap()));
    // The new one may not be renewed at once.
    let new = Client::of(&new);
    let answer = new.renew(&app, &certgate_testkit::csr("device-1")).await;
    assert_eq!(refused(&answer).0, 429);
    let seconds: i64 = answer.headers["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=61).contains(&seconds), "{seconds}");
    app.clock.advance_seconds(seconds);
    certificates(&new.renew(&app, &certgate_testkit::csr("device-1")).await);
}

#[tokio::test]
async fn revoked_foreign_and_missing_certificates_are_refused() {
    let app = TestApp::new().await;
    let client = Client::new(&app, "device-1").await;
    let csr = certgate_testkit::csr("device-1");
    let path = format!("/zones/{{zone}}/client_certificates/{}", client.id);
    app.delete(&path).await.result();
    let (status, text) = refused(&client.renew(&app, &csr).await);
    assert_eq!(status, 403);
    assert!(text.contains("revoked (certificateHold)"), "{text}");
    let without = app
        .est(Method::POST, "simplereenroll")
        .body(csr.as_str())
        .await;
    let (status, text) = refused(&without);
    assert!(
        status == 403 && text.contains("no client certificate"),
        "{text}"
    );
    // One octet of the signature differs.
    let mut forged = Client::new(&app, "device-2").await;
    *forged.certificate.last_mut().unwrap() ^= 1;
    let (status, text) = refused(&forged.renew(&app, &certgate_testkit::csr("device-2")).await);
    assert!(status == 403 && text.contains("did not issue"), "{text}");
    for malformed in [vec![], vec![0x30], vec![0xff; 300]] {
        let client = Client {
            certificate: malformed,
            id: String::new(),
        };
        assert_eq!(refused(&client.renew(&app, &csr).await).0, 403);
    }
    for label in ["other.example", "%ff", "example.com/x"] {
        let answer = app.est_of(label, Method::POST, "simplereenroll").await;
        assert_eq!(refused(&answer).0, 404, "{label}");
    }
}

#[tokio::test]
async fn an_expired_certificate_cannot_be_renewed() {
    let app = TestApp::new().await;
    let client = Client::new(&app, "device-1").await;
    app.clock.advance_seconds(366 * 86_400);
    let (status, text) = refused(&client.renew(&app, &certgate_testkit::csr("device-1")).await);
    assert!(status == 403 && text.contains("is valid from"), "{text}");
}

#[tokio::test]
async fn the_subject_must_be_the_same() {
    let app = TestApp::new().await;
    let client = Client::new(&app, "device-1").await;
    for name in ["device-2", "Device-1", "device-1 ", ""] {
        let (status, text) = refused(&client.renew(&app, &certgate_testkit::csr(name)).await);
        assert_eq!(status, 400, "{name}: {text}");
    }
    let more = certgate_testkit::csr_with_subject(&certgate_model::SubjectFields {
        common_name: "device-1".to_owned(),
        organization: "admins".to_owned(),
        ..Default::default()
    });
    let (status, text) = refused(&client.renew(&app, &more).await);
    assert!(
        status == 400 && text.contains("subject of the CSR is not"),
        "{text}"
    );
}

#[tokio::test]
async fn the_base64_of_a_request_has_any_form() {
    let app = TestApp::new().await;
    let csr = certgate_testkit::csr("device-1");
    let lines: Vec<_> = csr.lines().filter(|line| !line.starts_with('-')).collect();
    let odd: Vec<_> = lines.concat().chars().map(String::from).collect();
    let forms = [
        csr.clone(),
        lines.concat(),
        lines.join("\r\n") + "\r\n",
        odd.join("\n"),
    ];
    for (number, form) in forms.iter().enumerate() {
        let client = Client::new(&app, "device-1").await;
        let mut call = app
            .est(Method::POST, "simplereenroll")
            .with_certificates([client.certificate.clone()])
            .body(form.as_str());
        if number == 1 {
            call = call.header("content-transfer-encoding", "quoted-printable");
        }
        certificates(&call.await);
    }
    let client = Client::new(&app, "device-1").await;
    for (body, status, part) in [
        (der(&csr), 400, "openssl base64"),
        (b"not a CSR".to_vec(), 400, "CSR"),
        (Vec::new(), 400, "CSR"),
        (vec![b'M'; 100_000], 413, "65536"),
        (vec![0xff; 10], 400, "binary"),
    ] {
        let answer = app
            .est(Method::POST, "simplereenroll")
            .with_certificates([client.certificate.clone()])
            .body(body)
            .await;
        let (found, text) = refused(&answer);
        assert!(found == status && text.contains(part), "{text}");
    }
}

const RULES: &str = "/certgate/v1/zones/{zone}/issuance_rules";

/// Another certgate is the CA of a manufacturer, whose clients may enrol. Returns it with the ID of
/// its upload.
async fn manufacturer(app: &TestApp) -> (TestApp, String) {
    let other = TestApp::new().await;
    let ca = "/certgate/v1/accounts/{account}/managed_authority";
    other.issue("first").await;
    let certificate = other.get(ca).await.result()["certificate"].clone();
    let body = json!({ "certificates": certificate, "ca": true });
    let uploads = "/accounts/{account}/mtls_certificates";
    let uploaded = app.post(uploads, body).await.result();
    let id = uploaded["id"].as_str().unwrap().to_owned();
    (other, id)
}

async fn enrol(app: &TestApp, certificate: &[u8], name: &str) -> Answer {
    app.est(Method::POST, "simpleenroll")
        .with_certificates([certificate.to_vec()])
        .body(certgate_testkit::csr(name))
        .await
}

#[tokio::test]
async fn a_client_of_a_trusted_ca_enrols_under_its_name() {
    let app = TestApp::new().await;
    let (maker, id) = manufacturer(&app).await;
    let device = Client::new(&maker, "SN-1").await.certificate;
    let (status, text) = refused(&enrol(&app, &device, "SN-1").await);
    assert!(status == 403 && text.contains("No trusted CA"), "{text}");

    let rules = json!({ "enrolment": { "trusted_cas": [id], "lifetime": "8h" } });
    let set = app.put(RULES, rules).await.result();
    assert_eq!(
        set["enrolment"],
        json!({ "trusted_cas": [id], "lifetime": 28_800 })
    );
    let enrolled = certificates(&enrol(&app, &device, "SN-1").await);
    let made = newest(&app).await;
    assert_eq!(enrolled, [certificate_of(&made)]);
    assert_eq!(
        (&made["common_name"], made["validity_days"].as_u64()),
        (&json!("SN-1"), Some(1))
    );
    for name in ["SN-2", "sn-1", ""] {
        let (status, text) = refused(&enrol(&app, &device, name).await);
        assert!(status == 400 && text.contains("SN-1"), "{text}");
    }
    // The certificate of the zone renews, and does not enrol; that of the maker does not renew.
    let (status, text) = refused(&enrol(&app, &enrolled[0], "SN-1").await);
    assert!(status == 403 && text.contains("simplereenroll"), "{text}");
    let client = Client {
        certificate: device.clone(),
        id,
    };
    assert_eq!(
        refused(&client.renew(&app, &certgate_testkit::csr("SN-1")).await).0,
        403
    );
    let mut forged = device.clone();
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(refused(&enrol(&app, &forged, "SN-1").await).0, 403);
    assert_eq!(refused(&enrol(&app, &[0x30, 0], "SN-1").await).0, 403);
    app.clock.advance_seconds(366 * 86_400);
    let (status, text) = refused(&enrol(&app, &device, "SN-1").await);
    assert!(status == 403 && text.contains("is valid from"), "{text}");
}

#[tokio::test]
async fn rules_of_enrolment_are_checked() {
    let app = TestApp::new().await;
    let unknown = "0199f0c3-7f0a-7c1e-9d57-5f0a3c1b2d4e";
    let (_, id) = manufacturer(&app).await;
    for (enrolment, pointer) in [
        (
            json!({ "trusted_cas": [unknown] }),
            "/enrolment/trusted_cas/0",
        ),
        (
            json!({ "trusted_cas": [id, unknown] }),
            "/enrolment/trusted_cas/1",
        ),
        (json!({ "trusted_cas": [] }), "/enrolment/trusted_cas"),
        (
            json!({ "trusted_cas": vec![unknown; 11] }),
            "/enrolment/trusted_cas",
        ),
        (json!({ "lifetime": "59m" }), "/enrolment/lifetime"),
        (
            json!({ "revoke_replaced_after": 1 }),
            "/enrolment/revoke_replaced_after",
        ),
    ] {
        let error = app
            .put(RULES, json!({ "enrolment": enrolment }))
            .await
            .error();
        assert_eq!(
            (error.status, error.pointer.as_deref()),
            (400, Some(pointer))
        );
    }
    let token = json!({
        "name": "t",
        "policies": [],
        "issuance_rules": { "enrolment": { "lifetime": "8h" } },
    });
    let error = app.post("/user/tokens", token).await.error();
    assert_eq!(error.pointer.as_deref(), Some("/issuance_rules/enrolment"));
}

#[tokio::test]
async fn a_replaced_certificate_is_revoked_after_the_time_of_the_rule() {
    let app = TestApp::new().await;
    let client = Client::new(&app, "device-1").await;
    let rules = json!({ "enrolment": { "revoke_replaced_after": "2h", "lifetime": "1d" } });
    app.put(RULES, rules).await.result();
    certificates(&client.renew(&app, &certgate_testkit::csr("device-1")).await);
    let new = newest(&app).await;
    assert_eq!(new["validity_days"], 1);
    app.clock.advance_seconds(7_199);
    app.settle().await;
    assert_eq!(object(&app, &client.id).await["status"], "active");
    app.clock.advance_seconds(1);
    app.settle().await;
    assert_eq!(object(&app, &client.id).await["status"], "revoked");
    assert_eq!(
        object(&app, new["id"].as_str().unwrap()).await["status"],
        "active"
    );
    let path = format!(
        "/certgate/v1/zones/{{zone}}/client_certificates/{}/history",
        client.id
    );
    let history = app.get(&path).await.result();
    let revoked = history
        .as_array()
        .unwrap()
        .iter()
        .find(|event| event["action"] == "revoked");
    let revoked = revoked.unwrap();
    assert_eq!(
        (&revoked["reason"], &revoked["actor"]["type"]),
        (&json!("superseded"), &json!("system"))
    );
    // Nothing is left to do.
    app.settle().await;
    assert_eq!(app.get(&path).await.result(), history);
}

#[tokio::test]
async fn a_renewal_keeps_the_limit_of_active_certificates() {
    let app = TestApp::new().await;
    app.put(
        RULES,
        json!({ "active_per_name": 1, "certificates_per_day": 2 }),
    )
    .await
    .result();
    let client = Client::new(&app, "device-1").await;
    certificates(&client.renew(&app, &certgate_testkit::csr("device-1")).await);
    // The limit of a day counts renewals.
    app.clock.advance_seconds(61);
    let new = Client::of(&newest(&app).await);
    let answer = new.renew(&app, &certgate_testkit::csr("device-1")).await;
    assert!(refused(&answer).1.contains("certificates_per_day"));
}

#[tokio::test]
async fn lists_show_the_newest_of_each_line_or_the_replaced() {
    let app = TestApp::new().await;
    let ids = |list: Value| {
        let list = list.as_array().unwrap().clone();
        list.iter()
            .map(|one| {
                one["common_name"].as_str().unwrap().to_owned() + one["id"].as_str().unwrap()
            })
            .collect::<Vec<_>>()
    };
    let mut old = Vec::new();
    for name in ["a", "b", "c"] {
        let client = Client::new(&app, name).await;
        if name != "c" {
            certificates(&client.renew(&app, &certgate_testkit::csr(name)).await);
            old.push(format!("{name}{}", client.id));
        }
    }
    let path = "/zones/{zone}/client_certificates";
    let replaced = ids(app.get(&format!("{path}?replaced=true")).await.result());
    old.reverse();
    assert_eq!(replaced, old);
    for query in [
        "replaced=false",
        "replaced=false&status=all",
        "replaced=false&order=common_name",
    ] {
        let answer = app.get(&format!("{path}?{query}")).await;
        let newest = ids(answer.result());
        assert_eq!(newest.len(), 3, "{query}");
        assert!(newest.iter().all(|one| !old.contains(one)), "{query}");
        assert_eq!(answer.json()["result_info"]["total_count"], 3);
    }
    let summary = app.get("/certgate/v1/zones/{zone}/summary").await.result();
    let active = |member: &str| summary[member]["active"].as_u64();
    assert_eq!((active("totals"), active("replaced")), (Some(5), Some(2)));
    let error = app.get(&format!("{path}?replaced=maybe")).await.error();
    assert_eq!(error.status, 400);
}

#[tokio::test]
async fn csrattrs_are_those_of_the_rules() {
    let app = TestApp::new().await;
    let none = app.est(Method::GET, "csrattrs").await;
    assert_eq!((none.status, none.bytes.len()), (StatusCode::NO_CONTENT, 0));
    app.put(RULES, json!({ "key_types": ["P-384"] }))
        .await
        .result();
    let answer = app.est(Method::GET, "csrattrs").await;
    assert_eq!(answer.headers["content-type"], "application/csrattrs");
    // SEQUENCE { SEQUENCE { id-ecPublicKey, SET { secp384r1 } } }
    assert_eq!(answer.bytes, b"MBQwEgYHKoZIzj0CATEHBgUrgQQAIg==");
}

/// The answers to each kind of client. The token of the request plays no part.
#[tokio::test]
async fn each_operation_is_for_its_clients() {
    let app = TestApp::new().await;
    let (maker, id) = manufacturer(&app).await;
    app.put(RULES, json!({ "enrolment": { "trusted_cas": [id] } }))
        .await
        .result();
    let stranger = TestApp::new().await;
    let revoked = Client::new(&app, "d").await;
    app.delete(&format!(
        "/zones/{{zone}}/client_certificates/{}",
        revoked.id
    ))
    .await
    .result();
    let clients = [
        ("none", None),
        (
            "of the zone",
            Some(Client::new(&app, "d").await.certificate),
        ),
        ("revoked", Some(revoked.certificate)),
        (
            "of the maker",
            Some(Client::new(&maker, "d").await.certificate),
        ),
        (
            "of a stranger",
            Some(Client::new(&stranger, "d").await.certificate),
        ),
    ];
    for (operation, method, expected) in [
        ("cacerts", Method::GET, [200, 200, 200, 200, 200]),
        ("csrattrs", Method::GET, [204, 204, 204, 204, 204]),
        ("simpleenroll", Method::POST, [401, 403, 403, 200, 403]),
        ("simplereenroll", Method::POST, [403, 200, 403, 403, 403]),
        ("serverkeygen", Method::POST, [404, 404, 404, 404, 404]),
        ("simpleenroll", Method::GET, [405, 405, 405, 405, 405]),
    ] {
        for ((client, certificate), status) in clients.iter().zip(expected) {
            let mut call = app
                .est(method.clone(), operation)
                .body(certgate_testkit::csr("d"))
                .header("authorization", &format!("Bearer {}", app.token));
            if let Some(certificate) = certificate {
                call = call.with_certificates([certificate.clone()]);
            }
            let answer = call.await;
            assert_eq!(answer.status.as_u16(), status, "{operation} {client}");
            // BouncyCastle gives up after a challenge with a body.
            assert_eq!(answer.bytes.is_empty(), matches!(status, 204 | 401));
        }
    }
}
