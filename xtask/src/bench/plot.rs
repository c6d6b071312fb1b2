//! The plots, and the figures that they show.

use super::figures::{Database, Figure, Figures, Measure};
use super::svg::{Axis, COLOURS, Chart, Line, Scale};
use super::units::{seconds, thousands};

/// Returns the file name, the description and the SVG of each chart that has figures.
pub fn all(figures: &Figures) -> Vec<(&'static str, &'static str, String)> {
    let charts = [
        (
            "pages.svg",
            "Time of a page against its depth",
            pages(figures),
        ),
        (
            "issuing.svg",
            "Certificates issued in a second against clients",
            issuing(figures),
        ),
        (
            "sizes.svg",
            "Time of a page against the size of the zone",
            sizes(figures),
        ),
        (
            "revocation.svg",
            "OCSP answers and lists per second against the size of the zone",
            served(figures),
        ),
    ];
    charts
        .into_iter()
        .filter_map(|(file, words, chart)| Some((file, words, chart?.svg()?)))
        .collect()
}

const DATABASES: [(Database, &str); 2] = [
    (Database::Sqlite, COLOURS[0]),
    (Database::Postgres, COLOURS[1]),
];

fn whole(value: f64) -> String {
    thousands(value)
}

/// Formats a time on an axis, without zeros at the end of the fraction.
fn time(value: f64) -> String {
    match seconds(value).split_once(' ') {
        Some((_, _)) if value == 0.0 => "0".to_owned(),
        Some((digits, unit)) if digits.contains('.') => {
            format!(
                "{} {unit}",
                digits.trim_end_matches('0').trim_end_matches('.')
            )
        }
        _ => seconds(value),
    }
}

fn points(
    figures: &Figures,
    wanted: impl Fn(&Figure) -> bool,
    x: impl Fn(&Figure) -> Option<u64>,
) -> Vec<(f64, f64)> {
    let found = figures.figures.iter().filter(|figure| wanted(figure));
    let mut points: Vec<_> = found
        .filter_map(|figure| Some((x(figure)? as f64, figure.value)))
        .collect();
    points.sort_by(|one, other| one.0.total_cmp(&other.0));
    points
}

/// Returns the size of the largest zone that has figures of a measure.
fn largest(figures: &Figures, what: Measure) -> Option<u64> {
    let of_kind = figures.figures.iter().filter(|figure| figure.what == what);
    of_kind.map(|figure| figure.certificates).max()
}

fn pages(figures: &Figures) -> Option<Chart> {
    let largest = largest(figures, Measure::SqlPage)?;
    let mut lines = Vec::new();
    for (database, colour) in DATABASES {
        for (what, name, is_dashed) in [
            (Measure::StorePage, "certgate", false),
            (Measure::SqlPage, "OFFSET and COUNT", true),
        ] {
            let wanted = |figure: &Figure| {
                (figure.what, figure.database, figure.certificates) == (what, database, largest)
            };
            let points = points(figures, wanted, |figure| figure.at);
            lines.push(Line {
                name: format!("{name}, {}", database.name()),
                colour,
                is_dashed,
                points,
            });
        }
    }
    Some(Chart {
        title: format!(
            "Median time of a page of 20 and the total, of {} certificates",
            thousands(largest as f64)
        ),
        below: "page",
        x: Axis {
            scale: Scale::Logarithmic,
            text: whole,
        },
        y: Axis {
            scale: Scale::Logarithmic,
            text: time,
        },
        lines,
    })
}

fn issuing(figures: &Figures) -> Option<Chart> {
    let largest = largest(figures, Measure::Issue)?;
    let mut lines = Vec::new();
    for (database, colour) in DATABASES {
        for (what, name, is_dashed) in [
            (Measure::Issue, "issued", false),
            (Measure::RecordAlone, "one commit each", true),
        ] {
            let wanted = |figure: &Figure| {
                (figure.what, figure.database, figure.certificates) == (what, database, largest)
            };
            let points = points(figures, wanted, |figure| figure.at);
            lines.push(Line {
                name: format!("{name}, {}", database.name()),
                colour,
                is_dashed,
                points,
            });
        }
    }
    let marks = lines
        .iter()
        .flat_map(|line| line.points.iter().map(|(x, _)| *x));
    let mut marks: Vec<_> = marks.collect();
    marks.sort_by(f64::total_cmp);
    marks.dedup();
    Some(Chart {
        title: "Durable certificates in a second".to_owned(),
        below: "clients that wait at a time",
        x: Axis {
            scale: Scale::Marked(marks),
            text: whole,
        },
        y: Axis {
            scale: Scale::Linear,
            text: whole,
        },
        lines,
    })
}

fn sizes(figures: &Figures) -> Option<Chart> {
    let mut lines = Vec::new();
    for (database, colour) in DATABASES {
        for (which, is_dashed) in [("page 1", false), ("last pages", true)] {
            let wanted = |figure: &Figure| {
                (figure.what, figure.database) == (Measure::HttpPage, database)
                    && figure.which.as_deref() == Some(which)
            };
            let points = points(figures, wanted, |figure| Some(figure.certificates));
            lines.push(Line {
                name: format!("{which}, {}", database.name()),
                colour,
                is_dashed,
                points,
            });
        }
    }
    Some(Chart {
        title: "Median time of a page of 20 over HTTP, one client".to_owned(),
        below: "certificates in the zone",
        x: Axis {
            scale: Scale::Logarithmic,
            text: whole,
        },
        y: Axis {
            scale: Scale::Linear,
            text: time,
        },
        lines,
    })
}

fn served(figures: &Figures) -> Option<Chart> {
    let kinds = [
        (Measure::Ocsp, "asked again", "OCSP, asked again"),
        (Measure::Ocsp, "signed for each", "OCSP, signed"),
        (Measure::ServeCrl, "one of 128 shards", "list (shard)"),
    ];
    let mut lines = Vec::new();
    for ((what, which, name), colour) in kinds.into_iter().zip([COLOURS[2], COLOURS[3], COLOURS[0]])
    {
        for (database, _) in DATABASES {
            let wanted = |figure: &Figure| {
                (figure.what, figure.database) == (what, database)
                    && figure.which.as_deref() == Some(which)
            };
            let points = points(figures, wanted, |figure| Some(figure.certificates));
            let is_dashed = database == Database::Postgres;
            lines.push(Line {
                name: format!("{name}, {}", database.name()),
                colour,
                is_dashed,
                points,
            });
        }
    }
    Some(Chart {
        title: "Revocation: answers in a second, 64 clients".to_owned(),
        below: "certificates in the zone",
        x: Axis {
            scale: Scale::Logarithmic,
            text: whole,
        },
        y: Axis {
            scale: Scale::Linear,
            text: whole,
        },
        lines,
    })
}
