//! Writes the data directory of an organisation that issues since 100 days, for tests
//! of the console: `cargo run -p certgate-testkit --example estate -- --help` lists its arguments.
//!
//! The API issues, revokes and restores its newest certificates, makes its CAs, tokens and rules,
//! and moves a clock while it does so. The other certificates are copies of one, recorded under
//! names, serial numbers and dates of their own, because this takes a tenth of the time: their DER
//! form and CSR are those of that one.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;

use certgate_model::{
    By, CertificateId, CertificateRecord, Random, RevocationReason, SerialNumber, Status, Timestamp,
};
use certgate_store::{CertificateRecorded, Certificates, ReadCertificates};
use certgate_testkit::{SeededRandom, TestApp, csr};
use serde_json::{Value, json};

const HELP: &str = "usage: estate --directory=DIR --certificates=N --until=UNIX_SECONDS";

/// Certificates that the API issues, of all.
const ISSUED: u64 = 600;

/// Certificates that wait to be recorded. They share transactions.
const IN_FLIGHT: usize = 512;

/// The devices of the second zone, which renew their certificates.
const SENSORS: usize = 20;

/// The days of certificates. [`TestApp`] was installed on 2026-08-14, which is earlier.
const DAYS: i64 = 100;

const DAY_SECONDS: i64 = 86_400;

/// The CAs of the account.
const AUTHORITIES: &str = "/certgate/v1/accounts/{account}/managed_authorities";

/// Kinds of names, with the days of their certificates, and their share of 20.
const KINDS: [(&str, i64, u64); 6] = [
    ("laptop", 365, 8),
    ("phone", 180, 5),
    ("sensor", 730, 3),
    ("ci-runner", 30, 2),
    ("kiosk", 365, 1),
    ("printer", 90, 1),
];

/// The reasons of revocations, the usual ones several times.
const REASONS: [RevocationReason; 6] = [
    RevocationReason::CertificateHold,
    RevocationReason::Superseded,
    RevocationReason::CessationOfOperation,
    RevocationReason::Superseded,
    RevocationReason::KeyCompromise,
    RevocationReason::AffiliationChanged,
];

struct Arguments {
    directory: PathBuf,
    certificates: u64,
    until: i64,
}

impl Arguments {
    fn read() -> Result<Self, String> {
        let (mut directory, mut certificates, mut until) = (None, None, None);
        for given in std::env::args().skip(1) {
            let (name, value) = given.split_once('=').ok_or(HELP)?;
            match name {
                "--directory" => directory = Some(PathBuf::from(value)),
                "--certificates" => certificates = value.parse().ok(),
                "--until" => until = value.parse().ok(),
                _ => return Err(HELP.to_owned()),
            }
        }
        Ok(Self {
            directory: directory.ok_or(HELP)?,
            certificates: certificates.filter(|count| *count > ISSUED).ok_or(HELP)?,
            until: until.ok_or(HELP)?,
        })
    }
}

#[tokio::main]
async fn main() -> Result<(), String> {
    let Arguments {
        directory,
        certificates,
        until,
    } = Arguments::read()?;
    let app = TestApp::new().await;
    let begin = until - DAYS * DAY_SECONDS;
    let draw = Draw(SeededRandom::new(certificates));
    // 1. The first day: the first CA, which signs the model of the copies.
    set(&app, begin);
    let account = json!({"name": "Example Ltd"});
    app.put("/accounts/{account}", account).await.result();
    activate(&app, "Devices 2025").await;
    let model = app.issue("laptop-00001").await;
    let zone = app.zone_id.parse().expect("an ID");
    let id = model["id"]
        .as_str()
        .expect("a text")
        .parse()
        .expect("an ID");
    let model = app
        .store
        .certificate(zone, id)
        .await
        .expect("the store answers");
    let model = Arc::new(model.expect("it was issued"));
    // 2. Most certificates, up to two days ago.
    let mut times: Vec<_> = (ISSUED..certificates)
        .map(|_| begin + 60 + draw.growing(((DAYS - 2) * DAY_SECONDS) as u64) as i64)
        .collect();
    times.sort_unstable();
    record(&app, &model, &times, until, &draw).await;
    // 3. Everything else, through the API.
    set(&app, until - 2 * DAY_SECONDS);
    let made = operate(&app, until, &draw).await;
    let ids = json!({
        "account_id": app.account_id,
        "zone_id": app.zone_id,
        "token": app.token,
        "second_zone_id": made,
    });
    let made = DirBuilder::new().mode(0o700).create(&directory);
    made.map_err(|error| error.to_string())?;
    let saved = app.save(&directory).await;
    saved.map_err(|error| error.to_string())?;
    println!("{ids}");
    Ok(())
}

