//! `cargo xtask bench`: figures of everything, each as a ratio to another of the same run; a table and plots of them.

#![expect(
    clippy::disallowed_methods,
    reason = "a benchmark measures elapsed time"
)]

mod crl;
mod crypto;
mod document;
mod figures;
mod fill;
mod http;
mod issue;
mod keeper;
mod list;
mod machine;
mod ocsp;
mod plot;
mod postgres;
mod revocation;
mod served;
mod server;
mod size;
mod sql;
mod statistics;
mod svg;
mod units;

use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use certgate_model::{KeyAlgorithm, SubjectFields};
use certgate_pki::ClientKey;

use self::figures::{Database, Figures, Report};
use self::keeper::Keeper;
use self::machine::Machine;
use self::postgres::Postgres;
use self::served::Bench;
use self::server::Installation;

/// Connections of the client while it measures throughput.
const CONNECTIONS: usize = 64;

/// Where PostgreSQL has its files.
const CLUSTER: &str = "postgres";

/// What to measure.
#[derive(clap::Args)]
pub struct Arguments {
    /// Certificates in the zone; of several sizes, separated by commas, one after the other is measured
    #[arg(long, value_delimiter = ',', default_values_t = [10_000, 1_000_000], value_parser = clap::value_parser!(u64).range(100..))]
    certificates: Vec<u64>,
    /// What they are stored in [default: both if PostgreSQL is installed]
    #[arg(long, value_enum)]
    database: Option<Databases>,
    /// Seconds that each throughput is measured for
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Measure these parts only
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// One certificate in so many is revoked
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    revoked_one_in: u64,
    /// Keep the filled stores here and use them again; they grow by what is issued
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Where the temporary directory is made [default: that of the system]
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// The figures are added to this file, as JSON lines [default: target/bench.jsonl]
    #[arg(long, value_name = "FILE")]
    results: Option<PathBuf>,
    /// Measure nothing: write the table and the plots of docs/performance.md from the figures in this file
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Set by the task itself once it runs as a release build
    #[arg(long, hide = true)]
    inner: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Databases {
    Sqlite,
    Postgres,
    Both,
}

/// The parts of the benchmark.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Time of a start, memory after it
    Start,
    /// Bytes for each certificate
    Disk,
    /// Lists over HTTP
    List,
    /// Lists against OFFSET and COUNT
    Offset,
    Get,
    /// Issuing with 1 to 256 clients
    Issue,
    /// Commits shared and one for each
    Commit,
    Revoke,
    Settle,
    Ocsp,
    Crl,
}

/// Builds everything for release and measures; or draws what was measured.
pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    if let Some(path) = &arguments.plot {
        return document::write(path);
    }
    if !arguments.inner {
        return run_as_release();
    }
    let programs = match arguments.database {
        Some(Databases::Sqlite) => None,
        None | Some(Databases::Postgres | Databases::Both) => postgres::programs(),
    };
    match (arguments.database, &programs) {
        (Some(Databases::Postgres | Databases::Both), None) => {
            bail!(
                "PostgreSQL is not installed: install postgresql, or leave it out with --database sqlite"
            )
        }
        (None, None) => eprintln!("PostgreSQL is not installed: SQLite alone is measured"),
        _ => {}
    }
    let parent = arguments
        .directory
        .clone()
        .unwrap_or_else(std::env::temp_dir);
    let temporary = directory_in(&parent)?;
    // Not below `parent`: the address of a socket has room for a hundred characters.
    let sockets = directory_in(&std::env::temp_dir())?;
    let directory = std::path::absolute(arguments.keep.as_ref().unwrap_or(&temporary))?;
    let run = Run {
        binary: root().join("target/release/certgate"),
        keeper: Rc::new(Keeper::start(
            &directory.join(CLUSTER),
            &[&temporary, &sockets],
        )?),
        directory,
        arguments,
    };
    // One thread for the client: it shares the processors with the server.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run.all(programs, &sockets))
}

/// The workspace.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies in the workspace")
}

/// A new directory. The keeper removes it, not this process, which may be ended.
fn directory_in(parent: &Path) -> anyhow::Result<PathBuf> {
    let made = tempfile::Builder::new()
        .prefix("certgate-bench-")
        .tempdir_in(parent);
    let made = made
        .with_context(|| format!("cannot make a directory in {}", parent.display()))?
        .keep();
    // PostgreSQL runs as another user if we are root, and has its directory in it.
    std::fs::set_permissions(&made, PermissionsExt::from_mode(0o711))?;
    Ok(made)
}

/// Becomes the release build, so that one process is to be ended if anybody wants to end it.
fn run_as_release() -> anyhow::Result<()> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let build = Command::new(&cargo)
        .args(["build", "--release", "--package", "certgate"])
        .status()?;
    ensure!(build.success(), "the server does not build");
    let own = std::env::args_os().skip(1);
    let mut run = Command::new(&cargo);
    run.args(["run", "--quiet", "--release", "--package", "xtask", "--"])
        .args(own)
        .arg("--inner");
    Err(run.exec()).context("cannot run cargo")
}

