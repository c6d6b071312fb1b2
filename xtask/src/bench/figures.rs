//! What is measured, and the file of figures: JSON lines, each run's machine before its figures.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::http::Measured;
use super::machine::Machine;
use super::statistics::Samples;
use super::units;

/// What certificates are stored in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Database {
    Sqlite,
    Postgres,
}

impl Database {
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }
}

/// Everything that is measured, in the order of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    Start,
    HttpPage,
    HttpRevokedPage,
    StorePage,
    SqlPage,
    StoreRevokedPage,
    SqlRevokedPage,
    BareHttp,
    Page,
    Get,
    Crypto,
    Issue,
    Record,
    RecordAlone,
    Revoke,
    Change,
    ChangeAlone,
    Settle,
    Signatures,
    Ocsp,
    MakeCrl,
    LongCrl,
    ServeCrl,
    Memory,
    Disk,
    Table,
    Fill,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Seconds,
    PerSecond,
    Bytes,
}

impl What {
    /// What the table calls it, its unit, and what it is a ratio to.
    pub fn describe(self) -> (&'static str, Unit, &'static str) {
        use Unit::{Bytes, PerSecond, Seconds};
        match self {
            Self::Start => ("start", Seconds, "an empty store"),
            Self::HttpPage => ("page of 20 over HTTP, one client", Seconds, "page 1"),
            Self::HttpRevokedPage => (
                "page of 20 revoked over HTTP, one client",
                Seconds,
                "page 1",
            ),
            Self::StorePage => ("page of 20 and total, from the store", Seconds, "page 1"),
            Self::SqlPage => ("the same with OFFSET and COUNT", Seconds, "the store"),
            Self::StoreRevokedPage => (
                "page of 20 revoked and total, from the store",
                Seconds,
                "page 1",
            ),
            Self::SqlRevokedPage => ("the same with OFFSET and COUNT", Seconds, "the store"),
            Self::BareHttp => ("an empty answer over HTTP, 64 clients", PerSecond, ""),
            Self::Page => ("page of 20, 64 clients", PerSecond, "an empty answer"),
            Self::Get => ("get one, 64 clients", PerSecond, "an empty answer"),
            Self::Crypto => ("bare P-256 verify + sign, all processors", PerSecond, ""),
            Self::Issue => ("issue, durable", PerSecond, "bare P-256"),
            Self::Record => ("record only, commits shared", PerSecond, "one client"),
            Self::RecordAlone => ("record only, one commit each", PerSecond, "commits shared"),
            Self::Revoke => ("revoke, durable", PerSecond, "an empty answer"),
            Self::Change => (
                "change a status only, commits shared",
                PerSecond,
                "revoke over HTTP",
            ),
            Self::ChangeAlone => (
                "change a status only, one commit each",
                PerSecond,
                "commits shared",
            ),
            Self::Settle => ("revoked, one after the other", Seconds, "DELETE answered"),
            Self::Signatures => ("bare P-256 sign, all processors", PerSecond, ""),
            Self::Ocsp => ("OCSP, 64 clients", PerSecond, "bare P-256 sign"),
            Self::MakeCrl => ("make a CRL", Seconds, "encode and sign only"),
            Self::LongCrl => ("encode and sign a CRL of a million", Seconds, ""),
            Self::ServeCrl => ("serve a CRL, 64 clients", PerSecond, "an empty answer"),
            Self::Memory => ("peak memory of the server", Bytes, "an empty store"),
            Self::Disk => (
                "database for each certificate",
                Bytes,
                "certificate + request",
            ),
            Self::Table => ("table and its indexes", Bytes, "all tables"),
            Self::Fill => ("fill through the store, 1,024 at a time", PerSecond, ""),
        }
    }
}

/// One figure.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Figure {
    pub what: What,
    pub database: Database,
    /// How many the zone was filled with.
    pub certificates: u64,
    /// Which of several, in words. Without it a figure is for the plots only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub which: Option<String>,
    /// Which of several, as a number: a page, or clients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
    /// In the unit of what it is: seconds, in a second, bytes.
    pub value: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
    /// In seconds, from sending to the whole answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub median: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percentile_99: Option<f64>,
    /// User and system time for each request, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_processor: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database_processor: Option<f64>,
}

