//! Log lines of requests that failed by a fault of the server: a line each, up to a rate. While a
//! database is unavailable, every request fails for the same reason.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use certgate_model::lock;

/// Lines per second: enough to see every cause, too few to fill a disk.
const LINES_PER_SECOND_MAX: u32 = 10;

/// The text for the log. The answer carries it to the middleware, which writes the line.
#[derive(Debug, Clone)]
pub(crate) enum Inside {
    /// A dependency is unavailable for some time.
    Unavailable(String),
    /// The server has a defect. Counted apart, so that it is not lost among the others.
    Internal(String),
}

/// The number of lines in the present second, of each kind.
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
    /// Writes the line, or counts it as left out. The next written line has the number of those.
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
        let line = lock(second).line(now);
        match line {
            Some(0) => {
                tracing::error!(request_id = %id, method, route, status, error, "request failed")
            }
            Some(not_logged) => {
                tracing::error!(
                    request_id = %id, method, route, status, error, not_logged, "request failed"
                );
            }
            None => {
                tracing::debug!(request_id = %id, method, route, status, error, "request failed")
            }
        }
    }
}

impl Second {
    /// Returns the number of lines left out before this one; [`None`] leaves this one out too.
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
    fn the_lines_of_a_second_are_limited_and_the_next_second_counts_the_rest() {
        let mut second = Second::default();
        let now = Instant::now();
        let written: Vec<_> = (0..15).filter_map(|_| second.line(now)).collect();
        assert_eq!(written, [0; 10]);
        let next = now + Duration::from_secs(1);
        assert_eq!(second.line(next), Some(5));
        assert_eq!(second.line(next), Some(0));
    }
}
