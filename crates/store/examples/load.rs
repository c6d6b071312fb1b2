//! Fills a store and measures it:
//! `cargo run --release -p certgate-store --example load -- [certificates] [directory]`.
//!
//! Prints the recordings per second with 256 tasks, the time of a page at several depths and
//! filters, of searches, the time to open, and the memory of the process.
#![allow(
    clippy::disallowed_methods,
    reason = "a benchmark measures elapsed time"
)]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use certgate_model::{
    AuthorityRecord, CertificateFilter, CertificateQuery, CertificateRecord, CertificateSearch,
    FoldedName, IdRange, NameMatch, SearchOutcome, Slice, Status, TimeRange, ZoneId,
};
use certgate_store::conformance::{authority, by, certificate, first_records, instant};
use certgate_store::prelude::*;
use certgate_store::{IndexStep, IndexWork, SqliteOptions, SqliteStore};

const TASKS: u32 = 256;
const ROUNDS: u32 = 2_000;
const MIXED: u32 = 100_000;

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let certificates = arguments
        .next()
        .map_or(Ok(1_000_000), |text| text.parse())?;
    let made = tempfile::tempdir()?;
    let path = arguments
        .next()
        .map_or(made.path().to_owned(), PathBuf::from)
        .join("store.db");
    let records = first_records();
    let (zone, authority) = (records.zone.id, authority(0, &records.account));

    if !path.exists() {
        let store = Arc::new(SqliteStore::open(&path, SqliteOptions::default())?);
        store.initialise(records).await?;
        store
            .record_managed_authority(authority.clone(), by())
            .await?;
        fill(&store, zone, &authority, certificates).await?;
        store.close().await;
    }
    let begun = Instant::now();
    let store = SqliteStore::open(&path, SqliteOptions::default())?;
    println!("open: {:.1} ms", begun.elapsed().as_secs_f64() * 1e3);
    println!("file: {:.0} MB", size(&path) / 1e6);
    index(&store, &path).await?;

    for status in [None, Some(Status::Active), Some(Status::Revoked)] {
        for percent in [0, 10, 50, 90, 99] {
            pages(&store, zone, status, percent).await?;
        }
    }
    searches(&store, zone, &authority, certificates).await?;
    let store = Arc::new(store);
    mixed(&store, zone, &authority, &path).await?;
    let begun = Instant::now();
    store
        .settle_pending(u64::MAX, certgate_model::Timestamp::from_unix(0), &[], 100)
        .await?;
    println!(
        "settle nothing: {:.0} µs",
        begun.elapsed().as_secs_f64() * 1e6
    );
    print!(
        "{}",
        std::fs::read_to_string("/proc/self/status")
            .map(|text| memory(&text))
            .unwrap_or_default()
    );
    store.close().await;
    Ok(())
}

/// Indexes the certificates of a database of an earlier version, without pauses.
async fn index(store: &SqliteStore, path: &Path) -> Result<(), Box<dyn Error>> {
    let all = store.installation_summary(0, 0).await?.unindexed;
    if store.is_indexed().await? {
        return Ok(());
    }
    let (begun, mut work, mut longest) = (Instant::now(), IndexWork::default(), 0.0_f64);
    loop {
        let step = Instant::now();
        if store.index_next(&mut work).await? == IndexStep::Finished {
            break;
        }
        longest = longest.max(step.elapsed().as_secs_f64());
    }
    println!(
        "index of {all} certificates: {:.1} s, the longest step {:.0} ms; file: {:.0} MB",
        begun.elapsed().as_secs_f64(),
        longest * 1e3,
        size(path) / 1e6
    );
    Ok(())
}

