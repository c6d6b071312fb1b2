//! Values on the command line, checked before the client sends anything.

use std::time::Duration;

use certgate_model::{RevocationReason, SECONDS_PER_DAY, Status, Timestamp};
use certgate_wire::AddressBlockText;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

/// The longest validity that the command line accepts, in days: certificates end before the year
/// 10000. The server has its own limit.
const DAYS_MAX: i64 = 3_652_425;

/// The statuses of the certificates in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statuses {
    /// Every status.
    All,
    /// One status.
    One(Status),
}

impl Statuses {
    /// Returns the name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::One(status) => status.name(),
        }
    }
}

/// Reads a status or `all`. Use it with `ignore_case`.
pub(super) fn statuses() -> impl TypedValueParser<Value = Statuses> {
    let names = Status::ALL.into_iter().map(|status| {
        let name = status.name();
        PossibleValue::new(name).alias(name.replace('_', "-"))
    });
    let names = names.chain([PossibleValue::new(Statuses::All.name())]);
    PossibleValuesParser::new(names).map(|text| {
        let status = Status::from_name(&text.replace('-', "_"));
        status.map_or(Statuses::All, Statuses::One)
    })
}

/// Reads a reason in kebab-case, or in the spelling of the API. Use it with `ignore_case`.
pub(super) fn reasons() -> impl TypedValueParser<Value = RevocationReason> {
    let names =
        RevocationReason::ALL.map(|reason| PossibleValue::new(kebab(reason)).alias(reason.name()));
    PossibleValuesParser::new(names).map(|text| {
        let plain = text.replace('-', "");
        RevocationReason::from_name(&plain).expect("each possible value is a reason")
    })
}

/// The name of a reason on the command line, such as `key-compromise`.
pub fn kebab(reason: RevocationReason) -> String {
    if reason == RevocationReason::CaCompromise {
        return "ca-compromise".to_owned();
    }
    let mut name = String::new();
    for letter in reason.name().chars() {
        if letter.is_ascii_uppercase() {
            name.push('-');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

/// A time as people type it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// A date (its first instant in UTC) or a time.
    At(Timestamp),
    /// Seconds from now, into the past or the future.
    Span(i64),
    /// The first instant in UTC of the day that is so many days after today.
    Day(i64),
}

impl Moment {
    /// Returns the instant. A span lies before now: `90d` is 90 days ago.
    pub fn past(self, now: Timestamp) -> Timestamp {
        self.instant(now, -1)
    }

    /// Returns the instant. A span lies after now: `90d` is in 90 days.
    pub fn future(self, now: Timestamp) -> Timestamp {
        self.instant(now, 1)
    }

    fn instant(self, now: Timestamp, direction: i64) -> Timestamp {
        match self {
            Self::At(instant) => instant,
            Self::Span(seconds) => now.plus_seconds(seconds.saturating_mul(direction)),
            Self::Day(days) => Timestamp::from_unix((now.unix_day() + days) * SECONDS_PER_DAY),
        }
    }
}

/// Reads a date, a time, a time span such as `90d`, or a word such as `yesterday`.
pub(super) fn parse_moment(text: &str) -> Result<Moment, String> {
    let word = text.trim().to_ascii_lowercase();
    let known = match word.as_str() {
        "now" => Some(Moment::Span(0)),
        "yesterday" => Some(Moment::Day(-1)),
        "today" => Some(Moment::Day(0)),
        "tomorrow" => Some(Moment::Day(1)),
        _ => Timestamp::from_date_or_time(text.trim())
            .ok()
            .map(Moment::At),
    };
    known.or_else(|| parse_seconds(&word).map(Moment::Span)).ok_or_else(|| {
        "must be a date (2027-01-31), a time (2027-01-31T12:00:00Z), a time span (90d, 12w, 8h), \
         today, yesterday or tomorrow"
            .to_owned()
    })
}

/// Reads a time span of whole seconds: `90d`, `12 weeks`. A year has 365 days.
pub(super) fn parse_seconds(text: &str) -> Option<i64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim() {
        "s" | "second" | "seconds" => 1,
        "m" | "min" | "minute" | "minutes" => 60,
        "h" | "hour" | "hours" => 3_600,
        "d" | "day" | "days" => SECONDS_PER_DAY,
        "w" | "week" | "weeks" => 7 * SECONDS_PER_DAY,
        "y" | "year" | "years" => 365 * SECONDS_PER_DAY,
        _ => return None,
    };
    number.parse::<i64>().ok()?.checked_mul(factor)
}

/// Reads a validity in whole days: `90`, `90d`, `12w` or `1y`.
pub(super) fn parse_days(text: &str) -> Result<u32, String> {
    let whole =
        |seconds: i64| (seconds % SECONDS_PER_DAY == 0).then_some(seconds / SECONDS_PER_DAY);
    let word = text.trim().to_ascii_lowercase();
    let days = word
        .parse()
        .ok()
        .or_else(|| parse_seconds(&word).and_then(whole));
    days.filter(|days| (1..=DAYS_MAX).contains(days))
        .and_then(|days| u32::try_from(days).ok())
        .ok_or_else(|| {
            "must be a number of days, at least 1, such as 90, 90d, 12w or 1y".to_owned()
        })
}

/// Reads a time span: a number with `ms`, `s`, `m`, `h` or `d`, of at most a week.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    const WEEK: Duration = Duration::from_secs(7 * 86_400);
    let milliseconds = text.strip_suffix("ms").and_then(|number| {
        let is_number = !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit());
        number
            .parse()
            .ok()
            .filter(|_| is_number)
            .map(Duration::from_millis)
    });
    let seconds = || {
        let seconds = parse_seconds(text).and_then(|seconds| u64::try_from(seconds).ok());
        seconds.map(Duration::from_secs)
    };
    milliseconds
        .or_else(seconds)
        .filter(|span| *span <= WEEK)
        .ok_or_else(|| "must be a number with a unit, such as 250ms, 30s, 2m or 1h".to_owned())
}

