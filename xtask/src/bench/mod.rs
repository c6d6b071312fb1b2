//! `cargo xtask bench`: one table of what was measured, each figure as a ratio to another of the same run.

#![expect(clippy::disallowed_methods, reason = "a benchmark measures elapsed time")]

mod crypto;
mod fill;
mod http;
mod revocation;
mod server;
mod statistics;

use std::borrow::Borrow;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use certgate_model::SubjectFields;
use certgate_pki::{ClientKey, ClientKeyAlgorithm};

use self::http::{Connection, Load, Measured, Request};
use self::server::{Installation, Server};
use self::statistics::Samples;

/// Connections of the client while it measures throughput.
const CONNECTIONS: usize = 64;

/// Connections while it measures issuing: every answer waits for an fsync that all waiting ones share.
const ISSUE_CONNECTIONS: usize = 256;

/// Requests of each kind in a comparison of latencies, in turn.
const LATENCY_PAIRS: u64 = 2_000;

/// Different requests to issue from, used in turn: enough to defeat a cache that does not exist.
const CSRS: usize = 4_096;

/// Certificates to revoke, each once.
const REVOCATIONS: usize = 20_000;

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
    /// Measure this part only
    #[arg(long, value_enum)]
    only: Option<Part>,
    /// One certificate in so many is revoked
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    revoked_one_in: u64,
    /// Set by the task itself once it runs as a release build
    #[arg(long, hide = true)]
    inner: bool,
}

/// The parts of the benchmark.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    List,
    Get,
    Issue,
    Revoke,
    Settle,
    Ocsp,
    LongList,
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
    let n = arguments.certificates;
    let empty = Installation::open_or_make(binary, &directory.join("empty"))?;
    let place = match arguments.revoked_one_in {
        10 => n.to_string(),
        other => format!("{n}-one-in-{other}-revoked"),
    };
    let full = fill::filled(binary, &directory.join(place), n, arguments.revoked_one_in).await?;
    let start_empty = start_time(binary, &empty)?;
    let start_full = start_time(binary, &full)?;

    let mut table = Table::default();
    let revoked = format!("{} revoked", thousands((n / arguments.revoked_one_in) as f64));
    table.row("certificates in the zone", &thousands(n as f64), &revoked);
    table.row("start, empty store", &milliseconds(start_empty), "");
    let ratio = format!("{:.2} × empty", start_full / start_empty);
    table.row("start, full store", &milliseconds(start_full), &ratio);

    let mut bench = Bench {
        server: Server::start(binary, &full)?,
        installation: full,
        certificates: n,
        duration: Duration::from_secs(arguments.seconds),
        table,
    };
    let wanted = |part: Part| arguments.only.is_none_or(|only| only == part);
    if wanted(Part::List) {
        bench.latency_of_lists().await?;
        bench.throughput_of_lists().await?;
    }
    if wanted(Part::Get) {
        bench.get().await?;
    }
    if wanted(Part::Issue) {
        bench.issue().await?;
    }
    if wanted(Part::Revoke) {
        bench.revoke().await?;
    }
    if wanted(Part::Settle) {
        bench.settle().await?;
    }
    if wanted(Part::Ocsp) {
        bench.ocsp().await?;
    }
    if wanted(Part::LongList) {
        bench.long_list()?;
    }
    let memory = format!("{:.0} MB", bench.server.peak_memory_mb()?);
    bench.table.row("peak memory of the server after all this", &memory, "");
    let disk = bench.installation.database_bytes()? as f64;
    let each = format!("{:.0} bytes a certificate", disk / n as f64);
    bench.table.row("database", &format!("{:.0} MB", disk / 1e6), &each);
    bench.server.stop()?;
    println!("{}", bench.table.markdown());
    Ok(())
}

/// A running server with a full zone, and what was measured of it.
struct Bench {
    server: Server,
    installation: Installation,
    certificates: u64,
    duration: Duration,
    table: Table,
}

impl Bench {
    fn list(&self, query: &str) -> Request {
        Request::get(&self.installation, &format!("client_certificates?{query}"))
    }

    async fn load<R: Borrow<Request>>(
        &self,
        connections: usize,
        request: impl Fn(u64) -> R,
    ) -> anyhow::Result<Measured> {
        self.run(Load::new(connections, self.duration), request).await
    }

    async fn run<R: Borrow<Request>>(
        &self,
        load: Load,
        request: impl Fn(u64) -> R,
    ) -> anyhow::Result<Measured> {
        self.run_at(self.server.address(), load, request).await
    }

    async fn run_at<R: Borrow<Request>>(
        &self,
        address: SocketAddr,
        load: Load,
        request: impl Fn(u64) -> R,
    ) -> anyhow::Result<Measured> {
        let before = self.server.processor_seconds()?;
        let measured = load.run(address, request).await?;
        let processor_seconds = self.server.processor_seconds()? - before;
        Ok(Measured { processor_seconds, ..measured })
    }

