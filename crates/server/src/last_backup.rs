//! The time of the last `certgate backup`, which the metrics of the server show.

use std::io::{self, Write};
use std::path::Path;

use certgate_model::Timestamp;
use tempfile::NamedTempFile;

/// The file in the data directory.
const FILE: &str = "certgate.last-backup";

/// The largest file with the time of the last backup, in octets: it has 21 to 28.
const FILE_BYTES_MAX: u64 = 64;

/// Stores the time for the server of a data directory.
pub fn write(directory: &Path, finished_on: Timestamp) -> io::Result<()> {
    let mut file = NamedTempFile::new_in(directory)?;
    writeln!(file, "{finished_on}")?;
    let persisted = file.persist(directory.join(FILE));
    persisted.map(drop).map_err(|error| error.error)
}

/// Reads the time. A file that another user wrote and this one may not read counts as none.
fn read(directory: &Path) -> Option<Timestamp> {
    let path = directory.join(FILE);
    if path.metadata().ok()?.len() > FILE_BYTES_MAX {
        return None;
    }
    std::fs::read_to_string(path).ok()?.trim_end().parse().ok()
}

/// Sets the gauge.
pub fn measure(directory: &Path) {
    let seconds = read(directory).map_or(0, |at| at.unix_milliseconds() / 1000);
    metrics::gauge!("certgate_backup_finished_timestamp_seconds").set(seconds as f64);
}
