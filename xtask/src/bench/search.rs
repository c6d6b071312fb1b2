//! Searches, look-ups, the summary and the first list of the console, over HTTP.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use certgate_model::Timestamp;
use serde_json::Value;

use super::figures::Measure;
use super::http::{Connection, Request};
use super::inputs::{RARE_WORD, csrs, scatter};
use super::served::Bench;
use super::statistics::Samples;

/// Certificates on a page. A search reaches 10,000 matches, so page 400 is the last one.
const SIZE: u64 = 25;
const PAGE_MAX: u64 = 400;

/// The fewest and the most requests of each kind, which take turns.
const ROUNDS: std::ops::RangeInclusive<u64> = 100..=500;

/// The time after which no more than the fewest requests are sent.
const LONGEST: Duration = Duration::from_secs(30);

/// Clients that search at a time.
const BUSY: usize = 8;

/// Certificates that are issued over HTTP to be looked up: copies have no serial number of ours.
const LOOKED_UP: usize = 256;

/// Searches with a word that few names contain.
const CONTAINS: u32 = 10;

/// The error of a search that stopped at its limit of work, with the place to continue.
const STOPPED: u64 = 1531;

/// The values that filters select by.
struct Known {
    /// The date of the newest certificates.
    end: i64,
    authority: String,
    /// The beginning of an ID of the middle of the zone.
    id: String,
}

/// A kind of search, and its last page.
struct Search {
    name: &'static str,
    query: String,
    last: u64,
}

