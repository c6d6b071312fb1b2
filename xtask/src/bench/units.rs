//! Figures as text.

use super::figures::{Figure, Unit};

/// A figure with its ratio and what else is known of it.
pub fn cell(figure: &Figure, unit: Unit) -> String {
    let mut parts = vec![match unit {
        Unit::Seconds => seconds(figure.value),
        Unit::PerSecond => format!("{}/s", thousands(figure.value)),
        Unit::Bytes => bytes(figure.value),
    }];
    parts.extend(figure.ratio.map(ratio));
    if let (Unit::PerSecond, Some(median), Some(percentile)) =
        (unit, figure.median, figure.percentile_99)
    {
        parts.push(format!("{} / {}", seconds(median), seconds(percentile)));
    } else if let Some(percentile) = figure.percentile_99 {
        parts.push(format!("99 % {}", seconds(percentile)));
    }
    match (figure.server_processor, figure.database_processor) {
        (Some(server), Some(database)) => {
            parts.push(format!(
                "{} + {} of processor",
                seconds(server),
                seconds(database)
            ));
        }
        (Some(server), None) => parts.push(format!("{} of processor", seconds(server))),
        _ => {}
    }
    parts.join("; ")
}

fn ratio(ratio: f64) -> String {
    match ratio {
        large if large >= 100.0 => format!("{} ×", thousands(large)),
        middle if middle >= 10.0 => format!("{middle:.1} ×"),
        middle if middle >= 0.1 => format!("{middle:.2} ×"),
        small => format!("{small:.3} ×"),
    }
}

/// Three digits or so.
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
