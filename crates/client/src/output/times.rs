//! Times for people: relative to now on a terminal.

use certgate_model::{SECONDS_PER_DAY, Timestamp};

const MINUTE: i64 = 60;
const HOUR: i64 = 3_600;
const YEAR: i64 = 365 * SECONDS_PER_DAY;

/// From so many of a unit on, the next larger unit is used: "in 36 hours" says more than "in 2
/// days".
const UNITS: [(i64, i64, &str); 4] = [
    (2 * HOUR, MINUTE, "minute"),
    (2 * SECONDS_PER_DAY, HOUR, "hour"),
    (2 * YEAR, SECONDS_PER_DAY, "day"),
    (i64::MAX, YEAR, "year"),
];

/// Writes a time relative to `now`, such as `in 29 days` or `3 hours ago`.
pub fn relative(now: Timestamp, at: Timestamp) -> String {
    let (span, is_past) = match at < now {
        true => (at.until(now), true),
        false => (now.until(at), false),
    };
    let seconds = span.seconds();
    let text = match seconds {
        0..MINUTE => return if is_past { "just now" } else { "now" }.to_owned(),
        _ => spelled(seconds),
    };
    match is_past {
        true => format!("{text} ago"),
        false => format!("in {text}"),
    }
}

/// Writes a time span, such as `29 days`.
fn spelled(seconds: i64) -> String {
    let unit = UNITS.iter().find(|(limit, ..)| seconds < *limit);
    let (_, unit, name) = unit.unwrap_or(&UNITS[UNITS.len() - 1]);
    match (seconds + unit / 2) / unit {
        1 => format!("1 {name}"),
        count => format!("{count} {name}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_relative_to_now() {
        let now = Timestamp::from_unix(2_000_000_000);
        for (seconds, text) in [
            (0, "now"),
            (-3, "just now"),
            (61, "in 1 minute"),
            (-119 * MINUTE, "119 minutes ago"),
            (36 * HOUR, "in 36 hours"),
            (30 * SECONDS_PER_DAY - 5, "in 30 days"),
            (-YEAR, "365 days ago"),
            (10 * YEAR, "in 10 years"),
        ] {
            assert_eq!(relative(now, now.plus_seconds(seconds)), text);
        }
    }
}