/// Reads an address or a network as the API does.
pub(super) fn parse_network(text: &str) -> Result<AddressBlockText<'static>, String> {
    serde_json::from_value(text.into())
        .map_err(|_| "must be an address or a network, such as 192.0.2.0/24".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_type_them() {
        let now: Timestamp = "2026-08-14T10:30:00Z".parse().unwrap();
        for (text, past, future) in [
            ("2027-01-31", "2027-01-31T00:00:00Z", "2027-01-31T00:00:00Z"),
            (
                "2027-01-31T01:00:00+01:00",
                "2027-01-31T00:00:00Z",
                "2027-01-31T00:00:00Z",
            ),
            ("90d", "2026-05-16T10:30:00Z", "2026-11-12T10:30:00Z"),
            ("12W", "2026-05-22T10:30:00Z", "2026-11-06T10:30:00Z"),
            ("2 hours", "2026-08-14T08:30:00Z", "2026-08-14T12:30:00Z"),
            ("yesterday", "2026-08-13T00:00:00Z", "2026-08-13T00:00:00Z"),
            ("Today", "2026-08-14T00:00:00Z", "2026-08-14T00:00:00Z"),
            ("tomorrow", "2026-08-15T00:00:00Z", "2026-08-15T00:00:00Z"),
            ("now", "2026-08-14T10:30:00Z", "2026-08-14T10:30:00Z"),
        ] {
            let moment = parse_moment(text).unwrap();
            assert_eq!(moment.past(now).to_string(), past, "{text}");
            assert_eq!(moment.future(now).to_string(), future, "{text}");
        }
        let far = parse_moment("99999999y");
        assert_eq!(far.unwrap().future(now), Timestamp::LATEST);
        for bad in [
            "",
            "soon",
            "2027-02-30",
            "90",
            "d",
            "-1d",
            "1.5d",
            "99999999999999999999d",
        ] {
            assert!(parse_moment(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_and_validities_have_units() {
        for (text, milliseconds) in [("250ms", 250), ("30s", 30_000), ("2m", 120_000), ("0s", 0)] {
            let read = parse_duration(text).unwrap();
            assert_eq!(read, Duration::from_millis(milliseconds));
        }
        for bad in [
            "",
            "30",
            "s",
            "ms",
            "-1s",
            "+1ms",
            "1.5s",
            "200h",
            "99999999999999999999s",
        ] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
        for (text, days) in [
            ("90", 90),
            ("90d", 90),
            ("12w", 84),
            ("1y", 365),
            ("48h", 2),
        ] {
            assert_eq!(parse_days(text), Ok(days), "{text}");
        }
        for bad in ["", "0", "0d", "36h", "-1", "many", "99999999"] {
            assert!(parse_days(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn reasons_have_names_of_the_command_line_and_of_the_api() {
        #[derive(clap::Parser)]
        struct Given {
            #[arg(value_parser = reasons(), ignore_case = true)]
            reason: RevocationReason,
        }
        for reason in RevocationReason::ALL {
            for name in [
                kebab(reason),
                reason.name().to_owned(),
                reason.name().to_uppercase(),
            ] {
                let given: Given = clap::Parser::try_parse_from(["x", &name]).unwrap();
                assert_eq!(given.reason, reason, "{name}");
            }
        }
        assert_eq!(kebab(RevocationReason::CaCompromise), "ca-compromise");
        assert_eq!(
            kebab(RevocationReason::CessationOfOperation),
            "cessation-of-operation"
        );
    }

    #[test]
    fn networks_are_checked_before_anything_is_sent() {
        for good in ["192.0.2.1", "192.0.2.0/24", "2001:db8::/32"] {
            assert_eq!(parse_network(good).unwrap().0.text, good);
        }
        for bad in [
            "",
            "host",
            "192.0.2.0/33",
            "2001:db8::/129",
            "1.2.3.4/",
            "1.2.3.4/x",
        ] {
            assert!(parse_network(bad).is_err(), "{bad}");
        }
    }
}
