//! Fills a zone through the verbs of the store, with copies of a certificate that the server
//! issued. They have names, dates, CAs and renewals as a company has them.

use std::io::Write;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use aws_lc_rs::rand;
use certgate_model::{
    By, CertificateId, CertificateQuery, CertificateRecord, Random, RevocationReason, SerialNumber,
    Slice, Status, SubjectFields, Timestamp,
};
use certgate_store::{Basis, CertificateRecorded, Renewal, Store};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::oneshot;

use super::figures::Measure;
use super::http::{Connection, Request};
use super::inputs::{common_name, csrs, scatter};
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

/// The shares of a zone that its CAs signed, in per mille: a small one, a middle one, and the
/// active one.
const AUTHORITIES: [u64; 3] = [20, 30, 950];

/// One certificate in so many replaces another one.
const RENEWED_ONE_IN: u64 = 100;

/// The time in which the certificates were issued, before the one that they are copies of.
const ISSUED_IN: i64 = 2 * 365 * DAY;
/// The validities in days. All certificates are valid when they have been filled in, and the
/// first ones expire in a month.
const VALIDITIES: [u32; 3] = [760, 820, 1_095];

const DAY: i64 = 86_400;

/// Fills the zone of an installation up to the size of the report. One certificate in
/// `revoked_one_in` is revoked.
pub async fn fill(
    binary: &Path,
    installation: &Installation,
    keeper: &Rc<Keeper>,
    revoked_one_in: u64,
    report: &mut Report,
) -> anyhow::Result<()> {
    let zone = installation.zone()?;
    let wanted = report.certificates;
    let (mut end, mut recorded, mut seconds) = (0, 0, 0.0);
    for (authority, share) in AUTHORITIES.into_iter().enumerate() {
        end += wanted * share / 1_000;
        let have = certificates(installation).await?;
        if have >= end {
            continue;
        }
        eprintln!("filling the zone with {end} of {wanted} certificates …");
        let model = issued_by_server(binary, installation, keeper, authority > 0).await?;
        let store = installation.store(Some(BATCH)).await?;
        let model = store.certificate(zone, model.parse()?).await?;
        let copies = Copies {
            model: model.context("the store lacks the issued certificate")?,
            of: wanted,
            revoked_one_in,
        };
        let begun = Instant::now();
        record(&*store, &copies, have + 1..end).await?;
        seconds += begun.elapsed().as_secs_f64();
        recorded += end.saturating_sub(have + 1);
        write_ids(&*store, installation).await?;
        store.close().await;
    }
    if recorded > 0 {
        report.add(report.figure(Measure::Fill, recorded as f64 / seconds))?;
    }
    Ok(())
}

/// Returns the number of certificates in the zone.
async fn certificates(installation: &Installation) -> anyhow::Result<u64> {
    let store = installation.store(None).await?;
    let totals = store.totals(installation.zone()?).await?;
    store.close().await;
    Ok(totals.all())
}

/// Lets the server issue one certificate, which also makes the CA. Returns the certificate's ID.
async fn issued_by_server(
    binary: &Path,
    installation: &Installation,
    keeper: &Rc<Keeper>,
    of_new_authority: bool,
) -> anyhow::Result<String> {
    let server = Server::start(binary, installation, keeper)?;
    let mut connection = Connection::open(server.address()).await?;
    if of_new_authority {
        let zone = format!("/client/v4/zones/{}", installation.zone_id);
        let zone = Request::of(installation, "GET", &zone, "");
        let zone = connection.json(&zone).await?;
        let account = zone["result"]["account"]["id"].as_str();
        let account = account.context("no account")?;
        let path = format!("/certgate/v1/accounts/{account}/managed_authorities/rotate");
        let rotate = Request::of(installation, "POST", &path, "{}");
        connection.json(&rotate).await?;
    }
    let request = Request::issue(installation, &csrs(1)?[0]);
    let answer = connection.json(&request).await?;
    server.stop()?;
    Ok(answer["result"]["id"].as_str().context("no id")?.to_owned())
}

