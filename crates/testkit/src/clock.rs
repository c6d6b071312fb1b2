use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use certgate_model::{Clock, Timestamp};

/// A clock that stands still until it is moved.
pub struct FakeClock {
    microseconds: AtomicI64,
    broken: AtomicBool,
}

impl FakeClock {
    /// Creates a clock that shows 2026-08-14T10:20:30Z.
    pub fn new() -> Self {
        Self {
            microseconds: AtomicI64::new(1_786_702_830_000_000),
            broken: AtomicBool::new(false),
        }
    }

    /// Sets the clock.
    pub fn set(&self, now: Timestamp) {
        self.microseconds
            .store(now.unix_microseconds(), Ordering::Relaxed);
    }

    /// Moves the clock forward.
    pub fn advance_seconds(&self, seconds: i64) {
        self.microseconds
            .fetch_add(seconds * 1_000_000, Ordering::Relaxed);
    }

    /// Makes every reading of the clock panic if `broken` is true: a fault inside a request.
    pub fn set_broken(&self, broken: bool) {
        self.broken.store(broken, Ordering::Relaxed);
    }
}

impl Default for FakeClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        assert!(
            !self.broken.load(Ordering::Relaxed),
            "the clock is broken: sesame-7f3a"
        );
        Timestamp::from_unix_microseconds(self.microseconds.load(Ordering::Relaxed))
    }
}
