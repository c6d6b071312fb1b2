use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Seconds of a day in Unix time.
pub const SECONDS_PER_DAY: i64 = 86_400;

/// A source of the current instant. It is always an argument, so that tests can set it.
pub trait Clock: Send + Sync {
    /// The current instant.
    fn now(&self) -> Timestamp;
}

/// An instant in UTC, microseconds since the Unix epoch, between the years 1 and 9999.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// The difference of two instants, or the age of one. It is negative if the clock was set back
/// between them, and everything that is computed from it saturates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(i64);

impl Span {
    /// Returns true for an age: not negative, and below `seconds`. A record from the future is not
    /// recent, however recently it was made: its age is unknown.
    pub const fn is_within(self, seconds: i64) -> bool {
        self.0 >= 0 && self.0 < seconds.saturating_mul(1_000_000)
    }

    /// Microseconds; zero if it is negative.
    pub const fn microseconds(self) -> i64 {
        if self.0 < 0 { 0 } else { self.0 }
    }

    /// Whole seconds, rounded down; zero if it is negative.
    pub const fn seconds(self) -> i64 {
        if self.0 < 0 { 0 } else { self.0 / 1_000_000 }
    }

    /// The same as a duration; zero if it is negative.
    pub const fn duration(self) -> Duration {
        Duration::from_micros(if self.0 < 0 { 0 } else { self.0.unsigned_abs() })
    }
}

/// The error for a text that is not an RFC 3339 instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an RFC 3339 time such as 2033-02-20T23:18:00Z")]
pub struct ParseTimestampError;

impl Timestamp {
    /// 0001-01-01T00:00:00Z, the earliest instant with a text form.
    pub const EARLIEST: Self = Self::from_unix(-719_162 * SECONDS_PER_DAY);
    /// The last microsecond of 9999-12-31, the latest instant with a text form.
    pub const LATEST: Self = Self(2_932_897 * SECONDS_PER_DAY * 1_000_000 - 1);

    /// Reads RFC 3339, or a date without a time, which means its first instant in UTC.
    pub fn from_date_or_time(text: &str) -> Result<Self, ParseTimestampError> {
        text.parse()
            .or_else(|_| format!("{text}T00:00:00Z").parse())
    }

    /// Makes an instant from whole seconds since the Unix epoch.
    pub const fn from_unix(seconds: i64) -> Self {
        Self(seconds * 1_000_000)
    }

