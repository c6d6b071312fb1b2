//! Requests that failed of trouble, in the log: a line each, as long as they are few. While a database is away every request
//! fails of the same.

use std::sync::{Mutex, PoisonError};

use certgate_model::Timestamp;

/// How many lines a second: enough to see every cause, too few to fill a disk.
const LINES_PER_SECOND_MAX: u32 = 10;

/// The text for the log, kept in the answer for the middleware that writes the line.
#[derive(Debug, Clone)]
pub(crate) enum Inside {
    /// Something is away; it will pass.
    Unavailable(String),
    /// Something that must not happen did. Counted apart, so that it is not lost among the others.
    Internal(String),
}

/// How much has been logged.
#[derive(Default)]
pub(crate) struct FailureLog {
    unavailable: Mutex<Second>,
    internal: Mutex<Second>,
}

/// The lines of one second.
#[derive(Default)]
struct Second {
    unix: i64,
    lines: u32,
    not_logged: u64,
}

impl FailureLog {
    /// Writes the line, or counts that it was not written. The next one that is tells how many were not.
    pub(crate) fn write(
        &self,
        inside: &Inside,
        now: Timestamp,
        id: &str,
        method: &str,
        route: &str,
        status: u16,
    ) {
        let (second, error) = match inside {
            Inside::Unavailable(error) => (&self.unavailable, error),
            Inside::Internal(error) => (&self.internal, error),
        };
        match second.lock().unwrap_or_else(PoisonError::into_inner).line(now) {
            Some(0) => tracing::error!(request_id = %id, method, route, status, error, "request failed"),
            Some(not_logged) => {
                tracing::error!(request_id = %id, method, route, status, error, not_logged, "request failed");
            }
            None => tracing::debug!(request_id = %id, method, route, status, error, "request failed"),
        }
    }
}

impl Second {
    /// `None` if there are enough; otherwise how many have been left out before this one.
    fn line(&mut self, now: Timestamp) -> Option<u64> {
        if self.unix != now.unix() {
            (self.unix, self.lines) = (now.unix(), 0);
        }
        if self.lines == LINES_PER_SECOND_MAX {
            self.not_logged += 1;
            return None;
        }
        self.lines += 1;
        Some(std::mem::take(&mut self.not_logged))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_so_many_lines_and_the_next_tells_of_the_rest() {
        let mut second = Second::default();
        let now = Timestamp::from_unix(1_700_000_000);
        let told: Vec<_> = (0..15).filter_map(|_| second.line(now)).collect();
        assert_eq!(told, [0; 10]);
        assert_eq!(second.line(now.plus_seconds(1)), Some(5));
        assert_eq!(second.line(now.plus_seconds(1)), Some(0));
    }
}
