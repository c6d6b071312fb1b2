//! A wrong clock: no request fails because of it, nothing is signed that verifiers refuse, and
//! everything is correct when the clock is right again.

use std::collections::BTreeSet;

use certgate_model::{Clock, Random, SerialNumber, Timestamp};
use certgate_pki::write_ocsp_request;
use certgate_store::{CrlState, ReadRevocations as _};
use certgate_testkit::{Answer, SeededRandom, TestApp, check_database, csr};
use http::Method;
use serde_json::{Value, json};
use x509_cert::Certificate;
use x509_cert::crl::CertificateList;
use x509_cert::der::Decode;

use crate::authorisation::{ROUTES, Setting};

const DAY: i64 = 86_400;
const YEAR: i64 = 365 * DAY;

/// The differences of the clock from each stored time, in seconds.
const OFFSETS: [i64; 5] = [-10 * YEAR, -DAY, -20 * 60, 8 * DAY, 10 * YEAR];

/// The code for a CA that is not valid now.
const NOT_VALID: u64 = 1442;

/// The code for a certificate that would outlive its CA.
const OUTLIVES: u64 = 1441;

/// The OCSP response `tryLater` (RFC 6960 §4.2.1).
const TRY_LATER: [u8; 5] = [0x30, 3, 0x0a, 1, 3];

/// Files of a CA on the public responder.
const FILES: [&str; 5] = ["full.crl", "ca.crl", "0.crl", "127.crl", "bundle.pem"];

fn seconds(time: x509_cert::time::Time) -> i64 {
    i64::try_from(time.to_unix_duration().as_secs()).unwrap()
}

/// One CA, as its certificate says.
struct Ca {
    id: String,
    der: Vec<u8>,
    valid_from: i64,
    expires_on: i64,
}

impl Ca {
    async fn read(app: &TestApp, id: &str) -> Self {
        let answer = app.public(Method::GET, &format!("/ca/{id}.crt")).await;
        assert_eq!(answer.status, 200);
        let validity = *<Certificate>::from_der(&answer.bytes)
            .unwrap()
            .tbs_certificate()
            .validity();
        Self {
            id: id.to_owned(),
            der: answer.bytes,
            valid_from: seconds(validity.not_before),
            expires_on: seconds(validity.not_after),
        }
    }

    fn is_valid(&self, now: i64) -> bool {
        self.valid_from <= now && now < self.expires_on
    }

    /// Checks each list: current if the CA can sign now, and served in any case.
    async fn check_lists(&self, app: &TestApp, now: i64, shown: &str) {
        self.check_files(app, &FILES, now, shown).await;
    }

    async fn check_files(&self, app: &TestApp, files: &[&str], now: i64, shown: &str) {
        for file in files {
            let path = format!("/crl/{}/{file}", self.id);
            let answer = app.public(Method::GET, &path).await;
            assert_eq!(answer.status, 200, "{shown}: {path}");
            if *file == "bundle.pem" || !self.is_valid(now) {
                continue;
            }
            let list = <CertificateList>::from_der(&answer.bytes)
                .unwrap()
                .tbs_cert_list;
            let (from, to) = (
                seconds(list.this_update),
                seconds(list.next_update.unwrap()),
            );
            assert!(
                from <= now && now < to,
                "{shown}: {path} of {from} to {to} at {now}"
            );
            let mut entries = list.revoked_certificates.iter().flatten();
            assert!(
                entries.all(|entry| seconds(entry.revocation_date) <= from),
                "{shown}: {path} of {from} has a revocation from its own future"
            );
        }
    }

    /// Checks the OCSP answer about a certificate.
    async fn check_ocsp(&self, app: &TestApp, one: &Issued, now: i64, shown: &str) {
        let request = write_ocsp_request(&self.der, &[one.serial], None).unwrap();
        let answer = app.public(Method::POST, "/ocsp").body(request).await;
        assert_eq!(answer.status, 200, "{shown}");
        if !self.is_valid(now) {
            assert_eq!(answer.bytes, TRY_LATER, "{shown}");
            return;
        }
        let serial = one.serial.as_bytes();
        let at = answer.bytes.windows(20).position(|part| part == serial);
        let status = answer.bytes[at.unwrap_or_else(|| panic!("{shown}: {answer:?}")) + 20];
        let expected = if one.is_revoked { 0xa1 } else { 0x80 };
        assert_eq!(status, expected, "{shown}: {}", one.id);
        if one.is_revoked {
            // Two GeneralizedTimes follow: of the revocation, and thisUpdate.
            let after = &answer.bytes[at.unwrap() + 20..];
            let times = after
                .windows(17)
                .filter(|part| part.starts_with(&[0x18, 15]));
            let times: Vec<_> = times.take(2).collect();
            assert!(times[0] <= times[1], "{shown}: {}", one.id);
        }
    }
}

struct Issued {
    id: String,
    serial: SerialNumber,
    is_revoked: bool,
    ca: usize,
}