impl Bench<'_> {
    /// Measures everything.
    pub(super) async fn search(&mut self) -> anyhow::Result<()> {
        eprintln!("search …");
        let known = self.known().await?;
        let searches = self.with_pages(one_filter(&known)).await?;
        self.pages_of(Measure::Search, &searches).await?;
        self.busy(&searches).await?;
        let two = self.with_pages(two_filters(&known)).await?;
        self.pages_of(Measure::SearchTwo, &two).await?;
        let console = vec![(
            "",
            "status=active&replaced=false&order=issued_on".to_owned(),
        )];
        let console = self.with_pages(console).await?;
        self.pages_of(Measure::NewestList, &console).await?;
        self.lookups().await?;
        self.summary().await?;
        self.contains().await
    }

    fn page(&self, query: &str) -> Request {
        Request::get(&self.installation, &format!("client_certificates?{query}"))
    }

    async fn known(&self) -> anyhow::Result<Known> {
        let mut connection = Connection::open(self.server.address()).await?;
        let newest = connection.json(&self.page("status=all&limit=1")).await?;
        let total = newest["result_info"]["total_count"].as_u64().unwrap_or(0);
        let middle = format!("status=all&limit=1&offset={}", total / 2);
        let middle = connection.json(&self.page(&middle)).await?;
        let newest = &newest["result"][0];
        let text = |value: &Value| value.as_str().map(str::to_owned).context("no text");
        let end: Timestamp = text(&newest["issued_on"])?.parse()?;
        Ok(Known {
            end: end.unix(),
            authority: text(&newest["certificate_authority"]["id"])?,
            id: text(&middle["result"][0]["id"])?,
        })
    }

    /// Determines the last page of each search.
    async fn with_pages(
        &self,
        searches: Vec<(&'static str, String)>,
    ) -> anyhow::Result<Vec<Search>> {
        let mut connection = Connection::open(self.server.address()).await?;
        let mut found = Vec::new();
        for (name, query) in searches {
            let answer = connection
                .json(&self.page(&format!("{query}&per_page={SIZE}")))
                .await?;
            let total = answer["result_info"]["total_count"].as_u64().unwrap_or(0);
            if total == 0 {
                // Of a small zone.
                continue;
            }
            let is_capped = answer["messages"][0]["code"].as_u64().is_some();
            let last = total.div_ceil(SIZE);
            // Lists that are exact at any depth have more pages.
            let last = if is_capped { last.min(PAGE_MAX) } else { last };
            eprintln!("  {query}: {total} matches");
            found.push(Search { name, query, last });
        }
        Ok(found)
    }

    /// Measures the first page and the last one of each search, with one client.
    async fn pages_of(&mut self, what: Measure, searches: &[Search]) -> anyhow::Result<()> {
        let mut connection = Connection::open(self.server.address()).await?;
        let mut samples = vec![[Samples::default(), Samples::default()]; searches.len()];
        let begun = Instant::now();
        for round in 0..*ROUNDS.end() {
            if round >= *ROUNDS.start() && begun.elapsed() > LONGEST {
                break;
            }
            for (search, [first, last]) in searches.iter().zip(&mut samples) {
                let Search { query, .. } = search;
                // The last pages take turns, so that more than one place of the index is read.
                let deep = search.last - round % search.last.min(10);
                for (page, samples) in [(1, first), (deep, last)] {
                    let request = self.page(&format!("{query}&per_page={SIZE}&page={page}"));
                    samples.push(connection.timed(&request).await?);
                }
            }
        }
        let report = &mut self.report;
        let mut slowest = [None::<Samples>, None];
        for (search, samples) in searches.iter().zip(samples) {
            let pages = [("page 1", 1), ("last pages", search.last)];
            for (((which, at), samples), slowest) in pages.iter().zip(samples).zip(&mut slowest) {
                let figure = report.median(what, &samples).at(*at);
                let name = search.name;
                if !name.is_empty() {
                    report.add(figure.which(format!("{name}, {which}")))?;
                }
                let is_slower = |other: &Samples| samples.percentile(99) > other.percentile(99);
                if slowest.as_ref().is_none_or(is_slower) {
                    *slowest = Some(samples);
                }
            }
        }
        for (which, slowest) in ["page 1", "last pages"].into_iter().zip(slowest) {
            let slowest = slowest.context("nothing was searched")?;
            report.add(report.median(what, &slowest).which(which))?;
        }
        Ok(())
    }

    /// Measures several clients with one filter each, at any page.
    async fn busy(&mut self, searches: &[Search]) -> anyhow::Result<()> {
        let request = |number: u64| {
            let search = &searches[number as usize % searches.len()];
            let page = 1 + scatter(number) % search.last;
            self.page(&format!("{}&per_page={SIZE}&page={page}", search.query))
        };
        let measured = self.load(BUSY, request).await?;
        let figure = self.report.rate(Measure::SearchBusy, &measured);
        self.report.add(figure.which(format!("{BUSY} clients")))
    }

    /// Compares look-ups with GET. All take turns.
    async fn lookups(&mut self) -> anyhow::Result<()> {
        let mut connection = Connection::open(self.server.address()).await?;
        let mut certificates = Vec::new();
        for csr in csrs(LOOKED_UP)? {
            let request = Request::issue(&self.installation, &csr);
            certificates.push(connection.json(&request).await?["result"].take());
        }
        let names = ["GET", "serial number", "beginning of the ID", "fingerprint"];
        let mut samples: [Samples; 4] = Default::default();
        for round in 0..4 * ROUNDS.end() {
            let certificate = &certificates[scatter(round) as usize % certificates.len()];
            let field = |name: &str| certificate[name].as_str().unwrap_or_default();
            let id = field("id");
            let requests = [
                Request::get(&self.installation, &format!("client_certificates/{id}")),
                self.page(&format!("serial_number={}", field("serial_number"))),
                self.page(&format!("id.startswith={}", &id[..20])),
                self.page(&format!(
                    "fingerprint_sha256={}",
                    field("fingerprint_sha256")
                )),
            ];
            for (samples, request) in samples.iter_mut().zip(&requests) {
                samples.push(connection.timed(request).await?);
            }
        }
        let get = samples[0].median();
        for (samples, name) in samples.iter().zip(names) {
            let figure = self.report.median(Measure::Lookup, samples).ratio(get);
            self.report.add(figure.which(name))?;
        }
        Ok(())
    }

    async fn summary(&mut self) -> anyhow::Result<()> {
        let path = format!("/certgate/v1/zones/{}/summary", self.installation.zone_id);
        let request = Request::of(&self.installation, "GET", &path, "");
        let mut connection = Connection::open(self.server.address()).await?;
        let mut samples = Samples::default();
        for _ in 0..2 * ROUNDS.end() {
            samples.push(connection.timed(&request).await?);
        }
        self.report
            .add(self.report.median(Measure::Summary, &samples))
    }

    /// Searches for a rare word inside of all names, and measures other requests beside it.
    async fn contains(&mut self) -> anyhow::Result<()> {
        let duration = Duration::from_secs(5);
        let alone = self.others(async || Ok(()), duration).await?;
        let (searched, rounds) = (RefCell::new(Samples::default()), Cell::new(0_u32));
        let beside = self
            .others(
                async || {
                    for _ in 0..CONTAINS {
                        rounds.set(rounds.get() + self.whole_contains(&searched).await?);
                    }
                    Ok(())
                },
                Duration::ZERO,
            )
            .await?;
        eprintln!(
            "  {:.1} requests for all names with the rare word",
            f64::from(rounds.get()) / f64::from(CONTAINS)
        );
        let report = &mut self.report;
        let searched = searched.into_inner();
        report.add(
            report
                .median(Measure::Contains, &searched)
                .which("one answer"),
        )?;
        let before = alone.percentile(99);
        for (which, samples) in [("alone", alone), ("beside", beside)] {
            let figure = report.figure(Measure::BesideContains, samples.percentile(99));
            report.add(figure.ratio(before).which(which))?;
        }
        Ok(())
    }

    /// Sends other requests one after another while `work` runs, and for at least a time.
    async fn others(
        &self,
        work: impl AsyncFn() -> anyhow::Result<()>,
        at_least: Duration,
    ) -> anyhow::Result<Samples> {
        let ids = self.installation.some_ids()?;
        let is_done = Cell::new(false);
        let begun = Instant::now();
        let others = async {
            let mut connection = Connection::open(self.server.address()).await?;
            let mut samples = Samples::default();
            for round in 0_u64.. {
                if is_done.get() && begun.elapsed() >= at_least {
                    break;
                }
                let id = &ids[scatter(round) as usize % ids.len()];
                let request = match round % 2 {
                    0 => Request::get(&self.installation, &format!("client_certificates/{id}")),
                    _ => self.page(&format!("id.startswith={}&limit=20", &id[..8])),
                };
                samples.push(connection.timed(&request).await?);
            }
            Ok::<_, anyhow::Error>(samples)
        };
        let work = async {
            let worked = work().await;
            is_done.set(true);
            worked
        };
        let (samples, ()) = futures_util::future::try_join(others, work).await?;
        Ok(samples)
    }

    /// Searches all names for the rare word, with as many requests as that takes. Returns their
    /// number.
    async fn whole_contains(&self, times: &RefCell<Samples>) -> anyhow::Result<u32> {
        let mut connection = Connection::open(self.server.address()).await?;
        let (mut requests, mut place, mut found) = (0, String::new(), BTreeSet::new());
        loop {
            let query = format!("status=all&common_name.contains={RARE_WORD}&limit=50{place}");
            let begun = Instant::now();
            let (status, body) = connection.exchange(&self.page(&query)).await?;
            times.borrow_mut().push(begun.elapsed().as_secs_f64());
            requests += 1;
            let answer: Value = serde_json::from_slice(&body)?;
            let next = match (status, answer["errors"][0]["code"].as_u64()) {
                (200, _) => &answer["result_info"]["continue"],
                (400, Some(STOPPED)) => &answer["errors"][0]["continue"],
                _ => bail!("{query}: {status} {answer}"),
            };
            for item in answer["result"].as_array().into_iter().flatten() {
                found.insert(item["id"].to_string());
            }
            match next.as_str() {
                Some(next) => place = format!("&continue={next}"),
                None => break,
            }
        }
        let rare = self.report.certificates / super::inputs::RARE_ONE_IN;
        ensure!(
            found.len() as u64 >= rare,
            "{} of {rare} were found",
            found.len()
        );
        Ok(requests)
    }
}

