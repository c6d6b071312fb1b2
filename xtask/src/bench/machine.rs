//! Where and with what it was measured.

use std::fs;
use std::process::Command;
use std::time::SystemTime;

use anyhow::Context;
use certgate_model::Timestamp;
use serde::{Deserialize, Serialize};

use super::postgres::Postgres;

/// The first line of the figures of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Machine {
    /// When it began, RFC 3339.
    pub at: String,
    /// What was built; with a plus sign if something was changed since.
    pub commit: String,
    /// The compiler.
    pub rust: String,
    /// Their name and how many there are.
    pub processors: String,
    pub memory_bytes: u64,
    /// The kernel.
    pub system: String,
    /// Its version and what it was started with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postgres: Option<String>,
    pub sqlite: String,
    /// How long each throughput was measured.
    pub seconds: u64,
}

impl Machine {
    pub fn describe(seconds: u64, postgres: Option<&Postgres>) -> anyhow::Result<Self> {
        let processor = line_of("/proc/cpuinfo", "model name")?;
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        let changed = if said("git", &["status", "--porcelain"])?.is_empty() {
            ""
        } else {
            "+"
        };
        Ok(Self {
            at: now()?.to_string(),
            commit: said("git", &["rev-parse", "--short", "HEAD"])? + changed,
            rust: said("rustc", &["--version"])?,
            processors: format!("{count} × {processor}"),
            memory_bytes: memory_bytes()?,
            system: said("uname", &["-sr"])?,
            postgres: postgres.map(Postgres::description).transpose()?,
            sqlite: format!("SQLite {}", rusqlite::version()),
            seconds,
        })
    }
}

pub fn now() -> anyhow::Result<Timestamp> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    Ok(Timestamp::from_unix(i64::try_from(since.as_secs())?))
}

pub fn memory_bytes() -> anyhow::Result<u64> {
    let kib: u64 = line_of("/proc/meminfo", "MemTotal")?
        .trim_end_matches(" kB")
        .parse()?;
    Ok(kib << 10)
}

/// What stands behind the colon of the first line that begins so.
pub fn line_of(path: &str, beginning: &str) -> anyhow::Result<String> {
    let text = fs::read_to_string(path)?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(beginning)?.split_once(':'));
    Ok(line
        .with_context(|| format!("{path} has no {beginning}"))?
        .1
        .trim()
        .to_owned())
}

fn said(program: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(program).args(arguments).output();
    let output = output.with_context(|| format!("cannot run {program}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