/// A run of the benchmark.
struct Run {
    arguments: Arguments,
    binary: PathBuf,
    /// Where the installations are.
    directory: PathBuf,
    keeper: Rc<Keeper>,
}

impl Run {
    async fn all(&self, programs: Option<PathBuf>, sockets: &Path) -> anyhow::Result<()> {
        let Arguments {
            seconds,
            results,
            certificates,
            ..
        } = &self.arguments;
        let results = results
            .clone()
            .unwrap_or_else(|| root().join("target/bench.jsonl"));
        let data = self.directory.join(CLUSTER);
        let start = |programs| Postgres::start(programs, &data, sockets);
        let postgres = programs.map(start).transpose()?;
        let machine = Machine::describe(*seconds, postgres.as_ref())?;
        eprintln!("{} on {}", machine.commit, machine.processors);
        if let Some(postgres) = &machine.postgres {
            eprintln!("{postgres}");
        }
        let file = figures::begin(&results, &machine)?;
        for certificates in certificates {
            if self.arguments.database != Some(Databases::Postgres) {
                self.one(&file, *certificates, None).await?;
            }
            if let Some(postgres) = &postgres {
                self.one(&file, *certificates, Some(postgres)).await?;
            }
        }
        println!("{}", document::table(&Figures::read(&results)?));
        eprintln!(
            "The figures are in {0}; cargo xtask bench --plot {0} puts them into the documents.",
            results.display()
        );
        Ok(())
    }

    fn wanted(&self, part: Part) -> bool {
        self.arguments.only.is_empty() || self.arguments.only.contains(&part)
    }

    async fn installation(
        &self,
        name: &str,
        postgres: Option<&Postgres>,
    ) -> anyhow::Result<Installation> {
        let (name, url) = match postgres {
            None => (name.to_owned(), None),
            Some(postgres) => (
                format!("postgres_{name}"),
                Some(postgres.database(name).await?),
            ),
        };
        std::fs::create_dir_all(&self.directory)?;
        Installation::open_or_make(&self.binary, &self.directory.join(name), url)
    }

    /// One database with a zone of one size.
    async fn one(&self, file: &File, n: u64, postgres: Option<&Postgres>) -> anyhow::Result<()> {
        let database = if postgres.is_some() {
            Database::Postgres
        } else {
            Database::Sqlite
        };
        eprintln!(
            "\n{}, {} certificates",
            database.name(),
            units::thousands(n as f64)
        );
        let Arguments {
            revoked_one_in,
            seconds,
            ..
        } = &self.arguments;
        let mut report = Report::new(file, database, n)?;
        let duration = Duration::from_secs(*seconds);
        let empty = self.installation("empty", postgres).await?;
        let full = self
            .installation(&format!("filled_{n}_{revoked_one_in}"), postgres)
            .await?;
        fill::fill(
            &self.binary,
            &full,
            &self.keeper,
            *revoked_one_in,
            &mut report,
        )
        .await?;

        // What reads comes first: what writes makes the zone larger.
        let mut memory_empty = None;
        if self.wanted(Part::Start) {
            let memory = size::start(&self.binary, &empty, &full, &self.keeper, &mut report)?;
            memory_empty = Some(memory);
        }
        if self.wanted(Part::Offset) {
            list::against_sql(&full, &mut report, duration).await?;
        }
        if self.wanted(Part::Disk) {
            size::disk(&full, &mut report).await?;
        }
        if self.wanted(Part::Crl) {
            crl::make(&full, &mut report, duration).await?;
            crl::long(&mut report)?;
        }
        let revoked_per_second;
        (report, revoked_per_second) = self.served(report, &full, postgres, memory_empty).await?;
        if self.wanted(Part::Commit) {
            issue::record(&full, &mut report, duration / 2).await?;
            issue::change(&full, &mut report, duration, revoked_per_second).await?;
        }
        Ok(())
    }
}

fn csrs(count: usize) -> anyhow::Result<Vec<String>> {
    let csr = |number: usize| {
        let subject = SubjectFields {
            common_name: format!("device-{number}"),
            organization: "Example".to_owned(),
            ..SubjectFields::default()
        };
        Ok(ClientKey::generate(KeyAlgorithm::P256)?.request(&subject)?)
    };
    (0..count).map(csr).collect()
}

/// Spreads consecutive numbers over the whole range: the finaliser of SplitMix64.
fn scatter(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ mixed >> 31
}

fn check_status(status: u16, body: &[u8]) -> anyhow::Result<()> {
    if status != 200 {
        bail!(
            "answer {status}: {}",
            String::from_utf8_lossy(&body[..body.len().min(300)])
        );
    }
    Ok(())
}

fn json(text: &[u8]) -> anyhow::Result<serde_json::Value> {
    serde_json::from_slice(text).context("not JSON")
}
