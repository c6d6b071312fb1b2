//! One flipped bit in the database: the check finds it if any answer differs.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use certgate_model::{Random, SerialNumber};
use certgate_pki::write_ocsp_request;
use certgate_testkit::{SeededRandom, TestApp, check_database, csr, uploaded};
use http::Method;
use serde_json::json;
use x509_cert::crl::CertificateList;
use x509_cert::der::Decode;

/// The number of flips. `CERTGATE_TEST_FLIPS` sets another one.
const FLIPS: u32 = 60;

/// The seed of their places.
const SEED: u64 = 6;

/// Lists of the management API.
const LISTS: [&str; 16] = [
    "/zones/{zone}/client_certificates?status=all&limit=1000",
    "/zones/{zone}/client_certificates?status=active",
    "/zones/{zone}/client_certificates?status=revoked",
    "/zones/{zone}/client_certificates?status=pending_revocation",
    "/zones/{zone}/certificate_authorities/hostname_associations",
    "/zones",
    "/zones/{zone}",
    "/accounts",
    "/accounts/{account}/mtls_certificates",
    "/certgate/v1/accounts/{account}/managed_authorities",
    "/certgate/v1/accounts/{account}/enforcement_points",
    "/certgate/v1/accounts/{account}/enforcement",
    "/certgate/v1/accounts/{account}/revocation_changes",
    "/certgate/v1/accounts/{account}/revocations",
    "/accounts/{account}/logs/audit?since=2020-01-01&before=2040-01-01",
    "/user/tokens",
];

/// A certificate, and the CA that signed it.
struct Issued {
    id: String,
    serial: SerialNumber,
    authority: String,
}

/// Fills an installation with something in every table.
async fn filled() -> (TestApp, Vec<Issued>) {
    let app = TestApp::new().await;
    let mut issued = Vec::new();
    for n in 0..30 {
        let object = app.issue(&format!("device-{n}")).await;
        let text = |name: &str| object[name].as_str().unwrap().to_owned();
        let octet =
            |at: usize| u8::from_str_radix(&text("serial_number")[2 * at..2 * at + 2], 16).unwrap();
        let authority = object["certificate_authority"]["id"].as_str().unwrap();
        issued.push(Issued {
            id: text("id"),
            serial: SerialNumber::from_bytes(std::array::from_fn(octet)),
            authority: authority.to_owned(),
        });
        app.clock.advance_seconds(60);
        if n == 20 {
            let path = "/certgate/v1/accounts/{account}/managed_authorities/rotate";
            app.post(path, json!({})).await.result();
        }
    }
    let path = |one: &Issued| format!("/zones/{{zone}}/client_certificates/{}", one.id);
    for one in &issued[..12] {
        app.delete(&path(one)).await.result();
    }
    app.settle().await;
    for one in &issued[..4] {
        app.patch(&path(one)).await.result();
    }
    app.settle().await;
    let body = json!({ "certificates": uploaded("good_root.certs"), "ca": true, "name": "root" });
    app.post("/accounts/{account}/mtls_certificates", body)
        .await
        .result();
    let hostnames = "/zones/{zone}/certificate_authorities/hostname_associations";
    let body = json!({ "hostnames": ["a.example.com", "B.example.com"] });
    app.put(hostnames, body).await.result();
    let points = "/certgate/v1/accounts/{account}/enforcement_points";
    app.post(points, json!({ "name": "edge" })).await.result();
    let zone = json!({ "name": "other.example", "account": { "id": app.account_id } });
    app.post("/zones", zone).await.result();
    app.delete(&path(&issued[13])).await.result();
    // Another account, whose CA is not that of the first one.
    let second = app.post("/accounts", json!({ "name": "second" })).await;
    let second = second.result()["id"].clone();
    let zone = json!({ "name": "second.example", "account": { "id": second } });
    let zone = app.post("/zones", zone).await.result()["id"].clone();
    let body = json!({ "csr": csr("second"), "validity_days": 365 });
    let path = format!("/zones/{}/client_certificates", zone.as_str().unwrap());
    app.post(&path, body).await.result();
    app.settle().await;
    (app, issued)
}

