//! The configuration of enforcement points, the announcements of its changes, and the binary form of
//! the revoked certificates.

use std::collections::{BTreeMap, BTreeSet};

use certgate_testkit::{TestApp, csr, uploaded};
use http::Method;
use serde_json::{Value, json};
use x509_cert::Certificate;
use x509_cert::der::DecodePem;

const VIEW: &str = "/certgate/v1/accounts/{account}/enforcement";
const CHANGES: &str = "/certgate/v1/accounts/{account}/revocation_changes";
const REVOCATIONS: &str = "/certgate/v1/accounts/{account}/revocations";
const AUTHORITIES: &str = "/certgate/v1/accounts/{account}/managed_authorities";
const UPLOADS: &str = "/accounts/{account}/mtls_certificates";
const HOSTNAMES: &str = "/zones/{zone}/certificate_authorities/hostname_associations";
const BINARY: &str = "application/vnd.certgate.revocations";

fn id(object: &Value) -> String {
    object["id"].as_str().unwrap().to_owned()
}

/// Checks that a write is announced to a request that waits, and that the view then has its epoch.
async fn announced(app: &TestApp, what: &str, write: impl Future<Output = ()>) {
    let before = app.get(VIEW).await.result()["epoch"].clone();
    let path = format!("{CHANGES}?after={before}&wait_seconds=20");
    let waiting = async { app.get(&path).await.result() };
    let (told, ()) = tokio::join!(waiting, write);
    let epoch = before.as_u64().unwrap() + 1;
    let expected = json!({
        "epoch": epoch,
        "changes": [{ "epoch": epoch, "configuration": true }],
    });
    assert_eq!(told, expected, "{what}");
    assert_eq!(app.get(VIEW).await.result()["epoch"], epoch, "{what}");
}

#[tokio::test]
async fn every_change_of_hostnames_and_cas_is_announced_and_in_the_view() {
    let app = TestApp::new().await;
    let empty = json!({ "epoch": 0, "hostnames": [], "certificate_authorities": [] });
    assert_eq!(app.get(VIEW).await.result(), empty);

    announced(&app, "the first CA", async {
        app.issue("device").await;
    })
    .await;
    announced(&app, "a rotation", async {
        let path = format!("{AUTHORITIES}/rotate");
        app.call(Method::POST, &path).await.result();
    })
    .await;
    announced(&app, "an upload", async {
        let body = json!({ "certificates": uploaded("good_chain_backwards.certs"), "ca": true });
        app.post(UPLOADS, body).await.result();
    })
    .await;
    announced(&app, "hostnames", async {
        let body = json!({ "hostnames": ["b.example.com", "A.example.com"] });
        app.put(HOSTNAMES, body).await.result();
    })
    .await;
    let list = app.get(UPLOADS).await.result();
    let partner = id(&list[0]);
    announced(&app, "hostnames of an uploaded CA", async {
        let body = json!({ "hostnames": ["a.example.com"], "mtls_certificate_id": partner });
        app.put(HOSTNAMES, body).await.result();
    })
    .await;

    let managed = app.get(AUTHORITIES).await.result();
    let ids = [id(&managed[0]), id(&managed[1])];
    let view = app.get(VIEW).await.result();
    let expected = json!([
        {
            "hostname": "a.example.com",
            "zone_id": app.zone_id,
            "certificate_authorities": [partner, ids[0], ids[1]],
        },
        {
            "hostname": "b.example.com",
            "zone_id": app.zone_id,
            "certificate_authorities": ids,
        },
    ]);
    assert_eq!(view["hostnames"], expected);
    let cas = view["certificate_authorities"].as_array().unwrap();
    for (at, state) in [(0, "active"), (1, "superseded")] {
        let public_url = managed[at]["public_url"].as_str().unwrap();
        let expected = json!({
            "id": ids[at],
            "name": managed[at]["name"],
            "kind": "managed",
            "state": state,
            "certificate": format!("{}\n", managed[at]["certificate"].as_str().unwrap()),
            "intermediates": [],
            "crl_bundle_url": format!("{public_url}/crl/{}/bundle.pem", ids[at]),
        });
        assert_eq!(cas[at], expected);
    }
    is_chain(&cas[2], &partner);
    assert_eq!(cas.len(), 3);

    announced(&app, "an empty list", async {
        let body = json!({ "hostnames": [], "mtls_certificate_id": partner });
        app.put(HOSTNAMES, body).await.result();
    })
    .await;
    announced(&app, "a deletion", async {
        app.delete(&format!("{UPLOADS}/{partner}")).await.result();
    })
    .await;
    let view = app.get(VIEW).await.result();
    assert_eq!(view["certificate_authorities"].as_array().unwrap().len(), 2);
}

