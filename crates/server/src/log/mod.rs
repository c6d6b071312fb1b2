//! The log of the server, on standard error.
//!
//! Logging is best effort: no work fails because of a line, or waits for an output that stalls. A
//! line that cannot be written is dropped and counted, and repeated lines are limited.

mod limit;
mod outlet;

use std::fmt;
use std::io::{self, Write};
use std::panic::PanicHookInfo;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use certgate_store::CHANGES_TARGET;
use tracing::Metadata;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use self::limit::{End, Limited};
use self::outlet::{Outlet, Wait};
use crate::config::LogFormat;
use crate::failure::Failure;

/// The longest wait for standard error at the end of the process. A reader of a pipe may read
/// nothing, and must not keep the process alive.
const LAST_LINES_TIMEOUT: Duration = Duration::from_secs(1);

/// The log of this process.
#[derive(Clone)]
pub struct Log {
    outlet: Outlet,
    replace_filter: Arc<dyn Fn(EnvFilter) + Send + Sync>,
}

impl Log {
    /// Begins to log, and counts lines from zero: a counter that appears with its first event shows
    /// no increase.
    pub fn start(filter: &str, format: LogFormat) -> anyhow::Result<Self> {
        let dropped = metrics::counter!("certgate_log_lines_dropped_total");
        let limited = metrics::counter!("certgate_log_lines_limited_total");
        dropped.increment(0);
        limited.increment(0);
        let outlet = Outlet::start(io::stderr(), dropped).context("cannot start the log")?;
        let filter = EnvFilter::try_new(filter)?;
        let writers = Writers {
            awaited: outlet.clone(),
            of_requests: outlet.with(Wait::Never),
            of_changes: outlet.with(Wait::ForRoom),
        };
        let lines = tracing_subscriber::fmt()
            .with_env_filter(filter)
            // The subscriber would print its own errors on standard error, and panic if that
            // failed.
            .log_internal_errors(false)
            .with_writer(writers);
        // Each format is a type of its own.
        let (started, replace_filter): (_, Arc<dyn Fn(EnvFilter) + Send + Sync>) = match format {
            LogFormat::Text => {
                let lines = lines
                    .with_ansi(false)
                    .map_event_format(|format| Limited::new(format, End::Text, limited))
                    .with_filter_reloading();
                let handle = lines.reload_handle();
                let replace = move |filter| drop(handle.reload(filter));
                (lines.try_init(), Arc::new(replace))
            }
            LogFormat::Json => {
                let lines = lines
                    .json()
                    .flatten_event(true)
                    .map_event_format(|format| Limited::new(format, End::Json, limited))
                    .with_filter_reloading();
                let handle = lines.reload_handle();
                let replace = move |filter| drop(handle.reload(filter));
                (lines.try_init(), Arc::new(replace))
            }
        };
        started.map_err(|error| anyhow::anyhow!("cannot start the log: {error}"))?;
        std::panic::set_hook(Box::new(log_panic));
        Ok(Self {
            outlet,
            replace_filter,
        })
    }

    /// Replaces the filter of lines. The configuration has checked its text.
    pub fn set_filter(&self, filter: &str) {
        if let Ok(filter) = EnvFilter::try_new(filter) {
            (self.replace_filter)(filter);
        }
    }

    /// Prints a text as it is.
    pub fn print(&self, text: &str) {
        self.outlet.push(text.as_bytes());
    }

    /// Prints the reason of the end, if the process failed, and waits for the last lines.
    pub fn end(self, ended: Result<(), Failure>) -> Result<(), Failure> {
        let ended = ended.map_err(|failure| {
            self.print(&failure.lines());
            failure.but_printed()
        });
        self.outlet.drain(LAST_LINES_TIMEOUT);
        ended
    }
}

/// The ways of lines to the output.
struct Writers {
    awaited: Outlet,
    of_requests: Outlet,
    of_changes: Outlet,
}

impl<'a> MakeWriter<'a> for Writers {
    type Writer = Outlet;

    fn make_writer(&'a self) -> Outlet {
        self.awaited.clone()
    }

    /// A request does not wait for its line in an access log. Changes have a thread of their own,
    /// and no other line depends on the time of theirs.
    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Outlet {
        let outlet = match metadata.target() {
            CHANGES_TARGET => &self.of_changes,
            _ if limit::is_access_log(metadata) => &self.of_requests,
            _ => &self.awaited,
        };
        outlet.clone()
    }
}

/// Logs a panic. The hook of the standard library would write to standard error itself, and wait
/// for its reader.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(tracing::field::display);
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("without a name");
    let payload = panic.payload();
    let message = payload.downcast_ref::<String>().map(String::as_str);
    let message = message.or_else(|| payload.downcast_ref::<&str>().copied());
    let message = message.unwrap_or("no message");
    tracing::error!(thread, location, message, "panicked");
}

/// Prints a line on standard error. A line that cannot be printed is lost: unlike `eprintln!`, this
/// never panics.
pub fn say(line: impl fmt::Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}