async fn fill(
    store: &Arc<SqliteStore>,
    zone: ZoneId,
    authority: &AuthorityRecord,
    certificates: u32,
) -> Result<(), Box<dyn Error>> {
    let begun = Instant::now();
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let (store, authority) = (Arc::clone(store), authority.clone());
            tokio::spawn(async move {
                for n in (task..certificates).step_by(TASKS as usize) {
                    let status = if n % 3 == 0 {
                        Status::Revoked
                    } else {
                        Status::Active
                    };
                    let record = various(n, certificate(n, zone, &authority, status));
                    store.record_certificate(record, None, by()).await?;
                }
                Ok::<_, certgate_store::StoreError>(())
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let statistics = store.statistics();
    println!(
        "recorded: {certificates} in {seconds:.1} s, {:.0}/s, {:.0} a transaction",
        f64::from(certificates) / seconds,
        statistics.writes as f64 / statistics.commits as f64
    );
    Ok(())
}

/// Gives a certificate a name, dates and a fingerprint as they are in use: one is issued every 30
/// seconds for 90 to 454 days, and each name has about four certificates.
fn various(n: u32, record: CertificateRecord) -> CertificateRecord {
    let kind = ["Laptop", "phone", "build", "sensor"][n as usize % 4];
    let issued_on = instant(n.wrapping_mul(30));
    let mut fingerprint_sha256 = [0; 32];
    fingerprint_sha256[..20].copy_from_slice(record.serial.as_bytes());
    let mut subject = record.subject;
    subject.common_name = format!("{kind}-{}", n / 16 % 1_000_003);
    CertificateRecord {
        subject,
        issued_on,
        expires_on: issued_on.plus_days(90 + n.wrapping_mul(7_919) % 365),
        revoked_on: record.revoked_on.map(|_| issued_on.plus_days(30)),
        fingerprint_sha256,
        ..record
    }
}

/// Searches with each filter, and with some pairs.
async fn searches(
    store: &SqliteStore,
    zone: ZoneId,
    authority: &AuthorityRecord,
    certificates: u32,
) -> Result<(), Box<dyn Error>> {
    let none = CertificateFilter::default;
    let one = |n: u32| {
        let n = n.wrapping_mul(7_919) % certificates;
        various(n, certificate(n, zone, authority, Status::Active))
    };
    let name = |name: NameMatch| CertificateFilter {
        common_name: Some(name),
        ..none()
    };
    let folded = FoldedName::new;
    let begins = |text: &str| name(NameMatch::StartsWith(folded(text)));
    let now = instant(certificates.wrapping_mul(30));
    let soon = TimeRange {
        after: Some(now),
        before: Some(now.plus_days(30)),
    };
    let expires = CertificateFilter {
        expires_on: soon,
        ..none()
    };
    let active = |filter| CertificateFilter {
        status: Some(Status::Active),
        ..filter
    };
    let by_authority = CertificateFilter {
        authority: Some(authority.id),
        ..none()
    };
    type Make<'m> = Box<dyn Fn(u32) -> CertificateFilter + 'm>;
    let same = |filter: CertificateFilter| -> Make<'_> { Box::new(move |_| filter.clone()) };
    let cases: Vec<(&str, u64, Make<'_>)> = vec![
        (
            "serial",
            0,
            Box::new(|n| {
                let record = one(n);
                let serials = Some(vec![(record.serial, Some(record.id))]);
                CertificateFilter { serials, ..none() }
            }),
        ),
        (
            "fingerprint",
            0,
            Box::new(|n| CertificateFilter {
                fingerprint_sha256: Some(one(n).fingerprint_sha256),
                ..none()
            }),
        ),
        (
            "ID prefix of 8",
            0,
            Box::new(|n| CertificateFilter {
                ids: IdRange::of_prefix(&one(n).id.to_string()[..8]),
                ..none()
            }),
        ),
        (
            "ID prefix of 6",
            0,
            Box::new(|n| CertificateFilter {
                ids: IdRange::of_prefix(&one(n).id.to_string()[..6]),
                ..none()
            }),
        ),
        (
            "name",
            0,
            Box::new(|n| name(NameMatch::Equal(folded(&one(n).subject.common_name)))),
        ),
        (
            "name, active",
            0,
            Box::new(|n| active(name(NameMatch::Equal(folded(&one(n).subject.common_name))))),
        ),
        (
            "beginning, few",
            0,
            Box::new(|n| begins(&format!("laptop-{}", 100 + n % 900))),
        ),
        ("beginning, 1/4", 0, same(begins("laptop-"))),
        ("beginning, 1/4", 7_980, same(begins("laptop-"))),
        ("beginning, 1/4, active", 0, same(active(begins("laptop-")))),
        (
            "beginning, 1/4, active",
            7_980,
            same(active(begins("laptop-"))),
        ),
        ("expires in 30 days", 0, same(expires.clone())),
        ("expires in 30 days", 7_980, same(expires.clone())),
        (
            "expires in 30 days, active",
            0,
            same(active(expires.clone())),
        ),
        (
            "expires in 30 days, active",
            7_980,
            same(active(expires.clone())),
        ),
        ("CA", 7_980, same(by_authority.clone())),
        ("CA, active", 0, same(active(by_authority.clone()))),
        (
            "revoked in a day",
            0,
            Box::new(|n| CertificateFilter {
                revoked_on: TimeRange {
                    after: Some(one(n).issued_on),
                    before: Some(one(n).issued_on.plus_days(1)),
                },
                ..none()
            }),
        ),
        (
            "issued in 3 days, beginning 1/4",
            0,
            Box::new(|n| CertificateFilter {
                issued_on: TimeRange {
                    after: Some(one(n).issued_on),
                    before: Some(one(n).issued_on.plus_days(3)),
                },
                ..begins("laptop-")
            }),
        ),
        (
            "expires in 30 days, beginning 1/4",
            0,
            same(CertificateFilter {
                expires_on: soon,
                ..begins("laptop-")
            }),
        ),
        (
            "expires in 30 days, other CA's name",
            0,
            same(CertificateFilter {
                expires_on: soon,
                ..begins("zzz")
            }),
        ),
        (
            "inside names, rare",
            0,
            same(name(NameMatch::Contains(folded("-nowhere")))),
        ),
        (
            "inside names, frequent",
            0,
            same(name(NameMatch::Contains(folded("top-1")))),
        ),
    ];
    for (title, first, filter) in cases {
        let mut milliseconds = Vec::new();
        let mut outcome = String::new();
        let rounds = if title.starts_with("inside") { 20 } else { 300 };
        for round in 0..rounds {
            let search = CertificateSearch {
                filter: filter(round),
                order: None,
                direction: None,
                slice: Slice { first, size: 20 },
                after: None,
            };
            let begun = Instant::now();
            let found = store.search(zone, search).await?;
            milliseconds.push(begun.elapsed().as_secs_f64() * 1e3);
            outcome = match found {
                SearchOutcome::Found {
                    items, count, next, ..
                } => {
                    let more = if next.is_some() { ", continues" } else { "" };
                    format!("{} of {count:?}{more}", items.len())
                }
                SearchOutcome::NothingYet(_) => "nothing yet".to_owned(),
                other => format!("{other:?}"),
            };
        }
        milliseconds.sort_by(f64::total_cmp);
        println!(
            "search by {title}, from {first}: median {:.2} ms, 99 % {:.2} ms, {outcome}",
            milliseconds[milliseconds.len() / 2],
            milliseconds[milliseconds.len() * 99 / 100]
        );
    }
    Ok(())
}

async fn pages(
    store: &SqliteStore,
    zone: ZoneId,
    status: Option<Status>,
    percent: u64,
) -> Result<(), Box<dyn Error>> {
    let query = |first| CertificateQuery {
        status,
        slice: Slice { first, size: 20 },
    };
    let total = store.certificates(zone, query(0)).await?.total;
    let mut microseconds = Vec::new();
    for round in 0..ROUNDS {
        let first = total * percent / 100 + u64::from(round) * 17 % (total / 100).max(1);
        let begun = Instant::now();
        let page = store.certificates(zone, query(first)).await?;
        microseconds.push(begun.elapsed().as_secs_f64() * 1e6);
        assert!(page.items.len() == 20 || first + 20 > total);
    }
    microseconds.sort_by(f64::total_cmp);
    println!(
        "page at {percent:2} % of {}: median {:.0} µs, 99 % {:.0} µs",
        status.map_or("all", Status::name),
        microseconds[microseconds.len() / 2],
        microseconds[microseconds.len() * 99 / 100]
    );
    Ok(())
}

/// Records while pages are read without a pause. The log must not grow past its limit.
async fn mixed(
    store: &Arc<SqliteStore>,
    zone: ZoneId,
    authority: &AuthorityRecord,
    path: &Path,
) -> Result<(), Box<dyn Error>> {
    let query = CertificateQuery {
        status: None,
        slice: Slice { first: 0, size: 20 },
    };
    let before = store.certificates(zone, query).await?.total;
    let begun = Instant::now();
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let store = Arc::clone(store);
            tokio::spawn(async move {
                let mut read = 0_u32;
                let mut page = store.certificates(zone, query).await?;
                while page.total < before + u64::from(MIXED) {
                    read += 1;
                    page = store.certificates(zone, query).await?;
                }
                Ok::<_, certgate_store::StoreError>(read)
            })
        })
        .collect();
    let numbers = (u32::MAX / 2 + u32::try_from(before)?)..;
    let numbers = Arc::new(std::sync::Mutex::new(numbers.take(MIXED as usize)));
    let writers: Vec<_> = (0..TASKS)
        .map(|_| {
            let (store, authority, numbers) =
                (Arc::clone(store), authority.clone(), Arc::clone(&numbers));
            tokio::spawn(async move {
                loop {
                    let next = numbers
                        .lock()
                        .unwrap_or_else(std::sync::PoisonError::into_inner)
                        .next();
                    let Some(n) = next else {
                        return Ok::<_, certgate_store::StoreError>(());
                    };
                    let record = certificate(n, zone, &authority, Status::Active);
                    store.record_certificate(record, None, by()).await?;
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await??;
    }
    let mut pages = 0;
    for reader in readers {
        pages += reader.await??;
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "mixed: {:.0} recorded/s and {:.0} pages/s at a time; the log has {:.0} MB",
        f64::from(MIXED) / seconds,
        f64::from(pages) / seconds,
        size(&path.with_extension("db-wal")) / 1e6
    );
    Ok(())
}

fn size(path: &Path) -> f64 {
    path.metadata()
        .map_or(0.0, |metadata| metadata.len() as f64)
}

fn memory(status: &str) -> String {
    status
        .lines()
        .filter(|line| line.starts_with("VmHWM") || line.starts_with("RssAnon"))
        .fold(String::new(), |text, line| text + line + "\n")
}