/// The figures of one database and size, and where they are written as they come.
pub struct Report {
    pub database: Database,
    pub certificates: u64,
    file: File,
}

/// Begins the figures of a run.
pub fn begin(path: &Path, machine: &Machine) -> anyhow::Result<File> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    let mut file = OpenOptions::new().create(true).append(true).open(path);
    let file = file
        .as_mut()
        .ok()
        .with_context(|| format!("cannot write {}", path.display()))?;
    writeln!(file, "{}", json!({ "run": machine }))?;
    Ok(file.try_clone()?)
}

impl Report {
    pub fn new(file: &File, database: Database, certificates: u64) -> anyhow::Result<Self> {
        Ok(Self {
            database,
            certificates,
            file: file.try_clone()?,
        })
    }

    /// A figure of this database and size.
    pub fn figure(&self, what: What, value: f64) -> Figure {
        Figure {
            what,
            database: self.database,
            certificates: self.certificates,
            which: Some(String::new()),
            at: None,
            value,
            ratio: None,
            median: None,
            percentile_99: None,
            server_processor: None,
            database_processor: None,
        }
    }

    /// The median of samples.
    pub fn median(&self, what: What, samples: &Samples) -> Figure {
        Figure {
            percentile_99: Some(samples.percentile(99)),
            ..self.figure(what, samples.median())
        }
    }

    /// A throughput with its latencies.
    pub fn rate(&self, what: What, measured: &Measured) -> Figure {
        let each = |seconds: f64| seconds / measured.latency.len() as f64;
        Figure {
            median: Some(measured.latency.median()),
            percentile_99: Some(measured.latency.percentile(99)),
            server_processor: measured.processor_seconds.map(each),
            database_processor: measured.database_seconds.map(each),
            ..self.figure(what, measured.per_second)
        }
    }

    /// Writes a figure down.
    pub fn add(&mut self, figure: Figure) -> anyhow::Result<()> {
        let (label, unit, _) = figure.what.describe();
        let which = figure.which.as_deref().unwrap_or_default();
        eprintln!("  {label} {which}: {}", units::cell(&figure, unit));
        Ok(writeln!(self.file, "{}", serde_json::to_string(&figure)?)?)
    }
}

impl Figure {
    pub fn which(self, which: impl Into<String>) -> Self {
        Self {
            which: Some(which.into()),
            ..self
        }
    }

    /// For a plot only.
    pub fn unlisted(self) -> Self {
        Self {
            which: None,
            ..self
        }
    }

    pub fn at(self, at: u64) -> Self {
        Self {
            at: Some(at),
            ..self
        }
    }

    pub fn ratio(self, baseline: f64) -> Self {
        Self {
            ratio: Some(self.value / baseline),
            ..self
        }
    }
}

/// The figures of a file: the last of each kind, and the runs that any of them are of.
pub struct Figures {
    pub machines: Vec<Machine>,
    pub figures: Vec<Figure>,
}

impl Figures {
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        #[derive(Deserialize)]
        struct Run {
            run: Machine,
        }
        let mut machines: Vec<Machine> = Vec::new();
        let mut last = BTreeMap::new();
        for (number, line) in (1..).zip(text.lines()) {
            let place = || format!("{}, line {number}", path.display());
            if line.starts_with("{\"run\"") {
                machines.push(serde_json::from_str::<Run>(line).with_context(place)?.run);
                continue;
            }
            let figure: Figure = serde_json::from_str(line).with_context(place)?;
            let Figure {
                what,
                database,
                certificates,
                which,
                at,
                ..
            } = &figure;
            // The page that is the last one is another in each run.
            let at = if which.as_ref().is_none_or(String::is_empty) {
                *at
            } else {
                None
            };
            let key = (*what, which.clone(), at, *database, *certificates);
            last.insert(key, (number, machines.len(), figure));
        }
        let mut found: Vec<_> = last.into_values().collect();
        if found.is_empty() {
            bail!("{} has no figures", path.display());
        }
        found.sort_by_key(|(number, _, figure)| (figure.what, *number));
        let mut run = 0;
        machines.retain(|_| {
            run += 1;
            found.iter().any(|(_, of, _)| *of == run)
        });
        Ok(Self {
            machines,
            figures: found.into_iter().map(|(_, _, figure)| figure).collect(),
        })
    }
}
