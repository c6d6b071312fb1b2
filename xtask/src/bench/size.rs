//! What grows with the certificates, and what must not: disk, and the time of a start.

use std::path::Path;
use std::rc::Rc;
use std::time::Instant;

use anyhow::Context;
use certgate_model::{CertificateQuery, Slice};

use super::figures::{Report, What};
use super::keeper::Keeper;
use super::server::{Installation, Server};
use super::sql::Sql;
use super::statistics::Samples;

/// Starts of the server to take the median of.
const STARTS: usize = 9;

/// Tables with less than this part of all are not listed.
const TABLE_PART_MIN: f64 = 0.01;

/// What starting on an empty store takes in memory, in octets.
pub fn start(
    binary: &Path,
    empty: &Installation,
    full: &Installation,
    keeper: &Rc<Keeper>,
    report: &mut Report,
) -> anyhow::Result<f64> {
    eprintln!("start …");
    let (mut of_empty, mut of_full, mut memory) = (Samples::default(), Samples::default(), 0.0);
    // The first of each is not counted: it may have lists to make or a log to write back.
    for _ in 0..=STARTS {
        for (installation, samples) in [(empty, &mut of_empty), (full, &mut of_full)] {
            let begun = Instant::now();
            let server = Server::start(binary, installation, keeper)?;
            samples.push(begun.elapsed().as_secs_f64());
            if std::ptr::eq(installation, empty) {
                memory = server.peak_memory_bytes()?;
            }
            server.stop()?;
        }
    }
    let (of_empty, of_full) = (of_empty.without_first(), of_full.without_first());
    report.add(report.median(What::Start, &of_empty).which("empty store"))?;
    report.add(
        report
            .median(What::Start, &of_full)
            .ratio(of_empty.median())
            .which("this zone"),
    )?;
    report.add(
        report
            .figure(What::Memory, memory)
            .which("after a start on an empty store"),
    )?;
    Ok(memory)
}

/// What a certificate takes on the disk, with all that belongs to it.
pub async fn disk(installation: &Installation, report: &mut Report) -> anyhow::Result<()> {
    let store = installation.store(None).await?;
    let query = CertificateQuery {
        status: None,
        slice: Slice { first: 0, size: 1 },
    };
    let page = store.certificates(installation.zone()?, query).await?;
    store.close().await;
    let newest = page.items.first().context("the zone is empty")?;
    let raw = newest.der.len() + newest.csr.len();
    let sql = Sql::open(installation).await?;
    let sizes = sql.sizes(installation).await?;
    sql.close().await?;
    let all: u64 = sizes.iter().map(|(_, bytes)| bytes).sum();
    let each = report.figure(What::Disk, all as f64 / page.total as f64);
    report.add(each.ratio(raw as f64))?;
    for (name, bytes) in sizes
        .iter()
        .filter(|(_, bytes)| *bytes as f64 > TABLE_PART_MIN * all as f64)
    {
        report.add(
            report
                .figure(What::Table, *bytes as f64)
                .ratio(all as f64)
                .which(name),
        )?;
    }
    Ok(())
}