/// Every answer that stored data decides.
async fn answers(app: &TestApp, issued: &[Issued]) -> BTreeMap<String, Vec<u8>> {
    let mut answers = BTreeMap::new();
    for path in LISTS {
        answers.insert(path.to_owned(), app.get(path).await.bytes);
    }
    for one in issued {
        let path = format!("/zones/{{zone}}/client_certificates/{}", one.id);
        answers.insert(path.clone(), app.get(&path).await.bytes);
        let path = format!("/ca/{}.crt", one.authority);
        let certificate = app.public(Method::GET, &path).await.bytes;
        let status = match write_ocsp_request(&certificate, &[one.serial], None) {
            Ok(request) => {
                let answer = app.public(Method::POST, "/ocsp").body(request).await;
                let serial = one.serial.as_bytes();
                let at = answer.bytes.windows(20).position(|part| part == serial);
                // The status with its time and reason, and not the signature.
                at.map_or(answer.bytes.clone(), |at| {
                    answer.bytes[at..at + 40].to_vec()
                })
            }
            Err(_) => Vec::new(),
        };
        answers.insert(format!("OCSP {}", one.id), status);
        answers.insert(path, certificate);
        for file in ["full.crl", "ca.crl", "bundle.pem"] {
            let path = format!("/crl/{}/{file}", one.authority);
            if let Entry::Vacant(entry) = answers.entry(path) {
                let list = app.public(Method::GET, entry.key()).await.bytes;
                entry.insert(list);
            }
        }
    }
    answers
}