/// The text of a date before or after the newest certificates, in days.
fn day(known: &Known, days: i64) -> String {
    Timestamp::from_unix(known.end + days * 86_400).to_string()
}

/// The searches with one filter.
fn one_filter(known: &Known) -> Vec<(&'static str, String)> {
    let Known { authority, id, .. } = known;
    vec![
        (
            "name",
            "status=all&common_name=build%20agent%207".to_owned(),
        ),
        (
            "beginning of names",
            "status=all&common_name.startswith=device-00".to_owned(),
        ),
        (
            "CA",
            format!("status=all&certificate_authority_id={authority}"),
        ),
        (
            "end",
            format!("status=all&expires_on.before={}", day(known, 200)),
        ),
        (
            "issue",
            format!("status=all&issued_on.after={}", day(known, -100)),
        ),
        (
            "revocation",
            format!("status=all&revoked_on.after={}", day(known, -100)),
        ),
        ("beginning of IDs", format!("id.startswith={}", &id[..6])),
        ("replaced", "status=all&replaced=true".to_owned()),
        ("status", "status=revoked".to_owned()),
    ]
}

/// Searches with two filters, one of which has at most 10,000 matches.
fn two_filters(known: &Known) -> Vec<(&'static str, String)> {
    let Known { authority, id, .. } = known;
    let name = "common_name=build%20agent%207";
    let short = format!(
        "issued_on.after={}&issued_on.before={}",
        Timestamp::from_unix(known.end - 100 * 86_400),
        Timestamp::from_unix(known.end - 100 * 86_400 + 43_200),
    );
    vec![
        ("name and status", format!("status=active&{name}")),
        (
            "name and CA",
            format!("status=all&{name}&certificate_authority_id={authority}"),
        ),
        (
            "name and end",
            format!("status=all&{name}&expires_on.before={}", day(known, 200)),
        ),
        (
            "name and issue",
            format!("status=all&{name}&issued_on.after={}", day(known, -100)),
        ),
        (
            "name and place",
            format!("status=all&{name}&replaced=false"),
        ),
        (
            "beginning and status",
            "status=revoked&common_name.startswith=device-0012".to_owned(),
        ),
        ("half a day and status", format!("status=active&{short}")),
        (
            "ID and CA",
            format!(
                "id.startswith={}&certificate_authority_id={authority}",
                &id[..6]
            ),
        ),
    ]
}