impl Issued {
    fn read(object: &Value, ca: usize) -> Self {
        let text = object["serial_number"].as_str().unwrap();
        let octet = |at: usize| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap();
        Self {
            id: object["id"].as_str().unwrap().to_owned(),
            serial: SerialNumber::from_bytes(std::array::from_fn(octet)),
            is_revoked: false,
            ca,
        }
    }

    fn path(&self) -> String {
        format!("/zones/{{zone}}/client_certificates/{}", self.id)
    }
}

async fn try_to_issue(app: &TestApp) -> Answer {
    let body = json!({ "csr": csr("device"), "validity_days": 1 });
    app.post("/zones/{zone}/client_certificates", body).await
}

/// Checks that a certificate is issued exactly if the CA is valid.
async fn check_issue(app: &TestApp, ca: &Ca, now: i64, shown: &str) -> Option<Value> {
    let answer = try_to_issue(app).await;
    // The certificate is valid for a day from the minute five minutes ago, or from its CA's start.
    let begin = now - 300;
    let begin = (begin - begin.rem_euclid(60)).max(ca.valid_from);
    let outlives = begin + DAY > ca.expires_on;
    let expected = match (ca.is_valid(now), outlives) {
        (true, false) => return Some(answer.result()),
        (true, true) => OUTLIVES,
        (false, _) => NOT_VALID,
    };
    let error = answer.error();
    assert_eq!((error.status, error.code), (400, expected), "{shown}");
    None
}

/// Adds every time in an answer.
fn times(json: &Value, found: &mut BTreeSet<Timestamp>) {
    match json {
        Value::String(text) => found.extend(text.parse::<Timestamp>()),
        Value::Array(items) => items.iter().for_each(|item| times(item, found)),
        Value::Object(members) => members.values().for_each(|member| times(member, found)),
        _ => {}
    }
}

/// Routes that a sweep can call again and again.
fn repeatable() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    ROUTES
        .iter()
        .map(|&(method, path, _, _, body, _)| (method, path, body))
        .filter(|(method, path, _)| {
            // Each rotation adds a CA; what was deleted is missing in the next round.
            !path.ends_with("/rotate") && (*method != "DELETE" || path.contains("client_cert"))
        })
}

async fn stored_times(setting: &Setting) -> BTreeSet<Timestamp> {
    let mut found = BTreeSet::new();
    for (method, path, body) in repeatable().filter(|(method, ..)| *method == "GET") {
        let answer = setting.call(method, path, body).await;
        for line in answer.bytes.split(|octet| *octet == b'\n') {
            if let Ok(json) = serde_json::from_slice(line) {
                times(&json, &mut found);
            }
        }
    }
    found
}

#[tokio::test]
async fn no_stored_time_makes_a_request_fail() {
    let setting = Setting::new().await;
    let app = &setting.app;
    app.settle().await;
    let path = "/certgate/v1/accounts/{account}/managed_authority";
    let id = app.get(path).await.result()["id"].clone();
    let ca = Ca::read(app, id.as_str().unwrap()).await;
    app.clock.advance_seconds(2 * 3600);
    let good = Issued::read(&app.issue("good").await, 0);
    app.clock.advance_seconds(2 * 3600);
    let mut revoked = Issued::read(&app.issue("revoked").await, 0);
    app.delete(&revoked.path()).await.result();
    revoked.is_revoked = true;
    app.settle().await;
    let right = app.clock.now();
    let mut stored = stored_times(&setting).await;
    let list = app.public(Method::GET, &format!("/crl/{}/full.crl", ca.id));
    let list = <CertificateList>::from_der(&list.await.bytes).unwrap();
    for time in [
        list.tbs_cert_list.this_update,
        list.tbs_cert_list.next_update.unwrap(),
    ] {
        stored.insert(Timestamp::from_unix(seconds(time)));
    }
    assert!(stored.len() >= 10, "{stored:?}");

    for time in stored {
        for offset in OFFSETS {
            let shown = format!("{offset} s from {time}");
            app.clock.set(time.plus_seconds(offset));
            let now = app.clock.now().unix();
            ca.check_lists(app, now, &shown).await;
            for one in [&good, &revoked] {
                ca.check_ocsp(app, one, now, &shown).await;
            }
            check_issue(app, &ca, now, &shown).await;
            for (method, path, body) in repeatable() {
                let status = setting.call(method, path, body).await.status.as_u16();
                assert!(status < 500, "{shown}: {method} {path}: {status}");
            }
            // The background job, which may not be able to publish.
            app.service.settler.settle_all().await.unwrap();

            app.clock.set(right.plus_seconds(2));
            app.settle().await;
            let now = app.clock.now().unix();
            ca.check_lists(app, now, &format!("after {shown}")).await;
            for one in [&good, &revoked] {
                ca.check_ocsp(app, one, now, &format!("after {shown}"))
                    .await;
            }
            assert!(check_issue(app, &ca, now, &shown).await.is_some());
            for (method, path, body) in repeatable().filter(|(method, ..)| *method == "GET") {
                let status = setting.call(method, path, body).await.status;
                assert_eq!(status, 200, "after {shown}: {method} {path}");
            }
        }
    }
}

