//! Fills a zone through the verbs of the store, with copies of a certificate that the server
//! issued.

use std::io::Write;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use aws_lc_rs::rand;
use certgate_model::{
    By, CertificateId, CertificateQuery, CertificateRecord, Random, RevocationReason, SerialNumber,
    Slice, Status, Timestamp,
};
use certgate_store::{CertificateRecorded, Store};
use indicatif::{ProgressBar, ProgressStyle};

use super::figures::Measure;
use super::http::{Connection, Request};
use super::inputs::{csrs, scatter};
use super::installation::Installation;
use super::keeper::Keeper;
use super::report::Report;
use super::server::Server;

/// Certificates that wait to be recorded. Twice [`BATCH`], so that the next transaction is full
/// when one ends.
const IN_FLIGHT: u64 = 1_024;
/// Certificates that share a transaction.
const BATCH: usize = 512;

/// IDs that are written to a file, for the measurements that need some.
const IDS: u64 = 1_000;

/// Fills the zone of an installation up to the size of the report. One certificate in
/// `revoked_one_in` is revoked.
pub async fn fill(
    binary: &Path,
    installation: &Installation,
    keeper: &Rc<Keeper>,
    revoked_one_in: u64,
    report: &mut Report,
) -> anyhow::Result<()> {
    let model = issued_by_server(binary, installation, keeper).await?;
    let store = installation.store(Some(BATCH)).await?;
    let zone = installation.zone()?;
    let (have, wanted) = (store.totals(zone).await?.all(), report.certificates);
    if have < wanted {
        eprintln!("filling the zone with {wanted} certificates …");
        let model = store.certificate(zone, model.parse()?).await?;
        let model = model.context("the store lacks the issued certificate")?;
        let begun = Instant::now();
        record(&*store, &model, have..wanted, revoked_one_in).await?;
        let rate = (wanted - have) as f64 / begun.elapsed().as_secs_f64();
        write_ids(&*store, installation).await?;
        report.add(report.figure(Measure::Fill, rate))?;
    }
    store.close().await;
    Ok(())
}

/// Lets the server issue one certificate, which also makes the CA. Returns the certificate's ID.
async fn issued_by_server(
    binary: &Path,
    installation: &Installation,
    keeper: &Rc<Keeper>,
) -> anyhow::Result<String> {
    let server = Server::start(binary, installation, keeper)?;
    let request = Request::issue(installation, &csrs(1)?[0]);
    let answer = Connection::open(server.address())
        .await?
        .json(&request)
        .await?;
    server.stop()?;
    Ok(answer["result"]["id"].as_str().context("no id")?.to_owned())
}

async fn record(
    store: &dyn Store,
    model: &CertificateRecord,
    numbers: std::ops::Range<u64>,
    revoked_one_in: u64,
) -> anyhow::Result<()> {
    let style = ProgressStyle::with_template("{wide_bar} {human_pos}/{human_len} {per_sec} {eta}")?;
    let progress = ProgressBar::new(numbers.end - numbers.start).with_style(style);
    progress.enable_steady_tick(Duration::from_millis(500));
    let tasks = (0..IN_FLIGHT).map(|task| {
        let (progress, numbers) = (&progress, numbers.clone());
        async move {
            for number in numbers.skip(task as usize).step_by(IN_FLIGHT as usize) {
                record_copy(store, model, number, number.is_multiple_of(revoked_one_in)).await?;
                progress.inc(1);
            }
            Ok::<_, anyhow::Error>(())
        }
    });
    for filled in futures_util::future::join_all(tasks).await {
        filled?;
    }
    progress.finish_and_clear();
    Ok(())
}

async fn write_ids(store: &dyn Store, installation: &Installation) -> anyhow::Result<()> {
    let mut ids = std::fs::File::create(installation.directory.join("ids.txt"))?;
    let zone = installation.zone()?;
    let total = store.totals(zone).await?.all();
    for number in 0..IDS.min(total) {
        let slice = Slice {
            first: scatter(number) % total,
            size: 1,
        };
        let status = None;
        let page = store
            .certificates(zone, CertificateQuery { status, slice })
            .await?;
        ensure!(page.items.len() == 1, "a page inside the list is empty");
        writeln!(ids, "{}", page.items[0].id)?;
    }
    Ok(())
}

/// Records a copy of a certificate, issued `number` milliseconds later.
pub async fn record_copy(
    store: &dyn Store,
    model: &CertificateRecord,
    number: u64,
    revoked: bool,
) -> anyhow::Result<()> {
    let certificate = copy(model, number, revoked);
    let by = By::system(certificate.issued_on);
    let recorded = store.record_certificate(certificate, None, by).await?;
    ensure!(
        recorded == CertificateRecorded::Recorded,
        "a copy was not recorded: {recorded:?}"
    );
    Ok(())
}

fn copy(model: &CertificateRecord, number: u64, revoked: bool) -> CertificateRecord {
    let mut octets = [0; 20];
    Generator.fill(&mut octets);
    let mut fingerprint_sha256 = [0; 32];
    Generator.fill(&mut fingerprint_sha256);
    let issued = Timestamp::from_unix_microseconds(
        model.issued_on.unix_microseconds() + number as i64 * 1000,
    );
    CertificateRecord {
        id: CertificateId::time_ordered(issued, &Generator),
        serial: SerialNumber::from_random(octets),
        fingerprint_sha256,
        status: if revoked {
            Status::Revoked
        } else {
            Status::Active
        },
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
