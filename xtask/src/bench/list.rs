//! Lists: the store against SQL with OFFSET and COUNT in this process, and page 1 against the
//! deepest pages over HTTP.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::ensure;
use certgate_model::{CertificateQuery, Slice, Status};

use super::figures::{Figure, Measure};
use super::http::{CONNECTIONS, Connection, Request};
use super::inputs::scatter;
use super::installation::Installation;
use super::report::Report;
use super::served::Bench;
use super::sql::Sql;
use super::statistics::Samples;

const SIZE: u32 = 20;

/// The fewest and the most readings of a page in each half of a comparison. A deep OFFSET takes
/// seconds.
const ROUNDS: std::ops::RangeInclusive<usize> = 2..=500;

/// Halves of a comparison. Each measures both sides, so that a slower half slows both.
const HALVES: u32 = 2;

/// Requests of each kind in a comparison of latencies. The kinds take turns.
const LATENCY_PAIRS: u64 = 2_000;

/// Measures the store against two plain statements, at page 1, 10, 100 … to the last one.
///
/// The store's pages take turns, so that a slower machine slows them alike. The statements have
/// their own turns, because a deep OFFSET slows the measurement after it.
pub async fn against_sql(
    installation: &Installation,
    report: &mut Report,
    duration: Duration,
) -> anyhow::Result<()> {
    eprintln!("list, the store against OFFSET and COUNT …");
    let store = installation.store(None).await?;
    let sql = Sql::open(installation).await?;
    sql.warm_up(installation).await?;
    let zone = installation.zone()?;
    for (status, of_store, of_sql) in [
        (None, Measure::StorePage, Measure::SqlPage),
        (
            Some(Status::Revoked),
            Measure::StoreRevokedPage,
            Measure::SqlRevokedPage,
        ),
    ] {
        let query = |page: u64| CertificateQuery {
            status,
            slice: slice(page),
        };
        let last = store.certificates(zone, query(1)).await?.total / u64::from(SIZE);
        if last < 2 {
            continue;
        }
        let powers = (0..)
            .map(|power| 10_u64.pow(power))
            .take_while(|page| *page < last);
        let mut pages: BTreeMap<u64, [Samples; 2]> =
            powers.map(|page| (page, Default::default())).collect();
        for page in [last.div_ceil(2), last] {
            pages.entry(page).or_default();
        }
        for _ in 0..HALVES {
            let begun = Instant::now();
            for round in 0..*ROUNDS.end() {
                for (page, [ours, _]) in &mut pages {
                    let before = Instant::now();
                    let found = store.certificates(zone, query(*page)).await?;
                    ours.push(before.elapsed().as_secs_f64());
                    ensure!(
                        found.items.len() == SIZE as usize,
                        "page {page} is not full"
                    );
                }
                if round >= *ROUNDS.start() && begun.elapsed() > duration / 2 {
                    break;
                }
            }
            let total = store.certificates(zone, query(1)).await?.total;
            for (page, [_, theirs]) in &mut pages {
                let begun = Instant::now();
                for round in 0..*ROUNDS.end() {
                    let before = Instant::now();
                    let found = sql.page(status, slice(*page).first, SIZE).await?;
                    theirs.push(before.elapsed().as_secs_f64());
                    ensure!(
                        found.rows == SIZE as usize && found.total == total,
                        "SQL finds {found:?}, the store {SIZE} of {total}"
                    );
                    if round >= *ROUNDS.start() && begun.elapsed() > duration / 2 {
                        break;
                    }
                }
            }
        }
        let first = pages[&1][0].median();
        for (page, [ours, theirs]) in pages {
            let place = |figure: Figure| match page {
                1 => figure.which("page 1"),
                page if page == last => figure.which("last page"),
                page if page == last.div_ceil(2) => figure.which("middle page"),
                _ => figure.unlisted(),
            };
            report.add(place(report.median(of_store, &ours).at(page).ratio(first)))?;
            report.add(place(
                report.median(of_sql, &theirs).at(page).ratio(ours.median()),
            ))?;
        }
    }
    sql.close().await?;
    store.close().await;
    Ok(())
}

fn slice(page: u64) -> Slice {
    Slice {
        first: (page - 1) * u64::from(SIZE),
        size: SIZE,
    }
}

impl Bench<'_> {
    fn list(&self, query: &str) -> Request {
        Request::get(&self.installation, &format!("client_certificates?{query}"))
    }

    /// Measures one client. The kinds of page take turns, so that a slower machine slows them
    /// alike.
    pub(super) async fn latency_of_lists(&mut self) -> anyhow::Result<()> {
        eprintln!("list over HTTP, one client …");
        let mut connection = Connection::open(self.server.address()).await?;
        let mut last = [0; 2];
        for (last, query) in last.iter_mut().zip(["all", "revoked"]) {
            let request = self.list(&format!("status={query}&per_page=20"));
            let answer = connection.json(&request).await?;
            let total = answer["result_info"]["total_count"].as_u64().unwrap_or(0);
            // The last page may not be full, and is left out.
            *last = (total / u64::from(SIZE)).max(1);
        }
        let mut samples: [Samples; 4] = Default::default();
        for round in 0..LATENCY_PAIRS {
            // Pages of the last tenth, and at most a hundred of them.
            let deep = last.map(|last| last - round % (last / 10 + 1).min(100));
            let pages = [
                self.list("status=all&per_page=20&page=1"),
                self.list(&format!("status=all&per_page=20&page={}", deep[0])),
                self.list("status=revoked&per_page=20&page=1"),
                self.list(&format!("status=revoked&per_page=20&page={}", deep[1])),
            ];
            for (samples, page) in samples.iter_mut().zip(&pages) {
                samples.push(connection.timed(page).await?);
            }
        }
        let [first, deep, first_revoked, deep_revoked] = samples;
        let report = &mut self.report;
        for (what, first, deep, last) in [
            (Measure::HttpPage, first, deep, last[0]),
            (
                Measure::HttpRevokedPage,
                first_revoked,
                deep_revoked,
                last[1],
            ),
        ] {
            report.add(report.median(what, &first).which("page 1").at(1))?;
            let figure = report.median(what, &deep).ratio(first.median());
            report.add(figure.which("last pages").at(last))?;
        }
        Ok(())
    }

    pub(super) async fn throughput_of_lists(&mut self) -> anyhow::Result<()> {
        eprintln!("list over HTTP, {CONNECTIONS} clients …");
        let pages = (self.report.certificates / u64::from(SIZE)).max(1);
        let first = self
            .load(CONNECTIONS, |_| self.list("status=all&page=1"))
            .await?;
        let page = |round| self.list(&format!("status=all&page={}", 1 + scatter(round) % pages));
        let random = self.load(CONNECTIONS, page).await?;
        for (which, measured) in [
            ("page 1 again and again", first),
            ("at random depth", random),
        ] {
            let figure = self.report.rate(Measure::Page, &measured).which(which);
            let figure = figure.ratio(self.bare_http);
            self.report.add(figure)?;
        }
        Ok(())
    }
}
