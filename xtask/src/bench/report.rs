//! The figures of a run, written to the file as they come.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use serde_json::json;

use super::figures::{Database, Figure, Measure};
use super::http::Measured;
use super::machine::Machine;
use super::statistics::Samples;
use super::units;

/// The figures of one database and size, and the file to which they are written.
pub struct Report {
    pub database: Database,
    pub certificates: u64,
    file: File,
}

/// Writes the machine of a run before its figures.
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

    /// Returns a figure of this database and size.
    pub fn figure(&self, what: Measure, value: f64) -> Figure {
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

    /// Returns the median of samples.
    pub fn median(&self, what: Measure, samples: &Samples) -> Figure {
        Figure {
            percentile_99: Some(samples.percentile(99)),
            ..self.figure(what, samples.median())
        }
    }

    /// Returns a throughput with its latencies.
    pub fn rate(&self, what: Measure, measured: &Measured) -> Figure {
        let each = |seconds: f64| seconds / measured.latency.len() as f64;
        Figure {
            median: Some(measured.latency.median()),
            percentile_99: Some(measured.latency.percentile(99)),
            server_processor: measured.processor_seconds.map(each),
            database_processor: measured.database_seconds.map(each),
            ..self.figure(what, measured.per_second)
        }
    }

    /// Writes a figure to the file, and prints it.
    pub fn add(&mut self, figure: Figure) -> anyhow::Result<()> {
        let (label, unit, _) = figure.what.describe();
        let which = figure.which.as_deref().unwrap_or_default();
        eprintln!("  {label} {which}: {}", units::cell(&figure, unit));
        Ok(writeln!(self.file, "{}", serde_json::to_string(&figure)?)?)
    }
}