/// Sets the clock to Unix seconds.
fn set(app: &TestApp, seconds: i64) {
    app.clock
        .set(Timestamp::from_unix_microseconds(seconds * 1_000_000));
}

/// Numbers of a seed.
struct Draw(SeededRandom);

impl Draw {
    fn below(&self, end: u64) -> u64 {
        let mut octets = [0; 8];
        self.0.fill(&mut octets);
        u64::from_le_bytes(octets) % end
    }

    /// Returns a number that is twice as often near the end as in the middle.
    fn growing(&self, end: u64) -> u64 {
        self.below(end).max(self.below(end))
    }

    fn kind(&self) -> (&'static str, i64) {
        let mut place = self.below(20);
        for (name, days, share) in KINDS {
            if place < share {
                return (name, days);
            }
            place -= share;
        }
        unreachable!("the shares are 20 together")
    }
}

/// Records copies of a certificate.
async fn record(
    app: &TestApp,
    model: &Arc<CertificateRecord>,
    times: &[i64],
    until: i64,
    draw: &Draw,
) {
    for (batch, times) in times.chunks(IN_FLIGHT).enumerate() {
        let copies = times.iter().enumerate().map(|(place, at)| {
            let number = batch * IN_FLIGHT + place + 2;
            let copy = copy(model, number, *at, until, draw);
            let by = By::system(Timestamp::from_unix_microseconds(at * 1_000_000));
            app.store.record_certificate(copy, None, by)
        });
        for recorded in futures_util::future::join_all(copies).await {
            let recorded = recorded.expect("the store accepts writes");
            assert_eq!(recorded, CertificateRecorded::Recorded);
        }
    }
}

/// Returns a copy under the name of this number. One in 25 is revoked.
fn copy(
    model: &CertificateRecord,
    number: usize,
    at: i64,
    until: i64,
    draw: &Draw,
) -> CertificateRecord {
    let (kind, days) = draw.kind();
    let mut octets = [0; 20];
    draw.0.fill(&mut octets);
    let mut fingerprint_sha256 = [0; 32];
    draw.0.fill(&mut fingerprint_sha256);
    let issued_on = Timestamp::from_unix_microseconds((at - at % 60) * 1_000_000);
    let is_revoked = draw.below(25) == 0;
    let after = 3_600 + draw.below((until - at - 3_600) as u64) as i64;
    let revoked_on = Timestamp::from_unix_microseconds((at + after) * 1_000_000);
    let reason = REASONS[draw.below(REASONS.len() as u64) as usize];
    let mut subject = model.subject.clone();
    subject.common_name = format!("{kind}-{number:05}");
    CertificateRecord {
        id: CertificateId::time_ordered(issued_on, &draw.0),
        subject,
        serial: SerialNumber::from_random(octets),
        fingerprint_sha256,
        issued_on,
        expires_on: issued_on.plus_days(days as u32),
        validity_days: days as u32,
        status: match is_revoked {
            true => Status::Revoked,
            false => Status::Active,
        },
        revoked_on: is_revoked.then_some(revoked_on),
        revocation_reason: is_revoked.then_some(reason),
        ..model.clone()
    }
}

