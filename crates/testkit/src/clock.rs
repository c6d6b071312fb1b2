use std::sync::atomic::{AtomicI64, Ordering};

use certgate_model::{Clock, Timestamp};

/// A clock that stands still until it is moved.
pub struct FakeClock(AtomicI64);

impl FakeClock {
    /// A clock that shows 2026-08-14T10:20:30Z.
    pub fn new() -> Self {
        Self(AtomicI64::new(1_786_702_830_000_000))
    }

    /// Moves the clock.
    pub fn advance_seconds(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000_000, Ordering::Relaxed);
    }
}

impl Default for FakeClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_microseconds(self.0.load(Ordering::Relaxed))
    }
}
