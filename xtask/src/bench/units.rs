//! Formats figures as text.

use super::figures::{Figure, Unit};

/// Formats a figure with its ratio, its latencies and its processor time.
pub fn cell(figure: &Figure, unit: Unit) -> String {
    let mut parts = vec![value(figure, unit)];
    parts.extend(figure.ratio.map(ratio));
    if let (Unit::PerSecond, Some(median), Some(percentile)) =
        (unit, figure.median, figure.percentile_99)
    {
        parts.push(format!("{} / {}", seconds(median), seconds(percentile)));
    } else if let Some(percentile) = figure.percentile_99 {
        parts.push(format!("99 % {}", seconds(percentile)));
    }
    parts.extend(processor(figure).map(|time| format!("{time} of processor")));
    parts.join("; ")
}

/// Formats the figure alone.
pub fn value(figure: &Figure, unit: Unit) -> String {
    number(figure.value, unit)
}

/// Formats a number with its unit.
pub fn number(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Seconds => seconds(value),
        Unit::PerSecond => format!("{}/s", thousands(value)),
        Unit::Bytes => bytes(value),
    }
}

/// Formats the processor time of the server, and of the database if it is another process.
pub fn processor(figure: &Figure) -> Option<String> {
    let server = seconds(figure.server_processor?);
    let Some(database) = figure.database_processor.map(seconds) else {
        return Some(server);
    };
    // A common unit is written once.
    let value = match (server.split_once(' '), database.split_once(' ')) {
        (Some((value, unit)), Some((_, same))) if unit == same => value,
        _ => &server,
    };
    Some(format!("{value} + {database}"))
}

/// Formats a ratio with two or three digits.
pub fn ratio(ratio: f64) -> String {
    match ratio {
        large if large >= 100.0 => format!("{} ×", thousands(large)),
        middle if middle >= 10.0 => format!("{middle:.1} ×"),
        middle if middle >= 0.1 => format!("{middle:.2} ×"),
        small => format!("{small:.3} ×"),
    }
}

/// Formats a time with about three digits.
pub fn seconds(seconds: f64) -> String {
    let (value, unit) = match seconds {
        whole if whole >= 1.0 => (whole, "s"),
        thousandths if thousandths >= 1e-3 => (thousandths * 1e3, "ms"),
        millionths => (millionths * 1e6, "µs"),
    };
    match value {
        large if large >= 100.0 => format!("{large:.0} {unit}"),
        middle if middle >= 10.0 => format!("{middle:.1} {unit}"),
        small => format!("{small:.2} {unit}"),
    }
}

fn bytes(bytes: f64) -> String {
    match bytes {
        small if small < 10_000.0 => format!("{small:.0} bytes"),
        large => format!("{:.1} MB", large / 1e6),
    }
}

/// Formats a whole number with a comma before each group of three digits.
pub fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
