//! The log of the server, on standard error.

use std::fmt;
use std::io::{self, Write};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::{Config, LogFormat};

/// Begins to log.
pub fn start(config: &Config) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&config.log)?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // The subscriber would print its own errors on standard error, and panic if that failed.
        .log_internal_errors(false)
        .with_writer(StandardError);
    let started = match config.log_format {
        LogFormat::Text => log.with_ansi(false).try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("cannot start the log: {error}"))
}

/// Counts the dropped lines, from zero: a counter that appears with its first event shows no
/// increase.
pub fn begin_to_count() {
    dropped().increment(0);
}

/// Prints a line on standard error. A line that cannot be printed is lost: unlike `eprintln!`, this
/// never panics.
pub fn say(line: impl fmt::Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

fn dropped() -> metrics::Counter {
    metrics::counter!("certgate_log_lines_dropped_total")
}

/// Writes log lines. A full disk or a log shipper that is gone must not end a task or the process,
/// so that a line which cannot be written is dropped and counted.
struct StandardError;

impl MakeWriter<'_> for StandardError {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        Self
    }
}

impl Write for StandardError {
    /// Takes a whole line: the subscriber formats it before it writes it with one call.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if io::stderr().lock().write_all(line).is_err() {
            dropped().increment(1);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