/// Checks an uploaded CA: its certificate is the one that no other of its chain names as issuer.
fn is_chain(ca: &Value, partner: &str) {
    assert_eq!(
        (&ca["id"], &ca["kind"], &ca["state"], &ca["crl_bundle_url"]),
        (
            &json!(partner),
            &json!("uploaded"),
            &json!("active"),
            &Value::Null
        )
    );
    let read = |pem: &Value| {
        let certificate = Certificate::from_pem(pem.as_str().unwrap()).unwrap();
        let tbs = certificate.tbs_certificate();
        (tbs.subject().clone(), tbs.issuer().clone())
    };
    let (subject, issuer) = read(&ca["certificate"]);
    let others = ca["intermediates"].as_array().unwrap().iter().map(read);
    let others: Vec<_> = others.collect();
    assert!(others.iter().all(|(_, issuer)| *issuer != subject));
    assert!(others.iter().any(|(subject, _)| *subject == issuer));
}

#[tokio::test]
async fn the_view_of_an_account_has_nothing_of_others_and_a_deleted_zone_is_announced() {
    let app = TestApp::new().await;
    let other = id(&app
        .post("/accounts", json!({ "name": "other" }))
        .await
        .result());
    let zone = json!({ "name": "other.example", "account": { "id": other } });
    let zone = id(&app.post("/zones", zone).await.result());
    let of_other = |path: &str| path.replace("{account}", &other);
    let hostnames = HOSTNAMES.replace("{zone}", &zone);
    let body = json!({ "hostnames": ["a.other.example"] });
    app.put(&hostnames, body).await.result();
    let view = app.get(VIEW).await.result();
    assert_eq!(
        (&view["hostnames"], &view["epoch"]),
        (&json!([]), &json!(0))
    );
    let view = app.get(&of_other(VIEW)).await.result();
    let expected = json!([{
        "hostname": "a.other.example", "zone_id": zone, "certificate_authorities": [],
    }]);
    assert_eq!(view["hostnames"], expected);
    let wait = format!("{}?after=1&wait_seconds=20", of_other(CHANGES));
    let (told, _) = tokio::join!(async { app.get(&wait).await.result() }, async {
        app.delete(&format!("/zones/{zone}")).await.result()
    });
    assert_eq!(
        told["changes"],
        json!([{ "epoch": 2, "configuration": true }])
    );
    let view = app.get(&of_other(VIEW)).await.result();
    assert_eq!(
        (&view["hostnames"], &view["epoch"]),
        (&json!([]), &json!(2))
    );
    assert_eq!(app.get(CHANGES).await.result()["changes"], json!([]));
}

#[tokio::test]
async fn a_point_that_lacks_a_change_of_hostnames_is_lagging() {
    const POINTS: &str = "/certgate/v1/accounts/{account}/enforcement_points";
    let app = TestApp::new().await;
    let point = app.post(POINTS, json!({ "name": "edge" })).await.result();
    assert_eq!(
        (&point["status"], &point["last_epoch"]),
        (&json!("current"), &json!(0))
    );
    let body = json!({ "hostnames": ["a.example.com"] });
    app.put(HOSTNAMES, body.clone()).await.result();
    let point = app.get(POINTS).await.result()[0].clone();
    assert_eq!(
        (&point["status"], &point["last_epoch"]),
        (&json!("lagging"), &json!(1))
    );
    let path = format!("{POINTS}/{}/acknowledgement", id(&point));
    let point = app.put(&path, json!({ "epoch": 1 })).await.result();
    assert_eq!(point["status"], "current");
    // The same list again is not a change.
    app.put(HOSTNAMES, body).await.result();
    assert_eq!(app.get(POINTS).await.result()[0]["last_epoch"], 1);
}

