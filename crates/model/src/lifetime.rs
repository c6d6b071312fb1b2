use std::fmt;
use std::str::FromStr;

/// A length of time in whole minutes, at least an hour, such as the longest life of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lifetime {
    seconds: u32,
}

/// The shortest lifetime, in seconds: certificates begin some minutes before they are made.
const SECONDS_MIN: u64 = 3_600;

/// The longest lifetime, in seconds: a hundred years.
const SECONDS_MAX: u64 = 100 * 366 * 86_400;

/// The error for a text or number that is not a lifetime.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "use a time of at least 1 hour, such as \"8h\", \"90d\" or \"12w\", or whole minutes in seconds"
)]
pub struct NotALifetime;

impl Lifetime {
    /// Returns the lifetime of this many seconds.
    pub fn of_seconds(seconds: u64) -> Result<Self, NotALifetime> {
        let fits = (SECONDS_MIN..=SECONDS_MAX).contains(&seconds) && seconds.is_multiple_of(60);
        match u32::try_from(seconds) {
            Ok(seconds) if fits => Ok(Self { seconds }),
            _ => Err(NotALifetime),
        }
    }

    /// The length in seconds.
    pub fn seconds(self) -> u32 {
        self.seconds
    }

    /// The length in days. A day that has begun counts.
    pub fn days_begun(self) -> u32 {
        self.seconds.div_ceil(86_400)
    }
}

/// Reads a number with a unit: `m` (minutes), `h` (hours), `d` (days) or `w` (weeks).
impl FromStr for Lifetime {
    type Err = NotALifetime;

    fn from_str(text: &str) -> Result<Self, NotALifetime> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let unit = match unit {
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            "w" => 7 * 86_400,
            _ => return Err(NotALifetime),
        };
        let number: u64 = number.parse().map_err(|_| NotALifetime)?;
        Self::of_seconds(number.checked_mul(unit).ok_or(NotALifetime)?)
    }
}

/// Writes the length with the largest unit that divides it.
impl fmt::Display for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(86_400, 'd'), (3_600, 'h'), (60, 'm')];
        let divides = |(unit, _): &(u32, char)| self.seconds.is_multiple_of(*unit);
        match units.into_iter().find(divides) {
            Some((unit, name)) => write!(f, "{}{name}", self.seconds / unit),
            None => write!(f, "{}s", self.seconds),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_are_read_and_written() {
        for (text, seconds, days, written) in [
            ("8h", 28_800, 1, "8h"),
            ("24h", 86_400, 1, "1d"),
            ("36h", 129_600, 2, "36h"),
            ("90d", 7_776_000, 90, "90d"),
            ("12w", 7_257_600, 84, "84d"),
            ("90m", 5_400, 1, "90m"),
        ] {
            let lifetime: Lifetime = text.parse().unwrap();
            assert_eq!((lifetime.seconds(), lifetime.days_begun()), (seconds, days));
            assert_eq!(lifetime.to_string(), written);
        }
        for bad in [
            "",
            "8",
            "h",
            "-1h",
            "59m",
            "1.5d",
            "8 h",
            "40000d",
            "99999999999999999999d",
        ] {
            assert_eq!(bad.parse::<Lifetime>(), Err(NotALifetime), "{bad}");
        }
        assert!(Lifetime::of_seconds(3_601).is_err() && Lifetime::of_seconds(0).is_err());
    }
}
