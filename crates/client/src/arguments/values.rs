//! Values on the command line, checked before the client sends anything.

use std::time::Duration;

use certgate_model::{RevocationReason, Status, Timestamp};
use certgate_wire::AddressBlockText;

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

pub(super) fn parse_statuses(text: &str) -> Result<Statuses, String> {
    if text.eq_ignore_ascii_case(Statuses::All.name()) {
        return Ok(Statuses::All);
    }
    let status = Status::from_name(text).map(Statuses::One);
    status.ok_or_else(|| format!("{} or all", must_be_one_of(Status::ALL.map(Status::name))))
}

pub(super) fn parse_reason(text: &str) -> Result<RevocationReason, String> {
    RevocationReason::from_name(text)
        .ok_or_else(|| must_be_one_of(RevocationReason::ALL.map(RevocationReason::name)))
}

fn must_be_one_of<const N: usize>(names: [&str; N]) -> String {
    format!("must be one of {}", names.join(", "))
}

/// Reads a time, or a date as its first instant in UTC.
pub(super) fn parse_instant(text: &str) -> Result<Timestamp, String> {
    Timestamp::from_date_or_time(text).map_err(|_| {
        "must be a date or a time, such as 2027-01-31 or 2027-01-31T12:00:00Z".to_owned()
    })
}

/// Reads a time span: a number with `ms`, `s`, `m` or `h`, of at most a week.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    const MILLISECONDS_MAX: u64 = 7 * 86_400_000;
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    };
    let number = number.parse::<u64>().ok().zip(factor);
    number
        .and_then(|(number, factor)| number.checked_mul(factor))
        .filter(|milliseconds| *milliseconds <= MILLISECONDS_MAX)
        .map(Duration::from_millis)
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
    fn instants_and_networks_are_checked_before_anything_is_sent() {
        for (text, instant) in [
            ("2027-01-31", "2027-01-31T00:00:00Z"),
            ("2027-01-31T01:00:00+01:00", "2027-01-31T00:00:00Z"),
        ] {
            assert_eq!(parse_instant(text).unwrap().to_string(), instant);
        }
        for (text, milliseconds) in [("250ms", 250), ("30s", 30_000), ("2m", 120_000), ("0s", 0)] {
            let read = parse_duration(text).unwrap();
            assert_eq!(read, Duration::from_millis(milliseconds));
        }
        for bad in [
            "",
            "30",
            "s",
            "-1s",
            "1.5s",
            "200h",
            "99999999999999999999s",
            "1 s",
        ] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
        assert!(parse_instant("tomorrow").is_err() && parse_instant("2027-02-30").is_err());
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
