//! The machine and the programs of a run.

use std::process::Command;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::postgres::Postgres;
use super::system::{line_of, memory_bytes, now};

/// The first line of the figures of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Machine {
    /// The beginning of the run, in the form of RFC 3339.
    pub at: String,
    /// The commit, with a plus sign if files differ from it.
    pub commit: String,
    /// The profile of Cargo.toml.
    #[serde(default = "earlier")]
    pub profile: String,
    /// The compiler.
    pub rust: String,
    /// The number of processors and their name.
    pub processors: String,
    pub memory_bytes: u64,
    /// The kernel.
    pub system: String,
    /// The version of PostgreSQL and its settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postgres: Option<String>,
    pub sqlite: String,
    /// Seconds of each measurement of a throughput.
    pub seconds: u64,
}

impl Machine {
    pub fn describe(seconds: u64, postgres: Option<&Postgres>) -> anyhow::Result<Self> {
        let processor = line_of("/proc/cpuinfo", "model name")?;
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        let changed = if output_of("git", &["status", "--porcelain"])?.is_empty() {
            ""
        } else {
            "+"
        };
        Ok(Self {
            at: now()?.to_string(),
            commit: output_of("git", &["rev-parse", "--short", "HEAD"])? + changed,
            profile: super::PROFILE.to_owned(),
            rust: output_of("rustc", &["--version"])?,
            processors: format!("{count} × {processor}"),
            memory_bytes: memory_bytes()?,
            system: output_of("uname", &["-sr"])?,
            postgres: postgres.map(Postgres::description).transpose()?,
            sqlite: format!("SQLite {}", rusqlite::version()),
            seconds,
        })
    }
}

/// Figures that do not name their profile are of builds with the options of `dist`, which was then
/// the release profile.
fn earlier() -> String {
    super::PROFILE.to_owned()
}

fn output_of(program: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(program).args(arguments).output();
    let output = output.with_context(|| format!("cannot run {program}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
