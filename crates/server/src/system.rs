//! The clock and the random number generator of the machine.

use std::time::{SystemTime, UNIX_EPOCH};

use certgate_model::{Clock, Random, Timestamp};

/// The system's clock.
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the only place that reads the clock"
    )]
    fn now(&self) -> Timestamp {
        // A clock before 1970 is unset. Verifiers refuse such certificates, nothing breaks here.
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::from_unix_microseconds(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}

/// The cryptographic library's generator.
pub struct SystemRandom;

impl Random for SystemRandom {
    #[expect(
        clippy::disallowed_methods,
        reason = "the only place that draws random numbers"
    )]
    fn fill(&self, bytes: &mut [u8]) {
        aws_lc_rs::rand::fill(bytes)
            .expect("the generator, once seeded by the system, does not fail");
    }
}