/// The content of the binary form, read by its description alone.
fn read_binary(octets: &[u8]) -> Option<(u64, BTreeMap<String, Vec<String>>)> {
    let mut rest = octets;
    let mut take = |count: usize| {
        let (taken, left) = rest.split_at_checked(count)?;
        rest = left;
        Some(taken.to_vec())
    };
    let number = |octets: Vec<u8>| {
        octets
            .iter()
            .fold(0, |sum: u64, octet| sum << 8 | u64::from(*octet))
    };
    let hex = |octets: &[u8]| {
        octets
            .iter()
            .map(|octet| format!("{octet:02x}"))
            .collect::<String>()
    };
    assert_eq!(take(4)?, b"CGR1");
    let epoch = number(take(8)?);
    let (mut cas, mut count) = (BTreeMap::new(), 0);
    while take(1)? == [1] {
        let ca = hex(&take(16)?);
        let mut serials = Vec::new();
        loop {
            let block = number(take(4)?);
            assert!(block <= 65_536);
            if block == 0 {
                break;
            }
            for _ in 0..block {
                serials.push(hex(&take(20)?));
            }
        }
        assert!(
            serials.is_sorted_by(|one, other| one < other),
            "ascending, none twice"
        );
        count += serials.len() as u64;
        assert!(cas.insert(ca, serials).is_none());
    }
    assert_eq!(number(take(8)?), count);
    assert!(take(1).is_none(), "nothing follows");
    Some((epoch, cas))
}

/// The same content, from the lines of JSON.
async fn read_lines(app: &TestApp) -> (u64, BTreeMap<String, BTreeSet<String>>) {
    let text = String::from_utf8(app.get(REVOCATIONS).await.bytes).unwrap();
    let mut lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let epoch = lines.remove(0)["epoch"].as_u64().unwrap();
    assert_eq!(lines.pop().unwrap()["count"], lines.len());
    let mut cas = BTreeMap::<_, BTreeSet<_>>::new();
    for line in lines {
        let text = |name: &str| line[name].as_str().unwrap().replace('-', "");
        let serials = cas.entry(text("certificate_authority_id")).or_default();
        serials.insert(text("serial_number"));
    }
    (epoch, cas)
}

#[tokio::test]
async fn the_binary_form_has_the_serial_numbers_of_the_lines() {
    let app = TestApp::new().await;
    let binary = async || app.get(REVOCATIONS).header("accept", BINARY).await;
    for n in 0..40 {
        let certificate = app.issue(&format!("device-{n}")).await;
        if n % 4 != 0 {
            let path = format!("/zones/{{zone}}/client_certificates/{}", id(&certificate));
            app.delete(&path).await.result();
        }
        if n == 20 {
            let path = format!("{AUTHORITIES}/rotate");
            app.call(Method::POST, &path).await.result();
        }
    }
    // A CA without revocations, and one of another account.
    let path = format!("{AUTHORITIES}/rotate");
    app.call(Method::POST, &path).await.result();
    let other = id(&app
        .post("/accounts", json!({ "name": "other" }))
        .await
        .result());
    let zone = json!({ "name": "other.example", "account": { "id": other } });
    let zone = id(&app.post("/zones", zone).await.result());
    let path = format!("/zones/{zone}/client_certificates");
    let body = json!({ "csr": csr("other"), "validity_days": 1 });
    let theirs = id(&app.post(&path, body).await.result());
    app.delete(&format!("{path}/{theirs}")).await.result();

    let answer = binary().await;
    assert_eq!(
        (answer.status.as_u16(), &answer.headers["content-type"]),
        (200, &BINARY.parse().unwrap())
    );
    let (epoch, cas) = read_binary(&answer.bytes).unwrap();
    let (epoch_of_lines, lines) = read_lines(&app).await;
    assert_eq!((epoch, cas.len()), (epoch_of_lines, 3));
    let found: BTreeMap<_, BTreeSet<_>> = cas
        .into_iter()
        .filter(|(_, serials)| !serials.is_empty())
        .map(|(ca, serials)| (ca, serials.into_iter().collect()))
        .collect();
    assert_eq!(found, lines);
    assert_eq!(found.values().map(BTreeSet::len).sum::<usize>(), 30);
    // Every truncation is detected.
    for end in 0..answer.bytes.len() {
        let read = std::panic::catch_unwind(|| read_binary(&answer.bytes[..end]));
        assert!(!matches!(read, Ok(Some(_))), "{end} octets");
    }
    // Expired certificates are left out.
    app.clock.advance_seconds(366 * 86_400);
    let (_, cas) = read_binary(&binary().await.bytes).unwrap();
    assert!(cas.values().all(Vec::is_empty));
}
