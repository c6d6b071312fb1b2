//! `cargo xtask bench`: one table of what was measured, each figure as a ratio to another of the same run.

#![expect(clippy::disallowed_methods, reason = "a benchmark measures elapsed time")]

mod crypto;
mod fill;
mod http;
mod server;
mod statistics;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use certgate_model::SubjectFields;
use certgate_pki::{ClientKey, ClientKeyAlgorithm};

use self::http::{Connection, Load, Request};
use self::server::{Installation, Server};
use self::statistics::Samples;

/// Connections of the client while it measures throughput.
const CONNECTIONS: usize = 64;

/// Connections while it measures issuing: every answer waits for an fsync that all waiting ones share.
const ISSUE_CONNECTIONS: usize = 256;

/// Requests of each kind in a comparison of latencies, in turn.
const LATENCY_PAIRS: usize = 2_000;

/// Different requests to issue from, used in turn: enough to defeat a cache that does not exist.
const CSRS: usize = 4_096;

/// Starts of the server to take the median of.
const STARTS: usize = 7;

/// What to measure.
#[derive(clap::Args)]
pub struct Arguments {
    /// Certificates in the zone
    #[arg(long, default_value_t = 1_000_000)]
    certificates: u64,
    /// Seconds that each throughput is measured for
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Keep the filled store here and use it again
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Set by the task itself once it runs as a release build
    #[arg(long, hide = true)]
    inner: bool,
}

/// Builds everything for release and measures.
pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    if !arguments.inner {
        return run_as_release();
    }
    let binary = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/release/certgate");
    let temporary = tempfile::tempdir()?;
    let directory = arguments.keep.clone().unwrap_or_else(|| temporary.path().to_owned());
    // One thread for the client: it shares the processors with the server.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(measure(&arguments, &binary, &directory))
}

fn run_as_release() -> anyhow::Result<()> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let build = Command::new(&cargo).args(["build", "--release", "--package", "certgate"]).status()?;
    ensure!(build.success(), "the server does not build");
    let own = std::env::args_os().skip(1);
    let status = Command::new(&cargo)
        .args(["run", "--quiet", "--release", "--package", "xtask", "--"])
        .args(own)
        .arg("--inner")
        .status()?;
    ensure!(status.success(), "the benchmark failed");
    Ok(())
}