    /// One client, the four kinds of page in turn, so that what slows the machine slows them alike.
    async fn latency_of_lists(&mut self) -> anyhow::Result<()> {
        eprintln!("list, one client …");
        let (deep, deep_revoked) = (self.certificates * 9 / 10, self.certificates / 10 * 9 / 10);
        let mut connection = Connection::open(self.server.address()).await?;
        let mut samples: [Samples; 4] = Default::default();
        for round in 0..LATENCY_PAIRS {
            let step = round % 100 * 13;
            let pages = [
                self.list("per_page=20"),
                self.list(&format!("limit=20&offset={}", deep + step)),
                self.list("status=revoked&per_page=20"),
                self.list(&format!("status=revoked&limit=20&offset={}", deep_revoked + step)),
            ];
            for (samples, page) in samples.iter_mut().zip(&pages) {
                samples.push(connection.timed(page).await?);
            }
        }
        let [first, deep, first_revoked, deep_revoked] = samples.map(|samples| samples.median());
        let times = |deep: f64, first: f64| format!("{:.2} × page 1", deep / first);
        let table = &mut self.table;
        table.row("page of 20, page 1", &microseconds(first), "");
        table.row("page of 20 at 90 %", &microseconds(deep), &times(deep, first));
        table.row("page of 20 revoked, page 1", &microseconds(first_revoked), "");
        let ratio = times(deep_revoked, first_revoked);
        table.row("page of 20 revoked at 90 %", &microseconds(deep_revoked), &ratio);
        Ok(())
    }

    async fn throughput_of_lists(&mut self) -> anyhow::Result<()> {
        // Into the system's page cache: what is measured is the server, not the disk of this machine.
        std::io::copy(&mut std::fs::File::open(self.installation.database())?, &mut std::io::sink())?;
        eprintln!("list, {CONNECTIONS} clients …");
        let pages = self.certificates / 20;
        let random = self
            .load(CONNECTIONS, |round| self.list(&format!("page={}", 1 + scatter(round) % pages)))
            .await?;
        let first = self.load(CONNECTIONS, |_| self.list("page=1")).await?;
        let table = &mut self.table;
        table.row("page 1, again and again", &per_second(first.per_second), &first.notes());
        let ratio = random.per_second / first.per_second;
        let notes = format!("{ratio:.2} × page 1; {}", random.notes());
        table.row("pages of 20 at random depth", &per_second(random.per_second), &notes);
        Ok(())
    }

    async fn get(&mut self) -> anyhow::Result<()> {
        eprintln!("get …");
        let ids = self.installation.some_ids()?;
        let get = |round: u64| {
            let id = &ids[scatter(round) as usize % ids.len()];
            Request::get(&self.installation, &format!("client_certificates/{id}"))
        };
        let got = self.load(CONNECTIONS, get).await?;
        self.table.row("get one", &per_second(got.per_second), &got.notes());
        Ok(())
    }

    async fn issue(&mut self) -> anyhow::Result<()> {
        eprintln!("issue …");
        // Made beforehand: the client shares the processors with the server.
        let request = |csr: &String| {
            let body = serde_json::json!({ "csr": csr, "validity_days": 365 }).to_string();
            Request::post(&self.installation, "client_certificates", &body)
        };
        let requests: Vec<_> = csrs(CSRS)?.iter().map(request).collect();
        let issue = |round: u64| &requests[round as usize % requests.len()];
        // Before and after: the machine's speed drifts.
        let mut crypto = crypto::verify_and_sign_per_second(self.duration / 2);
        let issued = self.load(ISSUE_CONNECTIONS, issue).await?;
        crypto = (crypto + crypto::verify_and_sign_per_second(self.duration / 2)) / 2.0;
        let alone = self.load(1, issue).await?;
        let table = &mut self.table;
        table.row("bare P-256 verify + sign, all processors", &per_second(crypto), "");
        let notes = format!("{:.2} × bare; {}", issued.per_second / crypto, issued.notes());
        table.row("issue, durable, 256 clients", &per_second(issued.per_second), &notes);
        table.row("issue, durable, 1 client", &per_second(alone.per_second), &alone.notes());
        Ok(())
    }

    async fn revoke(&mut self) -> anyhow::Result<()> {
        eprintln!("revoke …");
        let active = self.installation.active_ids(self.server.address(), REVOCATIONS).await?;
        let revoke = |round: u64| {
            let id = &active[round as usize % active.len()];
            Request::delete(&self.installation, &format!("client_certificates/{id}"))
        };
        let load = Load::new(ISSUE_CONNECTIONS, self.duration).at_most(active.len() as u64);
        let revoked = self.run(load, revoke).await?;
        self.table.row("revoke, durable, 256 clients", &per_second(revoked.per_second), &revoked.notes());
        Ok(())
    }
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

fn csrs(count: usize) -> anyhow::Result<Vec<String>> {
    let csr = |number: usize| {
        let subject = SubjectFields {
            common_name: format!("device-{number}"),
            organization: "Example".to_owned(),
            ..SubjectFields::default()
        };
        Ok(ClientKey::generate(ClientKeyAlgorithm::P256)?.request(&subject)?)
    };
    (0..count).map(csr).collect()
}

/// Spreads consecutive numbers over the whole range: the finaliser of SplitMix64.
fn scatter(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ mixed >> 31
}

fn milliseconds(seconds: f64) -> String {
    format!("{:.1} ms", seconds * 1e3)
}

fn microseconds(seconds: f64) -> String {
    format!("{:.0} µs", seconds * 1e6)
}

fn per_second(value: f64) -> String {
    format!("{}/s", thousands(value))
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