async fn record(
    store: &dyn Store,
    copies: &Copies,
    numbers: std::ops::Range<u64>,
) -> anyhow::Result<()> {
    let style = ProgressStyle::with_template("{wide_bar} {human_pos}/{human_len} {per_sec} {eta}")?;
    let progress = ProgressBar::new(numbers.end - numbers.start).with_style(style);
    progress.enable_steady_tick(Duration::from_millis(500));
    let tasks = (0..IN_FLIGHT).map(|task| {
        let (progress, numbers) = (&progress, numbers.clone());
        async move {
            let mut earlier = None;
            for number in numbers.skip(task as usize).step_by(IN_FLIGHT as usize) {
                let replaced = earlier.take();
                let replaced = replaced.filter(|_| number.is_multiple_of(RENEWED_ONE_IN));
                earlier = copies.record(store, number, replaced).await?;
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

/// Copies of a certificate, with names, dates and numbers of their own.
pub struct Copies {
    pub model: CertificateRecord,
    /// The certificates of a full zone. Their dates of issue are spread evenly.
    pub of: u64,
    pub revoked_one_in: u64,
}

/// A copy that can be replaced.
struct Copy {
    id: CertificateId,
    common_name: String,
}

impl Copies {
    /// Records the copy with a number.
    pub async fn add(&self, store: &dyn Store, number: u64) -> anyhow::Result<()> {
        self.record(store, number, None).await.map(|_| ())
    }

    /// Records a copy, which replaces an earlier one if that is given. Returns the copy if it is
    /// active.
    async fn record(
        &self,
        store: &dyn Store,
        number: u64,
        replaced: Option<Copy>,
    ) -> anyhow::Result<Option<Copy>> {
        let mut certificate = self.copy(number);
        let by = By::system(certificate.issued_on);
        let basis = match replaced {
            None => Basis::Permission,
            Some(replaced) => {
                certificate.subject.common_name = replaced.common_name;
                Basis::Renewal(Renewal {
                    replaced: replaced.id,
                    interval_seconds: 0,
                    per_day_max: u64::MAX,
                    revoke_on: None,
                })
            }
        };
        let copy = Copy {
            id: certificate.id,
            common_name: certificate.subject.common_name.clone(),
        };
        let is_active = certificate.status == Status::Active;
        let (sender, answer) = oneshot::channel();
        store.hand_over_certificate(
            Arc::new(certificate),
            None.into(),
            basis,
            by,
            Box::new(|recorded| {
                let _ = sender.send(recorded);
            }),
        );
        let recorded = answer.await.context("the store has ended")??;
        ensure!(
            recorded == CertificateRecorded::Recorded,
            "a copy was not recorded: {recorded:?}"
        );
        Ok(is_active.then_some(copy))
    }

    fn copy(&self, number: u64) -> CertificateRecord {
        let model = &self.model;
        let mut octets = [0; 20];
        Generator.fill(&mut octets);
        let mut fingerprint_sha256 = [0; 32];
        Generator.fill(&mut fingerprint_sha256);
        let scattered = scatter(number);
        let age = ISSUED_IN * 1_000_000 / self.of as i64 * (self.of as i64 - number as i64);
        let made = model.issued_on.unix_microseconds() - age;
        let made = Timestamp::from_unix_microseconds(made);
        let issued_on = Timestamp::from_unix(made.unix() / 60 * 60);
        let validity_days = VALIDITIES[number as usize % VALIDITIES.len()];
        let is_revoked = number.is_multiple_of(self.revoked_one_in);
        let until = (model.issued_on.unix() - issued_on.unix()).max(1) as u64;
        let revoked_on = issued_on.plus_seconds((scattered % until) as i64);
        CertificateRecord {
            id: CertificateId::time_ordered(made, &Generator),
            serial: SerialNumber::from_random(octets),
            fingerprint_sha256,
            subject: SubjectFields {
                common_name: common_name(number),
                ..model.subject.clone()
            },
            issued_on,
            expires_on: issued_on.plus_seconds(i64::from(validity_days) * DAY),
            validity_days,
            status: if is_revoked {
                Status::Revoked
            } else {
                Status::Active
            },
            revoked_on: is_revoked.then_some(revoked_on),
            revocation_reason: is_revoked.then_some(RevocationReason::CertificateHold),
            ..model.clone()
        }
    }
}

struct Generator;

impl Random for Generator {
    #[expect(clippy::disallowed_methods, reason = "fills a store for a benchmark")]
    fn fill(&self, bytes: &mut [u8]) {
        rand::fill(bytes).expect("the generator, once seeded by the system, does not fail");
    }
}
