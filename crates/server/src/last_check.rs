//! The result of the last `certgate check`, which the metrics of the server show.

use std::io::{self, Write};
use std::path::Path;

use certgate_model::Timestamp;
use tempfile::NamedTempFile;

/// The file in the data directory.
const FILE: &str = "certgate.last-check";

/// The largest file with the result of the last check, in octets: it has 26 to 60.
const FILE_BYTES_MAX: u64 = 256;

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastCheck {
    pub finished_on: Timestamp,
    pub problems: usize,
}

impl LastCheck {
    /// Stores it for the server of a data directory, if that exists.
    pub fn write(&self, directory: &Path) -> io::Result<()> {
        if !directory.is_dir() {
            return Ok(());
        }
        let mut file = NamedTempFile::new_in(directory)?;
        writeln!(file, "{} {}", self.finished_on, self.problems)?;
        file.persist(directory.join(FILE))
            .map_err(|error| error.error)?;
        Ok(())
    }

    /// Reads the last one. A file that another user wrote and this one may not read counts as none.
    pub fn read(directory: &Path) -> Option<Self> {
        let path = directory.join(FILE);
        if path.metadata().ok()?.len() > FILE_BYTES_MAX {
            return None;
        }
        let text = std::fs::read_to_string(path).ok()?;
        let (finished_on, problems) = text.trim_end().split_once(' ')?;
        Some(Self {
            finished_on: finished_on.parse().ok()?,
            problems: problems.parse().ok()?,
        })
    }

    /// Sets the gauges.
    pub fn measure(directory: &Path) {
        let last = Self::read(directory);
        let seconds = last.map_or(0, |last| last.finished_on.unix_milliseconds() / 1000);
        let problems = last.map_or(0, |last| last.problems);
        metrics::gauge!("certgate_check_finished_timestamp_seconds").set(seconds as f64);
        metrics::gauge!("certgate_check_problems").set(problems as f64);
    }
}