    /// Makes an instant from microseconds since the Unix epoch.
    pub const fn from_unix_microseconds(microseconds: i64) -> Self {
        Self(microseconds)
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub const fn unix(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Microseconds since the Unix epoch.
    pub const fn unix_microseconds(self) -> i64 {
        self.0
    }

    /// Rounds down to a whole minute, the precision of `issued_on` and `expires_on` in the API.
    pub const fn cut_to_minute(self) -> Self {
        Self(self.0.div_euclid(60_000_000) * 60_000_000)
    }

    /// Rounds up to a whole minute.
    pub const fn round_up_to_minute(self) -> Self {
        let cut = self.cut_to_minute();
        match cut.0 == self.0 {
            true => cut,
            false => cut.plus_seconds(60),
        }
    }

    /// Days from the Unix epoch to the day of this instant in UTC.
    pub const fn unix_day(self) -> i64 {
        self.unix().div_euclid(SECONDS_PER_DAY)
    }

    /// Moves this instant by `seconds`, at most to [`Self::EARLIEST`] or [`Self::LATEST`].
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        self.plus_microseconds(seconds.saturating_mul(1_000_000))
    }

    /// Moves this instant by `microseconds`, at most to [`Self::EARLIEST`] or [`Self::LATEST`].
    pub const fn plus_microseconds(self, microseconds: i64) -> Self {
        let moved = self.0.saturating_add(microseconds);
        if moved < Self::EARLIEST.0 {
            Self::EARLIEST
        } else if moved > Self::LATEST.0 {
            Self::LATEST
        } else {
            Self(moved)
        }
    }

    /// The time from this instant to `later`. Do not subtract timestamps by hand: `later` is
    /// earlier after the clock was set back.
    pub const fn until(self, later: Self) -> Span {
        Span(later.0.saturating_sub(self.0))
    }

    /// Whole milliseconds since the Unix epoch; zero before it.
    pub const fn unix_milliseconds(self) -> u64 {
        if self.0 < 0 {
            0
        } else {
            self.0.unsigned_abs() / 1000
        }
    }

    /// Moves this instant by `days` of 86,400 seconds.
    pub const fn plus_days(self, days: u32) -> Self {
        self.plus_seconds(days as i64 * SECONDS_PER_DAY)
    }
}

/// Writes RFC 3339 in UTC with `Z`. A fraction of zero and trailing zeros of a fraction are
/// omitted.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = OffsetDateTime::from_unix_timestamp(self.unix()).map_err(|_| fmt::Error)?;
        let (year, month, day) = moment.to_calendar_date();
        let (hour, minute, second) = moment.to_hms();
        let (century, year) = (year.unsigned_abs() / 100, year.unsigned_abs() % 100);
        let numbers = [
            century as u8,
            year as u8,
            month.into(),
            day,
            hour,
            minute,
            second,
        ];
        // A page of certificates has two times in each: `write!` would take a tenth of its text.
        let mut text = *b"0000-00-00T00:00:00";
        for (at, number) in [0, 2, 5, 8, 11, 14, 17].into_iter().zip(numbers) {
            text[at] += number / 10;
            text[at + 1] += number % 10;
        }
        f.write_str(std::str::from_utf8(&text).expect("digits are ASCII"))?;
        let fraction = self.0.rem_euclid(1_000_000);
        if fraction > 0 {
            let digits = format!("{fraction:06}");
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        f.write_str("Z")
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Timestamp {
    type Err = ParseTimestampError;

    fn from_str(text: &str) -> Result<Self, ParseTimestampError> {
        let moment = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| ParseTimestampError)?;
        let microseconds = moment.unix_timestamp_nanos().div_euclid(1000);
        let instant = i64::try_from(microseconds)
            .map(Self)
            .map_err(|_| ParseTimestampError)?;
        // An offset can lead outside of the years with a text form.
        if (Self::EARLIEST..=Self::LATEST).contains(&instant) {
            Ok(instant)
        } else {
            Err(ParseTimestampError)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_rfc_3339_and_reads_it_back() {
        for text in [
            "2033-02-20T23:18:00Z",
            "1970-01-01T00:00:00Z",
            "2014-01-01T05:20:00.12345Z",
            "1969-12-31T23:59:59.000001Z",
        ] {
            assert_eq!(text.parse::<Timestamp>().unwrap().to_string(), text);
        }
        assert_eq!(
            "2033-02-20T23:18:00+02:00"
                .parse::<Timestamp>()
                .unwrap()
                .to_string(),
            "2033-02-20T21:18:00Z"
        );
        assert_eq!(Timestamp::EARLIEST.to_string(), "0001-01-01T00:00:00Z");
        assert_eq!(Timestamp::LATEST.to_string(), "9999-12-31T23:59:59.999999Z");
        for bad in [
            "0000-01-01T00:00:00Z",
            "0001-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-23:59",
            "",
            "2033-02-20",
            "2033-02-30T00:00:00Z",
            "99999-01-01T00:00:00Z",
            "now",
        ] {
            assert!(bad.parse::<Timestamp>().is_err(), "{bad}");
        }
    }

    #[test]
    fn differences_saturate_and_sums_stay_within_the_years_with_a_text_form() {
        let (early, late) = (Timestamp::from_unix(100), Timestamp::from_unix(160));
        let (ahead, back) = (early.until(late), late.until(early));
        assert_eq!((ahead.seconds(), back.seconds()), (60, 0));
        assert_eq!(ahead.duration(), Duration::from_secs(60));
        assert_eq!(back.duration(), Duration::ZERO);
        assert!(ahead.is_within(61) && !ahead.is_within(60));
        assert!(!back.is_within(i64::MAX) && early.until(early).is_within(1));
        let all = Timestamp::EARLIEST.until(Timestamp::LATEST);
        assert_eq!(all.seconds(), 315_537_897_599);
        let raw = Timestamp::from_unix_microseconds;
        assert_eq!(
            raw(i64::MIN).until(raw(i64::MAX)).seconds(),
            i64::MAX / 1_000_000
        );
        assert_eq!(raw(i64::MAX).until(raw(i64::MIN)).seconds(), 0);
        for (seconds, end) in [
            (i64::MAX, Timestamp::LATEST),
            (i64::MIN, Timestamp::EARLIEST),
        ] {
            for from in [Timestamp::EARLIEST, early, Timestamp::LATEST] {
                assert_eq!(from.plus_seconds(seconds), end);
            }
        }
    }

    #[test]
    fn cut_to_minute_rounds_down_also_before_1970() {
        assert_eq!(
            Timestamp::from_unix(119).cut_to_minute(),
            Timestamp::from_unix(60)
        );
        assert_eq!(
            Timestamp::from_unix(-1).cut_to_minute(),
            Timestamp::from_unix(-60)
        );
        for (from, to) in [(60, 60), (61, 120), (119, 120), (-1, 0), (-60, -60)] {
            let rounded = Timestamp::from_unix(from).round_up_to_minute();
            assert_eq!(rounded, Timestamp::from_unix(to));
        }
        let finer = Timestamp::from_unix_microseconds(60_000_001);
        assert_eq!(finer.round_up_to_minute(), Timestamp::from_unix(120));
    }
}
