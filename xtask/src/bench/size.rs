//! The size of the database, which grows with the certificates, and the time of a start, which must
//! not.

use std::path::Path;
use std::rc::Rc;
use std::time::Instant;

use super::figures::Measure;
use super::installation::Installation;
use super::keeper::Keeper;
use super::report::Report;
use super::server::Server;
use super::sql::Sql;
use super::statistics::Samples;

/// Starts of the server in one median.
const STARTS: usize = 9;

/// Smaller tables are not listed. A part of all tables together.
const TABLE_PART_MIN: f64 = 0.01;

/// Measures starts on an empty store and on the full zone.
///
/// Returns the memory in bytes after a start on the empty store.
pub fn start(
    binary: &Path,
    empty: &Installation,
    full: &Installation,
    keeper: &Rc<Keeper>,
    report: &mut Report,
) -> anyhow::Result<f64> {
    eprintln!("start …");
    let (mut of_empty, mut of_full, mut memory) = (Samples::default(), Samples::default(), 0.0);
    // The first start of each is not counted: it may have to make lists or to write back a log.
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
    let figure = report.median(Measure::Start, &of_empty);
    report.add(figure.which("empty store"))?;
    let figure = report.median(Measure::Start, &of_full);
    report.add(figure.ratio(of_empty.median()).which("this zone"))?;
    let figure = report.figure(Measure::Memory, memory);
    report.add(figure.which("after a start on an empty store"))?;
    Ok(memory)
}

/// Measures the space of a certificate on the disk, indexes and counters included.
pub async fn disk(installation: &Installation, report: &mut Report) -> anyhow::Result<()> {
    let (newest, total) = installation.newest(None).await?;
    let raw = newest.der.len() + newest.csr.len();
    let sql = Sql::open(installation).await?;
    let sizes = sql.sizes(installation).await?;
    sql.close().await?;
    let all: u64 = sizes.iter().map(|(_, bytes)| bytes).sum();
    let each = report.figure(Measure::Disk, all as f64 / total as f64);
    report.add(each.ratio(raw as f64))?;
    let all = all as f64;
    for (name, bytes) in sizes {
        let figure = report.figure(Measure::Table, bytes as f64);
        if figure.value > TABLE_PART_MIN * all {
            report.add(figure.ratio(all).which(name))?;
        }
    }
    Ok(())
}
