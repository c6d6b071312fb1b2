//! The instants of renewals, as pure functions.

use std::time::Duration;

use certgate_model::{SECONDS_PER_DAY, Timestamp};

use crate::arguments::Within;

/// The part of the time before the end over which renewals are spread: with the default, a
/// certificate is renewed between 7/12 and 8/12 of its lifetime.
const SPREAD_PART: i64 = 4;

/// The longest least time between two certificates for one file, in seconds.
const INTERVAL_SECONDS_MAX: i64 = 3_600;

/// The requests for one file that are possible each day with a long lifetime.
const REQUESTS_PER_DAY: i64 = 24;

/// The longest wait after failed attempts, in seconds.
const BACKOFF_SECONDS_MAX: i64 = 3_600;

/// The shortest wait after a failed attempt of a certificate with a long lifetime, in seconds.
const BACKOFF_SECONDS_MIN: i64 = 30;

/// The validity of a certificate.
#[derive(Debug, Clone, Copy)]
pub struct Life {
    pub not_before: Timestamp,
    pub not_after: Timestamp,
}

impl Life {
    /// The lifetime in seconds, at least one.
    fn seconds(self) -> i64 {
        self.not_before.until(self.not_after).seconds().max(1)
    }

    /// The instant of the renewal. `fingerprint` spreads the certificates of a fleet evenly,
    /// without a random number: a command that runs each hour must find the same instant each time.
    pub fn renews_at(self, within: Within, fingerprint: &[u8; 32]) -> Timestamp {
        let life = self.seconds();
        let before = match within {
            Within::Part(part, whole) => life / whole * part + life % whole * part / whole,
            Within::Seconds(seconds) => seconds.min(life),
        };
        let [a, b, c, ..] = *fingerprint;
        let place = i64::from(u32::from_be_bytes([0, a, b, c]));
        // The spread in microseconds is below 2^63: a lifetime has less than 2^39 seconds.
        let spread = (before / SPREAD_PART).saturating_mul(place) >> 24;
        self.not_after.plus_seconds(-before - spread)
    }

    /// The least time between two certificates for one file.
    pub fn interval_seconds(self) -> i64 {
        (self.seconds() / 10).min(INTERVAL_SECONDS_MAX)
    }

    /// The most requests for one file in a day: many times as many as the lifetime needs.
    pub fn requests_per_day(self) -> i64 {
        REQUESTS_PER_DAY + SECONDS_PER_DAY * 6 / self.seconds()
    }

    /// The wait after so many failed attempts in a row. `draw` is a random number, so that the
    /// clients of a server that was away do not come back at the same instant.
    pub fn backoff(self, failures: u32, draw: u8) -> Duration {
        let part = (self.seconds() / 1_000).max(1);
        let least = part.min(BACKOFF_SECONDS_MIN);
        let most = (self.seconds() / 50).min(BACKOFF_SECONDS_MAX).max(least);
        let doubled = least.saturating_mul(1 << failures.saturating_sub(1).min(20));
        let wait = Duration::from_secs(doubled.min(most).unsigned_abs());
        // Between a half and all of it.
        wait / 2 + wait / 2 * u32::from(draw) / 255
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::parse_within;

    fn life(seconds: i64) -> Life {
        let not_before: Timestamp = "2026-08-14T10:30:00Z".parse().unwrap();
        Life {
            not_before,
            not_after: not_before.plus_seconds(seconds),
        }
    }

    fn after(life: Life, within: Within, first: u8) -> i64 {
        let mut fingerprint = [0; 32];
        fingerprint[0] = first;
        let at = life.renews_at(within, &fingerprint);
        life.not_before.until(at).seconds()
    }

    #[test]
    fn renewals_are_spread_between_seven_and_eight_twelfths() {
        let day = life(86_400);
        let third = parse_within("1/3").unwrap();
        assert_eq!(after(day, third, 0), 57_600);
        assert!((50_400..50_500 + 200).contains(&after(day, third, 255)));
        // Evenly: each of 12 parts of the two hours has a twelfth of all certificates.
        let mut parts = [0; 12];
        for number in 0..12_000_u32 {
            let fingerprint = certgate_pki::sha256(&number.to_be_bytes());
            let at = day.renews_at(third, &fingerprint);
            let late = day.not_before.plus_seconds(50_400).until(at).seconds();
            parts[usize::try_from(late.min(7_199) / 600).unwrap()] += 1;
        }
        assert!(
            parts.iter().all(|part| (800..=1_200).contains(part)),
            "{parts:?}"
        );
        // 20 days before the end, and up to 5 more.
        let days = life(90 * 86_400);
        assert_eq!(after(days, parse_within("20d").unwrap(), 0), 70 * 86_400);
        assert!(after(days, parse_within("20d").unwrap(), 255) >= 65 * 86_400);
        // All of the lifetime: now.
        assert!(after(days, parse_within("1/1").unwrap(), 0) <= 0);
        assert!(after(days, parse_within("999d").unwrap(), 0) <= 0);
        let longest = Life {
            not_before: Timestamp::EARLIEST,
            not_after: Timestamp::LATEST,
        };
        assert!(after(longest, third, 255) > 0);
    }

    #[test]
    fn limits_follow_the_lifetime() {
        for (seconds, interval, requests) in [
            (365 * 86_400, 3_600, 24),
            (86_400, 3_600, 30),
            (28_800, 2_880, 42),
            (60, 6, 8_664),
        ] {
            let life = life(seconds);
            assert_eq!(life.interval_seconds(), interval);
            assert_eq!(life.requests_per_day(), requests);
        }
        assert_eq!(life(-5).interval_seconds(), 0);
    }

    #[test]
    fn waits_double_and_end_at_a_part_of_the_lifetime() {
        let day = life(86_400);
        let most = |failures| day.backoff(failures, 255).as_secs();
        assert_eq!([most(1), most(2), most(3), most(30)], [30, 60, 120, 1_728]);
        assert_eq!(day.backoff(1, 0), Duration::from_secs(15));
        assert_eq!(life(365 * 86_400).backoff(u32::MAX, 255).as_secs(), 3_600);
        assert_eq!(life(60).backoff(9, 255).as_secs(), 1);
    }
}