#[tokio::test]
async fn the_check_finds_every_flipped_bit_that_changes_an_answer() {
    let flips = std::env::var("CERTGATE_TEST_FLIPS");
    let flips = flips.map_or(FLIPS, |text| text.parse().unwrap());
    let (app, issued) = filled().await;
    let (app, image) = app.image().await;
    let right = answers(&app, &issued).await;
    assert_eq!(check_database(&image), Vec::<String>::new());
    assert!(
        right.len() > 80 && image.len() > 100_000,
        "{} answers",
        right.len()
    );

    let random = SeededRandom::new(SEED);
    let (mut found, mut missed) = (0, Vec::new());
    for _ in 0..flips {
        let mut octets = [0; 8];
        random.fill(&mut octets);
        let bit = u64::from_le_bytes(octets) % (image.len() as u64 * 8);
        let (octet, mask) = (usize::try_from(bit / 8).unwrap(), 1 << (bit % 8));
        let mut flipped = image.clone();
        flipped[octet] ^= mask;
        if !check_database(&flipped).is_empty() {
            found += 1;
            continue;
        }
        // Nothing was found, so every answer must be right.
        let other = app.on_another(&flipped).await.expect("it passed the check");
        let answers = answers(&other, &issued).await;
        let differ = answers
            .iter()
            .filter(|(path, answer)| right[*path] != **answer);
        missed.extend(differ.map(|(path, _)| format!("octet {octet}, mask {mask}: {path}")));
        other.close_store().await;
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
    assert!(
        found > flips / 8,
        "only {found} of {flips} flips were found"
    );
}

/// One flipped bit makes the CA of one account the active one of another. The first account has the
/// CAs 1 and 2, the second has 3.
#[tokio::test]
async fn the_active_ca_of_another_account_or_of_the_past_is_found() {
    for (account, active) in [("first", 3), ("first", 1), ("second", 2)] {
        let (app, _) = filled().await;
        let condition = match account {
            "first" => "managed_authority = 2",
            _ => "managed_authority = 3",
        };
        let flip = format!("UPDATE accounts SET managed_authority = {active} WHERE {condition}");
        app.store.damage(flip.leak()).await.unwrap();
        let (_, image) = app.image().await;
        let lines = check_database(&image);
        assert!(
            matches!(&lines[..], [line] if line.contains("managed_authority")),
            "{account} {active}: {lines:?}"
        );
    }
}

#[tokio::test]
async fn flips_in_each_signed_form_are_named_by_table_and_id() {
    let (app, issued) = filled().await;
    let (app, image) = app.image().await;
    let one = &issued[25];
    let path = format!("/zones/{{zone}}/client_certificates/{}", one.id);
    let object = app.get(&path).await.result();
    let csr = object["csr"].as_str().unwrap().as_bytes();
    let authority = app
        .public(Method::GET, &format!("/ca/{}.crt", one.authority))
        .await
        .bytes;
    let list = app
        .public(Method::GET, &format!("/crl/{}/ca.crl", one.authority))
        .await
        .bytes;
    let places = [
        (
            one.serial.as_bytes().as_slice(),
            "certificates",
            one.id.clone(),
        ),
        (&csr[40..80], "certificates", one.id.clone()),
        (
            &authority[authority.len() - 40..],
            "authorities",
            one.authority.clone(),
        ),
        (
            &list[list.len() - 40..],
            "crls",
            format!("{} ca.crl", one.authority),
        ),
    ];
    for (part, table, id) in places {
        let mut tried = 0;
        for at in 0..image.len() - part.len() {
            if image[at..at + part.len()] != *part {
                continue;
            }
            let mut flipped = image.clone();
            flipped[at + 7] ^= 0x10;
            let lines = check_database(&flipped);
            let is_named = |line: &String| line.contains(table) && line.contains(&id);
            assert!(
                lines.iter().any(is_named),
                "{table} {id} at {at}: {lines:?}"
            );
            tried += 1;
        }
        assert!(tried > 0, "{table} {id}");
    }
}

#[tokio::test]
async fn a_corrupt_crl_is_made_again_and_never_served() {
    let (mut app, issued) = filled().await;
    let authority = &issued[0].authority;
    for statement in [
        "UPDATE crls SET der = CAST(der || x'00' AS BLOB)",
        "UPDATE crls SET der = CAST(substr(der, 1, length(der) - 1) || x'5a' AS BLOB)",
        "UPDATE crls SET der = x''",
    ] {
        app.store.damage(statement).await.unwrap();
        // A list that was verified is in memory.
        app = app.restart().await;
        for file in ["0.crl", "ca.crl", "full.crl"] {
            let path = format!("/crl/{authority}/{file}");
            let list = app.public(Method::GET, &path).await;
            assert_eq!(list.status, 200, "{path}: {statement}");
            <CertificateList>::from_der(&list.bytes).unwrap();
            assert_eq!(
                app.public(Method::GET, &path).await.bytes,
                list.bytes,
                "{path}"
            );
        }
        let bundle = app
            .public(Method::GET, &format!("/crl/{authority}/bundle.pem"))
            .await;
        assert_eq!(bundle.status, 200, "{statement}");
        let (again, image) = app.image().await;
        app = again;
        let wrong: Vec<_> = check_database(&image)
            .into_iter()
            .filter(|line| line.contains(authority.as_str()) && !line.contains("full.crl"))
            .collect();
        assert_eq!(wrong, Vec::<String>::new(), "{statement}");
    }
}

#[tokio::test]
async fn a_revocation_lists_the_serial_number_of_the_der_form() {
    let (app, issued) = filled().await;
    let one = issued.last().unwrap();
    app.store
        .damage("UPDATE certificates SET serial = x'4100000000000000000000000000000000000000'")
        .await
        .unwrap();
    let path = format!("/zones/{{zone}}/client_certificates/{}", one.id);
    app.delete(&path).await.result();
    app.settle().await;
    let shard = one.serial.shard();
    for file in ["full.crl".to_owned(), format!("{shard}.crl")] {
        let list = app
            .public(Method::GET, &format!("/crl/{}/{file}", one.authority))
            .await;
        let serial = one.serial.as_bytes();
        assert!(list.bytes.windows(20).any(|part| part == serial), "{file}");
    }
}
