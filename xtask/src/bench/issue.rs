//! Issuing, against bare cryptography. Recording, with shared commits and with one commit for each.

use std::cell::Cell;
use std::time::{Duration, Instant};

use certgate_model::{By, CertificateQuery, Event, Slice, Status};
use certgate_store::StatusChange;

use super::figures::Measure;
use super::http::Request;
use super::inputs::csrs;
use super::installation::Installation;
use super::report::Report;
use super::served::Bench;
use super::{crypto, fill, system};

/// Clients that wait for an answer at a time.
const CLIENTS: [usize; 4] = [1, 16, 64, 256];

/// Different requests for certificates, used in turn, so that a cache would not help.
const CSRS: usize = 4_096;

/// Certificates whose status is changed. Each is changed once.
const CHANGES: u32 = 10_000;

fn clients(count: usize) -> String {
    if count == 1 {
        "1 client".to_owned()
    } else {
        format!("{count} clients")
    }
}

impl Bench<'_> {
    pub(super) async fn issue(&mut self) -> anyhow::Result<()> {
        eprintln!("issue …");
        // Requests are made beforehand, because the client shares the processors with the server.
        let request = |csr: &String| Request::issue(&self.installation, csr);
        let requests: Vec<_> = csrs(CSRS)?.iter().map(request).collect();
        let issue = |round: u64| &requests[round as usize % requests.len()];
        let mut all = Vec::new();
        // The baseline is measured before and after, because the machine's speed drifts.
        let mut before = crypto::verify_and_sign_per_second(self.duration / 4);
        for count in CLIENTS {
            let issued = self.load(count, issue).await?;
            let after = crypto::verify_and_sign_per_second(self.duration / 4);
            all.push((count, issued, f64::midpoint(before, after)));
            before = after;
        }
        let report = &mut self.report;
        for (count, issued, crypto) in all {
            let figure = report.rate(Measure::Issue, &issued).ratio(crypto);
            report.add(figure.which(clients(count)).at(count as u64))?;
            if Some(&count) == CLIENTS.last() {
                report.add(report.figure(Measure::Crypto, crypto))?;
            }
        }
        Ok(())
    }
}

/// Measures recording in this process, with shared commits as in the server, and with a commit for
/// each.
pub async fn record(
    installation: &Installation,
    report: &mut Report,
    duration: Duration,
) -> anyhow::Result<()> {
    eprintln!("record, with shared commits and one for each …");
    let (model, of) = installation.newest(Some(Status::Active)).await?;
    let copies = fill::Copies {
        model,
        of,
        revoked_one_in: u64::MAX,
    };
    let mut one_client = None;
    for count in CLIENTS {
        let mut rates = [0.0; 2];
        for (rate, batch) in rates.iter_mut().zip([None, Some(1)]) {
            let store = installation.store(batch).await?;
            let number = Cell::new(of);
            *rate = at_once(count, duration, u64::MAX, async |_| {
                number.set(number.get() + 1);
                copies.add(&*store, number.get()).await
            })
            .await?;
            store.close().await;
        }
        let first = *one_client.get_or_insert(rates[0]);
        for (what, rate, baseline) in [
            (Measure::Record, rates[0], first),
            (Measure::RecordAlone, rates[1], rates[0]),
        ] {
            let figure = report.figure(what, rate).ratio(baseline);
            report.add(figure.which(clients(count)).at(count as u64))?;
        }
    }
    Ok(())
}

/// Measures revoking in this process, with shared commits and with a commit for each.
pub async fn change(
    installation: &Installation,
    report: &mut Report,
    duration: Duration,
    over_http: Option<f64>,
) -> anyhow::Result<()> {
    eprintln!("change a status, with shared commits and one for each …");
    let count = CLIENTS[CLIENTS.len() - 1];
    let zone = installation.zone()?;
    let mut rates = [0.0; 2];
    for (rate, batch) in rates.iter_mut().zip([None, Some(1)]) {
        let store = installation.store(batch).await?;
        let slice = Slice {
            first: 0,
            size: CHANGES,
        };
        let status = Some(Status::Active);
        let active = store
            .certificates(zone, CertificateQuery { status, slice })
            .await?;
        let at = system::now()?;
        *rate = at_once(count, duration, active.items.len() as u64, async |number| {
            let id = active.items[number as usize].id;
            let changed = store
                .change_status(zone, id, Event::HOLD, By::system(at))
                .await?;
            anyhow::ensure!(
                matches!(changed, Some(StatusChange::Changed(_))),
                "{id} was not revoked"
            );
            Ok(())
        })
        .await?;
        store.close().await;
    }
    let shared = report
        .figure(Measure::Change, rates[0])
        .which(clients(count));
    report.add(match over_http {
        Some(over_http) => shared.ratio(over_http),
        None => shared,
    })?;
    let alone = report.figure(Measure::ChangeAlone, rates[1]);
    report.add(alone.ratio(rates[0]).which(clients(count)))
}

/// Makes `count` calls at a time, each with its number. Returns the calls that ended per second.
async fn at_once(
    count: usize,
    duration: Duration,
    calls_max: u64,
    call: impl AsyncFn(u64) -> anyhow::Result<()>,
) -> anyhow::Result<f64> {
    let (number, done) = (Cell::new(0), Cell::new(0_u32));
    let begun = Instant::now();
    let tasks = (0..count).map(|_| async {
        while begun.elapsed() < duration && number.get() < calls_max {
            call(number.replace(number.get() + 1)).await?;
            done.set(done.get() + 1);
        }
        Ok::<_, anyhow::Error>(())
    });
    for ended in futures_util::future::join_all(tasks).await {
        ended?;
    }
    Ok(f64::from(done.get()) / begun.elapsed().as_secs_f64())
}
