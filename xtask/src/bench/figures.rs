//! The measures, and the file of figures: JSON lines, with the machine of a run before its figures.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use super::machine::Machine;

/// The database of a zone.
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

/// A thing that is measured. The order is that of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
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
    Search,
    SearchBusy,
    SearchTwo,
    NewestList,
    Lookup,
    Summary,
    Contains,
    BesideContains,
    BulkRevoke,
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
    Handshake,
    Reenrol,
    Memory,
    Disk,
    FleetDisk,
    Table,
    Fill,
    Honest,
    HonestOcsp,
    HostileMemory,
    MemoryAfter,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Seconds,
    PerSecond,
    Bytes,
}

impl Measure {
    /// Returns the label in the table, the unit, and the baseline of the ratio.
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
            Self::Search => ("one filter, one client", Seconds, ""),
            Self::SearchBusy => ("one filter, any page", PerSecond, ""),
            Self::SearchTwo => ("two filters, one client", Seconds, ""),
            Self::NewestList => ("active and not replaced", Seconds, ""),
            Self::Lookup => ("look-up, one client", Seconds, "GET"),
            Self::Summary => ("summary of the zone", Seconds, ""),
            Self::Contains => ("a rare word inside of all names", Seconds, ""),
            Self::BesideContains => ("99 % of requests and a rare word", Seconds, "alone"),
            Self::BulkRevoke => ("bulk revocation, 64 requests at a time", PerSecond, ""),
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
            Self::Handshake => ("TLS handshake of a device, 32 at a time", PerSecond, ""),
            Self::Reenrol => (
                "renew by EST with a handshake, durable",
                PerSecond,
                "handshakes",
            ),
            Self::Memory => ("peak memory of the server", Bytes, "an empty store"),
            Self::Disk => (
                "database for each certificate",
                Bytes,
                "certificate + request",
            ),
            Self::FleetDisk => ("database for each certificate of a fleet", Bytes, ""),
            Self::Table => ("table and its indexes", Bytes, "all tables"),
            Self::Honest => (
                "99 % of requests beside many sockets",
                Seconds,
                "without them",
            ),
            Self::HonestOcsp => ("99 % of OCSP answers", Seconds, "without the rotations"),
            Self::HostileMemory => ("memory beside", Bytes, "before"),
            Self::MemoryAfter => ("memory after", Bytes, "before"),
            Self::Fill => ("fill through the store, 1,024 at a time", PerSecond, ""),
        }
    }
}

/// One figure.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Figure {
    pub what: Measure,
    pub database: Database,
    /// The number of certificates with which the zone was filled.
    pub certificates: u64,
    /// The variant in words. A figure without it is for the plots only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub which: Option<String>,
    /// The variant as a number: a page, or the number of clients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
    /// The figure in the unit of its measure.
    pub value: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
    /// Seconds from sending a request to the end of its answer.
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

impl Figure {
    pub fn which(self, which: impl Into<String>) -> Self {
        Self {
            which: Some(which.into()),
            ..self
        }
    }

    /// Removes the figure from the table. The plots still have it.
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

/// The figures of a file: the last one of each kind, and the runs to which they belong.
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
            // The last page has another number in each run.
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