async fn measure(arguments: &Arguments, binary: &Path, directory: &Path) -> anyhow::Result<()> {
    let seconds = Duration::from_secs(arguments.seconds);
    let n = arguments.certificates;
    eprintln!("bare P-256 on every processor …");
    let crypto = crypto::verify_and_sign_per_second(seconds);

    let small = directory.join("empty");
    let large = directory.join(format!("{n}"));
    let empty = Installation::open_or_make(binary, &small)?;
    let full = fill::filled(binary, &large, n).await?;

    eprintln!("starting …");
    let start_empty = start_time(binary, &empty)?;
    let start_full = start_time(binary, &full)?;

    let mut server = Server::start(binary, &full)?;
    let mut table = Table::default();
    table.row("certificates in the zone", &thousands(n as f64), "");
    let ms = |duration: f64| format!("{:.1} ms", duration * 1e3);
    table.row("start, empty store", &ms(start_empty), "");
    table.row(
        &format!("start, {} certificates", thousands(n as f64)),
        &ms(start_full),
        &format!("{:.2} × empty", start_full / start_empty),
    );

    eprintln!("list …");
    let list = |query: String| Request::get(&full, &format!("client_certificates?{query}"));
    let deep = n * 9 / 10;
    let first_page = || list("per_page=20".to_owned());
    let deep_page = |round: usize| list(format!("limit=20&offset={}", deep + round as u64 % 1000 * 13));
    let mut connection = Connection::open(server.address()).await?;
    let (mut shallow, mut deeper) = (Samples::default(), Samples::default());
    let (mut shallow_status, mut deeper_status) = (Samples::default(), Samples::default());
    let revoked = n / 10;
    for round in 0..LATENCY_PAIRS {
        shallow.push(connection.timed(&first_page()).await?);
        deeper.push(connection.timed(&deep_page(round)).await?);
        shallow_status.push(connection.timed(&list("status=revoked".to_owned())).await?);
        let offset = revoked * 9 / 10 + round as u64 % 100 * 13;
        deeper_status
            .push(connection.timed(&list(format!("status=revoked&limit=20&offset={offset}"))).await?);
    }
    let us = |samples: &Samples| format!("{:.0} µs", samples.median() * 1e6);
    table.row("page of 20, page 1, one client", &us(&shallow), "");
    table.row(
        "page of 20 at 90 %",
        &us(&deeper),
        &format!("{:.2} × page 1", deeper.median() / shallow.median()),
    );
    table.row("page of 20, revoked only, page 1", &us(&shallow_status), "");
    table.row(
        "page of 20, revoked only, at 90 %",
        &us(&deeper_status),
        &format!("{:.2} × its page 1", deeper_status.median() / shallow_status.median()),
    );

    let pages = n / 20;
    let random_page = |round: u64| list(format!("page={}", 1 + scatter(round) % pages));
    let random = Load::new(CONNECTIONS, seconds).run(server.address(), random_page).await?;
    table.row("pages of 20 at random depth", &per_second(random.per_second), &latency(&random.latency));
    let same = Load::new(CONNECTIONS, seconds).run(server.address(), |_| first_page()).await?;
    table.row(
        "page 1, again and again",
        &per_second(same.per_second),
        &format!("random depth is {:.2} ×", random.per_second / same.per_second),
    );

    eprintln!("get …");
    let ids = full.some_ids(1_000).await?;
    let get = |round: u64| {
        let id = &ids[scatter(round) as usize % ids.len()];
        Request::get(&full, &format!("client_certificates/{id}"))
    };
    let got = Load::new(CONNECTIONS, seconds).run(server.address(), get).await?;
    table.row("get one", &per_second(got.per_second), &latency(&got.latency));
    let memory_after_reading = server.peak_memory_mb()?;

    eprintln!("issue …");
    let csrs = csrs()?;
    let bodies: Vec<_> =
        csrs.iter().map(|csr| serde_json::json!({ "csr": csr, "validity_days": 365 }).to_string()).collect();
    let issue =
        |round: u64| Request::post(&full, "client_certificates", &bodies[round as usize % bodies.len()]);
    let issued = Load::new(ISSUE_CONNECTIONS, seconds).run(server.address(), issue).await?;
    table.row("bare P-256 verify + sign, every processor", &per_second(crypto), "");
    table.row(
        "issue, durable, 256 clients",
        &per_second(issued.per_second),
        &format!("{:.2} × bare; {}", issued.per_second / crypto, latency(&issued.latency)),
    );
    let alone = Load::new(1, seconds).run(server.address(), issue).await?;
    table.row("issue, durable, 1 client", &per_second(alone.per_second), &latency(&alone.latency));

    eprintln!("revoke …");
    let active = full.active_ids(server.address(), 20_000).await?;
    let revoke = |round: u64| {
        Request::delete(&full, &format!("client_certificates/{}", active[round as usize % active.len()]))
    };
    let revoked = Load::new(ISSUE_CONNECTIONS, seconds)
        .at_most(active.len() as u64)
        .run(server.address(), revoke)
        .await?;
    table.row("revoke, durable, 256 clients", &per_second(revoked.per_second), &latency(&revoked.latency));

    let disk = full.database_bytes()? as f64;
    table.row("peak memory after reading", &format!("{memory_after_reading:.0} MB"), "");
    table.row("peak memory after everything", &format!("{:.0} MB", server.peak_memory_mb()?), "");
    table.row(
        "database",
        &format!("{:.0} MB", disk / 1e6),
        &format!("{:.0} bytes a certificate", disk / n as f64),
    );
    server.stop()?;
    println!("{}", table.markdown());
    Ok(())
}

fn start_time(binary: &Path, installation: &Installation) -> anyhow::Result<f64> {
    let mut samples = Samples::default();
    for _ in 0..STARTS {
        let begun = Instant::now();
        let server = Server::start(binary, installation)?;
        samples.push(begun.elapsed().as_secs_f64());
        server.stop()?;
    }
    Ok(samples.median())
}

fn csrs() -> anyhow::Result<Vec<String>> {
    let csr = |number: usize| {
        let subject = SubjectFields {
            common_name: format!("device-{number}"),
            organization: "Example".to_owned(),
            ..SubjectFields::default()
        };
        Ok(ClientKey::generate(ClientKeyAlgorithm::P256)?.request(&subject)?)
    };
    (0..CSRS).map(csr).collect()
}

/// Spreads consecutive numbers over the whole range: the finaliser of SplitMix64.
fn scatter(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ mixed >> 31
}

fn per_second(value: f64) -> String {
    format!("{}/s", thousands(value))
}

fn latency(samples: &Samples) -> String {
    format!("median {:.1} ms, 99 % {:.1} ms", samples.median() * 1e3, samples.percentile(99) * 1e3)
}

fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[derive(Default)]
struct Table {
    rows: Vec<[String; 3]>,
}

impl Table {
    fn row(&mut self, what: &str, value: &str, ratio: &str) {
        eprintln!("  {what}: {value} {ratio}");
        self.rows.push([what.to_owned(), value.to_owned(), ratio.to_owned()]);
    }

    fn markdown(&self) -> String {
        let mut text = "| what | measured | ratio, latency |\n|---|---|---|\n".to_owned();
        for [what, value, ratio] in &self.rows {
            text.push_str(&format!("| {what} | {value} | {ratio} |\n"));
        }
        text
    }
}

fn check_status(status: u16, body: &[u8]) -> anyhow::Result<()> {
    if status != 200 {
        bail!("answer {status}: {}", String::from_utf8_lossy(&body[..body.len().min(300)]));
    }
    Ok(())
}

fn json(text: &[u8]) -> anyhow::Result<serde_json::Value> {
    serde_json::from_slice(text).context("not JSON")
}
