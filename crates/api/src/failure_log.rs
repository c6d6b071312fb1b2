//! Requests that failed of trouble, in the log: a line each, as long as they are few. While a database is away every request
//! fails of the same.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

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
    begun: Option<Instant>,
    lines: u32,
    not_logged: u64,
}

impl FailureLog {
    /// Writes the line, or counts that it was not written. The next one that is tells how many were not.
    pub(crate) fn write(
        &self,
        inside: &Inside,
        now: Instant,
        id: &str,
        method: &str,
        route: &str,
        status: u16,
    ) {
        let (second, error) = match inside {
            Inside::Unavailable(error) => (&self.unavailable, error),
            Inside::Internal(error) => (&self.internal, error),
        };
        match second
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .line(now)
        {
            Some(0) => {
                tracing::error!(request_id = %id, method, route, status, error, "request failed")
            }
            Some(not_logged) => {
                tracing::error!(request_id = %id, method, route, status, error, not_logged, "request failed");
            }
            None => {
                tracing::debug!(request_id = %id, method, route, status, error, "request failed")
            }
        }
    }
}

impl Second {
    /// `None` if there are enough; otherwise how many have been left out before this one.
    fn line(&mut self, now: Instant) -> Option<u64> {
        if self
            .begun
            .is_none_or(|begun| now.saturating_duration_since(begun) >= Duration::from_secs(1))
        {
            (self.begun, self.lines) = (Some(now), 0);
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
#[expect(
    clippy::disallowed_methods,
    reason = "tests of a rate look at the clock"
)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_so_many_lines_and_the_next_tells_of_the_rest() {
        let mut second = Second::default();
        let now = Instant::now();
        let told: Vec<_> = (0..15).filter_map(|_| second.line(now)).collect();
        assert_eq!(told, [0; 10]);
        let next = now + Duration::from_secs(1);
        assert_eq!(second.line(next), Some(5));
        assert_eq!(second.line(next), Some(0));
    }
}
