//! The instants of renewals, as pure functions.

use std::time::Duration;

use certgate_model::{SECONDS_PER_DAY, Timestamp};

use crate::arguments::Within;

/// The longest least time between two certificates for one file, in seconds.
const INTERVAL_SECONDS_MAX: i64 = 3_600;

/// The requests for one file that are possible each day with a long lifetime.
const REQUESTS_PER_DAY: i64 = 24;

/// The failed attempts after which an outage is likely. Before, the next attempt is soon.
const SOON_FAILURES: u32 = 3;

/// The longest wait before the second attempt, in seconds. It doubles for each later one that is
/// soon.
const SOON_SECONDS_MAX: i64 = 30;

/// The longest wait during an outage, in seconds: an operator who has repaired something waits no
/// longer.
const OUTAGE_SECONDS_MAX: i64 = 16 * 3_600;

/// The longest lifetime of which an outage of some hours leaves many renewals at once, in seconds.
const SHORT_LIFETIME_SECONDS_MAX: i64 = 2 * SECONDS_PER_DAY;

/// The longest wait after the end of a certificate, in seconds.
const EXPIRED_SECONDS_MAX: i64 = 3_600;

/// The validity of a certificate.
#[derive(Debug, Clone, Copy)]
pub struct Life {
    /// The first second in which it is valid.
    pub not_before: Timestamp,
    /// The last second in which it is valid.
    pub not_after: Timestamp,
}

impl Life {
    /// The lifetime in seconds, at least one.
    fn seconds(self) -> i64 {
        self.not_before.until(self.not_after).seconds().max(1)
    }

    /// The instant of the renewal. `fingerprint` spreads the certificates of a fleet evenly,
    /// without a random number: a command that runs each hour must find the same instant each time.
    ///
    /// The latest instant is `within` before the end, the earliest one `within` before that, but
    /// not in the first half of the time before it: with 1/3, between 1/3 and 2/3 of the lifetime.
    /// So a fleet that was enrolled in one burst is spread over the whole day after three renewals.
    /// With half of this spread, it takes seventeen.
    pub fn renews_at(self, within: Within, fingerprint: &[u8; 32]) -> Timestamp {
        let life = self.seconds();
        let before = match within {
            Within::Part(part, whole) => life / whole * part + life % whole * part / whole,
            Within::Seconds(seconds) => seconds.min(life),
        };
        let [a, b, c, ..] = *fingerprint;
        let place = i64::from(u32::from_be_bytes([0, a, b, c]));
        let widest = before.min((life - before) / 2);
        // A lifetime has less than 2^39 seconds, so the product is below 2^63.
        let spread = widest.saturating_mul(place) >> 24;
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
    /// clients of a server that was away do not come back at the same time: there is time until
    /// the certificate ends, and they use nine tenths of it. Near the end, the waits are short.
    ///
    /// In the first half of a short lifetime, a wait is at least a third of the lifetime. It leaves
    /// the first hours after an outage to those that have no more: with evenly drawn waits, a fleet
    /// of one-day certificates exceeds its even rate by more than a fifth after two hours.
    pub fn backoff(self, failures: u32, now: Timestamp, draw: u32) -> Duration {
        let part = (self.seconds() / 1_000).max(1);
        let least = part.min(SOON_SECONDS_MAX);
        let left = now.until(self.not_after).seconds().min(self.seconds());
        let has_time = left > self.seconds() / 2 && self.seconds() <= SHORT_LIFETIME_SECONDS_MAX;
        let (from, to) = match failures {
            ..=SOON_FAILURES => {
                let doubled = least << failures.saturating_sub(1);
                (doubled / 2, doubled)
            }
            _ if left > 0 => {
                let to = (left / 10 * 9).min(OUTAGE_SECONDS_MAX);
                let from = (self.seconds() / 3).min(to / 3 * 2);
                (if has_time { from } else { 0 }, to)
            }
            _ => (0, (self.seconds() / 50).min(EXPIRED_SECONDS_MAX)),
        };
        let (from, to) = (from.max(least / 2), to.max(least));
        let milliseconds = (to - from)
            .saturating_mul(1_000)
            .saturating_mul(draw.into())
            >> 32;
        Duration::from_millis((from * 1_000 + milliseconds).unsigned_abs())
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
    fn renewals_are_spread_between_one_and_two_thirds() {
        let day = life(86_400);
        let third = parse_within("1/3").unwrap();
        assert_eq!(after(day, third, 0), 57_600);
        assert!((28_800..29_000).contains(&after(day, third, 255)));
        // Evenly: each of 12 parts of the eight hours has a twelfth of all certificates.
        let mut parts = [0; 12];
        for number in 0..12_000_u32 {
            let fingerprint = certgate_pki::sha256(&number.to_be_bytes());
            let at = day.renews_at(third, &fingerprint);
            let late = day.not_before.plus_seconds(28_800).until(at).seconds();
            parts[usize::try_from(late.min(28_799) / 2_400).unwrap()] += 1;
        }
        assert!(
            parts.iter().all(|part| (800..=1_200).contains(part)),
            "{parts:?}"
        );
        // 20 days before the end, and up to 20 more.
        let days = life(90 * 86_400);
        assert_eq!(after(days, parse_within("20d").unwrap(), 0), 70 * 86_400);
        assert!(after(days, parse_within("20d").unwrap(), 255) >= 50 * 86_400);
        // No certificate is due when it begins, unless the user says so.
        assert!(after(days, parse_within("80d").unwrap(), 255) >= 5 * 86_400);
        // All of the lifetime: now.
        assert_eq!(after(days, parse_within("1/1").unwrap(), 255), 0);
        assert_eq!(after(days, parse_within("999d").unwrap(), 255), 0);
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
    fn waits_are_short_first_and_then_a_part_of_the_time_left() {
        let day = life(86_400);
        let at = |hours: i64| day.not_before.plus_seconds(hours * 3_600);
        let most = |failures, hours| day.backoff(failures, at(hours), u32::MAX).as_secs();
        assert_eq!([most(1, 12), most(2, 12), most(3, 12)], [29, 59, 119]);
        assert_eq!(day.backoff(1, at(12), 0), Duration::from_secs(15));
        assert_eq!([most(4, 12), most(99, 20)], [38_879, 12_959]);
        assert_eq!(day.backoff(4, at(12), 0), Duration::from_secs(15));
        // Those who have more than half of a short lifetime leave the next hours to the others.
        assert_eq!(day.backoff(4, at(8), 0), Duration::from_secs(28_800));
        // A clock that is wrong, and a certificate that has ended.
        assert_eq!([most(9, -99_999), most(9, 99_999)], [57_599, 1_727]);
        assert_eq!(most(u32::MAX, 24), 1_727);
        let short = life(60);
        assert_eq!(short.backoff(9, short.not_after, 9).as_secs(), 0);
        let year = life(365 * 86_400);
        assert_eq!(year.backoff(9, year.not_before, u32::MAX).as_secs(), 57_599);
        assert_eq!(year.backoff(9, year.not_before, 0), Duration::from_secs(15));
    }
}
