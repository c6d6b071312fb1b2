//! Fills a zone through the store's own verbs, with copies of a certificate that the server issued.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use aws_lc_rs::rand;
use certgate_model::{
    By, CertificateId, CertificateQuery, CertificateRecord, Random, RevocationReason, SerialNumber, Slice,
    Status, Timestamp, ZoneId,
};
use certgate_store::{ReadStore, SqliteOptions, SqliteStore, Store};
use indicatif::{ProgressBar, ProgressStyle};

use super::http::{Connection, Request};
use super::server::{Installation, Server};
use super::{check_status, csrs, scatter};

/// Certificates recorded at a time: as many as share a transaction.
const TASKS: u64 = 256;

/// How many of the ids are written down, for the measurements that need some.
const IDS: u64 = 1_000;

/// An installation whose zone has this many certificates, one in `revoked_one_in` of them revoked.
pub async fn filled(
    binary: &Path,
    directory: &Path,
    certificates: u64,
    revoked_one_in: u64,
) -> anyhow::Result<Installation> {
    let installation = Installation::open_or_make(binary, directory)?;
    let model = issued_by_server(binary, &installation).await?;
    let store = Arc::new(SqliteStore::open(&installation.database(), SqliteOptions::default())?);
    let zone: ZoneId = installation.zone_id.parse()?;
    let have = store.totals(zone).await?.all();
    if have < certificates {
        eprintln!("filling the zone with {certificates} certificates …");
        fill(&store, &installation, zone, &model, have..certificates, revoked_one_in).await?;
    }
    store.close().await;
    Ok(installation)
}

/// Makes the authority, and shows what a certificate of it looks like.
async fn issued_by_server(binary: &Path, installation: &Installation) -> anyhow::Result<String> {
    let server = Server::start(binary, installation)?;
    let csr = csrs(1)?.swap_remove(0);
    let body = serde_json::json!({ "csr": csr, "validity_days": 365 }).to_string();
    let request = Request::post(installation, "client_certificates", &body);
    let (status, body) = Connection::open(server.address()).await?.exchange(&request).await?;
    check_status(status, &body)?;
    server.stop()?;
    let id = super::json(&body)?["result"]["id"].as_str().context("no id")?.to_owned();
    Ok(id)
}

async fn fill(
    store: &Arc<SqliteStore>,
    installation: &Installation,
    zone: ZoneId,
    model: &str,
    numbers: std::ops::Range<u64>,
    revoked_one_in: u64,
) -> anyhow::Result<()> {
    let model =
        store.certificate(zone, model.parse()?).await?.context("the issued certificate is not there")?;
    let style = ProgressStyle::with_template("{wide_bar} {human_pos}/{human_len} {per_sec} {eta}")?;
    let progress = ProgressBar::new(numbers.end - numbers.start).with_style(style);
    progress.enable_steady_tick(Duration::from_millis(500));
    let tasks = (0..TASKS).map(|task| {
        let (model, progress, numbers) = (&model, &progress, numbers.clone());
        async move {
            for number in numbers.skip(task as usize).step_by(TASKS as usize) {
                let certificate = copy(model, number, number.is_multiple_of(revoked_one_in));
                let by = By::system(certificate.issued_on);
                store.record_certificate(certificate, None, by).await?;
                progress.inc(1);
            }
            Ok::<_, anyhow::Error>(())
        }
    });
    for filled in futures_util::future::join_all(tasks).await {
        filled?;
    }
    progress.finish_and_clear();

    let mut ids = std::fs::File::create(installation.directory.join("ids.txt"))?;
    let total = store.totals(zone).await?.all();
    for number in 0..IDS.min(total) {
        let slice = Slice { first: scatter(number) % total, size: 1 };
        let page = store.certificates(zone, CertificateQuery { status: None, slice }).await?;
        ensure!(page.items.len() == 1, "a page inside the list is empty");
        writeln!(ids, "{}", page.items[0].id)?;
    }
    Ok(())
}

fn copy(model: &CertificateRecord, number: u64, revoked: bool) -> CertificateRecord {
    let mut octets = [0; 20];
    Generator.fill(&mut octets);
    let mut fingerprint_sha256 = [0; 32];
    Generator.fill(&mut fingerprint_sha256);
    let issued =
        Timestamp::from_unix_microseconds(model.issued_on.unix_microseconds() + number as i64 * 1000);
    CertificateRecord {
        id: CertificateId::time_ordered(issued, &Generator),
        serial: SerialNumber::from_random(octets),
        fingerprint_sha256,
        status: if revoked { Status::Revoked } else { Status::Active },
        revoked_on: revoked.then_some(issued),
        revocation_reason: revoked.then_some(RevocationReason::CertificateHold),
        ..model.clone()
    }
}

struct Generator;

impl Random for Generator {
    #[expect(clippy::disallowed_methods, reason = "fills a store for a benchmark")]
    fn fill(&self, bytes: &mut [u8]) {
        rand::fill(bytes).expect("the generator, once seeded by the system, does not fail");
    }
}