/// Makes what an organisation has beside certificates, and the certificates of two days. Returns
/// the ID of the second zone.
async fn operate(app: &TestApp, until: i64, draw: &Draw) -> Value {
    // A new CA, and the next one, prepared.
    activate(app, "Devices 2026").await;
    let prepared = json!({"algorithm": "P-384", "name": "Devices 2027"});
    app.post(AUTHORITIES, prepared).await.result();
    // A gateway that has not been heard from since.
    let lost = json!({"name": "branch-office", "lease_seconds": 60, "forget_seconds": 2_592_000});
    let path = "/certgate/v1/accounts/{account}/enforcement_points";
    app.post(path, lost).await.result();
    let uploaded = json!({
        "ca": true,
        "name": "Partner devices",
        "certificates": certgate_testkit::uploaded("good_middle_and_root.certs"),
    });
    let path = "/accounts/{account}/mtls_certificates";
    app.post(path, uploaded).await.result();
    let hostnames = json!({"hostnames": ["api.example.com", "vpn.example.com"]});
    let path = "/zones/{zone}/certificate_authorities/hostname_associations";
    app.put(path, hostnames).await.result();
    let zone = json!({"name": "field.example.net", "account": {"id": app.account_id}});
    let second = app.post("/zones", zone).await.result();
    let rules = json!({
        "common_names": ["sensor-*"],
        "max_lifetime": "90d",
    });
    let path = format!("/certgate/v1/zones/{}/issuance_rules", text(&second["id"]));
    app.put(&path, rules).await.result();
    renew(app, &second, until).await;
    for (name, group) in [
        ("on-call", "revoke"),
        ("build farm", "issue"),
        ("auditor", "read"),
    ] {
        token(app, name, group).await;
    }
    let step = 2 * DAY_SECONDS / (ISSUED as i64 + 1);
    for number in 0..ISSUED as i64 {
        set(app, until - 2 * DAY_SECONDS + step * (number + 1));
        let (kind, days) = draw.kind();
        let body = json!({"csr": csr(&format!("{kind}-{number:04}")), "validity_days": days});
        let path = "/zones/{zone}/client_certificates";
        let issued = app.post(path, body).await.result();
        let one = format!("{path}/{}", text(&issued["id"]));
        match draw.below(12) {
            0 => {
                app.delete(&one).await.result();
            }
            1 => {
                let reason = json!({"reason": "keyCompromise"});
                let revoke = app.delete(&one).body(reason.to_string());
                revoke.await.result();
            }
            2 => {
                app.delete(&one).await.result();
                app.settle().await;
                app.patch(&one).await.result();
            }
            _ => {}
        }
    }
    app.settle().await;
    second["id"].clone()
}

/// Issues certificates in a zone, and renews some of them, the first ones several times.
async fn renew(app: &TestApp, zone: &Value, until: i64) {
    let path = format!("/zones/{}/client_certificates", text(&zone["id"]));
    let begin = until - 2 * DAY_SECONDS;
    let mut sensors = Vec::new();
    for number in 0..SENSORS {
        let body = json!({"csr": csr(&format!("sensor-{number:03}")), "validity_days": 3});
        sensors.push(app.post(&path, body).await.result());
    }
    for (hours, renewed) in [(12, 12), (24, 8), (36, 4)] {
        set(app, begin + hours * 3_600);
        for sensor in &mut sensors[..renewed] {
            *sensor = app
                .renew(text(&zone["id"]), text(&zone["name"]), sensor)
                .await;
        }
    }
    set(app, begin);
}

/// Creates a CA and lets it sign from now on.
async fn activate(app: &TestApp, name: &str) {
    let body = json!({"algorithm": "P-256", "name": name});
    let prepared = app.post(AUTHORITIES, body).await.result();
    let path = format!("{AUTHORITIES}/{}/activate", text(&prepared["id"]));
    app.post(&path, json!({"anyway": true})).await.result();
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

/// Creates a token whose permission is named after what it may do with client certificates.
async fn token(app: &TestApp, name: &str, does: &str) {
    let groups = app.get("/user/tokens/permission_groups").await.result();
    let group = groups.as_array().expect("a list").iter().find(|group| {
        let name = text(&group["name"]).to_lowercase();
        name == format!("client certificates {does}")
    });
    let group = group.expect("each permission has a group");
    let body = json!({
        "name": name,
        "policies": [{
            "effect": "allow",
            "permission_groups": [{"id": group["id"]}],
            "resources": {"com.cloudflare.api.account.zone.*": "*"},
        }],
    });
    app.post("/user/tokens", body).await.result();
}