/// A random choice below `max`.
fn below(random: &SeededRandom, max: u64) -> u64 {
    let mut octets = [0; 8];
    random.fill(&mut octets);
    u64::from_le_bytes(octets) % max
}

/// A step of the clock: of seconds as often as of years, in both directions.
fn step(random: &SeededRandom) -> i64 {
    let size = 1_u64 << below(random, 30);
    let seconds = i64::try_from(size + below(random, size)).unwrap();
    if below(random, 2) == 0 {
        seconds
    } else {
        -seconds
    }
}

#[tokio::test]
async fn random_steps_of_the_clock_leave_every_answer_correct() {
    const STEPS: u32 = 200;
    let random = SeededRandom::new(13);
    let app = TestApp::new().await;
    let right = app.clock.now();
    let path = "/certgate/v1/accounts/{account}/managed_authority";
    let id = app.get(path).await.result()["id"].clone();
    let mut cas = vec![Ca::read(&app, id.as_str().unwrap()).await];
    let mut issued = vec![Issued::read(&app.issue("first").await, 0)];
    app.settle().await;

    for number in 0..STEPS {
        // Not far from the right time, so that CAs are valid in about half of the steps.
        let from = if below(&random, 2) == 0 {
            right
        } else {
            app.clock.now()
        };
        app.clock.set(from.plus_seconds(step(&random)));
        let now = app.clock.now().unix();
        let shown = format!("step {number}, {}", app.clock.now());
        if let Some(object) = check_issue(&app, cas.last().unwrap(), now, &shown).await {
            issued.push(Issued::read(&object, cas.len() - 1));
        }
        let count = u64::try_from(issued.len()).unwrap();
        let chosen = usize::try_from(below(&random, count)).unwrap();
        let one = &mut issued[chosen];
        let answer = match one.is_revoked {
            false => app.delete(&one.path()).await,
            true => app.patch(&one.path()).await,
        };
        answer.result();
        one.is_revoked = !one.is_revoked;
        if below(&random, 40) == 0 {
            let path = "/certgate/v1/accounts/{account}/managed_authorities/rotate";
            let made = app.post(path, json!({})).await.result();
            cas.push(Ca::read(&app, made["id"].as_str().unwrap()).await);
            app.service.settler.settle_all().await.unwrap();
        }
        if below(&random, 4) == 0 {
            app.service.settler.settle_all().await.unwrap();
        }
        // A bundle of old lists is signed anew, which takes long.
        let has_bundle = below(&random, 20) == 0;
        let files = if has_bundle { &FILES[..] } else { &FILES[..4] };
        for ca in &cas {
            ca.check_files(&app, files, now, &shown).await;
        }
        cas[issued[chosen].ca]
            .check_ocsp(&app, &issued[chosen], now, &shown)
            .await;
    }

    let latest = cas.iter().map(|ca| ca.valid_from).max().unwrap();
    app.clock.set(Timestamp::from_unix(latest).max(right));
    app.settle().await;
    let now = app.clock.now().unix();
    for one in issued {
        let status = if one.is_revoked { "revoked" } else { "active" };
        let found = app.get(&one.path()).await.result();
        assert_eq!(found["status"], status, "{}", one.id);
        cas[one.ca].check_ocsp(&app, &one, now, "at the end").await;
    }
}

/// The lists of an expired CA are not renewed, and leave the order of renewal. A clock that is set
/// back brings them back.
#[tokio::test]
async fn lists_of_an_expired_ca_are_set_aside_until_the_clock_shows_its_time_again() {
    let app = TestApp::new().await;
    app.issue("device").await;
    app.settle().await;
    let right = app.clock.now();
    let rotate = "/certgate/v1/accounts/{account}/managed_authorities/rotate";
    app.clock.advance_seconds(31 * YEAR);
    app.settle().await;
    let expired = app.get(&rotate.replace("/rotate", "")).await.result();
    let expired = expired[0]["id"].as_str().unwrap().to_owned();
    let late = app.clock.now();
    let latest = late.plus_days(30);
    let aged = app.store.crls_aged(late, latest, 32).await.unwrap();
    assert_eq!((aged.due.len(), aged.expired.len()), (0, 0));
    // Those of a CA that is valid are renewed.
    app.post(rotate, json!({})).await.result();
    app.settle().await;
    let (app, image) = app.image().await;
    assert_eq!(check_database(&image), Vec::<String>::new());
    app.clock.set(right.plus_days(1));
    app.settle().await;
    for file in FILES {
        let path = format!("/crl/{expired}/{file}");
        let answer = app.public(Method::GET, &path).await;
        assert_eq!(answer.status, 200, "{path}");
    }
    let state = app.store.crl_states(expired.parse().unwrap()).await;
    let is_new = |state: &CrlState| state.this_update > right;
    assert!(state.unwrap().iter().all(is_new), "made by the settler");
    let (_, image) = app.image().await;
    assert_eq!(check_database(&image), Vec::<String>::new());
}
